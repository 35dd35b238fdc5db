//! Many sockets that speak the native protocol, driven by one thread: each subscribed to a channel, each
//! checking that it hears every event once and in order, each event stamped with the time it was read.
//!
//! They cannot tell the server from a bare loop that speaks as much of the protocol (`rooms.rs`), which
//! is why both are measured with them.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use polling::{Events, Poller};
use serde_json::{Value, json};

use crate::client::watch;
use crate::figure::{Context, Outcome};
use crate::machine::now_ns;
use crate::socket::{Origin, Socket, text_frame};

/// How long anything may take before the measurement is given up.
const PATIENCE_NS: u64 = 10_000_000_000;

/// Sockets from one address, with room for those that were closed a moment ago.
const SOCKETS_PER_ADDRESS: usize = 2500;

/// Numbers the messages of all crowds: a second one with the same id would be the same message.
static NEXT_MESSAGE: AtomicU64 = AtomicU64::new(1);

/// How an event begins, up to its id.
const EVENT: &[u8] = br#"{"type":"message","id":""#;
const ACK: &[u8] = br#"{"type":"ack","#;
const SEQ: &[u8] = br#""seq":"#;

/// What a socket is to be.
#[derive(Clone, Debug)]
pub struct Wish {
    /// Whose it is.
    pub token: String,
    /// How it behaves.
    pub manner: Manner,
    /// How much the kernel keeps unread for it, if it is to be less than usual.
    pub receive_bytes: Option<i32>,
}

/// How a socket behaves once it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// Subscribes to the channel of this number.
    Listen(usize),
    /// Speaks the native protocol and subscribes to nothing.
    Mute,
    /// The diary's page: brings its cookie and says nothing.
    Page,
}

impl Wish {
    /// A socket of the person with this token.
    pub fn new(token: &str, manner: Manner) -> Wish {
        Wish { token: token.to_owned(), manner, receive_bytes: None }
    }
}

/// Sockets, and the channels they know.
pub struct Crowd {
    address: SocketAddr,
    poller: Poller,
    ready: Events,
    members: Vec<Member>,
    channels: Vec<Channel>,
    text: String,
    /// What a read goes into first.
    buffer: Vec<u8>,
}

struct Channel {
    name: String,
    /// When each message since the last [`Crowd::forget`] was sent.
    sent: Vec<u64>,
}

/// What a socket is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Waits for `hello`, or, as a page, for the end of the handshake.
    Greeting,
    /// Waits for the acknowledgement of its subscription.
    Joining,
    /// Hears what happens.
    Live,
    /// Reads nothing.
    Asleep,
    /// The server closed it with this code.
    Closed(u16),
}

struct Member {
    socket: Socket,
    wish: Wish,
    heard: Heard,
}

/// What a socket has heard.
struct Heard {
    phase: Phase,
    /// The `seq` that comes next, and the id of the event before it, for coming back.
    next: i64,
    last_id: Option<String>,
    /// When each event since the last [`Crowd::forget`] was read.
    arrivals: Vec<u64>,
    /// Events that it was told are out of its reach.
    skipped: usize,
    /// Acknowledgements that are still to come.
    owed: i64,
    /// Where `"seq":` was last found: all events of a channel look the same.
    hint: usize,
    /// When it became live.
    joined: u64,
    reply: Option<String>,
    /// Whether being closed is an answer, and not a failure.
    may_be_closed: bool,
}

/// At every `gap` the next of `speakers` sends `burst` messages in one piece.
#[derive(Clone, Debug)]
pub struct Load {
    /// Which socket sends to which channel.
    pub speakers: Vec<(usize, usize)>,
    /// Messages at once.
    pub burst: usize,
    /// How often.
    pub bursts: usize,
    /// From one burst to the next.
    pub gap: Duration,
    /// How long nobody reads after each burst. Where processor time is measured this is long enough for all
    /// to be sent: a reader on this machine that waits for each delivery would have to be woken by each, at
    /// the sender's expense, and that costs more than the delivery.
    pub rest: Duration,
}

impl Load {
    /// How many messages it is in all.
    pub fn messages(&self) -> usize {
        self.burst * self.bursts
    }
}

impl Crowd {
    /// A crowd without sockets at a server or a bare loop. What is said in these channels is `text`.
    ///
    /// # Errors
    /// The kernel refused a poller.
    pub fn new(address: SocketAddr, channels: &[String], text: &str) -> Outcome<Crowd> {
        let channels = channels.iter().map(|name| Channel { name: name.clone(), sent: Vec::new() });
        Ok(Crowd {
            address,
            poller: Poller::new().context("making a poller")?,
            ready: Events::new(),
            members: Vec::new(),
            channels: channels.collect(),
            text: text.to_owned(),
            buffer: vec![0; 1 << 17],
        })
    }

    /// Opens sockets one after the other and waits until all are live; says which numbers they have.
    ///
    /// # Errors
    /// A refusal, or silence.
    pub fn enter(&mut self, wishes: impl IntoIterator<Item = Wish>) -> Outcome<Range<usize>> {
        let first = self.members.len();
        for wish in wishes {
            let index = self.members.len();
            let member = Member::open(self.address, index, wish, Heard::new(None))?;
            watch(&self.poller, &member.socket, index)?;
            self.members.push(member);
            self.read_until("to be let in", |crowd| crowd.members[index].heard.phase == Phase::Live)?;
        }
        Ok(first..self.members.len())
    }

    /// Answers pings for a while and expects nothing else.
    ///
    /// # Errors
    /// A socket was closed, or heard something.
    pub fn idle(&mut self, length: Duration) -> Outcome<()> {
        let until = now_ns() + length.as_nanos() as u64;
        while let Some(left) = until.checked_sub(now_ns()).filter(|left| *left > 0) {
            self.read(Duration::from_nanos(left))?;
        }
        self.check()
    }

    /// Answers so many rounds of pings, and idles on until well after the last.
    ///
    /// # Errors
    /// As [`Crowd::idle`], or the pings did not come.
    pub fn beats(&mut self, rounds: usize, period: Duration) -> Outcome<()> {
        let wanted = self.pings() + rounds * self.members.len();
        let until = now_ns() + (rounds as u64 + 2) * period.as_nanos() as u64;
        while self.pings() < wanted {
            if now_ns() > until {
                return Err(format!("{} pings are missing", wanted - self.pings()));
            }
            self.idle(Duration::from_millis(100))?;
        }
        self.idle(period / 4)
    }

    /// Pings answered by all sockets.
    pub fn pings(&self) -> usize {
        self.members.iter().map(|member| member.socket.pings()).sum()
    }

    /// Begins to count anew. Nothing may be under way.
    pub fn forget(&mut self) {
        self.channels.iter_mut().for_each(|channel| channel.sent.clear());
        for member in &mut self.members {
            member.heard.arrivals.clear();
            member.heard.skipped = 0;
        }
    }

    /// Sends a load, reads all the while, and returns when everybody who is awake has heard everything.
    ///
    /// # Errors
    /// An event was missing, doubled or out of order, or did not come in time.
    pub fn run(&mut self, load: &Load) -> Outcome<()> {
        self.run_while(load, |_, _| Ok(()))
    }

    /// As [`Crowd::run`]; `after` is called after each burst with the number of bursts sent so far.
    ///
    /// # Errors
    /// As [`Crowd::run`], and those of `after`.
    pub fn run_while(
        &mut self,
        load: &Load,
        mut after: impl FnMut(&mut Crowd, usize) -> Outcome<()>,
    ) -> Outcome<()> {
        let (begun, gap) = (now_ns(), load.gap.as_nanos() as u64);
        for burst in 0..load.bursts {
            let due = begun + gap * burst as u64;
            while let Some(left) = due.checked_sub(now_ns()).filter(|left| *left > 0) {
                self.read(Duration::from_nanos(left))?;
            }
            let (speaker, channel) = load.speakers[burst % load.speakers.len()];
            self.say(speaker, channel, load.burst)?;
            std::thread::sleep(load.rest);
            after(self, burst + 1)?;
        }
        self.settle()
    }

    /// Reads until everybody who is awake is live and has heard everything.
    ///
    /// # Errors
    /// As [`Crowd::run`].
    pub fn settle(&mut self) -> Outcome<()> {
        self.read_until("for everything to arrive", |crowd| {
            crowd.members.iter().all(|member| crowd.missing_of(member) == 0 && !member.is_coming())
        })?;
        // What comes twice would come now.
        self.read(Duration::from_millis(2))?;
        self.check()
    }

    /// For each event that each of these sockets heard: milliseconds since it was sent.
    pub fn latencies(&self, members: Range<usize>) -> Vec<f64> {
        let heard = self.members[members].iter().filter_map(|member| match member.wish.manner {
            Manner::Listen(channel) => Some(member.heard.arrivals.iter().zip(&self.channels[channel].sent)),
            _ => None,
        });
        heard.flatten().map(|(arrived, sent)| (*arrived as f64 - *sent as f64) / 1e6).collect()
    }

    /// Stops reading on a socket.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn put_to_sleep(&mut self, index: usize) -> Outcome<()> {
        let member = &mut self.members[index];
        member.heard.phase = Phase::Asleep;
        self.poller.delete(&member.socket).context("putting a socket to sleep")
    }

    /// Reads on a socket again until it has heard everything; if the server has closed it meanwhile, it
    /// comes back first. Says with which close code, if so, and how many events it was told are lost.
    ///
    /// # Errors
    /// As [`Crowd::run`].
    pub fn wake(&mut self, index: usize) -> Outcome<(Option<u16>, usize)> {
        self.members[index].heard.phase = Phase::Live;
        watch(&self.poller, &self.members[index].socket, index)?;
        self.members[index].heard.may_be_closed = true;
        self.read_until("for a sleeper to catch up", |crowd| {
            let member = &crowd.members[index];
            crowd.missing_of(member) == 0 || matches!(member.heard.phase, Phase::Closed(_))
        })?;
        let closed = match self.members[index].heard.phase {
            Phase::Closed(code) => {
                self.come_back(index)?;
                Some(code)
            }
            _ => None,
        };
        self.members[index].heard.may_be_closed = false;
        self.settle()?;
        Ok((closed, self.members[index].heard.skipped))
    }

    /// Ends these sockets without a word.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn cut(&mut self, members: Range<usize>) -> Outcome<()> {
        for member in &mut self.members[members] {
            self.poller.delete(&member.socket).context("dropping a socket")?;
            member.socket.shut_down();
        }
        Ok(())
    }

    /// Opens these sockets again, each from where it was, and returns before they are live.
    ///
    /// # Errors
    /// Nobody listens.
    pub fn bring_back(&mut self, members: Range<usize>) -> Outcome<()> {
        members.into_iter().try_for_each(|index| self.come_back(index))
    }

    /// When the last of these sockets became live, if all of them are.
    pub fn joined(&self, members: Range<usize>) -> Option<u64> {
        let joined =
            self.members[members].iter().map(|member| (!member.is_coming()).then_some(member.heard.joined));
        joined.collect::<Option<Vec<u64>>>()?.into_iter().max()
    }

    /// A socket's own address and that of the other end.
    ///
    /// # Errors
    /// It is closed.
    pub fn addresses(&self, index: usize) -> Outcome<(SocketAddr, SocketAddr)> {
        self.members[index].socket.addresses()
    }

    /// Opens a socket again from where it was.
    fn come_back(&mut self, index: usize) -> Outcome<()> {
        let before = &mut self.members[index];
        let heard = before.heard.returning();
        // The old socket is closed here, if it was not before.
        *before = Member::open(self.address, index, before.wish.clone(), heard)?;
        watch(&self.poller, &before.socket, index)
    }

    fn say(&mut self, speaker: usize, channel: usize, count: usize) -> Outcome<()> {
        let Channel { name, sent } = &mut self.channels[channel];
        let mut frames = Vec::new();
        for _ in 0..count {
            let id = NEXT_MESSAGE.fetch_add(1, Ordering::Relaxed);
            let payload = json!({"channel": name, "text": self.text});
            let message = json!({"type": "message", "id": id, "payload": payload});
            frames.extend_from_slice(&text_frame(&message.to_string()));
        }
        sent.resize(sent.len() + count, now_ns());
        self.members[speaker].heard.owed += count as i64;
        self.members[speaker].socket.send_all(&frames)
    }

    /// Reads until `done`, which has to come in good time.
    fn read_until(&mut self, what: &str, done: impl Fn(&Crowd) -> bool) -> Outcome<()> {
        let until = now_ns() + PATIENCE_NS;
        while !done(self) {
            if now_ns() > until {
                let behind = self.check().err().unwrap_or_else(|| "nobody misses anything".into());
                return Err(format!("waited 10 s {what}: {behind}"));
            }
            self.read(Duration::from_millis(50))?;
        }
        Ok(())
    }

    /// Waits at most so long, and reads what is there.
    fn read(&mut self, longest: Duration) -> Outcome<()> {
        self.ready.clear();
        self.poller.wait(&mut self.ready, Some(longest)).context("waiting for events")?;
        for event in self.ready.iter() {
            let member = &mut self.members[event.key];
            member.read(&mut self.buffer, &self.channels).context(format_args!("socket {}", event.key))?;
            if matches!(member.heard.phase, Phase::Closed(_)) {
                self.poller.delete(&member.socket).context("leaving a closed socket")?;
            }
        }
        Ok(())
    }

    /// That everybody who is awake has heard what there was, and nothing else.
    fn check(&self) -> Outcome<()> {
        for (index, member) in self.members.iter().enumerate() {
            let (missing, heard) = (self.missing_of(member), &member.heard);
            if missing != 0 {
                let (phase, events) = (heard.phase, heard.arrivals.len());
                return Err(format!(
                    "socket {index} ({phase:?}) has heard {events} events, {missing} are missing"
                ));
            }
        }
        Ok(())
    }

    /// Events and acknowledgements that are still to come to a socket; negative when there were too many.
    fn missing_of(&self, member: &Member) -> i64 {
        let Heard { phase, arrivals, skipped, owed, .. } = &member.heard;
        let events = match (member.wish.manner, phase) {
            (_, Phase::Asleep) => return 0,
            (Manner::Listen(channel), _) => self.channels[channel].sent.len() as i64,
            _ => 0,
        };
        // An acknowledgement too many does not make up for an event that is missing.
        match events - (arrivals.len() + skipped) as i64 {
            0 => *owed,
            missing => missing,
        }
    }
}

impl Member {
    fn open(address: SocketAddr, index: usize, wish: Wish, heard: Heard) -> Outcome<Member> {
        let Wish { token, manner, receive_bytes } = &wish;
        let headers = match manner {
            Manner::Page => format!("Cookie: deuced={token}\r\n"),
            _ => format!("Authorization: Bearer {token}\r\nSec-WebSocket-Protocol: deuced.v1\r\n"),
        };
        let host = u8::try_from(1 + index / SOCKETS_PER_ADDRESS).context("too many sockets")?;
        let origin = Origin { host, receive_bytes: *receive_bytes };
        let socket = Socket::open(origin, address, "/ws", &headers)?;
        Ok(Member { socket, wish, heard })
    }

    fn is_coming(&self) -> bool {
        matches!(self.heard.phase, Phase::Greeting | Phase::Joining)
    }

    fn read(&mut self, buffer: &mut [u8], channels: &[Channel]) -> Outcome<()> {
        let Member { socket, wish, heard } = self;
        let now = now_ns();
        let closed = socket.receive(buffer, &mut |text| heard.take(text, now, wish, channels))?;
        if let Some(code) = closed {
            heard.phase = Phase::Closed(code);
            return if heard.may_be_closed { Ok(()) } else { Err(format!("closed with {code}")) };
        }
        if wish.manner == Manner::Page && socket.is_upgraded() {
            heard.phase = Phase::Live;
        }
        match heard.reply.take() {
            Some(reply) => socket.send(&reply),
            None => Ok(()),
        }
    }
}

impl Heard {
    /// Of a socket that is about to open; `since` is what it knows of its channel.
    fn new(since: Option<(i64, Option<String>)>) -> Heard {
        let (next, last_id) = since.map_or((0, None), |(seq, id)| (seq + 1, id));
        Heard {
            phase: Phase::Greeting,
            next,
            last_id,
            arrivals: Vec::new(),
            skipped: 0,
            owed: 0,
            hint: 0,
            joined: 0,
            reply: None,
            may_be_closed: false,
        }
    }

    /// Of the same socket, which comes back.
    fn returning(&mut self) -> Heard {
        let mut heard = Heard::new(Some((self.next - 1, self.last_id.take())));
        heard.arrivals = std::mem::take(&mut self.arrivals);
        heard.skipped = self.skipped;
        heard
    }

    fn take(&mut self, text: &[u8], now: u64, wish: &Wish, channels: &[Channel]) -> Outcome<()> {
        match self.phase {
            Phase::Greeting if text.starts_with(br#"{"type":"hello","#) => {
                if let Manner::Listen(channel) = wish.manner {
                    self.phase = Phase::Joining;
                    self.reply = Some(self.subscription(&channels[channel].name));
                } else {
                    self.phase = Phase::Live;
                }
                Ok(())
            }
            Phase::Joining if text.starts_with(ACK) => self.join(text, now),
            Phase::Live if text.starts_with(EVENT) => self.take_event(text, now),
            Phase::Live if text.starts_with(ACK) => {
                self.owed -= 1;
                Ok(())
            }
            phase => Err(format!("{phase:?}, and heard {}", String::from_utf8_lossy(text))),
        }
    }

    fn subscription(&self, channel: &str) -> String {
        let payload = match (self.next, &self.last_id) {
            (0, _) => json!({"channel": channel}),
            (next, None) => json!({"channel": channel, "since": {"seq": next - 1}}),
            (next, Some(id)) => json!({"channel": channel, "since": {"seq": next - 1, "id": id}}),
        };
        json!({"type": "subscribe", "id": 0, "payload": payload}).to_string()
    }

    fn join(&mut self, text: &[u8], now: u64) -> Outcome<()> {
        let ack: Value = serde_json::from_slice(text).context("an acknowledgement")?;
        let payload = &ack["payload"];
        let head = payload["seq"].as_i64().ok_or_else(|| format!("no `seq` in {ack}"))?;
        if payload["recovered"] != true {
            if self.next > 0 {
                self.skipped += (head + 1 - self.next).max(0) as usize;
            }
            self.next = head + 1;
            self.last_id = payload["lastId"].as_str().map(str::to_owned);
        }
        self.phase = Phase::Live;
        self.joined = now;
        Ok(())
    }

    fn take_event(&mut self, text: &[u8], now: u64) -> Outcome<()> {
        if !text[self.hint.min(text.len())..].starts_with(SEQ) {
            let found = text.windows(SEQ.len()).position(|window| window == SEQ);
            self.hint = found.ok_or_else(|| format!("no `seq` in {}", String::from_utf8_lossy(text)))?;
        }
        let digits = text[self.hint + SEQ.len()..].iter().take_while(|byte| byte.is_ascii_digit());
        let seq = digits.fold(0, |number, digit| number * 10 + i64::from(digit - b'0'));
        if seq != self.next {
            return Err(format!("event {seq} came where {} was due", self.next));
        }
        self.next += 1;
        self.arrivals.push(now);
        let id = &text[EVENT.len()..(EVENT.len() + 36).min(text.len())];
        let last_id = self.last_id.get_or_insert_default();
        last_id.clear();
        last_id.push_str(std::str::from_utf8(id).context("an event's id")?);
        Ok(())
    }
}
