//! How long the server waits for its clients, and how little they can make each other wait.

use crate::harness::{Reply, Server, Wire, check, emulation::leaves_out_measures, picture, server::PASSWORD};
use serde_json::json;
use std::time::{Duration, Instant};

const HEALTH: &str = "GET /api/health HTTP/1.1\r\nHost: deuce\r\n\r\n";

/// A complete refusal, within the time, and then the end.
#[track_caller]
fn refused(wire: &mut Wire, status: u16, within: Duration) -> Reply {
    let start = Instant::now();
    let reply = wire.reply("GET");
    assert_eq!(reply.status, status, "{reply:?}");
    assert!(start.elapsed() < within, "{:?}", start.elapsed());
    check::reply(&reply, "GET", "/", None);
    assert_eq!(reply.header("Connection").map(str::to_lowercase).as_deref(), Some("close"), "{reply:?}");
    wire.expect_end();
    reply
}

#[test]
fn r_h8_a_head_that_never_ends() {
    let server = Server::setup().open().limit("head_seconds", 1).start();
    std::thread::scope(|scope| {
        for begun in ["G", HEALTH.trim_end(), "\r\n\r\nGET"] {
            let mut wire = server.wire();
            scope.spawn(move || {
                wire.send(begun);
                refused(&mut wire, 408, Duration::from_secs(4));
            });
        }
        // Byte after byte is no reason to wait for longer.
        let mut wire = server.wire();
        scope.spawn(move || {
            let start = Instant::now();
            wire.send("GET / HTTP/1.1\r\nX-Long: ");
            while Wire::wait_for_any([&wire], Duration::from_millis(200)) == [false] {
                let _ = wire.try_send("x");
                assert!(start.elapsed() < Duration::from_secs(5), "a trickle keeps the connection");
            }
            assert_eq!(wire.reply("GET").status, 408);
        });
        // The second request of a connection is waited for no longer than the first.
        let mut wire = server.wire();
        scope.spawn(move || {
            wire.send(HEALTH);
            assert_eq!(wire.reply("GET").status, 200);
            wire.send("GET /api/hea");
            refused(&mut wire, 408, Duration::from_secs(4));
        });
    });
    server.nobody().get("/api/health").ok();
}

#[test]
fn r_h8_a_body_that_never_ends() {
    let server = Server::setup().open().limit("body_seconds", 1).start();
    let ann = server.person("Ann");
    let cookie = ann.cookie().unwrap();
    let login = "POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
    let upload = format!("POST /api/auth/user/profile-picture HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\n");
    let begun = [
        format!("{login}Content-Length: 18\r\n\r\n"),
        format!("{login}Content-Length: 18\r\n\r\n{{\"use"),
        format!("{login}Transfer-Encoding: chunked\r\n\r\n12\r\n{{"),
        format!("{upload}Content-Length: 4000000\r\n\r\nabc"),
    ];
    std::thread::scope(|scope| {
        for bytes in begun {
            let mut wire = server.wire();
            scope.spawn(move || {
                wire.send(bytes);
                refused(&mut wire, 408, Duration::from_secs(4));
            });
        }
        // Slower than anybody's line is not progress.
        let mut wire = server.wire();
        scope.spawn(move || {
            let start = Instant::now();
            wire.send(format!("{login}Content-Length: 60000\r\n\r\n"));
            while Wire::wait_for_any([&wire], Duration::from_millis(200)) == [false] {
                let _ = wire.try_send("x");
                assert!(start.elapsed() < Duration::from_secs(8), "a trickle keeps the connection");
            }
            assert_eq!(wire.reply("POST").status, 408);
        });
    });
    ann.get("/api/auth/user").ok();
}

#[test]
fn r_h8_a_connection_that_says_nothing() {
    let server = Server::setup().open().limit("idle_seconds", 1).start();
    let ann = server.person("Ann");
    let mut socket = ann.socket();
    let (mut fresh, mut used) = (server.wire(), server.wire());
    used.send(HEALTH);
    assert_eq!(used.reply("GET").status, 200);
    let start = Instant::now();
    // No answer, because nothing was asked.
    fresh.expect_end();
    used.expect_end();
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    // A socket is idle by nature.
    socket.expect_silence();
}

#[test]
fn wrong_passwords_for_one_name() {
    let server = Server::setup().limit("login_failures", 3).limit("logins_per_minute", 1000).start();
    let ann = server.person("Ann");
    server.add_user("Bob", &[]);
    let login = |name: &str, password: &str| {
        server.nobody().post("/api/login", json!({ "username": name, "password": password }))
    };
    for guess in ["1", "2", "3"] {
        login("Ann", guess).refused(401, "Wrong name or password");
    }
    for password in ["4", PASSWORD] {
        let reply = login("ANN", password);
        assert_eq!((reply.status, &reply.json()["code"]), (429, &json!("RATE_LIMIT_EXCEEDED")), "{reply:?}");
        assert!(reply.header("Retry-After").is_some_and(|seconds| seconds.parse::<u32>().is_ok()));
    }
    // Neither another name from here, nor who is in already.
    login("Bob", "1").refused(401, "Wrong name or password");
    login("Bob", PASSWORD).ok();
    ann.get("/api/auth/user").ok();
    // Names that nobody has are counted too, or they could be told from the others.
    for guess in ["1", "2", "3"] {
        login("Eve", guess).refused(401, "Wrong name or password");
    }
    login("Eve", "4").refused_with(429);
}

/// How long the slowest of somebody's requests takes beside a flood of pipelined ones, each of which
/// has been answered in its turn.
fn slowest_beside_a_flood(server: &Server) -> Duration {
    const INVITE: &str = "00000000-0000-4000-8000-";
    let marker = |number: usize| {
        format!("GET /api/login?returnTo=/join/{INVITE}{number:012} HTTP/1.1\r\nHost: deuce\r\n\r\n")
    };
    let flood: String = (0..5000)
        .map(|number| if number % 100 == 0 { marker(number) + HEALTH } else { HEALTH.into() })
        .collect();
    let ann = server.device("Ann");
    let mut wire = server.wire();
    let writer = wire.twin();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut writer = writer;
            writer.send(flood);
        });
        let flood = scope.spawn(move || {
            let mut last = String::new();
            for number in 0..5000 {
                if number % 100 == 0 {
                    wire.reply("GET").leads_to(&format!("/?join={INVITE}{number:012}"));
                }
                let reply = wire.reply("GET");
                let timestamp = check::time(&reply.ok()["timestamp"]);
                assert!(timestamp >= last, "in order: {last} before {timestamp}");
                last = timestamp;
            }
        });
        let mut slowest = Duration::ZERO;
        while !flood.is_finished() {
            let start = Instant::now();
            ann.get("/api/auth/user").ok();
            slowest = slowest.max(start.elapsed());
        }
        flood.join().unwrap();
        slowest
    })
}

#[test]
fn r_h5_five_thousand_requests_in_a_row_hold_up_nobody() {
    let server = Server::setup()
        .open()
        .limit("address_requests_per_minute", 1_000_000)
        .limit("api_requests_per_minute", 1_000_000)
        .start();
    server.person("Ann");
    if leaves_out_measures() {
        // Everybody is answered.
        slowest_beside_a_flood(&server);
        return;
    }
    // Who is held up by a flood is held up by each. The tests' own machine is only busy at times.
    let mut slowest = Vec::new();
    while slowest.len() < 3 && slowest.last().is_none_or(|time| *time > Duration::from_millis(250)) {
        slowest.push(slowest_beside_a_flood(&server));
    }
    let best = slowest.iter().min().unwrap();
    assert!(*best <= Duration::from_millis(250), "somebody waited, each time: {slowest:?}");
}

// Uploads, which are long by nature.

const PICTURE: &str = "/api/auth/user/profile-picture";

#[test]
fn a_strangers_picture_is_refused_unread() {
    let server = Server::open();
    let forged = format!("Cookie: deuced={}\r\n", "A".repeat(43));
    for credentials in ["", &forged] {
        for framing in ["Content-Length: 4194304\r\n", "Content-Length: 4194304\r\nExpect: 100-continue\r\n"]
        {
            let mut wire = server.wire();
            wire.send(format!(
                "POST {PICTURE} HTTP/1.1\r\nHost: x\r\n{credentials}Content-Type: image/jpeg\r\n{framing}\r\n"
            ));
            // Not a byte of the body is on its way.
            let reply = wire.reply("POST");
            assert!(matches!(reply.status, 401 | 413), "{reply:?}");
            check::reply(&reply, "POST", PICTURE, None);
            wire.expect_end();
        }
    }
    // A body that does not say how long it is, is cut off early.
    let mut wire = server.wire();
    wire.send(format!("POST {PICTURE} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"));
    let chunk = [&b"8000\r\n"[..], &[b'x'; 0x8000], b"\r\n"].concat();
    let taken = (0..1000).take_while(|_| wire.try_send(&chunk).is_ok()).count();
    assert!(taken < 1000, "32 MB were read for nobody");
}

/// Uploads of somebody's that begin and go no further.
fn unfinished(server: &Server, cookie: &str, count: usize) -> Vec<Wire> {
    let begin = |_| {
        let mut wire = server.wire();
        wire.send(format!(
            "POST {PICTURE} HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\nContent-Type: image/jpeg\r\n\
             Content-Length: 4194304\r\n\r\nbegun"
        ));
        wire
    };
    (0..count).map(begin).collect()
}

#[test]
fn unfinished_uploads_hold_up_no_other_request() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    let _wires = unfinished(&server, &ann.cookie().unwrap(), 12);
    let mut socket = bob.socket();
    for person in [&ann, &bob] {
        person.log(&home, "beside it");
        socket.expect_deuce("beside it");
        person.get("/api/user/export").ok();
    }
}

#[test]
fn one_persons_unfinished_uploads_leave_room_for_anothers() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let _wires = unfinished(&server, &ann.cookie().unwrap(), 12);
    let mut socket = ann.socket();
    socket.expect_silence();
    bob.upload(PICTURE, "profilePicture", "image/png", &picture::png(2, 2)).ok();
}
