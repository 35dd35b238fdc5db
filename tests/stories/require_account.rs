//! The requirements on accounts and API, R-A…, each by its name.

use crate::harness::{Server, server::PASSWORD, together};
use serde_json::{Value, json};

const DAY: i64 = 24 * 60 * 60;
const INVALID: &str = "Invalid or expired invite";

#[test]
fn r_a8_a_link_for_two_lets_in_two() {
    let server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let invite = ann.post(&format!("/api/groups/{home}/invite"), json!({ "maxUses": 2 })).ok();
    assert_eq!(invite["maxUses"], 2);
    let join = format!("/api/join/{}", invite["id"].as_str().unwrap());
    let guests = ["Bob", "Cid", "Dan", "Eve"].map(|name| server.person(name));
    let statuses = together(4, |index| guests[index].post(&join, json!({})).status);
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 2, "{statuses:?}");
    assert_eq!(ann.members_of(&home).len(), 3);
    let late = server.person("Fay");
    late.post(&join, json!({})).refused(400, INVALID);
    let inside = statuses.iter().position(|status| *status == 200).unwrap();
    let answer = guests[inside].post(&join, json!({})).ok();
    assert_eq!(answer["message"], "Already a member of this group", "also when the link is used up");
}

#[test]
fn r_a8_of_newcomers_at_once_as_many_come_in_as_the_link_says() {
    let server = Server::strict();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let invite = ann.post(&format!("/api/groups/{home}/invite"), json!({ "maxUses": 2 })).ok();
    let join = format!("/api/join/{}/newcomer", invite["id"].as_str().unwrap());
    let names = ["Bob", "Cid", "Dan", "Eve"];
    let answers = together(4, |index| {
        server.nobody().post(&join, json!({ "username": names[index], "password": PASSWORD }))
    });
    let inside: Vec<&str> =
        (0..4).filter(|index| answers[*index].status == 200).map(|index| names[index]).collect();
    assert_eq!(inside.len(), 2, "{answers:?}");
    answers.iter().filter(|answer| answer.status != 200).for_each(|answer| answer.refused(400, INVALID));
    assert_eq!(ann.members_of(&home).len(), 3);
    for name in names {
        let login = server.nobody().post("/api/login", json!({ "username": name, "password": PASSWORD }));
        assert_eq!(login.status == 200, inside.contains(&name), "no account without the group: {login:?}");
    }
}

#[test]
fn r_a8_a_link_ends_after_seven_days() {
    let mut server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let invite = ann.invite(&home);
    server.restart_later(6 * DAY);
    server.person("Bob").join(&invite);
    server.restart_later(2 * DAY);
    server.person("Cid").post(&format!("/api/join/{invite}"), json!({})).refused(400, INVALID);
    let ann = server.device("Ann");
    let valid = |row: &Value| row["id"] == json!(invite);
    let list = ann.get(&format!("/api/groups/{home}/invites")).ok();
    assert!(!list.as_array().unwrap().iter().any(valid), "an expired link is not offered any more: {list}");
}

#[test]
fn r_a8_guesses_are_limited_for_people_and_for_strangers() {
    let server = Server::setup().limit("joins_per_minute", 3).limit("logins_per_minute", 3).start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let invite = ann.invite(&ann.found("Home"));
    let guess = |number: u32| format!("00000000-0000-4000-8000-{number:012}");
    for number in 0..3 {
        bob.post(&format!("/api/join/{}", guess(number)), json!({})).refused(400, INVALID);
    }
    let throttled = bob.post(&format!("/api/join/{invite}"), json!({}));
    throttled.refused_with(429);
    assert!(throttled.header("Retry-After").is_some(), "{throttled:?}");

    // Looking and joining draw on the same tries of an address, also of one that guesses nonsense.
    let eve = server.nobody();
    let newcomer = json!({ "username": "Eve", "password": PASSWORD });
    eve.get(&format!("/api/invites/{}", guess(3))).refused(404, INVALID);
    eve.get("/api/invites/nonsense").refused(404, INVALID);
    eve.post(&format!("/api/join/{}/newcomer", guess(4)), newcomer.clone()).refused(400, INVALID);
    for late in [
        eve.get(&format!("/api/invites/{invite}")),
        eve.post(&format!("/api/join/{invite}/newcomer"), newcomer),
        server.nobody().get(&format!("/api/invites/{invite}")),
    ] {
        late.refused_with(429);
    }
    // With a login of her own Ann still gets in: her tries are hers.
    ann.join(&invite);
    // At the login an invite is guessed under the limit on logins; Ann and Bob used two of three.
    let with_code = json!({ "username": "Bob", "password": PASSWORD, "inviteCode": guess(5) });
    eve.post("/api/login", with_code.clone()).refused(400, INVALID);
    eve.post("/api/login", with_code).refused_with(429);
}
