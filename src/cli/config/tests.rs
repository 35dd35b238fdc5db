//! The configuration: what wins over what, what is wrong with a file, and that all that is written can be read.

use super::table::{Kind, SETTINGS, setting};
use super::*;
use crate::test::dice;
use proptest::prelude::*;
use std::{fs, path::Path};

/// A folder that goes with its test.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Folder {
        let name = format!("deuced-config-{:016x}", u64::from_le_bytes(crate::domain::id::random()));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Folder(path)
    }

    fn file(&self, name: &str, text: &str) -> String {
        fs::write(self.0.join(name), text).unwrap();
        self.0.join(name).to_str().unwrap().to_owned()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn flag(key: &str, texts: &[&str]) -> Said {
    let setting = setting(key).unwrap();
    let source = Source::Flag(setting.flag().unwrap());
    Said { setting, texts: texts.iter().map(|text| text.to_string()).collect(), source }
}

fn loaded(file: &str, flags: &[Said], variables: &[(&str, &str)]) -> Result<Loaded, String> {
    let get =
        |name: &str| variables.iter().find(|(known, _)| *known == name).map(|(_, value)| value.to_string());
    load(Some(file), flags, &get, &|_| true)
}

fn problems(text: &str) -> Vec<String> {
    let (_, problems) = file::parse(text, Path::new("f"));
    problems.iter().map(ToString::to_string).collect()
}

/// What a file says, which has to be right.
#[track_caller]
fn read(text: &str) -> Loaded {
    let (said, problems) = file::parse(text, Path::new("f"));
    assert!(problems.is_empty(), "{problems:?} in\n{text}");
    let mut loaded = Loaded::default();
    said.iter().for_each(|said| loaded.take(said).unwrap());
    loaded
}

#[test]
fn words_win_over_the_environment_and_that_over_the_file_and_that_over_defaults() {
    let folder = Folder::new();
    assert_eq!(loaded("", &[], &[]).unwrap().settings, Settings::default());
    let file = folder.file(
        "deuced.toml",
        "listen = [\"127.0.0.1:3\", \":4\"]\ndata = \"/file\"\nguests = true\nhost = \"file.example\"\n\
         metrics_token = \"0123456789abcdef-file\"\n\
         [backup]\nkeep = 3\nwarn_hours = 0\n[limit]\nsockets = 6\nidle_seconds = 5\nheaders = 50\n",
    );
    let settings = loaded(&file, &[], &[]).unwrap().settings;
    assert_eq!(settings.listen, [Listen::At("127.0.0.1:3".parse().unwrap()), Listen::Everywhere(4)]);
    assert_eq!((settings.data, settings.open), (Some("/file".into()), false));
    assert_eq!((settings.backup.keep, settings.backup.warn_hours), (3, 0));
    assert_eq!((settings.guests, settings.limits.sockets), (Some(true), 6));
    let variables = [
        ("DEUCED_LISTEN", "127.0.0.1:1 127.0.0.1:2"),
        ("DEUCED_DATA", "/a"),
        ("DEUCED_OPEN", "1"),
        ("DEUCED_ORIGIN", "https://a.example https://b.example"),
        ("DEUCED_HOST", "a.example B.example."),
        ("DEUCED_TRUSTED_PROXY", "127.0.0.1"),
        ("DEUCED_LIMIT", "sockets=7 idle_seconds=9"),
        ("DEUCED_GUESTS", "no"),
        ("DEUCED_BACKUP_KEEP", "4"),
        ("DEUCED_METRICS_TOKEN", "0123456789abcdef-environment"),
        ("DEUCED_WEB", ""),
        ("SOCKET_MAX_TOTAL_CONNECTIONS", "77"),
    ];
    let all = loaded(&file, &[], &variables).unwrap();
    let settings = &all.settings;
    assert_eq!(settings.listen, ["127.0.0.1:1", "127.0.0.1:2"].map(|at| Listen::At(at.parse().unwrap())));
    assert_eq!((settings.data.clone(), settings.open, settings.web.clone()), (Some("/a".into()), true, None));
    assert_eq!(settings.origins, ["https://a.example", "https://b.example"]);
    assert_eq!(settings.hosts, ["a.example", "b.example"]);
    let limits = &settings.limits;
    assert_eq!((limits.sockets, limits.idle_seconds, limits.headers), (7, 9, 50));
    assert_eq!((settings.guests, limits.registered_sockets), (Some(false), 77));
    assert_eq!((settings.backup.keep, settings.backup.warn_hours), (4, 0));
    assert!(settings.metrics_token.as_ref().unwrap().is("0123456789abcdef-environment"));
    let flags = [
        flag("listen", &["[::1]:2"]),
        flag("data", &["/b"]),
        flag("origin", &["http://c.example"]),
        flag("host", &["Pi.Example:80"]),
        flag("open", &["no"]),
        flag("limit", &["sockets=8"]),
    ];
    let all = loaded(&file, &flags, &variables).unwrap();
    let settings = &all.settings;
    assert_eq!(settings.listen, [Listen::At("[::1]:2".parse().unwrap())]);
    assert_eq!((settings.data.clone(), settings.open), (Some("/b".into()), false));
    assert_eq!(settings.origins, ["http://c.example"]);
    assert_eq!(settings.hosts, ["pi.example"]);
    assert_eq!((settings.limits.sockets, settings.limits.idle_seconds), (8, 9));
    // And it is known from where.
    let from = |key: &str| all.sources.get(key).map(ToString::to_string);
    assert_eq!(from("listen").unwrap(), "--listen");
    assert_eq!(from("guests").unwrap(), "DEUCED_GUESTS");
    assert_eq!(from("backup.warn_hours").unwrap(), format!("{file}:8"));
    assert_eq!(from("limit.headers").unwrap(), format!("{file}:12"));
    assert_eq!(from("limit.idle_seconds").unwrap(), "DEUCED_LIMIT");
    assert_eq!(from("limit.sockets").unwrap(), "--limit");
    assert_eq!((from("web"), from("limit.users")), (None, None));
}

#[test]
fn the_file_is_the_one_that_was_named() {
    let nothing = |_: &str| None;
    let empty = |name: &str| (name == "DEUCED_CONFIG").then(String::new);
    let named = |name: &str| (name == "DEUCED_CONFIG").then(|| "/b".to_owned());
    assert_eq!(file::find(Some("/a"), &named), Some("/a".into()));
    assert_eq!(file::find(Some(""), &named), None);
    assert_eq!(file::find(None, &named), Some("/b".into()));
    assert_eq!(file::find(None, &empty), None);
    let usual = Path::new(file::PLACE).exists().then(|| PathBuf::from(file::PLACE));
    assert_eq!(file::find(None, &nothing), usual);
    let missing = loaded("/nowhere/deuced.toml", &[], &[]).unwrap_err();
    assert!(missing.starts_with("/nowhere/deuced.toml: No such file"), "{missing}");
}

#[test]
fn what_is_wrong_with_a_file_is_named_by_line_and_key() {
    for (text, expected) in [
        ("", vec![]),
        ("data = \"\"\norigin = []\n[limit]\n", vec![]),
        ("lisen = \":1\"", vec!["f:1: lisen: is not known; is 'listen' meant?"]),
        ("teapots = 7", vec!["f:1: teapots: is not known"]),
        ("\"tea\\npots\" = 7", vec!["f:1: tea?pots: is not known"]),
        ("data = \"\\n/a\"", vec!["f:1: data: '?/a' is not a whole path, such as /var/lib/deuced"]),
        ("\nkeep = 7", vec!["f:2: keep: is not known here: 'keep' belongs below [backup]"]),
        ("sockets = 7", vec!["f:1: sockets: is not known here: 'sockets' belongs below [limit]"]),
        (
            "[backup]\nopen = true",
            vec!["f:2: backup.open: is not known here: 'open' stands before all tables"],
        ),
        ("[limit]\nsocket = 7", vec!["f:2: limit.socket: is not known; is 'sockets' meant?"]),
        ("[limit]\n\nsockets = 0", vec!["f:3: limit.sockets: a number from 1 to 100000 (sockets)"]),
        ("[limit]\nsockets = -1", vec!["f:2: limit.sockets: a number from 1 to 100000 (sockets)"]),
        ("[limit]\nsockets = \"1\"", vec!["f:2: limit.sockets: is a whole number, without quotes"]),
        (
            "limit = 1\nbackup = 2",
            vec!["f:1: limit: is a table: [limit]", "f:2: backup: is a table: [backup]"],
        ),
        ("[limit.sockets]", vec!["f:1: limit.sockets: is a whole number, without quotes"]),
        ("open = \"yes\"", vec!["f:1: open: is true or false, without quotes"]),
        ("listen = 8222", vec!["f:1: listen: is a text in quotes, or a list of such"]),
        ("listen = [\":1\", 2]", vec!["f:1: listen: is a list of texts in quotes"]),
        ("web = [\"/a\"]", vec!["f:1: web: is a text in quotes"]),
        ("data = \"here\"", vec!["f:1: data: 'here' is not a whole path, such as /var/lib/deuced"]),
        (
            "[backup]\nfolder = \"here\"\nkeep = 1.5",
            vec!["f:3: backup.keep: is a whole number, without quotes"],
        ),
        ("host = \"a b\"", vec!["f:1: host: 'a b' is not a host name, such as diary.example"]),
        (
            "web = \"/nowhere\"\nopen = 1\nx = 1",
            vec![
                "f:1: web: '/nowhere' has no index.html",
                "f:2: open: is true or false, without quotes",
                "f:3: x: is not known",
            ],
        ),
        (
            "metrics_token = \"short\"",
            vec!["f:1: metrics_token: at least 16 letters, digits or signs, no blanks"],
        ),
        ("open = true\nopen = false", vec!["f:2: duplicate key"]),
        ("open = maybe", vec!["f:1: string values must be quoted, expected literal string"]),
        ("[limit\n", vec!["f:1: unclosed table, expected `]`"]),
    ] {
        assert_eq!(problems(text), expected, "{text}");
    }
}

#[test]
fn what_is_broken_is_told_once_and_by_its_line() {
    let text = "open = maybe\nlisten = [\":1\"\nguests = true\nhost = \"a\"\n[limit]\nsockets = 7\n";
    let told = problems(text);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(told[0].starts_with("f:1: ") && told[1].starts_with("f:3: "), "{told:?}");
}

#[test]
fn unknown_keys_are_warnings_and_wrong_values_are_not() {
    let folder = Folder::new();
    let file = folder.file("a.toml", "teapots = 7\nopen = true\n");
    let all = loaded(&file, &[], &[]).unwrap();
    assert!(all.settings.open);
    assert_eq!(all.warnings, [format!("{file}:1: teapots: is not known")]);
    let file = folder.file("b.toml", "teapots = 7\nopen = 1\n");
    assert_eq!(
        loaded(&file, &[], &[]).unwrap_err(),
        format!("{file}:2: open: is true or false, without quotes")
    );
    // Who only wants the data directory is not kept from it.
    let only_data = load(Some(&file), &[], &|_| None, &|setting| setting.key == "data").unwrap();
    assert_eq!(only_data.settings, Settings::default());
    // But nobody knows what half a file means.
    let file = folder.file("c.toml", "data = \"/a\"\n[limit\n");
    load(Some(&file), &[], &|_| None, &|setting| setting.key == "data").unwrap_err();
    let file = folder.file("d.toml", &format!("# {}\n", "x".repeat(300 << 10)));
    assert!(loaded(&file, &[], &[]).unwrap_err().ends_with("more than 262144 bytes"));
}

#[test]
fn secrets_come_from_files_and_credentials_and_are_never_shown() {
    let folder = Folder::new();
    let secret = "0123456789abcdef";
    let path = folder.file("deuced.metrics_token", &format!("{secret}\n"));
    let place = folder.0.to_str().unwrap();
    for (variables, from) in [
        (vec![("DEUCED_METRICS_TOKEN", secret)], "DEUCED_METRICS_TOKEN"),
        (vec![("DEUCED_METRICS_TOKEN_FILE", path.as_str())], "DEUCED_METRICS_TOKEN_FILE"),
        (vec![("CREDENTIALS_DIRECTORY", place)], "credential deuced.metrics_token"),
    ] {
        let all = loaded("", &[], &variables).unwrap();
        assert!(all.settings.metrics_token.as_ref().unwrap().is(secret), "{from}");
        assert_eq!(all.sources["metrics_token"].to_string(), from);
        let dump = template::dump(&all);
        assert!(!dump.contains(secret) && dump.contains(from), "{dump}");
        assert!(!format!("{all:?}").contains(secret));
    }
    let both = [("DEUCED_METRICS_TOKEN", secret), ("DEUCED_METRICS_TOKEN_FILE", path.as_str())];
    assert_eq!(
        loaded("", &[], &both).unwrap_err(),
        "DEUCED_METRICS_TOKEN and DEUCED_METRICS_TOKEN_FILE: say one of them"
    );
    let missing = loaded("", &[], &[("DEUCED_METRICS_TOKEN_FILE", "/nowhere")]).unwrap_err();
    assert!(missing.starts_with("DEUCED_METRICS_TOKEN_FILE: /nowhere: "), "{missing}");
    assert_eq!(loaded("", &[], &[("CREDENTIALS_DIRECTORY", "/")]).unwrap().settings.metrics_token, None);
}

#[test]
fn a_secret_in_a_file_for_all_to_read_is_a_problem() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new();
    let path = folder.file("f", "metrics_token = \"0123456789abcdef\"\n");
    for (mode, open) in [(0o644, true), (0o640, false), (0o600, false)] {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let all = loaded(&path, &[], &[]).unwrap();
        assert_eq!(!all.warnings.is_empty(), open, "{mode:o}: {:?}", all.warnings);
        assert!(all.warnings.iter().all(|warning| !warning.contains("0123456789abcdef")));
    }
}

/// The same text with every setting said.
fn uncommented(text: &str) -> String {
    let is_a_line = |line: &str| line.starts_with('#') && !line.starts_with("# ");
    text.lines().map(|line| if is_a_line(line) { &line[1..] } else { line }.to_owned() + "\n").collect()
}

#[test]
fn the_file_that_is_printed_says_the_defaults() {
    let printed = template::file(&[]);
    assert_eq!(read(&printed).sources.len(), 0, "everything in it is commented out");
    let all = read(&uncommented(&printed));
    for setting in SETTINGS.iter().filter(|setting| setting.kind != Kind::Limits) {
        let (table, name) = setting.place();
        assert_eq!(printed.matches(&format!("\n#{name} = ")).count(), 1, "{}", setting.key);
        assert!(table.is_empty() || printed.contains(&format!("\n[{table}]\n")), "{table}");
    }
    for line in Limits::TABLE {
        assert_eq!(
            printed.matches(&format!("\n#{} = {}\n", line.name, line.default)).count(),
            1,
            "{}",
            line.name
        );
        assert!(all.sources.contains_key(&format!("limit.{}", line.name)), "{}", line.name);
    }
    // It takes the place of what `None` stands for.
    let guests = all.settings.guests.or(Some(false));
    assert_eq!(all.settings, Settings { guests, ..Settings::default() });
    assert!(printed.lines().all(|line| line.chars().count() <= 100));
}

#[test]
fn the_file_that_is_printed_says_what_it_was_told() {
    let flags = [
        flag("data", &["/var/lib/deuced"]),
        flag("host", &["a.example", "b.example"]),
        flag("limit", &["users=5"]),
    ];
    let settings = read(&template::file(&flags)).settings;
    assert_eq!(settings.data, Some("/var/lib/deuced".into()));
    assert_eq!(settings.hosts, ["a.example", "b.example"]);
    assert_eq!(
        settings,
        Settings {
            limits: settings.limits.clone(),
            data: settings.data.clone(),
            hosts: settings.hosts.clone(),
            ..Settings::default()
        }
    );
    assert_eq!(settings.limits.users, 5);
}

/// Settings of all sorts, as a file can say them.
fn any_settings() -> impl Strategy<Value = Settings> {
    let path = || "/[a-zA-Z0-9 äß\"'\\\\=#./-]{0,20}";
    let listen = prop_oneof![
        any::<u16>().prop_map(Listen::Everywhere),
        any::<std::net::SocketAddrV4>().prop_map(|address| Listen::At(address.into())),
        (any::<std::net::Ipv6Addr>(), any::<u16>()).prop_map(|(ip, port)| Listen::At((ip, port).into())),
    ];
    let network = (any::<std::net::IpAddr>(), 0..=32u32)
        .prop_map(|(ip, bits)| Network::parse(&format!("{ip}/{bits}")).unwrap());
    let limit = (0..Limits::TABLE.len(), any::<u64>()).prop_map(|(index, roll)| {
        let line = &Limits::TABLE[index];
        format!("{}={}", line.name, line.min + roll % (line.max - line.min + 1))
    });
    let lists = (
        proptest::collection::vec(listen, 1..4),
        proptest::collection::vec("https?://[a-z]{1,9}(:[0-9]{1,4})?", 0..3),
        proptest::collection::vec("[a-z]{1,9}(\\.[a-z0-9-]{1,9}x)?", 0..3),
        proptest::collection::vec(network, 0..3),
        proptest::collection::vec(limit, 0..9),
    );
    let rest = (
        proptest::option::of(path()),
        any::<bool>(),
        any::<bool>(),
        proptest::option::of("[!-~]{16,40}"),
        "[a-zA-Z0-9 äß\"'\\\\=#./-]{1,20}",
        1..=1000u64,
        0..=100_000u64,
    );
    (lists, rest).prop_map(|(lists, rest)| {
        let (listen, origins, hosts, trusted_proxies, chosen) = lists;
        let (data, open, guests, token, folder, keep, warn_hours) = rest;
        let mut limits = Limits::default();
        chosen.iter().for_each(|assignment| limits.set(assignment).unwrap());
        Settings {
            listen,
            data: data.map(Into::into),
            web: None,
            open,
            guests: Some(guests),
            origins,
            hosts,
            trusted_proxies,
            metrics_token: token.and_then(|token| Secret::chosen(&token)),
            backup: Policy { folder: Some(folder.into()), keep, warn_hours },
            limits,
        }
    })
}

proptest! {
    // A whole file each time.
    #![proptest_config(ProptestConfig { cases: 64, ..dice() })]

    #[test]
    fn what_is_dumped_reads_back_as_what_is_in_force(settings in any_settings()) {
        let dumped = template::dump(&Loaded { settings: settings.clone(), ..Loaded::default() });
        if let Some(token) = &settings.metrics_token {
            prop_assert!(!dumped.contains(token.as_str()));
        }
        let back = read(&dumped).settings;
        prop_assert_eq!(back, Settings { metrics_token: None, ..settings });
    }

    #[test]
    fn what_a_file_says_the_printed_file_says(settings in any_settings()) {
        let says = |setting: &'static table::Setting| {
            let texts = (setting.get)(&settings);
            Said { setting, texts, source: Source::Environment("a test".into()) }
        };
        let said: Vec<Said> = SETTINGS.iter().map(says).collect();
        prop_assert_eq!(read(&template::file(&said)).settings, settings);
    }

    #[test]
    fn no_text_is_too_wild(text in "\\PC{0,200}|[a-z_\\[\\]=\"'\\\\\n#.,{} 0-9]{0,200}") {
        let (said, problems) = file::parse(&text, Path::new("f"));
        let lines = text.split('\n').count();
        prop_assert!(problems.iter().all(|problem| (1..=lines).contains(&problem.line) && !problem.to_string().contains('\n')));
        let mut loaded = Loaded::default();
        prop_assert!(said.iter().all(|said| loaded.take(said).is_ok()));
    }
}
