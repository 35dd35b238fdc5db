//! Root on a data directory that belongs to somebody else, as with `sudo` beside a packaged server.

use crate::harness::{
    Server,
    server::{Directory, PASSWORD, run, said as words},
};
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, chown},
    path::Path,
};

/// Whom the directories are given to: nobody in particular.
const NOBODY: u32 = 65_534;

/// Whom a directory of these stories can be given to: somebody else where this runs as root, else only oneself. Then
/// there is nothing to become, and that has to hold as well.
fn somebody() -> u32 {
    // SAFETY: only asks.
    let own = unsafe { libc::geteuid() };
    if own == 0 { NOBODY } else { own }
}

fn give(path: &Path) {
    chown(path, Some(somebody()), Some(somebody())).unwrap_or_else(|error| {
        // Whoever is not root owns it already.
        assert_ne!(somebody(), NOBODY, "{}: {error}", path.display());
    });
}

/// Whom everything in a folder belongs to: one and the same. And how many files there are.
#[track_caller]
fn belongs_to(folder: &Path, who: u32) -> usize {
    let mut count = 0;
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        // What comes and goes meanwhile is looked at as long as it is there.
        let Ok(about) = fs::symlink_metadata(&path) else { continue };
        assert_eq!(about.uid(), who, "{}", path.display());
        count += 1;
        if about.is_dir() {
            count += belongs_to(&path, who);
        }
    }
    count
}

#[test]
fn what_root_does_on_a_directory_of_somebody_is_theirs() {
    let (data, copies) = (Directory::new(), Directory::new());
    give(&data.0);
    let place = data.0.to_str().unwrap();
    let said = run(&["user", "add", "Ann", "--admin", "--password-stdin", "--data", place], PASSWORD);
    assert!(said.status.success(), "{}", words(&said));
    assert!(belongs_to(&data.0, somebody()) >= 2, "the diary and its lock");
    for line in [&["user", "list"][..], &["token", "add", "Ann"], &["backup"]] {
        let said = run(&[line, &["--data", place]].concat(), "");
        assert!(said.status.success(), "{line:?}: {}", words(&said));
        belongs_to(&data.0, somebody());
    }
    assert_eq!(fs::read_dir(data.0.join("backups")).unwrap().count(), 1);
    // A copy goes where they may write, and nowhere else.
    let target = copies.0.join("usb");
    fs::create_dir(&target).unwrap();
    let backup = || run(&["backup", target.to_str().unwrap(), "--data", place], "");
    if somebody() == NOBODY {
        fs::set_permissions(&copies.0, fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&target, fs::Permissions::from_mode(0o755)).unwrap();
        let refused = backup();
        assert_eq!(refused.status.code(), Some(1), "{}", words(&refused));
        let line = words(&refused);
        assert!(line.contains(target.to_str().unwrap()) && line.contains("nobody"), "{line}");
        give(&target);
    }
    let said = backup();
    assert!(said.status.success(), "{}", words(&said));
    assert_eq!(belongs_to(&target, somebody()), 1);
    // And it comes back only if they can read it.
    let copy = fs::read_dir(&target).unwrap().next().unwrap().unwrap().path();
    let restore = || run(&["restore", copy.to_str().unwrap(), "--yes", "--data", place], "");
    if somebody() == NOBODY {
        chown(&copy, Some(0), Some(0)).unwrap();
        let refused = restore();
        assert_eq!(refused.status.code(), Some(1), "{}", words(&refused));
        let line = words(&refused);
        assert!(line.contains(copy.to_str().unwrap()) && line.contains("nobody"), "{line}");
        give(&copy);
    }
    let said = restore();
    assert!(said.status.success(), "{}", words(&said));
    belongs_to(&data.0, somebody());
}

#[test]
fn a_server_that_root_starts_on_it_is_theirs_as_well() {
    let server = Server::setup().open().start_on(give);
    server.person("Ann").found("Home");
    let status = fs::read_to_string(format!("/proc/{}/status", server.process_id())).unwrap();
    let ids = |name: &str| -> Vec<u32> {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).expect("a line of proc(5)");
        line.split_whitespace().map(|id| id.parse().unwrap()).collect()
    };
    assert_eq!(ids("Uid:"), [somebody(); 4]);
    if somebody() == NOBODY {
        assert_eq!(ids("Gid:"), [NOBODY; 4]);
        assert!(!ids("Groups:").contains(&0), "{status}");
        server.wait_for_words("and not as root");
    }
    // With the files that SQLite has beside the diary while it is open.
    assert!(server.data().join("deuced.db-wal").exists());
    assert!(belongs_to(server.data(), somebody()) >= 4);
}
