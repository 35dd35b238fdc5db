//! Claiming: how a fresh server gets its owner.
//!
//! A server that wants passwords and knows none belongs to nobody yet. Whoever holds the secret that lies
//! in its data directory may name themselves its owner, once.

use crate::api::token::{self, LoggedIn};
use crate::api::{App, user};
use crate::domain::{Code, Error, Limits, Result, Secret, user::uid_of};
use crate::store::{self, Db, Tx};
use std::path::Path;

/// What everybody is told until the server has been claimed.
pub const UNCLAIMED: &str =
    "This server has not been claimed yet. Open the claim link that it printed when it was first started.";

/// Where a server stands with its owner.
pub enum Standing {
    /// It has one, or needs none.
    Claimed,
    /// Whoever has this secret may become it.
    Open {
        /// The secret.
        secret: Secret,
        /// Whether it was made just now, and nobody has been told.
        fresh: bool,
    },
}

/// Whether somebody can log in with a password. From then on there is nothing to claim.
///
/// # Errors
/// Those of the storage.
pub fn is_done(db: &Db) -> Result<bool> {
    store::user::is_password_set(db)
}

/// Where the data directory's server stands; makes the secret where one is needed and there is none.
///
/// # Errors
/// When database or file cannot be used.
pub fn stand(data: &Path, db: &Db) -> Result<Standing> {
    if is_done(db)? {
        forget(data);
        return Ok(Standing::Claimed);
    }
    Ok(match store::claim::read(data)? {
        Some(secret) => Standing::Open { secret, fresh: false },
        None => Standing::Open { secret: store::claim::make(data)?, fresh: true },
    })
}

/// Whether there is a secret at all.
///
/// # Errors
/// When the file cannot be read.
pub fn is_secret_kept(data: &Path) -> Result<bool> {
    Ok(store::claim::read(data)?.is_some())
}

/// Removes the secret of a server that has been claimed. It opens nothing any more, so a failure is
/// no more than a file too many; the next start tries again.
pub fn forget(data: &Path) {
    if let Err(error) = store::claim::remove(data) {
        log::warn!("{error}");
    }
}

/// Whether this is the secret that is kept. It takes as long for any wrong one.
///
/// # Errors
/// When the file cannot be read.
pub fn fits(data: &Path, given: &str) -> Result<bool> {
    let Some((kept, given)) = store::claim::read(data)?.zip(Secret::parse(given)) else { return Ok(false) };
    let differing = kept.hash().iter().zip(given.hash()).fold(0, |bits, (kept, given)| bits | (kept ^ given));
    Ok(differing == 0)
}

/// The answer to a wrong secret.
pub fn wrong() -> Error {
    Error::forbidden("secret: this is not the claim secret of this server; 'deuced claim' shows its link")
}

/// Makes the owner and logs them in. An account of that name from the days of `--open` becomes theirs; whoever
/// was logged in to it by the name alone is not any more.
///
/// # Errors
/// `NotFound` when somebody was quicker, `Forbidden` when there is no room for an account.
pub fn claim(tx: &Tx<'_>, limits: &Limits, name: &str, hash: &str) -> Result<LoggedIn> {
    if is_done(tx)? {
        return Err(Error::not_found("Not found"));
    }
    user::add_or_give_password(tx, limits, name, hash, true)?;
    let owner = store::user::find_by_uid(tx, &uid_of(name))?
        .ok_or_else(|| Error::internal("an account vanished within a transaction"))?;
    store::token::delete_all(tx, owner.id)?;
    token::begin(tx, limits, owner.id, None)
}

impl App {
    /// Whether the server has its owner, or needs none. Once it has this costs nothing; until then the database
    /// is asked each time, because an account may be made beside the running server.
    pub fn is_claimed(&self) -> bool {
        if !self.settings.open && !self.claimed.get() {
            // A database that does not answer is no reason to open the doors.
            self.claimed.set(is_done(self.db()).unwrap_or(false));
        }
        self.settings.open || self.claimed.get()
    }

    /// Whether there is something to claim.
    ///
    /// # Errors
    /// `NotFound` when there is not.
    pub fn check_claimable(&self) -> Result<()> {
        match self.is_claimed() {
            true => Err(Error::new(Code::NotFound, "Not found")),
            false => Ok(()),
        }
    }
}
