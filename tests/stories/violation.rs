//! Illegal frames: the code is sent first, that one socket ends, and nobody else notices.

use crate::harness::{
    Client, Frame, Server, Socket,
    socket::{fragment, frame, head},
};

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

    /// Somebody sends these bytes and is closed with this code, logged in or not.
    #[track_caller]
    fn ends(&mut self, name: &str, bytes: &[u8], code: u16) {
        eprintln!("{name}");
        for client in [&self.ann, &self.server.nobody()] {
            let mut culprit = client.socket();
            culprit.try_send_raw(bytes);
            culprit.expect_close(code);
        }
        self.ann.log(&self.home, name);
        self.witness.expect_deuce(name);
    }
}

#[test]
fn against_the_protocol() {
    let mut house = House::new();
    let unmasked = [head(0x81, 0, 2), b"{}".to_vec()].concat();
    let cases: [(&str, Vec<u8>); 16] = [
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
    ];
    for (name, bytes) in &cases {
        house.ends(name, bytes, 1002);
    }
}

#[test]
fn a_length_in_more_bytes_than_it_needs() {
    let mut house = House::new();
    house.ends("16 bits for 2", &[&[0x81, 0xfe, 0, 2, 0, 0, 0, 0][..], b"{}"].concat(), 1002);
    house.ends(
        "64 bits for 2",
        &[&[0x81, 0xff, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0][..], b"{}"].concat(),
        1002,
    );
}

#[test]
fn text_that_is_not_utf_8() {
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
fn too_big_by_its_header_alone() {
    let mut house = House::new();
    let announced = |first, length| [head(first, 0x80, length), vec![0; 4]].concat();
    house.ends("200 MiB", &announced(0x81, 200 << 20), 1009);
    house.ends("2^62 bytes", &announced(0x82, 1 << 62), 1009);
    house.ends("one byte too many", &announced(0x81, (1 << 20) + 1), 1009);
}

#[test]
fn too_big_by_the_header_of_its_second_piece() {
    let mut house = House::new();
    let pieces = [fragment(0x02, &[0; 600_000]), head(0x80, 0x80, 600_000), vec![0; 4]].concat();
    house.ends("too big in pieces", &pieces, 1009);
}

#[test]
fn too_big_in_pieces() {
    let mut house = House::new();
    let pieces = [fragment(0x02, &[0; 600_000]), fragment(0x80, &[0; 600_000])].concat();
    house.ends("too big in pieces", &pieces, 1009);
}

#[test]
fn a_length_with_its_highest_bit() {
    let house = House::new();
    let mut culprit = house.ann.socket();
    culprit.try_send_raw(&[&[0x81, 0xff][..], &[0xff; 8], &[0; 4]].concat());
    match culprit.next_frame() {
        Frame::Close(Some(1002 | 1009), _) => {}
        other => panic!("{other:?}"),
    }
    house.ann.socket().expect_silence();
}

#[test]
fn the_end_in_the_middle_of_a_frame() {
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
fn http_on_a_socket() {
    let mut house = House::new();
    house.ends("a request", b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 1002);
}

#[test]
fn ten_thousand_tiny_pieces_and_pings() {
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
