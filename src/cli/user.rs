//! `deuced user add`: makes an account, also beside a running server.

use crate::api::user::{self, Made};
use crate::api::{claim, password};
use crate::cli::commands::Family;
use crate::cli::words::{Asked, Choice, DATA, Entry, Job};
use crate::cli::{change, open_database, prepare_data_directory, print};
use crate::domain::Limits;
use crate::domain::user::{Standing, uid_of};
use std::{io::Read, path::PathBuf};

/// `deuced user …`.
pub const FAMILY: Family = Family {
    name: "user",
    brief: "make accounts and look after them, also while it runs",
    about: "Makes accounts and looks after them. Works while the server runs, which takes notice at once.",
    notes: "An account without a password gets one from 'user add' with its name. A password has at least 8 characters. \
            Names that differ only in case or punctuation are the same account. The last owner stays one.",
};

/// `deuced user add`.
pub const ADD: Entry = Entry {
    name: "user add",
    arguments: &["NAME"],
    brief: "make an account, and ask for its password",
    about: "Makes an account, and asks for its password. The first one on a fresh server takes the place of the claim \
            link.",
    options: &[
        Choice { name: "admin", value: "", help: "its person owns the server" },
        Choice { name: "child", value: "", help: "it is a child's" },
        Choice { name: "password-stdin", value: "", help: "read the password from standard input" },
    ],
    settings: DATA,
    notes: "",
    read,
};

/// The settings of `deuced user add`.
struct AddUser {
    name: String,
    admin: bool,
    child: bool,
    password_from_stdin: bool,
    data: Option<PathBuf>,
    limits: Limits,
}

fn read(asked: Asked) -> Result<Job, String> {
    if asked.has("admin") && asked.has("child") {
        return Err("user add: a child cannot own the server, say --admin or --child".to_owned());
    }
    let settings = AddUser {
        name: asked.argument(0).ok_or("user add: whom? Say 'deuced user add NAME'")?,
        admin: asked.has("admin"),
        child: asked.has("child"),
        password_from_stdin: asked.has("password-stdin"),
        data: asked.settings().data.clone(),
        limits: asked.settings().limits.clone(),
    };
    Ok(Box::new(move || add(&settings)))
}

/// Makes the account.
fn add(settings: &AddUser) -> Result<(), String> {
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
