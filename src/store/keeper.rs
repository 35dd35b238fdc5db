//! The writer's connection: what it does when the card gives trouble, and what it writes for its own sake.
//!
//! While all is well nothing here waits or looks by itself. In trouble the writer's thread comes by every few seconds and
//! tries whether things work again.

use crate::domain::{Cause, Code, Error, Result, Storage};
use crate::store::written::{Bytes, Kernel};
use crate::store::{Db, Surroundings, Tx, backup, clock, log_of};
use std::{
    cell::Cell,
    fs::File,
    io::ErrorKind,
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

/// Pages in the database's log before they are folded into the file. So many are counted on the first page of the memory
/// that connections share, which the kernel writes to the card, too. With little space the log is kept short.
const FOLD_AFTER: i32 = 960;
const FOLD_AFTER_WHEN_FULL: i32 = 64;

/// How long until a storage in trouble is tried again: longer and longer, as long as it does not work.
const FIRST_LOOK: Duration = Duration::from_secs(1);
const LAST_LOOK: Duration = Duration::from_secs(8);

/// Trouble that comes back so soon is the same trouble.
const SOON: Duration = Duration::from_secs(60);

/// How long a database may be looked through in which somebody has found something that makes no sense.
const LONGEST_CHECK: Duration = Duration::from_secs(300);

/// How often the space that is left is asked for, while something is written.
const ASK_SPACE_EVERY: Duration = Duration::from_secs(1);

thread_local! {
    /// The pages in the log, as of this thread's last commit.
    static LOG_PAGES: Cell<i32> = const { Cell::new(0) };
}

/// The writer's connection and its keeper. After an I/O error SQLite's idea of the file cannot be trusted, so it is opened
/// anew before anything else is written.
pub(super) struct Keeper {
    db: Option<Db>,
    path: PathBuf,
    around: Arc<Surroundings>,
    kernel: Kernel,
    /// The pages in the log when they were last counted.
    counted_pages: i32,
    page_bytes: u64,
    asked_space: Instant,
    look_again: Option<Instant>,
    wait: Duration,
    recovered: Option<Instant>,
    /// Whether the reserve was given free.
    made_room: bool,
    /// Whether there is something that could not be read.
    unreadable: bool,
}

impl Keeper {
    /// Takes the connection over; on the thread that will use it. One that can only read is let go.
    pub(super) fn new(db: Db, around: Arc<Surroundings>) -> Keeper {
        let path = db.path().to_owned();
        let db = Some(db).filter(|_| around.still.is_none());
        let mut keeper = Keeper {
            db: None,
            path,
            around,
            kernel: Kernel::of_this_thread(),
            counted_pages: 0,
            page_bytes: 4096,
            asked_space: Instant::now(),
            look_again: None,
            wait: FIRST_LOOK,
            recovered: None,
            made_room: false,
            unreadable: false,
        };
        if let Some(db) = db {
            keeper.adopt(db);
        }
        if keeper.around.condition.state() == Storage::Ok {
            keeper.begin();
        }
        keeper.note_trouble();
        keeper
    }

    fn adopt(&mut self, db: Db) {
        // Folding the log in is done between two batches instead of within a commit: nobody waits for it, and it is
        // counted by itself.
        db.connection.wal_hook(Some(|_, pages| {
            LOG_PAGES.set(pages);
            Ok(())
        }));
        let page_bytes = db.connection.pragma_query_value(None, "page_size", |row| row.get::<_, i64>(0));
        self.page_bytes = page_bytes.ok().and_then(|bytes| bytes.try_into().ok()).unwrap_or(self.page_bytes);
        self.db = Some(db);
    }

    /// Keeps space back, while there is some.
    fn begin(&mut self) {
        let condition = &self.around.condition;
        if condition.is_short(0) {
            self.give_way("there is hardly any space left");
        } else if let Err(error) = condition.make_reserve() {
            match error.raw_os_error() {
                Some(libc::ENOSPC | libc::EDQUOT) => {
                    self.give_way(&format!("no space for a reserve: {error}"))
                }
                Some(libc::EROFS | libc::EIO) => {
                    condition.find(Storage::Failing, &error.to_string());
                    self.note_trouble();
                }
                _ => log::warn!("no space is kept back: {error}"),
            }
        }
    }

    /// Has the connection ready, unless nothing may be written.
    pub(super) fn open(&mut self) -> Result<()> {
        let state = self.around.condition.state();
        if self.around.still.is_some() {
            let code = if state == Storage::Full { Code::Full } else { Code::Failing };
            return Err(Error::new(code, state.sentence()));
        }
        match state {
            Storage::Ok | Storage::Full if self.db.is_some() => Ok(()),
            Storage::Ok | Storage::Full => {
                let db = Db::open(&self.path)?.within(&self.around);
                self.adopt(db);
                Ok(())
            }
            Storage::Failing => Err(Error::new(Code::Failing, state.sentence())),
            Storage::Damaged => Err(Error::new(Code::Damaged, state.sentence())),
        }
    }

    /// The connection and what is around it, after [`Keeper::open`].
    pub(super) fn parts(&self) -> (&Db, &Surroundings) {
        (self.db.as_ref().expect("it was opened"), &self.around)
    }

    /// How long the thread may sleep; `None` while all is well.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.look_again.map(|at| at.saturating_duration_since(Instant::now()))
    }

    /// A transaction has failed. Says whether those who add nothing should be tried once more.
    pub(super) fn failed(&mut self, error: &Error) -> bool {
        let condition = &self.around.condition;
        condition.find_error(error);
        if error.code == Code::Full {
            let first = self.make_room();
            self.note_trouble();
            return first;
        }
        self.db = None;
        self.judge();
        self.note_trouble();
        false
    }

    /// Finds out whether a page that made no sense is damaged, or could only not be read.
    fn judge(&mut self) {
        if !self.around.condition.take_suspicion() {
            return;
        }
        self.unreadable = self.read_all().is_err();
        if self.unreadable {
            return;
        }
        let Err(damage) = backup::check(&self.path, LONGEST_CHECK) else { return };
        self.unreadable = self.read_all().is_err();
        if !self.unreadable {
            self.around.condition.find(Storage::Damaged, &damage.message);
        }
    }

    /// Reads everything there is, as it is.
    fn read_all(&self) -> std::io::Result<()> {
        let mut buffer = vec![0; 64 << 10];
        for path in [self.path.clone(), log_of(&self.path)] {
            let file = match File::open(path) {
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                opened => opened?,
            };
            let mut at = 0;
            loop {
                match file.read_at(&mut buffer, at)? {
                    0 => break,
                    count => at += count as u64,
                }
            }
        }
        Ok(())
    }

    /// What was committed is counted.
    pub(super) fn committed(&mut self, changes: &Bytes) {
        let bytes = self.kernel.since_last().unwrap_or_else(|| self.guess());
        if bytes > 0 {
            self.around.written.share_out(bytes, changes);
        }
        self.counted_pages = LOG_PAGES.get();
    }

    /// The pages that the last commit has added to the log. It begins anew when all of it has been folded in.
    fn guess(&self) -> u64 {
        let (before, now) = (self.counted_pages, LOG_PAGES.get());
        let pages = if now >= before { now - before } else { now };
        u64::try_from(pages).unwrap_or(0) * self.page_bytes
    }

    /// What is to be done between two batches: folds the log in when it is long, and looks how much space is left.
    pub(super) fn tidy(&mut self) {
        let full = self.around.condition.state() == Storage::Full;
        if LOG_PAGES.get() >= if full { FOLD_AFTER_WHEN_FULL } else { FOLD_AFTER } {
            self.fold("PRAGMA wal_checkpoint(PASSIVE)");
        }
        if self.asked_space.elapsed() >= ASK_SPACE_EVERY && self.around.condition.state() == Storage::Ok {
            self.asked_space = Instant::now();
            if self.around.condition.is_short(0) {
                self.give_way("there is hardly any space left");
            }
        }
    }

    fn fold(&mut self, pragma: &str) {
        let Some(db) = &self.db else { return };
        LOG_PAGES.set(0);
        // One that cannot fold everything in, because somebody reads, tries again after the next thousand pages.
        let folded = db.connection.query_row(pragma, [], |row| row.get::<_, i64>(2));
        let bytes = match (self.kernel.since_last(), &folded) {
            (Some(bytes), _) => bytes,
            (None, Ok(pages)) => u64::try_from(*pages).unwrap_or(0) * self.page_bytes,
            (None, Err(_)) => 0,
        };
        self.around.written.count(Cause::Housekeeping, bytes);
        if let Err(error) = folded {
            let error = Error::from(error);
            if error.code != Code::Unavailable {
                self.failed(&error);
            }
        }
    }

    /// There is too little space to go on as before.
    fn give_way(&mut self, why: &str) {
        self.around.condition.find(Storage::Full, why);
        self.make_room();
        self.note_trouble();
    }

    /// Gives the reserve free, and what the log takes; `false` if that was done before.
    fn make_room(&mut self) -> bool {
        if std::mem::replace(&mut self.made_room, true) {
            return false;
        }
        self.around.condition.release_reserve();
        if let Some(db) = &self.db {
            // The connection itself may be in the middle of what failed.
            let _ = db.connection.execute_batch("ROLLBACK");
        }
        self.fold("PRAGMA wal_checkpoint(TRUNCATE)");
        true
    }

    fn note_trouble(&mut self) {
        let state = self.around.condition.state();
        let mends_itself = matches!(state, Storage::Full | Storage::Failing);
        if !mends_itself {
            self.look_again = None;
        } else if self.look_again.is_none() {
            let again = self.recovered.is_some_and(|at| at.elapsed() < SOON);
            self.wait = if again { (self.wait * 2).min(LAST_LOOK) } else { FIRST_LOOK };
            self.look_again = Some(Instant::now() + self.wait);
        }
    }

    /// Somebody has called, or it is time to look again.
    pub(super) fn come_by(&mut self) {
        match self.around.condition.state() {
            // Another process may have given the reserve free.
            Storage::Ok => self.begin(),
            Storage::Full => {
                self.make_room();
            }
            Storage::Failing | Storage::Damaged => self.judge(),
        }
        self.note_trouble();
        if self.look_again.is_some_and(|at| at <= Instant::now()) {
            self.look();
        }
    }

    /// Tries whether things work again.
    fn look(&mut self) {
        let (around, begin) = (self.around.clone(), Instant::now());
        let condition = &around.condition;
        if around.still.is_some() {
            return self.begin_anew_if_possible();
        }
        let tried = match condition.state() {
            Storage::Ok | Storage::Damaged => {
                self.look_again = None;
                return;
            }
            Storage::Full if !condition.has_space_again() => Err(None),
            Storage::Full | Storage::Failing => self.try_all().map_err(Some),
        };
        match tried {
            Ok(()) => {
                self.look_again = None;
                self.made_room = false;
                self.recovered = Some(Instant::now());
                condition.find(Storage::Ok, "a trial was written");
            }
            Err(error) => {
                if let Some(error) =
                    error.filter(|error| error.code != Code::Full || condition.state() != Storage::Full)
                {
                    condition.find_error(&error);
                    self.db = None;
                }
                self.judge();
                // A card that is slow to say no is not asked all the time.
                self.wait = (self.wait * 2).min(LAST_LOOK).max(begin.elapsed() * 10);
                self.look_again = Some(Instant::now() + self.wait);
                if condition.state() == Storage::Damaged {
                    self.look_again = None;
                }
            }
        }
    }

    /// The server was started where nothing could be written. When something can be, it is started once more.
    fn begin_anew_if_possible(&mut self) {
        let (condition, trial) = (&self.around.condition, self.path.with_extension("trial"));
        let written = File::create(&trial).and_then(|file| {
            file.write_all_at(&[0xd5; 64 << 10], 0)?;
            file.sync_all()
        });
        let _ = std::fs::remove_file(&trial);
        if written.is_ok() && condition.has_space_again() {
            self.look_again = None;
            return condition.begin_anew();
        }
        self.wait = (self.wait * 2).min(LAST_LOOK);
        self.look_again = Some(Instant::now() + self.wait);
    }

    /// Everything that has to work: the file opens anew, the reserve finds its space, and a write gets onto the card.
    fn try_all(&mut self) -> Result<()> {
        self.db = None;
        if self.unreadable {
            let why = |error| Error::new(Code::Failing, Storage::Failing.sentence()).because(error);
            self.read_all().map_err(why)?;
            self.unreadable = false;
        }
        let db = Db::open(&self.path)?.within(&self.around);
        let made =
            self.around.condition.make_reserve().and_then(|()| match self.around.condition.is_short(0) {
                true => Err(std::io::Error::from_raw_os_error(libc::ENOSPC)),
                false => Ok(()),
            });
        let tried = match made {
            Ok(()) => db.write_now(clock::note),
            Err(error) => {
                let code =
                    if error.raw_os_error() == Some(libc::ENOSPC) { Code::Full } else { Code::Failing };
                Err(Error::new(code, Storage::Full.sentence()).because(error))
            }
        };
        if tried.is_err() {
            // What was kept back too early is needed by those who delete.
            self.around.condition.release_reserve();
        }
        self.adopt(db);
        self.committed(&Bytes::default());
        tried
    }

    /// The last thing: what was counted is saved, and the log folded in, so that the whole diary is in one file.
    pub(super) fn end(mut self) {
        let may_write = matches!(self.around.condition.state(), Storage::Ok | Storage::Full);
        if !may_write || self.around.still.is_some() {
            return;
        }
        let Some(db) = self.db.take() else { return };
        let (written, clock) = (&self.around.written, &self.around.clock);
        let last_words = |tx: &Tx<'_>| {
            let settling = clock.settle(tx)?;
            written.save(tx, true)?;
            clock::note(tx)?;
            Ok(settling)
        };
        if written.totals().any(|(_, bytes)| bytes > 0) {
            match db.write_now(last_words) {
                Ok(settling) => clock.settled(&settling, true),
                Err(error) => log::warn!("what was written today could not be noted: {error}"),
            }
        }
        // A log left behind would be read as well.
        if let Err(error) = db.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA optimize;") {
            log::warn!("the database's log could not be folded in: {error}");
        }
    }
}
