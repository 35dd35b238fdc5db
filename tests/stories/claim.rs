//! The first start: a server without an owner, the link by which somebody becomes it, and what everybody
//! else meets until then.

use crate::harness::{
    Server, command,
    server::{Directory, PASSWORD, Setup, run},
    together,
};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::MetadataExt,
    process::{Output, Stdio},
};

const UNCLAIMED: &str =
    "This server has not been claimed yet. Open the claim link that it printed when it was first started.";

/// The secret as it lies in the data directory.
#[track_caller]
fn secret_of(server: &Server) -> String {
    let text = fs::read_to_string(server.data().join("claim")).expect("an unclaimed server keeps a secret");
    let secret = text.strip_suffix('\n').expect("one line");
    assert!(secret.len() == 43 && secret.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)));
    secret.to_owned()
}

fn is_secret_there(server: &Server) -> bool {
    server.data().join("claim").exists()
}

fn as_owner(secret: &str, name: &str) -> Value {
    json!({ "secret": secret, "username": name, "password": PASSWORD })
}

/// `deuced claim`, with how it ended and what it said.
fn claim_command(server: &Server) -> (Output, String) {
    let output = run(&["claim", "--data", server.data_text()], "");
    let text = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat();
    (output, text)
}

#[test]
fn the_first_start_shows_the_link_and_no_later_one_does() {
    let mut server = Server::strict();
    let secret = secret_of(&server);
    let mode = fs::metadata(server.data().join("claim")).unwrap().mode();
    assert_eq!(mode & 0o777, 0o600, "{mode:o}");
    let link = format!("http://{}/claim#{secret}", server.address());
    server.wait_for_words("'deuced claim' shows it again");
    let said = server.stderr();
    assert_eq!(said.matches(&secret).count(), 1, "{said}");
    assert!(said.contains(&link) && said.contains("█▀") && said.contains("▄"), "link and code: {said}");
    assert!(!said.contains('\x1b'), "no escapes where there is no terminal: {said}");

    server.restart();
    server.wait_for_words("is not claimed yet: 'deuced claim' shows the link");
    assert_eq!(server.stderr().matches(&secret).count(), 1, "never told again");
    assert_eq!(secret_of(&server), secret, "it is the same one still");
    server.nobody().post("/api/claim", as_owner(&secret, "Ann")).ok();
}

#[test]
fn the_link_names_the_machine_and_its_address() {
    // Said twice, the later one counts.
    let server = Server::setup().with(["--listen", "0.0.0.0:0"]).start();
    let (_, text) = claim_command(&server);
    let (port, secret) = (server.address().port(), secret_of(&server));
    let links: Vec<&str> = text.lines().map(str::trim).filter(|line| line.starts_with("http")).collect();
    assert!(links.iter().all(|link| link.ends_with(&format!(":{port}/claim#{secret}"))), "{text}");
    let mut name = [0u8; 256];
    // SAFETY: the kernel fills in no more than the length we say.
    assert_eq!(unsafe { libc::gethostname(name.as_mut_ptr().cast(), 255) }, 0);
    let name = String::from_utf8_lossy(&name).trim_end_matches('\0').to_lowercase();
    let label = name.split('.').next().unwrap_or_default();
    if !label.is_empty() && label != "localhost" {
        assert!(links.iter().any(|link| link.starts_with(&format!("http://{label}.local:"))), "{text}");
    }
    for link in links.iter().filter(|link| !link.contains(".local:") && !link.contains("localhost")) {
        let host = link.strip_prefix("http://").unwrap().split("/claim").next().unwrap();
        let place: std::net::SocketAddr = host.parse().unwrap_or_else(|_| panic!("{link}"));
        assert!(!place.ip().is_unspecified() && !place.ip().is_loopback(), "{link}");
        std::net::TcpStream::connect(place).unwrap_or_else(|error| panic!("{link}: {error}"));
    }
}

#[test]
fn the_journal_is_not_told_the_secret() {
    let data = Directory::new();
    let log = fs::File::create(data.0.join("log")).unwrap();
    let meta = log.metadata().unwrap();
    let mut child = command()
        .args(["serve", "--listen", "127.0.0.1:0", "--data"])
        .arg(&data.0)
        .env("JOURNAL_STREAM", format!("{}:{}", meta.dev(), meta.ino()))
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .unwrap();
    crate::harness::server::wait_for_address(&mut child, &data.0, &Default::default());
    // SAFETY: our own child, not yet waited for.
    unsafe { libc::kill(child.id() as i32, libc::SIGTERM) };
    child.wait().unwrap();
    let (text, secret) = ["log", "claim"].map(|name| fs::read_to_string(data.0.join(name)).unwrap()).into();
    assert!(text.contains("is not claimed yet: 'deuced claim' shows the link"), "{text}");
    assert!(!text.contains(secret.trim_end()), "{text}");
}

#[test]
fn until_then_everything_but_health_waits() {
    let server = Server::strict();
    let nobody = server.nobody();
    for path in ["/health", "/api/health"] {
        nobody.get(path).ok();
    }
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/app.js"),
        ("GET", "/reset"),
        ("GET", "/welcome"),
        ("GET", "/metrics"),
        ("GET", "/api/claim"),
        ("GET", "/api/groups"),
        ("GET", "/api/nope"),
        ("GET", "/api/openapi.json"),
        ("GET", "/join/0193c5a0-0000-7000-8000-000000000000"),
        ("GET", "/api/invites/0193c5a0-0000-7000-8000-000000000000"),
        ("GET", "/uploads/x.jpg"),
        ("POST", "/api/login"),
        ("POST", "/api/join/0193c5a0-0000-7000-8000-000000000000/newcomer"),
        ("POST", "/api/deuces"),
        ("POST", "/claim"),
        ("OPTIONS", "/api/claim"),
        ("DELETE", "/nope"),
    ] {
        let reply =
            nobody.request(method, path).json(&json!({ "username": "Ann", "password": PASSWORD })).send();
        reply.refused(503, UNCLAIMED);
    }
    for (path, kind) in
        [("/claim", "text/html"), ("/door.js", "javascript"), ("/door.css", "css"), ("/door.svg", "svg")]
    {
        let reply = nobody.get(path);
        assert_eq!(reply.status, 200, "{reply:?}");
        assert!(reply.header("Content-Type").unwrap().contains(kind), "{reply:?}");
    }
    for path in ["/", "/groups/7", "/join/0193c5a0-0000-7000-8000-000000000000", "/Claim"] {
        let reply =
            nobody.request("GET", path).header("Accept", "text/html,application/xhtml+xml,*/*;q=0.8").send();
        assert_eq!((reply.status, reply.header("Cache-Control")), (503, Some("no-store")), "{reply:?}");
        assert!(reply.text().contains("This diary has no owner yet"), "{reply:?}");
        assert!(reply.header("Content-Security-Policy").is_some(), "{reply:?}");
    }
    let lost = nobody.request("GET", "/api/login").header("Accept", "text/html").send();
    lost.refused(503, UNCLAIMED);
    for target in ["/ws", "/realtime", "/", "/chat/room/general?username=Eve", "/chat/general", "/nope"] {
        let reply =
            nobody.handshake().target(target).try_open().err().expect("no socket before there is an owner");
        reply.refused(503, UNCLAIMED);
    }
}

#[test]
fn the_claim_makes_the_owner_once_and_for_all() {
    let mut server = Server::strict();
    let (secret, ann) = (secret_of(&server), server.nobody());
    let login = ann.post("/api/claim", as_owner(&secret, " Ann ")).ok();
    assert_eq!((&login["ok"], &login["user"]["id"]), (&json!(true), &json!("dev-ann")));
    assert!(!is_secret_there(&server), "nothing is left to be found");
    // Only owners may notify people without a token made for that.
    ann.post("/api/notifications", json!({ "userId": ann.id(), "data": { "hello": 1 } })).ok();
    assert_eq!(ann.get("/api/groups").ok(), json!([]));
    ann.socket().leave();
    server.device("Ann").get("/api/auth/user").ok();

    for _ in 0..2 {
        let late = server.nobody();
        late.post("/api/claim", as_owner(&secret, "Eve")).refused(404, "Not found");
        late.post("/api/claim", json!({})).refused(404, "Not found");
        late.get("/api/groups").refused(401, "Unauthorized");
        let page = late.request("GET", "/claim").header("Accept", "text/html").send();
        assert_eq!(page.status, 200, "{page:?}");
        assert_eq!(page.text(), late.get("/").text(), "an old claim link leads to the diary");
        server.restart();
        assert!(!is_secret_there(&server));
    }
    assert!(claim_command(&server).1.contains("has been claimed"), "{}", claim_command(&server).1);
}

#[test]
fn what_is_wrong_with_a_claim_is_said_and_costs_nothing() {
    let server = Server::strict();
    let (secret, nobody) = (secret_of(&server), server.nobody());
    let twisted: String = secret.chars().rev().collect();
    for wrong in [twisted.as_str(), "", "x", &secret[1..]] {
        nobody.post("/api/claim", as_owner(wrong, "Eve")).refused_naming(403, "secret");
    }
    nobody
        .post("/api/claim", json!({ "username": "Eve", "password": PASSWORD }))
        .refused_naming(400, "secret");
    let with = |name: Value, password: Value| {
        nobody.post("/api/claim", json!({ "secret": secret, "username": name, "password": password }))
    };
    with(json!("  "), json!(PASSWORD)).refused_naming(400, "username");
    with(json!(7), json!(PASSWORD)).refused_naming(400, "username");
    with(json!("Ann"), json!("short")).refused_naming(400, "password");
    with(json!("Ann"), Value::Null).refused_naming(400, "password");
    with(json!("Ann"), json!("x".repeat(2000))).refused_naming(400, "password");
    assert_eq!(nobody.cookie(), None);
    nobody.get("/api/groups").refused(503, UNCLAIMED);
    assert_eq!(secret_of(&server), secret);
    // A foreign page cannot claim in somebody's name, whatever it knows.
    let foreign = nobody.request("POST", "/api/claim").header("Origin", "http://evil.example");
    foreign.json(&as_owner(&secret, "Eve")).send().refused_with(403);
    let form = format!("secret={secret}&username=Ann&password={}", PASSWORD.replace(' ', "+"));
    nobody.form("/api/claim", &form).ok();
}

#[test]
fn of_two_claims_at_once_one_wins() {
    let server = Server::strict();
    let secret = secret_of(&server);
    let people = ["Ann", "Bob", "Cid", "Dan"];
    let statuses =
        together(4, |index| server.nobody().post("/api/claim", as_owner(&secret, people[index])).status);
    let winners = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!((winners, statuses.iter().filter(|status| **status == 404).count()), (1, 3), "{statuses:?}");
    for (name, status) in people.iter().zip(&statuses) {
        let login = server.nobody().post("/api/login", json!({ "username": name, "password": PASSWORD }));
        assert_eq!(login.status == 200, *status == 200, "{name}: {login:?}");
    }
}

#[test]
fn an_account_from_the_shell_claims_it_too() {
    let server = Server::strict();
    let secret = secret_of(&server);
    server.nobody().get("/api/groups").refused(503, UNCLAIMED);
    server.add_user("Ann", &["--admin"]);
    assert!(!is_secret_there(&server));
    server.nobody().get("/api/groups").refused(401, "Unauthorized");
    server.nobody().post("/api/claim", as_owner(&secret, "Eve")).refused(404, "Not found");
    server.device("Ann").get("/api/auth/user").ok();
}

#[test]
fn in_open_mode_there_is_nothing_to_claim() {
    let server = Server::open();
    assert!(!is_secret_there(&server));
    server.nobody().post("/api/claim", as_owner(&"A".repeat(43), "Eve")).refused(404, "Not found");
    let (output, text) = claim_command(&server);
    assert!(!output.status.success() && text.contains("--open"), "{text}");
    assert!(!is_secret_there(&server) && !server.stderr().contains("/claim#"));
}

#[test]
fn an_account_from_open_days_can_claim_and_whoever_used_it_is_out() {
    let mut server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    server.restart_as(Setup::default());
    ann.get("/api/groups").refused(503, UNCLAIMED);
    let owner = server.nobody();
    let login = owner.post("/api/claim", as_owner(&secret_of(&server), "ann")).ok();
    assert_eq!(login["user"]["id"], json!(ann.id()), "the same person");
    assert_eq!(owner.get("/api/groups").ok()[0]["id"], json!(home));
    // In those days anybody could have been Ann.
    ann.get("/api/groups").refused(401, "Unauthorized");
    bob.get("/api/groups").ok();
}

#[test]
fn wrong_secrets_are_throttled_and_lock_nobody_out() {
    let server = Server::setup().limit("claim_failures_per_minute", 3).start();
    let (secret, nobody) = (secret_of(&server), server.nobody());
    let wrong = as_owner(&"A".repeat(43), "Eve");
    for _ in 0..3 {
        nobody.post("/api/claim", wrong.clone()).refused_with(403);
    }
    let throttled = nobody.post("/api/claim", wrong);
    throttled.refused_with(429);
    assert!(throttled.header("Retry-After").is_some(), "{throttled:?}");
    nobody.post("/api/claim", as_owner(&secret, "Ann")).ok();
}

#[test]
fn the_command_shows_the_link_again() {
    let mut server = Server::strict();
    let secret = secret_of(&server);
    let (output, text) = claim_command(&server);
    assert!(output.status.success(), "{text}");
    assert!(text.contains(&format!("http://{}/claim#{secret}\n", server.address())), "{text}");
    assert!(text.contains("█▀"), "{text}");
    server.terminate();
    let (output, text) = claim_command(&server);
    assert!(output.status.success(), "{text}");
    assert!(text.contains(&secret) && text.contains("does not run"), "{text}");

    let nowhere = Directory::new();
    let output = run(&["claim", "--data", nowhere.0.to_str().unwrap()], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("deuced serve"), "{output:?}");
    assert_eq!(fs::read_dir(&nowhere.0).unwrap().count(), 0, "looking leaves no traces");
}
