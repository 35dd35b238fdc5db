//! The benchmarks, one binary: `cargo bench --bench house -- post|get|latency|rest|all`.
//!
//! Each measurement starts the release server as a child and holds it against a floor that runs in
//! the same minutes on the same disk and processors: a bare loop without HTTP, without sockets,
//! without us. Only ratios and processor time per operation carry over to another machine. What
//! each figure means, and the budgets' origin, is in `benches/README.md`.

#[path = "house/bare.rs"]
mod bare;
#[path = "house/client.rs"]
mod client;
#[path = "house/figure.rs"]
mod figure;
#[path = "house/get.rs"]
mod get;
#[path = "house/latency.rs"]
mod latency;
#[path = "house/machine.rs"]
mod machine;
#[path = "house/option.rs"]
mod option;
#[path = "house/post.rs"]
mod post;
#[path = "house/probe.rs"]
mod probe;
#[path = "house/rest.rs"]
mod rest;
#[path = "house/server.rs"]
mod server;
#[path = "house/shim.rs"]
mod shim;
#[path = "house/socket.rs"]
mod socket;

use std::process::ExitCode;

use crate::figure::Outcome;
use crate::option::{Options, USAGE};

fn main() -> ExitCode {
    // Cargo adds `--bench` to whatever the person typed.
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let Some((command, rest)) = words.split_first() else {
        print!("{USAGE}");
        return ExitCode::SUCCESS;
    };
    match Options::read(rest).and_then(|options| run(command, &options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            eprintln!("house: {sentence}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &str, options: &Options) -> Outcome<()> {
    match command {
        // The floors are children of this same program, so that the sync shim reaches them too.
        "bare-rows" => return bare::rows(options),
        "bare-answers" => return bare::answers(options),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            return Ok(());
        }
        _ => machine::describe(options)?,
    }
    match command {
        "post" => post::run(options),
        "get" => get::run(options),
        "latency" => latency::run(options),
        "rest" => rest::run(options),
        "bare" => bare::run(options),
        "all" => {
            rest::run(options)?;
            get::run(options)?;
            post::run(options)?;
            latency::run(options)
        }
        other => Err(format!("there is no `{other}`; say post, get, latency, rest, bare or all")),
    }
}
