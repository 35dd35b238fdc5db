//! `/metrics`: what monitoring reads, and who may.

use crate::harness::{Client, Native, PATIENCE, Server, socket::frame};
use serde_json::json;
use std::{collections::BTreeMap, time::Instant};

/// Every sample by its name and labels. The text is checked as Prometheus reads it.
#[track_caller]
fn read(client: &Client) -> BTreeMap<String, f64> {
    let reply = client.get("/metrics");
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.header("Content-Type").unwrap().starts_with("text/plain; version=0.0.4"), "{reply:?}");
    let text = reply.text();
    assert!(text.ends_with('\n'));
    let mut samples = BTreeMap::new();
    let mut family = String::new();
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').expect("a help says something");
            assert!(name.starts_with("deuced_") && !words.is_empty(), "{line}");
            family = name.into();
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').expect("a kind");
            assert!(name == family && ["gauge", "counter", "summary", "histogram"].contains(&kind), "{line}");
        } else {
            let (name, value) = line.rsplit_once(' ').expect("a name and a value");
            assert!(name.starts_with(&family), "{line} in the family {family}");
            let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
            assert!(samples.insert(name.to_owned(), value).is_none(), "twice: {line}");
        }
    }
    samples
}

#[test]
fn what_happens_is_counted() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let nobody = server.nobody();
    let before = read(&nobody);
    let mut of_ann = Native::open(&ann);
    let mut of_bob = Native::open(&bob);
    let cursor = of_bob.subscribe("general");
    of_ann.say("general", "hello");
    of_bob.hear("hello");
    of_bob.refused("message", json!({ "channel": "general", "text": "" }), "INVALID");
    of_bob.resume("general", &cursor);
    of_bob.hear("hello");
    let now = read(&nobody);
    let more = |name: &str| now[name] - before.get(name).copied().unwrap_or(0.0);
    assert_eq!(now["deuced_sockets"], 2.0);
    assert_eq!(more("deuced_sockets_opened_total"), 2.0);
    assert_eq!((now["deuced_rooms"], now["deuced_subscriptions"]), (1.0, 1.0));
    assert!(more("deuced_deliveries_total") >= 1.0 && more("deuced_socket_sent_bytes_total") > 100.0);
    assert_eq!(more("deuced_messages_received_total"), 4.0);
    assert_eq!(more(r#"deuced_resumes_total{outcome="recovered"}"#), 1.0);
    assert_eq!(more(r#"deuced_errors_total{code="INVALID"}"#), 1.0);
    assert!(more("deuced_commit_seconds_count") >= 1.0 && more("deuced_writes_total") >= 1.0);

    of_ann.socket.send_raw(&frame(1, b"{broken"));
    of_ann.socket.expect_close(1003);
    drop(of_ann);
    of_bob.socket.leave();
    // The server notices the end of a connection in its own time.
    let start = Instant::now();
    let mut after = read(&nobody);
    while after["deuced_sockets"] > 0.0 {
        assert!(start.elapsed() < PATIENCE, "a socket that never ends");
        after = read(&nobody);
    }
    assert_eq!(after[r#"deuced_closes_total{by="server",code="1003"}"#], 1.0);
    let ended = |how: &str| after[&format!("deuced_sockets_ended_total{{how={how:?}}}")];
    assert_eq!(ended("graceful") + ended("forced"), 2.0);
}

#[test]
fn from_this_machine_or_with_a_login() {
    let server = Server::open();
    let ann = server.person("Ann");
    let nobody = server.nobody();
    read(&nobody);
    // Behind a proxy everybody comes from this machine.
    for header in ["X-Forwarded-For", "Forwarded", "X-Real-IP", "X-Forwarded-Proto", "Via"] {
        let forwarded = |client: &Client| client.request("GET", "/metrics").header(header, "10.0.0.1").send();
        assert_eq!(forwarded(&ann).status, 200, "{header}");
        if matches!(header, "X-Forwarded-For" | "Forwarded") {
            forwarded(&nobody).refused_with(401);
        }
    }
}

#[test]
fn from_elsewhere_with_the_token_for_it() {
    let token = "a-token-for-monitoring".to_owned();
    let server = Server::setup().open().env("DEUCED_METRICS_TOKEN", &token).start();
    let nobody = server.nobody();
    let asks = |words: &str| {
        let request = nobody.request("GET", "/metrics").header("X-Forwarded-For", "10.0.0.1");
        request.header("Authorization", words).send()
    };
    let reply = asks(&format!("Bearer {token}"));
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.text().contains("\ndeuced_failed_logins_total 0\n"), "{}", reply.text());
    for wrong in
        [format!("Bearer {token}x"), format!("Bearer {}", &token[1..]), "Bearer x".into(), token.clone()]
    {
        asks(&wrong).refused_with(401);
    }
    // It opens nothing else.
    let request = nobody.request("GET", "/api/groups").header("Authorization", &format!("Bearer {token}"));
    request.send().refused_with(401);
    assert!(!server.stderr().contains(&token));
}

#[test]
fn names_of_people_and_rooms_are_no_labels() {
    let server = Server::open();
    let ann = server.person("Annabelle");
    let home = ann.found("Homestead");
    let mut native = Native::open(&ann);
    native.subscribe("secret-room");
    native.say("secret-room", "deep thoughts");
    let text = server.nobody().get("/metrics").text();
    for word in ["Annabelle", "annabelle", "Homestead", "secret-room", "deep thoughts", &home, &ann.token()] {
        assert!(!text.contains(word), "{word:?} in {text}");
    }
}
