//! HTTP/1.1 as RFC 9110 and 9112 have it, byte by byte (R-H1 to R-H10): what proxies, old programs and attackers
//! bring. The guard's own tests have the rest; `require_door.rs` has who may do what.

use crate::harness::{Reply, Server, Wire, check, emulation::leaves_out_measures};
use serde_json::json;

const HEALTH: &str = "GET /api/health HTTP/1.1\r\nHost: deuce\r\n\r\n";

/// Sends bytes on a connection of their own, expects a complete refusal and then the end.
#[track_caller]
fn refused(server: &Server, bytes: impl AsRef<[u8]>, status: u16) -> Reply {
    let mut wire = server.wire();
    let _ = wire.try_send(bytes.as_ref());
    let reply = wire.reply("GET");
    let shown: String = String::from_utf8_lossy(bytes.as_ref()).chars().take(200).collect();
    assert_eq!(reply.status, status, "{shown:?} was answered by {reply:?}");
    assert_eq!(reply.header("Connection"), Some("close"), "{reply:?}");
    check::reply(&reply, "GET", "/", None);
    assert!(reply.json()["message"].is_string());
    ends_in_order(&mut wire);
    reply
}

/// The server has closed, and has not torn the connection down: that would take an answer under way along.
#[track_caller]
fn ends_in_order(wire: &mut Wire) {
    match wire.fill() {
        Ok(0) => assert!(wire.ahead.is_empty()),
        other => panic!("no orderly end: {other:?}, {:?}", String::from_utf8_lossy(&wire.ahead)),
    }
}

/// The next reply is this status and whole.
#[track_caller]
fn answered(wire: &mut Wire, status: u16) -> Reply {
    let reply = wire.reply("GET");
    assert_eq!(reply.status, status, "{reply:?}");
    check::reply(&reply, "GET", "/", None);
    reply
}

fn with_body(head: &str, body: &str) -> String {
    format!("POST /api/login HTTP/1.1\r\nHost: deuce\r\nContent-Type: application/json\r\n{head}\r\n{body}")
}

#[test]
fn r_h5_ten_requests_in_one_packet() {
    let server = Server::open();
    let mut wire = server.wire();
    let login = with_body("Content-Length: 18\r\n", r#"{"username":"Ann"}"#);
    wire.send([HEALTH, &login].concat().repeat(5));
    for _ in 0..5 {
        answered(&mut wire, 200).json()["uptime"].as_f64().expect("health first");
        answered(&mut wire, 200).json()["token"].as_str().expect("then the login");
    }
    wire.send(HEALTH);
    answered(&mut wire, 200);
    assert!(wire.ahead.is_empty());
}

#[test]
fn r_h5_one_request_byte_by_byte() {
    let server = Server::open();
    let mut wire = server.wire();
    wire.send_slowly(with_body("Content-Length: 18\r\n", r#"{"username":"Ann"}"#));
    answered(&mut wire, 200);
    wire.send_slowly(HEALTH);
    answered(&mut wire, 200);
}

/// What a GET leads to, from every line of the table of routes.
const GETS: [&str; 22] = [
    "/",
    "/app.js",
    "/any/page",
    "/api/analytics/most-deuces",
    "/api/auth/user",
    "/api/deuces",
    "/api/entries/{entry}/reactions",
    "/api/groups",
    "/api/groups/{group}",
    "/api/groups/{group}/invites",
    "/api/groups/{group}/notifications",
    "/api/health",
    "/api/locations",
    "/api/login",
    "/api/nope",
    "/api/notifications",
    "/api/notifications/unread-count",
    "/api/rooms",
    "/api/rooms/general/messages",
    "/api/user/export",
    "/join/x",
    "/uploads/nothing.jpg",
];

#[test]
fn r_h6_head_is_get_without_the_body() {
    let server = Server::open();
    let ann = server.person("Ann");
    let group = ann.found("Home");
    let entry = ann.log_id(&group, "x");
    let mut wire = server.wire();
    for path in GETS {
        let path = path.replace("{group}", &group).replace("{entry}", &entry);
        let ask = |method: &str| {
            let cookie = ann.cookie().unwrap();
            format!("{method} {path} HTTP/1.1\r\nHost: deuce\r\nCookie: {cookie}\r\n\r\n")
        };
        // A body where none may be would be read as the next answer.
        wire.send(ask("HEAD") + &ask("GET") + &ask("HEAD"));
        let [head, get, again] = ["HEAD", "GET", "HEAD"].map(|method| wire.reply(method));
        let fields = |reply: &Reply| {
            let kept =
                reply.headers.iter().filter(|(name, _)| !["date", "x-request-id"].contains(&name.as_str()));
            kept.cloned().collect::<Vec<_>>()
        };
        for head in [head, again] {
            assert_eq!((head.status, &head.line), (get.status, &get.line), "{path}");
            // How much health and an export say depends on the moment.
            if !["/api/health", "/api/user/export"].contains(&path.as_str()) {
                assert_eq!(fields(&head), fields(&get), "{path}");
            }
        }
        let length = get.header("Content-Length").map(|length| length.parse::<usize>().unwrap());
        assert_eq!(length, Some(get.body.len()), "{path}");
    }
}

#[test]
fn r_h3_a_chunked_body() {
    let server = Server::open();
    let mut wire = server.wire();
    let chunked = "Transfer-Encoding: chunked\r\n";
    let bodies = [
        "12\r\n{\"username\":\"Ann\"}\r\n0\r\n\r\n",
        "5\r\n{\"use\r\nd\r\nrname\":\"Ann\"}\r\n0\r\n\r\n",
        "012;name=value;q=\"a;b\"\r\n{\"username\":\"Ann\"}\r\n0;last\r\nX-Trailer: 1\r\nContent-Length: 5\r\n\r\n",
    ];
    for body in bodies {
        wire.send(with_body(chunked, body) + HEALTH);
        answered(&mut wire, 200).json()["token"].as_str().expect("a login");
        answered(&mut wire, 200);
        wire.send_slowly(with_body(&chunked.to_uppercase(), body));
        answered(&mut wire, 200);
    }
    for body in [
        "x\r\n",
        "-1\r\n",
        "12\n{}",
        "2\r\n{}x\r\n",
        "2 2\r\n{}",
        "fffffffffffffffff\r\n",
        "+2\r\n{}\r\n0\r\n\r\n",
    ] {
        refused(&server, with_body(chunked, body), 400);
    }
}

#[test]
fn r_h6_curl_asks_before_it_sends() {
    let server = Server::open();
    for expect in ["100-continue", "100-Continue"] {
        let mut wire = server.wire();
        wire.send(with_body(&format!("Expect: {expect}\r\nContent-Length: 18\r\n"), ""));
        let go_on = wire.reply("POST");
        assert_eq!(go_on.status, 100, "{go_on:?}");
        wire.send(r#"{"username":"Ann"}"#);
        answered(&mut wire, 200);
        wire.send(HEALTH);
        answered(&mut wire, 200);
    }
    refused(&server, with_body("Expect: miracles\r\nContent-Length: 18\r\n", ""), 417);
    // Too big is said before it is sent.
    refused(&server, with_body("Expect: 100-continue\r\nContent-Length: 999999999\r\n", ""), 413);
}

#[test]
fn r_h7_too_much_of_everything() {
    let server = Server::open();
    let reply = refused(&server, with_body("Content-Length: 1099511627776\r\n", "{"), 413);
    assert_eq!(reply.message(), "request entity too large");
    refused(&server, with_body("Content-Length: 99999999999999999999999\r\n", "{"), 413);
    refused(&server, format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(9_000)), 414);
    refused(&server, format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}\r\n\r\n", "a".repeat(20_000)), 431);
    refused(&server, format!("GET / HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(101)), 431);
    // Without a line's end: nobody buffers for ever.
    refused(&server, format!("GET / HTTP/1.1\r\nHost: x\r\nA: {}", "a".repeat(40_000)), 431);
    refused(&server, "a".repeat(40_000), 431);
}

#[test]
fn r_h2_two_ways_to_say_how_long() {
    let server = Server::open();
    let body = r#"{"username":"Ann"}"#;
    let heads = [
        "Content-Length: 18\r\nContent-Length: 17\r\n",
        "Content-Length: 18, 17\r\n",
        "Content-Length: +18\r\n",
        "Content-Length: 0x12\r\n",
        "Content-Length: 18 18\r\n",
        "Content-Length: -1\r\n",
        "Content-Length:\r\n",
        "Content-Length: 18\r\nTransfer-Encoding: chunked\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 18\r\n",
    ];
    for head in heads {
        refused(&server, with_body(head, body), 400);
    }
    for coding in [
        "gzip",
        "identity",
        "xchunked",
        "gzip, chunked",
        "chunked, chunked",
        "chunked;q=1",
        "\"chunked\"",
        "",
    ] {
        let head = format!("Transfer-Encoding: {coding}\r\n");
        let status = if coding == "gzip, chunked" { 501 } else { 400 };
        refused(&server, with_body(&head, "0\r\n\r\nGET /api/health HTTP/1.1\r\n\r\n"), status);
    }
    let twice = "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n";
    refused(&server, with_body(twice, "0\r\n\r\n"), 400);
}

#[test]
fn r_h6_versions() {
    let server = Server::open();
    for host in ["", "Host: deuce\r\n"] {
        let mut wire = server.wire();
        wire.send(format!("GET /api/health HTTP/1.0\r\n{host}\r\n"));
        answered(&mut wire, 200);
        wire.expect_end();
    }
    refused(&server, "GET / HTTP/2.0\r\nHost: x\r\n\r\n", 505);
    refused(&server, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505);
    refused(&server, "GET /\r\n\r\n", 400);
    refused(&server, "\x16\x03\x01\x02\x00\x01\x00\x01\r\n\r\n", 400);
}

#[test]
fn r_h6_the_connection_header_is_a_list() {
    let server = Server::open();
    for value in ["close", "Close", "foo, close", "close, foo", "keep-alive, close"] {
        let mut wire = server.wire();
        wire.send(HEALTH.replace("\r\n\r\n", &format!("\r\nConnection: {value}\r\n\r\n")));
        let reply = answered(&mut wire, 200);
        assert_eq!(reply.header("Connection").map(str::to_lowercase).as_deref(), Some("close"), "{value}");
        wire.expect_end();
    }
    let mut wire = server.wire();
    wire.send(HEALTH.replace("\r\n\r\n", "\r\nConnection: keep-alive\r\n\r\n"));
    answered(&mut wire, 200);
    wire.send(HEALTH);
    answered(&mut wire, 200);
}

#[test]
fn r_h9_letters_of_the_world_in_header_values() {
    let server = Server::open();
    let ann = server.person("Ann");
    let cookie = ann.cookie().unwrap();
    let mut wire = server.wire();
    wire.send(format!(
        "GET /api/auth/user HTTP/1.1\r\nHost: deuce\r\nX-Name: Zoë 李 👍\r\nCookie: name=Zoë; {cookie}\r\nUser-Agent: Ü\r\n\r\n"
    ));
    assert_eq!(answered(&mut wire, 200).json()["id"], json!(ann.id()));
    wire.send(b"GET /api/health HTTP/1.1\r\nHost: deuce\r\nX-Latin: \xe9\xff\x80\r\n\r\n");
    answered(&mut wire, 200);
}

#[test]
fn r_h2_heads_that_are_not_heads() {
    let server = Server::open();
    let bad = [
        "GET /api/health HTTP/1.1\nHost: deuce\n\n",
        "GET /api/health HTTP/1.1\r\nHost: deuce\nX: y\r\n\r\n",
        "GET /api/health HTTP/1.1\r\nHost: deuce\r\nX: a\rb\r\n\r\n",
        "GET /api/health HTTP/1.1\r\nHost: deuce\r\nX: a\r\n b\r\n\r\n",
        "GET /api/health HTTP/1.1\r\nHost: deuce\r\nX : a\r\n\r\n",
        "GET /api/health HTTP/1.1\r\nHost: deuce\r\nno colon\r\n\r\n",
        "GET /api/health HTTP/1.1\r\nHost: deuce\r\n: a\r\n\r\n",
        "GET /api/health HTTP/1.1\r\nHost: deuce\r\nX: a\0b\r\n\r\n",
        "GET /api/health HTTP/1.1\r\nHost: deuce\r\nX: a\x01b\r\n\r\n",
        "GET  /api/health HTTP/1.1\r\nHost: deuce\r\n\r\n",
        "GET /api/he alth HTTP/1.1\r\nHost: deuce\r\n\r\n",
        "GET /api/health  HTTP/1.1\r\nHost: deuce\r\n\r\n",
        "G@T /api/health HTTP/1.1\r\nHost: deuce\r\n\r\n",
        "GET api/health HTTP/1.1\r\nHost: deuce\r\n\r\n",
        " GET /api/health HTTP/1.1\r\nHost: deuce\r\n\r\n",
    ];
    for bytes in bad {
        refused(&server, bytes, 400);
    }
}

#[test]
fn r_h4_one_host_of_valid_form() {
    let server = Server::open();
    for host in [
        "",
        "Host: a\r\nHost: b\r\n",
        "Host: a\r\nHost: a\r\n",
        "Host: a/b\r\n",
        "Host: u@a\r\n",
        "Host: a b\r\n",
        "Host: x/?a=\r\n",
        "Host: a:b:c\r\n",
    ] {
        refused(&server, format!("GET /api/health HTTP/1.1\r\n{host}\r\n"), 400);
    }
    for host in ["deuce", "deuce.local:8222", "192.168.1.5:8222", "[::1]:8222", "[fe80::1]"] {
        let mut wire = server.wire();
        wire.send(HEALTH.replace("Host: deuce", &format!("Host: {host}")));
        answered(&mut wire, 200);
    }
}

#[test]
fn r_h4_the_absolute_form() {
    let server = Server::open();
    let mut wire = server.wire();
    wire.send("GET http://deuce/api/health?x=y HTTP/1.1\r\nHost: deuce\r\n\r\n");
    answered(&mut wire, 200).json()["uptime"].as_f64().expect("health");
}

#[test]
fn r_h4_percent_signs() {
    let server = Server::open();
    for path in [
        "/%",
        "/%z",
        "/%zz",
        "/api/%ff",
        "/api/%00",
        "/api/%c3%28",
        "/a/../b",
        "/%2e%2e/x",
        "/a%5cb",
        "/a\\b",
        "/..",
    ] {
        let mut wire = server.wire();
        wire.send(format!("GET {path} HTTP/1.1\r\nHost: deuce\r\n\r\n"));
        let reply = wire.reply("GET");
        assert_eq!(reply.status, 400, "{path}: {reply:?}");
        check::reply(&reply, "GET", "/", None);
    }
    let mut wire = server.wire();
    wire.send(HEALTH.replace("health", "%68ealth?a=%zz&b=%ff"));
    let reply = wire.reply("GET");
    reply.refused_naming(400, "query");
}

#[test]
fn r_h6_unknown_paths_and_methods() {
    let server = Server::open();
    let ann = server.person("Ann");
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
        for path in ["/api/nope", "/api/", "/api", "/api/groups/x/y/z", "/api/login/x"] {
            let reply = ann.request(method, path).send();
            reply.refused(404, "Not found");
            assert_eq!(reply.json()["requestId"].as_str(), reply.header("X-Request-Id"));
        }
    }
    let known = [
        ("POST", "/api/health", "GET"),
        ("PUT", "/api/groups", "POST"),
        ("PUT", "/api/groups", "GET"),
        ("PUT", "/api/login", "POST"),
        ("GET", "/api/join/x", "POST"),
        ("DELETE", "/api/auth/user", "PUT"),
        ("POST", "/api/groups/x", "PATCH"),
        ("PATCH", "/api/deuces", "POST"),
        ("BREW", "/api/groups", "GET"),
    ];
    for (method, path, allowed) in known {
        let reply = ann.request(method, path).send();
        reply.refused_with(405);
        let allow = reply.header("Allow").expect("Allow");
        assert!(allow.split(',').any(|word| word.trim() == allowed), "{reply:?}");
    }
    let first = ann.get("/api/nope");
    assert_ne!(first.header("X-Request-Id"), ann.get("/api/nope").header("X-Request-Id"));
}

#[test]
fn r_h6_a_method_is_spelled_in_capitals() {
    let server = Server::open();
    let reply = server.nobody().request("get", "/api/health").send();
    reply.refused_with(405);
}

#[test]
fn json_that_is_not_or_not_quite() {
    let server = Server::setup().open().limit("groups_per_minute", 1000).start();
    let ann = server.person("Ann");
    let post = |body: &[u8]| ann.request("POST", "/api/groups").content("application/json", body).send();
    let deep = format!(r#"{{"name":{}{}}}"#, "[".repeat(100), "]".repeat(100));
    let bodies: [&[u8]; 16] = [
        b"{",
        b"{\"name\":\"x\"",
        b"{\"name\":\"x\"} x",
        b"{'name':'x'}",
        b"{\"name\":\"x\",}",
        b"{\"name\":\"\xff\"}",
        b"{\"name\":\"\\ud800\"}",
        b"{\"name\":\"x\",\"name\":\"y\"}",
        b"\"x\"",
        b"[]",
        b"7",
        b"null",
        b"true",
        b"{\"name\":\"a\nb\"}",
        deep.as_bytes(),
        b"\xef\xbb\xbf{",
    ];
    for body in bodies {
        post(body).refused_with(400);
    }
    assert_eq!(ann.get("/api/groups").ok(), json!([]));
    post(b" {\"name\" : \"a\\u0062\\ud83d\\ude00\"}\r\n").ok();
    let reply = ann
        .request("POST", "/api/groups")
        .content("application/json; charset=utf-8", r#"{"name":"x"}"#)
        .send();
    reply.ok();
}

#[test]
fn other_content_counts_as_none() {
    let server = Server::open();
    let ann = server.person("Ann");
    for kind in ["application/xml", "x", ""] {
        let reply = ann.request("POST", "/api/groups").content(kind, r#"{"name":"x"}"#).send();
        reply.refused_naming(400, "name");
    }
    let plain = ann.bearer().request("POST", "/api/groups").content("text/plain", r#"{"name":"x"}"#).send();
    plain.refused_naming(400, "name");
    assert_eq!(
        ann.get("/api/groups").ok(),
        json!([]),
        "what a foreign page can send without asking does nothing"
    );
}

#[test]
fn r_h1_somebody_hangs_up_in_the_middle() {
    let server = Server::open();
    for bytes in [
        "",
        "G",
        HEALTH.trim_end(),
        &with_body("Content-Length: 18\r\n", "{"),
        &with_body("Transfer-Encoding: chunked\r\n", "12\r\n{"),
    ] {
        let mut wire = server.wire();
        wire.send(bytes);
        drop(wire);
        let mut wire = server.wire();
        wire.send(bytes);
        wire.finish_sending();
        // Whether it is told or not, it is over.
        while wire.fill().is_ok_and(|count| count > 0) {}
    }
    server.nobody().get("/api/health").ok();
}

#[test]
fn r_h5_a_refused_body_is_not_the_next_request() {
    let server = Server::open();
    let mut wire = server.wire();
    let hidden = "POST /api/login HTTP/1.1\r\nHost: deuce\r\nContent-Type: application/json\r\nContent-Length: 18\r\n\r\n{\"username\":\"Eve\"}";
    wire.send(format!(
        "POST /api/groups HTTP/1.1\r\nHost: deuce\r\nContent-Length: {}\r\n\r\n{hidden}",
        hidden.len()
    ));
    let reply = answered(&mut wire, 401);
    if reply.header("Connection").is_none_or(|value| !value.eq_ignore_ascii_case("close")) {
        wire.send(HEALTH);
        answered(&mut wire, 200).json()["uptime"].as_f64().expect("health, not the hidden login");
    }
}

#[test]
fn an_answer_can_be_told_by_its_id() {
    let server = Server::open();
    let reply = server.nobody().request("GET", "/api/nope").header("X-Request-Id", "a\tb<script>").send();
    assert_ne!(reply.header("X-Request-Id"), Some("a\tb<script>"));
}

#[test]
fn r_h6_threads_stay_few_whatever_is_asked() {
    let server = Server::open();
    for expect in ["100-continue", "100-Continue"] {
        for _ in 0..8 {
            let mut wire = server.wire();
            wire.send(with_body(
                &format!("Expect: {expect}\r\nContent-Length: 18\r\n"),
                r#"{"username":"Ann"}"#,
            ));
            wire.reply("POST");
        }
    }
    let ann = server.person("Ann");
    let devices: Vec<_> = (0..6).map(|_| ann.twin()).collect();
    let picture = crate::harness::picture::png(50, 50);
    crate::harness::together(6, |index| {
        devices[index].upload("/api/auth/user/profile-picture", "profilePicture", "image/png", &picture);
        devices[index].get("/api/user/export").ok();
    });
    if leaves_out_measures() {
        return;
    }
    let threads = std::fs::read_dir(format!("/proc/{}/task", server.process_id())).unwrap().count();
    assert!(threads <= 5, "the loop, a helper, the store and two workers, not {threads}");
}

#[test]
fn r_h1_every_refusal_is_whole_before_the_end() {
    let server = Server::open();
    let long = "a".repeat(20_000);
    let refusals: [(String, u16); 9] = [
        ("GET / HTTP/1.1\r\n\r\n".into(), 400),
        (with_body("Content-Length: 99999999\r\n", &long), 413),
        (format!("GET /{long} HTTP/1.1\r\nHost: x\r\n\r\n{long}"), 414),
        (with_body("Expect: miracles\r\nContent-Length: 20000\r\n", &long), 417),
        ("GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n".into(), 421),
        (format!("GET / HTTP/1.1\r\nHost: x\r\nX: {long}"), 431),
        (with_body("Transfer-Encoding: gzip, chunked\r\n", &long), 501),
        (format!("GET / HTTP/3.0\r\nHost: x\r\n\r\n{long}"), 505),
        (with_body("Transfer-Encoding: chunked\r\n", &format!("zz\r\n{long}")), 400),
    ];
    for (bytes, status) in &refusals {
        let reply = refused(&server, bytes, *status);
        assert_eq!(reply.header("Content-Length"), Some(reply.body.len().to_string().as_str()));
        assert_eq!(reply.header("Content-Type"), Some("application/json"));
    }
}

#[test]
fn r_h1_what_still_comes_is_drained_for_a_moment_only() {
    let server = Server::open();
    // Who had just sent all of it reads the answer, although it was not taken.
    for length in [1_000, 30_000, 60_000] {
        let mut wire = server.wire();
        wire.send(with_body("Content-Length: 9999999\r\n", &"x".repeat(length)));
        assert_eq!(wire.reply("POST").status, 413);
        ends_in_order(&mut wire);
    }
    // Who sends on and on is cut off.
    let mut wire = server.wire();
    wire.send(with_body("Content-Length: 1099511627776\r\n", ""));
    let piece = [b'x'; 0x8000];
    let taken = (0..2000).take_while(|_| wire.try_send(piece).is_ok()).count();
    assert!(taken < 2000, "64 MB were taken after the refusal");
    // Who neither sends nor leaves is left.
    let start = std::time::Instant::now();
    let mut wire = server.wire();
    wire.send("GET / HTTP/9.9\r\nHost: x\r\n\r\n");
    answered(&mut wire, 505);
    ends_in_order(&mut wire);
    while wire.try_send("x").is_ok() {
        assert!(start.elapsed().as_secs() < 5, "the connection is kept");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
}

#[test]
fn r_h1_a_request_cut_short_is_told_so() {
    let server = Server::open();
    for bytes in [
        "G",
        HEALTH.trim_end(),
        &with_body("Content-Length: 18\r\n", "{"),
        &with_body("Transfer-Encoding: chunked\r\n", "12\r\n{"),
        &with_body("Transfer-Encoding: chunked\r\n", "2\r\n{}\r\n0\r\n"),
    ] {
        let mut wire = server.wire();
        wire.send(bytes);
        wire.finish_sending();
        answered(&mut wire, 400).refused(400, "request: ended too early");
        ends_in_order(&mut wire);
    }
    // Old programs send all they have and read on.
    let mut wire = server.wire();
    wire.send(HEALTH);
    wire.finish_sending();
    answered(&mut wire, 200);
    ends_in_order(&mut wire);
}

#[test]
fn r_h2_a_request_hidden_in_another_is_never_answered() {
    let server = Server::open();
    // What two programs could read in two ways is answered once, and then it is over.
    let hidden = "GET /api/health HTTP/1.1\r\nHost: deuce\r\n\r\n";
    for framing in [
        "Transfer-Encoding: identity\r\n",
        "Transfer-Encoding: xchunked\r\n",
        "Transfer-Encoding : chunked\r\n",
        "Transfer-Encoding:\x0bchunked\r\n",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n",
        "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n",
        "Content-Length: 4\r\nContent-Length: 0\r\n",
        "Content-Length: 4, 0\r\n",
        "Content-Length: +0\r\n",
        "Content-Length : 0\r\n",
        "X: a\n\r\n",
        "Content-Length: 0\r\n X: folded\r\n",
    ] {
        refused(&server, with_body(framing, &format!("0\r\n\r\n{hidden}")), 400);
    }
    // The same number twice is one number (RFC 9110 section 8.6).
    let mut wire = server.wire();
    wire.send(with_body("Content-Length: 18\r\nContent-Length: 18\r\n", r#"{"username":"Ann"}"#) + HEALTH);
    answered(&mut wire, 200);
    answered(&mut wire, 200).json()["uptime"].as_f64().expect("health");
}

#[test]
fn r_h3_extensions_and_trailers_have_their_limits() {
    let server = Server::open();
    let chunked = "Transfer-Encoding: chunked\r\n";
    let body = |extension: usize, trailer: usize| {
        let (extension, trailer) = ("e".repeat(extension - 1), "t".repeat(trailer - 2));
        format!("12;{extension}\r\n{{\"username\":\"Ann\"}}\r\n0\r\nt:{trailer}\r\n\r\n")
    };
    let mut wire = server.wire();
    wire.send(with_body(chunked, &body(1024, 8192)) + HEALTH);
    answered(&mut wire, 200).json()["token"].as_str().expect("a login");
    answered(&mut wire, 200);
    refused(&server, with_body(chunked, &body(1025, 2)), 400);
    refused(&server, with_body(chunked, &body(1, 8193)), 431);
    for trailer in ["no colon\r\n", ": x\r\n", "a b: x\r\n", "a: b\n\r\n", "a: b\0\r\n", " a: b\r\n"] {
        refused(&server, with_body(chunked, &format!("0\r\n{trailer}\r\n")), 400);
    }
}

/// What an answer comes to when moments, chance and who asks are left out.
fn gist(reply: &Reply) -> String {
    let said = match reply.body.is_empty() {
        true => String::new(),
        false => {
            let body = reply.json();
            let words = [&body["message"], &body["user"]["id"], &body["ok"]];
            words.iter().map(|word| word.to_string()).collect::<Vec<_>>().join(" ")
        }
    };
    format!("{} {} {said}", reply.line, reply.header("Connection").unwrap_or_default())
}

/// Everything a server answers to bytes that come in two pieces.
fn answers(server: &Server, bytes: &[u8], cut: usize) -> Vec<String> {
    let mut wire = server.wire();
    let _ = wire.try_send(&bytes[..cut]);
    std::thread::sleep(std::time::Duration::from_micros(500));
    let _ = wire.try_send(&bytes[cut..]);
    wire.finish_sending();
    // Only the second is a HEAD; it is known by its length, which has no body behind it.
    let methods = ["POST", "HEAD"].into_iter().chain(std::iter::repeat("POST"));
    methods.map_while(|method| wire.try_reply(method).ok()).map(|reply| gist(&reply)).collect()
}

#[test]
fn r_h5_cut_anywhere_the_answers_are_the_same() {
    let server = Server::setup()
        .open()
        .limit("logins_per_minute", 100_000)
        .limit("sessions_per_user", 3)
        .limit("address_requests_per_minute", 100_000)
        .start();
    let good = with_body(
        "Transfer-Encoding: chunked\r\n",
        "9;a=b\r\n{\"usernam\r\n9\r\ne\":\"Ann\"}\r\n0\r\nx: y\r\n\r\n",
    ) + "HEAD /api/nope HTTP/1.1\r\nHost: deuce\r\n\r\n"
        + &with_body("Content-Length: 18\r\n", r#"{"username":"Bob"}"#)
        + "GET http://deuce/api/%6eope HTTP/1.0\r\n\r\n";
    let bad = with_body("Content-Length: 2\r\n", "{}")
        + "HEAD /api/nope HTTP/1.1\r\nHost: deuce\r\n\r\n"
        + "GET /api/nope HTTP/1.1\r\nHost: a b\r\n\r\n"
        + HEALTH;
    for (bytes, count) in [(good, 4), (bad, 3)] {
        let whole = answers(&server, bytes.as_bytes(), 0);
        assert_eq!(whole.len(), count, "{whole:?}");
        for cut in 1..bytes.len() {
            assert_eq!(answers(&server, bytes.as_bytes(), cut), whole, "cut at {cut}");
        }
    }
}

#[test]
fn r_h5_a_frame_sent_with_the_upgrade_is_not_lost() {
    let server = Server::open();
    let upgrade = "GET /ws HTTP/1.1\r\nHost: deuce\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
                   Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
    // A ping, "abc", with the mask of zeros.
    let ping = b"\x89\x83\0\0\0\0abc";
    let bytes = [HEALTH.as_bytes(), upgrade.as_bytes(), ping].concat();
    for cut in
        [0, HEALTH.len(), HEALTH.len() + upgrade.len() - 1, HEALTH.len() + upgrade.len(), bytes.len() - 3]
    {
        let mut wire = server.wire();
        wire.send(&bytes[..cut]);
        std::thread::sleep(std::time::Duration::from_millis(20));
        wire.send(&bytes[cut..]);
        answered(&mut wire, 200);
        let reply = wire.reply("GET");
        assert_eq!(reply.status, 101, "{reply:?}");
        assert_eq!(reply.header("Sec-WebSocket-Accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        // The greeting of a socket without a login may come first.
        while !wire.ahead.windows(5).any(|bytes| bytes == b"\x8a\x03abc") {
            assert_ne!(wire.fill().expect("the pong comes"), 0, "cut at {cut}");
        }
    }
}

#[test]
fn r_h6_options_says_what_there_is() {
    let server = Server::open();
    let mut wire = server.wire();
    for (target, allowed) in [
        ("*", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"),
        ("/api/groups", "GET, POST, HEAD, OPTIONS"),
        ("/api/health", "GET, HEAD, OPTIONS"),
        ("/", "GET, HEAD, OPTIONS"),
    ] {
        wire.send(format!("OPTIONS {target} HTTP/1.1\r\nHost: deuce\r\n\r\n"));
        let reply = answered(&mut wire, 200);
        assert_eq!(reply.header("Allow"), Some(allowed), "{target}");
    }
}

#[test]
fn r_h6_tunnels_and_echoes_are_refused() {
    let server = Server::open();
    for target in ["deuce:80", "/", "http://deuce/"] {
        refused(&server, format!("CONNECT {target} HTTP/1.1\r\nHost: deuce\r\n\r\n{HEALTH}"), 400);
    }
    for target in ["deuce:80", "deuce", "http:deuce", "//", "*"] {
        if target != "//" {
            refused(&server, format!("GET {target} HTTP/1.1\r\nHost: deuce\r\n\r\n"), 400);
        }
    }
    let mut wire = server.wire();
    wire.send("TRACE /api/health HTTP/1.1\r\nHost: deuce\r\nCookie: deuced=secret\r\n\r\n");
    let reply = answered(&mut wire, 405);
    assert_eq!(reply.header("Allow"), Some("GET, HEAD, OPTIONS"));
    assert!(!reply.text().contains("secret"));
    wire.send(HEALTH);
    answered(&mut wire, 200);
}

#[test]
fn r_h6_no_body_is_asked_for_that_would_be_refused() {
    let server = Server::open();
    let body = r#"{"username":"Ann"}"#;
    // What needs no body gets no word of going on, and old programs none at all.
    for (head, body) in
        [("Expect: 100-continue\r\n", ""), ("Expect: 100-continue\r\nContent-Length: 18\r\n", body)]
    {
        let mut wire = server.wire();
        wire.send(with_body(head, body) + HEALTH);
        let first = wire.reply("POST");
        // The body was there already: nobody has to be told.
        assert!(matches!(first.status, 200 | 400), "{first:?}");
        answered(&mut wire, 200);
    }
    let mut wire = server.wire();
    wire.send(
        with_body("Expect: 100-CONTINUE\r\nContent-Length: 18\r\n", body).replace("HTTP/1.1", "HTTP/1.0"),
    );
    answered(&mut wire, 200);
    ends_in_order(&mut wire);
    for framing in ["Content-Length: 65537\r\n", "Content-Length: 18\r\nContent-Length: 19\r\n"] {
        let status = if framing.contains("65537") { 413 } else { 400 };
        refused(&server, with_body(&format!("Expect: 100-continue\r\n{framing}"), ""), status);
    }
}

#[test]
fn r_h7_limits_are_exact() {
    let server = Server::open();
    let mut wire = server.wire();
    let target = |length: usize| format!("GET /{} HTTP/1.1\r\nHost: x\r\n\r\n", "a".repeat(length - 1));
    wire.send(target(8192));
    answered(&mut wire, 200);
    refused(&server, target(8193), 414);
    let head = |length: usize| {
        let begin = "GET /api/health HTTP/1.1\r\nHost: x\r\nX: ";
        format!("{begin}{}\r\n\r\n", "a".repeat(length - begin.len() - 4))
    };
    wire.send(head(16_384));
    answered(&mut wire, 200);
    refused(&server, head(16_385), 431);
    let fields =
        |count: usize| format!("GET /api/health HTTP/1.1\r\nHost: x\r\n{}\r\n", "A: b\r\n".repeat(count - 1));
    wire.send(fields(100));
    answered(&mut wire, 200);
    refused(&server, fields(101), 431);
    let padded = |length: usize| format!("{{\"username\":\"Ann\"{}}}", " ".repeat(length - 18));
    wire.send(with_body("Content-Length: 65536\r\n", &padded(65_536)));
    answered(&mut wire, 200);
    refused(&server, with_body("Content-Length: 65537\r\n", ""), 413);
    let chunked = |length: usize| format!("{length:x}\r\n{}\r\n0\r\n\r\n", padded(length));
    wire.send(with_body("Transfer-Encoding: chunked\r\n", &chunked(65_536)));
    answered(&mut wire, 200);
    refused(&server, with_body("Transfer-Encoding: chunked\r\n", "10001\r\n"), 413);
}

#[test]
fn r_h9_nothing_that_was_sent_becomes_a_header() {
    let server = Server::open();
    let nobody = server.nobody();
    for value in ["/join/x%0d%0aSet-Cookie:%20a=b", "/%0d%0a%0d%0a", "/join/Zo%C3%AB", "%0aLocation:/x"] {
        nobody.get(&format!("/api/login?returnTo={value}")).leads_to("/");
    }
    nobody.get("/join/%C3%AB").leads_to("/");
    let mut wire = server.wire();
    let raw = [
        &b"GET /api/health HTTP/1.1\r\nHost: deuce\r\nCookie: \xff=\xfe; deuced=\xf0\x9f\x92\xa9\r\nAuthorization: \xff\xff\r\n"[..],
        b"Origin: \xff\r\nIf-None-Match: \xff\r\nContent-Type: \xff\r\nUser-Agent: \xff\r\nX-Forwarded-For: \xff\r\nForwarded: \xff\r\n\r\n",
    ];
    wire.send(raw.concat());
    answered(&mut wire, 200);
    for name in ["Sec-WebSocket-Protocol", "Origin", "Sec-WebSocket-Key", "Idempotency-Key", "X-Request-Id"] {
        let mut wire = server.wire();
        wire.send(
            [
                format!("POST /api/login HTTP/1.1\r\nHost: deuce\r\n{name}: ").as_bytes(),
                b"\xff\xf0\x9f\r\n\r\n",
            ]
            .concat(),
        );
        let reply = wire.reply("POST");
        assert!((400..500).contains(&reply.status), "{reply:?}");
    }
}
