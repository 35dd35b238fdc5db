//! Guests: those without a login in rooms by name, where the owner lets them.

use crate::harness::{Frame, Native, Server, Socket};
use serde_json::json;

/// A chat page without a login.
fn page(server: &Server, room: &str, name: &str) -> Socket {
    let mut socket = server.nobody().handshake().target(&format!("/chat/room/{room}?username={name}")).open();
    assert_eq!(socket.expect_json()["type"], "joined");
    socket
}

/// Whether somebody without a login may use rooms by name.
#[track_caller]
fn guests_may(server: &Server, allowed: bool) {
    let mut native = Native::anonymous(server);
    let handshake = server.nobody().handshake().target("/chat/room/general?username=Alice");
    if allowed {
        native.subscribe("general");
        native.say("general", "may I?");
        assert_eq!(native.hear("may I?")["payload"]["from"]["guest"], true);
        handshake.open();
    } else {
        native.refused("subscribe", json!({ "channel": "general" }), "UNAUTHORIZED");
        native.refused("message", json!({ "channel": "general", "text": "x" }), "UNAUTHORIZED");
        native.refused("typing", json!({ "channel": "general" }), "UNAUTHORIZED");
        handshake.refused(401);
    }
    native.refused("subscribe", json!({ "channel": "me" }), "UNAUTHORIZED");
    // The history is for people with a login in any case.
    server.nobody().get("/api/rooms/general/messages").refused_with(401);
    server.nobody().get("/api/rooms").refused_with(401);
    server.nobody().post("/api/rooms/general/messages", json!({ "text": "x" })).refused_with(401);
}

#[test]
fn off_by_default_and_on_where_a_name_is_enough() {
    guests_may(&Server::setup().start_claimed(), false);
    guests_may(&Server::open(), true);
    guests_may(&Server::setup().guests(true).start_claimed(), true);
    guests_may(&Server::setup().open().guests(false).start(), false);
    guests_may(&Server::setup().env("DEUCED_GUESTS", "yes").start_claimed(), true);
}

#[test]
fn a_guest_hears_no_group() {
    let server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let channel = format!("group:{home}");
    server.nobody().handshake().target(&format!("/chat/room/{channel}?username=Alice")).refused(401);
    let mut native = Native::anonymous(&server);
    for kind in ["subscribe", "typing"] {
        let error = native.try_ask(kind, json!({ "channel": channel })).unwrap_err();
        assert!(matches!(error["code"].as_str(), Some("FORBIDDEN" | "UNAUTHORIZED")), "{error}");
    }
    let error = native.try_ask("message", json!({ "channel": channel, "text": "x" })).unwrap_err();
    assert!(matches!(error["code"].as_str(), Some("FORBIDDEN" | "UNAUTHORIZED")), "{error}");
    let mut of_ann = Native::open(&ann);
    of_ann.subscribe(&channel);
    of_ann.say(&channel, "private");
    of_ann.hear("private");
    native.expect_silence();
}

#[test]
fn a_guest_is_marked_and_has_nobodys_name() {
    let server = Server::open();
    let ann = server.person("Ann");
    let mut of_ann = Native::open(&ann);
    of_ann.subscribe("general");
    let mut alice = page(&server, "general", "Alice");
    alice.send_json(json!({ "type": "message", "content": "hello" }));
    let event = of_ann.hear("hello");
    assert_eq!(event["payload"]["from"], json!({ "id": null, "name": "Alice", "guest": true }));
    for name in ["Ann", "ann", "%41nn", "ANN"] {
        server.nobody().handshake().target(&format!("/chat/room/general?username={name}")).refused(401);
    }
    // Somebody comes to have that name while a guest has it: the guest keeps what it is.
    let _registered = server.person("Alice");
    alice.send_json(json!({ "type": "message", "content": "still a guest" }));
    let event = of_ann.hear("still a guest");
    assert_eq!(event["payload"]["from"]["guest"], true, "{event}");
    server.nobody().handshake().target("/chat/room/general?username=Alice").refused(401);
}

#[test]
fn a_guest_changes_no_message() {
    let server = Server::open();
    let ann = server.person("Ann");
    let mut of_ann = Native::open(&ann);
    of_ann.say("general", "Ann's");
    let mut guest = Native::anonymous(&server);
    let own = guest.say("general", "the guest's")["seq"].clone();
    let mut other = Native::anonymous(&server);
    for seq in [json!(1), own] {
        for (kind, payload) in [
            ("edit", json!({ "channel": "general", "seq": seq, "text": "x" })),
            ("delete", json!({ "channel": "general", "seq": seq })),
        ] {
            let error = other.try_ask(kind, payload).unwrap_err();
            assert!(matches!(error["code"].as_str(), Some("FORBIDDEN" | "UNAUTHORIZED")), "{error}");
        }
    }
    let messages = ann.get("/api/rooms/general/messages").ok();
    assert_eq!(crate::harness::client::texts(&messages["messages"], "text"), ["the guest's", "Ann's"]);
}

#[test]
fn a_page_of_another_origin_is_no_guest() {
    let server = Server::open();
    for target in ["/chat/room/general?username=Alice", "/ws", "/", "/realtime", "/chat/general"] {
        let handshake = server.nobody().handshake().target(target);
        handshake.header("Origin", "http://evil.example").refused(403);
    }
    let own = format!("http://{}", server.address());
    let handshake = server.nobody().handshake().target("/chat/room/general?username=Alice");
    assert_eq!(handshake.header("Origin", &own).open().expect_json()["username"], "Alice");
}

#[test]
fn guests_switched_off_with_a_restart_are_out() {
    let mut server = Server::setup().open().start();
    let ann = server.person("Ann");
    let mut alice = page(&server, "general", "Alice");
    alice.send_json(json!({ "type": "message", "content": "hello" }));
    assert_eq!(alice.expect_json()["content"], "hello");
    server.restart_as(Server::setup().open().guests(false));
    match alice.next_frame() {
        Frame::Close(Some(1001), _) => {}
        other => panic!("{other:?}"),
    }
    server.nobody().handshake().target("/chat/room/general?username=Alice").refused(401);
    // What was said remains said.
    let messages = ann.get("/api/rooms/general/messages").ok()["messages"].clone();
    assert_eq!(messages[0]["from"], json!({ "id": null, "name": "Alice", "guest": true }));
}
