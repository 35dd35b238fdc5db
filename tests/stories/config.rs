//! The configuration from outside: the file, the environment and the words, and what shows them.

use crate::harness::{
    Client, PATIENCE, Server, command,
    server::{Directory, channels, finish, run, try_out},
};
use std::{
    fs,
    process::{Command, Output},
    sync::{Arc, Mutex},
};

#[track_caller]
fn well(output: &Output) -> String {
    let (out, err) = channels(output);
    assert!(output.status.success(), "{out}{err}");
    out
}

/// Writes a file of settings and says where it is.
fn file(folder: &Directory, text: &str) -> String {
    let path = folder.0.join("deuced.toml");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Waits until the words are said.
#[track_caller]
fn wait_for(words: &str, log: &dyn Fn() -> String) {
    let start = std::time::Instant::now();
    while !log().contains(words) {
        assert!(start.elapsed() < PATIENCE, "{words:?} in\n{}", log());
        std::thread::sleep(std::time::Duration::from_millis(2));
    }
}

#[test]
fn the_file_says_how_to_serve() {
    let (folder, data) = (Directory::new(), Directory::new());
    let path = file(
        &folder,
        &format!(
            "listen = [\"127.0.0.1:0\", \"127.0.0.2:0\"]\ndata = \"{}\"\nopen = true\nteapots = 7\n\
             [limit]\ngroup_name_characters = 5\n",
            data.0.display()
        ),
    );
    let look = |client: &Client, log: &dyn Fn() -> String| {
        client.login("Ann", None);
        client.post("/api/groups", serde_json::json!({ "name": "Household" })).refused_with(400);
        client.post("/api/groups", serde_json::json!({ "name": "Home" })).ok();
        wait_for(&format!("{path}:4: teapots: is not known"), log);
        // The second place answers as the first does.
        wait_for("Open http://127.0.0.2:", log);
        let said = log();
        let second = said.split("Open http://").nth(2).and_then(|rest| rest.split('/').next()).unwrap();
        Client::new(Arc::new(Mutex::new(second.parse().unwrap()))).get("/api/health").ok();
    };
    try_out(command().args(["serve", "--config", &path]), &data.0, look);
    // By the environment, and for other commands as well.
    let add = |words: &[&str]| {
        let mut add = command();
        finish(
            add.args(["user", "add", "Bob", "--password-stdin"]).args(words).env("DEUCED_CONFIG", &path),
            "correct horse battery",
        )
    };
    well(&add(&[]));
    let list = well(&run(&["user", "list", "--data", data.0.to_str().unwrap()], ""));
    assert!(list.contains("Ann") && list.contains("Bob"), "{list}");
    let mut list = command();
    let refused = finish(
        list.args(["user", "list", "--config", "/nowhere/deuced.toml"]).env("DEUCED_CONFIG", &path),
        "",
    );
    assert_eq!(refused.status.code(), Some(2), "{:?}", channels(&refused));
}

#[test]
fn a_file_that_is_wrong_is_checked_line_by_line_and_not_served() {
    let folder = Directory::new();
    let path = file(&folder, "lisen = \":1\"\nopen = 1\n\n[limit]\nsockets = 0\n");
    let expected = format!(
        "{path}:1: lisen: is not known; is 'listen' meant?\n{path}:2: open: is true or false, without quotes\n\
         {path}:5: limit.sockets: a number from 1 to 100000 (sockets)\n"
    );
    let checked = run(&["check-config", &path], "");
    assert_eq!((checked.status.code(), channels(&checked)), (Some(1), (String::new(), expected.clone())));
    let mut check = command();
    let checked = finish(check.arg("check-config").env("DEUCED_CONFIG", &path), "");
    assert_eq!(channels(&checked).1, expected);
    let served = run(&["serve", "--config", &path, "--data", folder.0.to_str().unwrap()], "");
    let (out, err) = channels(&served);
    assert_eq!(served.status.code(), Some(2), "{out}{err}");
    assert_eq!(
        err,
        format!("deuced: {path}:2: open: is true or false, without quotes (try 'deuced check-config')\n")
    );

    file(&folder, "open = true\n");
    assert_eq!(well(&run(&["check-config", &path], "")), format!("{path}: fine\n"));
    assert!(well(&run(&["check-config", ""], "")).contains("fine"), "there is no file, and none is needed");
    let missing = run(&["check-config", "/nowhere/deuced.toml"], "");
    assert_eq!(missing.status.code(), Some(1), "{:?}", channels(&missing));
}

#[test]
fn the_file_that_is_printed_is_fine_and_says_what_it_was_told() {
    let folder = Directory::new();
    let printed = well(&run(&["config", "file", "--data", "/var/lib/deuced", "--limit", "users=7"], ""));
    let path = file(&folder, &printed);
    assert_eq!(well(&run(&["check-config", &path], "")), format!("{path}: fine\n"));
    let dump = well(&run(&["config", "dump", "--config", &path], ""));
    let line = printed.lines().position(|line| line.starts_with("data = ")).unwrap() + 1;
    assert!(dump.contains(&format!("\ndata = \"/var/lib/deuced\"  # {path}:{line}\n")), "{dump}");
    assert!(dump.contains("\nlisten = \":8222\"  # default\n"), "{dump}");
    assert!(dump.contains("\nusers = 7  # "), "{dump}");
}

#[test]
fn what_is_in_force_is_shown_without_its_secrets() {
    let folder = Directory::new();
    let token = "never-shown-to-anybody";
    let path = file(&folder, "host = [\"diary.example\", \"b.example\"]\nopen = true\n[backup]\nkeep = 9\n");
    let mut dump = command();
    dump.args(["config", "dump", "--config", &path, "--open=no", "--limit", "sockets=9"]);
    dump.env("DEUCED_METRICS_TOKEN", token).env("DEUCED_LIMIT", "users=8 sockets=8");
    let dump = finish(&mut dump, "");
    let text = well(&dump);
    for line in [
        format!("host = [\"diary.example\", \"b.example\"]  # {path}:1"),
        "open = false  # --open".into(),
        "guests = false  # default".into(),
        "#metrics_token = \"***\"  # DEUCED_METRICS_TOKEN; it is set, and not shown".into(),
        format!("keep = 9  # {path}:4"),
        "sockets = 9  # --limit".into(),
        "users = 8  # DEUCED_LIMIT".into(),
        "rooms = 1000  # default".into(),
    ] {
        assert!(text.lines().any(|known| known == line), "{line} in\n{text}");
    }
    assert!(!text.contains(token) && !channels(&dump).1.contains(token));
    // What was dumped says the same once more.
    let again = file(&folder, &text);
    let without_origins = |text: &str| {
        text.lines().skip(1).map(|line| line.split("  # ").next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let back = well(&run(&["config", "dump", "--config", &again], ""));
    let plain = |text: &str| {
        without_origins(text).into_iter().filter(|line| !line.contains("metrics_token")).collect::<Vec<_>>()
    };
    assert_eq!(plain(&back), plain(&text));
}

#[test]
fn a_secret_is_in_a_file_or_a_credential() {
    let folder = Directory::new();
    let token = "never-shown-to-anybody";
    fs::write(folder.0.join("deuced.metrics_token"), format!("{token}\n")).unwrap();
    let reads = |setup: crate::harness::server::Setup| {
        let server = setup.open().start();
        let nobody = server.nobody();
        let request = nobody.request("GET", "/metrics").header("X-Forwarded-For", "10.0.0.1");
        let reply = request.header("Authorization", &format!("Bearer {token}")).send();
        assert_eq!(reply.status, 200, "{reply:?}");
    };
    let place = folder.0.to_str().unwrap();
    reads(Server::setup().env("CREDENTIALS_DIRECTORY", place));
    reads(Server::setup().env("DEUCED_METRICS_TOKEN_FILE", &format!("{place}/deuced.metrics_token")));
    let mut serve = command();
    let refused =
        finish(serve.args(["serve", "--data", place]).env("DEUCED_METRICS_TOKEN_FILE", "/nowhere"), "");
    assert_eq!(refused.status.code(), Some(2), "{:?}", channels(&refused));
    assert!(channels(&refused).1.contains("DEUCED_METRICS_TOKEN_FILE"), "{:?}", channels(&refused));
}

/// What bash would complete, the last word being the one under the cursor.
#[track_caller]
fn completed(script: &str, line: &[&str]) -> Vec<String> {
    // Outside of a shell at a terminal there is no `compopt`.
    let call = format!(
        "compopt() {{ :; }}\n{script}\nCOMP_WORDS=(\"$@\"); COMP_CWORD=$(($# - 1)); _deuced; printf '%s\\n' \"${{COMPREPLY[@]}}\""
    );
    let output =
        Command::new("bash").args(["-euo", "pipefail", "-c", &call, "bash"]).args(line).output().unwrap();
    well(&output).lines().filter(|line| !line.is_empty()).map(str::to_owned).collect()
}

#[test]
fn bash_completes_what_there_is() {
    let script = well(&run(&["completions", "bash"], ""));
    let folder = Directory::new();
    fs::create_dir(folder.0.join("a place")).unwrap();
    let begin = format!("{}/a", folder.0.display());
    let place = format!("{}/a place", folder.0.display());
    for (line, expected) in [
        (&["deuced", "ser"][..], &["serve"][..]),
        (&["deuced", "user", "re"], &["reset", "remove"]),
        (&["deuced", "user", "add", "--ad"], &["--admin"]),
        (&["deuced", "serve", "--backup-w"], &["--backup-warn-hours"]),
        (&["deuced", "serve", "--guests", ""], &["yes", "no"]),
        (&["deuced", "serve", "--limit", "sockets_"], &["sockets_per_user="]),
        (&["deuced", "serve", "--data", &begin], &[&place]),
        (&["deuced", "backup", &begin], &[&place]),
        (&["deuced", "completions", "f"], &["fish"]),
        (&["deuced", "man", "deuced.t"], &["deuced.toml.5"]),
        (&["deuced", "user", "child", "ann", "y"], &["yes"]),
        (&["deuced", "serve", "--listen", "1"], &[]),
        (&["deuced", "nonsense", "x"], &[]),
    ] {
        assert_eq!(completed(&script, line), expected, "{line:?}");
    }
    let wrong = run(&["completions", "tcsh"], "");
    assert_eq!(wrong.status.code(), Some(2), "{:?}", channels(&wrong));
}

#[test]
fn manual_pages_are_printed() {
    for (page, title) in [("deuced.8", ".TH DEUCED 8 "), ("deuced.toml.5", ".TH DEUCED.TOML 5 ")] {
        assert!(well(&run(&["man", page], "")).starts_with(title), "{page}");
    }
    let wrong = run(&["man"], "");
    assert_eq!(wrong.status.code(), Some(2), "{:?}", channels(&wrong));
}
