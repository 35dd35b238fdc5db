//! How much there may be of everything: one more than that is refused, and what is there stays.

use crate::harness::{Client, Reply, Server};
use serde_json::{Value, json};

fn found(person: &Client, name: &str) -> Reply {
    person.post("/api/groups", json!({ "name": name }))
}

fn join(person: &Client, invite: &str) -> Reply {
    person.post(&format!("/api/join/{invite}"), json!({}))
}

#[test]
fn people() {
    let server = Server::setup().open().limit("users", 2).start();
    let ann = server.person("Ann");
    let bob = server.person("Bob");
    let nobody = server.nobody();
    nobody.post("/api/login", json!({ "username": "Cid" })).refused_naming(403, "2 people");
    assert_eq!(nobody.cookie(), None);
    server.device("Ann").get("/api/auth/user").ok();
    ann.get("/api/auth/user").ok();
    // A place that is free again is free at once.
    bob.delete("/api/user/account").ok();
    server.person("Cid").get("/api/auth/user").ok();
}

#[test]
fn groups_of_one_person() {
    let server = Server::setup().open().limit("groups_per_user", 2).start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let foreign = bob.invite(&bob.found("Bob's"));
    let first = ann.found("First");
    ann.found("Second");
    found(&ann, "Third").refused_naming(400, "groups");
    join(&ann, &foreign).refused_naming(400, "groups");
    assert_eq!(ann.get("/api/groups").ok().as_array().unwrap().len(), 2);
    let nobody = server.nobody();
    let login = json!({ "username": "Ann", "inviteCode": foreign });
    nobody.post("/api/login", login).refused_naming(400, "groups");
    assert_eq!(nobody.cookie(), None, "an invite that fails logs nobody in");
    ann.delete(&format!("/api/groups/{first}")).ok();
    ann.join(&foreign);
}

#[test]
fn members_of_one_group() {
    let server = Server::setup().open().limit("members_per_group", 2).start();
    let (ann, bob, cid) = (server.person("Ann"), server.person("Bob"), server.person("Cid"));
    let home = ann.found("Home");
    let once = ann.post(&format!("/api/groups/{home}/invite"), json!({ "maxUses": 1 })).ok();
    ann.bring(&home, &bob);
    let once = once["id"].as_str().unwrap();
    join(&cid, once).refused_naming(400, "members");
    assert_eq!(ann.members_of(&home).len(), 2);
    join(&bob, once).ok();
    bob.post(&format!("/api/groups/{home}/leave"), json!({})).ok();
    join(&cid, once).ok();
    assert_eq!(ann.members_of(&home), [cid.id(), ann.id()], "the refusal did not use the invite up");
}

#[test]
fn groups_of_one_post() {
    let server = Server::setup().open().limit("groups_per_entry", 2).start();
    let ann = server.person("Ann");
    let [one, two, three] = ["One", "Two", "Three"].map(|name| ann.found(name));
    let log = |groups: Value| {
        ann.post("/api/deuces", json!({ "groupIds": groups, "location": "Home", "thoughts": "x" }))
    };
    log(json!([one, two, three])).refused_naming(400, "groupIds");
    assert_eq!(ann.get("/api/deuces").ok(), json!([]));
    assert_eq!(log(json!([one, two, one])).ok()["count"], 2);
}

#[test]
fn invites_of_one_group() {
    let mut server = Server::setup().open().limit("invites_per_group", 2).start();
    let ann = server.person("Ann");
    let (home, other) = (ann.found("Home"), ann.found("Other"));
    let path = format!("/api/groups/{home}/invite");
    let first = ann.invite(&home);
    ann.invite(&home);
    ann.post(&path, json!({})).refused_naming(400, "invites");
    ann.invite(&other);
    ann.delete(&format!("/api/groups/{home}/invites/{first}")).ok();
    ann.invite(&home);
    ann.post(&path, json!({})).refused_naming(400, "invites");
    server.restart_later(8 * 24 * 60 * 60);
    ann.invite(&home);
    assert_eq!(ann.get(&format!("/api/groups/{home}/invites")).ok().as_array().unwrap().len(), 1);
}

#[test]
fn places_of_one_person() {
    let server = Server::setup().open().limit("locations_per_user", 2).start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let add = |person: &Client, name: &str| person.post("/api/locations", json!({ "name": name }));
    let offered = ann.get("/api/locations").ok().as_array().unwrap().len();
    add(&ann, "Shed").ok();
    add(&ann, "Attic").ok();
    add(&ann, "Roof").refused_naming(400, "places");
    assert_eq!(ann.get("/api/locations").ok().as_array().unwrap().len(), offered + 2);
    add(&bob, "Roof").ok();
}

#[test]
fn reactions_to_one_entry() {
    let server = Server::setup().open().limit("reactions_per_entry", 2).start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    let path = format!("/api/entries/{}/reactions", ann.log_id(&home, "x"));
    let react = |person: &Client, emoji: &str| person.post(&path, json!({ "emoji": emoji }));
    react(&ann, "👍").ok();
    react(&ann, "🔥").ok();
    react(&bob, "👍").refused_naming(400, "reactions");
    assert_eq!(ann.get(&path).ok().as_array().unwrap().len(), 2);
    ann.delete_with_body(&path, json!({ "emoji": "🔥" })).ok();
    react(&bob, "👍").ok();
    let other = ann.log_id(&home, "y");
    bob.post(&format!("/api/entries/{other}/reactions"), json!({ "emoji": "👍" })).ok();
}

#[test]
fn logins_of_one_person() {
    let server = Server::setup().open().limit("sessions_per_user", 2).start();
    let bob = server.person("Bob");
    let (oldest, newer) = (server.person("Ann"), server.device("Ann"));
    let mut of_oldest = [oldest.socket(), oldest.bearer().socket()];
    let (mut of_newer, mut of_bob) = (newer.socket(), bob.socket());
    let newest = server.device("Ann");
    for socket in &mut of_oldest {
        socket.expect_close(1008);
    }
    oldest.handshake().refused(401);
    oldest.get("/api/auth/user").refused(401, "Unauthorized");
    for kept in [&newer, &newest, &bob] {
        kept.get("/api/auth/user").ok();
    }
    of_newer.expect_silence();
    of_bob.expect_silence();
}

#[test]
fn keys_of_one_person() {
    let server = Server::setup()
        .open()
        .limit("idempotency_keys_per_user", 100)
        .limit("deuces_per_minute", 100_000)
        .start();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let log = |key: &str| {
        let body = json!({ "groupId": home, "location": "Home", "thoughts": key });
        ann.request("POST", "/api/deuces").header("Idempotency-Key", key).json(&body).send()
    };
    let is_replay = |reply: &Reply| reply.header("Idempotent-Replay").is_some();
    for number in 0..102 {
        assert!(!is_replay(&log(&number.to_string())), "{number}");
    }
    for kept in ["101", "100", "60"] {
        assert!(is_replay(&log(kept)), "{kept} is remembered");
    }
    assert!(!is_replay(&log("0")), "the oldest is forgotten");
}
