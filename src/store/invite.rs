//! Invites' rows.

use crate::domain::{GroupId, Invite, InviteId, Result, UserId};
use crate::store::{Db, Tx, time_at};
use rusqlite::{Row, params};

/// The columns that [`from_row`] reads, in its order, from the invite joined with its maker.
macro_rules! invite_columns {
    () => {
        "invite.id, invite.group_id, maker.uid, invite.created_at, invite.expires_at, invite.max_uses, invite.uses
         FROM invite JOIN user AS maker ON maker.id = invite.created_by"
    };
}

fn from_row(row: &Row<'_>) -> rusqlite::Result<Invite> {
    Ok(Invite {
        id: InviteId(row.get(0)?),
        group: GroupId(row.get(1)?),
        created_by: row.get(2)?,
        created_at: time_at(row, 3)?,
        expires_at: time_at(row, 4)?,
        max_uses: row.get(5)?,
        uses: row.get(6)?,
    })
}

/// Stores an invite that ends after so many seconds.
pub fn insert(
    tx: &Tx<'_>,
    group: GroupId,
    maker: UserId,
    seconds: i64,
    max_uses: Option<i64>,
) -> Result<InviteId> {
    let id = InviteId::new();
    let now = tx.now();
    tx.execute(
        "INSERT INTO invite (id, group_id, created_by, created_at, expires_at, max_uses) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        params![id.0, group.0, maker.0, now.millis(), now.plus_seconds(seconds).millis(), max_uses],
    )?;
    Ok(id)
}

/// An invite, open or not.
pub fn find(db: &Db, id: InviteId) -> Result<Option<Invite>> {
    db.one(concat!("SELECT ", invite_columns!(), " WHERE invite.id = ?1"), [id.0], from_row)
}

/// A group's open invites, newest first.
pub fn list(db: &Db, group: GroupId, now: crate::domain::Time) -> Result<Vec<Invite>> {
    let sql = concat!(
        "SELECT ",
        invite_columns!(),
        " WHERE invite.group_id = ?1 AND invite.expires_at > ?2
          AND (invite.max_uses IS NULL OR invite.uses < invite.max_uses)
          ORDER BY invite.created_at DESC, invite.id"
    );
    db.all(sql, params![group.0, now.millis()], from_row)
}

/// Counts one use of an open invite; `false` when it is not open any more.
pub fn take(tx: &Tx<'_>, id: InviteId) -> Result<bool> {
    let sql = "UPDATE invite SET uses = uses + 1
               WHERE id = ?1 AND expires_at > ?2 AND (max_uses IS NULL OR uses < max_uses)";
    Ok(tx.execute(sql, params![id.0, tx.now().millis()])? == 1)
}

/// Revokes an invite of a group; `false` when there is none.
pub fn delete(tx: &Tx<'_>, group: GroupId, id: InviteId) -> Result<bool> {
    Ok(tx.execute("DELETE FROM invite WHERE id = ?1 AND group_id = ?2", params![id.0, group.0])? == 1)
}

/// Removes a person's invites, of one group or of all.
pub fn delete_of(tx: &Tx<'_>, maker: UserId, group: Option<GroupId>) -> Result<()> {
    let sql = "DELETE FROM invite WHERE created_by = ?1 AND (?2 IS NULL OR group_id = ?2)";
    tx.execute(sql, params![maker.0, group.map(|group| group.0)])?;
    Ok(())
}

/// Removes invites of a group that can no longer be used.
pub fn sweep(tx: &Tx<'_>, group: GroupId) -> Result<()> {
    let sql = "DELETE FROM invite WHERE group_id = ?1 AND (expires_at <= ?2 OR uses >= max_uses)";
    tx.execute(sql, params![group.0, tx.now().millis()])?;
    Ok(())
}

/// Ends all invites of a group.
pub fn delete_all(tx: &Tx<'_>, group: GroupId) -> Result<()> {
    tx.execute("DELETE FROM invite WHERE group_id = ?1", [group.0])?;
    Ok(())
}
