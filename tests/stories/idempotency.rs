//! `Idempotency-Key`: a retry after a lost answer is there once.

use crate::harness::{Client, Reply, Server, together};
use serde_json::{Value, json};

const DAY: i64 = 24 * 60 * 60;

fn body(group: &str, thoughts: &str) -> Value {
    json!({ "groupIds": [group], "location": "Home", "thoughts": thoughts })
}

#[track_caller]
fn log(person: &Client, key: &str, body: &Value) -> Reply {
    person.request("POST", "/api/deuces").header("Idempotency-Key", key).json(body).send()
}

fn is_replay(reply: &Reply) -> bool {
    reply.header("Idempotent-Replay") == Some("true")
}

#[test]
fn r_d8_a_repeat_returns_the_first_answer_and_sends_nothing() {
    let mut server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let mut socket = ann.socket();
    let first = log(&ann, "key-1", &body(&home, "once"));
    assert!(!is_replay(&first), "{first:?}");
    first.ok();
    socket.expect_deuce("once");
    for _ in 0..3 {
        let again = log(&ann, "key-1", &body(&home, "once"));
        assert!(is_replay(&again), "{again:?}");
        assert_eq!(again.ok(), first.ok());
        assert_eq!(again.body, first.body);
    }
    socket.expect_silence();
    assert_eq!(ann.thoughts_in(&home), ["once"]);
    assert_eq!(ann.get("/api/auth/user").ok()["deuceCount"], 1);

    server.kill9();
    server.start_again();
    assert_eq!(log(&ann, "key-1", &body(&home, "once")).body, first.body, "also after a power cut");
    log(&ann, "key-2", &body(&home, "twice")).ok();
    assert_eq!(ann.thoughts_in(&home), ["twice", "once"]);
}

#[test]
fn four_at_once_are_one_deuce() {
    let server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let mut socket = ann.socket();
    let devices: Vec<_> = (0..4).map(|_| ann.twin()).collect();
    for round in 0..5 {
        let key = format!("round-{round}");
        let replies = together(4, |index| log(&devices[index], &key, &body(&home, &key)));
        for reply in &replies {
            reply.ok();
            assert_eq!(reply.body, replies[0].body);
        }
        assert_eq!(replies.iter().filter(|reply| !is_replay(reply)).count(), 1, "{replies:?}");
        socket.expect_deuce(&key);
    }
    socket.expect_silence();
    assert_eq!(ann.thoughts_in(&home).len(), 5);
}

#[test]
fn the_same_key_for_something_else() {
    let server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    log(&ann, "key", &body(&home, "a")).ok();
    log(&ann, "key", &body(&home, "b")).refused_with(422);
    assert_eq!(ann.thoughts_in(&home), ["a"]);
}

#[test]
fn keys_are_everybodys_own() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    log(&ann, "1", &body(&home, "x")).ok();
    let of_bob = log(&bob, "1", &body(&home, "x"));
    assert!(!is_replay(&of_bob));
    assert_eq!(of_bob.ok()["entries"][0]["userId"], json!(bob.id()));
    assert_eq!(ann.thoughts_in(&home).len(), 2);
}

#[test]
fn a_key_is_forgotten_after_a_day() {
    let mut server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    log(&ann, "key", &body(&home, "x")).ok();
    server.restart_later(DAY - 600);
    assert!(is_replay(&log(&ann, "key", &body(&home, "x"))));
    server.restart_later(1200);
    assert!(!is_replay(&log(&ann, "key", &body(&home, "x"))));
    assert_eq!(ann.thoughts_in(&home).len(), 2);
}

#[test]
fn a_refusal_is_not_kept() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    log(&bob, "key", &body(&home, "x")).refused(403, &format!("Not authorized for group {home}"));
    ann.bring(&home, &bob);
    log(&bob, "key", &body(&home, "x")).ok();
    assert_eq!(ann.thoughts_in(&home), ["x"]);
}

#[test]
fn a_key_that_does_not_do() {
    let server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    for key in [&"k".repeat(2000), &"k".repeat(201), "Zoë 👍", "a\tb", ""] {
        log(&ann, key, &body(&home, "x")).refused_naming(400, "Idempotency-Key");
    }
    assert_eq!(ann.thoughts_in(&home), [""; 0]);
    for key in [&"k".repeat(200), "\"quoted\"", "a b", "!~"] {
        assert!(!is_replay(&log(&ann, key, &body(&home, "x"))), "{key}");
        assert!(is_replay(&log(&ann, key, &body(&home, "x"))), "{key}");
    }
    // Without a key everything is new.
    for _ in 0..2 {
        ann.log(&home, "new");
    }
    assert_eq!(ann.thoughts_in(&home).len(), 6);
}
