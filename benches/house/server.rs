//! A release server as a child process: started on a free port over a fresh directory, asked for a
//! login and a group, stopped and swept away when dropped.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use serde_json::{Value, json};

use crate::client;
use crate::figure::{Context, Outcome};
use crate::machine::{Seat, now_ns};
use crate::option::Options;
use crate::shim::Environment;

/// The limits that protect a household and would end a benchmark after a second.
const LIFTED: [&str; 5] = [
    "api_requests_per_minute=100000000",
    "address_requests_per_minute=100000000",
    "logins_per_minute=100000000",
    "deuces_per_minute=100000000",
    "reactions_per_minute=100000000",
];

/// The same for those that measure sockets.
pub const FOR_CROWDS: [&str; 12] = [
    "sockets=12000",
    "connections=12500",
    "connections_per_address=12500",
    "sockets_per_user=12000",
    "subscriptions_per_socket=1000",
    "rooms=10000",
    "frames_per_second=100000000",
    "frames_burst=100000000",
    "commands_per_second=100000000",
    "commands_burst=100000000",
    "messages_per_minute=100000000",
    "ping_every_seconds=30",
];

/// How long a server may take to come up before we give up on it.
const PATIENCE: Duration = Duration::from_secs(10);

/// A directory below the one the person chose, gone when dropped.
pub struct Scratch(PathBuf);

impl Scratch {
    /// A new, empty directory on the disk that is measured.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn make(options: &Options) -> Outcome<Scratch> {
        Scratch::below(&options.directory)
    }

    /// A new, empty directory in memory where there is one: what is written here costs the disk
    /// that is measured nothing.
    ///
    /// # Errors
    /// As [`Scratch::make`].
    pub fn in_memory(options: &Options) -> Outcome<Scratch> {
        let memory = Path::new("/dev/shm");
        Scratch::below(if memory.is_dir() { memory } else { &options.directory })
    }

    fn below(directory: &Path) -> Outcome<Scratch> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!("house-{}-{count}", std::process::id()));
        fs::create_dir_all(&path).context(path.display())?;
        Ok(Scratch(path.canonicalize().context(path.display())?))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // What stays behind lies in the build's own scratch directory.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A running server.
pub struct Server {
    child: Child,
    /// Where it listens.
    pub address: SocketAddr,
    /// From exec to the first complete answer.
    pub first_answer: Duration,
}

/// Someone who is logged in, and a group of theirs.
pub struct Household {
    /// The session token.
    pub token: String,
    /// The group to log to.
    pub group: String,
}

impl Server {
    /// Starts a server over `data` on the server's seat and waits for its first answer.
    ///
    /// # Errors
    /// It cannot be started or did not answer; the sentence ends with what it said on stderr.
    pub fn start(data: &Path, environment: &Environment) -> Outcome<Server> {
        Server::start_with(data, environment, &[])
    }

    /// The same with more limits, each as `NAME=VALUE`; later ones win. Those that the server does not
    /// have are left out, so that an older one can be measured, too.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_with(data: &Path, environment: &Environment, limits: &[&str]) -> Outcome<Server> {
        Server::start_as(data, environment, &["--open"], limits)
    }

    /// The same with other words than `--open`.
    ///
    /// # Errors
    /// As [`Server::start`].
    pub fn start_as(
        data: &Path,
        environment: &Environment,
        words: &[&str],
        limits: &[&str],
    ) -> Outcome<Server> {
        let program = program()?;
        let listed = Command::new(&program).arg("limits").output().context(program.display())?.stdout;
        let listed = String::from_utf8_lossy(&listed);
        let known = |limit: &&&str| {
            let name = limit.split('=').next();
            listed.lines().any(|line| line.split_whitespace().next() == name)
        };
        // A server killed earlier may have left its address behind.
        let _ = fs::remove_file(data.join("address"));
        let said = data.join("stderr.log");
        let mut command = Command::new(&program);
        command.args(["serve", "--listen", "127.0.0.1:0", "--data"]);
        command.arg(data).args(words);
        let limits = LIFTED.iter().chain(limits).filter(known);
        command.args(limits.flat_map(|limit| ["--limit", limit]));
        // Our own DEUCED_BIN would be an unknown setting to the server, others would skew it.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("DEUCED_") {
                command.env_remove(name);
            }
        }
        command.envs(environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        command.stderr(fs::File::create(&said).context(said.display())?);

        Seat::Server.take();
        let begun = now_ns();
        let child = command.spawn();
        Seat::Client.take();
        let mut server = Server {
            child: child.context(program.display())?,
            address: ([127, 0, 0, 1], 0).into(),
            first_answer: Duration::ZERO,
        };
        server.wait_for_answer(data, begun).map_err(|sentence| {
            let said = fs::read_to_string(&said).unwrap_or_default();
            format!("{sentence}; it said: {}", said.trim())
        })?;
        Ok(server)
    }

    /// The process to look at.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Logs Ann in and makes her a group.
    ///
    /// # Errors
    /// The server refused, or answered without the field expected.
    pub fn household(&self) -> Outcome<Household> {
        let token = self.login("Ann")?;
        let wish = json!({"name": "Household"});
        let group = self.ask("POST", "/api/groups", Some(&token), Some(&wish))?;
        let group = text(&group, "id")?;
        Ok(Household { token, group })
    }

    /// Logs somebody in and says the token.
    ///
    /// # Errors
    /// As [`Server::household`].
    pub fn login(&self, name: &str) -> Outcome<String> {
        let login = self.ask("POST", "/api/login", None, Some(&json!({"username": name})))?;
        text(&login, "token")
    }

    /// One request on a connection of its own.
    ///
    /// # Errors
    /// No connection, no JSON, or a status other than 2xx.
    pub fn ask(&self, method: &str, path: &str, token: Option<&str>, body: Option<&Value>) -> Outcome<Value> {
        let headers = token.map(client::bearer).unwrap_or_default();
        let request = client::request(method, path, &headers, body);
        let answer = client::ask_once(self.address, &request)?;
        serde_json::from_slice(&answer).context(format_args!("{method} {path}: the answer"))
    }

    fn wait_for_answer(&mut self, data: &Path, begun: u64) -> Outcome<()> {
        let file = data.join("address");
        let health = client::request("GET", "/api/health", "", None);
        while now_ns() - begun < PATIENCE.as_nanos() as u64 {
            if let Some(status) = self.child.try_wait().context("waiting for the server")? {
                return Err(format!("the server ended at once ({status})"));
            }
            let written = fs::read_to_string(&file).unwrap_or_default();
            // The line end says that the line is complete.
            if let Some(address) = written.strip_suffix('\n') {
                self.address = address.parse().context(file.display())?;
                client::ask_once(self.address, &health)?;
                self.first_answer = Duration::from_nanos(now_ns() - begun);
                return Ok(());
            }
            std::thread::sleep(Duration::from_micros(100));
        }
        Err(format!("no {} after {PATIENCE:?}", file.display()))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let process = self.child.id() as libc::pid_t;
        // SAFETY: the child was not waited for yet, so the number is still its own.
        unsafe { libc::kill(process, libc::SIGTERM) };
        for _ in 0..200 {
            if let Ok(Some(_)) = self.child.try_wait() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        eprintln!("house: the server did not stop within 2 s of SIGTERM and was killed");
        // Both fail only if it is gone.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Household {
    /// The request that logs one entry of usual length to the group.
    pub fn entry_request(&self) -> Vec<u8> {
        let body = json!({
            "groupIds": [self.group],
            "location": "Home",
            "thoughts": "A thought about the day, of a usual length",
        });
        let headers = client::bearer(&self.token);
        client::request("POST", "/api/deuces", &headers, Some(&body))
    }
}

/// The binary to measure: `DEUCED_BIN`, else the one Cargo built for this run.
///
/// # Errors
/// It is not there.
pub fn program() -> Outcome<PathBuf> {
    let built = option_env!("CARGO_BIN_EXE_deuced")
        .unwrap_or(concat!(env!("CARGO_MANIFEST_DIR"), "/target/release/deuced"));
    let path = std::env::var_os("DEUCED_BIN").map_or_else(|| built.into(), PathBuf::from);
    let sentence = "no server to measure; run `cargo build --release` or set DEUCED_BIN";
    path.canonicalize().map_err(|error| format!("{}: {error}: {sentence}", path.display()))
}

fn text(answer: &Value, field: &str) -> Outcome<String> {
    let found = answer.get(field).and_then(Value::as_str).map(str::to_owned);
    found.ok_or_else(|| format!("no `{field}` in the answer {answer}"))
}
