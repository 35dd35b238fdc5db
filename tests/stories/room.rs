//! Rooms: what may be said, by whom, and what can be read later over HTTP.

use crate::harness::{Client, Native, Server, check, server::Setup};
use serde_json::{Value, json};

fn talkative() -> Setup {
    Server::setup()
        .open()
        .limit("commands_per_second", 100_000)
        .limit("commands_burst", 100_000)
        .limit("api_requests_per_minute", 1_000_000)
}

fn path(channel: &str) -> String {
    format!("/api/rooms/{channel}/messages")
}

/// The numbers of a page, and where the next one begins.
#[track_caller]
fn page(client: &Client, channel: &str, query: &str) -> (Vec<i64>, Option<i64>) {
    let page = client.get(&format!("{}{query}", path(channel))).ok();
    let messages = page["messages"].as_array().unwrap_or_else(|| panic!("{page}"));
    for message in messages {
        assert!(message["id"].is_string() && message["text"].is_string(), "{message}");
        assert!(message["from"]["name"].is_string(), "{message}");
        assert!(message.get("edited").is_none_or(|edited| edited == true), "{message}");
        match message["timestamp"].is_string() {
            true => drop(check::time(&message["timestamp"])),
            false => {
                assert!(message["timestamp"].as_i64().is_some_and(|at| at > 1_000_000_000_000), "{message}")
            }
        }
    }
    let next = page.get("nextBefore").unwrap_or_else(|| panic!("no nextBefore: {page}"));
    (messages.iter().map(|message| message["seq"].as_i64().unwrap()).collect(), next.as_i64())
}

#[test]
fn history_is_read_page_by_page() {
    let server = talkative().start();
    let ann = server.person("Ann");
    assert_eq!(page(&ann, "general", ""), (vec![], None));
    let mut speaker = Native::open(&ann);
    for number in 1..=120 {
        speaker.say("general", &number.to_string());
    }
    // Newest first, fifty where nothing is said, a hundred at most.
    let down = |from: i64, to: i64| (to..=from).rev().collect::<Vec<i64>>();
    assert_eq!(page(&ann, "general", ""), (down(120, 71), Some(71)));
    assert_eq!(page(&ann, "general", "?before=71"), (down(70, 21), Some(21)));
    assert_eq!(page(&ann, "general", "?before=21"), (down(20, 1), None));
    assert_eq!(page(&ann, "general", "?limit=100").0, down(120, 21));
    assert_eq!(page(&ann, "general", "?limit=1000").0, down(120, 21));
    assert_eq!(page(&ann, "general", "?limit=2&before=3"), (vec![2, 1], None));
    assert_eq!(page(&ann, "general", "?limit=1&before=3"), (vec![2], Some(2)));
    assert_eq!(page(&ann, "general", "?before=1"), (vec![], None));
    assert_eq!(page(&ann, "general", "?before=1000000").0, down(120, 71));
    for limit in ["0", "-1", "x", "1.5"] {
        ann.get(&format!("{}?limit={limit}", path("general"))).refused_naming(400, "limit");
    }
    for before in ["x", "-1", "1.5"] {
        ann.get(&format!("{}?before={before}", path("general"))).refused_naming(400, "before");
    }
}

#[test]
fn what_is_no_message_and_what_was_deleted_is_left_out() {
    let server = talkative().start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    let channel = format!("group:{home}");
    let mut speaker = Native::open(&ann);
    let first = speaker.say(&channel, "first")["seq"].as_i64().unwrap();
    ann.log(&home, "an entry");
    let second = speaker.say(&channel, "second")["seq"].as_i64().unwrap();
    speaker.ask("edit", json!({ "channel": channel, "seq": first, "text": "first!" }));
    let third = speaker.say(&channel, "third")["seq"].as_i64().unwrap();
    assert_eq!(page(&bob, &channel, "").0, [third, second, first]);
    speaker.ask("delete", json!({ "channel": channel, "seq": second }));
    assert_eq!(page(&bob, &channel, "").0, [third, first]);
    assert_eq!(page(&bob, &channel, "?limit=1"), (vec![third], Some(third)));
    assert_eq!(page(&bob, &channel, &format!("?limit=1&before={third}")), (vec![first], None));
    let messages = bob.get(&path(&channel)).ok()["messages"].clone();
    assert_eq!((&messages[1]["text"], &messages[1]["edited"]), (&json!("first!"), &json!(true)));
    assert!(messages[0].get("edited").is_none(), "{messages}");
}

#[test]
fn deleted_words_do_not_come_back_anywhere() {
    let mut server = talkative().start();
    let ann = server.person("Ann");
    let mut speaker = Native::open(&ann);
    let said = speaker.say("general", "embarrassing one")["seq"].clone();
    speaker.ask("edit", json!({ "channel": "general", "seq": said, "text": "embarrassing two" }));
    speaker.ask("delete", json!({ "channel": "general", "seq": said }));
    let mut later = Native::open(&ann);
    let ack = later.resume("general", &crate::harness::native::Cursor::beginning());
    for _ in 0..ack["replay"].as_i64().unwrap() {
        let event = later.event();
        assert!(!event.to_string().contains("embarrassing"), "{event}");
    }
    assert!(!ann.get(&path("general")).text().contains("embarrassing"));
    assert!(!ann.get("/api/user/export").text().contains("embarrassing"));
    server.terminate();
    for entry in std::fs::read_dir(server.data()).unwrap() {
        let file = entry.unwrap().path();
        let bytes = if file.is_file() { std::fs::read(&file).unwrap() } else { Vec::new() };
        let found = bytes.windows(12).any(|window| window == b"embarrassing");
        assert!(!found, "deleted words in {}", file.display());
    }
}

#[test]
fn who_may_change_what_over_http() {
    let server = talkative().start();
    let (ann, bob, eve) = (server.person("Ann"), server.person("Bob"), server.person("Eve"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    let channel = format!("group:{home}");
    let said = ann.post(&path(&channel), json!({ "text": "mine" })).ok();
    let of_ann = format!("{}/{}", path(&channel), said["seq"]);
    // Rights are looked at again with everything that is said.
    eve.get(&path(&channel)).refused_with(403);
    eve.post(&path(&channel), json!({ "text": "x" })).refused_with(403);
    eve.patch(&of_ann, json!({ "text": "x" })).refused_with(403);
    eve.delete(&of_ann).refused_with(403);
    bob.patch(&of_ann, json!({ "text": "x" })).refused_with(403);
    bob.delete(&of_ann).refused_with(403);
    for method in ["GET", "POST"] {
        let nobody = server.nobody();
        nobody.request(method, &path(&channel)).json(&json!({ "text": "x" })).send().refused_with(401);
    }
    for unknown in ["999999", "0"] {
        ann.patch(&format!("{}/{unknown}", path(&channel)), json!({ "text": "x" })).refused_with(404);
        ann.delete(&format!("{}/{unknown}", path(&channel))).refused_with(404);
    }
    // An event that is no message cannot be changed like one.
    let joined = said["seq"].as_i64().unwrap() - 1;
    ann.patch(&format!("{}/{joined}", path(&channel)), json!({ "text": "x" })).refused_with(404);
    ann.post(&path(&channel), json!({ "text": "" })).refused_naming(400, "text");
    ann.post(&path(&channel), json!({})).refused_naming(400, "text");
    ann.patch(&of_ann, json!({ "text": "😀".repeat(501) })).refused_naming(400, "text");
    ann.patch(&of_ann, json!({ "text": "changed" })).ok();
    assert_eq!(ann.get(&path(&channel)).ok()["messages"][0]["text"], "changed");
    // Somebody who left cannot say, read or change any more, not even what was theirs.
    let of_bob = bob.post(&path(&channel), json!({ "text": "Bob's" })).ok();
    bob.post(&format!("/api/groups/{home}/leave"), json!({})).ok();
    bob.patch(&format!("{}/{}", path(&channel), of_bob["seq"]), json!({ "text": "x" })).refused_with(403);
    bob.post(&path(&channel), json!({ "text": "x" })).refused_with(403);
    bob.get(&path(&channel)).refused_with(403);
}

#[test]
fn what_is_said_over_http_is_heard_at_once() {
    let server = talkative().start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let mut listener = Native::open(&bob);
    listener.subscribe("general");
    let answer = ann.post(&path("general"), json!({ "text": "hello" })).ok();
    let event = listener.hear("hello");
    assert_eq!((&answer["id"], &answer["seq"]), (&event["id"], &event["payload"]["seq"]));
    assert_eq!(answer["channel"], "general");
    let other_name = ann.post(&path("room:general"), json!({ "text": "again" })).ok();
    assert_eq!(other_name["channel"], "general");
    listener.hear("again");
    let mut of_ann = Native::open(&ann);
    let seq = of_ann.say("general", "over a socket")["seq"].clone();
    assert_eq!(bob.get(&path("general")).ok()["messages"][0]["seq"], seq);
}

#[test]
fn ones_rooms() {
    let server = talkative().start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    let channel = format!("group:{home}");
    let said = ann.post(&path("general"), json!({ "text": "hello" })).ok();
    let rooms = ann.get("/api/rooms").ok()["rooms"].as_array().unwrap().clone();
    let room =
        |rooms: &[Value], channel: &str| rooms.iter().find(|room| room["channel"] == *channel).cloned();
    let general = room(&rooms, "general").expect("a room with a log");
    assert_eq!((&general["seq"], &general["lastId"]), (&json!(1), &said["id"]), "{general}");
    let of_home = room(&rooms, &channel).expect("one's group");
    assert_eq!(of_home["name"], "Home", "{of_home}");
    // What the list says is where a subscription begins.
    let mut native = Native::open(&ann);
    let cursor = native.subscribe(&channel);
    assert_eq!((&of_home["seq"], &of_home["lastId"]), (&json!(cursor.seq), &cursor.id), "{of_home}");
    let of_bob = bob.get("/api/rooms").ok()["rooms"].as_array().unwrap().clone();
    assert!(room(&of_bob, &channel).is_none(), "not Bob's: {of_bob:?}");
    assert!(room(&of_bob, "general").is_some());
    server.nobody().get("/api/rooms").refused_with(401);
}

#[test]
fn names_that_are_no_room() {
    let server = talkative().start();
    let ann = server.person("Ann");
    let mut native = Native::open(&ann);
    for (channel, code) in [
        ("", "INVALID"),
        (&*"x".repeat(101), "INVALID"),
        ("a\nb", "INVALID"),
        ("user:1", "FORBIDDEN"),
        ("user:dev-ann", "FORBIDDEN"),
        ("group:x", "FORBIDDEN"),
        ("group:", "FORBIDDEN"),
    ] {
        native.refused("subscribe", json!({ "channel": channel }), code);
        native.refused("message", json!({ "channel": channel, "text": "x" }), code);
    }
    for channel in ["Küche 🍳", "a b", "%", "..", "x".repeat(100).as_str()] {
        native.subscribe(channel);
        native.say(channel, "hello");
        native.hear("hello");
    }
    ann.get("/api/rooms/user:1/messages").refused_with(403);
    let kitchen = ann.get("/api/rooms/K%C3%BCche%20%F0%9F%8D%B3/messages").ok();
    assert_eq!(kitchen["messages"][0]["text"], "hello");
}

#[test]
fn rights_are_checked_with_every_word() {
    let server = talkative().start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    let channel = format!("group:{home}");
    let mut of_ann = Native::open(&ann);
    of_ann.subscribe(&channel);
    let mut of_bob = Native::open(&bob);
    of_bob.subscribe(&channel);
    let seq = of_bob.say(&channel, "while I am in")["seq"].clone();
    of_bob.hear("while I am in");
    of_ann.hear("while I am in");
    ann.delete(&format!("/api/groups/{home}/members/{}", bob.id())).ok();
    assert_eq!(of_bob.expect("member_left")["payload"]["user"]["id"], json!(bob.id()));
    for (kind, payload) in [
        ("message", json!({ "channel": channel, "text": "still here" })),
        ("edit", json!({ "channel": channel, "seq": seq, "text": "changed" })),
        ("delete", json!({ "channel": channel, "seq": seq })),
        ("typing", json!({ "channel": channel })),
        ("subscribe", json!({ "channel": channel })),
    ] {
        of_bob.refused(kind, payload, "FORBIDDEN");
    }
    of_bob.expect_silence();
    of_ann.expect("member_left");
    of_ann.expect_silence();
    // Back in, everything is as before.
    ann.bring(&home, &bob);
    of_ann.expect("member_joined");
    of_bob.subscribe(&channel);
    of_bob.say(&channel, "back");
    of_bob.hear("back");
}

#[test]
fn an_ended_group_takes_its_room_with_it() {
    let server = talkative().start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    let channel = format!("group:{home}");
    let mut of_bob = Native::open(&bob);
    of_bob.subscribe(&channel);
    of_bob.subscribe("general");
    ann.post(&path(&channel), json!({ "text": "gone soon" })).ok();
    of_bob.hear("gone soon");
    ann.delete(&format!("/api/groups/{home}")).ok();
    of_bob.expect("group_deleted");
    of_bob.refused("message", json!({ "channel": channel, "text": "x" }), "FORBIDDEN");
    of_bob.expect_silence();
    ann.get(&path(&channel)).refused_with(403);
    of_bob.say("general", "life goes on");
    of_bob.hear("life goes on");
}

#[test]
fn changes_are_told_live_and_later() {
    let server = talkative().start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let mut of_bob = Native::open(&bob);
    of_bob.subscribe("general");
    let mut of_ann = Native::open(&ann);
    let said = of_ann.say("general", "one");
    let heard = of_bob.hear("one");
    assert_eq!(said["messageId"], heard["id"]);
    // Away while it is changed: the change is among what was missed.
    let cursor = crate::harness::native::Cursor::after(&heard);
    drop(of_bob);
    of_ann.ask(
        "edit",
        json!({ "channel": "general", "seq": 1, "messageId": said["messageId"], "text": "two" }),
    );
    of_ann.ask("edit", json!({ "channel": "general", "seq": 1, "text": "three" }));
    let mut of_bob = Native::open(&bob);
    assert_eq!(of_bob.resume("general", &cursor)["replay"], 2);
    let first = of_bob.expect("message_edited");
    assert_eq!((&first["payload"]["messageId"], &first["payload"]["messageSeq"]), (&heard["id"], &json!(1)));
    assert_eq!(of_bob.expect("message_edited")["payload"]["text"], "three");
    of_ann.ask("delete", json!({ "channel": "general", "seq": 1 }));
    assert_eq!(of_bob.expect("message_deleted")["payload"]["messageId"], heard["id"]);
    of_bob.expect_silence();
}

#[test]
fn many_speak_at_once_and_all_hear_the_same() {
    let server = talkative().start();
    let people: Vec<Client> = ["Ann", "Bob", "Carl", "Dora"].map(|name| server.person(name)).into();
    let mut listeners: Vec<Native> = people.iter().map(Native::open).collect();
    for listener in &mut listeners {
        listener.subscribe("general");
    }
    crate::harness::together(4, |index| {
        let mut speaker = Native::open(&people[index]);
        for number in 0..50 {
            speaker.say("general", &format!("{index} {number}"));
        }
    });
    let heard: Vec<Vec<Value>> =
        listeners.iter_mut().map(|listener| (0..200).map(|_| listener.expect("message")).collect()).collect();
    assert!(heard.iter().all(|all| *all == heard[0]), "the same events in the same order");
    for index in 0..4 {
        let of_one: Vec<&str> = heard[0]
            .iter()
            .filter_map(|event| event["payload"]["text"].as_str())
            .filter(|text| text.starts_with(&format!("{index} ")))
            .collect();
        let expected: Vec<String> = (0..50).map(|number| format!("{index} {number}")).collect();
        assert_eq!(of_one, expected, "what one says keeps its order");
    }
}
