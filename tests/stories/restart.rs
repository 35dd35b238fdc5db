//! Stopping, being stopped, and coming back with everything.

use crate::harness::{PATIENCE, Server, check, server, together};
use serde_json::json;
use std::{
    fs,
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

#[test]
fn r_d7_sigterm_says_goodbye_and_loses_nothing() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let mut server = Server::open();
        let ann = server.person("Ann");
        let home = ann.found("Home");
        ann.log(&home, "kept");
        let mut sockets: Vec<_> = (0..10).map(|_| ann.socket()).collect();
        server.signal(signal);
        for socket in &mut sockets {
            socket.expect_close(1001);
        }
        let (status, took) = server.wait_for_end();
        assert!(status.success(), "{status}");
        assert!(took < Duration::from_secs(2), "{took:?}");
        let wal = server.data().join("deuced.db-wal");
        assert!(!wal.exists(), "the log is folded into the database");

        server.start_again();
        assert_eq!(ann.thoughts_in(&home), ["kept"], "and the session is still good");
    }
}

#[test]
fn r_d7_stopping_takes_no_longer_for_sockets_that_do_not_answer() {
    let mut server = Server::open();
    let ann = server.person("Ann");
    let _silent: Vec<_> = (0..5).map(|_| ann.socket()).collect();
    let _idle = server.wire();
    let mut half = server.wire();
    half.send("POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Length: 18\r\n\r\n{");
    let (status, took) = server.terminate();
    assert!(status.success(), "{status}");
    // Within a second by promise; twice that, because the tests' own machine is busy.
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[test]
fn r_d1_what_was_acknowledged_survives_a_kill() {
    let mut server = Server::setup()
        .open()
        .limit("deuces_per_minute", 1_000_000)
        .limit("api_requests_per_minute", 1_000_000)
        .start();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    for round in 0..3 {
        let address = server.address();
        let devices: Vec<_> = (0..4).map(|_| ann.twin()).collect();
        let so_far = AtomicUsize::new(0);
        let acknowledged = std::thread::scope(|scope| {
            let writers: Vec<_> = devices
                .iter()
                .enumerate()
                .map(|(index, device)| {
                    let (home, so_far) = (&home, &so_far);
                    scope.spawn(move || {
                        let cookie = device.cookie().unwrap();
                        let mut wire = crate::harness::Wire::open(address);
                        let mut written = Vec::new();
                        for number in 0.. {
                            let thoughts = format!("{round} {index} {number}");
                            let body = json!({ "groupId": home, "location": "Home", "thoughts": thoughts })
                                .to_string();
                            let request = format!(
                                "POST /api/deuces HTTP/1.1\r\nHost: {address}\r\nCookie: {cookie}\r\n\
                                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                                body.len()
                            );
                            let answer =
                                wire.try_send(request).ok().and_then(|()| wire.try_reply("POST").ok());
                            match answer {
                                Some(reply) if reply.status == 200 => {
                                    written.push(thoughts);
                                    so_far.fetch_add(1, Ordering::Relaxed);
                                }
                                Some(reply) => panic!("{reply:?}"),
                                None => break,
                            }
                        }
                        written
                    })
                })
                .collect();
            let start = Instant::now();
            while so_far.load(Ordering::Relaxed) < 20 && start.elapsed() < PATIENCE {
                std::thread::sleep(Duration::from_millis(2));
            }
            server.kill9();
            writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect::<Vec<String>>()
        });
        assert!(acknowledged.len() > 4, "{}", acknowledged.len());
        server.start_again();
        let detail = ann.get(&format!("/api/groups/{home}")).ok();
        let stored = crate::harness::client::texts(&detail["entries"], "thoughts");
        for thoughts in &acknowledged {
            assert_eq!(stored.iter().filter(|have| *have == thoughts).count(), 1, "{thoughts}");
        }
        let of_this_round = stored.iter().filter(|have| have.starts_with(&format!("{round} "))).count();
        assert!(of_this_round <= acknowledged.len() + 4, "only what was under way may be there unannounced");
        let count = ann.get("/api/auth/user").ok()["deuceCount"].as_u64().unwrap();
        assert_eq!(count, stored.len() as u64, "the counter moves with the rows");
    }
}

#[test]
fn everything_is_still_there_after_a_restart() {
    let mut server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    let invite = ann.invite(&home);
    bob.join(&invite);
    let mut socket = ann.socket();
    let entry = ann.log_id(&home, "x");
    let seq = socket.expect_deuce("x")["seq"].as_i64().unwrap();
    bob.post(&format!("/api/entries/{entry}/reactions"), json!({ "emoji": "❤️" })).ok();
    bob.put("/api/auth/user", json!({ "username": "Bobby" })).ok();
    ann.post("/api/locations", json!({ "name": "Shed" })).ok();
    let everything = || {
        let paths = [
            "/api/auth/user".to_string(),
            "/api/groups".into(),
            format!("/api/groups/{home}"),
            format!("/api/groups/{home}/invites"),
            "/api/deuces".into(),
            format!("/api/entries/{entry}/reactions"),
            "/api/locations".into(),
            "/api/analytics/most-deuces".into(),
        ];
        [&ann, &bob].map(|person| {
            paths.clone().map(|path| {
                // Links name the host they were asked by, and the port is another now.
                let mut value = person.get(&path).ok();
                if let Some(rows) = value.as_array_mut() {
                    for row in rows.iter_mut().filter_map(|row| row.as_object_mut()) {
                        row.remove("inviteLink");
                    }
                }
                value
            })
        })
    };
    let before = everything();
    server.restart();
    assert_eq!(everything(), before);
    server.kill9();
    server.start_again();
    assert_eq!(everything(), before);

    let mut socket = bob.socket();
    let first = ann.log(&home, "y");
    let event = socket.expect_deuce("y");
    assert_eq!(event["entry"]["id"], first["id"]);
    assert!(event["seq"].as_i64().unwrap() > seq, "the room goes on counting");
}

#[test]
fn the_data_directory_holds_no_secret() {
    let mut server = Server::strict();
    let ann = server.person("Ann");
    ann.found("Home");
    server.kill9();
    let mut files = 0;
    for entry in fs::read_dir(server.data()).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            files += 1;
            let bytes = fs::read(&path).unwrap();
            for secret in [ann.token(), server::PASSWORD.to_string()] {
                let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{secret} in {path:?}");
            }
        }
    }
    assert!(files > 1);
}

#[test]
fn r_d4_a_second_server_on_the_same_data_is_refused() {
    let server = Server::open();
    let output =
        server::run(&["serve", "--open", "--listen", "127.0.0.1:0", "--data", server.data_text()], "");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!said.trim().is_empty() && !said.contains("panicked"), "{said}");
    server.person("Ann").get("/api/groups").ok();
}

#[test]
fn r_d4_a_database_from_the_future_is_left_alone() {
    let mut server = Server::open();
    server.person("Ann");
    server.terminate();
    let path = server.data().join("deuced.db");
    rusqlite::Connection::open(&path).unwrap().execute_batch("PRAGMA user_version = 999999").unwrap();
    let before = fs::read(&path).unwrap();
    let words = ["serve", "--open", "--listen", "127.0.0.1:0", "--data", server.data_text()];
    let output = server::run(&words, "");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("newer"), "a sentence that says why: {said}");
    assert!(fs::read(&path).unwrap() == before, "the file is as it was");
}

#[test]
fn r_d4_a_damaged_database_is_named_and_left_alone() {
    let mut server = Server::open();
    server.person("Ann");
    server.terminate();
    let path = server.data().join("deuced.db");
    fs::write(&path, b"this is not a database, whatever its name says".repeat(200)).unwrap();
    let before = fs::read(&path).unwrap();
    let output =
        server::run(&["serve", "--open", "--listen", "127.0.0.1:0", "--data", server.data_text()], "");
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("deuced.db") && !said.contains("panicked"), "{said}");
    assert!(fs::read(&path).unwrap() == before, "the file is as it was");
}

#[test]
fn the_log_is_quiet_and_keeps_secrets() {
    let mut server = Server::setup().limit("logins_per_minute", 100).start_claimed();
    // The claim link of the first start is for the terminal.
    server.wait_for_words("shows it again");
    let said = server.stderr().len();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    together(4, |index| ann.twin().log(&home, &format!("deep thoughts {index}")));
    server.nobody().handshake().target(&format!("/ws?token={}", ann.token())).open().expect_silence();
    server.nobody().post("/api/login", json!({ "username": "Ann", "password": "a wrong guess" }));
    server.nobody().get("/api/nope?token=visible");
    server.terminate();
    let log = server.stderr().split_off(said);
    assert!(log.lines().count() <= 12, "quiet by default:\n{log}");
    for secret in [ann.token().as_str(), server::PASSWORD, "a wrong guess", "deep thoughts", "token="] {
        assert!(!log.contains(secret), "{secret:?} in the log:\n{log}");
    }
}

#[test]
fn a_database_that_vanished_is_no_reason_to_show_its_place() {
    let server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    ann.log(&home, "x");
    for name in ["deuced.db", "deuced.db-wal", "deuced.db-shm"] {
        let _ = fs::rename(server.data().join(name), server.data().join(format!("{name}.elsewhere")));
    }
    let cookie = ann.cookie().unwrap();
    for path in ["/api/user/export", "/api/deuces"] {
        let mut wire = server.wire();
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n\r\n"));
        let reply = wire.reply("GET");
        assert_eq!(reply.status, 503, "{reply:?}");
        assert!(!check::shows_insides(&reply.message()), "{reply:?}");
        assert!(!reply.text().contains(server.data_text()), "{reply:?}");
    }
    // Whoever runs the server is told where.
    server.wait_for_words("deuced.db");
}

/// What the kernel counts for the server: bytes it had written, and clock ticks it ran.
fn spent(server: &Server) -> (u64, u64) {
    let io = fs::read_to_string(format!("/proc/{}/io", server.process_id())).unwrap();
    let bytes = io.lines().find_map(|line| line.strip_prefix("write_bytes: ")).unwrap().parse().unwrap();
    (bytes, server.processor_ticks())
}

#[test]
fn a_server_at_rest_writes_nothing_and_hardly_runs() {
    let server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let mut sockets: Vec<_> = (0..20).map(|_| ann.socket()).collect();
    ann.log(&home, "x");
    sockets.iter_mut().for_each(|socket| drop(socket.expect_deuce("x")));
    let before = spent(&server);
    // The one wait that cannot be for an event: it is about nothing happening.
    std::thread::sleep(Duration::from_secs(2));
    let after = spent(&server);
    assert_eq!(after.0, before.0, "bytes written");
    assert!(after.1 - before.1 <= 1, "{} ticks", after.1 - before.1);
}
