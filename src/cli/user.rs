//! `deuced user add`: makes an account, also beside a running server.

use crate::api::user::{self, Made};
use crate::api::{claim, password};
use crate::cli::{AddUser, change, open_database, prepare_data_directory, print};
use crate::domain::user::{Standing, uid_of};
use std::io::Read;

/// Makes the account.
pub(super) fn add(settings: &AddUser) -> Result<(), String> {
    let sentence = |error: crate::domain::Error| error.to_string();
    let name = user::clean_login_name(&settings.name, &settings.limits).map_err(sentence)?;
    let password = if settings.password_from_stdin { read_password()? } else { ask_password(&name)? };
    password::check_new(&password, &settings.limits).map_err(sentence)?;
    let hash = password::hash(&password).map_err(sentence)?;

    let data = prepare_data_directory(settings.data.clone())?;
    let standing = match (settings.child, settings.admin) {
        (true, _) => Standing::Child,
        (false, true) => Standing::Owner,
        (false, false) => Standing::Member,
    };
    let made = change(&data, |tx| user::add_or_give_password(tx, &settings.limits, &name, &hash, standing))
        .map_err(sentence)?;
    // Whoever has a password has the server: there is nothing to claim any more.
    claim::forget(&data);
    match made {
        Made::Account => print(&format!("{name} can log in now (id {})\n", uid_of(&name))),
        Made::Password => {
            print(&format!("{name} had no password and has this one now (id {})\n", uid_of(&name)))
        }
    }?;
    match open_database(&data).and_then(|db| user::is_owned(&db)).map_err(sentence)? {
        true => Ok(()),
        false => print("This server has no owner yet: 'deuced user owner NAME yes' makes one.\n"),
    }
}

/// The first line of standard input.
fn read_password() -> Result<String, String> {
    let mut text = String::new();
    // Far more than any password that is accepted; a wrong file must not fill the memory.
    let read = std::io::stdin().take(1 << 20).read_to_string(&mut text);
    read.map_err(|error| format!("the password cannot be read from standard input: {error}"))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}

/// Asks twice, without echo.
fn ask_password(name: &str) -> Result<String, String> {
    let ask = |prompt: String| {
        rpassword::prompt_password(prompt).map_err(|error| {
            format!("there is no terminal to ask for the password ({error}): say --password-stdin")
        })
    };
    let first = ask(format!("Password for {name}: "))?;
    match ask("Once more: ".to_owned())? == first {
        true => Ok(first),
        false => Err("the two passwords differ; nothing was changed".to_owned()),
    }
}
