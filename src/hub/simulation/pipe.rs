//! What the hub's tests stand on: a sink that takes only what it is told to, frames that can be
//! told apart on the other side, and dice that a seed throws again.
//!
//! Not here: what ought to arrive (`simulation` and `tests` say so).

use crate::domain::{Author, Event, EventId, Kind, RoomId, Time, Whisper, WhisperKind};
use crate::hub::{Form, Render, Sink};
use std::{
    cell::{Cell, RefCell},
    io,
};

/// A frame, as seen by the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// This happened, says a form.
    Event(Form, RoomId, i64),
    /// This is going on, says a form.
    Whisper(Form, RoomId, i64),
    /// The reply of this number.
    Reply(i64),
    /// A ping.
    Ping,
    /// The last frame.
    Farewell,
}

const EVENT: u8 = b'E';
const WHISPER: u8 = b'W';
const REPLY: u8 = b'R';
const FAREWELL: u8 = b'F';
const PING: u8 = 0x89;

/// What frames are filled with: a piece that was lost, doubled or moved is noticed.
static FILLING: [u8; 1024] = {
    let mut filling = [0; 1024];
    let mut at = 0;
    while at < filling.len() {
        filling[at] = (at * 37 % 251) as u8;
        at += 1;
    }
    filling
};

/// Tag, length of the filling, form, room, number.
const HEADER: usize = 1 + 2 + 1 + 4 + 4;

fn put(frames: &mut Vec<u8>, (tag, form): (u8, u8), room: RoomId, number: i64, filling: usize) {
    let [high, low] = (filling as u16).to_be_bytes();
    frames.extend_from_slice(&[tag, high, low, form]);
    frames.extend_from_slice(&(room.0 as i32).to_be_bytes());
    frames.extend_from_slice(&(number as i32).to_be_bytes());
    frames.extend_from_slice(&FILLING[..filling]);
}

/// Takes a complete frame off the front, with its length.
fn take(bytes: &[u8]) -> Option<(Told, usize)> {
    if *bytes.first()? == PING {
        assert!(*bytes.get(1)? == 0, "a ping is torn");
        return Some((Told::Ping, 2));
    }
    let header = bytes.first_chunk::<HEADER>()?;
    let [tag, high, low, form, a, b, c, d, e, f, g, h] = *header;
    let length = HEADER + usize::from(u16::from_be_bytes([high, low]));
    let room = RoomId(i64::from(i32::from_be_bytes([a, b, c, d])));
    let number = i64::from(i32::from_be_bytes([e, f, g, h]));
    let form = *Form::ALL.get(usize::from(form)).unwrap_or_else(|| panic!("a frame is torn: {header:?}"));
    let told = match tag {
        EVENT => Told::Event(form, room, number),
        WHISPER => Told::Whisper(form, room, number),
        REPLY => Told::Reply(number),
        FAREWELL => Told::Farewell,
        _ => panic!("a frame is torn: it begins with {header:?}"),
    };
    let filling = bytes.get(HEADER..length)?;
    assert!(filling == &FILLING[..filling.len()], "{told:?} is torn");
    Some((told, length))
}

/// How the hubs of all tests render.
pub(super) const RENDER: Render = Render { event: render, whisper: render_whisper };

/// Some events have no word, some are long.
fn render(form: Form, event: &Event, frames: &mut Vec<u8>) {
    if has_word(form, event.room, event.seq) {
        let filling = filling_of(event.room, event.seq);
        put(frames, (EVENT, form as u8), event.room, event.seq, filling);
    }
}

fn render_whisper(form: Form, whisper: &Whisper, frames: &mut Vec<u8>) {
    if can_whisper(form, &whisper.kind) {
        put(frames, (WHISPER, form as u8), whisper.room, whisper.at.millis(), WHISPER_FILLING);
    }
}

/// Whether an event has a frame at all in a form.
pub(super) fn has_word(form: Form, room: RoomId, seq: i64) -> bool {
    match form {
        // One in seven has none, and now and then two in a row.
        Form::Group => !matches!((room.0 * 3 + seq).rem_euclid(14), 0 | 1),
        Form::User => (room.0 + seq) % 3 == 0,
        Form::Payload => true,
        Form::Path => (room.0 + seq) % 2 == 0,
        Form::Flat => !matches!((room.0 * 5 + seq).rem_euclid(10), 0..=2),
    }
}

/// Whether what is going on has a frame in a form.
pub(super) fn can_whisper(form: Form, kind: &WhisperKind) -> bool {
    match form {
        Form::Payload => *kind != WhisperKind::PageOpened,
        Form::Path => *kind != WhisperKind::Arrived,
        _ => false,
    }
}

/// The last event up to `seq` that has a frame in a form.
pub(super) fn worded(form: Form, room: RoomId, seq: i64) -> i64 {
    let mut last = seq;
    while last > 0 && !has_word(form, room, last) {
        last -= 1;
    }
    last
}

fn filling_of(room: RoomId, seq: i64) -> usize {
    let mut dice = Dice::new((room.0 * 1000 - seq) as u64);
    let most = if dice.below(16) == 0 { FILLING.len() } else { 60 };
    dice.below(most)
}

/// How long the frame of an event is in a form.
pub(super) fn length_of(form: Form, room: RoomId, seq: i64) -> usize {
    if has_word(form, room, seq) { HEADER + filling_of(room, seq) } else { 0 }
}

const WHISPER_FILLING: usize = 9;

/// How long the frame of a whisper is.
pub(super) const WHISPER_LENGTH: usize = HEADER + WHISPER_FILLING;

/// The whisper of a number.
pub(super) fn whisper(room: RoomId, number: i64, kind: WhisperKind) -> Whisper {
    let at = Time::from_millis(number).expect("the seventies are a time");
    let (channel, author) = ("room".into(), Author::Guest(String::new()));
    Whisper { room, channel, author, nickname: None, at, kind }
}

/// An event of a room.
pub(super) fn event(room: RoomId, seq: i64) -> Event {
    let at = Time::from_millis(0).expect("1970 is a time");
    let (channel, author) = ("room".into(), Author::Guest(String::new()));
    Event { room, channel, seq, id: EventId([0; 16]), author, at, kind: Kind::GroupDeleted }
}

/// The reply of a number.
pub(super) fn reply(number: i64, filling: usize) -> Vec<u8> {
    let mut frame = Vec::new();
    put(&mut frame, (REPLY, 0), RoomId(0), number, filling);
    frame
}

/// How long the last frame is.
pub(super) const FAREWELL_LENGTH: usize = HEADER + 5;

/// What is said last.
pub(super) fn farewell() -> Vec<u8> {
    let mut frame = Vec::new();
    put(&mut frame, (FAREWELL, 0), RoomId(0), 0, 5);
    frame
}

/// A socket and its peer.
#[derive(Default)]
pub(super) struct Pipe {
    /// How many bytes it takes before it blocks.
    pub(super) space: Cell<usize>,
    /// Fails from now on.
    pub(super) broken: Cell<bool>,
    /// Whether it has told anyone that it is broken.
    pub(super) failed: Cell<bool>,
    /// Makes it take less than would fit, now and then.
    pub(super) whims: RefCell<Option<Dice>>,
    /// What was taken and not read yet.
    received: RefCell<Vec<u8>>,
    read: Cell<usize>,
}

impl Sink for Pipe {
    fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        if self.broken.get() {
            self.failed.set(true);
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        let mut count = bytes.len().min(self.space.get());
        if let Some(dice) = &mut *self.whims.borrow_mut() {
            match dice.below(10) {
                0 => return Err(io::ErrorKind::Interrupted.into()),
                1..=3 if count > 1 => count = 1 + dice.below(count),
                _ => {}
            }
        }
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.space.set(self.space.get() - count);
        self.received.borrow_mut().extend(&bytes[..count]);
        Ok(count)
    }
}

impl Pipe {
    /// A pipe that takes this many bytes.
    pub(super) fn with_space(bytes: usize) -> Pipe {
        let pipe = Pipe::default();
        pipe.space.set(bytes);
        pipe
    }

    /// Takes this many bytes more before it blocks.
    pub(super) fn make_space(&self, bytes: usize) {
        self.space.set(self.space.get().saturating_add(bytes));
    }

    /// How many bytes were ever taken.
    pub(super) fn taken(&self) -> usize {
        self.read.get() + self.received.borrow().len()
    }

    /// How many bytes were read, in whole frames.
    pub(super) fn place(&self) -> usize {
        self.read.get()
    }

    /// Whether the bytes taken so far end with a whole frame.
    pub(super) fn is_whole(&self) -> bool {
        self.received.borrow().is_empty()
    }

    /// The frames that are complete since the last call, and where in the stream each begins.
    pub(super) fn read(&self) -> Vec<(usize, Told)> {
        let mut received = self.received.borrow_mut();
        let (mut frames, mut length) = (Vec::new(), 0);
        while let Some((told, count)) = take(&received[length..]) {
            frames.push((self.read.get() + length, told));
            length += count;
        }
        received.drain(..length);
        self.read.set(self.read.get() + length);
        frames
    }

    /// The frames that are complete since the last call.
    pub(super) fn told(&self) -> Vec<Told> {
        self.read().into_iter().map(|(_, told)| told).collect()
    }
}

/// Splitmix64: small, good enough, and the same on every machine.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Dice {
        Dice(seed)
    }

    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0, less than `limit`.
    pub(super) fn below(&mut self, limit: usize) -> usize {
        (self.roll() % limit as u64) as usize
    }

    /// Whether it happens this time.
    pub(super) fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of these.
    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}
