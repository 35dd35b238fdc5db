//! Rooms and their logs.

use crate::domain::{EntryId, Event, EventId, Kind, Result, Role, RoomId, UserId};
use crate::store::{Db, Tx, deuce, time_at, user};
use rusqlite::{Row, params};

/// How an event's kind is written. Numbers that were used once are never used for something else.
mod code {
    pub const DEUCE_LOGGED: i64 = 1;
    pub const DEUCE_DELETED: i64 = 2;
    pub const REACTION_ADDED: i64 = 3;
    pub const REACTION_REMOVED: i64 = 4;
    pub const MEMBER_JOINED: i64 = 5;
    pub const MEMBER_LEFT: i64 = 6;
    pub const ROLE_CHANGED: i64 = 7;
    pub const GROUP_CHANGED: i64 = 8;
    pub const GROUP_DELETED: i64 = 9;
}

/// The columns of an event that depend on its kind.
struct Columns<'a> {
    kind: i64,
    entry: Option<EntryId>,
    person: Option<UserId>,
    body: Option<&'a str>,
}

fn columns(kind: &Kind) -> Columns<'_> {
    let (kind, entry, person, body) = match kind {
        Kind::DeuceLogged(logged) => (code::DEUCE_LOGGED, Some(logged.0.id), None, None),
        Kind::DeuceDeleted(entry) => (code::DEUCE_DELETED, Some(*entry), None, None),
        Kind::ReactionAdded(entry, emoji) => (code::REACTION_ADDED, Some(*entry), None, Some(emoji.as_str())),
        Kind::ReactionRemoved(entry, emoji) => {
            (code::REACTION_REMOVED, Some(*entry), None, Some(emoji.as_str()))
        }
        Kind::MemberJoined(person) => (code::MEMBER_JOINED, None, Some(*person), None),
        Kind::MemberLeft(person) => (code::MEMBER_LEFT, None, Some(*person), None),
        Kind::RoleChanged(person, role) => (code::ROLE_CHANGED, None, Some(*person), Some(role.as_str())),
        Kind::GroupChanged => (code::GROUP_CHANGED, None, None, None),
        Kind::GroupDeleted => (code::GROUP_DELETED, None, None, None),
    };
    Columns { kind, entry, person, body }
}

/// Makes a room.
pub fn insert(tx: &Tx<'_>, name: &str) -> Result<RoomId> {
    tx.only("INSERT INTO room (name) VALUES (?1) RETURNING id", [name], |row| Ok(RoomId(row.get(0)?)))
}

/// Removes a room with its log.
pub fn delete(tx: &Tx<'_>, room: RoomId) -> Result<()> {
    tx.execute("DELETE FROM room WHERE id = ?1", [room.0])?;
    Ok(())
}

/// The number of a room's newest event. Trimming never takes the newest.
pub fn head(db: &Db, room: RoomId) -> Result<i64> {
    db.only("SELECT coalesce(max(seq), 0) FROM event WHERE room_id = ?1", [room.0], |row| row.get(0))
}

/// Numbers an event, keeps it, and has it told after the commit. At most `keep` events of the
/// room stay.
pub fn append(tx: &Tx<'_>, room: RoomId, sender: UserId, kind: Kind, keep: u64) -> Result<()> {
    let seq = head(tx, room)? + 1;
    let event = Event { room, seq, id: EventId::new(), sender, at: tx.now(), kind };
    let columns = columns(&event.kind);
    tx.execute(
        "INSERT INTO event (room_id, seq, id, kind, sender_id, entry_id, person_id, body, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        params![
            room.0,
            seq,
            event.id.0,
            columns.kind,
            sender.0,
            columns.entry.map(|entry| entry.0),
            columns.person.map(|person| person.0),
            columns.body,
            event.at.millis()
        ],
    )?;
    // Looking at every event would be a page read for each; the log may be a little longer.
    if seq % 256 == 0 {
        trim(tx, room, seq - keep as i64)?;
    }
    tx.events.borrow_mut().push(event);
    Ok(())
}

fn trim(tx: &Tx<'_>, room: RoomId, floor: i64) -> Result<()> {
    tx.execute("DELETE FROM event WHERE room_id = ?1 AND seq <= ?2", params![room.0, floor])?;
    Ok(())
}

/// At most `limit` events of a room after `cursor`, oldest first.
pub fn events_after(db: &Db, room: RoomId, cursor: i64, limit: u64) -> Result<Vec<Event>> {
    // The nouns come along by outer joins: an entry taken back leaves its event without them.
    let sql = concat!(
        "SELECT event.seq, event.id, event.kind, event.sender_id, event.entry_id, event.person_id, event.body,
                event.at, ",
        deuce::entry_columns!(),
        ", ",
        user::user_columns!(),
        " FROM event
          LEFT JOIN entry ON event.kind = 1 AND entry.id = event.entry_id
          LEFT JOIN user ON user.id = entry.user_id
          WHERE event.room_id = ?1 AND event.seq > ?2 ORDER BY event.seq LIMIT ?3"
    );
    db.all(sql, params![room.0, cursor, limit as i64], |row| from_row(room, row))
}

fn from_row(room: RoomId, row: &Row<'_>) -> rusqlite::Result<Event> {
    const ENTRY: usize = 8;
    let entry = || -> rusqlite::Result<EntryId> {
        Ok(EntryId(row.get::<_, Option<[u8; 16]>>(4)?.unwrap_or_default()))
    };
    let person =
        || -> rusqlite::Result<UserId> { Ok(UserId(row.get::<_, Option<i64>>(5)?.unwrap_or_default())) };
    let body = || -> rusqlite::Result<String> { Ok(row.get::<_, Option<String>>(6)?.unwrap_or_default()) };
    let kept = row.get::<_, Option<[u8; 16]>>(ENTRY)?.is_some();
    let kind = match row.get(2)? {
        code::DEUCE_LOGGED if kept => {
            let logged = (deuce::from_row(row, ENTRY)?, user::from_row(row, ENTRY + deuce::WIDTH)?);
            Kind::DeuceLogged(Box::new(logged))
        }
        code::DEUCE_LOGGED | code::DEUCE_DELETED => Kind::DeuceDeleted(entry()?),
        code::REACTION_ADDED => Kind::ReactionAdded(entry()?, body()?),
        code::REACTION_REMOVED => Kind::ReactionRemoved(entry()?, body()?),
        code::MEMBER_JOINED => Kind::MemberJoined(person()?),
        code::MEMBER_LEFT => Kind::MemberLeft(person()?),
        code::ROLE_CHANGED => Kind::RoleChanged(person()?, Role::parse(&body()?).unwrap_or(Role::Member)),
        code::GROUP_CHANGED => Kind::GroupChanged,
        _ => Kind::GroupDeleted,
    };
    Ok(Event {
        room,
        seq: row.get(0)?,
        id: EventId(row.get(1)?),
        sender: UserId(row.get(3)?),
        at: time_at(row, 7)?,
        kind,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::test::in_tx;

    #[test]
    fn numbers_are_dense_and_trimming_keeps_the_newest() {
        in_tx(|tx| {
            let (room, other) = (insert(tx, "one").unwrap(), insert(tx, "two").unwrap());
            for _ in 0..600 {
                append(tx, room, UserId(1), Kind::GroupChanged, 100).unwrap();
            }
            append(tx, other, UserId(1), Kind::GroupChanged, 100).unwrap();
            assert_eq!((head(tx, room).unwrap(), head(tx, other).unwrap()), (600, 1));
            let kept: Vec<i64> =
                events_after(tx, room, 0, 1000).unwrap().iter().map(|event| event.seq).collect();
            assert_eq!(kept, (413..=600).collect::<Vec<_>>());
            assert_eq!(events_after(tx, room, 598, 1).unwrap()[0].seq, 599);
        });
    }

    #[test]
    fn every_kind_is_read_as_it_was_written() {
        in_tx(|tx| {
            let room = insert(tx, "one").unwrap();
            let entry = EntryId::new();
            let kinds = [
                Kind::DeuceDeleted(entry),
                Kind::ReactionAdded(entry, "🔥".to_owned()),
                Kind::ReactionRemoved(entry, "🔥".to_owned()),
                Kind::MemberJoined(UserId(7)),
                Kind::MemberLeft(UserId(7)),
                Kind::RoleChanged(UserId(7), Role::Admin),
                Kind::GroupChanged,
                Kind::GroupDeleted,
            ];
            for kind in &kinds {
                append(tx, room, UserId(1), kind.clone(), 100).unwrap();
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
}
