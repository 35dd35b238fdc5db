//! Newcomers: by an invite link from nowhere into a group, in one step; and the link's picture.

use crate::harness::{
    Client, Server, check,
    client::texts,
    server::{PASSWORD, run},
};
use serde_json::{Value, json};

const INVALID: &str = "Invalid or expired invite";

fn as_newcomer(name: &str) -> Value {
    json!({ "username": name, "password": PASSWORD })
}

/// What a camera reads from a picture of ours.
#[track_caller]
fn read_code(svg: &str) -> String {
    const SCALE: usize = 4;
    let side: usize = svg.split("0 0 ").nth(1).unwrap().split(' ').next().unwrap().parse().unwrap();
    let mut dark = vec![false; side * side];
    for piece in svg.split('M').filter(|piece| piece.contains("h1v1h-1z")) {
        let mut numbers =
            piece.split(|c: char| !c.is_ascii_digit()).map(|number| number.parse::<usize>().unwrap());
        let (x, y) = (numbers.next().unwrap(), numbers.next().unwrap());
        dark[y * side + x] = true;
    }
    let grey = |x: usize, y: usize| if dark[y / SCALE * side + x / SCALE] { 0 } else { 255 };
    let mut picture = rqrr::PreparedImage::prepare_from_greyscale(side * SCALE, side * SCALE, grey);
    picture.detect_grids()[0].decode().expect("the code can be read").1
}

#[track_caller]
fn invite_command(server: &Server, words: &[&str]) -> (bool, String) {
    let output = run(&[&["invite", "--data", server.data_text()], words].concat(), "");
    let text = [&output.stdout[..], &output.stderr].map(String::from_utf8_lossy).concat();
    (output.status.success(), text)
}

/// The invite in a printed link.
#[track_caller]
fn invite_in(text: &str) -> String {
    let link = text.split("/join/").nth(1).unwrap_or_else(|| panic!("no link in {text}"));
    link[..36].to_owned()
}

#[test]
fn name_password_and_in() {
    let server = Server::strict();
    let ann = server.person("Ann");
    ann.put("/api/auth/user", json!({ "username": "Annie" })).ok();
    let home = ann.found("Home");
    let invite = ann.invite(&home);
    let nobody = server.nobody();
    let preview = nobody.get(&format!("/api/invites/{invite}")).ok();
    check::time(&preview["expiresAt"]);
    assert_eq!(
        preview,
        json!({ "group": { "name": "Home" }, "invitedBy": "Annie", "expiresAt": preview["expiresAt"] }),
        "this and no more"
    );
    let mut phone = ann.socket();
    let bob = server.nobody();
    let login = bob.post(&format!("/api/join/{invite}/newcomer"), as_newcomer(" Bob ")).ok();
    assert_eq!(login["ok"], true);
    assert_eq!(login["joinedGroup"], json!({ "id": home, "name": "Home" }));
    check::user(&login["user"]);
    assert_eq!(login["user"]["firstName"], "Bob");
    assert_eq!(ann.members_of(&home), [bob.id(), ann.id()]);
    assert_eq!(texts(&bob.get("/api/groups").ok(), "id"), [home.as_str()]);
    assert_eq!(
        ann.get("/api/notifications").ok()["notifications"][0]["data"]["type"],
        "member_joined",
        "Ann is told"
    );
    // He hears and is heard at once, and the password is his.
    bob.log(&home, "I am here");
    phone.expect_deuce("I am here");
    server.device("Bob").get("/api/auth/user").ok();
    // A plain member, no owner.
    bob.post("/api/notifications", json!({ "userId": ann.id(), "data": {} })).refused_with(403);
    bob.patch(&format!("/api/groups/{home}"), json!({ "name": "Mine" })).refused_with(403);
    let form = format!("username=Cid&password={}", PASSWORD.replace(' ', "+"));
    server.nobody().form(&format!("/api/join/{invite}/newcomer"), &form).ok();
}

#[test]
fn a_name_that_is_somebodys_is_not_given_twice() {
    let mut server = Server::open();
    server.person("Old Joe");
    server.restart_as(Server::setup());
    let ann = server.person("Ann");
    ann.put("/api/auth/user", json!({ "username": "Annie" })).ok();
    let home = ann.found("Home");
    let invite = ann.post(&format!("/api/groups/{home}/invite"), json!({ "maxUses": 1 })).ok();
    let join = format!("/api/join/{}/newcomer", invite["id"].as_str().unwrap());
    // The last is an account from the days of --open without a password: nobody gets it by asking.
    for name in ["Ann", "ann", " ANN ", "Annie", "annie", "old joe"] {
        let eve = server.nobody();
        eve.post(&join, as_newcomer(name)).refused_naming(400, "username");
        assert_eq!(eve.cookie(), None);
    }
    assert_eq!(ann.get(&format!("/api/groups/{home}/invites")).ok()[0]["uses"], 0);
    server.nobody().post(&join, as_newcomer("Bob")).ok();
}

#[test]
fn nothing_half_done() {
    let server = Server::setup().limit("users", 2).start();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let invite = ann.invite(&home);
    let join = format!("/api/join/{invite}/newcomer");
    let eve = server.nobody();
    for body in [
        json!({}),
        json!({ "username": "Bob" }),
        json!({ "username": "Bob", "password": "short" }),
        json!({ "username": "Bob", "password": 7 }),
    ] {
        eve.post(&join, body).refused_with(400);
    }
    eve.post(&join, json!({ "username": "b".repeat(51), "password": PASSWORD }))
        .refused_naming(400, "username");
    eve.post("/api/join/nonsense/newcomer", as_newcomer("Bob")).refused(400, INVALID);
    ann.delete(&format!("/api/groups/{home}/invites/{invite}")).ok();
    eve.post(&join, as_newcomer("Bob")).refused(400, INVALID);
    eve.get(&format!("/api/invites/{invite}")).refused(404, INVALID);
    assert_eq!(eve.cookie(), None);
    // There is room for one more still: none of these was made.
    let again = format!("/api/join/{}/newcomer", ann.invite(&home));
    server.nobody().post(&again, as_newcomer("Bob")).ok();
    server.nobody().post(&again, as_newcomer("Cid")).refused_with(403);
    assert_eq!(ann.members_of(&home).len(), 2);
}

#[test]
fn who_has_an_account_joins_as_they_log_in() {
    let server = Server::strict();
    let ann = server.person("Ann");
    server.add_user("Bob", &[]);
    let home = ann.found("Home");
    let invite = ann.invite(&home);
    let bob = server.nobody();
    let body = json!({ "username": "Bob", "password": PASSWORD, "inviteCode": invite });
    assert_eq!(bob.post("/api/login", body).ok()["joinedGroup"]["id"], json!(home));
    let cid = server.person("Cid");
    cid.join(&invite);
    assert_eq!(ann.members_of(&home).len(), 3);
}

#[test]
fn a_browser_leaves_its_old_login_behind() {
    let server = Server::strict();
    let ann = server.person("Ann");
    let invite = ann.invite(&ann.found("Home"));
    let shared = server.device("Ann");
    let before = shared.twin();
    shared.post(&format!("/api/join/{invite}/newcomer"), as_newcomer("Bob")).ok();
    assert_eq!(shared.get("/api/auth/user").ok()["firstName"], "Bob");
    before.get("/api/auth/user").refused(401, "Unauthorized");
}

#[test]
fn the_link_leads_strangers_to_the_page_for_newcomers() {
    let server = Server::strict();
    let ann = server.person("Ann");
    let invite = ann.invite(&ann.found("Home"));
    let nobody = server.nobody();
    nobody.get(&format!("/join/{invite}")).leads_to(&format!("/welcome?join={invite}"));
    ann.get(&format!("/join/{invite}")).leads_to(&format!("/?join={invite}"));
    nobody.get("/join/nonsense").leads_to("/");
    for path in ["/welcome", "/reset"] {
        let page = nobody.get(path);
        assert_eq!(page.status, 200, "{page:?}");
        let text = page.text();
        assert!(text.contains("/door.js") && text.contains("/door.css"), "{text}");
        assert!(!text.contains("style=") && !text.contains("<style") && !text.contains("<script>"), "{text}");
    }
}

#[test]
fn the_pages_for_people_are_there_beside_an_app() {
    let web = crate::harness::server::Directory::new();
    std::fs::write(web.0.join("index.html"), "<!doctype html><title>the app</title>").unwrap();
    let server = Server::setup().with(["--web", web.0.to_str().unwrap()]).start();
    let nobody = server.nobody();
    assert!(nobody.get("/claim").text().contains("/door.js"));
    server.add_user("Ann", &[]);
    for path in ["/welcome", "/reset", "/door.js", "/door.css", "/door.svg"] {
        let reply = nobody.get(path);
        assert!(reply.status == 200 && !reply.text().contains("the app"), "{reply:?}");
    }
    for path in ["/", "/claim", "/groups"] {
        assert!(nobody.get(path).text().contains("the app"), "{path}");
    }
}

#[test]
fn the_links_picture_is_the_link() {
    let server = Server::strict();
    let (ann, eve) = (server.person("Ann"), server.person("Eve"));
    let home = ann.found("Home");
    let invite = ann.post(&format!("/api/groups/{home}/invite"), json!({ "maxUses": 1 })).ok();
    let id = invite["id"].as_str().unwrap();
    let path = format!("/api/groups/{home}/invites/{id}/qr");
    let picture = ann.get(&path);
    assert_eq!(picture.status, 200, "{picture:?}");
    assert_eq!(picture.header("Content-Security-Policy"), Some("default-src 'none'"));
    assert_eq!(read_code(&picture.text()), invite["inviteLink"].as_str().unwrap());
    eve.get(&path).refused_with(403);
    server.nobody().get(&path).refused_with(401);
    ann.get(&format!("/api/groups/{home}/invites/nonsense/qr")).refused_with(404);
    eve.join(id);
    ann.get(&path).refused_with(404);
}

#[test]
fn an_invite_from_the_shell() {
    let mut server = Server::strict();
    let ann = server.person("Ann");
    let (home, _) = (ann.found("Home sweet home"), ann.found("Shed"));
    let (ok, text) = invite_command(&server, &["home Sweet home", "--as", "ann", "--uses", "1"]);
    assert!(ok && text.contains("join Home sweet home") && text.contains("█▀"), "{text}");
    assert!(text.contains(&format!("http://{}/join/", server.address())), "{text}");
    let bob: Client = server.nobody();
    bob.post(&format!("/api/join/{}/newcomer", invite_in(&text)), as_newcomer("Bob")).ok();
    assert_eq!(ann.members_of(&home).len(), 2);
    server
        .nobody()
        .post(&format!("/api/join/{}/newcomer", invite_in(&text)), as_newcomer("Cid"))
        .refused(400, INVALID);

    let (ok, text) = invite_command(&server, &[&home, "--as", "Bob"]);
    assert!(ok, "by the group's id, and any member may: {text}");
    for (words, part) in [
        (&["Shed", "--as", "Bob"][..], "Bob is in no group named Shed"),
        (&["Shed", "--as", "Nobody"], "no account named Nobody"),
    ] {
        let (ok, text) = invite_command(&server, words);
        assert!(!ok && text.contains(part), "{text}");
    }
    let second = ann.found("shed");
    let (ok, text) = invite_command(&server, &["Shed", "--as", "Ann"]);
    assert!(!ok && text.contains(&second), "which of the two: {text}");
    server.terminate();
    let (ok, text) = invite_command(&server, &[&second, "--as", "Ann"]);
    assert!(ok && text.contains("does not run"), "{text}");
}
