//! The configuration: what every setting is, and from where.
//!
//! A word on the command line wins over the environment, which wins over the file, which wins over the default. Of a
//! list the winner's is taken as a whole; limits are taken one by one.

pub mod environment;
pub mod file;
pub mod table;
pub mod template;
#[cfg(test)]
mod tests;
pub mod value;

use crate::api::backup::Policy;
use crate::domain::{Limits, Secret};
use crate::http::address::Network;
pub use environment::Environment;
use std::{collections::BTreeMap, fmt, path::PathBuf};
use table::{Kind, SETTINGS, Setting};
pub use value::{Listen, PORT};

/// The settings in force. What each is for is said in the table.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub struct Settings {
    pub listen: Vec<Listen>,
    pub data: Option<PathBuf>,
    pub web: Option<PathBuf>,
    pub open: bool,
    /// `None` is as `open` is.
    pub guests: Option<bool>,
    pub origins: Vec<String>,
    pub hosts: Vec<String>,
    pub trusted_proxies: Vec<Network>,
    pub metrics_token: Option<Secret>,
    pub backup: Policy,
    pub limits: Limits,
}

impl Default for Settings {
    /// What the table says.
    fn default() -> Settings {
        let mut settings = Settings {
            listen: Vec::new(),
            data: None,
            web: None,
            open: false,
            guests: None,
            origins: Vec::new(),
            hosts: Vec::new(),
            trusted_proxies: Vec::new(),
            metrics_token: None,
            backup: Policy::default(),
            limits: Limits::default(),
        };
        for setting in SETTINGS.iter().filter(|setting| !setting.default.is_empty()) {
            (setting.set)(&mut settings, &[setting.default.to_owned()]).expect("a default can be read");
        }
        settings
    }
}

impl Settings {
    /// The port that people are sent to.
    pub fn port(&self) -> u16 {
        match self.listen.first() {
            Some(Listen::Everywhere(port)) => *port,
            Some(Listen::At(address)) => address.port(),
            None => PORT,
        }
    }
}

/// Where a value comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A line of the file.
    File(PathBuf, usize),
    /// A variable of the environment, or what it points to.
    Environment(String),
    /// A word on the command line.
    Flag(String),
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(path, line) => write!(formatter, "{}:{line}", path.display()),
            Source::Environment(name) => formatter.write_str(name),
            Source::Flag(flag) => write!(formatter, "--{flag}"),
        }
    }
}

/// What somebody said of one setting, and where.
#[derive(Clone, Debug)]
pub struct Said {
    /// Which setting.
    pub setting: &'static Setting,
    /// Its values, as the environment would say them.
    pub texts: Vec<String>,
    /// Where.
    pub source: Source,
}

/// The settings, and what is known of them.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    /// What is in force.
    pub settings: Settings,
    /// Where each value comes from that is not the default, by key; a limit's key is `limit.NAME`.
    pub sources: BTreeMap<String, Source>,
    /// The file that was read.
    pub file: Option<PathBuf>,
    /// What is wrong with the file and does no harm.
    pub warnings: Vec<String>,
}

impl Loaded {
    /// Takes what was said; what was said before of the same setting is forgotten.
    fn take(&mut self, said: &Said) -> Result<(), String> {
        (said.setting.set)(&mut self.settings, &said.texts).map_err(|error| match &said.source {
            Source::File(..) => format!("{}: {}: {error}", said.source, said.setting.key),
            Source::Environment(name) => format!("{name}: {error}"),
            // All others repeat what was said.
            Source::Flag(_) if said.setting.kind == Kind::Number => format!("{}: {error}", said.source),
            Source::Flag(_) => error,
        })?;
        for key in keys(said) {
            self.sources.insert(key, said.source.clone());
        }
        Ok(())
    }
}

/// The keys that something was said of.
fn keys(said: &Said) -> Vec<String> {
    match said.setting.kind {
        Kind::Limits => {
            let name = |text: &String| text.split('=').next().unwrap_or_default().trim().replace('-', "_");
            said.texts.iter().map(|text| format!("limit.{}", name(text))).collect()
        }
        _ => vec![said.setting.key.to_owned()],
    }
}

/// Puts together what the file, the environment and the command line say of the settings that are `wanted`.
///
/// # Errors
/// One sentence about the first value that cannot be.
pub fn load(
    told_file: Option<&str>,
    flags: &[Said],
    environment: Environment<'_>,
    wanted: &dyn Fn(&Setting) -> bool,
) -> Result<Loaded, String> {
    let mut loaded = Loaded::default();
    let mut said = Vec::new();
    if let Some(path) = file::find(told_file, environment) {
        let (of_file, problems) = file::read(&path)?;
        // What this command does not need cannot be wrong for it.
        if let Some(problem) = problems.iter().find(|problem| problem.harms(wanted)) {
            return Err(problem.to_string());
        }
        loaded.warnings =
            problems.iter().filter(|problem| problem.unknown).map(ToString::to_string).collect();
        loaded.warnings.extend(file::open_secret(&path, &of_file).map(|problem| problem.to_string()));
        loaded.file = Some(path);
        said.extend(of_file);
    }
    said.extend(environment::read(environment, wanted)?);
    said.extend_from_slice(flags);
    said.iter().filter(|said| wanted(said.setting)).try_for_each(|said| loaded.take(said))?;
    Ok(loaded)
}
