//! Groups' rows.

use crate::domain::{Channel, EntryId, Group, GroupId, GroupSummary, Result, RoomId, UserId};
use crate::store::{Db, Tx, room, time_at};
use rusqlite::{Row, params};

/// The columns that [`from_row`] reads, in its order, from the group joined with its maker.
macro_rules! group_columns {
    () => {
        r#""group".id, "group".room_id, "group".name, "group".description, maker.uid, "group".created_at, "group".updated_at"#
    };
}

/// How many columns that are.
const WIDTH: usize = 7;

fn from_row(row: &Row<'_>) -> rusqlite::Result<Group> {
    Ok(Group {
        id: GroupId(row.get(0)?),
        room: RoomId(row.get(1)?),
        name: row.get(2)?,
        description: row.get(3)?,
        created_by: row.get(4)?,
        created_at: time_at(row, 5)?,
        updated_at: time_at(row, 6)?,
    })
}

/// Stores a group with a room of its own.
pub fn insert(tx: &Tx<'_>, maker: UserId, name: &str, description: Option<&str>) -> Result<GroupId> {
    let id = GroupId::new();
    let room = room::insert(tx, &Channel::Group(id).to_string())?;
    let sql = r#"INSERT INTO "group" (id, room_id, name, description, created_by, created_at, updated_at)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?6)"#;
    tx.execute(sql, params![id.0, room.0, name, description, maker.0, tx.now().millis()])?;
    Ok(id)
}

/// A group.
pub fn find(db: &Db, id: GroupId) -> Result<Option<Group>> {
    let sql = concat!(
        "SELECT ",
        group_columns!(),
        r#" FROM "group" JOIN user AS maker ON maker.id = "group".created_by WHERE "group".id = ?1"#
    );
    db.one(sql, [id.0], from_row)
}

/// A person's groups as a list shows them: those without entries first, newest of them on top, then
/// by their newest entry.
pub fn list(db: &Db, user: UserId) -> Result<Vec<GroupSummary>> {
    let sql = concat!(
        "SELECT ",
        group_columns!(),
        r#", (SELECT count(*) FROM member AS other WHERE other.group_id = "group".id), "group".entry_count, entry.created_at
         FROM member
         JOIN "group" ON "group".id = member.group_id
         JOIN user AS maker ON maker.id = "group".created_by
         LEFT JOIN entry ON entry.id = "group".newest_entry
         WHERE member.user_id = ?1
         ORDER BY entry.id IS NOT NULL, entry.id DESC, "group".id DESC"#
    );
    db.all(sql, [user.0], |row| {
        let last_activity = match row.get::<_, Option<i64>>(WIDTH + 2)? {
            Some(_) => Some(time_at(row, WIDTH + 2)?),
            None => None,
        };
        Ok(GroupSummary {
            group: from_row(row)?,
            member_count: row.get(WIDTH)?,
            entry_count: row.get(WIDTH + 1)?,
            last_activity,
        })
    })
}

/// How many entries a group has.
pub fn entry_count(db: &Db, id: GroupId) -> Result<u64> {
    let sql = r#"SELECT entry_count FROM "group" WHERE id = ?1"#;
    db.one(sql, [id.0], |row| row.get(0)).map(Option::unwrap_or_default)
}

/// Counts a new entry.
pub fn count_entry(tx: &Tx<'_>, id: GroupId, entry: EntryId) -> Result<()> {
    let sql = r#"UPDATE "group" SET entry_count = entry_count + 1, newest_entry = ?2 WHERE id = ?1"#;
    tx.execute(sql, params![id.0, entry.0])?;
    Ok(())
}

/// Counts an entry that is gone. Only when it was the newest are the others looked at.
pub fn uncount_entry(tx: &Tx<'_>, id: GroupId, entry: EntryId) -> Result<()> {
    let sql = r#"UPDATE "group" SET entry_count = entry_count - 1, newest_entry = CASE newest_entry
                     WHEN ?2 THEN (SELECT max(entry.id) FROM entry WHERE entry.group_id = ?1)
                     ELSE newest_entry END
                 WHERE id = ?1"#;
    tx.execute(sql, params![id.0, entry.0])?;
    Ok(())
}

/// Changes name and description.
pub fn update(tx: &Tx<'_>, id: GroupId, name: &str, description: Option<&str>) -> Result<()> {
    let sql = r#"UPDATE "group" SET name = ?2, description = ?3, updated_at = ?4 WHERE id = ?1"#;
    tx.execute(sql, params![id.0, name, description, tx.now().millis()])?;
    Ok(())
}

/// Removes a group with everything in it, and its room.
pub fn delete(tx: &Tx<'_>, id: GroupId, room: RoomId) -> Result<()> {
    tx.execute(r#"DELETE FROM "group" WHERE id = ?1"#, [id.0])?;
    room::delete(tx, room)
}
