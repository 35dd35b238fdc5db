//! The server's own secrets.

use crate::domain::{Error, Result, id::random};
use crate::store::{Db, Tx};
use rusqlite::params;

const TOKEN: &str = "token";
const DEVICE: &str = "device";

/// Makes the secrets that are missing. Nothing is written where none is.
pub fn make_missing(db: &Db) -> Result<()> {
    for name in [TOKEN, DEVICE] {
        if find(db, name)?.is_none() {
            db.write_now(|tx| ensure(tx, name))?;
        }
    }
    Ok(())
}

/// The secret that signs tokens.
pub fn token_key(db: &Db) -> Result<Vec<u8>> {
    find(db, TOKEN)?.ok_or_else(missing)
}

/// The secret that devices' signing keys are made from.
pub fn device_key(db: &Db) -> Result<Vec<u8>> {
    find_device_key(db)?.ok_or_else(missing)
}

fn missing() -> Error {
    Error::unavailable("the server's own secrets are missing")
}

/// The secret that devices' signing keys are made from, made now if there is none.
pub fn device_key_or_new(tx: &Tx<'_>) -> Result<Vec<u8>> {
    ensure(tx, DEVICE)
}

/// The secret that devices' signing keys are made from; `None` before the first start.
pub fn find_device_key(db: &Db) -> Result<Option<Vec<u8>>> {
    find(db, DEVICE)
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
