//! What a story leaves out where an emulator runs the server. All of it is named in `tests/emulation.txt`.

use std::{env, thread};

const LEFT_OUT: &str = include_str!("../emulation.txt");

/// Whether the server of this story is run by an emulator, so that what the story would measure is the emulator's. Only
/// for stories that `tests/emulation.txt` names as `part`; libtest gives each story a thread of its name.
#[track_caller]
pub fn leaves_out_measures() -> bool {
    if env::var("DEUCED_RUNNER").is_err() {
        return false;
    }
    let thread = thread::current();
    let story = thread.name().expect("asked by the story's own thread");
    let named = LEFT_OUT.lines().any(|line| line.starts_with(&format!("part {story}: ")));
    assert!(named, "{story} leaves something out under emulation and is not named in tests/emulation.txt");
    true
}
