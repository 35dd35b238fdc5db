//! Logins: how a name becomes a session, and how it ends.

use crate::api::right::{self, Act};
use crate::api::{App, invite, signed, user};
use crate::domain::user::{Standing, uid_of};
use crate::domain::{
    Code, Error, Group, InviteId, Limits, Purpose, Result, Secret, Time, Token, TokenId, User, UserId,
};
use crate::hub::Ending;
use crate::store::{self, Db, Tx};
use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// Somebody who proved who they are.
#[derive(Clone, Copy, Debug)]
pub struct Me {
    /// The person.
    pub user: UserId,
    /// The login.
    pub token: Token,
}

/// A fresh login.
pub struct LoggedIn {
    /// The secret, told this once.
    pub secret: Secret,
    /// The login's number.
    pub token: TokenId,
    /// The person.
    pub user: User,
    /// The group joined with the invite code, if one came along.
    pub joined: Option<Group>,
    /// The person's oldest logins, ended because there were too many.
    pub ended: Vec<TokenId>,
}

/// What comes along with a login.
#[derive(Clone, Debug, Default)]
pub struct Arrival {
    /// An invite to be accepted with it.
    pub invite: Option<InviteId>,
    /// What the program that logs in calls itself.
    pub agent: Option<String>,
}

/// Logins recognised a moment ago, so that a page that asks for many things at once is looked up
/// once. Whatever ends a login in this process empties it; what another process ends is noticed
/// when the moment is over.
#[derive(Default)]
pub struct Recent {
    known: HashMap<[u8; 32], (Token, Instant)>,
}

const RECENT: Duration = Duration::from_secs(1);
const MOST_RECENT: usize = 256;

impl Recent {
    fn find(&self, hash: &[u8; 32]) -> Option<Token> {
        let (token, since) = self.known.get(hash)?;
        (since.elapsed() < RECENT).then_some(*token)
    }

    fn remember(&mut self, hash: [u8; 32], token: Token) {
        if self.known.len() >= MOST_RECENT {
            self.known.clear();
        }
        self.known.insert(hash, (token, Instant::now()));
    }
}

/// Whose login a text proves: the secret of a login, or a token that says whose it is and was signed here.
///
/// # Errors
/// `Unauthorized` when it proves nobody's, or a login that has ended.
pub fn recognise_text(app: &App, text: &str) -> Result<Me> {
    if let Some(secret) = Secret::parse(text) {
        return recognise(app, &secret);
    }
    let claims = signed::read(text, &app.token_key).ok_or_else(Error::unauthorized)?;
    // The row decides, so that a logout counts here, too. It also knows when it was made after the clock was set.
    let found = store::token::find_proven(app.db(), claims.token, &claims.proof)?;
    let (now, millis) = (app.now(), claims.expires_at.millis() - claims.issued_at.millis());
    let is_good = |token: &Token| {
        token.expires_at > now && token.made_at.millis().saturating_add(millis) > now.millis()
    };
    let token = found.filter(|token| token.user == claims.user && is_good(token));
    let token = token.ok_or_else(Error::unauthorized)?;
    Ok(Me { user: token.user, token })
}

/// A token that says whose login it is, to be sent wherever a login's secret may be; good for as long as the
/// login, and no longer than the login would be without further use.
///
/// # Errors
/// `Internal` only.
pub fn sign(app: &App, logged_in: &LoggedIn) -> Result<String> {
    signed::write(
        &signed::Claims {
            user: logged_in.user.id,
            uid: logged_in.user.uid.clone(),
            token: logged_in.token,
            proof: proof_of(&logged_in.secret.hash()),
            issued_at: Time::now(),
            expires_at: Time::now().plus_seconds(seconds(app.limits())),
        },
        &app.token_key,
    )
}

fn proof_of(hash: &[u8; 32]) -> signed::Proof {
    *hash.first_chunk().expect("a hash is longer than a proof")
}

/// Whose login a secret is, unless it has ended.
///
/// # Errors
/// `Unauthorized` when it is nobody's.
pub fn recognise(app: &App, secret: &Secret) -> Result<Me> {
    let hash = secret.hash();
    let now = app.now();
    // One that seems to have ended may have been moved along with the clock.
    let recent = app.recent_logins.borrow().find(&hash).filter(|token| token.expires_at > now);
    let token = match recent {
        Some(token) => Some(token),
        None => store::token::find(app.db(), &hash)?,
    };
    let token = token.filter(|token| token.expires_at > now).ok_or_else(Error::unauthorized)?;
    if recent.is_none() {
        app.recent_logins.borrow_mut().remember(hash, token);
    }
    Ok(Me { user: token.user, token })
}

/// Whether a login is still there, by the database and not by memory. A socket asks this when it has
/// entered the hub: a login that ends later finds it there.
///
/// # Errors
/// Those of the storage.
pub fn is_good(app: &App, token: TokenId) -> Result<bool> {
    Ok(find_good(app, token)?.is_some())
}

fn find_good(app: &App, token: TokenId) -> Result<Option<Token>> {
    Ok(store::token::find_by_id(app.db(), token)?.filter(|token| token.expires_at > app.now()))
}

/// What has to follow when a login's row has changed.
pub fn changed(app: &App) {
    app.recent_logins.borrow_mut().known.clear();
}

/// What has to follow when logins have ended: nobody is recognised by them any more, and their
/// sockets are told.
pub fn ended(app: &App, tokens: &[TokenId], ending: Ending) {
    changed(app);
    tokens.iter().for_each(|token| app.hub.end_token(*token, ending));
}

/// Whether a login in use is due to be prolonged. Once a day is enough, and spares the card.
pub fn due_for_renewal(app: &App, token: &Token) -> bool {
    const DAY_MILLIS: i64 = 86_400_000;
    // Also when the clock was set back by more than a day. A device does not end by itself.
    token.permits.is_none() && (app.now().millis() - token.renewed_at.millis()).abs() >= DAY_MILLIS
}

/// Prolongs a login.
///
/// # Errors
/// Those of the storage.
pub fn renew(tx: &Tx<'_>, limits: &Limits, token: &Token) -> Result<()> {
    store::token::renew(tx, token, seconds(limits))
}

/// What the logins behind open sockets have come to: which have ended, elsewhere or by time, and
/// which are due to be prolonged, because an open socket is use.
///
/// # Errors
/// Those of the storage.
fn review(app: &App) -> Result<(Vec<TokenId>, Vec<Token>)> {
    let (mut ended, mut due) = (Vec::new(), Vec::new());
    for id in app.hub.tokens() {
        match find_good(app, id)? {
            Some(token) if due_for_renewal(app, &token) => due.push(token),
            Some(_) => {}
            None => ended.push(id),
        }
    }
    Ok((ended, due))
}

/// How sockets end when it is found that they may not go on.
#[derive(Clone, Copy, Debug)]
pub struct Endings {
    /// Their login has ended.
    pub logged_out: Ending,
    /// Their person may hear less than before.
    pub restricted: Ending,
}

/// Brings sockets in line with what the database says: who has no login any more, and who has become a child, here or
/// by another process. Returns the logins that are due to be prolonged.
///
/// # Errors
/// Those of the storage.
pub fn enforce(app: &App, endings: Endings) -> Result<Vec<Token>> {
    let (gone, due) = review(app)?;
    ended(app, &gone, endings.logged_out);
    for user in app.hub.roamers() {
        match right::check(app.db(), user, Act::Roam) {
            Err(error) if error.code == Code::Forbidden => app.hub.end_roaming(user, endings.restricted),
            checked => checked?,
        }
    }
    Ok(due)
}

/// How long a login lasts without use.
pub fn seconds(limits: &Limits) -> i64 {
    limits.session_days as i64 * 86_400
}

/// Whose name this is, and the hash of their password if they have one: by login name, or failing
/// that by the name chosen in the profile.
///
/// # Errors
/// Those of the storage.
pub fn credentials(db: &Db, name: &str) -> Result<Option<(UserId, Option<String>)>> {
    store::user::credentials(db, &uid_of(name), name)
}

/// Logs somebody in whose password was found right.
///
/// # Errors
/// `Unauthorized` when the account has vanished or been disabled meanwhile; those of the invite, if there is one.
pub fn begin(tx: &Tx<'_>, limits: &Limits, user: UserId, arrival: &Arrival) -> Result<LoggedIn> {
    let person = store::user::find(tx, user)?.ok_or_else(Error::unauthorized)?;
    if person.disabled {
        return Err(wrong());
    }
    if arrival.invite.is_some() {
        tx.check_space_for(Purpose::Join)?;
    }
    let joined = arrival.invite.map(|invite| invite::accept(tx, limits, user, invite)).transpose()?;
    let secret = Secret::new();
    let token = store::token::insert(tx, user, &secret.hash(), seconds(limits), arrival.agent.as_deref())?;
    let ended = store::token::trim(tx, user, limits.sessions_per_user)?;
    store::user::note_login(tx, user)?;
    let user = person;
    Ok(LoggedIn { secret, token, user, joined: joined.map(|accepted| accepted.group), ended })
}

/// Makes an account for somebody who was invited, lets them into the group, and logs them in.
///
/// # Errors
/// `Invalid` when the name is taken or the invite is over, `Forbidden` when there are too many accounts.
pub fn begin_as_newcomer(
    tx: &Tx<'_>,
    limits: &Limits,
    name: &str,
    hash: &str,
    arrival: &Arrival,
) -> Result<LoggedIn> {
    user::check_name_is_free(tx, name)?;
    let newcomer = user::add(tx, limits, name, Some(hash), Standing::Member)?;
    begin(tx, limits, newcomer.id, arrival)
}

/// What stands in the list of one's logins for one that was made on the command line.
const PROGRAM: &str = "deuced token add";

/// Who goes by this name.
///
/// # Errors
/// `NotFound` when nobody does.
pub fn person(db: &Db, name: &str) -> Result<UserId> {
    let known = credentials(db, name)?;
    known.map(|(user, _)| user).ok_or_else(|| Error::not_found(format!("there is no account named {name}")))
}

/// Makes a login for a program that acts as somebody, and may be allowed to notify others.
///
/// # Errors
/// `NotFound` when there is nobody of that name; `Forbidden` for a child.
pub fn make_for_program(tx: &Tx<'_>, limits: &Limits, name: &str, may_notify: bool) -> Result<Secret> {
    let user = person(tx, name)?;
    right::check(tx, user, Act::MakeDevice)?;
    let made = begin(tx, limits, user, &Arrival { invite: None, agent: Some(PROGRAM.to_owned()) })?;
    if may_notify {
        store::token::allow_notifying(tx, made.token)?;
    }
    Ok(made.secret)
}

/// Logs somebody in by the name alone, making the account if there is none: the way of a trusted
/// home network.
///
/// # Errors
/// `Invalid` for the name, `Forbidden` when there are too many accounts; those of the invite.
pub fn begin_by_name(tx: &Tx<'_>, limits: &Limits, name: &str, arrival: &Arrival) -> Result<LoggedIn> {
    let name = user::clean_login_name(name, limits)?;
    let found = store::user::find_by_uid(tx, &uid_of(&name))?;
    let id = match found {
        Some(user) => user.id,
        None => {
            tx.check_space_for(Purpose::AddPerson)?;
            user::add(tx, limits, &name, None, Standing::Member)?.id
        }
    };
    begin(tx, limits, id, arrival)
}

/// Ends a login.
///
/// # Errors
/// Those of the storage.
pub fn end(tx: &Tx<'_>, token: TokenId) -> Result<()> {
    store::token::delete(tx, token)
}

/// The answer to a wrong name or a wrong password, the same for both.
pub fn wrong() -> Error {
    Error::new(Code::Unauthorized, "Wrong name or password")
}
