//! The benchmarks, one binary: `cargo bench --bench house -- COMMAND`; without one it lists them.
//!
//! Each measurement starts the release server as a child and holds it against a floor that runs in
//! the same minutes on the same disk and processors: a bare loop without HTTP, without sockets,
//! without us. Only ratios and processor time per operation carry over to another machine. What
//! each figure means, and the budgets' origin, is in `benches/README.md`.

#[path = "house/attack.rs"]
mod attack;
#[path = "../tests/harness/attack.rs"]
mod attacks;
#[path = "house/audience.rs"]
mod audience;
#[path = "house/backup.rs"]
mod backup;
#[path = "house/bare.rs"]
mod bare;
#[path = "house/chat.rs"]
mod chat;
#[path = "house/client.rs"]
mod client;
#[path = "house/crowd.rs"]
mod crowd;
#[path = "house/deliver.rs"]
mod deliver;
#[path = "house/figure.rs"]
mod figure;
#[path = "house/get.rs"]
mod get;
#[path = "house/household.rs"]
mod household;
#[path = "house/idle.rs"]
mod idle;
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
#[path = "house/rooms.rs"]
mod rooms;
#[path = "house/scene.rs"]
mod scene;
#[path = "house/server.rs"]
mod server;
#[path = "house/shim.rs"]
mod shim;
#[path = "house/socket.rs"]
mod socket;
#[path = "house/stall.rs"]
mod stall;
#[path = "house/storm.rs"]
mod storm;

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
        "bare-rooms" => return rooms::run(options),
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            return Ok(());
        }
        _ => machine::describe(options)?,
    }
    match command {
        "attack" => attack::run(options),
        "backup" => backup::run(options),
        "post" => post::run(options),
        "get" => get::run(options),
        "latency" => latency::run(options),
        "rest" => rest::run(options),
        "deliver" => deliver::run(options),
        "household" => household::run(options),
        "idle" => idle::run(options),
        "chat" => chat::run(options),
        "stall" => stall::run(options),
        "storm" => storm::run(options),
        "sockets" => sockets(options),
        "bare" => bare::run(options),
        "all" => {
            rest::run(options)?;
            get::run(options)?;
            post::run(options)?;
            latency::run(options)?;
            sockets(options)?;
            attack::run(options)
        }
        other => Err(format!("there is no `{other}`; `help` lists what there is")),
    }
}

fn sockets(options: &Options) -> Outcome<()> {
    deliver::run(options)?;
    household::run(options)?;
    idle::run(options)?;
    chat::run(options)?;
    stall::run(options)?;
    storm::run(options)
}
