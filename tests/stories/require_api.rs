//! What holds for every route alike (R-A9 to R-A13, R-A15), asked of all routes that the server's own description
//! names, so that a route of next year is asked, too.

use crate::harness::{Client, Native, Reply, Server, check, picture, server::Setup};
use serde_json::{Value, json};
use std::fs;

/// One line of the description.
struct Operation {
    method: String,
    /// The path with its parameters in braces.
    path: String,
    name: String,
}

impl Operation {
    /// The path with its parameters filled in.
    fn at(&self, fill: &dyn Fn(&str) -> String) -> String {
        let part = |part: &str| match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
            Some(name) => fill(name),
            None => part.to_owned(),
        };
        self.path.split('/').map(part).collect::<Vec<_>>().join("/")
    }

    fn has_parameters(&self) -> bool {
        self.path.contains('{')
    }

    #[track_caller]
    fn ask(&self, client: &Client, path: &str, body: Option<&Value>) -> Reply {
        let request = client.request(&self.method, path);
        match body {
            Some(body) => request.json(body).send(),
            None => request.send(),
        }
    }
}

/// Every operation there is.
fn operations(server: &Server) -> Vec<Operation> {
    let document = server.nobody().get("/api/openapi.json").ok();
    let mut found = Vec::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("methods") {
            let name = operation["operationId"].as_str().expect("a name").to_owned();
            found.push(Operation { method: method.to_uppercase(), path: path.clone(), name });
        }
    }
    assert!(found.len() > 50, "the description was read");
    found
}

/// Whether after an operation somebody else asks, or nobody.
fn changes_who_asks(operation: &Operation) -> bool {
    let names = ["login", "claim", "joinNew", "logout", "logoutToo", "logoutPage", "eraseMe", "leaveGroup"];
    names.contains(&operation.name.as_str())
}

/// A server on which nothing is too often.
fn patient() -> Setup {
    let paces = [
        "api_requests_per_minute",
        "address_requests_per_minute",
        "groups_per_minute",
        "joins_per_minute",
        "deuces_per_minute",
        "reactions_per_minute",
        "messages_per_minute",
        "notifications_per_minute",
        "pictures_per_minute",
        "logins_per_minute",
    ];
    paces.into_iter().fold(Server::setup().open(), |setup, pace| setup.limit(pace, 1_000_000))
}

/// Fields that any body may have, all of the right kind.
fn any_body(group: &str) -> Value {
    json!({
        "groupIds": [group], "location": "Home", "thoughts": "x", "emoji": "🔥", "name": "Name", "text": "Hello",
        "role": "member", "username": "Somebody", "userId": "dev-ann", "data": {}, "entries": true,
        "verbs": ["log"], "child": true, "password": "correct horse", "secret": "x", "oldPassword": "x", "newPassword": "y",
    })
}

/// What was answered, without what names the request.
fn essence(reply: &Reply) -> (u16, String) {
    let body: Value = serde_json::from_slice(&reply.body).unwrap_or(Value::Null);
    (reply.status, body["message"].as_str().map_or_else(|| reply.text(), str::to_owned))
}

/// Ann's and Bob's group with everything in it, of which Eve is no member.
struct Household {
    server: Server,
    ann: Client,
    bob: Client,
    eve: Client,
    group: String,
    entry: String,
    invite: String,
    device: String,
}

impl Household {
    #[track_caller]
    fn new() -> Household {
        let server = patient().start();
        let (ann, bob, eve) = (server.person("Ann"), server.person("Bob"), server.person("Eve"));
        let group = ann.found("Home");
        ann.bring(&group, &bob);
        let entry = ann.log_id(&group, "All well.");
        ann.post(&format!("/api/rooms/group:{group}/messages"), json!({ "text": "Hello, @bob" })).ok();
        bob.post(&format!("/api/entries/{entry}/reactions"), json!({ "emoji": "👍" })).ok();
        let invite = ann.invite(&group);
        let button = json!({ "name": "Button", "groupIds": [group], "verbs": ["log"] });
        let device = ann.post("/api/devices", button).ok()["id"].as_str().expect("its id").to_owned();
        Household { server, ann, bob, eve, group, entry, invite, device }
    }

    /// What is there, though not for Eve.
    fn foreign(&self, name: &str) -> String {
        match name {
            "group" => self.group.clone(),
            "entry" => self.entry.clone(),
            "invite" => self.invite.clone(),
            "room" => format!("group:{}", self.group),
            "user" => self.ann.id(),
            "session" => self.ann.get("/api/sessions").ok()[0]["id"].to_string(),
            "device" => self.device.clone(),
            "seq" | "notification" | "picture" => "1".to_owned(),
            _ => panic!("{name}: say here where one is that is somebody's"),
        }
    }

    /// What is not there at all.
    fn missing(&self, name: &str) -> String {
        const NOBODYS: &str = "01900000-0000-7000-8000-000000000000";
        match name {
            "room" => format!("group:{NOBODYS}"),
            "user" => "dev-nobody".to_owned(),
            "group" | "entry" | "invite" => NOBODYS.to_owned(),
            "session" | "device" | "seq" | "notification" | "picture" => "987654321".to_owned(),
            _ => panic!("{name}: say here what is nobody's"),
        }
    }
}

#[test]
fn r_a9_what_is_foreign_is_answered_like_what_is_missing() {
    let home = Household::new();
    // By the contract these tell them apart (404 and 403, or an empty list and 403). An entry's id has 74 bits of
    // chance, so whoever can ask was told of it by a member.
    let contract = ["listReactions", "addReaction"];
    // An invite is for whoever has it.
    let open = ["join", "joinNew", "joinPage", "showInvite"];
    let mut asked = 0;
    for operation in operations(&home.server) {
        let name = operation.name.as_str();
        if !operation.has_parameters() || contract.contains(&name) || open.contains(&name) {
            continue;
        }
        let body = any_body(&home.group);
        let body = (operation.method != "GET").then_some(&body);
        let foreign = operation.ask(&home.eve, &operation.at(&|name| home.foreign(name)), body);
        let missing = operation.ask(&home.eve, &operation.at(&|name| home.missing(name)), body);
        let (foreign, missing) = (essence(&foreign), essence(&missing));
        assert_eq!(foreign, missing, "{name}");
        // Taking back a reaction that was never given is no error, wherever.
        assert!(foreign.0 >= 400 || name == "removeReaction", "{name}: {foreign:?}");
        asked += 1;
    }
    assert!(asked > 20, "{asked}");
    assert_eq!(
        home.ann.get(&format!("/api/groups/{}", home.group)).ok()["members"].as_array().unwrap().len(),
        2
    );
}

#[test]
fn r_a9_a_member_learns_nothing_of_other_groups_either() {
    let home = Household::new();
    let other = home.eve.found("Eve's");
    let foreign_invite = home.eve.invite(&other);
    let missing = home.missing("invite");
    let revoke =
        |invite: &str| essence(&home.ann.delete(&format!("/api/groups/{}/invites/{invite}", home.group)));
    assert_eq!(revoke(&foreign_invite), revoke(&missing));
    assert_eq!(revoke(&foreign_invite).0, 404);
    // Somebody who is on the server, but not in the group, is nobody there.
    let member =
        |user: &str| essence(&home.ann.delete(&format!("/api/groups/{}/members/{user}", home.group)));
    assert_eq!(member("dev-eve"), member("dev-nobody"));
    // Others' notifications are none.
    let read = |id: &str| essence(&home.eve.request("POST", &format!("/api/notifications/{id}/read")).send());
    assert_eq!(read("1"), read("987654321"));
    assert_eq!(read("1").0, 404);
    // The same on sockets.
    let mut native = Native::open(&home.eve);
    let mut refusal = |channel: String| {
        let mut error = native.refused("subscribe", json!({ "channel": channel }), "FORBIDDEN");
        error["id"] = Value::Null;
        error
    };
    assert_eq!(refusal(home.foreign("room")), refusal(home.missing("room")));
}

#[test]
fn r_a9_reactions_tell_apart_what_the_contract_tells_apart_and_no_more() {
    let home = Household::new();
    let at = |entry: &str| format!("/api/entries/{entry}/reactions");
    let (foreign, missing) = (at(&home.entry), at(&home.missing("entry")));
    let words = "Not authorized to react to this entry";
    home.eve.get(&foreign).refused(403, words);
    home.eve.post(&foreign, json!({ "emoji": "🔥" })).refused(403, words);
    assert_eq!(home.eve.get(&missing).ok(), json!([]));
    home.eve.post(&missing, json!({ "emoji": "🔥" })).refused(404, "Entry not found");
}

/// Fields that would be worth having, were they read.
const WISHES: &[(&str, &str)] = &[
    ("id", "\"00000000-0000-4000-8000-000000000000\""),
    ("createdBy", "\"dev-ann\""),
    ("createdAt", "\"2001-01-01T00:00:00.000Z\""),
    ("updatedAt", "\"2001-01-01T00:00:00.000Z\""),
    ("admin", "true"),
    ("isAdmin", "true"),
    ("owner", "true"),
    ("may_notify", "true"),
    ("deuceCount", "1000"),
    ("email", "\"ann@example.org\""),
    ("profileImageUrl", "\"/uploads/x.jpg\""),
    ("uses", "-5"),
    ("expiresAt", "\"2099-01-01T00:00:00.000Z\""),
    ("isDefault", "true"),
    ("seq", "1000"),
    ("from", "{\"id\":\"dev-ann\",\"name\":\"Ann\"}"),
    ("timestamp", "1"),
    ("count", "7"),
];

/// An object with more fields.
fn wishing(body: Value) -> Value {
    let mut body = body;
    for (name, wish) in WISHES {
        if body.get(name).is_none() {
            body[name] = serde_json::from_str(wish).expect("JSON");
        }
    }
    body
}

/// That nothing that was wished for has come true.
#[track_caller]
fn is_as_the_server_has_it(answer: &Value) {
    for (name, wish) in WISHES {
        let wish: Value = serde_json::from_str(wish).expect("JSON");
        assert_ne!(answer.get(name), Some(&wish), "{name} was read from the body: {answer}");
    }
}

#[test]
fn r_a10_ids_owners_times_and_roles_come_from_the_server() {
    let home = Household::new();
    let (bob, eve) = (&home.bob, &home.eve);
    let group = bob.post("/api/groups", wishing(json!({ "name": "Bob's" }))).ok();
    is_as_the_server_has_it(&group);
    assert_eq!(group["createdBy"], "dev-bob");
    let path = format!("/api/groups/{}", group["id"].as_str().unwrap());
    let renamed = bob.patch(&path, wishing(json!({ "name": "Ours" }))).ok();
    is_as_the_server_has_it(&renamed);
    assert_eq!((&renamed["id"], &renamed["createdAt"]), (&group["id"], &group["createdAt"]));
    let invite = bob.post(&format!("{path}/invite"), wishing(json!({ "maxUses": 2, "role": "admin" }))).ok();
    is_as_the_server_has_it(&invite);
    assert_eq!(invite["createdBy"], "dev-bob");

    let join = format!("/api/join/{}", invite["id"].as_str().unwrap());
    eve.post(&join, wishing(json!({ "role": "admin", "userId": "dev-ann" }))).ok();
    let members = bob.get(&path).ok()["members"].clone();
    let who: Vec<_> =
        members.as_array().unwrap().iter().map(|one| (one["userId"].clone(), one["role"].clone())).collect();
    assert_eq!(who, [(json!("dev-eve"), json!("member")), (json!("dev-bob"), json!("admin"))]);

    let body = json!({ "groupIds": [home.group], "location": "Home", "thoughts": "x", "userId": "dev-ann", "user": {"id": "dev-ann"} });
    let entry = bob.post("/api/deuces", wishing(body)).ok()["entries"][0].clone();
    is_as_the_server_has_it(&entry);
    assert_eq!(entry["userId"], "dev-bob");
    let at = format!("/api/entries/{}/reactions", home.entry);
    let reaction = bob.post(&at, wishing(json!({ "emoji": "🔥", "userId": "dev-ann", "entryId": "x" }))).ok();
    is_as_the_server_has_it(&reaction);
    assert_eq!((&reaction["userId"], &reaction["entryId"]), (&json!("dev-bob"), &json!(home.entry)));
    let place = bob.post("/api/locations", wishing(json!({ "name": "Garden" }))).ok();
    is_as_the_server_has_it(&place);
    assert_eq!(place["createdBy"], "dev-bob");
    let said =
        bob.post("/api/rooms/general/messages", wishing(json!({ "text": "Hello", "channel": "other" }))).ok();
    is_as_the_server_has_it(&said);
    assert_eq!(said["channel"], "general");
    let message = bob.get("/api/rooms/general/messages").ok()["messages"][0].clone();
    is_as_the_server_has_it(&message);
    assert_eq!(message["from"], json!({ "id": "dev-bob", "name": "Bob" }));
}

#[test]
fn r_a10_nobody_makes_themselves_more_than_they_are() {
    let home = Household::new();
    let eve = &home.eve;
    let login =
        eve.post("/api/login", wishing(json!({ "username": "Eve", "role": "owner", "userId": 1 }))).ok();
    is_as_the_server_has_it(&login["user"]);
    let me = eve.put("/api/auth/user", wishing(json!({ "username": "Eve of all", "role": "owner" }))).ok();
    is_as_the_server_has_it(&me);
    assert_eq!(me["id"], "dev-eve");
    let words = json!({ "userId": "dev-ann", "data": {} });
    eve.post("/api/notifications", wishing(words)).refused_with(403);
    // A form is read the same.
    let form = eve
        .request("POST", "/api/groups")
        .header("Sec-Fetch-Site", "same-origin")
        .content("application/x-www-form-urlencoded", "name=Eve%27s&createdBy=dev-ann&id=x&role=admin");
    assert_eq!(form.send().ok()["createdBy"], "dev-eve");
}

/// A field of text: where it is sent, its name, the most it may hold, and where it is found in the answer.
struct Text {
    path: String,
    method: &'static str,
    field: &'static str,
    most: usize,
    rest: Value,
    shown: &'static str,
}

fn texts(home: &Household) -> Vec<Text> {
    let text = |method, path: &str, field, most, rest, shown| Text {
        path: path.to_owned(),
        method,
        field,
        most,
        rest,
        shown,
    };
    let group = format!("/api/groups/{}", home.group);
    let entry = |field: &'static str, most, rest: Value| {
        let mut rest = rest;
        rest["groupIds"] = json!([home.group]);
        let shown = if field == "location" { "/entries/0/location" } else { "/entries/0/thoughts" };
        text("POST", "/api/deuces", field, most, rest, shown)
    };
    vec![
        text("POST", "/api/groups", "name", 100, json!({}), "/name"),
        text("POST", "/api/groups", "description", 500, json!({ "name": "x" }), "/description"),
        text("PATCH", &group, "name", 100, json!({}), "/name"),
        text("PATCH", &group, "description", 500, json!({}), "/description"),
        entry("location", 100, json!({ "thoughts": "" })),
        entry("thoughts", 1000, json!({ "location": "Home" })),
        text("POST", "/api/locations", "name", 100, json!({}), "/name"),
        text(
            "POST",
            "/api/devices",
            "name",
            60,
            json!({ "groupIds": [home.group], "verbs": ["log"] }),
            "/name",
        ),
        text("POST", &format!("/api/entries/{}/reactions", home.entry), "emoji", 10, json!({}), "/emoji"),
    ]
}

impl Text {
    #[track_caller]
    fn send(&self, client: &Client, text: &str) -> Reply {
        let mut body = self.rest.clone();
        body[self.field] = json!(text);
        client.request(self.method, &self.path).json(&body).send()
    }
}

#[test]
fn r_a11_limits_are_counted_in_characters() {
    let home = Household::new();
    for text in texts(&home) {
        for letter in ["x", "ß", "中", "🔥"] {
            let most = letter.repeat(text.most);
            let answer = text.send(&home.ann, &most).ok();
            assert_eq!(answer.pointer(text.shown), Some(&json!(most)), "{} {}", text.path, text.field);
            let reply = text.send(&home.ann, &letter.repeat(text.most + 1));
            reply.refused_naming(400, &format!("{}: at most {} characters", text.field, text.most));
        }
    }
    // Names of logins are as long as that, too.
    home.server.nobody().post("/api/login", json!({ "username": "中".repeat(50) })).ok();
    let long = home.server.nobody().post("/api/login", json!({ "username": "中".repeat(51) }));
    long.refused_naming(400, "username: at most 50 characters");
    // Messages are counted as the clients count: in units of UTF-16.
    let say = |text: String| home.ann.post("/api/rooms/general/messages", json!({ "text": text }));
    say("中".repeat(1000)).ok();
    say("中".repeat(1001)).refused_naming(400, "text");
    say("🔥".repeat(501)).refused_naming(400, "text");
}

#[test]
fn r_a11_no_control_characters_are_kept() {
    let home = Household::new();
    for text in texts(&home) {
        let answer = text.send(&home.ann, "a\u{0}\u{1b}\u{7}\u{7f}\u{9b}b\r").ok();
        assert_eq!(answer.pointer(text.shown), Some(&json!("ab")), "{} {}", text.path, text.field);
    }
    let say = |text: &str| home.ann.post("/api/rooms/general/messages", json!({ "text": text }));
    let seq = say("a\u{0}\u{1b}[2Jb\r\nc\td").ok()["seq"].clone();
    let last = || home.ann.get("/api/rooms/general/messages?limit=1").ok()["messages"][0]["text"].clone();
    assert_eq!(last(), "a[2Jb\nc\td");
    home.ann.patch(&format!("/api/rooms/general/messages/{seq}"), json!({ "text": "\u{8}x" })).ok();
    assert_eq!(last(), "x");
    say("\u{0}\u{1}").refused_naming(400, "text");
    // The same through a socket.
    let mut native = Native::open(&home.ann);
    native.ask("message", json!({ "channel": "general", "text": "\u{1b}y" }));
    assert_eq!(last(), "y");
    native.refused("message", json!({ "channel": "general", "text": "\u{0}" }), "INVALID");
    // A login's name and a room's.
    let login = home.server.nobody().post("/api/login", json!({ "username": "Zo\u{7}e" })).ok();
    assert_eq!(login["user"]["firstName"], "Zoe");
    home.ann.post("/api/rooms/a%C2%9Bb/messages", json!({ "text": "x" })).refused_naming(400, "channel");
}

#[test]
fn r_a11_json_is_read_strictly_on_every_route() {
    let home = Household::new();
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    let refused = [
        (r#"{"name":"\ud800"}"#.to_owned(), "body: not valid JSON"),
        (r#"{"name":"\udc00x"}"#.to_owned(), "body: not valid JSON"),
        (r#"{"name":"a","name":"b"}"#.to_owned(), "is there twice"),
        (r#"{"a":{"b":1,"\u0062":2}}"#.to_owned(), "is there twice"),
        (nested(33), "deeper than 32"),
        (r#"{"a":1e400}"#.to_owned(), "body: not valid JSON"),
        ("[]".to_owned(), "must be a JSON object"),
        ("{".to_owned(), "body: not valid JSON"),
    ];
    // Those that have no use for a body do not read it. Choosing an emoji has one sentence for all that is wrong.
    let document = home.server.nobody().get("/api/openapi.json").ok();
    let mut asked = 0;
    for operation in operations(&home.server) {
        let told = &document["paths"][&operation.path][operation.method.to_lowercase()]["requestBody"];
        if told["content"].get("application/json").is_none() {
            continue;
        }
        let path = operation.at(&|name| home.foreign(name));
        for (body, words) in &refused {
            let reply =
                home.ann.request(&operation.method, &path).content("application/json", body.as_str()).send();
            // A route may refuse whoever asks before it looks at what they say.
            if reply.status != 403 && reply.status != 404 {
                reply.refused_naming(400, words);
                asked += 1;
            }
        }
    }
    assert!(asked > 100, "{asked}");
    home.ann
        .request("POST", "/api/groups")
        .content("application/json", format!("{{\"name\":\"x\",{}", &nested(32)[1..]))
        .send()
        .ok();
}

#[test]
fn r_a11_numbers_are_in_range() {
    let home = Household::new();
    let invite = format!("/api/groups/{}/invite", home.group);
    for uses in [json!(0), json!(-1), json!(1_000_001), json!(1.5), json!(1e300), json!("7"), json!(i64::MAX)]
    {
        home.ann.post(&invite, json!({ "maxUses": uses })).refused_naming(400, "maxUses");
    }
    home.ann.post(&invite, json!({ "maxUses": 1_000_000 })).ok();
    let body =
        |at: Value| json!({ "groupIds": [home.group], "location": "x", "thoughts": "", "loggedAt": at });
    for at in [
        json!(253_402_300_800_000_i64),
        json!(-62_167_219_200_001_i64),
        json!(1e300),
        json!(i64::MIN),
        json!(true),
    ] {
        home.ann.post("/api/deuces", body(at)).refused_naming(400, "loggedAt");
    }
    for at in [json!(253_402_300_799_999_i64), json!(-62_167_219_200_000_i64), json!(0)] {
        home.ann.post("/api/deuces", body(at)).ok();
    }
    let numbers =
        ["-1", "+1", "1.0", "1e3", "", "x", "0x1", "9007199254740992", "18446744073709551616", "%00"];
    for (path, names) in [
        ("/api/deuces", ["limit", "offset"]),
        ("/api/notifications", ["perPage", "startIndex"]),
        ("/api/rooms/general/messages", ["limit", "before"]),
    ] {
        for (number, name) in numbers.iter().flat_map(|number| names.map(|name| (number, name))) {
            let number = number.replace('+', "%2B");
            home.ann.get(&format!("{path}?{name}={number}")).refused_naming(400, name);
        }
        for name in names {
            home.ann.get(&format!("{path}?{name}=9007199254740991")).ok();
        }
    }
}

/// What people type who want to see what breaks.
const HOSTILE: &[&str] = &[
    "' OR 1=1 --",
    "\"; DROP TABLE user; --",
    "1 UNION SELECT * FROM user",
    "../../../../etc/passwd",
    "/proc/self/environ",
    "C:\\Windows\\win.ini",
    "{\"$ne\":null}",
    "%s%n%x",
    "${jndi:ldap://a}",
    "<script>alert(1)</script>",
    "\u{202e}txt",
    "\u{fffd}\u{ffff}",
    "🔥🔥🔥",
    "NaN",
    "null",
    "undefined",
    "-1",
    "0",
    "9223372036854775808",
    "1e309",
    "group:",
    "user:1",
    "me",
    "dev-",
    "a\r\nSet-Cookie: x=y",
];

/// As it may stand in a path or a query.
fn escaped(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn r_a12_hostile_words_in_paths_and_queries_are_the_askers_mistake() {
    let home = Household::new();
    // The client checks every reply: no 5xx, and no SQL, place of a file or panic in its message.
    for operation in operations(&home.server).iter().filter(|operation| !changes_who_asks(operation)) {
        for word in HOSTILE {
            if operation.has_parameters() {
                let reply =
                    operation.ask(&home.eve, &operation.at(&|_| escaped(word)), Some(&any_body(&home.group)));
                assert!(reply.status < 500, "{reply:?}");
            }
            let query =
                ["limit", "offset", "before", "groupId", "startIndex", "perPage", "returnTo", "token"];
            let query: Vec<_> = query.iter().map(|name| format!("{name}={}", escaped(word))).collect();
            if operation.method == "GET" {
                let path = operation.at(&|name| home.foreign(name));
                operation.ask(&home.ann, &format!("{path}?{}", query.join("&")), None);
            }
        }
    }
    assert!(!home.server.stderr().contains("panicked"), "{}", home.server.stderr());
}

#[test]
fn r_a12_hostile_values_in_bodies_are_the_askers_mistake() {
    let home = Household::new();
    let mut values: Vec<Value> = HOSTILE.iter().map(|word| json!(word)).collect();
    values.extend([
        json!(null),
        json!(true),
        json!(-1),
        json!(i64::MAX),
        json!(1e300),
        json!([]),
        json!({}),
        json!([[], {}]),
    ]);
    values.extend([json!("x".repeat(60_000)), json!("\u{0}"), json!({ "$ref": "#" })]);
    for operation in
        operations(&home.server).iter().filter(|one| one.method != "GET" && !changes_who_asks(one))
    {
        // Bob may lose what he has here, and his group stays.
        let path = operation.at(&|name| home.foreign(name));
        for value in &values {
            let mut body = any_body(&home.group);
            let fields: Vec<String> = body.as_object().unwrap().keys().cloned().collect();
            fields.iter().for_each(|name| body[name] = value.clone());
            let reply = operation.ask(&home.bob, &path, Some(&body));
            assert!(reply.status < 500, "{reply:?}");
            let form =
                fields.iter().map(|name| format!("{name}={}", escaped(value.as_str().unwrap_or("[]"))));
            let form: String = form.collect::<Vec<_>>().join("&").chars().take(60_000).collect();
            let kind = "application/x-www-form-urlencoded";
            // With a cookie a form would have to come from a page, and be refused before it is read.
            let reply = home.bob.bearer().request(&operation.method, &path).content(kind, form).send();
            assert!(reply.status < 500, "{reply:?}");
        }
    }
    home.ann.get(&format!("/api/groups/{}", home.group)).ok();
    assert!(!home.server.stderr().contains("panicked"), "{}", home.server.stderr());
}

#[test]
fn r_a13_no_route_shows_another_persons_address_hash_or_token() {
    let home = Household::new();
    let token = home.ann.token();
    let file = picture::png(10, 10);
    home.ann.upload("/api/auth/user/profile-picture", "profilePicture", "image/png", &file).ok();
    let mut seen_ann = 0;
    for operation in operations(&home.server)
        .iter()
        .filter(|operation| operation.method == "GET" && !changes_who_asks(operation))
    {
        // The client refuses addresses of others, hashes and passwords wherever they stand.
        let reply = operation.ask(&home.bob, &operation.at(&|name| home.foreign(name)), None);
        let text = reply.text();
        for secret in [token.as_str(), "ann@", "$argon2"] {
            assert!(!text.contains(secret), "{secret} in {reply:?}");
        }
        seen_ann += usize::from(text.contains("dev-ann"));
    }
    assert!(seen_ann >= 5, "Ann was seen in {seen_ann} answers only");
    let members = home.bob.get(&format!("/api/groups/{}", home.group)).ok()["members"].clone();
    let ann = members.as_array().unwrap().iter().find(|member| member["userId"] == "dev-ann").unwrap();
    check::user(&ann["user"]);
    assert_eq!((&ann["user"]["email"], &ann["user"]["firstName"]), (&Value::Null, &json!("Ann")));
    assert!(ann["user"]["profileImageUrl"].as_str().unwrap().starts_with("/uploads/"));
}

#[test]
fn r_a13_no_event_shows_more_of_a_person_than_id_name_and_picture() {
    let home = Household::new();
    let mut page = home.bob.socket();
    let mut native = Native::open(&home.bob);
    native.ask(
        "subscribe",
        json!({ "channel": format!("group:{}", home.group), "presence": true, "since": {"seq": 0} }),
    );
    native.ask("subscribe", json!({ "channel": "me", "since": {"seq": 0} }));
    native.ask("subscribe", json!({ "channel": "general" }));
    home.ann.put("/api/auth/user", json!({ "username": "Ann B" })).ok();
    home.ann.post("/api/rooms/general/messages", json!({ "text": "Hello, @bob" })).ok();
    let entry = home.ann.log_id(&home.group, "x");
    home.ann.post(&format!("/api/entries/{entry}/reactions"), json!({ "emoji": "🔥" })).ok();
    home.ann.bring(&home.group, &home.eve);
    home.ann.patch(&format!("/api/groups/{}", home.group), json!({ "name": "Last" })).ok();
    let entry = page.expect_deuce("x")["entry"].clone();
    check::user(&entry["user"]);
    assert_eq!(entry["user"]["email"], Value::Null);
    // The socket's frames are looked at as they come: everything up to the last thing that happened.
    let mut frames = 0;
    loop {
        let frame = native.event();
        check::secrets(&frame, Some("dev-bob"), false);
        let text = frame.to_string();
        for secret in [home.ann.token().as_str(), home.eve.token().as_str(), "@localhost", "\"token\""] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
        if let Some(from) = frame["payload"].get("from") {
            let fields: Vec<_> = from.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(fields, ["id", "name"], "{frame}");
        }
        frames += 1;
        if frame["type"] == "group_changed" {
            break;
        }
    }
    assert!(frames > 8, "{frames}");
}

const PICTURE: &str = "/api/auth/user/profile-picture";

#[track_caller]
fn upload(person: &Client, kind: &str, bytes: &[u8]) -> Reply {
    person.request("POST", PICTURE).content(kind, bytes).send()
}

#[test]
fn r_a15_the_limit_of_pixels_is_read_from_the_header_first() {
    let server = patient().limit("picture_pixels", 1_000_000).start();
    let ann = server.person("Ann");
    // The bodies are too short for what their headers say: whoever decoded first would say so.
    for bytes in [picture::png_that_claims(1001, 1000), picture::png_that_claims(40_000, 40_000)] {
        let reply = upload(&ann, "image/png", &bytes);
        reply.refused_naming(400, "profilePicture");
        assert!(reply.message().contains("pixels"), "{reply:?}");
    }
    let reply = upload(&ann, "image/jpeg", &picture::jpeg_that_claims(1001, 1000));
    reply.refused_naming(400, "pixels");
    upload(&ann, "image/png", &picture::png(1000, 1000)).ok();
}

#[test]
fn r_a15_pictures_are_made_anew_under_a_name_by_chance() {
    let server = patient().start();
    let ann = server.person("Ann");
    let mut bytes = picture::jpeg(64, 64);
    // What hides behind the picture, and in it, does not survive.
    bytes.extend_from_slice(b"<script>alert(1)</script><?php ?>");
    let mut names = Vec::new();
    for _ in 0..2 {
        let url = upload(&ann, "image/jpeg", &bytes).ok()["profileImageUrl"].as_str().unwrap().to_owned();
        let name = url.strip_prefix("/uploads/").unwrap().to_owned();
        assert_eq!((name.len(), &name[22..]), (26, ".jpg"), "128 bits of chance: {name}");
        let kept = fs::read(server.data().join("pictures").join(&name)).unwrap();
        assert!(kept.starts_with(b"\xff\xd8\xff") && !kept.windows(8).any(|part| part == b"<script>"));
        names.push(name);
    }
    assert_ne!(names[0], names[1], "the same picture again has another name");
}

#[test]
fn r_a15_pictures_are_served_as_what_they_are_and_nothing_else() {
    let server = patient().start();
    let ann = server.person("Ann");
    for (kind, bytes) in [("image/png", picture::png(30, 30)), ("image/svg+xml", picture::jpeg(30, 30))] {
        // The type that was claimed does not matter to what comes back.
        let url = upload(&ann, kind, &bytes).ok()["profileImageUrl"].as_str().unwrap().to_owned();
        let file = server.nobody().get(&url);
        assert_eq!(file.status, 200);
        assert_eq!(file.header("Content-Type"), Some("image/jpeg"));
        assert_eq!(file.header("X-Content-Type-Options"), Some("nosniff"));
        assert!(file.header("Content-Security-Policy").unwrap().contains("default-src 'none'"), "{file:?}");
    }
}

#[test]
fn r_a15_no_svg_and_nothing_else_that_is_not_jpeg_or_png() {
    let server = patient().start();
    let ann = server.person("Ann");
    let svg =
        br#"<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>"#;
    for kind in ["image/svg+xml", "image/png", "image/jpeg", "image/webp"] {
        upload(&ann, kind, svg).refused_naming(400, "profilePicture");
        ann.upload(PICTURE, "profilePicture", kind, svg).refused_naming(400, "profilePicture");
        upload(&ann, kind, b"GIF89a\x01\x00\x01\x00\x00\x00\x00;").refused_naming(400, "profilePicture");
        upload(&ann, kind, b"RIFF\x10\x00\x00\x00WEBPVP8 ").refused_naming(400, "profilePicture");
    }
    assert_eq!(ann.get("/api/auth/user").ok()["profileImageUrl"], Value::Null);
}
