//! The command line: what was asked for, and the only place that reads the environment.
//!
//! Commands and settings are two tables (`commands`, `config::table`); words are read by them, and all that explains
//! them is made from them. Whatever is wrong with what was said ends with one line and status 2; what fails later
//! ends with one line and status 1.

mod backup;
mod claim;
mod commands;
mod completions;
pub mod config;
mod config_command;
mod doctor;
mod help;
mod invite;
mod journal;
mod limits;
mod link;
mod man;
mod owner;
mod people;
mod place;
mod restore;
mod serve;
mod service;
mod status;
mod token;
mod user;
mod verify;
mod wire;
mod words;

use lexopt::Parser;
use place::{change, data_directory, open_database, prepare_data_directory};
use std::{env, process::ExitCode};

/// Runs the program and says how it went.
pub fn main() -> ExitCode {
    journal::start();
    let job =
        environment_is_text().and_then(|()| words::parse(Parser::from_env(), &|name| env::var(name).ok()));
    let job = match job {
        Ok(job) => job,
        Err(sentence) => {
            // What is wrong with the file begins with its place.
            let more = if sentence.starts_with('/') { "deuced check-config" } else { "deuced --help" };
            eprintln!("deuced: {sentence} (try '{more}')");
            return ExitCode::from(2);
        }
    };
    match job() {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            // Empty where all has been said.
            log::error!("{sentence}");
            ExitCode::FAILURE
        }
    }
}

/// What is not text would be passed over in silence, and a wrong directory be served.
fn environment_is_text() -> Result<(), String> {
    let ours = env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("DEUCED_"));
    for (name, value) in ours {
        if value.to_str().is_none() {
            return Err(format!("{}: not valid UTF-8", name.to_string_lossy()));
        }
    }
    Ok(())
}

/// Writes to stdout. A reader that has gone away is no failure.
fn print(text: &str) -> Result<(), String> {
    use std::io::{ErrorKind, Write};
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(format!("cannot write: {error}")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
