//! Devices on sockets, in every form: they hear and say what their verbs and groups allow, and nothing else.

use crate::device::{gadget, make};
use crate::harness::{Client, Frame, Native, Server, Socket};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

struct House {
    server: Server,
    ann: Client,
    bob: Client,
    /// Ann's and Bob's, by its channel's name and its id.
    home: String,
    /// Ann's and Bob's, too; no device is in it.
    club: String,
}

fn house() -> House {
    let server = Server::setup().open().start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let (home, club) = (ann.found("Home"), ann.found("Club"));
    ann.bring(&home, &bob);
    ann.bring(&club, &bob);
    House { server, ann, bob, home, club }
}

/// A device's native client.
#[track_caller]
fn native(device: &Client) -> Native {
    Native::over(device.handshake().offering("deuced.v1").open())
}

/// A socket that has been told nothing it asked for.
fn quiet(mut socket: Socket) -> Socket {
    socket.drain();
    socket
}

#[test]
fn the_native_form_is_judged_word_by_word() {
    let house = house();
    let (home, club) = (format!("group:{}", house.home), format!("group:{}", house.club));
    let all = gadget(&house.ann, &[&house.home], &["log", "read", "chat", "notify"]);
    let mut native = native(&all);
    assert_eq!(native.hello["userId"], json!(house.ann.id()));
    native.subscribe(&home);
    let said = native.say(&home, "I am a kettle");
    native.hear("I am a kettle");
    native.ask("typing", json!({ "channel": home }));
    // Saying without a channel is saying where one listened last.
    native.ask("message", json!({ "text": "still" }));
    native.hear("still");
    for channel in [club.as_str(), "general", "me"] {
        native.refused("subscribe", json!({ "channel": channel }), "FORBIDDEN");
        native.refused("message", json!({ "channel": channel, "text": "x" }), "FORBIDDEN");
        native.refused("typing", json!({ "channel": channel }), "FORBIDDEN");
    }
    // It changes and marks nothing, not even its own.
    let which = json!({ "channel": home, "seq": said["seq"], "text": "x" });
    native.refused("edit", which.clone(), "FORBIDDEN");
    native.refused("delete", which, "FORBIDDEN");
    native.refused("read", json!({ "all": true }), "FORBIDDEN");
    house.bob.log(&house.club, "not for kettles");
    house.bob.post("/api/rooms/general/messages", json!({ "text": "@Ann" })).ok();
    native.expect_silence();
    house.bob.log(&house.home, "for all");
    native.expect("deuce_logged");
}

#[test]
fn hearing_needs_read_and_saying_needs_chat() {
    let house = house();
    let home = format!("group:{}", house.home);
    let mut deaf = native(&gadget(&house.ann, &[&house.home], &["chat"]));
    deaf.refused("subscribe", json!({ "channel": home }), "FORBIDDEN");
    let mut mute = native(&gadget(&house.ann, &[&house.home], &["read"]));
    mute.subscribe(&home);
    mute.refused("message", json!({ "channel": home, "text": "x" }), "FORBIDDEN");
    mute.refused("message", json!({ "text": "x" }), "FORBIDDEN");
    mute.refused("typing", json!({ "channel": home }), "FORBIDDEN");
    deaf.say(&home, "Hello");
    mute.hear("Hello");
    deaf.expect_silence();
    // One that could do neither gets no socket at all.
    let button = gadget(&house.ann, &[&house.home], &["log", "notify"]);
    for target in ["/ws", "/realtime", "/"] {
        button.handshake().target(target).refused(403);
    }
}

#[test]
fn the_other_forms_are_judged_alike() {
    let house = house();
    let device = make(&house.ann, "display", &[&house.home], &["read"]);
    let token = device["token"].as_str().unwrap();
    let display = house.ann.gadget(token);
    // The diary's own: joining one's groups, which is never answered.
    let mut diary = quiet(display.handshake().open());
    diary.send_json(json!({ "type": "join_group", "groupId": house.club }));
    diary.send_json(json!({ "type": "join_group", "groupId": house.home }));
    // By cookie a page would be let into all groups without asking.
    let cookie = format!("deuced={token}");
    let mut page = quiet(house.server.nobody().handshake().header("Cookie", &cookie).open());
    // Flat frames.
    let mut flat = quiet(display.handshake().target("/realtime").open());
    let (here, there) = (format!("group:{}", house.home), format!("group:{}", house.club));
    flat.send_json(json!({ "type": "subscribe", "topic": there }));
    assert_eq!(flat.expect_json()["code"], "forbidden");
    flat.send_json(json!({ "type": "chat:send", "room": here, "text": "x" }));
    assert_eq!(flat.expect_json()["code"], "forbidden");
    flat.send_json(json!({ "type": "subscribe", "topic": here }));
    flat.expect_silence();
    house.bob.log(&house.club, "not for displays");
    house.bob.log(&house.home, "for all");
    house.bob.post(&format!("/api/rooms/{here}/messages"), json!({ "text": "Hello" })).ok();
    diary.expect_deuce("for all");
    let heard = flat.drain();
    assert!(heard.iter().any(|frame| frame["text"] == "Hello"), "{heard:?}");
    assert!(!heard.iter().any(|frame| frame.to_string().contains(&house.club)), "{heard:?}");
    page.expect_silence();

    // A registered bell hears an inbox: no device's.
    let register = json!({ "type": "register", "jwtToken": token });
    let mut bell = house.server.nobody().handshake().saying(&register.to_string()).open();
    assert_eq!(bell.expect_json()["type"], "connected");
    assert_eq!(bell.expect_json()["type"], "error");
    house.bob.post(&format!("/api/rooms/group:{}/messages", house.home), json!({ "text": "@Ann" })).ok();
    bell.expect_silence();

    // Chat pages, whose room is in the path: heard with `read`, and then silent without `chat`.
    let path = |room: &str| format!("/chat/room/{room}?username=Display");
    for room in ["general", "me", &format!("group:{}", house.club)] {
        display.handshake().target(&path(room)).refused(403);
    }
    display.handshake().target("/chat/general").refused(403);
    let mut page = quiet(display.handshake().target(&path(&format!("group:{}", house.home))).open());
    page.send_json(json!({ "type": "message", "content": "x" }));
    page.expect_silence();
    let messages = house.ann.get(&format!("/api/rooms/group:{}/messages", house.home)).ok();
    assert_eq!(messages["messages"].as_array().map(Vec::len), Some(2), "Bob's: {messages}");
    let talker = gadget(&house.ann, &[&house.home], &["read", "chat"]);
    let mut page = quiet(talker.handshake().target(&path(&format!("group:{}", house.home))).open());
    page.send_json(json!({ "type": "message", "content": "Hello" }));
    assert_eq!(page.expect_json()["content"], "Hello");
}

#[test]
fn logging_in_by_the_first_message() {
    let house = house();
    let home = format!("group:{}", house.home);
    let made = make(&house.ann, "display", &[&house.home], &["read"]);
    let token = made["token"].as_str().unwrap();
    let mut native = Native::anonymous(&house.server);
    assert_eq!(native.ask("auth", json!({ "token": token }))["userId"], json!(house.ann.id()));
    native.subscribe(&home);
    native.refused("subscribe", json!({ "channel": "me" }), "FORBIDDEN");
    native.refused("subscribe", json!({ "channel": "general" }), "FORBIDDEN");
    // The person's own login lifts that; the other way round what it listened to would outlive it.
    native.ask("auth", json!({ "token": house.ann.token() }));
    native.subscribe("me");
    native.refused("auth", json!({ "token": token }), "INVALID");
    native.subscribe("general");
}

#[test]
fn a_device_that_is_ended_is_cut_off_at_once() {
    let house = house();
    let made = make(&house.ann, "talker", &[&house.home], &["read", "chat"]);
    let token = made["token"].as_str().unwrap();
    let talker = house.ann.gadget(token);
    let auth = json!({ "type": "auth", "payload": { "token": token } });
    let sockets = [
        talker.handshake().open(),
        talker.handshake().offering("deuced.v1").open(),
        talker.handshake().target("/realtime").open(),
        talker.handshake().target(&format!("/chat/room/group:{}?username=T", house.home)).open(),
        house.server.nobody().handshake().target(&format!("/ws?token={token}")).open(),
        house.server.nobody().handshake().saying(&auth.to_string()).open(),
    ];
    let mut sockets = sockets.map(quiet);
    let mut own = quiet(house.ann.socket());
    let start = Instant::now();
    house.ann.delete(&format!("/api/devices/{}", made["id"].as_str().unwrap())).ok();
    for (number, socket) in sockets.iter_mut().enumerate() {
        match socket.next_frame() {
            Frame::Close(Some(1008), _) => {}
            other => panic!("socket {number}: {other:?}"),
        }
    }
    assert!(start.elapsed() < Duration::from_secs(1), "{:?}", start.elapsed());
    talker.handshake().refused(401);
    talker.get("/api/groups").refused(401, "Unauthorized");
    own.expect_silence();
}

#[test]
fn a_device_hears_no_more_of_a_group_its_person_has_left() {
    let house = house();
    let home = format!("group:{}", house.home);
    let display = gadget(&house.bob, &[&house.home, &house.club], &["read", "chat"]);
    let mut native = native(&display);
    native.subscribe(&home);
    native.subscribe(&format!("group:{}", house.club));
    house.ann.delete(&format!("/api/groups/{}/members/{}", house.home, house.bob.id())).ok();
    native.expect("member_left");
    house.ann.log(&house.home, "private again");
    native.expect_silence();
    native.refused("message", json!({ "channel": home, "text": "x" }), "FORBIDDEN");
    house.ann.bring(&house.home, &house.bob);
    native.refused("subscribe", json!({ "channel": home }), "FORBIDDEN");
    native.expect_silence();
    house.ann.log(&house.club, "here");
    let heard: Value = native.expect("deuce_logged");
    assert_eq!(heard["payload"]["entry"]["thoughts"], "here");
}
