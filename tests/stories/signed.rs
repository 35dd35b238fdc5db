//! Signed requests: gadgets without TLS that prove what they send and never send a secret.

use crate::device::make;
use crate::harness::{Client, Reply, Server, together};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A gadget that signs, by docs/devices.md and not by the server's code.
struct Gadget {
    client: Client,
    key_id: String,
    key: String,
}

impl Gadget {
    #[track_caller]
    fn new(person: &Client, group: &str, verbs: &[&str]) -> Gadget {
        Gadget::of(person, &make(person, &format!("signs {}", verbs.join(" ")), &[group], verbs))
    }

    fn of(person: &Client, made: &Value) -> Gadget {
        let text = |name: &str| made[name].as_str().unwrap().to_owned();
        // What it has is the key; the token stays in its drawer.
        Gadget { client: person.gadget(""), key_id: text("keyId"), key: text("key") }
    }

    fn mac(&self, text: &str) -> String {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.key.as_bytes()).unwrap();
        mac.update(text.as_bytes());
        hex(&mac.finalize().into_bytes())
    }

    fn signature(&self, method: &str, target: &str, counter: i64, body: &str) -> String {
        let digest = hex(&Sha256::digest(body));
        self.mac(&format!("deuced-request-v1\n{method}\n{target}\n{counter}\n{digest}"))
    }

    fn header(&self, counter: i64, signature: &str) -> String {
        format!("Deuced key=\"{}\", counter=\"{counter}\", signature=\"{signature}\"", self.key_id)
    }

    /// Sends a request under any header.
    #[track_caller]
    fn send(&self, method: &str, target: &str, body: &str, header: &str) -> Reply {
        let request = self.client.request(method, target).header("Authorization", header);
        match body {
            "" => request.send(),
            body if body.starts_with('{') => request.content("application/json", body).send(),
            body => request.content("application/x-www-form-urlencoded", body).send(),
        }
    }

    #[track_caller]
    fn ask(&self, method: &str, target: &str, body: &str, counter: i64) -> Reply {
        let signature = self.signature(method, target, counter, body);
        self.send(method, target, body, &self.header(counter, &signature))
    }

    #[track_caller]
    fn log(&self, place: &str, counter: i64) -> Reply {
        self.ask("POST", "/api/deuces", &format!("location={place}"), counter)
    }

    /// A refusal that names the last counter, and proves that it knows the key.
    #[track_caller]
    fn told(&self, reply: &Reply, method: &str, target: &str, body: &str, counter: i64) -> i64 {
        reply.refused_naming(409, "counter");
        let answer = reply.json();
        let told = answer["counter"].as_i64().unwrap_or_else(|| panic!("{reply:?}"));
        let signature = self.signature(method, target, counter, body);
        assert_eq!(answer["proof"], json!(self.mac(&format!("deuced-counter-v1\n{signature}\n{told}"))));
        told
    }
}

fn places(person: &Client, group: &str) -> Vec<String> {
    crate::harness::client::texts(&person.get(&format!("/api/groups/{group}")).ok()["entries"], "location")
}

#[test]
fn the_counter_is_the_idempotency_key() {
    let mut server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let button = Gadget::new(&ann, &home, &["log"]);
    let mut socket = ann.socket();
    let first = button.log("Home", 7);
    first.ok();
    socket.expect_deuce("");
    for _ in 0..3 {
        assert_eq!(button.log("Home", 7).body, first.body, "the same answer, and nothing twice");
    }
    socket.expect_silence();
    server.kill9();
    server.start_again();
    assert_eq!(button.log("Home", 7).body, first.body, "also after a power cut");
    assert_eq!(places(&ann, &home), ["Home"]);

    // The same counter for something else, and older ones, are refused with the last one, proven.
    let target = "/api/deuces";
    for (place, counter) in [("Work", 7), ("Home", 6), ("Home", 1)] {
        let reply = button.log(place, counter);
        assert_eq!(button.told(&reply, "POST", target, &format!("location={place}"), counter), 7);
    }
    button.log("Work", 8).ok();
    let late = button.log("Home", 7);
    assert_eq!(button.told(&late, "POST", target, "location=Home", 7), 8, "only the last can be repeated");
    button.log("Away", 1_795_187_924_544).ok();
    button.log("Far", 9_007_199_254_740_991).ok();
    assert_eq!(places(&ann, &home), ["Far", "Away", "Work", "Home"]);
    // Another device counts for itself.
    Gadget::new(&ann, &home, &["log", "read"]).log("Other", 1).ok();
}

#[test]
fn nothing_but_what_was_signed_is_accepted() {
    let server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let device = Gadget::new(&ann, &home, &["log", "read"]);
    let other = Gadget::new(&ann, &home, &["log"]);
    let (target, body) = ("/api/deuces", "location=Home");
    let good = device.signature("POST", target, 5, body);
    let refuse = |target: &str, body: &str, header: String| {
        device.send("POST", target, body, &header).refused(401, "Unauthorized");
    };
    refuse(target, "location=Work", device.header(5, &good));
    refuse(target, "", device.header(5, &good));
    refuse("/api/deuces?a=b", body, device.header(5, &good));
    refuse("/api/deuces/", body, device.header(5, &good));
    refuse("/API/deuces", body, device.header(5, &good));
    refuse(target, body, device.header(6, &good));
    refuse(target, body, other.header(5, &good));
    refuse(target, body, other.header(5, &other.signature("GET", target, 5, body)));
    refuse(target, body, device.header(5, &"0".repeat(64)));
    for id in ["4711", "1", "9007199254740991"] {
        // 1 is Ann's login, which is no device.
        refuse(
            target,
            body,
            Gadget { key_id: id.into(), ..Gadget::of(&ann, &json!({ "keyId": id, "key": device.key })) }
                .header(5, &good),
        );
    }
    device.send("GET", target, "", &device.header(5, &good)).refused(401, "Unauthorized");
    for header in [
        "Deuced".to_owned(),
        "Deuced ".to_owned(),
        format!("Deuced key=\"{}\"", device.key_id),
        device.header(5, &good[1..]),
        device.header(-5, &good),
        device.header(5, &good).replace("\"5\"", "\"05\""),
        format!("{}, counter=\"6\"", device.header(5, &good)),
    ] {
        assert_eq!(device.send("POST", target, body, &header).status, 401, "{header}");
    }
    assert_eq!(places(&ann, &home), [""; 0]);
    // Nor did any of it use up the counter.
    device.send("POST", target, body, &device.header(5, &good.to_uppercase())).ok();
    // The query is signed as it stands, in whatever spelling.
    let target = format!("/api/deuces?groupId={home}&x=%41+%2b");
    device.ask("GET", &target, "", 6).ok();
    let signed = device.header(7, &device.signature("GET", &target, 7, ""));
    device.send("GET", &target.replace("%41", "A"), "", &signed).refused(401, "Unauthorized");
}

#[test]
fn a_read_cannot_be_sent_again_either() {
    let mut server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let display = Gadget::new(&ann, &home, &["log", "read"]);
    let target = "/api/deuces?limit=1";
    assert_eq!(display.ask("GET", target, "", 10).ok(), json!([]));
    ann.log(&home, "new");
    // Whoever listened would see now what the gadget has not seen.
    assert_eq!(display.told(&display.ask("GET", target, "", 10), "GET", target, "", 10), 10);
    assert_eq!(display.told(&display.ask("GET", target, "", 9), "GET", target, "", 9), 10);
    assert_eq!(display.ask("GET", target, "", 11).ok()[0]["thoughts"], "new");
    assert_eq!(display.ask("HEAD", target, "", 12).status, 200);
    // Writes are counted apart.
    display.log("Home", 2).ok();

    // The last counter was in memory only, and yet nothing can be sent again after a power cut.
    server.kill9();
    server.start_again();
    for counter in [10, 11, 12, 13] {
        display.told(&display.ask("GET", target, "", counter), "GET", target, "", counter);
    }
    let told = display.told(&display.ask("GET", target, "", 13), "GET", target, "", 13);
    display.ask("GET", target, "", told + 1).ok();
    assert_eq!(
        display.told(&display.ask("GET", target, "", told + 1), "GET", target, "", told + 1),
        told + 1
    );
    display.ask("GET", target, "", told + 2).ok();
    display.log("Home", 3).ok();
}

#[test]
fn many_at_once() {
    let server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let made = make(&ann, "button", &[&home], &["log"]);
    let gadgets: Vec<Gadget> = (0..8).map(|_| Gadget::of(&ann, &made)).collect();
    for round in 1..4 {
        let replies = together(8, |index| gadgets[index].log("Same", round * 100));
        assert!(
            replies.iter().all(|reply| reply.status == 200 && reply.body == replies[0].body),
            "{replies:?}"
        );
    }
    assert_eq!(places(&ann, &home).len(), 3);
    // Different ones: each is carried out once or refused, and in the order of their counters.
    let replies = together(8, |index| gadgets[index].log(&format!("p{index}"), 1000 + index as i64));
    let done: Vec<usize> = (0..8).filter(|index| replies[*index].status == 200).collect();
    assert!(replies.iter().all(|reply| matches!(reply.status, 200 | 409)), "{replies:?}");
    assert!(done.contains(&7), "the highest always wins: {replies:?}");
    let mut stored = places(&ann, &home);
    stored.truncate(done.len());
    stored.reverse();
    assert_eq!(stored, done.iter().map(|index| format!("p{index}")).collect::<Vec<_>>());
    assert_eq!(places(&ann, &home).len(), 3 + done.len());
}

#[test]
fn what_is_refused_has_not_used_its_counter() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let (home, club) = (ann.found("Home"), ann.found("Club"));
    ann.bring(&home, &bob);
    let gadget = Gadget::new(&ann, &home, &["log", "chat", "notify"]);
    gadget.log("", 5).refused_naming(400, "location");
    gadget.ask("POST", "/api/deuces", &format!("location=x&groupIds={club}"), 5).refused_with(403);
    gadget.ask("GET", "/api/deuces", "", 5).refused(403, "This device lacks the verb read");
    gadget.ask("DELETE", "/api/user/account", "", 5).refused_with(403);
    gadget.ask("POST", "/api/auth/logout", "", 5).ok();
    gadget.log("Home", 5).ok();
    // Everything a device may change happens once.
    let entry = ann.log_id(&home, "react!");
    let room = format!("/api/rooms/group:{home}/messages");
    let notice = json!({ "userId": bob.id(), "data": { "a": 1 } }).to_string();
    let acts = [
        (6, room.clone(), json!({ "text": "Hello" }).to_string()),
        (7, format!("/api/entries/{entry}/reactions"), json!({ "emoji": "👍" }).to_string()),
        (8, "/api/notifications".to_owned(), notice),
    ];
    let count = |path: &str, field: &str| bob.get(path).ok()[field].clone();
    let unread = count("/api/notifications/unread-count", "count").as_i64().unwrap();
    for (counter, path, body) in &acts {
        let first = gadget.ask("POST", path, body, *counter);
        first.ok();
        assert_eq!(gadget.ask("POST", path, body, *counter).body, first.body);
        let later = gadget.ask("POST", path, body, counter - 1);
        assert_eq!(gadget.told(&later, "POST", path, body, counter - 1), *counter);
    }
    assert_eq!(count(&room, "messages").as_array().map(Vec::len), Some(1));
    assert_eq!(count("/api/notifications/unread-count", "count"), unread + 1);
}

#[test]
fn whoever_guesses_is_slowed_down_and_locks_nobody_out() {
    let server = Server::setup().open().limit("address_requests_per_minute", 30).start();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let button = Gadget::new(&ann, &home, &["log"]);
    let guess = |number: u64| {
        let header = button.header(1, &format!("{number:064x}"));
        button.send("POST", "/api/deuces", "location=Home", &header).status
    };
    let statuses: Vec<u16> = (0..60).map(guess).collect();
    assert!(statuses.iter().all(|status| matches!(status, 401 | 429)), "{statuses:?}");
    assert!(statuses.iter().filter(|status| **status == 429).count() >= 20, "{statuses:?}");
    // From the same address, and not held up by it.
    button.log("Home", 1).ok();
}

#[test]
fn a_signature_needs_no_page_of_ours_and_opens_no_socket() {
    let server = Server::strict();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let button = Gadget::new(&ann, &home, &["log", "read"]);
    let body = "location=Home";
    let header = button.header(1, &button.signature("POST", "/api/deuces", 1, body));
    let request = button.client.request("POST", "/api/deuces").header("Authorization", &header);
    let request = request.header("Origin", "http://elsewhere.example").header("Sec-Fetch-Site", "cross-site");
    request.content("application/x-www-form-urlencoded", body).send().ok();
    // With a cookie beside it, the signature is what counts.
    let wrong = button.header(2, &"0".repeat(64));
    let reply = ann.request("GET", "/api/groups").header("Authorization", &wrong).send();
    reply.refused(401, "Unauthorized");
    let signed = button.header(2, &button.signature("GET", "/ws", 2, ""));
    let handshake = server.nobody().handshake().header("Authorization", &signed);
    handshake.refused(401);
}

#[test]
fn the_key_ends_with_the_device_and_is_stored_nowhere() {
    let mut server = Server::strict();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let made = make(&ann, "button", &[&home], &["log"]);
    let button = Gadget::of(&ann, &made);
    button.log("Home", 1).ok();
    assert_eq!(ann.get("/api/devices").ok()[0]["lastUsedAt"].as_str().map(str::len), Some(24));
    server.restart();
    assert_eq!(ann.get("/api/devices").ok()[0]["lastUsedAt"], Value::Null, "kept in memory only");
    button.log("Home", 2).ok();
    ann.delete(&format!("/api/devices/{}", button.key_id)).ok();
    button.log("Home", 3).refused(401, "Unauthorized");
    button.log("Home", 2).refused(401, "Unauthorized");
    assert_eq!(places(&ann, &home).len(), 2);
    let said = server.stderr();
    for secret in [made["key"].as_str().unwrap(), made["token"].as_str().unwrap()] {
        for file in std::fs::read_dir(server.data()).unwrap() {
            let path = file.unwrap().path();
            let bytes = if path.is_file() { std::fs::read(&path).unwrap() } else { Vec::new() };
            let found = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
            assert!(!found, "a secret in {}", path.display());
        }
        assert!(!said.contains(secret), "a secret in the log");
    }
}
