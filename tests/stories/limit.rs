//! Limits: what trips them, what does not, and what the client is told.

use crate::harness::{Client, Reply, Server, server::PASSWORD};
use serde_json::json;

/// The whole refusal of somebody who is too fast.
#[track_caller]
fn too_fast(reply: &Reply) {
    assert_eq!(reply.status, 429, "{reply:?}");
    let body = reply.json();
    assert_eq!((&body["code"], &body["status"]), (&json!("RATE_LIMIT_EXCEEDED"), &json!(429)), "{reply:?}");
    let seconds: u32 = reply.header("Retry-After").expect("Retry-After").parse().expect("whole seconds");
    assert!((1..=24 * 60 * 60).contains(&seconds), "{reply:?}");
}

/// Asks until refused; how often it went well.
#[track_caller]
fn until_refused(mut ask: impl FnMut() -> Reply) -> usize {
    for count in 0..200 {
        let reply = ask();
        if reply.status != 200 {
            too_fast(&reply);
            return count;
        }
    }
    panic!("never refused");
}

fn log(person: &Client, group: &str) -> Reply {
    person.post("/api/deuces", json!({ "groupId": group, "location": "Home", "thoughts": "x" }))
}

#[test]
fn requests_per_minute_are_counted_per_person() {
    let server = Server::setup().open().limit("api_requests_per_minute", 20).start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let count = until_refused(|| ann.get("/api/groups"));
    assert!((15..=21).contains(&count), "{count}");
    too_fast(&server.device("Ann").get("/api/groups"));
    bob.get("/api/groups").ok();
    server.nobody().get("/api/health").ok();
}

#[test]
fn logins_per_minute_are_counted_per_address() {
    let server = Server::setup().open().limit("logins_per_minute", 5).start();
    let ann = server.person("Ann");
    let count = until_refused(|| server.nobody().post("/api/login", json!({ "username": "Bob" })));
    assert_eq!(count, 4);
    ann.get("/api/groups").ok();
}

#[test]
fn guessing_passwords_is_slow_work() {
    let server = Server::setup().limit("logins_per_minute", 3).start();
    server.add_user("Ann", &[]);
    let guess = |password: &str| {
        server.nobody().post("/api/login", json!({ "username": "Ann", "password": password }))
    };
    for password in ["1", "2", "3"] {
        guess(password).refused(401, "Wrong name or password");
    }
    too_fast(&guess("4"));
    too_fast(&guess(PASSWORD));
}

#[test]
fn guessing_passwords_locks_nobody_out() {
    let server = Server::setup().limit("logins_per_minute", 3).start();
    let ann = server.person("Ann");
    for _ in 0..4 {
        server.nobody().post("/api/login", json!({ "username": "Ann", "password": "wrong" }));
    }
    ann.get("/api/auth/user").ok();
}

#[test]
fn deuces_per_minute() {
    let server = Server::setup().open().limit("deuces_per_minute", 4).start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let (home, other) = (ann.found("Home"), bob.found("Other"));
    assert_eq!(until_refused(|| log(&ann, &home)), 4);
    log(&bob, &other).ok();
    assert_eq!(ann.thoughts_in(&home).len(), 4);
}

#[test]
fn groups_per_minute() {
    let server = Server::setup().open().limit("groups_per_minute", 3).start();
    let ann = server.person("Ann");
    assert_eq!(until_refused(|| ann.post("/api/groups", json!({ "name": "x" }))), 3);
}

#[test]
fn reactions_per_minute() {
    let server = Server::setup().open().limit("reactions_per_minute", 3).start();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let path = format!("/api/entries/{}/reactions", ann.log_id(&home, "x"));
    let mut number = 0;
    let count = until_refused(|| {
        number += 1;
        ann.post(&path, json!({ "emoji": number.to_string() }))
    });
    assert_eq!(count, 3);
    // Looking is not reacting.
    for _ in 0..20 {
        ann.get(&path).ok();
    }
}

#[test]
fn the_eleventh_deuce_of_the_day() {
    let mut server = Server::setup().open().limit("deuces_per_day", 10).start();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    for _ in 0..10 {
        log(&ann, &home).ok();
    }
    too_fast(&log(&ann, &home));
    server.restart();
    too_fast(&log(&ann, &home));
    let bob = server.person("Bob");
    log(&bob, &bob.found("Other")).ok();
    server.restart_later(24 * 60 * 60);
    log(&ann, &home).ok();
}

#[test]
fn no_daily_cap_unless_asked_for() {
    let server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    for _ in 0..25 {
        log(&ann, &home).ok();
    }
}

#[test]
fn opening_a_group_of_300_entries_trips_nothing() {
    let mut server = Server::setup()
        .open()
        .limit("deuces_per_minute", 100_000)
        .limit("api_requests_per_minute", 100_000)
        .start();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let devices: Vec<_> = (0..6).map(|_| ann.twin()).collect();
    crate::harness::together(6, |index| (0..50).for_each(|_| drop(devices[index].log(&home, "x"))));

    server.restart_as(Server::setup().open());
    // Twice, because people reload.
    for _ in 0..2 {
        for path in ["/api/auth/user", "/api/groups", "/api/analytics/most-deuces"] {
            ann.get(path).ok();
        }
        let detail = ann.get(&format!("/api/groups/{home}")).ok();
        let ids = crate::harness::client::texts(&detail["entries"], "id");
        assert_eq!(ids.len(), 300);
        crate::harness::together(6, |index| {
            for id in ids.iter().skip(index).step_by(6) {
                assert_eq!(devices[index].get(&format!("/api/entries/{id}/reactions")).ok(), json!([]));
            }
        });
    }
}

#[test]
fn a_body_beyond_the_limit() {
    let server = Server::setup().open().limit("body_bytes", 5_000).start();
    let ann = server.person("Ann");
    ann.post("/api/groups", json!({ "name": "x", "more": "y".repeat(5_000) }))
        .refused(413, "request entity too large");
    ann.post("/api/groups", json!({ "name": "x", "more": "y".repeat(4_000) })).ok();
    let form = format!("username={}", "y".repeat(5_000));
    ann.form("/api/login", &form).refused(413, "request entity too large");
}

#[test]
fn more_sockets_than_there_is_room_for() {
    let server = Server::setup().open().limit("sockets", 5).start();
    let ann = server.person("Ann");
    let mut open: Vec<_> = (0..5).map(|_| ann.socket()).collect();
    ann.handshake().refused(503);
    open.iter_mut().for_each(|socket| socket.expect_silence());
    // A place that is free again is free at once.
    let mut leaver = open.pop().unwrap();
    leaver.send_raw(&crate::harness::socket::frame(8, &1001_u16.to_be_bytes()));
    leaver.expect_close(1001);
    ann.socket().expect_silence();
}

#[test]
fn pictures_per_minute() {
    let server = Server::setup().open().limit("pictures_per_minute", 2).start();
    let ann = server.person("Ann");
    let picture = crate::harness::picture::png(2, 2);
    let path = "/api/auth/user/profile-picture";
    assert_eq!(until_refused(|| ann.upload(path, "profilePicture", "image/png", &picture)), 2);
}

#[test]
fn guessing_invites_is_slow_work() {
    let server = Server::setup().open().limit("joins_per_minute", 5).start();
    let (ann, eve) = (server.person("Ann"), server.person("Eve"));
    for number in 0..5 {
        eve.post(&format!("/api/join/{number}"), json!({})).refused(400, "Invalid or expired invite");
    }
    let invite = ann.invite(&ann.found("Home"));
    too_fast(&eve.post("/api/join/5", json!({})));
    // Whoever holds one is not kept out by anybody's guesses.
    eve.post(&format!("/api/join/{invite}"), json!({})).ok();
}
