//! `deuced verify`: whether a copy is whole, and what is in it.

use crate::cli::print;
use crate::cli::words::{Asked, Entry, Job};
use crate::domain::Time;
use crate::store::backup::{self, Copy};
use std::{fmt::Write, path::Path};

/// `deuced verify`.
pub const ENTRY: Entry = Entry {
    name: "verify",
    arguments: &["FILE"],
    brief: "say whether a copy is whole, and what is in it",
    about: "Says whether a copy of the diary is whole, and what is in it: every page and every value is looked at. \
            Changes nothing.",
    options: &[],
    settings: &[],
    notes: "Exits with 1 where the copy is damaged, of another program, or of a newer version.",
    read,
};

fn read(asked: Asked) -> Result<Job, String> {
    let file = asked.argument(0).ok_or("verify: which file? Say 'deuced verify FILE'")?;
    Ok(Box::new(move || run(Path::new(&file))))
}

/// Looks at every page and every value, and says what there is.
fn run(file: &Path) -> Result<(), String> {
    let copy = backup::verify(file).map_err(|error| error.to_string())?;
    print(&format!("{}: whole\n{}", file.display(), describe(&copy)))
}

/// What is in a copy, a line for each thing.
pub(super) fn describe(copy: &Copy) -> String {
    let mut text = String::new();
    let mut line = |name: &str, value: String| {
        let _ = writeln!(text, "  {name:<14}{value}");
    };
    match &copy.about {
        Some(about) => {
            let at = about.made_at.map_or_else(|| "at an unknown time".to_owned(), moment);
            line("made", format!("{at} by deuced {}", about.version));
        }
        None => line("made", "a plain database, which does not say when".to_owned()),
    }
    line("tables", format!("step {}", copy.step));
    for (noun, table) in
        [("people", "user"), ("groups", "group"), ("entries", "entry"), ("reactions", "reaction")]
    {
        line(noun, copy.summary.rows(table).to_string());
    }
    line("pictures", copy.pictures.to_string());
    line("newest entry", copy.newest_entry.map_or_else(|| "none".to_owned(), moment));
    line("size", format!("{:.1} MB", copy.bytes as f64 / 1e6));
    text
}

/// A time as people read it.
pub(super) fn moment(time: Time) -> String {
    format!("{} UTC", time.to_string()[..19].replace('T', " "))
}
