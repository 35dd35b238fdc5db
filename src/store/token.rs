//! Logins' rows.

use crate::domain::token::Login;
use crate::domain::{Permits, Result, Time, Token, TokenId, UserId};
use crate::store::{Db, Tx, time_at};
use rusqlite::{Row, params};

fn from_row(row: &Row<'_>) -> rusqlite::Result<Token> {
    Ok(Token {
        id: TokenId(row.get(0)?),
        user: UserId(row.get(1)?),
        renewed_at: time_at(row, 2)?,
        expires_at: time_at(row, 3)?,
        may_notify: row.get(4)?,
        permits: row.get::<_, Option<i64>>(5)?.map(Permits::from_bits),
        made_at: time_at(row, 6)?,
    })
}

/// The columns that [`from_row`] reads, in its order. A login of somebody who may not log in is as good as none.
macro_rules! token_query {
    ($where:literal) => {
        concat!(
            "SELECT token.id, token.user_id, token.renewed_at, token.expires_at, token.may_notify, token.permits, token.made_at
             FROM token JOIN user ON user.id = token.user_id AND user.disabled_at IS NULL WHERE ",
            $where
        )
    };
}

/// Stores a login under its secret's hash. It ends after so many seconds.
pub fn insert(
    tx: &Tx<'_>,
    user: UserId,
    hash: &[u8; 32],
    seconds: i64,
    agent: Option<&str>,
) -> Result<TokenId> {
    let sql = "INSERT INTO token (hash, user_id, made_at, renewed_at, expires_at, agent)
               VALUES (?1, ?2, ?3, ?3, ?4, ?5) RETURNING id";
    let now = tx.now();
    let params = params![hash, user.0, now.millis(), now.plus_seconds(seconds).millis(), agent];
    tx.only(sql, params, |row| Ok(TokenId(row.get(0)?)))
}

/// Lets a login notify others.
pub fn allow_notifying(tx: &Tx<'_>, id: TokenId) -> Result<()> {
    tx.execute("UPDATE token SET may_notify = 1 WHERE id = ?1", [id.0])?;
    Ok(())
}

/// The login of that secret, ended or not.
pub fn find(db: &Db, hash: &[u8; 32]) -> Result<Option<Token>> {
    db.one(token_query!("token.hash = ?1"), [hash], from_row)
}

/// Lets a login run for so many seconds from now, never shorter than it would. Nothing happens when
/// it was renewed since it was read.
pub fn renew(tx: &Tx<'_>, token: &Token, seconds: i64) -> Result<()> {
    let sql = "UPDATE token SET renewed_at = ?2, expires_at = max(expires_at, ?3) WHERE id = ?1 AND renewed_at = ?4";
    let now = tx.now();
    let expires = now.plus_seconds(seconds).millis();
    tx.execute(sql, params![token.id.0, now.millis(), expires, token.renewed_at.millis()])?;
    Ok(())
}

/// The login of that number, ended or not.
pub fn find_by_id(db: &Db, id: TokenId) -> Result<Option<Token>> {
    db.one(token_query!("token.id = ?1"), [id.0], from_row)
}

/// The login of that number whose secret's hash begins so, ended or not.
pub fn find_proven(db: &Db, id: TokenId, proof: &[u8; 8]) -> Result<Option<Token>> {
    db.one(token_query!("token.id = ?1 AND substr(token.hash, 1, 8) = ?2"), params![id.0, proof], from_row)
}

/// Ends a login.
pub fn delete(tx: &Tx<'_>, id: TokenId) -> Result<()> {
    tx.execute("DELETE FROM token WHERE id = ?1", [id.0])?;
    Ok(())
}

/// The logins of a person that have not ended, newest first. Devices are listed by themselves.
pub fn list(db: &Db, user: UserId, now: Time) -> Result<Vec<Login>> {
    let sql = "SELECT id, agent, made_at, renewed_at, expires_at FROM token
               WHERE user_id = ?1 AND permits IS NULL AND expires_at > ?2 ORDER BY id DESC";
    db.all(sql, params![user.0, now.millis()], |row| {
        Ok(Login {
            id: TokenId(row.get(0)?),
            agent: row.get(1)?,
            made_at: time_at(row, 2)?,
            renewed_at: time_at(row, 3)?,
            expires_at: time_at(row, 4)?,
        })
    })
}

/// Ends a login of a person; `false` when they have none of that number.
pub fn delete_own(tx: &Tx<'_>, user: UserId, id: TokenId) -> Result<bool> {
    Ok(tx.execute(
        "DELETE FROM token WHERE id = ?1 AND user_id = ?2 AND permits IS NULL",
        params![id.0, user.0],
    )? == 1)
}

/// Ends the logins of a person, one aside. Devices stay: they are ended one by one, by name.
pub fn delete_others(tx: &Tx<'_>, user: UserId, keep: Option<TokenId>) -> Result<()> {
    let sql = "DELETE FROM token WHERE user_id = ?1 AND permits IS NULL AND id IS NOT ?2";
    tx.execute(sql, params![user.0, keep.map(|keep| keep.0)])?;
    Ok(())
}

/// Ends all logins of a person, those of their devices and programs among them.
pub fn delete_all(tx: &Tx<'_>, user: UserId) -> Result<()> {
    tx.execute("DELETE FROM token WHERE user_id = ?1", [user.0])?;
    Ok(())
}

/// Removes a person's logins that have ended, and the oldest beyond `keep`; returns the latter. Devices are no part of
/// this: a button must not stop because somebody logged in often.
pub fn trim(tx: &Tx<'_>, user: UserId, keep: u64) -> Result<Vec<TokenId>> {
    tx.execute(
        "DELETE FROM token WHERE user_id = ?1 AND expires_at <= ?2",
        params![user.0, tx.now().millis()],
    )?;
    let sql = "DELETE FROM token WHERE id IN
                   (SELECT id FROM token WHERE user_id = ?1 AND permits IS NULL ORDER BY id DESC LIMIT -1 OFFSET ?2)
               RETURNING id";
    tx.all(sql, params![user.0, keep as i64], |row| Ok(TokenId(row.get(0)?)))
}
