//! Processor time of `GET /api/auth/user`: busy on 32 connections and at a household's pace, with
//! the headers a program sends and with those of a browser, beside a loop that only answers.

use std::time::Duration;

use crate::bare::Running;
use crate::client::{self, Caller, Window};
use crate::figure::{Outcome, Table, median, verdict};
use crate::machine::Spinner;
use crate::option::Options;
use crate::server::{Scratch, Server};

/// Processor time of one request on busy connections.
const MOST_MICROSECONDS: f64 = 40.0;
/// Connections of the busy runs.
const CONNECTIONS: usize = 32;

/// What a browser adds to Host and Authorization.
const BROWSER_HEADERS: &str = "\
User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\n\
Accept: application/json, text/plain, */*\r\n\
Accept-Language: de-DE,de;q=0.8,en-US;q=0.5,en;q=0.3\r\n\
Accept-Encoding: gzip, deflate\r\n\
Referer: http://localhost/groups\r\n\
Sec-Fetch-Dest: empty\r\n\
Sec-Fetch-Mode: cors\r\n\
Sec-Fetch-Site: same-origin\r\n\
DNT: 1\r\n";

/// How often the client asks.
#[derive(Clone, Copy)]
enum Pace {
    Busy,
    Every(Duration),
}

const PACES: [Pace; 3] =
    [Pace::Busy, Pace::Every(Duration::from_millis(5)), Pace::Every(Duration::from_millis(50))];

/// One way of asking; the lists hold one figure per round.
struct Case {
    headers: &'static str,
    request: Vec<u8>,
    pace: Pace,
    bare: Vec<f64>,
    served: Vec<f64>,
    rate: Vec<f64>,
}

/// Measures all cases in turn, round after round.
///
/// # Errors
/// The server or the bare loop failed.
pub fn run(options: &Options) -> Outcome<()> {
    let _spinner = Spinner::start(options);
    let scratch = Scratch::make(options)?;
    let server = Server::start(scratch.path(), &Vec::new())?;
    let mut cases = cases(&client::bearer(&server.household()?.token));
    let bytes = Caller::connect(server.address)?.answer_bytes(&cases[0].request)?;
    let bare = Running::start("bare-answers", &[("--bytes", bytes.to_string())])?;
    for _ in 0..options.rounds {
        for case in &mut cases {
            let floor = case.ask(options, bare.address, bare.process())?;
            let window = case.ask(options, server.address, server.process())?;
            case.bare.push(floor.microseconds_each());
            case.served.push(window.microseconds_each());
            case.rate.push(window.rate());
        }
    }
    print(options, &cases, bytes);
    Ok(())
}

fn cases(bearer: &str) -> Vec<Case> {
    let headers = [("1", String::new()), ("9 more", BROWSER_HEADERS.to_owned())];
    let with_headers = |(name, more): &(&'static str, String)| {
        let request = client::request("GET", "/api/auth/user", &format!("{more}{bearer}"), None);
        let name = *name;
        PACES.map(|pace| Case {
            headers: name,
            request: request.clone(),
            pace,
            bare: Vec::new(),
            served: Vec::new(),
            rate: Vec::new(),
        })
    };
    headers.iter().flat_map(with_headers).collect()
}

impl Case {
    fn ask(&self, options: &Options, address: std::net::SocketAddr, process: u32) -> Outcome<Window> {
        match self.pace {
            Pace::Busy => {
                let request = self.request.clone();
                client::closed_loop(address, process, request, CONNECTIONS, options.seconds)
            }
            Pace::Every(gap) => {
                let count = (options.seconds / gap.as_secs_f64()).max(20.0) as usize;
                client::paced(address, process, &self.request, count, gap)
            }
        }
    }
}

fn print(options: &Options, cases: &[Case], bytes: usize) {
    let mut table = Table::new(&["asked", "headers", "GET/s", "bare µs", "CPU µs/GET", "budget", ""]);
    for case in cases {
        let middle = |samples: &[f64]| median(samples.iter().copied());
        let served = middle(&case.served);
        let (asked, budget, kept) = match case.pace {
            Pace::Busy => (
                format!("{CONNECTIONS} connections"),
                format!("≤ {MOST_MICROSECONDS:.0}"),
                verdict(served <= MOST_MICROSECONDS),
            ),
            Pace::Every(gap) => (format!("one every {gap:?}"), "-".into(), ""),
        };
        table.row([
            asked,
            case.headers.to_owned(),
            format!("{:.0}", middle(&case.rate)),
            format!("{:.1}", middle(&case.bare)),
            format!("{served:.1}"),
            budget,
            kept.to_owned(),
        ]);
    }
    table.print(&format!(
        "get: GET /api/auth/user, {bytes} bytes of answer (medians of {} rounds)",
        options.rounds
    ));
}
