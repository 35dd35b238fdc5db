//! `deuced claim`: shows the link by which a fresh server gets its owner, also beside the running server.

use crate::api::claim::{self, Standing};
use crate::api::database_path;
use crate::cli::{
    Command, Environment, data_directory, help, journal, link, open_database, print, told_data,
};
use crate::domain::Secret;
use lexopt::{Arg, Parser};
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// Reads what follows `claim`.
pub(super) fn parse(mut words: Parser, environment: Environment<'_>) -> Result<Command, String> {
    let plain = |error: lexopt::Error| error.to_string();
    let mut data = told_data(environment);
    while let Some(word) = words.next().map_err(plain)? {
        match word {
            Arg::Long("data") => data = Some(words.value().map_err(plain)?.into()),
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help(help::CLAIM)),
            other => return Err(other.unexpected().to_string()),
        }
    }
    Ok(Command::Claim(data))
}

/// Shows the link, or says that there is none.
pub(super) fn show(told: Option<PathBuf>) -> Result<(), String> {
    let sentence = |error: crate::domain::Error| error.to_string();
    let data = data_directory(told)?;
    if !database_path(&data).exists() {
        return Err(format!("there is no diary in {} yet: start 'deuced serve' first", data.display()));
    }
    let (address, running) = link::server_of(&data);
    let db = open_database(&data).map_err(sentence)?;
    // A running server that has something to claim has made the secret when it started.
    if running
        && !claim::is_done(&db).map_err(sentence)?
        && !claim::is_secret_kept(&data).map_err(sentence)?
    {
        return Err("there is nothing to claim: the running server was started with --open".to_owned());
    }
    match claim::stand(&data, &db).map_err(sentence)? {
        Standing::Claimed => print(
            "This server has been claimed: somebody has a password. 'deuced user list' shows the accounts, and\n\
             'deuced user owner NAME yes' makes an owner.\n",
        ),
        Standing::Open { secret, .. } => {
            tell(address, &secret)?;
            if running { Ok(()) } else { print("The server does not run now; 'deuced serve' starts it.\n") }
        }
    }
}

/// Says at the start that the server has no owner: how to become it the first time, and later only where to look.
pub(super) fn announce(data: &Path, address: SocketAddr, standing: &Standing) -> Result<(), String> {
    match standing {
        Standing::Claimed => Ok(()),
        // What the journal keeps, others may read one day.
        Standing::Open { secret, fresh: true } if !journal::is_the_journal(1) => tell(address, secret),
        Standing::Open { .. } => {
            log::warn!("{} is not claimed yet: 'deuced claim' shows the link", data.display());
            Ok(())
        }
    }
}

fn tell(address: SocketAddr, secret: &Secret) -> Result<(), String> {
    link::show(
        "This diary has no owner yet. Open this link, on a phone by its code, and become it:",
        address,
        &format!("/claim#{}", secret.as_str()),
        "It works once. 'deuced claim' shows it again.\n",
    )
}
