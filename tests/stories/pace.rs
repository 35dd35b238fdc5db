//! Too much of it: frames, subscriptions, sockets. Everything is bounded, and every bound has its answer.

use crate::harness::{Frame, Native, Server, Socket, native::native_handshake, socket::frame, together};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// What came before a ping that leaves now is answered, and how it ended where it did.
fn answers(socket: &mut Socket) -> (Vec<Value>, Option<u16>) {
    socket.try_send_raw(&frame(9, b"that was all"));
    let mut heard = Vec::new();
    loop {
        match socket.next_frame() {
            Frame::Text(text) => heard.push(socket.read(&text)),
            Frame::Pong(_) => return (heard, None),
            Frame::Close(code, reason) => {
                assert_eq!(reason, "rate limit");
                return (heard, code);
            }
            Frame::End => return (heard, Some(1006)),
            other => panic!("{other:?}"),
        }
    }
}

fn count(heard: &[Value], kind: &str) -> usize {
    heard.iter().filter(|frame| frame["type"] == kind).count()
}

#[test]
fn r_w10_forty_at_once_and_the_rest_is_dropped() {
    let server = Server::open();
    let ann = server.person("Ann");
    let mut native = Native::open(&ann);
    let burst: Vec<u8> = (0..200).flat_map(|_| frame(1, br#"{"type":"ping"}"#)).collect();
    native.socket.send_raw(&burst);
    let (heard, end) = answers(&mut native.socket);
    assert_eq!(end, None);
    let pongs = count(&heard, "pong");
    assert!((40..=60).contains(&pongs), "{pongs} pongs");
    let errors: Vec<&Value> = heard.iter().filter(|frame| frame["type"] == "error").collect();
    assert!((1..=2).contains(&errors.len()), "one a second: {errors:?}");
    assert_eq!(errors[0]["payload"]["code"], "RATE_LIMITED");
    // What was dropped did not happen, and others are not slowed.
    let mut other = Native::open(&ann);
    other.subscribe("general");
    other.say("general", "unhindered");
    other.hear("unhindered");
}

#[test]
fn what_was_dropped_was_not_stored() {
    let server = Server::open();
    let ann = server.person("Ann");
    let mut native = Native::open(&ann);
    let burst: Vec<u8> = (0..120)
        .flat_map(|number| {
            let text =
                json!({ "type": "message", "id": number, "payload": { "channel": "general", "text": "x" } });
            frame(1, text.to_string().as_bytes())
        })
        .collect();
    native.socket.send_raw(&burst);
    let mut acks = count(&answers(&mut native.socket).0, "ack");
    // Acknowledgements take the disk's time. What is stored after them is stored after all of them.
    let last = ann.post("/api/rooms/general/messages", json!({ "text": "the last" })).ok();
    let stored = last["seq"].as_u64().unwrap() as usize - 1;
    while acks < stored {
        acks += count(&answers(&mut native.socket).0, "ack");
    }
    assert_eq!(acks, stored);
    assert!((40..=60).contains(&stored), "{stored}");
}

#[test]
fn the_limits_own_manner_in_each_language() {
    let server = Server::setup().open().limit("commands_burst", 5).limit("commands_per_second", 1).start();
    let ann = server.person("Ann");
    let nobody = || server.nobody().handshake();
    let mut flat = nobody().target("/realtime").offering(&format!("jwt.{}", ann.jwt())).open();
    let mut page = nobody().target(&format!("/chat/room/general?token={}", ann.token())).open();
    assert_eq!(flat.expect_json()["type"], "hello");
    assert_eq!(page.expect_json()["type"], "joined");
    flat.send_raw(&(0..30).flat_map(|_| frame(1, br#"{"type":"ping","ts":1}"#)).collect::<Vec<u8>>());
    let (heard, _) = answers(&mut flat);
    assert!((5..=7).contains(&count(&heard, "pong")), "{heard:?}");
    assert!(heard.contains(&json!({ "type": "error", "code": "rate_limited" })), "{heard:?}");
    page.send_raw(
        &(0..30).flat_map(|_| frame(1, br#"{"type":"message","content":"x"}"#)).collect::<Vec<u8>>(),
    );
    let (heard, _) = answers(&mut page);
    assert!(count(&heard, "error") == 0, "a page knows no errors: {heard:?}");
}

#[test]
fn joining_groups_has_the_patience_it_had() {
    let server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let mut socket = ann.socket();
    let join = json!({ "type": "join_group", "groupId": home }).to_string();
    socket.send_raw(&(0..600).flat_map(|_| frame(1, join.as_bytes())).collect::<Vec<u8>>());
    socket.expect_silence();
    ann.log(&home, "once");
    socket.expect_deuce("once");
    socket.expect_silence();
}

#[test]
fn r_w10_five_seconds_of_it_end_the_socket() {
    let server = Server::open();
    let ann = server.person("Ann");
    let mut native = Native::open(&ann);
    let burst: Vec<u8> = (0..50).flat_map(|_| frame(1, br#"{"type":"ping"}"#)).collect();
    let start = Instant::now();
    let mut errors = 0;
    let end = loop {
        // A client gone wild sends faster than it is allowed to, all the time; its waits are for answers.
        native.socket.try_send_raw(&burst);
        let (heard, end) = answers(&mut native.socket);
        errors += count(&heard, "error");
        if end.is_some() {
            break end;
        }
        assert!(start.elapsed() < Duration::from_secs(12), "it is never ended");
        std::thread::sleep(Duration::from_millis(100));
    };
    assert!(matches!(end, Some(1008 | 1006)), "{end:?}");
    let took = start.elapsed();
    assert!(took > Duration::from_secs(4), "{took:?}");
    assert!((3..=1 + took.as_secs() as usize).contains(&errors), "{errors} errors in {took:?}");
    Native::open(&ann).subscribe("general");
}

#[test]
fn a_household_never_notices() {
    let server = Server::open();
    let ann = server.person("Ann");
    let mut native = Native::open(&ann);
    native.subscribe("general");
    for number in 0..30 {
        native.say("general", &number.to_string());
        native.hear(&number.to_string());
    }
}

#[test]
fn subscriptions_of_one_socket() {
    let server = Server::setup().open().limit("subscriptions_per_socket", 3).start();
    let ann = server.person("Ann");
    let mut native = Native::open(&ann);
    for channel in ["a", "b", "c"] {
        native.subscribe(channel);
    }
    native.refused("subscribe", json!({ "channel": "d" }), "LIMIT");
    // One that is there already is not one more, and one that was given up makes room.
    native.subscribe("a");
    native.ask("unsubscribe", json!({ "channel": "b" }));
    native.subscribe("d");
    native.refused("subscribe", json!({ "channel": "b" }), "LIMIT");
    Native::open(&ann).subscribe("b");
    let mut flat =
        server.nobody().handshake().target("/realtime").offering(&format!("jwt.{}", ann.jwt())).open();
    assert_eq!(flat.expect_json()["type"], "hello");
    for topic in ["a", "b", "c"] {
        flat.send_json(json!({ "type": "subscribe", "topic": topic }));
    }
    flat.expect_silence();
    flat.send_json(json!({ "type": "subscribe", "topic": "d" }));
    assert_eq!(flat.expect_json(), json!({ "type": "error", "code": "limit" }));
}

#[test]
fn rooms_of_this_server() {
    let server = Server::setup().open().limit("rooms", 3).start();
    let ann = server.person("Ann");
    let mut native = Native::open(&ann);
    for channel in ["a", "b", "c"] {
        native.say(channel, "x");
    }
    native.refused("message", json!({ "channel": "d", "text": "x" }), "LIMIT");
    native.say("a", "still");
}

#[test]
fn r_w9_sockets_of_one_person() {
    let server = Server::setup().open().limit("sockets_per_user", 4).start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let results = together(12, |_| native_handshake(&ann).try_open());
    let mut open = Vec::new();
    for result in results {
        match result {
            Ok(socket) => open.push(socket),
            Err(reply) => assert_eq!(reply.status, 503, "{reply:?}"),
        }
    }
    assert_eq!(open.len(), 4);
    ann.handshake().refused(503);
    bob.socket().expect_silence();
    let mut one = Native::over(open.pop().unwrap());
    one.subscribe("general");
    one.socket.leave();
    native_handshake(&ann).open();
}

#[test]
fn a_message_too_long_for_the_socket() {
    let server = Server::open();
    let ann = server.person("Ann");
    let most = Native::open(&ann).hello["maxPayload"].as_u64().unwrap() as usize;
    for target in ["/ws", "/realtime", "/chat/general", "/chat/room/general"] {
        let mut socket =
            server.nobody().handshake().target(&format!("{target}?token={}", ann.token())).open();
        socket.drain();
        socket.try_send_raw(&frame(1, &vec![b'x'; most + 1]));
        socket.expect_close(1009);
    }
    let mut native = Native::open(&ann);
    let short = json!({ "type": "ping", "x": "x".repeat(most - 1000) });
    native.socket.send_json(short);
    assert_eq!(native.event(), json!({ "type": "pong" }));
}

#[test]
fn r_w8_a_reader_that_stalls_holds_up_nobody() {
    let server = Server::setup()
        .open()
        .limit("send_buffer_bytes", 4096)
        .limit("commands_per_second", 100_000)
        .limit("commands_burst", 100_000)
        .start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let mut stalled: Vec<Native> = (0..5)
        .map(|_| {
            let mut native = Native::open(&bob);
            native.subscribe("general");
            native.socket.wire().take_little();
            native
        })
        .collect();
    let mut speaker = Native::open(&ann);
    speaker.subscribe("general");
    let text = |number: usize| format!("{number} {}", "x".repeat(950));
    for number in 0..400 {
        speaker.say("general", &text(number));
        speaker.hear(&text(number));
    }
    // And whoever reads in the end has all of it.
    let mut late = stalled.pop().unwrap();
    late.socket.wire().take_much();
    for number in 0..400 {
        late.hear(&text(number));
    }
    late.expect_silence();
}
