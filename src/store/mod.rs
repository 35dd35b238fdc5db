//! Everything on the card: one SQLite file, written by one thread, read from anywhere.
//!
//! This floor owns all SQL and all of SQLite's types. It does not know who listens to what it
//! stores (`hub`), nor why something is allowed (`api`). A function that takes a [`Tx`] may write
//! and runs on the writer's thread inside a transaction; one that takes a [`Db`] only reads.

pub mod backup;
pub mod claim;
pub mod clock;
pub mod condition;
pub mod deuce;
pub mod device;
pub mod error;
pub mod group;
pub mod idempotency;
pub mod invite;
mod keeper;
pub mod link;
pub mod location;
pub mod lock;
pub mod look;
pub mod member;
pub mod message;
mod meter;
pub mod migration;
pub mod notification;
pub mod reaction;
pub mod reserve;
pub mod restore;
pub mod room;
pub mod secret;
pub mod still;
pub mod token;
pub mod user;
pub mod writer;
pub mod written;

use crate::domain::{Code, Error, Event, Purpose, Result, Time};
use clock::Clock;
use condition::Condition;
use rusqlite::{CachedStatement, Connection, OpenFlags, Params, Row, config::DbConfig};
use std::{
    cell::RefCell,
    ops::Deref,
    path::{Path, PathBuf},
    sync::Arc,
};
pub use writer::Writer;
use written::Written;

/// A connection to the database.
pub struct Db {
    connection: Connection,
    path: PathBuf,
    /// What is known beside the file, in the server.
    around: Option<Arc<Surroundings>>,
}

/// What all connections of a server know beside the file.
pub struct Surroundings {
    /// How the file is read where nothing can be written.
    still: Option<still::Way>,
    /// How the storage is.
    pub condition: Condition,
    /// What was written, and for what.
    pub written: Written,
    /// What time it is for whatever ends.
    pub clock: Clock,
}

impl Db {
    /// Opens the database for writing, makes it if there is none, and brings it up to date.
    ///
    /// # Errors
    /// When it cannot be opened, is damaged, or was written by a newer version.
    pub fn open(path: &Path) -> Result<Db> {
        let connection = Connection::open(path).map_err(|error| cannot_open(path, error))?;
        let mut db = Db { connection, path: path.to_owned(), around: None };
        if db.connection.is_readonly("main").map_err(|error| cannot_open(path, error))? {
            let why = format!("{}: the file or its file system can only be read", path.display());
            return Err(Error::new(Code::Failing, "The database cannot be written").because(why));
        }
        // Only a new file takes it. A write touches a few small rows in a few pages, and each page goes to the card
        // whole: small pages are what keeps an entry cheap there (benches/README.md, `card`).
        db.prepare_connection("PRAGMA page_size = 1024;").map_err(|error| cannot_open(path, error))?;
        // Before anything is changed: the file may belong to another program, or what a step does be regretted.
        if let Some(step) = migration::due(&db.connection).map_err(|error| error.because(path.display()))? {
            backup::before_migration(path, step)?;
        }
        migration::run(&mut db.connection).map_err(|error| error.because(path.display()))?;
        // The writer's durability: an answer means that the row survives a power cut. And what is
        // deleted is overwritten: people may take back what they wrote.
        let own = "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA journal_size_limit = 4194304;
                   PRAGMA secure_delete = ON;";
        db.connection.execute_batch(own).map_err(|error| cannot_open(path, error))?;
        Ok(db)
    }

    /// Opens the database for writing beside the server that it belongs to.
    ///
    /// # Errors
    /// When it cannot be opened, or the server is of another version.
    pub fn open_beside(path: &Path) -> Result<Db> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(path, flags).map_err(|error| cannot_open(path, error))?;
        let db = Db { connection, path: path.to_owned(), around: None };
        db.prepare_connection("PRAGMA synchronous = FULL;").map_err(|error| cannot_open(path, error))?;
        match migration::is_current(&db.connection)? {
            true => Ok(db),
            false => Err(Error::unavailable("the running server is of another version than this command")),
        }
    }

    /// Opens the database for reading only.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open_reader(path: &Path) -> Result<Db> {
        // A connection stays on its thread, so SQLite need not lock it.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection =
            Connection::open_with_flags(path, flags).map_err(|error| cannot_open(path, error))?;
        let db = Db { connection, path: path.to_owned(), around: None };
        db.prepare_connection("PRAGMA query_only = ON;").map_err(|error| cannot_open(path, error))?;
        Ok(db)
    }

    /// Carries out one write at once and has it on the card, for commands that run beside a server.
    ///
    /// # Errors
    /// The work's own, or the storage's; nothing was changed then.
    pub fn write_now<T>(&self, work: impl FnOnce(&Tx<'_>) -> Result<T>) -> Result<T> {
        let tx = Tx::new(self);
        tx.execute("BEGIN IMMEDIATE", [])?;
        let result = work(&tx).and_then(|value| tx.execute("COMMIT", []).map(|_| value));
        if result.is_err() {
            // Fails when SQLite has rolled back by itself, which is as good.
            let _ = tx.execute("ROLLBACK", []);
        }
        result
    }

    /// The same connection, which tells of trouble from now on, asks before anything is added, and knows when the clock
    /// was set.
    pub fn within(mut self, around: &Arc<Surroundings>) -> Db {
        self.around = Some(around.clone());
        self
    }

    /// What time it is for whatever has an end.
    pub fn now(&self) -> Time {
        self.around.as_ref().map_or_else(Time::now, |around| around.clock.now())
    }

    /// Where the file is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Settings that every connection needs.
    fn prepare_connection(&self, own: &str) -> rusqlite::Result<()> {
        self.connection.set_prepared_statement_cache_capacity(128);
        // Without this SQLite looks at what is bound to a LIMIT when it plans, and plans a kept statement
        // anew each time something else is bound.
        self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
        self.connection.busy_timeout(std::time::Duration::from_secs(5))?;
        self.connection.execute_batch(own)?;
        self.connection.execute_batch(
            // SQLite leaves foreign keys off. No mmap: an I/O error of a dying card must be an
            // error, not a signal.
            "PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY; PRAGMA cache_size = -2000;
             PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0;",
        )
    }

    /// Whether the database answers.
    ///
    /// # Errors
    /// When it does not.
    pub fn ping(&self) -> Result<()> {
        self.one("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0)).map(|_| ())
    }

    fn statement(&self, sql: &str) -> Result<CachedStatement<'_>> {
        self.connection.prepare_cached(sql).map_err(|error| self.heard(error))
    }

    /// An error in our words. What it says of the storage is told.
    fn heard(&self, error: rusqlite::Error) -> Error {
        let error = Error::from(error);
        if let Some(around) = &self.around {
            around.condition.find_error(&error);
        }
        error
    }

    /// The first row, if there is one.
    fn one<T>(
        &self,
        sql: &str,
        params: impl Params,
        map: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Option<T>> {
        let mut statement = self.statement(sql)?;
        let found = statement.query(params).and_then(|mut rows| rows.next()?.map(map).transpose());
        found.map_err(|error| self.heard(error))
    }

    /// The first row, which must be there.
    fn only<T>(
        &self,
        sql: &str,
        params: impl Params,
        map: impl FnOnce(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<T> {
        self.one(sql, params, map)?.ok_or_else(|| Error::internal(format!("no row from: {sql}")))
    }

    /// All rows.
    fn all<T>(
        &self,
        sql: &str,
        params: impl Params,
        map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
    ) -> Result<Vec<T>> {
        self.until(sql, params, map, |_| false)
    }

    /// The rows up to the first one that is enough, that one included.
    fn until<T>(
        &self,
        sql: &str,
        params: impl Params,
        mut map: impl FnMut(&Row<'_>) -> rusqlite::Result<T>,
        mut is_enough: impl FnMut(&T) -> bool,
    ) -> Result<Vec<T>> {
        let mut statement = self.statement(sql)?;
        let heard = |error| self.heard(error);
        let mut rows = statement.query(params).map_err(heard)?;
        let mut found = Vec::new();
        while let Some(row) = rows.next().map_err(heard)? {
            let one = map(row).map_err(heard)?;
            let enough = is_enough(&one);
            found.push(one);
            if enough {
                break;
            }
        }
        Ok(found)
    }
}

/// Where the log of a database is.
pub fn log_of(database: &Path) -> PathBuf {
    with_ending(database, "-wal")
}

/// Whether there is something in that log.
fn has_log(database: &Path) -> bool {
    log_of(database).metadata().is_ok_and(|log| log.len() > 0)
}

/// A path whose last name goes on.
fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

fn cannot_open(path: &Path, cause: rusqlite::Error) -> Error {
    let why = cause.to_string();
    let code = match Error::from(cause).code {
        code @ (Code::Full | Code::Failing | Code::Damaged) => code,
        _ => Code::Unavailable,
    };
    Error::new(code, "The database cannot be opened").because(format!("{}: {why}", path.display()))
}

/// A transaction that is not committed yet. Events appended to it are told to the hub after the
/// commit, and never if there is none.
pub struct Tx<'a> {
    db: &'a Db,
    now: Time,
    events: RefCell<Vec<Event>>,
}

impl<'a> Tx<'a> {
    fn new(db: &'a Db) -> Tx<'a> {
        Tx { db, now: Time::now(), events: RefCell::default() }
    }

    /// The time of everything written in this transaction.
    pub fn now(&self) -> Time {
        self.now
    }

    /// How many rows this connection has changed so far.
    fn changes(&self) -> u64 {
        self.connection.total_changes()
    }

    /// Refuses what would add something where there is no space, within a write that else adds nothing.
    ///
    /// # Errors
    /// `Full`.
    pub fn check_space_for(&self, purpose: Purpose) -> Result<()> {
        self.around.as_ref().map_or(Ok(()), |around| around.condition.check(purpose))
    }

    /// Whether the transaction is still there.
    fn is_open(&self) -> bool {
        !self.connection.is_autocommit()
    }

    /// Runs one statement and says how many rows it changed.
    fn execute(&self, sql: &str, params: impl Params) -> Result<usize> {
        Ok(self.statement(sql)?.execute(params)?)
    }
}

impl Surroundings {
    /// What is around a file that can be written.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn of(db: &Db, condition: Condition) -> Result<Surroundings> {
        Ok(Surroundings { still: None, condition, written: Written::default(), clock: Clock::start(db)? })
    }

    /// One more connection for reading.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn reader(self: &Arc<Surroundings>, path: &Path) -> Result<Db> {
        let db = match self.still {
            Some(way) => still::reader(path, way),
            None => Db::open_reader(path),
        };
        Ok(db?.within(self))
    }
}

impl Deref for Tx<'_> {
    type Target = Db;

    fn deref(&self) -> &Db {
        self.db
    }
}

/// The time in a column.
fn time_at(row: &Row<'_>, column: usize) -> rusqlite::Result<Time> {
    let millis: i64 = row.get(column)?;
    // Only a damaged file has a time that was never written; 1970 is better than no answer.
    Ok(Time::from_millis(millis).or(Time::from_millis(0)).expect("1970 is a time"))
}

#[cfg(test)]
pub(crate) mod test {
    //! A database in memory for the tests of this floor and the next.

    use super::*;

    /// Runs `work` in a transaction that is thrown away.
    pub(crate) fn in_tx<T>(work: impl FnOnce(&Tx<'_>) -> T) -> T {
        let mut connection = Connection::open_in_memory().unwrap();
        migration::run(&mut connection).unwrap();
        let db = Db { connection, path: PathBuf::new(), around: None };
        let tx = Tx::new(&db);
        work(&tx)
    }
}
