//! The server as its neighbours find it: whether it answers, at which address, and by which name.

use super::{Finding, Patient, Report, ok, problem, warning};
use crate::cli::link;
use crate::cli::wire::{self, Asking, Url};
use crate::io::lan;
use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    time::Duration,
};

/// How long an answer may take.
pub(super) const ASKING: Asking = Asking { patience: Duration::from_secs(5), trust: false };

/// Looks at the server from this machine, and at how others find it.
pub(super) fn check(patient: &Patient<'_>, report: &mut Report) {
    let Some(address) = patient.server else {
        report.tell(problem(
            format!("no server runs on {}", patient.data.display()),
            "start it: 'systemctl start deuced', and 'journalctl -u deuced' says why it ended",
        ));
        return;
    };
    let here = at(address);
    report.tell(judge_health(&here.authority(), health(&here, &[])));
    if address.ip().is_loopback() {
        report.tell(ok("it listens for this machine only, where a proxy may stand before it"));
        return;
    }
    if let Some(own) = lan::address().filter(|_| address.ip().is_unspecified()) {
        let url = Url { host: own.to_string(), ..here };
        report.tell(judge_reach(&url.authority(), health(&url, &[]).is_ok()));
    }
    if let Some(name) = lan::host_name() {
        let name = format!("{name}.local");
        let has_avahi = patient.system("run/avahi-daemon/socket").exists();
        let known = (name.as_str(), address.port()).to_socket_addrs().is_ok();
        report.tell(judge_name(&name, has_avahi, known, &link::places(address)));
    }
}

/// Where this machine itself finds a server that listens there.
pub(in crate::cli) fn at(address: SocketAddr) -> Url {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        other => other.to_canonical(),
    };
    // Where one socket hears both kinds, the plain one always works.
    let ip = if ip == IpAddr::V6(Ipv6Addr::LOCALHOST) && address.ip().is_unspecified() {
        Ipv4Addr::LOCALHOST.into()
    } else {
        ip
    };
    Url { https: false, host: ip.to_string(), port: address.port(), path: "/".to_owned() }
}

/// What `/api/health` says.
pub(super) fn health(url: &Url, headers: &[(&str, &str)]) -> Result<serde_json::Value, String> {
    let answer = wire::ask(url, "GET", "/api/health", headers, None, ASKING)?;
    let health = answer.json();
    match health["name"].as_str() {
        Some("deuced") => Ok(health),
        _ => Err(format!("what answers there is no deuced (status {})", answer.status)),
    }
}

fn judge_health(place: &str, health: Result<serde_json::Value, String>) -> Finding {
    const OWN: &str = env!("CARGO_PKG_VERSION");
    let health = match health {
        Ok(health) => health,
        Err(error) => {
            return problem(
                format!("the server holds the data, but does not answer at {place} ({error})"),
                "look at 'journalctl -u deuced', and start it again",
            );
        }
    };
    let version = health["version"].as_str().unwrap_or("?");
    let storage = health["storage"]["state"].as_str().unwrap_or("ok");
    if storage != "ok" {
        let message = health["storage"]["message"].as_str().unwrap_or("nothing is stored");
        return problem(
            format!("the server answers at {place}, but its storage is {storage} ({message})"),
            "see the lines on the disk and the database above",
        );
    }
    if health["ok"] != true {
        return problem(
            format!("the server at {place} cannot read its database"),
            "look at 'journalctl -u deuced'",
        );
    }
    if version != OWN {
        return warning(
            format!("the server at {place} is of version {version}, and this program of {OWN}"),
            "start it again: 'systemctl restart deuced'",
        );
    }
    let latency = health["dbLatencyMs"].as_f64().unwrap_or(0.0);
    ok(format!("the server answers at {place} (version {version}, database in {latency} ms)"))
}

fn judge_reach(place: &str, reached: bool) -> Finding {
    match reached {
        true => ok(format!(
            "it answers at {place}, where others in the network find it unless a firewall forbids it"
        )),
        false => problem(
            format!("it does not answer at {place}, where others in the network look for it"),
            "see what --listen says, and whether a firewall ('nft list ruleset') forbids the port",
        ),
    }
}

fn judge_name(name: &str, has_avahi: bool, known: bool, places: &[String]) -> Finding {
    let address = places.first().map_or("its address", String::as_str);
    match (has_avahi, known) {
        (true, true) => ok(format!("others find it as {name}")),
        (true, false) => {
            ok(format!("others find it as {name}; this machine itself does not know that name (libnss-mdns)"))
        }
        (false, _) => warning(
            format!("nobody tells the network the name {name}"),
            format!("'apt install avahi-daemon', or have people use {address}"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_server_that_is_not_well_says_so() {
        let own = env!("CARGO_PKG_VERSION");
        let judged = |health| judge_health("127.0.0.1:1", health);
        let well = json!({ "ok": true, "version": own, "dbLatencyMs": 0.1, "storage": { "state": "ok" } });
        assert!(matches!(judged(Ok(well)), Finding::Ok(_)));
        let old = json!({ "ok": true, "version": "0.0.1" });
        assert!(matches!(judged(Ok(old)), Finding::Warning(what, _) if what.contains("version 0.0.1")));
        let full =
            json!({ "ok": true, "version": own, "storage": { "state": "full", "message": "no room" } });
        assert!(matches!(judged(Ok(full)), Finding::Problem(what, _) if what.contains("full (no room)")));
        assert!(matches!(judged(Ok(json!({ "ok": false, "version": own }))), Finding::Problem(..)));
        assert!(
            matches!(judged(Err("refused".to_owned())), Finding::Problem(what, _) if what.contains("refused"))
        );
    }

    #[test]
    fn servers_are_asked_where_they_listen() {
        for (listens, asked) in [
            ("0.0.0.0:81", "127.0.0.1:81"),
            ("[::]:81", "127.0.0.1:81"),
            ("[::1]:81", "[::1]:81"),
            ("192.168.1.7:81", "192.168.1.7:81"),
        ] {
            assert_eq!(at(listens.parse().unwrap()).authority(), asked);
        }
    }

    #[test]
    fn names_and_addresses() {
        assert!(
            matches!(judge_name("pi.local", false, false, &["http://10.0.0.1:81".to_owned()]), Finding::Warning(_, remedy) if remedy.contains("http://10.0.0.1:81"))
        );
        assert!(matches!(judge_name("pi.local", true, true, &[]), Finding::Ok(_)));
        assert!(matches!(judge_reach("10.0.0.1:81", false), Finding::Problem(..)));
    }
}
