//! Durable entries per second at several numbers of connections, and the server's processor time
//! for each, beside a bare loop that inserts such a row and commits.

use crate::bare;
use crate::client;
use crate::figure::{Outcome, Table, median, quantile, verdict};
use crate::option::Options;
use crate::server::{Scratch, Server};
use crate::shim::{self, Environment};

/// Share of the bare loop at one connection, where every entry is a commit of its own.
const LEAST_SHARE_ALONE: f64 = 0.9;
/// Share of the bare group-committing loop from 16 connections on.
const LEAST_SHARE_TOGETHER: f64 = 0.5;
/// Processor time of one durable entry at 64 connections.
const MOST_MICROSECONDS: f64 = 60.0;

/// One connection count: each list holds one figure per round.
#[derive(Default)]
struct Figures {
    bare_rate: Vec<f64>,
    bare_microseconds: Vec<f64>,
    rate: Vec<f64>,
    share: Vec<f64>,
    microseconds: Vec<f64>,
}

/// Measures with the disk as it is, then with a slow sync.
///
/// # Errors
/// The server or the bare loop failed.
pub fn run(options: &Options) -> Outcome<()> {
    measure(options, 0)?;
    if options.sync_ms > 0 {
        measure(options, options.sync_ms)?;
    }
    Ok(())
}

fn measure(options: &Options, delay_ms: u64) -> Outcome<()> {
    let environment = shim::delayed(options, delay_ms)?;
    let mut table = Table::new(&[
        "connections",
        "bare rows/s",
        "POST/s",
        "share",
        "budget",
        "",
        "bare µs/row",
        "CPU µs/POST",
        "budget",
        "",
    ]);
    let mut unquiet = Vec::new();
    for connections in &options.connections {
        let mut figures = Figures::default();
        for _ in 0..options.rounds {
            round(options, *connections, &environment, &mut figures)?;
        }
        unquiet.extend(complaint(*connections, &figures.bare_rate));
        table.row(cells(*connections, &figures, delay_ms));
    }
    table.print(&format!(
        "post: durable entries, sync +{delay_ms} ms (medians of {} rounds, bare and server in turn)",
        options.rounds
    ));
    for sentence in unquiet {
        println!("{sentence}");
    }
    Ok(())
}

/// What to say when the floor itself did not hold still, for then the shares mean little.
fn complaint(connections: usize, bare_rates: &[f64]) -> Option<String> {
    let (least, most) = (quantile(bare_rates, 0.0), quantile(bare_rates, 1.0));
    (most > 1.5 * least).then(|| {
        format!(
            "The disk was not quiet: at {connections} connections the bare loop gave {least:.0} to {most:.0} rows/s."
        )
    })
}

/// Bare, then server, each over an empty directory on the same disk.
fn round(
    options: &Options,
    connections: usize,
    environment: &Environment,
    figures: &mut Figures,
) -> Outcome<()> {
    let bare = bare::measure_rows(options, connections, environment)?;

    let scratch = Scratch::make(options)?;
    let server = Server::start(scratch.path(), environment)?;
    let request = server.household()?.entry_request();
    let window =
        client::closed_loop(server.address, server.process(), request, connections, options.seconds)?;
    figures.bare_rate.push(bare.rate);
    figures.bare_microseconds.push(bare.microseconds_each);
    figures.rate.push(window.rate());
    figures.share.push(window.rate() / bare.rate);
    figures.microseconds.push(window.microseconds_each());
    Ok(())
}

fn cells(connections: usize, figures: &Figures, delay_ms: u64) -> [String; 10] {
    let middle = |samples: &[f64]| median(samples.iter().copied());
    let (share, microseconds) = (middle(&figures.share), middle(&figures.microseconds));
    let least_share = match connections {
        1 => Some(LEAST_SHARE_ALONE),
        16.. => Some(LEAST_SHARE_TOGETHER),
        _ => None,
    };
    // With a slow sync the processor wakes for few entries at a time; no budget speaks of that.
    let most = (connections == 64 && delay_ms == 0).then_some(MOST_MICROSECONDS);
    let written = |budget: Option<String>| budget.unwrap_or_else(|| "-".into());
    let judged = |kept: Option<bool>| kept.map_or("", verdict).to_owned();
    [
        connections.to_string(),
        format!("{:.0}", middle(&figures.bare_rate)),
        format!("{:.0}", middle(&figures.rate)),
        format!("{share:.2} ×"),
        written(least_share.map(|least| format!("≥ {least:.2} ×"))),
        judged(least_share.map(|least| share >= least)),
        format!("{:.1}", middle(&figures.bare_microseconds)),
        format!("{microseconds:.1}"),
        written(most.map(|most| format!("≤ {most:.0}"))),
        judged(most.map(|most| microseconds <= most)),
    ]
}
