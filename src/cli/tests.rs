//! What the command line makes of words, and that everything that explains it says all of it.

use super::commands::{COMMANDS, FAMILIES, members};
use super::config::table::{Kind, SETTINGS};
use super::words::parse;
use super::{help, words};
use lexopt::Parser;

fn parsed(line: &str, variables: &[(&str, &str)]) -> Result<(), String> {
    let variables: Vec<(String, String)> =
        variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
    // This machine's own file does not matter.
    let get = move |name: &str| {
        let known = variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        known.or_else(|| (name == "DEUCED_CONFIG").then(String::new))
    };
    parse(Parser::from_args(line.split_whitespace()), &get).map(drop)
}

#[test]
fn what_is_wrong_is_said_in_one_line() {
    for (line, sentence) in [
        ("swerve", "'swerve' is not a command"),
        ("serve --teapot", "invalid option '--teapot'"),
        ("serve extra", "unexpected argument \"extra\""),
        ("serve --listen", "missing argument for option '--listen'"),
        (
            "serve --listen pi:80",
            "'pi:80' is not an address to listen on, such as 0.0.0.0:8222 or [::1]:8222",
        ),
        ("serve --origin pi", "'pi' is not an origin, such as https://diary.example"),
        ("serve --host http://pi", "'http://pi' is not a host name, such as diary.example"),
        (
            "serve --trusted-proxy pi",
            "'pi' is not an address or a range of them, such as 127.0.0.1 or 10.0.0.0/8",
        ),
        ("serve --limit sockets=x", "sockets: a number from 1 to 100000 (sockets)"),
        ("serve --web /nowhere", "'/nowhere' has no index.html"),
        ("serve --open=perhaps", "'perhaps' is neither yes nor no"),
        ("serve --guests x", "'x' is neither yes nor no"),
        ("serve --backup-keep 0", "--backup-keep: a number from 1 to 1000"),
        ("backup --keep x", "--keep: a number from 1 to 1000"),
        ("serve --metrics-token 0123456789abcdef", "invalid option '--metrics-token'"),
        ("user add", "user add: whom? Say 'deuced user add NAME'"),
        ("user sub", "'user sub' is not a command"),
        ("user add ann --admin --child", "user add: a child cannot own the server, say --admin or --child"),
        ("user reset", "user reset: whom? Say 'deuced user reset NAME'"),
        ("user child ann", "user child: say 'deuced user child NAME yes' or '... no'"),
        ("user owner ann maybe", "'maybe' is neither yes nor no"),
        ("user list ann", "unexpected argument \"ann\""),
        ("user disable ann --yes", "invalid option '--yes'"),
        ("token add", "token add: whose? Say 'deuced token add NAME'"),
        ("token del", "'token del' is not a command"),
        ("token list", "token list: whose? Say 'deuced token list NAME'"),
        ("token remove ann", "token remove: which? Say 'deuced token remove NAME DEVICE'"),
        ("claim now", "unexpected argument \"now\""),
        ("invite Home", "invite: into which group, and who invites? Say 'deuced invite GROUP --as NAME'"),
        ("invite Home --as ann --uses 0", "--uses: a number from 1 to 1000000"),
    ] {
        assert_eq!(parsed(line, &[]).unwrap_err(), sentence, "{line}");
    }
    for (variable, value, sentence) in [
        ("DEUCED_OPEN", "maybe", "DEUCED_OPEN: 'maybe' is neither yes nor no"),
        (
            "SOCKET_MAX_CONNECTIONS_PER_USER",
            "many",
            "SOCKET_MAX_CONNECTIONS_PER_USER: registered_sockets_per_user: a number from 1 to 100000 (sockets)",
        ),
        ("DEUCED_LIMIT", "x=1", "DEUCED_LIMIT: 'x' is not a limit; 'deuced limits' lists them"),
        ("DEUCED_BACKUP_WARN_HOURS", "-1", "DEUCED_BACKUP_WARN_HOURS: a number from 0 to 100000"),
        (
            "DEUCED_METRICS_TOKEN",
            "short",
            "DEUCED_METRICS_TOKEN: at least 16 letters, digits or signs, no blanks",
        ),
    ] {
        assert_eq!(parsed("serve", &[(variable, value)]).unwrap_err(), sentence);
    }
    // What a command does not use cannot keep it from its work.
    parsed("user add ann", &[("DEUCED_WEB", "/nowhere"), ("DEUCED_OPEN", "maybe")]).unwrap();
}

#[test]
fn every_option_and_every_variable_is_in_the_help_of_serve() {
    let page = help::command(&super::serve::ENTRY);
    for setting in SETTINGS {
        assert!(page.contains(&setting.variable()), "{}", setting.key);
        if let Some(flag) = setting.flag() {
            assert!(page.contains(&format!("\n  --{flag}")), "{flag} in\n{page}");
        }
    }
}

#[test]
fn every_command_is_in_the_help_and_has_a_page() {
    let main = help::main();
    for entry in COMMANDS {
        let family = FAMILIES.iter().find(|family| entry.name.starts_with(&format!("{} ", family.name)));
        match family {
            Some(family) => {
                assert!(main.contains(&format!("  {} COMMAND", family.name)), "{}", entry.name);
                assert!(
                    help::family(family.name).contains(&entry.name[family.name.len()..]),
                    "{}",
                    entry.name
                );
            }
            None => assert!(main.contains(&format!("\n  {}", entry.name)), "{}", entry.name),
        }
        let page = help::command(entry);
        for choice in entry.options {
            assert!(page.contains(&format!("\n  --{}", choice.name)), "{} {}", entry.name, choice.name);
        }
        parsed(&format!("{} --help", entry.name), &[]).unwrap();
    }
    assert!(FAMILIES.iter().all(|family| members(family.name).count() > 1));
}

#[test]
fn every_page_fits_a_terminal() {
    let pages =
        COMMANDS.iter().map(help::command).chain(FAMILIES.iter().map(|family| help::family(family.name)));
    for page in pages.chain([help::main()]) {
        assert!(page.ends_with('\n') && !page.contains("\n\n\n") && !page.contains(" \n"), "{page}");
        for line in page.lines() {
            assert!(line.chars().count() <= 80, "{line}");
        }
    }
}

#[test]
fn a_command_names_settings_that_there_are() {
    for entry in COMMANDS {
        for key in entry.settings.iter().filter(|_| entry.settings != words::ALL) {
            let setting =
                super::config::table::setting(key).unwrap_or_else(|| panic!("{}: {key}", entry.name));
            assert_ne!(setting.kind, Kind::Secret, "{}: {key}", entry.name);
        }
        assert_eq!(super::commands::find(entry.name).map(|found| found.name), Some(entry.name));
    }
}
