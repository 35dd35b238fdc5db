//! The feed: everything of all one's groups in one request, page by page.

use crate::harness::{Client, Reply, Server, check, client::texts};
use serde_json::json;

fn log_at(person: &Client, group: &str, thoughts: &str, at: &str) -> String {
    let body = json!({ "groupId": group, "location": "Home", "thoughts": thoughts, "loggedAt": at });
    person.post("/api/deuces", body).ok()["entries"][0]["id"].as_str().unwrap().into()
}

fn thoughts(reply: &Reply) -> Vec<String> {
    texts(&reply.ok(), "thoughts")
}

#[test]
fn the_feed_shows_all_my_groups_with_reactions() {
    let server = Server::open();
    let (ann, bob, eve) = (server.person("Ann"), server.person("Bob"), server.person("Eve"));
    let (home, work, other) = (ann.found("Home"), ann.found("Work"), eve.found("Other"));
    ann.bring(&home, &bob);
    log_at(&ann, &home, "b", "2026-01-02T00:00:00Z");
    let oldest = log_at(&bob, &home, "a", "2026-01-01T00:00:00Z");
    log_at(&ann, &work, "c", "2026-01-03T00:00:00Z");
    eve.log(&other, "not mine");
    bob.post(&format!("/api/entries/{oldest}/reactions"), json!({ "emoji": "❤️" })).ok();

    let reply = ann.get("/api/deuces");
    assert_eq!(thoughts(&reply), ["c", "b", "a"], "newest loggedAt first");
    assert_eq!(reply.header("X-Next-Cursor"), None, "nothing follows");
    for entry in reply.ok().as_array().unwrap() {
        check::entry(entry);
        let user = entry["user"].as_object().unwrap();
        for field in ["id", "username", "profileImageUrl"] {
            assert!(user.contains_key(field), "{field} in {entry}");
        }
    }
    let reactions = reply.ok()[2]["reactions"].clone();
    check::reaction(&reactions[0]);
    assert_eq!((&reactions[0]["emoji"], &reactions[0]["userId"]), (&json!("❤️"), &json!(bob.id())));
    assert_eq!(reply.ok()[0]["reactions"], json!([]));

    assert_eq!(thoughts(&ann.get(&format!("/api/deuces?groupId={home}"))), ["b", "a"]);
    assert_eq!(thoughts(&bob.get("/api/deuces")), ["b", "a"]);
    assert_eq!(thoughts(&server.person("Cid").get("/api/deuces")), [""; 0]);
}

#[test]
fn paging_by_cursor_shows_each_entry_once() {
    let server = Server::open();
    let ann = server.person("Ann");
    let (home, work) = (ann.found("Home"), ann.found("Work"));
    // Three at each time, so that pages end among equals.
    for number in 0..12 {
        let at = format!("2026-01-01T{:02}:00:00Z", number / 3);
        log_at(&ann, if number % 2 == 0 { &home } else { &work }, &number.to_string(), &at);
    }
    let all = thoughts(&ann.get("/api/deuces"));
    let mut seen = Vec::new();
    let mut cursor = None;
    loop {
        let path = cursor.map_or("/api/deuces?limit=5".into(), |cursor: String| {
            format!("/api/deuces?limit=5&before={cursor}")
        });
        let page = ann.get(&path);
        seen.extend(thoughts(&page));
        // What comes in meanwhile does not shift the pages.
        log_at(&ann, &home, "new", "2026-02-01T00:00:00Z");
        match page.header("X-Next-Cursor") {
            Some(next) => cursor = Some(next.to_string()),
            None => break,
        }
        assert!(seen.len() <= 12, "{seen:?}");
    }
    assert_eq!(seen, all);
    assert_eq!(seen.len(), 12);
}

#[test]
fn paging_by_offset() {
    let server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    for hour in 0..5 {
        log_at(&ann, &home, &hour.to_string(), &format!("2026-01-01T{hour:02}:00:00Z"));
    }
    assert_eq!(thoughts(&ann.get("/api/deuces?limit=2")), ["4", "3"]);
    assert_eq!(thoughts(&ann.get("/api/deuces?limit=2&offset=2")), ["2", "1"]);
    assert_eq!(thoughts(&ann.get("/api/deuces?limit=2&offset=4")), ["0"]);
    assert_eq!(thoughts(&ann.get("/api/deuces?offset=50")), [""; 0]);
    let exact = ann.get("/api/deuces?limit=5");
    assert_eq!(exact.header("X-Next-Cursor"), None, "a full last page is still the last");
}

#[test]
fn fifty_where_nothing_is_said_and_never_more_than_a_hundred() {
    let server = Server::setup().open().limit("deuces_per_minute", 100_000).start();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    for number in 0..105 {
        ann.log(&home, &number.to_string());
    }
    let page = ann.get("/api/deuces");
    assert_eq!(thoughts(&page).len(), 50);
    assert!(page.header("X-Next-Cursor").is_some());
    assert_eq!(thoughts(&ann.get("/api/deuces?limit=100")).len(), 100);
    for more in ["101", "1000000"] {
        let page = ann.get(&format!("/api/deuces?limit={more}"));
        assert_eq!(thoughts(&page).len(), 100);
        assert!(page.header("X-Next-Cursor").is_some(), "and there is more");
    }
}

#[test]
fn a_feed_that_cannot_be() {
    let server = Server::open();
    let ann = server.person("Ann");
    for limit in ["0", "-1", "x", "", "1.5", "99999999999999999999"] {
        ann.get(&format!("/api/deuces?limit={limit}")).refused_naming(400, "limit");
    }
    for offset in ["-1", "x", "99999999999999999999"] {
        ann.get(&format!("/api/deuces?offset={offset}")).refused_naming(400, "offset");
    }
    for cursor in ["x", "%27", "AAAA", "%F0%9F%92%A9", "1_2_3"] {
        ann.get(&format!("/api/deuces?before={cursor}")).refused_naming(400, "before");
    }
}

#[test]
fn the_feed_of_a_foreign_group() {
    let server = Server::open();
    let (ann, eve) = (server.person("Ann"), server.person("Eve"));
    let foreign = eve.found("Other");
    let unknown = super::group::UNKNOWN_IDS[0];
    for group in [&foreign, unknown] {
        ann.get(&format!("/api/deuces?groupId={group}")).refused(403, "Not authorized");
    }
}

#[test]
fn a_malformed_group_is_named() {
    let server = Server::open();
    let ann = server.person("Ann");
    for group in &super::group::UNKNOWN_IDS[1..] {
        ann.get(&format!("/api/deuces?groupId={group}")).refused(400, "groupId: not a group's id");
    }
}
