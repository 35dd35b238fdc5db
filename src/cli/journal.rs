//! Log lines on stderr: plain for people, with a priority for the journal (sd-daemon(3)).

use log::{Level, LevelFilter, Log, Metadata, Record};
use std::{env, io::Write, os::unix::fs::MetadataExt};

struct Journal {
    with_priority: bool,
}

/// Starts logging: start, stop and warnings of our own, nothing else, and panics with their place.
pub fn start() {
    let journal = Box::new(Journal { with_priority: is_the_journal(2) });
    if log::set_boxed_logger(journal).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        log::error!("panicked at {place}: {}", without_quotations(panic.payload()));
    }));
}

/// What a panic says, up to where it may quote what somebody sent: a text that was cut in the wrong place is shown by
/// Rust in full, and it may be a password.
fn without_quotations(payload: &dyn std::any::Any) -> &str {
    let text = payload.downcast_ref::<&str>().copied();
    let text = text.or_else(|| payload.downcast_ref::<String>().map(String::as_str)).unwrap_or_default();
    let end = text.find(['`', '\'', '"', ':', '\n']).unwrap_or(text.len());
    text[..end].trim_end()
}

impl Log for Journal {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("deuced") || metadata.level() <= Level::Warn
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let mut line = String::new();
        // A line of the journal is one line; a message that has several must not forge another.
        for part in record.args().to_string().lines().filter(|part| !part.is_empty()) {
            if self.with_priority {
                line.push_str(match record.level() {
                    Level::Error => "<3>",
                    Level::Warn => "<4>",
                    Level::Info => "<6>",
                    Level::Debug | Level::Trace => "<7>",
                });
            } else if record.level() <= Level::Warn {
                line.push_str(if record.level() == Level::Error { "error: " } else { "warning: " });
            }
            line.push_str(part);
            line.push('\n');
        }
        // There is nowhere to report that reporting failed.
        let _ = std::io::stderr().write_all(line.as_bytes());
    }

    fn flush(&self) {}
}

/// Whether stdout (1) or stderr (2) is the very stream that systemd names (systemd.exec(5), `JOURNAL_STREAM`).
pub(super) fn is_the_journal(stream: u8) -> bool {
    let Ok(named) = env::var("JOURNAL_STREAM") else { return false };
    let Ok(about) = std::fs::metadata(format!("/proc/self/fd/{stream}")) else { return false };
    named == format!("{}:{}", about.dev(), about.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_quotes_nobody() {
        let said = |act: &dyn Fn()| {
            let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(act)).expect_err("it panics");
            without_quotations(panic.as_ref()).to_owned()
        };
        // What these would say without care is in the test's own output.
        assert!(!said(&|| drop(std::hint::black_box("hunter\u{e9}")[..7].to_owned())).contains("hunter"));
        let failed: fn() -> Result<(), &'static str> =
            || "hunter2".parse::<u32>().map(|_| ()).map_err(|_| "hunter2");
        assert_eq!(said(&|| failed().expect("a reason")), "a reason");
        assert!(!said(&|| failed().unwrap()).contains("hunter2"));
        assert!(!said(&|| assert_eq!(std::hint::black_box("hunter2"), "x")).contains("hunter2"));
        assert_eq!(
            said(&|| {
                std::hint::black_box(std::hint::black_box(vec![1])[std::hint::black_box(3)]);
            }),
            "index out of bounds"
        );
        assert_eq!(said(&|| panic!("in plain words")), "in plain words");
    }
}
