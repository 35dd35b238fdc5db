//! Has a copy go on behind everything that anybody may have heard of the history it takes the place of.

use crate::domain::{EventId, Result, Time};
use crate::store::{Db, backup::content};
use rusqlite::{Connection, Row, params};
use std::path::Path;

/// So many numbers are passed over in every room. The diary that is replaced may be a new and empty one, its forerunner
/// having died with its card, so its numbers alone say little; nobody has heard a million events since a copy was made.
const PASSED_OVER: i64 = 1_000_000;

/// How far the present diary has come, as far as it can be read: one that is damaged must not be in the way.
#[derive(Default)]
struct Reached {
    /// The newest number of each room.
    rooms: Vec<(i64, i64)>,
    /// The newest number of each table.
    tables: Vec<(String, i64)>,
    /// Each device by its token's hash, with its counters.
    devices: Vec<(Vec<u8>, i64, i64)>,
    attempts: Vec<(i64, String, i64, i64, Option<String>, i64)>,
    written: Vec<(i64, String, i64)>,
}

impl Reached {
    fn by(present: &Path) -> Reached {
        let Ok(db) = Db::open_reader(present) else { return Reached::default() };
        let newest = "SELECT room_id, max(seq) FROM event GROUP BY room_id";
        let floors = "SELECT id, floor FROM room WHERE floor > 0";
        let mut rooms = all(&db, newest, |row| Ok((row.get(0)?, row.get(1)?)));
        rooms.extend(all(&db, floors, |row| Ok((row.get(0)?, row.get(1)?))));
        let devices = "SELECT token.hash, device.counter, device.read_until FROM device
                       JOIN token ON token.id = device.token_id";
        let attempts = "SELECT at, path, bytes, took_millis, failure, told FROM backup ORDER BY id";
        Reached {
            rooms,
            tables: all(&db, "SELECT name, seq FROM sqlite_sequence", |row| Ok((row.get(0)?, row.get(1)?))),
            devices: all(&db, devices, |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?))),
            attempts: all(&db, attempts, |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?))
            }),
            written: all(&db, "SELECT day, cause, bytes FROM written", |row| {
                Ok((row.get(0)?, row.get(1)?, row.get(2)?))
            }),
        }
    }
}

/// The rows that can be read. An earlier version has not all of the tables.
fn all<T>(db: &Db, sql: &str, map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>) -> Vec<T> {
    let read = db.connection.prepare(sql).and_then(|mut statement| {
        let rows = statement.query_map([], map)?;
        Ok(rows.map_while(rusqlite::Result::ok).collect())
    });
    read.unwrap_or_else(|error| {
        log::debug!("the present diary does not say all: {error}");
        Vec::new()
    })
}

/// Raises the numbers of every room, and never lets one be given twice that the present diary has given: to a person, a
/// login, a device's request.
pub(super) fn raise(db: &mut Connection, present: &Path) -> Result<()> {
    let reached = if present.is_file() { Reached::by(present) } else { Reached::default() };
    let tx = db.transaction()?;
    // Inboxes exist by themselves; their numbers are those of notifications, which clients keep.
    let inboxes =
        "INSERT INTO room (id, name) SELECT -id, 'user:' || id FROM user WHERE true ON CONFLICT DO NOTHING";
    tx.execute(inboxes, [])?;
    for (room, seq) in reached.rooms {
        tx.execute("UPDATE room SET floor = max(floor, ?2) WHERE id = ?1", [room, seq])?;
    }
    let raised = "UPDATE room SET floor_id = ?2, floor = ?3
                    + max(floor, coalesce((SELECT max(seq) FROM event WHERE room_id = room.id), 0)) WHERE id = ?1";
    let rooms: Vec<i64> = tx
        .prepare("SELECT id FROM room")?
        .query_map([], |row| row.get(0))?
        .collect::<rusqlite::Result<_>>()?;
    for room in rooms {
        tx.execute(raised, params![room, EventId::new().0, PASSED_OVER])?;
    }
    for (table, seq) in reached.tables {
        let known =
            tx.execute("UPDATE sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1", params![table, seq])?;
        if known == 0 && content::has(&tx, &table)? {
            tx.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)", params![table, seq])?;
        }
    }
    // A signed request that was overheard must not be good again.
    let counters = "UPDATE device SET counter = max(counter, ?2), read_until = max(read_until, ?3)
                    WHERE token_id = (SELECT id FROM token WHERE hash = ?1)";
    for (hash, counter, read_until) in reached.devices {
        tx.execute(counters, params![hash, counter, read_until])?;
    }
    // What was copied and written is about the card, whatever the diary says.
    let attempts =
        "INSERT INTO backup (at, path, bytes, took_millis, failure, told) SELECT ?1, ?2, ?3, ?4, ?5, ?6
                    WHERE ?1 NOT IN (SELECT at FROM backup)";
    for (at, path, bytes, took, failure, told) in reached.attempts {
        tx.execute(attempts, params![at, path, bytes, took, failure, told])?;
    }
    let written = "INSERT INTO written (day, cause, bytes) VALUES (?1, ?2, ?3)
                   ON CONFLICT (day, cause) DO UPDATE SET bytes = max(bytes, excluded.bytes)";
    for (day, cause, bytes) in reached.written {
        tx.execute(written, params![day, cause, bytes])?;
    }
    tx.commit()?;
    Ok(())
}

/// The copy itself is a verified one, and its own tables cannot know of it.
pub(super) fn remember(db: &Connection, copy: &Path) -> Result<()> {
    let made_at: Option<Time> = content::about(&content::open(copy)?)?.and_then(|about| about.made_at);
    let Some(at) = made_at else { return Ok(()) };
    let path = std::path::absolute(copy).unwrap_or_else(|_| copy.to_owned()).display().to_string();
    let bytes = std::fs::metadata(copy).map_or(0, |file| file.len()) as i64;
    let sql = "INSERT INTO backup (at, path, bytes, took_millis) SELECT ?1, ?2, ?3, 0
               WHERE NOT EXISTS (SELECT 1 FROM backup WHERE failure IS NULL AND at >= ?1 - 60000)";
    db.execute(sql, params![at.millis(), path, bytes])?;
    Ok(())
}
