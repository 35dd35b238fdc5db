//! A torn world: connections that break, readers that stall, a server that is stopped and killed, for a while
//! and by chance. Afterwards every native client has seen every event of its channels exactly once and in
//! order, and every message that was acknowledged is there exactly once.
//!
//! The seed is printed; `DEUCED_SEED` plays the same choices again, `DEUCED_TORN_SECONDS` for how long.

use crate::harness::{
    Client, Frame, PATIENCE, Server, Socket, Wire,
    native::native_handshake,
    socket::{Handshake, frame},
};
use nanorand::{Rng, WyRand};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    env,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Condvar, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

/// What everybody in the world sees of it.
struct World {
    /// No more is to be said.
    is_over: AtomicBool,
    /// Somebody has failed; nobody need go on.
    is_broken: AtomicBool,
    /// How many have had everything they said acknowledged.
    settled: Mutex<usize>,
    all_settled: Condvar,
    people: usize,
    connections: AtomicUsize,
}

impl World {
    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed) && !self.is_broken.load(Ordering::Relaxed)
    }

    /// Waits until nobody has anything to say any more.
    fn settle(&self) {
        let mut settled = self.settled.lock().unwrap();
        *settled += 1;
        self.all_settled.notify_all();
        let start = Instant::now();
        while *settled < self.people && !self.is_broken.load(Ordering::Relaxed) {
            assert!(start.elapsed() < 4 * PATIENCE, "not everybody gets everything acknowledged");
            settled = self.all_settled.wait_timeout(settled, Duration::from_millis(50)).unwrap().0;
        }
    }
}

/// A message on its way.
#[derive(Clone, Debug)]
struct Letter {
    /// What its sender calls it.
    id: String,
    channel: String,
    text: String,
}

/// A native client as docs/native.md wants one.
struct Person {
    name: String,
    client: Client,
    chance: WyRand,
    /// Reads little and rarely.
    is_slow: bool,
    /// Per channel, the ids of all events so far: the first has number 1.
    logs: BTreeMap<String, Vec<String>>,
    /// What the messages of the inbox and the rooms were about, to be counted.
    mentions: Vec<String>,
    outbox: Vec<Letter>,
    /// Acknowledged, with number and id.
    acknowledged: Vec<(Letter, i64, String)>,
    said: usize,
    faults: usize,
}

impl Person {
    fn chance(&mut self, of: u32) -> u32 {
        self.chance.generate_range(0..of)
    }

    /// Connects, and subscribes everywhere from where it was.
    fn connect(&mut self, world: &World) -> Option<Socket> {
        let mut socket = native_handshake(&self.client).reach()?;
        world.connections.fetch_add(1, Ordering::Relaxed);
        if self.is_slow {
            socket.wire().take_little();
        }
        for (channel, log) in &self.logs {
            let mut since = json!({ "seq": log.len() });
            if let Some(id) = log.last() {
                since["id"] = json!(id);
            }
            let payload = json!({ "channel": channel, "since": since });
            send(&mut socket, &json!({ "type": "subscribe", "id": channel, "payload": payload }));
        }
        for letter in &self.outbox {
            send_letter(&mut socket, letter);
        }
        Some(socket)
    }

    fn live(&mut self, world: &World) {
        while world.goes_on() {
            let Some(mut socket) = self.connect(world) else {
                thread::sleep(Duration::from_millis(20));
                continue;
            };
            let mut is_open = true;
            while is_open && world.goes_on() {
                is_open = self.act(&mut socket) && self.listen(&mut socket, Duration::from_millis(15));
            }
        }
        // The world has calmed down: everything that was said gets its answer, and the slow ones read
        // like everybody.
        self.is_slow = false;
        let mut socket = self.come_back(world);
        while !self.outbox.is_empty() && !world.is_broken.load(Ordering::Relaxed) {
            if !self.listen(&mut socket, PATIENCE) {
                socket = self.come_back(world);
            }
        }
        world.settle();
        // From now on nothing changes: a last look at where each channel is.
        let mut heads: BTreeMap<String, usize> = BTreeMap::new();
        'again: loop {
            let mut socket = self.come_back(world);
            heads.clear();
            while heads.len() < self.logs.len()
                || heads.iter().any(|(name, head)| self.logs[name].len() < *head)
            {
                if world.is_broken.load(Ordering::Relaxed) {
                    return;
                }
                let Some(frame) = next(&mut socket, PATIENCE) else { continue 'again };
                if let (Some("ack"), Some(head)) = (frame["type"].as_str(), frame["payload"]["seq"].as_u64())
                {
                    heads.insert(frame["payload"]["channel"].as_str().unwrap().into(), head as usize);
                }
                self.hear(&frame);
            }
            socket.expect_silence();
            return;
        }
    }

    /// Connects to a server that is there.
    fn come_back(&mut self, world: &World) -> Socket {
        let start = Instant::now();
        loop {
            if let Some(socket) = self.connect(world) {
                return socket;
            }
            assert!(start.elapsed() < 2 * PATIENCE, "{} cannot come back", self.name);
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Does something by chance; false when the connection is no more.
    fn act(&mut self, socket: &mut Socket) -> bool {
        match self.chance(1000) {
            0..300 => self.say(socket),
            300..330 => self.change(socket, "edit"),
            330..345 => self.change(socket, "delete"),
            345..400 => {
                let channel = self.any_channel();
                send(socket, &json!({ "type": "typing", "payload": { "channel": channel } }));
            }
            400..408 => return false,
            408..412 => {
                // Torn off in the middle of a frame.
                socket.try_send_raw(&frame(1, b"{\"type\":\"ping\"}")[..7]);
                return false;
            }
            412..425 => thread::sleep(Duration::from_millis(u64::from(50 + self.chance(200)))),
            425..500 if self.is_slow => thread::sleep(Duration::from_millis(u64::from(self.chance(400)))),
            _ => {}
        }
        true
    }

    fn any_channel(&mut self) -> String {
        let names: Vec<&String> = self.logs.keys().filter(|name| *name != "me").collect();
        let index = self.chance.generate_range(0..names.len());
        names[index].clone()
    }

    fn say(&mut self, socket: &mut Socket) {
        self.said += 1;
        let mut text = format!("{} says {}", self.name, self.said);
        if self.chance(4) == 0 {
            text += " to @Ann";
        }
        if self.is_slow || self.chance(10) == 0 {
            text += &format!(" {}", "x".repeat(700));
        }
        let id = format!("{}-{:016}", self.name, self.said);
        let letter = Letter { id, channel: self.any_channel(), text };
        send_letter(socket, &letter);
        self.outbox.push(letter);
    }

    /// Changes one of the last messages of one's own. Nobody waits for the answer.
    fn change(&mut self, socket: &mut Socket, kind: &str) {
        let recent = self.acknowledged.len().saturating_sub(5);
        let Some((letter, seq, _)) = self.acknowledged.get(recent) else { return };
        let payload = json!({ "channel": letter.channel, "seq": seq, "text": format!("{}!", letter.text) });
        send(socket, &json!({ "type": kind, "payload": payload }));
    }

    /// Takes everything that comes for a while; false when the connection is no more.
    fn listen(&mut self, socket: &mut Socket, patience: Duration) -> bool {
        let mut patience = patience;
        loop {
            if socket.wire().ahead.is_empty() && Wire::wait_for_any([socket.wire()], patience) == [false] {
                return true;
            }
            let Some(frame) = next(socket, PATIENCE) else { return false };
            self.hear(&frame);
            patience = Duration::ZERO;
        }
    }

    fn hear(&mut self, event: &Value) {
        let payload = &event["payload"];
        match event["type"].as_str().unwrap_or_default() {
            "hello" | "typing" => {}
            "ack" if payload.get("recovered").is_some() => {
                let channel = payload["channel"].as_str().unwrap();
                let have = self.logs[channel].len() as i64;
                assert_eq!(payload["recovered"], true, "{}: {event}, who has {have}", self.name);
                assert_eq!(
                    payload["seq"].as_i64().unwrap(),
                    have + payload["replay"].as_i64().unwrap(),
                    "{event}"
                );
            }
            "ack" => {
                let id = payload["id"].as_str().unwrap_or_else(|| panic!("{event}"));
                if let Some(index) = self.outbox.iter().position(|letter| letter.id == id) {
                    let letter = self.outbox.remove(index);
                    assert_eq!(payload["channel"], json!(letter.channel), "{event}");
                    let (seq, id) =
                        (payload["seq"].as_i64().unwrap(), payload["messageId"].as_str().unwrap());
                    self.acknowledged.push((letter, seq, id.into()));
                }
            }
            // A change of what is gone already.
            "error" if payload["code"] == "NOT_FOUND" && payload.get("id").is_none() => self.faults += 1,
            "error" => panic!("{}: {event}", self.name),
            kind => {
                let channel = payload["channel"].as_str().unwrap_or_else(|| panic!("{event}"));
                let log = self.logs.get_mut(channel).unwrap_or_else(|| panic!("not subscribed: {event}"));
                assert_eq!(
                    payload["seq"].as_u64(),
                    Some(log.len() as u64 + 1),
                    "{}: a gap, or twice: {event}",
                    self.name
                );
                log.push(event["id"].as_str().unwrap().into());
                let data = &payload["notification"]["data"];
                if kind == "notification" && data["type"] == "mention" {
                    self.mentions.push(data["messageId"].to_string());
                }
            }
        }
    }
}

fn send(socket: &mut Socket, value: &Value) {
    socket.try_send_raw(&frame(1, value.to_string().as_bytes()));
}

fn send_letter(socket: &mut Socket, letter: &Letter) {
    let payload = json!({ "channel": letter.channel, "text": letter.text });
    send(socket, &json!({ "type": "message", "id": letter.id, "payload": payload }));
}

/// The next frame, or nothing when the connection is no more. Closing is for reasons that say "come back".
#[track_caller]
fn next(socket: &mut Socket, patience: Duration) -> Option<Value> {
    socket.wire().set_patience(patience);
    loop {
        match socket.any_frame() {
            Frame::Text(text) => return Some(socket.read(&text)),
            Frame::Ping(payload) => socket.try_send_raw(&frame(10, &payload)),
            Frame::Pong(_) => {}
            Frame::Close(Some(1001 | 1012 | 1013), _) | Frame::End => return None,
            other => panic!("not a reason to come back: {other:?}"),
        }
    }
}

/// The clients that want less: they say things and come back, and nobody owes them more than what is live.
fn babble(world: &World, number: usize, client: &Client, seed: u64) {
    let mut chance = WyRand::new_seed(seed);
    let mut said = 0;
    while world.goes_on() {
        let bare = || Handshake::new(client.address(), Some(client.id()));
        let handshake = match number % 3 {
            0 => bare().target("/realtime").offering(&format!("jwt.{}", client.jwt())),
            1 => bare().target(&format!("/chat/room/general?token={}", client.token())),
            _ => bare().target(&format!("/ws?token={}", client.token())),
        };
        let Some(mut socket) = handshake.reach() else {
            thread::sleep(Duration::from_millis(20));
            continue;
        };
        world.connections.fetch_add(1, Ordering::Relaxed);
        send(
            &mut socket,
            &match number % 3 {
                0 => json!({ "type": "subscribe", "topic": "general" }),
                1 => json!({ "type": "typing" }),
                _ => json!({ "type": "subscribe", "channel": "general" }),
            },
        );
        let end = Instant::now() + Duration::from_millis(u64::from(chance.generate_range(100..3000u32)));
        'connection: while Instant::now() < end && world.goes_on() {
            said += 1;
            let text = format!("babble {number} {said}");
            send(
                &mut socket,
                &match number % 3 {
                    0 => json!({ "type": "chat:send", "room": "general", "text": text }),
                    1 => json!({ "type": "message", "content": text }),
                    _ => json!({ "type": "message", "payload": { "channel": "general", "text": text } }),
                },
            );
            // Until the next word whatever comes is thrown away, and now and then not even read.
            let pause = Duration::from_millis(u64::from(chance.generate_range(50..300u32)));
            if chance.generate_range(0..4u32) == 0 {
                thread::sleep(pause);
                continue;
            }
            let next_word = Instant::now() + pause;
            loop {
                let left = next_word.saturating_duration_since(Instant::now());
                if left.is_zero() || Wire::wait_for_any([socket.wire()], left) == [false] {
                    break;
                }
                if next(&mut socket, PATIENCE).is_none() {
                    break 'connection;
                }
            }
        }
    }
}

/// Every message of a channel, by its history: id and text.
fn history(client: &Client, channel: &str) -> Vec<(String, String)> {
    let mut all = Vec::new();
    let mut query = "?limit=100".to_owned();
    loop {
        let page = client.get(&format!("/api/rooms/{channel}/messages{query}")).ok();
        for message in page["messages"].as_array().unwrap() {
            all.push((message["id"].as_str().unwrap().into(), message["text"].as_str().unwrap().into()));
        }
        match page["nextBefore"].as_i64() {
            Some(before) => query = format!("?limit=100&before={before}"),
            None => return all,
        }
    }
}

#[test]
fn every_event_once_and_in_order() {
    let number = |name: &str| env::var(name).ok().map(|text| text.parse::<u64>().expect("a number"));
    let now = || SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64;
    let seed = number("DEUCED_SEED").unwrap_or_else(now);
    let seconds = number("DEUCED_TORN_SECONDS").unwrap_or(20);
    eprintln!("DEUCED_SEED={seed} DEUCED_TORN_SECONDS={seconds}");

    let mut server = Server::setup()
        .open()
        .limit("commands_per_second", 100_000)
        .limit("commands_burst", 100_000)
        .limit("api_requests_per_minute", 1_000_000)
        .limit("send_buffer_bytes", 8192)
        .limit("replay_events", 20)
        .start();
    let names = ["Ann", "Bob", "Carl", "Dora", "Emil"];
    let clients: Vec<Client> = names.iter().map(|name| server.person(name)).collect();
    let home = clients[0].found("Home");
    for guest in &clients[1..] {
        clients[0].bring(&home, guest);
    }
    let group = format!("group:{home}");
    let chatter: Vec<Client> = ["Fay", "Gus", "Hal"].map(|name| server.person(name)).into();
    let mut people: Vec<Person> = clients
        .iter()
        .zip(names)
        .enumerate()
        .map(|(index, (client, name))| Person {
            name: name.into(),
            client: client.twin(),
            chance: WyRand::new_seed(seed ^ (index as u64 + 1)),
            is_slow: index >= 3,
            logs: ["general", "kitchen", "me", &group]
                .iter()
                .map(|name| (name.to_string(), Vec::new()))
                .collect(),
            mentions: Vec::new(),
            outbox: Vec::new(),
            acknowledged: Vec::new(),
            said: 0,
            faults: 0,
        })
        .collect();
    let world = World {
        is_over: AtomicBool::new(false),
        is_broken: AtomicBool::new(false),
        settled: Mutex::new(0),
        all_settled: Condvar::new(),
        people: people.len(),
        connections: AtomicUsize::new(0),
    };

    let (mut stops, mut kills) = (0, 0);
    thread::scope(|scope| {
        for person in &mut people {
            let world = &world;
            scope.spawn(move || {
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| person.live(world))) {
                    world.is_broken.store(true, Ordering::Relaxed);
                    resume_unwind(panic);
                }
            });
        }
        for (index, client) in chatter.iter().enumerate() {
            let world = &world;
            scope.spawn(move || babble(world, index, client, seed ^ (100 + index as u64)));
        }
        let mut chance = WyRand::new_seed(seed);
        let start = Instant::now();
        while start.elapsed() < Duration::from_secs(seconds) && world.goes_on() {
            thread::sleep(Duration::from_millis(u64::from(chance.generate_range(300..2500u32))));
            match chance.generate_range(0..2u32) {
                0 => {
                    server.terminate();
                    stops += 1;
                }
                _ => {
                    server.kill9();
                    kills += 1;
                }
            }
            thread::sleep(Duration::from_millis(u64::from(chance.generate_range(0..200u32))));
            server.start_again();
        }
        world.is_over.store(true, Ordering::Relaxed);
    });

    // Everybody has seen the same, in the same order.
    for channel in ["general", "kitchen", &group] {
        let log = &people[0].logs[channel];
        let distinct: BTreeSet<&String> = log.iter().collect();
        assert_eq!(distinct.len(), log.len(), "an event twice in {channel}");
        for person in &people[1..] {
            assert!(person.logs[channel] == *log, "{} saw something else in {channel} than Ann", person.name);
        }
    }
    // What was acknowledged is where the acknowledgement said, and nowhere else.
    let mut said = 0;
    for person in &people {
        assert!(person.outbox.is_empty(), "{} waits for {:?}", person.name, person.outbox);
        let mut places = BTreeSet::new();
        for (letter, seq, id) in &person.acknowledged {
            assert_eq!(people[0].logs[&letter.channel].get(*seq as usize - 1), Some(id), "{letter:?}");
            assert!(places.insert(id), "two messages in one place: {letter:?}");
        }
        assert_eq!(person.acknowledged.len(), person.said, "{}", person.name);
        said += person.said;
    }
    let mut texts: BTreeMap<String, usize> = BTreeMap::new();
    for channel in ["general", "kitchen", &group] {
        for (id, text) in history(&clients[0], channel) {
            assert!(people[0].logs[channel].contains(&id), "in the history and not heard: {text}");
            // An edited one has a mark more than it had.
            *texts.entry(text.trim_end_matches('!').to_owned()).or_default() += 1;
        }
    }
    let twice: Vec<_> = texts.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "said twice: {twice:?}");
    // Each mention has rung once.
    let ann = &people[0];
    let rung: BTreeSet<&String> = ann.mentions.iter().collect();
    assert_eq!(rung.len(), ann.mentions.len(), "a mention rang twice");
    let mentioning = people[1..].iter().flat_map(|person| &person.acknowledged);
    let expected = mentioning.filter(|(letter, ..)| letter.text.contains("@Ann")).count();
    assert_eq!(rung.len(), expected, "mentions of Ann");
    eprintln!(
        "{said} messages of {} people, {} connections, {stops} stops and {kills} kills, {} events seen by each",
        people.len(),
        world.connections.load(Ordering::Relaxed),
        people[0].logs.values().map(Vec::len).sum::<usize>(),
    );
    assert!(said > 100 && stops + kills > 3, "the world was not torn enough to say anything");
}
