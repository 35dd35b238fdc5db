//! What `--help` says, from the tables of commands and settings.

use crate::cli::commands::{COMMANDS, FAMILIES, members};
use crate::cli::config::table::{Kind, Setting};
use crate::cli::words::{Choice, Entry};
use std::fmt::Write;

/// As wide as a terminal.
const WIDTH: usize = 80;

/// Where explanations begin.
const COLUMN: usize = 26;

/// `deuced --help`.
pub fn main() -> String {
    let mut text =
        "deuced - the server of a household's private group diary\n\nUsage: deuced COMMAND [OPTIONS]\n\nCommands:\n"
            .to_owned();
    let mut told = Vec::new();
    for entry in COMMANDS {
        let family = entry.name.split_once(' ').map(|(first, _)| first);
        match FAMILIES.iter().find(|family_| Some(family_.name) == family) {
            None => row(&mut text, 2, 22, &synopsis(entry), entry.brief),
            Some(family) if !told.contains(&family.name) => {
                told.push(family.name);
                let verbs: Vec<&str> =
                    members(family.name).map(|entry| &entry.name[family.name.len() + 1..]).collect();
                let what = format!("{}: {}", family.brief, verbs.join(", "));
                row(&mut text, 2, 22, &format!("{} COMMAND", family.name), &what);
            }
            Some(_) => {}
        }
    }
    text.push_str(
        "\nOptions:
  -h, --help      this text; 'deuced COMMAND --help' says more
  -V, --version   the version

To try it on a trusted network, without passwords:
  deuced serve --open
To run it with accounts:
  deuced serve
and open the link that it prints, to become its owner.
",
    );
    text
}

/// `deuced FAMILY --help`.
pub fn family(name: &str) -> String {
    let Some(family) = FAMILIES.iter().find(|family| family.name == name) else { return String::new() };
    let mut text = paragraphs(family.about);
    let _ = write!(text, "\nUsage: deuced {name} COMMAND [OPTIONS]\n\nCommands:\n");
    for entry in members(name) {
        row(&mut text, 2, COLUMN, &synopsis(entry)[name.len() + 1..], entry.brief);
        entry.options.iter().for_each(|choice| row(&mut text, 6, COLUMN, &written(choice), choice.help));
    }
    text.push_str("\nOptions:\n");
    if let Some(entry) = members(name).find(|entry| entry.is_configured()) {
        common(&mut text, entry);
    }
    row(&mut text, 2, COLUMN, "-h, --help", "this text; after a command, more about it");
    notes(&mut text, family.notes);
    text
}

/// `deuced COMMAND --help`.
pub fn command(entry: &Entry) -> String {
    let mut text = paragraphs(entry.about);
    let _ = write!(text, "\nUsage: deuced {} [OPTIONS]\n\n", synopsis(entry));
    let several = entry.flags().count() > 1;
    text.push_str(match several {
        true => "Options (each also as a variable and in the file; a word here wins over the\nvariable, and that over the file):\n",
        false => "Options:\n",
    });
    entry.options.iter().for_each(|choice| row(&mut text, 2, COLUMN, &written(choice), choice.help));
    common(&mut text, entry);
    row(&mut text, 2, COLUMN, "-h, --help", "this text");
    let family = FAMILIES.iter().find(|family| entry.name.split(' ').next() == Some(family.name));
    notes(&mut text, entry.notes);
    notes(&mut text, family.map_or("", |family| family.notes));
    text
}

/// The settings that a command takes, and where the file is.
fn common(text: &mut String, entry: &Entry) {
    for setting in entry.flags() {
        row(text, 2, COLUMN, &flag(setting), &about(setting, entry));
    }
    if entry.is_configured() {
        let what = "read the settings from there; default /etc/deuced/deuced.toml, if it is there. Nothing for none. [DEUCED_CONFIG]";
        row(text, 2, COLUMN, "--config FILE", what);
    }
}

/// A command with its arguments.
pub fn synopsis(entry: &Entry) -> String {
    std::iter::once(entry.name).chain(entry.arguments.iter().copied()).collect::<Vec<_>>().join(" ")
}

fn written(choice: &Choice) -> String {
    format!("--{} {}", choice.name, choice.value).trim_end().to_owned()
}

/// A setting as an option.
pub fn flag(setting: &Setting) -> String {
    let flag = setting.flag().unwrap_or_default();
    match setting.kind {
        Kind::Switch => format!("--{flag}"),
        _ => format!("--{flag} {}", setting.value),
    }
}

/// What a setting is for, its default and its variable.
fn about(setting: &Setting, entry: &Entry) -> String {
    // What is said at length with 'serve' is not said again everywhere.
    if setting.key == "data" && entry.name != "serve" {
        return "the server's data directory (see 'deuced serve --help') [DEUCED_DATA]".to_owned();
    }
    if setting.key == "listen" && entry.name != "serve" {
        return "where the server is going to listen, if it does not run now [DEUCED_LISTEN]".to_owned();
    }
    let default = match setting.default {
        "" | "no" => String::new(),
        default => format!(" Default {default}."),
    };
    let again = if setting.list { " May be repeated." } else { "" };
    let value = if setting.kind == Kind::Switch { "=1" } else { "" };
    // What stands alone begins with a capital, what follows a term does not.
    let (first, rest) = setting.help.split_at(1);
    format!("{}{rest}{default}{again} [{}{value}]", first.to_lowercase(), setting.variable())
}

/// A term and what it means, which begins at a column.
fn row(text: &mut String, indent: usize, column: usize, term: &str, meaning: &str) {
    let _ = write!(text, "{:indent$}{term}", "");
    let mut at = indent + term.chars().count();
    // A term that is too long has a line of its own.
    if at + 1 >= column {
        text.push('\n');
        at = 0;
    }
    for (index, line) in wrap(meaning, WIDTH - column).into_iter().enumerate() {
        let gap = if index == 0 { column - at } else { column };
        let _ = writeln!(text, "{:gap$}{line}", "");
    }
}

fn notes(text: &mut String, notes: &str) {
    if !notes.is_empty() {
        text.push('\n');
        text.push_str(&paragraphs(notes));
    }
}

/// Paragraphs that are parted by an empty line, as wide as a terminal.
pub fn paragraphs(text: &str) -> String {
    let blocks: Vec<String> = text.split("\n\n").map(|block| wrap(block, WIDTH).join("\n") + "\n").collect();
    blocks.join("\n")
}

/// The words of a text in lines of at most `width` letters.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is one from the beginning");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}
