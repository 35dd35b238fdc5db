//! Behind a proxy: what it says of the client counts only if the owner trusts it.

use crate::harness::{Client, Server};
use serde_json::{Value, json};

/// A login as the proxy passes it on.
fn login(client: &Client, name: &str, scheme: &str, from: &str) -> (u16, Option<String>) {
    let request = client.request("POST", "/api/login").header("X-Forwarded-Proto", scheme);
    let reply = request.header("X-Forwarded-For", from).json(&json!({ "username": name })).send();
    (reply.status, reply.header("Set-Cookie").map(Into::into))
}

fn link(client: &Client, scheme: &str) -> Value {
    let group = client.found("Home");
    let request = client.request("POST", &format!("/api/groups/{group}/invite"));
    request.header("X-Forwarded-Proto", scheme).header("Host", "diary.example").send().ok()["inviteLink"]
        .clone()
}

fn is_secure(cookie: &str) -> bool {
    cookie.split(';').any(|attribute| attribute.trim() == "Secure")
}

#[test]
fn r_a5_https_through_a_trusted_proxy() {
    let server =
        Server::setup().open().with(["--trusted-proxy", "127.0.0.0/8", "--host", "diary.example"]).start();
    let ann = server.nobody();
    let (status, cookie) = login(&ann, "Ann", "https", "192.0.2.7");
    assert!(status == 200 && is_secure(&cookie.unwrap()));
    assert!(link(&ann, "https").as_str().unwrap().starts_with("https://diary.example/join/"));
    let (_, cookie) = login(&server.nobody(), "Bob", "http", "192.0.2.8");
    assert!(!is_secure(&cookie.unwrap()));
}

#[test]
fn r_a5_anybody_can_say_https() {
    let server = Server::setup().open().with(["--host", "diary.example"]).start();
    let ann = server.nobody();
    let (_, cookie) = login(&ann, "Ann", "https", "192.0.2.7");
    assert!(!is_secure(&cookie.unwrap()));
    assert!(link(&ann, "https").as_str().unwrap().starts_with("http://diary.example/join/"));
}

#[test]
fn r_a5_a_trusted_proxy_tells_its_clients_apart() {
    let setup = Server::setup().open().limit("logins_per_minute", 2);
    let server = setup.clone().with(["--trusted-proxy", "127.0.0.1"]).start();
    let statuses =
        |server: &Server, from: &str| [(); 3].map(|()| login(&server.nobody(), "Ann", "http", from).0);
    assert_eq!(statuses(&server, "192.0.2.7"), [200, 200, 429]);
    assert_eq!(statuses(&server, "192.0.2.8"), [200, 200, 429]);
    // What a client puts there itself stands before what the proxy appends.
    assert_eq!(statuses(&server, "192.0.2.99, 192.0.2.8")[0], 429);

    let server = setup.start();
    assert_eq!(statuses(&server, "192.0.2.7"), [200, 200, 429]);
    assert_eq!(statuses(&server, "192.0.2.8"), [429, 429, 429], "nobody gets a new name by saying so");
}

#[test]
fn r_a5_nobody_hides_behind_a_hop_that_cannot_be_read() {
    let server =
        Server::setup().open().limit("logins_per_minute", 2).with(["--trusted-proxy", "127.0.0.1"]).start();
    for guess in 0..2 {
        let claimed = format!("198.51.100.{guess}, fe80::1%eth0");
        assert_eq!(login(&server.nobody(), "Ann", "http", &claimed).0, 200);
    }
    assert_eq!(login(&server.nobody(), "Ann", "http", "198.51.100.9, fe80::1%eth0").0, 429);
}
