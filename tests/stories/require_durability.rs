//! What must hold of the card, whatever it does: R-D1 to R-D9, as far as no other story tells it.

use crate::harness::fault::{Card, Fault};
use crate::harness::{Client, PATIENCE, Reply, Server, Socket, picture, server};
use rusqlite::Connection;
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

/// Long enough for an answer that comes too early to have come.
const MOMENT: Duration = Duration::from_millis(300);

/// Nothing comes for a moment. (The ping that ends it would be answered after whatever came before.)
fn stays_silent(socket: &mut Socket) {
    std::thread::sleep(MOMENT);
    socket.expect_silence();
}

fn try_to_log(person: &Client, group: &str, thoughts: &str) -> Reply {
    let body = json!({ "groupIds": [group], "location": "Home", "thoughts": thoughts });
    person.request("POST", "/api/deuces").json(&body).send_to_troubled()
}

fn faulty() -> (Card, Server) {
    let (card, setup) = Card::under(Server::setup().open());
    (card, setup.start())
}

#[test]
fn r_d1_nothing_is_answered_or_told_before_the_card_has_it() {
    let (card, server) = faulty();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    let mut socket = bob.socket();
    card.set(Fault::SyncWaits);
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| ann.twin().log(&home, "slowly"));
        stays_silent(&mut socket);
        assert!(!waiting.is_finished(), "answered before the card had it");
        assert!(bob.thoughts_in(&home).is_empty(), "readable before the card had it");
        card.set(Fault::None);
        waiting.join().unwrap();
    });
    socket.expect_deuce("slowly");
    assert_eq!(bob.thoughts_in(&home), ["slowly"]);
}

#[test]
fn r_d1_an_entry_its_notifications_and_its_number_are_one() {
    let (card, mut server) = faulty();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    let unread = || bob.get("/api/notifications/unread-count").ok()["count"].as_u64().unwrap();
    let before = unread();
    card.set(Fault::SyncFails);
    try_to_log(&ann, &home, "lost").refused_with(503);
    // Whatever the failed commit left behind is gone, or there as a whole, after the power comes back.
    server.kill9();
    card.set(Fault::None);
    server.start_again();
    let entries = bob.thoughts_in(&home).len() as u64;
    assert_eq!(unread() - before, entries);
    assert_eq!(ann.get("/api/auth/user").ok()["deuceCount"], entries);
}

/// A fault, the status it is answered with, and that everything else goes on.
fn fault_is_survived(fault: Fault, status: u16) {
    let (card, server) = faulty();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    ann.log(&home, "before");
    let mut socket = bob.socket();
    card.set(fault);
    for _ in 0..3 {
        let refused = try_to_log(&ann, &home, "lost");
        refused.refused_with(status);
        assert!(!refused.message().contains("deuced.db"), "{refused:?}");
    }
    stays_silent(&mut socket);
    assert_eq!(bob.thoughts_in(&home), ["before"], "reads go on");
    ann.get("/api/health").ok();
    card.set(Fault::None);
    let start = Instant::now();
    while try_to_log(&ann, &home, "after").status != 200 {
        assert!(start.elapsed() < PATIENCE, "writing does not work again");
    }
    socket.expect_deuce("after");
    assert_eq!(bob.thoughts_in(&home), ["after", "before"]);
}

#[test]
fn r_d2_a_full_card_is_said_and_survived() {
    fault_is_survived(Fault::Full, 507);
}

#[test]
fn r_d2_a_sync_that_fails_is_said_and_survived() {
    fault_is_survived(Fault::SyncFails, 503);
}

#[test]
fn r_d3_after_an_error_of_the_card_the_file_is_opened_anew() {
    fault_is_survived(Fault::WriteFails, 503);
}

#[test]
fn r_d4_a_page_damaged_in_the_middle_is_found_at_the_start() {
    let mut server = Server::setup().open().limit("deuces_per_minute", 1000).start();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    for number in 0..200 {
        ann.log(&home, &format!("{number} {}", "long ".repeat(100)));
    }
    server.terminate();
    let path = server.data().join("deuced.db");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 4096 / 2 * 4096;
    bytes[middle..middle + 4096].fill(0xa5);
    fs::write(&path, &bytes).unwrap();
    let words = ["serve", "--open", "--listen", "127.0.0.1:0", "--data", server.data_text()];
    let output = server::run(&words, "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success(), "{said}");
    assert!(said.contains("deuced.db is damaged") && said.contains("left as it is"), "{said}");
    assert!(fs::read(&path).unwrap() == bytes, "the file is as it was");
}

#[test]
fn r_d4_looking_for_damage_takes_no_longer_than_it_may() {
    let mut server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    ann.log(&home, "x");
    server.restart_as(Server::setup().open().limit("check_milliseconds", 0));
    assert_eq!(ann.thoughts_in(&home), ["x"], "not at all, where the owner says so");
    server.restart_as(Server::setup().open().limit("check_milliseconds", 1));
    assert_eq!(ann.thoughts_in(&home), ["x"]);
}

/// Fills a data directory with what a released version left.
pub fn unpack(fixture: &str, data: &Path) {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(fixture);
    let text = fs::read_to_string(folder.join("deuced.sql")).unwrap();
    let db = Connection::open(data.join("deuced.db")).unwrap();
    // The tables come in the order of their names, not of their references.
    db.execute_batch(&format!("PRAGMA foreign_keys = OFF; {text}")).unwrap();
    fs::create_dir(data.join("pictures")).unwrap();
    for picture in fs::read_dir(folder.join("pictures")).unwrap().flatten() {
        fs::copy(picture.path(), data.join("pictures").join(picture.file_name())).unwrap();
    }
}

/// The steps of the migrations there are.
fn steps() -> usize {
    fs::read_dir(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("migrations")).unwrap().count()
}

#[test]
fn r_t7_what_a_released_version_left_is_all_there() {
    let server = Server::setup().start_on(|data| unpack("0012", data));
    let (ann, bob) = (server.device("ann"), server.device("bob"));
    assert_eq!(ann.get("/api/auth/user").ok()["username"], "Annie");
    let groups = ann.get("/api/groups").ok();
    assert_eq!((groups[0]["name"].as_str(), groups[0]["memberCount"].as_i64()), (Some("Home"), Some(2)));
    let home = groups[0]["id"].as_str().unwrap();
    assert_eq!(bob.thoughts_in(home), ["Me too.", "All well."]);
    let feed = bob.get("/api/deuces").ok();
    assert_eq!(feed[1]["reactions"][0]["emoji"], "🔥", "{feed}");
    let said = bob.get(&format!("/api/rooms/group:{home}/messages")).ok();
    assert!(said.to_string().contains("Did you see it, @bob?"), "{said}");
    let heard = bob.get("/api/notifications").ok();
    assert!(heard.to_string().contains("mention"), "{heard}");
    let picture = bob.get("/api/auth/user").ok()["profileImageUrl"].as_str().unwrap().to_owned();
    assert_eq!(bob.get(&picture).status, 200);
    // It goes on where it was.
    let mut socket = bob.socket();
    ann.log(home, "again");
    assert_eq!(socket.expect_deuce("again")["seq"], 8);
}

#[test]
fn r_d4_the_file_is_copied_before_its_tables_change() {
    let server = Server::setup().start_on(|data| {
        unpack("0012", data);
        // What earlier upgrades left.
        for step in ["0003", "0007"] {
            fs::write(data.join(format!("deuced.db.before-step-{step}")), "older").unwrap();
        }
    });
    let copies: Vec<String> = fs::read_dir(server.data())
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.contains("before-step"))
        .collect();
    let copy = server.data().join("deuced.db.before-step-0012");
    assert!(copy.is_file() && copies.len() == 2, "the two newest are kept: {copies:?}");
    let count = |path: &Path| {
        let db = Connection::open(path).unwrap();
        let step: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0)).unwrap();
        let entries: i64 = db.query_row("SELECT count(*) FROM entry", [], |row| row.get(0)).unwrap();
        (step, entries)
    };
    assert_eq!(count(&copy), (12, 2));
    assert_eq!(count(&server.data().join("deuced.db")), (steps() as i64, 2));
}

#[test]
fn r_d6_without_descriptors_the_server_waits_and_the_database_goes_on() {
    // Few enough that the connections below would take them all.
    let server = Server::setup().open().open_files(160).start();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let crowd: Vec<_> =
        (0..300).filter_map(|_| std::net::TcpStream::connect(server.address()).ok()).collect();
    assert!(crowd.len() > 200, "{}", crowd.len());
    ann.log(&home, "in a crowd");
    assert_eq!(ann.thoughts_in(&home), ["in a crowd"]);
    let before = server.processor_ticks();
    // The one wait that cannot be for an event: it is about nothing happening.
    std::thread::sleep(Duration::from_secs(1));
    let spent = server.processor_ticks() - before;
    assert!(spent <= 5, "{spent} ticks of doing nothing");
    drop(crowd);
    // Whoever comes later is let in, as soon as the server has seen that the crowd is gone.
    let begin = Instant::now();
    while ann.twin().request("GET", "/api/groups").send_to_troubled().status != 200 {
        assert!(begin.elapsed() < PATIENCE, "nobody is let in");
    }
}

fn backup(server: &Server, folder: &Path) -> PathBuf {
    let output = server::run(&["backup", folder.to_str().unwrap(), "--data", server.data_text()], "");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    assert!(said.ends_with("verified\n"), "{said}");
    said.split(": ").next().unwrap().into()
}

#[test]
fn r_d9_a_backup_holds_what_was_acknowledged_before_it_began() {
    let server = Server::setup().open().limit("deuces_per_minute", 1_000_000).start();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    ann.upload("/api/auth/user/profile-picture", "profilePicture", "image/jpeg", &picture::jpeg(50, 50)).ok();
    let place = server::Directory::new();
    let done = AtomicBool::new(false);
    let copy = std::thread::scope(|scope| {
        let before: Vec<String> = (0..50).map(|number| format!("before {number}")).collect();
        before.iter().for_each(|thoughts| drop(ann.log(&home, thoughts)));
        let writer = scope.spawn({
            let (twin, home, done) = (ann.twin(), &home, &done);
            move || {
                for number in 0.. {
                    twin.log(home, &format!("meanwhile {number}"));
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                }
            }
        });
        let copy = backup(&server, &place.0);
        done.store(true, Ordering::Relaxed);
        writer.join().unwrap();
        copy
    });
    assert_eq!(fs::read_dir(&place.0).unwrap().count(), 1, "one file, and nothing beside it");
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(&copy).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o600, "nobody else's to read");
    let db = Connection::open(&copy).unwrap();
    let count = |sql: &str| db.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(count("SELECT count(*) FROM entry WHERE thoughts LIKE 'before %'"), 50);
    assert_eq!(count("SELECT count(*) FROM backup_picture WHERE length(bytes) > 100"), 1);
}

#[test]
fn r_d9_a_backup_that_cannot_be_made_leaves_nothing() {
    let mut server = Server::open();
    server.person("Ann").found("Home");
    let place = server::Directory::new();
    // A damaged original: the copy is not verified, so there is none.
    let path = server.data().join("deuced.db");
    server.terminate();
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 4096;
    bytes[last..].fill(0xa5);
    fs::write(&path, bytes).unwrap();
    let output = server::run(&["backup", place.0.to_str().unwrap(), "--data", server.data_text()], "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && !said.contains("panicked"), "{said}");
    assert_eq!(fs::read_dir(&place.0).unwrap().count(), 0, "{said}");
    let output = server::run(&["backup", "--data", place.0.to_str().unwrap()], "");
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no diary in"));
}

#[test]
fn r_t2_every_limit_and_time_out_is_an_option() {
    let output = server::run(&["limits"], "");
    let table = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<Vec<&str>> = table.lines().skip(1).map(|line| line.split_whitespace().collect()).collect();
    assert!(lines.len() > 50, "{table}");
    // All of them at once, each at its own default: a start that takes every one.
    let mut setup = Server::setup().open();
    for line in &lines {
        setup = setup.limit(line[0], line[2].parse().unwrap());
    }
    setup.start().person("Ann").found("Home");
    for time_out in ["head_seconds", "body_seconds", "idle_seconds", "write_seconds", "ping_every_seconds"] {
        assert!(lines.iter().any(|line| line[0] == time_out), "{time_out} in\n{table}");
    }
}

#[test]
fn r_t4_file_calls_can_be_intercepted() {
    // What the other stories of this file rest on: if the binary brought its own C library, they would pass
    // or fail for another reason.
    let (card, server) = faulty();
    let ann = server.person("Ann");
    card.set(Fault::Full);
    let body = json!({ "name": "Home" });
    ann.request("POST", "/api/groups").json(&body).send_to_troubled().refused_with(507);
}
