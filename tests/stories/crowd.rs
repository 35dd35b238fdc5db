//! More of them than there is room for: connections, sockets, and sockets of nobody.

use crate::harness::{
    Client, PATIENCE, Server, Socket, Wire, check,
    socket::{Handshake, fragment, frame},
    together,
};
use std::{net::Ipv4Addr, time::Instant};

const HEALTH: &str = "GET /api/health HTTP/1.1\r\nHost: deuce\r\n\r\n";

/// Opens sockets all at once; those that were let in, and how many were not.
#[track_caller]
fn burst(count: usize, handshake: impl Fn(usize) -> Handshake + Sync) -> (Vec<Socket>, usize) {
    let results = together(count, |index| handshake(index).try_open());
    let mut sockets = Vec::new();
    let mut refused = 0;
    for result in results {
        match result {
            Ok(socket) => sockets.push(socket),
            Err(reply) => {
                assert_eq!(reply.status, 503, "{reply:?}");
                assert_eq!(reply.header("Content-Length"), Some("0"), "{reply:?}");
                refused += 1;
            }
        }
    }
    (sockets, refused)
}

#[test]
fn r_w9_sixty_sockets_at_once_where_five_fit() {
    let server = Server::setup().open().limit("sockets", 5).start();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    for round in 0..3 {
        let (mut sockets, refused) = burst(60, |_| ann.handshake());
        assert_eq!((sockets.len(), refused), (5, 55));
        assert_eq!(ann.get("/api/health").ok()["ws"]["activeConnections"], 5);
        let thoughts = format!("round {round}");
        ann.log(&home, &thoughts);
        for mut socket in sockets.drain(..) {
            socket.expect_deuce(&thoughts);
            socket.send_raw(&frame(8, &1001_u16.to_be_bytes()));
            socket.expect_close(1001);
        }
    }
}

#[test]
fn r_w9_nobodys_sockets_leave_room_for_people() {
    let server = Server::setup().open().limit("anonymous_sockets", 3).start();
    let (ann, nobody) = (server.person("Ann"), server.nobody());
    let (mut anonymous, refused) = burst(20, |_| nobody.handshake().saying(r#"{"type":"ack"}"#));
    assert_eq!((anonymous.len(), refused), (3, 17));
    nobody.handshake().refused(503);
    ann.socket().expect_silence();
    ann.bearer().socket().expect_silence();
    nobody.handshake().target(&format!("/ws?token={}", ann.token())).open().expect_silence();
    nobody.handshake().header("Cookie", "deuced=nonsense").refused(401);

    let mut leaver = anonymous.pop().unwrap();
    leaver.send_raw(&frame(8, &1001_u16.to_be_bytes()));
    leaver.expect_close(1001);
    nobody.socket().expect_silence();
    anonymous.iter_mut().for_each(Socket::expect_silence);
}

#[test]
fn a_server_without_room_for_nobody() {
    let server = Server::setup().open().limit("anonymous_sockets", 0).start();
    server.nobody().handshake().refused(503);
    server.person("Ann").socket().expect_silence();
}

/// A text of this length that is never answered.
fn padded(length: usize) -> String {
    let (begin, end) = (r#"{"type":"ack","pad":""#, r#""}"#);
    format!("{begin}{}{end}", "x".repeat(length - begin.len() - end.len()))
}

#[test]
fn nobodys_messages_are_short() {
    let server = Server::open();
    let (ann, nobody) = (server.person("Ann"), server.nobody());
    let most = 65_536;
    let mut socket = nobody.socket();
    let text = padded(most);
    socket.send_text(&text);
    socket.expect_silence();
    let (begin, end) = text.as_bytes().split_at(most / 2);
    socket.send_raw(&[fragment(0x01, begin), fragment(0x80, end)].concat());
    socket.expect_silence();
    socket.try_send_raw(&frame(1, &vec![b'x'; most + 1]));
    socket.expect_close(1009);
    let mut in_pieces = nobody.socket();
    in_pieces.try_send_raw(&[fragment(0x01, &vec![b'x'; most]), fragment(0x80, b"x")].concat());
    in_pieces.expect_close(1009);
    for mut socket in [ann.socket(), ann.bearer().socket()] {
        socket.send_text(&padded(most + 1));
        socket.expect_silence();
        socket.send_text(&padded(1 << 20));
        socket.expect_silence();
    }
}

#[test]
fn another_length_for_nobodys_messages() {
    let server = Server::setup().open().limit("anonymous_frame_bytes", 2000).start();
    let mut socket = server.nobody().socket();
    socket.send_text(&padded(2000));
    socket.expect_silence();
    socket.try_send_raw(&frame(1, &[b'x'; 2001]));
    socket.expect_close(1009);
    let mut of_ann = server.person("Ann").socket();
    of_ann.send_text(&padded(2001));
    of_ann.expect_silence();
}

/// A connection that has been let in.
#[track_caller]
fn let_in(mut wire: Wire) -> Wire {
    wire.send(HEALTH);
    let reply = wire.reply("GET");
    assert_eq!(reply.status, 200, "{reply:?}");
    wire
}

/// A connection that is told that there are too many, whole and by itself.
#[track_caller]
fn turned_away(mut wire: Wire) {
    let _ = wire.try_send(HEALTH);
    let reply = wire.reply("GET");
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(reply.message().to_lowercase().contains("connections"), "{reply:?}");
    assert!(!check::shows_insides(&reply.message()), "{reply:?}");
    assert!(reply.header("X-Request-Id").is_some(), "{reply:?}");
    assert_eq!(reply.header("Connection").map(str::to_lowercase).as_deref(), Some("close"), "{reply:?}");
    wire.expect_end();
}

/// Waits until a place is free: the server notices the end of a connection in its own time.
#[track_caller]
fn let_in_soon(client: &Client) -> Wire {
    let start = Instant::now();
    loop {
        let mut wire = Wire::open(client.address());
        let _ = wire.try_send(HEALTH);
        if wire.reply("GET").status == 200 {
            return wire;
        }
        assert!(start.elapsed() < PATIENCE, "the place stays taken");
    }
}

#[test]
fn connections_of_one_address() {
    let server = Server::setup().open().limit("connections_per_address", 3).start();
    let mut open: Vec<_> = (0..3).map(|_| let_in(server.wire())).collect();
    for _ in 0..5 {
        turned_away(server.wire());
    }
    let other = Ipv4Addr::new(127, 0, 0, 2);
    let _elsewhere = let_in(Wire::open_from(other, server.address()));
    open.pop();
    let _again = let_in_soon(&server.nobody());
    turned_away(server.wire());
    drop(let_in(open.pop().unwrap()));
}

#[test]
fn connections_of_all() {
    let server = Server::setup().open().limit("connections", 3).start();
    let _socket = server.nobody().socket();
    let open = let_in(server.wire());
    let _elsewhere = let_in(Wire::open_from(Ipv4Addr::new(127, 0, 0, 2), server.address()));
    for source in [1, 2, 3] {
        turned_away(Wire::open_from(Ipv4Addr::new(127, 0, 0, source), server.address()));
    }
    drop(open);
    let_in_soon(&server.nobody());
}
