//! The web door: from the bytes of a connection to an api verb and back.
//!
//! ```text
//! accept (connection) → guard: bytes to one judged request → serve: may it come in → codec → route → auth, pace → handler (routes/)
//! ```
//!
//! Handlers see our own request and response only. Nothing here knows SQL, and nothing below here
//! knows HTTP.

pub mod address;
pub mod auth;
pub mod body;
mod chunked;
pub mod codec;
pub mod connection;
pub mod error;
pub mod files;
pub mod guard;
mod head;
pub mod ledger;
pub mod message;
pub mod multipart;
pub mod router;
pub mod routes;
pub mod scope;
pub mod serve;
pub mod share;
pub mod shield;
mod sight;
mod target;
pub mod upgrade;

use crate::api::App;
use crate::domain::{Secret, UserId};
use address::Network;
use files::Files;
use ledger::Ledger;
use share::Shares;
use smol::{LocalExecutor, future::FutureExt};
use std::{
    cell::Cell,
    net::IpAddr,
    panic::AssertUnwindSafe,
    path::PathBuf,
    rc::{Rc, Weak},
    sync::Arc,
};

/// What the web door was told.
#[derive(Clone, Debug, Default)]
pub struct Doors {
    /// Origins that are as good as our own, such as `https://diary.example`.
    pub origins: Vec<String>,
    /// Proxies whose word on client address and scheme is believed.
    pub trusted_proxies: Vec<Network>,
    /// Names this server goes by, in lower case, beside those that only a home network has.
    pub hosts: Vec<String>,
    /// A built single-page app to serve instead of the built-in page.
    pub web: Option<PathBuf>,
    /// Whoever brings it may read `/metrics` without a login.
    pub metrics_token: Option<Secret>,
}

/// The server behind the web door.
pub struct Server {
    /// What it serves.
    pub app: Rc<App>,
    /// What it was told.
    pub doors: Doors,
    /// Where connections and sockets run. Weak, because their tasks hold this server: dropping the
    /// executor ends them all, and with the last of them the server is dropped, too.
    executor: Weak<LocalExecutor<'static>>,
    /// Requests that have begun to come and are not answered, and new connections on which the first is to come.
    under_way: Cell<u64>,
    /// Those of them that have come whole.
    in_flight: Cell<u64>,
    uploads: Shares<UserId>,
    turned_away: Cell<u64>,
    sockets: Cell<u64>,
    anonymous_sockets: Cell<u64>,
    connections: Shares<IpAddr>,
    pending: Rc<Ledger>,
    files: Arc<Files>,
    stopping: Cell<bool>,
    parting: Cell<bool>,
    requests: Cell<u64>,
    /// Makes request ids of different runs differ.
    run: u32,
}

impl Server {
    /// A server that has not accepted anything yet.
    pub fn new(app: Rc<App>, doors: Doors, executor: &Rc<LocalExecutor<'static>>) -> Server {
        let run = u32::from_le_bytes(crate::domain::id::random());
        Server {
            app,
            doors,
            executor: Rc::downgrade(executor),
            under_way: Cell::new(0),
            in_flight: Cell::new(0),
            uploads: Shares::default(),
            turned_away: Cell::new(0),
            sockets: Cell::new(0),
            anonymous_sockets: Cell::new(0),
            connections: Shares::default(),
            pending: Rc::default(),
            files: Arc::default(),
            stopping: Cell::new(false),
            parting: Cell::new(false),
            requests: Cell::new(0),
            run,
        }
    }

    /// Runs a task beside all others. A panic in it ends it alone, and is logged by the panic hook.
    fn spawn(&self, task: impl Future<Output = ()> + 'static) {
        if let Some(executor) = self.executor.upgrade() {
            executor.spawn(AssertUnwindSafe(task).catch_unwind()).detach();
        }
    }

    /// Whether a request is under way or a socket is open.
    pub fn is_busy(&self) -> bool {
        self.under_way.get() > 0 || self.app.hub.counters().open > 0
    }

    /// Whether a request that has come whole is not answered yet.
    pub fn owes_answers(&self) -> bool {
        self.in_flight.get() > 0
    }

    /// Whether a connection is open that has been used and on which nothing is being asked.
    pub fn has_idle(&self) -> bool {
        let open: u64 = self.connections.borrow().values().sum();
        open > self.under_way.get() + self.app.hub.counters().open
    }

    /// From now on every answer is the last of its connection.
    pub fn stop(&self) {
        self.stopping.set(true);
    }

    /// Ends the connections that have been used and on which nothing is being asked.
    pub fn part(&self) {
        self.parting.set(true);
        crate::io::rouse();
    }

    fn next_request_id(&self) -> String {
        self.requests.set(self.requests.get() + 1);
        format!("{:08x}-{:x}", self.run, self.requests.get())
    }
}
