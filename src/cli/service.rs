//! The manager that started the server, if one did: what it handed over, and what it wants to hear (sd_notify(3),
//! sd_listen_fds(3)). Whoever starts it with the same variables gets the same; systemd is not needed for that.
//!
//! Not here: how datagrams and sockets work (`io`).

use crate::api::App;
use crate::io::{Listener, net::Tuning, notify::Notifier, sleep_until};
use std::{
    env,
    ffi::OsString,
    os::fd::RawFd,
    rc::Rc,
    sync::mpsc::{self, RecvTimeoutError},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Where inherited descriptors begin.
const FIRST: RawFd = 3;

/// What is read from the environment, and removed from it: what this process starts is not meant.
const VARIABLES: [&str; 7] = [
    "NOTIFY_SOCKET",
    "WATCHDOG_USEC",
    "WATCHDOG_PID",
    "LISTEN_PID",
    "LISTEN_FDS",
    "LISTEN_FDNAMES",
    "LISTEN_PIDFDID",
];

/// A write may take so many of the watchdog's periods before the writer counts as stuck: five minutes, as the unit has it. A
/// card that is being worn out stops for many seconds at a time, and a disk that was asleep takes half a minute; neither gets
/// better by starting the server anew.
const STUCK_PERIODS: u32 = 5;

/// How often the status is looked at where no watchdog asks more often.
const LOOK_EVERY: Duration = Duration::from_secs(30);

/// The manager's side of this process.
#[derive(Default)]
pub(super) struct Service {
    notifier: Option<Notifier>,
    /// Within this time it wants a sign of life.
    watchdog: Option<Duration>,
    /// The inherited descriptors, by their names.
    sockets: Vec<(RawFd, String)>,
}

impl Service {
    /// Takes over what is there. To be called once, before there is a second thread and before anything is opened: the
    /// numbers of the descriptors are all there is to know them by.
    pub(super) fn take() -> Result<Service, String> {
        let values = VARIABLES.map(|name| env::var_os(name).filter(|value| !value.is_empty()));
        for name in VARIABLES {
            // SAFETY: there is one thread, so nobody reads the environment meanwhile.
            unsafe { env::remove_var(name) };
        }
        let [notify, watchdog, watched, pid, count, names, _] = values;
        let number = |value: &OsString| value.to_str()?.parse::<u64>().ok();
        let is_for_us =
            |value: &Option<OsString>| value.as_ref().and_then(number) == Some(std::process::id().into());
        let mut service = Service::default();
        if let Some(place) = notify {
            match Notifier::to(&place) {
                Ok(notifier) => service.notifier = Some(notifier),
                Err(error) => log::warn!("NOTIFY_SOCKET={}: {error}", place.to_string_lossy()),
            }
        }
        if watched.is_none() || is_for_us(&watched) {
            service.watchdog =
                watchdog.as_ref().and_then(number).filter(|micros| *micros > 0).map(Duration::from_micros);
        }
        if is_for_us(&pid) {
            let count = count.as_ref().and_then(number).and_then(|count| RawFd::try_from(count).ok());
            let count = count.ok_or("LISTEN_FDS: a number of sockets")?;
            let names = names.map(|names| names.to_string_lossy().into_owned()).unwrap_or_default();
            let mut names = names.split(':');
            service.sockets = (0..count)
                .map(|index| (FIRST + index, names.next().unwrap_or_default().to_owned()))
                .collect();
        }
        Ok(service)
    }

    /// The sockets that were handed over, all of them fit to be listened on.
    ///
    /// # Errors
    /// A sentence on the first that is not.
    pub(super) fn listeners(&mut self, tuning: Tuning) -> Result<Vec<Listener>, String> {
        let inherit = |(fd, name): (RawFd, String)| {
            let name = if name.is_empty() { String::new() } else { format!(" ({name})") };
            // SAFETY: these were here before anything was opened, and are in the list once.
            unsafe { Listener::inherit(fd, tuning) }
                .map_err(|error| format!("the inherited descriptor {fd}{name} {error}"))
        };
        std::mem::take(&mut self.sockets).into_iter().map(inherit).collect()
    }

    /// Asks for more time while the diary is checked, copied and migrated, which takes as long as it is large; for half an
    /// hour at most, for a start that never ends is to be given up.
    pub(super) fn begin(&self) -> Opening {
        const EVERY: Duration = Duration::from_secs(5);
        const EXTENSION: Duration = Duration::from_secs(30);
        const LONGEST: Duration = Duration::from_secs(30 * 60);
        let Some(notifier) = &self.notifier else { return Opening { asking: None } };
        let message = format!("EXTEND_TIMEOUT_USEC={}\nSTATUS=opening the diary", EXTENSION.as_micros());
        let (done, wait) = mpsc::channel::<()>();
        let begin = Instant::now();
        // A thread, because whoever opens the diary is busy with it. It ends before the server serves.
        let asking = notifier.another().and_then(|notifier| {
            let ask = move || {
                while wait.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) && begin.elapsed() < LONGEST
                {
                    let _ = notifier.say(&message);
                }
            };
            std::thread::Builder::new().name("start".to_owned()).stack_size(64 << 10).spawn(ask)
        });
        Opening { asking: asking.ok().map(|thread| (done, thread)) }
    }

    /// Says that the server serves.
    pub(super) fn ready(&self, app: &App, place: &str) {
        self.say(&format!("READY=1\nSTATUS={}", status(app, place)));
        if let Some(Err(error)) = self.notifier.as_ref().map(Notifier::never_wait) {
            log::warn!("the service manager is not told any more: {error}");
        }
    }

    /// Says that the server stops.
    pub(super) fn stopping(&self) {
        self.say("STOPPING=1\nSTATUS=finishing what is under way");
    }

    fn say(&self, message: &str) {
        if let Some(Err(error)) = self.notifier.as_ref().map(|notifier| notifier.say(message)) {
            log::warn!("the service manager could not be told: {error}");
        }
    }

    /// Feeds the watchdog and keeps the status true, for ever. It is a task like all others: when the loop hangs, or does not
    /// get to its tasks any more, nobody feeds the watchdog. Nor does anybody when the writer is stuck, because then nothing
    /// would be stored any more until somebody noticed.
    pub(super) async fn attend(self: Rc<Service>, app: Rc<App>, place: String) {
        let Some(notifier) = &self.notifier else { return };
        let period = self.watchdog.map_or(LOOK_EVERY, |patience| patience / 2);
        let longest_write =
            self.watchdog.map_or(Duration::MAX, |patience| patience.saturating_mul(STUCK_PERIODS));
        let mut said = status(&app, &place);
        let mut stuck = false;
        loop {
            let now = status(&app, &place);
            let news = if now == said { String::new() } else { format!("STATUS={now}\n") };
            let was_stuck = std::mem::replace(&mut stuck, app.writing_for() >= longest_write);
            if stuck && !was_stuck {
                let seconds = longest_write.as_secs();
                log::error!(
                    "the store has not finished a write for {seconds} s: the watchdog is not fed any more"
                );
            }
            let alive = if self.watchdog.is_some() && !stuck { "WATCHDOG=1\n" } else { "" };
            let message = format!("{alive}{news}");
            // What was not taken is said again next time; half of the time is left for that.
            if message.is_empty() || notifier.say(&message).is_ok() {
                said = now;
            }
            sleep_until(Instant::now() + period).await;
        }
    }
}

/// The time in which the diary is opened.
pub(super) struct Opening {
    asking: Option<(mpsc::Sender<()>, JoinHandle<()>)>,
}

impl Drop for Opening {
    fn drop(&mut self) {
        if let Some((done, thread)) = self.asking.take() {
            drop(done);
            let _ = thread.join();
        }
    }
}

/// What is served, where, and for whom, in one line.
fn status(app: &App, place: &str) -> String {
    let (people, sockets) = (app.hub.count_people(), app.hub.counters().open);
    let data = app.settings.data.display();
    let plural =
        |count: u64, one: &str, more: &str| format!("{count} {}", if count == 1 { one } else { more });
    let crowd = format!("{} on {}", plural(people, "person", "people"), plural(sockets, "socket", "sockets"));
    format!("serving {data} on {place}; {crowd}")
}
