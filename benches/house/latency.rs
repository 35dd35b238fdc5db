//! How fast an entry reaches everybody, and whether the loop ever stands still: 50 sockets in the
//! group while 16 connections log as fast as they are answered, once with the disk as it is and
//! once with a slow sync; and calm, one entry at a time, for comparison.

use std::collections::HashMap;
use std::time::Duration;

use polling::{Events, Poller};
use serde_json::Value;

use crate::audience::Audience;
use crate::client::Fleet;
use crate::figure::{Context, Outcome, Table, median, quantile, verdict};
use crate::machine::now_ns;
use crate::option::Options;
use crate::probe::{Lateness, Probes, Seen};
use crate::server::{Scratch, Server};
use crate::shim::{self, Sync};

/// Sockets in the group.
const SOCKETS: usize = 50;
/// Connections that log entries.
const WRITERS: usize = 16;
/// From the commit to the last socket, median, in milliseconds.
const MOST_MEDIAN_MS: f64 = 1.0;
/// How much later than in the calm case the latest hundredth may be, in milliseconds.
const MOST_P99_ABOVE_CALM_MS: f64 = 2.0;
/// The longest the loop may stand still of its own doing, in milliseconds.
const MOST_STALL_MS: f64 = 5.0;
/// Time between two entries in the calm case.
const CALM_GAP: Duration = Duration::from_millis(20);

/// A way to load the server; the list holds one result per round.
struct Case {
    name: String,
    delay_ms: u64,
    calm: bool,
    rounds: Vec<Round>,
}

/// What one run saw. Times in milliseconds.
struct Round {
    rate: f64,
    /// From the POST's answer to the event on the last socket; negative where the event is first.
    from_answer: Spread,
    /// From the end of the sync before the event's first arrival: the commit cannot be later.
    from_latest_sync: Spread,
    /// From the end of the first sync begun after the POST was sent: the commit cannot be earlier.
    from_earliest_sync: Spread,
    seen: Seen,
}

/// Median and 99th percentile.
#[derive(Clone, Copy)]
struct Spread {
    p50: f64,
    p99: f64,
}

impl Spread {
    fn of(samples: &[f64]) -> Spread {
        Spread { p50: quantile(samples, 0.5), p99: quantile(samples, 0.99) }
    }
}

/// When each POST was sent and answered, by the id of its entry.
type Posts = HashMap<String, (u64, u64)>;

/// Measures all cases in turn, round after round.
///
/// # Errors
/// The server failed, or a socket missed an event.
pub fn run(options: &Options) -> Outcome<()> {
    let mut cases = cases(options);
    for _ in 0..options.rounds {
        for case in &mut cases {
            let round = case.measure(options)?;
            case.rounds.push(round);
        }
    }
    print_latency(&cases);
    print_stalls(&cases);
    Ok(())
}

fn cases(options: &Options) -> Vec<Case> {
    let case = |name: String, delay_ms, calm| Case { name, delay_ms, calm, rounds: Vec::new() };
    let mut cases = vec![case("calm".into(), 0, true), case("saturated".into(), 0, false)];
    if options.sync_ms > 0 {
        let delay_ms = options.sync_ms;
        cases.push(case(format!("calm, +{delay_ms} ms"), delay_ms, true));
        cases.push(case(format!("saturated, +{delay_ms} ms"), delay_ms, false));
    }
    cases
}

impl Case {
    fn measure(&self, options: &Options) -> Outcome<Round> {
        let scratch = Scratch::make(options)?;
        // On the disk of the database the record would join its journal and slow each sync.
        let memory = Scratch::in_memory(options)?;
        let log = memory.path().join("syncs");
        let environment = shim::recorded(options, self.delay_ms, &log)?;
        let server = Server::start(scratch.path(), &environment)?;
        let household = server.household()?;
        let mut audience = Audience::open(&server, &household, SOCKETS)?;

        let writers = if self.calm { 1 } else { WRITERS };
        let mut fleet = Fleet::open(server.address, household.entry_request(), writers)?;
        fleet.sending = !self.calm;
        let probes = Probes::start(server.address)?;
        let begun = now_ns();
        let posts = load(&mut fleet, &mut audience, options.seconds)?;
        let seconds = (now_ns() - begun) as f64 / 1e9;
        let seen = probes.finish()?;

        let poller = Poller::new().context("making a poller")?;
        audience.register(&poller, 0)?;
        audience.settle(&poller, posts.len())?;
        let rate = posts.len() as f64 / seconds;
        evaluate(&audience, &posts, &shim::read(&log)?, rate, seen)
    }
}

/// Lets the fleet log for a while, reads answers and events in one thread, and stops when every
/// POST is answered. A fleet that does not send by itself is told to every [`CALM_GAP`].
fn load(fleet: &mut Fleet, audience: &mut Audience, seconds: f64) -> Outcome<Posts> {
    const FIRST_SOCKET: usize = 1 << 16;
    let poller = Poller::new().context("making a poller")?;
    fleet.register(&poller, 0)?;
    audience.register(&poller, FIRST_SOCKET)?;
    let busy = fleet.sending;
    let until = now_ns() + (seconds * 1e9) as u64;
    let mut next = now_ns();
    // Bodies are looked into afterwards: here that would make the reading late.
    let mut answers: Vec<(u64, u64, Vec<u8>)> = Vec::new();
    let mut events = Events::new();
    loop {
        let now = now_ns();
        fleet.sending = busy && now < until;
        if now < until && now >= next {
            fleet.send_all()?;
            next = if busy { until } else { now + CALM_GAP.as_nanos() as u64 };
        }
        if !fleet.waiting()? && now >= until {
            break;
        }
        events.clear();
        let left = next.min(until).saturating_sub(now).clamp(100_000, 50_000_000);
        poller
            .wait(&mut events, Some(Duration::from_nanos(left)))
            .context("waiting for answers and events")?;
        for event in events.iter() {
            if event.key >= FIRST_SOCKET {
                audience.readable(event.key - FIRST_SOCKET)?;
            } else {
                fleet.readable(event.key, &mut |answer| {
                    answers.push((answer.sent_at, answer.answered_at, answer.body.to_vec()));
                })?;
            }
        }
    }
    let posts = answers.into_iter().map(|(sent, answered, body)| {
        let answer: Value = serde_json::from_slice(&body).context("a POST's answer")?;
        let id = answer["entries"][0]["id"].as_str();
        let id = id.ok_or_else(|| format!("no entry in a POST's answer: {answer}"))?;
        Ok((id.to_owned(), (sent, answered)))
    });
    posts.collect()
}

fn evaluate(audience: &Audience, posts: &Posts, syncs: &[Sync], rate: f64, seen: Seen) -> Outcome<Round> {
    let (mut from_answer, mut from_latest, mut from_earliest) = (vec![], vec![], vec![]);
    let milliseconds = |from: u64, to: u64| (to as f64 - from as f64) / 1e6;
    let arrivals = audience.first_and_last();
    let mut earliest = 0;
    for (id, (first, last)) in audience.entry_ids()?.iter().zip(arrivals) {
        let (sent, answered) =
            posts.get(id).ok_or_else(|| format!("an event for an entry nobody logged: {id}"))?;
        from_answer.push(milliseconds(*answered, last));
        let before = syncs.partition_point(|sync| sync.ended <= first);
        // Rows reach the log in the room's order, so no commit is earlier than the one before it.
        earliest = earliest.max(syncs.partition_point(|sync| sync.begun < *sent));
        // The commit's own sync is in this range unless the shim lost it.
        if earliest < before {
            from_latest.push(milliseconds(syncs[before - 1].ended, last));
            from_earliest.push(milliseconds(syncs[earliest].ended, last));
        }
    }
    Ok(Round {
        rate,
        from_answer: Spread::of(&from_answer),
        from_latest_sync: Spread::of(&from_latest),
        from_earliest_sync: Spread::of(&from_earliest),
        seen,
    })
}

/// The median over the rounds of one of their figures.
fn middle(case: &Case, figure: impl Fn(&Round) -> f64) -> f64 {
    median(case.rounds.iter().map(figure))
}

fn print_latency(cases: &[Case]) {
    let mut table = Table::new(&[
        "load",
        "POST/s",
        "after the answer p50 / p99",
        "after the latest sync p50 / p99",
        "after the earliest sync p50 / p99",
        "budget of p50, p99",
        "",
    ]);
    // The calm case of the same sync comes right before the saturated one.
    let mut calm_p99 = f64::NAN;
    for case in cases {
        let spread = |pick: fn(&Round) -> Spread| Spread {
            p50: middle(case, |round| pick(round).p50),
            p99: middle(case, |round| pick(round).p99),
        };
        let shown = |spread: Spread| format!("{:.2} / {:.2} ms", spread.p50, spread.p99);
        let latest = spread(|round| round.from_latest_sync);
        if case.calm {
            calm_p99 = latest.p99;
        }
        let most_p99 = calm_p99 + MOST_P99_ABOVE_CALM_MS;
        table.row([
            case.name.clone(),
            format!("{:.0}", middle(case, |round| round.rate)),
            shown(spread(|round| round.from_answer)),
            shown(latest),
            shown(spread(|round| round.from_earliest_sync)),
            format!("≤ {MOST_MEDIAN_MS:.0}, ≤ {most_p99:.2} ms"),
            verdict(latest.p50 <= MOST_MEDIAN_MS && latest.p99 <= most_p99).to_owned(),
        ]);
    }
    table.print(&format!(
        "latency: until the event is on all {SOCKETS} sockets (medians of {} rounds)",
        cases[0].rounds.len()
    ));
}

fn print_stalls(cases: &[Case]) {
    let mut table = Table::new(&[
        "load",
        "GET /api/health p50 / p99 / max",
        "machine, server's seat",
        "machine, client's seat",
        "budget of max",
        "",
    ]);
    for case in cases {
        // The worst of all rounds, for a stall that happens once is a stall.
        let worst = |pick: fn(&Seen) -> Lateness| Lateness {
            p50: middle(case, |round| pick(&round.seen).p50),
            p99: middle(case, |round| pick(&round.seen).p99),
            max: quantile(&case.rounds.iter().map(|round| pick(&round.seen).max).collect::<Vec<_>>(), 1.0),
        };
        let shown = |late: Lateness| format!("{:.2} / {:.2} / {:.1} ms", late.p50, late.p99, late.max);
        let health = worst(|seen| seen.health);
        let machine = worst(|seen| seen.server_seat);
        // What the machine does to any thread on that processor is not the loop's doing.
        let most = MOST_STALL_MS + machine.max;
        table.row([
            case.name.clone(),
            shown(health),
            shown(machine),
            shown(worst(|seen| seen.client_seat)),
            format!("≤ {MOST_STALL_MS:.0} ms + machine's = {most:.1} ms"),
            verdict(health.max <= most).to_owned(),
        ]);
    }
    table.print("stalls: lateness of a health request every 2 ms, and of a thread that sleeps 2 ms");
}
