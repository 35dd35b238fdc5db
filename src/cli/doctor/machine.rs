//! The machine: its clock, its memory, its power, and how many files the server may open.

use super::{Finding, Patient, Report, ok, size, warning};
use crate::cli::serve::OTHER_FILES;
use crate::domain::Time;
use crate::io;
use crate::store::lock::Lock;
use std::fs;

/// Looks at the clock, the memory, the power and the limit on open files.
pub(super) fn check(patient: &Patient<'_>, report: &mut Report) {
    let told = patient.system("run/systemd/timesync/synchronized").exists();
    let has_chip = fs::read_dir(patient.system("sys/class/rtc")).is_ok_and(|chips| chips.count() > 0);
    report.tell_all(judge_clock(Time::now(), told || io::is_clock_synchronised(), has_chip));
    let memory = patient.read("proc/meminfo").unwrap_or_default();
    let counts = patient.read("proc/vmstat").unwrap_or_default();
    report.tell_all(judge_memory(&memory, &counts));
    let throttled = patient.read("sys/devices/platform/soc/soc:firmware/get_throttled");
    report.tell_all(throttled.and_then(|text| judge_power(&text)));
    let locks = patient.read("proc/locks").unwrap_or_default();
    let limits =
        Lock::holder(&patient.data, &locks).and_then(|server| patient.read(format!("proc/{server}/limits")));
    let wanted = patient.settings.server.limits.connections;
    report.tell_all(limits.and_then(|limits| judge_open_files(&limits, wanted)));
}

/// The year this was written in: no clock that is right says less.
const FIRST_YEAR: i64 = 2026;

fn judge_clock(now: Time, synchronised: bool, has_chip: bool) -> Vec<Finding> {
    let (year, month, day) = now.date();
    let set = "set it with 'timedatectl set-ntp true'; order does not depend on it, but logins and invites end by it";
    let mut found = vec![match (FIRST_YEAR..2100).contains(&year) {
        false => warning(format!("the clock says {year:04}-{month:02}-{day:02}"), set),
        true if !synchronised => warning("the clock is not kept right by the network's time", set),
        true => ok("the clock is kept right by the network's time"),
    }];
    if !has_chip {
        found.push(ok("the machine has no clock that goes on without power: after a power cut the time is wrong until the network is there, and the server does not wait for it"));
    }
    found
}

/// The number behind a word, in a file of lines such as `MemTotal:  123 kB`.
fn number(text: &str, word: &str) -> Option<u64> {
    let mut lines = text.lines().map(str::split_whitespace);
    lines.find_map(|mut words| (words.next()? == word).then(|| words.next()?.parse().ok())?)
}

fn judge_memory(memory: &str, counts: &str) -> Vec<Finding> {
    const LITTLE: u64 = 48 << 20;
    let bytes = |word| number(memory, word).map(|kib| kib * 1024);
    let mut found = Vec::new();
    if let (Some(total), Some(free)) = (bytes("MemTotal:"), bytes("MemAvailable:")) {
        let swap = bytes("SwapTotal:").unwrap_or(0);
        let swap = if swap == 0 { "no swap".to_owned() } else { format!("{} of swap", size(swap)) };
        let what = format!("{} of {} memory are free, {swap}", size(free), size(total));
        found.push(match free < LITTLE {
            true => warning(what, "stop what is not needed: the server itself takes a few megabytes, but a picture takes 10 for a moment"),
            false => ok(what),
        });
    }
    if let Some(killed @ 1..) = number(counts, "oom_kill") {
        found.push(warning(
            format!("the kernel has ended {killed} programs because memory ran out"),
            "see 'journalctl -k | grep -i oom' for which, and stop what is not needed",
        ));
    }
    found
}

/// What the Pi's firmware says of its power.
fn judge_power(text: &str) -> Option<Finding> {
    let bits = u64::from_str_radix(text.trim().trim_start_matches("0x"), 16).ok()?;
    let supply = "use the supply that was made for this Pi and a short cable: writing with too little power destroys cards";
    Some(match bits {
        low if low & 1 != 0 => warning("the power supply is too weak, right now", supply),
        low if low & (1 << 16) != 0 => warning("the power supply was too weak since the start", supply),
        _ => ok("the power supply is strong enough"),
    })
}

fn judge_open_files(limits: &str, connections: u64) -> Option<Finding> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"))?;
    let most: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    let wanted = connections + OTHER_FILES;
    Some(match most < wanted {
        true => warning(
            format!("the server may open {most} files, and would like {wanted}"),
            format!("LimitNOFILE={wanted} in its unit, or fewer connections (--limit connections=N)"),
        ),
        false => ok(format!("the server may open {most} files")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_warning(finding: &Finding, words: &str) -> bool {
        matches!(finding, Finding::Warning(what, _) if what.contains(words))
    }

    #[test]
    fn clocks() {
        let at = |year| Time::from_civil(year, 11, 24, 0, 0).unwrap();
        assert_eq!(judge_clock(at(2026), true, true), [ok("the clock is kept right by the network's time")]);
        assert_eq!(judge_clock(at(2026), true, false).len(), 2);
        assert!(is_warning(&judge_clock(at(2026), false, true)[0], "not kept right"));
        assert!(is_warning(&judge_clock(at(1970), true, true)[0], "1970-11-24"));
        assert!(is_warning(&judge_clock(at(2100), true, true)[0], "2100"));
    }

    #[test]
    fn memory() {
        let text = |free: u64| {
            format!("MemTotal:  500000 kB\nMemFree: 1 kB\nMemAvailable: {free} kB\nSwapTotal: 0 kB")
        };
        assert_eq!(judge_memory(&text(300_000), ""), [ok("307 MB of 512 MB memory are free, no swap")]);
        assert!(is_warning(&judge_memory(&text(30_000), "oom_kill 0")[0], "31 MB of 512 MB"));
        assert!(is_warning(&judge_memory(&text(300_000), "x 1\noom_kill 2")[1], "ended 2 programs"));
    }

    #[test]
    fn power() {
        assert!(is_warning(&judge_power("50005").unwrap(), "right now"));
        assert!(is_warning(&judge_power("0x50000\n").unwrap(), "since the start"));
        assert!(matches!(judge_power("0"), Some(Finding::Ok(_))));
        assert_eq!(judge_power("?"), None);
    }

    #[test]
    fn open_files() {
        let text = |hard: u64| {
            format!(
                "Limit  Soft Limit  Hard Limit  Units\nMax open files            1024    {hard}    files\n"
            )
        };
        assert!(is_warning(
            &judge_open_files(&text(512), 1024).unwrap(),
            "may open 512 files, and would like 1152"
        ));
        assert_eq!(judge_open_files(&text(4096), 1024), Some(ok("the server may open 4096 files")));
        assert_eq!(judge_open_files("", 1024), None);
    }
}
