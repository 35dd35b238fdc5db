//! Devices over HTTP: buttons, sensors and scripts that may do less than the person they act for.

use crate::harness::{Client, Reply, Server, client::texts, server::run};
use serde_json::{Value, json};

/// A new device of somebody, as it was told.
#[track_caller]
pub fn make(person: &Client, name: &str, groups: &[&str], verbs: &[&str]) -> Value {
    person.post("/api/devices", json!({ "name": name, "groupIds": groups, "verbs": verbs })).ok()
}

/// A gadget with a new device's token.
#[track_caller]
pub fn gadget(person: &Client, groups: &[&str], verbs: &[&str]) -> Client {
    let name = format!("{} {}", verbs.join("+"), groups.join("+"));
    let name: String = name.chars().take(60).collect();
    person.gadget(make(person, &name, groups, verbs)["token"].as_str().unwrap())
}

#[test]
fn a_button_needs_to_say_nothing_but_the_place() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    let button = gadget(&ann, &[&home], &["log"]);
    let mut socket = bob.socket();
    // As curl -d sends it. That the answer is short is checked with every one (harness/check.rs).
    let logged = button.form("/api/deuces", "location=Home").ok();
    let heard = socket.expect_deuce("");
    assert_eq!(heard["entry"]["id"], logged["id"]);
    assert_eq!(heard["userId"], json!(ann.id()), "it acts as who made it");
    let logged = button.post("/api/deuces", json!({ "location": "Work", "thoughts": "Hm." })).ok();
    let entry = socket.expect_deuce("Hm.");
    assert_eq!((&entry["entry"]["id"], &entry["entry"]["location"]), (&logged["id"], &json!("Work")));
    let at = "2026-11-20T14:56:46.000Z";
    let logged = button.form("/api/deuces", &format!("location=Home&groupIds={home}&loggedAt={at}")).ok();
    assert_eq!(logged["loggedAt"], at);
    socket.expect_deuce("");
    button.form("/api/deuces", "thoughts=x").refused_naming(400, "location");
    button.form("/api/deuces", "location=").refused_naming(400, "location");
    // Everybody else is asked for what the contract asks, and answered as ever.
    ann.bearer()
        .form("/api/deuces", "location=Home&thoughts=")
        .refused(403, "Not authorized for group undefined");
    ann.bearer()
        .form("/api/deuces", &format!("location=Home&groupIds={home}"))
        .refused_naming(400, "thoughts");
    assert_eq!(ann.log(&home, "long")["thoughts"], "long");
}

#[test]
fn with_several_groups_a_button_says_which() {
    let server = Server::open();
    let ann = server.person("Ann");
    let (home, club, other) = (ann.found("Home"), ann.found("Club"), ann.found("Other"));
    let button = gadget(&ann, &[&home, &club], &["log"]);
    button.form("/api/deuces", "location=Home").refused_naming(400, "groupIds");
    button.form("/api/deuces", &format!("location=Home&groupIds={club}")).ok();
    let both = button.post("/api/deuces", json!({ "location": "Home", "groupIds": [home, club] })).ok();
    assert_eq!(both["ids"].as_array().map(Vec::len), Some(2), "{both}");
    assert_eq!((ann.thoughts_in(&home).len(), ann.thoughts_in(&club).len()), (1, 2));
    for groups in [json!([other]), json!([home, other]), json!(["nonsense"])] {
        let reply = button.post("/api/deuces", json!({ "location": "Home", "groupIds": groups }));
        reply.refused_naming(403, "Not authorized for group");
    }
    button.post("/api/deuces", json!({ "location": "Home", "groupIds": [] })).refused_with(400);
    assert_eq!((ann.thoughts_in(&home).len(), ann.thoughts_in(&other).len()), (1, 0));
}

/// Every request that needs a login, with the verb that a device needs for it.
fn requests(home: &str, entry: &str, ann: &str) -> Vec<(&'static str, String, Option<&'static str>, Value)> {
    let list: [(&str, &str, Option<&str>, Value); 39] = [
        ("POST", "/api/deuces", Some("log"), json!({ "location": "Home" })),
        ("GET", "/api/deuces", Some("read"), Value::Null),
        ("HEAD", "/api/deuces", Some("read"), Value::Null),
        ("GET", "/api/deuces?groupId=HOME", Some("read"), Value::Null),
        ("GET", "/api/groups", Some("read"), Value::Null),
        ("GET", "/API/Groups/", Some("read"), Value::Null),
        ("GET", "/api/groups/HOME", Some("read"), Value::Null),
        ("GET", "/api/entries/ENTRY/reactions", Some("read"), Value::Null),
        ("GET", "/api/rooms", Some("read"), Value::Null),
        ("GET", "/api/rooms/group:HOME/messages", Some("read"), Value::Null),
        ("POST", "/api/rooms/group:HOME/messages", Some("chat"), json!({ "text": "Hello" })),
        ("POST", "/api/entries/ENTRY/reactions", Some("chat"), json!({ "emoji": "👍" })),
        ("POST", "/api/notifications", Some("notify"), json!({ "userId": ann, "data": { "a": 1 } })),
        ("GET", "/api/auth/user", None, Value::Null),
        ("PUT", "/api/auth/user", None, json!({ "username": "eve" })),
        ("POST", "/api/auth/user/profile-picture", None, Value::Null),
        ("DELETE", "/api/deuces/ENTRY", None, Value::Null),
        ("DELETE", "/api/entries/ENTRY/reactions", None, json!({ "emoji": "👍" })),
        ("POST", "/api/groups", None, json!({ "name": "Mine" })),
        ("PATCH", "/api/groups/HOME", None, json!({ "name": "Mine" })),
        ("DELETE", "/api/groups/HOME", None, Value::Null),
        ("POST", "/api/groups/HOME/leave", None, Value::Null),
        ("PUT", "/api/groups/HOME/members/dev-bob", None, json!({ "role": "admin" })),
        ("DELETE", "/api/groups/HOME/members/dev-bob", None, Value::Null),
        ("POST", "/api/groups/HOME/invite", None, Value::Null),
        ("GET", "/api/groups/HOME/invites", None, Value::Null),
        ("POST", "/api/join/00000000-0000-4000-8000-000000000000", None, Value::Null),
        ("GET", "/api/analytics/most-deuces", None, Value::Null),
        ("GET", "/api/locations", None, Value::Null),
        ("POST", "/api/locations", None, json!({ "name": "Attic" })),
        ("GET", "/api/user/export", None, Value::Null),
        ("DELETE", "/api/user/account", None, Value::Null),
        ("DELETE", "/api/rooms/group:HOME/messages/1", None, Value::Null),
        ("GET", "/api/notifications", None, Value::Null),
        ("POST", "/api/notifications/read-all", None, Value::Null),
        ("PUT", "/api/groups/HOME/notifications", None, json!({ "entries": false })),
        ("GET", "/api/devices", None, Value::Null),
        ("POST", "/api/devices", None, json!({ "name": "x", "groupIds": [home], "verbs": ["read"] })),
        ("DELETE", "/api/devices/1", None, Value::Null),
    ];
    list.into_iter()
        .map(|(method, path, verb, body)| {
            (method, path.replace("HOME", home).replace("ENTRY", entry), verb, body)
        })
        .collect()
}

fn ask(client: &Client, method: &str, path: &str, body: &Value) -> Reply {
    let request = client.request(method, path);
    if body.is_null() { request.send() } else { request.json(body).send() }
}

#[test]
fn a_device_does_what_its_verbs_say_and_nothing_else() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    let entry = ann.log_id(&home, "first");
    ann.post(&format!("/api/rooms/group:{home}/messages"), json!({ "text": "Mine" })).ok();
    let verbs = ["log", "read", "chat", "notify"];
    for have in [&verbs[..1], &verbs[1..2], &verbs[2..3], &verbs[3..4], &verbs] {
        let device = gadget(&ann, &[&home], have);
        for (method, path, verb, body) in requests(&home, &entry, &ann.id()) {
            let reply = ask(&device, method, &path, &body);
            match verb {
                // A second thumb is no different from a first; that it was judged is what counts.
                Some("chat") if have.contains(&"chat") => {
                    assert!(matches!(reply.status, 200 | 400), "{reply:?}")
                }
                Some(verb) if have.contains(&verb) => assert_eq!(reply.status, 200, "{have:?}: {reply:?}"),
                _ if method == "HEAD" => assert_eq!(reply.status, 403, "{have:?}: {reply:?}"),
                Some(verb) => reply.refused(403, &format!("This device lacks the verb {verb}")),
                None => reply.refused_naming(403, "No device may do this"),
            }
        }
    }
    // Nothing of all that has happened.
    assert_eq!(ann.members_of(&home).len(), 2);
    assert_eq!(ann.get("/api/auth/user").ok()["username"], Value::Null);
    assert!(ann.thoughts_in(&home).contains(&"first".to_owned()));
}

#[test]
fn reads_show_a_devices_groups_only() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let (home, club) = (ann.found("Home"), ann.found("Club"));
    ann.bring(&home, &bob);
    let (here, there) = (ann.log_id(&home, "here"), ann.log_id(&club, "there"));
    bob.log(&home, "by Bob");
    ann.post("/api/rooms/general/messages", json!({ "text": "public" })).ok();
    ann.post(&format!("/api/rooms/group:{club}/messages"), json!({ "text": "secret" })).ok();
    let display = gadget(&ann, &[&home], &["read", "chat"]);

    assert_eq!(texts(&display.get("/api/deuces").ok(), "thoughts"), ["by Bob", "here"]);
    assert_eq!(texts(&display.get(&format!("/api/deuces?groupId={home}")).ok(), "thoughts").len(), 2);
    display.get(&format!("/api/deuces?groupId={club}")).refused(403, "Not authorized");
    display.get("/api/deuces?groupId=x").refused_with(403);
    assert_eq!(texts(&display.get("/api/groups").ok(), "name"), ["Home"]);
    assert_eq!(display.thoughts_in(&home), ["by Bob", "here"]);
    display.get(&format!("/api/groups/{club}")).refused(403, "Not authorized");
    assert_eq!(texts(&display.get("/api/rooms").ok()["rooms"], "name"), ["Home"]);
    for room in [format!("group:{club}"), "general".into(), "me".into(), "user:1".into()] {
        display.get(&format!("/api/rooms/{room}/messages")).refused(403, "Not authorized");
        let said = display.post(&format!("/api/rooms/{room}/messages"), json!({ "text": "x" }));
        said.refused(403, "Not authorized");
    }
    display.get(&format!("/api/entries/{here}/reactions")).ok();
    let foreign = format!("/api/entries/{there}/reactions");
    display.get(&foreign).refused(403, "Not authorized to react to this entry");
    display.post(&foreign, json!({ "emoji": "👍" })).refused_with(403);
    assert_eq!(ann.get(&foreign).ok(), json!([]));
    // What is not there at all is answered as everybody is answered.
    let missing = "/api/entries/00000000-0000-7000-8000-000000000000/reactions";
    assert_eq!(display.get(missing).ok(), json!([]));
    display.post(missing, json!({ "emoji": "👍" })).refused(404, "Entry not found");
}

#[test]
fn notices_reach_members_of_a_devices_groups_only() {
    let server = Server::open();
    let (ann, bob, eve) = (server.person("Ann"), server.person("Bob"), server.person("Eve"));
    let (home, club) = (ann.found("Home"), ann.found("Club"));
    ann.bring(&home, &bob);
    ann.bring(&club, &eve);
    let washer = gadget(&ann, &[&home], &["notify"]);
    let notify =
        |to: Value| washer.post("/api/notifications", json!({ "userId": to, "data": { "done": true } }));
    let before = bob.get("/api/notifications/unread-count").ok();
    notify(json!(bob.id())).ok();
    notify(json!(bob.number())).ok();
    notify(json!(ann.id())).ok();
    assert_eq!(
        bob.get("/api/notifications/unread-count").ok()["count"],
        before["count"].as_i64().unwrap() + 2
    );
    for stranger in [json!(eve.id()), json!(eve.number()), json!("dev-nobody"), json!(4711)] {
        notify(stranger).refused(404, "userId: nobody has this id");
    }
    notify(Value::Null).refused_naming(400, "userId");
}

#[test]
fn a_device_goes_with_its_persons_membership_and_does_not_come_back_with_it() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let (home, club) = (ann.found("Home"), bob.found("Club"));
    ann.bring(&home, &bob);
    let both = gadget(&bob, &[&home, &club], &["log", "read"]);
    let one = gadget(&bob, &[&home], &["log", "read"]);
    ann.log(&home, "before");
    ann.delete(&format!("/api/groups/{home}/members/{}", bob.id())).ok();
    one.form("/api/deuces", "location=Home").refused_naming(403, "groupIds");
    one.form("/api/deuces", &format!("location=Home&groupIds={home}")).refused_with(403);
    assert_eq!(one.get("/api/deuces").ok(), json!([]));
    assert_eq!(one.get("/api/groups").ok(), json!([]));
    // What is left is now the only one, and therefore meant.
    both.form("/api/deuces", "location=Home").ok();
    assert_eq!(bob.thoughts_in(&club).len(), 1);
    ann.bring(&home, &bob);
    assert_eq!(one.get("/api/deuces").ok(), json!([]), "whoever comes back makes a new one");
    one.form("/api/deuces", "location=Home").refused_with(403);
    bob.delete(&format!("/api/groups/{club}")).ok();
    both.form("/api/deuces", "location=Home").refused_with(403);
    let listed = bob.get("/api/devices").ok();
    assert!(listed.as_array().unwrap().iter().all(|device| device["groups"] == json!([])), "{listed}");
    bob.delete("/api/user/account").ok();
    for device in [&one, &both] {
        device.get("/api/groups").refused(401, "Unauthorized");
    }
}

#[test]
fn making_listing_and_ending() {
    let server = Server::setup().open().limit("devices_per_user", 2).limit("groups_per_minute", 1000).start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let (home, foreign) = (ann.found("Home"), bob.found("Bob's"));
    let made = make(&ann, "  Bathroom button ", &[&home, &home], &["read", "log", "log"]);
    assert_eq!(made["name"], "Bathroom button");
    assert_eq!(made["verbs"], json!(["log", "read"]));
    assert_eq!(made["groups"], json!([{ "id": home, "name": "Home" }]));
    assert_eq!((made["keyId"].clone(), made["lastUsedAt"].clone()), (made["id"].clone(), Value::Null));
    for secret in ["token", "key"] {
        assert_eq!(made[secret].as_str().map(str::len), Some(43), "{made}");
    }
    let device = ann.gadget(made["token"].as_str().unwrap());
    device.form("/api/deuces", "location=Home").ok();
    // The secrets are not told again (harness/check.rs), and nobody else sees the device.
    let listed = ann.get("/api/devices").ok();
    let used = listed[0]["lastUsedAt"].as_str().expect("it was used").to_owned();
    assert!(used.as_str() >= listed[0]["createdAt"].as_str().unwrap());
    assert_eq!((listed.as_array().unwrap().len(), &listed[0]["id"]), (1, &made["id"]));
    assert!(listed[0].get("key").is_none(), "{listed}");
    assert_eq!(bob.get("/api/devices").ok(), json!([]));

    let refused = |body: Value, status: u16, word: &str| {
        ann.post("/api/devices", body).refused_naming(status, word);
    };
    let groups = json!([home]);
    refused(json!({ "groupIds": groups, "verbs": ["log"] }), 400, "name");
    refused(json!({ "name": " ", "groupIds": groups, "verbs": ["log"] }), 400, "name");
    refused(json!({ "name": "x".repeat(61), "groupIds": groups, "verbs": ["log"] }), 400, "name");
    refused(json!({ "name": "Bathroom button", "groupIds": groups, "verbs": ["log"] }), 400, "name");
    for verbs in [json!([]), json!(["admin"]), json!(["log", "Read"]), json!("log"), json!([1]), Value::Null]
    {
        refused(json!({ "name": "x", "groupIds": groups, "verbs": verbs }), 400, "verbs");
    }
    refused(json!({ "name": "x", "verbs": ["log"] }), 400, "groupIds");
    refused(json!({ "name": "x", "groupIds": [], "verbs": ["log"] }), 400, "groupIds");
    for group in [foreign.as_str(), "x", "00000000-0000-7000-8000-000000000000"] {
        refused(json!({ "name": "x", "groupIds": [home, group], "verbs": ["log"] }), 403, "Not authorized");
    }
    make(&ann, "second", &[&home], &["chat"]);
    refused(json!({ "name": "third", "groupIds": groups, "verbs": ["log"] }), 403, "2 devices");
    // A form will do.
    make(&bob, "first", &[&foreign], &["log"]);
    bob.bearer().form("/api/devices", &format!("name=f&groupIds={foreign}&verbs=log&verbs=chat")).ok();

    let path = format!("/api/devices/{}", made["id"].as_str().unwrap());
    bob.delete(&path).refused(404, "Device not found");
    for id in ["x", "0", "4711", "1"] {
        // 1 is the number of Ann's login, which is no device.
        ann.delete(&format!("/api/devices/{id}")).refused(404, "Device not found");
    }
    ann.get("/api/groups").ok();
    device.get("/api/groups").ok();
    ann.delete(&path).ok();
    device.get("/api/groups").refused(401, "Unauthorized");
    ann.delete(&path).refused(404, "Device not found");
    make(&ann, "third", &[&home], &["log"]);
    server.nobody().get("/api/devices").refused(401, "Unauthorized");
}

#[test]
fn a_device_lasts() {
    let mut server = Server::setup().open().limit("sessions_per_user", 2).start();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let button = gadget(&ann, &[&home], &["log"]);
    for _ in 0..4 {
        server.device("Ann");
    }
    ann.get("/api/groups").refused(401, "Unauthorized");
    button.form("/api/deuces", "location=Home").ok();
    server.restart_later(400 * 24 * 3600);
    button.form("/api/deuces", "location=Home").ok();
    let again = server.device("Ann");
    assert_eq!(again.thoughts_in(&home).len(), 2);
    assert_eq!(again.get("/api/devices").ok().as_array().map(Vec::len), Some(1));
}

#[test]
fn where_everybody_may_come_a_device_is_nobody() {
    let server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let made = make(&ann, "button", &[&home], &["log"]);
    let token = made["token"].as_str().unwrap();
    let button = ann.gadget(token);
    for path in ["/api/logout", "/api/auth/logout"] {
        button.post(path, json!({})).ok();
    }
    button.get("/api/health").ok();
    button.form("/api/deuces", "location=Home").ok();
    // A device's token in a cookie is a device's token.
    let cookie = format!("deuced={token}");
    let nobody = server.nobody();
    nobody.request("GET", "/api/auth/user").header("Cookie", &cookie).send().refused_with(403);
    nobody
        .request("POST", "/api/login")
        .header("Cookie", &cookie)
        .json(&json!({ "username": "Eve" }))
        .send()
        .ok();
    button.form("/api/deuces", "location=Home").ok();
}

#[test]
fn a_button_gone_mad_does_not_lock_its_person_out() {
    let server =
        Server::setup().open().limit("deuces_per_minute", 3).limit("api_requests_per_minute", 20).start();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let (mad, calm) = (gadget(&ann, &[&home], &["log"]), gadget(&ann, &[&home], &["log", "read"]));
    let statuses: Vec<u16> = (0..30).map(|_| mad.form("/api/deuces", "location=Home").status).collect();
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 3, "{statuses:?}");
    assert!(statuses[3..].iter().all(|status| *status == 429), "{statuses:?}");
    ann.log(&home, "still here");
    calm.form("/api/deuces", "location=Home").ok();
}

#[test]
fn a_key_makes_a_buttons_request_safe_to_send_again() {
    let server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let (button, other) = (gadget(&ann, &[&home], &["log"]), gadget(&ann, &[&home], &["log", "read"]));
    let body = "location=Home";
    let log = |client: &Client, key: &str, body: &str| {
        let request = client.request("POST", "/api/deuces").header("Idempotency-Key", key);
        request.content("application/x-www-form-urlencoded", body).send()
    };
    let first = log(&button, "one", body);
    first.ok();
    assert_eq!(log(&button, "one", body).body, first.body, "the same answer, to the byte");
    log(&button, "one", "location=Work").refused_naming(422, "Idempotency-Key");
    assert_ne!(log(&other, "one", body).body, first.body, "another device's keys are its own");
    assert_eq!(ann.thoughts_in(&home).len(), 2);
    // Neither does it learn by a key what its person was answered.
    let long = json!({ "location": "Home", "thoughts": "secret", "groupIds": [home] });
    ann.request("POST", "/api/deuces").header("Idempotency-Key", "two").json(&long).send().ok();
    let reply = button.request("POST", "/api/deuces").header("Idempotency-Key", "two").json(&long).send();
    assert!(!reply.text().contains("secret"), "{reply:?}");
}

/// Runs `deuced token …` on a server's data; what it printed, or said on stderr.
fn token(server: &Server, words: &[&str]) -> Result<String, String> {
    let mut all = vec!["token"];
    all.extend(words);
    all.extend(["--data", server.data_text()]);
    let output = run(&all, "");
    match output.status.success() {
        true => Ok(String::from_utf8(output.stdout).unwrap()),
        false => Err(String::from_utf8(output.stderr).unwrap()),
    }
}

#[test]
fn on_the_machine_itself_beside_the_running_server() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Our home");
    ann.found("Twice");
    let twice = ann.found("Twice");
    bob.found("Bob's");
    let add = |more: &[&str]| {
        let mut words = vec!["add", "ann", "--device", "Bathroom button"];
        words.extend(more);
        token(&server, &words)
    };
    let refused = |more: &[&str], word: &str| {
        let said = add(more).unwrap_err();
        assert!(said.contains(word), "{more:?}: {said}");
    };
    refused(&["--group", "Our home"], "--verb");
    refused(&["--verb", "log"], "--group");
    refused(&["--group", "Our home", "--verb", "shout"], "verbs");
    refused(&["--group", "Nowhere", "--verb", "log"], "no group named Nowhere");
    refused(&["--group", "Bob's", "--verb", "log"], "no group named Bob's");
    refused(&["--group", "Twice", "--verb", "log"], &twice);
    refused(&["--group", "Our home", "--verb", "log", "--notify"], "--verb notify");
    let said = token(&server, &["add", "ann", "--group", "Our home", "--verb", "log"]).unwrap_err();
    assert!(said.contains("--device"), "never a full login by mistake: {said}");
    assert!(token(&server, &["add", "nobody", "--device", "x", "--group", "x", "--verb", "log"]).is_err());
    assert_eq!(token(&server, &["list", "ann"]).unwrap(), "ann has no devices\n");

    let told =
        add(&["--group", "Our home", "--group", &twice, "--verb", "log,read", "--verb", "chat"]).unwrap();
    let value = |name: &str| {
        let line = told.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_else(|| panic!("{told}"));
        line.trim().to_owned()
    };
    let (secret, id) = (value("token:"), value("key id:"));
    assert_eq!((told.lines().count(), value("key:").len()), (3, 43), "{told}");
    let button = ann.gadget(&secret);
    button.form("/api/deuces", &format!("location=Home&groupIds={home}")).ok();
    let listed = ann.get("/api/devices").ok();
    assert_eq!((&listed[0]["id"], &listed[0]["verbs"]), (&json!(id), &json!(["log", "read", "chat"])));
    let table = token(&server, &["list", "ann"]).unwrap();
    for word in ["Bathroom button", "Our home", "Twice", "log,read,chat", &id] {
        assert!(table.contains(word), "{table}");
    }
    assert!(!table.contains(&secret), "{table}");

    // Removed by name or by number; never a login that is no device.
    assert!(token(&server, &["remove", "ann", "1"]).unwrap_err().contains("no device named 1"));
    assert!(token(&server, &["remove", "bob", "Bathroom button"]).is_err());
    assert!(token(&server, &["remove", "ann"]).unwrap_err().contains("token remove NAME DEVICE"));
    assert!(token(&server, &["list"]).unwrap_err().contains("token list NAME"));
    token(&server, &["remove", "ann", "Bathroom button"]).unwrap();
    let start = std::time::Instant::now();
    while button.get("/api/groups").status != 401 {
        assert!(start.elapsed().as_secs() < 5, "it still comes in");
    }
    // As before: a full login for a program, and nothing but its token.
    let program = token(&server, &["add", "ann"]).unwrap();
    assert_eq!(program.trim().len(), 43);
    ann.gadget(program.trim()).get("/api/devices").ok();
}

#[test]
fn no_child_has_devices_and_nobody_who_is_disabled() {
    let server = Server::strict();
    server.add_user("Ann", &["--admin"]);
    let (ann, bob, eve) = (server.device("Ann"), server.person("Bob"), server.person("Eve"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    ann.bring(&home, &eve);
    let (of_bob, of_eve) =
        (gadget(&bob, &[&home], &["log", "read"]), gadget(&eve, &[&home], &["log", "read"]));
    let mut sockets = [&of_bob, &of_eve].map(|device| device.handshake().open());
    sockets.iter_mut().for_each(|socket| drop(socket.drain()));
    // What becomes of an account takes its devices along, whoever did it and where.
    ann.patch("/api/people/dev-bob", json!({ "child": true })).ok();
    sockets[0].expect_close(1008);
    server.user(&["disable", "Eve"]);
    sockets[1].expect_close(1008);
    for device in [&of_bob, &of_eve] {
        device.get("/api/groups").refused(401, "Unauthorized");
    }
    let body = json!({ "name": "x", "groupIds": [home], "verbs": ["read"] });
    bob.post("/api/devices", body).refused_naming(403, "child's account");
    let said =
        token(&server, &["add", "bob", "--device", "x", "--group", "Home", "--verb", "log"]).unwrap_err();
    assert!(said.contains("child's account"), "{said}");
    assert_eq!(bob.get("/api/devices").ok(), json!([]));
    // They do not come back with what the account was before.
    ann.patch("/api/people/dev-bob", json!({ "child": false })).ok();
    server.user(&["enable", "Eve"]);
    for device in [&of_bob, &of_eve] {
        device.get("/api/groups").refused(401, "Unauthorized");
    }
}

#[test]
fn devices_are_apart_from_the_logins_of_people() {
    let server = Server::strict();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let made = make(&ann, "button", &[&home], &["log"]);
    let button = ann.gadget(made["token"].as_str().unwrap());
    button.form("/api/deuces", "location=Home").ok();
    // Neither listed nor ended with them, nor by a new password: it has a list of its own.
    let sessions = ann.get("/api/sessions").ok();
    assert_eq!(sessions.as_array().map(Vec::len), Some(1), "{sessions}");
    ann.delete(&format!("/api/sessions/{}", made["id"].as_str().unwrap())).refused_with(404);
    ann.delete("/api/sessions").ok();
    let change =
        json!({ "oldPassword": crate::harness::server::PASSWORD, "newPassword": "quite another one" });
    ann.put("/api/auth/password", change).ok();
    button.form("/api/deuces", "location=Home").ok();
    ann.delete(&format!("/api/devices/{}", made["id"].as_str().unwrap())).ok();
    button.form("/api/deuces", "location=Home").refused(401, "Unauthorized");
}
