//! Every command of the program, in the order in which it is explained. What one does is in its own file.

use super::words::Entry;
use super::{
    backup, claim, completions, config_command, doctor, invite, limits, man, people, restore, serve, status,
    token, user, verify,
};

/// Commands that begin with the same word.
pub struct Family {
    /// The word.
    pub name: &'static str,
    /// What they do, for a list of commands.
    pub brief: &'static str,
    /// What they do.
    pub about: &'static str,
    /// What is good to know beside.
    pub notes: &'static str,
}

/// The families.
pub const FAMILIES: &[Family] = &[user::FAMILY, token::FAMILY, config_command::FAMILY];

/// The commands.
pub const COMMANDS: &[Entry] = &[
    serve::ENTRY,
    claim::ENTRY,
    user::ADD,
    people::LIST,
    people::RESET,
    people::DISABLE,
    people::ENABLE,
    people::REMOVE,
    people::CHILD,
    people::OWNER,
    invite::ENTRY,
    token::ADD,
    token::LIST,
    token::REMOVE,
    backup::ENTRY,
    verify::ENTRY,
    restore::ENTRY,
    status::ENTRY,
    doctor::ENTRY,
    limits::ENTRY,
    config_command::FILE,
    config_command::DUMP,
    config_command::CHECK,
    man::ENTRY,
    completions::ENTRY,
];

/// Finds a command by its words.
pub fn find(name: &str) -> Option<&'static Entry> {
    COMMANDS.iter().find(|entry| entry.name == name)
}

/// The commands of a family.
pub fn members(family: &str) -> impl Iterator<Item = &'static Entry> {
    COMMANDS.iter().filter(move |entry| entry.name.split_once(' ').is_some_and(|(first, _)| first == family))
}
