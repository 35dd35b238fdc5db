//! Coming in and going out: names, passwords, sessions, and where the page is sent.

use crate::harness::{Reply, Server, check, server::PASSWORD};
use serde_json::json;

const DAY: i64 = 24 * 60 * 60;

/// What needs a session: method and path of each such line in the server's own table.
fn protected() -> Vec<(String, String)> {
    const TABLE: &str = include_str!("../../src/http/router.rs");
    let parse = |line: &str| {
        let (method, rest) = line.trim().strip_prefix("session(Method::")?.split_once(", &[")?;
        let pattern = rest.split_once(']')?.0.replace('"', "").replace(", ", "/").replace(':', "x");
        Some((method.to_uppercase(), format!("/{pattern}")))
    };
    let routes: Vec<_> = TABLE.lines().filter_map(parse).collect();
    assert_eq!(routes.len(), TABLE.matches("session(Method::").count(), "each line was understood");
    assert!(routes.len() >= 28 && routes.iter().all(|(_, path)| path.starts_with("/api/")), "{routes:?}");
    assert!(routes.contains(&("DELETE".into(), "/api/groups/x/members/x".into())), "{routes:?}");
    routes
}

#[test]
fn a_name_is_enough_in_open_mode() {
    let server = Server::open();
    let ann = server.nobody();
    let reply = ann.post("/api/login", json!({ "username": "  Ann  " }));
    let login = reply.ok();
    assert_eq!(login["ok"], true);
    check::user(&login["user"]);
    assert_eq!(login["user"]["id"], "dev-ann");
    assert_eq!(login["user"]["firstName"], "Ann");
    assert_eq!(login["user"]["deuceCount"], 0);
    assert_eq!(login.get("joinedGroup"), None);
    let token = login["token"].as_str().unwrap();
    assert_eq!(token.len(), 43);
    assert!(token.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)), "{token}");
    let cookie = reply.header("Set-Cookie").unwrap();
    assert!(cookie.starts_with("deuced=") && !cookie.contains("Secure"), "{cookie}");
    assert!(cookie.contains("Expires=") || cookie.contains("Max-Age="), "{cookie}");

    let me = ann.get("/api/auth/user").json();
    assert_eq!(me["id"], "dev-ann");
    assert_eq!(ann.get("/api/groups").ok(), json!([]));
}

#[test]
fn login_by_form() {
    let server = Server::open();
    let ann = server.nobody();
    let login = ann.form("/api/login", "username=Ann+Mary%20Lou").ok();
    assert_eq!(login["user"]["firstName"], "Ann Mary Lou");
    ann.get("/api/auth/user").ok();
}

#[test]
fn a_login_needs_a_name() {
    let server = Server::open();
    let nobody = server.nobody();
    for body in
        [json!({}), json!({ "username": "" }), json!({ "username": " \t " }), json!({ "username": null })]
    {
        nobody.post("/api/login", body).refused(400, "Username is required");
    }
    for body in [json!({ "username": 7 }), json!({ "username": ["Ann"] }), json!({ "username": { "a": 1 } })]
    {
        nobody.post("/api/login", body).refused(400, "Username is required");
    }
    nobody.form("/api/login", "username=").refused(400, "Username is required");
    nobody.request("POST", "/api/login").send().refused(400, "Username is required");
    assert_eq!(nobody.cookie(), None);
}

#[test]
fn a_name_of_51_letters() {
    let server = Server::open();
    let nobody = server.nobody();
    nobody.post("/api/login", json!({ "username": "a".repeat(51) })).refused_naming(400, "username");
    nobody.post("/api/login", json!({ "username": "ä".repeat(51) })).refused_naming(400, "username");
    nobody.post("/api/login", json!({ "username": "ä".repeat(50) })).ok();
    nobody.post("/api/login", json!({ "username": "x" })).ok();
}

#[test]
fn spellings_of_one_ascii_name_are_one_person() {
    let server = Server::open();
    assert_eq!(server.person("Mary Ann").id(), "dev-mary-ann");
    for spelling in ["mary ann", "MARY-ANN", "Mary.Ann"] {
        assert_eq!(server.device(spelling).id(), "dev-mary-ann", "{spelling}");
    }
    // One space more is another slug; in the original their e-mail addresses clashed.
    assert_eq!(server.device("Mary  Ann").id(), "dev-mary--ann");
}

#[test]
fn names_with_other_letters_are_different_people() {
    let server = Server::open();
    let names = ["Zoë", "Zoé", "Zo-", "Анна", "Инна", "李", "👍👍"];
    let ids: Vec<String> = names.iter().map(|name| server.person(name).id()).collect();
    for (index, id) in ids.iter().enumerate() {
        assert!(!ids[..index].contains(id), "{} is {} too", names[index], id);
    }
    let again: Vec<String> = names.iter().map(|name| server.device(name).id()).collect();
    assert_eq!(ids, again);
}

#[test]
fn a_later_login_changes_nothing_about_the_person() {
    let server = Server::open();
    let ann = server.person("Ann");
    ann.put("/api/auth/user", json!({ "username": "Annie" })).ok();
    let again = server.device("ANN");
    let me = again.get("/api/auth/user").ok();
    assert_eq!((&me["firstName"], &me["username"]), (&json!("Ann"), &json!("Annie")));
}

#[test]
fn every_login_is_a_session_of_its_own() {
    let server = Server::open();
    let (phone, tablet) = (server.person("Ann"), server.device("Ann"));
    assert_ne!(phone.token(), tablet.token());
    let before = phone.token();
    phone.login("Ann", None);
    assert_ne!(before, phone.token(), "the session changes at a login over an old one");

    phone.post("/api/auth/logout", json!({})).ok();
    phone.get("/api/auth/user").refused(401, "Unauthorized");
    tablet.get("/api/auth/user").ok();
}

#[test]
fn logout_by_navigation() {
    let server = Server::open();
    let ann = server.person("Ann");
    let stolen = ann.twin();
    let reply = ann.get("/api/logout");
    reply.leads_to("/");
    assert_eq!(ann.cookie(), None, "the cookie is cleared");
    stolen.get("/api/auth/user").refused(401, "Unauthorized");
    stolen.bearer().get("/api/auth/user").refused(401, "Unauthorized");
    server.nobody().get("/api/logout").leads_to("/");
}

#[test]
fn logout_by_post() {
    let server = Server::open();
    for path in ["/api/logout", "/api/auth/logout"] {
        let (ann, tablet) = (server.person("Ann"), server.device("Ann"));
        let stolen = ann.twin();
        let mut socket = ann.socket();
        assert_eq!(ann.post(path, json!({})).ok(), json!({ "ok": true }));
        assert_eq!(ann.cookie(), None, "the cookie is cleared");
        socket.expect_close(1008);
        stolen.get("/api/auth/user").refused(401, "Unauthorized");
        tablet.get("/api/auth/user").ok();
        // Without a login there is nothing to end.
        assert_eq!(server.nobody().post(path, json!({})).ok(), json!({ "ok": true }));
    }
}

#[test]
fn a_bearer_token_works_everywhere_a_cookie_does() {
    let server = Server::open();
    let program = server.person("Ann").bearer();
    let home = program.found("Home");
    let entry = program.log_id(&home, "from a program");
    program.post(&format!("/api/entries/{entry}/reactions"), json!({ "emoji": "👍" })).ok();
    assert_eq!(program.thoughts_in(&home), ["from a program"]);
    program.post("/api/auth/logout", json!({})).ok();
    program.get("/api/groups").refused(401, "Unauthorized");
}

#[test]
fn without_a_session_there_is_nothing() {
    let server = Server::open();
    let ann = server.person("Ann");
    let session = ann.cookie().unwrap();
    let token = session.strip_prefix("deuced=").unwrap();
    let nobody = server.nobody();
    let refused = |reply: Reply| {
        reply.refused(401, "Unauthorized");
        let line = reply.text();
        assert!(
            line.lines().next().unwrap().contains("Unauthorized"),
            "the client reads the first line: {line}"
        );
    };
    for (method, path) in &protected() {
        refused(nobody.request(method, path).json(&json!({})).send());
        refused(nobody.request(method, path).header("Cookie", "deuced=").json(&json!({})).send());
        refused(
            nobody
                .request(method, path)
                .header("Cookie", &format!("deuced={token}x"))
                .json(&json!({}))
                .send(),
        );
    }
    let forged = [
        format!("deuced={}", "A".repeat(43)),
        "deuced=\u{7f}".replace('\u{7f}', "%00"),
        format!("deuced={}", &token[..42]),
        format!("deuced={}", token.to_lowercase()),
        format!("other={token}"),
        format!("xdeuced={token}"),
        "connect.sid=s%3Aabc.def".into(),
        "=; ;;=a; deuced".into(),
        "a=Zoë; deuced=Zoé".into(),
    ];
    for cookie in &forged {
        refused(nobody.request("GET", "/api/auth/user").header("Cookie", cookie).send());
    }
    for credentials in ["Bearer", "Bearer ", "Bearer nonsense", "Basic QW5uOg==", "Bearer a b", "Zoë"] {
        refused(nobody.request("GET", "/api/auth/user").header("Authorization", credentials).send());
    }
    let among_others = format!("connect.sid=s%3Aabc; theme=dark; {session}; x=y");
    ann.request("GET", "/api/auth/user").header("Cookie", &among_others).send().ok();
}

#[test]
fn another_spelling_of_a_path_opens_nothing() {
    let server = Server::open();
    let ann = server.person("Ann");
    let nobody = server.nobody();
    for path in ["/API/groups", "/api/Groups", "/api/groups/", "/%61pi/groups"] {
        nobody.get(path).refused(401, "Unauthorized");
    }
    for path in
        ["/api//groups", "//api/groups", "/api/groups//", "/uploads", "/uploads/", "/API", "//uploads/x"]
    {
        for somebody in [&nobody, &ann] {
            somebody.get(path).refused(404, "Not found");
        }
    }
    for path in ["/api/groups/", "/API/Groups", "/%61pi/groups"] {
        assert_eq!(ann.get(path).ok(), json!([]), "{path}");
    }
}

#[test]
fn a_used_session_is_renewed_and_a_forgotten_one_ends() {
    let mut server = Server::setup().open().limit("session_days", 7).start();
    let (used, forgotten) = (server.person("Ann"), server.device("Ann"));
    for _ in 0..2 {
        server.restart_later(5 * DAY);
        used.get("/api/auth/user").ok();
    }
    forgotten.get("/api/auth/user").refused(401, "Unauthorized");
    server.restart_later(8 * DAY);
    used.get("/api/auth/user").refused(401, "Unauthorized");
}

#[test]
fn the_cookie_is_renewed_in_the_browser_too() {
    let mut server = Server::setup().open().limit("session_days", 7).start();
    let ann = server.person("Ann");
    server.restart_later(5 * DAY);
    let renewed = ann.get("/api/auth/user");
    let cookie = renewed.header("Set-Cookie").expect("a session that is renewed says so to the browser");
    assert!(cookie.starts_with(&ann.cookie().unwrap()), "the same session: {cookie}");
}

#[test]
fn the_login_page_leads_home() {
    let server = Server::open();
    let ann = server.person("Ann");
    let group = ann.found("Home");
    let invite = ann.invite(&group);
    let nobody = server.nobody();
    nobody.get("/api/login").leads_to("/");
    for target in [format!("%2Fjoin%2F{invite}"), format!("/join/{invite}")] {
        nobody.get(&format!("/api/login?returnTo={target}")).leads_to(&format!("/?join={invite}"));
    }
    let elsewhere = [
        "https://evil.example/",
        "//evil.example",
        "/%5Cevil.example",
        "%2F%2Fevil.example%2Fjoin%2Fx",
        "/join/",
        "/join/../api/logout",
        "/join/a%0d%0aSet-Cookie:%20a=b",
        "/groups",
        "javascript:alert(1)",
        "",
    ];
    for target in elsewhere {
        nobody.get(&format!("/api/login?returnTo={target}")).leads_to("/");
    }
}

#[test]
fn an_invite_link_leads_to_the_page_that_joins() {
    let server = Server::open();
    let ann = server.person("Ann");
    let invite = ann.invite(&ann.found("Home"));
    for visitor in [&ann, &server.nobody()] {
        visitor.get(&format!("/join/{invite}")).leads_to(&format!("/?join={invite}"));
        for nonsense in ["<script>", "a&b=c", "é"] {
            let target = nonsense.replace('<', "%3C").replace('>', "%3E").replace('é', "%C3%A9");
            visitor.get(&format!("/join/{target}")).leads_to("/");
        }
        for nonsense in ["a%0d%0ab", "%2e%2e"] {
            visitor.get(&format!("/join/{nonsense}")).refused_with(400);
        }
    }
}

#[test]
fn an_invite_code_at_login_joins_at_once() {
    let server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let invite = ann.invite(&home);
    let bob = server.nobody();
    let login = bob.post("/api/login", json!({ "username": "Bob", "inviteCode": invite })).ok();
    assert_eq!(login["joinedGroup"], json!({ "id": home, "name": "Home" }));
    assert_eq!(ann.members_of(&home).len(), 2);

    let again = server.nobody().post("/api/login", json!({ "username": "Bob", "inviteCode": invite })).ok();
    assert_eq!(again["ok"], true);
    assert_eq!(ann.members_of(&home).len(), 2, "nobody is a member twice");
}

#[test]
fn a_bad_invite_code_at_login_joins_nothing() {
    let server = Server::setup().open().limit("users", 2).start();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let revoked = ann.invite(&home);
    ann.delete(&format!("/api/groups/{home}/invites/{revoked}")).ok();
    let unknown = "00000000-0000-4000-8000-000000000000";
    let over = "Invalid or expired invite";
    for (code, message) in [
        (json!("nonsense"), over),
        (json!(unknown), over),
        (json!(revoked), over),
        (json!(""), over),
        (json!(7), "inviteCode: must be a text"),
    ] {
        let eve = server.nobody();
        let reply = eve.post("/api/login", json!({ "username": "Eve", "inviteCode": code }));
        reply.refused(400, message);
        assert_eq!(reply.header("Set-Cookie"), None, "nobody is logged in");
        assert_eq!(reply.json().get("token"), None);
    }
    assert_eq!(ann.members_of(&home), [ann.id()]);
    // Eve has no account from that either: there is room for one more person.
    server.person("Bob").get("/api/auth/user").ok();
}

#[test]
fn strict_login_wants_the_password() {
    let server = Server::strict();
    server.add_user("Ann", &[]);
    let nobody = server.nobody();
    let wrong = nobody.post("/api/login", json!({ "username": "Ann", "password": "wrong" }));
    let unknown = nobody.post("/api/login", json!({ "username": "Eve", "password": PASSWORD }));
    wrong.refused(401, "Wrong name or password");
    unknown.refused(401, "Wrong name or password");
    for body in [json!({ "username": "Ann" }), json!({ "username": "Ann", "password": 7 })] {
        nobody.post("/api/login", body).refused_naming(400, "password");
    }
    nobody.post("/api/login", json!({ "password": PASSWORD })).refused(400, "Username is required");
    nobody.post("/api/login", json!({ "username": "Ann", "password": "x".repeat(5000) })).refused_with(400);
    assert_eq!(nobody.cookie(), None);

    let login = nobody.login("Ann", Some(PASSWORD));
    check::user(&login["user"]);
    assert_eq!(nobody.get("/api/auth/user").ok()["id"], login["user"]["id"]);
    let form = format!("username=Ann&password={}", PASSWORD.replace(' ', "+"));
    server.nobody().form("/api/login", &form).ok();
}

#[test]
fn a_deleted_persons_other_session_is_over() {
    let server = Server::open();
    let (phone, tablet) = (server.person("Ann"), server.device("Ann"));
    phone.delete("/api/user/account").ok();
    tablet.get("/api/auth/user").refused(401, "Unauthorized");
}
