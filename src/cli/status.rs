//! `deuced status`: the diary at a glance, beside a running server or without one. Reads only, and writes nothing at all.

use crate::api::{backup::Attempt, database_path};
use crate::cli::doctor::{at, size, span};
use crate::cli::wire::{self, Asking};
use crate::cli::words::{Asked, Choice, Entry, Job, WITH_LINK};
use crate::cli::{data_directory, link, print};
use crate::domain::Time;
use crate::io::disk;
use crate::store::log_of;
use crate::store::look::{self, Look, Written};
use serde_json::{Value, json};
use std::{
    fmt::Write,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

/// `deuced status`.
pub const ENTRY: Entry = Entry {
    name: "status",
    arguments: &[],
    brief: "show the diary at a glance: server, size, newest backup, card",
    about: "Shows the diary at a glance: the server, who and what is in the diary, its size and the room left, the newest \
            verified backup, and what went to the card. Works with and without a running server, and writes nothing.",
    options: &[Choice { name: "json", value: "", help: "the same for programs" }],
    settings: WITH_LINK,
    notes: "'deuced doctor' says whether all of that is well.",
    read,
};

fn read(asked: Asked) -> Result<Job, String> {
    let (data, port, json) = (asked.settings().data.clone(), asked.settings().port(), asked.has("json"));
    Ok(Box::new(move || run(data, port, json)))
}

/// All that is shown.
struct Status {
    data: PathBuf,
    /// Where the server listens, if one runs, and what it says of itself, if it answers.
    server: Option<(SocketAddr, Option<Value>)>,
    look: Look,
    database_bytes: u64,
    free_bytes: Option<u64>,
    backup: Option<(Attempt, bool)>,
    failed_backup: Option<Attempt>,
    written: Vec<Written>,
    now: Time,
}

/// Shows it.
fn run(told: Option<PathBuf>, port: u16, json: bool) -> Result<(), String> {
    let sentence = |error: crate::domain::Error| error.to_string();
    let data = data_directory(told)?;
    let path = database_path(&data);
    if !path.is_file() {
        return Err(format!("there is no diary in {}", data.display()));
    }
    let (address, running) = link::server_of(&data, port);
    let server = running.then(|| (address, ask(address)));
    let db = look::open(&path, running).map_err(sentence)?;
    let (good, last) = look::backups(&db).map_err(sentence)?;
    let now = Time::now();
    let status = Status {
        look: look::at(&db).map_err(sentence)?,
        database_bytes: bytes_of(&path),
        free_bytes: disk::space(&data).ok().map(|space| space.free),
        backup: good.map(|good| {
            let same_disk = disk::are_together(Path::new(&good.path), &data);
            (good, same_disk)
        }),
        failed_backup: last.filter(|last| last.failure.is_some()),
        written: look::written(&db, now).map_err(sentence)?,
        server,
        data,
        now,
    };
    print(&if json { status.to_json() } else { status.to_text() })
}

fn ask(address: SocketAddr) -> Option<Value> {
    let asking = Asking { patience: Duration::from_secs(3), trust: false };
    let answer = wire::ask(&at(address), "GET", "/api/health", &[], None, asking).ok()?;
    Some(answer.json()).filter(|health| health["name"] == "deuced")
}

/// The database with what is still in its log.
fn bytes_of(path: &Path) -> u64 {
    [path, &log_of(path)].iter().map(|path| fs::metadata(path).map_or(0, |about| about.len())).sum()
}

impl Status {
    fn health(&self) -> &Value {
        const NOTHING: &Value = &Value::Null;
        self.server.as_ref().and_then(|(_, health)| health.as_ref()).unwrap_or(NOTHING)
    }

    /// Since when the server runs.
    fn since(&self) -> Option<Time> {
        Some(self.now.plus_seconds(-self.health()["uptime"].as_i64()?))
    }

    fn to_text(&self) -> String {
        let health = self.health();
        let mut text = String::new();
        let mut row = |name: &str, value: &str| {
            let _ = writeln!(text, "{name:<10} {value}");
        };
        match &self.server {
            None => row("server", &format!("does not run (this is version {})", env!("CARGO_PKG_VERSION"))),
            Some((address, None)) => {
                row("server", &format!("holds the data, but does not answer on {address}"))
            }
            Some((address, Some(_))) => {
                let uptime = span(health["uptime"].as_i64().unwrap_or(0));
                let since = self.since().map(Time::minute).unwrap_or_default();
                let version = health["version"].as_str().unwrap_or("?");
                row("server", &format!("version {version}, runs since {since} ({uptime})"));
                row("address", &format!("{address}, so {}", link::places(*address).join(" or ")));
                row("sockets", &health["ws"]["activeConnections"].to_string());
            }
        }
        let Look { people, groups, entries, .. } = self.look;
        row("diary", &format!("{people} people, {groups} groups, {entries} entries"));
        let free = self.free_bytes.map_or("?".to_owned(), size);
        row("data", &format!("{} ({}; {free} free)", self.data.display(), size(self.database_bytes)));
        if self.look.step < look::STEPS {
            row("version", &format!("step {} of {}; the next start updates it", self.look.step, look::STEPS));
        }
        if let Some(state) = health["storage"]["state"].as_str() {
            let message = health["storage"]["message"].as_str().unwrap_or_default();
            row("storage", format!("{state} {message}").trim_end());
        }
        row("backup", &self.backup_text());
        if let Some(Attempt { at, failure: Some(failure), .. }) = &self.failed_backup {
            row("", &format!("the last try failed, {}: {failure}", at.minute()));
        }
        let sum = |of: fn(&Written) -> i64| size(self.written.iter().map(of).sum::<i64>() as u64);
        // The server saves its counts each megabyte or hour.
        let late = if self.server.is_some() { " (the last hour may be missing)" } else { "" };
        if !self.written.is_empty() {
            row("card", &format!("{} written today, {} in 7 days{late}", sum(|w| w.today), sum(|w| w.week)));
        }
        for Written { cause, today, week } in &self.written {
            row(
                "",
                &format!("{cause:<12} {:>9} today, {:>9} in 7 days", size(*today as u64), size(*week as u64)),
            );
        }
        text
    }

    fn backup_text(&self) -> String {
        let Some((good, same_disk)) = &self.backup else {
            return "there has been no verified one".to_owned();
        };
        let age = span((self.now.millis() - good.at.millis()) / 1000);
        let place = match (Path::new(&good.path).is_file(), same_disk) {
            (false, _) => ", not there now",
            (true, true) => ", on the same disk",
            (true, false) => "",
        };
        format!("verified, {age} old: {} ({}{place})", good.path, size(good.bytes))
    }

    fn to_json(&self) -> String {
        let health = self.health();
        let backup = self.backup.as_ref().map(|(good, same_disk)| {
            json!({
                "at": good.at.to_string(),
                "ageSeconds": (self.now.millis() - good.at.millis()) / 1000,
                "path": good.path,
                "bytes": good.bytes,
                "there": Path::new(&good.path).is_file(),
                "sameDisk": same_disk,
            })
        });
        let failed = self.failed_backup.as_ref();
        let failed = failed.map(|last| json!({ "at": last.at.to_string(), "failure": last.failure }));
        let written: serde_json::Map<String, Value> = self
            .written
            .iter()
            .map(|of| (of.cause.clone(), json!({ "todayBytes": of.today, "weekBytes": of.week })))
            .collect();
        let status = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "server": self.server.as_ref().map(|(address, health)| json!({
                "answers": health.is_some(),
                "address": address.to_string(),
                "version": self.health()["version"],
                "since": self.since().map(|since| since.to_string()),
                "uptimeSeconds": self.health()["uptime"],
                "sockets": self.health()["ws"]["activeConnections"],
            })),
            "people": self.look.people,
            "groups": self.look.groups,
            "entries": self.look.entries,
            "data": self.data.display().to_string(),
            "databaseBytes": self.database_bytes,
            "freeBytes": self.free_bytes,
            "step": self.look.step,
            "stepsKnown": look::STEPS,
            "storage": health["storage"],
            "backup": backup,
            "failedBackup": failed,
            "written": written,
        });
        format!("{status:#}\n")
    }
}
