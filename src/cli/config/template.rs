//! The file that says every setting, as `deuced config file` prints it and as the package installs it; and the same for
//! what is in force, as `deuced config dump` prints it.

use super::table::{Kind, SETTINGS, Setting};
use super::{Loaded, Said, Settings, Source};
use crate::cli::help::wrap;
use crate::domain::Limits;
use std::fmt::Write;

/// As wide as the comments are.
const WIDTH: usize = 100;

/// A file with every key, commented out with its default, but for what was said.
pub fn file(said: &[Said]) -> String {
    let mut text = String::new();
    let about = "The settings of deuced(8). deuced.toml(5) explains the file, 'deuced check-config' checks it, and 'deuced \
                 config dump' shows what is in force. A line that begins with # and a key shows the default; take \
                 away the # to change it. What the environment or the command line says wins over this file. It \
                 counts from the next start.";
    comment(&mut text, about);
    let said_of = |setting: &Setting| said.iter().rev().find(|said| said.setting.key == setting.key);
    each(&mut text, |text, setting| {
        text.push('\n');
        comment(text, &explained(setting));
        let defaults = (setting.get)(&Settings::default());
        let told = said_of(setting).map_or(&defaults, |said| &said.texts);
        let mark = if said_of(setting).is_some() { "" } else { "#" };
        let _ = writeln!(text, "{mark}{} = {}", setting.place().1, toml(setting, told));
    });
    text.push('\n');
    comment(
        &mut text,
        "Every limit of the server: what it protects, and what a client sees when it is reached.",
    );
    text.push_str("[limit]\n");
    let mut chosen = Limits::default();
    let told = said.iter().filter(|said| said.setting.kind == Kind::Limits).flat_map(|said| &said.texts);
    told.for_each(|assignment| drop(chosen.set(assignment)));
    for line in Limits::TABLE {
        text.push('\n');
        let range = format!("From {} to {} {}: {}.", line.min, line.max, line.unit, line.meaning);
        comment(&mut text, &range);
        let value = chosen.get(line.name).unwrap_or(line.default);
        let mark = if value == line.default { "#" } else { "" };
        let _ = writeln!(text, "{mark}{} = {value}", line.name);
    }
    text
}

/// What is in force and where each value comes from, as a file that says the same. Secrets are left out.
pub fn dump(loaded: &Loaded) -> String {
    let mut text = String::new();
    let read = loaded.file.as_ref().map_or("no file".to_owned(), |path| path.display().to_string());
    let _ = writeln!(text, "# What is in force, from {read}, the environment and the command line.");
    let from = |key: &str| loaded.sources.get(key).map_or("default".to_owned(), Source::to_string);
    each(&mut text, |text, setting| {
        let (name, values) = (setting.place().1, (setting.get)(&loaded.settings));
        let _ = match setting.kind {
            Kind::Secret if values.is_empty() => writeln!(text, "{name} = \"\"  # default"),
            Kind::Secret => {
                writeln!(text, "#{name} = \"***\"  # {}; it is set, and not shown", from(setting.key))
            }
            _ => writeln!(text, "{name} = {}  # {}", toml(setting, &values), from(setting.key)),
        };
    });
    text.push_str("\n[limit]\n");
    for line in Limits::TABLE {
        let value = loaded.settings.limits.get(line.name).unwrap_or(line.default);
        let _ = writeln!(text, "{} = {value}  # {}", line.name, from(&format!("limit.{}", line.name)));
    }
    text
}

/// Shows each setting but the limits, below the heading of its table.
fn each(text: &mut String, show: impl Fn(&mut String, &Setting)) {
    let mut table = "";
    for setting in SETTINGS.iter().filter(|setting| setting.kind != Kind::Limits) {
        if setting.place().0 != table {
            table = setting.place().0;
            let _ = write!(text, "\n[{table}]\n");
        }
        show(text, setting);
    }
}

/// What a setting is for, and how else it can be said.
fn explained(setting: &Setting) -> String {
    let list = if setting.list { " A list says several." } else { "" };
    let flag = setting.flag().map_or(String::new(), |flag| format!(", --{flag}"));
    let more = match setting.kind {
        Kind::Secret => format!(", {0}_FILE, the credential deuced.{1}", setting.variable(), setting.key),
        _ => String::new(),
    };
    format!("{}{list} [{}{more}{flag}]", setting.help, setting.variable())
}

fn comment(text: &mut String, words: &str) {
    for line in wrap(words, WIDTH - 2) {
        let _ = writeln!(text, "# {line}");
    }
}

/// Values as the file has them.
pub fn toml(setting: &Setting, values: &[String]) -> String {
    match (setting.kind, values) {
        (Kind::Number, [number]) => number.clone(),
        (Kind::Switch | Kind::YesNo, [word]) => matches!(word.as_str(), "1" | "yes" | "true").to_string(),
        // As the server takes it when nothing is said.
        (Kind::Switch | Kind::YesNo, _) => "false".to_owned(),
        (_, []) if setting.list => "[]".to_owned(),
        (_, []) => "\"\"".to_owned(),
        (_, [one]) => quoted(one),
        (_, several) => {
            let quoted: Vec<String> = several.iter().map(|text| quoted(text)).collect();
            format!("[{}]", quoted.join(", "))
        }
    }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => {
                let _ = write!(quoted, "\\u{:04X}", u32::from(letter));
            }
            letter => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}
