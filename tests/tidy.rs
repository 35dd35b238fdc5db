//! The house rules a machine can check. Each failure names the file and line, and the rule.

use std::{
    fs,
    path::{Path, PathBuf},
};

/// A source file of the server.
struct Source {
    /// Its path below `src/`.
    name: String,
    text: String,
}

impl Source {
    /// The floor it belongs to: its first folder, or its own name.
    fn floor(&self) -> &str {
        self.name.split(['/', '.']).next().unwrap_or_default()
    }

    /// Its lines with their numbers, without comments and without its tests.
    fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        let end = self.text.find("#[cfg(test)]\nmod tests").unwrap_or(self.text.len());
        let lines = self.text[..end].lines().enumerate().map(|(number, line)| (number + 1, line));
        lines.filter(|(_, line)| !line.trim_start().starts_with("//"))
    }
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    for path in files_below(&root) {
        if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            found.push(Source { name, text: fs::read_to_string(&path).unwrap() });
        }
    }
    assert!(found.len() > 50, "the sources were found");
    found
}

fn files_below(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files_below(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

/// Files that exist to test others.
fn is_test(source: &Source) -> bool {
    let folders = ["hub/simulation/", "api/thumbnail/samples.rs"];
    folders.iter().any(|begin| source.name.starts_with(begin))
        || ["guard_tests.rs", "tests.rs"].iter().any(|name| source.name.ends_with(name))
}

/// Fails with every place where a line of code breaks the rule.
fn forbid(rule: &str, breaks: impl Fn(&Source, &str) -> bool) {
    let mut places = Vec::new();
    for source in sources().iter().filter(|source| !is_test(source)) {
        for (number, line) in source.code().filter(|(_, line)| breaks(source, line)) {
            places.push(format!("src/{}:{number}: {}", source.name, line.trim()));
        }
    }
    assert!(places.is_empty(), "{rule}:\n{}", places.join("\n"));
}

/// How high a floor is. Imports go down only; two floors of one height do not know each other.
fn height(floor: &str) -> Option<u8> {
    Some(match floor {
        "domain" | "io" => 0,
        "store" | "hub" => 1,
        "api" => 2,
        "ws" => 3,
        "http" => 4,
        "cli" => 5,
        _ => return None,
    })
}

#[test]
fn imports_go_down() {
    forbid("a floor imports from lower floors only", |source, line| {
        let Some(own) = height(source.floor()) else { return false };
        line.match_indices("crate::").any(|(at, word)| {
            let rest = &line[at + word.len()..];
            let other =
                rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default();
            other != source.floor() && height(other).is_some_and(|other| other >= own)
        })
    });
}

#[test]
fn the_doors_reach_the_store_through_the_api() {
    forbid("ws and http do not import the store", |source, line| {
        ["ws", "http"].contains(&source.floor()) && line.contains("crate::store")
    });
}

#[test]
fn store_and_hub_are_strangers() {
    forbid("store and hub do not import each other", |source, line| {
        (source.floor() == "store" && line.contains("crate::hub"))
            || (source.floor() == "hub" && line.contains("crate::store"))
    });
}

#[test]
fn only_the_doors_wait() {
    forbid(
        "no async below the doors, but for the seam in api/mod.rs and the writer behind it",
        |source, line| {
            let seam = ["api/mod.rs", "store/writer.rs"].contains(&source.name.as_str());
            ["domain", "hub", "store", "api"].contains(&source.floor())
                && !seam
                && (line.contains("async ") || line.contains(".await"))
        },
    );
}

#[test]
fn sql_stays_in_the_store() {
    let words = ["rusqlite", "SELECT ", "INSERT INTO ", "UPDATE ", "DELETE FROM ", "PRAGMA "];
    forbid("no SQL outside store", |source, line| {
        source.floor() != "store" && words.iter().any(|word| line.contains(word))
    });
}

#[test]
fn json_stays_at_the_doors() {
    forbid("no serde in domain, store and hub", |source, line| {
        ["domain", "store", "hub"].contains(&source.floor()) && line.contains("serde")
    });
}

#[test]
fn codec_types_stay_in_the_codec() {
    forbid("async-h1 and its types only in http/codec.rs", |source, line| {
        source.name != "http/codec.rs" && (line.contains("async_h1") || line.contains("http_types"))
    });
}

#[test]
fn websocket_types_stay_in_the_session() {
    forbid("the WebSocket library only in ws/session.rs", |source, line| {
        source.name != "ws/session.rs" && line.contains("tungstenite")
    });
}

#[test]
fn the_environment_is_read_by_the_command_line_only() {
    forbid("no environment outside cli", |source, line| {
        source.floor() != "cli" && (line.contains("env::var") || line.contains("env::args"))
    });
}

#[test]
fn r_t3_one_clock_and_one_source_of_chance() {
    forbid("wall clock and randomness only in domain/time.rs and domain/id.rs", |source, line| {
        let home = ["domain/time.rs", "domain/id.rs"].contains(&source.name.as_str());
        // Pictures' file times are compared, not taken for the time of day.
        let file_times = source.name == "http/files.rs" && line.contains("UNIX_EPOCH");
        let words = ["SystemTime", "UNIX_EPOCH", "getrandom", "nanorand", "Uuid::now", "Uuid::new"];
        !home && !file_times && words.iter().any(|word| line.contains(word))
    });
}

#[test]
fn reactors_and_timers_stay_in_io() {
    let words = ["async_io", "smol::Timer", "smol::Async", "smol::net", "polling::", "epoll", "async_signal"];
    forbid("no reactor or timer type outside io", |source, line| {
        source.floor() != "io" && words.iter().any(|word| line.contains(word))
    });
}

#[test]
fn smols_own_reactor_is_not_started() {
    forbid("smol's reactor would start a helper thread", |_, line| {
        ["smol::block_on", "smol::Timer", "smol::Async<", "smol::net", "smol::process", "smol::fs"]
            .iter()
            .any(|word| line.contains(word))
    });
}

#[test]
fn every_file_says_what_lives_in_it() {
    let silent: Vec<String> = sources()
        .into_iter()
        .filter(|source| source.name != "main.rs" && !source.text.starts_with("//!"))
        .map(|source| source.name)
        .collect();
    assert!(silent.is_empty(), "files begin with a //! of what lives in them: {silent:?}");
}

#[test]
fn no_file_has_grown_past_its_topic() {
    let long: Vec<String> = sources()
        .into_iter()
        .filter(|source| source.text.lines().count() > 600)
        .map(|source| format!("{}: {} lines", source.name, source.text.lines().count()))
        .collect();
    assert!(long.is_empty(), "more than 600 lines, is there a second thing in it? {long:?}");
}

#[test]
fn nothing_is_left_for_later() {
    // Put together here, so that this file does not find itself.
    let words = [["TO", "DO"], ["FIX", "ME"], ["XX", "X"], ["#[ign", "ore"], ["unimple", "mented!"]]
        .map(|parts| parts.concat());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut places = Vec::new();
    for folder in ["src", "tests", "benches", "migrations", "web"] {
        for path in files_below(&root.join(folder)) {
            let Ok(text) = fs::read_to_string(&path) else { continue };
            for (number, line) in
                text.lines().enumerate().filter(|(_, line)| words.iter().any(|word| line.contains(word)))
            {
                places.push(format!("{}:{}: {}", path.display(), number + 1, line.trim()));
            }
        }
    }
    assert!(places.is_empty(), "left for later:\n{}", places.join("\n"));
}

#[test]
fn every_dependency_has_its_reason() {
    let manifest = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")).unwrap();
    let mut section = "";
    for line in manifest.lines() {
        if line.starts_with('[') {
            section = line;
        } else if section.ends_with("dependencies]") && line.contains(" = ") && !line.starts_with('#') {
            assert!(line.contains('#'), "a dependency without its reason beside it: {line}");
        }
    }
}

#[test]
fn a_noun_has_one_name_on_every_floor() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for noun in ["user", "token", "group", "member", "invite", "deuce", "reaction", "location"] {
        for floor in ["domain", "store", "api"] {
            let path = root.join(format!("src/{floor}/{noun}.rs"));
            assert!(path.exists(), "{} is missing", path.display());
        }
    }
}

#[test]
fn migrations_are_numbered_without_gaps_and_all_embedded() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations");
    let names: Vec<String> = files_below(&folder)
        .iter()
        .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
        .collect();
    let embedded =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src/store/migration.rs")).unwrap();
    for (index, name) in names.iter().enumerate() {
        assert!(name.starts_with(&format!("{:04}_", index + 1)), "{name} is out of order");
        assert!(embedded.contains(&format!("migrations/{name}")), "{name} is not embedded");
    }
}

#[test]
fn the_changelog_knows_this_version() {
    let changelog = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("CHANGELOG.md")).unwrap();
    assert!(
        changelog.contains(env!("CARGO_PKG_VERSION")),
        "CHANGELOG.md has no entry for {}",
        env!("CARGO_PKG_VERSION")
    );
}
