//! What goes to the card: nothing that nobody asked for, and what does is counted.

use crate::harness::{Client, Native, PATIENCE, Server, picture};
use rusqlite::Connection;
use serde_json::json;
use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

/// What the server's meter says, by cause.
#[track_caller]
fn meter(server: &Server) -> BTreeMap<String, u64> {
    let text = server.nobody().get("/metrics").text();
    let lines = text.lines().filter_map(|line| line.strip_prefix("deuced_written_bytes_total{cause=\""));
    let counts: BTreeMap<String, u64> = lines
        .map(|line| {
            let (cause, count) = line.split_once("\"} ").unwrap();
            (cause.to_owned(), count.parse().unwrap())
        })
        .collect();
    assert!(counts.contains_key("entry"), "{text}");
    counts
}

fn sum(counts: &BTreeMap<String, u64>) -> u64 {
    counts.values().sum()
}

#[test]
fn whoever_only_looks_listens_and_types_writes_nothing() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    let before = server.written_bytes();
    ann.log(&home, "something to read");
    assert!(server.written_bytes() > before, "the kernel counts what is written here");
    let channel = format!("group:{home}");
    let (mut of_ann, mut of_bob) = (Native::open(&ann), Native::open(&bob));
    of_ann.ask("subscribe", json!({ "channel": channel, "presence": true }));
    of_bob.subscribe(&channel);
    let _page = ann.socket();
    let before = server.written_bytes();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(4) {
        // Somebody comes, looks around, types, and goes.
        of_bob.ask("typing", json!({ "channel": channel }));
        let mut guest = Native::open(&bob);
        guest.subscribe(&channel);
        for path in ["/api/deuces", "/api/groups", "/api/notifications", "/api/sessions", "/api/health", "/"]
        {
            assert_eq!(ann.get(path).status, 200, "{path}");
        }
        ann.get("/nothing/here");
        server.nobody().get("/api/groups").refused_with(401);
        guest.socket.leave();
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(server.written_bytes() - before, 0, "bytes were written for nothing");
}

/// What a household does in a day, in less time.
fn a_day(server: &Server, ann: &Client, bob: &Client, home: &str) {
    let chat = format!("/api/rooms/group:{home}/messages");
    for number in 0..60 {
        let entry = ann.log_id(home, &format!("entry {number}"));
        bob.post(&format!("/api/entries/{entry}/reactions"), json!({ "emoji": "👍" })).ok();
        if number % 3 == 0 {
            bob.post(&chat, json!({ "text": format!("about {number}: {}", "word ".repeat(30)) })).ok();
        }
        if number % 7 == 0 {
            ann.delete(&format!("/api/deuces/{entry}")).ok();
        }
        if number % 10 == 0 {
            bob.post("/api/notifications/read-all", json!({})).ok();
            server.device("Bob").get("/api/groups").ok();
        }
    }
    ann.upload("/api/auth/user/profile-picture", "profilePicture", "image/jpeg", &picture::jpeg(300, 300))
        .ok();
    ann.found("Another");
}

#[test]
fn the_meter_is_within_a_fifth_of_what_the_kernel_counts() {
    let setup = Server::setup().open().limit("deuces_per_minute", 100_000);
    let server = setup.limit("reactions_per_minute", 100_000).start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    let before = (server.written_bytes(), meter(&server));
    for _ in 0..4 {
        a_day(&server, &ann, &bob, &home);
    }
    let (kernel, counts) = (server.written_bytes() - before.0, meter(&server));
    let counted = sum(&counts) - sum(&before.1);
    assert!(kernel > 1_000_000, "a day that is worth counting: {kernel}");
    let share = counted as f64 / kernel as f64;
    assert!((0.8..=1.2).contains(&share), "{counted} of {kernel} bytes: {counts:?}");
    for cause in
        ["entry", "message", "reaction", "notification", "account", "group", "picture", "housekeeping"]
    {
        assert!(counts[cause] > before.1[cause] || cause == "housekeeping", "{cause}: {counts:?}");
    }
    assert!(counts["entry"] > counts["message"], "{counts:?}");
}

#[test]
fn what_was_written_is_kept_by_day_and_cause() {
    let mut server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    ann.log(&home, "today");
    let counted = meter(&server);
    server.terminate();
    let db = Connection::open(server.data().join("deuced.db")).unwrap();
    let mut rows = db.prepare("SELECT day, cause, bytes FROM written ORDER BY cause").unwrap();
    let rows: Vec<(i64, String, u64)> = rows
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    assert!(rows.iter().all(|(day, _, _)| *day > 20_000), "days since 1970: {rows:?}");
    for (_, cause, bytes) in &rows {
        assert!(counted[cause] <= *bytes, "{cause}: {counted:?} {rows:?}");
    }
    assert!(rows.iter().any(|(_, cause, bytes)| cause == "entry" && *bytes >= 1024), "{rows:?}");
}

#[test]
fn the_meter_itself_writes_next_to_nothing() {
    let server = Server::setup().open().limit("deuces_per_minute", 100_000).start();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    for number in 0..200 {
        ann.log(&home, &number.to_string());
    }
    let db = Connection::open(server.data().join("deuced.db")).unwrap();
    let saved: i64 = db.query_row("SELECT count(*) FROM written", [], |row| row.get(0)).unwrap();
    let bytes = sum(&meter(&server));
    assert!(saved == 0 || bytes > 1 << 20, "{saved} rows saved for {bytes} bytes");
    // When it is worth it, it is saved along with something else.
    let begin = Instant::now();
    let mut number = 0;
    while db.query_row("SELECT count(*) FROM written", [], |row| row.get::<_, i64>(0)).unwrap() == 0 {
        assert!(begin.elapsed() < 4 * PATIENCE, "never saved");
        number += 1;
        ann.log(&home, &format!("{number} {}", "more ".repeat(100)));
    }
}
