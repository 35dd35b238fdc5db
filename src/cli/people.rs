//! `deuced user list`, `reset`, `disable`, `enable`, `remove`, `child` and `owner`: accounts in the hands of whoever has a
//! shell on the machine, also beside a running server, which takes notice at once.

use crate::api::people::{self, Actor, Change};
use crate::api::picture;
use crate::cli::config::value::yes_or_no;
use crate::cli::words::{Asked, Choice, DATA, Entry, Job, WITH_LINK};
use crate::cli::{change, data_directory, link, open_database, print};
use crate::domain::user::Account;
use crate::domain::{Limits, Time};
use std::{
    fmt::Write as _,
    io::{BufRead, IsTerminal, Write as _},
    path::{Path, PathBuf},
};

/// What is to be done with whom.
struct Settings {
    deed: Deed,
    name: String,
    /// Do not ask.
    yes: bool,
    data: Option<PathBuf>,
    port: u16,
    limits: Limits,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Deed {
    List,
    Reset,
    Disable,
    Enable,
    Remove,
    Child(bool),
    Owner(bool),
}

/// What these commands share.
const fn entry(
    name: &'static str,
    arguments: &'static [&'static str],
    brief: &'static str,
    about: &'static str,
    read: fn(Asked) -> Result<Job, String>,
) -> Entry {
    Entry { name, arguments, brief, about, options: &[], settings: DATA, notes: "", read }
}

/// `deuced user list`.
pub const LIST: Entry = entry(
    "user list",
    &[],
    "all accounts: role, state, entries, last login, groups",
    "Lists all accounts, a line for each: role, state, number of entries, last login and groups.",
    |asked| job(&asked, |_, _| Ok(Deed::List)),
);

/// `deuced user reset`.
pub const RESET: Entry = Entry {
    settings: WITH_LINK,
    ..entry(
        "user reset",
        &["NAME"],
        "print a link with which NAME chooses a new password; it works once, within a day",
        "Prints a link, with its code for phones, with which NAME chooses a new password. It works once, for as many \
         hours as the limit link_hours says; the old password does until then.",
        |asked| job(&asked, |asked, name| whom(asked, name).map(|()| Deed::Reset)),
    )
};

/// `deuced user disable`.
pub const DISABLE: Entry = entry(
    "user disable",
    &["NAME"],
    "log NAME out everywhere, and let them in no more; what they wrote stays",
    "Logs NAME out everywhere, live sockets included, and lets them in no more. What they wrote stays.",
    |asked| job(&asked, |asked, name| whom(asked, name).map(|()| Deed::Disable)),
);

/// `deuced user enable`.
pub const ENABLE: Entry = entry(
    "user enable",
    &["NAME"],
    "let them in again",
    "Lets NAME in again, with the password of before.",
    |asked| job(&asked, |asked, name| whom(asked, name).map(|()| Deed::Enable)),
);

/// `deuced user remove`.
pub const REMOVE: Entry = Entry {
    options: &[Choice { name: "yes", value: "", help: "do not ask" }],
    ..entry(
        "user remove",
        &["NAME"],
        "delete the account, as NAME could; asks",
        "Deletes the account of NAME, as they could themselves: what they wrote to others is blank afterwards. Asks \
         whether that is meant.",
        |asked| job(&asked, |asked, name| whom(asked, name).map(|()| Deed::Remove)),
    )
};

/// `deuced user child`.
pub const CHILD: Entry = entry(
    "user child",
    &["NAME", "yes|no"],
    "a child sees, logs and talks in its groups, and nothing beyond them: it cannot invite, join, make or run groups",
    "Says whether NAME is a child. A child sees, logs and talks in its groups, and nothing beyond them: it cannot \
     invite, join, make or run groups.",
    |asked| job(&asked, |asked, name| which(asked, name).map(Deed::Child)),
);

/// `deuced user owner`.
pub const OWNER: Entry = entry(
    "user owner",
    &["NAME", "yes|no"],
    "an owner may do over the network what these commands do",
    "Says whether NAME is an owner, who may do over the network what these commands do. The last owner stays one.",
    |asked| job(&asked, |asked, name| which(asked, name).map(Deed::Owner)),
);

/// The last word of a command's name.
type Verb = &'static str;

fn job(asked: &Asked, deed: fn(&Asked, Verb) -> Result<Deed, String>) -> Result<Job, String> {
    let verb = asked.name.rsplit(' ').next().unwrap_or_default();
    let settings = Settings {
        deed: deed(asked, verb)?,
        name: asked.argument(0).unwrap_or_default(),
        yes: asked.has("yes"),
        data: asked.settings().data.clone(),
        port: asked.settings().port(),
        limits: asked.settings().limits.clone(),
    };
    Ok(Box::new(move || run(&settings)))
}

fn whom(asked: &Asked, verb: Verb) -> Result<(), String> {
    match asked.argument(0) {
        Some(_) => Ok(()),
        None => Err(format!("user {verb}: whom? Say 'deuced user {verb} NAME'")),
    }
}

fn which(asked: &Asked, verb: Verb) -> Result<bool, String> {
    match (asked.argument(0), asked.argument(1)) {
        (Some(_), Some(word)) => yes_or_no(&word),
        _ => Err(format!("user {verb}: say 'deuced user {verb} NAME yes' or '... no'")),
    }
}

/// Does it.
fn run(settings: &Settings) -> Result<(), String> {
    let sentence = |error: crate::domain::Error| error.to_string();
    let data = data_directory(settings.data.clone())?;
    if !crate::api::database_path(&data).is_file() {
        return Err(format!("there is no diary in {}: is it another --data?", data.display()));
    }
    if settings.deed == Deed::List {
        let db = open_database(&data).map_err(sentence)?;
        return print(&table(&people::list(&db).map_err(sentence)?));
    }
    let uid = {
        let db = open_database(&data).map_err(sentence)?;
        people::uid_of(&db, settings.name.trim()).map_err(sentence)?
    };
    let name = settings.name.trim();
    let alter = |altered: Change| {
        change(&data, |tx| people::change(tx, &settings.limits, Actor::Shell, &uid, altered))
            .map_err(sentence)
    };
    let said = match settings.deed {
        Deed::List => return Ok(()),
        Deed::Reset => return reset(settings, &data, &uid),
        Deed::Remove => return remove(settings, &data, &uid),
        Deed::Disable => {
            alter(Change { disabled: Some(true), ..Change::default() })?;
            "is logged out everywhere and cannot log in; what they wrote stays"
        }
        Deed::Enable => {
            let account = alter(Change { disabled: Some(false), ..Change::default() })?;
            match account.ready {
                true => "can log in again",
                false => "is enabled, but has no password: say 'deuced user reset'",
            }
        }
        Deed::Child(child) => {
            alter(Change { child: Some(child), ..Change::default() })?;
            if child { "is a child now" } else { "is not a child any more" }
        }
        Deed::Owner(owner) => {
            alter(Change { owner: Some(owner), ..Change::default() })?;
            if owner { "owns the server now" } else { "does not own the server any more" }
        }
    };
    print(&format!("{name} {said}\n"))
}

/// Makes a link and prints it, this once.
fn reset(settings: &Settings, data: &Path, uid: &str) -> Result<(), String> {
    let made = change(data, |tx| people::reset(tx, &settings.limits, Actor::Shell, uid));
    let made = made.map_err(|error| error.to_string())?;
    let (address, runs) = link::server_of(data, settings.port);
    let heading = format!("With this link {} chooses a new password:", settings.name.trim());
    let hours = settings.limits.link_hours;
    let mut closing = format!("It works once, within {hours} hours. The old password does until then.\n");
    if !runs {
        closing += "The server does not run now; start it with 'deuced serve'.\n";
    }
    link::show(&heading, address, &made.address(""), &closing)
}

/// Removes the account, after asking.
fn remove(settings: &Settings, data: &Path, uid: &str) -> Result<(), String> {
    let name = settings.name.trim();
    if !settings.yes && !is_sure(name)? {
        return print("nothing was changed\n");
    }
    let removed = change(data, |tx| people::remove(tx, &settings.limits, Actor::Shell, uid));
    if let Some(path) = removed.map_err(|error| error.to_string())? {
        picture::remove(data, &path);
    }
    print(&format!("{name} is removed; what they wrote to others is blank\n"))
}

fn is_sure(name: &str) -> Result<bool, String> {
    let mut input = std::io::stdin().lock();
    if !std::io::stdin().is_terminal() {
        return Err("there is no terminal to ask whether you are sure: say --yes".to_owned());
    }
    let mut out = std::io::stdout();
    let asked =
        write!(out, "Remove {name} for good? The account, and all that was written with it. [yes/no] ");
    let mut answer = String::new();
    asked
        .and_then(|()| out.flush())
        .and_then(|()| input.read_line(&mut answer))
        .map_err(|error| format!("the terminal cannot be used: {error}"))?;
    Ok(matches!(answer.trim(), "yes" | "y"))
}

/// The accounts in columns.
fn table(accounts: &[Account]) -> String {
    let head = ["NAME", "ROLE", "STATE", "ENTRIES", "LAST LOGIN", "GROUPS"].map(str::to_owned);
    let rows: Vec<[String; 6]> = std::iter::once(head).chain(accounts.iter().map(row)).collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..5).map(width).collect();
    let mut text = String::new();
    for row in &rows {
        for (cell, width) in row.iter().zip(&widths) {
            let _ = write!(text, "{cell:width$}  ");
        }
        let _ = writeln!(text, "{}", row[5]);
    }
    text
}

fn row(account: &Account) -> [String; 6] {
    let user = &account.user;
    let state = match (user.disabled, account.ready) {
        (true, _) => "disabled",
        (false, true) => "active",
        (false, false) => "no password",
    };
    // Both are names to log in with.
    let login_name = user.first_name.clone().unwrap_or_default();
    let name = match user.username.as_ref().filter(|username| **username != login_name) {
        Some(username) => format!("{login_name} ({username})"),
        None => login_name,
    };
    let groups: Vec<&str> = account.groups.iter().map(|(_, name)| name.as_str()).collect();
    let groups = if groups.is_empty() { "-".to_owned() } else { groups.join(", ") };
    [
        name,
        user.standing().as_str().to_owned(),
        state.to_owned(),
        account.user.deuce_count.to_string(),
        account.logged_in_at.map_or("-".to_owned(), minute),
        groups,
    ]
}

/// `YYYY-MM-DD HH:MMZ`: to the minute is enough.
fn minute(at: Time) -> String {
    let text = at.to_string();
    text.get(..16).map_or(text.clone(), |minutes| format!("{}Z", minutes.replace('T', " ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_stand_below_each_other() {
        let account = |name: &str, admin, child, disabled, ready| Account {
            user: crate::domain::User {
                id: crate::domain::UserId(1),
                uid: format!("dev-{name}"),
                email: None,
                first_name: Some(name.to_owned()),
                last_name: None,
                username: (name == "Ann").then(|| "Annie".to_owned()),
                picture: None,
                deuce_count: 12,
                admin,
                child,
                disabled,
                created_at: Time::FIRST,
                updated_at: Time::FIRST,
            },
            ready,
            logged_in_at: ready.then(|| Time::from_millis(1_795_187_924_544).unwrap()),
            groups: Vec::new(),
        };
        let accounts = [
            account("Ann", true, false, false, true),
            account("Zoë", false, true, false, false),
            account("Bob", false, false, true, true),
        ];
        let expected = "\
NAME         ROLE    STATE        ENTRIES  LAST LOGIN         GROUPS
Ann (Annie)  owner   active       12       2026-11-20 15:18Z  -
Zoë          child   no password  12       -                  -
Bob          member  disabled     12       2026-11-20 15:18Z  -
";
        assert_eq!(table(&accounts), expected);
    }
}
