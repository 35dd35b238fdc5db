//! `deuced status`: the diary at a glance, beside a server and without one.

use crate::harness::{
    Server,
    server::{Directory, run},
};
use rusqlite::Connection;
use serde_json::Value;
use std::{fs, path::Path};

#[track_caller]
fn text(data: &Path) -> String {
    let output = run(&["status", "--data", data.to_str().unwrap()], "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

#[track_caller]
fn json(data: &Path) -> Value {
    let output = run(&["status", "--json", "--data", data.to_str().unwrap()], "");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn says(text: &str, row: &str, words: &str) {
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(row));
    assert!(line.is_some_and(|line| line.contains(words)), "{row}: {words} in\n{text}");
}

#[test]
fn a_running_server_at_a_glance() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    ann.log(&home, "x");
    let _socket = ann.socket();
    let told = text(server.data());
    says(&told, "server", &format!("version {}, runs since ", env!("CARGO_PKG_VERSION")));
    says(&told, "address", &server.address().to_string());
    says(&told, "sockets", "1");
    says(&told, "diary", "2 people, 1 groups, 1 entries");
    says(&told, "data", server.data_text());
    says(&told, "backup", "there has been no verified one");
    let told = json(server.data());
    assert_eq!((&told["people"], &told["groups"], &told["entries"]), (&2.into(), &1.into(), &1.into()));
    assert_eq!(told["server"]["sockets"], 1);
    assert_eq!(told["server"]["address"], server.address().to_string());
    assert_eq!((&told["server"]["answers"], &told["backup"]), (&true.into(), &Value::Null));
    assert!(told["databaseBytes"].as_u64().unwrap() > 4096 && told["freeBytes"].as_u64().is_some(), "{told}");
    assert_eq!(told["step"], told["stepsKnown"]);
}

#[test]
fn backups_and_what_went_to_the_card() {
    let server = Server::open();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    let day = now / 86_400_000;
    let db = Connection::open(server.data().join("deuced.db")).unwrap();
    db.execute_batch(&format!(
        "INSERT INTO backup (at, path, bytes, took_millis, failure) VALUES ({}, '/proc/version', 2500000, 1, NULL), ({now}, '/x', 0, 1, 'no room');
         INSERT OR REPLACE INTO written VALUES ({day}, 'made up', 5000), ({day} - 3, 'made up', 7000), ({day} - 30, 'made up', 90000)",
        now - 3 * 3_600_000
    ))
    .unwrap();
    let told = text(server.data());
    says(&told, "backup", "verified, 3 h old: /proc/version (2.5 MB)");
    assert!(told.contains("the last try failed, ") && told.contains("no room"), "{told}");
    says(&told, "card", "written today");
    says(&told, "made", "5.0 KB today,     12 KB in 7 days");
    let told = json(server.data());
    assert_eq!((&told["backup"]["sameDisk"], &told["backup"]["there"]), (&false.into(), &true.into()));
    assert!((10_800..10_900).contains(&told["backup"]["ageSeconds"].as_i64().unwrap()), "{told}");
    assert_eq!(told["failedBackup"]["failure"], "no room");
    assert_eq!(told["written"]["made up"]["weekBytes"], 12_000);
}

#[test]
fn without_a_server_it_says_the_same_and_leaves_no_trace() {
    let mut server = Server::open();
    let ann = server.person("Ann");
    ann.log(&ann.found("Home"), "x");
    server.kill9();
    let files = |data: &Path| {
        let mut files: Vec<_> = fs::read_dir(data)
            .unwrap()
            .flatten()
            .map(|file| {
                (
                    file.file_name(),
                    file.metadata().unwrap().len(),
                    file.metadata().unwrap().modified().unwrap(),
                )
            })
            .collect();
        files.sort();
        files
    };
    for how in ["killed", "stopped"] {
        let before = files(server.data());
        let told = text(server.data());
        says(&told, "server", "does not run");
        says(&told, "diary", "1 people, 1 groups, 1 entries");
        assert!(json(server.data())["server"].is_null());
        assert_eq!(files(server.data()), before, "{how}");
        server.start_again();
        server.terminate();
    }
}

#[test]
fn a_server_that_does_not_answer_and_a_folder_without_a_diary() {
    let server = Server::open();
    server.signal(libc::SIGSTOP);
    says(&text(server.data()), "server", "does not answer");
    server.signal(libc::SIGCONT);
    let nothing = Directory::new();
    let output = run(&["status", "--data", nothing.0.to_str().unwrap()], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no diary in"));
}
