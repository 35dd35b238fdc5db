//! One connection, whoever answers: read under deadlines, answered one request at a time.
//!
//! A refusal is a complete answer and then the end (R-H1). A panic in a handler is answered with 500; a panic
//! anywhere else ends this connection alone, because every connection is a task of its own (R-H10).
//!
//! Not here: what is behind the door ([`House`]; ours is in `serve`), and what the bytes mean (`guard`).

use crate::domain::Limits;
use crate::http::codec;
use crate::http::error::Failure;
use crate::http::guard::{Guard, GuardLimits, Head};
use crate::http::ledger::{Entry, Ledger};
use crate::http::message::{Method, Refusal, Request, Response};
use crate::io::net::SCRATCH_BYTES;
use crate::io::{Listener, Stream, sleep_until, timeout};
use smol::future::FutureExt;
use std::{
    future::poll_fn,
    io,
    net::IpAddr,
    panic::AssertUnwindSafe,
    pin::pin,
    rc::Rc,
    task::Poll,
    time::{Duration, Instant},
};

/// What is thrown away after a refusal before the connection is cut.
const DRAIN_BYTES: usize = 64 << 10;
const DRAIN_TIME: Duration = Duration::from_secs(1);
/// Contents up to this are sent in one piece with their head.
const COPIED_BYTES: usize = 8 << 10;

/// Who is behind the door: decides what comes in, and answers. Plugged in at compile time, so that an answer costs no
/// detour.
pub trait House: Clone + 'static {
    /// A connection's place among all; given back when it is dropped.
    type Place: 'static;
    /// What a request came for. It is kept from its head until its answer has been sent.
    type Errand: 'static;
    /// What a connection becomes that is no HTTP any more.
    type Socket: 'static;
    /// Kept while somebody is told that there is no place.
    type Apology: 'static;
    /// Kept by a connection that has answered nothing yet, and from the first byte of a request until its answer was sent.
    type UnderWay: 'static;

    /// How much and how long.
    fn limits(&self) -> &Limits;
    /// Where the bytes of unfinished requests are counted.
    fn ledger(&self) -> &Rc<Ledger>;
    /// A place for a connection from this address; `None` when there is none left.
    fn place_for(&self, address: IpAddr) -> Option<Self::Place>;
    /// Runs a task beside all others; a panic in it must not leave it.
    fn spawn(&self, task: impl Future<Output = ()> + 'static);
    /// What is to become of a request whose body has not been read yet.
    ///
    /// # Errors
    /// What is to be answered at once; the connection ends with it.
    fn judge(&self, head: &mut Head, address: IpAddr) -> Result<Verdict<Self>, Refusal>;
    /// Answers a whole request.
    fn answer(
        &self,
        errand: &mut Self::Errand,
        request: Request,
        address: IpAddr,
    ) -> impl Future<Output = Response>;
    /// The answer that ends a connection.
    fn refuse(&self, failure: Failure) -> Response;
    /// Whether every answer from now on is the last of its connection.
    fn is_stopping(&self) -> bool;
    /// Whether connections without a request end now. Whoever changes it rouses them.
    fn is_parting(&self) -> bool;
    /// Counts a request that is to come or has begun.
    fn under_way(&self) -> Self::UnderWay;
    /// Whether one more may be told that there is no place for it; whoever is not told is only cut off.
    fn may_turn_away(&self) -> Option<Self::Apology>;
    /// How much of what all may send at once this address may send; everybody behind a proxy shares its address.
    fn most_pending_of(&self, address: IpAddr) -> u64;
    /// Takes a connection over.
    fn take_over(&self, taken: Taken<Self>);
}

/// What becomes of a request whose head has been read.
pub enum Verdict<H: House> {
    /// Its body is received and it is answered.
    Receive {
        /// The longest body.
        most: u64,
        /// What is said of a longer one.
        too_large: Refusal,
        /// Whether its bytes count among those that have not come whole; uploads are bounded by their number.
        counted: bool,
        /// What it came for.
        errand: H::Errand,
    },
    /// It is answered at once, and that is the end of its connection.
    Part(Response),
    /// The connection becomes something else.
    Upgrade(Box<H::Socket>),
}

/// A connection that is no HTTP any more.
pub struct Taken<H: House> {
    /// The connection.
    pub stream: Stream,
    /// What has come after the request already.
    pub read_ahead: Vec<u8>,
    /// Its place among all.
    pub place: H::Place,
    /// What it becomes.
    pub socket: H::Socket,
}

/// Accepts connections for ever. When this is dropped every connection it accepted is being served.
pub async fn accept<H: House>(house: H, listener: Rc<Listener>) {
    const IN_A_ROW: u32 = 16;
    let mut failing = false;
    let mut accepted = 0u32;
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                failing = false;
                accepted = accepted.wrapping_add(1);
                let place = house.place_for(address);
                house.spawn(serve(house.clone(), stream, address, place));
                if accepted % IN_A_ROW == 0 {
                    // When everybody comes back at once, those who are here want their turn, too.
                    smol::future::yield_now().await;
                }
            }
            Err(error) => {
                // Out of descriptors, most likely. Trying again at once would only spin.
                if !failing {
                    log::warn!("connections cannot be accepted right now: {error}");
                }
                failing = true;
                sleep_until(Instant::now() + Duration::from_millis(100)).await;
            }
        }
    }
}

/// Accepts what waits to be accepted, and nothing that comes later.
pub fn accept_the_rest<H: House>(house: &H, listener: &Listener) {
    while let Some((stream, address)) = listener.try_accept() {
        let place = house.place_for(address);
        house.spawn(serve(house.clone(), stream, address, place));
    }
}

/// Why a connection ends before its next request.
enum End {
    /// The peer is gone, was idle for too long, or takes no answer.
    Quiet,
    /// The server stops, and nothing was asked.
    Parting,
    /// It is told why.
    Refused(Refusal),
}

impl From<Refusal> for End {
    fn from(refusal: Refusal) -> End {
        End::Refused(refusal)
    }
}

impl From<io::Error> for End {
    fn from(_: io::Error) -> End {
        End::Quiet
    }
}

/// What came of one request.
enum After<H: House> {
    /// Another may follow.
    Next,
    /// That was the last.
    Close,
    /// The connection becomes something else.
    Upgrade(Box<H::Socket>),
}

struct Connection<H: House> {
    house: H,
    stream: Stream,
    address: IpAddr,
    guard: Guard,
    output: Vec<u8>,
    pending: Entry,
    /// There while an answer is owed or expected: from the beginning, and again from the first byte of each request.
    under_way: Option<H::UnderWay>,
}

/// Serves one connection to its end.
pub async fn serve<H: House>(house: H, stream: Stream, address: IpAddr, place: Option<H::Place>) {
    let limits = house.limits();
    let guard = Guard::new(GuardLimits {
        head_bytes: limits.head_bytes as usize,
        headers: limits.headers as usize,
        target_bytes: limits.target_bytes as usize,
    });
    let pending = Entry::new(house.ledger(), address);
    let under_way = Some(house.under_way());
    let mut connection = Connection { house, stream, address, guard, output: Vec::new(), pending, under_way };
    let Some(place) = place else {
        return connection.turn_away().await;
    };
    loop {
        let outcome = connection.serve_one().await;
        connection.pending.settle();
        connection.under_way = None;
        match outcome {
            // Whoever sends many requests at once waits for the others' turns between them.
            Ok(After::Next) if connection.guard.has_partial() => smol::future::yield_now().await,
            Ok(After::Next) => {}
            Ok(After::Close) => return connection.part().await,
            Ok(After::Upgrade(socket)) => {
                let Connection { house, stream, guard, .. } = connection;
                let read_ahead = guard.into_leftover();
                return house.take_over(Taken { stream, read_ahead, place, socket: *socket });
            }
            Err(End::Quiet) => return,
            Err(End::Parting) => return connection.part().await,
            Err(End::Refused(refusal)) => return connection.refuse(refusal.into()).await,
        }
    }
}

impl<H: House> Connection<H> {
    fn limits(&self) -> &Limits {
        self.house.limits()
    }

    async fn serve_one(&mut self) -> Result<After<H>, End> {
        let mut head = self.read_head().await?;
        let (most, too_large, counted, mut errand) = match self.house.judge(&mut head, self.address)? {
            Verdict::Receive { most, too_large, counted, errand } => (most, too_large, counted, errand),
            Verdict::Part(response) => {
                self.send(response, head.method == Method::Head, false).await?;
                return Ok(After::Close);
            }
            Verdict::Upgrade(socket) => {
                // It has no body, but the guard wants to be asked before what follows is somebody else's.
                self.guard.body(0)?;
                return Ok(After::Upgrade(socket));
            }
        };
        let body = self.read_body(most, counted).await.map_err(|end| match end {
            End::Refused(refusal) if refusal.status == 413 => too_large.into(),
            end => end,
        })?;
        let request = codec::decode(head, body)?;
        let (head_only, keep_alive) = (request.method == Method::Head, request.keep_alive);
        let response = self.answer(&mut errand, request).await;
        let keep_alive = keep_alive && !self.house.is_stopping();
        self.send(response, head_only, keep_alive).await?;
        Ok(if keep_alive { After::Next } else { After::Close })
    }

    /// A handler that panics is a fault of ours that its client should hear of.
    async fn answer(&self, errand: &mut H::Errand, request: Request) -> Response {
        // In a box, because an idle connection should not carry around the room that handlers need.
        let answer = Box::pin(self.house.answer(errand, request, self.address));
        match AssertUnwindSafe(answer).catch_unwind().await {
            Ok(response) => response,
            Err(_) => self.house.refuse(Failure::new(500, "Something went wrong on the server")),
        }
    }

    /// Waits for a request and reads its head: long for the first byte, shorter for the rest.
    async fn read_head(&mut self) -> Result<Head, End> {
        const SLOW: Refusal = Refusal { status: 408, message: "The request took too long" };
        let mut deadline = Instant::now() + Duration::from_secs(self.limits().idle_seconds);
        let mut begun = false;
        loop {
            if let Some(head) = self.guard.head()? {
                self.begin();
                return Ok(head);
            }
            if !begun && self.guard.has_partial() {
                begun = true;
                self.begin();
                deadline = Instant::now() + Duration::from_secs(self.limits().head_seconds);
            }
            match timeout(deadline, self.read_or_part()).await {
                Some(Ok(0)) if begun => return Err(CUT_SHORT.into()),
                Some(Ok(0)) => return Err(End::Quiet),
                Some(result) => result?,
                None if begun => return Err(SLOW.into()),
                None => return Err(End::Quiet),
            };
            self.count_pending()?;
        }
    }

    /// Reads a body of at most `most` bytes. It must not stand still, nor crawl.
    async fn read_body(&mut self, most: u64, counted: bool) -> Result<Vec<u8>, End> {
        const SLOW: Refusal = Refusal { status: 408, message: "The body took too long" };
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let begin = Instant::now();
        let patience = Duration::from_secs(self.limits().body_seconds);
        // What earlier bodies brought is no credit for this one.
        let before = self.guard.progress();
        loop {
            if let Some(body) = self.guard.body(most)? {
                return Ok(body);
            }
            if self.guard.wants_continue() {
                self.write(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            }
            match timeout(Instant::now() + patience, self.read()).await {
                Some(Ok(0)) => return Err(CUT_SHORT.into()),
                // Whoever sends faster than it is read waits for the others' turns.
                Some(Ok(SCRATCH_BYTES)) => smol::future::yield_now().await,
                Some(result) => drop(result?),
                None => return Err(SLOW.into()),
            }
            if counted {
                self.count_pending()?;
            }
            let expected =
                begin.elapsed().saturating_sub(patience).as_secs() * self.limits().body_bytes_per_second;
            if self.guard.progress() - before < expected {
                return Err(SLOW.into());
            }
        }
    }

    /// Counts what has come of an unfinished request, so that many of them together cannot fill the memory.
    fn count_pending(&mut self) -> Result<(), Refusal> {
        const TOO_MUCH: Refusal =
            Refusal { status: 503, message: "Too much is being sent at once, please try again in a moment" };
        let bytes = self.guard.held() as u64;
        let most = self.house.limits().pending_bytes;
        match self.pending.set(bytes, most, || self.house.most_pending_of(self.address)) {
            true => Ok(()),
            false => Err(TOO_MUCH),
        }
    }

    fn begin(&mut self) {
        let house = &self.house;
        self.under_way.get_or_insert_with(|| house.under_way());
    }

    /// Reads, unless this is an idle connection of a server that stops and there is nothing to read.
    async fn read_or_part(&mut self) -> Result<usize, End> {
        let (house, idle) = (self.house.clone(), self.under_way.is_none());
        let mut read = pin!(self.read());
        poll_fn(|context| match read.as_mut().poll(context) {
            Poll::Pending if idle && house.is_parting() => Poll::Ready(Err(End::Parting)),
            outcome => outcome.map_err(End::from),
        })
        .await
    }

    /// Reads what is there into the guard, and says how much it was.
    async fn read(&mut self) -> io::Result<usize> {
        let Connection { stream, guard, .. } = self;
        let mut feed = |bytes: &[u8]| {
            guard.feed(bytes);
            bytes.len()
        };
        stream.take(&mut feed).await
    }

    async fn send(&mut self, response: Response, head_only: bool, keep_alive: bool) -> Result<(), End> {
        let mut output = std::mem::take(&mut self.output);
        let body = codec::encode_head(response, keep_alive, &mut output);
        let body = if head_only { &[] } else { body.as_bytes() };
        // One packet where one is enough. What is long is sent from where it lies, which others may share: a crowd that
        // asks for files and does not take them costs no copies.
        let (rest, together) = if body.len() <= COPIED_BYTES { (&[][..], body) } else { (body, &[][..]) };
        output.extend_from_slice(together);
        let written = match self.write(&output).await {
            Ok(()) => self.write(rest).await,
            refused => refused,
        };
        output.clear();
        // A long answer must not be remembered in the size of an idle connection's buffer.
        self.output = if output.capacity() > 4096 { Vec::new() } else { output };
        written
    }

    async fn write(&self, mut bytes: &[u8]) -> Result<(), End> {
        let patience = Duration::from_secs(self.limits().write_seconds);
        while !bytes.is_empty() {
            let written = match self.stream.try_write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    timeout(Instant::now() + patience, self.stream.write(bytes)).await.ok_or(End::Quiet)?
                }
                result => result,
            };
            bytes = &bytes[written?..];
        }
        Ok(())
    }

    /// Says that there is no room. Only so many can be told at a time, or those who are told would
    /// use up the descriptors that everybody else needs.
    async fn turn_away(&mut self) {
        if let Some(_told) = self.house.may_turn_away() {
            self.refuse(Failure::new(503, "Too many connections, please try again in a moment")).await;
        }
    }

    async fn refuse(&mut self, failure: Failure) {
        let response = self.house.refuse(failure);
        if self.send(response, false, false).await.is_ok() {
            self.part().await;
        }
    }

    /// Ends the connection so that the last answer arrives: closing with bytes unread would make
    /// the kernel throw it away (RFC 9112 section 9.6).
    async fn part(&mut self) {
        self.stream.finish();
        timeout(Instant::now() + DRAIN_TIME, self.stream.discard(DRAIN_BYTES)).await;
    }
}

/// The peer sends no more, but may still read (RFC 9112 section 8).
const CUT_SHORT: Refusal = Refusal { status: 400, message: "request: ended too early" };

#[cfg(test)]
#[path = "connection_tests.rs"]
mod tests;
