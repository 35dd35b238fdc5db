//! The file of settings: nothing in it ends the program, every complaint names a line of it, and what it says can be
//! said again.

#![no_main]

use deuced::cli::config::file::{self, Problem};
use deuced::cli::config::table::Kind;
use deuced::cli::config::{Said, template};
use libfuzzer_sys::fuzz_target;
use std::path::Path;

fuzz_target!(|text: &str| {
    // Other files are no part of it: the page that `web` names has to be there.
    if text.contains("web") {
        return;
    }
    let (said, problems) = read(text);
    let lines = text.bytes().filter(|byte| *byte == b'\n').count() + 1;
    for problem in &problems {
        assert!((1..=lines).contains(&problem.line), "{problem}");
        assert!(!problem.to_string().contains('\n'), "{problem}");
    }
    if !problems.is_empty() {
        return;
    }
    // A file that says the same, but for its secrets, which are told as they are here.
    let again = template::file(&said);
    let (back, problems) = read(&again);
    assert!(problems.is_empty(), "{problems:?} in\n{again}");
    assert_eq!(values(&said), values(&back), "{again}");
});

fn read(text: &str) -> (Vec<Said>, Vec<Problem>) {
    file::parse(text, Path::new("deuced.toml"))
}

/// What is said, in the order of the table; numbers as they are written there.
fn values(said: &[Said]) -> Vec<(&'static str, Vec<String>)> {
    let mut all: Vec<_> = said
        .iter()
        .filter(|said| said.setting.kind != Kind::Limits)
        .map(|said| (said.setting.key, said.texts.clone()))
        .collect();
    all.sort();
    all
}
