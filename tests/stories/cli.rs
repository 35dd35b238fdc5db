//! The command line: options, help, accounts, and what is said on stderr.

use crate::harness::{
    Server, command,
    server::{self, Directory, PASSWORD, channels, finish, run, try_out, wait_for_address},
};
use serde_json::json;
use std::{
    fs,
    os::unix::fs::MetadataExt,
    process::{Output, Stdio},
    sync::Arc,
};

#[track_caller]
fn one_clear_line(output: &Output, about: &str) {
    let (_, stderr) = channels(output);
    assert_eq!(output.status.code(), Some(2), "{about}: {stderr}");
    assert_eq!(stderr.trim_end().lines().count(), 1, "{about}: {stderr}");
    assert!(stderr.contains(about), "the line names {about:?}: {stderr}");
    assert!(!stderr.contains("panicked"), "{stderr}");
}

#[test]
fn bad_words_end_with_one_line() {
    let data = Directory::new();
    let data = data.0.to_str().unwrap();
    let serve = |more: &[&str]| run(&[&["serve", "--data", data], more].concat(), "");
    one_clear_line(&serve(&["--nope"]), "--nope");
    one_clear_line(&serve(&["--listen", "nonsense"]), "nonsense");
    one_clear_line(&serve(&["--listen", "127.0.0.1:99999"]), "99999");
    one_clear_line(&serve(&["--listen"]), "--listen");
    one_clear_line(&serve(&["--limit", "nope=1"]), "nope");
    one_clear_line(&serve(&["--limit", "sockets"]), "sockets");
    one_clear_line(&serve(&["--limit", "sockets=many"]), "sockets");
    one_clear_line(&serve(&["--limit", "sockets=-1"]), "sockets");
    one_clear_line(&serve(&["--origin", "not an origin"]), "origin");
    one_clear_line(&serve(&["--web", "/does/not/exist"]), "/does/not/exist");
    one_clear_line(&serve(&["stray"]), "stray");
    one_clear_line(&run(&["nonsense"], ""), "nonsense");
    one_clear_line(&run(&["user", "nonsense"], ""), "nonsense");
    one_clear_line(&run(&["user", "add", "Ann", "--nope", "--data", data], ""), "--nope");
}

#[test]
fn help_is_worth_reading() {
    for words in [&["--help"][..], &["serve", "--help"], &["-h"]] {
        let output = run(words, "");
        let (stdout, stderr) = channels(&output);
        assert!(output.status.success(), "{words:?}: {stderr}");
        assert!(stdout.contains("--listen") || stdout.contains("serve"), "{words:?}: {stdout}");
    }
    let (help, _) = channels(&run(&["serve", "--help"], ""));
    for option in ["--listen", "--data", "--web", "--open", "--origin", "--limit", "8222"] {
        assert!(help.contains(option), "{option} in\n{help}");
    }
    let arch = std::env::var("DEUCED_EXPECT_ARCH").unwrap_or(std::env::consts::ARCH.into());
    let version = format!("deuced {} ({arch})\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(channels(&run(&["--version"], "")).0, version);
}

#[test]
fn limits_are_listed() {
    let output = run(&["limits"], "");
    assert!(output.status.success());
    let (list, _) = channels(&output);
    for name in [
        "api_requests_per_minute",
        "logins_per_minute",
        "deuces_per_minute",
        "groups_per_minute",
        "reactions_per_minute",
        "deuces_per_day",
        "sockets",
        "body_bytes",
        "picture_bytes",
    ] {
        let line = list.lines().find(|line| line.split_whitespace().next() == Some(name));
        let line = line.unwrap_or_else(|| panic!("{name} in\n{list}"));
        assert!(
            line.split_whitespace()
                .nth(1)
                .is_some_and(|value| value.starts_with(|c: char| c.is_ascii_digit())),
            "{line}"
        );
    }
}

#[test]
fn the_environment_counts_too() {
    let (data, web) = (Directory::new(), Directory::new());
    fs::write(web.0.join("index.html"), "<title>from the environment</title>").unwrap();
    let mut serve = command();
    serve
        .arg("serve")
        .env("DEUCED_LISTEN", "127.0.0.1:0")
        .env("DEUCED_DATA", &data.0)
        .env("DEUCED_WEB", &web.0);
    serve
        .env("DEUCED_OPEN", "1")
        .env("DEUCED_LIMIT", "sockets=7")
        .env("DEUCED_ORIGIN", "https://diary.example");
    try_out(&mut serve, &data.0, |client, _| {
        assert!(client.get("/").text().contains("from the environment"));
        client.login("Ann", None);
        let save = client.request("POST", "/api/locations").header("Origin", "https://diary.example");
        save.json(&json!({ "name": "Shed" })).send().ok();
        let _open: Vec<_> = (0..7).map(|_| client.socket()).collect();
        client.handshake().refused(503);
    });

    let mut serve = command();
    one_clear_line(
        &finish(
            serve.args(["serve", "--data", data.0.to_str().unwrap()]).env("DEUCED_LISTEN", "nonsense"),
            "",
        ),
        "nonsense",
    );
}

#[test]
fn the_data_has_a_place_by_default() {
    let state = Directory::new();
    try_out(
        command().args(["serve", "--listen", "127.0.0.1:0"]).env("STATE_DIRECTORY", &state.0),
        &state.0,
        |_, _| (),
    );
    let home = Directory::new();
    let place = home.0.join("deuced");
    try_out(
        command().args(["serve", "--listen", "127.0.0.1:0"]).env("XDG_DATA_HOME", &home.0),
        &place,
        |_, _| (),
    );
    assert!(place.join("deuced.db").exists());
    let mode = fs::metadata(place.join("deuced.db")).unwrap().mode();
    assert_eq!(mode & 0o077, 0, "a diary is nobody else's business: {mode:o}");
}

#[test]
fn the_start_says_where_to_open_it() {
    let server = Server::strict();
    server.wait_for_words(&format!("http://{}", server.address()));
}

#[test]
fn open_mode_is_announced_at_every_start() {
    let mut server = Server::open();
    for starts in 1..=2 {
        // The place is said on another stream than the announcement, so either may be read first.
        server.wait_for_words(&format!("http://{}", server.address()));
        server.wait_until(|words| words.matches("--open").count() >= starts);
        assert_eq!(server.stderr().matches("--open").count(), starts, "{}", server.stderr());
        server.restart();
    }
}

#[test]
fn under_systemd_lines_carry_their_priority() {
    let data = Directory::new();
    let log = data.0.join("log");
    let file = fs::File::create(&log).unwrap();
    let meta = file.metadata().unwrap();
    let mut child = command()
        .args(["serve", "--open", "--listen", "127.0.0.1:0", "--data"])
        .arg(&data.0)
        .env("JOURNAL_STREAM", format!("{}:{}", meta.dev(), meta.ino()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(file)
        .spawn()
        .unwrap();
    wait_for_address(&mut child, &data.0, &Arc::default());
    // SAFETY: our own child, not yet waited for.
    unsafe { libc::kill(child.id() as i32, libc::SIGTERM) };
    child.wait().unwrap();
    let text = fs::read_to_string(&log).unwrap();
    assert!(!text.is_empty());
    for line in text.lines() {
        let prefix: Vec<char> = line.chars().take(3).collect();
        assert!(matches!(prefix[..], ['<', '0'..='7', '>']), "{line:?}");
    }
    assert!(text.lines().any(|line| line.starts_with("<4>")), "open mode is a warning: {text}");
}

#[test]
fn r_t6_accounts_are_made_while_the_server_runs() {
    let server = Server::strict();
    server.add_user("Zoe", &[]);
    let nobody = server.nobody();
    nobody
        .post("/api/login", json!({ "username": "Ann", "password": PASSWORD }))
        .refused(401, "Wrong name or password");
    server.add_user("Ann", &["--admin"]);
    let ann = server.device("Ann");
    let me = ann.get("/api/auth/user").ok();
    assert!(me["username"] == "Ann" || me["firstName"] == "Ann", "{me}");
}

#[test]
fn an_account_that_does_not_do() {
    let server = Server::strict();
    server.add_user("Ann", &[]);
    let add = |words: &[&str], password: &str| {
        run(&[&["user", "add", "--data", server.data_text()], words].concat(), password)
    };
    for (words, password) in [
        (&["Ann", "--password-stdin"][..], PASSWORD),
        (&["ann", "--password-stdin"], PASSWORD),
        (&["", "--password-stdin"], PASSWORD),
        (&["Bob", "--password-stdin"], ""),
        (&["Bob", "--password-stdin"], "short"),
        (&["--password-stdin"], PASSWORD),
        (&["Bob", "Cid", "--password-stdin"], PASSWORD),
        (&["Bob", "--password-stdin"], &"x".repeat(2000)),
    ] {
        let output = add(words, password);
        let (_, stderr) = channels(&output);
        assert!(!output.status.success(), "{words:?}");
        assert!(!stderr.trim().is_empty() && !stderr.contains("panicked"), "{words:?}: {stderr}");
    }
    server.device("Ann").get("/api/auth/user").ok();
}

#[test]
fn an_account_from_open_days_gets_its_password() {
    let mut server = Server::open();
    let ann = server.person("Ann Mary");
    let home = ann.found("Home");
    server.restart_as(Server::setup());
    server.add_user("Zoe", &[]);
    let login = |password: &str| {
        server.nobody().post("/api/login", json!({ "username": "ann mary", "password": password }))
    };
    login(PASSWORD).refused(401, "Wrong name or password");
    let add = |name: &str, password: &str| {
        run(&["user", "add", name, "--password-stdin", "--data", server.data_text()], password)
    };
    let (first, again) = (add("Ann Mary", PASSWORD), add("Ann Mary", "another long password"));
    assert_eq!(first.status.code(), Some(0), "{:?}", channels(&first));
    assert!(
        channels(&first).0.contains("Ann Mary") && channels(&first).0.contains("password"),
        "{:?}",
        channels(&first)
    );
    assert_eq!(again.status.code(), Some(1), "{:?}", channels(&again));
    assert!(!channels(&again).1.trim().is_empty(), "it says why");
    assert_eq!(add("ann-mary", "another long password").status.code(), Some(1), "another spelling of it");

    login("another long password").refused(401, "Wrong name or password");
    let strict = login(PASSWORD).ok();
    assert_eq!(strict["user"]["id"], json!(ann.id()), "the same person");
    assert_eq!(ann.get("/api/groups").ok()[0]["id"], json!(home), "the login of the open days still does");
    // Nobody else is let in by that.
    server.nobody().post("/api/login", json!({ "username": "Ann Mary" })).refused_naming(400, "password");
}

#[test]
fn a_password_keeps_its_spaces_and_letters() {
    let server = Server::strict();
    let password = " pässwörd with spaces 👍 ";
    let output = run(&["user", "add", "Ann", "--password-stdin", "--data", server.data_text()], password);
    assert!(output.status.success(), "{:?}", channels(&output));
    server.nobody().login("Ann", Some(password));
    let trimmed = json!({ "username": "Ann", "password": password.trim() });
    server.nobody().post("/api/login", trimmed).refused(401, "Wrong name or password");
}

#[test]
fn a_port_that_is_taken() {
    let server = Server::open();
    let data = Directory::new();
    let words = ["serve", "--listen", &server.address().to_string(), "--data", data.0.to_str().unwrap()];
    let output = server::run(&words, "");
    let (_, stderr) = channels(&output);
    assert!(!output.status.success());
    assert!(
        stderr.contains(&server.address().port().to_string()) && !stderr.contains("panicked"),
        "{stderr}"
    );
}
