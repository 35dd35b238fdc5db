//! A clock that is wrong: behind, as after a night without power, or far ahead.

use crate::harness::Server;
use serde_json::json;

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
fn r_d5_logins_made_by_a_clock_that_was_behind() {
    let mut server = Server::open();
    server.restart_later(BACK);
    let ann = server.person("Ann");
    let home = ann.found("Home");
    ann.log(&home, "then");
    // To the server the login is years old now; it says so properly, and another one works.
    server.restart_later(-BACK);
    ann.get("/api/groups").refused(401, "Unauthorized");
    let again = server.device("Ann");
    again.log(&home, "now");
    assert_eq!(again.thoughts_in(&home), ["now", "then"]);
}

#[test]
fn r_d5_a_clock_that_is_far_ahead() {
    let mut server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    ann.log(&home, "before");
    server.restart_later(AHEAD);
    ann.get("/api/groups").refused(401, "Unauthorized");
    let again = server.device("Ann");
    let mut socket = again.socket();
    again.log(&home, "in ten years");
    socket.expect_deuce("in ten years");
    assert_eq!(again.thoughts_in(&home), ["in ten years", "before"]);
    again.invite(&home);

    // Back in the present the entry of the future is not in the way.
    server.restart_later(-AHEAD);
    again.get("/api/groups").ok();
    let today = server.device("Ann");
    today.log(&home, "today");
    assert_eq!(today.thoughts_in(&home), ["today", "in ten years", "before"]);
}
