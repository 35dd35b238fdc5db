//! `deuced serve`: puts the house together, runs it, and takes it down in order.

use crate::api::claim::{self, Standing};
use crate::api::token;
use crate::api::{App, Settings, backup, presence, room, storage};
use crate::cli::config::{self, Listen, Loaded, PORT};
use crate::cli::words::{ALL, Asked, Entry, Job};
use crate::cli::{self, owner, prepare_data_directory, print, service::Service};
use crate::domain::{Code, Limits, Purpose, Time};
use crate::http::address::host_of_origin;
use crate::http::{Doors, Server, serve};
use crate::io::{self, Listener, net::Tuning, signal::Termination, sleep_until, watch::Watch};
use crate::store::lock::Lock;
use crate::ws::{close, form};
use smol::{LocalExecutor, future::FutureExt};
use std::{
    env, fs,
    future::poll_fn,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    panic::AssertUnwindSafe,
    path::{Path, PathBuf},
    rc::Rc,
    time::{Duration, Instant},
};

/// How long sockets, and requests that have not come whole, may take to end when the server stops.
const PARTING: Duration = Duration::from_millis(800);
/// How long requests that have come whole may take to be answered then. They are owed one; in five seconds all is over.
const LAST_ANSWERS: Duration = Duration::from_secs(4);
/// How long connections without a request are still listened to then. Whoever asks one thing after the other is answered,
/// and told that this was the last; the others have been silent for so long that hardly anybody speaks just now.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// `deuced serve`.
pub const ENTRY: Entry = Entry {
    name: "serve",
    arguments: &[],
    brief: "serve the diary until SIGTERM or Ctrl-C",
    about: "Serves the diary: the HTTP API under /api, live events under /ws, and a page at /.",
    options: &[],
    settings: ALL,
    notes: "SOCKET_MAX_TOTAL_CONNECTIONS and SOCKET_MAX_CONNECTIONS_PER_USER set the limits registered_sockets and \
            registered_sockets_per_user.\n\n\
            Lists in the environment are separated by blanks; in the file they are lists. 'deuced config file' prints a \
            file with every setting, 'deuced config dump' what is in force. A secret is no option: metrics_token is in \
            the file, in DEUCED_METRICS_TOKEN, in the file that DEUCED_METRICS_TOKEN_FILE names, or in systemd's \
            credential deuced.metrics_token.\n\n\
            The data directory belongs to one server at a time: deuced.db is the diary, pictures/ the profile pictures, \
            address says where the running server listens. On the first start without --open a link is printed by which \
            the server gets its owner; 'deuced claim' shows it again. Until then it answers nothing else.\n\n\
            SIGTERM and SIGINT stop the server: no new requests, those under way are finished, sockets are closed with \
            1001 or, where the client knows it, with 1012 and when to come back, and everything is on the disk.\n\n\
            Sockets that a service manager hands over (LISTEN_FDS) count instead of --listen. It is told through \
            NOTIFY_SOCKET when the server is ready, how it does, and that its loop runs (WATCHDOG_USEC).",
    read,
};

fn read(asked: Asked) -> Result<Job, String> {
    Ok(Box::new(move || run(asked.loaded)))
}

/// Serves until a signal.
fn run(loaded: Loaded) -> Result<(), String> {
    // Before any other descriptor is made.
    let mut service = Service::take()?;
    // First of all, while there is one thread: threads inherit which signals are held back.
    let termination = Termination::new().map_err(|error| format!("signals cannot be handled: {error}"))?;
    limit_threads_and_arenas();
    shift_clock()?;
    loaded.warnings.iter().for_each(|warning| log::warn!("{warning}; 'deuced check-config' checks the file"));
    let mut limits = loaded.settings.limits.clone();
    fit_connections_to_descriptors(&mut limits)?;
    let data = prepare_data_directory(loaded.settings.data.clone())?;
    if let Some(name) = owner::became() {
        log::info!("{} belongs to {name}: going on as {name}, and not as root", data.display());
    }
    let sentence = |error: crate::domain::Error| error.to_string();
    let settings = loaded.settings;
    let behaviour = Settings {
        data: data.clone(),
        open: settings.open,
        guests: settings.guests.unwrap_or(settings.open),
        backup: settings.backup.clone(),
        limits,
    };
    let opening = service.begin();
    let opened = App::open(behaviour.clone(), form::RENDER);
    let app = Rc::new(opened.map_err(|error| no_start(&behaviour, error))?);
    drop(opening);
    let listeners: Vec<_> = listen(&settings, &mut service)?.into_iter().map(Rc::new).collect();
    let mut addresses = Vec::new();
    for listener in &listeners {
        addresses.push(listener.local_address().map_err(|error| format!("the port is not known: {error}"))?);
    }
    // The one that others reach is the one to be told.
    let others = addresses.iter().find(|address| !address.ip().is_loopback());
    let address = *others.unwrap_or(&addresses[0]);
    let standing = match settings.open {
        true => Standing::Claimed,
        false => claim::stand(&data, app.db()).map_err(sentence)?,
    };
    let address_file = AddressFile::write(&data, address);
    let place = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and ");
    announce(&settings, &app, &addresses, &place)?;
    cli::claim::announce(&data, address, &standing)?;

    let executor = Rc::new(LocalExecutor::new());
    let doors = Doors {
        hosts: own_names(&settings),
        origins: settings.origins,
        trusted_proxies: settings.trusted_proxies,
        web: settings.web,
        metrics_token: settings.metrics_token,
    };
    let server = Rc::new(Server::new(app.clone(), doors, &executor));
    let publisher = executor.spawn({
        let app = app.clone();
        vital("publishing", async move { app.publish_commits().await })
    });
    let accept = |listener: &Rc<Listener>| {
        executor.spawn(vital("accepting", serve::accept(server.clone(), listener.clone())))
    };
    let accepting: Vec<_> = listeners.iter().map(accept).collect();
    executor.spawn(vital("the heartbeat", heartbeat(app.clone()))).detach();
    executor.spawn(vital("presence", departures(app.clone()))).detach();
    executor.spawn(vital("the ear at the door", knocks(app.clone()))).detach();
    executor.spawn(vital("the eye on backups", backups(app.clone()))).detach();
    service.ready(&app, &place);
    let service = Rc::new(service);
    executor.spawn(vital("the watchdog", service.clone().attend(app.clone(), place))).detach();
    let life = async {
        let signal = termination.wait().await;
        log::info!("stopping on {}", signal.unwrap_or("an error while waiting for signals"));
        service.stopping();
        drop(accepting);
        // What waits in the queue of an inherited socket is for the next process; our own queue ends with us.
        listeners
            .iter()
            .filter(|one| !one.is_inherited())
            .for_each(|one| serve::accept_the_rest(&server, one));
        drop(listeners);
        part(&server).await;
        app.close();
        publisher.await;
    };
    io::block_on(executor.run(life), || app.end_turn());
    // The tasks hold the server and the server the database: in this order all of it goes.
    let anew = app.is_to_begin_anew();
    drop(executor);
    drop((server, app, address_file));
    log::info!("stopped");
    // To be started once more (`EX_TEMPFAIL` of sysexits(3)): systemd does, because this is no success.
    if anew { std::process::exit(75) } else { Ok(()) }
}

/// Why the server cannot start. Where starting again would not help either, the process ends here with a status that says
/// so (65, `EX_DATAERR` of sysexits(3)), and systemd leaves it at that.
fn no_start(settings: &Settings, error: crate::domain::Error) -> String {
    const DATA_ERROR: i32 = 65;
    if error.code != Code::Damaged {
        return error.to_string();
    }
    log::error!("{error}; {}", storage::way_out_of(settings));
    std::process::exit(DATA_ERROR)
}

/// Without these tasks the server would look well and be useless, so a panic in one of them ends the
/// process, which is then started afresh.
async fn vital(what: &str, task: impl Future<Output = ()>) {
    if AssertUnwindSafe(task).catch_unwind().await.is_err() {
        log::error!("{what} panicked; ending the process");
        std::process::abort();
    }
}

/// Ends what is going on: requests under way are finished, sockets are told, and idle connections are closed when they
/// have been so for a moment.
async fn part(server: &Server) {
    async fn until(deadline: Instant, is_so: impl Fn() -> bool) {
        while !is_so() && Instant::now() < deadline {
            sleep_until(Instant::now() + Duration::from_millis(5)).await;
        }
    }
    let begin = Instant::now();
    server.stop();
    server.app.hub.end_all(close::GOING_AWAY);
    until(begin + LAST_WORDS, || !server.has_idle()).await;
    server.part();
    until(begin + PARTING, || !server.is_busy()).await;
    until(begin + LAST_ANSWERS, || !server.owes_answers()).await;
}

/// Pings all sockets together, round after round.
async fn heartbeat(app: Rc<App>) {
    let period = Duration::from_secs(app.limits().ping_every_seconds);
    let patience = Duration::from_secs(app.limits().write_seconds);
    let mut most_open = 0;
    loop {
        sleep_until(Instant::now() + period).await;
        app.hub.beat(Instant::now(), patience);
        let open = app.hub.counters().open;
        most_open = if most_open > open + CROWD { give_memory_back(open) } else { most_open.max(open) };
        if let Err(error) = review_logins(&app).await {
            log::warn!("the logins of open sockets could not be reviewed: {error}");
        }
    }
}

/// So many sockets gone are worth asking the allocator for what they took.
const CROWD: u64 = 256;

/// Gives memory that nobody uses any more back to the system; the allocator itself only does so from its end.
fn give_memory_back(open: u64) -> u64 {
    #[cfg(target_env = "gnu")]
    // SAFETY: only releases what is free.
    unsafe {
        libc::malloc_trim(0);
    }
    open
}

/// Tells who is gone, when their grace is over.
async fn departures(app: Rc<App>) {
    loop {
        let due = poll_fn(|context| app.hub.poll_departure(context)).await;
        sleep_until(due).await;
        presence::tell_departures(&app);
    }
}

/// Looks at the database again whenever another process has written to it: `deuced user disable` takes effect on live
/// sockets at once.
async fn knocks(app: Rc<App>) {
    /// How often to look where the kernel does not tell.
    const LOOK_EVERY: Duration = Duration::from_secs(1);
    let watch = Watch::new(&Lock::path(&app.settings.data));
    if let Err(error) = &watch {
        log::warn!(
            "the kernel does not tell when commands change something, so the server looks each second: {error}"
        );
    }
    loop {
        match &watch {
            Ok(watch) if watch.touched().await.is_ok() => {}
            _ => sleep_until(Instant::now() + LOOK_EVERY).await,
        }
        token::changed(&app);
        app.look_at_storage();
        let looked = backup::look(&app);
        if let Err(error) = review_logins(&app).await.and_then(|()| room::listen_anew(&app)).and(looked) {
            log::warn!("what another process changed could not be read: {error}");
        }
    }
}

/// Tells the owners when the newest verified copy is too old. Nothing is written, and hardly anything read, while it is not.
async fn backups(app: Rc<App>) {
    /// The clock may be put right at any time, and the first account be made.
    const LOOK_EVERY: Duration = Duration::from_secs(15 * 60);
    loop {
        let (policy, now) = (&app.settings.backup, Time::now());
        let known = backup::look(&app).map(|()| app.backups.borrow().wait(now, policy.warn_hours));
        let wait = match known {
            Ok(Some(Duration::ZERO)) => {
                let (limits, hours) = (app.limits().clone(), policy.warn_hours);
                if let Err(error) = app.write(Purpose::Warn, move |tx| backup::warn(tx, &limits, hours)).await
                {
                    log::warn!("the owners could not be told that there is no new backup: {error}");
                }
                LOOK_EVERY
            }
            Ok(wait) => wait.unwrap_or(LOOK_EVERY),
            Err(error) => {
                log::warn!("what is known of backups could not be read: {error}");
                LOOK_EVERY
            }
        };
        sleep_until(Instant::now() + wait.min(LOOK_EVERY)).await;
    }
}

/// Ends sockets whose login has ended or whose person may hear less than before, and prolongs logins that live by their
/// sockets alone.
async fn review_logins(app: &App) -> crate::domain::Result<()> {
    for token in token::enforce(app, close::ENDINGS)? {
        let limits = app.limits().clone();
        app.write(Purpose::RenewLogin, move |tx| token::renew(tx, &limits, &token)).await?;
        token::changed(app);
    }
    Ok(())
}

/// A household's server needs no more, and each thread that allocates costs an arena.
fn limit_threads_and_arenas() {
    // SAFETY: there is one thread, so nobody reads the environment meanwhile.
    unsafe { env::set_var("BLOCKING_MAX_THREADS", io::worker::THREADS.to_string()) };
    #[cfg(target_env = "gnu")]
    // SAFETY: only sets numbers of the allocator, before it is used by a second thread.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 2);
        // What hashing a password took goes back to the system at once.
        libc::mallopt(libc::M_MMAP_THRESHOLD, 256 << 10);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 512 << 10);
    }
}

/// Tests that need next week, or a Pi that woke up in 1970, say so here. Not for people.
pub(super) fn shift_clock() -> Result<(), String> {
    if let Some(path) = env::var_os("DEUCED_CLOCK_FILE") {
        follow_clock(path.into())?;
    }
    let Ok(text) = env::var("DEUCED_CLOCK_OFFSET_SECONDS") else { return Ok(()) };
    let seconds = text.parse().map_err(|_| "DEUCED_CLOCK_OFFSET_SECONDS: a number of seconds".to_owned())?;
    crate::domain::time::shift_clock(seconds);
    log::warn!("the clock is shifted by {seconds} seconds, for a test");
    Ok(())
}

/// The same for a clock that is set while the server runs: the seconds stand in a file, and are looked at all the time.
fn follow_clock(path: PathBuf) -> Result<(), String> {
    const LOOK_EVERY: Duration = Duration::from_millis(5);
    let mut last = 0;
    let follow = move || loop {
        let seconds = fs::read_to_string(&path).ok().and_then(|text| text.trim().parse().ok());
        if let Some(seconds) = seconds.filter(|seconds| *seconds != last) {
            last = seconds;
            crate::domain::time::shift_clock(seconds);
            log::warn!("the clock is shifted by {seconds} seconds, for a test");
        }
        std::thread::sleep(LOOK_EVERY);
    };
    let follower = std::thread::Builder::new().name("clock".to_owned()).spawn(follow);
    follower.map(drop).map_err(|error| format!("DEUCED_CLOCK_FILE: {error}"))
}

/// Files that may be open beside the connections: the database, its log, pictures.
pub(super) const OTHER_FILES: u64 = 128;

/// Raises the limit on open files so that every connection has one, or else lowers the limit on
/// connections: whoever comes too late is to be told so, and the database always needs a few.
fn fit_connections_to_descriptors(limits: &mut Limits) -> Result<(), String> {
    /// Loop, database, lock and door, and a connection or two.
    const LEAST: u64 = 24;
    let wanted = limits.connections + OTHER_FILES;
    let available = io::raise_descriptor_limit(wanted).map_err(|error| format!("open files: {error}"))?;
    if available < LEAST {
        return Err(format!(
            "this process may open {available} files at a time, and needs {LEAST} ('ulimit -n', or LimitNOFILE= of systemd)"
        ));
    }
    if available < wanted {
        limits.connections = available.saturating_sub(OTHER_FILES).max(1);
        log::warn!("this process may open {available} files: at most {} connections", limits.connections);
    }
    Ok(())
}

/// Where to listen: at the sockets that were handed over, else at all places in the order in which they were said.
fn listen(settings: &config::Settings, service: &mut Service) -> Result<Vec<Listener>, String> {
    let tuning = Tuning { unacknowledged: Duration::from_secs(settings.limits.write_seconds) };
    let inherited = service.listeners(tuning)?;
    if !inherited.is_empty() {
        if settings.listen != [Listen::Everywhere(PORT)] {
            log::info!("listening on the sockets that were handed over, and not where `listen` says");
        }
        return Ok(inherited);
    }
    // One socket hears both kinds of addresses, so where both are named the second would find its port taken.
    let named_twice = |address: &SocketAddr| {
        let both = SocketAddr::from((Ipv6Addr::UNSPECIFIED, address.port()));
        address.ip() == Ipv4Addr::UNSPECIFIED && settings.listen.contains(&Listen::At(both))
    };
    let wanted = settings.listen.iter().filter(|listen| match listen {
        Listen::At(address) => !named_twice(address),
        Listen::Everywhere(_) => true,
    });
    wanted.map(|listen| listen_at(*listen, tuning)).collect()
}

fn listen_at(listen: Listen, tuning: Tuning) -> Result<Listener, String> {
    let cannot =
        |address: SocketAddr| move |error: std::io::Error| format!("cannot listen on {address}: {error}");
    let port = match listen {
        Listen::At(address) => return Listener::bind(address, tuning).map_err(cannot(address)),
        Listen::Everywhere(port) => port,
    };
    // One socket hears both kinds of addresses, where the system has both.
    let both = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    let only_v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    match Listener::bind(both, tuning) {
        Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => {
            Listener::bind(only_v4, tuning).map_err(cannot(only_v4))
        }
        result => result.map_err(cannot(both)),
    }
}

/// The names this server goes by, in lower case: those it was told, those of its origins, and the machine's own.
fn own_names(settings: &config::Settings) -> Vec<String> {
    let told = settings.hosts.iter().cloned();
    let origins = settings.origins.iter().filter_map(|origin| host_of_origin(origin));
    let own = io::full_host_name().map(|name| name.to_ascii_lowercase());
    told.chain(origins).chain(own).collect()
}

/// Tells people where to go, and scripts where the server listens.
fn announce(
    settings: &config::Settings,
    app: &App,
    addresses: &[SocketAddr],
    place: &str,
) -> Result<(), String> {
    let (version, data) = (env!("CARGO_PKG_VERSION"), app.settings.data.display());
    log::info!("deuced {version} serves {data} on {place}");
    if settings.open {
        log::warn!("--open: whoever can reach this port can log in as anybody, by name alone");
    }
    if app.settings.guests {
        log::warn!("guests: whoever can reach this port can talk in rooms that belong to no group");
    }
    let place = |address: &SocketAddr| match address.ip() {
        ip if ip.is_unspecified() => format!("Open http://localhost:{}/\n", address.port()),
        _ => format!("Open http://{address}/\n"),
    };
    print(&addresses.iter().map(place).collect::<String>())
}

/// The file that says where the running server listens.
struct AddressFile(PathBuf);

impl AddressFile {
    /// Writes it as far as it can be: on a full disk the diary can still be read.
    fn write(data: &Path, address: SocketAddr) -> AddressFile {
        let path = data.join("address");
        // Renamed into place, so that nobody reads half of it.
        let fresh = data.join("address.new");
        let written = fs::write(&fresh, format!("{address}\n")).and_then(|()| fs::rename(&fresh, &path));
        if let Err(error) = written {
            log::warn!("{} cannot be written: {error}", path.display());
        }
        AddressFile(path)
    }
}

impl Drop for AddressFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}
