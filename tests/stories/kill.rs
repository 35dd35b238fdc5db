//! kill -9, again and again, while eight people write and two listen. `DEUCED_CYCLES` says how often, `DEUCED_SEED` when;
//! `tests/proof.sh` makes two hundred.

use crate::harness::cut::Dice;
use crate::harness::facts::{self, Facts};
use crate::harness::native::Cursor;
use crate::harness::server::Setup;
use crate::harness::{Client, Native, Server, emulation, picture, setting};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

const WRITERS: usize = 8;

/// How often, where nobody says.
const CYCLES: u64 = 10;

fn unhurried() -> Setup {
    // Nothing is trimmed, so that every log goes back to 1.
    Server::setup().open().unhurried().limit("notifications_per_user", 1_000_000)
}

/// One thing to write, which can be sent again.
#[derive(Clone)]
struct Task {
    method: &'static str,
    path: String,
    key: Option<String>,
    body: Value,
    picture: Option<Vec<u8>>,
    /// What has to be there afterwards, and how often.
    fact: (String, i64),
}

impl Task {
    fn send(&self, me: &Client) -> Option<u16> {
        let mut request = me.request(self.method, &self.path);
        if let Some(key) = &self.key {
            request = request.header("Idempotency-Key", key);
        }
        let request = match &self.picture {
            None => request.json(&self.body),
            Some(bytes) => {
                let (kind, body) =
                    picture::multipart(&[("profilePicture", "me.jpg", "image/jpeg", bytes.as_slice())]);
                request.content(&kind, body)
            }
        };
        request.send_to_mortal().map(|reply| reply.status)
    }
}

/// Somebody who writes.
struct Writer {
    me: Client,
    name: String,
    dice: Dice,
    count: usize,
    /// Entries that went into one group, to react to once, and afterwards to take back: ids and texts.
    fresh: Vec<(String, String)>,
    entries: Vec<(String, String)>,
    /// All that has to be there, and how often.
    known: Facts,
}

impl Writer {
    fn next(&mut self, groups: &[String; 2]) -> Task {
        self.count += 1;
        let text = format!("{}-{:06}", self.name, self.count);
        let plain =
            |method, path: String, body, fact| Task { method, path, key: None, body, picture: None, fact };
        match self.dice.below(16) {
            0..=8 => {
                let both = self.dice.below(4) == 0;
                let groups = if both { &groups[..] } else { &groups[..1] };
                let body = json!({ "groupIds": groups, "location": "Home", "thoughts": text });
                let fact = (format!("entry {text}"), groups.len() as i64);
                Task { key: Some(text), ..plain("POST", "/api/deuces".into(), body, fact) }
            }
            9..=12 => {
                let body = json!({ "text": text, "clientId": format!("{text}-with-a-long-name") });
                plain("POST", "/api/rooms/general/messages".into(), body, (format!("message {text}"), 1))
            }
            13 if !self.fresh.is_empty() => {
                let (id, thoughts) = self.fresh.pop().unwrap();
                self.entries.push((id.clone(), thoughts));
                let fact = format!("reaction {} 🔥 {}", id.replace('-', ""), self.me.id());
                plain("POST", format!("/api/entries/{id}/reactions"), json!({ "emoji": "🔥" }), (fact, 1))
            }
            14 if !self.entries.is_empty() => {
                let (id, thoughts) = self.entries.swap_remove(self.dice.below(self.entries.len()));
                // Its reactions go with it.
                self.known.remove(&format!("reaction {} 🔥 {}", id.replace('-', ""), self.me.id()));
                self.known.remove(&format!("entry {thoughts}"));
                plain("DELETE", format!("/api/deuces/{id}"), Value::Null, (format!("entry {thoughts}"), 0))
            }
            _ => {
                let size = 20 + self.dice.below(40) as u16;
                let task =
                    plain("POST", "/api/auth/user/profile-picture".into(), Value::Null, (String::new(), 0));
                Task { picture: Some(picture::jpeg(size, size)), ..task }
            }
        }
    }

    /// Writes until the server is gone; what was under way then.
    fn write(&mut self, groups: &[String; 2], answers: &AtomicUsize) -> Task {
        loop {
            let task = self.next(groups);
            let Some(status) = task.send(&self.me) else { return task };
            assert_eq!(status, 200, "{} {}", task.method, task.path);
            answers.fetch_add(1, Ordering::Relaxed);
            self.done(&task);
        }
    }

    fn done(&mut self, task: &Task) {
        let (fact, count) = task.fact.clone();
        if !fact.is_empty() {
            self.known.insert(fact, count);
        }
        // The newest few, so that something can be done with them.
        if task.fact.1 == 1 && task.path == "/api/deuces" && self.dice.below(4) == 0 {
            let again = self.me.request("POST", "/api/deuces").json(&task.body);
            let again = again.header("Idempotency-Key", task.key.as_ref().unwrap());
            if let Some(reply) = again.send_to_mortal() {
                let id = reply.ok()["entries"][0]["id"].as_str().unwrap().to_owned();
                self.fresh.push((id, task.body["thoughts"].as_str().unwrap().to_owned()));
            }
        }
    }

    /// What was under way is sent again, as a client does that does not know what became of it.
    fn again(&mut self, task: &Task) {
        let status = task.send(&self.me).expect("the server is back");
        // What was done already cannot be taken back, or said with a heart, a second time.
        let fine = match status {
            200 => true,
            404 => task.method == "DELETE",
            400 => task.path.ends_with("/reactions"),
            _ => false,
        };
        assert!(fine, "{} {}: {status}", task.method, task.path);
        self.done(task);
    }
}

/// Somebody who listens and comes back to where they were.
struct Ear {
    me: Client,
    cursors: BTreeMap<String, Cursor>,
    heard: Vec<String>,
}

impl Ear {
    /// Comes back to every channel, or begins.
    fn open(&mut self) -> Native {
        let mut socket = Native::open(&self.me);
        for (channel, cursor) in &self.cursors {
            let ack = socket.resume(channel, cursor);
            assert_eq!(ack["recovered"], true, "what was heard is what is there: {ack}");
        }
        socket
    }

    /// Hears until the server is gone. That no number is missing or comes twice is checked by the client.
    fn listen(&mut self, mut socket: Native) {
        while let Some(frame) = socket.event_if_any() {
            self.note(&frame);
        }
    }

    /// Hears until everything is heard that there is.
    fn catch_up(&mut self, facts: &Facts) {
        let mut socket = self.open();
        for channel in self.cursors.keys().cloned().collect::<Vec<_>>() {
            let begin = format!("event {channel} ");
            let head = facts
                .keys()
                .filter_map(|fact| fact.strip_prefix(&begin))
                .map(|rest| rest.split(' ').next().unwrap().parse::<i64>().unwrap());
            let head = head.max().unwrap_or(0);
            while self.cursors[&channel].seq < head {
                let frame = socket.event();
                self.note(&frame);
            }
        }
    }

    fn note(&mut self, frame: &Value) {
        let payload = &frame["payload"];
        if let (Some(channel), Some(seq)) = (payload["channel"].as_str(), payload["seq"].as_i64()) {
            self.cursors.insert(channel.to_owned(), Cursor::after(frame));
            self.heard
                .push(format!("event {channel} {seq} {}", frame["id"].as_str().unwrap().replace('-', "")));
        }
    }
}

/// Starts the server, and how long it took until the first answer.
fn come_back(server: &mut Server, is_measured: bool) -> Duration {
    let begin = Instant::now();
    server.start_again();
    server.nobody().get("/api/health").ok();
    let (took, ticks) = (begin.elapsed(), server.processor_ticks());
    // Where others hold the processor, what it used itself says more than the clock on the wall.
    assert!(
        !is_measured || took < Duration::from_secs(2) || ticks < 100,
        "{took:?} and {ticks} ticks until the first answer"
    );
    took
}

#[test]
fn r_d1_killed_again_and_again_nothing_is_lost_or_there_twice() {
    let is_measured = !emulation::leaves_out_measures();
    let (cycles, seed) = (setting("DEUCED_CYCLES", CYCLES), setting("DEUCED_SEED", 3));
    let mut server = unhurried().start();
    let people: Vec<Client> = (0..WRITERS).map(|number| server.person(&format!("writer{number}"))).collect();
    let groups = ["Home", "Work"].map(|name| people[0].found(name));
    for (guest, group) in people[1..].iter().flat_map(|guest| groups.iter().map(move |group| (guest, group)))
    {
        people[0].bring(group, guest);
    }
    let writer = |(number, me): (usize, &Client)| Writer {
        me: me.twin(),
        name: format!("writer{number}"),
        dice: Dice::new(seed + number as u64),
        count: 0,
        fresh: Vec::new(),
        entries: Vec::new(),
        known: Facts::new(),
    };
    let mut writers: Vec<Writer> = people.iter().enumerate().map(writer).collect();
    let channels = [format!("group:{}", groups[0]), format!("group:{}", groups[1]), "general".to_owned()];
    let mut ears: Vec<Ear> = (0..2)
        .map(|number| {
            let beginning = channels.iter().map(|channel| (channel.clone(), Cursor::beginning()));
            Ear { me: people[number].twin(), cursors: beginning.collect(), heard: Vec::new() }
        })
        .collect();
    let (answers, mut dice, mut worst) = (AtomicUsize::new(0), Dice::new(seed), Duration::ZERO);
    for _ in 0..cycles {
        let before = answers.load(Ordering::Relaxed);
        thread::scope(|scope| {
            for ear in &mut ears {
                let socket = ear.open();
                scope.spawn(move || ear.listen(socket));
            }
            let (groups, answers) = (&groups, &answers);
            let lives: Vec<_> = writers
                .iter_mut()
                .map(|writer| {
                    scope.spawn(move || {
                        let task = writer.write(groups, answers);
                        (writer, task)
                    })
                })
                .collect();
            // In the middle of the work, and at any point of it.
            let begin = Instant::now();
            while answers.load(Ordering::Relaxed) < before + 8 && begin.elapsed() < Duration::from_secs(10) {
                thread::sleep(Duration::from_millis(1));
            }
            thread::sleep(Duration::from_micros(dice.next() % 60_000));
            server.kill9();
            let open: Vec<_> = lives.into_iter().map(|life| life.join().unwrap()).collect();
            worst = worst.max(come_back(&mut server, is_measured));
            for (writer, task) in open {
                writer.again(&task);
            }
        });
    }
    let (there, wrong) = facts::read(server.data());
    assert!(wrong.is_empty(), "{wrong:?}");
    let mut looked_for = 0;
    for (fact, count) in writers.iter().flat_map(|writer| &writer.known) {
        looked_for += 1;
        assert_eq!(there.get(fact).copied().unwrap_or(0), *count, "{fact}");
    }
    // What was sent and never answered was sent again: there is nothing else.
    for (fact, count) in there.iter().filter(|(fact, _)| fact.starts_with("message ")) {
        assert_eq!(*count, 1, "{fact}");
    }
    for ear in &mut ears {
        ear.catch_up(&there);
        for event in &ear.heard {
            assert_eq!(there.get(event), Some(&1), "heard and not there: {event}");
        }
    }
    let heard: usize = ears.iter().map(|ear| ear.heard.len()).sum();
    let events = there
        .keys()
        .filter(|fact| channels.iter().any(|channel| fact.starts_with(&format!("event {channel} "))));
    assert_eq!(heard, 2 * events.count(), "each ear hears each event once");
    println!(
        "\nkill -9: {cycles} times (seed {seed}) under {WRITERS} writers and 2 listeners; {} writes acknowledged, \
         {looked_for} facts looked for, {heard} events heard, each once; worst restart to the first answer {worst:?}\n  \
         would have caught: a write that was acknowledged and is gone, a retry that was carried out twice, half a \
         write, an event heard of a write that is lost, a gap or a repetition after resuming, a slow start",
        answers.load(Ordering::Relaxed),
    );
    assert!(answers.load(Ordering::Relaxed) as u64 >= cycles * 8);
}
