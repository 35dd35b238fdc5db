//! `deuced token`: logins for programs and devices, also beside a running server.

use crate::api::{device, token};
use crate::cli::{
    Command, Environment, change, help, limits_from, open_database, prepare_data_directory, print, told_data,
};
use crate::domain::{Device, Limits};
use lexopt::{Arg, Parser, ValueExt};
use std::path::PathBuf;

/// The settings of `deuced token add`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Add {
    pub(super) name: String,
    pub(super) notify: bool,
    pub(super) device: Option<NewDevice>,
    pub(super) data: Option<PathBuf>,
    pub(super) limits: Limits,
}

/// The device that `deuced token add --device` is to make.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct NewDevice {
    pub(super) name: String,
    pub(super) groups: Vec<String>,
    pub(super) verbs: Vec<String>,
}

/// The settings of `deuced token list`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct List {
    pub(super) name: String,
    pub(super) data: Option<PathBuf>,
}

/// The settings of `deuced token remove`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Remove {
    pub(super) name: String,
    pub(super) device: String,
    pub(super) data: Option<PathBuf>,
}

fn sentence(error: crate::domain::Error) -> String {
    error.to_string()
}

/// Makes the login and prints its secrets, this once.
pub(super) fn add(settings: &Add) -> Result<(), String> {
    let (limits, name) = (&settings.limits, settings.name.as_str());
    let Some(device) = &settings.device else {
        let data = prepare_data_directory(settings.data.clone())?;
        let made = change(&data, |tx| token::make_for_program(tx, limits, name, settings.notify));
        return print(&format!("{}\n", made.map_err(sentence)?.as_str()));
    };
    let NewDevice { name: called, groups, verbs } = device;
    let new = device::New {
        name: device::clean_name(called, limits).map_err(sentence)?,
        permits: device::permits(verbs.iter().map(String::as_str)).map_err(sentence)?,
        groups: groups.clone(),
    };
    let data = prepare_data_directory(settings.data.clone())?;
    let made = change(&data, |tx| device::make_by_name(tx, limits, name, &new)).map_err(sentence)?;
    let (device, secret, key) = made;
    print(&format!("token:  {}\nkey id: {}\nkey:    {}\n", secret.as_str(), device.id.0, key.as_str()))
}

/// Prints somebody's devices, a line for each.
pub(super) fn list(settings: &List) -> Result<(), String> {
    let db = open_database(&prepare_data_directory(settings.data.clone())?).map_err(sentence)?;
    let devices = device::list_by_name(&db, &settings.name).map_err(sentence)?;
    if devices.is_empty() {
        return print(&format!("{} has no devices\n", settings.name));
    }
    let heading = format!("{:<6} {:<10} {:<22} DEVICE, ITS GROUPS\n", "ID", "MADE", "VERBS");
    print(&devices.iter().fold(heading, |text, device| text + &line(device)))
}

fn line(device: &Device) -> String {
    let (year, month, day) = device.made_at.date();
    let made = format!("{year:04}-{month:02}-{day:02}");
    let verbs = device.permits.words().collect::<Vec<_>>().join(",");
    let groups: Vec<&str> = device.groups.iter().map(|(_, name)| name.as_str()).collect();
    let groups = if groups.is_empty() { "(in no group any more)".to_owned() } else { groups.join(", ") };
    format!("{:<6} {made:<10} {verbs:<22} {}, {groups}\n", device.id.0, device.name)
}

/// Ends one of somebody's devices.
pub(super) fn remove(settings: &Remove) -> Result<(), String> {
    let data = prepare_data_directory(settings.data.clone())?;
    let removed = change(&data, |tx| device::remove_by_name(tx, &settings.name, &settings.device));
    print(&format!("{} is no device any more\n", removed.map_err(sentence)?.name))
}

/// Reads what follows `deuced token`.
pub(super) fn parse(mut words: Parser, environment: Environment<'_>) -> Result<Command, String> {
    match words.next().map_err(|error| error.to_string())? {
        Some(Arg::Value(word)) if word == "add" => parse_add(words, environment),
        Some(Arg::Value(word)) if word == "list" => parse_list(words, environment),
        Some(Arg::Value(word)) if word == "remove" => parse_remove(words, environment),
        Some(Arg::Short('h') | Arg::Long("help")) | None => Ok(Command::Help(help::TOKEN)),
        Some(Arg::Value(word)) => Err(format!("'token {}' is not a command", word.to_string_lossy())),
        Some(other) => Err(other.unexpected().to_string()),
    }
}

fn parse_add(mut words: Parser, environment: Environment<'_>) -> Result<Command, String> {
    let plain = |error: lexopt::Error| error.to_string();
    let text = |words: &mut Parser| words.value().and_then(|value| value.string()).map_err(plain);
    let (mut name, mut device) = (None, NewDevice::default());
    let mut settings = Add { limits: limits_from(environment)?, ..Add::default() };
    settings.data = told_data(environment);
    while let Some(word) = words.next().map_err(plain)? {
        match word {
            Arg::Value(value) if settings.name.is_empty() => settings.name = value.string().map_err(plain)?,
            Arg::Long("notify") => settings.notify = true,
            Arg::Long("device") => name = Some(text(&mut words)?),
            Arg::Long("group") => device.groups.push(text(&mut words)?),
            Arg::Long("verb") => device.verbs.extend(text(&mut words)?.split(',').map(str::to_owned)),
            Arg::Long("data") => settings.data = Some(words.value().map_err(plain)?.into()),
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help(help::TOKEN)),
            other => return Err(other.unexpected().to_string()),
        }
    }
    let bounded = !device.groups.is_empty() || !device.verbs.is_empty();
    settings.device = name.map(|name| NewDevice { name, ..device });
    match &settings {
        Add { name, .. } if name.trim().is_empty() => {
            Err("token add: whose? Say 'deuced token add NAME'".to_owned())
        }
        // It would be a full login where somebody wanted less.
        Add { device: None, .. } if bounded => {
            Err("token add: --group and --verb are for a device: say --device 'Its name', too".to_owned())
        }
        Add { device: Some(_), notify: true, .. } => {
            Err("token add: a device may notify with --verb notify, not with --notify".to_owned())
        }
        Add { device: Some(new), .. } if new.groups.is_empty() || new.verbs.is_empty() => {
            Err("token add: a device needs --group GROUP and --verb log, read, chat or notify".to_owned())
        }
        _ => Ok(Command::AddToken(settings)),
    }
}

fn parse_list(words: Parser, environment: Environment<'_>) -> Result<Command, String> {
    let Some(Named { names, data }) = parse_names(words, environment)? else {
        return Ok(Command::Help(help::TOKEN));
    };
    match <[String; 1]>::try_from(names) {
        Ok([name]) => Ok(Command::ListTokens(List { name, data })),
        Err(_) => Err("token list: whose? Say 'deuced token list NAME'".to_owned()),
    }
}

fn parse_remove(words: Parser, environment: Environment<'_>) -> Result<Command, String> {
    let Some(Named { names, data }) = parse_names(words, environment)? else {
        return Ok(Command::Help(help::TOKEN));
    };
    match <[String; 2]>::try_from(names) {
        Ok([name, device]) => Ok(Command::RemoveToken(Remove { name, device, data })),
        Err(_) => Err("token remove: which? Say 'deuced token remove NAME DEVICE'".to_owned()),
    }
}

/// Names on the command line, and the data directory.
struct Named {
    names: Vec<String>,
    data: Option<PathBuf>,
}

/// Reads names and the data directory; `None` when help is asked for.
fn parse_names(mut words: Parser, environment: Environment<'_>) -> Result<Option<Named>, String> {
    let plain = |error: lexopt::Error| error.to_string();
    let mut data = told_data(environment);
    let mut names = Vec::new();
    while let Some(word) = words.next().map_err(plain)? {
        match word {
            Arg::Value(value) => names.push(value.string().map_err(plain)?),
            Arg::Long("data") => data = Some(words.value().map_err(plain)?.into()),
            Arg::Short('h') | Arg::Long("help") => return Ok(None),
            other => return Err(other.unexpected().to_string()),
        }
    }
    Ok(Some(Named { names, data }))
}
