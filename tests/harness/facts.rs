//! What a database says, as facts that can be counted; and what people know, as facts that have to be there.

use super::cut::Recording;
use rusqlite::{Connection, OpenFlags, Row};
use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
    sync::Mutex,
};

/// How often each fact is there.
pub type Facts = HashMap<String, i64>;

/// Something that somebody knows, from a mark of the record on.
pub struct Known {
    pub fact: String,
    /// So often it has to be there.
    pub count: i64,
    from: u64,
    /// A word of it. Where it was sent out is earlier than what came back to the harness.
    word: Option<String>,
    /// From here on something else may hold.
    until: Option<u64>,
}

/// All that is known, gathered by many threads.
#[derive(Default)]
pub struct Knowledge {
    known: Mutex<Vec<Known>>,
    tried: Mutex<BTreeMap<String, i64>>,
}

impl Knowledge {
    /// Somebody is about to write something that has to be there so often, or not at all.
    pub fn tries(&self, fact: String, count: i64) {
        self.tried.lock().unwrap().insert(fact, count);
    }

    /// It was acknowledged.
    pub fn told(&self, fact: String, count: i64, from: u64) {
        self.known.lock().unwrap().push(Known { fact, count, from, word: None, until: None });
    }

    /// It was acknowledged or heard, with this word in it that nothing else has.
    pub fn told_by(&self, fact: String, count: i64, from: u64, word: &str) {
        let word = Some(word.to_owned());
        self.known.lock().unwrap().push(Known { fact, count, from, word, until: None });
    }

    /// Somebody is about to change it.
    pub fn ends(&self, fact: &str, mark: u64) {
        for known in self.known.lock().unwrap().iter_mut() {
            if known.fact == fact && known.until.is_none() {
                known.until = Some(mark);
            }
        }
    }

    /// With the places of the record.
    pub fn placed(self, recording: &Recording) -> Placed {
        let sent = recording.sent();
        let place = |known: Known| {
            let mark = recording.position(known.from);
            let from = match &known.word {
                Some(word) => {
                    let place = *sent.get(word.as_str()).unwrap_or_else(|| panic!("{word} was never sent"));
                    assert!(place < mark, "{word} was known before it was sent");
                    place
                }
                None => mark,
            };
            let until = known.until.map_or(usize::MAX, |mark| recording.position(mark));
            (known.fact, known.count, from, until)
        };
        let known = self.known.into_inner().unwrap().into_iter().map(place).collect();
        Placed { known, tried: self.tried.into_inner().unwrap() }
    }
}

/// All that is known, with the lines of the record between which it is.
pub struct Placed {
    pub known: Vec<(String, i64, usize, usize)>,
    tried: BTreeMap<String, i64>,
}

impl Placed {
    /// Compares what is there after a cut with what was known at that moment. How many facts had to be there, and
    /// what is wrong.
    pub fn compare(&self, moment: usize, there: &Facts) -> (usize, Vec<String>) {
        let (mut due, mut wrong) = (0, Vec::new());
        for (fact, count, from, until) in &self.known {
            if *from < moment && moment <= *until {
                due += 1;
                let have = there.get(fact).copied().unwrap_or(0);
                if have != *count {
                    let what = if have < *count { "lost" } else { "too often" };
                    wrong.push(format!(
                        "{what}: {fact} is there {have} times, known as {count} since line {from}"
                    ));
                }
            }
        }
        for (fact, count) in &self.tried {
            let have = there.get(fact).copied().unwrap_or(0);
            if have != 0 && have != *count {
                wrong.push(format!("in part or doubled: {fact} is there {have} times, not 0 or {count}"));
            }
        }
        (due, wrong)
    }
}

/// Reads the facts of a data directory, and says what is wrong with it in itself.
pub fn read(data: &Path) -> (Facts, Vec<String>) {
    let (mut facts, mut wrong) = (Facts::new(), Vec::new());
    let path = data.join("deuced.db");
    if !path.is_file() {
        return (facts, wrong);
    }
    let db = Connection::open(&path).unwrap();
    match read_database(&db, data, &mut facts) {
        Ok(more) => wrong.extend(more),
        Err(error) => wrong.push(format!("the database cannot be read: {error}")),
    }
    for (name, kind) in copies(data) {
        match is_sound(&data.join(&name)) {
            Ok(()) => *facts.entry(format!("{kind} {name}")).or_default() += 1,
            Err(error) => wrong.push(format!("{name}, which has its final name, is not sound: {error}")),
        }
    }
    (facts, wrong)
}

/// The copies under their final names.
fn copies(data: &Path) -> Vec<(String, &'static str)> {
    let listed = |folder: &Path| -> Vec<String> {
        let files = fs::read_dir(folder).into_iter().flatten().flatten();
        files.filter_map(|file| file.file_name().into_string().ok()).collect()
    };
    let ends = |name: &str| name.ends_with(".db") || name.rsplit_once(".before-step-").is_some_and(is_step);
    let before = listed(data).into_iter().filter(|name| name != "deuced.db" && ends(name));
    let backups = listed(&data.join("backups")).into_iter().filter(|name| ends(name));
    before
        .map(|name| (name, "copy"))
        .chain(backups.map(|name| (format!("backups/{name}"), "backup")))
        .collect()
}

fn is_step((_, step): (&str, &str)) -> bool {
    step.len() == 4 && step.bytes().all(|byte| byte.is_ascii_digit())
}

/// Whether a copy opens and is whole.
fn is_sound(path: &Path) -> Result<(), String> {
    let db =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(|e| e.to_string())?;
    let words: String =
        db.pragma_query_value(None, "integrity_check", |row| row.get(0)).map_err(|e| e.to_string())?;
    let users: i64 =
        db.query_row("SELECT count(*) FROM user", [], |row| row.get(0)).map_err(|e| e.to_string())?;
    if words == "ok" && users > 0 { Ok(()) } else { Err(format!("{words}, {users} users")) }
}

fn read_database(db: &Connection, data: &Path, facts: &mut Facts) -> rusqlite::Result<Vec<String>> {
    let mut wrong = Vec::new();
    let sound: String = db.pragma_query_value(None, "integrity_check", |row| row.get(0))?;
    if sound != "ok" {
        wrong.push(format!("integrity_check: {sound}"));
    }
    if db.prepare("PRAGMA foreign_key_check")?.exists([])? {
        wrong.push("a row refers to one that is missing".to_owned());
    }
    let tables: i64 =
        db.query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'event'", [], |row| row.get(0))?;
    if tables == 0 {
        return Ok(wrong);
    }
    let mut note = |sql: &str, fact: &dyn Fn(&Row<'_>) -> rusqlite::Result<String>| -> rusqlite::Result<()> {
        let mut statement = db.prepare(sql)?;
        let mut rows = statement.query([])?;
        while let Some(row) = rows.next()? {
            *facts.entry(fact(row)?).or_default() += 1;
        }
        Ok(())
    };
    let text = |row: &Row<'_>, column| row.get::<_, String>(column);
    note("SELECT thoughts FROM entry", &|row| Ok(format!("entry {}", text(row, 0)?)))?;
    note("SELECT body FROM event WHERE kind = 10 AND body IS NOT NULL", &|row| {
        Ok(format!("message {}", text(row, 0)?))
    })?;
    note("SELECT lower(hex(entry_id)), emoji, uid FROM reaction JOIN user ON user.id = user_id", &|row| {
        Ok(format!("reaction {} {} {}", text(row, 0)?, text(row, 1)?, text(row, 2)?))
    })?;
    note("SELECT lower(hex(hash)) FROM token", &|row| Ok(format!("login {}", text(row, 0)?)))?;
    note("SELECT room.name, seq, lower(hex(event.id)) FROM event JOIN room ON room.id = room_id", &|row| {
        Ok(format!("event {} {} {}", text(row, 0)?, row.get::<_, i64>(1)?, text(row, 2)?))
    })?;
    note(
        r#"SELECT "group".name, uid FROM member JOIN "group" ON "group".id = group_id JOIN user ON user.id = user_id"#,
        &|row| Ok(format!("member {} {}", text(row, 0)?, text(row, 1)?)),
    )?;
    let mut pictures = db.prepare("SELECT uid, picture FROM user WHERE picture IS NOT NULL")?;
    let mut rows = pictures.query([])?;
    while let Some(row) = rows.next()? {
        let (uid, path) = (text(row, 0)?, text(row, 1)?);
        let name = path.rsplit('/').next().unwrap_or_default();
        match fs::read(data.join("pictures").join(name)) {
            Ok(bytes) if bytes.starts_with(&[0xff, 0xd8]) && bytes.ends_with(&[0xff, 0xd9]) => {
                *facts.entry(format!("picture {uid} {path}")).or_default() += 1;
            }
            Ok(bytes) => wrong.push(format!("the picture of {uid} is torn: {} bytes", bytes.len())),
            Err(error) => wrong.push(format!("the picture of {uid} is not there: {error}")),
        }
    }
    let rules = [
        (
            "a log has gaps",
            "SELECT room.name FROM event JOIN room ON room.id = room_id GROUP BY room_id
             HAVING max(seq) - min(seq) + 1 <> count(*) OR min(seq) <> 1",
        ),
        (
            "a group's counter is not its entries",
            r#"SELECT name FROM "group" WHERE entry_count <> (SELECT count(*) FROM entry WHERE group_id = "group".id)"#,
        ),
        (
            // One entry in several groups counts once; those that the stories take back are in one.
            "a person's counter is not what was written and taken back",
            "SELECT uid FROM user WHERE deuce_count <>
               (SELECT count(DISTINCT thoughts) FROM entry WHERE user_id = user.id)
             + (SELECT count(*) FROM event WHERE kind = 2 AND sender_id = user.id)",
        ),
        (
            "an entry is in no log, or a log tells of an entry that is gone and was not deleted",
            r#"SELECT hex(id) FROM entry WHERE NOT EXISTS (SELECT 1 FROM event WHERE kind = 1 AND entry_id = entry.id)
               UNION ALL SELECT hex(entry_id) FROM event WHERE kind = 1
                 AND NOT EXISTS (SELECT 1 FROM entry WHERE entry.id = entry_id)
                 AND NOT EXISTS (SELECT 1 FROM event AS gone WHERE gone.kind = 2 AND gone.entry_id = event.entry_id)"#,
        ),
        (
            "an answer is remembered of an entry that is not there",
            "SELECT key FROM idempotency WHERE NOT EXISTS (SELECT 1 FROM entry WHERE instr(answer, thoughts))",
        ),
    ];
    for (rule, sql) in rules {
        let mut statement = db.prepare(sql)?;
        let broken: Vec<String> =
            statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
        if !broken.is_empty() {
            wrong.push(format!("{rule}: {broken:?}"));
        }
    }
    Ok(wrong)
}
