//! Tokens that say who they are for, and what happens on live sockets when they end.

use crate::harness::{
    Client, Frame, Native, Server, Socket, client::from_base64url, native::native_handshake,
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// The contract's word for "at once".
const AT_ONCE: Duration = Duration::from_secs(1);

#[test]
fn what_a_token_claims() {
    let server = Server::open();
    let ann = server.person("Ann");
    let claims = ann.claims();
    assert_eq!(claims["sub"], json!(ann.id()), "{claims}");
    assert_eq!(claims["type"], "auth", "{claims}");
    assert!(claims["userId"].as_i64().is_some_and(|number| number > 0), "{claims}");
    let (issued, ends) = (claims["iat"].as_i64().unwrap(), claims["exp"].as_i64().unwrap());
    assert!(ends > issued && issued > 1_600_000_000 && ends < 10_000_000_000, "in seconds: {claims}");
    assert!(!claims["jti"].is_null(), "{claims}");
    let head: Value = serde_json::from_slice(&from_base64url(ann.jwt().split('.').next().unwrap())).unwrap();
    assert_eq!(head["alg"], "HS256", "{head}");
    // Letters that a subprotocol may have.
    let legal = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    assert!(ann.jwt().chars().all(legal) && ann.token().chars().all(legal));
    assert!(!ann.jwt().contains(&ann.token()), "the one does not give the other away");
    assert_ne!(server.person("Ann").claims()["jti"], claims["jti"], "each login has its own");
}

/// The status of an API request with this bearer token.
fn status(server: &Server, token: &str) -> u16 {
    let nobody = server.nobody();
    nobody.request("GET", "/api/groups").header("Authorization", &format!("Bearer {token}")).send().status
}

#[test]
fn one_token_is_as_good_as_the_other_everywhere() {
    let server = Server::open();
    let ann = server.person("Ann");
    for token in [ann.jwt(), ann.token()] {
        assert_eq!(status(&server, &token), 200);
        let handshake = || server.nobody().handshake();
        handshake().target(&format!("/ws?token={token}")).open();
        handshake().header("Authorization", &format!("Bearer {token}")).open();
        handshake().header("Cookie", &format!("deuced={token}")).open();
        let mut native = Native::over(handshake().offering(&format!("deuced.v1, jwt.{token}")).open());
        assert_eq!(native.hello["userId"], json!(ann.id()));
        native.subscribe("me");
    }
}

#[test]
fn forged_tokens_are_refused() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let parts = |jwt: &str| jwt.split('.').map(str::to_owned).collect::<Vec<String>>();
    let (of_ann, of_bob) = (parts(&ann.jwt()), parts(&bob.jwt()));
    let base64 = |text: &str| {
        const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
        let mut out = String::new();
        for three in text.as_bytes().chunks(3) {
            let bits =
                three.iter().fold(0u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
            for index in 0..=three.len() {
                out.push(ALPHABET[(bits >> (18 - 6 * index) & 63) as usize] as char);
            }
        }
        out
    };
    assert_eq!(from_base64url(&base64("any text")), b"any text");
    let none = base64(r#"{"alg":"none"}"#);
    let mut forever = ann.claims();
    forever["exp"] = json!(9_999_999_999_i64);
    let forged = [
        format!("{}.{}.{}", of_ann[0], of_ann[1], of_bob[2]),
        format!("{}.{}.{}", of_ann[0], base64(&forever.to_string()), of_ann[2]),
        format!("{none}.{}.", of_ann[1]),
        format!("{none}.{}.{}", of_ann[1], of_ann[2]),
        format!("{}.{}.", of_ann[0], of_ann[1]),
        format!("{}.{}", of_ann[0], of_ann[1]),
        format!("{}.{}.{}x", of_ann[0], of_ann[1], of_ann[2]),
        format!("{}=", ann.jwt()),
        "a.b.c".into(),
        "..".into(),
    ];
    for token in &forged {
        assert_eq!(status(&server, token), 401, "{token}");
        server.nobody().handshake().header("Authorization", &format!("Bearer {token}")).refused(401);
        server.nobody().handshake().target(&format!("/realtime?token={token}")).refused(401);
        let auth = json!({ "type": "auth", "payload": { "token": token } });
        let mut socket = server.nobody().handshake().saying(&auth.to_string()).open();
        assert_eq!(socket.expect_json()["payload"]["code"], "INVALID_TOKEN");
        socket.expect_close(1008);
    }
    assert_eq!(status(&server, &ann.jwt()), 200);
}

#[test]
fn a_token_ends_with_time_and_outlives_a_restart() {
    let mut server = Server::open();
    let ann = server.person("Ann");
    server.restart();
    assert_eq!(status(&server, &ann.jwt()), 200, "the secret is kept");
    let ends = ann.claims()["exp"].as_i64().unwrap() - ann.claims()["iat"].as_i64().unwrap();
    server.restart_later(ends + 60);
    assert_eq!(status(&server, &ann.jwt()), 401);
    server.nobody().handshake().target(&format!("/ws?token={}", ann.jwt())).refused(401);
}

/// One live socket for each way of showing a login.
fn sockets_of(server: &Server, client: &Client) -> Vec<(&'static str, Socket)> {
    let nobody = || server.nobody().handshake();
    let mut sockets = vec![
        ("cookie", client.socket()),
        ("bearer", client.bearer().socket()),
        ("query", nobody().target(&format!("/ws?token={}", client.jwt())).open()),
        ("native", native_handshake(client).open()),
        ("flat", nobody().target("/realtime").offering(&format!("jwt.{}", client.jwt())).open()),
        ("page", nobody().target(&format!("/chat/room/general?token={}", client.jwt())).open()),
        ("guarded", nobody().target(&format!("/chat/general?token={}", client.jwt())).open()),
    ];
    let auth = json!({ "type": "auth", "payload": { "token": client.jwt() } });
    let mut by_auth = nobody().saying(&auth.to_string()).open();
    assert_eq!(by_auth.expect_json()["type"], "ack");
    sockets.push(("auth", by_auth));
    for (_, socket) in &mut sockets {
        // Greetings and the like.
        socket.drain();
    }
    sockets
}

/// Everything there is closed with 1008 at once.
#[track_caller]
fn all_close(sockets: Vec<(&str, Socket)>, since: Instant) {
    for (name, mut socket) in sockets {
        loop {
            match socket.next_frame() {
                Frame::Close(Some(1008), _) => break,
                // The page hears others come and go.
                Frame::Text(text) if text.contains(r#""left""#) || text.contains(r#""joined""#) => {}
                other => panic!("{name}: expected a close with 1008, got {other:?}"),
            }
        }
        assert!(since.elapsed() < AT_ONCE, "{name}: {:?}", since.elapsed());
    }
}

/// A bell that is registered with this login.
fn bell(server: &Server, client: &Client) -> Socket {
    let register = json!({ "type": "register", "jwtToken": client.jwt() });
    let mut socket = server.nobody().handshake().saying(&register.to_string()).open();
    assert_eq!(socket.expect_json()["type"], "connected");
    assert_eq!(socket.expect_json()["type"], "registered");
    socket
}

#[test]
fn logout_ends_every_socket_of_the_login_at_once() {
    let server = Server::open();
    let (ann, tablet, bob) = (server.person("Ann"), server.device("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    let sockets = sockets_of(&server, &ann);
    let others = sockets_of(&server, &tablet);
    let (mut of_login, mut of_tablet) = (bell(&server, &ann), bell(&server, &tablet));
    let start = Instant::now();
    ann.post("/api/auth/logout", json!({})).ok();
    all_close(sockets, start);
    assert_eq!(status(&server, &ann.jwt()), 401);
    assert_eq!(status(&server, &ann.token()), 401);
    // The other login's are untouched, but for what a page hears of others.
    for (name, mut socket) in others {
        let heard = socket.drain();
        let is_of_a_page = |frame: &serde_json::Value| frame["type"] == "joined" || frame["type"] == "left";
        assert!(heard.iter().all(is_of_a_page), "{name}: {heard:?}");
    }
    // A bell is merely unregistered.
    bob.post(&format!("/api/rooms/group:{home}/messages"), json!({ "text": "@Ann" })).ok();
    assert_eq!(of_tablet.expect_json()["type"], "notification_received");
    of_login.expect_silence();
    of_login.send_json(json!({ "type": "register", "jwtToken": ann.jwt() }));
    assert_eq!(of_login.expect_json()["data"]["code"], "INVALID_TOKEN");
    of_login.send_json(json!({ "type": "register", "jwtToken": tablet.jwt() }));
    assert_eq!(of_login.expect_json()["type"], "registered");
}

#[test]
fn an_account_that_is_deleted_ends_everywhere_at_once() {
    let server = Server::open();
    let (ann, tablet, bob) = (server.person("Ann"), server.device("Ann"), server.person("Bob"));
    let home = bob.found("Home");
    bob.bring(&home, &ann);
    let mut sockets = sockets_of(&server, &ann);
    sockets.extend(sockets_of(&server, &tablet));
    // What the second round's page and events told the first is of no interest.
    for (_, socket) in &mut sockets {
        socket.drain();
    }
    let mut of_ann = bell(&server, &ann);
    let mut of_bob = Native::open(&bob);
    of_bob.subscribe(&format!("group:{home}"));
    let start = Instant::now();
    tablet.delete("/api/user/account").ok();
    all_close(sockets, start);
    of_bob.expect("member_left");
    of_ann.expect_silence();
    for token in [ann.jwt(), ann.token(), tablet.jwt()] {
        assert_eq!(status(&server, &token), 401);
    }
    server.nobody().handshake().target(&format!("/realtime?token={}", ann.jwt())).refused(401);
}

#[test]
fn a_login_that_runs_out_ends_its_sockets() {
    let mut server = Server::open();
    let ann = server.person("Ann");
    // Far ahead, the login is no longer good.
    server.restart_later(31 * 24 * 3600);
    native_handshake(&ann).refused(401);
    assert_eq!(status(&server, &ann.jwt()), 401);
}

#[test]
fn a_socket_that_becomes_somebody_elses_hears_no_more_of_the_first() {
    let server = Server::open();
    let (ann, eve) = (server.person("Ann"), server.person("Eve"));
    let home = ann.found("Home");
    let channel = format!("group:{home}");
    let mut native = Native::anonymous(&server);
    native.ask("auth", json!({ "token": ann.token() }));
    native.subscribe(&channel);
    native.subscribe("me");
    // Whether a second `auth` is taken or refused: what is Ann's is not told to Eve.
    let Ok(ack) = native.try_ask("auth", json!({ "token": eve.token() })) else { return };
    assert_eq!(ack["userId"], json!(eve.id()));
    let mut of_ann = Native::open(&ann);
    of_ann.subscribe(&channel);
    of_ann.say(&channel, "private");
    of_ann.hear("private");
    native.expect_silence();
    native.refused("message", json!({ "channel": channel, "text": "x" }), "FORBIDDEN");
    // Nor does the end of Ann's login concern Eve.
    ann.post("/api/auth/logout", json!({})).ok();
    native.subscribe("me");
}
