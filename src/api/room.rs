//! Listening: who may hear which room, and how a socket that fell behind catches up.
//!
//! Reading a room's head and entering the set of its listeners happen in one turn of the loop, so
//! that no event falls between what was and what will be.

use crate::api::right::{self, Act};
use crate::api::{App, device::Reach, group};
use crate::domain::{Author, Channel, Code, Error, Event, EventId, GroupId, Kind, Result, RoomId, UserId};
use crate::hub::{Being, Form, SessionId};
use crate::store::{self, Db};

/// Who wants to hear or say something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Somebody with a login.
    Person(UserId),
    /// Somebody without, where guests may come.
    Guest,
    /// Somebody without, where they may not.
    Nobody,
}

/// The room of a channel, if one may be there.
///
/// # Errors
/// `Unauthorized` without a login where one is needed, `Forbidden` for the groups of others, and for children in rooms
/// by name.
pub fn enter(db: &Db, who: &Who, channel: &Channel) -> Result<RoomId> {
    match (channel, who) {
        (Channel::Named(name), Who::Person(me)) => {
            right::check(db, *me, Act::Roam).map(|()| RoomId::named(name))
        }
        (Channel::Named(name), Who::Guest) => Ok(RoomId::named(name)),
        (Channel::Group(id), Who::Person(me)) => group::place(db, *id, *me).map(|place| place.room),
        (Channel::Me, Who::Person(me)) => Ok(RoomId::inbox(*me)),
        (_, Who::Guest | Who::Nobody) => Err(Error::unauthorized()),
    }
}

/// Lets a socket hear a group, if its person is a member.
///
/// # Errors
/// `Forbidden` for strangers, `Limit` when the socket listens to too many rooms.
pub fn join(app: &App, session: SessionId, me: UserId, id: GroupId) -> Result<()> {
    let place = group::place(app.db(), id, me)?;
    if !app.hub.is_subscribed(session, place.room, Form::Group) {
        check_room_for_one_more(app, session)?;
        app.hub.subscribe(session, place.room, Form::Group, store::room::head(app.db(), place.room)?);
    }
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

fn check_room_for_one_more(app: &App, session: SessionId) -> Result<()> {
    let most = app.limits().subscriptions_per_socket;
    match app.hub.count_subscriptions(session) < most {
        true => Ok(()),
        false => Err(Error::new(Code::Limit, format!("channel: a socket listens to at most {most} rooms"))),
    }
}

/// The last event somebody has seen of a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Since {
    /// Its number; 0 is before the first.
    pub seq: i64,
    /// Its id, which tells one history from another.
    pub id: Option<String>,
}

/// What came of a request to listen.
pub struct Subscribed {
    /// The room.
    pub room: RoomId,
    /// The number of its newest event.
    pub seq: i64,
    /// That event's id, if there is one.
    pub last: Option<EventId>,
    /// How many events are told from the log; `None` when they cannot be told, so that all is to be loaded
    /// anew. Of no meaning to who did not say what they have seen.
    pub replay: Option<i64>,
}

/// Lets a socket hear a channel in a form: from now on, or from the last event it has seen. Doing so again
/// begins anew.
///
/// # Errors
/// Those of [`enter`]; `Limit` when the socket listens to too many rooms.
pub fn subscribe(
    app: &App,
    session: SessionId,
    who: &Who,
    form: Form,
    channel: &Channel,
    since: Option<&Since>,
    watches: bool,
) -> Result<Subscribed> {
    let db = app.db();
    let room = enter(db, who, channel)?;
    if !app.hub.is_subscribed(session, room, form) {
        check_room_for_one_more(app, session)?;
    }
    let head = store::room::head(db, room)?;
    let last = store::room::id_at(db, room, head)?;
    let replay = match since {
        Some(since) if knows(db, room, head, since)? => Some(head - since.seq),
        _ => None,
    };
    let cursor = head - replay.unwrap_or(0);
    app.hub.resume(session, room, form, &channel.to_string(), (cursor, head), watches);
    Ok(Subscribed { room, seq: head, last, replay })
}

/// Has every socket look for what it has not heard: another process may have written to its rooms, and that is told
/// to nobody here.
///
/// # Errors
/// Those of the storage.
pub fn listen_anew(app: &App) -> Result<()> {
    for room in app.hub.rooms() {
        app.hub.catch_up(room, store::room::head(app.db(), room)?);
    }
    Ok(())
}

/// The number of a room's newest event.
///
/// # Errors
/// Those of the storage.
pub fn head(app: &App, room: RoomId) -> Result<i64> {
    store::room::head(app.db(), room)
}

/// Whether everything after what somebody has seen can be told.
fn knows(db: &Db, room: RoomId, head: i64, since: &Since) -> Result<bool> {
    let floor = store::room::floor(db, room)?;
    if since.seq == 0 {
        return Ok(floor == 0 && store::room::first(db, room)? == 1);
    }
    if !(floor..=head).contains(&since.seq) {
        return Ok(false);
    }
    let found = store::room::id_at(db, room, since.seq)?.map(|id| id.to_string());
    Ok(found.is_some_and(|found| since.id.as_ref().is_some_and(|id| id.eq_ignore_ascii_case(&found))))
}

/// Lets a socket hear a channel no more, in one form.
///
/// # Errors
/// Those of [`enter`].
pub fn unsubscribe(app: &App, session: SessionId, who: &Who, form: Form, channel: &Channel) -> Result<()> {
    app.hub.unsubscribe(session, enter(app.db(), who, channel)?, form);
    Ok(())
}

/// Who is in a room, by name; of a crowd a part.
///
/// # Errors
/// Those of the storage.
pub fn members(app: &App, room: RoomId) -> Result<Vec<Author>> {
    let present = app.hub.present(room).into_iter().take(app.limits().people_present as usize);
    present.filter_map(|being| name_of(app, &being).transpose()).collect()
}

/// What somebody is called; `None` for who is not there any more.
pub(super) fn name_of(app: &App, being: &Being) -> Result<Option<Author>> {
    let user = match being {
        Being::Guest(_, name) => return Ok(Some(Author::Guest(name.to_string()))),
        Being::Person(user) => *user,
    };
    if let Some(known) = app.names.borrow().get(&user) {
        return Ok(known.clone().map(Author::Person));
    }
    let person = store::user::person(app.db(), user)?;
    app.names.borrow_mut().insert(user, person.clone());
    Ok(person.map(Author::Person))
}

/// A room one may hear, for a list.
pub struct Listed {
    /// Its name on the wire.
    pub channel: String,
    /// Its name for people.
    pub name: String,
    /// The number of its newest event.
    pub seq: i64,
    /// That event's id, if there is one.
    pub last: Option<EventId>,
}

/// The rooms somebody may hear within their login's reach: those of their groups, and those by name that have a log.
///
/// # Errors
/// Those of the storage.
pub fn list(db: &Db, me: UserId, reach: &Reach) -> Result<Vec<Listed>> {
    let groups = store::group::list(db, me)?.into_iter().filter(|one| reach.includes(one.group.id));
    let groups = groups.map(|one| (one.group.room, Channel::Group(one.group.id).to_string(), one.group.name));
    let roams = *reach == Reach::All && right::check(db, me, Act::Roam).is_ok();
    let named = if roams { store::room::named(db)? } else { Vec::new() };
    let named = named.into_iter().map(|(room, name)| (room, name.clone(), name));
    let listed = |(room, channel, name)| {
        let seq = store::room::head(db, room)?;
        Ok(Listed { channel, name, seq, last: store::room::id_at(db, room, seq)? })
    };
    groups.chain(named).map(listed).collect()
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
        // The log may say already that the person left; what follows is not for them. Who listens since then
        // is back.
        let since = app.hub.since(session, room, form).unwrap_or_default();
        let leaving = |event: &Event| {
            event.seq > since && matches!(&event.kind, Kind::MemberLeft(who) if Some(who.id) == person)
        };
        let (events, left) = match events.iter().position(leaving) {
            Some(position) => (&events[..=position], true),
            None => (&events[..], false),
        };
        let told = app.hub.replay(session, form, events);
        let all = told == events.len();
        if left && all {
            app.hub.unsubscribe(session, room, form);
        }
        // A piece at a time, also for a socket that takes it all: others want their turn.
        let is_whole = left || events[told - 1].seq == store::room::head(app.db(), room)?;
        if !(all && is_whole && app.hub.has_taken_all(session)) {
            return Ok(Progress::More);
        }
    }
    app.hub.caught_up(session);
    Ok(Progress::Done)
}
