//! The slow disk: builds `slowsync.c` once per run and says how to preload it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::figure::{Context, Outcome};
use crate::option::Options;

const SOURCE: &str = include_str!("slowsync.c");

/// What to put into a child's environment.
pub type Environment = Vec<(&'static str, OsString)>;

/// A sync recorded by the shim, on the clock of [`crate::machine::now_ns`].
#[derive(Clone, Copy, Debug)]
pub struct Sync {
    /// When SQLite asked for it.
    pub begun: u64,
    /// When the commit was on the disk.
    pub ended: u64,
}

/// The environment that delays each sync by `delay_ms`; empty for 0, where nothing is preloaded.
///
/// # Errors
/// There is no C compiler, or it refused.
pub fn delayed(options: &Options, delay_ms: u64) -> Outcome<Environment> {
    if delay_ms == 0 {
        return Ok(Vec::new());
    }
    preloaded(options, delay_ms)
}

/// The environment that delays each sync and records it in `log`.
///
/// # Errors
/// As [`delayed`].
pub fn recorded(options: &Options, delay_ms: u64, log: &Path) -> Outcome<Environment> {
    let mut environment = preloaded(options, delay_ms)?;
    environment.push(("HOUSE_SYNC_LOG", log.into()));
    Ok(environment)
}

/// Reads what the shim recorded, in the order in which the syncs ended.
///
/// # Errors
/// The file is not there: the shim was not preloaded.
pub fn read(log: &Path) -> Outcome<Vec<Sync>> {
    let bytes = std::fs::read(log).context("reading the recorded syncs")?;
    let word = |bytes: &[u8]| u64::from_ne_bytes(bytes.try_into().expect("8 bytes were cut"));
    let mut syncs: Vec<Sync> = bytes
        .chunks_exact(16)
        .map(|times| Sync { begun: word(&times[..8]), ended: word(&times[8..]) })
        .collect();
    syncs.sort_by_key(|sync| sync.ended);
    Ok(syncs)
}

fn preloaded(options: &Options, delay_ms: u64) -> Outcome<Environment> {
    // Built once: the linker must not rewrite what a running server has mapped.
    static LIBRARY: OnceLock<Outcome<PathBuf>> = OnceLock::new();
    let library = LIBRARY.get_or_init(|| build(&options.directory)).clone()?;
    Ok(vec![("LD_PRELOAD", library.into()), ("HOUSE_SYNC_MS", delay_ms.to_string().into())])
}

fn build(directory: &Path) -> Outcome<PathBuf> {
    let source = directory.join("slowsync.c");
    let library = directory.join("slowsync.so");
    std::fs::create_dir_all(directory).context("making the directory of the shim")?;
    std::fs::write(&source, SOURCE).context("writing the shim's source")?;
    let built = Command::new("cc")
        .args(["-O2", "-shared", "-fPIC", "-o"])
        .arg(&library)
        .arg(&source)
        .arg("-ldl")
        .output()
        .context("running cc for the sync shim")?;
    if !built.status.success() {
        let said = String::from_utf8_lossy(&built.stderr);
        return Err(format!("cc refused the sync shim: {said}"));
    }
    library.canonicalize().context("finding the built shim")
}
