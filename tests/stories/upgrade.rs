//! Data directories of earlier versions: a start brings them up to date, and everything is there.

use crate::harness::{
    Client, Server,
    server::{self, Directory, said},
};
use rusqlite::{Connection, types::Value as Cell};
use std::{
    fs,
    path::{Path, PathBuf},
};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The steps there are, oldest first.
fn steps() -> Vec<String> {
    let listed = fs::read_dir(root().join("migrations")).unwrap();
    let mut paths: Vec<PathBuf> = listed.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
}

/// What a released version left, in a database of its own.
fn fixture(name: &str, path: &Path) -> Connection {
    let text = fs::read_to_string(root().join("tests/fixtures").join(name).join("deuced.sql")).unwrap();
    let db = Connection::open(path).unwrap();
    // The tables come in the order of their names, not of their references.
    db.execute_batch(&format!("PRAGMA foreign_keys = OFF; {text}")).unwrap();
    db
}

fn pictures_of(name: &str, data: &Path) {
    fs::create_dir_all(data.join("pictures")).unwrap();
    for picture in fs::read_dir(root().join("tests/fixtures").join(name).join("pictures")).unwrap().flatten()
    {
        fs::copy(picture.path(), data.join("pictures").join(picture.file_name())).unwrap();
    }
}

fn names(db: &Connection, sql: &str) -> Vec<String> {
    let mut statement = db.prepare(sql).unwrap();
    statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
}

/// The tables with how many rows each has.
fn counts(db: &Connection) -> Vec<(String, i64)> {
    let tables = names(db, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite%'");
    let count = |table: String| {
        let rows = db.query_row(&format!("SELECT count(*) FROM \"{table}\""), [], |row| row.get(0)).unwrap();
        (table, rows)
    };
    tables.into_iter().map(count).collect()
}

/// The database as it was after a step, with those rows of the fixture that had a place by then.
fn build(step: usize, path: &Path) -> Vec<(String, i64)> {
    let scratch = Directory::new();
    let rows = fixture("0014", &scratch.0.join("rows.db"));
    let db = Connection::open(path).unwrap();
    db.execute_batch("PRAGMA journal_mode = WAL; PRAGMA foreign_keys = OFF;").unwrap();
    steps()[..step].iter().for_each(|sql| db.execute_batch(sql).unwrap());
    for (table, _) in counts(&db) {
        let columns = |db: &Connection| names(db, &format!("SELECT name FROM pragma_table_info('{table}')"));
        let known = columns(&rows);
        let shared: Vec<String> = columns(&db).into_iter().filter(|column| known.contains(column)).collect();
        if shared.is_empty() {
            continue;
        }
        let list = shared.iter().map(|column| format!("\"{column}\"")).collect::<Vec<_>>().join(", ");
        let marks = vec!["?"; shared.len()].join(", ");
        let mut read = rows.prepare(&format!("SELECT {list} FROM \"{table}\"")).unwrap();
        let mut found = read.query([]).unwrap();
        while let Some(row) = found.next().unwrap() {
            let cells = (0..shared.len()).map(|index| row.get(index).unwrap()).collect::<Vec<Cell>>();
            let sql = format!("INSERT OR IGNORE INTO \"{table}\" ({list}) VALUES ({marks})");
            db.execute(&sql, rusqlite::params_from_iter(cells)).unwrap();
        }
    }
    db.execute_batch(&format!("PRAGMA application_id = 1684370787; PRAGMA user_version = {step};")).unwrap();
    counts(&db)
}

/// Ann's group and entries are there, and she goes on.
#[track_caller]
fn goes_on(server: &Server, ann: &Client, step: usize) {
    let groups = ann.get("/api/groups").ok();
    let home = match step {
        0..4 => ann.found("Home"),
        _ => groups[0]["id"].as_str().unwrap_or_else(|| panic!("step {step}: {groups}")).to_owned(),
    };
    let mut thoughts: Vec<&str> = if step < 6 { Vec::new() } else { vec!["Me too.", "All well."] };
    assert_eq!(ann.thoughts_in(&home), thoughts, "step {step}");
    let mut socket = ann.socket();
    ann.log(&home, "again");
    socket.expect_deuce("again");
    thoughts.insert(0, "again");
    assert_eq!(ann.thoughts_in(&home), thoughts, "step {step}");
    assert!(server.user(&["list"]).to_lowercase().contains("bob"), "step {step}");
}

#[test]
fn r_t7_every_earlier_schema_with_rows_is_brought_up_to_date_by_a_start() {
    let newest = steps().len();
    for step in 1..newest {
        let mut before = Vec::new();
        let mut server = Server::setup().start_on(|data| {
            before = build(step, &data.join("deuced.db"));
            pictures_of("0014", data);
        });
        assert!(before.iter().any(|(table, rows)| table == "user" && *rows == 3), "step {step}: {before:?}");
        let ann = server.device("Ann");
        goes_on(&server, &ann, step);
        let copy = server.data().join(format!("deuced.db.before-step-{step:04}"));
        let whole = server::run(&["verify", copy.to_str().unwrap()], "");
        assert!(said(&whole).contains(&format!("step {step}\n")), "{}", said(&whole));
        let listed = said(&server::run(&["backup", "--list", "--data", server.data_text()], ""));
        assert!(listed.contains(copy.to_str().unwrap()), "{listed}");
        server.terminate();
        let db = Connection::open(server.data().join("deuced.db")).unwrap();
        let done: usize = db.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        assert_eq!(done, newest);
        let after = counts(&db);
        for (table, rows) in &before {
            let now = after.iter().find(|(name, _)| name == table).map(|(_, rows)| *rows);
            assert!(now.is_some_and(|now| now >= *rows), "step {step}: {table} had {rows} rows, now {now:?}");
        }
        // The copy from before is as good as a backup: it can be put back.
        let words = ["restore", copy.to_str().unwrap(), "--yes", "--data", server.data_text()];
        let output = server::run(&words, "");
        assert!(output.status.success(), "step {step}: {}", said(&output));
        server.start_again();
        goes_on(&server, &server.device("Ann"), step);
    }
}

#[test]
fn r_t7_what_step_14_left_is_all_there() {
    let server = Server::setup().start_on(|data| {
        drop(fixture("0014", &data.join("deuced.db")));
        pictures_of("0014", data);
    });
    let (ann, bob, kim) = (server.device("Ann"), server.device("Bob"), server.device("Kim"));
    goes_on(&server, &ann, 14);
    let home = ann.get("/api/groups").ok()[0]["id"].as_str().unwrap().to_owned();
    let told = |person: &Client| person.get("/api/notifications").ok().to_string();
    assert!(told(&bob).contains("mention") && told(&ann).contains("reaction_added"), "{}", told(&bob));
    assert_eq!(kim.thoughts_in(&home).len(), 3);
    assert!(
        kim.request("GET", "/api/rooms/general/messages").send_to_troubled().status >= 400,
        "a child still"
    );
    let devices = ann.get("/api/devices").ok().to_string();
    assert!(devices.contains("Bathroom button"), "{devices}");
    let gadget = server.nobody().gadget("i95DQGd1QVXqaqSJ-jIDEDo2fLmhqYFJMIrstCZeERs");
    gadget.log(&home, "pressed");
    let picture = bob.get("/api/auth/user").ok()["profileImageUrl"].as_str().unwrap().to_owned();
    assert_eq!(ann.get(&picture).status, 200);
}

#[test]
fn what_a_released_version_left_can_be_restored() {
    for name in ["0012", "0014"] {
        let mut server = Server::setup().start_claimed();
        server.terminate();
        let place = Directory::new();
        let path = place.0.join("deuced.db");
        drop(fixture(name, &path));
        pictures_of(name, &place.0);
        let words = ["restore", path.to_str().unwrap(), "--yes", "--data", server.data_text()];
        let output = server::run(&words, "");
        assert!(output.status.success(), "{}", said(&output));
        assert!(said(&output).contains("accounts that would go: Zoe"), "{}", said(&output));
        assert!(
            said(&output).to_lowercase().contains("accounts that would come back: ann, bob"),
            "{}",
            said(&output)
        );
        server.start_again();
        let bob = server.device("bob");
        goes_on(&server, &server.device("ann"), 14);
        let picture = bob.get("/api/auth/user").ok()["profileImageUrl"].as_str().unwrap().to_owned();
        assert_eq!(bob.get(&picture).status, 200);
    }
}
