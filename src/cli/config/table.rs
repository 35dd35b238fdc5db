//! Every setting of the server, in one table: its key, its default, what it is for, and how it is read and shown.
//!
//! The flags, the variables of the environment and the keys of the file follow from it, and so do `--help`, the file
//! that `deuced config file` prints, the man pages and the completions. A setting that is not here does not exist.

use super::{Settings, value};
use crate::domain::{Limits, Secret};

/// One line of the table.
#[derive(Debug)]
pub struct Setting {
    /// The key in the file; what is before the dot is the table it stands in.
    pub key: &'static str,
    /// What the file, the environment and the flag hold.
    pub kind: Kind,
    /// Whether it may be said more than once.
    pub list: bool,
    /// What stands for its value where it is explained.
    pub value: &'static str,
    /// The default, as the environment would say it; empty where nothing is said.
    pub default: &'static str,
    /// What it is for, and its default where that has to be told in words.
    pub help: &'static str,
    /// Takes what was said.
    pub(super) set: fn(&mut Settings, &[String]) -> Result<(), String>,
    /// What is in force, as the environment would say it.
    pub(super) get: fn(&Settings) -> Vec<String>,
}

/// How a setting is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text.
    Text,
    /// A folder of this machine.
    Folder,
    /// A whole number.
    Number,
    /// True or false; the flag alone means true.
    Switch,
    /// True or false; the flag needs a word.
    YesNo,
    /// Text that is never shown, and that is no flag: a command line is for everybody to see.
    Secret,
    /// A table of whole numbers by name.
    Limits,
}

impl Setting {
    /// The word on the command line, without its dashes; `None` for secrets.
    pub fn flag(&self) -> Option<String> {
        (self.kind != Kind::Secret).then(|| self.key.replace(['.', '_'], "-"))
    }

    /// The variable of the environment.
    pub fn variable(&self) -> String {
        format!("DEUCED_{}", self.key.replace('.', "_").to_uppercase())
    }

    /// The table of the file it stands in, or nothing, and its name there.
    pub fn place(&self) -> (&'static str, &'static str) {
        self.key.split_once('.').unwrap_or(("", self.key))
    }

    /// What is in force of it, as the environment would say it.
    pub fn in_force(&self, settings: &Settings) -> Vec<String> {
        (self.get)(settings)
    }

    /// What several of it in one variable are parted by: only lists are parted at all.
    pub(super) fn parts<'a>(&self, text: &'a str) -> Vec<&'a str> {
        match self.list {
            true => text.split_whitespace().collect(),
            false => vec![text],
        }
    }
}

fn each<T>(texts: &[String], read: impl Fn(&str) -> Result<T, String>) -> Result<Vec<T>, String> {
    texts.iter().map(|text| read(text)).collect()
}

fn last<T>(texts: &[String], read: impl Fn(&str) -> Result<T, String>) -> Result<Option<T>, String> {
    texts.last().map(|text| read(text)).transpose()
}

fn word(yes: bool) -> Vec<String> {
    vec![if yes { "yes" } else { "no" }.to_owned()]
}

fn path(path: Option<&std::path::PathBuf>) -> Vec<String> {
    path.map(|path| path.to_string_lossy().into_owned()).into_iter().collect()
}

/// Finds a setting by its key.
pub fn setting(key: &str) -> Option<&'static Setting> {
    SETTINGS.iter().find(|setting| setting.key == key)
}

/// All settings, in the order they are shown.
pub const SETTINGS: &[Setting] = &[
    Setting {
        key: "listen",
        kind: Kind::Text,
        list: true,
        value: "ADDR:PORT",
        default: ":8222",
        help: "Where to listen; without an address on every interface. Port 0 takes a free one.",
        set: |settings, texts| each(texts, value::listen).map(|listen| settings.listen = listen),
        get: |settings| settings.listen.iter().map(ToString::to_string).collect(),
    },
    Setting {
        key: "data",
        kind: Kind::Folder,
        list: false,
        value: "DIR",
        default: "",
        help: "The data directory; default $STATE_DIRECTORY, else $XDG_DATA_HOME/deuced, else \
               ~/.local/share/deuced.",
        set: |settings, texts| {
            settings.data = texts.last().map(Into::into);
            Ok(())
        },
        get: |settings| path(settings.data.as_ref()),
    },
    Setting {
        key: "web",
        kind: Kind::Folder,
        list: false,
        value: "DIR",
        default: "",
        help: "Serve this built single-page app instead of the built-in page.",
        set: |settings, texts| last(texts, value::web).map(|web| settings.web = web),
        get: |settings| path(settings.web.as_ref()),
    },
    Setting {
        key: "open",
        kind: Kind::Switch,
        list: false,
        value: "yes|no",
        default: "no",
        help: "Trust the network: a name alone logs in and makes the account. Anybody who can reach the port can \
               be anybody.",
        set: |settings, texts| {
            last(texts, value::yes_or_no).map(|open| settings.open = open.unwrap_or_default())
        },
        get: |settings| word(settings.open),
    },
    Setting {
        key: "guests",
        kind: Kind::YesNo,
        list: false,
        value: "yes|no",
        default: "",
        help: "Whether whoever has no login may talk in rooms that belong to no group; default no, but yes with \
               'open'.",
        set: |settings, texts| last(texts, value::yes_or_no).map(|guests| settings.guests = guests),
        get: |settings| settings.guests.map(word).unwrap_or_default(),
    },
    Setting {
        key: "origin",
        kind: Kind::Text,
        list: true,
        value: "URL",
        default: "",
        help: "Pages of this origin may use the server, too.",
        set: |settings, texts| each(texts, value::origin).map(|origins| settings.origins = origins),
        get: |settings| settings.origins.clone(),
    },
    Setting {
        key: "host",
        kind: Kind::Text,
        list: true,
        value: "NAME",
        default: "",
        help: "A name this server is reached by, beside addresses, localhost, single words, names such as pi.local \
               and those of 'origin'. Requests under any other name are answered 421.",
        set: |settings, texts| each(texts, value::host).map(|hosts| settings.hosts = hosts),
        get: |settings| settings.hosts.clone(),
    },
    Setting {
        key: "trusted_proxy",
        kind: Kind::Text,
        list: true,
        value: "ADDR",
        default: "",
        help: "Believe this proxy's Forwarded or X-Forwarded-For, -Proto and -Host; an address or ADDR/BITS.",
        set: |settings, texts| each(texts, value::proxy).map(|proxies| settings.trusted_proxies = proxies),
        get: |settings| settings.trusted_proxies.iter().map(ToString::to_string).collect(),
    },
    Setting {
        key: "metrics_token",
        kind: Kind::Secret,
        list: false,
        value: "TOKEN",
        default: "",
        help: "Whoever sends 'Authorization: Bearer TOKEN' may read /metrics without a login; at least 16 letters, \
               digits or signs, no blanks.",
        set: |settings, texts| {
            let read = |text: &str| {
                Secret::chosen(text)
                    .ok_or_else(|| "at least 16 letters, digits or signs, no blanks".to_owned())
            };
            last(texts, read).map(|token| settings.metrics_token = token)
        },
        get: |settings| settings.metrics_token.iter().map(|token| token.as_str().to_owned()).collect(),
    },
    Setting {
        key: "backup.folder",
        kind: Kind::Folder,
        list: false,
        value: "DIR",
        default: "backups",
        help: "Where backups go; what does not begin with / is in the data directory.",
        set: |settings, texts| {
            settings.backup.folder = texts.last().map(Into::into);
            Ok(())
        },
        get: |settings| path(settings.backup.folder.as_ref()),
    },
    Setting {
        key: "backup.keep",
        kind: Kind::Number,
        list: false,
        value: "N",
        default: "7",
        help: "How many backups of this diary stay there; the oldest go when a new one has been verified.",
        set: |settings, texts| {
            let keep = last(texts, value::keep)?;
            settings.backup.keep = keep.unwrap_or_default();
            Ok(())
        },
        get: |settings| vec![settings.backup.keep.to_string()],
    },
    Setting {
        key: "backup.warn_hours",
        kind: Kind::Number,
        list: false,
        value: "HOURS",
        default: "72",
        help: "Tell the owners when the newest verified backup is older; 0 is never.",
        set: |settings, texts| {
            let hours = last(texts, |text| value::number(text, 0..=100_000))?;
            settings.backup.warn_hours = hours.unwrap_or_default();
            Ok(())
        },
        get: |settings| vec![settings.backup.warn_hours.to_string()],
    },
    Setting {
        key: "limit",
        kind: Kind::Limits,
        list: true,
        value: "NAME=VALUE",
        default: "",
        help: "Change a limit ('deuced limits' lists them).",
        set: |settings, texts| texts.iter().try_for_each(|text| settings.limits.set(text)),
        get: |settings| {
            let value = |name: &str| settings.limits.get(name).unwrap_or_default();
            Limits::TABLE.iter().map(|line| format!("{}={}", line.name, value(line.name))).collect()
        },
    },
];
