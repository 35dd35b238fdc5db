//! One's own account: the name to show, and the end of it.

use crate::harness::{Server, check};
use serde_json::json;

#[test]
fn a_user_sees_all_of_themselves() {
    let server = Server::open();
    let ann = server.person("Ann");
    let me = ann.get("/api/auth/user").ok();
    check::user(&me);
    assert_eq!(me["id"], json!(ann.id()));
}

#[test]
fn a_name_to_show() {
    let server = Server::open();
    let ann = server.person("Ann");
    let me = ann
        .put("/api/auth/user", json!({ "username": "Ann_of 1 house", "deuceCount": 99, "id": "dev-x" }))
        .ok();
    check::user(&me);
    assert_eq!(me["username"], "Ann_of 1 house");
    assert_eq!((&me["deuceCount"], &me["id"]), (&json!(0), &json!("dev-ann")));
    assert_eq!(ann.get("/api/auth/user").ok()["username"], "Ann_of 1 house");

    let home = ann.found("Home");
    let mut socket = ann.socket();
    ann.log(&home, "x");
    assert_eq!(socket.expect_deuce("x")["message"], "Ann_of 1 house logged a new deuce");
}

#[test]
fn a_name_that_does_not_do() {
    let server = Server::open();
    let ann = server.person("Ann");
    let long = "a".repeat(21);
    let names = [
        json!("ab"),
        json!(long),
        json!("a-b-c"),
        json!("Zoë!"),
        json!("a\nbc"),
        json!(""),
        json!(null),
        json!(123),
        json!(["abc"]),
    ];
    for name in names {
        ann.put("/api/auth/user", json!({ "username": name })).refused_naming(400, "username");
    }
    ann.put("/api/auth/user", json!({})).refused_naming(400, "username");
    assert_eq!(ann.get("/api/auth/user").ok()["username"], json!(null));
    ann.put("/api/auth/user", json!({ "username": "abc" })).ok();
    ann.put("/api/auth/user", json!({ "username": "a".repeat(20) })).ok();
}

#[test]
fn a_name_somebody_else_has() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    ann.put("/api/auth/user", json!({ "username": "Boss" })).ok();
    bob.put("/api/auth/user", json!({ "username": "Boss" })).refused(400, "Username already taken");
    // One's own name again is no clash, and neither is another case.
    ann.put("/api/auth/user", json!({ "username": "Boss" })).ok();
    bob.put("/api/auth/user", json!({ "username": "boss" })).ok();
}

#[test]
fn nobody_looks_like_somebody_else() {
    let server = Server::open();
    let (ann, kim) = (server.person("Ann"), server.person("Kim"));
    for name in ["Ann", "ANN", "ann"] {
        kim.put("/api/auth/user", json!({ "username": name })).refused(400, "Username already taken");
    }
    ann.put("/api/auth/user", json!({ "username": "Ann" })).ok();
    // What nobody sees tells nobody apart, and is no name.
    for same in ["A\u{200b}nn", "\u{feff}Ann", "\u{202e}Ann", "An\u{ad}n"] {
        assert_eq!(server.device(same).id(), ann.id(), "{same:?}");
    }
    for nothing in ["\u{200b}", "\u{2800}\u{3164}"] {
        server.nobody().post("/api/login", json!({ "username": nothing })).refused_naming(400, "username");
    }
}

#[test]
fn four_want_one_name_at_once() {
    let server = Server::open();
    let people = ["Ann", "Bob", "Cid", "Dan"].map(|name| server.person(name));
    let statuses = crate::harness::together(4, |index| {
        people[index].put("/api/auth/user", json!({ "username": "Boss" })).status
    });
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 1, "{statuses:?}");
}

#[test]
fn deleting_the_account_leaves_entries_without_words() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    let invite = bob.invite(&home);
    let entry = bob.log_id(&home, "secret thoughts");
    bob.post(&format!("/api/entries/{}/reactions", ann.log_id(&home, "of Ann")), json!({ "emoji": "🔥" }))
        .ok();
    let mut socket = bob.socket();

    assert_eq!(bob.delete("/api/user/account").ok(), json!({ "success": true }));
    bob.get("/api/auth/user").refused(401, "Unauthorized");
    socket.expect_close(1008);

    let detail = ann.get(&format!("/api/groups/{home}")).ok();
    assert_eq!(detail["members"].as_array().unwrap().len(), 1);
    let left = detail["entries"].as_array().unwrap().iter().find(|row| row["id"] == json!(entry)).cloned();
    if let Some(left) = left {
        assert_eq!(left["thoughts"], "", "{left}");
        assert!(!left["location"].as_str().unwrap().contains("Home"), "{left}");
    }
    let text = ann.get("/api/deuces").text() + &detail.to_string();
    assert!(!text.contains("secret thoughts"), "{text}");
    assert!(!text.contains("Bob"), "nothing names the one who left: {text}");
    for entry in detail["entries"].as_array().unwrap() {
        let reactions = ann.get(&format!("/api/entries/{}/reactions", entry["id"].as_str().unwrap())).ok();
        assert_eq!(reactions, json!([]));
    }
    server
        .person("Cid")
        .post(&format!("/api/join/{invite}"), json!({}))
        .refused(400, "Invalid or expired invite");
}

#[test]
fn an_owned_group_passes_to_the_oldest_other_member() {
    let server = Server::open();
    let (ann, bob, cid) = (server.person("Ann"), server.person("Bob"), server.person("Cid"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    ann.bring(&home, &cid);
    let alone = ann.found("Alone");
    ann.delete("/api/user/account").ok();

    let groups = bob.get("/api/groups").ok();
    assert_eq!(groups.as_array().unwrap().len(), 1);
    bob.patch(&format!("/api/groups/{home}"), json!({ "name": "Bob's" })).ok();
    cid.patch(&format!("/api/groups/{home}"), json!({ "name": "Cid's" })).refused_with(403);
    bob.get(&format!("/api/groups/{alone}")).refused(403, "Not authorized");
}

#[test]
fn the_name_of_a_deleted_account_starts_anew() {
    let server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    ann.log(&home, "old");
    ann.delete("/api/user/account").ok();
    let again = server.device("Ann");
    assert_eq!(again.get("/api/groups").ok(), json!([]));
    assert_eq!(again.get("/api/auth/user").ok()["deuceCount"], 0);
    assert_eq!(again.get("/api/analytics/most-deuces").ok(), json!({ "date": "", "count": 0 }));
}
