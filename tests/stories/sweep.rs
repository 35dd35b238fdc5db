//! One file operation fails, for every operation in turn, or all from there on: nothing that was acknowledged is lost,
//! the server answers or leaves with words, and starts again when the card is well. `DEUCED_CYCLES` says of how many
//! in a thousand; `tests/proof.sh` takes all.

use crate::harness::facts::{self, Facts};
use crate::harness::server::{Directory, Setup};
use crate::harness::{Client, PATIENCE, Server, fault, picture};
use serde_json::json;
use std::{
    fs,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::Instant,
};

/// What fails: the letters of cut.c.
const WAYS: [(char, &str); 3] = [
    ('E', "an I/O error of opening, reading, writing, cutting, syncing, renaming or removing"),
    ('F', "no space for opening, writing or renaming"),
    ('H', "half of a write taken"),
];

fn thousandths() -> usize {
    std::env::var("DEUCED_CYCLES").ok().map_or(25, |text| text.parse::<usize>().expect("a number").min(1000))
}

fn card(setup: Setup, data: &Path, variables: &[(&str, String)]) -> Setup {
    let setup = setup.env("LD_PRELOAD", fault::library("cut").to_str().unwrap());
    let setup = setup.env("CUT_ROOT", data.to_str().unwrap());
    variables.iter().fold(setup, |setup, (name, value)| setup.env(name, value))
}

/// A copy of a data directory that a server left.
fn fresh(model: &Path) -> Directory {
    let data = Directory::new();
    fs::create_dir(data.0.join("pictures")).unwrap();
    for file in fs::read_dir(model).unwrap().flatten().filter(|file| file.path().is_file()) {
        fs::copy(file.path(), data.0.join(file.file_name())).unwrap();
    }
    data
}

/// What somebody does who takes whatever comes. What was acknowledged, and how often it has to be there.
fn live(me: &Client, home: &str, wrong: &mut Vec<String>) -> Facts {
    let mut known = Facts::new();
    let mut ask = |method: &str, path: &str, body: serde_json::Value| {
        let reply = me.request(method, path).json(&body).send_if_answered();
        match &reply {
            Some(reply) if reply.status >= 500 && reply.message().len() < 10 => {
                wrong.push(format!("without words: {reply:?}"));
            }
            Some(reply) if !matches!(reply.status, 200 | 503 | 507) => wrong.push(format!("{reply:?}")),
            _ => {}
        }
        reply.filter(|reply| reply.status == 200)
    };
    let mut last = None;
    for number in 0..3 {
        let thoughts = format!("entry-{number}");
        let body = json!({ "groupIds": [home], "location": "Home", "thoughts": thoughts });
        if let Some(reply) = ask("POST", "/api/deuces", body) {
            known.insert(format!("entry {thoughts}"), 1);
            last = reply.json()["entries"][0]["id"].as_str().map(|id| (id.to_owned(), thoughts));
        }
    }
    if ask("POST", "/api/rooms/general/messages", json!({ "text": "hello" })).is_some() {
        known.insert("message hello".to_owned(), 1);
    }
    if let Some((id, thoughts)) = last {
        // Whether it is gone is not known unless it is said.
        known.remove(&format!("entry {thoughts}"));
        if ask("DELETE", &format!("/api/deuces/{id}"), json!(null)).is_some() {
            known.insert(format!("entry {thoughts}"), 0);
        }
    }
    ask("GET", &format!("/api/groups/{home}"), json!(null));
    let (kind, body) =
        picture::multipart(&[("profilePicture", "me.jpg", "image/jpeg", picture::jpeg(20, 20).as_slice())]);
    let upload = me.request("POST", "/api/auth/user/profile-picture").content(&kind, body).send_if_answered();
    if let Some(reply) = upload.filter(|reply| reply.status == 200) {
        let path = reply.json()["profileImageUrl"].as_str().unwrap().to_owned();
        known.insert(format!("picture {} {path}", me.id()), 1);
    }
    known
}

struct Home {
    model: Directory,
    ann: Client,
    group: String,
}

/// A household as it was left, whose members are still logged in.
fn household() -> Home {
    let mut server = Server::open();
    let ann = server.person("Ann");
    let group = ann.found("Home");
    ann.log(&group, "before");
    server.terminate();
    Home { model: fresh(server.data()), ann, group }
}

/// One life in which the operations from `first` to `last` fail. What is wrong with it, and whether it could start.
fn one(home: &Home, way: char, first: usize, last: usize) -> (bool, Vec<String>) {
    let data = fresh(&home.model.0);
    let fail = ("CUT_FAIL", format!("{first}:{way}:{last}"));
    let setup = card(Server::setup().open(), &data.0, &[fail]);
    let (mut wrong, mut known, mut started) = (Vec::new(), Facts::new(), false);
    let data = match setup.try_start_in(data) {
        Err((data, said)) => {
            if !said.contains("error: ") || said.contains("panicked") || said.contains("signal") {
                wrong.push(format!("left without words: {said}"));
            }
            data
        }
        Ok(mut server) => {
            started = true;
            let me = home.ann.twin_at(&server);
            known = live(&me, &home.group, &mut wrong);
            server.terminate();
            if server.stderr().contains("panicked") {
                wrong.push(format!("panicked: {}", server.stderr()));
            }
            server.give_back()
        }
    };
    // The card is well again.
    match Server::setup().open().try_start_in(data) {
        Err((_, said)) => wrong.push(format!("does not start again: {said}")),
        Ok(mut server) => {
            let me = home.ann.twin_at(&server);
            let begin = Instant::now();
            let body = json!({ "groupIds": [home.group], "location": "Home", "thoughts": "after" });
            while me.request("POST", "/api/deuces").json(&body).send_to_troubled().status != 200 {
                assert!(begin.elapsed() < PATIENCE, "writing does not work again");
            }
            server.terminate();
            let (there, more) = facts::read(server.data());
            wrong.extend(more);
            known.extend([("entry before".to_owned(), 1), ("entry after".to_owned(), 1)]);
            for (fact, count) in known {
                let have = there.get(&fact).copied().unwrap_or(0);
                if have != count {
                    wrong.push(format!("{fact} is there {have} times, acknowledged as {count}"));
                }
            }
            let twice = there.iter().filter(|(fact, count)| fact.starts_with("entry ") && **count > 1);
            wrong.extend(twice.map(|(fact, count)| format!("{fact} is there {count} times")));
        }
    }
    (started, wrong)
}

/// How many operations there are that may fail this way in a life without trouble.
fn operations(home: &Home, way: char) -> usize {
    let data = fresh(&home.model.0);
    let place = Directory::new();
    let count = place.0.join("count");
    let variables = [("CUT_FAIL", format!("0:{way}:0")), ("CUT_COUNT", count.to_str().unwrap().to_owned())];
    let mut server = card(Server::setup().open(), &data.0, &variables).start_in(data);
    let mut wrong = Vec::new();
    let known = live(&home.ann.twin_at(&server), &home.group, &mut wrong);
    assert!(wrong.is_empty() && known.len() >= 4, "{wrong:?} {known:?}");
    server.terminate();
    fs::read_to_string(count).unwrap().trim().parse().unwrap()
}

#[test]
fn r_d2_any_one_operation_may_fail_and_nothing_acknowledged_is_lost() {
    let home = household();
    for (way, meaning) in WAYS {
        let all = operations(&home, way);
        assert!(all > 20, "{way}: {all}");
        for (last, lasting) in [(false, "once"), (true, "from then on")] {
            let count = (all * thousandths()).div_ceil(1000).max(6);
            let numbers: Vec<usize> = (0..count).map(|turn| turn * all / count + 1).collect();
            let (starts, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
            let next = AtomicUsize::new(0);
            thread::scope(|scope| {
                for _ in 0..thread::available_parallelism().map_or(1, usize::from).min(8) {
                    scope.spawn(|| {
                        while let Some(first) = numbers.get(next.fetch_add(1, Ordering::Relaxed)) {
                            let last = if last { usize::MAX >> 1 } else { *first };
                            let (started, found) = one(&home, way, *first, last);
                            starts.fetch_add(usize::from(started), Ordering::Relaxed);
                            let found =
                                found.into_iter().map(|what| format!("{way} {first}, {lasting}: {what}"));
                            wrong.lock().unwrap().extend(found);
                        }
                    });
                }
            });
            let (starts, wrong) = (starts.into_inner(), wrong.into_inner().unwrap());
            println!(
                "\n{meaning}, {lasting}: {} of {all} operations failed in turn, {starts} times the server could start\n  \
                 would have caught: a crash, an answer or an end without words, a write that was acknowledged and is \
                 gone or there twice, a server that does not recover",
                numbers.len(),
            );
            assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
        }
    }
}
