//! What was taken back is gone: from the answers, from the counts, and from the card.

use crate::harness::{Client, Server};
use serde_json::{Value, json};
use std::{fs, path::Path};

const DAY: i64 = 24 * 60 * 60;

/// Whether any file of the data directory has this in it.
fn on_the_card(data: &Path, text: &str) -> bool {
    let files = fs::read_dir(data).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file());
    let has = |path: &Path| {
        let bytes = fs::read(path).unwrap();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    };
    files.into_iter().any(|path| has(&path))
}

#[track_caller]
fn take_back(person: &Client, entry: &Value) {
    person.delete(&format!("/api/deuces/{}", entry["id"].as_str().unwrap())).ok();
}

fn log_under(person: &Client, key: &str, body: &Value) -> crate::harness::Reply {
    person.request("POST", "/api/deuces").header("Idempotency-Key", key).json(body).send()
}

#[test]
fn a_repeat_does_not_bring_it_back() {
    let server = Server::open();
    let ann = server.person("Ann");
    let (home, work) = (ann.found("Home"), ann.found("Work"));
    let body = |thoughts: &str| json!({ "groupIds": [home, work], "location": "Home", "thoughts": thoughts });
    let first = log_under(&ann, "key", &body("regretted")).ok();
    log_under(&ann, "other", &body("kept")).ok();
    take_back(&ann, &first["entries"][0]);
    let other_words = log_under(&ann, "key", &body("new"));
    assert!(!other_words.text().contains("regretted"), "{other_words:?}");
    // Of the post into two groups one entry was taken back; the key is forgotten for both.
    let same_words = log_under(&ann, "key", &body("new"));
    assert!(!same_words.text().contains("regretted"), "{same_words:?}");
    assert_eq!(log_under(&ann, "other", &body("kept")).header("Idempotent-Replay"), Some("true"));

    let second = log_under(&ann, "again", &body("regretted")).ok();
    take_back(&ann, &second["entries"][0]);
    take_back(&ann, &second["entries"][1]);
    let repeat = log_under(&ann, "again", &body("regretted"));
    assert_eq!(repeat.header("Idempotent-Replay"), None, "nothing is remembered: {repeat:?}");
    for entry in repeat.ok()["entries"].as_array().unwrap() {
        assert!(!second["entries"].as_array().unwrap().iter().any(|old| old["id"] == entry["id"]));
    }
}

#[test]
fn an_ended_group_takes_its_answers_along() {
    let server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let body = |thoughts: &str| json!({ "groupId": home, "location": "Home", "thoughts": thoughts });
    log_under(&ann, "key", &body("regretted")).ok();
    ann.delete(&format!("/api/groups/{home}")).ok();
    let repeat = log_under(&ann, "key", &body("regretted"));
    repeat.refused(403, &format!("Not authorized for group {home}"));
    assert!(!repeat.text().contains("regretted"));
}

/// Tells where what people had written can still be found after it was taken back and the server
/// was restarted.
#[track_caller]
fn nothing_is_left(of: &str, padding: usize) {
    let mut server = Server::setup().open().limit("deuces_per_minute", 1000).start();
    let ann = server.person("Ann");
    let (home, work) = (ann.found("Home"), ann.found("Work"));
    let secret = |number: i32| format!("unforgettable{number}of{of}{}", "é".repeat(padding));
    let entries: Vec<Value> = (0..20)
        .map(|number| {
            let body = json!({ "groupId": home, "location": "Home", "thoughts": secret(number) });
            log_under(&ann, &number.to_string(), &body).ok()["entries"][0].clone()
        })
        .collect();
    ann.log(&work, "kept in words");
    server.restart();
    assert!(on_the_card(server.data(), "unforgettable7of"), "the test looks in the right place");
    match of {
        "entries" => entries.iter().for_each(|entry| take_back(&ann, entry)),
        "a group" => drop(ann.delete(&format!("/api/groups/{home}")).ok()),
        _ => drop(ann.delete("/api/user/account").ok()),
    }
    server.restart();
    let left: Vec<i32> = (0..20)
        .filter(|number| on_the_card(server.data(), &format!("unforgettable{number}of{of}")))
        .collect();
    assert!(left.is_empty(), "of {of}, {} letters long, these are still on the card: {left:?}", padding);
}

#[test]
fn short_entries_leave_nothing_on_the_card() {
    nothing_is_left("entries", 20);
}

#[test]
fn long_entries_leave_nothing_on_the_card() {
    nothing_is_left("entries", 900);
}

#[test]
fn an_ended_group_leaves_nothing_on_the_card() {
    nothing_is_left("a group", 300);
}

#[test]
fn a_deleted_account_leaves_nothing_on_the_card() {
    nothing_is_left("an account", 300);
}

fn best(person: &Client) -> Value {
    person.get("/api/analytics/most-deuces").ok()
}

/// What a group's page says about somebody's best day.
#[track_caller]
fn record(person: &Client, group: &str) -> Option<Value> {
    let detail = person.get(&format!("/api/groups/{group}")).ok();
    let members = detail["members"].as_array().unwrap();
    let me = members.iter().find(|member| member["userId"] == json!(person.id())).unwrap();
    me["user"].get("personalRecord").cloned()
}

fn today(person: &Client) -> String {
    person.get("/api/health").ok()["timestamp"].as_str().unwrap()[..10].into()
}

#[test]
fn the_best_day_without_what_was_taken_back() {
    let mut server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let first_day = today(&ann);
    let first: Vec<Value> = (0..3).map(|number| ann.log(&home, &number.to_string())).collect();
    server.restart_later(DAY);
    let second_day = today(&ann);
    let second: Vec<Value> = (0..2).map(|number| ann.log(&home, &number.to_string())).collect();
    let says = |day: &str, count: u64| {
        let expected = json!({ "date": day, "count": count });
        assert_eq!(best(&ann), expected);
        assert_eq!(record(&ann, &home), Some(expected));
    };
    says(&first_day, 3);
    take_back(&ann, &first[0]);
    says(&second_day, 2); // on equal counts the most recent day
    take_back(&ann, &second[1]);
    says(&first_day, 2);
    take_back(&ann, &first[1]);
    says(&second_day, 1);
    // And counting goes on from there.
    ann.log(&home, "more");
    says(&second_day, 2);
    take_back(&ann, &second[0]);
    ann.log(&home, "still more");
    ann.log(&home, "and more");
    says(&second_day, 3);
    assert_eq!(ann.get("/api/groups").ok()[0]["entryCount"], 4);

    for entry in ann.get("/api/deuces").ok().as_array().unwrap() {
        take_back(&ann, entry);
    }
    assert_eq!(best(&ann), json!({ "date": "", "count": 0 }));
    assert_eq!(record(&ann, &home), None, "absent, not null");
    let group = ann.get("/api/groups").ok()[0].clone();
    assert_eq!((&group["entryCount"], &group["lastActivity"]), (&json!(0), &json!(null)));
    server.restart();
    assert_eq!(best(&ann), json!({ "date": "", "count": 0 }));
}

#[test]
fn the_best_day_without_a_group_that_ended() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let (home, work) = (ann.found("Home"), ann.found("Work"));
    ann.bring(&home, &bob);
    let own = bob.found("Own");
    let day = today(&ann);
    let body = json!({ "groupIds": [home, work], "location": "Home", "thoughts": "x" });
    ann.post("/api/deuces", body).ok();
    ann.log(&home, "y");
    for _ in 0..2 {
        bob.log(&home, "z");
    }
    bob.log(&own, "z");
    assert_eq!([best(&ann)["count"].clone(), best(&bob)["count"].clone()], [json!(3), json!(3)]);
    ann.delete(&format!("/api/groups/{home}")).ok();
    let one = json!({ "date": day, "count": 1 });
    assert_eq!([best(&ann), best(&bob)], [one.clone(), one.clone()], "all its authors' days");
    assert_eq!([record(&ann, &work), record(&bob, &own)], [Some(one.clone()), Some(one)]);
    // The last one out ends the group as well.
    bob.post(&format!("/api/groups/{own}/leave"), json!({})).ok();
    assert_eq!(best(&bob), json!({ "date": "", "count": 0 }));
}

#[test]
fn the_latest_activity_without_what_was_taken_back() {
    let server = Server::open();
    let ann = server.person("Ann");
    let (home, work) = (ann.found("Home"), ann.found("Work"));
    let activity = |group: &str| {
        let list = ann.get("/api/groups").ok();
        let row = list.as_array().unwrap().iter().find(|row| row["id"] == json!(group)).unwrap().clone();
        (row["entryCount"].as_u64().unwrap(), row["lastActivity"].clone())
    };
    let older = ann.log(&home, "older");
    ann.log(&work, "between");
    let newer = ann.log(&home, "newer");
    assert_eq!(activity(&home), (2, newer["createdAt"].clone()));
    take_back(&ann, &newer);
    assert_eq!(activity(&home), (1, older["createdAt"].clone()));
    let names = crate::harness::client::texts(&ann.get("/api/groups").ok(), "name");
    assert_eq!(names, ["Work", "Home"], "and the order follows");
    take_back(&ann, &older);
    assert_eq!(activity(&home), (0, json!(null)));
}
