//! Power cuts: whatever the card had not been asked to keep may be gone, and nothing that anybody was told is.
//!
//! One run of the server is written down, and many states that a power cut could have left are made of it. In each the
//! server has to start and to know everything that had left it. `DEUCED_CYCLES` says how many cuts there are,
//! `DEUCED_SEED` which; `tests/proof.sh` makes a thousand.

use crate::harness::cut::{Card, Dice, Lie, Luck, Recorder, Recording};
use crate::harness::facts::{self, Knowledge, Placed};
use crate::harness::server::{Directory, Setup, copy_folder};
use crate::harness::{Client, Native, Server, picture, server, setting};
use crate::require_durability::unpack;
use rusqlite::Connection;
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// How many cuts, where nobody says.
const CUTS: usize = 60;

/// So many of a thousand cuts, or of those that were asked for.
fn share(of_thousand: usize) -> usize {
    (setting("DEUCED_CYCLES", CUTS as u64) as usize * of_thousand).div_ceil(1000)
}

fn unhurried() -> Setup {
    Server::setup().open().unhurried()
}

/// The people, their groups, and what is known of what they did.
struct House<'a> {
    server: &'a Server,
    recorder: &'a Recorder,
    knowledge: &'a Knowledge,
    home: String,
    work: String,
}

impl House<'_> {
    /// What one person does, on their own connections.
    fn live(&self, me: &Client, who: &str, rounds: std::ops::Range<usize>) {
        let mut socket = Native::open(me);
        let mut portrait = me.get("/api/auth/user").ok()["profileImageUrl"].as_str().map(str::to_owned);
        for round in rounds {
            let entry = self.log(me, &format!("entry-{who}-{round:05}"), round);
            match round % 6 {
                0 => self.say(&mut socket, &format!("message-{who}-{round:05}")),
                1 => self.react(me, &entry, "🔥"),
                2 => self.take_back(me, &entry, &format!("entry-{who}-{round:05}")),
                _ => {}
            }
            if round % 12 == 5 {
                portrait = Some(self.pose(me, portrait.as_deref(), 40 + round as u16 % 60));
            }
            if round % 12 == 9 {
                self.log_in_again(who);
            }
        }
        assert!(socket.socket.drain().iter().all(|frame| frame["type"] != "error"));
    }

    /// Logs an entry, every fourth into both groups at once, under a key; every fifth is sent again under it.
    fn log(&self, me: &Client, thoughts: &str, round: usize) -> String {
        let groups = if round % 4 == 3 { vec![&self.home, &self.work] } else { vec![&self.home] };
        let (fact, count) = (format!("entry {thoughts}"), groups.len() as i64);
        self.knowledge.tries(fact.clone(), count);
        let body = json!({ "groupIds": groups, "location": "Home", "thoughts": thoughts });
        let send = || {
            let request = me.request("POST", "/api/deuces").header("Idempotency-Key", thoughts);
            request.json(&body).send().ok()
        };
        let answer = send();
        self.knowledge.told_by(fact, count, self.recorder.mark(), thoughts);
        if round % 5 == 0 {
            assert_eq!(send(), answer);
        }
        answer["entries"][0]["id"].as_str().unwrap().to_owned()
    }

    fn say(&self, socket: &mut Native, text: &str) {
        self.knowledge.tries(format!("message {text}"), 1);
        socket.say("general", text);
        // Whoever says something is answered without its text.
        self.knowledge.told(format!("message {text}"), 1, self.recorder.mark());
    }

    fn react(&self, me: &Client, entry: &str, emoji: &str) {
        let fact = format!("reaction {} {emoji} {}", entry.replace('-', ""), me.id());
        me.post(&format!("/api/entries/{entry}/reactions"), json!({ "emoji": emoji })).ok();
        self.knowledge.told(fact, 1, self.recorder.mark());
    }

    /// Takes an entry back that is in one group only.
    fn take_back(&self, me: &Client, entry: &str, thoughts: &str) {
        let fact = format!("entry {thoughts}");
        self.knowledge.ends(&fact, self.recorder.mark());
        me.delete(&format!("/api/deuces/{entry}")).ok();
        self.knowledge.told(fact, 0, self.recorder.mark());
    }

    fn pose(&self, me: &Client, before: Option<&str>, size: u16) -> String {
        let fact = |path: &str| format!("picture {} {path}", me.id());
        if let Some(before) = before {
            self.knowledge.ends(&fact(before), self.recorder.mark());
        }
        let bytes = picture::jpeg(size, size);
        me.upload("/api/auth/user/profile-picture", "profilePicture", "image/jpeg", &bytes).ok();
        let path = me.get("/api/auth/user").ok()["profileImageUrl"].as_str().unwrap().to_owned();
        self.knowledge.told(fact(&path), 1, self.recorder.mark());
        path
    }

    fn log_in_again(&self, who: &str) {
        use sha2::{Digest, Sha256};
        let device = self.server.device(who);
        let digest = Sha256::digest(device.token().as_bytes());
        let hash: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
        self.knowledge.told(format!("login {hash}"), 1, self.recorder.mark());
    }

    /// Hears a room until somebody says the end. All that was heard has to be there afterwards.
    fn listen(&self, me: &Client, channels: &[String], ready: &std::sync::Barrier) {
        let mut socket = Native::open(me);
        channels.iter().for_each(|channel| drop(socket.subscribe(channel)));
        ready.wait();
        loop {
            let frame = socket.event();
            let (payload, id) = (&frame["payload"], frame["id"].as_str());
            if let (Some(channel), Some(seq), Some(id)) =
                (payload["channel"].as_str(), payload["seq"].as_i64(), id)
            {
                let fact = format!("event {channel} {seq} {}", id.replace('-', ""));
                self.knowledge.told_by(fact, 1, self.recorder.mark(), id);
                if payload["text"].as_str().is_some_and(|text| text.starts_with("the end")) {
                    return;
                }
            }
        }
    }
}

/// One life of a server on a card that remembers: people write, a copy is made, it stops and starts again, people go
/// on, and it is killed.
fn a_life(rounds: usize) -> (Recording, Placed) {
    let data = Directory::new();
    let (recorder, knowledge) = (Recorder::begin(&data.0), Knowledge::default());
    let mut server = recorder.under(unhurried()).start_in(data);
    let names = ["Ann", "Bob", "Cleo", "Dan"];
    let people = names.map(|name| server.person(name));
    let (home, work) = (people[0].found("Home"), people[0].found("Work"));
    for guest in &people[1..] {
        people[0].bring(&home, guest);
        people[0].bring(&work, guest);
        for group in ["Home", "Work"] {
            knowledge.told(format!("member {group} {}", guest.id()), 1, recorder.mark());
        }
    }
    let channels = |groups: &[&String]| -> Vec<String> {
        groups.iter().map(|group| format!("group:{group}")).chain(["general".to_owned()]).collect()
    };
    for half in [0..rounds, rounds..rounds + rounds / 3] {
        let (home, work) = (home.clone(), work.clone());
        let house = House { server: &server, recorder: &recorder, knowledge: &knowledge, home, work };
        let ready = std::sync::Barrier::new(3);
        thread::scope(|scope| {
            let (house, ready) = (&house, &ready);
            for (who, heard) in [(1, channels(&[&house.home, &house.work])), (2, channels(&[&house.work]))] {
                let ear = people[who].twin();
                scope.spawn(move || house.listen(&ear, &heard, ready));
            }
            ready.wait();
            let lives: Vec<_> = people
                .iter()
                .zip(names)
                .map(|(me, who)| {
                    let half = half.clone();
                    scope.spawn(move || house.live(me, who, half))
                })
                .collect();
            let ended = lives.into_iter().map(|life| life.join()).filter(Result::is_err).count();
            Native::open(&people[0]).say("general", &format!("the end of {}", half.end));
            assert_eq!(ended, 0, "somebody's life ended early");
        });
        if half.start == 0 {
            copy(&server, &recorder, &knowledge);
            server.terminate();
            server.start_again();
        }
    }
    server.kill9();
    let recording = recorder.end();
    let placed = knowledge.placed(&recording);
    (recording, placed)
}

/// Makes a copy on the same card.
fn copy(server: &Server, recorder: &Recorder, knowledge: &Knowledge) {
    let mut command = server::command();
    command.args(["backup", "--data", server.data_text()]).envs(recorder.environment());
    let output = server::finish(&mut command, "");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let name = said.split(": ").next().unwrap().rsplit('/').next().unwrap().to_owned();
    knowledge.told(format!("backup backups/{name}"), 1, recorder.mark());
}

/// What many cuts came to.
#[derive(Default)]
struct Tally {
    cuts: AtomicUsize,
    unopened: AtomicUsize,
    due: AtomicUsize,
    writing: AtomicUsize,
    wrong: Mutex<Vec<String>>,
    slowest: Mutex<Duration>,
}

impl Tally {
    /// Says what was done, and fails with everything that is wrong.
    #[track_caller]
    fn report(&self, what: &str, recording: &Recording, seed: u64, caught: &str) {
        let count = |number: &AtomicUsize| number.load(Ordering::Relaxed);
        let wrong = self.wrong.lock().unwrap();
        println!(
            "\n{what}: {} power cuts (seed {seed}), {} of them while the database was written, in a record of {} writes, {} \
             syncs, {} moments\n  {} states did not open; {} facts that somebody knew were looked for, {} wrong; slowest {:?}\n  \
             would have caught: {caught}",
            count(&self.cuts),
            count(&self.writing),
            recording.writes(),
            recording.syncs(),
            recording.moments(),
            count(&self.unopened),
            count(&self.due),
            wrong.len(),
            self.slowest.lock().unwrap(),
        );
        assert!(wrong.is_empty(), "{} of {} cuts:\n{}", wrong.len(), count(&self.cuts), wrong.join("\n"));
    }
}

/// Cuts the power at so many moments, in threads that each take a share, and looks at what is left.
fn cut(
    recording: &Recording,
    seed: u64,
    cuts: usize,
    lie: Lie,
    look: impl Fn(usize, Directory) -> (usize, Vec<String>) + Sync,
) -> Tally {
    let tally = Tally::default();
    let mut dice = Dice::new(seed);
    let mut moments: Vec<(usize, u64)> =
        (0..cuts).map(|_| (dice.below(recording.moments()) + 1, dice.next())).collect();
    moments.sort_unstable();
    let threads = thread::available_parallelism().map_or(1, usize::from).min(8);
    thread::scope(|scope| {
        for first in 0..threads {
            let (moments, tally, look) = (&moments, &tally, &look);
            scope.spawn(move || {
                let mut card = recording.card();
                card.lie = lie;
                for (moment, seed) in moments.iter().skip(first).step_by(threads) {
                    card.go_to(*moment);
                    one_cut(&card, *moment, *seed, tally, look);
                }
            });
        }
    });
    tally
}

fn one_cut(
    card: &Card<'_>,
    moment: usize,
    seed: u64,
    tally: &Tally,
    look: &(impl Fn(usize, Directory) -> (usize, Vec<String>) + Sync),
) {
    let mut dice = Dice::new(seed);
    let luck = Luck::draw(&mut dice);
    let state = Directory::new();
    card.cut(luck, &mut dice, &state.0);
    tally.cuts.fetch_add(1, Ordering::Relaxed);
    tally.writing.fetch_add(usize::from(card.is_writing()), Ordering::Relaxed);
    let begin = Instant::now();
    let (due, wrong) = match catch_unwind(AssertUnwindSafe(|| look(moment, state))) {
        Ok(found) => found,
        Err(panic) => {
            tally.unopened.fetch_add(1, Ordering::Relaxed);
            let words = panic.downcast_ref::<String>().cloned().unwrap_or_default();
            (0, vec![format!("does not open: {words}")])
        }
    };
    let took = begin.elapsed();
    let mut slowest = tally.slowest.lock().unwrap();
    *slowest = took.max(*slowest);
    drop(slowest);
    tally.due.fetch_add(due, Ordering::Relaxed);
    let mut all = tally.wrong.lock().unwrap();
    all.extend(wrong.into_iter().map(|what| format!("at {moment}, {luck:?}, {seed:#x}: {what}")));
}

/// Starts the real server on what is left, has it answer, and compares what it has with what was known.
fn start_and_compare(known: &Placed, moment: usize, state: Directory) -> (usize, Vec<String>) {
    start_as_and_compare(unhurried(), known, moment, state)
}

fn start_as_and_compare(
    setup: Setup,
    known: &Placed,
    moment: usize,
    state: Directory,
) -> (usize, Vec<String>) {
    let mut server = setup.start_in(state);
    server.nobody().get("/api/health").ok();
    server.kill9();
    let (there, mut wrong) = facts::read(server.data());
    let (due, more) = known.compare(moment, &there);
    wrong.extend(more);
    let said = server.stderr();
    if said.contains("panicked") || said.contains("error:") {
        wrong.push(format!("the server said: {said}"));
    }
    (due, wrong)
}

#[test]
fn r_d1_a_power_cut_loses_nothing_that_anybody_was_told() {
    let (recording, known) = a_life(48);
    assert!(known.known.len() > 700, "{}", known.known.len());
    let seed = setting("DEUCED_SEED", 5);
    let tally = cut(&recording, seed, share(800), Lie::None, |moment, state| {
        start_and_compare(&known, moment, state)
    });
    tally.report(
        "a server's life (4 people and 2 listeners, a copy, a stop, a start)",
        &recording,
        seed,
        "a write that was acknowledged or heard and is gone or there twice, half a write, a gap in a log, a counter \
         beside its rows, a picture without its file, a copy that is not whole, a state that does not open",
    );
}

/// What is there before the record begins is known all along.
fn known_before(data: &Path, knowledge: &Knowledge, recorder: &Recorder) {
    let (there, wrong) = facts::read(data);
    assert!(wrong.is_empty() && there.len() > 10, "{wrong:?} {there:?}");
    let begin = recorder.mark();
    for (fact, count) in there {
        knowledge.told(fact, count, begin);
    }
}

#[test]
fn r_d4_a_power_cut_during_an_upgrade_leaves_the_old_or_the_new() {
    let data = Directory::new();
    unpack("0012", &data.0);
    let (recorder, knowledge) = (Recorder::begin(&data.0), Knowledge::default());
    let fixture = Directory::new();
    unpack("0012", &fixture.0);
    known_before(&fixture.0, &knowledge, &recorder);
    let mut server = recorder.under(Server::setup()).start_in(data);
    knowledge.told("copy deuced.db.before-step-0012".into(), 1, recorder.mark());
    let ann = server.device("ann");
    let home = ann.get("/api/groups").ok()[0]["id"].as_str().unwrap().to_owned();
    ann.log(&home, "after-the-upgrade");
    knowledge.told_by("entry after-the-upgrade".into(), 1, recorder.mark(), "after-the-upgrade");
    server.kill9();
    let recording = recorder.end();
    let (known, seed) = (knowledge.placed(&recording), setting("DEUCED_SEED", 5));
    let tally = cut(&recording, seed, share(100), Lie::None, |moment, state| {
        start_as_and_compare(Server::setup(), &known, moment, state)
    });
    tally.report(
        "an upgrade from step 12",
        &recording,
        seed,
        "tables half changed, a row of the old version gone, a copy from before the upgrade that is not whole",
    );
}

#[test]
fn r_d9_a_power_cut_during_a_backup_harms_neither_the_diary_nor_older_copies() {
    let mut server = unhurried().start();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    (0..20).for_each(|number| drop(ann.log(&home, &format!("entry-{number} {}", "long ".repeat(150)))));
    ann.upload("/api/auth/user/profile-picture", "profilePicture", "image/jpeg", &picture::jpeg(50, 50)).ok();
    server.terminate();
    let (recorder, knowledge) = (Recorder::begin(server.data()), Knowledge::default());
    let model = Directory::new();
    copy_folder(server.data(), &model.0);
    known_before(&model.0, &knowledge, &recorder);
    copy(&server, &recorder, &knowledge);
    // Names have the second in them.
    thread::sleep(Duration::from_millis(1100));
    copy(&server, &recorder, &knowledge);
    let recording = recorder.end();
    let (known, seed) = (knowledge.placed(&recording), setting("DEUCED_SEED", 5));
    let tally =
        cut(&recording, seed, share(60), Lie::None, |moment, state| start_and_compare(&known, moment, state));
    tally.report(
        "two backups",
        &recording,
        seed,
        "a copy under its final name that is not whole, one that was said to be verified and is gone, a changed diary",
    );
}

#[test]
fn a_power_cut_during_a_restore_leaves_the_one_diary_or_the_other() {
    let mut server = unhurried().start();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let pose = |size| {
        let bytes = picture::jpeg(size, size);
        ann.upload("/api/auth/user/profile-picture", "profilePicture", "image/jpeg", &bytes).ok();
    };
    (0..10).for_each(|number| drop(ann.log(&home, &format!("entry-{number}"))));
    pose(50);
    let place = Directory::new();
    let output = server::run(&["backup", place.0.to_str().unwrap(), "--data", server.data_text()], "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let file = fs::read_dir(&place.0).unwrap().next().unwrap().unwrap().path();
    (10..20).for_each(|number| drop(ann.log(&home, &format!("entry-{number}"))));
    pose(60);
    // As it is found after a power cut, with a log that is not folded in.
    server.kill9();
    let of_people = |data: &Path| -> BTreeMap<String, i64> {
        let kinds = ["entry ", "picture ", "login ", "member "];
        let (there, wrong) = facts::read(data);
        assert!(wrong.is_empty(), "{wrong:?}");
        there.into_iter().filter(|(fact, _)| kinds.iter().any(|kind| fact.starts_with(kind))).collect()
    };
    let model = Directory::new();
    copy_folder(server.data(), &model.0);
    let old = of_people(&model.0);
    let recorder = Recorder::begin(server.data());
    let mut command = server::command();
    command.args(["restore", file.to_str().unwrap(), "--yes", "--data", server.data_text()]);
    let output = server::finish(command.envs(recorder.environment()), "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told = recorder.mark();
    let recording = recorder.end();
    let told = recording.position(told);
    let after = Directory::new();
    copy_folder(server.data(), &after.0);
    let new = of_people(&after.0);
    assert!(old.len() == new.len() + 10, "{old:?}\n{new:?}");
    let (is_old, is_new) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let seed = setting("DEUCED_SEED", 5);
    let tally = cut(&recording, seed, share(100), Lie::None, |moment, state| {
        let mut server = unhurried().start_in(state);
        server.nobody().get("/api/health").ok();
        server.kill9();
        let there = of_people(server.data());
        let wrong = match () {
            _ if there == new => is_new.fetch_add(1, Ordering::Relaxed) == usize::MAX,
            _ if there == old && moment <= told => is_old.fetch_add(1, Ordering::Relaxed) == usize::MAX,
            _ => true,
        };
        (
            there.len(),
            wrong.then(|| format!("neither the one nor the other: {there:?}")).into_iter().collect(),
        )
    });
    println!("\na restore: {is_old:?} times the diary from before, {is_new:?} times the copy");
    tally.report(
        "a restore",
        &recording,
        seed,
        "a diary that is neither the one nor the other, a restore that was said to be done and is not, a state that does not open",
    );
}

#[test]
fn a_first_start_that_was_cut_short_is_no_damage() {
    // Tables half made, and what the file was before beside them: only whoever may write can take that back.
    let server = unhurried().start_on(|data| {
        let place = Directory::new();
        let db = Connection::open(place.0.join("deuced.db")).unwrap();
        let half = "PRAGMA cache_size = 1; BEGIN; CREATE TABLE half (made BLOB);
                    WITH RECURSIVE number (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM number WHERE n < 100)
                    INSERT INTO half SELECT randomblob(4000) FROM number;";
        db.execute_batch(half).unwrap();
        for name in ["deuced.db", "deuced.db-journal"] {
            assert!(fs::copy(place.0.join(name), data.join(name)).unwrap() > 0);
        }
    });
    server.person("Ann").found("Home");
    assert!(!server.data().join("deuced.db-journal").exists());
}

#[test]
fn a_picture_survives_though_its_folder_is_new() {
    let data = Directory::new();
    let recorder = Recorder::begin(&data.0);
    let mut server = recorder.under(unhurried()).start_in(data);
    let ann = server.person("Ann");
    ann.upload("/api/auth/user/profile-picture", "profilePicture", "image/jpeg", &picture::jpeg(50, 50)).ok();
    let path = ann.get("/api/auth/user").ok()["profileImageUrl"].as_str().unwrap().to_owned();
    server.kill9();
    let recording = recorder.end();
    let mut card = recording.card();
    card.go_to(recording.moments());
    let state = Directory::new();
    card.cut(Luck::None, &mut Dice::new(1), &state.0);
    let server = unhurried().start_in(state);
    assert_eq!(server.nobody().get(&path).status, 200);
}

/// Without a server, which could not help either: what is wrong with what is left.
fn read_and_compare(known: &Placed, moment: usize, state: Directory) -> (usize, Vec<String>) {
    let (there, mut wrong) = facts::read(&state.0);
    let (due, more) = known.compare(moment, &there);
    wrong.extend(more);
    (due, wrong)
}

/// How many of so many cuts lose something.
fn losses(recording: &Recording, known: &Placed, lie: Lie) -> usize {
    let tally = cut(recording, 7, 40, lie, |moment, state| read_and_compare(known, moment, state));
    let wrong = tally.wrong.into_inner().unwrap();
    wrong.iter().filter(|what| what.contains(": lost: ")).count()
}

#[test]
fn a_server_that_hurries_or_a_card_that_lies_is_found_out() {
    // The test of the tests above: each of these must be seen to lose something.
    let (recording, mut known) = a_life(12);
    assert_eq!(losses(&recording, &known, Lie::None), 0);
    for lie in [Lie::All, Lie::Log, Lie::Folders] {
        let lost = losses(&recording, &known, lie);
        println!("a card that keeps {lie:?} only by its word: {lost} facts lost in 40 cuts");
        assert!(lost > 0, "{lie:?} was not found out");
    }
    // A server that answers when it has the write, and not when the card has it.
    for (_, _, from, _) in &mut known.known {
        *from = recording.before_last_sync(*from);
    }
    let lost = losses(&recording, &known, Lie::None);
    println!("a server that answers before the card: {lost} facts lost in 40 cuts");
    assert!(lost > 0, "answers that come too early were not found out");
}
