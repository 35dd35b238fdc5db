//! What the server counts, in the text format that Prometheus reads (version 0.0.4).

use super::Call;
use crate::api::meter::By;
use crate::api::{App, BATCH_MILLIS};
use crate::domain::{Storage, Time};
use crate::http::auth;
use crate::http::error::{Failure, Result};
use crate::http::message::{Body, Response};
use crate::io::STALL_MILLIS;
use std::fmt::{Display, Write};

/// The counters, for who asks from this machine itself, has a login or brings the token for them.
pub fn show(call: &Call<'_>) -> Result<Response> {
    let headers = &call.request.headers;
    let forwarded = ["forwarded", "x-forwarded-for", "x-real-ip"];
    let here = call.peer.address.is_loopback() && !forwarded.iter().any(|name| headers.bytes(name).is_some());
    if !here && call.caller.is_none() && !auth::may_read_metrics(call.server, headers) {
        return Err(Failure::new(401, "Unauthorized"));
    }
    let text = Page::default().write(call.app());
    Ok(Response::new(200, "text/plain; version=0.0.4; charset=utf-8", Body::Bytes(text.into_bytes())))
}

/// The page under construction.
#[derive(Default)]
struct Page(String);

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP deuced_{name} {help}\n# TYPE deuced_{name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &str, value: impl Display) {
        let _ = match labels {
            "" => writeln!(self.0, "deuced_{name} {value}"),
            labels => writeln!(self.0, "deuced_{name}{{{labels}}} {value}"),
        };
    }

    fn one(&mut self, kind: &str, name: &str, help: &str, value: impl Display) {
        self.family(name, kind, help);
        self.line(name, "", value);
    }

    fn counter(&mut self, name: &str, help: &str, value: impl Display) {
        self.one("counter", name, help, value);
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.one("gauge", name, help, value);
    }

    fn write(mut self, app: &App) -> String {
        self.sockets(app);
        self.talk(app);
        self.store(app);
        self.backups(app);
        self.machine(app);
        self.0
    }

    fn sockets(&mut self, app: &App) {
        let (counters, gauges, traffic) = (app.hub.counters(), app.hub.gauges(), app.hub.traffic());
        self.gauge("sockets", "Open sockets.", counters.open);
        self.counter("sockets_opened_total", "Sockets ever opened.", counters.opened);
        self.family("sockets_ended_total", "counter", "Sockets that have ended, with a goodbye or without.");
        self.line("sockets_ended_total", r#"how="graceful""#, counters.graceful);
        self.line("sockets_ended_total", r#"how="forced""#, counters.forced);
        self.gauge("rooms", "Rooms that somebody listens to.", gauges.rooms);
        self.gauge("subscriptions", "Rooms listened to, by all sockets together.", gauges.subscriptions);
        self.gauge("sockets_lagging", "Sockets that are behind and catch up from the log.", gauges.lagging);
        self.counter("socket_lags_total", "Times a socket fell behind.", counters.lags);
        self.gauge("socket_waiting_bytes", "Bytes that wait for sockets to take them.", gauges.waiting_bytes);
        self.counter("deliveries_total", "Events told to sockets.", counters.deliveries);
        self.counter("whispers_total", "Typing and presence told to sockets.", counters.whispers);
        self.counter("socket_sent_bytes_total", "Bytes sent to sockets.", traffic.bytes);
        self.family("ping_rtt_seconds", "summary", "From a ping to the first sign of life after it.");
        self.line("ping_rtt_seconds_sum", "", traffic.pong_micros as f64 / 1e6);
        self.line("ping_rtt_seconds_count", "", traffic.pongs);
    }

    fn talk(&mut self, app: &App) {
        let meter = &app.meter;
        self.counter("messages_received_total", "Texts that came from sockets.", meter.texts.get());
        self.counter("messages_dropped_total", "Texts above the rate, dropped.", meter.dropped.get());
        self.family("resumes_total", "counter", "Subscriptions that named the last event they had seen.");
        self.line("resumes_total", r#"outcome="recovered""#, meter.resumed.get());
        self.line("resumes_total", r#"outcome="lost""#, meter.lost.get());
        self.family("errors_total", "counter", "Requests of sockets that were refused, by code.");
        for (code, count) in meter.refusals() {
            self.line("errors_total", &format!(r#"code="{code}""#), count);
        }
        self.family("closes_total", "counter", "Sockets that were closed, by whom and with which code.");
        for ((by, code), count) in meter.closes() {
            let by = if by == By::Client { "client" } else { "server" };
            self.line("closes_total", &format!(r#"by="{by}",code="{code}""#), count);
        }
        self.counter("failed_logins_total", "Logins and sockets refused.", app.failed_logins.get());
    }

    fn store(&mut self, app: &App) {
        let (writes, waiting) = app.writes();
        let seconds = "commit_seconds";
        self.family(seconds, "histogram", "From a batch's first write to its being on the disk.");
        for (count, most) in writes.within.iter().zip(BATCH_MILLIS) {
            self.line("commit_seconds_bucket", &format!(r#"le="{}""#, most as f64 / 1000.0), count);
        }
        let batches = writes.commits + writes.failures;
        self.line("commit_seconds_bucket", r#"le="+Inf""#, batches);
        self.line("commit_seconds_sum", "", writes.busy.as_secs_f64());
        self.line("commit_seconds_count", "", batches);
        self.counter("commit_failures_total", "Batches that could not be stored.", writes.failures);
        self.counter("writes_total", "Writes done, refused ones among them.", writes.jobs);
        self.family("written_bytes_total", "counter", "Bytes written to the disk since the start, by cause.");
        for (cause, bytes) in app.written().totals() {
            self.line("written_bytes_total", &format!(r#"cause="{}""#, cause.name()), bytes);
        }
        self.family("storage_state", "gauge", "How the storage is: 1 for the state it is in.");
        for state in Storage::ALL {
            let is_so = u8::from(app.storage() == state);
            self.line("storage_state", &format!(r#"state="{}""#, state.name()), is_so);
        }
        if let Some(free) = app.free_bytes() {
            self.gauge("free_bytes", "Space left on the data directory's file system.", free);
        }
        self.family("queue_depth", "gauge", "What waits: writes for the disk, the rest for a worker.");
        self.line("queue_depth", r#"queue="writes""#, waiting);
        self.line("queue_depth", r#"queue="passwords""#, app.passwords.waiting());
        self.line("queue_depth", r#"queue="jobs""#, app.jobs.waiting());
        self.line("queue_depth", r#"queue="reads""#, app.reads.waiting());
    }

    /// Where nothing is known a family is empty: no number would be true.
    fn backups(&mut self, app: &App) {
        let known = app.backups.borrow();
        let mut family = |name: &str, help: &str, value: Option<f64>| {
            self.family(name, "gauge", help);
            value.into_iter().for_each(|value| self.line(name, "", value));
        };
        let (verified, now) = (known.verified.as_ref(), Time::now());
        let age = known.age(now).map(|age| age.as_secs_f64());
        family("backup_age_seconds", "The age of the newest verified copy.", age);
        let at = verified.map(|verified| verified.at.millis() as f64 / 1e3);
        family("backup_last_success_timestamp_seconds", "When the newest verified copy was begun.", at);
        let last_ok = known.last.as_ref().map(|last| f64::from(u8::from(last.failure.is_none())));
        family("backup_last_ok", "Whether the last attempt to make a copy succeeded.", last_ok);
        let bytes = verified.map(|verified| verified.bytes as f64);
        family("backup_bytes", "The size of the newest verified copy.", bytes);
        let seconds = verified.map(|verified| verified.took_millis as f64 / 1e3);
        family("backup_seconds", "How long the newest verified copy took, verifying included.", seconds);
    }

    fn machine(&mut self, app: &App) {
        let turns = crate::io::meter();
        self.counter("loop_turns_total", "Turns of the event loop.", turns.turns);
        self.counter("loop_busy_seconds_total", "Time in turns of the event loop.", turns.busy.as_secs_f64());
        self.gauge("loop_longest_turn_seconds", "The longest turn so far.", turns.longest.as_secs_f64());
        self.family("loop_stalls_total", "counter", "Turns that took at least so many milliseconds.");
        for (count, least) in turns.stalls.iter().zip(STALL_MILLIS) {
            self.line("loop_stalls_total", &format!(r#"at_least_ms="{least}""#), count);
        }
        if let Some(written) = crate::io::written_bytes() {
            self.counter("disk_written_bytes_total", "Bytes this process had written to disk.", written);
        }
        self.gauge("uptime_seconds", "Time since the start.", app.started.elapsed().as_secs());
        self.family("build_info", "gauge", "The version that runs.");
        self.line("build_info", &format!(r#"version="{}""#, env!("CARGO_PKG_VERSION")), 1);
    }
}
