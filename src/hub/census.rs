//! Whose sockets there are: by which login they came, and who registered for notifications on them.

use crate::domain::{RoomId, TokenId, UserId};
use crate::hub::{Ending, Form, Hub, Owner, SessionId, State, session::Session};
use std::{collections::HashSet, mem, rc::Rc};

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
    /// Where it hears its notifications.
    fn inbox(self) -> Option<RoomId> {
        match self {
            Registration::As(user, _) => Some(RoomId::inbox(user)),
            Registration::None | Registration::Anonymous => None,
        }
    }
}

impl Hub {
    /// Whose socket it is, if anybody's.
    pub fn owner(&self, session: SessionId) -> Option<Owner> {
        self.state.borrow().sessions[session.0].owner
    }

    /// The place of a socket among all of them. Places are given anew, from 0 on.
    pub fn slot(&self, session: SessionId) -> usize {
        session.0
    }

    /// How many people have a socket open.
    pub fn count_people(&self) -> u64 {
        let state = self.state.borrow();
        let owners = state.sessions.iter().filter_map(|(_, session)| session.owner);
        owners.map(|owner| owner.user).collect::<HashSet<_>>().len() as u64
    }

    /// Says whose socket it is from now on.
    pub fn set_owner(&self, session: SessionId, owner: Owner) {
        self.state.borrow_mut().turn_into(session.0, |session| session.owner = Some(owner));
    }

    /// Says what somebody without a login is called.
    pub fn set_nickname(&self, session: SessionId, nickname: &str) {
        let nickname = Some(Rc::from(nickname));
        self.state.borrow_mut().turn_into(session.0, |session| session.nickname = nickname);
    }

    /// For whom a socket has registered.
    pub fn registration(&self, session: SessionId) -> Registration {
        self.state.borrow().sessions[session.0].registration
    }

    /// Registers a socket, or registers it anew; from event `cursor` of the inbox on it hears the person's
    /// notifications, and nobody else's. With another login of the same person it goes on where it is.
    pub fn register(&self, session: SessionId, registration: Registration, cursor: i64) {
        self.state.borrow_mut().register(session.0, registration, cursor);
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

impl Hub {
    /// The people who listen to rooms by name.
    pub fn roamers(&self) -> Vec<UserId> {
        let state = self.state.borrow();
        let roams = |session: &&Session| session.subscriptions.iter().any(|(room, _)| room.is_named());
        let sessions = state.sessions.iter().map(|(_, session)| session).filter(roams);
        let mut people: Vec<UserId> = sessions.filter_map(|session| Some(session.owner?.user)).collect();
        people.sort_unstable();
        people.dedup();
        people
    }

    /// Ends those sockets of a person that listen to rooms by name.
    pub fn end_roaming(&self, user: UserId, ending: Ending) {
        let mut state = self.state.borrow_mut();
        for session in state.sessions_where(|owner| owner.user == user) {
            if state.sessions[session].subscriptions.iter().any(|(room, _)| room.is_named()) {
                state.sessions[session].end(ending);
            }
        }
    }
}

impl State {
    fn register(&mut self, session: usize, registration: Registration, cursor: i64) {
        let before = mem::replace(&mut self.sessions[session].registration, registration);
        let (left, entered) = (before.inbox(), registration.inbox());
        if left == entered {
            return;
        }
        if let Some(inbox) = left {
            self.unsubscribe(session, inbox, Form::User);
        }
        if let Some(inbox) = entered {
            self.subscribe(session, inbox, Form::User, cursor);
        }
    }

    /// Takes the notifications of some from their sockets, which go on as ones that registered for nobody.
    pub(super) fn unregister_where(&mut self, which: impl Fn(UserId, TokenId) -> bool) {
        let registered = self.sessions.iter().filter(|(_, session)| {
            matches!(session.registration, Registration::As(user, token) if which(user, token))
        });
        let leaving: Vec<usize> = registered.map(|(key, _)| key).collect();
        leaving.into_iter().for_each(|session| self.register(session, Registration::Anonymous, 0));
    }
}
