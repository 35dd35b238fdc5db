//! Connections: accepted under limits, read under deadlines, answered one request at a time.
//!
//! Every connection is a task of its own. A panic in it ends it alone; a refusal is a complete
//! answer and then the end.

use crate::api::claim::UNCLAIMED;
use crate::api::pace::network_of;
use crate::domain::Limits;
use crate::http::error::Failure;
use crate::http::guard::{Guard, GuardLimits, Head};
use crate::http::message::{Refusal, Request, Response};
use crate::http::router::{self, Target, Verb};
use crate::http::share::{Counted, Share};
use crate::http::{Server, auth, codec, upgrade};
use crate::io::{Listener, Stream, sleep_until, timeout};
use crate::ws::{self, session::Opening};
use smol::future::FutureExt;
use std::{
    io,
    net::IpAddr,
    panic::AssertUnwindSafe,
    rc::Rc,
    time::{Duration, Instant},
};

/// What is thrown away after a refusal before the connection is cut.
const DRAIN_BYTES: usize = 64 << 10;
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// Room for the form around an uploaded picture.
const MULTIPART_OVERHEAD: u64 = 64 << 10;

/// Accepts connections for ever.
pub async fn accept(server: Rc<Server>, listener: Listener) {
    const IN_A_ROW: u32 = 16;
    let mut failing = false;
    let mut accepted = 0u32;
    loop {
        match listener.accept().await {
            Ok((stream, address)) => {
                failing = false;
                accepted = accepted.wrapping_add(1);
                if accepted % IN_A_ROW == 0 {
                    // When everybody comes back at once, those who are here want their turn, too.
                    smol::future::yield_now().await;
                }
                let place = place_for(&server, address);
                let connection = connection(server.clone(), stream, address, place);
                server.spawn(connection);
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

/// Takes a connection's place among those of all and of its address; `None` when there is none left.
fn place_for(server: &Rc<Server>, address: IpAddr) -> Option<Share<IpAddr>> {
    let limits = server.app.limits();
    // Everybody behind a proxy shares its address.
    let proxy = server.doors.trusted_proxies.iter().any(|network| network.contains(address));
    let most_each = if proxy { limits.connections } else { limits.connections_per_address };
    Share::take(server, |server| &server.connections, network_of(address), limits.connections, most_each)
}

/// Why a connection ends before its next request.
enum End {
    /// The peer is gone, was idle for too long, or takes no answer.
    Quiet,
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
enum After {
    /// Another may follow.
    Next,
    /// That was the last.
    Close,
    /// The connection has become a socket.
    Upgrade(Box<upgrade::Accepted>),
}

struct Connection {
    server: Rc<Server>,
    stream: Stream,
    address: IpAddr,
    guard: Guard,
    output: Vec<u8>,
}

async fn connection(server: Rc<Server>, stream: Stream, address: IpAddr, place: Option<Share<IpAddr>>) {
    let limits = server.app.limits();
    let guard = Guard::new(GuardLimits {
        head_bytes: limits.head_bytes as usize,
        headers: limits.headers as usize,
        target_bytes: limits.target_bytes as usize,
    });
    let mut connection = Connection { server, stream, address, guard, output: Vec::new() };
    let Some(place) = place else {
        return connection.turn_away().await;
    };
    loop {
        match connection.serve_one().await {
            // Whoever sends many requests at once waits for the others' turns between them.
            Ok(After::Next) if connection.guard.has_partial() => smol::future::yield_now().await,
            Ok(After::Next) => {}
            Ok(After::Close) => return connection.part().await,
            Ok(After::Upgrade(accepted)) => return connection.become_socket(*accepted, place),
            Err(End::Quiet) => return,
            Err(End::Refused(refusal)) => return connection.refuse(refusal.into()).await,
        }
    }
}

impl Connection {
    fn limits(&self) -> &Limits {
        self.server.app.limits()
    }

    async fn serve_one(&mut self) -> Result<After, End> {
        let head = self.read_head().await?;
        let (path, target) = (upgrade::Path::of(&head), Target::of(&head.path));
        let for_a_socket = path.is_some() || (head.upgrade_websocket && !target.is_routed());
        if for_a_socket && !self.server.app.is_claimed() {
            return Err(Refusal { status: 503, message: UNCLAIMED }.into());
        }
        if for_a_socket {
            self.guard.body(0)?;
        }
        if let Some(path) = path {
            return self.judge_upgrade(&path, &head).await;
        }
        if for_a_socket {
            return self.send(upgrade::no_such_path(), false, false).await.map(|()| After::Close);
        }
        let body = self.read_body_of(&target, &head).await?;
        let request = codec::decode(head, body)?;
        let (head_only, keep_alive) =
            (request.method == crate::http::message::Method::Head, request.keep_alive);
        let _carried_out = Counted::begin(&self.server, |server| &server.in_flight);
        let response = self.answer(target, request).await;
        let keep_alive = keep_alive && !self.server.stopping.get();
        self.send(response, head_only, keep_alive).await?;
        Ok(if keep_alive { After::Next } else { After::Close })
    }

    /// Reads a request's body. Pictures are large, so they are only received from people with a
    /// login, and only a few at a time.
    async fn read_body_of(&mut self, target: &Target, head: &Head) -> Result<Vec<u8>, End> {
        const TOO_MANY: Refusal =
            Refusal { status: 503, message: "Too many uploads, please try again in a moment" };
        const TOO_LARGE: Refusal = Refusal { status: 413, message: "File too large" };
        let caller = match target.verb(head.method) {
            Some(Verb::SetPicture) => auth::caller(&self.server, &head.headers).ok().flatten(),
            _ => None,
        };
        let Some(caller) = caller else {
            return self.read_body(self.limits().body_bytes as usize).await;
        };
        // Nobody may take more than half of the places.
        let most = self.limits().uploads;
        let share =
            Share::take(&self.server, |server| &server.uploads, caller.me.user, most, most.div_ceil(2));
        let _upload = share.ok_or(TOO_MANY)?;
        let most = self.limits().picture_bytes + MULTIPART_OVERHEAD;
        self.read_body(most as usize).await.map_err(|end| match end {
            End::Refused(refusal) if refusal.status == 413 => TOO_LARGE.into(),
            end => end,
        })
    }

    /// A handler that panics is a fault of ours that its client should hear of.
    async fn answer(&self, target: Target, request: Request) -> Response {
        // In a box, because an idle connection should not carry around the room that handlers need.
        let answer = Box::pin(router::answer(&self.server, target, request, self.address));
        match AssertUnwindSafe(answer).catch_unwind().await {
            Ok(response) => response,
            Err(_) => {
                let request_id = self.server.next_request_id();
                Failure::new(500, "Something went wrong on the server").into_response(&request_id)
            }
        }
    }

    /// Waits for a request and reads its head: long for the first byte, shorter for the rest.
    async fn read_head(&mut self) -> Result<Head, End> {
        let mut deadline = Instant::now() + Duration::from_secs(self.limits().idle_seconds);
        let mut begun = false;
        loop {
            if let Some(head) = self.guard.head()? {
                return Ok(head);
            }
            if !begun && self.guard.has_partial() {
                begun = true;
                deadline = Instant::now() + Duration::from_secs(self.limits().head_seconds);
            }
            match timeout(deadline, self.read()).await {
                Some(Ok(0)) => return Err(End::Quiet),
                Some(result) => result?,
                None if begun => {
                    return Err(Refusal { status: 408, message: "The request took too long" }.into());
                }
                None => return Err(End::Quiet),
            };
        }
    }

    /// Reads a body of at most `most` bytes. It must not stand still, nor crawl.
    async fn read_body(&mut self, most: usize) -> Result<Vec<u8>, End> {
        const SLOW: Refusal = Refusal { status: 408, message: "The body took too long" };
        let begin = Instant::now();
        let patience = Duration::from_secs(self.limits().body_seconds);
        loop {
            if let Some(body) = self.guard.body(most)? {
                return Ok(body);
            }
            if self.guard.wants_continue() {
                self.write(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
            }
            match timeout(Instant::now() + patience, self.read()).await {
                Some(Ok(0)) => return Err(End::Quiet),
                Some(result) => result?,
                None => return Err(SLOW.into()),
            };
            let expected =
                begin.elapsed().saturating_sub(patience).as_secs() * self.limits().body_bytes_per_second;
            if self.guard.progress() < expected {
                return Err(SLOW.into());
            }
        }
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
        codec::encode(response, head_only, keep_alive, &mut output);
        let written = self.write(&output).await;
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

    async fn judge_upgrade(&mut self, path: &upgrade::Path, head: &Head) -> Result<After, End> {
        match upgrade::judge(&self.server, path, head) {
            Ok(accepted) if !self.server.stopping.get() => Ok(After::Upgrade(Box::new(accepted))),
            Ok(_) => self.send(Response::empty(503), false, false).await.map(|()| After::Close),
            Err(refusal) => self.send(refusal, false, false).await.map(|()| After::Close),
        }
    }

    /// Hands the connection over to the socket door, with what was read ahead.
    fn become_socket(self, accepted: upgrade::Accepted, place: Share<IpAddr>) {
        let mut answer = Vec::new();
        codec::encode(accepted.answer, false, true, &mut answer);
        let Connection { server, stream, guard, .. } = self;
        stream.bound_send_buffer(server.app.limits().send_buffer_bytes);
        let place = (place, accepted.place);
        let opening = Opening {
            stream,
            answer,
            read_ahead: guard.into_leftover(),
            owner: accepted.owner,
            endpoint: accepted.endpoint,
            greeting: accepted.greeting,
            guest: accepted.guest,
            place,
            anonymous_place: accepted.anonymous_place,
        };
        server.spawn(ws::session::run(server.app.clone(), opening));
    }

    /// Says that there is no room. Only so many can be told at a time, or those who are told would
    /// use up the descriptors that everybody else needs.
    async fn turn_away(&mut self) {
        const MOST: u64 = 64;
        if self.server.turned_away.get() < MOST {
            let _told = Counted::begin(&self.server, |server| &server.turned_away);
            self.refuse(Failure::new(503, "Too many connections, please try again in a moment")).await;
        }
    }

    async fn refuse(&mut self, failure: Failure) {
        let request_id = self.server.next_request_id();
        let response = failure
            .into_response(&request_id)
            .with("x-request-id", request_id)
            .with("cache-control", "no-store");
        let response = response.with("x-content-type-options", "nosniff");
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
