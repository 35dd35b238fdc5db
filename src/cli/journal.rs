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
    std::panic::set_hook(Box::new(|panic| log::error!("{panic}")));
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
