//! Whether the server is well.

use super::Call;
use crate::domain::Time;
use crate::http::error::Result;
use crate::http::message::Response;
use crate::http::sight;
use serde_json::json;
use std::time::Instant;

/// Says how the server does; 503 when the database does not answer.
pub fn show(call: &Call<'_>) -> Result<Response> {
    let app = call.app();
    let asked = Instant::now();
    let well = app.db().ping().is_ok();
    let latency = asked.elapsed().as_secs_f64() * 1000.0;
    let sockets = app.hub.counters();
    let turns = crate::io::meter();
    let (backups, now) = (app.backups.borrow(), Time::now());
    let storage = app.storage();
    let mut body = json!({
        "ok": well,
        "status": if well { "ok" } else { "error" },
        "db": if well { "ok" } else { "error" },
        "storage": {
            "state": storage.name(),
            "message": storage.sentence(),
            "freeBytes": app.free_bytes(),
        },
        "dbLatencyMs": (latency * 1000.0).round() / 1000.0,
        "ws": {
            "activeConnections": sockets.open,
            "totalConnections": sockets.opened,
            "failedAuthentications": app.failed_logins.get(),
            "gracefulDisconnects": sockets.graceful,
            "forcedDisconnects": sockets.forced,
        },
        "backup": {
            "ageSeconds": backups.age(now).map(|age| age.as_secs()),
            "ok": backups.is_well(now, app.settings.backup.warn_hours),
        },
        "loop": { "turns": turns.turns, "longestTurnMs": turns.longest.as_secs_f64() * 1000.0 },
        "timestamp": Time::now().to_string(),
        "uptime": app.started.elapsed().as_secs(),
        "version": env!("CARGO_PKG_VERSION"),
        "name": env!("CARGO_PKG_NAME"),
        "arch": std::env::consts::ARCH,
        "environment": "production",
    });
    if let Some(seen) = sight::of(call.server, &call.request, &call.peer) {
        body["seen"] = seen;
    }
    Ok(Response::json(if well { 200 } else { 503 }, body.to_string()))
}
