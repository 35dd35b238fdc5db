//! The server's own secrets.

use crate::domain::{Result, id::random};
use crate::store::{Db, Tx};

/// The secret that signs tokens, made now if there is none.
pub fn token_key(tx: &Tx<'_>) -> Result<Vec<u8>> {
    if let Some(key) = find(tx)? {
        return Ok(key);
    }
    let key = random::<32>().to_vec();
    tx.execute("INSERT INTO secret (name, value) VALUES ('token', ?1)", [&key])?;
    Ok(key)
}

fn find(db: &Db) -> Result<Option<Vec<u8>>> {
    db.one("SELECT value FROM secret WHERE name = 'token'", [], |row| row.get(0))
}
