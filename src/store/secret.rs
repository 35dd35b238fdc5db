//! The server's own secrets.

use crate::domain::{Result, id::random};
use crate::store::{Db, Tx};
use rusqlite::params;

/// The secret that signs tokens, made now if there is none.
pub fn token_key(tx: &Tx<'_>) -> Result<Vec<u8>> {
    ensure(tx, "token")
}

/// The secret that devices' signing keys are made from, made now if there is none.
pub fn device_key(tx: &Tx<'_>) -> Result<Vec<u8>> {
    ensure(tx, "device")
}

/// The secret that devices' signing keys are made from; `None` before the first start.
pub fn find_device_key(db: &Db) -> Result<Option<Vec<u8>>> {
    find(db, "device")
}

fn ensure(tx: &Tx<'_>, name: &str) -> Result<Vec<u8>> {
    if let Some(key) = find(tx, name)? {
        return Ok(key);
    }
    let key = random::<32>().to_vec();
    tx.execute("INSERT INTO secret (name, value) VALUES (?1, ?2)", params![name, key])?;
    Ok(key)
}

fn find(db: &Db, name: &str) -> Result<Option<Vec<u8>>> {
    db.one("SELECT value FROM secret WHERE name = ?1", [name], |row| row.get(0))
}
