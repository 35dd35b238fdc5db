//! The file: where it is, what it says, and what is wrong with it, line by line. And how a file is written that says
//! it all.

use super::table::{Kind, SETTINGS, Setting, setting};
use super::{Environment, Said, Settings, Source};
use crate::domain::Limits;
use std::{
    fmt, fs, io,
    ops::RangeInclusive,
    path::{Path, PathBuf},
};
use toml::de::{DeTable, DeValue};

/// Where the file is unless something else is said.
pub const PLACE: &str = "/etc/deuced/deuced.toml";

/// The most that is read: the whole file that `deuced config file` prints is a tenth of it.
const MOST_BYTES: u64 = 256 << 10;

/// Something that is wrong with the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1.
    pub line: usize,
    /// The key, as far as there is one.
    pub key: String,
    /// What is wrong.
    pub sentence: String,
    /// It is only that nobody knows the key.
    pub unknown: bool,
}

impl Problem {
    /// Whether it keeps somebody from going on who wants only these settings.
    pub fn harms(&self, wanted: &dyn Fn(&Setting) -> bool) -> bool {
        let key = if self.key.starts_with("limit.") { "limit" } else { &self.key };
        !self.unknown && setting(key).is_none_or(wanted)
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: ", self.path.display(), self.line)?;
        if !self.key.is_empty() {
            write!(formatter, "{}: ", self.key)?;
        }
        formatter.write_str(&self.sentence)
    }
}

/// The file that is to be read: as told, else as the environment says (where nothing means none), else the usual one if
/// it is there.
pub fn find(told: Option<&str>, environment: Environment<'_>) -> Option<PathBuf> {
    let named = told.map(str::to_owned).or_else(|| environment("DEUCED_CONFIG"));
    match named {
        Some(path) => (!path.is_empty()).then(|| path.into()),
        // One that is there and cannot be looked at is to be complained of, and not passed over.
        None => match fs::metadata(PLACE) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                None
            }
            _ => Some(PLACE.into()),
        },
    }
}

/// Reads a file: what it says, and what is wrong with it.
///
/// # Errors
/// When it cannot be read at all.
pub fn read(path: &Path) -> Result<(Vec<Said>, Vec<Problem>), String> {
    use std::io::Read;
    let named = |error: io::Error| format!("{}: {error}", path.display());
    let mut text = String::new();
    let file = fs::File::open(path).map_err(named)?;
    file.take(MOST_BYTES + 1).read_to_string(&mut text).map_err(named)?;
    match text.len() as u64 > MOST_BYTES {
        true => Err(format!("{}: more than {MOST_BYTES} bytes", path.display())),
        false => Ok(parse(&text, path)),
    }
}

/// Reads the text of a file. Whatever is in it, each setting's values are such as can be.
pub fn parse(text: &str, path: &Path) -> (Vec<Said>, Vec<Problem>) {
    let mut reader = Reader { text, path, said: Vec::new(), problems: Vec::new() };
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut broken: Vec<RangeInclusive<usize>> = Vec::new();
    for error in errors {
        let at = error.span().unwrap_or_default();
        // What comes of a bracket that is not closed is told once.
        if !broken.iter().any(|value| value.contains(&at.start)) {
            broken.push(reader.value_around(table.get_ref(), at.start));
            reader.complain(at.start, "", error.message().replace('\n', " "), false);
        }
    }
    // What is half understood is not judged further.
    if reader.problems.is_empty() {
        reader.table("", table.get_ref());
    }
    let Reader { said, mut problems, .. } = reader;
    problems.sort_by_key(|problem| problem.line);
    (said, problems)
}

struct Reader<'a> {
    text: &'a str,
    path: &'a Path,
    said: Vec<Said>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn line(&self, at: usize) -> usize {
        let before = self.text.as_bytes().get(..at).unwrap_or(self.text.as_bytes());
        before.iter().filter(|byte| **byte == b'\n').count() + 1
    }

    fn complain(&mut self, at: usize, key: &str, sentence: String, unknown: bool) {
        let (path, line) = (self.path.to_owned(), self.line(at));
        // A key or a text in quotes may hold a line feed, and a complaint is one line.
        let (key, sentence) = (key.replace(char::is_control, "?"), sentence.replace(char::is_control, "?"));
        self.problems.push(Problem { path, line, key, sentence, unknown });
    }

    /// Where the value is that a place lies in, or else the line.
    fn value_around(&self, table: &DeTable<'_>, at: usize) -> RangeInclusive<usize> {
        let mut around = table.iter().map(|(_, value)| value);
        if let Some(value) = around.find(|value| value.span().contains(&at)) {
            return match value.get_ref() {
                DeValue::Table(below) if !below.is_empty() => self.value_around(below, at),
                _ => value.span().start..=value.span().end,
            };
        }
        let end = self.text.as_bytes().iter().skip(at).position(|byte| *byte == b'\n');
        at..=end.map_or(self.text.len(), |length| at + length)
    }

    /// One table, below `prefix`.
    fn table(&mut self, prefix: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let (at, key) = (name.span().start, format!("{prefix}{}", name.get_ref()));
            match (setting(&key), value.get_ref()) {
                (Some(setting), value) if setting.kind == Kind::Limits => self.limits(setting, at, value),
                (Some(setting), value) => self.value(setting, at, value),
                (None, DeValue::Table(below)) if prefix.is_empty() && is_table(&key) => {
                    self.table(&format!("{key}."), below);
                }
                (None, _) if prefix.is_empty() && is_table(&key) => {
                    self.complain(at, &key, format!("is a table: [{key}]"), false);
                }
                (None, _) => self.complain(at, &key, unknown(&key), true),
            }
        }
    }

    fn value(&mut self, setting: &'static Setting, at: usize, value: &DeValue<'_>) {
        match texts(setting, value) {
            Ok(texts) if texts.is_empty() => {}
            Ok(texts) => self.take(setting, setting.key, at, texts),
            Err(sentence) => self.complain(at, setting.key, sentence, false),
        }
    }

    fn limits(&mut self, setting: &'static Setting, at: usize, value: &DeValue<'_>) {
        let DeValue::Table(table) = value else {
            return self.complain(at, setting.key, "is a table: [limit]".to_owned(), false);
        };
        for (name, value) in table {
            let (at, key) = (name.span().start, format!("limit.{}", name.get_ref()));
            if !Limits::TABLE.iter().any(|line| line.name == name.get_ref().as_ref()) {
                self.complain(at, &key, unknown(&key), true);
            } else if let Some(number) = whole(value.get_ref()) {
                self.take(setting, &key, at, vec![format!("{}={number}", name.get_ref())]);
            } else {
                self.complain(at, &key, "is a whole number, without quotes".to_owned(), false);
            }
        }
    }

    /// Keeps what was said if it can be.
    fn take(&mut self, setting: &'static Setting, key: &str, at: usize, texts: Vec<String>) {
        match (setting.set)(&mut Settings::default(), &texts) {
            Ok(()) => {
                let source = Source::File(self.path.to_owned(), self.line(at));
                self.said.push(Said { setting, texts, source });
            }
            Err(error) => {
                let name = key.rsplit('.').next().unwrap_or_default();
                let plain = error.strip_prefix(name).and_then(|rest| rest.strip_prefix(": "));
                self.complain(at, key, plain.unwrap_or(&error).to_owned(), false);
            }
        }
    }
}

/// Whether settings stand in a table of that name.
fn is_table(name: &str) -> bool {
    SETTINGS.iter().any(|setting| setting.place().0 == name)
}

fn whole(value: &DeValue<'_>) -> Option<String> {
    let DeValue::Integer(integer) = value else { return None };
    let number = u64::from_str_radix(integer.as_str(), integer.radix()).ok();
    // What is less than nothing or more than all is judged, and refused, by its range.
    Some(number.map_or_else(|| integer.as_str().to_owned(), |number| number.to_string()))
}

/// A value as the environment would say it. An empty text is nothing, as it is there.
fn texts(setting: &Setting, value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let path = |text: &str| match setting.kind {
        // Who reads a file cannot know where somebody stood; the folder of backups is in the data directory.
        Kind::Folder if setting.default.is_empty() && !text.starts_with('/') => {
            Err(format!("'{text}' is not a whole path, such as /var/lib/deuced"))
        }
        _ if text.chars().any(char::is_control) => Err("has a control character in it".to_owned()),
        _ => Ok(text.to_owned()),
    };
    match (setting.kind, value) {
        (Kind::Text | Kind::Folder | Kind::Secret, DeValue::String(text)) => match text.is_empty() {
            true => Ok(Vec::new()),
            false => Ok(vec![path(text)?]),
        },
        (Kind::Text, DeValue::Array(values)) if setting.list => {
            let text = |value: &DeValue<'_>| match value {
                DeValue::String(text) => path(text),
                _ => Err("is a list of texts in quotes".to_owned()),
            };
            values.iter().map(|value| text(value.get_ref())).collect()
        }
        (Kind::Switch | Kind::YesNo, DeValue::Boolean(yes)) => {
            Ok(vec![if *yes { "yes" } else { "no" }.to_owned()])
        }
        (Kind::Number, value) if whole(value).is_some() => Ok(whole(value).into_iter().collect()),
        (Kind::Number, _) => Err("is a whole number, without quotes".to_owned()),
        (Kind::Switch | Kind::YesNo, _) => Err("is true or false, without quotes".to_owned()),
        (Kind::Text, _) if setting.list => Err("is a text in quotes, or a list of such".to_owned()),
        _ => Err("is a text in quotes".to_owned()),
    }
}

/// What to say of a key that nobody knows: where it belongs, or what may have been meant.
fn unknown(key: &str) -> String {
    let name = key.rsplit('.').next().unwrap_or(key);
    if let Some(known) = SETTINGS.iter().find(|setting| setting.place().1 == name) {
        return match known.place().0 {
            "" => format!("is not known here: '{name}' stands before all tables"),
            table => format!("is not known here: '{name}' belongs below [{table}]"),
        };
    }
    let limits = || Limits::TABLE.iter().map(|line| line.name);
    if limits().any(|limit| limit == name) {
        return format!("is not known here: '{name}' belongs below [limit]");
    }
    let known: Vec<&str> = match key.starts_with("limit.") {
        true => limits().collect(),
        false => SETTINGS.iter().map(|setting| setting.place().1).collect(),
    };
    let close = known.into_iter().map(|known| (distance(name, known), known)).min();
    match close.filter(|(distance, known)| *distance <= known.len() / 3) {
        Some((_, known)) => format!("is not known; is '{known}' meant?"),
        None => "is not known".to_owned(),
    }
}

/// How many letters have to be put in, taken out or changed.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.len()).collect();
    // What is that long is nothing that was mistyped.
    for (index, letter) in left.bytes().take(64).enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], index + 1);
        for (at, other) in right.bytes().enumerate() {
            let changed = diagonal + usize::from(letter != other);
            diagonal = row[at + 1];
            row[at + 1] = changed.min(row[at] + 1).min(diagonal + 1);
        }
    }
    row[right.len()] + left.len().saturating_sub(64)
}

/// A secret that everybody on this machine can read.
pub fn open_secret(path: &Path, said: &[Said]) -> Option<Problem> {
    use std::os::unix::fs::MetadataExt;
    let secret = said.iter().find(|said| said.setting.kind == Kind::Secret)?;
    let Source::File(_, line) = secret.source else { return None };
    let open = fs::metadata(path).is_ok_and(|about| about.mode() & 0o004 != 0);
    open.then(|| Problem {
        path: path.to_owned(),
        line,
        key: secret.setting.key.to_owned(),
        sentence: format!("everybody on this machine can read it: chmod o-r {}", path.display()),
        unknown: true,
    })
}
