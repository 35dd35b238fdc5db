//! People and logins that change while sockets are open: who left and is back, who logs in late, who registers
//! anew, who is renamed, and who is gone for good.

use crate::harness::{Client, Native, Server, native::Cursor, server::Setup};
use serde_json::{Value, json};

fn talkative() -> Setup {
    Server::setup().open().limit("commands_per_second", 100_000).limit("commands_burst", 100_000)
}

/// Ann and Bob in one group, and its channel.
fn household(server: &Server) -> (Client, Client, String) {
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    (ann, bob, home)
}

#[test]
fn who_left_and_came_back_resumes_over_the_gap() {
    let server = talkative().start();
    let (ann, bob, home) = household(&server);
    let channel = format!("group:{home}");
    let mut of_ann = Native::open(&ann);
    let mut before = Native::open(&bob);
    let cursor = before.subscribe(&channel);
    bob.post(&format!("/api/groups/{home}/leave"), json!({})).ok();
    before.expect("member_left");
    ann.bring(&home, &bob);
    of_ann.say(&channel, "welcome back");

    let mut after = Native::open(&bob);
    let ack = after.resume(&channel, &cursor);
    assert_eq!((&ack["recovered"], &ack["replay"]), (&json!(true), &json!(3)), "{ack}");
    after.expect("member_left");
    after.expect("member_joined");
    after.hear("welcome back");
    of_ann.say(&channel, "and live");
    after.hear("and live");
    before.expect_silence();

    let mut from_the_start = Native::open(&bob);
    from_the_start.resume(&channel, &Cursor::beginning());
    assert_eq!(from_the_start.until("member_left")["payload"]["user"]["id"], json!(bob.id()));
    from_the_start.expect("member_joined");
    from_the_start.hear("welcome back");
    from_the_start.hear("and live");
}

#[test]
fn whoever_comes_during_a_replay_is_in_the_roster_afterwards() {
    let server = talkative().start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let mut of_ann = Native::open(&ann);
    for number in 0..300 {
        of_ann.say("general", &format!("{number} {}", "x".repeat(900)));
    }
    // Ann's phone takes nothing while it is told all of that, and Bob comes meanwhile.
    let mut phone = Native::open(&server.device("Ann"));
    let since = json!({ "seq": 0 });
    phone.tell("subscribe", json!({ "channel": "general", "since": since, "presence": true }));
    let mut of_bob = Native::open(&bob);
    of_bob.subscribe("general");
    of_bob.say("general", "last");

    let mut knows_bob = false;
    let mut heard = 0;
    while heard < 301 || !knows_bob {
        let frame = phone.event();
        match frame["type"].as_str().unwrap() {
            "message" => heard += 1,
            "joined" => knows_bob |= frame["payload"]["member"]["id"] == json!(bob.id()),
            "members" => {
                let members = frame["payload"]["members"].as_array().unwrap();
                knows_bob |= members.iter().any(|member| member["id"] == json!(bob.id()));
            }
            other => panic!("a {other}: {frame}"),
        }
    }
}

#[test]
fn a_guest_who_logs_in_is_one_person_from_then_on() {
    let server = talkative().start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let mut watcher = Native::open(&ann);
    watcher.ask("subscribe", json!({ "channel": "general", "presence": true }));
    let mut socket = Native::anonymous(&server);
    socket.subscribe("general");
    assert_eq!(watcher.expect("joined")["payload"]["member"]["guest"], json!(true));
    socket.ask("auth", json!({ "token": bob.token() }));
    let mut seen: Vec<Value> = vec![watcher.event(), watcher.event()];
    seen.sort_by_key(|frame| frame["type"].to_string());
    assert_eq!(seen[0]["type"], "joined", "{seen:?}");
    assert_eq!(seen[0]["payload"]["member"]["id"], json!(bob.id()));
    assert_eq!((&seen[1]["type"], &seen[1]["payload"]["member"]["guest"]), (&json!("left"), &json!(true)));
    watcher.expect_silence();
}

#[test]
fn registering_with_a_new_login_misses_nothing() {
    let server = talkative().start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let mut bell = server.nobody().handshake().open();
    bell.send_json(json!({ "type": "register", "jwtToken": bob.token() }));
    assert_eq!(bell.expect_json()["type"], "connected");
    assert_eq!(bell.expect_json()["type"], "registered");
    let again = server.device("Bob").token();
    let mut of_ann = Native::open(&ann);
    for number in 0..20 {
        of_ann.say("general", &format!("@bob {number}"));
        if number == 10 {
            bell.send_json(json!({ "type": "register", "jwtToken": again }));
        }
    }
    let mut ids = Vec::new();
    while ids.len() < 20 {
        let frame = bell.expect_json();
        if frame["type"] == "notification_received" {
            ids.push(frame["data"]["id"].as_i64().unwrap());
        }
    }
    assert_eq!(ids, (1..=20).collect::<Vec<_>>());
}

#[test]
fn a_new_name_is_told_in_ones_groups() {
    let server = talkative().start();
    let (ann, bob, home) = household(&server);
    let mut of_ann = Native::open(&ann);
    of_ann.subscribe(&format!("group:{home}"));
    bob.put("/api/auth/user", json!({ "username": "Bobby" })).ok();
    let told = of_ann.expect("person_changed");
    assert_eq!(told["payload"]["user"], json!({ "id": bob.id(), "name": "Bobby" }));
}

#[test]
fn a_deleted_account_is_told_wherever_it_wrote() {
    let server = talkative().start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let mut of_bob = Native::open(&bob);
    of_bob.say("general", "a secret");
    let mut of_ann = Native::open(&ann);
    let cursor = of_ann.subscribe("general");
    bob.delete("/api/user/account").ok();
    assert_eq!(of_ann.expect("person_erased")["payload"]["user"]["id"], json!(bob.id()));
    of_bob.rest_until_close(1008);
    // Also who was away hears of it, and nobody finds the words any more.
    let mut away = Native::open(&server.device("Ann"));
    away.resume("general", &cursor);
    away.expect("person_erased");
    let mut from_the_start = Native::open(&server.device("Ann"));
    from_the_start.resume("general", &Cursor::beginning());
    from_the_start.expect("message_deleted");
    let history = ann.get("/api/rooms/general/messages").ok();
    assert_eq!(history["messages"], json!([]));
}
