//! Children: what they may do, and that what they may not is refused at every door, in words for their parents.

use crate::harness::{Client, Frame, Native, Server, native::native_handshake};
use serde_json::{Value, json};

/// A family: a parent who runs a group and owns the server, and a child in it.
fn family(server: &Server) -> (Client, Client, String) {
    server.add_user("Ann", &["--admin"]);
    server.add_user("Kim", &["--child"]);
    let (ann, kim) = (server.device("Ann"), server.device("Kim"));
    let home = ann.found("Home");
    ann.post(&format!("/api/groups/{home}/members"), json!({ "userId": "dev-kim" })).ok();
    (ann, kim, home)
}

#[track_caller]
fn in_words(sentence: &str) {
    assert!(sentence.contains("child's account") && sentence.ends_with('.'), "{sentence:?}");
}

#[test]
fn a_child_lives_in_its_groups() {
    let server = Server::strict();
    let (ann, kim, home) = family(&server);
    let (mut of_ann, mut of_kim) = (Native::open(&ann), Native::open(&kim));
    let channel = format!("group:{home}");
    of_ann.subscribe(&channel);
    of_kim.subscribe(&channel);
    of_kim.subscribe("me");
    let entry = kim.log_id(&home, "mine");
    of_ann.expect("deuce_logged");
    of_kim.expect("deuce_logged");
    ann.post(&format!("/api/entries/{entry}/reactions"), json!({ "emoji": "👍" })).ok();
    of_kim.until("notification");
    of_ann.until("reaction_added");
    of_kim.say(&channel, "Hello @Ann");
    of_ann.hear("Hello @Ann");
    assert_eq!(
        ann.get("/api/notifications/unread-count").ok()["count"],
        3,
        "it came, it logged, it called her"
    );
    kim.put("/api/auth/user", json!({ "username": "Kimmy" })).ok();
    assert_eq!(kim.get("/api/rooms").ok()["rooms"].as_array().unwrap().len(), 1);
    kim.get("/api/user/export").ok();
    kim.post(&format!("/api/groups/{home}/leave"), json!({})).ok();
}

#[test]
fn what_a_child_may_not_is_said_in_words_for_its_parents() {
    let server = Server::strict();
    let (ann, kim, home) = family(&server);
    ann.post("/api/rooms/general/messages", json!({ "text": "grown-ups" })).ok();
    let invite = ann.invite(&ann.found("Other"));
    for (method, path, body) in [
        ("POST", "/api/groups".to_string(), json!({ "name": "Mine" })),
        ("POST", format!("/api/groups/{home}/invite"), json!({})),
        ("GET", format!("/api/groups/{home}/invites"), json!({})),
        ("DELETE", format!("/api/groups/{home}/invites/{invite}"), json!({})),
        ("POST", format!("/api/groups/{home}/people"), json!({ "username": "Lou" })),
        ("POST", format!("/api/groups/{home}/members"), json!({ "userId": "dev-ann" })),
        ("PATCH", format!("/api/groups/{home}"), json!({ "name": "Mine" })),
        ("DELETE", format!("/api/groups/{home}"), json!({})),
        ("PUT", format!("/api/groups/{home}/members/dev-kim"), json!({ "role": "admin" })),
        ("POST", format!("/api/join/{invite}"), json!({})),
        ("GET", "/api/rooms/general/messages".into(), json!({})),
        ("POST", "/api/rooms/general/messages".into(), json!({ "text": "hello" })),
        ("POST", "/api/rooms/secret/messages".into(), json!({ "text": "hello" })),
    ] {
        for client in [&kim, &kim.bearer()] {
            let reply = client.request(method, &path).json(&body).send();
            assert_eq!(reply.status, 403, "{reply:?}");
            in_words(&reply.message());
        }
    }
    // Nor with a login that brings an invite: it is no login then.
    let body =
        json!({ "username": "Kim", "password": crate::harness::server::PASSWORD, "inviteCode": invite });
    let reply = server.nobody().post("/api/login", body);
    assert_eq!((reply.status, reply.header("Set-Cookie")), (403, None));
    in_words(&reply.message());
    assert_eq!(kim.get("/api/groups").ok().as_array().unwrap().len(), 1);
    // And nobody makes it an admin.
    ann.put(&format!("/api/groups/{home}/members/dev-kim"), json!({ "role": "admin" }))
        .refused_naming(400, "child");
    let output = crate::harness::server::run(&["token", "add", "Kim", "--data", server.data_text()], "");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("child's account"), "{output:?}");
}

#[test]
fn no_socket_leads_out_of_the_groups() {
    let server = Server::setup().guests(true).start();
    let (ann, kim, home) = family(&server);
    // The native form and the envelope.
    let mut native = Native::open(&kim);
    for kind in ["subscribe", "message", "typing"] {
        native.refused(kind, json!({ "channel": "general", "text": "hello" }), "FORBIDDEN");
    }
    native.refused("edit", json!({ "channel": "general", "seq": 1, "text": "hello" }), "FORBIDDEN");
    native.refused("delete", json!({ "channel": "general", "seq": 1 }), "FORBIDDEN");
    native.subscribe(&format!("group:{home}"));
    let mut envelope = kim.bearer().socket();
    envelope.send_json(json!({ "type": "subscribe", "payload": { "channel": "general" } }));
    let error = envelope.expect_json();
    assert_eq!(error["payload"]["code"], "FORBIDDEN", "{error}");
    in_words(error["payload"]["message"].as_str().unwrap());
    // Flat frames.
    let mut flat =
        server.nobody().handshake().target("/realtime").offering(&format!("jwt.{}", kim.jwt())).open();
    assert_eq!(flat.expect_json()["type"], "hello");
    flat.send_json(json!({ "type": "subscribe", "topic": "prices" }));
    assert_eq!(flat.expect_json(), json!({ "type": "error", "code": "forbidden" }));
    flat.send_json(json!({ "type": "chat:send", "room": "general", "text": "hello" }));
    assert_eq!(flat.expect_json(), json!({ "type": "error", "code": "forbidden" }));
    // Chat pages.
    let page = |room: &str, token: &str| {
        server.nobody().handshake().target(&format!("/chat/room/{room}?token={token}"))
    };
    page("general", &kim.token()).refused(403);
    page("general", &kim.jwt()).refused(403);
    let mut own = page(&format!("group:{home}"), &kim.token()).open();
    assert_eq!(own.expect_json()["type"], "joined");
    page(&format!("group:{}", ann.found("Other")), &kim.token()).refused(401);
    // Somebody who logs in on a socket that was a guest's.
    let mut guest = Native::anonymous(&server);
    guest.ask("auth", json!({ "token": kim.token() }));
    guest.refused("subscribe", json!({ "channel": "general" }), "FORBIDDEN");
    // Nothing of all that has arrived.
    let mut of_ann = Native::open(&ann);
    assert_eq!(of_ann.subscribe("general").seq, 0);
}

#[test]
fn strangers_do_not_reach_a_child() {
    let server = Server::strict();
    let (ann, kim, home) = family(&server);
    let eve = server.person("Eve");
    let output =
        crate::harness::server::run(&["token", "add", "Eve", "--notify", "--data", server.data_text()], "");
    let token = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    let notify = |whom: &str| {
        let nobody = server.nobody();
        let request =
            nobody.request("POST", "/api/notifications").header("Authorization", &format!("Bearer {token}"));
        request.json(&json!({ "userId": whom, "data": { "message": "hello" } })).send().status
    };
    assert_eq!((notify("dev-kim"), notify("dev-ann")), (403, 200));
    // A mention where the child is not.
    eve.post("/api/rooms/general/messages", json!({ "text": "@Kim @Ann come here" })).ok();
    assert_eq!(kim.get("/api/notifications/unread-count").ok()["count"], 0);
    assert_eq!(
        ann.get("/api/notifications/unread-count").ok()["count"],
        3,
        "Kim came, the program, the mention"
    );
    // Nor by making a group for it.
    let trap = eve.found("Trap");
    for whom in ["dev-kim", "dev-ann", "dev-nobody"] {
        eve.post(&format!("/api/groups/{trap}/members"), json!({ "userId": whom }))
            .refused_naming(404, "userId");
    }
    // The parent may, and who shares a group may write.
    ann.post("/api/notifications", json!({ "userId": "dev-kim", "data": {} })).ok();
    ann.bring(&home, &eve);
    assert_eq!(notify("dev-kim"), 200);
    assert_eq!(eve.members_of(&trap), [eve.id()]);
}

#[test]
fn who_runs_the_childs_group_puts_it_into_another() {
    let server = Server::strict();
    let (ann, kim, home) = family(&server);
    let bob = server.person("Bob");
    ann.bring(&home, &bob);
    let school = bob.found("School");
    let put = |client: &Client, group: &str, whom: &str| {
        client.post(&format!("/api/groups/{group}/members"), json!({ "userId": whom }))
    };
    put(&bob, &school, "dev-kim").refused_naming(404, "userId");
    ann.put(&format!("/api/groups/{home}/members/dev-bob"), json!({ "role": "admin" })).ok();
    let mut socket = kim.socket();
    let member = put(&bob, &school, "dev-kim").ok();
    assert_eq!((&member["role"], &member["user"]["id"]), (&json!("child"), &json!("dev-kim")));
    put(&bob, &school, "dev-kim").ok();
    assert_eq!(bob.members_of(&school).len(), 2, "nobody is a member twice");
    // Its sockets hear the new group at once.
    bob.log(&school, "welcome");
    socket.expect_deuce("welcome");
    // A grown-up decides for themselves, and an owner who is not in the group has no say there.
    put(&bob, &school, "dev-ann").refused_naming(404, "userId");
    put(&ann, &school, "dev-kim").refused(403, "Not authorized");
    put(&ann, &home, "").refused_naming(404, "userId");
    ann.post(&format!("/api/groups/{home}/members"), json!({})).refused_naming(400, "userId");
}

#[test]
fn becoming_a_child_takes_effect_on_live_sockets() {
    let server = Server::strict();
    server.add_user("Ann", &["--admin"]);
    let (ann, kim) = (server.device("Ann"), server.person("Kim"));
    let home = kim.found("Kims");
    kim.bring(&home, &ann);
    let invite = kim.invite(&home);
    let mut roaming = Native::open(&kim);
    roaming.subscribe("general");
    let page = server.nobody().handshake().target(&format!("/chat/room/general?token={}", kim.token()));
    let mut page = page.open();
    page.drain();
    roaming.socket.drain();
    let mut at_home = Native::open(&kim);
    at_home.subscribe(&format!("group:{home}"));
    let changed = ann.patch("/api/people/dev-kim", json!({ "child": true })).ok();
    assert_eq!(changed["role"], "child");
    roaming.rest_until_close(1013);
    assert!(matches!(page.next_frame(), Frame::Close(Some(1013), _)));
    // Whoever runs the group now is told, and no socket that stays at home ends.
    let role = at_home.expect("role_changed");
    assert_eq!(
        (&role["payload"]["user"]["id"], &role["payload"]["role"]),
        (&json!("dev-ann"), &json!("admin"))
    );
    assert_eq!(at_home.expect("role_changed")["payload"]["user"]["id"], "dev-kim");
    let roles = |client: &Client| -> Vec<Value> {
        let group = client.get(&format!("/api/groups/{home}")).ok();
        group["members"].as_array().unwrap().iter().map(|member| member["role"].clone()).collect()
    };
    assert_eq!(roles(&kim), ["admin", "child"]);
    let eve = server.person("Eve");
    eve.post(&format!("/api/join/{invite}"), json!({})).refused(400, "Invalid or expired invite");
    native_handshake(&kim).open();
    // And back.
    assert_eq!(ann.patch("/api/people/dev-kim", json!({ "child": false })).ok()["role"], "member");
    assert_eq!(roles(&ann), ["admin", "member"]);
    Native::open(&kim).subscribe("general");
}

#[test]
fn a_group_always_has_a_grown_up_or_an_owner_who_can_help() {
    let server = Server::strict();
    let (ann, _kim, _home) = family(&server);
    let bob = server.person("Bob");
    let friends = bob.found("Friends");
    let lou = ann.post("/api/people", json!({ "username": "Lou", "child": true })).ok();
    assert_eq!(lou["person"]["role"], "child");
    ann.post(&format!("/api/join/{}", bob.invite(&friends)), json!({})).ok();
    ann.post(&format!("/api/groups/{friends}/members"), json!({ "userId": "dev-lou" })).ok();
    ann.post(&format!("/api/groups/{friends}/leave"), json!({})).ok();
    // Only children would be left to run it.
    ann.patch("/api/people/dev-bob", json!({ "child": true })).refused_naming(400, "Friends");
    assert_eq!(bob.get("/api/auth/user").ok()["role"], "member", "nothing was changed");
    // Whoever deletes their account is not held back by that; an owner sees to what is left.
    bob.delete("/api/user/account").ok();
    let groups = ann.get("/api/people").ok();
    let lou = groups.as_array().unwrap().iter().find(|person| person["id"] == "dev-lou").unwrap().clone();
    assert_eq!(lou["groups"][0]["id"], json!(friends));
    server
        .person("Eve")
        .post(&format!("/api/groups/{friends}/members"), json!({ "userId": "dev-eve" }))
        .refused_with(403);
    ann.post(&format!("/api/groups/{friends}/members"), json!({ "userId": "dev-ann" })).ok();
    ann.patch(&format!("/api/groups/{friends}"), json!({ "name": "Ours" })).ok();
}
