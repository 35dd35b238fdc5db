//! `deuced token`: logins for programs and devices, also beside a running server.

use crate::api::{device, token};
use crate::cli::commands::Family;
use crate::cli::words::{Asked, Choice, DATA, Entry, Job};
use crate::cli::{change, open_database, prepare_data_directory, print};
use crate::domain::{Device, Limits};
use std::path::PathBuf;

/// `deuced token …`.
pub const FAMILY: Family = Family {
    name: "token",
    brief: "make logins for programs and gadgets, and end them",
    about: "Makes logins for programs and gadgets, and ends them. Works while the server runs.",
    notes: "NAME is somebody who has an account; the program or gadget acts as that person. Tokens are printed this \
            once, and are sent as 'Authorization: Bearer TOKEN'.\n\n\
            A device lasts until it is removed; its key is for requests that are signed instead of carrying the token \
            (docs/devices.md). A full login that is not used for as long as a login lasts ends.",
};

/// `deuced token add`.
pub const ADD: Entry = Entry {
    name: "token add",
    arguments: &["NAME"],
    brief: "make a login for a program, or with --device one for a gadget",
    about: "Makes a login for a program of NAME's and prints its token, or with --device, --group and --verb one for a \
            gadget, which may do less.",
    options: &[
        Choice {
            name: "device",
            value: "DEVICE",
            help: "a name for a gadget, such as 'Bathroom button': it may do what its verbs say in its groups, and \
                   nothing else",
        },
        Choice {
            name: "group",
            value: "GROUP",
            help: "a group of that person, by name or id; may be repeated",
        },
        Choice { name: "verb", value: "VERB", help: "log, read, chat or notify; may be repeated" },
        Choice { name: "notify", value: "", help: "a full login that may also notify others" },
    ],
    settings: DATA,
    notes: "",
    read: read_add,
};

/// `deuced token list`.
pub const LIST: Entry = Entry {
    name: "token list",
    arguments: &["NAME"],
    brief: "see NAME's devices",
    about: "Lists the devices of NAME, a line for each: id, day, verbs, name and groups.",
    options: &[],
    settings: DATA,
    notes: "",
    read: |asked| {
        let name = asked.argument(0).ok_or("token list: whose? Say 'deuced token list NAME'")?;
        Ok(Box::new(move || list(&name, asked.settings().data.clone())))
    },
};

/// `deuced token remove`.
pub const REMOVE: Entry = Entry {
    name: "token remove",
    arguments: &["NAME", "DEVICE"],
    brief: "end a device, by its name or id",
    about: "Ends a device of NAME's, by its name or id: its token and its key are good for nothing from now on.",
    options: &[],
    settings: DATA,
    notes: "",
    read: |asked| match (asked.argument(0), asked.argument(1)) {
        (Some(name), Some(device)) => {
            Ok(Box::new(move || remove(&name, &device, asked.settings().data.clone())))
        }
        _ => Err("token remove: which? Say 'deuced token remove NAME DEVICE'".to_owned()),
    },
};

/// The settings of `deuced token add`.
struct Add {
    name: String,
    notify: bool,
    device: Option<NewDevice>,
    data: Option<PathBuf>,
    limits: Limits,
}

/// The device that `deuced token add --device` is to make.
struct NewDevice {
    name: String,
    groups: Vec<String>,
    verbs: Vec<String>,
}

fn read_add(asked: Asked) -> Result<Job, String> {
    let (groups, verbs) = (asked.values("group"), asked.values("verb"));
    let verbs: Vec<String> = verbs.iter().flat_map(|verbs| verbs.split(',')).map(str::to_owned).collect();
    let bounded = !groups.is_empty() || !verbs.is_empty();
    let settings = Add {
        name: asked.argument(0).unwrap_or_default(),
        notify: asked.has("notify"),
        device: asked.value("device").map(|name| NewDevice { name, groups, verbs }),
        data: asked.settings().data.clone(),
        limits: asked.settings().limits.clone(),
    };
    match &settings {
        Add { name, .. } if name.is_empty() => {
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
        _ => Ok(Box::new(move || add(&settings))),
    }
}

fn sentence(error: crate::domain::Error) -> String {
    error.to_string()
}

/// Makes the login and prints its secrets, this once.
fn add(settings: &Add) -> Result<(), String> {
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
fn list(name: &str, data: Option<PathBuf>) -> Result<(), String> {
    let db = open_database(&prepare_data_directory(data)?).map_err(sentence)?;
    let devices = device::list_by_name(&db, name).map_err(sentence)?;
    if devices.is_empty() {
        return print(&format!("{name} has no devices\n"));
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
fn remove(name: &str, device: &str, data: Option<PathBuf>) -> Result<(), String> {
    let data = prepare_data_directory(data)?;
    let removed = change(&data, |tx| device::remove_by_name(tx, name, device));
    print(&format!("{} is no device any more\n", removed.map_err(sentence)?.name))
}
