//! What the person asked for: the words after the subcommand, with their defaults.

use std::path::PathBuf;

use crate::figure::{Context, Outcome};

/// Printed for `help`, and when no subcommand was given.
pub const USAGE: &str = "\
usage: cargo bench --bench house -- COMMAND [OPTION VALUE]...

  post      durable POSTs per second and CPU per POST, beside a bare insert-and-commit loop
  get       CPU per GET, beside a bare loop that answers the same bytes
  latency   from the commit to the event on 50 sockets, and stalls of the loop, while writes saturate
  rest      memory, bytes written and CPU of an idle server; time to the first answer; size
  bare      the bare loops alone: what this disk gives, without a server

  deliver   CPU of telling 50, 500 and 2,000 sockets, beside a bare send() loop
  household CPU of 100 messages a second in 20 rooms of 5, beside bare loops; reactor and store apart
  idle      memory and CPU of 10,000 sockets on which nothing happens, beside a bare loop
  chat      from sending to the last of 200 sockets, beside bare loops
  stall     what is kept for readers that stall, and whether the others notice
  storm     1,000 sockets dropped and back at once

  attack    what strangers can do: memory, threads, descriptors, and how long others wait meanwhile
  backup    how late the loop is while 200 MB are copied and entries are logged

  sockets   deliver, household, idle, chat, stall and storm
  all       rest, get, post, latency, sockets and attack

  --rounds N         rounds of each measurement, interleaved with its floor (5)
  --seconds S        length of one measured window (2)
  --connections LIST connections for post (1,8,16,64)
  --sync-ms N        length of an injected slow sync, 0 leaves these runs out (25)
  --idle-seconds N   length of the idle windows of rest (60)
  --sockets LIST     the numbers of sockets of deliver (50,500,2000)
  --idlers N         the sockets of idle (10000)
  --ping-seconds N   how often idle has them pinged (5)
  --dir PATH         where the databases lie: its disk is the one measured (target/tmp)
  --spin yes|no      keep the processors awake with a thread of the idle class, for get (yes)

The server is the one Cargo built beside this program; DEUCED_BIN=PATH names another.
";

/// Everything a measurement may want to know.
#[derive(Clone, Debug)]
pub struct Options {
    /// Rounds of each measurement; the figure shown is their median.
    pub rounds: usize,
    /// Length of one measured window.
    pub seconds: f64,
    /// The connection counts of `post`.
    pub connections: Vec<usize>,
    /// How long an injected slow sync takes; 0 for none.
    pub sync_ms: u64,
    /// How long `rest` watches an idle server.
    pub idle_seconds: u64,
    /// The directory of the databases.
    pub directory: PathBuf,
    /// Whether an idle-class thread keeps virtual processors from halting.
    pub spin: bool,
    /// For the floors: how many writers want a row each.
    pub writers: usize,
    /// For the floors: how many bytes a bare answer has.
    pub bytes: usize,
    /// For the floors: an event and an acknowledgement as the server sends them.
    pub templates: [String; 2],
    /// For the floors: whether each message is committed before it is told.
    pub store: bool,
    /// For the floors: whether they run on the server's own reactor.
    pub reactor: bool,
    /// How often `idle` has its sockets pinged, on both sides.
    pub ping_seconds: u64,
    /// The numbers of sockets of `deliver`.
    pub sockets: Vec<usize>,
    /// The sockets of `idle`.
    pub idlers: usize,
}

impl Options {
    /// Reads `--name value` pairs.
    ///
    /// # Errors
    /// An unknown name, a missing value, or a value of the wrong kind.
    pub fn read(words: &[String]) -> Outcome<Options> {
        let mut options = Options::default();
        let mut words = words.iter();
        while let Some(name) = words.next() {
            let value = words.next().ok_or_else(|| format!("{name}: a value is missing"))?;
            options.set(name, value)?;
        }
        if options.rounds == 0 || options.connections.contains(&0) || options.writers == 0 {
            return Err("rounds, connections and writers start at 1".into());
        }
        Ok(options)
    }

    fn set(&mut self, name: &str, value: &str) -> Outcome<()> {
        match name {
            "--rounds" => self.rounds = value.parse().context(name)?,
            "--seconds" => self.seconds = value.parse().context(name)?,
            "--sync-ms" => self.sync_ms = value.parse().context(name)?,
            "--idle-seconds" => self.idle_seconds = value.parse().context(name)?,
            "--dir" => self.directory = PathBuf::from(value),
            "--spin" => self.spin = value == "yes",
            "--writers" => self.writers = value.parse().context(name)?,
            "--bytes" => self.bytes = value.parse().context(name)?,
            "--event" => self.templates[0] = value.to_owned(),
            "--ack" => self.templates[1] = value.to_owned(),
            "--store" => self.store = value == "yes",
            "--reactor" => self.reactor = value == "yes",
            "--ping-seconds" => self.ping_seconds = value.parse().context(name)?,
            "--idlers" => self.idlers = value.parse().context(name)?,
            "--connections" => self.connections = counts(name, value)?,
            "--sockets" => self.sockets = counts(name, value)?,
            _ => return Err(format!("there is no option {name}; `help` lists them")),
        }
        Ok(())
    }
}

fn counts(name: &str, list: &str) -> Outcome<Vec<usize>> {
    list.split(',').map(|count| count.parse().context(name)).collect()
}

impl Default for Options {
    fn default() -> Options {
        // Cargo's own scratch directory lies on the same disk as the build, /tmp often in memory.
        let directory =
            option_env!("CARGO_TARGET_TMPDIR").map_or_else(std::env::temp_dir, PathBuf::from).join("house");
        Options {
            rounds: 5,
            seconds: 2.0,
            connections: vec![1, 8, 16, 64],
            sync_ms: 25,
            idle_seconds: 60,
            directory,
            spin: true,
            writers: 1,
            bytes: 400,
            templates: [String::new(), String::new()],
            store: false,
            reactor: false,
            ping_seconds: 5,
            sockets: vec![50, 500, 2000],
            idlers: 10_000,
        }
    }
}
