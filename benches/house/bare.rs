//! The floors: what the disk and the kernel give to a program that does nothing else. Each runs as
//! a child of this program (`bare-rows`, `bare-answers`), so that it has a process of its own, the
//! server's seat, and the sync shim where the server has it.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};

use polling::{Events, Poller};
use rusqlite::{Connection, params};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::watch;
use crate::figure::{Context, Outcome, Table, median};
use crate::machine::{self, Seat, now_ns, own_spent};
use crate::option::Options;
use crate::server::Scratch;
use crate::shim::{self, Environment};

/// Rows a committing thread takes at once, at most.
const BATCH_ROWS: usize = 256;

/// The poller's key of the listening socket; the largest one is the poller's own.
const LISTENER: usize = usize::MAX - 1;

/// The pragmas of the server's writer.
const PRAGMAS: &str = "
    PRAGMA journal_mode = WAL;
    PRAGMA synchronous = FULL;
    PRAGMA wal_autocheckpoint = 1000;
    PRAGMA journal_size_limit = 4194304;
    PRAGMA temp_store = MEMORY;
    PRAGMA cache_size = -2000;
    PRAGMA foreign_keys = ON;
    PRAGMA busy_timeout = 5000;
    PRAGMA trusted_schema = OFF;
    PRAGMA cell_size_check = ON;
    PRAGMA mmap_size = 0;";

const SCHEMA: &str = "
    CREATE TABLE entry(
        id BLOB PRIMARY KEY,
        group_id BLOB NOT NULL,
        user_id BLOB NOT NULL,
        location TEXT NOT NULL,
        thoughts TEXT NOT NULL,
        logged_at INTEGER NOT NULL,
        created_at INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX entry_by_group ON entry(group_id, created_at);";

/// What a bare loop of rows did.
pub struct Rows {
    /// Durable rows per second.
    pub rate: f64,
    /// Processor time of the committing thread per row.
    pub microseconds_each: f64,
}

/// Prints what the bare loops give on this disk, without any server.
///
/// # Errors
/// The database cannot be written, or there is no C compiler for the shim.
pub fn run(options: &Options) -> Outcome<()> {
    let mut table = Table::new(&["sync", "writers", "rows/s", "µs/row of the committing thread"]);
    for delay_ms in [0, options.sync_ms] {
        let environment = shim::delayed(options, delay_ms)?;
        for writers in &options.connections {
            let rounds: Vec<Rows> = (0..options.rounds)
                .map(|_| measure_rows(options, *writers, &environment))
                .collect::<Outcome<_>>()?;
            table.row([
                format!("+{delay_ms} ms"),
                writers.to_string(),
                format!("{:.0}", median(rounds.iter().map(|rows| rows.rate))),
                format!("{:.1}", median(rounds.iter().map(|rows| rows.microseconds_each))),
            ]);
        }
        if options.sync_ms == 0 {
            break;
        }
    }
    table.print("bare: insert a row and commit; from two writers on, commit whatever has queued up");
    Ok(())
}

/// Runs `bare-rows` as a child over a fresh directory.
///
/// # Errors
/// The child failed; its own sentence is on stderr.
pub fn measure_rows(options: &Options, writers: usize, environment: &Environment) -> Outcome<Rows> {
    let scratch = Scratch::make(options)?;
    let child = child("bare-rows", environment)?
        .args(["--writers", &writers.to_string()])
        .args(["--seconds", &options.seconds.to_string()])
        .arg("--dir")
        .arg(scratch.path())
        .stderr(Stdio::inherit())
        .output()
        .context("running the bare loop")?;
    let report: Value = serde_json::from_slice(&child.stdout).context("the bare loop's report")?;
    let number = |field: &str| report[field].as_f64().ok_or("the bare loop reported no number");
    Ok(Rows {
        rate: number("rows")? / number("seconds")?,
        microseconds_each: number("spent_ns")? / 1e3 / number("rows")?,
    })
}

/// The bare loop of rows itself, reporting in one line of JSON.
///
/// # Errors
/// SQLite refused.
pub fn rows(options: &Options) -> Outcome<()> {
    Seat::Server.take();
    let database = open(&options.directory).context("the bare database")?;
    let report = if options.writers == 1 {
        one_by_one(&database, options.seconds)
    } else {
        group_commit(&database, options.writers, options.seconds)
    };
    println!("{}", report.context("the bare loop")?);
    Ok(())
}

/// A database like the server's, with one table like its entries.
///
/// # Errors
/// SQLite refused.
pub fn open(directory: &std::path::Path) -> rusqlite::Result<Connection> {
    let database = Connection::open(directory.join("bare.db"))?;
    database.execute_batch(PRAGMAS)?;
    database.execute_batch(SCHEMA)?;
    Ok(database)
}

/// Inserts a row; committed at once unless a transaction is open.
///
/// # Errors
/// SQLite refused.
pub fn insert(database: &Connection, id: Uuid) -> rusqlite::Result<()> {
    let sentence = "INSERT INTO entry VALUES(?1, ?2, ?3, 'Home', ?4, ?5, ?5)";
    let now_ms = (now_ns() / 1_000_000) as i64;
    let thoughts = "A thought about the day, of a usual length";
    database.prepare_cached(sentence)?.execute(params![
        id.as_bytes(),
        [1_u8; 16],
        [2_u8; 16],
        thoughts,
        now_ms
    ])?;
    Ok(())
}

/// Counts rows from half a second after the start to the end.
struct Meter {
    counted_from: u64,
    until: u64,
    begun: Option<(u64, f64)>,
    rows: u64,
}

impl Meter {
    fn start(seconds: f64) -> Meter {
        let counted_from = now_ns() + 500_000_000;
        Meter { counted_from, until: counted_from + (seconds * 1e9) as u64, begun: None, rows: 0 }
    }

    /// Takes note of rows that are durable now; false when the time is over.
    fn add(&mut self, rows: usize) -> bool {
        let now = now_ns();
        if self.begun.is_some() {
            self.rows += rows as u64;
        } else if now >= self.counted_from {
            self.begun = Some((now, own_spent()));
        }
        now < self.until
    }

    fn report(&self) -> Value {
        let (begun, spent) = self.begun.unwrap_or((self.counted_from, 0.0));
        json!({
            "rows": self.rows,
            "seconds": (now_ns() - begun) as f64 / 1e9,
            "spent_ns": own_spent() - spent,
        })
    }
}

fn one_by_one(database: &Connection, seconds: f64) -> rusqlite::Result<Value> {
    let mut meter = Meter::start(seconds);
    insert(database, Uuid::now_v7())?;
    while meter.add(1) {
        insert(database, Uuid::now_v7())?;
    }
    Ok(meter.report())
}

/// A row somebody wants, and whom to tell when it is durable.
struct Wish {
    id: Uuid,
    done: SyncSender<()>,
}

fn group_commit(database: &Connection, writers: usize, seconds: f64) -> rusqlite::Result<Value> {
    let (wishes, queue) = channel();
    for _ in 0..writers {
        let wishes = wishes.clone();
        std::thread::spawn(move || keep_wishing(&wishes));
    }
    let mut meter = Meter::start(seconds);
    let mut batch = Vec::with_capacity(BATCH_ROWS);
    loop {
        fill(&mut batch, &queue);
        database.prepare_cached("BEGIN IMMEDIATE")?.execute([])?;
        for wish in &batch {
            insert(database, wish.id)?;
        }
        database.prepare_cached("COMMIT")?.execute([])?;
        if !meter.add(batch.len()) {
            // The writers end with the process.
            return Ok(meter.report());
        }
        for wish in batch.drain(..) {
            // A writer that is gone needs no word.
            let _ = wish.done.send(());
        }
    }
}

/// Waits for one wish, then takes those that have queued up meanwhile.
fn fill(batch: &mut Vec<Wish>, queue: &Receiver<Wish>) {
    batch.extend(queue.recv());
    while batch.len() < BATCH_ROWS {
        match queue.try_recv() {
            Ok(wish) => batch.push(wish),
            Err(_) => break,
        }
    }
}

fn keep_wishing(wishes: &Sender<Wish>) {
    // The writers stand for the clients, so they sit where the clients sit.
    Seat::Client.take();
    let (done, heard) = sync_channel(1);
    loop {
        let wish = Wish { id: Uuid::now_v7(), done: done.clone() };
        if wishes.send(wish).is_err() || heard.recv().is_err() {
            return;
        }
    }
}

/// A bare loop that listens, as a child of its own.
pub struct Running {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
}

impl Running {
    /// Starts the subcommand with these options; the child says its address in its first line.
    ///
    /// # Errors
    /// The child failed.
    pub fn start(subcommand: &str, options: &[(&str, String)]) -> Outcome<Running> {
        let mut child = child(subcommand, &Vec::new())?
            .args(options.iter().flat_map(|(name, value)| [*name, value]))
            .stdout(Stdio::piped())
            .spawn()
            .context(subcommand)?;
        let output = child.stdout.take().expect("stdout was piped");
        let mut line = String::new();
        let read = BufReader::new(output).read_line(&mut line);
        let address = read.context("a bare loop's address").and_then(|_| {
            let address = line.trim();
            address.parse().context(format_args!("the address {address}"))
        });
        // Owned from here on, so that it is ended if its address was no address.
        let mut running = Running { child, address: ([127, 0, 0, 1], 0).into() };
        running.address = address?;
        Ok(running)
    }

    /// The process to look at.
    pub fn process(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only if it is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The bare loop of answers itself: wait, receive, send, and nothing else.
///
/// # Errors
/// The kernel refused a socket.
pub fn answers(options: &Options) -> Outcome<()> {
    Seat::Server.take();
    let answer = padded_answer(options.bytes);
    let listener = TcpListener::bind("127.0.0.1:0").context("listening")?;
    println!("{}", listener.local_addr().context("listening")?);
    let poller = Poller::new().context("making a poller")?;
    watch(&poller, &listener, LISTENER)?;
    let mut streams: Vec<Option<TcpStream>> = Vec::new();
    let mut events = Events::new();
    loop {
        events.clear();
        poller.wait(&mut events, None).context("waiting")?;
        for event in events.iter() {
            if event.key == LISTENER {
                let (stream, _) = listener.accept().context("accepting")?;
                stream.set_nodelay(true).context("accepting")?;
                watch(&poller, &stream, streams.len())?;
                streams.push(Some(stream));
            } else if !answer_one(&mut streams[event.key], &answer) {
                // Dropping the stream closes it, which takes it from the poller.
                streams[event.key] = None;
            }
        }
    }
}

fn padded_answer(bytes: usize) -> Vec<u8> {
    let body = bytes.saturating_sub(64).max(1);
    let mut answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {body}\r\nX-Pad: ").into_bytes();
    let missing = bytes.saturating_sub(answer.len() + 4 + body);
    answer.resize(answer.len() + missing, b'.');
    answer.extend_from_slice(b"\r\n\r\n");
    answer.resize(answer.len() + body, b'x');
    answer
}

/// False when the client is gone. The stream blocks, but is only read when it has something, and
/// the client waits for each answer, so there is room for it.
fn answer_one(stream: &mut Option<TcpStream>, answer: &[u8]) -> bool {
    let Some(stream) = stream else {
        return true;
    };
    let mut buffer = [0; 16384];
    matches!(stream.read(&mut buffer), Ok(1..)) && stream.write_all(answer).is_ok()
}

/// This program again, told where its parent's seats are.
fn child(subcommand: &str, environment: &Environment) -> Outcome<Command> {
    let program = std::env::current_exe().context("finding this program")?;
    let mut command = Command::new(program);
    command.arg(subcommand);
    command.envs(environment.iter().cloned());
    let (name, value) = machine::seats();
    command.env(name, value);
    Ok(command)
}
