//! Devices' rows: what a login has beside its own when it is a gadget's.

use crate::domain::{Device, GroupId, Permits, Result, TokenId, UserId};
use crate::store::{Db, Tx, time_at};
use rusqlite::params;

/// Makes a login a device's. It does not end by itself.
pub fn insert(tx: &Tx<'_>, id: TokenId, name: &str, permits: Permits) -> Result<()> {
    // As late as a time can be written with four digits of the year.
    let sql = "UPDATE token SET permits = ?2, expires_at = 253402300799000 WHERE id = ?1";
    tx.execute(sql, params![id.0, permits.bits()])?;
    tx.execute("INSERT INTO device (token_id, name) VALUES (?1, ?2)", params![id.0, name])?;
    Ok(())
}

/// Lets a device into a group that its person is a member of.
pub fn admit(tx: &Tx<'_>, id: TokenId, user: UserId, group: GroupId) -> Result<()> {
    let sql = "INSERT INTO device_group (token_id, user_id, group_id) VALUES (?1, ?2, ?3)";
    tx.execute(sql, params![id.0, user.0, group.0])?;
    Ok(())
}

/// The devices of a person, newest first.
pub fn list(db: &Db, user: UserId) -> Result<Vec<Device>> {
    let sql = "SELECT token.id, device.name, token.permits, token.made_at
               FROM token JOIN device ON device.token_id = token.id WHERE token.user_id = ?1 ORDER BY token.id DESC";
    let mut devices = db.all(sql, [user.0], |row| {
        Ok(Device {
            id: TokenId(row.get(0)?),
            name: row.get(1)?,
            permits: Permits::from_bits(row.get(2)?),
            groups: Vec::new(),
            made_at: time_at(row, 3)?,
        })
    })?;
    for device in &mut devices {
        let sql = r#"SELECT "group".id, "group".name FROM device_group JOIN "group" ON "group".id = device_group.group_id
                     WHERE device_group.token_id = ?1 ORDER BY "group".name, "group".id"#;
        device.groups = db.all(sql, [device.id.0], |row| Ok((GroupId(row.get(0)?), row.get(1)?)))?;
    }
    Ok(devices)
}

/// How many devices a person has.
pub fn count(db: &Db, user: UserId) -> Result<u64> {
    db.only("SELECT count(*) FROM token WHERE user_id = ?1 AND permits IS NOT NULL", [user.0], |row| {
        row.get(0)
    })
}

/// The groups a device may be in.
pub fn groups(db: &Db, id: TokenId) -> Result<Vec<GroupId>> {
    let sql = "SELECT group_id FROM device_group WHERE token_id = ?1";
    db.all(sql, [id.0], |row| Ok(GroupId(row.get(0)?)))
}

/// Whether a device may be in a group.
pub fn is_in(db: &Db, id: TokenId, group: GroupId) -> Result<bool> {
    let sql = "SELECT 1 FROM device_group WHERE token_id = ?1 AND group_id = ?2";
    Ok(db.one(sql, params![id.0, group.0], |_| Ok(()))?.is_some())
}

/// The hash of a device's secret.
pub fn hash(db: &Db, id: TokenId) -> Result<Option<[u8; 32]>> {
    let sql = "SELECT hash FROM token WHERE id = ?1 AND permits IS NOT NULL";
    db.one(sql, [id.0], |row| row.get(0))
}

/// The last signed request of a device that changed something.
pub struct Last {
    /// Its counter; 0 before the first.
    pub counter: i64,
    /// Its signature, and what was answered.
    pub answered: Option<([u8; 32], String)>,
}

/// The last signed request of a device that changed something; `None` when there is no such device.
pub fn last(db: &Db, id: TokenId) -> Result<Option<Last>> {
    let sql = "SELECT counter, signature, answer FROM device WHERE token_id = ?1";
    db.one(sql, [id.0], |row| {
        let (signature, answer): (Option<[u8; 32]>, Option<String>) = (row.get(1)?, row.get(2)?);
        Ok(Last { counter: row.get(0)?, answered: signature.zip(answer) })
    })
}

/// Remembers the last signed request of a device that changed something.
pub fn set_last(tx: &Tx<'_>, id: TokenId, counter: i64, signature: &[u8; 32], answer: &str) -> Result<()> {
    let sql = "UPDATE device SET counter = ?2, signature = ?3, answer = ?4 WHERE token_id = ?1";
    tx.execute(sql, params![id.0, counter, signature, answer])?;
    Ok(())
}

/// The counter up to which no signed request that only reads is taken after a restart.
pub fn read_until(db: &Db, id: TokenId) -> Result<Option<i64>> {
    db.one("SELECT read_until FROM device WHERE token_id = ?1", [id.0], |row| row.get(0))
}

/// Moves that counter on; never back.
pub fn set_read_until(tx: &Tx<'_>, id: TokenId, counter: i64) -> Result<()> {
    let sql = "UPDATE device SET read_until = max(read_until, ?2) WHERE token_id = ?1";
    tx.execute(sql, params![id.0, counter])?;
    Ok(())
}

/// Ends a device of a person; `false` when they have none of that number.
pub fn delete(tx: &Tx<'_>, user: UserId, id: TokenId) -> Result<bool> {
    let sql = "DELETE FROM token WHERE id = ?1 AND user_id = ?2 AND permits IS NOT NULL";
    Ok(tx.execute(sql, params![id.0, user.0])? == 1)
}

/// Ends all devices of a person.
pub fn delete_all(tx: &Tx<'_>, user: UserId) -> Result<()> {
    tx.execute("DELETE FROM token WHERE user_id = ?1 AND permits IS NOT NULL", [user.0])?;
    Ok(())
}

/// Whether somebody is a member of a group that a device may be in.
pub fn reaches(db: &Db, id: TokenId, user: UserId) -> Result<bool> {
    let sql = "SELECT 1 FROM device_group JOIN member ON member.group_id = device_group.group_id
               WHERE device_group.token_id = ?1 AND member.user_id = ?2 LIMIT 1";
    Ok(db.one(sql, params![id.0, user.0], |_| Ok(()))?.is_some())
}
