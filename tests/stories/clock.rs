//! A clock that is wrong: behind, as after a night without power, or far ahead.

use crate::harness::{Client, Server};
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

const BACK: i64 = -100_000_000;
const AHEAD: i64 = 315_360_000;

#[test]
fn r_d5_a_clock_that_is_behind_disturbs_no_order() {
    let mut server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let (home, other) = (ann.found("Home"), ann.found("Other"));
    ann.bring(&home, &bob);
    let mut socket = bob.socket();
    ann.log(&other, "other");
    let before = ann.log(&home, "before");
    let mut seq = socket.expect_deuce("before")["seq"].as_i64().unwrap();
    ann.log(&other, "the newest of all, for now");

    server.restart_later(BACK);
    let mut socket = bob.socket();
    let mut last = before;
    for thoughts in ["after", "and after that"] {
        let entry = ann.log(&home, thoughts);
        assert!(entry["createdAt"].as_str() < last["createdAt"].as_str() || thoughts != "after");
        let event = socket.expect_deuce(thoughts);
        assert_eq!(event["seq"].as_i64(), Some(seq + 1), "numbers go on densely");
        (seq, last) = (seq + 1, entry);
    }
    assert_eq!(ann.thoughts_in(&home), ["and after that", "after", "before"], "by storing, not by the clock");
    let names = crate::harness::client::texts(&bob.get("/api/groups").ok(), "name");
    assert_eq!(names, ["Home"]);
    let list = ann.get("/api/groups").ok();
    assert_eq!(crate::harness::client::texts(&list, "name"), ["Home", "Other"], "where it was logged last");
    assert_eq!(list[0]["lastActivity"], last["createdAt"]);

    // Everything else goes on too.
    let cid = server.person("Cid");
    ann.bring(&home, &cid);
    let entry = last["id"].as_str().unwrap();
    cid.post(&format!("/api/entries/{entry}/reactions"), json!({ "emoji": "👍" })).ok();
    cid.log(&home, "hello");
    assert_eq!(socket.expect_deuce("hello")["userId"], json!(cid.id()));
    assert_eq!(ann.thoughts_in(&home)[0], "hello");

    // When the clock is right again, so is everything.
    server.restart_later(-BACK);
    for person in [&ann, &bob] {
        person.get("/api/groups").ok();
    }
    ann.log(&home, "right again");
    assert_eq!(
        ann.thoughts_in(&home),
        ["right again", "hello", "and after that", "after", "before"],
        "in the order it was told"
    );
}

#[test]
fn r_d5_a_login_survives_a_clock_that_was_behind_and_is_put_right() {
    let mut server = Server::open();
    server.restart_later(BACK);
    let ann = server.person("Ann");
    let home = ann.found("Home");
    ann.log(&home, "then");
    // By the clock the login is years old now. Nobody has used the server for years, says that: it was the clock.
    server.restart_later(-BACK);
    ann.log(&home, "now");
    ann.bearer().get("/api/groups").ok();
    assert_eq!(ann.thoughts_in(&home), ["now", "then"]);
    // It ends when it would have ended, by the time that went by.
    server.restart_later(31 * DAY);
    ann.get("/api/groups").refused(401, "Unauthorized");
}

#[test]
fn r_d5_a_clock_that_is_far_ahead() {
    let mut server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    ann.log(&home, "before");
    server.restart_later(AHEAD);
    let mut socket = ann.socket();
    let again = server.device("Ann");
    again.log(&home, "in ten years");
    socket.expect_deuce("in ten years");
    assert_eq!(again.thoughts_in(&home), ["in ten years", "before"]);
    let invite = again.invite(&home);

    // Back in the present nothing of the future is in the way, and it does not last for ever either.
    server.restart_later(-AHEAD);
    let today = server.device("Ann");
    today.log(&home, "today");
    for login in [&ann, &again, &today] {
        assert_eq!(login.thoughts_in(&home), ["today", "in ten years", "before"]);
    }
    server.person("Bob").join(&invite);
    server.restart_later(31 * DAY);
    for login in [&ann, &again, &today] {
        login.get("/api/groups").refused(401, "Unauthorized");
    }
}

/// Everything that has an end, made now.
struct World {
    server: Server,
    ann: Client,
    jwt: Client,
    home: String,
    invite: String,
    key: Value,
}

/// A server whose clock is wrong by so many seconds, and a household on it.
fn world(seconds: i64) -> World {
    let mut server = Server::setup().open().moving_clock().start();
    if seconds != 0 {
        server.set_clock(seconds);
    }
    let ann = server.person("Ann");
    let jwt = ann.gadget(&ann.jwt());
    let home = ann.found("Home");
    let invite = ann.invite(&home);
    let key = once(&ann, &home);
    World { server, ann, jwt, home, invite, key }
}

/// Logs under a key; the second time it is answered with what was logged the first time.
fn once(person: &Client, home: &str) -> Value {
    let body = json!({ "groupIds": [home], "location": "Home", "thoughts": "once" });
    person.request("POST", "/api/deuces").header("Idempotency-Key", "the-same-key").json(&body).send().ok()
}

/// What was made before the clock was set is as good as before; `guest` has not joined yet.
#[track_caller]
fn nothing_has_ended(world: &World, guest: &str) {
    let World { server, ann, jwt, home, invite, key } = world;
    // Before anything was written since, and then again.
    for _ in 0..2 {
        ann.get("/api/groups").ok();
        jwt.get("/api/groups").ok();
        server.nobody().get(&format!("/api/invites/{invite}")).ok();
        assert_eq!(&once(ann, home), key, "the key is remembered");
    }
    server.person(guest).join(invite);
    let listed = ann.get("/api/sessions").ok();
    assert_eq!(listed.as_array().unwrap().len(), 1, "{listed}");
}

const YEAR: i64 = 365 * DAY;
const DAY: i64 = 86_400;

/// So far from now is 1970, a minute after midnight.
fn in_1970() -> i64 {
    60 - SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs() as i64
}

#[test]
fn r_d5_a_pi_that_wakes_up_in_1970_and_is_told_the_time() {
    let mut world = world(in_1970());
    let mut socket = world.ann.socket();
    let before = world.ann.log(&world.home, "in 1970");
    let seq = socket.expect_deuce("in 1970")["seq"].as_i64().unwrap();
    assert!(before["createdAt"].as_str().unwrap().starts_with("1970-01-01"), "{before}");
    world.server.set_clock(0);
    nothing_has_ended(&world, "Bob");
    let after = world.ann.log(&world.home, "today");
    assert_eq!(socket.expect_deuce("today")["seq"].as_i64(), Some(seq + 2), "Bob's coming is between them");
    assert!(before["id"].as_str() < after["id"].as_str(), "ids ascend");
    assert_eq!(world.ann.thoughts_in(&world.home), ["today", "in 1970", "once"]);
    // A login made in 1970 is shown as what it is, some moments old.
    let listed = world.ann.get("/api/sessions").ok();
    assert!(!listed[0]["createdAt"].as_str().unwrap().starts_with("19"), "{listed}");
    // Nor is it undone by a restart.
    world.server.restart();
    world.ann.get("/api/groups").ok();
    // The clock does not matter; the time that goes by does.
    world.server.restart_later(31 * DAY);
    world.ann.get("/api/groups").refused(401, "Unauthorized");
}

#[test]
fn r_d5_a_clock_that_jumps_back_by_a_year_and_ahead_again() {
    let mut world = world(0);
    let mut socket = world.ann.socket();
    for (seconds, guest) in [(-YEAR, "Bob"), (0, "Cid"), (9 * YEAR, "Dan"), (0, "Eve")] {
        world.server.set_clock(seconds);
        nothing_has_ended(&world, guest);
        let thoughts = format!("with {guest}");
        let last = world.ann.thoughts_in(&world.home).len();
        world.ann.log(&world.home, &thoughts);
        socket.expect_deuce(&thoughts);
        let all = world.ann.thoughts_in(&world.home);
        assert_eq!((all.len(), &all[0]), (last + 1, &thoughts), "by storing, not by the clock");
    }
    // After all of that the login is as old as it is.
    world.server.restart_later(29 * DAY);
    world.ann.bearer().get("/api/groups").ok();
}

#[test]
fn r_d5_a_power_cut_between_1970_and_today() {
    let mut world = world(0);
    world.server.set_clock(in_1970());
    world.ann.log(&world.home, "in the dark");
    world.server.kill9();
    world.server.start_again();
    nothing_has_ended(&world, "Bob");
    world.server.set_clock(0);
    world.ann.get("/api/groups").ok();
    world.server.kill9();
    world.server.start_again();
    world.ann.get("/api/groups").ok();
    assert_eq!(world.ann.thoughts_in(&world.home), ["in the dark", "once"]);
}

#[test]
fn r_d5_nothing_is_written_because_of_the_clock_alone() {
    let mut world = world(in_1970());
    let before = world.server.written_bytes();
    world.server.set_clock(0);
    world.ann.get("/api/groups").ok();
    assert_eq!(world.server.written_bytes(), before);
}

#[test]
fn r_d5_a_link_outlives_the_clock_being_set() {
    let mut server = Server::setup().moving_clock().start_claimed();
    server.person("Ann");
    server.set_clock(in_1970());
    let said = server.user(&["reset", "Ann"]);
    let secret = said.split("#").nth(1).and_then(|rest| rest.split_whitespace().next()).expect("a link");
    server.set_clock(0);
    let body = json!({ "secret": secret, "password": "a new long password" });
    server.nobody().post("/api/reset", body).ok();
}
