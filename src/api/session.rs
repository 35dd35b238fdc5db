//! Logins as their owner sees them: on which devices, from where, used when; and ending them.
//!
//! When a login was used last and from where is kept in memory only: writing it down would cost the card a write for
//! each request. After a restart the list knows what the rows say, to the day.

use crate::api::App;
use crate::domain::token::Login;
use crate::domain::{Error, Result, Time, TokenId, UserId};
use crate::store::{self, Tx};
use std::{collections::HashMap, net::IpAddr};

/// The last use of logins. Of no more of them than a household has by far.
#[derive(Default)]
pub struct Uses {
    known: HashMap<TokenId, Use>,
}

#[derive(Clone, Copy)]
struct Use {
    at: Time,
    address: IpAddr,
}

const MOST_USES: usize = 2048;

impl Uses {
    fn note(&mut self, token: TokenId, address: IpAddr, at: Time) {
        if self.known.len() >= MOST_USES && !self.known.contains_key(&token) {
            self.forget_older_half();
        }
        self.known.insert(token, Use { at, address });
    }

    fn forget_older_half(&mut self) {
        let mut times: Vec<Time> = self.known.values().map(|used| used.at).collect();
        let (_, median, _) = times.select_nth_unstable(MOST_USES / 2);
        let median = *median;
        self.known.retain(|_, used| used.at > median);
    }
}

/// One's login, with what is known of its use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// The login.
    pub login: Login,
    /// Where it was used from, since the server's start.
    pub address: Option<IpAddr>,
    /// When it was used last: now, while it has a socket open.
    pub used_at: Time,
    /// Whether it is the one that asks.
    pub current: bool,
}

/// Notes that a login was used.
pub fn note_use(app: &App, token: TokenId, address: IpAddr) {
    app.uses.borrow_mut().note(token, address.to_canonical(), Time::now());
}

/// When a login was used last since the server was started: now, while it has a socket open.
pub fn last_use(app: &App, token: TokenId) -> Option<Time> {
    if app.hub.tokens().contains(&token) {
        return Some(Time::now());
    }
    app.uses.borrow().known.get(&token).map(|used| used.at)
}

/// One's logins, the one used last first.
///
/// # Errors
/// Those of the storage.
pub fn list(app: &App, me: UserId, current: TokenId) -> Result<Vec<Session>> {
    let (now, open) = (Time::now(), app.hub.tokens());
    let uses = app.uses.borrow();
    let logins = store::token::list(app.db(), me, app.now())?.into_iter();
    let mut sessions: Vec<Session> = logins
        .map(|login| {
            let used = uses.known.get(&login.id);
            let used_at =
                if open.contains(&login.id) { now } else { used.map_or(login.renewed_at, |used| used.at) };
            Session { address: used.map(|used| used.address), used_at, current: login.id == current, login }
        })
        .collect();
    sessions.sort_by_key(|session| std::cmp::Reverse((session.current, session.used_at, session.login.id)));
    Ok(sessions)
}

/// Ends one of one's logins.
///
/// # Errors
/// `NotFound` when one has none of that number, whoever else may have.
pub fn revoke(tx: &Tx<'_>, me: UserId, id: Option<TokenId>) -> Result<TokenId> {
    let missing = || Error::not_found("Session not found");
    let id = id.ok_or_else(missing)?;
    match store::token::delete_own(tx, me, id)? {
        true => Ok(id),
        false => Err(missing()),
    }
}

/// Ends all of one's logins but the one that asks.
///
/// # Errors
/// Those of the storage.
pub fn revoke_others(tx: &Tx<'_>, me: UserId, keep: TokenId) -> Result<()> {
    store::token::delete_others(tx, me, Some(keep))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_memory_of_uses_is_bounded_and_keeps_the_newest() {
        let mut uses = Uses::default();
        let address = IpAddr::from([192, 0, 2, 1]);
        for number in 0..20_000 {
            uses.note(TokenId(number), address, Time::from_millis(number).unwrap());
            assert!(uses.known.len() <= MOST_USES);
        }
        assert!((19_500..20_000).all(|number| uses.known.contains_key(&TokenId(number))));
        // All at once: being forgetful is better than growing.
        let now = Time::from_millis(50_000).unwrap();
        (30_000..40_000).for_each(|number| uses.note(TokenId(number), address, now));
        assert!(uses.known.len() <= MOST_USES);
    }
}
