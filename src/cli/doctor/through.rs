//! The diary as its people open it: through whatever proxy stands before it. Names the header or the timeout that is
//! missing there.
//!
//! What arrived at the server is asked of the server itself, which tells it only to those who can read its data
//! (`api/proof.rs`). From any other machine this sees what everybody sees, and says so.

use super::network::at;
use super::{Finding, Patient, Report, ok, problem, span, warning};
use crate::api::{database_path, proof};
use crate::cli::wire::{self, Answer, Asking, Ends, Url, Watched, While};
use crate::store::look;
use serde_json::Value;
use std::{
    net::{IpAddr, SocketAddr},
    time::{Duration, Instant},
};

/// The header that brings the proof.
const PROOF: &str = "X-Deuced-Doctor";

/// What a client says that would like to be somebody else. The addresses are ones of documentation (RFC 5737).
const LIES: [(&str, &str); 2] =
    [("X-Forwarded-For", "198.51.100.77"), ("Forwarded", "for=198.51.100.78;proto=https")];

/// Where the words for a proxy's settings are.
const PAGE: &str = "docs/proxies.md";

/// Opens the diary at a URL and tells what is missing on the way.
pub(super) fn check(patient: &Patient<'_>, url: &Url, report: &mut Report) {
    let Some((ends, asking)) = reach(url, report) else { return };
    if url.path != "/" {
        report.tell(problem(
            format!(
                "{} is a part of a site, and the diary's page and its socket are asked for at the root",
                url.path
            ),
            "give the diary a name of its own, such as diary.example",
        ));
    }
    let page = wire::ask(url, "GET", "/", &[("Accept", "text/html")], None, asking);
    let found = judge_page(url, page, patient.server);
    let stop = matches!(found, Finding::Problem(..));
    report.tell(found);
    if stop {
        return;
    }
    let proof = make_proof(patient);
    let origin = url.origin();
    let headers: Vec<(&str, &str)> = [("Origin", origin.as_str())]
        .into_iter()
        .chain(proof.iter().map(|proof| (PROOF, proof.as_str())))
        .collect();
    let plain = wire::ask(url, "GET", "/api/health", &headers, None, asking);
    let plain = match plain.map(|answer| answer.json()) {
        Ok(health) if health["name"] == "deuced" => health,
        Ok(_) => {
            let what = format!("what answers at {origin}/api/health is no deuced");
            report.tell(problem(
                what,
                format!("have the proxy hand everything on, and nothing only below /api ({PAGE})"),
            ));
            return;
        }
        Err(error) => {
            report.tell(problem(
                format!("{origin}/api/health does not answer ({error})"),
                format!("see {PAGE}"),
            ));
            return;
        }
    };
    let lied: Vec<(&str, &str)> = headers.iter().copied().chain(LIES).collect();
    let lied = wire::ask(url, "GET", "/api/health", &lied, None, asking);
    let lied = lied.map(|answer| answer.json()["seen"].clone()).unwrap_or_default();
    match Seen::read(&plain["seen"]) {
        Some(seen) => {
            let direct = leads_to_the_server(patient, url, ends);
            report.tell_all(judge_seen(url, ends.here, direct, &seen, Seen::read(&lied).as_ref()));
        }
        None => report.tell(warning(
            "what arrived at the server is not known, because its data is not here",
            "run this on the server's machine, as root or as the data's owner",
        )),
    }
    let ping_every = plain["seen"]["pingEverySeconds"]
        .as_u64()
        .unwrap_or(patient.settings.server.limits.ping_every_seconds);
    let picture =
        plain["seen"]["pictureBytes"].as_u64().unwrap_or(patient.settings.server.limits.picture_bytes);
    report.tell(judge_upload(picture, &upload(url, picture, &headers, asking), proof.is_some()));
    try_socket(url, asking, ping_every, patient.settings.wait, report);
}

/// Whether anybody is there, and, over https, whether this machine trusts them.
fn reach(url: &Url, report: &mut Report) -> Option<(Ends, Asking)> {
    let asking = Asking { patience: Duration::from_secs(10), trust: false };
    let ends = match wire::reach(url, Duration::from_secs(5)) {
        Ok(ends) => ends,
        Err(error) => {
            let what = format!("nobody answers at {} ({error})", url.origin());
            report
                .tell(problem(what, "see whether the proxy runs, and whether the name leads to its address"));
            return None;
        }
    };
    if !url.https {
        return Some((ends, asking));
    }
    if !wire::has_openssl() {
        let what = format!(
            "{} cannot be looked into: there is no program 'openssl' to speak https with",
            url.origin()
        );
        report.tell(problem(what, "apt install openssl"));
        return None;
    }
    match wire::check_certificate(url) {
        Ok(()) => {
            report.tell(ok(format!("this machine trusts the certificate of {}", url.host)));
            Some((ends, asking))
        }
        Err(reason) => {
            report.tell(warning(
                format!("this machine does not trust the certificate of {} ({reason})", url.host),
                "if it is the household's own, give its root certificate to all devices (docs/https.md)",
            ));
            Some((ends, Asking { trust: true, ..asking }))
        }
    }
}

fn make_proof(patient: &Patient<'_>) -> Option<String> {
    let db = look::open(&database_path(&patient.data), patient.server.is_some()).ok()?;
    proof::make(&db).ok()?
}

/// Whether there is no proxy at all.
fn leads_to_the_server(patient: &Patient<'_>, url: &Url, ends: Ends) -> bool {
    let Some(server) = patient.server.filter(|_| !url.https) else { return false };
    let same_place =
        server.ip().is_unspecified() || server.ip().to_canonical() == ends.there.ip().to_canonical();
    // A port of this machine, whichever address it was asked for at.
    let own = ends.here == ends.there.ip().to_canonical();
    own && same_place && server.port() == ends.there.port()
}

fn judge_page(url: &Url, page: Result<Answer, String>, server: Option<SocketAddr>) -> Finding {
    let origin = url.origin();
    let place = server.map_or("127.0.0.1:8222".to_owned(), |server| at(server).authority());
    let page = match page {
        Ok(page) => page,
        Err(error) => {
            return problem(format!("{origin} does not answer ({error})"), "see the proxy's own log");
        }
    };
    let by = page.header("server").unwrap_or("it");
    match page.status {
        200 => ok(format!("{origin} shows the page")),
        421 => problem(
            format!("the server does not go by the name it is asked for at {origin} (421)"),
            format!(
                "start it with --host {} (host in deuced.toml), and have the proxy hand on the Host it was asked for ({PAGE})",
                url.host
            ),
        ),
        502..=504 if page.header("x-request-id").is_none() => problem(
            format!("the proxy at {origin} does not reach the server ({}, {by})", page.status),
            format!("let it go to {place}, where the server listens, and see that the server runs"),
        ),
        503 => ok(format!("{origin} shows the page of a server that has no owner yet ('deuced claim')")),
        301 | 302 | 307 | 308 => problem(
            format!("{origin} leads on to {}", page.header("location").unwrap_or("nowhere")),
            "ask for that address instead: --url",
        ),
        401 | 403 => problem(
            format!(
                "{origin} asks for a password of its own, or keeps this machine out ({}, {by})",
                page.status
            ),
            "let the diary ask for passwords: programs, devices and sockets cannot answer the proxy's",
        ),
        status => problem(
            format!("{origin} answers {status} for the page ({by})"),
            format!("have the proxy hand everything on ({PAGE})"),
        ),
    }
}

/// What the server saw of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Seen {
    neighbour: String,
    trusted: bool,
    client: String,
    https: bool,
    host: String,
    own_page: bool,
    /// What proxies said, or handed on: names of headers and their values.
    told: Vec<(String, String)>,
}

impl Seen {
    fn read(seen: &Value) -> Option<Seen> {
        let text = |name: &str| seen[name].as_str().unwrap_or_default().to_owned();
        Some(Seen {
            neighbour: seen["neighbour"].as_str()?.to_owned(),
            trusted: seen["trusted"] == true,
            client: text("client"),
            https: seen["https"] == true,
            host: text("host"),
            own_page: seen["ownPage"] == true,
            told: seen["told"]
                .as_object()?
                .iter()
                .map(|(name, value)| (name.clone(), value.as_str().unwrap_or_default().to_owned()))
                .collect(),
        })
    }

    fn has(&self, header: &str) -> bool {
        self.told.iter().any(|(told, _)| told == header)
    }
}

fn judge_seen(url: &Url, here: IpAddr, direct: bool, seen: &Seen, lied: Option<&Seen>) -> Vec<Finding> {
    let mut found = Vec::new();
    if direct {
        found.push(ok("that is the server itself, without a proxy"));
        found.extend(judge_name(url, seen));
        return found;
    }
    let proxy = &seen.neighbour;
    let names_client = seen.has("x-forwarded-for") || seen.has("forwarded");
    let names_scheme = seen.has("x-forwarded-proto") || seen.has("forwarded");
    if !names_client {
        found.push(problem(
            format!("the proxy at {proxy} does not say who its clients are (no X-Forwarded-For): to the server all of them are {proxy}"),
            format!("nginx: proxy_set_header X-Forwarded-For $remote_addr; ({PAGE})"),
        ));
    }
    if !seen.trusted {
        found.push(problem(
            format!("the server does not believe the proxy at {proxy}: to it all clients are {proxy}"),
            format!("start it with --trusted-proxy {proxy} (trusted_proxy = [\"{proxy}\"] in deuced.toml)"),
        ));
    } else if names_client && seen.client == *proxy && *proxy != here.to_string() {
        found.push(problem(
            format!(
                "what the proxy says of its clients cannot be read, so to the server all of them are {proxy}"
            ),
            format!("X-Forwarded-For holds addresses and nothing else ({PAGE})"),
        ));
    } else if names_client && lied.is_some_and(|lied| believes(lied, seen)) {
        found.push(problem(
            "the proxy hands on what clients say of themselves (X-Forwarded-For, Forwarded): anybody can have any address",
            format!("nginx: proxy_set_header X-Forwarded-For $remote_addr; proxy_set_header Forwarded \"\"; ({PAGE})"),
        ));
    } else if names_client {
        found.push(ok(format!(
            "the server sees this machine as {}, through the proxy at {proxy}",
            seen.client
        )));
    }
    if url.https && seen.trusted && !seen.https {
        let missing =
            if names_scheme { "what it says of https cannot be read" } else { "no X-Forwarded-Proto" };
        found.push(problem(
            format!("the proxy does not say that its clients speak https ({missing}): cookies are not Secure, and links begin with http"),
            format!("nginx: proxy_set_header X-Forwarded-Proto $scheme; ({PAGE})"),
        ));
    }
    if !url.https && seen.https {
        found.push(warning(
            "the proxy says https where http was spoken: browsers keep no Secure cookies from there",
            format!("nginx: proxy_set_header X-Forwarded-Proto $scheme; ({PAGE})"),
        ));
    }
    found.extend(judge_name(url, seen));
    found
}

/// Whether the server took a client's word, or could have been confused by it.
fn believes(lied: &Seen, seen: &Seen) -> bool {
    let handed_on =
        |name: &str, word: &str| lied.told.iter().any(|(told, value)| told == name && value.contains(word));
    lied.client != seen.client || lied.https != seen.https || handed_on("forwarded", LIES[1].1)
}

/// The name the server is asked for, which decides whether a page counts as its own.
fn judge_name(url: &Url, seen: &Seen) -> Option<Finding> {
    let wanted = url.authority();
    (!seen.own_page).then(|| {
        let what = match seen.host == wanted {
            true => format!("the page at {} is not the server's own", url.origin()),
            false => format!(
                "the proxy changed the name: {wanted} was asked for, and the server saw {}",
                seen.host
            ),
        };
        problem(
            format!("{what}: logins and sockets of browsers are refused (403)"),
            format!(
                "nginx: proxy_set_header Host $http_host; or start the server with --origin {} ({PAGE})",
                url.origin()
            ),
        )
    })
}

/// Sends as much as a picture may have, where nobody is who might want it.
fn upload(url: &Url, bytes: u64, headers: &[(&str, &str)], asking: Asking) -> Result<Answer, String> {
    let headers: Vec<(&str, &str)> =
        headers.iter().copied().chain([("Content-Type", "image/jpeg")]).collect();
    let body = vec![0; usize::try_from(bytes).unwrap_or(usize::MAX)];
    let asking = Asking { patience: Duration::from_secs(60), ..asking };
    wire::ask(url, "POST", "/api/auth/user/profile-picture", &headers, Some(body), asking)
}

fn judge_upload(bytes: u64, answer: &Result<Answer, String>, proven: bool) -> Finding {
    let size = super::size(bytes);
    match answer {
        // Without a login the server itself refuses it; that it does is the sign that it was let through.
        Ok(answer) if answer.header("x-request-id").is_some() => {
            ok(format!("pictures of {size} come through"))
        }
        Ok(answer) if answer.status == 413 => problem(
            format!("the proxy lets no pictures of {size} through (413)"),
            format!("nginx: client_max_body_size 6m; Caddy: max_size 6MB ({PAGE})"),
        ),
        // A server that was not told who asks refuses so much before it has all of it, which some proxies cannot hand on.
        Ok(answer) if !proven && answer.status == 502 => warning(
            format!("whether pictures of {size} come through is not known"),
            "run this on the server's machine",
        ),
        Ok(answer) => problem(
            format!("the proxy lets no pictures of {size} through ({})", answer.status),
            format!("have it take bodies of {size} and hand them on ({PAGE})"),
        ),
        Err(error) => problem(
            format!("the proxy lets no pictures of {size} through ({error})"),
            format!("have it take bodies of {size} and hand them on ({PAGE})"),
        ),
    }
}

fn try_socket(url: &Url, asking: Asking, ping_every: u64, wait: Option<u64>, report: &mut Report) {
    let mut socket = match wire::open_socket(url, asking) {
        Ok(Ok(socket)) => socket,
        Ok(Err(answer)) => return report.tell(judge_refusal(&answer)),
        Err(error) => {
            return report.tell(problem(format!("no socket comes through ({error})"), format!("see {PAGE}")));
        }
    };
    let Some(took) = socket.ping(Duration::from_secs(5)) else {
        return report.tell(problem(
            "a socket opens, but what is said on it does not come through",
            format!("switch off buffering for /ws in the proxy ({PAGE})"),
        ));
    };
    report.tell(ok(format!("a socket opens, and an answer on it takes {} ms", took.as_millis())));
    let wait = wait.unwrap_or(ping_every + 5);
    if wait == 0 {
        return socket.close();
    }
    let watched = socket.watch(Instant::now() + Duration::from_secs(wait));
    report.tell(judge_watched(watched, ping_every));
    if watched.end == While::Open {
        socket.close();
    }
}

fn judge_refusal(answer: &Answer) -> Finding {
    match answer.status {
        400 | 404 | 426 | 101 => problem(
            format!(
                "no socket comes through ({}): the proxy does not hand on Upgrade and Connection",
                answer.status
            ),
            format!(
                "nginx: proxy_http_version 1.1; proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade; ({PAGE})"
            ),
        ),
        403 => problem(
            "the server refuses the socket of this page (403): the proxy changed Host or Origin",
            format!("nginx: proxy_set_header Host $http_host; ({PAGE})"),
        ),
        421 => problem(
            "the server does not go by the name that the proxy asks for (421)",
            format!("start it with --host NAME, and have the proxy hand on Host ({PAGE})"),
        ),
        503 => ok(
            "no socket was tried: the server takes none now, because it has no owner yet or has all it may have",
        ),
        status => {
            problem(format!("no socket comes through ({status})"), format!("see the proxy's log, and {PAGE}"))
        }
    }
}

fn judge_watched(watched: Watched, ping_every: u64) -> Finding {
    let Watched { end, pings, open, silent } = watched;
    let shown = span(open.as_secs_f64().round() as i64);
    match end {
        While::Open if pings == 0 && open > Duration::from_secs(ping_every + 3) => problem(
            format!("the server's pings (each {ping_every} s) did not come through in {shown}"),
            format!("switch off buffering for /ws in the proxy ({PAGE})"),
        ),
        While::Open if pings == 0 => {
            ok(format!("the socket stayed open for {shown}; the server's pings come each {ping_every} s"))
        }
        While::Open => ok(format!("the socket stayed open for {shown}, and the server's pings came through")),
        While::Closed(code) => warning(
            format!("the socket was closed after {shown} with code {code}"),
            "if the server was not stopped just now, see the proxy's log",
        ),
        While::Cut => problem(
            format!(
                "the proxy ended a socket on which nobody had spoken for {:.1} s; the server pings each {ping_every} s",
                silent.as_secs_f64()
            ),
            format!(
                "nginx: proxy_read_timeout 1h; proxy_send_timeout 1h; Caddy: no read_timeout or stream_timeout ({PAGE})"
            ),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Url {
        Url::parse(text).unwrap()
    }

    fn answer(status: u16, headers: &[(&str, &str)]) -> Answer {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Answer { status, headers, body: Vec::new() }
    }

    #[track_caller]
    fn names(findings: &[Finding], words: &str) {
        let told = |finding: &Finding| matches!(finding, Finding::Problem(what, _) | Finding::Warning(what, _) if what.contains(words));
        assert!(findings.iter().any(told), "{words} in {findings:?}");
    }

    fn good() -> Seen {
        Seen {
            neighbour: "127.0.0.1".to_owned(),
            trusted: true,
            client: "192.168.1.7".to_owned(),
            https: true,
            host: "diary.example".to_owned(),
            own_page: true,
            told: ["x-forwarded-for", "x-forwarded-proto"]
                .map(|name| (name.to_owned(), String::new()))
                .into(),
        }
    }

    #[test]
    fn headers_that_are_missing_are_named() {
        let here = "192.168.1.7".parse().unwrap();
        let judged = |seen: &Seen, lied: &Seen| {
            judge_seen(&url("https://diary.example"), here, false, seen, Some(lied))
        };
        let well = judged(&good(), &good());
        assert_eq!(well, [ok("the server sees this machine as 192.168.1.7, through the proxy at 127.0.0.1")]);
        let silent = Seen { told: Vec::new(), client: "127.0.0.1".to_owned(), https: false, ..good() };
        names(&judged(&silent, &silent), "no X-Forwarded-For");
        names(&judged(&silent, &silent), "no X-Forwarded-Proto");
        let strange = Seen { trusted: false, client: "127.0.0.1".to_owned(), ..good() };
        names(&judged(&strange, &strange), "does not believe the proxy at 127.0.0.1");
        let unreadable = Seen { client: "127.0.0.1".to_owned(), ..good() };
        names(&judged(&unreadable, &unreadable), "cannot be read");
        let lied = Seen { client: "198.51.100.77".to_owned(), ..good() };
        names(&judged(&good(), &lied), "hands on what clients say");
        let handed_on = Seen { told: vec![(LIES[1].0.to_lowercase(), LIES[1].1.to_owned())], ..good() };
        names(&judged(&good(), &handed_on), "hands on what clients say");
        let renamed = Seen { host: "127.0.0.1:8222".to_owned(), own_page: false, ..good() };
        names(&judged(&renamed, &renamed), "diary.example was asked for, and the server saw 127.0.0.1:8222");
        let plain = judge_seen(&url("http://diary.example"), here, false, &good(), None);
        names(&plain, "says https where http was spoken");
    }

    #[test]
    fn a_server_without_a_proxy_needs_no_headers() {
        let seen = Seen { told: Vec::new(), trusted: false, https: false, ..good() };
        let here = "127.0.0.1".parse().unwrap();
        assert_eq!(judge_seen(&url("http://pi.local:8222"), here, true, &seen, None).len(), 1);
    }

    #[test]
    fn pages_that_are_not_ours_are_named() {
        let judged = |page| judge_page(&url("https://diary.example"), page, "0.0.0.0:8222".parse().ok());
        assert!(matches!(judged(Ok(answer(200, &[]))), Finding::Ok(_)));
        assert!(matches!(judged(Ok(answer(503, &[("x-request-id", "1")]))), Finding::Ok(_)));
        for (page, words) in [
            (Ok(answer(421, &[])), "does not go by the name"),
            (Ok(answer(502, &[("server", "nginx")])), "does not reach the server (502, nginx)"),
            (Ok(answer(308, &[("location", "https://x/")])), "leads on to https://x/"),
            (Ok(answer(401, &[])), "password of its own"),
            (Ok(answer(404, &[])), "answers 404"),
            (Err("refused".to_owned()), "does not answer (refused)"),
        ] {
            names(&[judged(page)], words);
        }
    }

    #[test]
    fn pictures_and_sockets() {
        let through = answer(413, &[("x-request-id", "1")]);
        assert!(matches!(judge_upload(5_242_880, &Ok(through), true), Finding::Ok(_)));
        names(&[judge_upload(5_242_880, &Ok(answer(413, &[])), true)], "no pictures of 5.2 MB");
        names(&[judge_upload(5_242_880, &Err("gone".to_owned()), true)], "(gone)");
        names(&[judge_upload(5_242_880, &Ok(answer(502, &[])), true)], "(502)");
        names(&[judge_upload(5_242_880, &Ok(answer(502, &[])), false)], "is not known");
        for status in [400, 404, 426, 101] {
            names(&[judge_refusal(&answer(status, &[]))], "Upgrade and Connection");
        }
        names(&[judge_refusal(&answer(403, &[]))], "changed Host or Origin");
        names(&[judge_refusal(&answer(421, &[]))], "(421)");
        let watched = |end, pings, open, silent| {
            let [open, silent] = [open, silent].map(Duration::from_secs);
            judge_watched(Watched { end, pings, open, silent }, 30)
        };
        names(&[watched(While::Cut, 1, 20, 5)], "nobody had spoken for 5.0 s; the server pings each 30 s");
        names(&[watched(While::Open, 0, 35, 35)], "did not come through");
        names(&[watched(While::Closed(1001), 0, 3, 3)], "with code 1001");
        assert!(matches!(watched(While::Open, 1, 35, 5), Finding::Ok(_)));
        assert!(matches!(watched(While::Open, 0, 10, 10), Finding::Ok(_)));
    }
}
