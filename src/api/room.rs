//! Listening: who may hear which room, and how a socket that fell behind catches up.
//!
//! Reading a room's head and entering the set of its listeners happen in one turn of the loop, so
//! that no event falls between what was and what will be.

use crate::api::{App, group};
use crate::domain::{Event, GroupId, Kind, Result, UserId};
use crate::hub::{Form, SessionId};
use crate::store;

/// Lets a socket hear a group, if its person is a member.
///
/// # Errors
/// `Forbidden` for strangers.
pub fn join(app: &App, session: SessionId, me: UserId, id: GroupId) -> Result<()> {
    let place = group::place(app.db(), id, me)?;
    app.hub.subscribe(session, place.room, Form::Group, store::room::head(app.db(), place.room)?);
    Ok(())
}

/// Lets a socket hear every group of its person.
///
/// # Errors
/// Those of the storage.
pub fn join_all(app: &App, session: SessionId, me: UserId) -> Result<()> {
    for (_, room) in store::member::groups_of(app.db(), me)? {
        app.hub.subscribe(session, room, Form::Group, store::room::head(app.db(), room)?);
    }
    Ok(())
}

/// Lets a socket hear a group no more.
///
/// # Errors
/// `Forbidden` for strangers, who hear nothing anyway.
pub fn leave(app: &App, session: SessionId, me: UserId, id: GroupId) -> Result<()> {
    let place = group::place(app.db(), id, me)?;
    app.hub.unsubscribe(session, place.room, Form::Group);
    Ok(())
}

/// How far catching up has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// The socket has everything and is live again.
    Done,
    /// There is more; to be called again when the socket has taken this.
    More,
    /// The log no longer has what the socket missed.
    TooLate,
}

/// Sends a lagging socket a piece of what it missed, room by room from its cursors.
///
/// # Errors
/// Those of the storage.
pub fn catch_up(app: &App, session: SessionId) -> Result<Progress> {
    let most = app.limits().replay_events;
    let person = app.hub.owner(session).map(|owner| owner.user);
    for (room, form, cursor) in app.hub.cursors(session) {
        let events = store::room::events_after(app.db(), room, cursor, most)?;
        let Some(first) = events.first() else { continue };
        if first.seq != cursor + 1 {
            return Ok(Progress::TooLate);
        }
        // The log may say already that the person left; what follows is not for them.
        let leaving = |event: &Event| matches!(event.kind, Kind::MemberLeft(who) if Some(who) == person);
        let (events, left) = match events.iter().position(leaving) {
            Some(position) => (&events[..=position], true),
            None => (&events[..], false),
        };
        let told = app.hub.replay(session, form, events);
        if left && told == events.len() {
            app.hub.unsubscribe(session, room, form);
        }
        // A piece at a time, also for a socket that takes it all: others want their turn.
        if told < events.len() || events.len() as u64 == most || !app.hub.has_taken_all(session) {
            return Ok(Progress::More);
        }
    }
    app.hub.caught_up(session);
    Ok(Progress::Done)
}
