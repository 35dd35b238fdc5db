//! The server behind its connections: who comes in, what may be sent, and what is answered.
//!
//! Not here: how a connection is read and written (`connection`), and what a request does (`router`).

use crate::api::claim::UNCLAIMED;
use crate::api::pace::network_of;
use crate::api::session;
use crate::domain::{Limits, UserId};
use crate::http::address::Peer;
use crate::http::connection::{self, House, Taken, Verdict};
use crate::http::error::Failure;
use crate::http::guard::Head;
use crate::http::ledger::Ledger;
use crate::http::message::{Headers, Refusal, Request, Response};
use crate::http::router::{self, Target, Verb};
use crate::http::share::{Counted, Share};
use crate::http::{Server, auth, codec, sight, upgrade};
use crate::io::Listener;
use crate::ws::talk::{Talk, Visitor};
use crate::ws::{self, close, session::Opening};
use std::{any::Any, net::IpAddr, rc::Rc};

/// Room for the form around an uploaded picture.
const MULTIPART_OVERHEAD: u64 = 64 << 10;

/// Accepts connections for ever.
pub async fn accept(server: Rc<Server>, listener: Rc<Listener>) {
    connection::accept(server, listener).await;
}

/// Accepts what waits to be accepted, and nothing that comes later.
pub fn accept_the_rest(server: &Rc<Server>, listener: &Listener) {
    connection::accept_the_rest(server, listener);
}

/// What a request came for.
pub struct Errand {
    target: Target,
    /// Its place among the uploads, while it is received.
    upload: Option<Share<UserId>>,
    /// From the whole request until its answer has been sent.
    carried_out: Option<Counted>,
}

impl House for Rc<Server> {
    type Place = Share<IpAddr>;
    type Errand = Errand;
    type Socket = upgrade::Accepted;
    type Apology = Counted;
    type UnderWay = Counted;

    fn limits(&self) -> &Limits {
        self.app.limits()
    }

    fn ledger(&self) -> &Rc<Ledger> {
        &self.pending
    }

    fn place_for(&self, address: IpAddr) -> Option<Share<IpAddr>> {
        let limits = self.app.limits();
        let most_each = match self.is_proxy(address) {
            true => limits.connections,
            false => limits.connections_per_address,
        };
        let key = network_of(address);
        Share::take(self, |server| &server.connections, key, limits.connections, most_each)
    }

    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        Server::spawn(self, task);
    }

    fn judge(&self, head: &mut Head, address: IpAddr) -> Result<Verdict<Self>, Refusal> {
        auth::check_host(self, head, address)?;
        let (path, target) = (upgrade::Path::of(head), Target::of(&head.path));
        let for_a_socket = path.is_some() || (head.upgrade_websocket && !target.is_routed());
        if for_a_socket && !self.app.is_claimed() {
            return Err(Refusal { status: 503, message: UNCLAIMED });
        }
        if let Some(path) = path {
            return Ok(match upgrade::judge(self, &path, head) {
                Ok(accepted) => {
                    if let Some(owner) = accepted.owner {
                        session::note_use(&self.app, owner.token, self.peer(address, &head.headers).address);
                    }
                    Verdict::Upgrade(Box::new(accepted))
                }
                Err(refusal) => Verdict::Part(refusal),
            });
        }
        if for_a_socket {
            return Ok(Verdict::Part(upgrade::no_such_path()));
        }
        self.judge_body(target, head)
    }

    async fn answer(&self, errand: &mut Errand, request: Request, address: IpAddr) -> Response {
        errand.upload = None;
        errand.carried_out = Some(Counted::begin(self, |server| &server.in_flight));
        let target = std::mem::take(&mut errand.target);
        router::answer(self, target, request, address).await
    }

    fn refuse(&self, failure: Failure) -> Response {
        let request_id = self.next_request_id();
        let response = failure.into_response(&request_id).with("cache-control", "no-store");
        response.with("x-request-id", request_id)
    }

    fn is_stopping(&self) -> bool {
        self.stopping.get()
    }

    fn is_parting(&self) -> bool {
        self.parting.get()
    }

    fn under_way(&self) -> Counted {
        Counted::begin(self, |server| &server.under_way)
    }

    fn may_turn_away(&self) -> Option<Counted> {
        const MOST: u64 = 64;
        (self.turned_away.get() < MOST).then(|| Counted::begin(self, |server| &server.turned_away))
    }

    fn most_pending_of(&self, address: IpAddr) -> u64 {
        let most = self.app.limits().pending_bytes;
        if self.is_proxy(address) { most } else { most / 2 }
    }

    /// Hands the connection over to the socket door, with what was read ahead.
    fn take_over(&self, taken: Taken<Self>) {
        let Taken { stream, read_ahead, place, socket: accepted } = taken;
        let mut answer = Vec::new();
        codec::encode(accepted.answer, false, true, &mut answer);
        stream.bound_send_buffer(self.app.limits().send_buffer_bytes);
        let upgrade::Accepted { owner, endpoint, greeting, guest, .. } = accepted;
        let anonymous_place = accepted.anonymous_place.map(|place| Box::new(place) as Box<dyn Any>);
        let visitor = Visitor { endpoint, greeting, guest, anonymous_place };
        let opening = Opening { stream, answer, read_ahead, owner, connection: place, place: accepted.place };
        let (app, is_late) = (self.app.clone(), self.stopping.get());
        let socket = ws::session::run(&self.app.hub, opening, move |id| {
            if is_late {
                // All others have just been told, and so is this one.
                app.hub.end(id, close::GOING_AWAY);
            }
            Talk::new(app, id, visitor)
        });
        Server::spawn(self, socket);
    }
}

impl Server {
    /// Whether it is a proxy whose word is believed.
    pub fn is_proxy(&self, address: IpAddr) -> bool {
        self.doors.trusted_proxies.iter().any(|network| network.contains(address))
    }

    /// Where a request really comes from, and what it asked for there.
    pub fn peer(&self, address: IpAddr, headers: &Headers) -> Peer {
        Peer::of(address, headers, &self.doors.trusted_proxies)
    }

    /// How large a body may be. Pictures are large, so they are only received from people with a
    /// login, and only a few at a time.
    fn judge_body(self: &Rc<Self>, target: Target, head: &Head) -> Result<Verdict<Rc<Server>>, Refusal> {
        const TOO_MANY: Refusal =
            Refusal { status: 503, message: "Too many uploads, please try again in a moment" };
        const TOO_LARGE: Refusal = Refusal { status: 413, message: "request entity too large" };
        const FILE_TOO_LARGE: Refusal = Refusal { status: 413, message: "File too large" };
        let target_is_picture = target.verb(head.method) == Some(Verb::SetPicture);
        let caller = match target.verb(head.method) {
            // A device may not, so it takes no place.
            Some(Verb::SetPicture) => {
                let caller = auth::caller(self, &head.headers).ok().flatten();
                caller.filter(|caller| caller.me.token.permits.is_none())
            }
            _ => None,
        };
        let limits = self.app.limits();
        let errand = Errand { target, upload: None, carried_out: None };
        let Some(caller) = caller else {
            // Whoever can read the data may try whether a picture would come through. It is refused when it is here.
            let tries = target_is_picture && sight::is_proven(self, &head.headers);
            let most = if tries { limits.picture_bytes + MULTIPART_OVERHEAD } else { limits.body_bytes };
            return Ok(Verdict::Receive { most, too_large: TOO_LARGE, counted: true, errand });
        };
        // Nobody may take more than half of the places.
        let (most, half) = (limits.uploads, limits.uploads.div_ceil(2));
        let share = Share::take(self, |server| &server.uploads, caller.me.user, most, half);
        let errand = Errand { upload: Some(share.ok_or(TOO_MANY)?), ..errand };
        let most = limits.picture_bytes + MULTIPART_OVERHEAD;
        Ok(Verdict::Receive { most, too_large: FILE_TOO_LARGE, counted: false, errand })
    }
}
