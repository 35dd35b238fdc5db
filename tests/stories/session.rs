//! One's logins: seeing where one is logged in, ending them, and changing the password.

use crate::harness::{
    Client, Native, Server, check,
    server::{PASSWORD, Setup},
};
use serde_json::{Value, json};
use std::{fs, time::SystemTime};

const NEW: &str = "a new long password";

/// Another login, from a program of this name.
#[track_caller]
fn login_as(server: &Server, name: &str, program: &str) -> Client {
    let client = server.nobody();
    let body = json!({ "username": name, "password": PASSWORD });
    client.request("POST", "/api/login").header("User-Agent", program).json(&body).send().ok();
    client
}

#[track_caller]
fn sessions(client: &Client) -> Vec<Value> {
    let list = client.get("/api/sessions").ok();
    let list = list.as_array().unwrap().clone();
    for session in &list {
        assert!(session["id"].is_i64() && session["current"].is_boolean(), "{session}");
        let (made, used) = (check::time(&session["createdAt"]), check::time(&session["lastUsedAt"]));
        assert!(made <= used, "{session}");
    }
    assert_eq!(list.iter().filter(|session| session["current"] == true).count(), 1);
    list
}

#[test]
fn where_one_is_logged_in() {
    let server = Server::strict();
    server.add_user("Ann", &[]);
    let phone = login_as(&server, "Ann", "Mozilla/5.0 (a phone)");
    let tablet = login_as(&server, "Ann", &"t".repeat(500));
    let bob = server.person("Bob");
    let list = sessions(&phone);
    assert_eq!(list.len(), 2, "one's own only: {list:?}");
    assert_eq!((&list[0]["device"], &list[0]["current"]), (&json!("Mozilla/5.0 (a phone)"), &json!(true)));
    assert_eq!(list[1]["device"].as_str().unwrap().len(), 200, "what a program calls itself is kept short");
    assert_eq!(list[0]["address"], "127.0.0.1");
    assert_eq!(sessions(&tablet)[0]["id"], list[1]["id"]);
    assert_eq!(sessions(&bob).len(), 1);
    let text = phone.get("/api/sessions").text();
    assert!(!text.contains(&phone.token()) && !text.contains(&tablet.token()), "no secrets");
    // A device says nothing, or leaves.
    phone.get("/api/logout");
    assert_eq!(sessions(&tablet).len(), 1);
    let export = tablet.get("/api/user/export").ok();
    assert_eq!(export["sessions"].as_array().unwrap().len(), 1);
    check::time(&export["sessions"][0]["createdAt"]);
}

#[test]
fn the_last_use_is_known_and_not_written() {
    let mut server = Server::setup().open().with(["--trusted-proxy", "127.0.0.1"]).start();
    let (ann, other) = (server.person("Ann"), server.device("Ann"));
    let from =
        |address: &str| ann.request("GET", "/api/groups").header("X-Forwarded-For", address).send().ok();
    let seen_by_other = || sessions(&other).into_iter().find(|session| session["current"] == false).unwrap();
    from("192.0.2.7");
    let first = seen_by_other();
    assert_eq!(first["address"], "192.0.2.7");
    let written = |name: &str| -> (u64, SystemTime) {
        let file = fs::metadata(server.data().join(name)).unwrap();
        (file.len(), file.modified().unwrap())
    };
    let before = ["deuced.db", "deuced.db-wal"].map(written);
    std::thread::sleep(std::time::Duration::from_millis(20));
    for _ in 0..20 {
        from("2001:db8::7");
    }
    let second = seen_by_other();
    assert_eq!(second["address"], "2001:db8::7");
    assert!(second["lastUsedAt"].as_str() > first["lastUsedAt"].as_str(), "{second}");
    assert_eq!(["deuced.db", "deuced.db-wal"].map(written), before, "asking costs the card nothing");
    // After a restart it is known to the day.
    server.restart();
    let third = seen_by_other();
    assert_eq!((&third["address"], &third["lastUsedAt"]), (&Value::Null, &third["createdAt"]));
    // An open socket is use.
    let _socket = ann.handshake().header("X-Forwarded-For", "192.0.2.9").open();
    let fourth = seen_by_other();
    assert_eq!(fourth["address"], "192.0.2.9");
    assert!(fourth["lastUsedAt"].as_str() > fourth["createdAt"].as_str(), "{fourth}");
}

#[test]
fn one_login_is_ended() {
    let server = Server::strict();
    let (phone, tablet, bob) = (server.person("Ann"), server.device("Ann"), server.person("Bob"));
    let (mut of_phone, mut of_tablet) = (phone.socket(), tablet.socket());
    let lost =
        sessions(&tablet).into_iter().find(|session| session["current"] == false).unwrap()["id"].clone();
    // Nobody else's business, and nobody learns that there is such a login.
    for id in [lost.to_string(), "999999".into(), "nonsense".into(), "-1".into()] {
        bob.delete(&format!("/api/sessions/{id}")).refused(404, "Session not found");
    }
    phone.get("/api/auth/user").ok();
    assert_eq!(tablet.delete(&format!("/api/sessions/{lost}")).ok(), json!({ "ok": true }));
    of_phone.expect_close(1008);
    phone.get("/api/auth/user").refused(401, "Unauthorized");
    tablet.delete(&format!("/api/sessions/{lost}")).refused(404, "Session not found");
    of_tablet.expect_silence();
    // Ending the one that asks is logging out.
    let own = sessions(&tablet)[0]["id"].clone();
    tablet.delete(&format!("/api/sessions/{own}")).ok();
    assert_eq!(tablet.cookie(), None);
    of_tablet.expect_close(1008);
}

#[test]
fn all_other_logins_are_ended() {
    let server = Server::strict();
    let ann = server.person("Ann");
    let others: Vec<Client> = (0..3).map(|_| server.device("Ann")).collect();
    let bob = server.person("Bob");
    let mut sockets: Vec<_> = others.iter().map(Client::socket).collect();
    let (mut own, mut of_bob) = (ann.socket(), bob.socket());
    ann.delete("/api/sessions").ok();
    for (socket, other) in sockets.iter_mut().zip(&others) {
        socket.expect_close(1008);
        other.get("/api/auth/user").refused(401, "Unauthorized");
    }
    own.expect_silence();
    of_bob.expect_silence();
    assert_eq!(sessions(&ann).len(), 1);
    bob.get("/api/auth/user").ok();
}

#[test]
fn a_new_password() {
    let server = Server::strict();
    let (ann, thief) = (server.person("Ann"), server.device("Ann"));
    let change = |client: &Client, old: Value, new: Value| {
        client.put("/api/auth/password", json!({ "oldPassword": old, "newPassword": new }))
    };
    let (mut of_ann, mut of_thief) = (Native::open(&ann), thief.socket());
    change(&thief, json!("a guess"), json!(NEW)).refused(403, "oldPassword: this is not your password");
    for (old, new, field) in [
        (Value::Null, json!(NEW), "oldPassword"),
        (json!(PASSWORD), Value::Null, "newPassword"),
        (json!(PASSWORD), json!("short"), "newPassword"),
        (json!(PASSWORD), json!("x".repeat(1025)), "newPassword"),
        (json!("x".repeat(1025)), json!(NEW), "oldPassword"),
        (json!(7), json!(NEW), "oldPassword"),
    ] {
        change(&ann, old, new).refused_naming(400, field);
    }
    of_thief.expect_silence();
    assert_eq!(change(&ann, json!(PASSWORD), json!(NEW)).ok(), json!({ "ok": true }));
    of_thief.expect_close(1008);
    thief.get("/api/auth/user").refused(401, "Unauthorized");
    ann.get("/api/auth/user").ok();
    of_ann.subscribe("general");
    let login = |password: &str| {
        server.nobody().post("/api/login", json!({ "username": "Ann", "password": password }))
    };
    login(PASSWORD).refused(401, "Wrong name or password");
    login(NEW).ok();
}

#[test]
fn guessing_the_old_password_has_to_wait_too() {
    let server = Server::setup().limit("login_failures", 3).start();
    let thief = server.person("Ann");
    let guess = || {
        let body = json!({ "oldPassword": "a guess", "newPassword": NEW });
        thief.put("/api/auth/password", body)
    };
    for _ in 0..3 {
        guess().refused_with(403);
    }
    guess().refused_with(429);
}

#[test]
fn a_login_of_the_open_days_has_no_password_to_change() {
    let mut server = Server::open();
    let ann = server.person("Ann");
    let change = || ann.put("/api/auth/password", json!({ "oldPassword": "", "newPassword": NEW }));
    change().refused_naming(400, "oldPassword");
    ann.put("/api/auth/password", json!({ "oldPassword": "x", "newPassword": NEW })).refused_with(403);
    // Somebody else has made the server theirs.
    server.add_user("Bob", &["--admin"]);
    server.restart_as(Setup::default());
    change().refused_naming(400, "oldPassword");
    server.add_user("Ann", &[]);
    ann.put("/api/auth/password", json!({ "oldPassword": PASSWORD, "newPassword": NEW })).ok();
    server.nobody().login("Ann", Some(NEW));
}
