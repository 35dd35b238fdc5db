//! A card in trouble: what is said, what still works, and that it is over when it is over.

use crate::harness::fault::{Card, Fault};
use crate::harness::{Client, Native, PATIENCE, Reply, Server, picture, server};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::{fs, time::Instant};

const NEW: &str = "a new long password";
const RESERVE: u64 = 4_194_304;

fn ask(client: &Client, method: &str, path: &str, body: Value) -> Reply {
    let request = client.request(method, path);
    if body.is_null() { request.send_to_troubled() } else { request.json(&body).send_to_troubled() }
}

fn log(client: &Client, group: &str) -> Reply {
    ask(client, "POST", "/api/deuces", json!({ "groupIds": [group], "location": "Home", "thoughts": "x" }))
}

/// Waits until an entry is answered like this. (The server finds out when something is written, or by itself.)
#[track_caller]
fn log_until(client: &Client, group: &str, status: u16) {
    let start = Instant::now();
    while log(client, group).status != status {
        assert!(start.elapsed() < PATIENCE, "an entry is never answered {status}");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

fn storage(server: &Server) -> Value {
    server.nobody().get("/api/health").ok()["storage"].clone()
}

/// How often the server has said this.
fn said(server: &Server, words: &str) -> usize {
    server.stderr().matches(words).count()
}

#[test]
fn a_full_disk_refuses_what_adds_something_and_takes_the_rest() {
    let (card, setup) = Card::under(Server::setup().limit("groups_per_minute", 1000));
    let server = setup.start_claimed();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let (home, other) = (ann.found("Home"), ann.found("Other"));
    for group in [&home, &other] {
        ann.bring(group, &bob);
    }
    let invite = ann.invite(&home);
    let entry = ann.log_id(&home, "before");
    let spare = ann.log_id(&home, "not for long");
    let chat = format!("/api/rooms/group:{home}/messages");
    let message = bob.post(&chat, json!({ "text": "hello" })).ok();
    bob.post(&format!("/api/entries/{entry}/reactions"), json!({ "emoji": "👍" })).ok();
    let reserve = server.data().join("reserve");
    assert_eq!(fs::metadata(&reserve).unwrap().len(), RESERVE);
    assert_eq!(storage(&server)["state"], "ok");
    assert!(storage(&server)["freeBytes"].as_u64() > Some(0));
    assert_eq!(ann.get("/api/groups").header("x-deuced-storage"), None);
    let mut native = Native::open(&bob);
    native.subscribe(&format!("group:{home}"));

    card.set(Fault::NoneLeft);
    log_until(&ann, &other, 507);
    assert!(!reserve.exists(), "the reserve is released");
    let health = server.nobody().get("/api/health");
    assert_eq!((health.ok()["ok"].clone(), health.header("x-deuced-storage")), (json!(true), Some("full")));
    let told = storage(&server);
    assert_eq!((told["state"].as_str(), told["freeBytes"].as_u64()), (Some("full"), Some(0)));
    assert!(told["message"].as_str().unwrap().starts_with("The disk is full"), "{told}");
    let metrics = server.nobody().get("/metrics").text();
    assert!(metrics.contains("deuced_storage_state{state=\"full\"} 1\n"), "{metrics}");
    assert!(metrics.contains("deuced_storage_state{state=\"ok\"} 0\n"), "{metrics}");

    let adding = [
        (
            "POST",
            "/api/deuces".to_owned(),
            json!({ "groupIds": [home], "location": "Home", "thoughts": "x" }),
        ),
        ("POST", chat.clone(), json!({ "text": "and more" })),
        ("PATCH", format!("{chat}/{}", message["seq"]), json!({ "text": "longer and longer" })),
        ("POST", format!("/api/entries/{entry}/reactions"), json!({ "emoji": "🔥" })),
        ("POST", "/api/groups".to_owned(), json!({ "name": "New" })),
        ("PATCH", format!("/api/groups/{home}"), json!({ "name": "Renamed" })),
        ("POST", format!("/api/groups/{home}/invite"), json!({})),
        ("POST", "/api/locations".to_owned(), json!({ "name": "Garden" })),
        ("POST", "/api/devices".to_owned(), json!({ "name": "Button", "verbs": ["log"], "groups": [home] })),
        ("PUT", "/api/auth/user".to_owned(), json!({ "username": "Annie" })),
        ("POST", format!("/api/join/{invite}/newcomer"), json!({ "username": "Cid", "password": NEW })),
    ];
    for (method, path, body) in adding {
        let client = if method == "PATCH" && path.starts_with(&chat) { &bob } else { &ann };
        let refused = ask(client, method, &path, body);
        assert_eq!((refused.status, refused.header("x-deuced-storage")), (507, Some("full")), "{refused:?}");
        assert!(refused.message().starts_with("The disk is full"), "{refused:?}");
    }
    let jpeg = picture::jpeg(50, 50);
    let upload = ann.request("POST", "/api/auth/user/profile-picture").content("image/jpeg", jpeg);
    assert_eq!(upload.send_to_troubled().status, 507);
    let refused =
        native.refused("message", json!({ "channel": format!("group:{home}"), "text": "x" }), "UNAVAILABLE");
    assert!(refused.to_string().contains("The disk is full"), "{refused}");

    // Reading, and what frees space or lets people in and away.
    assert_eq!(bob.thoughts_in(&home), ["not for long", "before"]);
    let sparing = [
        ("DELETE", format!("/api/deuces/{spare}"), Value::Null),
        ("POST", "/api/notifications/read-all".to_owned(), Value::Null),
        ("PUT", format!("/api/groups/{home}/notifications"), json!({ "entries": false })),
        ("DELETE", format!("/api/entries/{entry}/reactions"), json!({ "emoji": "👍" })),
        ("DELETE", format!("{chat}/{}", message["seq"]), Value::Null),
        ("POST", format!("/api/groups/{other}/leave"), Value::Null),
        ("DELETE", "/api/sessions".to_owned(), Value::Null),
        (
            "PUT",
            "/api/auth/password".to_owned(),
            json!({ "oldPassword": server::PASSWORD, "newPassword": NEW }),
        ),
    ];
    for (method, path, body) in sparing {
        let client = if path.starts_with("/api/deuces") { &ann } else { &bob };
        let done = ask(client, method, &path, body);
        assert_eq!((done.status, done.header("x-deuced-storage")), (200, Some("full")), "{done:?}");
    }
    let again = server.nobody();
    again.login("Bob", Some(NEW));
    again.post("/api/logout", json!({})).ok();
    again.get("/api/groups").refused_with(401);
    let place = server::Directory::new();
    let copied = server::run(&["backup", place.0.to_str().unwrap(), "--data", server.data_text()], "");
    assert!(copied.status.success(), "{}", String::from_utf8_lossy(&copied.stderr));

    card.set(Fault::None);
    log_until(&ann, &other, 200);
    assert_eq!(fs::metadata(&reserve).unwrap().len(), RESERVE, "it is kept back again");
    assert_eq!(
        (storage(&server)["state"].clone(), storage(&server)["message"].clone()),
        (json!("ok"), json!(""))
    );
    assert_eq!(ann.get("/api/groups").header("x-deuced-storage"), None);
    for words in ["storage: full", "storage: ok again"] {
        assert_eq!(said(&server, words), 1, "one line for each change: {words}");
    }
}

#[test]
fn on_a_full_disk_those_who_are_known_log_in_by_name_and_nobody_else() {
    let (card, setup) = Card::under(Server::setup().open());
    let server = setup.start();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let invite = ann.invite(&home);
    server.person("Bob");
    card.set(Fault::NoneLeft);
    log_until(&ann, &home, 507);
    server.device("Ann").get("/api/groups").ok();
    let stranger = ask(&server.nobody(), "POST", "/api/login", json!({ "username": "Cid" }));
    stranger.refused_with(507);
    let joining = json!({ "username": "Bob", "inviteCode": invite });
    ask(&server.nobody(), "POST", "/api/login", joining).refused_with(507);
    assert_eq!(ann.members_of(&home), [ann.id()]);
}

#[test]
fn a_write_that_finds_no_space_is_told_like_any_other_on_a_full_disk() {
    let (card, setup) = Card::under(Server::setup().open());
    let server = setup.start();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    card.set(Fault::Full);
    let refused = log(&ann, &home);
    refused.refused_with(507);
    assert_eq!(refused.header("x-deuced-storage"), Some("full"));
    assert_eq!(storage(&server)["state"], "full");
    assert!(!server.data().join("reserve").exists());
    card.set(Fault::None);
    log_until(&ann, &home, 200);
    assert!(server.data().join("reserve").exists());
}

#[test]
fn a_card_that_fails_is_not_written_to_until_it_works_again() {
    for fault in [Fault::SyncFails, Fault::WriteFails, Fault::ReadOnly] {
        let (card, setup) = Card::under(Server::setup().open());
        let server = setup.start();
        let ann = server.person("Ann");
        let home = ann.found("Home");
        let entry = ann.log_id(&home, "before");
        know_a_backup(&server);
        card.set(fault);
        log(&ann, &home).refused_with(503);
        // Not even what would free space.
        let refused = ask(&ann, "DELETE", &format!("/api/deuces/{entry}"), Value::Null);
        refused.refused_with(503);
        assert!(refused.message().starts_with("The storage does not work"), "{refused:?}");
        assert_eq!(refused.header("x-deuced-storage"), Some("failing"));
        let health = server.nobody().get("/api/health").ok();
        assert_eq!((&health["storage"]["state"], &health["ok"]), (&json!("failing"), &json!(true)));
        assert_eq!(ann.thoughts_in(&home), ["before"], "reading goes on");
        server.wait_for_words("the newest verified backup is ");
        server.wait_for_words("deuced restore");
        card.set(Fault::None);
        log_until(&ann, &home, 200);
        assert_eq!((said(&server, "storage: failing"), said(&server, "storage: ok again")), (1, 1));
        assert_eq!(ann.thoughts_in(&home), ["x", "before"]);
    }
}

/// Has the server know of a verified copy, which is there.
fn know_a_backup(server: &Server) {
    let copy = server.data().join("a-copy.db");
    fs::write(&copy, "a copy").unwrap();
    let db = Connection::open(server.data().join("deuced.db")).unwrap();
    let sql = "INSERT INTO backup (at, path, bytes, took_millis) VALUES (1790000000000, ?1, 6, 1)";
    db.execute(sql, [copy.to_str().unwrap()]).unwrap();
    drop(db);
    // As the command does: the lock is opened for writing and closed.
    drop(fs::File::options().write(true).open(server.data().join("deuced.lock")).unwrap());
}

#[test]
fn a_page_that_cannot_be_read_is_trouble_of_the_card_too() {
    let (card, setup) = Card::under(Server::setup().open());
    let mut server = setup.start();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    ann.log(&home, "before");
    // So that nothing is in memory any more.
    server.restart();
    card.set(Fault::ReadFails);
    let broken = ask(&ann, "GET", "/api/deuces", Value::Null);
    broken.refused_with(503);
    assert!(!broken.message().contains("deuced.db"), "{broken:?}");
    server.wait_for_words("storage: failing");
    // The card is what is at fault, not the file: it is tried again until everything can be read.
    log(&ann, &home).refused_with(503);
    assert_eq!(storage(&server)["state"], "failing");
    card.set(Fault::None);
    log_until(&ann, &home, 200);
    assert_eq!(ann.thoughts_in(&home), ["x", "before"]);
}

#[test]
fn a_page_found_damaged_in_use_ends_all_writing_and_destroys_nothing() {
    let mut server = Server::setup().open().limit("deuces_per_minute", 10_000).start();
    let ann = server.person("Ann");
    let (home, other) = (ann.found("Home"), ann.found("Other"));
    for number in 0..300 {
        ann.log(&home, &format!("{number} {}", "long ".repeat(100)));
    }
    ann.log(&other, "elsewhere");
    know_a_backup(&server);
    server.terminate();
    let path = server.data().join("deuced.db");
    let mut bytes = fs::read(&path).unwrap();
    let holds = |page: &[u8], words: &[u8]| page.windows(words.len()).any(|window| window == words);
    // Leaves (10 is their first byte) with these words in them, so that the way to all else is as it was.
    let words = b"long long long";
    let places: Vec<usize> = (0..bytes.len() / 1024)
        .filter(|page| bytes[page * 1024] == 10)
        .filter(|page| holds(&bytes[page * 1024..][..1024], words))
        .collect();
    let places = &places[..places.len() / 2];
    assert!(places.len() > 10, "{}", places.len());
    for page in places {
        bytes[page * 1024..][..1000].fill(0xa5);
    }
    fs::write(&path, &bytes).unwrap();
    server.restart_damaged(Server::setup().open().limit("check_milliseconds", 0));
    ask(&ann, "GET", &format!("/api/groups/{home}"), Value::Null).refused_with(503);
    server.wait_for_words("storage: damaged");
    assert!(server.stderr().contains("the newest verified backup is "), "{}", server.stderr());
    let refused = log(&ann, &other);
    refused.refused_with(503);
    assert!(refused.message().starts_with("The database is damaged"), "{refused:?}");
    assert_eq!(refused.header("x-deuced-storage"), Some("damaged"));
    assert_eq!(storage(&server)["state"], "damaged");
    // Reading goes on as far as it can.
    assert_eq!(ann.get("/api/groups").ok().as_array().unwrap().len(), 2);
    ann.get("/api/notifications").ok();
    ask(&ann, "POST", "/api/logout", json!({})).refused_with(503);
    server.terminate();
    let now = fs::read(&path).unwrap();
    assert!(
        places.iter().all(|page| now[page * 1024..][..1000].iter().all(|byte| *byte == 0xa5)),
        "as it was"
    );
}

#[test]
fn a_damaged_file_ends_a_start_with_a_status_of_its_own() {
    let mut server = Server::open();
    server.person("Ann").found("Home");
    know_a_backup(&server);
    server.terminate();
    let path = server.data().join("deuced.db");
    let mut bytes = fs::read(&path).unwrap();
    let middle = bytes.len() / 2048 * 1024;
    bytes[middle..middle + 1024].fill(0xa5);
    fs::write(&path, &bytes).unwrap();
    let words = ["serve", "--open", "--listen", "127.0.0.1:0", "--data", server.data_text()];
    let output = server::run(&words, "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(65), "no start mends it: {said}");
    assert!(said.contains("is damaged") && said.contains("a-copy.db"), "{said}");
    assert!(said.contains("deuced restore"), "{said}");
    // A file that is no database at all.
    fs::write(&path, "not a database, whatever its name says".repeat(100)).unwrap();
    let output = server::run(&words, "");
    assert_eq!(output.status.code(), Some(65), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_command_on_a_full_disk_uses_the_reserve() {
    let (card, setup) = Card::under(Server::setup());
    let server = setup.start_claimed();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    card.set(Fault::NoneLeft);
    log_until(&ann, &home, 507);
    server.user(&["disable", "Ann"]);
    ann.get("/api/groups").refused_with(401);
    server.user(&["enable", "Ann"]);
    server.device("Ann").get("/api/groups").ok();
}
