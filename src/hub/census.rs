//! Whose sockets there are: by which login they came, and who registered for notifications on them.

use crate::domain::{RoomId, TokenId, UserId};
use crate::hub::{Form, Hub, Owner, SessionId, State};
use std::rc::Rc;

/// Whether a socket has registered for notifications, which is apart from being logged in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Registration {
    /// It has not.
    #[default]
    None,
    /// It has, for nobody: it counts, and hears nothing.
    Anonymous,
    /// It has, for this person, by this login.
    As(UserId, TokenId),
}

impl Registration {
    /// The person whose notifications are heard.
    fn user(self) -> Option<UserId> {
        match self {
            Registration::As(user, _) => Some(user),
            Registration::None | Registration::Anonymous => None,
        }
    }
}

impl Hub {
    /// Whose socket it is, if anybody's.
    pub fn owner(&self, session: SessionId) -> Option<Owner> {
        self.state.borrow().sessions[session.0].owner
    }

    /// Says whose socket it is from now on.
    pub fn set_owner(&self, session: SessionId, owner: Owner) {
        self.state.borrow_mut().sessions[session.0].owner = Some(owner);
    }

    /// Says what somebody without a login is called.
    pub fn set_nickname(&self, session: SessionId, nickname: &str) {
        self.state.borrow_mut().sessions[session.0].nickname = Some(Rc::from(nickname));
    }

    /// For whom a socket has registered.
    pub fn registration(&self, session: SessionId) -> Registration {
        self.state.borrow().sessions[session.0].registration
    }

    /// Registers a socket, or registers it anew; from event `cursor` of the inbox on it hears the person's
    /// notifications, and nobody else's.
    pub fn register(&self, session: SessionId, registration: Registration, cursor: i64) {
        let mut state = self.state.borrow_mut();
        let before = std::mem::replace(&mut state.sessions[session.0].registration, registration);
        if before.user() == registration.user() {
            // Another login of the same person: nothing may be missed between the two.
            return;
        }
        state.sessions[session.0].registration = before;
        state.unregister(session.0);
        state.sessions[session.0].registration = registration;
        if let Registration::As(user, _) = registration {
            state.subscribe(session.0, RoomId::inbox(user), Form::User, cursor, false);
        }
    }

    /// How many sockets have registered: in all, and for one person.
    pub fn count_registered(&self, user: Option<UserId>) -> (u64, u64) {
        let state = self.state.borrow();
        let mut counts = (0, 0);
        for (_, session) in &state.sessions {
            match session.registration {
                // One that was told to go is not counted any more.
                Registration::None => {}
                _ if session.ending.is_some() => {}
                Registration::Anonymous => counts.0 += 1,
                Registration::As(registered, _) => {
                    counts.0 += 1;
                    counts.1 += u64::from(Some(registered) == user);
                }
            }
        }
        counts
    }

    /// How many sockets a person has open.
    pub fn count_sockets(&self, user: UserId) -> u64 {
        self.state.borrow().sessions_where(|owner| owner.user == user).len() as u64
    }

    /// The logins that have sockets open.
    pub fn tokens(&self) -> Vec<TokenId> {
        let state = self.state.borrow();
        let mut tokens = Vec::new();
        for (_, session) in &state.sessions {
            tokens.extend(session.owner.map(|owner| owner.token));
            if let Registration::As(_, token) = session.registration {
                tokens.push(token);
            }
        }
        tokens.sort_unstable();
        tokens.dedup();
        tokens
    }
}

impl State {
    /// Takes a socket's notifications away. It goes on as one that registered for nobody.
    fn unregister(&mut self, session: usize) {
        if let Registration::As(user, _) = self.sessions[session].registration {
            self.unsubscribe(session, RoomId::inbox(user), Form::User);
            self.sessions[session].registration = Registration::Anonymous;
        }
    }

    pub(super) fn unregister_where(&mut self, which: impl Fn(UserId, TokenId) -> bool) {
        let registered = self.sessions.iter().filter(|(_, session)| {
            matches!(session.registration, Registration::As(user, token) if which(user, token))
        });
        let leaving: Vec<usize> = registered.map(|(key, _)| key).collect();
        leaving.into_iter().for_each(|session| self.unregister(session));
    }
}
