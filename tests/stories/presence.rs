//! Who is there, and who is writing: about people rather than sockets, and never in the log.

use crate::harness::{Client, Native, Server, server::Setup};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// How long somebody may be gone before it is said.
const GRACE: Duration = Duration::from_secs(5);

fn talkative() -> Setup {
    Server::setup().open().limit("commands_per_second", 100_000).limit("commands_burst", 100_000)
}

/// Subscribes with presence; who is there, by id.
#[track_caller]
fn look(native: &mut Native, channel: &str) -> Vec<String> {
    let ack = native.ask("subscribe", json!({ "channel": channel, "presence": true }));
    let mut ids = crate::harness::client::texts(&ack["members"], "id");
    ids.sort();
    ids
}

#[track_caller]
fn is_about(frame: &Value, kind: &str, who: &Client) {
    assert_eq!(frame["type"], kind, "{frame}");
    assert_eq!(frame["payload"]["member"]["id"], json!(who.id()), "{frame}");
    assert!(frame.get("id").is_none() && frame["payload"].get("seq").is_none(), "no number: {frame}");
}

/// A socket in the channel, without presence.
#[track_caller]
fn present(client: &Client, channel: &str) -> Native {
    let mut native = Native::open(client);
    native.subscribe(channel);
    native
}

#[test]
fn the_last_socket_out_is_told_after_five_seconds() {
    let server = talkative().start();
    let (ann, bob, carl) = (server.person("Ann"), server.person("Bob"), server.person("Carl"));
    let mut watcher = Native::open(&ann);
    assert_eq!(look(&mut watcher, "general"), ["dev-ann"]);
    let one = present(&bob, "general");
    is_about(&watcher.event(), "joined", &bob);
    let two = present(&bob, "general");
    let mut of_carl = present(&carl, "general");
    is_about(&watcher.event(), "joined", &carl);
    // One of two sockets goes: nothing is said, neither now nor later.
    drop(one);
    let gone = Instant::now();
    // Carl goes politely and Bob's last one is torn off: both are told, after the grace, and in this order.
    of_carl.ask("unsubscribe", json!({ "channel": "general" }));
    watcher.expect_silence();
    drop(two);
    let mut first = watcher.event();
    let mut second = watcher.event();
    if first["payload"]["member"]["id"] != json!(carl.id()) {
        std::mem::swap(&mut first, &mut second);
    }
    is_about(&first, "left", &carl);
    is_about(&second, "left", &bob);
    let took = gone.elapsed();
    assert!(took > GRACE - Duration::from_millis(500), "{took:?}");
    assert!(took < GRACE + Duration::from_secs(4), "{took:?}");
    watcher.expect_silence();
    // The roster knows it, too.
    let mut late = Native::open(&ann);
    assert_eq!(look(&mut late, "general"), ["dev-ann"]);
}

#[test]
fn a_phone_that_changes_networks_does_not_flap() {
    let server = talkative().start();
    let (ann, bob, carl) = (server.person("Ann"), server.person("Bob"), server.person("Carl"));
    let mut watcher = Native::open(&ann);
    look(&mut watcher, "general");
    let phone = present(&bob, "general");
    is_about(&watcher.event(), "joined", &bob);
    for _ in 0..3 {
        drop(present(&bob, "general"));
    }
    drop(phone);
    // Away, and still among those who are there.
    let mut other = Native::open(&carl);
    assert_eq!(look(&mut other, "general"), ["dev-ann", "dev-bob", "dev-carl"]);
    is_about(&watcher.event(), "joined", &carl);
    let phone = present(&bob, "general");
    // Whoever goes now is told after the grace; by then Bob's would have been, too.
    other.ask("unsubscribe", json!({ "channel": "general" }));
    is_about(&watcher.event(), "left", &carl);
    watcher.expect_silence();
    drop(phone);
}

#[test]
fn each_channel_for_itself() {
    let server = talkative().start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    let channel = format!("group:{home}");
    let mut watcher = Native::open(&ann);
    assert_eq!(look(&mut watcher, "general"), ["dev-ann"]);
    assert_eq!(look(&mut watcher, &channel), ["dev-ann"]);
    let mut of_bob = present(&bob, "general");
    assert_eq!(watcher.event()["payload"]["channel"], "general");
    watcher.expect_silence();
    of_bob.subscribe(&channel);
    let joined = watcher.event();
    is_about(&joined, "joined", &bob);
    assert_eq!(joined["payload"]["channel"], json!(channel));
    // A page of the diary listens to the group, so its person is there.
    let carl = server.person("Carl");
    ann.bring(&home, &carl);
    watcher.until("member_joined");
    let _page = carl.socket();
    is_about(&watcher.event(), "joined", &carl);
    // Who did not ask for presence is told nothing of all this but what is in the log.
    of_bob.expect("member_joined");
    of_bob.expect_silence();
}

#[test]
fn not_a_member_sees_nobody() {
    let server = talkative().start();
    let (ann, eve) = (server.person("Ann"), server.person("Eve"));
    let home = ann.found("Home");
    let channel = format!("group:{home}");
    let mut watcher = Native::open(&ann);
    look(&mut watcher, &channel);
    let mut of_eve = Native::open(&eve);
    let error = of_eve.refused("subscribe", json!({ "channel": channel, "presence": true }), "FORBIDDEN");
    assert!(error.get("members").is_none() && !error.to_string().contains("dev-ann"), "{error}");
    watcher.expect_silence();
}

#[test]
fn a_removed_member_is_no_longer_there() {
    let server = talkative().start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    let channel = format!("group:{home}");
    let mut watcher = Native::open(&ann);
    look(&mut watcher, &channel);
    let mut of_bob = Native::open(&bob);
    assert_eq!(look(&mut of_bob, &channel), ["dev-ann", "dev-bob"]);
    is_about(&watcher.event(), "joined", &bob);
    ann.delete(&format!("/api/groups/{home}/members/{}", bob.id())).ok();
    of_bob.expect("member_left");
    watcher.expect("member_left");
    is_about(&watcher.event(), "left", &bob);
    of_bob.expect_silence();
}

#[test]
fn typing_is_told_once_a_second_and_never_to_oneself() {
    let server = talkative().start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let mut of_ann = present(&ann, "general");
    let mut of_bob = present(&bob, "general");
    let mut tablet = present(&ann, "general");
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(2500) {
        of_ann.ask("typing", json!({ "channel": "general" }));
    }
    let took = start.elapsed();
    of_ann.say("general", "there it is");
    let mut told = 0;
    loop {
        let frame = of_bob.event();
        if frame["type"] == "message" {
            break;
        }
        assert_eq!(frame["type"], "typing", "{frame}");
        assert_eq!(frame["payload"]["from"]["id"], json!(ann.id()), "{frame}");
        told += 1;
    }
    assert!((2..=1 + took.as_secs() as usize).contains(&told), "{told} times in {took:?}");
    of_ann.hear("there it is");
    of_ann.expect_silence();
    // The other device of the sender may be told or not; it hears the message in any case.
    while tablet.event()["type"] != "message" {}
    // It is not in the log.
    assert_eq!(Native::open(&bob).subscribe("general").seq, 1);
}

#[test]
fn typing_of_two_people_and_in_two_rooms() {
    let server = talkative().start();
    let (ann, bob, eve) = (server.person("Ann"), server.person("Bob"), server.person("Eve"));
    let mut of_ann = present(&ann, "general");
    let mut of_bob = present(&bob, "general");
    let mut of_eve = present(&eve, "kitchen");
    of_ann.ask("typing", json!({ "channel": "general" }));
    of_bob.ask("typing", json!({ "channel": "general" }));
    assert_eq!(of_bob.expect("typing")["payload"]["from"]["id"], json!(ann.id()));
    assert_eq!(of_ann.expect("typing")["payload"]["from"]["id"], json!(bob.id()));
    of_eve.expect_silence();
    // Saying it where one does not listen is no business of others' rooms.
    let home = ann.found("Home");
    of_eve.refused("typing", json!({ "channel": format!("group:{home}") }), "FORBIDDEN");
}
