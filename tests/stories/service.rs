//! The server under a service manager: what it says, what it takes over, and that starting it anew costs nobody
//! anything. The manager is played by the test; `tests/systemd.sh` has the real one.

use crate::harness::{
    Frame, Native, PATIENCE, Server, Socket, Wire,
    client::texts,
    command,
    fault::{Card, Fault},
    native::native_handshake,
    server,
};
use serde_json::json;
use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener, TcpStream, UdpSocket},
    os::{
        fd::{AsRawFd, RawFd},
        linux::net::SocketAddrExt,
        unix::net::{SocketAddr as UnixAddress, UnixDatagram, UnixListener},
    },
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

/// The ear of a service manager.
struct Manager {
    socket: UnixDatagram,
    name: String,
    _folder: Option<server::Directory>,
}

impl Manager {
    fn abstracted() -> Manager {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("deuced-manager-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let socket = UnixDatagram::bind_addr(&UnixAddress::from_abstract_name(&name).unwrap()).unwrap();
        Manager { socket, name: format!("@{name}"), _folder: None }
    }

    fn at_a_path() -> Manager {
        let folder = server::Directory::new();
        let path = folder.0.join("notify");
        let socket = UnixDatagram::bind(&path).unwrap();
        Manager { socket, name: path.to_str().unwrap().to_owned(), _folder: Some(folder) }
    }

    /// The next message, if it comes in time.
    fn hears(&self, patience: Duration) -> Option<String> {
        self.socket.set_read_timeout(Some(patience)).unwrap();
        let mut buffer = [0; 4096];
        match self.socket.recv(&mut buffer) {
            Ok(count) => Some(String::from_utf8(buffer[..count].to_vec()).unwrap()),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// The next message that has this in it.
    #[track_caller]
    fn waits_for(&self, words: &str) -> String {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE {
            match self.hears(PATIENCE) {
                Some(message) if message.contains(words) => return message,
                Some(_) => {}
                None => break,
            }
        }
        panic!("the manager never heard {words:?}")
    }
}

#[test]
fn a_manager_hears_when_the_server_is_ready_and_when_it_stops() {
    for manager in [Manager::abstracted(), Manager::at_a_path()] {
        let mut server = Server::setup().open().env("NOTIFY_SOCKET", &manager.name).start();
        let first = manager.hears(PATIENCE).expect("a message");
        let place = format!("serving {} on {}; 0 people on 0 sockets", server.data_text(), server.address());
        assert_eq!(first, format!("READY=1\nSTATUS={place}"));
        server.signal(libc::SIGTERM);
        let last = manager.hears(PATIENCE).expect("nothing but this without a watchdog");
        assert_eq!(last, "STOPPING=1\nSTATUS=finishing what is under way");
        assert!(server.wait_for_end().0.success());
    }
}

#[test]
fn a_manager_that_is_not_there_keeps_nobody_from_serving() {
    for name in ["/nowhere/notify", "@nobody-listens-to-this", "what"] {
        let mut server = Server::setup().open().env("NOTIFY_SOCKET", name).start();
        server.person("Ann").get("/api/groups").ok();
        assert!(server.stderr().contains("warning: "), "{}", server.stderr());
        assert!(server.terminate().0.success());
    }
}

#[test]
fn the_watchdog_is_fed_by_the_loop_and_by_nobody_else() {
    let manager = Manager::abstracted();
    let period = Duration::from_millis(600);
    let server = Server::setup()
        .open()
        .env("NOTIFY_SOCKET", &manager.name)
        .env("WATCHDOG_USEC", &period.as_micros().to_string())
        .start();
    manager.waits_for("READY=1");
    let begin = Instant::now();
    for _ in 0..6 {
        manager.waits_for("WATCHDOG=1");
    }
    // The first comes at once, each of the others after half of the period.
    assert!(begin.elapsed() >= period / 2 * 4, "too often: {:?}", begin.elapsed());
    server.signal(libc::SIGSTOP);
    while manager.hears(Duration::from_millis(100)).is_some() {}
    assert_eq!(manager.hears(period * 2), None, "a process that hangs feeds nobody");
    server.signal(libc::SIGCONT);
    manager.waits_for("WATCHDOG=1");
}

#[test]
fn a_watchdog_of_another_process_is_not_fed() {
    let manager = Manager::abstracted();
    let server = Server::setup()
        .open()
        .env("NOTIFY_SOCKET", &manager.name)
        .env("WATCHDOG_USEC", "100000")
        .env("WATCHDOG_PID", "1")
        .start();
    manager.waits_for("READY=1");
    assert_eq!(manager.hears(Duration::from_millis(500)), None);
    drop(server);
}

#[test]
fn the_status_follows_who_is_there_and_is_not_repeated() {
    let manager = Manager::abstracted();
    let server =
        Server::setup().open().env("NOTIFY_SOCKET", &manager.name).env("WATCHDOG_USEC", "200000").start();
    let ann = server.person("Ann");
    let sockets = [ann.socket(), ann.socket()];
    let heard = manager.waits_for("1 person on 2 sockets");
    assert!(heard.starts_with("WATCHDOG=1\nSTATUS=serving "), "{heard}");
    for _ in 0..3 {
        assert_eq!(manager.hears(PATIENCE).as_deref(), Some("WATCHDOG=1\n"));
    }
    drop(sockets);
    manager.waits_for("0 people on 0 sockets");
}

/// An entry that waits for the card, and what the manager hears meanwhile.
fn write_slowly(watchdog: Duration, hear: impl FnOnce(&Server, &Manager)) {
    let manager = Manager::abstracted();
    let (card, setup) = Card::under(Server::setup().open());
    let micros = watchdog.as_micros().to_string();
    let server = setup.env("NOTIFY_SOCKET", &manager.name).env("WATCHDOG_USEC", &micros).start();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    card.set(Fault::SyncWaits);
    thread::scope(|scope| {
        let writing = scope.spawn(|| ann.twin().log(&home, "at last"));
        hear(&server, &manager);
        assert!(!writing.is_finished(), "the card stands still");
        card.set(Fault::None);
        writing.join().unwrap();
        manager.waits_for("WATCHDOG=1");
    });
}

#[test]
fn a_card_that_stands_still_for_a_while_does_not_end_the_server() {
    write_slowly(Duration::from_secs(1), |_, manager| {
        // Three periods of the watchdog, and the writer has five.
        (0..6).for_each(|_| drop(manager.waits_for("WATCHDOG=1")));
    });
}

#[test]
fn a_write_that_never_ends_does() {
    let watchdog = Duration::from_millis(200);
    write_slowly(watchdog, |server, manager| {
        server.wait_for_words("the watchdog is not fed any more");
        while manager.hears(Duration::from_millis(1)).is_some() {}
        assert_eq!(manager.hears(watchdog * 3), None, "nobody feeds it");
    });
}

#[test]
fn a_start_that_takes_its_time_asks_for_it() {
    let manager = Manager::abstracted();
    let (card, setup) = Card::under(Server::setup().open());
    card.set(Fault::SyncWaits);
    thread::scope(|scope| {
        let starting = scope.spawn(|| setup.env("NOTIFY_SOCKET", &manager.name).start());
        let heard = manager.hears(PATIENCE).expect("a word about the time");
        assert_eq!(heard, "EXTEND_TIMEOUT_USEC=30000000\nSTATUS=opening the diary");
        card.set(Fault::None);
        manager.waits_for("READY=1");
        starting.join().unwrap();
    });
}

// ---- Inherited sockets

fn any_port() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").unwrap()
}

#[test]
fn inherited_sockets_win_and_all_of_them_are_listened_on() {
    let (one, two) = (any_port(), any_port());
    let places = [one.local_addr().unwrap(), two.local_addr().unwrap()];
    let mut server = Server::setup().open().inheriting(one).inheriting(two).start();
    assert!(places.contains(&server.address()), "and not where --listen says: {}", server.address());
    for place in places {
        let mut wire = Wire::open(place);
        wire.send(format!("GET /api/health HTTP/1.1\r\nHost: {place}\r\n\r\n"));
        assert_eq!(wire.reply("GET").status, 200);
        assert!(server.stderr().contains(&place.to_string()), "{}", server.stderr());
    }
    assert!(server.stderr().contains("not where `listen` says"), "{}", server.stderr());
    assert!(server.terminate().0.success());
}

#[test]
fn sockets_that_are_meant_for_another_process_are_left_alone() {
    let socket = any_port();
    let place = socket.local_addr().unwrap();
    let server = Server::setup().open().inheriting(socket).env("LISTEN_PID", "1").start();
    assert_ne!(server.address(), place);
}

#[test]
fn sockets_that_cannot_be_served_are_named_at_the_start() {
    let listener = any_port();
    let connection = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let datagrams = UdpSocket::bind("127.0.0.1:0").unwrap();
    let folder = server::Directory::new();
    let local = UnixListener::bind(folder.0.join("socket")).unwrap();
    let file = std::fs::File::open("/dev/null").unwrap();
    let start = |sockets: &[RawFd], name: &str| {
        let data = server::Directory::new();
        let mut serve = command();
        serve.args(["serve", "--open", "--data"]).arg(&data.0).env("LISTEN_FDNAMES", name);
        let output = server::finish(&mut server::hand_over(serve, sockets), "");
        assert_eq!(output.status.code(), Some(1));
        String::from_utf8(output.stderr).unwrap()
    };
    for (socket, name, words) in [
        (datagrams.as_raw_fd(), "web", "the inherited descriptor 3 (web) carries datagrams"),
        (connection.as_raw_fd(), "", "the inherited descriptor 3 does not listen"),
        (local.as_raw_fd(), "local", "the inherited descriptor 3 (local) is a local one"),
        (file.as_raw_fd(), "file", "the inherited descriptor 3 (file) is no socket"),
    ] {
        let said = start(&[socket], name);
        assert!(said.contains(words), "{said}");
    }
    let said = start(&[listener.as_raw_fd(), datagrams.as_raw_fd()], "web:log");
    assert!(said.contains("descriptor 4 (log) carries datagrams"), "{said}");
}

#[test]
fn what_waits_in_the_queue_is_for_the_next_process() {
    let socket = any_port();
    let place = socket.local_addr().unwrap();
    let mut server = Server::setup().open().inheriting(socket).start();
    assert!(server.terminate().0.success());
    // Nobody is there. The kernel answers for those who are to come.
    let mut waiting: Vec<_> = (0..200).map(|_| Wire::open(place)).collect();
    for wire in &mut waiting {
        wire.send(format!("GET /api/health HTTP/1.1\r\nHost: {place}\r\n\r\n"));
    }
    server.start_again();
    for wire in &mut waiting {
        assert_eq!(wire.reply("GET").status, 200);
    }
}

#[test]
fn what_waits_in_a_queue_of_our_own_is_answered_before_the_end() {
    let mut server = Server::open();
    let place = server.address();
    server.signal(libc::SIGSTOP);
    let mut waiting: Vec<_> = (0..50).map(|_| Wire::open(place)).collect();
    for wire in &mut waiting {
        wire.send(format!("GET /api/health HTTP/1.1\r\nHost: {place}\r\n\r\n"));
    }
    server.signal(libc::SIGTERM);
    server.signal(libc::SIGCONT);
    for wire in &mut waiting {
        assert_eq!(wire.reply("GET").status, 200);
    }
    assert!(server.wait_for_end().0.success());
}

// ---- Stopping

#[test]
fn an_idle_connection_that_speaks_in_the_last_moment_is_answered_for_the_last_time() {
    let mut server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let mut wire = server.wire();
    let health = format!("GET /api/health HTTP/1.1\r\nHost: {}\r\n\r\n", server.address());
    wire.send(&health);
    assert_eq!(wire.reply("GET").header("Connection"), None);
    // Both have come before the server can notice either.
    server.signal(libc::SIGSTOP);
    server.signal(libc::SIGTERM);
    let body = json!({ "groupId": home, "location": "Home", "thoughts": "just in time" }).to_string();
    wire.send(format!(
        "POST /api/deuces HTTP/1.1\r\nHost: {}\r\nCookie: {}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        server.address(),
        ann.cookie().unwrap(),
        body.len()
    ));
    server.signal(libc::SIGCONT);
    let reply = wire.reply("POST");
    assert_eq!((reply.status, reply.header("Connection")), (200, Some("close")), "{reply:?}");
    wire.expect_end();
    assert!(server.wait_for_end().0.success());
    server.start_again();
    assert_eq!(ann.thoughts_in(&home), ["just in time"]);
}

#[test]
fn an_idle_connection_is_closed_and_not_torn() {
    let mut server = Server::open();
    let mut idle: Vec<_> = (0..5).map(|_| server.wire()).collect();
    let health = format!("GET /api/health HTTP/1.1\r\nHost: {}\r\n\r\n", server.address());
    for wire in &mut idle[1..] {
        wire.send(&health);
        wire.reply("GET");
    }
    server.signal(libc::SIGTERM);
    // The first has not asked anything yet, so it is waited for a little longer.
    for wire in idle.iter_mut().rev() {
        assert_eq!(wire.fill().expect("an orderly end"), 0);
    }
    let (status, took) = server.wait_for_end();
    assert!(status.success() && took < Duration::from_secs(2), "{status} after {took:?}");
}

#[test]
fn a_request_that_is_half_there_may_come_whole() {
    let mut server = Server::open();
    let mut wire = server.wire();
    wire.send("GET /api/health HTTP/1.1\r\n");
    // The first line is there when this has been answered.
    server.nobody().get("/api/health").ok();
    let mut idle = server.wire();
    idle.send(format!("GET /api/health HTTP/1.1\r\nHost: {}\r\n\r\n", server.address()));
    idle.reply("GET");
    server.signal(libc::SIGTERM);
    assert_eq!(idle.fill().expect("an orderly end"), 0);
    wire.send(format!("Host: {}\r\n\r\n", server.address()));
    let reply = wire.reply("GET");
    assert_eq!((reply.status, reply.header("Connection")), (200, Some("close")), "{reply:?}");
    assert!(server.wait_for_end().0.success());
}

/// The code and the reason with which a socket ends.
#[track_caller]
fn ends_with(socket: &mut Socket) -> (u16, String) {
    let (bytes, _) = socket.until_the_end();
    // Whatever came before is not looked at; a close is a frame of less than 126 bytes.
    let begin = bytes.iter().rposition(|byte| *byte == 0x88).expect("a close");
    let code = u16::from_be_bytes([bytes[begin + 2], bytes[begin + 3]]);
    (code, String::from_utf8(bytes[begin + 4..].to_vec()).unwrap())
}

#[test]
fn native_clients_are_told_when_to_come_back_and_each_another_time() {
    let mut server = Server::open();
    let ann = server.person("Ann");
    let mut natives: Vec<_> = (0..40).map(|_| Native::anonymous(&server)).collect();
    let mut of_ann = native_handshake(&ann).open();
    of_ann.expect_json();
    let mut plain = ann.socket();
    server.signal(libc::SIGTERM);
    assert_eq!(
        ends_with(&mut plain),
        (1001, "server is stopping".to_owned()),
        "as the diary's pages know it"
    );
    let mut delays: Vec<u64> = natives
        .iter_mut()
        .map(|native| &mut native.socket)
        .chain([&mut of_ann])
        .map(|socket| {
            let (code, reason) = ends_with(socket);
            let delay = reason.strip_prefix("retry in ").and_then(|rest| rest.strip_suffix(" ms"));
            assert_eq!(code, 1012, "{reason}");
            delay.unwrap_or_else(|| panic!("{reason}")).parse().unwrap()
        })
        .collect();
    delays.sort_unstable();
    assert!(delays[0] >= 500 && delays[40] < 1500, "{delays:?}");
    let crowd = (500..1500)
        .step_by(100)
        .map(|begin| delays.iter().filter(|delay| (begin..begin + 100).contains(*delay)).count());
    assert!(crowd.max().unwrap() <= 8, "spread over the second: {delays:?}");
    assert!(server.wait_for_end().0.success());
}

// ---- Starting anew under load

/// What became of the requests.
#[derive(Default)]
struct Tally {
    answered: AtomicU64,
    /// A connection that had been used before was closed before anything was answered. The request was not read.
    asked_again: AtomicU64,
}

/// Posts an entry; on a fresh connection it has to work, on a used one the server may have gone meanwhile.
fn post(wire: &mut Option<Wire>, place: SocketAddr, cookie: &str, body: &str, tally: &Tally) {
    let request = format!(
        "POST /api/deuces HTTP/1.1\r\nHost: {place}\r\nCookie: {cookie}\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    );
    loop {
        let used = wire.is_some();
        let mut open = wire.take().unwrap_or_else(|| Wire::open(place));
        match open.try_send(&request).map_err(|error| error.to_string()).and_then(|()| open.try_reply("POST"))
        {
            Ok(reply) => {
                assert_eq!(reply.status, 200, "{reply:?}");
                tally.answered.fetch_add(1, Ordering::Relaxed);
                if reply.header("Connection") != Some("close") {
                    *wire = Some(open);
                }
                return;
            }
            Err(_) if used && open.ahead.is_empty() => {
                tally.asked_again.fetch_add(1, Ordering::Relaxed);
            }
            Err(error) => panic!("a request was lost: {error}"),
        }
    }
}

/// Whether the server has closed it, or does so in a moment.
fn has_ended(socket: &mut Socket) -> bool {
    let [something] = Wire::wait_for_any([socket.wire()], Duration::from_millis(20));
    something
        && match socket.next_frame() {
            Frame::Close(code, _) => {
                assert_eq!(code, Some(1012));
                true
            }
            Frame::End => panic!("a socket was torn"),
            _ => false,
        }
}

#[test]
fn starting_anew_under_load_loses_and_refuses_nothing() {
    const RESTARTS: usize = 5;
    let socket = any_port();
    let place = socket.local_addr().unwrap();
    let mut server = Server::setup()
        .open()
        .limit("deuces_per_minute", 1_000_000)
        .limit("api_requests_per_minute", 1_000_000)
        .limit("deuces_per_day", 1_000_000)
        .inheriting(socket)
        .start();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let (cookie, over, tally) = (ann.cookie().unwrap(), AtomicBool::new(false), Tally::default());
    let reopened = AtomicU64::new(0);
    let written = thread::scope(|scope| {
        let writers: Vec<_> = (0..6)
            .map(|writer| {
                let (home, cookie, over, tally) = (&home, &cookie, &over, &tally);
                scope.spawn(move || {
                    let (mut wire, mut written) = (None, Vec::new());
                    while !over.load(Ordering::Relaxed) {
                        let thoughts = format!("{writer} {}", written.len());
                        let body = json!({ "groupId": home, "location": "Home", "thoughts": thoughts });
                        post(&mut wire, place, cookie, &body.to_string(), tally);
                        written.push(thoughts);
                        if writer % 2 == 0 {
                            // Half of them come anew for each request, as `curl` does.
                            wire = None;
                        }
                    }
                    written
                })
            })
            .collect();
        // A socket each, which comes back at once: that is sooner than it is told to.
        for _ in 0..4 {
            let (ann, over, reopened) = (&ann, &over, &reopened);
            scope.spawn(move || {
                while !over.load(Ordering::Relaxed) {
                    let mut socket = native_handshake(ann).open();
                    while !over.load(Ordering::Relaxed) && !has_ended(&mut socket) {}
                    reopened.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        for round in 1..=RESTARTS as u64 {
            let before = tally.answered.load(Ordering::Relaxed);
            let start = Instant::now();
            while tally.answered.load(Ordering::Relaxed) < before + 60 && start.elapsed() < PATIENCE {
                thread::sleep(Duration::from_millis(2));
            }
            assert!(server.terminate().0.success(), "{round}");
            server.start_again();
        }
        over.store(true, Ordering::Relaxed);
        writers.into_iter().flat_map(|writer| writer.join().unwrap()).collect::<Vec<String>>()
    });
    let stored = texts(&ann.get(&format!("/api/groups/{home}")).ok()["entries"], "thoughts");
    assert_eq!(stored.len(), written.len(), "each once, also those that were asked again");
    assert!(written.len() > RESTARTS * 60, "{}", written.len());
    assert!(reopened.load(Ordering::Relaxed) >= 4 * RESTARTS as u64, "{reopened:?}");
    eprintln!(
        "{RESTARTS} restarts, {} requests, {} of them asked again on a fresh connection, {reopened:?} sockets",
        written.len(),
        tally.asked_again.load(Ordering::Relaxed)
    );
}
