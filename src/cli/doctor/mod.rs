//! `deuced doctor`: looks at everything that a diary on a small machine depends on, says of each thing in one line whether
//! it is well, and what to do where it is not.
//!
//! It writes nothing but a file of 4 KiB, to see how long a sync takes, and removes it. Each file here looks at one side of
//! the house; what is found is judged by functions that know no disk, so that they can be tested with any.

mod data;
mod database;
mod disk;
mod machine;
mod network;
mod through;

pub(super) use network::at;

use crate::cli::config::{self, file};
use crate::cli::wire::Url;
use crate::cli::words::{Asked, Choice, Entry, Job};
use crate::cli::{data_directory, link, print, serve};
use std::{
    env, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// `deuced doctor`.
pub const ENTRY: Entry = Entry {
    name: "doctor",
    arguments: &[],
    brief: "look at all that the diary depends on, and say what to do",
    about: "Looks at the settings, the data directory, the database, its backups, the disk and its card, the clock, memory \
            and network, and says in one line each whether it is well, and what to do where it is not. Works with and \
            without a running server.",
    options: &[
        Choice {
            name: "url",
            value: "URL",
            help: "also open the diary at this address, as a browser would, through whatever proxy is there: page, API and a \
                   socket; names the header or timeout that is missing (docs/proxies.md)",
        },
        Choice {
            name: "wait",
            value: "SECONDS",
            help: "how long that socket is watched; unless said, until the server's next ping is due. 0 only opens it",
        },
    ],
    settings: &["data", "listen", "backup.warn_hours"],
    notes: "Each line begins with ok, warning or problem. The exit status is 1 when there is a problem. To see how long a \
            sync takes, a file of 60 KB is written to the data directory and removed. For https the program openssl does \
            the talking.",
    read,
};

/// The settings of `deuced doctor`.
struct Settings {
    /// Where the diary is for those who use it.
    url: Option<Url>,
    /// For how many seconds a socket there is watched.
    wait: Option<u64>,
    /// What the server would have.
    server: config::Settings,
    /// Where `proc`, `sys` and the like are; elsewhere in tests only.
    root: PathBuf,
}

fn read(asked: Asked) -> Result<Job, String> {
    let seconds =
        |text: String| text.parse().map_err(|_| format!("--wait: '{text}' is no number of seconds"));
    let root = env::var_os("DEUCED_DOCTOR_ROOT").filter(|root| !root.is_empty());
    let settings = Settings {
        url: asked.value("url").as_deref().map(Url::parse).transpose()?,
        wait: asked.value("wait").map(seconds).transpose()?,
        server: asked.settings().clone(),
        root: root.map_or("/".into(), PathBuf::from),
    };
    let told_file = asked.told_file.clone();
    Ok(Box::new(move || run(&settings, told_file.as_deref())))
}

/// What was found of one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Finding {
    /// It is well.
    Ok(String),
    /// It works, and should be looked after: what, and what to do.
    Warning(String, String),
    /// It does not work, or something will be lost: what, and what to do.
    Problem(String, String),
}

fn ok(what: impl Into<String>) -> Finding {
    Finding::Ok(what.into())
}

fn warning(what: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding::Warning(what.into(), remedy.into())
}

fn problem(what: impl Into<String>, remedy: impl Into<String>) -> Finding {
    Finding::Problem(what.into(), remedy.into())
}

/// Tells findings as they come.
#[derive(Default)]
struct Report {
    warnings: usize,
    problems: usize,
    broken: Option<String>,
}

impl Report {
    fn tell(&mut self, finding: Finding) {
        let line = match &finding {
            Finding::Ok(what) => format!("ok: {what}\n"),
            Finding::Warning(what, remedy) => format!("warning: {what}; {remedy}\n"),
            Finding::Problem(what, remedy) => format!("problem: {what}; {remedy}\n"),
        };
        match finding {
            Finding::Ok(_) => {}
            Finding::Warning(..) => self.warnings += 1,
            Finding::Problem(..) => self.problems += 1,
        }
        // What comes from files and strangers stays on its line.
        let line: String = line.trim_end().chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        if let Err(error) = print(&format!("{line}\n")) {
            self.broken = Some(error);
        }
    }

    fn tell_all(&mut self, findings: impl IntoIterator<Item = Finding>) {
        findings.into_iter().for_each(|finding| self.tell(finding));
    }
}

/// What is looked at.
struct Patient<'a> {
    settings: &'a Settings,
    data: PathBuf,
    /// Where the server of this data listens, if one runs.
    server: Option<SocketAddr>,
}

impl Patient<'_> {
    /// A file of the system.
    fn system(&self, path: &str) -> PathBuf {
        self.settings.root.join(path)
    }

    /// What it says, without the end of its line; nothing where there is none.
    fn read(&self, path: impl AsRef<Path>) -> Option<String> {
        let text = fs::read_to_string(self.settings.root.join(path)).ok()?;
        Some(text.trim_end().to_owned())
    }
}

/// Looks at everything, and fails when something is not well.
fn run(settings: &Settings, told_file: Option<&str>) -> Result<(), String> {
    serve::shift_clock()?;
    let data = data_directory(settings.server.data.clone())?;
    let mut report = Report::default();
    let (address, running) = link::server_of(&data, settings.server.port());
    let patient = Patient { settings, data, server: running.then_some(address) };
    report.tell_all(check_settings(told_file));
    if data::check(&patient, &mut report) {
        database::check(&patient, &mut report);
        disk::check(&patient, &mut report);
    }
    machine::check(&patient, &mut report);
    network::check(&patient, &mut report);
    if let Some(url) = &settings.url {
        through::check(&patient, url, &mut report);
    }
    if let Some(error) = report.broken {
        return Err(error);
    }
    let count = |number: usize, word: &str| match number {
        0 => format!("no {word}s"),
        1 => format!("1 {word}"),
        many => format!("{many} {word}s"),
    };
    let summary = format!("{}, {}", count(report.problems, "problem"), count(report.warnings, "warning"));
    if report.problems > 0 { Err(summary) } else { print(&format!("{summary}\n")) }
}

/// Whether the file of settings can be read, and every line of it is understood.
fn check_settings(told_file: Option<&str>) -> Vec<Finding> {
    let Some(path) = file::find(told_file, &|name| env::var(name).ok()) else {
        return vec![ok(format!("there is no {}, so defaults count", file::PLACE))];
    };
    let remedy = "'deuced check-config' says it again when that is corrected";
    match file::read(&path) {
        Ok((said, mut problems)) => {
            problems.extend(file::open_secret(&path, &said));
            match problems.is_empty() {
                true => vec![ok(format!("{} is understood, {} settings", path.display(), said.len()))],
                false => problems.into_iter().map(|wrong| problem(wrong.to_string(), remedy)).collect(),
            }
        }
        Err(error) => vec![problem(error, remedy)],
    }
}

/// Bytes as people read them.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [&str; 4] = ["KB", "MB", "GB", "TB"];
    let mut value = bytes as f64 / 1000.0;
    let mut unit = 0;
    while value >= 1000.0 && unit < UNITS.len() - 1 {
        value /= 1000.0;
        unit += 1;
    }
    match bytes {
        0..=999 => format!("{bytes} bytes"),
        _ if value < 10.0 => format!("{value:.1} {}", UNITS[unit]),
        _ => format!("{value:.0} {}", UNITS[unit]),
    }
}

/// A span of time as people say it.
pub(super) fn span(seconds: i64) -> String {
    match seconds {
        i64::MIN..=119 => format!("{} s", seconds.max(0)),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_and_spans_are_short() {
        for (bytes, text) in [
            (0, "0 bytes"),
            (999, "999 bytes"),
            (1500, "1.5 KB"),
            (20_000_000, "20 MB"),
            (32_000_000_000, "32 GB"),
        ] {
            assert_eq!(size(bytes), text);
        }
        for (seconds, text) in
            [(-5, "0 s"), (60, "60 s"), (121, "2 min"), (7300, "2 h"), (90_000, "25 h"), (864_000, "10 days")]
        {
            assert_eq!(span(seconds), text);
        }
    }
}
