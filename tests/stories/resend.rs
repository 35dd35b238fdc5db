//! Sending again what was not acknowledged: one message, acknowledged again, whatever happened between.

use crate::harness::{Client, Native, Server, native::Cursor};
use serde_json::{Value, json};

/// An id as clients make them: a UUID, different for each number.
fn uuid(number: u64) -> String {
    format!("8f14e45f-ceea-467f-a9f3-{number:012x}")
}

fn payload(text: &str) -> Value {
    json!({ "channel": "general", "text": text })
}

/// The texts of a room, oldest first.
fn texts(client: &Client, channel: &str) -> Vec<String> {
    let page = client.get(&format!("/api/rooms/{channel}/messages?limit=100")).ok();
    let mut texts = crate::harness::client::texts(&page["messages"], "text");
    texts.reverse();
    texts
}

#[test]
fn the_same_again_is_the_same_message() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let mut listener = Native::open(&bob);
    listener.subscribe("general");
    let mut speaker = Native::open(&ann);
    for id in [json!(uuid(1)), json!(7), json!("short")] {
        let text = format!("under {id}");
        let first = speaker.ask_as(&id, "message", payload(&text)).unwrap();
        let again = speaker.ask_as(&id, "message", payload(&text)).unwrap();
        assert_eq!(first, again);
        let mut other_socket = Native::open(&ann);
        assert_eq!(first, other_socket.ask_as(&id, "message", payload(&text)).unwrap());
        listener.hear(&text);
        listener.expect_silence();
    }
}

#[test]
fn another_text_sender_channel_or_id_is_another_message() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let mut of_ann = Native::open(&ann);
    let mut of_bob = Native::open(&bob);
    let kitchen = json!({ "channel": "kitchen", "text": "hello" });
    // A patterns' client counts its ids from 1 after every reload.
    let acks = [
        of_ann.ask_as(&json!(1), "message", payload("hello")).unwrap(),
        of_ann.ask_as(&json!(1), "message", payload("hello!")).unwrap(),
        of_ann.ask_as(&json!(2), "message", payload("hello")).unwrap(),
        of_bob.ask_as(&json!(1), "message", payload("hello")).unwrap(),
        of_ann.ask_as(&json!(1), "message", kitchen).unwrap(),
    ];
    let ids: std::collections::BTreeSet<String> =
        acks.iter().map(|ack| ack["messageId"].to_string()).collect();
    assert_eq!(ids.len(), acks.len(), "{acks:?}");
    assert_eq!(texts(&ann, "general"), ["hello", "hello!", "hello", "hello"]);
    assert_eq!(texts(&ann, "kitchen"), ["hello"]);
}

#[test]
fn without_an_id_every_message_is_new() {
    let server = Server::open();
    let ann = server.person("Ann");
    let mut speaker = Native::open(&ann);
    speaker.subscribe("general");
    for _ in 0..3 {
        speaker.tell("message", payload("knock"));
    }
    for _ in 0..3 {
        speaker.hear("knock");
    }
    assert_eq!(texts(&ann, "general").len(), 3);
}

#[test]
fn a_short_id_is_remembered_for_ten_minutes_and_a_long_one_for_ever() {
    let mut server = Server::open();
    let ann = server.person("Ann");
    let mut speaker = Native::open(&ann);
    let short = speaker.ask_as(&json!(1), "message", payload("short")).unwrap();
    let long = speaker.ask_as(&json!(uuid(1)), "message", payload("long")).unwrap();
    server.restart_later(9 * 60);
    let mut speaker = Native::open(&ann);
    assert_eq!(speaker.ask_as(&json!(1), "message", payload("short")).unwrap(), short);
    server.restart_later(2 * 60);
    let mut speaker = Native::open(&ann);
    assert_eq!(speaker.ask_as(&json!(uuid(1)), "message", payload("long")).unwrap(), long);
    let other = speaker.ask_as(&json!(1), "message", payload("short")).unwrap();
    assert_ne!(other["messageId"], short["messageId"]);
    server.restart_later(20 * 24 * 3600);
    let mut speaker = Native::open(&ann);
    assert_eq!(speaker.ask_as(&json!(uuid(1)), "message", payload("long")).unwrap(), long);
    assert_eq!(texts(&ann, "general"), ["short", "long", "short"]);
}

#[test]
fn a_message_whose_answer_a_power_cut_took() {
    let mut server =
        Server::setup().open().limit("commands_per_second", 1000).limit("commands_burst", 1000).start();
    let ann = server.person("Ann");
    let mut said = 0u64;
    for round in 0..8u64 {
        let mut speaker = Native::open(&ann);
        // Some are acknowledged, some are not: the cut comes at another moment each time.
        for number in said..said + 5 {
            speaker.socket.send_json(
                json!({ "type": "message", "id": uuid(number), "payload": payload(&format!("message {number}")) }),
            );
        }
        let mut acks = Vec::new();
        if round > 0 {
            for number in said..said + round.min(5) {
                acks.push((number, speaker.answer_to(&json!(uuid(number))).unwrap()));
            }
        }
        server.kill9();
        server.start_again();
        let mut speaker = Native::open(&ann);
        for number in said..said + 5 {
            let again = speaker
                .ask_as(&json!(uuid(number)), "message", payload(&format!("message {number}")))
                .unwrap();
            if let Some((_, first)) = acks.iter().find(|(acked, _)| *acked == number) {
                assert_eq!(*first, again, "an acknowledgement means that it is on the disk");
            }
        }
        said += 5;
    }
    let mut all = texts(&ann, "general");
    all.sort_by_key(|text| text[8..].parse::<u64>().unwrap());
    let expected: Vec<String> = (0..said).map(|number| format!("message {number}")).collect();
    assert_eq!(all, expected, "each exactly once");
    let mut listener = Native::open(&ann);
    let ack = listener.resume("general", &Cursor::beginning());
    assert_eq!((&ack["recovered"], &ack["replay"]), (&json!(true), &json!(said)), "{ack}");
}

#[test]
fn over_http_a_client_id_does_the_same() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let mut listener = Native::open(&bob);
    listener.subscribe("general");
    let body = json!({ "text": "hello", "clientId": uuid(3) });
    let first = ann.post("/api/rooms/general/messages", body.clone()).ok();
    let again = ann.post("/api/rooms/general/messages", body).ok();
    assert_eq!(first, again);
    listener.hear("hello");
    // And it is one name space with the ids of sockets.
    let ack = Native::open(&ann).ask_as(&json!(uuid(3)), "message", payload("hello")).unwrap();
    assert_eq!((&ack["messageId"], &ack["seq"]), (&first["id"], &first["seq"]));
    listener.expect_silence();
    let without = json!({ "text": "hello" });
    assert_ne!(ann.post("/api/rooms/general/messages", without).ok()["id"], first["id"]);
    listener.hear("hello");
}

#[test]
fn the_same_at_the_same_moment_is_one_message() {
    let server = Server::open();
    let ann = server.person("Ann");
    let mut listener = Native::open(&ann);
    listener.subscribe("general");
    let acks = crate::harness::together(6, |_| {
        Native::open(&ann).ask_as(&json!(uuid(5)), "message", payload("once")).unwrap()
    });
    assert!(acks.iter().all(|ack| *ack == acks[0]), "{acks:?}");
    listener.hear("once");
    listener.expect_silence();
}

#[test]
fn sending_again_is_refused_where_one_may_not_say_it_any_more() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    let channel = format!("group:{home}");
    let mut speaker = Native::open(&bob);
    let words = json!({ "channel": channel, "text": "hello" });
    speaker.ask_as(&json!(uuid(9)), "message", words.clone()).unwrap();
    ann.delete(&format!("/api/groups/{home}/members/{}", bob.id())).ok();
    let error = speaker.ask_as(&json!(uuid(9)), "message", words).unwrap_err();
    assert_eq!(error["code"], "FORBIDDEN");
}

#[test]
fn what_was_changed_or_deleted_meanwhile_is_not_said_again() {
    let server = Server::open();
    let ann = server.person("Ann");
    let mut phone = Native::open(&ann);
    let mut tablet = Native::open(&ann);
    // The phone never learns of the acknowledgement; the tablet sees the message and acts on it.
    let changed = phone.ask_as(&json!(uuid(1)), "message", payload("helo")).unwrap();
    let deleted = phone.ask_as(&json!(uuid(2)), "message", payload("regretted")).unwrap();
    tablet.ask("edit", json!({ "channel": "general", "seq": changed["seq"], "text": "hello" }));
    tablet.ask("delete", json!({ "channel": "general", "seq": deleted["seq"] }));
    let mut phone = Native::open(&ann);
    assert_eq!(phone.ask_as(&json!(uuid(1)), "message", payload("helo")).unwrap(), changed);
    assert_eq!(phone.ask_as(&json!(uuid(2)), "message", payload("regretted")).unwrap(), deleted);
    assert_eq!(texts(&ann, "general"), ["hello"]);
}
