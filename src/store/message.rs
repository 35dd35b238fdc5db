//! Chat messages' rows, which are events of their rooms.

use crate::domain::event::MessageRef;
use crate::domain::message::Said;
use crate::domain::{EventId, Kind, Result, RoomId, Time, UserId};
use crate::store::room::{code, event_query, from_row, is_enough, state};
use crate::store::{Db, Tx, deuce, time_at, user};
use rusqlite::params;
use sha2::{Digest, Sha256};

/// The name under which a message is kept, so that it is known when it is sent again: what its sender called
/// it, and a digest of where and what.
pub fn name(room: RoomId, client_id: &str, text: Option<&str>) -> String {
    let mut digest = Sha256::new();
    digest.update(room.0.to_be_bytes());
    digest.update(text.unwrap_or_default());
    let digest: String = digest.finalize()[..8].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{client_id}:{digest}")
}

/// The message of this sender and name since `since`, the newest if there are several.
pub fn find_sent(db: &Db, sender: UserId, name: &str, since: Time) -> Result<Option<MessageRef>> {
    let sql = "SELECT id, seq FROM event WHERE sender_id = ?1 AND client_id = ?2 AND at >= ?3
               ORDER BY at DESC LIMIT 1";
    db.one(sql, params![sender.0, name, since.millis()], |row| {
        Ok(MessageRef { id: EventId(row.get(0)?), seq: row.get(1)? })
    })
}

/// Whose message it is, and its id; `None` when there is none of this number, or it was deleted.
pub fn find(db: &Db, room: RoomId, seq: i64) -> Result<Option<(UserId, EventId)>> {
    let sql = "SELECT sender_id, id FROM event WHERE room_id = ?1 AND seq = ?2 AND kind = ?3 AND state <> ?4";
    db.one(sql, params![room.0, seq, code::MESSAGE_SAID, state::DELETED], |row| {
        Ok((UserId(row.get(0)?), EventId(row.get(1)?)))
    })
}

/// Changes a message's text.
pub fn edit(tx: &Tx<'_>, room: RoomId, seq: i64, text: &str) -> Result<()> {
    let sql = "UPDATE event SET body = ?3, state = ?4 WHERE room_id = ?1 AND seq = ?2";
    tx.execute(sql, params![room.0, seq, text, state::EDITED])?;
    Ok(())
}

/// Takes a message's text away. Its number stays.
pub fn delete(tx: &Tx<'_>, room: RoomId, seq: i64) -> Result<()> {
    let sql = "UPDATE event SET body = NULL, nickname = NULL, state = ?3 WHERE room_id = ?1 AND seq = ?2";
    tx.execute(sql, params![room.0, seq, state::DELETED])?;
    Ok(())
}

/// Takes the texts of everything a person said away.
pub fn delete_all(tx: &Tx<'_>, sender: UserId) -> Result<()> {
    let sql = "UPDATE event SET body = NULL, nickname = NULL, state = ?3 WHERE sender_id = ?1 AND kind = ?2";
    tx.execute(sql, params![sender.0, code::MESSAGE_SAID, state::DELETED])?;
    Ok(())
}

/// At most `limit` messages of a room before the number `before`, newest first, and fewer if they are long; and
/// whether there are more.
pub fn list(db: &Db, room: RoomId, before: i64, limit: u64) -> Result<(Vec<Said>, bool)> {
    let sql = concat!(
        event_query!(),
        " AND event.seq < ?2 AND event.kind = 10 AND event.state <> 2 ORDER BY event.seq DESC LIMIT ?3"
    );
    // One more than asked for tells whether there is a next page.
    let params = params![room.0, before, limit as i64 + 1];
    let mut is_enough = is_enough();
    let mut long = false;
    let mut events = db.until(
        sql,
        params,
        |row| from_row(room, row),
        |event| {
            long = is_enough(event);
            long
        },
    )?;
    let more = long || events.len() as u64 > limit;
    events.truncate(limit as usize);
    let said = events.into_iter().filter_map(|event| match event.kind {
        Kind::MessageSaid(message) => {
            Some(Said { id: event.id, seq: event.seq, author: event.author, at: event.at, message: *message })
        }
        _ => None,
    });
    Ok((said.collect(), more))
}

/// Everything a person said and did not delete: the room's name, when, and what, oldest first.
pub fn list_of(db: &Db, sender: UserId) -> Result<Vec<(String, Time, String)>> {
    let sql = "SELECT room.name, event.at, event.body FROM event JOIN room ON room.id = event.room_id
               WHERE event.sender_id = ?1 AND event.kind = 10 AND event.body IS NOT NULL ORDER BY event.id";
    db.all(sql, [sender.0], |row| Ok((row.get(0)?, time_at(row, 1)?, row.get(2)?)))
}
