//! The command line: what was asked for, and the only place that reads the environment.
//!
//! A word on the command line wins over the environment, which wins over the default. Whatever is
//! wrong ends with one line and status 2; what fails later ends with one line and status 1.

mod backup;
mod claim;
mod help;
mod invite;
mod journal;
mod link;
mod people;
mod serve;
mod token;
mod user;

use crate::api::{backup::Policy, database_path};
use crate::domain::Limits;
use crate::http::address::{Network, name_of};
use crate::store::{Db, lock::Lock};
use lexopt::{Arg, Parser, ValueExt};
use std::{
    env,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

/// What was asked for.
#[derive(Debug, PartialEq, Eq)]
enum Command {
    Serve(Serve),
    AddUser(AddUser),
    People(people::Settings),
    AddToken(token::Add),
    ListTokens(token::List),
    RemoveToken(token::Remove),
    Backup(backup::Settings),
    Claim(Option<PathBuf>),
    Invite(invite::Settings),
    Limits(Limits),
    Help(&'static str),
    Version,
}

/// The settings of `deuced serve`.
#[derive(Debug, Default, PartialEq, Eq)]
struct Serve {
    /// `None` is every interface, on the default port.
    listen: Option<SocketAddr>,
    data: Option<PathBuf>,
    web: Option<PathBuf>,
    open: bool,
    /// `None` is as `open` is.
    guests: Option<bool>,
    origins: Vec<String>,
    hosts: Vec<String>,
    trusted_proxies: Vec<Network>,
    limits: Limits,
    backup: Policy,
}

/// The settings of `deuced user add`.
#[derive(Debug, Default, PartialEq, Eq)]
struct AddUser {
    name: String,
    admin: bool,
    child: bool,
    password_from_stdin: bool,
    data: Option<PathBuf>,
    limits: Limits,
}

/// The port where nothing else was said.
const PORT: u16 = 8222;

/// Runs the program and says how it went.
pub fn main() -> ExitCode {
    journal::start();
    let command =
        match environment_is_text().and_then(|()| parse(Parser::from_env(), &|name| env::var(name).ok())) {
            Ok(command) => command,
            Err(sentence) => {
                eprintln!("deuced: {sentence} (try 'deuced --help')");
                return ExitCode::from(2);
            }
        };
    let outcome = match command {
        Command::Help(text) => print(text),
        Command::Version => print(&format!("deuced {} ({})\n", env!("CARGO_PKG_VERSION"), env::consts::ARCH)),
        Command::Limits(limits) => print(&help::limits(&limits)),
        Command::AddUser(settings) => user::add(&settings),
        Command::People(settings) => people::run(&settings),
        Command::AddToken(settings) => token::add(&settings),
        Command::ListTokens(settings) => token::list(&settings),
        Command::RemoveToken(settings) => token::remove(&settings),
        Command::Backup(settings) => backup::run(&settings),
        Command::Claim(data) => claim::show(data),
        Command::Invite(settings) => invite::make(&settings),
        Command::Serve(settings) => serve::run(settings),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(sentence) => {
            log::error!("{sentence}");
            ExitCode::FAILURE
        }
    }
}

/// What is not text would be passed over in silence, and a wrong directory be served.
fn environment_is_text() -> Result<(), String> {
    let ours = env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("DEUCED_"));
    for (name, value) in ours {
        if value.to_str().is_none() {
            return Err(format!("{}: not valid UTF-8", name.to_string_lossy()));
        }
    }
    Ok(())
}

/// Writes to stdout. A reader that has gone away is no failure.
fn print(text: &str) -> Result<(), String> {
    use std::io::{ErrorKind, Write};
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(format!("cannot write: {error}")),
        _ => Ok(()),
    }
}

/// The data directory: as told, else where systemd keeps it, else the user's own.
fn data_directory(told: Option<PathBuf>) -> Result<PathBuf, String> {
    let below_home =
        || Some(PathBuf::from(env::var_os("HOME").filter(|home| !home.is_empty())?).join(".local/share"));
    let xdg = || {
        env::var_os("XDG_DATA_HOME").filter(|path| !path.is_empty()).map(PathBuf::from).or_else(below_home)
    };
    // systemd may name several, separated by colons; ours is one.
    let state = || env::var_os("STATE_DIRECTORY").filter(|path| !path.is_empty()).map(PathBuf::from);
    told.or_else(state)
        .or_else(|| xdg().map(|path| path.join("deuced")))
        .ok_or_else(|| "no place for the data: say --data DIR".to_owned())
}

/// Makes the data directory if there is none; only its owner may look in.
fn prepare_data_directory(told: Option<PathBuf>) -> Result<PathBuf, String> {
    use std::os::unix::fs::DirBuilderExt;
    let data = data_directory(told)?;
    // Also where the directory was made by somebody else, what is in it is nobody else's to read.
    // SAFETY: only sets the mask for files made later.
    unsafe { libc::umask(0o077) };
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&data)
        .map_err(|error| format!("the data directory {} cannot be made: {error}", data.display()))?;
    Ok(data)
}

/// Opens the database. Beside a running server its tables stay as they are: only with the directory
/// to oneself may they be brought up to date.
fn open_database(data: &Path) -> crate::domain::Result<Db> {
    match Lock::take(data) {
        Ok(_lock) => Db::open(&database_path(data)),
        Err(_) => Db::open_beside(&database_path(data)),
    }
}

/// Changes the database, and has a server that runs beside take notice at once.
fn change<T>(
    data: &Path,
    work: impl FnOnce(&crate::store::Tx<'_>) -> crate::domain::Result<T>,
) -> crate::domain::Result<T> {
    let changed = open_database(data)?.write_now(work);
    Lock::knock(data);
    changed
}

/// Where environment variables come from.
type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// The data directory that the environment names.
fn told_data(environment: Environment<'_>) -> Option<PathBuf> {
    environment("DEUCED_DATA").filter(|value| !value.is_empty()).map(PathBuf::from)
}

fn parse(mut words: Parser, environment: Environment<'_>) -> Result<Command, String> {
    let plain = |error: lexopt::Error| error.to_string();
    match words.next().map_err(plain)? {
        None => Ok(Command::Help(help::MAIN)),
        Some(Arg::Short('h') | Arg::Long("help")) => Ok(Command::Help(help::MAIN)),
        Some(Arg::Short('V') | Arg::Long("version")) => Ok(Command::Version),
        Some(Arg::Value(word)) => match word.to_str() {
            Some("serve") => parse_serve(words, environment),
            Some("user") => parse_user(words, environment),
            Some("token") => token::parse(words, environment),
            Some("backup") => backup::parse(words, environment),
            Some("claim") => claim::parse(words, environment),
            Some("invite") => invite::parse(words, environment),
            Some("limits") => parse_limits(words, environment),
            Some("help") => Ok(Command::Help(help::MAIN)),
            _ => Err(format!("'{}' is not a command", word.to_string_lossy())),
        },
        Some(other) => Err(other.unexpected().to_string()),
    }
}

fn parse_serve(mut words: Parser, environment: Environment<'_>) -> Result<Command, String> {
    let mut settings = Serve { limits: limits_from(environment)?, ..Serve::default() };
    serve_from_environment(&mut settings, environment)?;
    settings.backup = backup::policy(environment)?;
    let text = |words: &mut Parser| {
        words.value().and_then(|value| value.string()).map_err(|error| error.to_string())
    };
    // Lists given on the command line take the place of those in the environment.
    let (mut origins, mut hosts, mut proxies) = (Vec::new(), Vec::new(), Vec::new());
    while let Some(word) = words.next().map_err(|error| error.to_string())? {
        match word {
            Arg::Long("listen") => settings.listen = Some(parse_listen(&text(&mut words)?)?),
            Arg::Long("data") => settings.data = Some(text(&mut words)?.into()),
            Arg::Long("web") => settings.web = Some(parse_web(&text(&mut words)?)?),
            Arg::Long("open") => settings.open = true,
            Arg::Long("guests") => settings.guests = Some(parse_flag(&text(&mut words)?)?),
            Arg::Long("origin") => origins.push(parse_origin(&text(&mut words)?)?),
            Arg::Long("host") => hosts.push(parse_host(&text(&mut words)?)?),
            Arg::Long("trusted-proxy") => proxies.push(parse_proxy(&text(&mut words)?)?),
            Arg::Long("limit") => settings.limits.set(&text(&mut words)?)?,
            Arg::Long("backup-folder") => settings.backup.folder = Some(text(&mut words)?.into()),
            Arg::Long("backup-keep") => settings.backup.keep = backup::parse_keep(&text(&mut words)?)?,
            Arg::Long("backup-warn-hours") => {
                settings.backup.warn_hours = backup::parse_hours(&text(&mut words)?)?;
            }
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help(help::SERVE)),
            other => return Err(other.unexpected().to_string()),
        }
    }
    if !origins.is_empty() {
        settings.origins = origins;
    }
    if !hosts.is_empty() {
        settings.hosts = hosts;
    }
    if !proxies.is_empty() {
        settings.trusted_proxies = proxies;
    }
    Ok(Command::Serve(settings))
}

fn serve_from_environment(settings: &mut Serve, environment: Environment<'_>) -> Result<(), String> {
    let get = |name: &str| environment(name).filter(|value| !value.is_empty());
    let named = |name: &str, error: String| format!("{name}: {error}");
    if let Some(value) = get("DEUCED_LISTEN") {
        settings.listen = Some(parse_listen(&value).map_err(|error| named("DEUCED_LISTEN", error))?);
    }
    settings.data = get("DEUCED_DATA").map(PathBuf::from);
    if let Some(value) = get("DEUCED_WEB") {
        settings.web = Some(parse_web(&value).map_err(|error| named("DEUCED_WEB", error))?);
    }
    let flag = |name: &str| {
        get(name).map(|value| parse_flag(&value).map_err(|error| named(name, error))).transpose()
    };
    settings.open = flag("DEUCED_OPEN")?.unwrap_or(false);
    settings.guests = flag("DEUCED_GUESTS")?;
    for value in get("DEUCED_ORIGIN").unwrap_or_default().split_whitespace() {
        settings.origins.push(parse_origin(value).map_err(|error| named("DEUCED_ORIGIN", error))?);
    }
    for value in get("DEUCED_HOST").unwrap_or_default().split_whitespace() {
        settings.hosts.push(parse_host(value).map_err(|error| named("DEUCED_HOST", error))?);
    }
    for value in get("DEUCED_TRUSTED_PROXY").unwrap_or_default().split_whitespace() {
        settings
            .trusted_proxies
            .push(parse_proxy(value).map_err(|error| named("DEUCED_TRUSTED_PROXY", error))?);
    }
    Ok(())
}

fn parse_flag(text: &str) -> Result<bool, String> {
    match text {
        "0" | "no" | "false" => Ok(false),
        "1" | "yes" | "true" => Ok(true),
        other => Err(format!("'{other}' is neither yes nor no")),
    }
}

/// Two limits that have names of their own in the environment of notification servers.
const FOREIGN_LIMITS: [(&str, &str); 2] = [
    ("SOCKET_MAX_TOTAL_CONNECTIONS", "registered_sockets"),
    ("SOCKET_MAX_CONNECTIONS_PER_USER", "registered_sockets_per_user"),
];

fn limits_from(environment: Environment<'_>) -> Result<Limits, String> {
    let mut limits = Limits::default();
    for (name, limit) in FOREIGN_LIMITS {
        if let Some(value) = environment(name).filter(|value| !value.is_empty()) {
            limits.set(&format!("{limit}={value}")).map_err(|error| format!("{name}: {error}"))?;
        }
    }
    for assignment in environment("DEUCED_LIMIT").unwrap_or_default().split_whitespace() {
        limits.set(assignment).map_err(|error| format!("DEUCED_LIMIT: {error}"))?;
    }
    Ok(limits)
}

fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        format!("'{text}' is not an address to listen on, such as 0.0.0.0:{PORT} or [::1]:{PORT}")
    })
}

fn parse_web(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.join("index.html").is_file() {
        true => Ok(path),
        false => Err(format!("'{text}' has no index.html")),
    }
}

fn parse_origin(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    match authority.is_empty() || authority.contains(['/', '?', '#', '@', ' ']) {
        true => Err(format!("'{text}' is not an origin, such as https://diary.example")),
        false => Ok(text.to_owned()),
    }
}

/// A name without a port, which does not matter, in lower case.
fn parse_host(text: &str) -> Result<String, String> {
    let name = name_of(text);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    match name.is_empty() || name.len() > 255 || text.contains('/') || !name.bytes().all(plain) {
        true => Err(format!("'{text}' is not a host name, such as diary.example")),
        false => Ok(name.to_ascii_lowercase()),
    }
}

fn parse_proxy(text: &str) -> Result<Network, String> {
    Network::parse(text).ok_or_else(|| {
        format!("'{text}' is not an address or a range of them, such as 127.0.0.1 or 10.0.0.0/8")
    })
}

fn parse_limits(mut words: Parser, environment: Environment<'_>) -> Result<Command, String> {
    match words.next().map_err(|error| error.to_string())? {
        None => Ok(Command::Limits(limits_from(environment)?)),
        Some(Arg::Short('h') | Arg::Long("help")) => Ok(Command::Help(help::LIMITS)),
        Some(other) => Err(other.unexpected().to_string()),
    }
}

fn parse_user(mut words: Parser, environment: Environment<'_>) -> Result<Command, String> {
    match words.next().map_err(|error| error.to_string())? {
        Some(Arg::Value(word)) if word == "add" => parse_add_user(words, environment),
        Some(Arg::Value(word)) if people::is_deed(&word) => people::parse(&word, words, environment),
        Some(Arg::Short('h') | Arg::Long("help")) | None => Ok(Command::Help(help::USER)),
        Some(Arg::Value(word)) => Err(format!("'user {}' is not a command", word.to_string_lossy())),
        Some(other) => Err(other.unexpected().to_string()),
    }
}

fn parse_add_user(mut words: Parser, environment: Environment<'_>) -> Result<Command, String> {
    let plain = |error: lexopt::Error| error.to_string();
    let mut settings = AddUser { limits: limits_from(environment)?, ..AddUser::default() };
    settings.data = told_data(environment);
    let mut name = None;
    while let Some(word) = words.next().map_err(plain)? {
        match word {
            Arg::Value(value) if name.is_none() => name = Some(value.string().map_err(plain)?),
            Arg::Long("admin") => settings.admin = true,
            Arg::Long("child") => settings.child = true,
            Arg::Long("password-stdin") => settings.password_from_stdin = true,
            Arg::Long("data") => settings.data = Some(words.value().map_err(plain)?.into()),
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help(help::USER)),
            other => return Err(other.unexpected().to_string()),
        }
    }
    if settings.admin && settings.child {
        return Err("user add: a child cannot own the server, say --admin or --child".to_owned());
    }
    let name = name.filter(|name| !name.trim().is_empty());
    settings.name = name.ok_or("user add: whom? Say 'deuced user add NAME'")?;
    Ok(Command::AddUser(settings))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str, variables: &[(&str, &str)]) -> Result<Command, String> {
        let variables: Vec<(String, String)> =
            variables.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect();
        let get = move |name: &str| {
            variables.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())
        };
        parse(Parser::from_args(line.split_whitespace()), &get)
    }

    fn serve(line: &str, variables: &[(&str, &str)]) -> Serve {
        match parsed(line, variables) {
            Ok(Command::Serve(settings)) => settings,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn words_win_over_the_environment_and_the_environment_over_defaults() {
        assert_eq!(serve("serve", &[]), Serve::default());
        let variables = [
            ("DEUCED_LISTEN", "127.0.0.1:1"),
            ("DEUCED_DATA", "/a"),
            ("DEUCED_OPEN", "1"),
            ("DEUCED_ORIGIN", "https://a.example https://b.example"),
            ("DEUCED_HOST", "a.example B.example."),
            ("DEUCED_TRUSTED_PROXY", "127.0.0.1"),
            ("DEUCED_LIMIT", "sockets=7 idle_seconds=9"),
            ("DEUCED_GUESTS", "no"),
            ("SOCKET_MAX_TOTAL_CONNECTIONS", "77"),
        ];
        let settings = serve("serve", &variables);
        assert_eq!(settings.listen, Some("127.0.0.1:1".parse().unwrap()));
        assert_eq!((settings.data, settings.open), (Some("/a".into()), true));
        assert_eq!(settings.origins, ["https://a.example", "https://b.example"]);
        assert_eq!(settings.hosts, ["a.example", "b.example"]);
        assert_eq!((settings.limits.sockets, settings.limits.idle_seconds), (7, 9));
        assert_eq!((settings.guests, settings.limits.registered_sockets), (Some(false), 77));
        let line = "serve --listen [::1]:2 --data=/b --origin http://c.example --host Pi.Example:80 --limit sockets=8";
        let settings = serve(line, &variables);
        assert_eq!(settings.listen, Some("[::1]:2".parse().unwrap()));
        assert_eq!(settings.data, Some("/b".into()));
        assert_eq!(settings.origins, ["http://c.example"]);
        assert_eq!(settings.hosts, ["pi.example"]);
        assert_eq!((settings.limits.sockets, settings.limits.idle_seconds), (8, 9));
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
            ("user add", "user add: whom? Say 'deuced user add NAME'"),
            ("user sub", "'user sub' is not a command"),
            (
                "user add ann --admin --child",
                "user add: a child cannot own the server, say --admin or --child",
            ),
            ("user reset", "user reset: whom? Say 'deuced user reset NAME'"),
            ("user child ann", "user child: say 'deuced user child NAME yes' or '... no'"),
            ("user owner ann maybe", "'maybe' is neither yes nor no"),
            ("user list ann", "unexpected argument \"ann\""),
            ("user disable ann --yes", "invalid option '--yes'"),
            ("token add", "token add: whose? Say 'deuced token add NAME'"),
            ("token del", "'token del' is not a command"),
            ("claim now", "unexpected argument \"now\""),
            ("invite Home", "invite: into which group, and who invites? Say 'deuced invite GROUP --as NAME'"),
            ("invite Home --as ann --uses 0", "--uses: a number from 1 to 1000000"),
        ] {
            assert_eq!(parsed(line, &[]).unwrap_err(), sentence, "{line}");
        }
        assert_eq!(
            parsed("serve", &[("DEUCED_OPEN", "maybe")]).unwrap_err(),
            "DEUCED_OPEN: 'maybe' is neither yes nor no"
        );
        assert_eq!(parsed("serve --guests x", &[]).unwrap_err(), "'x' is neither yes nor no");
        assert_eq!(
            parsed("serve", &[("SOCKET_MAX_CONNECTIONS_PER_USER", "many")]).unwrap_err(),
            "SOCKET_MAX_CONNECTIONS_PER_USER: registered_sockets_per_user: a number from 1 to 100000 (sockets)"
        );
        assert_eq!(
            parsed("serve", &[("DEUCED_LIMIT", "x=1")]).unwrap_err(),
            "DEUCED_LIMIT: 'x' is not a limit; 'deuced limits' lists them"
        );
    }

    #[test]
    fn every_option_of_serve_is_in_its_help() {
        for option in ["--listen", "--data", "--web", "--open", "--origin", "--trusted-proxy", "--limit"] {
            let variable = format!("DEUCED_{}", option[2..].to_uppercase().replace('-', "_"));
            assert!(help::SERVE.contains(option) && help::SERVE.contains(&variable), "{option}");
        }
    }
}
