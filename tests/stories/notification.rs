//! Notifications: who is told of what, what they chose, and what they have read.

use crate::harness::{
    Client, Native, Server, check,
    native::Cursor,
    server::{self, PASSWORD},
};
use serde_json::{Value, json};

/// Ann and Bob in one group, each with an inbox open.
struct House {
    server: Server,
    ann: Client,
    bob: Client,
    home: String,
    of_ann: Native,
    of_bob: Native,
}

impl House {
    fn new() -> House {
        let server = Server::open();
        let (ann, bob) = (server.person("Ann"), server.person("Bob"));
        let home = ann.found("Home");
        ann.bring(&home, &bob);
        let (of_ann, of_bob) = (inbox(&ann), inbox(&bob));
        House { server, ann, bob, home, of_ann, of_bob }
    }

    fn choose(&self, who: &Client, choice: Value) -> Value {
        who.put(&format!("/api/groups/{}/notifications", self.home), choice).ok()
    }

    fn say(&self, who: &Client, text: &str) -> Value {
        who.post(&format!("/api/rooms/group:{}/messages", self.home), json!({ "text": text })).ok()
    }

    fn react(&self, who: &Client, entry: &str, emoji: &str) {
        who.post(&format!("/api/entries/{entry}/reactions"), json!({ "emoji": emoji })).ok();
    }
}

fn inbox(client: &Client) -> Native {
    let mut native = Native::open(client);
    native.subscribe("me");
    native
}

/// The next in the inbox is a notification of this type, unread; its data.
#[track_caller]
fn rings(native: &mut Native, kind: &str) -> Value {
    let event = native.expect("notification");
    let notification = &event["payload"]["notification"];
    assert_eq!(notification["id"], event["payload"]["seq"], "{event}");
    assert_eq!(notification["read"], false, "{event}");
    check::time(&notification["createdAt"]);
    let data = &notification["data"];
    assert_eq!(data["type"], kind, "{event}");
    assert!(data["message"].as_str().is_some_and(|message| !message.is_empty()), "a sentence: {event}");
    data.clone()
}

/// A page of somebody's list.
#[track_caller]
fn list(client: &Client, query: &str) -> (Vec<Value>, i64) {
    let page = client.get(&format!("/api/notifications{query}")).ok();
    let notifications = page["notifications"].as_array().unwrap_or_else(|| panic!("{page}")).clone();
    for notification in &notifications {
        assert_eq!(notification["userId"], json!(client.number()), "{notification}");
        assert!(notification["read"].is_boolean() && notification["id"].is_i64(), "{notification}");
        check::time(&notification["createdAt"]);
    }
    (notifications, page["total"].as_i64().unwrap())
}

#[track_caller]
fn unread(client: &Client) -> i64 {
    client.get("/api/notifications/unread-count").ok()["count"].as_i64().unwrap()
}

#[test]
fn an_entry_in_ones_group() {
    let mut house = House::new();
    let entry = house.ann.log_id(&house.home, "hello");
    let data = rings(&mut house.of_bob, "deuce_logged");
    assert_eq!(data["userId"], json!(house.ann.id()), "{data}");
    assert_eq!((&data["groupId"], &data["entryId"]), (&json!(house.home), &json!(entry)), "{data}");
    assert_eq!(data["channel"], json!(format!("group:{}", house.home)), "{data}");
    assert!(data["message"].as_str().unwrap().contains("Ann"), "{data}");
    // Not of one's own doing.
    house.of_ann.expect_silence();
    house.of_bob.expect_silence();
}

#[test]
fn a_reaction_to_ones_entry() {
    let mut house = House::new();
    let carl = house.server.person("Carl");
    house.ann.bring(&house.home, &carl);
    rings(&mut house.of_ann, "member_joined");
    rings(&mut house.of_bob, "member_joined");
    let entry = house.ann.log_id(&house.home, "hello");
    rings(&mut house.of_bob, "deuce_logged");
    house.react(&house.ann, &entry, "👍");
    house.react(&house.bob, &entry, "🔥");
    let data = rings(&mut house.of_ann, "reaction_added");
    assert_eq!(data["userId"], json!(house.bob.id()), "{data}");
    assert_eq!((&data["entryId"], &data["emoji"]), (&json!(entry), &json!("🔥")), "{data}");
    // Others' reactions to others' entries are no business of theirs, and taking back is no news.
    house.react(&carl, &entry, "👏");
    rings(&mut house.of_ann, "reaction_added");
    house.bob.delete_with_body(&format!("/api/entries/{entry}/reactions"), json!({ "emoji": "🔥" })).ok();
    house.of_bob.expect_silence();
    house.of_ann.expect_silence();
}

#[test]
fn somebody_joins() {
    let mut house = House::new();
    let carl = house.server.person("Carl");
    let mut of_carl = inbox(&carl);
    house.ann.bring(&house.home, &carl);
    for native in [&mut house.of_ann, &mut house.of_bob] {
        let data = rings(native, "member_joined");
        assert_eq!((&data["userId"], &data["groupId"]), (&json!(carl.id()), &json!(house.home)), "{data}");
    }
    of_carl.expect_silence();
}

#[test]
fn a_message_with_ones_name_in_it() {
    let mut house = House::new();
    let said = house.say(&house.ann, "good morning @Bob, how are you?");
    let data = rings(&mut house.of_bob, "mention");
    assert_eq!(data["userId"], json!(house.ann.id()), "{data}");
    assert_eq!((&data["messageId"], &data["seq"]), (&said["id"], &said["seq"]), "{data}");
    assert_eq!(data["channel"], json!(format!("group:{}", house.home)), "{data}");
    for text in ["(@bob)", "@BOB!", "hi @bob"] {
        house.say(&house.ann, text);
        rings(&mut house.of_bob, "mention");
    }
    // Not every name in a text is one, and one does not mention oneself.
    for text in ["Bob", "@Bobby", "@ Bob", "bob@", "@Ann is me"] {
        house.say(&house.ann, text);
    }
    house.of_bob.expect_silence();
    house.of_ann.expect_silence();
    // Whatever language it was said in.
    let mut speaker = Native::open(&house.ann);
    speaker.say(&format!("group:{}", house.home), "@Bob over a socket");
    rings(&mut house.of_bob, "mention");
}

#[test]
fn a_name_in_a_room_for_all() {
    let mut house = House::new();
    Native::open(&house.ann).say("general", "is @Bob here?");
    assert_eq!(rings(&mut house.of_bob, "mention")["channel"], "general");
    house.of_ann.expect_silence();
}

#[test]
fn not_a_member_is_notified_of_nothing() {
    let mut house = House::new();
    let eve = house.server.person("Eve");
    let mut of_eve = inbox(&eve);
    let entry = house.ann.log_id(&house.home, "hello");
    house.react(&house.bob, &entry, "🔥");
    house.say(&house.ann, "@Eve should not know");
    rings(&mut house.of_bob, "deuce_logged");
    rings(&mut house.of_ann, "reaction_added");
    of_eve.expect_silence();
    // And whoever was a member is told nothing from then on.
    house.bob.post(&format!("/api/groups/{}/leave", house.home), json!({})).ok();
    house.ann.log(&house.home, "without Bob");
    house.say(&house.ann, "@Bob is gone");
    house.of_bob.expect_silence();
    assert_eq!(list(&eve, "").1, 0);
}

#[test]
fn what_one_is_notified_of_is_ones_choice_per_group() {
    let mut house = House::new();
    let path = format!("/api/groups/{}/notifications", house.home);
    let all = json!({ "entries": true, "reactions": true, "joins": true, "mentions": true });
    assert_eq!(house.bob.get(&path).ok(), all, "everything, unless one says otherwise");
    let only_mentions = json!({ "entries": false, "reactions": false, "joins": false, "mentions": true });
    assert_eq!(house.choose(&house.bob, only_mentions.clone()), only_mentions);
    assert_eq!(house.bob.get(&path).ok(), only_mentions);
    assert_eq!(house.ann.get(&path).ok(), all, "the others' choice is theirs");

    let of_bob = house.bob.log_id(&house.home, "by Bob");
    rings(&mut house.of_ann, "deuce_logged");
    house.ann.log(&house.home, "an entry");
    house.react(&house.ann, &of_bob, "🔥");
    let carl = house.server.person("Carl");
    house.ann.bring(&house.home, &carl);
    rings(&mut house.of_ann, "member_joined");
    house.of_bob.expect_silence();
    house.say(&house.ann, "@Bob");
    rings(&mut house.of_bob, "mention");

    // One at a time; what is not named stays.
    let changed = house.choose(&house.bob, json!({ "entries": true, "mentions": false }));
    assert_eq!(changed, json!({ "entries": true, "reactions": false, "joins": false, "mentions": false }));
    house.ann.log(&house.home, "another");
    rings(&mut house.of_bob, "deuce_logged");
    house.say(&house.ann, "@Bob");
    house.of_bob.expect_silence();

    // Another group is another choice.
    let club = house.ann.found("Club");
    house.ann.bring(&club, &house.bob);
    rings(&mut house.of_ann, "member_joined");
    house.ann.post(&format!("/api/rooms/group:{club}/messages"), json!({ "text": "@Bob" })).ok();
    assert_eq!(rings(&mut house.of_bob, "mention")["channel"], json!(format!("group:{club}")));
}

#[test]
fn a_choice_that_is_none() {
    let house = House::new();
    let path = format!("/api/groups/{}/notifications", house.home);
    house.bob.put(&path, json!({ "entries": "yes" })).refused_naming(400, "entries");
    house.bob.put(&path, json!({ "entries": null })).refused_naming(400, "entries");
    let eve = house.server.person("Eve");
    eve.get(&path).refused_with(403);
    eve.put(&path, json!({ "entries": false })).refused_with(403);
    house.server.nobody().get(&path).refused_with(401);
}

#[test]
fn several_groups_of_one_post_ring_once_per_group() {
    let mut house = House::new();
    let club = house.ann.found("Club");
    house.ann.bring(&club, &house.bob);
    rings(&mut house.of_ann, "member_joined");
    let body = json!({ "groupIds": [house.home, club], "location": "Home", "thoughts": "x" });
    house.ann.post("/api/deuces", body).ok();
    let groups = [0, 1].map(|_| rings(&mut house.of_bob, "deuce_logged")["groupId"].clone());
    assert!(groups.contains(&json!(house.home)) && groups.contains(&json!(club)), "{groups:?}");
    house.of_bob.expect_silence();
}

#[test]
fn the_list_is_newest_first_and_in_pages() {
    let house = House::new();
    for number in 0..25 {
        house.ann.log(&house.home, &number.to_string());
    }
    let (first, total) = list(&house.bob, "");
    assert_eq!((first.len(), total), (20, 25));
    let ids: Vec<i64> = first.iter().map(|notification| notification["id"].as_i64().unwrap()).collect();
    assert!(ids.windows(2).all(|pair| pair[0] > pair[1]), "newest first: {ids:?}");
    let (second, _) = list(&house.bob, "?startIndex=20");
    assert_eq!(second.len(), 5);
    let (middle, _) = list(&house.bob, "?startIndex=18&perPage=4");
    assert_eq!(middle, [&first[18..], &second[..2]].concat());
    assert_eq!(house.bob.get("/api/notifications?startIndex=18&perPage=4").ok()["startIndex"], 18);
    assert_eq!(list(&house.bob, "?startIndex=1000"), (vec![], 25), "past the end, the true total");
    assert_eq!(list(&house.bob, "?perPage=100").0.len(), 25);
    assert_eq!(list(&house.bob, "?perPage=100000").0.len(), 25);
    for bad in ["perPage=0", "perPage=-1", "perPage=x", "startIndex=-1", "startIndex=x"] {
        let field = bad.split('=').next().unwrap();
        house.bob.get(&format!("/api/notifications?{bad}")).refused_naming(400, field);
    }
    assert_eq!(list(&house.ann, "").1, 1, "Ann was told of Bob's joining and of none of her own");
    let nobody = house.server.nobody();
    nobody.get("/api/notifications").refused_with(401);
    nobody.get("/api/notifications/unread-count").refused_with(401);
    nobody.post("/api/notifications/read-all", json!({})).refused_with(401);
}

#[test]
fn reading_is_told_to_ones_other_devices_and_to_nobody_else() {
    let mut house = House::new();
    let mut tablet = inbox(&house.bob);
    let mut numbers = Vec::new();
    for number in 0..4 {
        house.ann.log(&house.home, &number.to_string());
        numbers.push(house.of_bob.expect("notification")["payload"]["seq"].as_i64().unwrap());
        tablet.expect("notification");
    }
    assert_eq!(unread(&house.bob), 4);
    // Over HTTP.
    let read = format!("/api/notifications/{}/read", numbers[1]);
    assert_eq!(house.bob.post(&read, json!({})).ok(), json!({ "success": true }));
    for native in [&mut house.of_bob, &mut tablet] {
        assert_eq!(native.expect("notification_read")["payload"]["notificationId"], json!(numbers[1]));
    }
    assert_eq!(unread(&house.bob), 3);
    // Once more is no news.
    assert_eq!(house.bob.post(&read, json!({})).ok(), json!({ "success": true }));
    // Over a socket.
    assert_eq!(house.of_bob.ask("read", json!({ "seq": numbers[0] }))["count"], 1);
    for native in [&mut house.of_bob, &mut tablet] {
        assert_eq!(native.expect("notification_read")["payload"]["notificationId"], json!(numbers[0]));
    }
    // All of them.
    assert_eq!(house.of_bob.ask("read", json!({ "all": true }))["count"], 2);
    for native in [&mut house.of_bob, &mut tablet] {
        let event = native.expect("notification_read");
        assert_eq!(event["payload"]["all"], true, "{event}");
        assert!(event["payload"]["seq"].as_i64().unwrap() > numbers[3], "everything up to there: {event}");
    }
    assert_eq!(unread(&house.bob), 0);
    assert!(list(&house.bob, "").0.iter().all(|notification| notification["read"] == true));
    assert_eq!(house.of_bob.ask("read", json!({ "all": true }))["count"], 0);
    assert_eq!(house.bob.post("/api/notifications/read-all", json!({})).ok(), json!({ "success": true }));
    house.of_bob.expect_silence();
    tablet.expect_silence();
    house.of_ann.expect_silence();
}

#[test]
fn others_notifications_cannot_be_read() {
    let mut house = House::new();
    house.ann.log(&house.home, "x");
    let number = house.of_bob.expect("notification")["payload"]["seq"].clone();
    let eve = house.server.person("Eve");
    eve.post(&format!("/api/notifications/{number}/read"), json!({})).refused_with(404);
    Native::open(&eve).refused("read", json!({ "seq": number }), "NOT_FOUND");
    for unknown in ["999999", "0", "x", "-1"] {
        let status = eve.post(&format!("/api/notifications/{unknown}/read"), json!({})).status;
        assert!(matches!(status, 400 | 404), "{unknown}: {status}");
    }
    assert_eq!(unread(&house.bob), 1);
    house.of_bob.expect_silence();
    // Nobody subscribes to another's inbox, whatever it is called.
    let mut of_eve = Native::open(&eve);
    for channel in [format!("user:{}", house.bob.number()), format!("user:{}", house.bob.id())] {
        of_eve.refused("subscribe", json!({ "channel": channel }), "FORBIDDEN");
        eve.get(&format!("/api/rooms/{channel}/messages")).refused_with(403);
    }
}

#[test]
fn an_inbox_is_resumed_like_any_channel() {
    let mut house = House::new();
    house.ann.log(&house.home, "heard");
    let cursor = Cursor::after(&house.of_bob.expect("notification"));
    // The old device is torn off, and another takes its place.
    house.of_bob = Native::open(&house.bob);
    house.ann.log(&house.home, "missed");
    house.say(&house.ann, "@Bob, where are you?");
    house.server.restart();
    let mut back = Native::open(&house.bob);
    let ack = back.resume("me", &cursor);
    assert_eq!((&ack["recovered"], &ack["replay"]), (&json!(true), &json!(2)), "{ack}");
    rings(&mut back, "deuce_logged");
    rings(&mut back, "mention");
    back.expect_silence();
}

#[test]
fn what_admins_send() {
    let server = Server::open();
    server.add_user("Root", &["--admin"]);
    let root = server.nobody();
    root.login("Root", Some(PASSWORD));
    let ann = server.person("Ann");
    let mut of_ann = inbox(&ann);
    let data = json!({ "message": "the machine is done", "type": "laundry", "degrees": 60, "more": { "a": [1, null] } });
    for id in [json!(ann.number()), json!(ann.id())] {
        let made = root.post("/api/notifications", json!({ "userId": id, "data": data })).ok();
        assert_eq!(made["data"], data, "{made}");
        assert_eq!(made["userId"], json!(ann.number()), "{made}");
        assert_eq!(rings(&mut of_ann, "laundry"), data);
    }
    assert_eq!(list(&ann, "").0[0]["data"], data, "as it was sent");
    let path = "/api/notifications";
    root.post(path, json!({ "userId": 4711, "data": {} })).refused_naming(404, "userId");
    root.post(path, json!({ "userId": "dev-nobody", "data": {} })).refused_naming(404, "userId");
    root.post(path, json!({ "data": {} })).refused_naming(400, "userId");
    root.post(path, json!({ "userId": ann.id() })).refused_naming(400, "data");
    for data in [json!("text"), json!(7), json!(null), json!([1])] {
        root.post(path, json!({ "userId": ann.id(), "data": data })).refused_naming(400, "data");
    }
    let body = json!({ "userId": ann.id(), "data": { "message": "x", "type": "x" } });
    ann.post(path, body.clone()).refused_with(403);
    server.nobody().post(path, body).refused_with(401);
    of_ann.expect_silence();
}

#[test]
fn what_programs_send() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let mut of_bob = inbox(&bob);
    let token = |more: &[&str]| {
        let output =
            server::run(&[&["token", "add", "Ann", "--data", server.data_text()], more].concat(), "");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    let send = |token: &str| {
        let body = json!({ "userId": bob.id(), "data": { "message": "the door is open", "type": "door" } });
        let nobody = server.nobody();
        let request =
            nobody.request("POST", "/api/notifications").header("Authorization", &format!("Bearer {token}"));
        request.json(&body).send()
    };
    let (may, may_not) = (token(&["--notify"]), token(&[]));
    assert_eq!(send(&may).ok()["userId"], json!(bob.number()));
    assert_eq!(rings(&mut of_bob, "door")["message"], "the door is open");
    send(&may_not).refused_with(403);
    send(&ann.token()).refused_with(403);
    // Either is a login like any other.
    for token in [&may, &may_not] {
        let offer = format!("deuced.v1, jwt.{token}");
        let native = Native::over(server.nobody().handshake().offering(&offer).open());
        assert_eq!(native.hello["userId"], json!(ann.id()));
    }
    of_bob.expect_silence();
    let unknown = server::run(&["token", "add", "Nobody", "--data", server.data_text()], "");
    assert!(!unknown.status.success());
}
