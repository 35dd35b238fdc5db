//! `/ws` as the diary's pages use it: who hears what, and who hears nothing.

use crate::harness::{
    Client, Frame, Server,
    socket::{fragment, frame},
    together,
};
use serde_json::{Value, json};

fn join(group: &str) -> Value {
    json!({ "type": "join_group", "groupId": group })
}

/// Ann and Bob in one group.
fn household(server: &Server) -> (Client, Client, String) {
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    (ann, bob, home)
}

#[test]
fn everybody_in_the_group_hears_it_at_once() {
    let server = Server::open();
    let (ann, bob, home) = household(&server);
    let (mut phone, mut tablet, mut of_ann) = (bob.socket(), server.device("Bob").socket(), ann.socket());
    let entry = ann.log(&home, "hello");
    let events = [phone.expect_deuce("hello"), tablet.expect_deuce("hello"), of_ann.expect_deuce("hello")];
    assert_eq!(events[0], events[1], "one msgId for all");
    assert_eq!(events[0], events[2], "and the author hears it too");
    let event = &events[0];
    assert_eq!(event["message"], "Ann logged a new deuce");
    assert_eq!(event["userId"], json!(ann.id()));
    assert_eq!(event["entry"]["user"]["deuceCount"], 1, "already counted");
    for field in ["id", "userId", "groupId", "location", "thoughts", "loggedAt", "createdAt"] {
        assert_eq!(event["entry"][field], entry[field], "{field}");
    }
    for socket in [&mut phone, &mut tablet, &mut of_ann] {
        socket.expect_silence();
    }
}

#[test]
fn events_are_numbered_and_named() {
    let server = Server::open();
    let (ann, bob, home) = household(&server);
    let work = ann.found("Work");
    let mut socket = bob.socket();
    let mut of_ann = ann.socket();
    let events: Vec<Value> = (0..5)
        .map(|number| {
            ann.log(&home, &number.to_string());
            of_ann.expect_deuce(&number.to_string());
            socket.expect_deuce(&number.to_string())
        })
        .collect();
    for pair in events.windows(2) {
        assert_eq!(pair[1]["seq"].as_i64(), pair[0]["seq"].as_i64().map(|seq| seq + 1), "dense in the room");
        assert_ne!(pair[0]["msgId"], pair[1]["msgId"]);
    }
    ann.log(&work, "elsewhere");
    let elsewhere = of_ann.expect_deuce("elsewhere")["seq"].as_i64().unwrap();
    assert!(elsewhere < events[4]["seq"].as_i64().unwrap(), "each room counts for itself");
    socket.expect_silence();
}

#[test]
fn one_post_into_three_groups_is_heard_once_per_group() {
    let server = Server::open();
    let (ann, bob, home) = household(&server);
    let (work, club) = (ann.found("Work"), ann.found("Club"));
    ann.bring(&club, &bob);
    let (mut of_ann, mut of_bob) = (ann.socket(), bob.socket());
    let body = json!({ "groupIds": [home, work, club], "location": "Home", "thoughts": "x" });
    let logged = ann.post("/api/deuces", body).ok();
    let heard: Vec<Value> = (0..3).map(|_| of_ann.expect_deuce("x")["entry"]["id"].clone()).collect();
    let mut expected: Vec<Value> =
        logged["entries"].as_array().unwrap().iter().map(|entry| entry["id"].clone()).collect();
    let mut sorted = heard.clone();
    sorted.sort_by_key(Value::to_string);
    expected.sort_by_key(Value::to_string);
    assert_eq!(sorted, expected);
    let of_bobs =
        [of_bob.expect_deuce("x"), of_bob.expect_deuce("x")].map(|event| event["entry"]["groupId"].clone());
    assert!(of_bobs.contains(&json!(home)) && of_bobs.contains(&json!(club)), "{of_bobs:?}");
    of_ann.expect_silence();
    of_bob.expect_silence();
}

#[test]
fn not_a_member_hears_nothing() {
    let server = Server::open();
    let (ann, bob, home) = household(&server);
    let eve = server.person("Eve");
    let mut of_bob = bob.socket();
    let (mut by_cookie, mut by_token) = (eve.socket(), eve.bearer().socket());
    for socket in [&mut by_cookie, &mut by_token] {
        socket.send_json(join(&home));
        socket.expect_silence();
    }
    ann.log(&home, "private");
    of_bob.expect_deuce("private");
    by_cookie.expect_silence();
    by_token.expect_silence();
}

#[test]
fn without_credentials_a_socket_hears_nothing() {
    let server = Server::open();
    let (ann, bob, home) = household(&server);
    let mut of_bob = bob.socket();
    let mut anonymous = server.nobody().socket();
    // Talking first, so that no greeting of another dialect is due.
    anonymous.send_json(join(&home));
    anonymous.expect_silence();
    ann.log(&home, "private");
    of_bob.expect_deuce("private");
    anonymous.expect_silence();
}

#[test]
fn a_program_joins_by_token() {
    let server = Server::open();
    let (ann, bob, home) = household(&server);
    let by_header = bob.bearer().socket();
    let by_query = server.nobody().handshake().target(&format!("/ws?token={}", bob.token())).open();
    let by_both = server.nobody().handshake().target(&format!("/ws?x=1&token={}&y=%20", bob.token())).open();
    for mut socket in [by_header, by_query, by_both] {
        socket.send_json(join(&home));
        socket.expect_silence();
        ann.log(&home, "x");
        socket.expect_deuce("x");
        socket.expect_silence();
    }
}

#[test]
fn bad_credentials_open_no_socket() {
    let server = Server::open();
    let ann = server.person("Ann");
    let gone = ann.twin();
    ann.post("/api/auth/logout", json!({})).ok();
    let handshake = || server.nobody().handshake();
    let by_cookie = gone.handshake().refused(401);
    let cleared = by_cookie.header("Set-Cookie").expect("a stale cookie is cleared");
    assert!(cleared.starts_with("deuced=;") && cleared.to_lowercase().contains("path=/"), "{cleared}");
    handshake().header("Cookie", "deuced=nonsense").refused(401);
    handshake().header("Authorization", "Bearer nonsense").refused(401);
    handshake().header("Authorization", &format!("Bearer {}", gone.token())).refused(401);
    for token in ["nonsense", "", "%C3%A9", &gone.token()] {
        let target = format!("/ws?token={token}");
        if token.is_empty() {
            // An empty one is as good as none, or a bad one.
            let _ = handshake().target(&target).try_open();
        } else {
            handshake().target(&target).refused(401);
        }
    }
}

#[test]
fn join_group_is_never_answered() {
    let server = Server::open();
    let (ann, bob, home) = household(&server);
    let mut socket = bob.socket();
    for group in
        [json!(home), json!("x"), json!(""), json!(null), json!(7), json!([home]), json!({ "a": home })]
    {
        socket.send_json(json!({ "type": "join_group", "groupId": group }));
    }
    socket.send_json(json!({ "type": "join_group" }));
    socket.expect_silence();
    ann.log(&home, "x");
    socket.expect_deuce("x");
    socket.expect_silence();
}

#[test]
fn joins_come_in_bursts_and_double_nothing() {
    let server = Server::open();
    let (ann, bob, home) = household(&server);
    let club = ann.found("Club");
    ann.bring(&club, &bob);
    let mut socket = bob.socket();
    let burst: Vec<u8> = (0..400)
        .flat_map(|number| frame(1, join(if number % 2 == 0 { &home } else { &club }).to_string().as_bytes()))
        .collect();
    for _ in 0..2 {
        socket.send_raw(&burst);
        socket.expect_silence();
    }
    ann.log(&home, "once");
    socket.expect_deuce("once");
    ann.log(&club, "once more");
    socket.expect_deuce("once more");
    socket.expect_silence();
}

#[test]
fn one_socket_hears_all_groups_it_joined() {
    let server = Server::open();
    let (ann, bob, home) = household(&server);
    let club = ann.found("Club");
    ann.bring(&club, &bob);
    let mut socket = bob.bearer().socket();
    socket.send_json(join(&home));
    socket.send_json(join(&club));
    socket.expect_silence();
    for group in [&home, &club] {
        ann.log(group, "x");
        assert_eq!(socket.expect_deuce("x")["entry"]["groupId"], json!(group));
    }
    socket.expect_silence();
}

#[test]
fn leaving_by_frame_is_silent() {
    let server = Server::open();
    let (_ann, bob, home) = household(&server);
    let mut socket = bob.socket();
    for group in [json!(home), json!("x"), json!(null)] {
        socket.send_json(json!({ "type": "leave_group", "groupId": group }));
    }
    socket.expect_silence();
}

#[test]
fn the_shells_socket_follows_membership() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let mut socket = bob.socket();
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    socket.expect_silence();
    ann.log(&home, "welcome");
    socket.expect_deuce("welcome");

    // A group of one's own, founded while connected.
    let own = bob.found("Own");
    bob.log(&own, "mine");
    socket.expect_deuce("mine");

    bob.post(&format!("/api/groups/{home}/leave"), json!({})).ok();
    let mut of_ann = ann.socket();
    ann.log(&home, "without Bob");
    of_ann.expect_deuce("without Bob");
    socket.expect_silence();
    ann.bring(&home, &bob);
    ann.log(&home, "back");
    socket.expect_deuce("back");
    socket.expect_silence();
}

#[test]
fn joining_by_invite_at_login_reaches_the_other_device() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    let mut socket = bob.socket();
    let body = json!({ "username": "Bob", "inviteCode": ann.invite(&home) });
    server.nobody().post("/api/login", body).ok();
    ann.log(&home, "hello");
    socket.expect_deuce("hello");
}

#[test]
fn a_removed_member_hears_nothing_more() {
    let server = Server::open();
    let (ann, bob, home) = household(&server);
    let mut of_ann = ann.socket();
    let (mut by_cookie, mut by_token) = (bob.socket(), bob.bearer().socket());
    by_token.send_json(join(&home));
    by_token.expect_silence();
    ann.delete(&format!("/api/groups/{home}/members/{}", bob.id())).ok();
    ann.log(&home, "about Bob");
    of_ann.expect_deuce("about Bob");
    for socket in [&mut by_cookie, &mut by_token] {
        socket.expect_silence();
        socket.send_json(join(&home));
        socket.expect_silence();
    }
    ann.log(&home, "more about Bob");
    of_ann.expect_deuce("more about Bob");
    by_cookie.expect_silence();
    by_token.expect_silence();
}

#[test]
fn an_ended_group_leaves_sockets_open() {
    let server = Server::open();
    let (ann, bob, home) = household(&server);
    let mut socket = bob.socket();
    ann.delete(&format!("/api/groups/{home}")).ok();
    socket.send_json(join(&home));
    socket.expect_silence();
    let own = bob.found("Own");
    bob.log(&own, "x");
    socket.expect_deuce("x");
}

#[test]
fn logout_closes_the_sessions_sockets() {
    let server = Server::open();
    let (phone, tablet) = (server.person("Ann"), server.device("Ann"));
    let mut of_phone = [phone.socket(), phone.socket(), phone.bearer().socket()];
    let mut of_tablet = tablet.socket();
    phone.post("/api/auth/logout", json!({})).ok();
    for socket in &mut of_phone {
        socket.expect_close(1008);
    }
    of_tablet.expect_silence();
    tablet.get("/api/logout").leads_to("/");
    of_tablet.expect_close(1008);
}

#[test]
fn other_frames_are_met_with_silence() {
    let server = Server::open();
    let (ann, bob, home) = household(&server);
    let mut socket = bob.socket();
    for text in [
        "",
        "x",
        "{",
        "[]",
        "null",
        "7",
        "\"join_group\"",
        "{}",
        r#"{"type":null}"#,
        r#"{"type":"nope"}"#,
        r#"{"type":["join_group"]}"#,
        r#"{"groupId":"x"}"#,
        "\u{feff}{}",
        r#"{"type":"deuce_logged","entry":{}}"#,
        r#"{"type":"join_group","groupId":"x","groupId":"y"}"#,
        r#"{"type":"join_group","groupId":"\ud800"}"#,
        &"[".repeat(5000),
        &r#"{"a":"#.repeat(3000),
    ] {
        socket.send_text(text);
        socket.expect_silence();
    }
    socket.send_raw(&frame(2, b"\x00\xff\xfe binary nonsense"));
    socket.expect_silence();
    ann.log(&home, "still here");
    socket.expect_deuce("still here");
}

#[test]
fn json_in_a_binary_frame_counts() {
    let server = Server::open();
    let (ann, bob, home) = household(&server);
    let mut socket = bob.bearer().socket();
    socket.send_raw(&frame(2, join(&home).to_string().as_bytes()));
    socket.expect_silence();
    ann.log(&home, "x");
    socket.expect_deuce("x");
}

#[test]
fn a_message_in_pieces_with_a_ping_between() {
    let server = Server::open();
    let (ann, bob, home) = household(&server);
    let mut socket = bob.bearer().socket();
    let text = join(&home).to_string();
    let (front, back) = text.as_bytes().split_at(9);
    socket.send_raw(&fragment(0x01, front));
    socket.expect_silence();
    socket.send_raw(&fragment(0x00, b""));
    socket.send_raw(&fragment(0x80, back));
    socket.expect_silence();
    ann.log(&home, "x");
    socket.expect_deuce("x");
    // And byte by byte.
    for byte in frame(1, text.as_bytes()) {
        socket.send_raw(&[byte]);
    }
    socket.expect_silence();
}

#[test]
fn pings_are_answered_and_pongs_are_not() {
    let server = Server::open();
    let mut socket = server.person("Ann").socket();
    for payload in [&b""[..], b"x", &[0xff; 125]] {
        socket.send_raw(&frame(9, payload));
        assert_eq!(socket.next_frame(), Frame::Pong(payload.to_vec()));
    }
    socket.send_raw(&frame(10, b"unasked"));
    socket.expect_silence();
}

#[test]
fn a_polite_goodbye() {
    let server = Server::open();
    let ann = server.person("Ann");
    for code in [1000_u16, 1001, 3000, 4999] {
        let mut socket = ann.socket();
        socket.send_raw(&frame(8, &[&code.to_be_bytes()[..], "tschüs".as_bytes()].concat()));
        socket.expect_close(code);
    }
    let mut without_a_code = ann.socket();
    without_a_code.send_raw(&frame(8, b""));
    match without_a_code.next_frame() {
        Frame::Close(None | Some(1000), _) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_biggest_message_and_the_next_one() {
    let server = Server::open();
    let ann = server.person("Ann");
    let mut socket = ann.socket();
    socket.send_text(&"x".repeat(1024 * 1024));
    socket.expect_silence();
    socket.try_send_raw(&frame(1, "x".repeat(1024 * 1024 + 1).as_bytes()));
    socket.expect_close(1009);
    ann.socket().expect_silence();
}

#[test]
fn twenty_zombies_of_one_tab() {
    let server = Server::open();
    let (ann, bob, home) = household(&server);
    let mut zombies: Vec<_> = (0..25).map(|_| bob.socket()).collect();
    ann.log(&home, "x");
    for socket in &mut zombies {
        socket.expect_deuce("x");
        socket.expect_silence();
    }
}

#[test]
fn a_hundred_sockets_come_back_at_once() {
    let mut server = Server::open();
    let (ann, bob, home) = household(&server);
    let people = [&ann, &bob];
    let _old: Vec<_> = (0..100).map(|number| people[number % 2].socket()).collect();
    server.restart();
    let sockets = together(4, |index| (0..25).map(|_| people[index % 2].socket()).collect::<Vec<_>>());
    ann.log(&home, "after the restart");
    for mut socket in sockets.into_iter().flatten() {
        socket.expect_deuce("after the restart");
    }
}

#[test]
fn r_w8_a_reader_who_stalls_holds_up_nobody() {
    let server = Server::setup()
        .open()
        .limit("deuces_per_minute", 100_000)
        .limit("api_requests_per_minute", 100_000)
        .start();
    let (ann, bob, home) = household(&server);
    let _never_read: Vec<_> = (0..5).map(|_| bob.socket()).collect();
    let mut of_ann = ann.socket();
    for number in 0..150 {
        let thoughts = format!("{number} {}", "👍".repeat(990));
        ann.log(&home, &thoughts);
        of_ann.expect_deuce(&thoughts);
    }
}

#[test]
fn r_w8_a_stalled_reader_misses_nothing() {
    let server = Server::setup()
        .open()
        .limit("deuces_per_minute", 100_000)
        .limit("api_requests_per_minute", 100_000)
        .start();
    let (ann, bob, home) = household(&server);
    let mut late = bob.socket();
    let thoughts = |number: i32| format!("{number} {}", "👍".repeat(990));
    for number in 0..200 {
        ann.log(&home, &thoughts(number));
    }
    let mut last = None;
    for number in 0..200 {
        let seq = late.expect_deuce(&thoughts(number))["seq"].as_i64().unwrap();
        assert!(last.is_none_or(|last| seq == last + 1), "no gap: {last:?} then {seq}");
        last = Some(seq);
    }
    late.expect_silence();
}

#[test]
fn a_socket_torn_off_disturbs_nobody() {
    let server = Server::open();
    let (ann, bob, home) = household(&server);
    let mut of_ann = ann.socket();
    for _ in 0..10 {
        drop(bob.socket());
        let mut half = bob.socket();
        half.send_raw(&frame(1, b"{}")[..3]);
    }
    ann.log(&home, "x");
    of_ann.expect_deuce("x");
}
