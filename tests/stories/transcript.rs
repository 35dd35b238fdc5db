//! Plays `tests/transcripts/`: what each client family sends and what it gets, word for word. A changed
//! transcript is a changed promise. Nothing is checked here that is not written there, but for what every
//! reply and frame should have.
//!
//! A line is about one actor. `ann` is a person and `ann.tab` another device of hers:
//!
//! ```text
//! server open | guests no | limit sockets=3 | env NAME=VALUE      how it starts; `strict` wants passwords
//! server restarts        server is killed
//! people ann bob root(admin)                   who has an account, and is logged in
//! ann founds Home        ann brings bob to <home>
//! ann logs out           ann logs in
//! ann opens /ws cookie | Origin: http://x | without Upgrade
//! ann> {…}               ann sends a text; `ann> binary {…}` the same in a binary frame
//! ann< {…}               and gets this, next
//! ann<* {…}              several such lines: these, in any order
//! ann< silence           nothing came until now
//! ann< close 1003 Invalid JSON
//! ann< HTTP/1.1 401 Unauthorized               a refused handshake; its headers, all of them, follow
//! ann closes             ann tears             politely, or not
//! ann GET /api/groups    and what came back:
//! ann= 200 {…}           with its keys in the order of the alphabet
//! ```
//!
//! Credentials of a socket: `cookie`, `header`, `query`, and as subprotocols `jwt` (`jwt.` and the JWT), `token`
//! (`jwt.` and the opaque token), `bare` (the JWT alone), `native` (`deuced.v1` and the token). A line that
//! begins with a space goes on from the one before. What stands in `<…>` is told in `harness/golden.rs`; known
//! from the start are `<ann.id>`, `<ann.number>`, `<ann.token>` and `<ann.jwt>`.

use crate::harness::{
    Client, Frame, Reply, Server, Socket,
    golden::Names,
    native::native_handshake,
    server::{PASSWORD, Setup},
    socket::{Handshake, frame},
};
use serde_json::json;
use std::{collections::BTreeMap, fs, path::Path};

/// Each transcript is a test of its own name.
macro_rules! transcripts {
    ($($test:ident = $file:literal,)*) => {
        const PLAYED: &[&str] = &[$($file),*];
        $(#[test]
        fn $test() {
            play($file, include_str!(concat!("../transcripts/", $file, ".txt")));
        })*
    };
}

transcripts! {
    bell_greeting = "bell-greeting",
    bell_registering = "bell-registering",
    bell_bad_tokens = "bell-bad-tokens",
    bell_limits = "bell-limits",
    bell_notifications = "bell-notifications",
    diary_entries = "diary-entries",
    flat_chat = "flat-chat",
    flat_frames = "flat-frames",
    flat_greetings = "flat-greetings",
    handshake_order = "handshake-order",
    handshake_places = "handshake-places",
    handshake_protocols = "handshake-protocols",
    native_channels = "native-channels",
    native_coming_back = "native-coming-back",
    native_edits = "native-edits",
    native_errors = "native-errors",
    native_groups = "native-groups",
    native_guests = "native-guests",
    native_hello = "native-hello",
    native_inbox = "native-inbox",
    native_presence = "native-presence",
    page_chat = "page-chat",
    page_guarded = "page-guarded",
    page_names = "page-names",
    page_silence = "page-silence",
    patterns_auth = "patterns-auth",
    patterns_channels = "patterns-channels",
    patterns_errors = "patterns-errors",
    patterns_ping = "patterns-ping",
    together_in_general = "together-in-general",
    together_on_one_socket = "together-on-one-socket",
}

#[test]
fn every_transcript_is_played() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts");
    let mut names: Vec<String> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    let mut played: Vec<String> = PLAYED.iter().map(|name| format!("{name}.txt")).collect();
    played.sort();
    assert_eq!(names, played);
}

/// Who and what takes part.
#[derive(Default)]
struct Stage {
    server: Option<Server>,
    people: BTreeMap<String, Client>,
    sockets: BTreeMap<String, Socket>,
    /// What refused handshakes said that no line has spoken of yet.
    refusals: BTreeMap<String, Vec<String>>,
    replies: BTreeMap<String, Reply>,
    /// What is sent together with the next upgrade.
    first_word: Option<String>,
    names: Names,
}

#[track_caller]
fn play(name: &str, script: &str) {
    let mut stage = Stage::default();
    let lines = joined(script);
    let mut at = 0;
    while at < lines.len() {
        let (number, line) = &lines[at];
        // Lines that may come in any order go together.
        let (head, _) = line.split_once(' ').unwrap_or((line, ""));
        let mut count = 1;
        if head.ends_with("<*") {
            count = lines[at..].iter().take_while(|(_, other)| other.starts_with(head)).count();
        }
        // The first word to `/ws` goes out with the upgrade: a busy machine must not make it late.
        let first_word = lines.get(at + 1).and_then(|(_, next)| next.strip_prefix(&format!("{head}> ")));
        if let Some(word) =
            first_word.filter(|word| line.ends_with(" opens /ws") && !word.starts_with("binary "))
        {
            stage.first_word = Some(stage.names.fill(word));
            count = 2;
        }
        let group: Vec<&str> = lines[at..at + count].iter().map(|(_, line)| line.as_str()).collect();
        eprintln!("tests/transcripts/{name}.txt:{number}: {}", group.join("\n    "));
        stage.step(&group);
        at += count;
        let next = lines.get(at).map_or("", |(_, line)| line.as_str());
        stage.settle(head, next);
    }
}

/// Lines with their numbers, without comments, continued ones as one.
fn joined(script: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    for (index, line) in script.lines().enumerate() {
        if line.trim().is_empty() || line.starts_with('#') {
            continue;
        }
        match line.strip_prefix(' ') {
            Some(more) => lines.last_mut().expect("something to go on from").1.push_str(more.trim_start()),
            None => lines.push((index + 1, line.into())),
        }
    }
    lines
}

impl Stage {
    fn step(&mut self, group: &[&str]) {
        let (head, rest) = group[0].split_once(' ').unwrap_or((group[0], ""));
        if let Some(actor) = head.strip_suffix("<*") {
            let patterns = group.iter().map(|line| line.split_once(' ').expect("a pattern").1).collect();
            self.hears_all(actor, patterns);
        } else if let Some(actor) = head.strip_suffix('<') {
            self.hears(actor, rest);
        } else if let Some(actor) = head.strip_suffix('>') {
            let text = self.names.fill(rest);
            let socket = self.socket(actor);
            match text.strip_prefix("binary ") {
                Some(text) => socket.send_raw(&frame(2, text.as_bytes())),
                None => socket.send_text(&text),
            }
        } else if let Some(actor) = head.strip_suffix('=') {
            self.answered(actor, rest);
        } else {
            match head {
                "server" => self.server(rest),
                "people" => rest.split(' ').for_each(|name| self.comes(name)),
                actor => self.acts(actor, rest),
            }
        }
    }

    /// What a line left open has to be spoken of by the next one.
    fn settle(&mut self, head: &str, next: &str) {
        let actor = head.trim_end_matches(['<', '>', '=', '*']);
        if !next.starts_with(&format!("{actor}= ")) {
            if let Some(reply) = self.replies.remove(actor) {
                reply.ok();
            }
        }
        if !next.starts_with(&format!("{actor}< ")) {
            if let Some(lines) = self.refusals.remove(actor) {
                assert!(lines.is_empty(), "{actor}'s handshake was also answered with {lines:?}");
            }
        }
    }

    fn server(&mut self, words: &str) {
        match words {
            "restarts" => self.running().restart(),
            "is killed" => {
                self.running().kill9();
                self.running().start_again();
            }
            _ => {
                let mut setup: Setup = Server::setup();
                for word in words.split(" | ") {
                    let (first, second) = word.split_once(' ').unwrap_or((word, ""));
                    let (name, value) = second.split_once('=').unwrap_or((second, ""));
                    setup = match first {
                        "open" => setup.open(),
                        "strict" => setup,
                        "guests" => setup.guests(second == "yes"),
                        "limit" => setup.limit(name, value.parse().expect("a number")),
                        "env" => setup.env(name, value),
                        "origin" => setup.with(["--origin", second]),
                        other => panic!("how does a server start with {other:?}?"),
                    };
                }
                self.server = Some(setup.start());
            }
        }
    }

    fn running(&mut self) -> &mut Server {
        self.server.as_mut().expect("a server")
    }

    /// Somebody with an account comes and logs in.
    fn comes(&mut self, word: &str) {
        let (name, is_admin) = match word.strip_suffix("(admin)") {
            Some(name) => (name, true),
            None => (word, false),
        };
        let server = self.server.as_ref().expect("a server");
        let spelled = spelled(name);
        if is_admin {
            server.add_user(&spelled, &["--admin"]);
            let client = server.nobody();
            client.login(&spelled, Some(PASSWORD));
            self.people.insert(name.into(), client);
        } else {
            self.people.insert(name.into(), server.person(&spelled));
        }
        self.learn(name);
    }

    fn learn(&mut self, name: &str) {
        let client = &self.people[name];
        for (what, value) in [
            ("id", client.id()),
            ("token", client.token()),
            ("jwt", client.jwt()),
            ("number", client.number().to_string()),
        ] {
            self.names.set(&format!("{name}.{what}"), &value);
        }
    }

    fn person(&self, actor: &str) -> Option<&Client> {
        let name = actor.split('.').next().expect("a name");
        self.people.get(actor).or_else(|| self.people.get(name))
    }

    #[track_caller]
    fn client(&self, actor: &str) -> &Client {
        self.person(actor).unwrap_or_else(|| panic!("who is {actor:?}?"))
    }

    #[track_caller]
    fn socket(&mut self, actor: &str) -> &mut Socket {
        self.sockets.get_mut(actor).unwrap_or_else(|| panic!("{actor} has no socket"))
    }

    fn acts(&mut self, actor: &str, rest: &str) {
        let (verb, more) = rest.split_once(' ').unwrap_or((rest, ""));
        match verb {
            "opens" => self.opens(actor, more),
            "closes" => self.sockets.remove(actor).expect("a socket").leave(),
            "tears" => drop(self.sockets.remove(actor).expect("a socket")),
            "founds" => {
                let group = self.client(actor).found(more);
                self.names.set(&more.to_lowercase(), &group);
            }
            "brings" => {
                let (guest, group) = more.split_once(" to ").expect("ann brings bob to <home>");
                self.client(actor).bring(&self.names.fill(group), self.client(guest));
            }
            "logs" if more == "out" => {
                self.client(actor).post("/api/auth/logout", json!({})).ok();
            }
            "logs" if more == "in" => {
                let server = self.server.as_ref().expect("a server");
                let client = server.device(&spelled(actor.split('.').next().expect("a name")));
                self.people.insert(actor.into(), client);
                self.learn(actor);
            }
            "GET" | "POST" | "PUT" | "PATCH" | "DELETE" => {
                let (path, body) = more.split_once(' ').unwrap_or((more, ""));
                let (path, body) = (self.names.fill(path), self.names.fill(body));
                let nobody = self.server.as_ref().expect("a server").nobody();
                let client = self.person(actor).unwrap_or(&nobody);
                let request = client.request(verb, &path);
                let reply = match body.is_empty() {
                    true => request.send(),
                    false => request.content("application/json", body).send(),
                };
                self.replies.insert(actor.into(), reply);
            }
            other => panic!("what is {other:?} in {rest:?}?"),
        }
    }

    fn opens(&mut self, actor: &str, words: &str) {
        let words = self.names.fill(words);
        let (target, options) = words.split_once(' ').unwrap_or((&words, ""));
        let server = self.server.as_ref().expect("a server");
        // Who somebody is decides what may be shown to them, however they say it.
        let me = self.person(actor).map(Client::id);
        let mut handshake = Handshake::new(server.address(), me).target(target);
        for option in options.split(" | ").filter(|option| !option.is_empty() && *option != "|") {
            let option = option.trim_start_matches("| ");
            handshake = match option {
                "cookie" => self.client(actor).handshake().target(target),
                "header" => {
                    handshake.header("Authorization", &format!("Bearer {}", self.client(actor).token()))
                }
                "query" => {
                    let joint = if target.contains('?') { '&' } else { '?' };
                    handshake.target(&format!("{target}{joint}token={}", self.client(actor).token()))
                }
                "jwt" => handshake.offering(&format!("jwt.{}", self.client(actor).jwt())),
                "token" => handshake.offering(&format!("jwt.{}", self.client(actor).token())),
                "bare" => handshake.offering(&self.client(actor).jwt()),
                "native" => native_handshake(self.client(actor)).target(target),
                _ => match (option.strip_prefix("without "), option.split_once(": ")) {
                    (Some(name), _) => handshake.without(name),
                    (None, Some((name, value))) => handshake.header(name, value),
                    (None, None) => panic!("how does one open a socket with {option:?}?"),
                },
            };
        }
        if let Some(word) = self.first_word.take() {
            handshake = handshake.saying(&word);
        }
        match handshake.try_open() {
            Ok(socket) => drop(self.sockets.insert(actor.into(), socket)),
            Err(reply) => {
                assert!(reply.body.is_empty(), "{reply:?}");
                let headers = reply.headers.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("Date"));
                let lines = headers.map(|(name, value)| format!("{}: {value}", name.to_lowercase()));
                self.refusals.insert(actor.into(), [reply.line.clone()].into_iter().chain(lines).collect());
            }
        }
    }

    fn hears(&mut self, actor: &str, expected: &str) {
        if let Some(lines) = self.refusals.get_mut(actor) {
            let (name, value) = expected.split_once(": ").unwrap_or(("", expected));
            let position = lines.iter().position(|line| match line.split_once(": ") {
                Some((have, text)) => {
                    have.eq_ignore_ascii_case(name) && self.names.compare(value, text).is_ok()
                }
                None => line == expected,
            });
            let position = position
                .unwrap_or_else(|| panic!("{actor}'s handshake\n  expected {expected}\n  got {lines:?}"));
            lines.remove(position);
            return;
        }
        let (first, rest) = expected.split_once(' ').unwrap_or((expected, ""));
        match first {
            "silence" => self.socket(actor).expect_silence(),
            "close" => self.hears_close(actor, rest),
            "end" => assert_eq!(self.socket(actor).next_frame(), Frame::End, "{actor}"),
            _ => {
                let text = self.next_text(actor, expected);
                if let Err(why) = self.names.compare(expected, &text) {
                    panic!("{actor}: {why}\n  expected {expected}\n  got      {text}");
                }
            }
        }
    }

    fn hears_all(&mut self, actor: &str, mut expected: Vec<&str>) {
        while !expected.is_empty() {
            let text = self.next_text(actor, &expected.join("\n  or       "));
            let found = expected.iter().position(|pattern| self.names.compare(pattern, &text).is_ok());
            let Some(found) = found else {
                let whys: Vec<String> = expected
                    .iter()
                    .map(|pattern| {
                        let why = self.names.compare(pattern, &text).unwrap_err();
                        format!("  expected {pattern}\n    ({why})")
                    })
                    .collect();
                panic!("{actor}:\n{}\n  got      {text}", whys.join("\n"));
            };
            expected.remove(found);
        }
    }

    fn next_text(&mut self, actor: &str, expected: &str) -> String {
        let socket = self.socket(actor);
        match socket.next_frame() {
            Frame::Text(text) => {
                socket.read(&text);
                text
            }
            other => panic!("{actor}\n  expected {expected}\n  got      {other:?}"),
        }
    }

    fn hears_close(&mut self, actor: &str, expected: &str) {
        let (code, reason) = expected.split_once(' ').unwrap_or((expected, ""));
        let code: u16 = code.parse().expect("a close code");
        let mut socket = self.sockets.remove(actor).unwrap_or_else(|| panic!("{actor} has no socket"));
        match socket.next_frame() {
            Frame::Close(Some(have), why) => {
                assert_eq!(have, code, "{actor}: closed with another code, reason {why:?}");
                if let Err(what) = self.names.compare(reason, &why) {
                    panic!("{actor}: {what}\n  expected the reason {reason:?}\n  got {why:?}");
                }
            }
            other => panic!("{actor}\n  expected close {expected}\n  got      {other:?}"),
        }
        socket.try_send_raw(&frame(8, &code.to_be_bytes()));
        assert_eq!(socket.next_frame(), Frame::End, "{actor}: after the close frame");
    }

    fn answered(&mut self, actor: &str, expected: &str) {
        let reply = self.replies.remove(actor).unwrap_or_else(|| panic!("{actor} asked nothing"));
        let (status, pattern) = match expected.split_once(' ') {
            Some((status, pattern)) if status.len() == 3 => (status, pattern),
            _ if expected.len() == 3 => (expected, "<rest>"),
            _ => ("200", expected),
        };
        assert_eq!(reply.status.to_string(), status, "{reply:?}");
        // Clients of HTTP read objects, not texts: reading sorts the keys.
        let text = reply.json().to_string();
        if let Err(why) = self.names.compare(pattern, &text) {
            panic!("{actor}: {why}\n  expected {pattern}\n  got      {text}");
        }
    }
}

/// How a person's name is spelled at the login.
fn spelled(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}
