//! Groups: founding, looking, renaming, ending.

use crate::harness::{Client, Server, check, client::texts};
use serde_json::{Value, json};

/// Ids nobody ever gave out, well-formed and not.
pub const UNKNOWN_IDS: [&str; 5] =
    ["0193c5a0-0000-7000-8000-000000000000", "x", "1", "%27%20OR%201=1", "%F0%9F%92%A9"];

#[test]
fn founding_a_group_makes_its_admin() {
    let server = Server::open();
    let ann = server.person("Ann");
    let body = json!({ "name": " Home ", "description": "All of us", "createdBy": "dev-eve", "id": "mine" });
    let group = ann.post("/api/groups", body).ok();
    check::group(&group);
    assert_eq!((&group["name"], &group["description"]), (&json!("Home"), &json!("All of us")));
    assert_eq!(group["createdBy"], json!(ann.id()));
    assert_ne!(group["id"], "mine");

    let detail = ann.get(&format!("/api/groups/{}", group["id"].as_str().unwrap())).ok();
    assert_eq!(detail["group"], group);
    assert_eq!(detail["entries"], json!([]));
    let members = detail["members"].as_array().unwrap();
    assert_eq!(members.len(), 1);
    check::member(&members[0]);
    assert_eq!((&members[0]["role"], &members[0]["userId"]), (&json!("admin"), &json!(ann.id())));
    assert_eq!(members[0]["user"].get("personalRecord"), None, "absent, not null, without entries");
}

#[test]
fn a_group_without_a_description() {
    let server = Server::open();
    let ann = server.person("Ann");
    assert_eq!(ann.post("/api/groups", json!({ "name": "Home" })).ok()["description"], json!(null));
    let body = json!({ "name": "Home", "description": null });
    assert_eq!(ann.post("/api/groups", body).ok()["description"], json!(null));
}

#[test]
fn a_group_that_does_not_do() {
    let server = Server::setup().open().limit("groups_per_minute", 1000).start();
    let ann = server.person("Ann");
    let long = "x".repeat(101);
    for name in [json!(null), json!(""), json!("  \n"), json!(7), json!(["a"]), json!(long), json!({})] {
        ann.post("/api/groups", json!({ "name": name })).refused_naming(400, "name");
    }
    ann.post("/api/groups", json!({})).refused_naming(400, "name");
    for description in [json!("x".repeat(501)), json!(7), json!([])] {
        ann.post("/api/groups", json!({ "name": "a", "description": description }))
            .refused_naming(400, "description");
    }
    assert_eq!(ann.get("/api/groups").ok(), json!([]));
}

#[test]
fn limits_count_characters_and_control_characters_go() {
    let server = Server::open();
    let ann = server.person("Ann");
    let body = json!({ "name": "é".repeat(100), "description": "👍".repeat(500) });
    let group = ann.post("/api/groups", body).ok();
    assert_eq!(group["name"], "é".repeat(100));
    assert_eq!(group["description"], "👍".repeat(500));
    let body = json!({ "name": "a\u{0}b\u{7}\nc\u{9b}", "description": "one\ntwo\tthree\u{1b}[2J\u{0}" });
    let group = ann.post("/api/groups", body).ok();
    assert_eq!((&group["name"], &group["description"]), (&json!("abc"), &json!("one\ntwo\tthree[2J")));
    let body = json!({ "name": "<b>&\"'; DROP TABLE user;--" });
    assert_eq!(ann.post("/api/groups", body).ok()["name"], "<b>&\"'; DROP TABLE user;--");
}

#[test]
fn the_list_counts_and_orders_by_the_latest_entry() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let [first, second, empty] = ["First", "Second", "Empty"].map(|name| ann.found(name));
    ann.bring(&second, &bob);
    ann.log(&second, "a");
    bob.log(&second, "b");
    // Later by creation, much earlier by loggedAt: creation counts.
    let body = json!({ "groupId": first, "location": "Home", "thoughts": "c", "loggedAt": "2001-01-01T00:00:00.000Z" });
    ann.post("/api/deuces", body).ok();

    let list = ann.get("/api/groups").ok();
    list.as_array().unwrap().iter().for_each(check::listed_group);
    assert_eq!(texts(&list, "name"), ["Empty", "First", "Second"], "groups without entries come first");
    assert_eq!(list[0]["id"], json!(empty));
    assert_eq!(list[0]["lastActivity"], json!(null));
    let counts = |row: &Value| (row["memberCount"].as_i64().unwrap(), row["entryCount"].as_i64().unwrap());
    assert_eq!((counts(&list[0]), counts(&list[1]), counts(&list[2])), ((1, 0), (1, 1), (2, 2)));
    check::time(&list[1]["lastActivity"]);

    assert_eq!(texts(&bob.get("/api/groups").ok(), "name"), ["Second"], "only one's own");
}

#[test]
fn a_group_shows_everything_newest_first() {
    let server = Server::setup().open().limit("deuces_per_minute", 100_000).start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    for number in 0..130 {
        // The older ones are logged for later times, so that the two orders differ.
        let at = 1_700_000_000_000_i64 - number * 60_000;
        let body =
            json!({ "groupIds": [home], "location": "Home", "thoughts": number.to_string(), "loggedAt": at });
        ann.post("/api/deuces", body).ok();
    }
    let detail = ann.get(&format!("/api/groups/{home}")).ok();
    let entries = detail["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 130, "no paging for a client that does not ask for it");
    for entry in entries {
        check::entry(entry);
        check::user(&entry["user"]);
        assert_eq!(entry.get("reactions"), None);
    }
    let expected: Vec<String> = (0..130).rev().map(|number| number.to_string()).collect();
    assert_eq!(texts(&detail["entries"], "thoughts"), expected, "by creation, newest first");

    let members = detail["members"].as_array().unwrap();
    members.iter().for_each(check::member);
    assert_eq!(members[0]["userId"], json!(bob.id()), "members newest first");
    assert_eq!(members[0]["role"], "member");
    assert_eq!(members[0]["user"].get("personalRecord"), None);
    assert_eq!(members[1]["user"]["personalRecord"]["count"], 130);
}

#[test]
fn a_page_of_a_group_where_asked_for() {
    let server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    for (thoughts, hour) in [("c", 12), ("a", 10), ("d", 13), ("b", 11)] {
        let at = format!("2026-01-01T{hour}:00:00Z");
        let body = json!({ "groupIds": [home], "location": "Home", "thoughts": thoughts, "loggedAt": at });
        ann.post("/api/deuces", body).ok();
    }
    let page =
        |query: &str| texts(&ann.get(&format!("/api/groups/{home}?{query}")).ok()["entries"], "thoughts");
    assert_eq!(page("limit=2"), ["d", "c"], "by loggedAt");
    assert_eq!(page("limit=2&offset=2"), ["b", "a"]);
    assert_eq!(page("offset=3"), ["a"]);
    assert_eq!(page("limit=2&offset=4"), [""; 0]);
    for query in ["limit=0", "limit=-1", "limit=x", "limit=", "limit=1e3", "limit=99999999999999999999"] {
        ann.get(&format!("/api/groups/{home}?{query}")).refused_naming(400, "limit");
    }
    for query in ["limit=1&offset=-1", "limit=1&offset=x"] {
        ann.get(&format!("/api/groups/{home}?{query}")).refused_naming(400, "offset");
    }
}

#[test]
fn a_stranger_sees_and_changes_nothing() {
    let server = Server::setup().open().limit("groups_per_minute", 1000).start();
    let (ann, eve) = (server.person("Ann"), server.person("Eve"));
    let home = ann.found("Home");
    ann.log(&home, "private");
    let invite = ann.invite(&home);
    let everywhere = |group: &str| everything_about(&eve, group, &ann.id(), &invite);
    let foreign = everywhere(&home);
    for unknown in UNKNOWN_IDS {
        assert_eq!(everywhere(unknown), foreign, "an unknown group is answered like a foreign one");
    }
    assert_eq!(eve.get("/api/groups").ok(), json!([]));
    assert_eq!(ann.get(&format!("/api/groups/{home}")).ok()["group"]["name"], "Home");
    assert_eq!(ann.members_of(&home), [ann.id()]);
    server.person("Bob").join(&invite);
}

/// Everything one may want of a group: what the answers were.
#[track_caller]
fn everything_about(eve: &Client, group: &str, member: &str, invite: &str) -> Vec<(u16, String)> {
    let base = format!("/api/groups/{group}");
    let replies = [
        eve.get(&base),
        eve.get(&format!("{base}?limit=5")),
        eve.patch(&base, json!({ "name": "Eve's" })),
        eve.put(&base, json!({ "name": "Eve's" })),
        eve.delete(&base),
        eve.post(&format!("{base}/invite"), json!({})),
        eve.get(&format!("{base}/invites")),
        eve.delete(&format!("{base}/invites/{invite}")),
        eve.post(&format!("{base}/leave"), json!({})),
        eve.delete(&format!("{base}/members/{member}")),
        eve.put(&format!("{base}/members/{member}"), json!({ "role": "member" })),
        eve.put(&format!("{base}/members/{}", eve.id()), json!({ "role": "admin" })),
        eve.patch(&format!("{base}/members/{}", eve.id()), json!({ "role": "admin" })),
    ];
    for reply in &replies {
        reply.refused(403, "Not authorized");
    }
    replies.iter().map(|reply| (reply.status, reply.message())).collect()
}

#[test]
fn renaming_is_for_admins() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    let path = format!("/api/groups/{home}");
    bob.patch(&path, json!({ "name": "Bob's" })).refused_with(403);
    let group = ann.patch(&path, json!({ "name": "Flat" })).ok();
    check::group(&group);
    assert_eq!((&group["name"], &group["description"]), (&json!("Flat"), &json!(null)));
    let group = ann.patch(&path, json!({ "description": "Second floor", "createdBy": "x", "id": "y" })).ok();
    assert_eq!((&group["name"], &group["description"]), (&json!("Flat"), &json!("Second floor")));
    assert_eq!((&group["id"], &group["createdBy"]), (&json!(home), &json!(ann.id())));
    assert_eq!(bob.get(&path).ok()["group"], group);

    // PUT is the same, also in leaving alone what is not named.
    bob.put(&path, json!({ "name": "Bob's" })).refused_with(403);
    let put = ann.put(&path, json!({ "name": "House" })).ok();
    check::group(&put);
    assert_eq!((&put["name"], &put["description"]), (&json!("House"), &json!("Second floor")));
    assert_eq!(ann.put(&path, json!({ "description": null })).ok()["description"], json!(null));
    let group = ann.put(&path, json!({ "name": "Flat", "description": "Second floor" })).ok();
    assert_eq!(bob.get(&path).ok()["group"], group);

    for name in [json!(""), json!("  "), json!(7), json!("x".repeat(101))] {
        ann.patch(&path, json!({ "name": name })).refused_naming(400, "name");
    }
    ann.patch(&path, json!({ "description": "x".repeat(501) })).refused_naming(400, "description");
    assert_eq!(ann.get(&path).ok()["group"], group);
}

#[test]
fn ending_a_group_is_for_admins() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    let entry = ann.log_id(&home, "x");
    ann.post(&format!("/api/entries/{entry}/reactions"), json!({ "emoji": "👍" })).ok();
    let invite = ann.invite(&home);
    let path = format!("/api/groups/{home}");
    bob.delete(&path).refused_with(403);
    assert_eq!(ann.delete(&path).ok(), json!({ "ok": true }));
    for person in [&ann, &bob] {
        person.get(&path).refused(403, "Not authorized");
        assert_eq!(person.get("/api/groups").ok(), json!([]));
        assert_eq!(person.get("/api/deuces").ok(), json!([]));
    }
    bob.post(&format!("/api/join/{invite}"), json!({})).refused(400, "Invalid or expired invite");
    ann.delete(&format!("/api/deuces/{entry}")).refused(404, "Entry not found");
}
