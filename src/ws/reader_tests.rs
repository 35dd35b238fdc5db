//! Frames by the book and against it: every cut gives the same messages, the same answers and the same end.

use super::*;
use proptest::prelude::*;

const MOST: u64 = 1000;
const MASK: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// What came of a connection's bytes: messages, how it ended, and what was answered.
#[derive(Debug, PartialEq, Eq)]
struct Heard {
    messages: Vec<(bool, Vec<u8>)>,
    end: Option<Incoming>,
    replies: Vec<u8>,
}

fn hear<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Heard {
    let mut reader = Reader::new(MOST);
    let (mut messages, mut end, mut replies) = (Vec::new(), None, Replies::default());
    'all: for piece in pieces {
        let mut left = piece;
        while let Some(incoming) = reader.next(&mut left, &mut replies) {
            match incoming {
                Incoming::Text(text) => messages.push((true, text.as_bytes().to_vec())),
                Incoming::Binary(bytes) => messages.push((false, bytes.to_vec())),
                last => {
                    end = Some(last);
                    break 'all;
                }
            }
        }
    }
    Heard { messages, end, replies: replies.take() }
}

/// Whole, and byte by byte: the same.
#[track_caller]
fn heard(bytes: &[u8]) -> Heard {
    let whole = hear([bytes]);
    assert_eq!(whole, hear(bytes.chunks(1)), "{bytes:?}");
    whole
}

#[track_caller]
fn broken(bytes: &[u8], violation: Violation) {
    assert_eq!(heard(bytes).end, Some(Incoming::Broken(violation)), "{bytes:?}");
}

/// A masked frame with this first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = announced(first, payload.len() as u64);
    bytes.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

/// The header of one.
fn announced(first: u8, length: u64) -> Vec<u8> {
    let mut bytes = vec![first];
    match length {
        0..=125 => bytes.push(0x80 | length as u8),
        126..=0xffff => {
            bytes.push(0x80 | 126);
            bytes.extend((length as u16).to_be_bytes());
        }
        _ => {
            bytes.push(0x80 | 127);
            bytes.extend(length.to_be_bytes());
        }
    }
    bytes.extend(MASK);
    bytes
}

#[test]
fn messages_whole_and_in_pieces_with_pings_between() {
    let text = "Größe 👍".as_bytes();
    let bytes = [
        frame(0x81, text),
        frame(0x01, &text[..4]),
        frame(0x89, b"one"),
        frame(0x00, b""),
        frame(0x89, b"two"),
        frame(0x80, &text[4..]),
        frame(0x82, &[0xff, 0]),
        frame(0x8a, b"unasked"),
    ]
    .concat();
    let heard = heard(&bytes);
    let text = text.to_vec();
    assert_eq!(heard.messages, [(true, text.clone()), (true, text), (false, vec![0xff, 0])]);
    assert_eq!(heard.end, None);
    assert_eq!(heard.replies, b"\x8a\x03one\x8a\x03two");
}

#[test]
fn what_came_before_a_violation_counts() {
    let bytes = [frame(0x81, b"a"), frame(0x89, b"p"), frame(0xc1, b"b"), frame(0x81, b"c")].concat();
    let heard = heard(&bytes);
    assert_eq!(heard.messages, [(true, b"a".to_vec())]);
    assert_eq!(heard.replies, b"\x8a\x01p");
    assert_eq!(heard.end, Some(Incoming::Broken(Violation::Protocol)));
}

#[test]
fn lengths_must_have_their_shortest_form() {
    broken(&[0x81, 0xfe, 0, 125], Violation::Protocol);
    broken(&[0x81, 0xff, 0, 0, 0, 0, 0, 0, 0xff, 0xff], Violation::Protocol);
    broken(&[0x81, 0xff, 0x80, 0, 0, 0, 0, 1, 0, 0], Violation::Protocol);
    assert_eq!(heard(&frame(0x81, &[b'x'; 126])).end, None);
}

#[test]
fn first_bytes_that_are_judged_alone() {
    for first in [0x80, 0xc1, 0xa1, 0x91, 0x83, 0x87, 0x8b, 0x8f, 0x08, 0x09, 0x0a, 0x00] {
        broken(&[first], Violation::Protocol);
    }
    for second in [0x00, 0x7d, 0x81, 0xfe, 0xff] {
        broken(&[0x88, second], Violation::Protocol);
    }
    broken(&[0x89, 0xfe], Violation::Protocol);
    broken(&[0x81, 0x05], Violation::Protocol);
    broken(&[frame(0x01, b"a"), vec![0x81]].concat(), Violation::Protocol);
}

#[test]
fn too_much_is_known_from_the_length() {
    broken(&[0x81, 0xfe, 3, 233], Violation::TooBig);
    broken(&[0x82, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Violation::TooBig);
    let pieces =
        [frame(0x01, &[b'x'; 600]), frame(0x89, &[0; 5]), frame(0x00, &[b'x'; 400]), frame(0x80, b"")];
    assert_eq!(heard(&pieces.concat()).messages, [(true, vec![b'x'; 1000])]);
    broken(
        &[frame(0x01, &[b'x'; 600]), frame(0x89, b"p"), vec![0x80, 0xfe, 1, 145]].concat(),
        Violation::TooBig,
    );
    let one_after_the_other = [frame(0x81, &[b'x'; 1000]), frame(0x82, &[0; 1000]), frame(0x81, b"x")];
    assert_eq!(heard(&one_after_the_other.concat()).messages.len(), 3);
}

#[test]
fn bad_text_is_known_within_the_frame() {
    // A hundred bytes are announced, and none after the bad one is needed.
    let begin = |text: &[u8]| {
        let mut bytes = announced(0x81, 100);
        bytes.extend(text.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        bytes
    };
    for text in
        [&b"a\xff"[..], b"\xc0", b"\xe0\x80", b"\xed\xa0", b"\xf0\x80", b"\xf4\x90", b"\xf5", b"\xe2\x82A"]
    {
        broken(&begin(text), Violation::Utf8);
        assert_eq!(heard(&begin(&text[..text.len() - 1])).end, None, "{text:?}");
    }
    broken(&frame(0x81, b"\xe2\x82"), Violation::Utf8);
    broken(&[frame(0x01, b"\xe2"), frame(0x89, b"\xff"), frame(0x80, b"\x82")].concat(), Violation::Utf8);
    broken(&[frame(0x01, b"\xe2\x82"), frame(0x80, b"")].concat(), Violation::Utf8);
    let cut =
        [frame(0x01, b"\xe2"), frame(0x89, b"\xff"), frame(0x00, b"\x82"), frame(0x80, b"\xac")].concat();
    assert_eq!(heard(&cut).messages, [(true, "€".into())]);
}

#[test]
fn closes() {
    for (payload, code) in [(&b""[..], 1005), (b"\x03\xe8", 1000), (b"\x0b\xb8tsch\xc3\xbcs", 3000)] {
        let heard = heard(&[frame(0x88, payload), b"anything".to_vec()].concat());
        assert_eq!(heard.end, Some(Incoming::Close(code)));
        assert_eq!(heard.replies, [&[0x88, payload.len() as u8], payload].concat());
    }
    for code in [0_u16, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        broken(&frame(0x88, &code.to_be_bytes()), Violation::Protocol);
    }
    for code in [1000_u16, 1003, 1007, 1011, 1013, 3000, 4999] {
        assert_eq!(heard(&frame(0x88, &code.to_be_bytes())).end, Some(Incoming::Close(code)));
    }
    broken(&frame(0x88, b"\x03\xe8\xff"), Violation::Utf8);
    broken(&frame(0x88, b"\x03\xe8\xc3"), Violation::Utf8);
    // A letter of the message that the close cuts off is no matter of the close.
    let cut_off = [frame(0x01, b"\xe2\x82"), frame(0x88, b"\x03\xe8ok")].concat();
    assert_eq!(heard(&cut_off).end, Some(Incoming::Close(1000)));
}

#[test]
fn only_the_newest_pong_of_many_is_kept_on_request() {
    let mut reader = Reader::new(MOST);
    let mut replies = Replies::default();
    let pings: Vec<u8> = (0..1000).flat_map(|number: u32| frame(0x89, &number.to_be_bytes())).collect();
    assert_eq!(reader.next(&mut pings.as_slice(), &mut replies), None);
    assert_eq!(replies.take_newest(), b"\x8a\x04\0\0\x03\xe7");
    assert!(replies.is_empty());
}

/// Frames that are mostly good, with text that is mostly text.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        8 => prop::sample::select(vec![0x81, 0x01, 0x00, 0x80, 0x02, 0x82, 0x89, 0x8a]),
        1 => prop::sample::select(vec![0x88]),
        1 => any::<u8>(),
    ];
    let payload = prop_oneof![
        6 => "[a-zé€👍]{0,12}".prop_map(String::into_bytes),
        2 => prop::collection::vec(any::<u8>(), 0..140),
        1 => prop::sample::select(vec![b"\xe2".to_vec(), b"\x82".to_vec(), b"\xac".to_vec(), b"\x03\xe8".to_vec()]),
    ];
    prop::collection::vec((first, payload), 1..12)
        .prop_map(|frames| frames.into_iter().flat_map(|(first, payload)| frame(first, &payload)).collect())
}

proptest! {
    #![proptest_config(crate::test::dice())]

    #[test]
    fn however_the_bytes_are_cut_the_same_is_heard(
        bytes in prop_oneof![3 => frames(), 1 => prop::collection::vec(any::<u8>(), 0..400)],
        cuts in prop::collection::vec(1usize..50, 1..20),
    ) {
        let (mut pieces, mut rest, mut cut) = (Vec::new(), &bytes[..], cuts.iter().cycle());
        while !rest.is_empty() {
            let (piece, later) = rest.split_at((*cut.next().unwrap()).min(rest.len()));
            pieces.push(piece);
            rest = later;
        }
        prop_assert_eq!(hear(pieces), heard(&bytes));
    }
}
