//! Links that let somebody choose a password: for who has forgotten theirs, and for accounts that others prepared.

use crate::api::token::{self, Arrival, LoggedIn};
use crate::domain::{Error, Limits, Link, Result, Secret, UserId};
use crate::store::{self, Db, Tx};

/// Makes a link for a person. An earlier one of theirs is good for nothing any more.
///
/// # Errors
/// Those of the storage.
pub fn make(tx: &Tx<'_>, limits: &Limits, user: UserId) -> Result<Link> {
    let link =
        Link { secret: Secret::new(), expires_at: tx.now().plus_seconds(limits.link_hours as i64 * 3600) };
    store::link::insert(tx, user, &link.secret.hash(), link.expires_at)?;
    Ok(link)
}

/// Whose link this is, before a password is hashed for it. Unknown, used and expired ones are the same.
///
/// # Errors
/// `Forbidden` when it is no link that is good.
pub fn check(db: &Db, secret: &str) -> Result<UserId> {
    let secret = Secret::parse(secret.trim()).ok_or_else(over)?;
    store::link::find(db, &secret.hash(), db.now())?.ok_or_else(over)
}

/// Uses a link up: its person has this password from now on, and no other login than the one that begins here.
///
/// # Errors
/// `Forbidden` when the link is not good, or not any more.
pub fn redeem(tx: &Tx<'_>, limits: &Limits, secret: &str, hash: &str, arrival: &Arrival) -> Result<LoggedIn> {
    let user = check(tx, secret)?;
    set_password(tx, user, hash, None)?;
    token::begin(tx, limits, user, arrival)
}

/// Sets a person's password. Their links are good for nothing any more, and their logins end, `keep` aside.
///
/// # Errors
/// Those of the storage.
pub fn set_password(
    tx: &Tx<'_>,
    user: UserId,
    hash: &str,
    keep: Option<crate::domain::TokenId>,
) -> Result<()> {
    store::user::set_password(tx, user, hash)?;
    store::link::delete_of(tx, user)?;
    store::token::delete_others(tx, user, keep)
}

fn over() -> Error {
    Error::forbidden("secret: this link was used already, or it has expired. Ask for a new one.")
}
