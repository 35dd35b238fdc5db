//! Sockets as RFC 6455 and `robustness.md` want them, sentence by sentence (R-W1 to R-W11): the handshake's refusals,
//! and every broken rule answered with its code, byte by byte, before the end that comes within two seconds.
//!
//! Proved beside the stories of their nouns: R-W8 in `socket` and `pace`, R-W9 in `crowd` and `pace`, R-W10 in `pace`.

use crate::harness::{
    Client, Frame, Native, Server, Socket,
    emulation::leaves_out_measures,
    socket::{fragment, frame, head},
};
use serde_json::json;
use std::time::{Duration, Instant};

/// How long the end may take; the two seconds of the requirement, and one for a busy machine.
const END: Duration = Duration::from_secs(3);

/// The close frame of a server.
fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    [&[0x88, 2 + reason.len() as u8], &code.to_be_bytes()[..], reason.as_bytes()].concat()
}

/// The reason that goes with a code.
fn reason(code: u16) -> &'static str {
    match code {
        1002 => "protocol error",
        1007 => "text is not UTF-8",
        1009 => "message too big",
        other => panic!("{other} is no violation's"),
    }
}

/// A witness who hears everything before and after.
struct House {
    server: Server,
    ann: Client,
    home: String,
    witness: Socket,
}

impl House {
    fn new() -> House {
        let server = Server::open();
        let ann = server.person("Ann");
        let home = ann.found("Home");
        let witness = ann.socket();
        House { server, ann, home, witness }
    }

    /// Somebody sends these bytes, and then nothing, and is sent exactly this close and the end; logged in or not,
    /// and whether the bytes come at once or one by one.
    #[track_caller]
    fn ends(&mut self, name: &str, bytes: &[u8], code: u16) {
        eprintln!("{name}");
        for (client, slowly) in [(&self.ann, false), (&self.server.nobody(), false), (&self.ann, true)] {
            let mut culprit = client.handshake().saying(r#"{"type":"ack"}"#).open();
            if slowly && bytes.len() < 300 {
                bytes.iter().for_each(|byte| culprit.try_send_raw(&[*byte]));
            } else {
                culprit.try_send_raw(bytes);
            }
            let (last, took) = culprit.until_the_end();
            assert_eq!(last, close_frame(code, reason(code)), "{name}");
            assert!(took < END, "{name}: {took:?}");
        }
        self.ann.log(&self.home, name);
        self.witness.expect_deuce(name);
    }
}

#[test]
fn r_w2_against_the_protocol_is_1002() {
    let mut house = House::new();
    let unmasked = [head(0x81, 0, 2), b"{}".to_vec()].concat();
    let cases: [(&str, Vec<u8>); 18] = [
        ("reserved bit 1", fragment(0xc1, b"{}")),
        ("reserved bit 2", fragment(0xa1, b"{}")),
        ("reserved bit 3", fragment(0x91, b"{}")),
        ("not masked", unmasked),
        ("not masked ping", vec![0x89, 0x00]),
        ("unknown kind 3", frame(3, b"x")),
        ("unknown control 11", frame(11, b"x")),
        ("ping in pieces", fragment(0x09, b"x")),
        ("ping too long", frame(9, &[0; 126])),
        ("close too long", frame(8, &[&1000_u16.to_be_bytes()[..], &[b'x'; 124]].concat())),
        ("goes on with nothing", fragment(0x80, b"x")),
        ("begins twice", [fragment(0x01, b"{"), fragment(0x81, b"}")].concat()),
        ("close with half a code", frame(8, b"\x03")),
        ("close with a code nobody may send", frame(8, &1005_u16.to_be_bytes())),
        ("close with 1006", frame(8, &1006_u16.to_be_bytes())),
        ("close with 999", frame(8, &999_u16.to_be_bytes())),
        ("close with a reserved code", frame(8, &1016_u16.to_be_bytes())),
        ("close with 5000", frame(8, &5000_u16.to_be_bytes())),
    ];
    for (name, bytes) in &cases {
        house.ends(name, bytes, 1002);
    }
}

#[test]
fn r_w2_a_length_in_more_bytes_than_it_needs() {
    let mut house = House::new();
    house.ends("16 bits for 2", &[&[0x81, 0xfe, 0, 2, 0, 0, 0, 0][..], b"{}"].concat(), 1002);
    house.ends(
        "64 bits for 2",
        &[&[0x81, 0xff, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0][..], b"{}"].concat(),
        1002,
    );
}

#[test]
fn r_w2_text_that_is_not_utf_8_is_1007() {
    let mut house = House::new();
    house.ends("a bad byte", &frame(1, b"{\"a\":\"\xff\"}"), 1007);
    house.ends("half a letter", &frame(1, b"\xc3"), 1007);
    house.ends("a surrogate", &frame(1, b"\xed\xa0\x80"), 1007);
    house.ends("too long a form", &frame(1, b"\xc0\xaf"), 1007);
    house.ends("in the second piece", &[fragment(0x01, b"\xe2\x82"), fragment(0x80, b"\x41")].concat(), 1007);
    house.ends("bad reason", &frame(8, &[&1000_u16.to_be_bytes()[..], b"\xff"].concat()), 1007);
    // A letter cut by a legal fragment is legal.
    let mut socket = house.ann.socket();
    socket.send_raw(&[fragment(0x01, b"\xe2\x82"), fragment(0x80, b"\xac")].concat());
    socket.expect_silence();
}

#[test]
fn r_w3_too_big_by_its_header_alone() {
    let mut house = House::new();
    let announced = |first, length| [head(first, 0x80, length), vec![0; 4]].concat();
    house.ends("200 MiB", &announced(0x81, 200 << 20), 1009);
    house.ends("2^62 bytes", &announced(0x82, 1 << 62), 1009);
    house.ends("one byte too many", &announced(0x81, (1 << 20) + 1), 1009);
}

#[test]
fn r_w3_too_big_by_the_header_of_its_second_piece() {
    let mut house = House::new();
    let pieces = [fragment(0x02, &[0; 600_000]), head(0x80, 0x80, 600_000), vec![0; 4]].concat();
    house.ends("too big in pieces", &pieces, 1009);
}

#[test]
fn r_w3_too_big_in_pieces() {
    let mut house = House::new();
    let pieces = [fragment(0x02, &[0; 600_000]), fragment(0x80, &[0; 600_000])].concat();
    house.ends("too big in pieces", &pieces, 1009);
}

#[test]
fn r_w3_a_length_with_its_highest_bit() {
    let mut house = House::new();
    house.ends("the highest bit", &[&[0x81, 0xff][..], &[0xff; 8], &[0; 4]].concat(), 1002);
}

#[test]
fn r_w2_the_end_in_the_middle_of_a_frame() {
    let mut house = House::new();
    for bytes in [&b"\x81"[..], b"\x81\xfe\x01", b"\x81\x85\x00\x00\x00\x00ab", b"\x89\x80\x00"] {
        let mut culprit = house.ann.socket();
        culprit.send_raw(bytes);
        culprit.finish_sending();
        // A close frame or the bare end: whichever, it ends.
        while culprit.any_frame() != Frame::End {}
    }
    house.ann.log(&house.home, "x");
    house.witness.expect_deuce("x");
}

#[test]
fn r_w2_http_on_a_socket() {
    let mut house = House::new();
    house.ends("a request", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 1002);
}

#[test]
fn r_w4_ten_thousand_tiny_pieces_and_pings() {
    let mut house = House::new();
    let mut busy = house.ann.socket();
    let mut bytes = fragment(0x01, b"x");
    for _ in 0..10_000 {
        bytes.extend(fragment(0x00, b""));
    }
    busy.try_send_raw(&bytes);
    let pings: Vec<u8> = (0..10_000).flat_map(|_| frame(9, b"")).collect();
    busy.try_send_raw(&pings);
    house.ann.log(&house.home, "x");
    house.witness.expect_deuce("x");
}

// R-W1: the upgrade.

#[test]
fn r_w1_a_plain_visit_of_the_socket() {
    let server = Server::open();
    let ann = server.person("Ann");
    ann.handshake().without("Upgrade").without("Connection").refused(426);
    ann.handshake().header("Upgrade", "h2c").refused(426);
}

#[test]
fn r_w1_an_upgrade_that_cannot_be() {
    let server = Server::open();
    let ann = server.person("Ann");
    for version in ["8", "0", "14", "x", "", "13, 8", "013"] {
        let reply = ann.handshake().header("Sec-WebSocket-Version", version).refused(426);
        assert_eq!(reply.header("Sec-WebSocket-Version"), Some("13"), "{reply:?}");
        assert_eq!(reply.header("Upgrade"), Some("websocket"), "{reply:?}");
    }
    let reply = ann.handshake().without("Sec-WebSocket-Version").refused(426);
    assert_eq!(reply.header("Sec-WebSocket-Version"), Some("13"), "{reply:?}");
    ann.handshake().without("Sec-WebSocket-Key").refused(400);
    for key in ["", "x", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZQ==", "!!!!IHNhbXBsZSBub25jZQ=="] {
        ann.handshake().header("Sec-WebSocket-Key", key).refused(400);
    }
}

#[test]
fn r_w1_other_methods_and_versions_of_http_open_no_socket() {
    let server = Server::open();
    let ann = server.person("Ann");
    let request = String::from_utf8(ann.handshake().bytes()).unwrap();
    for (request, status) in [
        (request.replacen("GET", "POST", 1), 426),
        (request.replacen("HTTP/1.1", "HTTP/1.0", 1), 426),
        (request.replacen("Connection: Upgrade", "Connection: close", 1), 426),
        // What has a body is a request, and not the beginning of a socket.
        (request.replacen("\r\n\r\n", "\r\nContent-Length: 2\r\n\r\n{}", 1), 426),
    ] {
        let mut wire = server.wire();
        wire.send(&request);
        assert_eq!(wire.reply("GET").status, status, "{request}");
        wire.expect_end();
    }
}

#[test]
fn r_w1_there_are_few_socket_paths() {
    let server = Server::open();
    let ann = server.person("Ann");
    for path in ["/nope", "/api/nope", "/ws/x", "/chat/", "/chat/room/", "/chat/a/b/c"] {
        let reply = ann.handshake().target(path).try_open().err().expect("no socket here");
        assert_eq!(reply.status, 404, "{path}: {reply:?}");
    }
}

#[test]
fn r_w1_form_then_origin_then_login_then_room() {
    let server = Server::setup().open().limit("sockets", 1).start();
    let ann = server.person("Ann");
    let _place = ann.socket();
    let bad = || ann.handshake().header("Cookie", "deuced=x");
    bad().header("Origin", "https://evil.example").header("Sec-WebSocket-Key", "x").refused(400);
    bad().header("Origin", "https://evil.example").refused(403);
    bad().refused(401);
    server.nobody().handshake().target("/realtime").refused(401);
    let full = ann.handshake().refused(503);
    assert_eq!(full.header("Retry-After"), Some("5"), "{full:?}");
}

#[test]
fn r_w1_a_handshake_in_as_many_packets_as_bytes() {
    let server = Server::open();
    let ann = server.person("Ann");
    let request = ann.handshake().header("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ==").bytes();
    let mut wire = server.wire();
    wire.send_slowly(&request);
    wire.send(frame(9, b"first"));
    let reply = wire.reply("GET");
    assert_eq!(reply.line, "HTTP/1.1 101 Switching Protocols");
    assert_eq!(reply.header("Sec-WebSocket-Accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert_eq!(reply.header("Content-Length"), None, "{reply:?}");
    assert_eq!(wire.take(7).unwrap().as_deref(), Some(&b"\x8a\x05first"[..]));
}

#[test]
fn r_w1_frames_that_travel_with_the_upgrade() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    let join = json!({ "type": "join_group", "groupId": home }).to_string();
    let mut frames = frame(1, join.as_bytes());
    frames.extend(frame(9, b"early"));
    let mut socket = bob.bearer().handshake().followed_by(&frames).open();
    assert_eq!(socket.next_frame(), Frame::Pong(b"early".to_vec()));
    ann.log(&home, "x");
    socket.expect_deuce("x");

    let mut half = bob.handshake().followed_by(&frame(9, b"in two parts")[..5]).open();
    half.send_raw(&frame(9, b"in two parts")[5..]);
    assert_eq!(half.next_frame(), Frame::Pong(b"in two parts".to_vec()));
}

// R-W2: the code first, then the end.

#[test]
fn r_w2_what_a_client_says_last_is_answered() {
    let server = Server::open();
    let ann = server.person("Ann");
    let goodbye = [&1000_u16.to_be_bytes()[..], "tschüs".as_bytes()].concat();
    for payload in [&b""[..], &1001_u16.to_be_bytes(), &3000_u16.to_be_bytes(), &goodbye] {
        let mut socket = ann.socket();
        // Nothing that follows a close is read, whatever it is.
        socket.send_raw(&[frame(8, payload), frame(1, b"{}"), vec![0xff; 100]].concat());
        let (last, took) = socket.until_the_end();
        assert_eq!(last, [&[0x88, payload.len() as u8], payload].concat());
        assert!(took < END, "{took:?}");
    }
}

#[test]
fn r_w2_what_came_before_the_violation_is_still_answered() {
    let server = Server::open();
    let ann = server.person("Ann");
    let mut socket = Native::open(&ann).socket;
    socket.send_raw(&[frame(1, br#"{"type":"ping"}"#), frame(9, b"p"), fragment(0xc1, b"x")].concat());
    let (last, _) = socket.until_the_end();
    let pong = br#"{"type":"pong"}"#;
    let expected =
        [&[0x81, pong.len() as u8], &pong[..], b"\x8a\x01p", &close_frame(1002, "protocol error")].concat();
    assert_eq!(last, expected);
}

#[test]
fn r_w2_what_is_no_json_is_1003_where_clients_want_to_be_told() {
    let server = Server::open();
    let ann = server.person("Ann");
    for nonsense in [frame(1, b"nonsense"), frame(2, b"\x00\xff")] {
        let mut socket = Native::open(&ann).socket;
        socket.send_raw(&nonsense);
        let (last, took) = socket.until_the_end();
        assert_eq!(last, close_frame(1003, "Invalid JSON"));
        assert!(took < END, "{took:?}");
    }
}

#[test]
fn r_w2_a_login_that_ends_is_1008_and_a_server_that_ends_1001() {
    let mut server = Server::open();
    let ann = server.person("Ann");
    let mut socket = ann.socket();
    ann.post("/api/auth/logout", json!({})).ok();
    let (last, took) = socket.until_the_end();
    assert_eq!(last, close_frame(1008, "logged out"));
    assert!(took < END, "{took:?}");
    let mut socket = server.device("Ann").socket();
    server.signal(libc::SIGTERM);
    assert_eq!(socket.until_the_end().0, close_frame(1001, "server is stopping"));
    assert!(server.wait_for_end().0.success());
}

#[test]
fn r_w2_one_socket_too_many_after_logging_in_is_1013() {
    let server = Server::setup().open().limit("sockets_per_user", 1).start();
    let ann = server.person("Ann");
    let _place = ann.socket();
    let mut late = server.nobody().handshake().offering("deuced.v1").open();
    late.next_frame();
    late.send_json(json!({ "type": "auth", "id": 1, "payload": { "token": ann.token() } }));
    let (last, took) = late.until_the_end();
    assert!(last.ends_with(&close_frame(1013, "too many sockets")), "{:?}", String::from_utf8_lossy(&last));
    assert!(took < END, "{took:?}");
}

#[test]
fn r_w2_whoever_goes_on_sending_is_cut_off_after_two_seconds() {
    let server = Server::open();
    let mut socket = server.person("Ann").socket();
    socket.send_raw(&fragment(0xc1, b"x"));
    assert_eq!(socket.next_frame(), Frame::Close(Some(1002), "protocol error".into()));
    let begin = Instant::now();
    while socket.try_send_more(&frame(9, b"still here")) {
        assert!(begin.elapsed() < END, "it is never cut off");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn r_w2_however_the_bytes_are_cut_the_answer_is_the_same() {
    let server = Server::open();
    let ann = server.person("Ann");
    let text = r#"{"type":"ping","x":"€ 👍"}"#.as_bytes();
    let in_pieces = [fragment(0x01, &text[..21]), frame(9, b"one"), fragment(0x80, &text[21..])].concat();
    let scripts = [
        [in_pieces, frame(8, b"\x03\xe8")].concat(),
        [frame(1, text), fragment(0x01, b"\xe2\x82"), frame(9, b"two"), fragment(0x80, b"A")].concat(),
        [frame(1, text), frame(9, b""), head(0x82, 0x80, 1 << 40), vec![0; 4]].concat(),
        [frame(1, text), frame(10, b"unasked"), frame(1, text), vec![0x8b, 0x80]].concat(),
    ];
    let mut dice = 20_261_124_u64;
    for script in &scripts {
        let mut whole = Native::open(&ann).socket;
        whole.try_send_raw(script);
        let (expected, _) = whole.until_the_end();
        for _ in 0..5 {
            let (mut socket, mut rest) = (Native::open(&ann).socket, &script[..]);
            while !rest.is_empty() {
                dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let (piece, later) = rest.split_at(rest.len().min(1 + (dice >> 33) as usize % 12));
                socket.try_send_raw(piece);
                rest = later;
            }
            assert_eq!(socket.until_the_end().0, expected);
        }
    }
}

// R-W4: pieces.

#[test]
fn r_w4_a_message_of_tiny_pieces_takes_no_more_than_its_length() {
    const PIECES: usize = 200_000;
    let server =
        Server::setup().open().limit("frames_per_second", 1_000_000).limit("frames_burst", 1_000_000).start();
    let ann = server.person("Ann");
    let mut socket = Native::open(&ann).socket;
    socket.send_json(json!({ "type": "ping", "x": "x".repeat(1_000_000) }));
    socket.next_frame();
    let before = server.memory();
    let mut bytes = fragment(0x01, br#"{"type":"ping","x":""#);
    for number in 0..PIECES {
        bytes.extend(fragment(0x00, b"abcd"));
        if number % 100 == 0 {
            bytes.extend(fragment(0x00, b""));
        }
    }
    socket.send_raw(&bytes);
    socket.send_raw(&frame(9, b"in between"));
    assert_eq!(socket.next_frame(), Frame::Pong(b"in between".to_vec()));
    let grown = server.memory().saturating_sub(before);
    // 800,000 bytes have come in thrice as many.
    assert!(grown < 2_500_000, "{grown} bytes more");
    socket.send_raw(&fragment(0x80, br#""}"#));
    assert_eq!(socket.next_frame(), Frame::Text(r#"{"type":"pong"}"#.into()));
}

// R-W5: text.

#[test]
fn r_w5_bad_text_is_refused_within_its_frame() {
    let mut house = House::new();
    for text in [&b"{\xff"[..], b"\xed\xa0", b"\xf0\x80", b"\xf4\x90", b"\xe2\x82A"] {
        // A thousand bytes are announced, and these are all that come.
        let mut bytes = head(0x81, 0x80, 1000);
        bytes.extend([0; 4]);
        bytes.extend(text);
        house.ends("in the middle of a frame", &bytes, 1007);
    }
}

// R-W6: pings.

#[test]
fn r_w6_every_ping_has_its_pong_while_they_are_read() {
    let server = Server::open();
    let mut socket = server.person("Ann").socket();
    let pings: Vec<u8> = (0..10_u8).flat_map(|number| frame(9, &[number; 125])).collect();
    socket.send_raw(&pings);
    for number in 0..10 {
        assert_eq!(socket.next_frame(), Frame::Pong(vec![number; 125]));
    }
}

#[test]
fn r_w6_whoever_reads_no_pongs_is_owed_only_the_newest() {
    const PINGS: usize = 100_000;
    let server = Server::setup()
        .open()
        .limit("send_buffer_bytes", 4096)
        .limit("frames_per_second", 1_000_000)
        .limit("frames_burst", 1_000_000)
        .start();
    let ann = server.person("Ann");
    let mut socket = ann.socket();
    socket.wire().take_little();
    let before = server.memory();
    let pings: Vec<u8> = (0..1000).flat_map(|_| frame(9, &[b'p'; 120])).collect();
    for _ in 0..PINGS / 1000 {
        socket.send_raw(&pings);
    }
    socket.send_raw(&frame(9, b"the newest"));
    // Somebody else is served meanwhile.
    ann.socket().expect_silence();
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 2_000_000 || leaves_out_measures(), "{grown} bytes more");
    let mut pongs = 0;
    while socket.next_frame() != Frame::Pong(b"the newest".to_vec()) {
        pongs += 1;
    }
    assert!(pongs < PINGS / 2, "{pongs} pongs were kept for later");
}

// R-W7: compression is declined.

#[test]
fn r_w7_an_offer_of_compression_is_declined_and_what_is_compressed_refused() {
    let server = Server::open();
    let ann = server.person("Ann");
    for offer in [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover; client_max_window_bits=99, x-webkit-deflate-frame",
        "nonsense;;=",
    ] {
        // The harness sees to it that no answer names an extension.
        let mut socket = ann.handshake().header("Sec-WebSocket-Extensions", offer).open();
        socket.expect_silence();
        socket.send_raw(&fragment(0xc1, b"\xaa\x56\x4a"));
        socket.expect_close(1002);
    }
}

#[test]
fn r_w7_browsers_spell_the_upgrade_differently() {
    let server = Server::open();
    let ann = server.person("Ann");
    let odd = ann.handshake().header("Connection", "keep-alive, Upgrade").header("Upgrade", "WebSocket");
    odd.header("Sec-WebSocket-Extensions", "permessage-deflate; client_max_window_bits")
        .open()
        .expect_silence();
    ann.handshake().target("/ws?x=y&&z").open().expect_silence();
}

// R-W11: the heartbeat.

#[test]
fn r_w11_an_answered_ping_keeps_the_socket() {
    let server = Server::setup().open().limit("ping_every_seconds", 1).start();
    let ann = server.person("Ann");
    let (mut by_pong, mut by_words) = (ann.socket(), ann.socket());
    for _ in 0..3 {
        let Frame::Ping(payload) = by_pong.any_frame() else { panic!("a ping was due") };
        by_pong.send_raw(&frame(10, &payload));
        // Any frame is a sign of life.
        assert!(matches!(by_words.any_frame(), Frame::Ping(_)));
        by_words.send_text("{}");
    }
    by_pong.expect_silence();
    by_words.expect_silence();
}

#[test]
fn r_w11_a_socket_without_a_sign_of_life_is_gone() {
    let server = Server::setup().open().limit("ping_every_seconds", 1).start();
    let ann = server.person("Ann");
    let mut asleep = ann.socket();
    let start = Instant::now();
    while asleep.any_frame() != Frame::End {}
    assert!(start.elapsed() < Duration::from_secs(4), "within two periods: {:?}", start.elapsed());
    assert_eq!(server.nobody().get("/api/health").ok()["ws"]["activeConnections"], 0);
}
