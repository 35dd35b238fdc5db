//! A `deuced` process on a fresh data directory and a port the system chose.

use super::{Client, PATIENCE, Wire};
use std::{
    env, fs,
    io::{Read, Write},
    net::SocketAddr,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

/// The password of everybody whom [`Server::person`] makes on a strict server.
pub const PASSWORD: &str = "correct horse battery";

/// How a server is to be started.
#[derive(Clone, Default)]
pub struct Setup {
    open: bool,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    open_files: Option<u64>,
    sockets: Vec<Arc<OwnedFd>>,
    moving_clock: bool,
}

/// A running server; ends with the value.
pub struct Server {
    setup: Setup,
    child: Child,
    data: Directory,
    place: Arc<Mutex<SocketAddr>>,
    stderr: Arc<Mutex<String>>,
    clock_offset_seconds: i64,
}

impl Setup {
    /// Name-only login.
    pub fn open(mut self) -> Setup {
        self.open = true;
        self
    }

    /// More words for `deuced serve`.
    pub fn with<I: IntoIterator<Item = S>, S: Into<String>>(mut self, words: I) -> Setup {
        self.arguments.extend(words.into_iter().map(Into::into));
        self
    }

    /// Those without a login may use the rooms by name, or not.
    pub fn guests(self, allowed: bool) -> Setup {
        self.with(["--guests", if allowed { "yes" } else { "no" }])
    }

    /// A variable of the process's environment.
    pub fn env(mut self, name: &str, value: &str) -> Setup {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Another value for one of the limits.
    pub fn limit(self, name: &str, value: u64) -> Setup {
        self.with(["--limit".to_string(), format!("{name}={value}")])
    }

    /// It is handed over one more socket, as systemd does it (sd_listen_fds(3)): from descriptor 3 on.
    pub fn inheriting(mut self, socket: impl Into<OwnedFd>) -> Setup {
        self.sockets.push(Arc::new(socket.into()));
        self
    }

    /// Whoever does a lot at once is not held up.
    pub fn unhurried(mut self) -> Setup {
        for limit in [
            "api_requests_per_minute",
            "address_requests_per_minute",
            "commands_per_second",
            "commands_burst",
            "deuces_per_minute",
            "groups_per_minute",
            "joins_per_minute",
            "logins_per_minute",
            "messages_per_minute",
            "pictures_per_minute",
            "reactions_per_minute",
        ] {
            self = self.limit(limit, 1_000_000);
        }
        self
    }

    /// The process may have so many files open at a time.
    pub fn open_files(mut self, most: u64) -> Setup {
        self.open_files = Some(most);
        self
    }

    /// Its clock can be set while it runs.
    pub fn moving_clock(mut self) -> Setup {
        self.moving_clock = true;
        self
    }

    /// Starts it and waits until it listens.
    #[track_caller]
    pub fn start(self) -> Server {
        self.start_on(|_| ())
    }

    /// Starts it on a data directory that was filled before.
    #[track_caller]
    pub fn start_on(self, fill: impl FnOnce(&Path)) -> Server {
        let data = Directory::new();
        fill(&data.0);
        self.start_in(data)
    }

    /// Starts it where it may not be able to: the directory, how it ended and what it said, then.
    pub fn try_start_in(self, data: Directory) -> Result<Server, (Directory, String)> {
        let stderr = Arc::new(Mutex::new(String::new()));
        let mut child = launch(&self, &data.0, 0, &stderr);
        match try_wait_for_address(&mut child, &data.0, &stderr) {
            Ok(place) => {
                let place = Arc::new(Mutex::new(place));
                Ok(Server { setup: self, child, data, place, stderr, clock_offset_seconds: 0 })
            }
            Err(what) => {
                let _ = child.wait();
                let said = stderr.lock().unwrap().clone();
                Err((data, format!("{what}: {said}")))
            }
        }
    }

    /// Starts it on a data directory that is there.
    #[track_caller]
    pub fn start_in(self, data: Directory) -> Server {
        let stderr = Arc::new(Mutex::new(String::new()));
        let (child, place) = spawn(&self, &data.0, 0, &stderr);
        Server {
            setup: self,
            child,
            data,
            place: Arc::new(Mutex::new(place)),
            stderr,
            clock_offset_seconds: 0,
        }
    }
}

impl Setup {
    /// Starts it and gives it an owner, Zoe: until somebody has a password, a strict server serves nobody.
    #[track_caller]
    pub fn start_claimed(self) -> Server {
        let server = self.start();
        server.add_user("Zoe", &["--admin"]);
        server
    }
}

impl Server {
    /// A server where a name is enough.
    #[track_caller]
    pub fn open() -> Server {
        Server::setup().open().start()
    }

    /// A server that wants passwords, and that nobody owns yet: the first account made on it changes that.
    #[track_caller]
    pub fn strict() -> Server {
        Server::setup().start()
    }

    pub fn setup() -> Setup {
        Setup::default()
    }

    /// Somebody who is logged in; on a strict server the account is made first, where it is new.
    #[track_caller]
    pub fn person(&self, name: &str) -> Client {
        if !self.setup.open {
            self.add_user(name, &[]);
        }
        self.device(name)
    }

    /// Somebody who is logged in on a strict server, whose account may be there already.
    #[track_caller]
    pub fn person_or_device(&self, name: &str) -> Client {
        let known = self.user(&["list"]).lines().any(|line| line.split("  ").next() == Some(name));
        if known { self.device(name) } else { self.person(name) }
    }

    /// One more device of somebody: a login of its own.
    #[track_caller]
    pub fn device(&self, name: &str) -> Client {
        let client = self.nobody();
        client.login(name, (!self.setup.open).then_some(PASSWORD));
        client
    }

    /// A client that is not logged in.
    pub fn nobody(&self) -> Client {
        Client::new(self.place.clone())
    }

    /// `deuced user add`, with [`PASSWORD`]. Says nothing when the account exists.
    #[track_caller]
    pub fn add_user(&self, name: &str, more: &[&str]) -> Output {
        let mut words = vec!["user", "add", name, "--password-stdin", "--data", self.data_text()];
        words.extend(more);
        let output = run(&words, PASSWORD);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "deuced {words:?} failed: {text}");
        output
    }

    /// `deuced user …` on the server's data, beside it.
    pub fn user_command(&self, words: &[&str]) -> Output {
        run(&[&["user"], words, &["--data", self.data_text()]].concat(), "")
    }

    /// The same, where it has to work out; what it said.
    #[track_caller]
    pub fn user(&self, words: &[&str]) -> String {
        let output = self.user_command(words);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "deuced user {words:?} failed: {out}{err}");
        out.into_owned()
    }

    /// The same, where it is refused; the one line it said.
    #[track_caller]
    pub fn user_refused(&self, words: &[&str]) -> String {
        let output = self.user_command(words);
        let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert_eq!(output.status.code(), Some(1), "deuced user {words:?}: {out}{err}");
        assert_eq!(err.trim_end().lines().count(), 1, "{err}");
        err.into_owned()
    }

    /// A bare connection.
    #[track_caller]
    pub fn wire(&self) -> Wire {
        Wire::open(self.address())
    }

    pub fn address(&self) -> SocketAddr {
        *self.place.lock().unwrap()
    }

    /// Where it is, for clients that follow it.
    pub fn place(&self) -> Arc<Mutex<SocketAddr>> {
        self.place.clone()
    }

    /// Its data directory, when it has ended.
    #[track_caller]
    pub fn give_back(mut self) -> Directory {
        assert!(self.child.try_wait().unwrap().is_some(), "it still runs");
        Directory(std::mem::take(&mut self.data.0))
    }

    pub fn data(&self) -> &Path {
        &self.data.0
    }

    pub fn data_text(&self) -> &str {
        self.data.0.to_str().unwrap()
    }

    pub fn process_id(&self) -> u32 {
        self.child.id()
    }

    /// The memory that the process takes, in bytes.
    #[track_caller]
    pub fn memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process_id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("VmRSS");
        line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") * 1024
    }

    /// What the process has used of the processor so far, in hundredths of a second, threads that have ended included.
    pub fn processor_ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process_id())).unwrap();
        // The name stands in parentheses and may hold anything (proc(5)).
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
        fields[11..13].iter().map(|ticks| ticks.parse::<u64>().unwrap()).sum()
    }

    /// Everything said on stderr so far, by all processes of this server.
    pub fn stderr(&self) -> String {
        self.stderr.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the server has said this on stderr.
    #[track_caller]
    pub fn wait_for_words(&self, words: &str) {
        self.wait_until(|said| said.contains(words));
    }

    /// Waits until what the server has said is as it should be.
    #[track_caller]
    pub fn wait_until(&self, is_said: impl Fn(&str) -> bool) {
        let start = Instant::now();
        while !is_said(&self.stderr()) {
            assert!(start.elapsed() < PATIENCE, "something is not in stderr:\n{}", self.stderr());
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// SIGTERM, and the time until the process was gone.
    #[track_caller]
    pub fn terminate(&mut self) -> (ExitStatus, Duration) {
        self.signal(libc::SIGTERM);
        self.wait_for_end()
    }

    /// Any signal, without waiting for what comes of it.
    pub fn signal(&self, number: i32) {
        // SAFETY: our own child, which has not been waited for, so the number is still its own.
        unsafe { libc::kill(self.child.id() as i32, number) };
    }

    #[track_caller]
    pub fn wait_for_end(&mut self) -> (ExitStatus, Duration) {
        let asked = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, asked.elapsed());
            }
            assert!(asked.elapsed() < PATIENCE, "the server does not stop; stderr:\n{}", self.stderr());
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// SIGKILL: what a power cut leaves of a process.
    pub fn kill9(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Starts again on the same data, after [`Server::terminate`] or [`Server::kill9`]. Clients
    /// follow to the new port by themselves.
    #[track_caller]
    pub fn start_again(&mut self) {
        let (child, place) = spawn(&self.setup, &self.data.0, self.clock_offset_seconds, &self.stderr);
        self.child = child;
        *self.place.lock().unwrap() = place;
    }

    #[track_caller]
    pub fn restart(&mut self) {
        self.terminate();
        self.start_again();
    }

    /// Stops, and starts with another setup on the same data.
    #[track_caller]
    pub fn restart_as(&mut self, setup: Setup) {
        self.terminate();
        self.setup = setup;
        self.start_again();
    }

    /// Has the clock of the running server jump to so much away from the right time.
    #[track_caller]
    pub fn set_clock(&mut self, seconds: i64) {
        assert!(self.setup.moving_clock && seconds != self.clock_offset_seconds);
        self.clock_offset_seconds = seconds;
        let before = self.stderr().len();
        let fresh = self.data.0.join("clock.new");
        fs::write(&fresh, seconds.to_string()).unwrap();
        fs::rename(fresh, self.data.0.join("clock")).unwrap();
        let words = format!("shifted by {seconds} seconds");
        self.wait_until(|said| said[before..].contains(&words));
    }

    /// What the kernel has had written to disk for the process, in bytes.
    pub fn written_bytes(&self) -> u64 {
        let counts = fs::read_to_string(format!("/proc/{}/io", self.process_id())).unwrap();
        let line = counts.lines().find_map(|line| line.strip_prefix("write_bytes: ")).expect("write_bytes");
        line.trim().parse().expect("a number")
    }

    /// Starts with another setup on data that somebody has changed meanwhile, after [`Server::terminate`].
    #[track_caller]
    pub fn restart_damaged(&mut self, setup: Setup) {
        self.setup = setup;
        self.start_again();
    }

    /// Restarts with the server's clock so much further on.
    #[track_caller]
    pub fn restart_later(&mut self, seconds: i64) {
        self.clock_offset_seconds += seconds;
        self.restart();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("--- stderr of the server ---\n{}---", self.stderr());
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A `deuced` command line in a clean environment.
pub fn command() -> Command {
    let binary = env::var("DEUCED_BIN").unwrap_or_else(|_| env!("CARGO_BIN_EXE_deuced").into());
    let runner = env::var("DEUCED_RUNNER").unwrap_or_default();
    let mut words: Vec<&str> = runner.split_whitespace().collect();
    words.push(&binary);
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env("TZ", "UTC");
    for (name, _) in env::vars().filter(|(name, _)| name.starts_with("DEUCED_")) {
        command.env_remove(name);
    }
    for name in [
        "STATE_DIRECTORY",
        "CREDENTIALS_DIRECTORY",
        "JOURNAL_STREAM",
        "NOTIFY_SOCKET",
        "LISTEN_FDS",
        "LISTEN_PID",
        "LISTEN_FDNAMES",
        "WATCHDOG_USEC",
        "WATCHDOG_PID",
        "SOCKET_MAX_CONNECTIONS_PER_USER",
        "SOCKET_MAX_TOTAL_CONNECTIONS",
    ] {
        command.env_remove(name);
    }
    // A file of this machine's own does not count.
    command.env("DEUCED_CONFIG", "");
    command
}

/// Runs a `deuced` command to its end, with `input` and a line feed on stdin.
pub fn run(words: &[&str], input: &str) -> Output {
    finish(command().args(words), input)
}

/// Runs a prepared command to its end; one that does not end is killed and reported.
#[track_caller]
pub fn finish(command: &mut Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("deuced starts");
    // A command that reads nothing may be gone already.
    let _ = child.stdin.take().unwrap().write_all(format!("{input}\n").as_bytes());
    let (stdout, stderr) = (collect(child.stdout.take().unwrap()), collect(child.stderr.take().unwrap()));
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        if start.elapsed() > PATIENCE {
            let _ = child.kill();
            let _ = child.wait();
            panic!(
                "the command does not end: {command:?}\n{}",
                String::from_utf8_lossy(&stderr.join().unwrap())
            );
        }
        thread::sleep(Duration::from_millis(2));
    };
    Output { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

fn collect(mut source: impl Read + Send + 'static) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut all = Vec::new();
        let _ = source.read_to_end(&mut all);
        all
    })
}

#[track_caller]
fn spawn(setup: &Setup, data: &Path, offset_seconds: i64, log: &Arc<Mutex<String>>) -> (Child, SocketAddr) {
    let mut child = launch(setup, data, offset_seconds, log);
    let place = wait_for_address(&mut child, data, log);
    (child, place)
}

fn launch(setup: &Setup, data: &Path, offset_seconds: i64, log: &Arc<Mutex<String>>) -> Child {
    let _ = fs::remove_file(data.join("address"));
    let mut command = command();
    command.args(["serve", "--data"]).arg(data);
    if !setup.arguments.iter().any(|word| word == "--listen") {
        command.args(["--listen", "127.0.0.1:0"]);
    }
    if setup.open {
        command.arg("--open");
    }
    command.args(&setup.arguments);
    command.envs(setup.environment.iter().map(|(name, value)| (name, value)));
    if offset_seconds != 0 {
        command.env("DEUCED_CLOCK_OFFSET_SECONDS", offset_seconds.to_string());
    }
    let sockets: Vec<RawFd> = setup.sockets.iter().map(|socket| socket.as_raw_fd()).collect();
    let mut command = hand_over(command, &sockets);
    if let Some(most) = setup.open_files {
        let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
        // SAFETY: only a system call between fork and exec.
        unsafe {
            command.pre_exec(move || match libc::setrlimit(libc::RLIMIT_NOFILE, &limit) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            })
        };
    }
    if setup.moving_clock {
        command.env("DEUCED_CLOCK_FILE", data.join("clock"));
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("deuced starts");
    listen_to(child.stdout.take().unwrap(), log.clone());
    listen_to(child.stderr.take().unwrap(), log.clone());
    child
}

/// The command with these sockets as its descriptors 3 and on, and with the variables that say so.
pub fn hand_over(command: Command, sockets: &[RawFd]) -> Command {
    if sockets.is_empty() {
        return command;
    }
    // Only the process itself knows its number, which is a part of what it is told; the shell makes room for it.
    let mut shell = Command::new("sh");
    shell.args(["-c", r#"LISTEN_PID=${LISTEN_PID:-$$} exec "$@""#, "sh"]);
    shell.arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        match value {
            Some(value) => shell.env(name, value),
            None => shell.env_remove(name),
        };
    }
    shell.env("LISTEN_FDS", sockets.len().to_string());
    // Copies above all that they are to become.
    let copies: Vec<OwnedFd> = sockets
        .iter()
        .map(|socket| {
            // SAFETY: makes a descriptor that is owned at once.
            unsafe { OwnedFd::from_raw_fd(libc::fcntl(*socket, libc::F_DUPFD_CLOEXEC, 100)) }
        })
        .collect();
    // SAFETY: only system calls between fork and exec.
    unsafe {
        shell.pre_exec(move || {
            for (target, copy) in (3..).zip(&copies) {
                if libc::dup2(copy.as_raw_fd(), target) == -1 {
                    return Err(std::io::Error::last_os_error());
                }
            }
            Ok(())
        })
    };
    shell
}

/// Waits until the server has written where it listens.
#[track_caller]
pub fn wait_for_address(child: &mut Child, data: &Path, log: &Arc<Mutex<String>>) -> SocketAddr {
    match try_wait_for_address(child, data, log) {
        Ok(place) => place,
        Err(what) => panic!("{what}; stderr:\n{}", log.lock().unwrap()),
    }
}

fn try_wait_for_address(
    child: &mut Child,
    data: &Path,
    log: &Arc<Mutex<String>>,
) -> Result<SocketAddr, String> {
    let start = Instant::now();
    loop {
        // It goes on without the file where that cannot be written, and says so.
        let said = log.lock().unwrap().clone();
        if said.contains("/address cannot be written") {
            let told = said
                .lines()
                .find_map(|line| line.strip_prefix("Open http://")?.trim_end_matches('/').parse().ok());
            if let Some(place) = told {
                return Ok(place);
            }
        }
        if let Some(text) = fs::read_to_string(data.join("address")).ok().filter(|text| text.ends_with('\n'))
        {
            return text.trim().parse().map_err(|_| format!("the file `address` holds {text:?}"));
        }
        if let Some(status) = child.try_wait().unwrap() {
            thread::sleep(Duration::from_millis(50));
            return Err(format!("the server ended at start with {status}"));
        }
        if start.elapsed() > PATIENCE {
            let _ = child.kill();
            return Err("the server does not listen".to_owned());
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// What a command said, on stdout and on stderr.
pub fn channels(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// The same as one text.
pub fn said(output: &Output) -> String {
    let (out, err) = channels(output);
    out + &err
}

/// Starts a prepared `serve`, looks at it and at what it has said by then, and ends it.
#[track_caller]
pub fn try_out(command: &mut Command, data: &Path, look: impl FnOnce(&Client, &dyn Fn() -> String)) {
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let log = Arc::new(Mutex::new(String::new()));
    listen_to(child.stdout.take().unwrap(), log.clone());
    listen_to(child.stderr.take().unwrap(), log.clone());
    let address = wait_for_address(&mut child, data, &log);
    let client = Client::new(Arc::new(Mutex::new(address)));
    client.get("/api/health").ok();
    look(&client, &|| log.lock().unwrap().clone());
    // SAFETY: our own child, not yet waited for.
    unsafe { libc::kill(child.id() as i32, libc::SIGTERM) };
    child.wait().unwrap();
}

/// Copies a folder as a whole.
pub fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

/// Copies what a process says into `log`, line by line or not.
fn listen_to(mut source: impl Read + Send + 'static, log: Arc<Mutex<String>>) {
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = source.read(&mut buffer) {
            log.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..count]));
        }
    });
}

/// A temporary directory, gone with the value.
pub struct Directory(pub PathBuf);

impl Directory {
    pub fn new() -> Directory {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = env::temp_dir().join(format!("deuced-stories-{}-{number}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Directory(path)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        // It may have been given away.
        if !self.0.as_os_str().is_empty() {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}
