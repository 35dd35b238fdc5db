//! What a command is, and how the words of a command line are read by that.

use crate::cli::config::table::{Kind, SETTINGS, Setting};
use crate::cli::config::{self, Environment, Loaded, Said, Settings, Source};
use crate::cli::{commands, help};
use lexopt::{Arg, Parser, ValueExt};

/// What a command line asks for, ready to be done.
pub(super) type Job = Box<dyn FnOnce() -> Result<(), String>>;

/// One command: `--help`, the man page and the completions show it, and the words are read by it.
pub struct Entry {
    /// Its words.
    pub name: &'static str,
    /// What follows them; what is in brackets may be missing.
    pub arguments: &'static [&'static str],
    /// What it does, for a list of commands: no capital and no full stop.
    pub brief: &'static str,
    /// What it does, for those who want to know more.
    pub about: &'static str,
    /// Its own options.
    pub options: &'static [Choice],
    /// The settings that it takes as options, by their keys.
    pub settings: &'static [&'static str],
    /// What is good to know beside; empty for nothing.
    pub notes: &'static str,
    /// Makes a job of what was asked, or says what is missing.
    pub read: fn(Asked) -> Result<Job, String>,
}

/// One option of a command that is no setting.
pub struct Choice {
    /// The word without its dashes.
    pub name: &'static str,
    /// What stands for its value; empty where it has none.
    pub value: &'static str,
    /// What it does.
    pub help: &'static str,
}

impl Entry {
    /// The settings that it takes as options.
    pub fn flags(&self) -> impl Iterator<Item = &'static Setting> {
        SETTINGS.iter().filter(|setting| setting.kind != Kind::Secret && self.names(setting))
    }

    fn names(&self, setting: &Setting) -> bool {
        self.settings == ALL || self.settings.contains(&setting.key)
    }

    /// Whether it wants to know of that setting at all. Limits count for every command.
    pub fn takes(&self, setting: &Setting) -> bool {
        setting.kind == Kind::Limits || self.names(setting)
    }

    /// Whether there is a setting among its options; then there may be a file that says it.
    pub fn is_configured(&self) -> bool {
        !self.settings.is_empty()
    }
}

/// The settings of a command that takes them all.
pub const ALL: &[&str] = &["*"];

/// What a command that works on the data directory has to know of it.
pub const DATA: &[&str] = &["data"];

/// The same for one that prints a link: the server may not run yet.
pub const WITH_LINK: &[&str] = &["data", "listen"];

/// What was asked of a command.
#[derive(Debug, Default)]
pub struct Asked {
    /// Its words.
    pub name: &'static str,
    /// What followed its words.
    pub arguments: Vec<String>,
    options: Vec<(&'static str, String)>,
    /// The file that was named.
    pub told_file: Option<String>,
    /// What was said on the command line of the settings.
    pub flags: Vec<Said>,
    /// The settings and where they come from.
    pub loaded: Loaded,
}

impl Asked {
    /// The settings in force.
    pub fn settings(&self) -> &Settings {
        &self.loaded.settings
    }

    /// Whether an option was said.
    pub fn has(&self, name: &str) -> bool {
        self.options.iter().any(|(known, _)| *known == name)
    }

    /// What an option says that was said; the last time counts.
    pub fn value(&self, name: &str) -> Option<String> {
        self.values(name).pop()
    }

    /// What an option says each time.
    pub fn values(&self, name: &str) -> Vec<String> {
        self.options.iter().filter(|(known, _)| *known == name).map(|(_, value)| value.clone()).collect()
    }

    /// An argument, unless it is missing or blank.
    pub fn argument(&self, index: usize) -> Option<String> {
        self.arguments.get(index).filter(|text| !text.trim().is_empty()).cloned()
    }
}

fn plain(error: lexopt::Error) -> String {
    error.to_string()
}

fn show(text: String) -> Result<Job, String> {
    Ok(Box::new(move || crate::cli::print(&text)))
}

/// Reads a whole command line.
///
/// # Errors
/// One sentence about the first word that is wrong.
pub(super) fn parse(mut words: Parser, environment: Environment<'_>) -> Result<Job, String> {
    match words.next().map_err(plain)? {
        None | Some(Arg::Short('h') | Arg::Long("help")) => show(help::main()),
        Some(Arg::Short('V') | Arg::Long("version")) => {
            show(format!("deuced {} ({})\n", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH))
        }
        Some(Arg::Value(word)) => {
            let word = word.to_string_lossy().into_owned();
            if word == "help" {
                return show(help::main());
            }
            if let Some(entry) = commands::find(&word) {
                return parse_command(entry, words, environment);
            }
            if commands::FAMILIES.iter().any(|family| family.name == word) {
                return parse_family(&word, words, environment);
            }
            Err(format!("'{word}' is not a command"))
        }
        Some(other) => Err(other.unexpected().to_string()),
    }
}

fn parse_family(family: &str, mut words: Parser, environment: Environment<'_>) -> Result<Job, String> {
    match words.next().map_err(plain)? {
        None | Some(Arg::Short('h') | Arg::Long("help")) => show(help::family(family)),
        Some(Arg::Value(word)) => {
            let name = format!("{family} {}", word.to_string_lossy());
            match commands::find(&name) {
                Some(entry) => parse_command(entry, words, environment),
                None => Err(format!("'{name}' is not a command")),
            }
        }
        Some(other) => Err(other.unexpected().to_string()),
    }
}

fn parse_command(
    entry: &'static Entry,
    mut words: Parser,
    environment: Environment<'_>,
) -> Result<Job, String> {
    let mut asked = Asked { name: entry.name, ..Asked::default() };
    while let Some(word) = words.next().map_err(plain)? {
        match word {
            Arg::Short('h') | Arg::Long("help") => return show(help::command(entry)),
            Arg::Long("config") if entry.is_configured() => {
                asked.told_file = Some(words.value().and_then(ValueExt::string).map_err(plain)?);
            }
            Arg::Long(name) => {
                let name = name.to_owned();
                let setting = entry.flags().find(|setting| setting.flag().as_deref() == Some(name.as_str()));
                if let Some(choice) = entry.options.iter().find(|choice| choice.name == name) {
                    let value = match choice.value.is_empty() {
                        true => String::new(),
                        false => words.value().and_then(ValueExt::string).map_err(plain)?,
                    };
                    asked.options.push((choice.name, value));
                } else if let Some(setting) = setting.filter(|_| entry.is_configured()) {
                    let value = match setting.kind {
                        Kind::Switch => words.optional_value().map_or(Ok("yes".into()), ValueExt::string),
                        _ => words.value().and_then(ValueExt::string),
                    };
                    say(&mut asked.flags, setting, name, value.map_err(plain)?);
                } else {
                    return Err(Arg::Long(&name).unexpected().to_string());
                }
            }
            Arg::Value(value) if takes_another(entry, asked.arguments.len()) => {
                asked.arguments.push(value.string().map_err(plain)?);
            }
            other => return Err(other.unexpected().to_string()),
        }
    }
    if entry.is_configured() {
        asked.loaded = config::load(asked.told_file.as_deref(), &asked.flags, environment, &|setting| {
            entry.takes(setting)
        })?;
    }
    (entry.read)(asked)
}

/// Whether one more argument may follow.
fn takes_another(entry: &Entry, there: usize) -> bool {
    there < entry.arguments.len() || entry.arguments.last().is_some_and(|last| last.ends_with("..."))
}

/// Adds a word to what was said of a setting: what is no list is said anew.
fn say(flags: &mut Vec<Said>, setting: &'static Setting, flag: String, text: String) {
    match flags.iter_mut().find(|said| said.setting.key == setting.key) {
        Some(said) if setting.list => said.texts.push(text),
        Some(said) => said.texts = vec![text],
        None => flags.push(Said { setting, texts: vec![text], source: Source::Flag(flag) }),
    }
}
