//! What would be lost, and what would come back, if a copy took the place of the diary.

use crate::domain::{Error, Result, Time};
use rusqlite::Connection;
use std::path::Path;

/// How many of a noun there are, and how that would change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What they are, in the plural.
    pub noun: &'static str,
    /// In the diary.
    pub now: i64,
    /// In the copy.
    pub copy: i64,
    /// In the diary and not in the copy.
    pub lost: i64,
    /// In the copy and not in the diary.
    pub back: i64,
}

/// A diary beside a copy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Noun by noun.
    pub lines: Vec<Line>,
    /// When the newest entry was stored, in the diary and in the copy.
    pub newest_entry: (Option<Time>, Option<Time>),
    /// Accounts that would go, and that would come back, by login name.
    pub accounts: (Vec<String>, Vec<String>),
    /// Devices likewise, by name.
    pub devices: (Vec<String>, Vec<String>),
    /// So many people's passwords would be the earlier ones.
    pub passwords: i64,
}

/// How each noun is known again, in either file. The first that the file has tables for counts.
const NOUNS: &[(&str, &[&str])] = &[
    ("accounts", &["SELECT uid FROM S.user WHERE deleted_at IS NULL"]),
    ("groups", &[r#"SELECT id FROM S."group""#]),
    ("entries", &["SELECT id FROM S.entry"]),
    ("reactions", &["SELECT entry_id, user_id, emoji FROM S.reaction"]),
    ("messages", &["SELECT id FROM S.event WHERE kind = 10 AND state <> 2"]),
    ("notifications", &["SELECT id FROM S.event WHERE kind BETWEEN 20 AND 24"]),
    ("pictures", &["SELECT picture FROM S.user WHERE picture IS NOT NULL"]),
    ("invites", &["SELECT id FROM S.invite"]),
    (
        "logins",
        &[
            "SELECT hash FROM S.token WHERE permits IS NULL AND expires_at > N",
            "SELECT hash FROM S.token WHERE expires_at > N",
        ],
    ),
    ("devices", &["SELECT hash FROM S.token WHERE permits IS NOT NULL"]),
];

/// Compares the diary's database with a copy. Neither is changed.
///
/// # Errors
/// When the diary cannot be read, or is damaged.
pub fn compare(database: &Path, copy: &Path) -> Result<Comparison> {
    let paths = [(database, "present"), (copy, "copied")];
    if let Some((path, _)) = paths.iter().find(|(path, _)| path.to_str().is_none()) {
        return Err(Error::invalid(format!("{}: not UTF-8", path.display())));
    }
    look(&paths).map_err(|error| Error::unavailable(format!("{}: {error}", database.display())))?
}

fn look(paths: &[(&Path, &str)]) -> rusqlite::Result<Result<Comparison>> {
    let db = Connection::open_in_memory()?;
    for (path, name) in paths {
        db.execute(&format!("ATTACH ?1 AS {name}"), [path.to_str()])?;
    }
    db.execute_batch("PRAGMA query_only = ON; PRAGMA trusted_schema = OFF;")?;
    let sound: String = db.query_row("PRAGMA present.quick_check", [], |row| row.get(0))?;
    if sound != "ok" {
        let what = sound.lines().find(|line| !line.starts_with("***")).unwrap_or_default();
        return Ok(Err(Error::unavailable(format!("{} is damaged ({what})", paths[0].0.display()))));
    }
    let lines = NOUNS.iter().map(|(noun, keys)| line(&db, noun, keys)).collect::<rusqlite::Result<_>>()?;
    let newest = |schema: &str| {
        let found =
            db.query_row(&format!("SELECT max(created_at) FROM {schema}.entry"), [], |row| row.get(0));
        found.ok().flatten().and_then(Time::from_millis)
    };
    let (now, then) = ("present", "copied");
    let passwords =
        "SELECT count(*) FROM present.user AS now JOIN copied.user AS earlier ON earlier.uid = now.uid
                     WHERE now.password IS NOT earlier.password AND now.deleted_at IS NULL";
    Ok(Ok(Comparison {
        lines,
        newest_entry: (newest(now), newest(then)),
        accounts: (accounts(&db, now, then)?, accounts(&db, then, now)?),
        devices: (devices(&db, now, then), devices(&db, then, now)),
        passwords: db.query_row(passwords, [], |row| row.get(0))?,
    }))
}

fn line(db: &Connection, noun: &'static str, keys: &[&str]) -> rusqlite::Result<Line> {
    let (now, copy) = (keys_of(db, "present", keys), keys_of(db, "copied", keys));
    let count = |sql: String| db.query_row(&format!("SELECT count(*) FROM ({sql})"), [], |row| row.get(0));
    let without = |a: &Option<String>, b: &Option<String>| match (a, b) {
        (Some(a), Some(b)) => count(format!("{a} EXCEPT {b}")),
        (Some(a), None) => count(a.clone()),
        (None, _) => Ok(0),
    };
    Ok(Line {
        noun,
        now: without(&now, &None)?,
        copy: without(&copy, &None)?,
        lost: without(&now, &copy)?,
        back: without(&copy, &now)?,
    })
}

/// The first of the queries that this file has tables for.
fn keys_of(db: &Connection, schema: &str, keys: &[&str]) -> Option<String> {
    let now = Time::now().millis();
    let filled =
        keys.iter().map(|sql| sql.replace("S.", &format!("{schema}.")).replace("> N", &format!("> {now}")));
    filled.into_iter().find(|sql| db.prepare(sql).is_ok())
}

fn accounts(db: &Connection, here: &str, not_there: &str) -> rusqlite::Result<Vec<String>> {
    let sql = format!(
        "SELECT coalesce(first_name, uid) FROM {here}.user WHERE deleted_at IS NULL
         AND uid NOT IN (SELECT uid FROM {not_there}.user WHERE deleted_at IS NULL) ORDER BY id"
    );
    db.prepare(&sql)?.query_map([], |row| row.get(0))?.collect()
}

/// None where one of the files knows no devices yet.
fn devices(db: &Connection, here: &str, not_there: &str) -> Vec<String> {
    let sql = format!(
        "SELECT device.name FROM {here}.device JOIN {here}.token ON token.id = device.token_id
         WHERE token.hash NOT IN (SELECT hash FROM {not_there}.token) ORDER BY token.id"
    );
    let found = db.prepare(&sql).and_then(|mut statement| {
        statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<Vec<_>>>()
    });
    found.unwrap_or_default()
}
