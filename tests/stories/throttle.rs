//! Wrong passwords, one after the other and from everywhere: who has to wait, who never does, and what a stranger learns.

use crate::harness::{Client, Reply, Server, server::PASSWORD, together};
use serde_json::json;
use std::time::{Duration, Instant};

/// A server that believes what the tests say of where they come from.
fn server() -> Server {
    Server::setup()
        .with(["--trusted-proxy", "127.0.0.1"])
        .limit("logins_per_minute", 1_000_000)
        .limit("address_requests_per_minute", 1_000_000)
        .start()
}

/// A try to log in from an address.
fn login(client: &Client, from: &str, name: &str, password: &str) -> Reply {
    let body = json!({ "username": name, "password": password });
    client.request("POST", "/api/login").header("X-Forwarded-For", from).json(&body).send()
}

#[track_caller]
fn seconds(reply: &Reply) -> u64 {
    assert_eq!((reply.status, &reply.json()["code"]), (429, &json!("RATE_LIMIT_EXCEEDED")), "{reply:?}");
    let seconds: u64 = reply.header("Retry-After").expect("how long to wait").parse().unwrap();
    assert!(reply.message().contains(&format!("wait {seconds} second")), "{reply:?}");
    seconds
}

#[test]
fn each_wrong_password_makes_the_next_wait_longer() {
    let server = server();
    server.add_user("Ann", &[]);
    let nobody = server.nobody();
    let attempt = |password: &str| login(&nobody, "192.0.2.1", "Ann", password);
    for _ in 0..5 {
        attempt("a guess").refused(401, "Wrong name or password");
    }
    let mut waits = Vec::new();
    for _ in 0..3 {
        // Not even the right one: it could be told from the wrong ones.
        let wait = seconds(&attempt(PASSWORD));
        waits.push(wait);
        std::thread::sleep(Duration::from_secs(wait));
        attempt("a guess").refused(401, "Wrong name or password");
    }
    assert_eq!(waits, [1, 2, 4]);
    std::thread::sleep(Duration::from_secs(seconds(&attempt(PASSWORD))));
    attempt(PASSWORD).ok();
    // That is the end of it.
    attempt("a guess").refused(401, "Wrong name or password");
}

#[test]
fn many_right_passwords_at_once_are_no_wrong_ones() {
    let server = server();
    server.add_user("Ann", &[]);
    let statuses = together(12, |_| login(&server.nobody(), "192.0.2.1", "Ann", PASSWORD).status);
    assert_eq!(statuses, [200; 12]);
    // And many wrong ones at once are all counted.
    let statuses = together(12, |_| login(&server.nobody(), "192.0.2.2", "Ann", "a guess").status);
    let looked_at = statuses.iter().filter(|status| **status == 401).count();
    assert!((5..=6).contains(&looked_at), "{statuses:?}");
    assert_eq!(statuses.iter().filter(|status| **status == 429).count(), 12 - looked_at);
}

#[test]
fn trying_while_waiting_does_not_prolong_it() {
    let server = server();
    server.add_user("Ann", &[]);
    let nobody = server.nobody();
    for _ in 0..5 {
        login(&nobody, "192.0.2.1", "Ann", "a guess").refused_with(401);
    }
    let start = Instant::now();
    let mut refused = 0;
    while login(&nobody, "192.0.2.1", "Ann", PASSWORD).status == 429 {
        refused += 1;
        assert!(start.elapsed() < Duration::from_secs(10));
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(
        refused > 2 && start.elapsed() > Duration::from_millis(500),
        "{refused} in {:?}",
        start.elapsed()
    );
}

#[test]
fn an_address_that_tries_many_names() {
    let server = server();
    server.add_user("Ann", &[]);
    server.add_user("Bob", &[]);
    let nobody = server.nobody();
    login(&nobody, "192.0.2.1", "Ann", PASSWORD).ok();
    for number in 0..20 {
        login(&nobody, "192.0.2.1", &format!("name {number}"), "a guess").refused_with(401);
    }
    let wait = seconds(&login(&nobody, "192.0.2.1", "name 21", "a guess"));
    assert!((1..=4).contains(&wait), "{wait}");
    // Whoever was here before does not wait for that, and others elsewhere do not either.
    login(&nobody, "192.0.2.1", "Ann", PASSWORD).ok();
    login(&nobody, "192.0.2.2", "Bob", PASSWORD).ok();
    // And whoever is new here waits for seconds, not for ever.
    std::thread::sleep(Duration::from_secs(wait));
    login(&nobody, "192.0.2.1", "Bob", PASSWORD).ok();
}

#[test]
fn a_name_that_is_tried_from_everywhere() {
    let server = server();
    server.add_user("Ann", &[]);
    let ann = server.nobody();
    login(&ann, "192.0.2.1", "Ann", PASSWORD).ok();
    let mut socket = ann.socket();
    let nobody = server.nobody();
    for number in 0..60 {
        let from = format!("198.51.100.{number}");
        let status = login(&nobody, &from, "Ann", "a guess").status;
        assert_eq!(status, if number < 50 { 401 } else { 429 }, "try {number}");
    }
    // At home: at once, each time.
    login(&nobody, "192.0.2.1", "Ann", PASSWORD).ok();
    login(&nobody, "192.0.2.1", "Ann", "a mistake").refused_with(401);
    login(&nobody, "192.0.2.1", "Ann", PASSWORD).ok();
    // On the road: after a few seconds, though the others go on.
    let wait = seconds(&login(&nobody, "203.0.113.9", "Ann", PASSWORD));
    assert!(wait <= 4, "{wait}");
    let until = Instant::now() + Duration::from_secs(wait);
    let mut number = 0;
    while Instant::now() < until {
        login(&nobody, &format!("198.51.{}.{}", number / 200, number % 200), "Ann", "a guess");
        number += 1;
        std::thread::sleep(Duration::from_millis(10));
    }
    login(&nobody, "203.0.113.9", "Ann", PASSWORD).ok();
    // Nobody who was in has noticed.
    socket.expect_silence();
    ann.get("/api/auth/user").ok();
}

#[test]
fn strangers_from_hundreds_of_addresses_do_not_crowd_out_the_family() {
    let server = Server::setup()
        .with(["--trusted-proxy", "127.0.0.1"])
        .limit("logins_per_minute", 1_000_000)
        .limit("waiting_logins", 8)
        .start();
    server.add_user("Ann", &[]);
    login(&server.nobody(), "192.0.2.1", "Ann", PASSWORD).ok();
    let answers =
        std::thread::scope(|scope| {
            let crowd =
                scope.spawn(|| {
                    together(48, |index| {
                        let nobody = server.nobody();
                        (0..3).map(|round| {
                    let from = format!("198.51.{round}.{index}");
                    // Past the check that takes a full queue for a fault of the server.
                    let body = json!({ "username": format!("name {index} {round}"), "password": "a guess" });
                    status_of(&nobody, &from, &body.to_string())
                }).collect::<Vec<u16>>()
                    })
                });
            let nobody = server.nobody();
            let mut longest = Duration::ZERO;
            let mut logins = 0;
            while !crowd.is_finished() {
                let start = Instant::now();
                login(&nobody, "192.0.2.1", "Ann", PASSWORD).ok();
                longest = longest.max(start.elapsed());
                logins += 1;
            }
            (crowd.join().unwrap(), longest, logins)
        });
    let (crowd, longest, logins) = answers;
    let statuses: Vec<u16> = crowd.into_iter().flatten().collect();
    assert!(statuses.contains(&503), "the queue was full meanwhile: {statuses:?}");
    assert!(statuses.iter().all(|status| matches!(status, 401 | 503)), "{statuses:?}");
    assert!(logins >= 2, "{logins} logins, the longest took {longest:?}");
}

/// The status of a login whose answer may be a 503.
fn status_of(client: &Client, from: &str, body: &str) -> u16 {
    let address = client.address();
    let mut wire = crate::harness::Wire::open(address);
    wire.send(format!(
        "POST /api/login HTTP/1.1\r\nHost: {address}\r\nX-Forwarded-For: {from}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    ));
    wire.reply("POST").status
}
