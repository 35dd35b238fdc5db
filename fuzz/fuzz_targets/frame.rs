//! Frames of a socket: the same messages, answers and end however the bytes are cut, and as a plain reading of
//! RFC 6455 has them, which looks at everything at once.

#![no_main]

use deuced::ws::close::Violation;
use deuced::ws::reader::{Incoming, Reader, Replies};
use deuced_fuzz::Cuts;
use libfuzzer_sys::fuzz_target;

/// The longest message; low, so that short inputs reach it.
const MOST: u64 = 300;

#[derive(Debug, PartialEq)]
struct Heard {
    messages: Vec<(bool, Vec<u8>)>,
    end: Option<End>,
    replies: Vec<u8>,
}

#[derive(Debug, PartialEq)]
enum End {
    Close(u16),
    Broken(Violation),
}

fuzz_target!(|data: &[u8]| {
    let Some((cuts, bytes)) = Cuts::split(data) else { return };
    let whole = hear([bytes]);
    assert_eq!(whole, hear(cuts.pieces(bytes)), "in pieces");
    assert_eq!(whole, plainly(bytes), "plainly");
});

fn hear<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Heard {
    let mut reader = Reader::new(MOST);
    let (mut messages, mut replies) = (Vec::new(), Replies::default());
    for mut piece in pieces {
        while let Some(incoming) = reader.next(&mut piece, &mut replies) {
            let end = match incoming {
                Incoming::Text(text) => {
                    messages.push((true, text.as_bytes().to_vec()));
                    continue;
                }
                Incoming::Binary(bytes) => {
                    messages.push((false, bytes.to_vec()));
                    continue;
                }
                Incoming::Close(code) => End::Close(code),
                Incoming::Broken(violation) => End::Broken(violation),
            };
            return Heard { messages, end: Some(end), replies: replies.take() };
        }
    }
    Heard { messages, end: None, replies: replies.take() }
}

fn plainly(bytes: &[u8]) -> Heard {
    let mut heard = Heard { messages: Vec::new(), end: None, replies: Vec::new() };
    let mut open: Option<(bool, Vec<u8>)> = None;
    let mut rest = bytes;
    while let Some(result) = frame(&mut rest, &mut open, &mut heard) {
        if let Err(end) = result {
            heard.end = Some(end);
            break;
        }
    }
    heard
}

/// Reads a frame; nothing when it is not whole and what is there of it breaks no rule.
fn frame(rest: &mut &[u8], open: &mut Option<(bool, Vec<u8>)>, heard: &mut Heard) -> Option<Result<(), End>> {
    let broken = |violation| Some(Err(End::Broken(violation)));
    let first = *rest.first()?;
    let (last, kind) = (first >= 0x80, first & 0x0f);
    let control = kind >= 8;
    let known = matches!(kind, 0..=2 | 8..=10);
    let wrong_place = if kind == 0 { open.is_none() } else { !control && open.is_some() };
    if first & 0x70 != 0 || !known || wrong_place || (control && !last) {
        return broken(Violation::Protocol);
    }
    let second = *rest.get(1)?;
    let short = u64::from(second & 0x7f);
    if second < 0x80 || (control && short > 125) || (kind == 8 && short == 1) {
        return broken(Violation::Protocol);
    }
    let (length, at) = match short {
        126 => (u64::from(u16::from_be_bytes(rest.get(2..4)?.try_into().ok()?)), 4),
        127 => (u64::from_be_bytes(rest.get(2..10)?.try_into().ok()?), 10),
        _ => (short, 2),
    };
    if (at == 4 && length < 126) || (at == 10 && (length < 65_536 || length >= 1 << 63)) {
        return broken(Violation::Protocol);
    }
    let before = if kind == 0 { open.as_ref().map_or(0, |(_, bytes)| bytes.len() as u64) } else { 0 };
    if !control && before + length > MOST {
        return broken(Violation::TooBig);
    }
    let mask = rest.get(at..at + 4)?;
    let all = &rest[at + 4..];
    let here = &all[..all.len().min(length as usize)];
    let whole = here.len() as u64 == length;
    let plain: Vec<u8> = here.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect();
    *rest = &all[here.len()..];
    match kind {
        8 => {
            let code = plain.get(..2).map(|code| u16::from_be_bytes([code[0], code[1]]));
            if code.is_some_and(|code| !matches!(code, 1000..=1003 | 1007..=1013 | 3000..=4999)) {
                return broken(Violation::Protocol);
            }
            if !is_text(plain.get(2..).unwrap_or_default(), whole) {
                return broken(Violation::Utf8);
            }
            if !whole {
                return None;
            }
            heard.replies.extend([0x88, plain.len() as u8]);
            heard.replies.extend(&plain);
            Some(Err(End::Close(code.unwrap_or(1005))))
        }
        9 | 10 => {
            if !whole {
                return None;
            }
            if kind == 9 {
                heard.replies.extend([0x8a, plain.len() as u8]);
                heard.replies.extend(&plain);
            }
            Some(Ok(()))
        }
        _ => {
            let (text, mut message) = if kind == 0 { open.take()? } else { (kind == 1, Vec::new()) };
            message.extend(&plain);
            if text && !is_text(&message, whole && last) {
                return broken(Violation::Utf8);
            }
            if !whole {
                return None;
            }
            match last {
                true => heard.messages.push((text, message)),
                false => *open = Some((text, message)),
            }
            Some(Ok(()))
        }
    }
}

/// Whether bytes are text; the beginning of one will do unless they are all of it.
fn is_text(bytes: &[u8], all: bool) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => !all && error.error_len().is_none(),
    }
}
