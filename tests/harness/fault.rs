//! A card that fails when it is told to: a small library that the server's file calls go through.

use super::server::{Directory, Setup};
use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Mutex, PoisonError},
};

/// What the card does to the database.
#[derive(Clone, Copy)]
pub enum Fault {
    /// Everything works.
    None,
    /// Syncing fails.
    SyncFails,
    /// Syncing takes until the fault is over.
    SyncWaits,
    /// There is no space.
    Full,
    /// Writing fails.
    WriteFails,
    /// There is no space for a copy of the diary; the diary itself has some.
    CopyFull,
    /// Writing a copy fails.
    CopyFails,
    /// Syncing a copy fails.
    CopySyncFails,
    /// Syncing a copy takes until the fault is over.
    CopySyncWaits,
    /// Nothing has been written yet, but there is no space.
    NoSpace,
    /// Nothing can be written, as after the kernel has found the file system damaged.
    ReadOnly,
    /// Reading fails.
    ReadFails,
    /// The disk says that there is no space left, and what was kept back is enough for what is small.
    NoneLeft,
}

/// The switch of one server's card.
pub struct Card {
    switch: PathBuf,
    _place: Directory,
}

impl Card {
    /// A card that works, and the setup of a server on it.
    pub fn under(setup: Setup) -> (Card, Setup) {
        let place = Directory::new();
        let card = Card { switch: place.0.join("fault"), _place: place };
        card.set(Fault::None);
        let setup = card.environment().iter().fold(setup, |setup, (name, value)| setup.env(name, value));
        (card, setup)
    }

    /// What puts a process on the card.
    pub fn environment(&self) -> [(&'static str, String); 2] {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        [("LD_PRELOAD", text(library("fault"))), ("FAULT_FILE", text(&self.switch))]
    }

    /// From now on the card is like this.
    pub fn set(&self, fault: Fault) {
        let letter = match fault {
            Fault::None => "-",
            Fault::SyncFails => "S",
            Fault::SyncWaits => "B",
            Fault::Full => "F",
            Fault::WriteFails => "E",
            Fault::CopyFull => "f",
            Fault::CopyFails => "e",
            Fault::CopySyncFails => "s",
            Fault::CopySyncWaits => "b",
            Fault::NoSpace => "V",
            Fault::ReadOnly => "O",
            Fault::ReadFails => "R",
            Fault::NoneLeft => "L",
        };
        // Renamed into place: the server must never find the file empty.
        let fresh = self.switch.with_extension("new");
        fs::write(&fresh, letter).unwrap();
        fs::rename(fresh, &self.switch).unwrap();
    }
}

/// What has a process killed at its `at`th call that changes a folder or syncs, and keeps a folder where it is.
pub fn stop(at: usize, keep: &Path) -> [(&'static str, String); 3] {
    let text = |path: &Path| path.to_str().unwrap().to_owned();
    [("LD_PRELOAD", text(library("stop"))), ("STOP_AT", at.to_string()), ("STOP_KEEP", text(keep))]
}

/// A library of this folder by its name, compiled once for all stories.
pub fn library(name: &'static str) -> &'static Path {
    static LIBRARIES: Mutex<BTreeMap<&str, &Path>> = Mutex::new(BTreeMap::new());
    LIBRARIES.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_insert_with(|| {
        let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/harness/{name}.c"));
        let library =
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}.so", std::process::id()));
        let output = Command::new(env::var_os("DEUCED_TARGET_CC").unwrap_or_else(|| "cc".into()))
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&library, &source])
            .args(["-ldl", "-lpthread"])
            .output()
            .expect("a C compiler, as for SQLite");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Box::leak(library.into_boxed_path())
    })
}
