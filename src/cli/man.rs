//! The manual pages `deuced(8)` and `deuced.toml(5)`, in the old macros that every reader of them knows, from the same
//! tables as `--help`.

use super::commands::COMMANDS;
use super::config::table::{Kind, SETTINGS, Setting};
use super::config::{environment::FOREIGN_LIMITS, template::toml};
use super::help::wrap;
use super::print;
use super::words::{Asked, Entry, Job};
use crate::cli::config::Settings;
use crate::domain::Limits;
use std::fmt::Write;

/// When they were last looked through.
const DATE: &str = "2026-11-24";

/// The pages, by the names of their files.
const PAGES: [Named; 2] = [("deuced.8", program), ("deuced.toml.5", settings)];

/// The name of a page, and what makes it.
type Named = (&'static str, fn() -> String);

/// `deuced man`.
pub const ENTRY: Entry = Entry {
    name: "man",
    arguments: &["deuced.8|deuced.toml.5"],
    brief: "print a manual page, for man(1)",
    about: "Prints a manual page: deuced.8 for the program, deuced.toml.5 for its file of settings.",
    options: &[],
    settings: &[],
    notes: "To read one at once: deuced man deuced.8 | man -l -",
    read,
};

fn read(asked: Asked) -> Result<Job, String> {
    let name = asked.argument(0).unwrap_or_default();
    let page = PAGES.iter().find(|(known, _)| *known == name);
    let (_, page) = page.ok_or("man: which page? Say 'deuced man deuced.8' or 'deuced man deuced.toml.5'")?;
    Ok(Box::new(move || print(&page())))
}

/// A page under construction.
struct Page(String);

impl Page {
    fn new(title: &str, section: u8, about: &str) -> Page {
        let mut page = Page(String::new());
        let version = env!("CARGO_PKG_VERSION");
        let _ = writeln!(page.0, ".TH {} {section} {DATE} \"deuced {version}\"", title.to_uppercase());
        page.heading("NAME");
        let _ = writeln!(page.0, "{} \\- {}", escaped(title), escaped(about));
        page
    }

    fn heading(&mut self, words: &str) {
        let _ = writeln!(self.0, ".SH {words}");
    }

    /// Paragraphs that are parted by an empty line.
    fn text(&mut self, text: &str) {
        for (index, paragraph) in text.split("\n\n").enumerate() {
            if index > 0 {
                self.0.push_str(".PP\n");
            }
            self.lines(paragraph);
        }
    }

    /// Running text, in short lines, none of which is taken for a macro.
    fn lines(&mut self, text: &str) {
        for line in wrap(text, 68) {
            let _ = writeln!(self.0, "{}", line_of(&escaped(&line)));
        }
    }

    /// A term and what it means.
    fn term(&mut self, term: &str, meaning: &str) {
        let _ = writeln!(self.0, ".TP\n{}", line_of(term));
        self.lines(meaning);
    }

    /// What is to be shown as it is.
    fn example(&mut self, text: &str) {
        self.0.push_str(".PP\n.nf\n.RS 4\n");
        for line in text.lines() {
            let line = if line.is_empty() { ".sp".to_owned() } else { line_of(&escaped(line)) };
            let _ = writeln!(self.0, "{line}");
        }
        self.0.push_str(".RE\n.fi\n");
    }
}

/// Letters as they are, hyphens among them: what is copied from a page must work.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('\'', "\\(aq")
        .replace('"', "\\(dq")
        .replace('~', "\\(ti")
}

/// A line that begins with a dot would be a macro.
fn line_of(text: &str) -> String {
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text.to_owned() }
}

fn bold(text: &str) -> String {
    format!("\\fB{}\\fR", escaped(text))
}

/// An option and its value.
fn option(name: &str, value: &str) -> String {
    match value {
        "" => bold(&format!("--{name}")),
        value => format!("{} \\fI{}\\fR", bold(&format!("--{name}")), escaped(value)),
    }
}

/// A command with its arguments.
fn command(entry: &Entry) -> String {
    let arguments: String =
        entry.arguments.iter().map(|argument| format!(" \\fI{}\\fR", escaped(argument))).collect();
    format!("{}{arguments}", bold(entry.name))
}

/// `deuced(8)`.
fn program() -> String {
    let mut page = Page::new("deuced", 8, "the server of a household's private group diary");
    page.heading("SYNOPSIS");
    page.0.push_str(".B deuced\n.I command\n.RI [ options ]\n");
    page.heading("DESCRIPTION");
    page.text(
        "deuced keeps people, groups, invites, entries, reactions, chat and notifications of a household in one \
         SQLite file, and tells everybody in a group the moment something happens. It answers over HTTP and \
         WebSockets, and serves a page to use all of it.\n\n\
         A fresh server has no owner: its first start prints a link, and whoever opens it becomes the owner. All \
         commands work beside a running server.\n\n\
         Root who works on a data directory that belongs to somebody else goes on as that user.",
    );
    page.heading("COMMANDS");
    for entry in COMMANDS {
        let _ = writeln!(page.0, ".SS {}", command(entry));
        page.text(entry.about);
        for choice in entry.options {
            page.term(&option(choice.name, choice.value), choice.help);
        }
        let several = entry.flags().count() > 1;
        if several && entry.flags().count() == SETTINGS.iter().filter(|s| s.kind != Kind::Secret).count() {
            page.0.push_str(".PP\n");
            page.lines("It takes all options that are explained under SETTINGS.");
        } else if entry.is_configured() {
            let flags: Vec<String> =
                entry.flags().filter_map(Setting::flag).map(|flag| format!("--{flag}")).collect();
            page.0.push_str(".PP\n");
            page.lines(&format!("It takes {} and --config, see SETTINGS.", flags.join(", ")));
        }
        if !entry.notes.is_empty() {
            page.0.push_str(".PP\n");
            page.text(entry.notes);
        }
    }
    page.heading("SETTINGS");
    page.text(
        "Each is an option, a variable of the environment and a key of the file (see deuced.toml(5)). The option \
         wins over the variable, which wins over the file, which wins over the default. Lists in a variable are \
         separated by blanks.",
    );
    for setting in SETTINGS {
        if let Some(flag) = setting.flag() {
            let value = if setting.kind == Kind::Switch { "" } else { setting.value };
            page.term(&option(&flag, value), &format!("{} [{}]", setting.help, setting.variable()));
        }
    }
    page.term(
        &option("config", "FILE"),
        "Read the settings from there; default /etc/deuced/deuced.toml, if it is there. Nothing for none. \
         [DEUCED_CONFIG]",
    );
    page.heading("ENVIRONMENT");
    for setting in SETTINGS {
        let what = match setting.kind {
            Kind::Secret => format!("{} A secret is no option.", setting.help),
            _ => format!("As --{}.", setting.flag().unwrap_or_default()),
        };
        page.term(&bold(&setting.variable()), &what);
        if setting.kind == Kind::Secret {
            let credential = format!("deuced.{}", setting.key);
            let file = format!(
                "The file that {} is in. Without either it is looked for in systemd's credential {credential}.",
                setting.variable()
            );
            page.term(&bold(&format!("{}_FILE", setting.variable())), &file);
        }
    }
    page.term(&bold("DEUCED_CONFIG"), "As --config; empty for no file at all.");
    for (variable, limit) in FOREIGN_LIMITS {
        page.term(
            &bold(variable),
            &format!("The limit {limit}, under the name that notification servers have for it."),
        );
    }
    page.heading("FILES");
    for (file, what) in [
        ("/etc/deuced/deuced.toml", "The settings, see deuced.toml(5)."),
        (
            "deuced.db",
            "The diary, in the data directory; with deuced.db-wal and deuced.db-shm beside it while it is open.",
        ),
        ("pictures/", "Profile pictures."),
        ("backups/", "Verified copies, unless backup.folder says otherwise."),
        ("address", "Where the running server listens."),
        ("claim", "The secret of the link for the first owner, until there is one."),
    ] {
        page.term(&format!("\\fI{}\\fR", escaped(file)), what);
    }
    page.heading("EXIT STATUS");
    page.0.push_str(".TP\n0\n");
    page.lines("All was done.");
    page.0.push_str(".TP\n1\n");
    page.lines("Something failed; the last line says what.");
    page.0.push_str(".TP\n2\n");
    page.lines("What was asked for, the environment or the file of settings is wrong; nothing was done.");
    page.heading("EXAMPLES");
    page.0.push_str("To try it on a trusted network, without passwords:\n");
    page.example("deuced serve --open");
    page.0.push_str(".PP\nBehind a proxy on the same machine:\n");
    page.example("deuced serve --listen 127.0.0.1:8222 --host diary.example --trusted-proxy 127.0.0.1");
    page.heading("SEE ALSO");
    page.0.push_str(".BR deuced.toml (5),\n.BR systemd (1)\n");
    page.0
}

/// `deuced.toml(5)`.
fn settings() -> String {
    let mut page = Page::new("deuced.toml", 5, "the settings of deuced");
    page.heading("DESCRIPTION");
    page.text(
        "deuced(8) reads its settings from /etc/deuced/deuced.toml, if it is there, when it starts; --config or \
         DEUCED_CONFIG name another file. All commands that work on the data directory read it, too. It is a \
         TOML file: lines of a key, an equals sign and a value; text is in quotes, lists are in brackets, and \
         a line of a name in brackets begins a table. Empty text and empty lists say nothing.\n\n\
         What is said on the command line or in the environment wins over the file. A value that cannot be keeps the \
         server from starting. A key that nobody knows is warned of.\n\n\
         'deuced config file' prints a file with every key, commented out with its default; 'deuced check-config' \
         checks a file line by line; 'deuced config dump' shows what is in force, and from where.",
    );
    page.heading("SETTINGS");
    let defaults = Settings::default();
    for setting in SETTINGS.iter().filter(|setting| setting.kind != Kind::Limits) {
        let value = toml(setting, &setting.in_force(&defaults));
        let list = if setting.list { " A list says several." } else { "" };
        let (table, name) = setting.place();
        let below = if table.is_empty() { String::new() } else { format!(" Below [{table}].") };
        page.term(
            &format!("{} = {}", bold(name), escaped(&value)),
            &format!("{}{list}{below}", setting.help),
        );
    }
    page.heading("LIMITS");
    page.text("Below [limit], each a whole number, shown with its default.");
    for line in Limits::TABLE {
        let meaning = format!("From {} to {} {}: {}.", line.min, line.max, line.unit, line.meaning);
        page.term(&format!("{} = {}", bold(line.name), line.default), &meaning);
    }
    page.heading("EXAMPLES");
    page.0.push_str("A server behind a proxy, with copies on a disk of its own:\n");
    page.example(
        "listen = \"127.0.0.1:8222\"\nhost = \"diary.example\"\ntrusted_proxy = \"127.0.0.1\"\n\n[backup]\n\
         folder = \"/media/usb\"\nkeep = 14\n\n[limit]\nusers = 20",
    );
    page.heading("SEE ALSO");
    page.0.push_str(".BR deuced (8)\n");
    page.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pages_know_every_command_setting_and_limit() {
        let (program, settings) = (program(), settings());
        for entry in COMMANDS {
            assert!(program.contains(&format!("\n.SS {}\n", command(entry))), "{}", entry.name);
            for choice in entry.options {
                assert!(
                    program.contains(&format!("\n{}\n", option(choice.name, choice.value))),
                    "{}",
                    choice.name
                );
            }
        }
        for setting in SETTINGS {
            assert!(program.contains(&format!("\n{}\n", bold(&setting.variable()))), "{}", setting.key);
            if let Some(flag) = setting.flag() {
                assert!(program.contains(&format!("\n{}", bold(&format!("--{flag}")))), "{flag}");
            }
            if setting.kind != Kind::Limits {
                assert!(settings.contains(&format!("\n{} = ", bold(setting.place().1))), "{}", setting.key);
            }
        }
        for line in Limits::TABLE {
            let term = format!("\n{} = {}\n", bold(line.name), line.default);
            assert_eq!(settings.matches(&term).count(), 1, "{}", line.name);
        }
    }

    #[test]
    fn nothing_in_the_text_is_taken_for_a_macro() {
        let macros = [
            ".TH ", ".SH ", ".SS ", ".TP", ".sp", ".PP", ".nf", ".fi", ".RS 4", ".RE", ".B ", ".I ", ".RI ",
            ".BR ",
        ];
        for (_, page) in PAGES {
            for line in page().lines() {
                let known = macros.iter().any(|known| line.starts_with(known));
                assert!(known || !line.starts_with(['.', '\'']), "{line}");
                assert!(
                    !line.is_empty() || line.starts_with('.'),
                    "an empty line is a paragraph nobody asked for"
                );
                assert!(!line.ends_with(' '), "{line:?}");
            }
        }
        assert_eq!(escaped("a-b \\ 'c'"), "a\\-b \\e \\(aqc\\(aq");
        assert_eq!(line_of(".local"), "\\&.local");
    }
}
