//! Copies of the diary: made beside a running server, verified, kept, remembered, and missed when there is none.

use crate::harness::{
    Client, Native, PATIENCE, Server,
    fault::{Card, Fault},
    server::{self, Directory, said},
};
use rusqlite::Connection;
use serde_json::Value;
use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::Output,
    time::Instant,
};

/// `deuced WORDS --data …` on the server's data.
fn run(server: &Server, words: &[&str]) -> Output {
    server::run(&[words, &["--data", server.data_text()]].concat(), "")
}

/// Makes a copy in a folder, and says where it is.
#[track_caller]
fn backup(server: &Server, folder: &Path, more: &[&str]) -> PathBuf {
    let output = run(server, &[&["backup", folder.to_str().unwrap()], more].concat());
    assert!(output.status.success(), "{}", said(&output));
    let line = String::from_utf8(output.stdout).unwrap();
    assert!(line.ends_with("verified\n"), "{line}");
    line.split(": ").next().unwrap().into()
}

fn names(folder: &Path) -> Vec<String> {
    let listed = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        listed.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// A figure of `/metrics`, if it is there.
fn figure(client: &Client, name: &str) -> Option<f64> {
    let text = client.get("/metrics").text();
    let line = text.lines().find_map(|line| line.strip_prefix(&format!("deuced_{name} ")).map(str::to_owned));
    line.map(|value| value.parse().unwrap())
}

/// What the server says of its backups as soon as it is as it should be: a knock is heard a moment later.
#[track_caller]
fn wait_for_health(server: &Server, is_so: impl Fn(&Value) -> bool) -> Value {
    let start = Instant::now();
    loop {
        let health = server.nobody().get("/api/health").ok()["backup"].clone();
        if is_so(&health) {
            return health;
        }
        assert!(start.elapsed() < PATIENCE, "{health}");
    }
}

/// The data of the notifications of this type, newest first.
fn heard(client: &Client) -> Vec<Value> {
    let list = client.get("/api/notifications?perPage=100").ok();
    let all = list["notifications"].as_array().unwrap();
    all.iter().map(|one| one["data"].clone()).filter(|data| data["type"] == "backup").collect()
}

#[test]
fn the_server_knows_of_every_attempt_at_once() {
    let server = Server::setup().start_claimed();
    let zoe = server.device("Zoe");
    let place = Directory::new();
    assert_eq!(wait_for_health(&server, |_| true)["ageSeconds"], Value::Null);
    assert_eq!((figure(&zoe, "backup_age_seconds"), figure(&zoe, "backup_last_ok")), (None, None));
    let copy = backup(&server, &place.0, &[]);
    let health = wait_for_health(&server, |health| health["ageSeconds"].is_u64());
    assert_eq!(health["ok"], true);
    assert!(figure(&zoe, "backup_age_seconds").unwrap() < 60.0);
    assert!(figure(&zoe, "backup_last_success_timestamp_seconds").unwrap() > 1.7e9);
    assert_eq!(figure(&zoe, "backup_last_ok"), Some(1.0));
    assert_eq!(figure(&zoe, "backup_bytes"), Some(fs::metadata(&copy).unwrap().len() as f64));
    assert!(figure(&zoe, "backup_seconds").is_some());
    // A folder that cannot be made is a failure like any other.
    let file = place.0.join("file");
    fs::write(&file, "").unwrap();
    let output = run(&server, &["backup", file.join("below").to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let health = wait_for_health(&server, |health| health["ok"] == false);
    assert!(health["ageSeconds"].is_u64(), "the good one is still there: {health}");
    assert_eq!(figure(&zoe, "backup_last_ok"), Some(0.0));
    let told = heard(&zoe);
    assert!(told.len() == 1 && told[0]["reason"] == "failed", "{told:?}");
    assert!(told[0]["message"].as_str().unwrap().contains("/file/below"), "{told:?}");
    assert!(told[0]["verifiedAt"].is_string(), "{told:?}");
}

#[test]
fn an_owner_who_listens_hears_of_a_failure_when_it_happens() {
    let server = Server::setup().start_claimed();
    let (zoe, ann) = (server.device("Zoe"), server.person("Ann"));
    let (mut of_zoe, mut of_ann) = (Native::open(&zoe), Native::open(&ann));
    of_zoe.subscribe("me");
    of_ann.subscribe("me");
    let mut old = zoe.socket();
    old.send_json(serde_json::json!({ "type": "register", "jwtToken": zoe.token() }));
    run(&server, &["backup", "/proc/nowhere"]);
    let event = of_zoe.expect("notification");
    assert_eq!(event["payload"]["notification"]["data"]["type"], "backup", "{event}");
    of_ann.expect_silence();
    loop {
        let frame = old.expect_json();
        if frame["type"] == "notification_received" {
            assert_eq!(frame["data"]["data"]["type"], "backup", "{frame}");
            break;
        }
    }
}

#[test]
fn the_newest_stay_and_nobody_elses_file_is_touched() {
    let server = Server::setup().start_claimed();
    let other = Server::setup().start_claimed();
    let place = Directory::new();
    let foreign = [backup(&other, &place.0, &[]), place.0.join("deuced.db"), place.0.join("deuced-2026.db")];
    foreign[1..].iter().for_each(|path| fs::write(path, "mine").unwrap());
    // Our name, but nothing that we made; and one of ours that the card has damaged since.
    let [scrap, damaged] =
        ["deuced-20200101T000000Z.db", "deuced-20200102T000000Z.db"].map(|name| place.0.join(name));
    fs::write(&scrap, "a file of somebody else's").unwrap();
    let first = backup(&server, &place.0, &[]);
    fs::copy(&first, &damaged).unwrap();
    fs::write(&damaged, &fs::read(&first).unwrap()[..4096]).unwrap();
    let mut ours = vec![first];
    for _ in 0..9 {
        ours.push(backup(&server, &place.0, &[]));
    }
    let left = |path: &PathBuf| path.exists();
    assert_eq!(ours.iter().map(left).collect::<Vec<_>>(), [[false; 3].as_slice(), &[true; 7]].concat());
    assert!(foreign.iter().all(left) && scrap.exists(), "{:?}", names(&place.0));
    ours.push(backup(&server, &place.0, &["--keep", "1"]));
    assert!(ours[..10].iter().all(|path| !path.exists()) && ours[10].exists());
    assert!(foreign.iter().all(left) && scrap.exists(), "{:?}", names(&place.0));
}

#[test]
fn a_clock_that_has_gone_back_does_not_cost_the_newest_copy() {
    let server = Server::setup().start_claimed();
    let place = Directory::new();
    let first = backup(&server, &place.0, &[]);
    let future = place.0.join("deuced-20990101T000000Z.db");
    fs::rename(first, &future).unwrap();
    let newest = backup(&server, &place.0, &["--keep", "1"]);
    assert!(newest.exists() && !future.exists(), "{:?}", names(&place.0));
}

#[test]
fn a_failed_attempt_removes_nothing() {
    let server = Server::setup().start_claimed();
    let (card, _) = Card::under(Server::setup());
    let place = Directory::new();
    let good = backup(&server, &place.0, &[]);
    for fault in [Fault::CopyFull, Fault::CopyFails, Fault::CopySyncFails] {
        card.set(fault);
        let mut command = server::command();
        command.args(["backup", place.0.to_str().unwrap(), "--keep", "1", "--data", server.data_text()]);
        let output = server::finish(command.envs(card.environment()), "");
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(!said(&output).contains("panicked"), "{}", said(&output));
        if matches!(fault, Fault::CopyFull) {
            let words = format!("there is no space left in {}: no copy was made", place.0.display());
            assert!(said(&output).contains(&words), "{}", said(&output));
        }
        assert_eq!(names(&place.0), [good.file_name().unwrap().to_str().unwrap()]);
        wait_for_health(&server, |health| health["ok"] == false);
    }
    let zoe = server.device("Zoe");
    assert_eq!(heard(&zoe).len(), 1, "three failures in one day: {:?}", heard(&zoe));
}

#[test]
fn a_diary_on_a_full_card_can_still_be_copied_to_another() {
    let (card, setup) = Card::under(Server::setup());
    let server = setup.start_claimed();
    let place = Directory::new();
    let ann = server.person("Ann");
    ann.log(&ann.found("Home"), "before");
    card.set(Fault::Full);
    let mut command = server::command();
    command.args(["backup", place.0.to_str().unwrap(), "--data", server.data_text()]);
    let output = server::finish(command.envs(card.environment()), "");
    assert!(output.status.success(), "{}", said(&output));
    // It could not be noted, and that is said.
    assert!(said(&output).contains("the server was not told of this"), "{}", said(&output));
    let copy = place.0.join(&names(&place.0)[0]);
    let whole = server::run(&["verify", copy.to_str().unwrap()], "");
    assert!(said(&whole).contains("entries       1"), "{}", said(&whole));
    card.set(Fault::None);
    backup(&server, &place.0, &[]);
    wait_for_health(&server, |health| health["ageSeconds"].is_u64() && health["ok"] == true);
}

#[test]
fn space_is_looked_at_before_anything_is_written() {
    let mut server = Server::setup().start_claimed();
    let zoe = server.device("Zoe");
    let (card, _) = Card::under(Server::setup());
    let place = Directory::new();
    let good = backup(&server, &place.0, &[]);
    card.set(Fault::NoSpace);
    let run = |words: &[&str]| {
        let mut command = server::command();
        command.args(words).args(["--data", server.data_text()]);
        server::finish(command.envs(card.environment()), "")
    };
    let output = run(&["backup", place.0.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let words = format!("there is too little space in {}: a copy needs ", place.0.display());
    assert!(said(&output).contains(&words) && said(&output).contains("0 MB are free"), "{}", said(&output));
    assert_eq!(names(&place.0).len(), 1);
    wait_for_health(&server, |health| health["ok"] == false);
    assert!(heard(&zoe)[0]["message"].as_str().unwrap().contains(&words), "{:?}", heard(&zoe));
    server.terminate();
    let before = names(server.data());
    let output = {
        let mut command = server::command();
        command.args(["restore", good.to_str().unwrap(), "--yes", "--data", server.data_text()]);
        server::finish(command.envs(card.environment()), "")
    };
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    assert!(said(&output).contains("there is too little space in "), "{}", said(&output));
    assert_eq!(names(server.data()), before, "as it was");
}

#[test]
fn a_copy_that_was_cut_off_is_cleared_away_by_the_next() {
    let server = Server::setup().start_claimed();
    let place = Directory::new();
    let (card, _) = Card::under(Server::setup());
    card.set(Fault::CopySyncWaits);
    let mut command = server::command();
    command.args(["backup", place.0.to_str().unwrap(), "--data", server.data_text()]);
    let mut child = command.envs(card.environment()).spawn().unwrap();
    let start = Instant::now();
    while names(&place.0).is_empty() {
        assert!(start.elapsed() < PATIENCE);
    }
    // One at a time.
    let output = run(&server, &["backup", place.0.to_str().unwrap()]);
    assert!(said(&output).contains("another backup of") && !output.status.success(), "{}", said(&output));
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(names(&place.0)[0].ends_with(".partial"), "{:?}", names(&place.0));
    let copy = backup(&server, &place.0, &[]);
    assert_eq!(names(&place.0), [copy.file_name().unwrap().to_str().unwrap()]);
}

#[test]
fn owners_are_told_when_there_is_no_new_backup() {
    let mut server = Server::setup().start_claimed();
    let ann = server.person("Ann");
    let zoe = server.device("Zoe");
    let place = Directory::new();
    let hour = 3600;
    let told = |count: usize| {
        let start = Instant::now();
        while heard(&zoe).len() < count {
            assert!(start.elapsed() < PATIENCE, "{:?}", heard(&zoe));
        }
        assert_eq!(heard(&zoe).len(), count);
        heard(&zoe).first().cloned().unwrap_or_default()
    };
    server.restart_later(71 * hour);
    assert_eq!(wait_for_health(&server, |_| true)["ok"], true);
    told(0);
    server.restart_later(2 * hour);
    wait_for_health(&server, |health| health["ok"] == false);
    let data = told(1);
    assert_eq!((&data["reason"], &data["verifiedAt"]), (&"old".into(), &Value::Null), "{data}");
    assert_eq!(data["message"], "There is no verified backup of the diary");
    server.restart_later(6 * 24 * hour);
    told(1);
    server.restart_later(25 * hour);
    told(2);
    assert!(heard(&ann).is_empty(), "it is the owners' business");
    // The command goes by the clock of the machine, so for this server the copy is old already.
    backup(&server, &place.0, &[]);
    wait_for_health(&server, |health| health["ageSeconds"].is_u64());
    server.restart_later(0);
    assert!(told(3)["message"].as_str().unwrap().contains("is 10 days old"), "{:?}", heard(&zoe));
    server.restart_as(Server::setup().with(["--backup-warn-hours", "0"]));
    assert_eq!(wait_for_health(&server, |_| true)["ok"], true, "never, where the owner says so");
}

#[test]
fn what_there_is_can_be_listed() {
    let server = Server::setup().start_claimed();
    let list = || {
        let output = run(&server, &["backup", "--list"]);
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    assert!(list().starts_with("no backups in "), "{}", list());
    let folder = server.data().join("backups");
    let copy = backup(&server, &folder, &[]);
    let before = server.data().join("deuced.db.before-step-0012");
    fs::copy(&copy, &before).unwrap();
    let listed = list();
    let lines: Vec<&str> = listed.lines().collect();
    assert!(lines.len() == 3 && lines[0].starts_with("MADE AND VERIFIED"), "{listed}");
    assert!(lines[1].ends_with(copy.to_str().unwrap()) && lines[1].contains("0 minutes"), "{listed}");
    assert!(lines[2].ends_with(before.to_str().unwrap()) && lines[2].contains(" MB "), "{listed}");
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&copy), mode(&folder)), (0o600, 0o700));
}

#[test]
fn a_backup_folds_the_log_in_and_cuts_it_short() {
    let server = Server::setup().open().limit("deuces_per_minute", 1_000_000).start();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    (0..50).for_each(|number| drop(ann.log(&home, &format!("entry {number}"))));
    let log = server.data().join("deuced.db-wal");
    assert!(fs::metadata(&log).unwrap().len() > 100_000);
    backup(&server, &server.data().join("backups"), &[]);
    // What was noted of the backup itself is all there is.
    assert!(fs::metadata(&log).unwrap().len() < 100_000, "{}", fs::metadata(&log).unwrap().len());
    let db = Connection::open(server.data().join("deuced.db")).unwrap();
    let entries: i64 = db.query_row("SELECT count(*) FROM entry", [], |row| row.get(0)).unwrap();
    assert_eq!(entries, 50);
}
