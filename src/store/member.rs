//! Memberships' rows.

use crate::domain::{GroupId, Member, Record, Result, Role, RoomId, UserId, group::Place};
use crate::store::{Db, Tx, time_at, user};
use rusqlite::{Row, params};

fn from_row(group: GroupId, row: &Row<'_>) -> rusqlite::Result<Member> {
    Ok(Member {
        id: row.get(0)?,
        group,
        role: role(row, 1)?,
        joined_at: time_at(row, 2)?,
        record: record_at(row, 3)?,
        user: user::from_row(row, 5)?,
    })
}

fn role(row: &Row<'_>, column: usize) -> rusqlite::Result<Role> {
    // The table's CHECK admits nothing else; the lesser right is the safe reading.
    Ok(Role::parse(row.get_ref(column)?.as_str()?).unwrap_or(Role::Member))
}

/// The best day in two columns; none without entries.
fn record_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Record>> {
    let (day, count): (Option<String>, i64) = (row.get(column)?, row.get(column + 1)?);
    Ok(day.map(|day| Record { day, count }))
}

/// Where a person stands in a group; `None` for strangers and for groups that are not there.
pub fn place(db: &Db, group: GroupId, user: UserId) -> Result<Option<Place>> {
    let sql = r#"SELECT "group".room_id, member.role FROM member JOIN "group" ON "group".id = member.group_id
                 WHERE member.user_id = ?1 AND member.group_id = ?2"#;
    db.one(sql, params![user.0, group.0], |row| {
        Ok(Place { room: RoomId(row.get(0)?), user, role: role(row, 1)? })
    })
}

/// The members of a group, newest first.
pub fn list(db: &Db, group: GroupId) -> Result<Vec<Member>> {
    let sql = concat!(
        "SELECT member.id, member.role, member.joined_at, user.best_day, user.best_count, ",
        user::user_columns!(),
        " FROM member JOIN user ON user.id = member.user_id WHERE member.group_id = ?1 ORDER BY member.id DESC"
    );
    db.all(sql, [group.0], |row| from_row(group, row))
}

/// One member of a group.
pub fn find(db: &Db, group: GroupId, user: UserId) -> Result<Option<Member>> {
    let sql = concat!(
        "SELECT member.id, member.role, member.joined_at, user.best_day, user.best_count, ",
        user::user_columns!(),
        " FROM member JOIN user ON user.id = member.user_id WHERE member.group_id = ?1 AND member.user_id = ?2"
    );
    db.one(sql, params![group.0, user.0], |row| from_row(group, row))
}

/// A person's best day.
pub fn record(db: &Db, user: UserId) -> Result<Option<Record>> {
    let sql = "SELECT best_day, best_count FROM user WHERE id = ?1";
    Ok(db.one(sql, [user.0], |row| record_at(row, 0))?.flatten())
}

/// The groups of a person, with their rooms.
pub fn groups_of(db: &Db, user: UserId) -> Result<Vec<(GroupId, RoomId)>> {
    let sql = r#"SELECT "group".id, "group".room_id FROM member JOIN "group" ON "group".id = member.group_id
                 WHERE member.user_id = ?1 ORDER BY member.id"#;
    db.all(sql, [user.0], |row| Ok((GroupId(row.get(0)?), RoomId(row.get(1)?))))
}

/// How many groups a person is in.
pub fn count_groups(db: &Db, user: UserId) -> Result<u64> {
    db.only("SELECT count(*) FROM member WHERE user_id = ?1", [user.0], |row| row.get(0))
}

/// How many people are in a group.
pub fn count(db: &Db, group: GroupId) -> Result<u64> {
    db.only("SELECT count(*) FROM member WHERE group_id = ?1", [group.0], |row| row.get(0))
}

/// How many admins a group has.
pub fn count_admins(db: &Db, group: GroupId) -> Result<u64> {
    db.only("SELECT count(*) FROM member WHERE group_id = ?1 AND role = 'admin'", [group.0], |row| row.get(0))
}

/// The grown-up member who has been there longest, `except` aside; one who may log in, if there is one.
pub fn oldest_other(db: &Db, group: GroupId, except: UserId) -> Result<Option<UserId>> {
    let sql = "SELECT user_id FROM member JOIN user ON user.id = member.user_id
               WHERE group_id = ?1 AND user_id <> ?2 AND user.child = 0
               ORDER BY user.disabled_at IS NOT NULL, member.id LIMIT 1";
    db.one(sql, params![group.0, except.0], |row| Ok(UserId(row.get(0)?)))
}

/// Whether two people have a group in common.
pub fn share_a_group(db: &Db, one: UserId, other: UserId) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM member AS mine JOIN member AS theirs USING (group_id)
               WHERE mine.user_id = ?1 AND theirs.user_id = ?2)";
    db.only(sql, params![one.0, other.0], |row| row.get(0))
}

/// Whether a person is an admin of a group that another is in.
pub fn leads_a_group_of(db: &Db, admin: UserId, member: UserId) -> Result<bool> {
    let sql = "SELECT EXISTS (SELECT 1 FROM member AS mine JOIN member AS theirs USING (group_id)
               WHERE mine.user_id = ?1 AND mine.role = 'admin' AND theirs.user_id = ?2)";
    db.only(sql, params![admin.0, member.0], |row| row.get(0))
}

/// Makes somebody a member; `false` when they are already.
pub fn insert(tx: &Tx<'_>, group: GroupId, user: UserId, role: Role) -> Result<bool> {
    let sql = "INSERT INTO member (group_id, user_id, role, joined_at) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING";
    Ok(tx.execute(sql, params![group.0, user.0, role.as_str(), tx.now().millis()])? == 1)
}

/// Changes a member's role.
pub fn set_role(tx: &Tx<'_>, group: GroupId, user: UserId, role: Role) -> Result<()> {
    let sql = "UPDATE member SET role = ?3 WHERE group_id = ?1 AND user_id = ?2";
    tx.execute(sql, params![group.0, user.0, role.as_str()])?;
    Ok(())
}

/// Ends a membership.
pub fn delete(tx: &Tx<'_>, group: GroupId, user: UserId) -> Result<()> {
    tx.execute("DELETE FROM member WHERE group_id = ?1 AND user_id = ?2", params![group.0, user.0])?;
    Ok(())
}
