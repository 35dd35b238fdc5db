//! Coming back to a channel: exactly what was missed, or a clear word that it cannot be told. Across torn
//! connections, restarts, power cuts, a trimmed log and a restored backup.

use crate::harness::{
    Client, Native, Server, Socket,
    native::{Cursor, native_handshake},
    server::{Setup, copy_folder},
};
use serde_json::{Value, json};
use std::fs;

/// Room for as many words as a test says.
fn talkative() -> Setup {
    Server::setup()
        .open()
        .limit("commands_per_second", 100_000)
        .limit("commands_burst", 100_000)
        .limit("api_requests_per_minute", 1_000_000)
}

/// Says `count` things, numbered on from `first`; where somebody is who heard the last.
#[track_caller]
fn chatter(speaker: &mut Native, channel: &str, first: usize, count: usize) -> Cursor {
    let mut last = Value::Null;
    for number in first..first + count {
        last = speaker.say(channel, &format!("message {number}"));
    }
    Cursor { seq: last["seq"].as_i64().unwrap(), id: last["messageId"].clone() }
}

/// Hears exactly those messages and then nothing.
#[track_caller]
fn hears_all(native: &mut Native, first: usize, count: usize) -> Cursor {
    let mut last = None;
    for number in first..first + count {
        last = Some(native.hear(&format!("message {number}")));
    }
    Cursor::after(&last.expect("at least one"))
}

#[test]
fn a_torn_connection_misses_nothing() {
    let server = talkative().start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let mut speaker = Native::open(&ann);
    let mut listener = Native::open(&bob);
    let mut cursor = listener.subscribe("general");
    let mut said = 0;
    for missed in [1, 0, 7, 450] {
        chatter(&mut speaker, "general", said, 3);
        cursor = hears_all(&mut listener, said, 3);
        said += 3;
        // Torn off, not closed.
        drop(listener);
        if missed > 0 {
            chatter(&mut speaker, "general", said, missed);
        }
        listener = Native::open(&bob);
        let ack = listener.resume("general", &cursor);
        assert_eq!((&ack["recovered"], &ack["replay"]), (&json!(true), &json!(missed)), "{ack}");
        if missed > 0 {
            cursor = hears_all(&mut listener, said, missed);
            said += missed;
        }
        listener.expect_silence();
    }
    assert_eq!(cursor.seq as usize, said);
}

#[test]
fn what_is_said_while_one_comes_back_is_heard_once_and_in_order() {
    let server = talkative().start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let mut speaker = Native::open(&ann);
    chatter(&mut speaker, "general", 0, 150);
    let address = server.address();
    std::thread::scope(|scope| {
        let speaking = scope.spawn(move || {
            chatter(&mut speaker, "general", 150, 150);
            assert_eq!(speaker.say("general", "the end")["seq"], 301);
        });
        // Native clients count for themselves: a gap or a repetition is a failure there.
        for _ in 0..8 {
            let mut listener = Native::open(&bob);
            assert_eq!(listener.resume("general", &Cursor::beginning())["recovered"], true);
            while listener.event()["payload"]["text"] != "the end" {}
            listener.expect_silence();
        }
        speaking.join().unwrap();
    });
    assert_eq!(server.address(), address);
}

#[test]
fn several_channels_come_back_independently() {
    let server = talkative().start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    let group = format!("group:{home}");
    let mut speaker = Native::open(&ann);
    let mut listener = Native::open(&bob);
    let cursors =
        ["general", "kitchen", group.as_str(), "me"].map(|channel| (channel, listener.subscribe(channel)));
    drop(listener);
    speaker.say("general", "one");
    speaker.say(&group, "two @Bob");
    speaker.say("general", "three");
    ann.log(&home, "four");
    let mut listener = Native::open(&bob);
    for (channel, cursor) in &cursors {
        let ack = listener.resume(channel, cursor);
        assert_eq!(ack["recovered"], true, "{ack}");
        let missed: Vec<Value> =
            (0..ack["replay"].as_i64().unwrap()).map(|_| listener.event()["type"].clone()).collect();
        let expected = match *channel {
            "general" => json!(["message", "message"]),
            "kitchen" => json!([]),
            "me" => json!(["notification", "notification"]),
            _ => json!(["message", "deuce_logged"]),
        };
        assert_eq!(json!(missed), expected, "in {channel}");
    }
    listener.expect_silence();
}

#[test]
fn restarts_and_power_cuts_are_no_gap() {
    let mut server = talkative().start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let mut cursor = Native::open(&bob).subscribe("general");
    for round in 0..4 {
        let mut speaker = Native::open(&ann);
        let mut listener = Native::open(&bob);
        assert_eq!(listener.resume("general", &cursor)["recovered"], true);
        chatter(&mut speaker, "general", round * 6, 3);
        cursor = hears_all(&mut listener, round * 6, 3);
        drop(listener);
        chatter(&mut speaker, "general", round * 6 + 3, 3);
        if round % 2 == 0 {
            server.kill9();
            server.start_again();
        } else {
            server.restart();
        }
        let mut listener = Native::open(&bob);
        let ack = listener.resume("general", &cursor);
        assert_eq!((&ack["recovered"], &ack["replay"]), (&json!(true), &json!(3)), "{ack}");
        cursor = hears_all(&mut listener, round * 6 + 3, 3);
        listener.expect_silence();
    }
}

#[test]
fn a_trimmed_log_says_so() {
    let server = talkative().limit("events_per_room", 100).start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let mut speaker = Native::open(&ann);
    let early = chatter(&mut speaker, "general", 0, 2);
    // Trimming takes its time; what counts is that far more is gone than is kept.
    chatter(&mut speaker, "general", 2, 698);
    let late = chatter(&mut speaker, "general", 700, 1);
    let mut listener = Native::open(&bob);
    for since in [&early, &Cursor::beginning()] {
        let ack = listener.resume("general", since);
        assert_eq!(ack["recovered"], false, "{ack}");
        assert_eq!(Cursor::of(&ack), late, "where to go on from: {ack}");
        listener.expect_silence();
        listener.ask("unsubscribe", json!({ "channel": "general" }));
    }
    // What is still there can still be told.
    let recent = chatter(&mut speaker, "general", 701, 1);
    chatter(&mut speaker, "general", 702, 20);
    let ack = listener.resume("general", &recent);
    assert_eq!((&ack["recovered"], &ack["replay"]), (&json!(true), &json!(20)), "{ack}");
    hears_all(&mut listener, 702, 20);
    listener.expect_silence();
}

/// A server whose data was copied while "message 0" was all there was, and put back after more had been
/// said. Where somebody was who heard the first, and where somebody was who heard the lost ones.
fn restored() -> (Server, Client, Client, Cursor, Cursor) {
    let mut server = talkative().start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let before = chatter(&mut Native::open(&ann), "general", 0, 1);
    server.terminate();
    let backup = crate::harness::server::Directory::new();
    copy_folder(server.data(), &backup.0);
    server.start_again();
    let lost = chatter(&mut Native::open(&ann), "general", 1, 5);
    server.terminate();
    for entry in fs::read_dir(server.data()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { fs::remove_dir_all(path).unwrap() } else { fs::remove_file(path).unwrap() }
    }
    copy_folder(&backup.0, server.data());
    server.start_again();
    (server, ann, bob, before, lost)
}

#[test]
fn a_restored_backup_is_another_history() {
    let (_server, ann, bob, before, lost) = restored();
    let mut listener = Native::open(&bob);
    let ack = listener.resume("general", &lost);
    assert_eq!(ack["recovered"], false, "{ack}");
    assert_eq!(Cursor::of(&ack), before, "what there is: {ack}");
    listener.expect_silence();
    chatter(&mut Native::open(&ann), "general", 100, 1);
    hears_all(&mut listener, 100, 1);
}

#[test]
fn a_restored_backup_whose_numbers_have_grown_past_again() {
    let (_server, ann, bob, before, lost) = restored();
    chatter(&mut Native::open(&ann), "general", 100, 20);
    let mut listener = Native::open(&bob);
    let ack = listener.resume("general", &lost);
    assert_eq!(ack["recovered"], false, "another event has that number: {ack}");
    assert_eq!(ack["seq"], 21, "{ack}");
    listener.expect_silence();
    // Whoever was away all the time has missed nothing that can be told.
    let mut patient = Native::open(&bob);
    let ack = patient.resume("general", &before);
    assert_eq!((&ack["recovered"], &ack["replay"]), (&json!(true), &json!(20)), "{ack}");
    hears_all(&mut patient, 100, 20);
    patient.expect_silence();
}

#[test]
fn a_slow_reader_gets_everything_after_all() {
    let server = talkative().limit("send_buffer_bytes", 4096).limit("replay_events", 7).start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let mut speaker = Native::open(&ann);
    let mut late = Native::open(&bob);
    late.subscribe("general");
    late.socket.wire().take_little();
    let text = |number: usize| format!("{number} {}", "x".repeat(900));
    for number in 0..600 {
        speaker.say("general", &text(number));
    }
    late.socket.wire().take_much();
    for number in 0..600 {
        late.hear(&text(number));
    }
    late.expect_silence();
    speaker.say("general", "live");
    late.hear("live");
}

#[test]
fn a_slow_reader_whose_events_are_gone_is_told_to_come_back() {
    let server = talkative().limit("send_buffer_bytes", 4096).limit("events_per_room", 100).start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let mut speaker = Native::open(&ann);
    let mut late = Native::open(&bob);
    late.subscribe("general");
    late.socket.wire().take_little();
    for number in 0..900 {
        speaker.say("general", &format!("{number} {}", "x".repeat(900)));
    }
    late.socket.wire().take_much();
    let heard = late.rest_until_close(1013);
    let numbers: Vec<i64> = heard.iter().map(|event| event["payload"]["seq"].as_i64().unwrap()).collect();
    assert!(numbers.iter().copied().eq(1..=numbers.len() as i64), "no silent gap: {numbers:?}");
    assert!(numbers.len() < 800, "the log was trimmed before this reader came to it");
    let mut back = Native::open(&bob);
    let ack = back.resume("general", &Cursor::after(heard.last().expect("what the kernel had taken")));
    assert_eq!((&ack["recovered"], &ack["seq"]), (&json!(false), &json!(900)), "{ack}");
}

#[test]
fn whoever_was_a_member_gets_nothing_from_after_that() {
    let server = talkative().start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    let channel = format!("group:{home}");
    let mut listener = Native::open(&bob);
    let cursor = listener.subscribe(&channel);
    drop(listener);
    let mut speaker = Native::open(&ann);
    speaker.say(&channel, "with Bob");
    ann.delete(&format!("/api/groups/{home}/members/{}", bob.id())).ok();
    speaker.say(&channel, "about Bob");
    let mut back = Native::open(&bob);
    back.refused(
        "subscribe",
        json!({ "channel": channel, "since": { "seq": cursor.seq, "id": cursor.id } }),
        "FORBIDDEN",
    );
    back.expect_silence();
    bob.get(&format!("/api/rooms/{channel}/messages")).refused_with(403);
}

#[test]
fn two_hundred_cursors_at_once() {
    let server = talkative().limit("sockets_per_user", 1000).start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let mut speaker = Native::open(&ann);
    let first = chatter(&mut speaker, "general", 0, 1);
    chatter(&mut speaker, "general", 1, 30);
    // All handshakes first, then all questions, then all answers: a house that comes back at once.
    let mut sockets: Vec<Socket> = (0..200).map(|_| native_handshake(&bob).open()).collect();
    let since = json!({ "channel": "general", "since": { "seq": first.seq, "id": first.id } });
    for socket in &mut sockets {
        socket.send_json(json!({ "type": "subscribe", "id": 1, "payload": since }));
    }
    for socket in sockets {
        let mut native = Native::over(socket);
        let ack = native.answer_to(&json!(1)).unwrap();
        assert_eq!(ack["replay"], 30, "{ack}");
        hears_all(&mut native, 1, 30);
        native.expect_silence();
    }
}

#[test]
fn a_number_without_its_event_proves_nothing() {
    let server = talkative().start();
    let ann = server.person("Ann");
    chatter(&mut Native::open(&ann), "general", 0, 5);
    for since in [json!({ "seq": 3 }), json!({ "seq": 3, "id": null }), json!({ "seq": 3, "id": "nonsense" })]
    {
        let mut native = Native::open(&ann);
        match native.try_ask("subscribe", json!({ "channel": "general", "since": since })) {
            Ok(ack) => assert_eq!(ack["recovered"], false, "{since}: {ack}"),
            Err(error) => assert_eq!(error["code"], "INVALID", "{since}: {error}"),
        }
        native.expect_silence();
    }
}
