//! Logging a deuce, taking it back, and the counts that come of it.

use crate::harness::{Client, Server, check, client::texts};
use serde_json::{Value, json};

const DAY: i64 = 24 * 60 * 60;

/// A body that does, with one field changed or (by null) removed.
fn body_with(group: &str, field: &str, value: Value) -> Value {
    let mut body = json!({ "groupIds": [group], "location": "Home", "thoughts": "x" });
    match value {
        Value::Null => body.as_object_mut().unwrap().remove(field),
        value => body.as_object_mut().unwrap().insert(field.into(), value),
    };
    body
}

fn deuce_count(person: &Client) -> i64 {
    person.get("/api/auth/user").ok()["deuceCount"].as_i64().unwrap()
}

#[test]
fn one_deuce_in_one_group() {
    let server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let body = json!({
        "groupIds": [home], "location": "  Home ", "thoughts": "good", "loggedAt": "2026-03-01T12:30:00.000Z",
        "userId": "dev-eve", "id": "mine", "createdAt": "2001-01-01T00:00:00.000Z", "ghost": true
    });
    let logged = ann.post("/api/deuces", body).ok();
    assert_eq!(logged["count"], 1);
    let entries = logged["entries"].as_array().unwrap();
    assert_eq!(entries.len(), 1);
    let entry = &entries[0];
    check::entry(entry);
    assert_eq!((&entry["userId"], &entry["groupId"]), (&json!(ann.id()), &json!(home)));
    assert_eq!(
        (&entry["thoughts"], &entry["loggedAt"]),
        (&json!("good"), &json!("2026-03-01T12:30:00.000Z"))
    );
    assert_ne!(entry["id"], "mine");
    assert!(entry["createdAt"].as_str().unwrap() > "2002", "when it was stored is ours to say");
    assert_eq!(deuce_count(&ann), 1);

    let shown = &ann.get(&format!("/api/groups/{home}")).ok()["entries"][0];
    for field in ["id", "userId", "groupId", "location", "thoughts", "loggedAt", "createdAt"] {
        assert_eq!(shown[field], entry[field], "{field}");
    }
}

#[test]
fn one_deuce_in_three_groups_counts_once() {
    let server = Server::open();
    let ann = server.person("Ann");
    let groups = ["One", "Two", "Three"].map(|name| ann.found(name));
    let asked = [&groups[2], &groups[0], &groups[1]];
    let logged =
        ann.post("/api/deuces", json!({ "groupIds": asked, "location": "Home", "thoughts": "x" })).ok();
    assert_eq!(logged["count"], 3);
    assert_eq!(json!(texts(&logged["entries"], "groupId")), json!(asked), "in the order asked for");
    let times = texts(&logged["entries"], "loggedAt");
    assert!(times.iter().all(|time| *time == times[0]), "{times:?}");
    let mut ids = texts(&logged["entries"], "id");
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    assert_eq!(deuce_count(&ann), 1, "per post, not per group");
}

#[test]
fn one_group_in_the_singular() {
    let server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let logged =
        ann.post("/api/deuces", json!({ "groupId": home, "location": "Home", "thoughts": "x" })).ok();
    assert_eq!(logged["entries"][0]["groupId"], json!(home));
}

#[test]
fn a_group_named_twice() {
    let server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let mut socket = ann.socket();
    let body = json!({ "groupIds": [home, home], "location": "Home", "thoughts": "x" });
    let logged = ann.post("/api/deuces", body).ok();
    assert_eq!(logged["entries"].as_array().unwrap().len(), 1);
    assert_eq!(logged["count"], 1);
    assert_eq!(ann.thoughts_in(&home), ["x"]);
    assert_eq!(deuce_count(&ann), 1);
    let body = json!({ "groupIds": [home, home.to_uppercase()], "location": "Home", "thoughts": "y" });
    assert_eq!(ann.post("/api/deuces", body).ok()["count"], 1, "in another spelling too");
    socket.expect_deuce("x");
    socket.expect_deuce("y");
    socket.expect_silence();
}

#[test]
fn a_deuce_for_no_group() {
    let server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let log = |groups: Value| ann.post("/api/deuces", body_with(&home, "groupIds", groups));
    log(json!([])).refused(400, "At least one group must be selected");
    log(json!(null)).refused(403, "Not authorized for group undefined");
    for nonsense in [json!("x"), json!(7), json!({ "0": home }), json!([7]), json!([null]), json!([[home]])] {
        log(nonsense).refused_naming(400, "groupIds");
    }
    log(json!({ "length": 1 })).refused_naming(400, "groupIds");
    assert_eq!(ann.thoughts_in(&home), [""; 0]);
    assert_eq!(deuce_count(&ann), 0);
}

#[test]
fn a_foreign_group_among_ones_own_stores_nothing() {
    let server = Server::open();
    let (ann, eve) = (server.person("Ann"), server.person("Eve"));
    let (home, own) = (ann.found("Home"), eve.found("Own"));
    let mut foreign = vec![home.clone()];
    foreign.extend(["0193c5a0-0000-7000-8000-000000000000", "x", ""].map(String::from));
    for other in foreign {
        let body = json!({ "groupIds": [own, other], "location": "Home", "thoughts": "x" });
        eve.post("/api/deuces", body).refused(403, &format!("Not authorized for group {other}"));
        let body = json!({ "groupId": other, "location": "Home", "thoughts": "x" });
        eve.post("/api/deuces", body).refused(403, &format!("Not authorized for group {other}"));
    }
    assert_eq!(eve.thoughts_in(&own), [""; 0]);
    assert_eq!(ann.thoughts_in(&home), [""; 0]);
    assert_eq!(deuce_count(&eve), 0);
}

#[test]
fn when_it_was() {
    let server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let at = |value: Value| {
        ann.post("/api/deuces", body_with(&home, "loggedAt", value)).ok()["entries"][0].clone()
    };
    let times = [
        (json!("2026-03-01T12:30:00.000Z"), "2026-03-01T12:30:00.000Z"),
        (json!("2026-03-01T12:30:00Z"), "2026-03-01T12:30:00.000Z"),
        (json!("2026-03-01T12:30:00+02:00"), "2026-03-01T10:30:00.000Z"),
        (json!("2026-03-01T00:15:00.5-05:45"), "2026-03-01T06:00:00.500Z"),
        (json!("2026-03-01T12:30Z"), "2026-03-01T12:30:00.000Z"),
        (json!("2026-03-01"), "2026-03-01T00:00:00.000Z"),
        (json!(1_772_368_200_123_i64), "2026-03-01T12:30:00.123Z"),
        (json!("1999-12-31T23:59:59.999Z"), "1999-12-31T23:59:59.999Z"),
        (json!("1900-01-01T00:00:00.000Z"), "1900-01-01T00:00:00.000Z"),
        (json!("2024-02-29T00:00:00.000Z"), "2024-02-29T00:00:00.000Z"),
    ];
    for (given, expected) in times {
        assert_eq!(at(given.clone())["loggedAt"], expected, "{given}");
    }
    let today = ann.get("/api/health").ok()["timestamp"].as_str().unwrap()[..10].to_string();
    let mut explicit = body_with(&home, "loggedAt", json!(0));
    explicit["loggedAt"] = Value::Null;
    let explicit = ann.post("/api/deuces", explicit).ok()["entries"][0].clone();
    for now in [at(json!(null)), explicit] {
        assert!(now["loggedAt"].as_str().unwrap()[..10] >= *today, "missing and null mean now: {now}");
        assert!(now["loggedAt"].as_str().unwrap() <= now["createdAt"].as_str().unwrap(), "{now}");
    }
    // Only the date is capped in the form, and clocks are wrong: hours ahead is legitimate.
    let ahead =
        ann.get("/api/health").ok()["timestamp"].as_str().unwrap()[..10].to_string() + "T23:59:00.000Z";
    assert_eq!(at(json!(ahead))["loggedAt"], json!(ahead));
}

#[test]
fn when_it_never_was() {
    let server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let nonsense = [
        json!("yesterday"),
        json!(""),
        json!("2026-13-01T00:00:00Z"),
        json!("2026-03-01T25:00:00Z"),
        json!("2026-03-01T12:30:00+99:00"),
        json!("🕛"),
        json!(1e300),
        json!([]),
        json!({}),
    ];
    for value in nonsense {
        ann.post("/api/deuces", body_with(&home, "loggedAt", value)).refused_naming(400, "loggedAt");
    }
    assert_eq!(ann.thoughts_in(&home), [""; 0]);
}

#[test]
fn thoughts_and_places_have_limits() {
    let server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let log = |field: &str, value: Value| ann.post("/api/deuces", body_with(&home, field, value));
    for value in [json!(null), json!("x".repeat(1001)), json!("👍".repeat(1001)), json!({}), json!([])] {
        log("thoughts", value).refused_naming(400, "thoughts");
    }
    for value in [json!(null), json!("x".repeat(101)), json!(""), json!("   "), json!({})] {
        log("location", value).refused_naming(400, "location");
    }
    assert_eq!(ann.thoughts_in(&home), [""; 0]);
    for value in ["", "x", &"👍".repeat(1000), "<script>alert(1)</script>", "👩‍👩‍👧 \u{202e}abc"]
    {
        assert_eq!(log("thoughts", json!(value)).ok()["entries"][0]["thoughts"], value);
    }
    assert_eq!(log("location", json!("ü".repeat(100))).ok()["entries"][0]["location"], "ü".repeat(100));
    let stripped = log("thoughts", json!("a\u{0}b\r\nc\td\u{7f}\u{85}\u{1b}e")).ok();
    let kept = stripped["entries"][0]["thoughts"].as_str().unwrap();
    assert_eq!(kept.replace('\r', ""), "ab\nc\tde");
    assert_eq!(log("location", json!("a\u{0}b\u{8}")).ok()["entries"][0]["location"], "ab");
}

#[test]
fn taking_a_deuce_back_is_for_its_author() {
    let server = Server::open();
    let (ann, bob, eve) = (server.person("Ann"), server.person("Bob"), server.person("Eve"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    let entry = bob.log_id(&home, "oops");
    let path = format!("/api/deuces/{entry}");
    ann.post(&format!("/api/entries/{entry}/reactions"), json!({ "emoji": "👍" })).ok();
    ann.delete(&path).refused_with(403);
    eve.delete(&path).refused(404, "Entry not found");
    for unknown in super::group::UNKNOWN_IDS {
        bob.delete(&format!("/api/deuces/{unknown}")).refused(404, "Entry not found");
    }
    assert_eq!(ann.thoughts_in(&home), ["oops"]);

    assert_eq!(bob.delete(&path).ok(), json!({ "ok": true }));
    assert_eq!(ann.thoughts_in(&home), [""; 0]);
    assert_eq!(ann.get("/api/deuces").ok(), json!([]));
    bob.delete(&path).refused(404, "Entry not found");
    let reply = ann.post(&format!("/api/entries/{entry}/reactions"), json!({ "emoji": "🔥" }));
    reply.refused(404, "Entry not found");
    assert_eq!(ann.get("/api/groups").ok()[0]["entryCount"], 0);
}

#[test]
fn an_author_who_left_is_a_stranger() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    let entry = bob.log_id(&home, "x");
    let of_ann = ann.log_id(&home, "y");
    bob.post(&format!("/api/groups/{home}/leave"), json!({})).ok();
    assert_eq!(bob.get("/api/deuces").ok(), json!([]));
    assert_eq!(ann.thoughts_in(&home), ["y", "x"], "what was said stays");
    let reply = bob.post(&format!("/api/entries/{entry}/reactions"), json!({ "emoji": "👍" }));
    reply.refused(403, "Not authorized to react to this entry");
    bob.delete(&format!("/api/deuces/{of_ann}")).refused(404, "Entry not found");
    // Taking one's own words back is not the group's business.
    assert_eq!(bob.delete(&format!("/api/deuces/{entry}")).ok(), json!({ "ok": true }));
    assert_eq!(ann.thoughts_in(&home), ["y"]);
    bob.delete(&format!("/api/deuces/{entry}")).refused(404, "Entry not found");
}

#[test]
fn the_best_day() {
    let mut server = Server::open();
    let best = |person: &Client| person.get("/api/analytics/most-deuces").ok();
    let ann = server.person("Ann");
    assert_eq!(best(&ann), json!({ "date": "", "count": 0 }));
    let (home, work) = (ann.found("Home"), ann.found("Work"));
    let today =
        |person: &Client| person.get("/api/health").ok()["timestamp"].as_str().unwrap()[..10].to_string();
    let first = today(&ann);
    // Two groups are two rows, and when it was logged for does not matter.
    let body = json!({ "groupIds": [home, work], "location": "Home", "thoughts": "x", "loggedAt": "2001-01-01T00:00:00Z" });
    ann.post("/api/deuces", body).ok();
    assert_eq!(best(&ann), json!({ "date": first, "count": 2 }));

    server.restart_later(DAY);
    let second = today(&ann);
    ann.log(&home, "a");
    assert_eq!(best(&ann), json!({ "date": first, "count": 2 }));
    ann.log(&home, "b");
    assert_eq!(best(&ann), json!({ "date": second, "count": 2 }), "on equal counts the most recent day");
    ann.log(&home, "c");
    let record = json!({ "date": second, "count": 3 });
    assert_eq!(best(&ann), record);
    let detail = ann.get(&format!("/api/groups/{home}")).ok();
    assert_eq!(detail["members"][0]["user"]["personalRecord"], record);
    assert_eq!(best(&server.person("Bob")), json!({ "date": "", "count": 0 }));
}

#[test]
fn eight_devices_logging_at_once_lose_nothing() {
    let server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let devices: Vec<_> = (0..8).map(|_| ann.twin()).collect();
    crate::harness::together(8, |index| {
        for number in 0..4 {
            devices[index].log(&home, &format!("{index} {number}"));
        }
    });
    let mut thoughts = ann.thoughts_in(&home);
    thoughts.sort();
    thoughts.dedup();
    assert_eq!(thoughts.len(), 32);
    assert_eq!(deuce_count(&ann), 32);
}
