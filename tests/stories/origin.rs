//! Other people's pages: an open port in the home network is within reach of every page the family visits.

use crate::harness::{Client, Reply, Server};
use serde_json::json;

const FOREIGN: [&str; 5] =
    ["https://evil.example", "null", "http://127.0.0.1:1", "http://127.0.0.1.evil.example", "file://"];

fn found_from(person: &Client, origin: &str) -> Reply {
    person.request("POST", "/api/groups").header("Origin", origin).json(&json!({ "name": "x" })).send()
}

#[test]
fn r_a3_a_foreign_page_writes_nothing() {
    let server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let entry = ann.log_id(&home, "x");
    for origin in FOREIGN {
        found_from(&ann, origin).refused_with(403);
        for (method, path) in [
            ("PATCH", format!("/api/groups/{home}")),
            ("DELETE", format!("/api/groups/{home}")),
            ("DELETE", format!("/api/deuces/{entry}")),
            ("POST", "/api/deuces".to_string()),
            ("DELETE", "/api/user/account".to_string()),
            ("POST", "/api/auth/logout".to_string()),
            ("PUT", "/api/auth/user".to_string()),
        ] {
            let body = json!({ "name": "Evil", "groupId": home, "location": "x", "thoughts": "x", "username": "Evil" });
            ann.request(method, &path).header("Origin", origin).json(&body).send().refused_with(403);
        }
    }
    assert_eq!(ann.get("/api/groups").ok().as_array().unwrap().len(), 1);
    assert_eq!(ann.thoughts_in(&home), ["x"]);
}

#[test]
fn r_a3_ones_own_page_writes() {
    let server = Server::open();
    let ann = server.person("Ann");
    found_from(&ann, &format!("http://{}", server.address())).ok();
    let port = server.address().port();
    let by_name = ann
        .request("POST", "/api/groups")
        .header("Host", &format!("deuce.local:{port}"))
        .header("Origin", &format!("http://deuce.local:{port}"));
    by_name.json(&json!({ "name": "x" })).send().ok();
}

#[test]
fn r_a3_an_allowed_page_writes() {
    let server = Server::setup()
        .open()
        .with(["--origin", "https://diary.example", "--origin", "http://tv.local:3000"])
        .start();
    let ann = server.person("Ann");
    found_from(&ann, "https://diary.example").ok();
    found_from(&ann, "http://tv.local:3000").ok();
    for near in [
        "http://diary.example",
        "https://diary.example:8443",
        "https://diary.example.evil.example",
        "http://tv.local",
    ] {
        found_from(&ann, near).refused_with(403);
    }
    for origin in ["https://diary.example", "http://tv.local:3000"] {
        ann.handshake().header("Origin", origin).open().expect_silence();
    }
    ann.handshake().header("Origin", "http://tv.local").refused(403);
}

#[test]
fn r_a3_a_cross_site_request_without_an_origin() {
    let server = Server::open();
    let ann = server.person("Ann");
    let found = |site: &str| {
        ann.request("POST", "/api/groups").header("Sec-Fetch-Site", site).json(&json!({ "name": "x" })).send()
    };
    found("cross-site").refused_with(403);
    found("same-origin").ok();
    found("none").ok();
}

#[test]
fn r_a3_a_foreign_page_logs_nobody_in() {
    let server = Server::open();
    let login = |origin: &str| {
        server
            .nobody()
            .request("POST", "/api/login")
            .header("Origin", origin)
            .json(&json!({ "username": "Eve" }))
            .send()
    };
    login("https://evil.example").refused_with(403);
    login(&format!("http://{}", server.address())).ok();
}

#[test]
fn r_a4_reading_is_left_to_the_browser() {
    let server = Server::open();
    let ann = server.person("Ann");
    // The harness has checked that no CORS header invites the page to read it.
    ann.request("GET", "/api/groups").header("Origin", "https://evil.example").send().ok();
    let preflight = ann
        .request("OPTIONS", "/api/groups")
        .header("Origin", "https://evil.example")
        .header("Access-Control-Request-Method", "POST")
        .send();
    assert!(preflight.status == 200 || preflight.status == 204 || preflight.status == 405, "{preflight:?}");
}

#[test]
fn a_foreign_page_opens_no_socket() {
    let server = Server::open();
    let ann = server.person("Ann");
    for origin in FOREIGN {
        ann.handshake().header("Origin", origin).refused(403);
        server.nobody().handshake().header("Origin", origin).refused(403);
    }
    ann.handshake().header("Origin", &format!("http://{}", server.address())).open().expect_silence();
    // Origin is judged before the credentials.
    server
        .nobody()
        .handshake()
        .header("Origin", "https://evil.example")
        .header("Cookie", "deuced=x")
        .refused(403);
}

#[test]
fn a_strangers_name_that_leads_here_is_no_own_page() {
    // DNS rebinding: the page's own host name has been pointed at this address.
    let open = Server::open();
    let login = |server: &Server, host: &str| {
        let nobody = server.nobody();
        let request = nobody.request("POST", "/api/login").header("Host", host);
        request.header("Origin", &format!("http://{host}")).json(&json!({ "username": "Ann" })).send()
    };
    for host in ["evil.example", "evil.example:8222", "192.168.1.7.evil.example"] {
        login(&open, host).refused_naming(421, "Host");
        let ann = open.person("Ann");
        let handshake = ann.handshake().header("Host", host).header("Origin", &format!("http://{host}"));
        assert_eq!(handshake.try_open().err().expect("a refusal").status, 421);
    }
    for host in ["192.168.1.7:8222", "raspberrypi", "pi.local", "[::1]:8222"] {
        login(&open, host).ok();
    }
}
