//! `deuced claim`: shows the link by which a fresh server gets its owner, also beside the running server.

use crate::api::claim::{self, Standing};
use crate::api::database_path;
use crate::cli::words::{Asked, Entry, Job, WITH_LINK};
use crate::cli::{data_directory, journal, link, open_database, print};
use crate::domain::Secret;
use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

/// `deuced claim`.
pub const ENTRY: Entry = Entry {
    name: "claim",
    arguments: &[],
    brief: "show the link by which a fresh server gets its owner",
    about: "Shows the link by which a fresh server gets its owner, and its code for phones. Works while the server \
            runs, and says so when the server has its owner already.",
    options: &[],
    settings: WITH_LINK,
    notes: "Until somebody has opened the link and chosen a name and password there, the server does nothing else. The \
            link's secret is in the file 'claim' of the data directory. 'deuced user add NAME --admin' makes an owner \
            without the link.",
    read,
};

fn read(asked: Asked) -> Result<Job, String> {
    Ok(Box::new(move || show(asked.settings().data.clone(), asked.settings().port())))
}

/// Shows the link, or says that there is none.
fn show(told: Option<PathBuf>, port: u16) -> Result<(), String> {
    let sentence = |error: crate::domain::Error| error.to_string();
    let data = data_directory(told)?;
    if !database_path(&data).exists() {
        return Err(format!("there is no diary in {} yet: start 'deuced serve' first", data.display()));
    }
    let (address, running) = link::server_of(&data, port);
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
