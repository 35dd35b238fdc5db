//! The same stories in every language: two people and a stranger, whoever speaks what. A small driver per
//! client family says how one listens, says something and hears it there.

use crate::harness::{Client, Frame, Server, Socket, check, native::native_handshake, socket::Handshake};
use serde_json::{Value, json};

/// The client families.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    /// 000: the diary's page. What it says is an entry.
    Diary,
    /// 001: QuickDapp's bell. What it says is a message with everybody's name in it.
    Bell,
    /// 002: the patterns' envelope.
    Payload,
    /// 003: the chat page.
    Page,
    /// 004: the raw guide.
    Flat,
    /// `deuced.v1`.
    Native,
}

use Form::{Bell, Diary, Flat, Native, Page, Payload};

const ALL: [Form; 6] = [Diary, Bell, Payload, Page, Flat, Native];

/// Those that chat.
const CHATTING: [Form; 4] = [Payload, Page, Flat, Native];

/// Somebody's socket in some language, listening to one channel.
struct Ear {
    form: Form,
    channel: String,
    client: Client,
    socket: Socket,
}

impl Form {
    /// The upgrade, as this family's client makes it.
    fn handshake(self, client: &Client, channel: &str) -> Handshake {
        let bare = || Handshake::new(client.address(), Some(client.id()));
        match self {
            Diary => bare().header("Cookie", &format!("deuced={}", client.token())),
            Bell => bare(),
            Payload => bare().target(&format!("/ws?token={}", client.token())),
            Page => bare().target(&format!("/chat/room/{channel}?token={}", client.token())),
            Flat => bare().target("/realtime").offering(&format!("jwt.{}", client.jwt())),
            Native => native_handshake(client),
        }
    }

    /// Opens a socket and listens.
    #[track_caller]
    fn listen(self, client: &Client, channel: &str) -> Ear {
        let mut ear = Ear {
            form: self,
            channel: channel.into(),
            client: client.twin(),
            socket: self.handshake(client, channel).open(),
        };
        ear.ask();
        ear
    }

    /// A member of nothing listens nonetheless: an ear, or a socket that did not even open.
    #[track_caller]
    fn eavesdrop(self, client: &Client, channel: &str) -> Option<Ear> {
        if self == Page {
            self.handshake(client, channel).refused(401);
            return None;
        }
        let mut ear = Ear {
            form: self,
            channel: channel.into(),
            client: client.twin(),
            socket: self.handshake(client, channel).open(),
        };
        match self {
            Diary => ear.socket.send_json(json!({ "type": "join_group", "groupId": ear.group() })),
            Bell => ear.ask(),
            Payload => {
                ear.socket.send_json(json!({ "type": "subscribe", "channel": channel }));
                let error = ear.socket.expect_json();
                assert_eq!(
                    (&error["type"], &error["payload"]["code"]),
                    (&json!("error"), &json!("FORBIDDEN"))
                );
            }
            Flat => {
                assert_eq!(ear.socket.expect_json()["type"], "hello");
                ear.socket.send_json(json!({ "type": "subscribe", "topic": channel }));
                assert_eq!(ear.socket.expect_json(), json!({ "type": "error", "code": "forbidden" }));
            }
            Native => {
                assert_eq!(ear.socket.expect_json()["type"], "hello");
                ear.socket
                    .send_json(json!({ "type": "subscribe", "id": 1, "payload": { "channel": channel } }));
                let error = ear.socket.expect_json();
                assert_eq!(error["payload"]["code"], "FORBIDDEN", "{error}");
            }
            Page => unreachable!("a page does not open"),
        }
        Some(ear)
    }

    /// Whether this frame is something that was said, rather than something about people.
    fn is_said(self, frame: &Value) -> bool {
        let kind = frame["type"].as_str().unwrap_or_default();
        match self {
            Diary | Bell => true,
            Payload | Native | Page => kind == "message",
            Flat => kind == "chat:new",
        }
    }
}

impl Ear {
    fn group(&self) -> &str {
        self.channel.strip_prefix("group:").unwrap_or(&self.channel)
    }

    /// What the family's client sends when it is open, and the greetings due.
    #[track_caller]
    fn ask(&mut self) {
        let channel = self.channel.clone();
        match self.form {
            Diary => {
                let group = self.group().to_owned();
                self.socket.send_json(json!({ "type": "join_group", "groupId": group }));
            }
            Bell => {
                self.socket.send_json(json!({ "type": "register", "jwtToken": self.client.jwt() }));
                assert_eq!(self.socket.expect_json()["type"], "connected");
                let registered = self.socket.expect_json();
                assert_eq!(registered["type"], "registered", "{registered}");
                assert_eq!(registered["data"]["userId"], json!(self.client.number()), "{registered}");
            }
            Payload => self.socket.send_json(json!({ "type": "subscribe", "channel": channel })),
            Page => {
                let joined = self.socket.expect_json();
                assert_eq!(joined["type"], "joined", "{joined}");
            }
            Flat => {
                assert_eq!(self.socket.expect_json()["type"], "hello");
                self.socket.send_json(json!({ "type": "subscribe", "topic": channel }));
            }
            Native => {
                assert_eq!(self.socket.expect_json()["type"], "hello");
                self.socket
                    .send_json(json!({ "type": "subscribe", "id": 1, "payload": { "channel": channel } }));
                let ack = self.socket.expect_json();
                assert_eq!((&ack["type"], &ack["payload"]["id"]), (&json!("ack"), &json!(1)), "{ack}");
            }
        }
        self.socket.expect_silence();
    }

    /// Says something in one's own language.
    #[track_caller]
    fn say(&mut self, text: &str) {
        let channel = &self.channel;
        match self.form {
            Diary => drop(self.client.log(self.group(), text)),
            Bell => {
                let body = json!({ "text": format!("@Ann @Bob @Eve {text}") });
                self.client.post(&format!("/api/rooms/{channel}/messages"), body).ok();
            }
            Payload | Native => self
                .socket
                .send_json(json!({ "type": "message", "payload": { "channel": channel, "text": text } })),
            Page => self.socket.send_json(json!({ "type": "message", "content": text })),
            Flat => self.socket.send_json(json!({ "type": "chat:send", "room": channel, "text": text })),
        }
    }

    /// Whether what one says oneself is heard here, too. A bell does not ring for one's own doing.
    fn echoes(&self) -> bool {
        self.form != Bell
    }

    /// The next that is said is this, by this person.
    #[track_caller]
    fn hears(&mut self, text: &str, from: &Client) {
        let frame = loop {
            let frame = self.socket.expect_json();
            if self.form.is_said(&frame) {
                break frame;
            }
        };
        let said = |field: &Value| assert_eq!(*field, json!(text), "{:?}: {frame}", self.form);
        match self.form {
            Diary => {
                check::deuce_logged(&frame);
                said(&frame["entry"]["thoughts"]);
                assert_eq!(frame["userId"], json!(from.id()));
            }
            Bell => {
                assert_eq!(frame["type"], "notification_received", "{frame}");
                let data = &frame["data"]["data"];
                assert_eq!(data["type"], "mention", "{frame}");
                assert_eq!(data["userId"], json!(from.id()), "{frame}");
                assert_eq!(data["channel"], json!(self.channel), "{frame}");
                assert_eq!(frame["data"]["userId"], json!(self.client.number()), "{frame}");
            }
            Payload | Native => {
                said(&frame["payload"]["text"]);
                assert_eq!(frame["payload"]["channel"], json!(self.channel), "{frame}");
                assert_eq!(frame["payload"]["from"]["id"], json!(from.id()), "{frame}");
            }
            Page => {
                said(&frame["content"]);
                check::time(&frame["timestamp"]);
                assert!(
                    json!(from.id())
                        .to_string()
                        .contains(&frame["username"].as_str().unwrap().to_lowercase())
                );
            }
            Flat => {
                said(&frame["text"]);
                assert_eq!(
                    (&frame["room"], &frame["from"]),
                    (&json!(self.channel), &json!(from.id())),
                    "{frame}"
                );
            }
        }
    }

    /// Nothing was said until now. What is told about people does not count, but for the strict ones.
    #[track_caller]
    fn hears_nothing(&mut self) {
        let heard = self.socket.drain();
        let said: Vec<&Value> = heard.iter().filter(|frame| self.form.is_said(frame)).collect();
        assert!(said.is_empty(), "{:?} heard {said:?}", self.form);
    }

    /// The same for somebody who was put out. A page, which has nothing but the room, may be closed.
    #[track_caller]
    fn hears_nothing_more(&mut self) {
        if self.form != Page {
            return self.hears_nothing();
        }
        self.socket.try_send_raw(&crate::harness::socket::frame(9, b"still there?"));
        loop {
            match self.socket.next_frame() {
                Frame::Text(text) => assert!(!self.form.is_said(&self.socket.read(&text)), "heard {text}"),
                Frame::Pong(_) | Frame::Close(Some(1008), _) => return,
                other => panic!("expected nothing more, got {other:?}"),
            }
        }
    }
}

/// Ann and Bob in one group, and Eve, who is not.
struct House {
    server: Server,
    ann: Client,
    bob: Client,
    eve: Client,
    home: String,
}

impl House {
    fn new() -> House {
        let server = Server::setup().open().limit("logins_per_minute", 1000).start();
        let (ann, bob, eve) = (server.person("Ann"), server.person("Bob"), server.person("Eve"));
        let home = ann.found("Home");
        ann.bring(&home, &bob);
        House { server, ann, bob, eve, home }
    }

    fn channel(&self) -> String {
        format!("group:{}", self.home)
    }
}

/// Tells the story in each language, in a house of its own.
fn in_every_form(story: impl Fn(Form)) {
    for form in ALL {
        eprintln!("in the form {form:?}");
        story(form);
    }
}

#[test]
fn two_people_hear_each_other_and_a_stranger_nothing() {
    in_every_form(|form| {
        let house = House::new();
        let channel = house.channel();
        let (mut ann, mut bob) = (form.listen(&house.ann, &channel), form.listen(&house.bob, &channel));
        let mut eve = form.eavesdrop(&house.eve, &channel);
        for text in ["one", "two"] {
            ann.say(text);
            bob.hears(text, &house.ann);
            if ann.echoes() {
                ann.hears(text, &house.ann);
            }
        }
        bob.say("three");
        ann.hears("three", &house.bob);
        if bob.echoes() {
            bob.hears("three", &house.bob);
        }
        for ear in [Some(&mut ann), Some(&mut bob), eve.as_mut()].into_iter().flatten() {
            ear.hears_nothing();
        }
    });
}

#[test]
fn not_a_member_says_nothing() {
    in_every_form(|form| {
        let house = House::new();
        let channel = house.channel();
        let mut bob = form.listen(&house.bob, &channel);
        let Some(mut eve) = form.eavesdrop(&house.eve, &channel) else { return };
        match form {
            Diary => {
                let body = json!({ "groupIds": [house.home], "location": "Home", "thoughts": "x" });
                house.eve.post("/api/deuces", body).refused_with(403);
            }
            Bell => house
                .eve
                .post(&format!("/api/rooms/{channel}/messages"), json!({ "text": "@Bob" }))
                .refused_with(403),
            _ => {
                eve.say("let me in");
                let error = eve.socket.expect_json();
                assert_eq!(error["type"], "error", "{error}");
                assert!(error.to_string().to_lowercase().contains("forbidden"), "{error}");
            }
        }
        bob.hears_nothing();
        // And what was refused is nowhere.
        assert!(!house.ann.get(&format!("/api/groups/{}", house.home)).text().contains("let me in"));
        let messages = house.ann.get(&format!("/api/rooms/{channel}/messages")).ok();
        assert_eq!(messages["messages"], json!([]));
    });
}

#[test]
fn a_removed_member_hears_nothing_more() {
    in_every_form(|form| {
        let house = House::new();
        let channel = house.channel();
        let (mut ann, mut bob) = (form.listen(&house.ann, &channel), form.listen(&house.bob, &channel));
        let mut witness = Native.listen(&house.ann, &channel);
        ann.say("with Bob");
        bob.hears("with Bob", &house.ann);
        house.ann.delete(&format!("/api/groups/{}/members/{}", house.home, house.bob.id())).ok();
        bob.hears_nothing_more();
        ann.say("about Bob");
        if ann.echoes() {
            ann.hears("with Bob", &house.ann);
            ann.hears("about Bob", &house.ann);
        } else {
            witness.hears("@Ann @Bob @Eve with Bob", &house.ann);
            witness.hears("@Ann @Bob @Eve about Bob", &house.ann);
        }
        if form != Page {
            bob.hears_nothing_more();
        }
    });
}

#[test]
fn somebody_who_left_and_came_back_hears_again() {
    in_every_form(|form| {
        let house = House::new();
        let channel = house.channel();
        let mut ann = form.listen(&house.ann, &channel);
        house.bob.post(&format!("/api/groups/{}/leave", house.home), json!({})).ok();
        house.ann.bring(&house.home, &house.bob);
        let mut bob = form.listen(&house.bob, &channel);
        // Ann's bell rings for Bob's coming, like for anything else.
        if form == Bell {
            assert_eq!(ann.socket.expect_json()["data"]["data"]["type"], "member_joined");
        }
        ann.say("welcome back");
        bob.hears("welcome back", &house.ann);
    });
}

#[test]
fn logout_ends_it() {
    in_every_form(|form| {
        let house = House::new();
        let channel = house.channel();
        let tablet = house.server.device("Bob");
        let (mut ann, mut bob) = (form.listen(&house.ann, &channel), form.listen(&house.bob, &channel));
        let mut of_tablet = form.listen(&tablet, &channel);
        house.bob.post("/api/auth/logout", json!({})).ok();
        if form == Bell {
            // A bell is merely unregistered: closing it would bring it back for ever.
            bob.socket.expect_silence();
        } else {
            loop {
                match bob.socket.next_frame() {
                    Frame::Text(text) => assert!(!form.is_said(&bob.socket.read(&text)), "heard {text}"),
                    Frame::Close(Some(1008), _) => break,
                    other => panic!("{form:?}: expected a close with 1008, got {other:?}"),
                }
            }
            // The old login opens nothing any more.
            assert_eq!(
                form.handshake(&house.bob, &channel).try_open().err().map(|reply| reply.status),
                Some(401)
            );
        }
        ann.say("after the logout");
        of_tablet.hears("after the logout", &house.ann);
        if form == Bell {
            bob.socket.expect_silence();
        }
    });
}

#[test]
fn a_torn_connection_comes_back_and_hears_the_next() {
    in_every_form(|form| {
        let house = House::new();
        let channel = house.channel();
        let mut ann = form.listen(&house.ann, &channel);
        for text in ["one", "two"] {
            let mut bob = form.listen(&house.bob, &channel);
            ann.say(text);
            bob.hears(text, &house.ann);
            // Dropped without a word.
        }
        let mut bob = form.listen(&house.bob, &channel);
        bob.hears_nothing();
        ann.say("three");
        bob.hears("three", &house.ann);
        bob.hears_nothing();
    });
}

#[test]
fn a_restart_of_the_server_is_survived() {
    in_every_form(|form| {
        let mut house = House::new();
        let channel = house.channel();
        let (ann, mut bob) = (form.listen(&house.ann, &channel), form.listen(&house.bob, &channel));
        house.server.signal(libc::SIGTERM);
        loop {
            match bob.socket.next_frame() {
                Frame::Text(text) => assert!(!form.is_said(&bob.socket.read(&text)), "heard {text}"),
                Frame::Close(code, _) => {
                    // Only native clients know what the other one means.
                    assert_eq!(code, Some(if form == Native { 1012 } else { 1001 }), "{form:?}");
                    break;
                }
                other => panic!("{form:?}: expected a close, got {other:?}"),
            }
        }
        drop((ann, bob));
        house.server.wait_for_end();
        house.server.start_again();
        let (mut ann, mut bob) = (form.listen(&house.ann, &channel), form.listen(&house.bob, &channel));
        ann.say("we are back");
        bob.hears("we are back", &house.ann);
    });
}

#[test]
fn everybody_hears_everybody_whatever_they_speak() {
    let house = House::new();
    let channel = house.channel();
    let mut ears: Vec<Ear> = CHATTING.into_iter().map(|form| form.listen(&house.bob, &channel)).collect();
    let mut voices: Vec<Ear> = CHATTING.into_iter().map(|form| form.listen(&house.ann, &channel)).collect();
    let mut diary = Diary.listen(&house.bob, &channel);
    let mut bell = Bell.listen(&house.bob, &channel);
    for speaker in 0..voices.len() {
        let text = format!("in {:?}", voices[speaker].form);
        voices[speaker].say(&text);
        for ear in ears.iter_mut().chain(voices.iter_mut()) {
            ear.hears(&text, &house.ann);
        }
    }
    for ear in ears.iter_mut().chain([&mut diary, &mut bell]) {
        ear.hears_nothing();
    }
    house.ann.log(&house.home, "in the diary");
    diary.hears("in the diary", &house.ann);
    assert_eq!(bell.socket.expect_json()["data"]["data"]["type"], "deuce_logged");
    for ear in &mut ears {
        ear.hears_nothing();
    }
}

#[test]
fn a_free_room_needs_no_membership() {
    let house = House::new();
    for form in CHATTING {
        let channel = format!("room-of-{form:?}").to_lowercase();
        let (mut eve, mut bob) = (form.listen(&house.eve, &channel), form.listen(&house.bob, &channel));
        eve.say("hello");
        bob.hears("hello", &house.eve);
        eve.hears("hello", &house.eve);
        let mut elsewhere = form.listen(&house.ann, "elsewhere");
        eve.say("and again");
        bob.hears("and again", &house.eve);
        elsewhere.hears_nothing();
    }
}
