//! Accounts in the hands of those who run the server or a group: prepared, reset, disabled, removed; and who may do what.

use crate::harness::{Client, Server, check, server::PASSWORD};
use serde_json::{Value, json};

const NEW: &str = "a new long password";

/// An owner who is logged in.
fn owner(server: &Server, name: &str) -> Client {
    server.add_user(name, &["--admin"]);
    server.device(name)
}

/// The secret behind a link.
#[track_caller]
pub fn secret_of(answer: &Value) -> String {
    check::time(&answer["expiresAt"]);
    let link = answer["resetLink"].as_str().unwrap_or_else(|| panic!("no link: {answer}"));
    let (page, secret) = link.split_once('#').expect("the secret is in the fragment");
    assert!(page.starts_with("http://") && page.ends_with("/reset"), "{link}");
    secret.to_owned()
}

#[track_caller]
fn person(value: &Value) {
    let keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    let known = ["createdAt", "disabled", "entries", "groups", "id", "lastLoginAt", "name", "ready", "role"];
    let mut sorted = keys.clone();
    sorted.sort_unstable();
    assert_eq!(sorted, known);
    check::time(&value["createdAt"]);
}

#[test]
fn an_owner_prepares_an_account_and_its_person_chooses_a_password() {
    let server = Server::strict();
    let ann = owner(&server, "Ann");
    let home = ann.found("Home");
    let mut socket = ann.socket();
    let body = json!({ "username": "Kim", "child": true, "groupIds": [home] });
    let made = ann.post("/api/people", body).ok();
    person(&made["person"]);
    assert_eq!(made["person"]["id"], "dev-kim");
    assert_eq!(made["person"]["role"], "child");
    assert_eq!(made["person"]["ready"], false);
    assert_eq!(made["person"]["lastLoginAt"], Value::Null);
    assert_eq!(made["person"]["groups"], json!([{ "id": home, "name": "Home" }]));
    socket.expect_silence();

    let kim = server.nobody();
    kim.post("/api/login", json!({ "username": "Kim", "password": NEW }))
        .refused(401, "Wrong name or password");
    let secret = secret_of(&made);
    for (password, status) in [(json!("short"), 400), (json!("x".repeat(2000)), 400), (Value::Null, 400)] {
        kim.post("/api/reset", json!({ "secret": secret, "password": password }))
            .refused_naming(status, "password");
    }
    let login = kim.post("/api/reset", json!({ "secret": secret, "password": NEW })).ok();
    assert_eq!(login["user"]["role"], "child");
    assert_eq!(kim.get("/api/auth/user").ok()["role"], "child");
    assert_eq!(kim.get("/api/groups").ok()[0]["name"], "Home");
    assert_eq!(ann.get("/api/auth/user").ok()["role"], "owner");
    let members = ann.get(&format!("/api/groups/{home}")).ok()["members"].clone();
    let roles: Vec<&Value> = members.as_array().unwrap().iter().map(|member| &member["role"]).collect();
    assert_eq!(roles, ["child", "admin"]);
    assert!(
        members.to_string().matches("\"owner\"").count() == 0,
        "who owns the server is not everybody's business"
    );

    kim.log(&home, "mine");
    socket.expect_deuce("mine");
    server.nobody().login("Kim", Some(NEW));
    let listed = ann.get("/api/people").ok();
    listed.as_array().unwrap().iter().for_each(person);
    assert_eq!(listed[1]["entries"], 1);
    assert_eq!(listed[1]["ready"], true);
    check::time(&listed[1]["lastLoginAt"]);
}

#[test]
fn an_account_prepared_with_a_password_needs_no_link() {
    let server = Server::strict();
    let ann = owner(&server, "Ann");
    let made = ann.post("/api/people", json!({ "username": "Bob", "password": NEW })).ok();
    assert_eq!(made.get("resetLink"), None);
    assert_eq!(made["person"]["role"], "member");
    let bob = server.nobody();
    assert_eq!(bob.login("Bob", Some(NEW))["user"]["role"], "member");
    // A name that is taken, or none, or too short a password, makes nothing.
    ann.post("/api/people", json!({ "username": "bob" })).refused_naming(400, "username");
    ann.post("/api/people", json!({})).refused(400, "Username is required");
    ann.post("/api/people", json!({ "username": "Cid", "password": "short" }))
        .refused_naming(400, "password");
    ann.post("/api/people", json!({ "username": "Cid", "child": "yes" })).refused_naming(400, "child");
    assert_eq!(ann.get("/api/people").ok().as_array().unwrap().len(), 2);
}

#[test]
fn owning_the_server_is_no_key_to_other_peoples_groups() {
    let server = Server::strict();
    let (ann, bob) = (owner(&server, "Ann"), server.person("Bob"));
    let private = bob.found("Private");
    ann.get(&format!("/api/groups/{private}")).refused(403, "Not authorized");
    let body = json!({ "username": "Spy", "groupIds": [private] });
    ann.post("/api/people", body).refused(403, &format!("Not authorized for group {private}"));
    ann.post(&format!("/api/groups/{private}/members"), json!({ "userId": "dev-ann" })).refused_with(403);
    ann.post(&format!("/api/groups/{private}/people"), json!({ "username": "Spy" })).refused_with(403);
    assert_eq!(bob.members_of(&private), [bob.id()]);
}

#[test]
fn a_groups_admin_prepares_accounts_for_that_group() {
    let server = Server::strict();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    let path = format!("/api/groups/{home}/people");
    let made = ann.post(&path, json!({ "username": "Kim", "child": true })).ok();
    assert_eq!(
        (&made["person"]["role"], &made["person"]["groups"][0]["id"]),
        (&json!("child"), &json!(home))
    );
    bob.post(&path, json!({ "username": "Lou" })).refused(403, "Only admins can do this");
    server.person("Eve").post(&path, json!({ "username": "Lou" })).refused(403, "Not authorized");
    let kim = server.nobody();
    kim.post("/api/reset", json!({ "secret": secret_of(&made), "password": NEW })).ok();
    kim.post(&path, json!({ "username": "Lou" })).refused_naming(403, "child's account");
    // No more than that: an admin of a group does not run the server.
    ann.get("/api/people").refused(403, "Only an owner of this server can do this");
    ann.post("/api/people/dev-kim/reset", json!({})).refused_with(403);
}

#[test]
fn a_reset_link_works_once_and_ends_everything_else() {
    let server = Server::strict();
    let (ann, bob) = (owner(&server, "Ann"), server.person("Bob"));
    let mut socket = bob.socket();
    let first = secret_of(&ann.post("/api/people/dev-bob/reset", json!({})).ok());
    let link = secret_of(&ann.post("/api/people/dev-bob/reset", json!({})).ok());
    // Until it is used, everything is as it was.
    bob.get("/api/auth/user").ok();
    server.device("Bob");
    socket.expect_silence();
    let reset = |client: &Client, secret: &str, password: &str| {
        client.post("/api/reset", json!({ "secret": secret, "password": password }))
    };
    let fresh = server.nobody();
    reset(&fresh, &first, NEW).refused_naming(403, "link");
    let login = reset(&fresh, &link, NEW).ok();
    assert_eq!((&login["ok"], &login["user"]["id"]), (&json!(true), &json!("dev-bob")));
    socket.expect_close(1008);
    bob.get("/api/auth/user").refused(401, "Unauthorized");
    fresh.get("/api/auth/user").ok();
    let login = |password: &str| {
        server.nobody().post("/api/login", json!({ "username": "Bob", "password": password }))
    };
    login(PASSWORD).refused(401, "Wrong name or password");
    login(NEW).ok();
    for secret in [link.as_str(), "nonsense", "", &"A".repeat(43)] {
        reset(&server.nobody(), secret, "another long one").refused_naming(403, "link");
    }
    server.nobody().post("/api/reset", json!({ "password": NEW })).refused_naming(400, "secret");
    login(NEW).ok();
}

#[test]
fn many_use_one_link_at_once_and_one_gets_through() {
    let server = Server::strict();
    let ann = owner(&server, "Ann");
    server.person("Bob");
    let link = secret_of(&ann.post("/api/people/dev-bob/reset", json!({})).ok());
    let answers = crate::harness::together(4, |index| {
        let body = json!({ "secret": link, "password": format!("{NEW} {index}") });
        server.nobody().post("/api/reset", body).status
    });
    assert_eq!(answers.iter().filter(|status| **status == 200).count(), 1, "{answers:?}");
    assert_eq!(answers.iter().filter(|status| **status == 403).count(), 3, "{answers:?}");
}

#[test]
fn a_reset_link_is_over_after_a_day() {
    let mut server = Server::strict();
    let ann = owner(&server, "Ann");
    server.person("Bob");
    let make = || secret_of(&ann.post("/api/people/dev-bob/reset", json!({})).ok());
    let in_time = make();
    server.restart_later(23 * 3600);
    let body = json!({ "secret": in_time, "password": NEW });
    server.nobody().post("/api/reset", body).ok();
    let too_late = make();
    server.restart_later(24 * 3600 + 1);
    let body = json!({ "secret": too_late, "password": "another long password" });
    server.nobody().post("/api/reset", body).refused_naming(403, "expired");
    server.nobody().login("Bob", Some(NEW));
}

#[test]
fn who_is_disabled_is_out_and_what_they_wrote_stays() {
    let server = Server::strict();
    let (ann, bob) = (owner(&server, "Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    bob.log(&home, "still here");
    let mut socket = bob.socket();
    let (link, invite) =
        (secret_of(&ann.post("/api/people/dev-bob/reset", json!({})).ok()), bob.invite(&home));
    let changed = ann.patch("/api/people/dev-bob", json!({ "disabled": true })).ok();
    person(&changed);
    assert_eq!(changed["disabled"], true);
    socket.expect_close(1008);
    for session in [&bob, &bob.bearer()] {
        session.get("/api/groups").refused(401, "Unauthorized");
    }
    bob.bearer().handshake().refused(401);
    let wrong = server.nobody().post("/api/login", json!({ "username": "Bob", "password": "wrong" }));
    let right = server.nobody().post("/api/login", json!({ "username": "Bob", "password": PASSWORD }));
    assert_eq!((wrong.status, wrong.message()), (right.status, right.message()), "the same answer");
    server
        .nobody()
        .post("/api/reset", json!({ "secret": link, "password": NEW }))
        .refused_naming(403, "link");
    ann.post("/api/people/dev-bob/reset", json!({})).refused_naming(400, "disabled");
    server
        .person("Eve")
        .post(&format!("/api/join/{invite}"), json!({}))
        .refused(400, "Invalid or expired invite");
    assert_eq!(ann.thoughts_in(&home), ["still here"]);
    assert_eq!(ann.members_of(&home).len(), 2);

    ann.patch("/api/people/dev-bob", json!({ "disabled": false })).ok();
    bob.get("/api/groups").refused(401, "Unauthorized");
    let again = server.device("Bob");
    assert_eq!(again.get("/api/groups").ok()[0]["name"], "Home");
}

#[test]
fn the_last_owner_stays() {
    let server = Server::strict();
    let (ann, bob) = (owner(&server, "Ann"), server.person("Bob"));
    for change in
        [json!({ "owner": false }), json!({ "disabled": true }), json!({ "child": true, "owner": false })]
    {
        ann.patch("/api/people/dev-ann", change).refused_naming(400, "owner");
    }
    ann.patch("/api/people/dev-ann", json!({ "child": true })).refused_naming(400, "owner");
    ann.delete("/api/people/dev-ann").refused_naming(400, "owner");
    ann.delete("/api/user/account").refused_naming(400, "owner");
    for words in [
        &["owner", "ann", "no"][..],
        &["disable", "Ann"],
        &["remove", "Ann", "--yes"],
        &["child", "Ann", "yes"],
    ] {
        assert!(server.user_refused(words).contains("owner"), "{words:?}");
    }
    ann.get("/api/people").ok();

    // One who cannot log in is none, also where a password was not chosen yet.
    ann.post("/api/people", json!({ "username": "Dave" })).ok();
    ann.patch("/api/people/dev-dave", json!({ "owner": true })).ok();
    ann.patch("/api/people/dev-ann", json!({ "owner": false })).refused_naming(400, "owner");
    ann.patch("/api/people/dev-dave", json!({ "owner": false })).ok();
    ann.patch("/api/people/dev-bob", json!({ "owner": true })).ok();
    ann.patch("/api/people/dev-bob", json!({ "disabled": true })).ok();
    ann.patch("/api/people/dev-ann", json!({ "owner": false })).refused_naming(400, "owner");
    ann.patch("/api/people/dev-bob", json!({ "disabled": false })).ok();
    let bob = {
        drop(bob);
        server.device("Bob")
    };
    assert_eq!(bob.get("/api/auth/user").ok()["role"], "owner");
    assert_eq!(ann.patch("/api/people/dev-ann", json!({ "owner": false })).ok()["role"], "member");
    ann.get("/api/people").refused(403, "Only an owner of this server can do this");
    bob.delete("/api/people/dev-ann").ok();
    bob.patch("/api/people/dev-bob", json!({ "owner": false })).refused_naming(400, "owner");
}

#[test]
fn two_owners_who_dismiss_each_other_at_once_leave_one() {
    let server = Server::strict();
    let owners = [owner(&server, "Ann"), owner(&server, "Bob")];
    let others = ["dev-bob", "dev-ann"];
    crate::harness::together(2, |index| {
        owners[index].patch(&format!("/api/people/{}", others[index]), json!({ "owner": false })).status
    });
    let left = owners.iter().filter(|one| one.get("/api/people").status == 200).count();
    assert_eq!(left, 1);
}

#[test]
fn a_person_who_is_removed_is_gone_as_if_by_themselves() {
    let server = Server::strict();
    let (ann, bob) = (owner(&server, "Ann"), server.person("Bob"));
    let home = bob.found("Home");
    bob.bring(&home, &ann);
    bob.log(&home, "secret thoughts");
    let mut socket = bob.socket();
    ann.delete("/api/people/dev-bob").ok();
    socket.expect_close(1008);
    bob.get("/api/auth/user").refused(401, "Unauthorized");
    assert_eq!(ann.thoughts_in(&home), [""]);
    assert_eq!(ann.members_of(&home), [ann.id()], "and she runs the group now");
    ann.patch(&format!("/api/groups/{home}"), json!({ "name": "Hers" })).ok();
    ann.delete("/api/people/dev-bob").refused(404, "Person not found");
    ann.patch("/api/people/dev-bob", json!({ "disabled": true })).refused(404, "Person not found");
    ann.post("/api/people/dev-bob/reset", json!({})).refused(404, "Person not found");
    ann.patch("/api/people/dev-ann", json!({})).refused_with(400);
}

#[test]
fn in_open_mode_owners_rights_come_from_the_shell_alone() {
    let server = Server::open();
    server.add_user("Ann", &["--admin"]);
    let ann = server.person("Ann");
    let bob = server.person("Bob");
    for (method, path) in [
        ("GET", "/api/people"),
        ("POST", "/api/people"),
        ("PATCH", "/api/people/dev-bob"),
        ("DELETE", "/api/people/dev-bob"),
        ("POST", "/api/people/dev-bob/reset"),
    ] {
        let reply = ann.request(method, path).json(&json!({ "username": "Kim", "disabled": true })).send();
        reply.refused_naming(403, "deuced user");
    }
    let home = ann.found("Home");
    ann.post(&format!("/api/groups/{home}/people"), json!({ "username": "Kim" }))
        .refused_naming(403, "deuced user");
    let mut socket = bob.socket();
    server.user(&["disable", "bob"]);
    socket.expect_close(1008);
    let refused = || server.nobody().post("/api/login", json!({ "username": "Bob" }));
    refused().refused(401, "Wrong name or password");
    server.user(&["enable", "bob"]);
    refused().ok();
}

#[test]
fn the_shell_looks_after_accounts_beside_the_server() {
    let server = Server::strict();
    server.add_user("Ann", &["--admin"]);
    server.add_user("Kim", &["--child"]);
    let bob = server.person("Bob");
    let home = bob.found("Home");
    bob.log(&home, "one");
    let list = server.user(&["list"]);
    let lines: Vec<&str> = list.lines().collect();
    let words: Vec<Vec<&str>> = lines.iter().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(words[0], ["NAME", "ROLE", "STATE", "ENTRIES", "LAST", "LOGIN", "GROUPS"]);
    assert_eq!(words[1], ["Ann", "owner", "active", "0", "-", "-"]);
    assert_eq!(words[2], ["Kim", "child", "active", "0", "-", "-"]);
    assert_eq!(
        (words[3][..4].to_vec(), words[3].last()),
        (vec!["Bob", "member", "active", "1"], Some(&"Home"))
    );
    assert!(words[3][5].ends_with('Z'), "{list}");

    assert!(server.user(&["disable", "BOB"]).contains("BOB"));
    assert!(server.user(&["list"]).lines().any(|line| line.contains("Bob") && line.contains("disabled")));
    server.user(&["enable", "Bob"]);
    server.user(&["child", "Bob", "yes"]);
    assert_eq!(server.device("Bob").get("/api/auth/user").ok()["role"], "child");
    server.user(&["child", "Bob", "no"]);
    server.user(&["owner", "Bob", "yes"]);
    assert_eq!(server.device("Bob").get("/api/auth/user").ok()["role"], "owner");
    server.user(&["owner", "Bob", "no"]);
    assert!(server.user_refused(&["owner", "Kim", "yes"]).contains("child"));
    assert!(server.user_refused(&["disable", "Nobody"]).contains("there is no account named Nobody"));

    let said = server.user(&["reset", "Bob"]);
    let link = said.split_whitespace().find(|word| word.contains("/reset#")).expect("a link");
    let (place, secret) = link.split_once("/reset#").unwrap();
    assert_eq!(place, format!("http://{}", server.address()), "where the server listens");
    server.nobody().post("/api/reset", json!({ "secret": secret, "password": NEW })).ok();

    // It asks, and nobody is there to answer.
    assert!(server.user_refused(&["remove", "Bob"]).contains("--yes"));
    server.nobody().login("Bob", Some(NEW));
    server.user(&["remove", "Bob", "--yes"]);
    assert!(!server.user(&["list"]).contains("Bob"));
    server.nobody().post("/api/login", json!({ "username": "Bob", "password": NEW })).refused_with(401);
}

#[test]
fn the_shell_looks_after_accounts_without_a_server_too() {
    let mut server = Server::strict();
    server.add_user("Ann", &["--admin"]);
    server.person("Bob");
    server.terminate();
    server.user(&["disable", "Bob"]);
    let said = server.user(&["reset", "Ann"]);
    assert!(said.contains("/reset#") && said.contains(":8222") && said.contains("does not run"), "{said}");
    server.start_again();
    server.nobody().post("/api/login", json!({ "username": "Bob", "password": PASSWORD })).refused_with(401);
    let empty = crate::harness::server::Directory::new();
    let words = ["user", "list", "--data", empty.0.to_str().unwrap()];
    let output = crate::harness::server::run(&words, "");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("there is no diary"), "{output:?}");
}

/// Who asks, in the order of the letters in [`MATRIX`].
const ROLES: [&str; 5] = ["owner", "leader", "member", "child", "outsider"];

/// What comes of each route for each of [`ROLES`]: `+` is done, `f` forbidden, `n` not found, `b` a bad request; `!` marks
/// what changes so much that each of them gets a group of its own. In paths and bodies, `{g}` is the group, `{o}` another one
/// of its leader's, `{e}` an entry, `{i}` an invite `{m}` and `{l}` messages of the leader's there and in `general`, `{r}` who asks, and `{x}` differs each time.
const MATRIX: &[(&str, &str, &str, &str)] = &[
    ("GET", "/api/auth/user", "", "+++++"),
    ("PUT", "/api/auth/user", r#"{"username":"the {r}"}"#, "+++++"),
    ("POST", "/api/auth/user/profile-picture", "{}", "bbbbb"),
    (
        "PUT",
        "/api/auth/password",
        r#"{"oldPassword":"correct horse battery","newPassword":"correct horse battery"}"#,
        "+++++",
    ),
    ("GET", "/api/sessions", "", "+++++"),
    ("DELETE", "/api/sessions/999999", "", "nnnnn"),
    ("DELETE", "/api/sessions", "", "+++++"),
    ("GET", "/api/devices", "", "+++++"),
    ("POST", "/api/devices", r#"{"name":"d{x}","groupIds":["{g}"],"verbs":["log"]}"#, "+++ff"),
    ("DELETE", "/api/devices/999999", "", "nnnnn"),
    ("GET", "/api/people", "", "+ffff"),
    ("POST", "/api/people", r#"{"username":"a{x}"}"#, "+ffff"),
    ("PATCH", "/api/people/dev-spare", r#"{"disabled":false}"#, "+ffff"),
    ("DELETE", "/api/people/dev-nobody", "", "nffff"),
    ("POST", "/api/people/dev-spare/reset", "{}", "+ffff"),
    ("POST", "/api/deuces", r#"{"groupIds":["{g}"],"location":"Home","thoughts":""}"#, "++++f"),
    ("GET", "/api/deuces", "", "+++++"),
    ("GET", "/api/deuces?groupId={g}", "", "++++f"),
    ("DELETE", "/api/deuces/{e}", "", "f+ffn!"),
    ("GET", "/api/entries/{e}/reactions", "", "++++f"),
    ("POST", "/api/entries/{e}/reactions", r#"{"emoji":"🔥"}"#, "++++f"),
    ("DELETE", "/api/entries/{e}/reactions", r#"{"emoji":"🔥"}"#, "+++++"),
    ("GET", "/api/groups", "", "+++++"),
    ("POST", "/api/groups", r#"{"name":"mine"}"#, "+++f+"),
    ("GET", "/api/groups/{g}", "", "++++f"),
    ("PATCH", "/api/groups/{g}", r#"{"name":"new"}"#, "f+fff"),
    ("PUT", "/api/groups/{g}", r#"{"name":"new"}"#, "f+fff"),
    ("DELETE", "/api/groups/{g}", "", "f+fff!"),
    ("POST", "/api/groups/{g}/leave", "{}", "+b++f!"),
    ("POST", "/api/groups/{g}/people", r#"{"username":"b{x}"}"#, "f+fff"),
    ("POST", "/api/groups/{g}/members", r#"{"userId":"dev-other-child"}"#, "++fff"),
    ("DELETE", "/api/groups/{g}/members/dev-spare", "", "f+fff!"),
    ("PUT", "/api/groups/{g}/members/dev-spare", r#"{"role":"member"}"#, "f+fff"),
    ("PATCH", "/api/groups/{g}/members/dev-spare", r#"{"role":"admin"}"#, "f+fff!"),
    ("PUT", "/api/groups/{g}/members/dev-child", r#"{"role":"admin"}"#, "fbfff"),
    ("POST", "/api/groups/{g}/invite", "{}", "+++ff"),
    ("GET", "/api/groups/{g}/invites", "", "+++ff"),
    ("GET", "/api/groups/{g}/invites/{i}/qr", "", "+++ff"),
    ("DELETE", "/api/groups/{g}/invites/{i}", "", "f+fff!"),
    ("POST", "/api/join/{i}", "{}", "+++++"),
    ("POST", "/api/join/{o}", "{}", "+++f+"),
    ("GET", "/api/analytics/most-deuces", "", "+++++"),
    ("GET", "/api/locations", "", "+++++"),
    ("POST", "/api/locations", r#"{"name":"c{x}"}"#, "+++++"),
    ("GET", "/api/user/export", "", "+++++"),
    ("GET", "/api/rooms", "", "+++++"),
    ("GET", "/api/rooms/general/messages", "", "+++f+"),
    ("POST", "/api/rooms/general/messages", r#"{"text":"hello"}"#, "+++f+"),
    ("PATCH", "/api/rooms/general/messages/{l}", r#"{"text":"hello"}"#, "f+fff"),
    ("DELETE", "/api/rooms/general/messages/{l}", "", "f+fff"),
    ("GET", "/api/rooms/group:{g}/messages", "", "++++f"),
    ("POST", "/api/rooms/group:{g}/messages", r#"{"text":"hello"}"#, "++++f"),
    ("PATCH", "/api/rooms/group:{g}/messages/{m}", r#"{"text":"hello"}"#, "f+fff"),
    ("DELETE", "/api/rooms/group:{g}/messages/{m}", "", "f+fff!"),
    ("GET", "/api/notifications", "", "+++++"),
    ("POST", "/api/notifications", r#"{"userId":"dev-spare","data":{}}"#, "+ffff"),
    ("GET", "/api/notifications/unread-count", "", "+++++"),
    ("POST", "/api/notifications/read-all", "{}", "+++++"),
    ("POST", "/api/notifications/999999/read", "{}", "nnnnn"),
    ("GET", "/api/groups/{g}/notifications", "", "++++f"),
    ("PUT", "/api/groups/{g}/notifications", r#"{"joins":true}"#, "++++f"),
    ("PATCH", "/api/groups/{g}/notifications", r#"{"joins":true}"#, "++++f"),
];

/// What has a story of its own, because nobody is left to ask afterwards.
const ELSEWHERE: [(&str, &str); 1] = [("DELETE", "/api/user/account")];

/// A group with everybody but the outsider in it, and what is in it.
struct Place {
    group: String,
    entry: String,
    invite: String,
    message: String,
}

fn place(people: &[Client; 5], spare: &Client) -> Place {
    let [owner, leader, member, child, _] = people;
    let group = leader.found("Home");
    for grown_up in [owner, member, spare] {
        leader.bring(&group, grown_up);
    }
    leader.post(&format!("/api/groups/{group}/members"), json!({ "userId": child.id() })).ok();
    let said = leader.post(&format!("/api/rooms/group:{group}/messages"), json!({ "text": "hello" })).ok();
    let entry = leader.log_id(&group, "mine");
    // The child and the outsider come by it, too: one is in, the other is let in.
    let invite = leader.invite(&group);
    Place { group, entry, invite, message: said["seq"].to_string() }
}

#[test]
fn who_may_do_what() {
    let setup = Server::setup()
        .limit("groups_per_minute", 100_000)
        .limit("joins_per_minute", 100_000)
        .limit("groups_per_user", 1000)
        .limit("deuces_per_minute", 100_000);
    let server = setup.start();
    server.add_user("owner", &["--admin"]);
    server.add_user("child", &["--child"]);
    server.add_user("other child", &["--child"]);
    let people = ROLES.map(|role| server.person_or_device(role));
    let (spare, disabled) = (server.person("spare"), server.person("disabled"));
    // Children get into their first group by an owner, who is a member of it.
    let first = people[1].found("First");
    people[1].bring(&first, &people[0]);
    for child in ["dev-child", "dev-other-child"] {
        people[0].post(&format!("/api/groups/{first}/members"), json!({ "userId": child })).ok();
    }
    people[0].patch("/api/people/dev-disabled", json!({ "disabled": true })).ok();

    let mut shared = place(&people, &spare);
    let other = people[1].found("Other");
    let (mut number, mut wrong) = (0, Vec::new());
    for (method, path, body, outcome) in MATRIX {
        let separate = outcome.ends_with('!');
        // The least powerful first, so that what is allowed to others is still there to be refused.
        for index in (0..ROLES.len()).rev() {
            number += 1;
            let own;
            let place = if separate {
                own = place(&people, &spare);
                &own
            } else {
                &shared
            };
            let into_other = if path.contains("{o}") { people[1].invite(&other) } else { String::new() };
            let in_general = match path.contains("{l}") {
                true => people[1].post("/api/rooms/general/messages", json!({ "text": "x" })).ok()["seq"]
                    .to_string(),
                false => String::new(),
            };
            let fill = |text: &str| {
                text.replace("{l}", &in_general)
                    .replace("{g}", &place.group)
                    .replace("{o}", &into_other)
                    .replace("{e}", &place.entry)
                    .replace("{i}", &place.invite)
                    .replace("{m}", &place.message)
                    .replace("{r}", ROLES[index])
                    .replace("{x}", &number.to_string())
            };
            let ask = |client: &Client| {
                let request = client.request(method, &fill(path));
                let request =
                    if body.is_empty() { request } else { request.content("application/json", fill(body)) };
                request.send()
            };
            let reply = ask(&people[index]);
            let letter = match reply.status {
                200 => '+',
                400 => 'b',
                403 => 'f',
                404 => 'n',
                _ => '?',
            };
            if outcome.chars().nth(index) != Some(letter) {
                wrong.push(format!("{} {method} {path}: {letter} {}", ROLES[index], reply.text()));
            }
            if index == 0 {
                ask(&disabled).refused(401, "Unauthorized");
            }
        }
        // Who has let themselves in is out again.
        if *path == "/api/join/{i}" {
            people[4].post(&format!("/api/groups/{}/leave", shared.group), json!({})).ok();
        }
        if *path == "/api/sessions" && *method == "DELETE" {
            shared = place(&people, &spare);
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_matrix_knows_every_route_that_needs_a_login() {
    const TABLE: &str = include_str!("../../src/http/router.rs");
    let fits = |pattern: &str, path: &str| {
        let path = path.split('?').next().unwrap_or_default();
        let (want, have): (Vec<&str>, Vec<&str>) = (pattern.split('/').collect(), path.split('/').collect());
        want.len() == have.len() && want.iter().zip(&have).all(|(want, have)| *want == ":" || want == have)
    };
    let mut missing = Vec::new();
    for line in TABLE.lines().filter_map(|line| line.trim().strip_prefix("session(Method::")) {
        let (method, rest) = line.split_once(", &[").unwrap();
        let pattern = format!("/{}", rest.split_once(']').unwrap().0.replace('"', "").replace(", ", "/"));
        let method = method.to_uppercase();
        let known = MATRIX.iter().map(|(verb, path, ..)| (*verb, *path)).chain(ELSEWHERE);
        if !known.into_iter().any(|(verb, path)| verb == method && fits(&pattern, path)) {
            missing.push(format!("{method} {pattern}"));
        }
    }
    assert!(missing.is_empty(), "who may do this? {missing:?}");
}
