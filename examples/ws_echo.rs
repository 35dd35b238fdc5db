//! Our own socket code as an echo server, for conformance suites such as Autobahn: `tests/autobahn.sh` runs it.
//!
//! ```sh
//! cargo run --release --example ws_echo -- --listen 127.0.0.1:9001
//! ```
//!
//! The guard, the handshake's rules, the reader, the session and the hub's outbox are the server's. Only what is said
//! is another: every message comes back, text as text and bytes as bytes, at any path, to anybody, without a database
//! and up to 16 MiB. Not for the open network: nobody is asked who they are, and nothing is paced.

use deuced::domain::Result;
use deuced::http::guard::{Guard, GuardLimits, Head};
use deuced::http::message::Response;
use deuced::http::{codec, upgrade};
use deuced::hub::{Ending, Hub, Render, SessionId};
use deuced::io::{Listener, Stream, block_on, net::Tuning};
use deuced::ws::frame;
use deuced::ws::session::{self, Conversation, Opening};
use smol::LocalExecutor;
use std::{io, net::SocketAddr, process::ExitCode, rc::Rc, time::Duration};

/// The longest message.
const MOST: u64 = 16 << 20;

/// What may wait for one socket: an answer and another that was on its way when the first got stuck.
const OUTBOX_BYTES: u64 = 4 * MOST;

/// As many frames as anybody cares to send.
const ANY_NUMBER: u64 = 1_000_000_000;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let address = match words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [] => Ok(SocketAddr::from(([127, 0, 0, 1], 9001))),
        ["--listen", address] => address.parse().map_err(|_| format!("--listen {address}: not ADDR:PORT")),
        _ => Err("usage: ws_echo [--listen ADDR:PORT]".to_owned()),
    };
    match address.and_then(|address| run(address).map_err(|error| format!("{address}: {error}"))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("ws_echo: {sentence}");
            ExitCode::FAILURE
        }
    }
}

/// Accepts for ever.
fn run(address: SocketAddr) -> io::Result<()> {
    let listener = Listener::bind(address, Tuning { unacknowledged: Duration::from_secs(60) })?;
    println!("Echoing at ws://{}/", listener.local_address()?);
    let nothing = Render { event: |_, _, _| {}, whisper: |_, _, _| {} };
    let hub = Rc::new(Hub::new(nothing, OUTBOX_BYTES));
    let executor = Rc::new(LocalExecutor::new());
    let accepting = async {
        loop {
            let (stream, _) = listener.accept().await?;
            let (hub, sockets) = (hub.clone(), executor.clone());
            let shaking_hands = async move {
                if let Ok(Some((stream, answer, read_ahead))) = shake_hands(stream).await {
                    let opening =
                        Opening { stream, answer, read_ahead, owner: None, connection: (), place: () };
                    let hub_of_echo = hub.clone();
                    let echo = session::run(&hub, opening, |id| Echo { hub: hub_of_echo, id });
                    sockets.spawn(echo).detach();
                }
            };
            executor.spawn(shaking_hands).detach();
        }
    };
    block_on(executor.run(accepting), || hub.flush())
}

/// Reads a request for a socket and answers it if it has to be refused; else gives the answer, and what came behind
/// the request.
async fn shake_hands(stream: Stream) -> io::Result<Option<(Stream, Vec<u8>, Vec<u8>)>> {
    let mut guard = Guard::new(GuardLimits::default());
    let answer = match read_head(&stream, &mut guard).await? {
        None => return Ok(None),
        Some(Ok(head)) => upgrade::key(&head).map(upgrade::switching),
        Some(Err(status)) => Err(Response::empty(status)),
    };
    let (mut bytes, accepted) = (Vec::new(), answer.is_ok());
    codec::encode(answer.unwrap_or_else(|refusal| refusal), false, accepted, &mut bytes);
    if accepted {
        return Ok(Some((stream, bytes, guard.into_leftover())));
    }
    let mut left = &bytes[..];
    while !left.is_empty() {
        left = &left[stream.write(left).await?..];
    }
    stream.finish();
    stream.discard(64 << 10).await;
    Ok(None)
}

/// The head of a request, or the status to refuse it with; nothing when the peer has gone.
async fn read_head(stream: &Stream, guard: &mut Guard) -> io::Result<Option<std::result::Result<Head, u16>>> {
    loop {
        match guard.head() {
            Err(refusal) => return Ok(Some(Err(refusal.status))),
            // A request for a socket has no body, and what has one is refused anyway.
            Ok(Some(head)) => return Ok(Some(guard.body(0).map(|_| head).map_err(|refusal| refusal.status))),
            Ok(None) => {}
        }
        let count = stream.take(|bytes| {
            guard.feed(bytes);
            bytes.len()
        });
        if count.await? == 0 {
            return Ok(None);
        }
    }
}

/// Says what it hears.
struct Echo {
    hub: Rc<Hub>,
    id: SessionId,
}

impl Conversation for Echo {
    fn hub(&self) -> &Hub {
        &self.hub
    }

    fn most(&mut self) -> u64 {
        MOST
    }

    fn frames(&self) -> (u64, u64) {
        (ANY_NUMBER, ANY_NUMBER)
    }

    fn begin(&mut self) -> Result<Option<Ending>> {
        Ok(None)
    }

    fn on_text(&mut self, text: &str) -> Option<Ending> {
        let mut bytes = Vec::with_capacity(text.len() + 10);
        frame::text(text, &mut bytes);
        self.hub.send(self.id, &bytes);
        None
    }

    fn on_binary(&mut self, bytes: &[u8]) -> Option<Ending> {
        let mut answer = Vec::with_capacity(bytes.len() + 10);
        frame::binary(bytes, &mut answer);
        self.hub.send(self.id, &answer);
        None
    }

    // Whoever takes nothing is not listened to.
    fn is_full(&self) -> bool {
        !self.hub.has_taken_all(self.id)
    }
}
