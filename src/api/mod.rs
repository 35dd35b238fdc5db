//! What the server can do, one file per noun, and the only place where store and hub meet.
//!
//! A verb is a plain function: over a transaction if it changes something, over a connection if it
//! only reads. It decides what is allowed, and returns what the door should say. Only this file waits:
//! [`App::write`] queues a verb and awaits its commit, and by then everything that happened has been
//! published; [`App::read_aside`] awaits a worker. No verb knows HTTP or sockets.

pub mod backup;
pub mod claim;
pub mod deuce;
pub mod device;
pub mod group;
pub mod invite;
pub mod link;
pub mod location;
pub mod member;
pub mod message;
pub mod meter;
pub mod notification;
pub mod pace;
pub mod password;
pub mod people;
pub mod picture;
pub mod presence;
pub mod proof;
pub mod qr;
pub mod reaction;
pub mod right;
pub mod room;
pub mod session;
pub mod signature;
pub mod signed;
pub mod storage;
pub mod throttle;
pub mod thumbnail;
pub mod token;
pub mod user;
pub mod view;

use crate::domain::{Code, Error, Event, Kind, Limits, Person, Purpose, Result, UserId};
use crate::hub::{Hub, Render};
use crate::io::worker::{Busy, Lane};
pub use crate::store::writer::{BATCH_MILLIS, Meter as WriterMeter};
pub use crate::store::{Db, Tx};
use crate::store::{Surroundings, Writer, backup::record, lock::Lock, writer::Batch};
use crate::store::{condition::Condition, reserve, still};
use pace::Pace;
use std::{
    cell::RefCell,
    collections::HashMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};
use token::Recent;

/// How the server was told to behave.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The data directory.
    pub data: PathBuf,
    /// A name alone logs in.
    pub open: bool,
    /// Whoever has no login may use the rooms that belong to no group.
    pub guests: bool,
    /// The limits in force.
    pub limits: Limits,
    /// How copies are to be made.
    pub backup: backup::Policy,
}

/// The running server, as the doors see it.
pub struct App {
    /// How it was told to behave.
    pub settings: Settings,
    /// The live rooms.
    pub hub: Hub,
    /// How often who may do what.
    pub pace: RefCell<Pace>,
    /// Passwords are checked here, one at a time.
    pub passwords: Lane,
    /// Pictures are scaled and exports gathered here.
    pub jobs: Lane,
    /// Files and long reads come from here.
    pub reads: Lane,
    /// What the socket door has counted.
    pub meter: meter::Meter,
    /// When it was started.
    pub started: Instant,
    /// Logins and sockets refused for their credentials since the start.
    pub failed_logins: std::cell::Cell<u64>,
    /// Wrong passwords, and how long whoever sent them has to wait.
    pub throttle: RefCell<throttle::Throttle>,
    /// What is known of its copies.
    pub backups: RefCell<backup::Known>,
    /// Whether the server is known to have its owner.
    claimed: std::cell::Cell<bool>,
    recent_logins: RefCell<Recent>,
    uses: RefCell<session::Uses>,
    devices: RefCell<device::Live>,
    /// What people are called, read once in a turn of the loop.
    names: RefCell<HashMap<UserId, Option<Person>>>,
    /// What signs the tokens that say who they are for.
    token_key: Vec<u8>,
    /// What the keys that devices sign with are made from.
    device_key: Vec<u8>,
    idle_reader: Arc<Mutex<Option<Db>>>,
    db: Db,
    writer: Writer,
    around: Arc<Surroundings>,
    _lock: Lock,
}

impl App {
    /// Opens the data directory and starts the writer. Only one server at a time may do so.
    ///
    /// # Errors
    /// When the directory or the database cannot be used.
    pub fn open(settings: Settings, render: Render) -> Result<App> {
        let lock = Lock::take(&settings.data)?;
        crate::store::restore::settle(&settings.data, &lock)?;
        let path = database_path(&settings.data);
        let limits = settings.limits.clone();
        crate::store::backup::check(&path, Duration::from_millis(limits.check_milliseconds))?;
        let condition = || Condition::new(&settings.data, limits.reserve_bytes, limits.free_bytes);
        let (first, around) = match open_first(&path, &settings.data) {
            Ok(db) => {
                let around = Surroundings::of(&db, condition())?;
                (db, around)
            }
            // Reading is better than nothing.
            Err(error) if matches!(error.code, Code::Full | Code::Failing) && path.exists() => {
                still::open(&path, condition(), &error)?
            }
            Err(error) => return Err(error),
        };
        let around = Arc::new(around);
        around.condition.know_copy(record::newest_copy(&first));
        let token_key = crate::store::secret::token_key(&first)?;
        let device_key = crate::store::secret::device_key(&first)?;
        let writer = Writer::start(first.within(&around), &around, limits.store_queue)?;
        let app = App {
            hub: Hub::new(render, limits.outbox_bytes),
            pace: RefCell::default(),
            passwords: Lane::with_reserve(limits.waiting_logins, limits.waiting_logins.div_ceil(4)),
            jobs: Lane::new(limits.waiting_jobs),
            reads: Lane::new(limits.waiting_reads),
            meter: meter::Meter::default(),
            started: Instant::now(),
            failed_logins: std::cell::Cell::new(0),
            throttle: RefCell::default(),
            backups: RefCell::default(),
            claimed: std::cell::Cell::new(false),
            recent_logins: RefCell::default(),
            uses: RefCell::default(),
            devices: RefCell::default(),
            names: RefCell::default(),
            token_key,
            device_key,
            idle_reader: Arc::default(),
            db: around.reader(&path)?,
            writer,
            around,
            settings,
            _lock: lock,
        };
        picture::prepare(&app)?;
        backup::look(&app)?;
        Ok(app)
    }

    /// The limits in force.
    pub fn limits(&self) -> &Limits {
        &self.settings.limits
    }

    /// The loop's own connection, for reads that take microseconds. Not to be held across an await.
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// Carries out a verb that changes something. When this returns `Ok`, everything is on the
    /// card and has been published. The verb may be called more than once before that; only the last
    /// call counts.
    ///
    /// The verb is queued by the call itself, so verbs are carried out in the order of their calls.
    ///
    /// # Errors
    /// The verb's refusal, or that of the storage; then nothing was changed or told.
    pub fn write<T, F>(&self, purpose: Purpose, verb: F) -> impl Future<Output = Result<T>> + use<T, F>
    where
        T: Send + 'static,
        F: Fn(&Tx<'_>) -> Result<T> + Send + 'static,
    {
        self.writer.submit(purpose, verb)
    }

    /// Carries out a verb that reads a lot, on a worker with a connection of its own.
    ///
    /// # Errors
    /// The verb's, or `Unavailable` when too many such are waiting.
    pub async fn read_aside<T: Send + 'static>(
        &self,
        verb: impl FnOnce(&Db) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (path, idle) = (self.db.path().to_owned(), self.idle_reader.clone());
        let around = self.around.clone();
        let read = move || {
            // The lane lets one in at a time, so one connection is enough; it is kept for the next.
            let kept = idle.lock().unwrap_or_else(PoisonError::into_inner).take();
            let db = match kept {
                Some(db) => db,
                None => around.reader(&path)?,
            };
            let result = verb(&db);
            *idle.lock().unwrap_or_else(PoisonError::into_inner) = Some(db);
            result
        };
        self.file_aside(read).await?
    }

    /// Reads a file on a worker.
    ///
    /// # Errors
    /// `Unavailable` when too much is waiting.
    pub async fn file_aside<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T> {
        self.reads.run(read).await.map_err(|Busy| busy())
    }

    /// Runs something slow on a worker.
    ///
    /// # Errors
    /// `Unavailable` when too much is waiting.
    pub async fn aside<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T> {
        self.jobs.run(job).await.map_err(|Busy| busy())
    }

    /// Publishes what the writer commits, in the order of the commits, until the writer has ended.
    /// Only after that do the verbs' callers hear of their success.
    pub async fn publish_commits(&self) {
        while let Some(batches) = self.writer.finished().await {
            batches.iter().flat_map(|batch| &batch.events).for_each(|event| self.publish(event));
            // The listeners first, then whoever asked: an author's own socket has the event before
            // the answer arrives.
            self.hub.flush();
            batches.into_iter().for_each(Batch::settle);
        }
    }

    fn publish(&self, event: &Event) {
        self.hub.publish(event);
        match &event.kind {
            Kind::MemberJoined(person) => self.hub.follow(person.id, event.room, event.seq),
            Kind::MemberLeft(person) => self.hub.unfollow(person.id, event.room, event.seq),
            Kind::GroupDeleted => self.hub.dissolve(event.room),
            _ => {}
        }
    }

    /// Writes what was published in this turn of the loop, and tells who has come.
    pub fn end_turn(&self) {
        self.hub.flush();
        presence::tell_arrivals(self);
        let mut names = self.names.borrow_mut();
        if !names.is_empty() {
            *names = HashMap::new();
        }
    }

    /// What the writer has done so far, and how many writes wait.
    pub fn writes(&self) -> (WriterMeter, u64) {
        self.writer.meter()
    }

    /// How long the write that is under way has taken so far.
    pub fn writing_for(&self) -> Duration {
        self.writer.at_it_for()
    }

    /// Takes no more writes; those under way are still done.
    pub fn close(&self) {
        self.writer.close();
    }
}

/// Opens the database, on a full disk with the space that was kept back, and has in it what every server needs.
fn open_first(path: &Path, data: &Path) -> Result<Db> {
    let open = || {
        let db = Db::open(path)?;
        crate::store::secret::make_missing(&db)?;
        Ok(db)
    };
    match open() {
        Err(Error { code: Code::Full, .. }) if reserve::release(data).is_ok_and(|had| had) => open(),
        opened => opened,
    }
}

/// Where the database of a data directory is.
pub fn database_path(data: &Path) -> PathBuf {
    data.join("deuced.db")
}

/// The answer when a queue for slow work is full.
pub fn busy() -> Error {
    Error::unavailable("The server is busy, please try again in a moment")
}
