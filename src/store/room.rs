//! Rooms and their logs.

use crate::domain::event::{MessageRef, Naming};
use crate::domain::message::Message;
use crate::domain::notification::{Mention, Notice, Notification, Topic};
use crate::domain::{
    Author, EntryId, Error, Event, EventId, GroupId, Kind, Person, Result, Role, RoomId, UserId,
};
use crate::store::{Db, Tx, deuce, time_at, user};
use rusqlite::{Row, params};
use std::sync::Arc;

/// How an event's kind is written. Numbers that were used once are never used for something else.
pub(super) mod code {
    pub const DEUCE_LOGGED: i64 = 1;
    pub const DEUCE_DELETED: i64 = 2;
    pub const REACTION_ADDED: i64 = 3;
    pub const REACTION_REMOVED: i64 = 4;
    pub const MEMBER_JOINED: i64 = 5;
    pub const MEMBER_LEFT: i64 = 6;
    pub const ROLE_CHANGED: i64 = 7;
    pub const GROUP_CHANGED: i64 = 8;
    pub const GROUP_DELETED: i64 = 9;
    pub const MESSAGE_SAID: i64 = 10;
    pub const MESSAGE_EDITED: i64 = 11;
    pub const MESSAGE_DELETED: i64 = 12;
    pub const PERSON_ERASED: i64 = 13;
    pub const PERSON_CHANGED: i64 = 14;
    pub const NOTICE_CUSTOM: i64 = 20;
    pub const NOTICE_DEUCE: i64 = 21;
    pub const NOTICE_REACTION: i64 = 22;
    pub const NOTICE_JOINED: i64 = 23;
    pub const NOTICE_MENTION: i64 = 24;
    pub const NOTIFICATION_READ: i64 = 30;
    pub const ALL_READ: i64 = 31;
}

/// What has become of a message since: the column `state`.
pub(super) mod state {
    pub const EDITED: i64 = 1;
    pub const DELETED: i64 = 2;
}

/// The columns of an event that depend on its kind.
#[derive(Default)]
struct Columns<'a> {
    kind: i64,
    /// The sixteen bytes of the entry, message or group it is about.
    about: Option<[u8; 16]>,
    person: Option<UserId>,
    body: Option<&'a str>,
    nickname: Option<&'a str>,
    target: Option<i64>,
}

fn columns(kind: &Kind) -> Columns<'_> {
    let plain = |kind: i64| Columns { kind, ..Columns::default() };
    match kind {
        Kind::DeuceLogged(logged) => Columns { about: Some(logged.0.id.0), ..plain(code::DEUCE_LOGGED) },
        Kind::DeuceDeleted(entry) => Columns { about: Some(entry.0), ..plain(code::DEUCE_DELETED) },
        Kind::ReactionAdded(entry, emoji) => {
            Columns { about: Some(entry.0), body: Some(emoji), ..plain(code::REACTION_ADDED) }
        }
        Kind::ReactionRemoved(entry, emoji) => {
            Columns { about: Some(entry.0), body: Some(emoji), ..plain(code::REACTION_REMOVED) }
        }
        Kind::MemberJoined(person) => Columns { person: Some(person.id), ..plain(code::MEMBER_JOINED) },
        Kind::MemberLeft(person) => Columns { person: Some(person.id), ..plain(code::MEMBER_LEFT) },
        Kind::PersonChanged(person) => Columns { person: Some(person.id), ..plain(code::PERSON_CHANGED) },
        Kind::PersonErased(person) => Columns { person: Some(person.id), ..plain(code::PERSON_ERASED) },
        Kind::RoleChanged(person, role) => {
            Columns { person: Some(person.id), body: Some(role.as_str()), ..plain(code::ROLE_CHANGED) }
        }
        Kind::GroupChanged(_) => plain(code::GROUP_CHANGED),
        Kind::GroupDeleted => plain(code::GROUP_DELETED),
        Kind::MessageSaid(message) => Columns {
            body: message.text.as_deref(),
            nickname: message.nickname.as_deref(),
            ..plain(code::MESSAGE_SAID)
        },
        // The new text stands with the message itself.
        Kind::MessageEdited(message, _) => about_message(code::MESSAGE_EDITED, message),
        Kind::MessageDeleted(message) => about_message(code::MESSAGE_DELETED, message),
        Kind::Notified(notification) => notice_columns(&notification.notice),
        Kind::NotificationRead(id) => Columns { target: Some(*id), ..plain(code::NOTIFICATION_READ) },
        Kind::AllRead => plain(code::ALL_READ),
    }
}

fn about_message(kind: i64, message: &MessageRef) -> Columns<'static> {
    Columns { kind, about: Some(message.id.0), target: Some(message.seq), ..Columns::default() }
}

fn notice_columns(notice: &Notice) -> Columns<'_> {
    let plain = |kind: i64| Columns { kind, ..Columns::default() };
    match notice {
        Notice::Custom(data) => Columns { body: Some(data), ..plain(code::NOTICE_CUSTOM) },
        // The entry knows its group.
        Notice::Deuce(topic) => {
            Columns { about: topic.entry.map(|entry| entry.0), ..plain(code::NOTICE_DEUCE) }
        }
        Notice::Reaction(topic, emoji) => Columns {
            about: topic.entry.map(|entry| entry.0),
            body: Some(emoji),
            ..plain(code::NOTICE_REACTION)
        },
        Notice::Joined(topic) => {
            Columns { about: topic.group.map(|group| group.0), ..plain(code::NOTICE_JOINED) }
        }
        Notice::Mention(mention) => Columns {
            about: Some(mention.message.0),
            body: Some(&mention.channel),
            target: Some(mention.seq),
            ..plain(code::NOTICE_MENTION)
        },
    }
}

/// Makes a room whose number the database chooses.
pub fn insert(tx: &Tx<'_>, name: &str) -> Result<RoomId> {
    // Rooms by name have numbers below zero, so those of groups go on from the largest.
    tx.only("INSERT INTO room (name) VALUES (?1) RETURNING id", [name], |row| Ok(RoomId(row.get(0)?)))
}

/// Makes the room of this number, if there is none.
pub fn ensure(tx: &Tx<'_>, room: RoomId, name: &str) -> Result<()> {
    tx.execute("INSERT INTO room (id, name) VALUES (?1, ?2) ON CONFLICT DO NOTHING", params![room.0, name])?;
    Ok(())
}

/// Whether there is a row for the room of this number.
pub fn exists(db: &Db, room: RoomId) -> Result<bool> {
    Ok(db.one("SELECT 1 FROM room WHERE id = ?1", [room.0], |_| Ok(()))?.is_some())
}

/// The rooms by name, and how many there are.
pub fn named(db: &Db) -> Result<Vec<(RoomId, String)>> {
    let sql = "SELECT id, name FROM room WHERE id <= ?1 ORDER BY name";
    db.all(sql, [RoomId::FIRST_NAMED.0], |row| Ok((RoomId(row.get(0)?), row.get(1)?)))
}

/// How many rooms by name there are.
pub fn count_named(db: &Db) -> Result<u64> {
    db.only("SELECT count(*) FROM room WHERE id <= ?1", [RoomId::FIRST_NAMED.0], |row| row.get(0))
}

/// The rooms in which somebody wrote something: messages, or entries of their groups. Looks at every event.
pub fn written_in(db: &Db, user: UserId) -> Result<Vec<RoomId>> {
    let sql = r#"SELECT room_id FROM event WHERE sender_id = ?1 AND kind = 10
                 UNION SELECT "group".room_id FROM entry JOIN "group" ON "group".id = entry.group_id
                 WHERE entry.user_id = ?1"#;
    db.all(sql, [user.0], |row| Ok(RoomId(row.get(0)?)))
}

/// Removes a room with its log.
pub fn delete(tx: &Tx<'_>, room: RoomId) -> Result<()> {
    tx.execute("DELETE FROM room WHERE id = ?1", [room.0])?;
    Ok(())
}

/// The number of a room's newest event. Trimming never takes the newest.
pub fn head(db: &Db, room: RoomId) -> Result<i64> {
    let sql = "SELECT max((SELECT coalesce(max(seq), 0) FROM event WHERE room_id = ?1),
                          (SELECT coalesce(max(floor), 0) FROM room WHERE id = ?1))";
    db.only(sql, [room.0], |row| row.get(0))
}

/// Below this number nobody can resume: others may know another history there, which was lost when a copy was put
/// back. 0 where that never was.
pub fn floor(db: &Db, room: RoomId) -> Result<i64> {
    Ok(db.one("SELECT floor FROM room WHERE id = ?1", [room.0], |row| row.get(0))?.unwrap_or_default())
}

/// The number of the oldest event that is still there; 1 where there was none yet.
pub fn first(db: &Db, room: RoomId) -> Result<i64> {
    db.only("SELECT coalesce(min(seq), 1) FROM event WHERE room_id = ?1", [room.0], |row| row.get(0))
}

/// The id of an event, or what stands for one at the floor.
pub fn id_at(db: &Db, room: RoomId, seq: i64) -> Result<Option<EventId>> {
    let sql = "SELECT id FROM event WHERE room_id = ?1 AND seq = ?2
               UNION ALL SELECT floor_id FROM room WHERE id = ?1 AND floor = ?2 AND floor_id IS NOT NULL";
    db.one(sql, params![room.0, seq], |row| Ok(EventId(row.get(0)?)))
}

/// Numbers an event, keeps it, and has it told after the commit. At most `keep` events of the
/// room stay. Returns the event's number and id.
pub fn append(tx: &Tx<'_>, room: RoomId, sender: UserId, kind: Kind, keep: u64) -> Result<MessageRef> {
    let author = match &kind {
        Kind::DeuceLogged(logged) if logged.1.id == sender => Author::Person(logged.1.person()),
        Kind::Notified(notification) => notification.actor.clone(),
        _ => Author::Person(person(tx, sender)?),
    };
    append_by(tx, room, author, kind, None, keep)
}

/// What others call somebody who does something.
pub fn person(tx: &Tx<'_>, id: UserId) -> Result<Person> {
    user::person(tx, id)?.ok_or_else(Error::unauthorized)
}

/// As [`append`], by an author who may be a guest, and who called the event `client_id`.
pub fn append_by(
    tx: &Tx<'_>,
    room: RoomId,
    author: Author,
    mut kind: Kind,
    client_id: Option<&str>,
    keep: u64,
) -> Result<MessageRef> {
    let Place { channel, head, floor } = place(tx, room)?;
    let seq = head + 1;
    let id = EventId::new();
    if let Kind::Notified(notification) = &mut kind {
        notification.id = seq;
    }
    let event = Event { room, channel, seq, id, author, at: tx.now(), kind };
    let columns = columns(&event.kind);
    tx.execute(
        "INSERT INTO event (room_id, seq, id, kind, sender_id, entry_id, person_id, body, at, client_id, nickname, target)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
        params![
            room.0,
            seq,
            id.0,
            columns.kind,
            event.author.number().0,
            columns.about,
            columns.person.map(|person| person.0),
            columns.body,
            event.at.millis(),
            client_id,
            nickname(&event.author, columns.nickname),
            columns.target,
        ],
    )?;
    // Looking at every event would be a page read for each; the log may be a little longer.
    if seq % 256 == 0 {
        // Where numbers were passed over, at the floor, they do not count what is there.
        let last = if floor == 0 { seq - keep as i64 } else { last_kept_before(tx, room, keep)? };
        tx.execute("DELETE FROM event WHERE room_id = ?1 AND seq <= ?2", params![room.0, last])?;
    }
    tx.events.borrow_mut().push(event);
    Ok(MessageRef { id, seq })
}

/// A guest has no row that knows the name.
fn nickname<'a>(author: &'a Author, given: Option<&'a str>) -> Option<&'a str> {
    match author {
        Author::Guest(name) => Some(name),
        Author::Person(_) => given,
    }
}

/// What an event needs to know of its room.
struct Place {
    /// The name on the wire.
    channel: Arc<str>,
    /// The number of the newest event.
    head: i64,
    /// As [`floor`].
    floor: i64,
}

/// An inbox is made when something is first put into it.
fn place(tx: &Tx<'_>, room: RoomId) -> Result<Place> {
    let sql = "SELECT name, (SELECT coalesce(max(seq), 0) FROM event WHERE room_id = ?1), floor
               FROM room WHERE id = ?1";
    let look = |row: &Row<'_>| {
        let (newest, floor): (i64, i64) = (row.get(1)?, row.get(2)?);
        Ok(Place { channel: wire_name(room, row.get_ref(0)?.as_str()?), head: newest.max(floor), floor })
    };
    match (tx.one(sql, [room.0], look)?, room.inbox_of()) {
        (Some(found), _) => Ok(found),
        (None, Some(person)) => {
            ensure(tx, room, &format!("user:{}", person.0))?;
            Ok(Place { channel: wire_name(room, ""), head: 0, floor: 0 })
        }
        (None, None) => Err(Error::internal(format!("there is no room {}", room.0))),
    }
}

fn wire_name(room: RoomId, name: &str) -> Arc<str> {
    match room.inbox_of() {
        Some(_) => Arc::from(crate::domain::room::INBOX),
        None => Arc::from(name),
    }
}

/// The number of the newest event that is one too many. Passes over all that stay.
fn last_kept_before(db: &Db, room: RoomId, keep: u64) -> Result<i64> {
    let sql = "SELECT seq FROM event WHERE room_id = ?1 ORDER BY seq DESC LIMIT 1 OFFSET ?2";
    Ok(db.one(sql, params![room.0, keep as i64], |row| row.get(0))?.unwrap_or_default())
}

/// Events as [`from_row`] reads them. The nouns come along by outer joins: an entry taken back leaves its
/// event without them, and so does a deleted message's text.
macro_rules! event_query {
    () => {
        concat!(
            "SELECT event.seq, event.id, event.kind, event.entry_id, event.body, event.at, event.nickname,
                    event.target, event.state, room.name, original.body, noted.group_id,
                    \"group\".id, \"group\".name, \"group\".description, ",
            user::person_columns!("sender"),
            ", ",
            user::person_columns!("person"),
            ", ",
            deuce::entry_columns!(),
            ", ",
            user::user_columns!(),
            " FROM event
              JOIN room ON room.id = event.room_id
              LEFT JOIN user AS sender ON sender.id = event.sender_id
              LEFT JOIN user AS person ON person.id = event.person_id
              LEFT JOIN event AS original ON event.kind = 11 AND original.room_id = event.room_id
                                         AND original.seq = event.target
              LEFT JOIN entry AS noted ON event.kind IN (21, 22) AND noted.id = event.entry_id
              LEFT JOIN \"group\" ON event.kind = 8 AND \"group\".room_id = event.room_id
              LEFT JOIN entry ON event.kind = 1 AND entry.id = event.entry_id
              LEFT JOIN user ON user.id = entry.user_id
              WHERE event.room_id = ?1"
        )
    };
}
pub(super) use event_query;

/// What is read of a room's events or messages at a time, about: a few long ones must not fill the memory.
const PIECE_BYTES: usize = 256 << 10;

/// At most `limit` events of a room after `cursor`, oldest first, and fewer if they are long, but at least one if
/// there is one.
pub fn events_after(db: &Db, room: RoomId, cursor: i64, limit: u64) -> Result<Vec<Event>> {
    let sql = concat!(event_query!(), " AND event.seq > ?2 ORDER BY event.seq LIMIT ?3");
    let params = params![room.0, cursor, limit as i64];
    db.until(sql, params, |row| from_row(room, row), is_enough())
}

/// Counts the texts of events until they are long enough together.
pub(super) fn is_enough() -> impl FnMut(&Event) -> bool {
    let mut read = 0;
    move |event| {
        read += event.kind.text_bytes();
        read >= PIECE_BYTES
    }
}

mod column {
    use super::{deuce, user};
    pub const GROUP: usize = 12;
    pub const SENDER: usize = 15;
    pub const PERSON: usize = SENDER + user::PERSON_WIDTH;
    pub const ENTRY: usize = PERSON + user::PERSON_WIDTH;
    pub const AUTHOR: usize = ENTRY + deuce::WIDTH;
}

/// The event of a row of [`event_query`].
pub(super) fn from_row(room: RoomId, row: &Row<'_>) -> rusqlite::Result<Event> {
    let author = match user::person_from_row(row, column::SENDER)? {
        Some(person) => Author::Person(person),
        None => Author::Guest(row.get::<_, Option<String>>(6)?.unwrap_or_default()),
    };
    Ok(Event {
        room,
        channel: wire_name(room, row.get_ref(9)?.as_str()?),
        seq: row.get(0)?,
        id: EventId(row.get(1)?),
        at: time_at(row, 5)?,
        kind: kind_from_row(room, row, &author)?,
        author,
    })
}

fn kind_from_row(room: RoomId, row: &Row<'_>, author: &Author) -> rusqlite::Result<Kind> {
    let about = || -> rusqlite::Result<[u8; 16]> { Ok(row.get::<_, Option<_>>(3)?.unwrap_or_default()) };
    let body = || -> rusqlite::Result<String> { Ok(row.get::<_, Option<_>>(4)?.unwrap_or_default()) };
    let target = || -> rusqlite::Result<i64> { Ok(row.get::<_, Option<_>>(7)?.unwrap_or_default()) };
    let entry = || about().map(EntryId);
    let message = || Ok::<_, rusqlite::Error>(MessageRef { id: EventId(about()?), seq: target()? });
    let this = || Ok::<_, rusqlite::Error>(MessageRef { id: EventId(row.get(1)?), seq: row.get(0)? });
    let gone =
        Person { id: UserId(0), uid: String::new(), name: "Someone".into(), login_name: String::new() };
    let person = || Ok::<_, rusqlite::Error>(user::person_from_row(row, column::PERSON)?.unwrap_or(gone));
    let state: i64 = row.get(8)?;
    Ok(match row.get(2)? {
        code::DEUCE_LOGGED if row.get::<_, Option<[u8; 16]>>(column::ENTRY)?.is_some() => {
            let logged = (deuce::from_row(row, column::ENTRY)?, user::from_row(row, column::AUTHOR)?);
            Kind::DeuceLogged(Box::new(logged))
        }
        code::DEUCE_LOGGED | code::DEUCE_DELETED => Kind::DeuceDeleted(entry()?),
        code::REACTION_ADDED => Kind::ReactionAdded(entry()?, body()?),
        code::REACTION_REMOVED => Kind::ReactionRemoved(entry()?, body()?),
        code::MEMBER_JOINED => Kind::MemberJoined(person()?),
        code::PERSON_CHANGED => Kind::PersonChanged(person()?),
        code::PERSON_ERASED => Kind::PersonErased(person()?),
        code::MEMBER_LEFT => Kind::MemberLeft(person()?),
        code::ROLE_CHANGED => Kind::RoleChanged(person()?, Role::parse(&body()?).unwrap_or(Role::Member)),
        code::GROUP_CHANGED => Kind::GroupChanged(Box::new(Naming {
            id: GroupId(row.get::<_, Option<_>>(column::GROUP)?.unwrap_or_default()),
            name: row.get::<_, Option<_>>(column::GROUP + 1)?.unwrap_or_default(),
            description: row.get(column::GROUP + 2)?,
        })),
        code::MESSAGE_SAID if state == state::DELETED => Kind::MessageDeleted(this()?),
        code::MESSAGE_SAID => Kind::MessageSaid(Box::new(message_from_row(row, author)?)),
        code::MESSAGE_EDITED => match row.get::<_, Option<String>>(10)? {
            Some(text) => Kind::MessageEdited(message()?, text),
            None => Kind::MessageDeleted(message()?),
        },
        code::MESSAGE_DELETED => Kind::MessageDeleted(message()?),
        code::NOTIFICATION_READ => Kind::NotificationRead(target()?),
        code::ALL_READ => Kind::AllRead,
        code @ code::NOTICE_CUSTOM..=code::NOTICE_MENTION => Kind::Notified(Box::new(Notification {
            id: row.get(0)?,
            user: room.inbox_of().unwrap_or(UserId(0)),
            actor: author.clone(),
            notice: match code {
                code::NOTICE_CUSTOM => Notice::Custom(body()?),
                code::NOTICE_DEUCE => Notice::Deuce(topic(row)?),
                code::NOTICE_REACTION => Notice::Reaction(topic(row)?, body()?),
                code::NOTICE_JOINED => Notice::Joined(Topic { group: Some(GroupId(about()?)), entry: None }),
                _ => {
                    Notice::Mention(Mention { channel: body()?, seq: target()?, message: EventId(about()?) })
                }
            },
            created_at: time_at(row, 5)?,
            read: state != 0,
        })),
        code::GROUP_DELETED => Kind::GroupDeleted,
        unknown => return Err(rusqlite::Error::IntegralValueOutOfRange(2, unknown)),
    })
}

/// The entry of a notification and its group; neither, when it was taken back.
fn topic(row: &Row<'_>) -> rusqlite::Result<Topic> {
    Ok(match row.get::<_, Option<[u8; 16]>>(11)? {
        Some(group) => Topic { group: Some(GroupId(group)), entry: row.get::<_, Option<_>>(3)?.map(EntryId) },
        None => Topic::default(),
    })
}

fn message_from_row(row: &Row<'_>, author: &Author) -> rusqlite::Result<Message> {
    Ok(Message {
        text: row.get(4)?,
        nickname: if matches!(author, Author::Person(_)) { row.get(6)? } else { None },
        edited: row.get::<_, i64>(8)? == state::EDITED,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::test::in_tx;

    fn ann(tx: &Tx<'_>) -> Person {
        let new = user::NewUser {
            uid: "dev-ann",
            email: None,
            first_name: "Ann",
            password: None,
            admin: false,
            child: false,
        };
        user::insert(tx, &new).unwrap().unwrap().person()
    }

    #[test]
    fn numbers_are_dense_and_trimming_keeps_the_newest() {
        in_tx(|tx| {
            let ann = ann(tx).id;
            let (room, other) = (insert(tx, "one").unwrap(), insert(tx, "two").unwrap());
            for _ in 0..600 {
                append(tx, room, ann, Kind::AllRead, 100).unwrap();
            }
            append(tx, other, ann, Kind::AllRead, 100).unwrap();
            assert_eq!((head(tx, room).unwrap(), head(tx, other).unwrap()), (600, 1));
            assert_eq!((first(tx, room).unwrap(), first(tx, RoomId::named("x")).unwrap()), (413, 1));
            let kept: Vec<i64> =
                events_after(tx, room, 0, 1000).unwrap().iter().map(|event| event.seq).collect();
            assert_eq!(kept, (413..=600).collect::<Vec<_>>());
            assert_eq!(events_after(tx, room, 598, 1).unwrap()[0].seq, 599);
        });
    }

    #[test]
    fn a_few_long_events_are_a_whole_piece() {
        in_tx(|tx| {
            let ann = ann(tx).id;
            let room = insert(tx, "one").unwrap();
            for _ in 0..10 {
                let text = Some("x".repeat(PIECE_BYTES / 3));
                let message = Message { text, nickname: None, edited: false };
                append(tx, room, ann, Kind::MessageSaid(Box::new(message)), 100).unwrap();
            }
            let read = |cursor| events_after(tx, room, cursor, 100).unwrap().len();
            assert_eq!((read(0), read(4), read(9), read(10)), (4, 4, 1, 0));
            let (said, more) = crate::store::message::list(tx, room, i64::MAX, 100).unwrap();
            assert_eq!((said.len(), more), (4, true));
            let (said, more) = crate::store::message::list(tx, room, 3, 100).unwrap();
            assert_eq!((said.len(), more), (2, false));
        });
    }

    #[test]
    fn every_kind_is_read_as_it_was_written() {
        in_tx(|tx| {
            let ann = ann(tx);
            let group = crate::store::group::insert(tx, ann.id, "Home", Some("ours")).unwrap();
            let room = crate::store::group::find(tx, group).unwrap().unwrap().room;
            let entry = EntryId::new();
            let naming = Naming { id: group, name: "Home".into(), description: Some("ours".into()) };
            let said = Message { text: Some("hi".into()), nickname: Some("A".into()), edited: false };
            let kinds = [
                Kind::DeuceDeleted(entry),
                Kind::ReactionAdded(entry, "🔥".to_owned()),
                Kind::ReactionRemoved(entry, "🔥".to_owned()),
                Kind::MemberJoined(ann.clone()),
                Kind::MemberLeft(ann.clone()),
                Kind::PersonChanged(ann.clone()),
                Kind::PersonErased(ann.clone()),
                Kind::RoleChanged(ann.clone(), Role::Admin),
                Kind::GroupChanged(Box::new(naming)),
                Kind::GroupDeleted,
                Kind::MessageSaid(Box::new(said)),
                Kind::MessageDeleted(MessageRef { id: EventId::new(), seq: 3 }),
                Kind::NotificationRead(4),
                Kind::AllRead,
            ];
            for kind in &kinds {
                append(tx, room, ann.id, kind.clone(), 100).unwrap();
            }
            let read = events_after(tx, room, 0, 100).unwrap();
            let told = tx.events.borrow();
            for ((event, told), kind) in read.iter().zip(told.iter()).zip(&kinds) {
                assert_eq!(format!("{event:?}"), format!("{told:?}"));
                assert_eq!(format!("{:?}", event.kind), format!("{kind:?}"));
            }
            assert_eq!(read.len(), kinds.len());
        });
    }

    #[test]
    fn every_notice_is_read_as_it_was_written() {
        in_tx(|tx| {
            let ann = ann(tx);
            let group = GroupId::new();
            let notices = [
                Notice::Custom(r#"{"type":"x"}"#.to_owned()),
                Notice::Joined(Topic { group: Some(group), entry: None }),
                Notice::Mention(Mention { channel: "general".into(), seq: 7, message: EventId::new() }),
                // The entry is not there, so neither is its group.
                Notice::Reaction(Topic::default(), "🔥".to_owned()),
                Notice::Deuce(Topic::default()),
            ];
            let inbox = RoomId::inbox(ann.id);
            for notice in &notices {
                let notification = Notification {
                    id: 0,
                    user: ann.id,
                    actor: Author::Person(ann.clone()),
                    notice: notice.clone(),
                    created_at: tx.now(),
                    read: false,
                };
                append(tx, inbox, ann.id, Kind::Notified(Box::new(notification)), 100).unwrap();
            }
            let read = events_after(tx, inbox, 0, 100).unwrap();
            for ((event, told), notice) in read.iter().zip(tx.events.borrow().iter()).zip(&notices) {
                assert_eq!(format!("{event:?}"), format!("{told:?}"));
                let Kind::Notified(notification) = &event.kind else { panic!("{event:?}") };
                assert_eq!((&notification.notice, notification.id), (notice, event.seq));
                assert_eq!(&*event.channel, "me");
            }
            assert_eq!(read.len(), notices.len());
        });
    }

    #[test]
    fn a_changed_message_is_told_as_it_is_now() {
        in_tx(|tx| {
            let ann = ann(tx);
            let room = RoomId::named("general");
            ensure(tx, room, "general").unwrap();
            let say = |text: &str| {
                let message = Message { text: Some(text.into()), nickname: None, edited: false };
                append(tx, room, ann.id, Kind::MessageSaid(Box::new(message)), 100).unwrap()
            };
            let (first, second) = (say("one"), say("two"));
            crate::store::message::edit(tx, room, first.seq, "uno").unwrap();
            append(tx, room, ann.id, Kind::MessageEdited(first, "uno".into()), 100).unwrap();
            crate::store::message::delete(tx, room, second.seq).unwrap();
            append(tx, room, ann.id, Kind::MessageDeleted(second), 100).unwrap();
            let kinds: Vec<Kind> =
                events_after(tx, room, 0, 10).unwrap().into_iter().map(|event| event.kind).collect();
            let Kind::MessageSaid(said) = &kinds[0] else { panic!("{kinds:?}") };
            assert_eq!((said.text.as_deref(), said.edited), (Some("uno"), true));
            assert!(matches!(&kinds[1], Kind::MessageDeleted(gone) if *gone == second), "{kinds:?}");
            assert!(matches!(&kinds[2], Kind::MessageEdited(of, text) if *of == first && text == "uno"));
            assert!(matches!(&kinds[3], Kind::MessageDeleted(gone) if *gone == second));
        });
    }
}
