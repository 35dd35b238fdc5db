//! The server's HTTP code without the server: answers every request with what it understood, for conformance suites.
//!
//! ```text
//! cargo run --example http_echo -- --listen 127.0.0.1:0
//! ```
//!
//! It prints the address it listens on. An answer is text: the method and the target as they came, a line with the
//! decoded path, an empty line, and the body. Bodies may have 16 MiB. There is no database, no login and no WebSocket.

use deuced::domain::Limits;
use deuced::http::connection::{self, House, Taken, Verdict};
use deuced::http::error::Failure;
use deuced::http::guard::{Head, Refusal};
use deuced::http::ledger::Ledger;
use deuced::http::message::{Body, Request, Response};
use deuced::io::{self, Listener, net::Tuning};
use smol::{LocalExecutor, future::FutureExt};
use std::{
    convert::Infallible, io::Write, net::IpAddr, net::SocketAddr, panic::AssertUnwindSafe, process::ExitCode,
    rc::Rc, time::Duration,
};

const BODY_BYTES: u64 = 16 << 20;

/// The house where every room echoes.
#[derive(Clone)]
struct Echo {
    limits: Rc<Limits>,
    ledger: Rc<Ledger>,
    executor: Rc<LocalExecutor<'static>>,
}

impl House for Echo {
    type Place = ();
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

    fn place_for(&self, _: IpAddr) -> Option<()> {
        Some(())
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        self.executor.spawn(AssertUnwindSafe(task).catch_unwind()).detach();
    }

    fn judge(&self, _: &mut Head, _: IpAddr) -> Result<Verdict<Self>, Refusal> {
        let too_large = Refusal { status: 413, message: "request entity too large" };
        Ok(Verdict::Receive { most: BODY_BYTES, too_large, counted: false, errand: () })
    }

    async fn answer(&self, (): &mut (), request: Request, _: IpAddr) -> Response {
        let mut line = request.headers.line();
        let (method, target) = (line.next().unwrap_or_default(), line.next().unwrap_or_default());
        let mut text = format!("{method} {target}\n{}\n\n", request.path).into_bytes();
        text.extend_from_slice(&request.body);
        Response::new(200, "text/plain; charset=utf-8", Body::Bytes(text))
    }

    fn refuse(&self, failure: Failure) -> Response {
        failure.into_response("echo")
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
        u64::MAX
    }

    fn take_over(&self, taken: Taken<Self>) {
        match taken.socket {}
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(never) => match never {},
        Err(sentence) => {
            eprintln!("http_echo: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<Infallible, String> {
    let address = address()?;
    let limits = Rc::new(Limits::default());
    let tuning = Tuning { unacknowledged: Duration::from_secs(limits.write_seconds) };
    let listener = Listener::bind(address, tuning).map_err(|error| format!("{address}: {error}"))?;
    let address = listener.local_address().map_err(|error| error.to_string())?;
    println!("{address}");
    std::io::stdout().flush().map_err(|error| error.to_string())?;

    let executor = Rc::new(LocalExecutor::new());
    let house = Echo { limits, ledger: Rc::default(), executor: executor.clone() };
    io::block_on(executor.run(connection::accept(house, Rc::new(listener))), || {});
    Err("no more connections are accepted".to_owned())
}

/// The one option there is.
fn address() -> Result<SocketAddr, String> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["--listen", address] => address.parse().map_err(|_| format!("'{address}' is no ADDR:PORT")),
        _ => Err("usage: http_echo --listen ADDR:PORT".to_owned()),
    }
}
