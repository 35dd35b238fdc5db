//! `deuced config file`, `config dump` and `check-config`: the configuration for those who look after it.

use super::config::{file, template};
use super::words::{ALL, Asked, Entry, Job};
use super::{commands::Family, print};
use std::{env, path::PathBuf};

/// `deuced config …`.
pub const FAMILY: Family = Family {
    name: "config",
    brief: "print a file with every setting, or what is in force",
    about: "Shows the settings of the server: as a file to begin with, or as they are in force now.",
    notes: "",
};

/// `deuced config file`.
pub const FILE: Entry = Entry {
    name: "config file",
    arguments: &[],
    brief: "print a file with every setting, commented out with its default",
    about: "Prints a file with every setting, commented out with its default. What is said as an option is said in the \
            file. Nothing else counts for it, neither another file nor the environment.",
    options: &[],
    settings: ALL,
    notes: "To begin with: deuced config file > /etc/deuced/deuced.toml",
    read: |asked| Ok(Box::new(move || print(&template::file(&asked.flags)))),
};

/// `deuced config dump`.
pub const DUMP: Entry = Entry {
    name: "config dump",
    arguments: &[],
    brief: "print what is in force, and where each value comes from",
    about: "Prints every setting as 'deuced serve' would have it with the same options, file and environment, and where \
            each value comes from. Secrets are not shown. What it prints is a file that says the same.",
    options: &[],
    settings: ALL,
    notes: "",
    read: |asked| {
        Ok(Box::new(move || {
            asked.loaded.warnings.iter().for_each(|warning| log::warn!("{warning}"));
            print(&template::dump(&asked.loaded))
        }))
    },
};

/// `deuced check-config`.
pub const CHECK: Entry = Entry {
    name: "check-config",
    arguments: &["[FILE]"],
    brief: "check the file of settings, and name every line that is wrong",
    about: "Checks the file of settings: the one that is named, else the one that 'deuced serve' would read. Names every \
            line that is wrong, and a key that nobody knows is wrong here. Ends with status 1 if there is one.",
    options: &[],
    settings: &[],
    notes: "",
    read,
};

fn read(asked: Asked) -> Result<Job, String> {
    Ok(Box::new(move || {
        let told = asked.argument(0);
        let Some(path) = file::find(told.as_deref(), &|name| env::var(name).ok()) else {
            return print(&format!("there is no {}, and none is needed: fine\n", file::PLACE));
        };
        check(path)
    }))
}

fn check(path: PathBuf) -> Result<(), String> {
    let (said, mut problems) = file::read(&path)?;
    problems.extend(file::open_secret(&path, &said));
    match problems.is_empty() {
        true => print(&format!("{}: fine\n", path.display())),
        // Line by line as they are, for whoever reads them by program.
        false => {
            problems.iter().for_each(|problem| eprintln!("{problem}"));
            Err(String::new())
        }
    }
}
