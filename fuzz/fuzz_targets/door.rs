//! Whole requests to a whole server, from the guard to the database and back: every route and every body. No answer
//! is a 5xx, none shows what is inside, and JSON is JSON.

#![no_main]

use deuced::api::{App, Settings, backup::Policy};
use deuced::domain::Limits;
use deuced::http::message::{Body, Request, Response};
use deuced::http::router::{self, ROUTES, Target};
use deuced::http::{Doors, Server};
use deuced::io::block_on;
use deuced::ws::form;
use libfuzzer_sys::fuzz_target;
use smol::LocalExecutor;
use std::{
    cell::{OnceCell, RefCell},
    collections::HashMap,
    net::IpAddr,
    path::{Path, PathBuf},
    rc::Rc,
};

/// What the folders of the databases are called, before the number of their process.
const FOLDER: &str = "deuced-fuzz-";

/// A server with somebody in it who has a group, an entry and an invite.
struct House {
    server: Rc<Server>,
    executor: Rc<LocalExecutor<'static>>,
    /// What a path may name.
    names: Vec<String>,
    /// The logins of people, while they are good.
    tokens: RefCell<HashMap<String, String>>,
}

thread_local! {
    static HOUSE: OnceCell<House> = const { OnceCell::new() };
}

fuzz_target!(|data: &[u8]| {
    // The first bytes choose the route, who asks, and what the body is said to be; a line for the rest of the target
    // and more headers follows, and then the body.
    let Some(([route, asker, kind, param], rest)) = data.split_first_chunk::<4>() else { return };
    let end = rest.iter().position(|byte| *byte == b'\n').unwrap_or(rest.len());
    let (more, body) = (&rest[..end], rest.get(end + 1..).unwrap_or_default());
    HOUSE.with(|house| {
        let house = house.get_or_init(House::new);
        let route = &ROUTES[usize::from(*route) % ROUTES.len()];
        let (tail, headers) = match more.iter().position(|byte| *byte == b'\t') {
            Some(tab) => (&more[..tab], &more[tab + 1..]),
            None => (more, &b""[..]),
        };
        let mut path = String::new();
        for segment in route.pattern {
            path += "/";
            path +=
                if *segment == ":" { &house.names[usize::from(*param) % house.names.len()] } else { segment };
        }
        let mut bytes = format!("{} {path}", route.method.name()).into_bytes();
        bytes.extend_from_slice(tail);
        bytes.extend_from_slice(b" HTTP/1.1\r\nHost: localhost\r\n");
        match asker % 4 {
            0 => {}
            1 => bytes.extend(format!("Cookie: deuced={}\r\n", house.token("Bob")).into_bytes()),
            _ => bytes.extend(format!("Authorization: Bearer {}\r\n", house.token("Ann")).into_bytes()),
        }
        let kinds = [
            "application/json",
            "application/x-www-form-urlencoded",
            "image/png",
            "multipart/form-data; boundary=a",
        ];
        let kind = kinds[usize::from(*kind) % kinds.len()];
        bytes.extend(format!("Content-Type: {kind}\r\nContent-Length: {}\r\n", body.len()).into_bytes());
        if !headers.is_empty() {
            bytes.extend([headers, b"\r\n"].concat());
        }
        bytes.extend([b"\r\n", body].concat());
        if let Some(request) = deuced_fuzz::request(&bytes) {
            let said = String::from_utf8_lossy(&bytes).into_owned();
            let response = house.ask(request);
            check(&said, &response);
            if response.status == 401 || path.contains("out") || path.ends_with("account") {
                house.tokens.borrow_mut().clear();
            }
        }
    });
});

impl House {
    fn new() -> House {
        let memory = PathBuf::from("/dev/shm");
        let folder = if memory.is_dir() { memory } else { std::env::temp_dir() };
        remove_what_others_left(&folder);
        let data = folder.join(format!("{FOLDER}{}", std::process::id()));
        std::fs::create_dir_all(&data).expect("a folder for the database");
        let mut limits = Limits::default();
        let paced = |name: &str| name.ends_with("_per_minute") || name == "users";
        for line in Limits::TABLE.iter().filter(|line| paced(line.name)) {
            limits.set(&format!("{}={}", line.name, line.max)).expect("a limit can be its largest");
        }
        let settings = Settings { data, open: true, guests: true, limits, backup: Policy::default() };
        let app = Rc::new(App::open(settings, form::RENDER).expect("a fresh database"));
        let executor = Rc::new(LocalExecutor::new());
        let server = Rc::new(Server::new(app.clone(), Doors::default(), &executor));
        executor.spawn(async move { app.publish_commits().await }).detach();
        let mut house = House { server, executor, names: Vec::new(), tokens: RefCell::default() };
        house.furnish();
        house
    }

    fn furnish(&mut self) {
        let ann = self.token("Ann");
        let say = |method: &str, path: &str, body: &str| {
            let text = format!(
                "{method} {path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {ann}\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                body.len()
            );
            let response = self.ask(deuced_fuzz::request(text.as_bytes()).expect("a good request"));
            assert!(response.status < 300, "{path}: {response:?}");
            serde_json::from_slice::<serde_json::Value>(response.body.as_bytes()).expect("JSON")
        };
        let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
        let group = text(&say("POST", "/api/groups", r#"{"name":"Home"}"#)["id"]);
        let invite = text(&say("POST", &format!("/api/groups/{group}/invite"), "{}")["id"]);
        let entry = say(
            "POST",
            "/api/deuces",
            &format!(r#"{{"groupIds":["{group}"],"location":"Home","thoughts":"x"}}"#),
        );
        let entry = text(&entry["entries"][0]["id"]);
        self.names = vec![
            group.clone(),
            invite,
            entry,
            format!("group:{group}"),
            "dev-ann".into(),
            "dev-bob".into(),
            "general".into(),
            "me".into(),
            "1".into(),
            "a%2Fb".into(),
        ];
    }

    /// A login of somebody.
    fn token(&self, name: &str) -> String {
        if let Some(token) = self.tokens.borrow().get(name) {
            return token.clone();
        }
        let body = format!(r#"{{"username":"{name}"}}"#);
        let text = format!(
            "POST /api/login HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let response = self.ask(deuced_fuzz::request(text.as_bytes()).expect("a good request"));
        let answer: serde_json::Value = serde_json::from_slice(response.body.as_bytes()).expect("JSON");
        let token = answer["token"].as_str().expect("a token").to_owned();
        self.tokens.borrow_mut().insert(name.to_owned(), token.clone());
        token
    }

    fn ask(&self, request: Request) -> Response {
        let target = Target::of(&request.path);
        let address = IpAddr::from([127, 0, 0, 1]);
        let answering = router::answer(&self.server, target, request, address);
        block_on(self.executor.run(answering), || self.server.app.end_turn())
    }
}

fn check(said: &str, response: &Response) {
    assert!(response.status < 500, "{}: {said}", response.status);
    let text = String::from_utf8_lossy(response.body.as_bytes());
    let json = response
        .headers
        .iter()
        .any(|(name, value)| *name == "content-type" && value.starts_with("application/json"));
    if json {
        serde_json::from_str::<serde_json::Value>(&text).expect("an answer is JSON");
    }
    if response.status >= 400 {
        for inside in ["rusqlite", "SQLITE", "UNIQUE constraint", "panicked", "src/", "/dev/shm"] {
            assert!(!text.contains(inside), "{text}");
        }
    }
    let mut wire = Vec::new();
    let (status, shield) = (response.status, response.shield);
    let again = Response { status, headers: response.headers.clone(), body: Body::Empty, shield };
    deuced::http::codec::encode(again, false, true, &mut wire);
    assert!(wire.starts_with(b"HTTP/1.1 "));
}

/// libFuzzer ends without a word, so that the next one has to clean up.
fn remove_what_others_left(folder: &Path) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let process = name.to_str().and_then(|name| name.strip_prefix(FOLDER));
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}
