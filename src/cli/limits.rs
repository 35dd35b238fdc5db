//! `deuced limits`: every limit of the server, with the value in force.

use super::print;
use super::words::{Asked, Entry, Job};
use crate::domain::Limits;
use std::fmt::Write;

/// `deuced limits`.
pub const ENTRY: Entry = Entry {
    name: "limits",
    arguments: &[],
    brief: "list every limit with its value, unit and meaning",
    about: "Lists every limit of the server: its name, its value, its unit, and what happens when it is reached.",
    options: &[],
    settings: &["limit"],
    notes: "Values are shown as the file, DEUCED_LIMIT and --limit change them. Change one with 'deuced serve --limit \
            NAME=VALUE', or below [limit] in the file.",
    read,
};

fn read(asked: Asked) -> Result<Job, String> {
    Ok(Box::new(move || print(&table(&asked.settings().limits))))
}

/// The table of limits.
fn table(limits: &Limits) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: &str, default: &str, unit: &str, meaning: &str| {
        let _ = writeln!(text, "{name:<26} {value:>12} {default:>12}  {unit:<13} {meaning}");
    };
    row("NAME", "VALUE", "DEFAULT", "UNIT", "MEANING");
    for line in Limits::TABLE {
        let value = limits.get(line.name).unwrap_or(line.default);
        row(line.name, &value.to_string(), &line.default.to_string(), line.unit, line.meaning);
    }
    text
}
