//! Connections over real sockets with a house of cardboard behind them: what no client can make the real one do.

use super::*;
use crate::http::message::Body;
use crate::io::net::Tuning;
use smol::LocalExecutor;
use std::cell::Cell;
use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

/// A house that does as the path says.
#[derive(Clone)]
struct Cardboard {
    limits: Rc<Limits>,
    ledger: Rc<Ledger>,
    executor: Rc<LocalExecutor<'static>>,
    places: Rc<Cell<u64>>,
}

/// A place that is counted for as long as it lasts.
struct Place(Rc<Cell<u64>>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}

impl House for Cardboard {
    type Place = Place;
    type Errand = ();
    type Socket = Infallible;
    type Apology = ();
    type UnderWay = ();

    fn limits(&self) -> &Limits {
        &self.limits
    }

    fn ledger(&self) -> &Rc<Ledger> {
        &self.ledger
    }

    fn place_for(&self, _: IpAddr) -> Option<Place> {
        self.places.set(self.places.get() + 1);
        Some(Place(self.places.clone()))
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.executor.spawn(AssertUnwindSafe(task).catch_unwind()).detach();
    }

    fn judge(&self, head: &mut Head, _: IpAddr) -> Result<Verdict<Self>, Refusal> {
        assert_ne!(head.path, "/panic-in-the-hall", "as asked");
        let too_large = Refusal { status: 413, message: "too much" };
        Ok(Verdict::Receive { most: 1 << 20, too_large, counted: true, errand: () })
    }

    async fn answer(&self, (): &mut (), request: Request, _: IpAddr) -> Response {
        assert_ne!(request.path, "/panic", "as asked");
        match request.path.as_str() {
            "/places" => Response::json(200, self.places.get().to_string()),
            "/pending" => Response::json(200, self.ledger.total().to_string()),
            "/header" => Response::empty(200).with("x-evil", "a\r\nset-cookie: b"),
            "/long" => Response::new(200, "text/plain", Body::Bytes(vec![b'x'; 32 << 20])),
            _ => Response::json(200, "{}".to_owned()),
        }
    }

    fn refuse(&self, failure: Failure) -> Response {
        failure.into_response("test")
    }

    fn is_stopping(&self) -> bool {
        false
    }

    fn is_parting(&self) -> bool {
        false
    }

    fn under_way(&self) {}

    fn may_turn_away(&self) -> Option<()> {
        Some(())
    }

    fn most_pending_of(&self, _: IpAddr) -> u64 {
        100_000
    }

    fn take_over(&self, taken: Taken<Self>) {
        match taken.socket {}
    }
}

/// Runs a house with these limits until the act, on a thread of its own, is over.
fn with_house(limits: &[&str], act: impl FnOnce(SocketAddr) + Send + 'static) {
    let mut all = Limits::default();
    limits.iter().for_each(|limit| all.set(limit).expect("a limit"));
    let tuning = Tuning { unacknowledged: Duration::from_secs(5) };
    let listener = Listener::bind(SocketAddr::from(([127, 0, 0, 1], 0)), tuning).expect("a port");
    let address = listener.local_address().expect("an address");
    let executor = Rc::new(LocalExecutor::new());
    let house = Cardboard {
        limits: Rc::new(all),
        ledger: Rc::default(),
        executor: executor.clone(),
        places: Rc::default(),
    };
    executor.spawn(accept(house, Rc::new(listener))).detach();
    let actor = std::thread::spawn(move || act(address));
    let over = async {
        while !actor.is_finished() {
            sleep_until(Instant::now() + Duration::from_millis(2)).await;
        }
    };
    crate::io::block_on(executor.run(over), || {});
    actor.join().expect("the act");
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).expect("a connection");
    stream.set_read_timeout(Some(Duration::from_secs(15))).expect("a time limit");
    stream
}

/// Everything that is answered until the end.
fn ask(address: SocketAddr, bytes: &str) -> String {
    let mut stream = connect(address);
    stream.write_all(bytes.as_bytes()).expect("sent");
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer);
    String::from_utf8(answer).expect("text")
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n")
}

fn last(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
}

#[test]
fn r_h10_a_panic_ends_one_connection_alone() {
    with_house(&[], |address| {
        let mut beside = connect(address);
        // In a handler: told, and the connection goes on with the next request.
        let answers = ask(address, &(get("/panic") + &last("/")));
        let statuses: Vec<&str> = answers.matches("HTTP/1.1 ").collect();
        assert_eq!(statuses.len(), 2, "{answers}");
        assert!(answers.starts_with("HTTP/1.1 500 Internal Server Error\r\n"), "{answers}");
        assert!(
            answers.contains("{\"message\":\"Something went wrong on the server\"")
                && answers.contains("200 OK")
        );
        assert!(!answers.contains("as asked"), "{answers}");
        // Anywhere else: the end, and its place is free again.
        assert_eq!(ask(address, &last("/panic-in-the-hall")), "");
        beside.write_all(last("/places").as_bytes()).expect("still there");
        let mut answer = String::new();
        beside.read_to_string(&mut answer).expect("answered");
        assert!(answer.ends_with("\r\n\r\n1"), "{answer}");
    });
}

#[test]
fn r_h10_a_panic_unwinds() {
    let manifest =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")).expect("readable");
    assert!(manifest.contains("panic = \"unwind\"") && !manifest.contains("\"abort\""));
}

#[test]
fn r_h9_a_header_of_ours_cannot_break_out() {
    with_house(&[], |address| {
        let answer = ask(address, &last("/header"));
        assert!(answer.contains("\r\nx-evil: \r\n") && !answer.contains("set-cookie"), "{answer}");
    });
}

#[test]
fn r_h8_an_answer_that_nobody_takes_is_dropped() {
    with_house(&["write_seconds=1"], |address| {
        let mut stream = connect(address);
        stream.write_all(get("/long").as_bytes()).expect("sent");
        let begin = Instant::now();
        let places = || ask(address, &last("/places")).ends_with("\r\n\r\n1");
        while !places() {
            assert!(begin.elapsed() < Duration::from_secs(10), "it is kept");
            std::thread::sleep(Duration::from_millis(50));
        }
        assert!(begin.elapsed() >= Duration::from_millis(900), "{:?}", begin.elapsed());
    });
}

#[test]
fn r_h8_an_earlier_body_is_no_credit_for_a_crawling_one() {
    with_house(&["body_seconds=1", "body_bytes_per_second=1000"], |address| {
        let mut stream = connect(address);
        let head = |length: usize| format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n");
        stream.write_all((head(90_000) + &"x".repeat(90_000) + &head(1000)).as_bytes()).expect("sent");
        let begin = Instant::now();
        let (mut answers, mut piece) = (Vec::new(), [0; 4096]);
        stream.set_read_timeout(Some(Duration::from_millis(100))).expect("a time limit");
        while !answers.windows(12).any(|window| window == b"HTTP/1.1 408") {
            let _ = stream.write_all(b"x");
            if let Ok(count) = stream.read(&mut piece) {
                answers.extend_from_slice(&piece[..count]);
            }
            assert!(begin.elapsed() < Duration::from_secs(8), "a trickle lives on what came before");
        }
    });
}

#[test]
fn r_h7_unfinished_requests_cannot_fill_the_memory() {
    with_house(&[], |address| {
        let begun = |length: usize| {
            let mut stream = connect(address);
            let head = format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", length + 1);
            stream.write_all((head + &"x".repeat(length)).as_bytes()).expect("sent");
            stream
        };
        let settle = |most: u64| {
            let begin = Instant::now();
            loop {
                let answer = ask(address, &last("/pending"));
                let pending: u64 = answer.rsplit("\r\n").next().expect("a body").parse().expect("a number");
                if pending <= most {
                    return pending;
                }
                assert!(begin.elapsed() < Duration::from_secs(10), "{pending} bytes are still counted");
            }
        };
        // Small ones are not counted; one and a half of the large fit into what this house gives one address.
        let _small: Vec<TcpStream> = (0..20).map(|_| begun(3000)).collect();
        let first = begun(60_000);
        let mut second = begun(60_000);
        let mut answer = String::new();
        second.read_to_string(&mut answer).expect("refused in order");
        assert!(answer.starts_with("HTTP/1.1 503 "), "{answer}");
        assert!(settle(100_000) >= 60_000);
        drop(first);
        settle(0);
    });
}
