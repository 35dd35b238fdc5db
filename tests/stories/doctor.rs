//! `deuced doctor`: names what is not well, and what to do. The disk, card, clock and memory of these stories are made of
//! files, in a folder that stands for the root of the system.

use crate::harness::{
    Server, command,
    relay::{self, Manner, Relay},
    server::{Directory, finish, run},
};
use rusqlite::Connection;
use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
    process::{Command, Output},
    time::Duration,
};

/// A machine that is well: a Pi with a card, a clock, memory and power.
struct Machine(Directory);

impl Machine {
    fn well() -> Machine {
        let machine = Machine(Directory::new());
        for (path, text) in [
            ("proc/self/mountinfo", "27 1 179:2 / / rw,noatime - ext4 /dev/root rw\n"),
            ("proc/meminfo", "MemTotal: 512000 kB\nMemAvailable: 300000 kB\nSwapTotal: 100000 kB\n"),
            ("proc/vmstat", "pgfault 7\noom_kill 0\n"),
            ("sys/class/rtc/rtc0/name", "rtc-ds1307\n"),
            ("sys/dev/block/179:2/uevent", "MAJOR=179\nMINOR=2\nDEVNAME=mmcblk0p2\n"),
            ("sys/block/mmcblk0/device/name", "SC32G\n"),
            ("sys/block/mmcblk0/device/date", "03/2021\n"),
            ("sys/block/mmcblk0/device/life_time", "0x01 0x02\n"),
            ("sys/block/mmcblk0/device/pre_eol_info", "0x01\n"),
            ("sys/block/mmcblk0/device/ioerr_cnt", "0x0\n"),
            ("sys/devices/platform/soc/soc:firmware/get_throttled", "0\n"),
            ("run/systemd/timesync/synchronized", ""),
            ("run/avahi-daemon/socket", ""),
        ] {
            machine.put(path, text);
        }
        machine
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.0.0.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The command that looks at this machine.
    fn doctor(&self, data: &Path, words: &[&str]) -> Command {
        let mut command = command();
        command.args(["doctor", "--data"]).arg(data).args(words).env("DEUCED_DOCTOR_ROOT", &self.0.0);
        command
    }

    #[track_caller]
    fn look(&self, data: &Path) -> Found {
        Found::of(finish(&mut self.doctor(data, &[]), ""))
    }
}

/// What the doctor said.
struct Found {
    lines: Vec<String>,
    status: Option<i32>,
    all: String,
}

impl Found {
    #[track_caller]
    fn of(output: Output) -> Found {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let all = text(&output.stdout) + &text(&output.stderr);
        assert!(!all.contains("panicked"), "{all}");
        let lines: Vec<String> = text(&output.stdout).lines().map(Into::into).collect();
        let known = ["ok: ", "warning: ", "problem: "];
        let (last, checks) = match output.status.code() {
            Some(0) => lines.split_last().expect("it said something"),
            _ => (&String::new(), &lines[..]),
        };
        assert!(last.is_empty() || last.starts_with("no problems, "), "{all}");
        for line in checks {
            assert!(known.iter().any(|begin| line.starts_with(begin)), "{line} in\n{all}");
            // What is not well comes with what to do.
            assert!(line.starts_with("ok") || line.contains("; "), "{line}");
        }
        Found { lines, status: output.status.code(), all }
    }

    #[track_caller]
    fn says(&self, grade: &str, words: &str) {
        let said = |line: &String| line.starts_with(&format!("{grade}: ")) && line.contains(words);
        assert!(self.lines.iter().any(said), "{grade}: {words} in\n{}", self.all);
        let expected = i32::from(self.lines.iter().any(|line| line.starts_with("problem: ")));
        assert_eq!(self.status, Some(expected), "{}", self.all);
    }

    /// What is not well.
    fn complaints(&self) -> Vec<&str> {
        self.lines
            .iter()
            .map(String::as_str)
            .filter(|line| line.starts_with("warning") || line.starts_with("problem"))
            .collect()
    }
}

fn database(data: &Path) -> PathBuf {
    data.join("deuced.db")
}

#[track_caller]
fn execute(data: &Path, sql: &str) {
    Connection::open(database(data)).unwrap().execute_batch(sql).unwrap();
}

#[test]
fn a_house_that_is_well_has_nothing_to_complain_of() {
    let server = Server::open();
    let ann = server.person("Ann");
    ann.log(&ann.found("Home"), "x");
    execute(
        server.data(),
        &format!(
            "INSERT INTO backup (at, path, bytes, took_millis) VALUES ({}, '/proc/version', 5, 1)",
            now_millis()
        ),
    );
    fs::set_permissions(server.data(), fs::Permissions::from_mode(0o700)).unwrap();
    let before = listing(server.data());
    let found = Machine::well().look(server.data());
    // The disk of the one who runs this may be nearly full, or memory.
    let complaints: Vec<&str> = found
        .complaints()
        .into_iter()
        .filter(|line| !line.contains("little room") && !line.contains("a sync takes"))
        .collect();
    assert!(complaints.is_empty(), "{}", found.all);
    found.says("ok", "nobody else can look in (0700)");
    found.says("ok", "the database is whole");
    found.says("ok", "1 people, 1 groups, 1 entries");
    found.says("ok", "on another disk");
    found.says("ok", "the data is on ext4");
    found.says("ok", "the disk mmcblk0 (SC32G, made 03/2021), 20 % used up");
    found.says("ok", "the clock is kept right");
    found.says("ok", "307 MB of 524 MB memory are free");
    found.says("ok", "the power supply is strong enough");
    found.says("ok", &format!("the server answers at {}", server.address()));
    assert_eq!(listing(server.data()), before, "and it leaves nothing behind");
}

fn now_millis() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()
}

/// The names of all files, with their owners and modes.
fn listing(folder: &Path) -> Vec<(PathBuf, u32, u32)> {
    let mut all: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .flatten()
        .map(|file| (file.path(), file.metadata().unwrap().uid(), file.metadata().unwrap().mode()))
        .collect();
    all.sort();
    all
}

#[test]
fn every_trouble_of_the_machine_is_named() {
    let server = Server::open();
    for (path, text, grade, words) in [
        ("proc/self/mountinfo", "27 1 8:1 / / rw - vfat /dev/sda1 rw\n", "warning", "the data is on vfat"),
        ("proc/self/mountinfo", "27 1 0:9 / / rw - tmpfs tmpfs rw\n", "warning", "in memory (tmpfs)"),
        (
            "proc/self/mountinfo",
            "27 1 0:9 / / rw - nfs4 nas:/x rw\n",
            "warning",
            "a network file system (nfs4)",
        ),
        (
            "proc/self/mountinfo",
            "27 1 0:9 / / rw - overlay overlay rw\n",
            "warning",
            "the data is on overlay",
        ),
        ("proc/self/mountinfo", "27 1 179:2 / / ro - ext4 /dev/root ro\n", "problem", "is read-only"),
        (
            "sys/block/mmcblk0/device/life_time",
            "0x0b 0x02\n",
            "problem",
            "has used up the life it was made for",
        ),
        ("sys/block/mmcblk0/device/life_time", "0x02 0x09\n", "warning", "about 90 % of its life"),
        ("sys/block/mmcblk0/device/pre_eol_info", "0x02\n", "warning", "80 % of its spare blocks"),
        ("sys/block/mmcblk0/device/pre_eol_info", "0x03\n", "problem", "hardly any spare blocks"),
        ("sys/block/mmcblk0/device/ioerr_cnt", "0x5\n", "warning", "has had 5 errors"),
        (
            "proc/meminfo",
            "MemTotal: 512000 kB\nMemAvailable: 20000 kB\n",
            "warning",
            "20 MB of 524 MB memory are free",
        ),
        ("proc/vmstat", "oom_kill 3\n", "warning", "ended 3 programs because memory ran out"),
        (
            "sys/devices/platform/soc/soc:firmware/get_throttled",
            "50005\n",
            "warning",
            "the power supply is too weak",
        ),
    ] {
        let machine = Machine::well();
        machine.put(path, text);
        machine.look(server.data()).says(grade, words);
    }
}

#[test]
fn a_server_that_may_open_few_files_is_named() {
    let server = Server::open();
    let machine = Machine::well();
    let lock = server.data().join("deuced.lock").metadata().unwrap().ino();
    let locks = fs::read_to_string("/proc/locks").unwrap();
    assert!(locks.contains(&format!(":{lock} ")), "the kernel tells of the server's lock: {locks}");
    machine.put("proc/locks", &locks);
    let limits = "Max open files            256                  256                  files\n";
    machine.put(&format!("proc/{}/limits", server.process_id()), limits);
    machine.look(server.data()).says("warning", "may open 256 files, and would like 1152");
}

#[test]
fn files_that_others_can_read_are_named() {
    let server = Server::open();
    let machine = Machine::well();
    let allow = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    allow(&database(server.data()), 0o644);
    machine.look(server.data()).says("warning", "others may read");
    allow(server.data(), 0o755);
    machine.look(server.data()).says("problem", "others on this machine can look into");
}

#[test]
fn wrong_clocks_are_named() {
    let mut server = Server::open();
    let machine = Machine::well();
    let in_1990 =
        finish(machine.doctor(server.data(), &[]).env("DEUCED_CLOCK_OFFSET_SECONDS", "-1150000000"), "");
    Found::of(in_1990).says("warning", "the clock says 19");
    // The machine wakes up behind what it wrote before.
    server.restart_later(9 * 86_400);
    let ann = server.person("Ann");
    ann.log(&ann.found("Home"), "of next week");
    machine.look(server.data()).says("warning", "the clock is behind");
}

#[test]
fn servers_that_do_not_run_or_do_not_answer_are_named() {
    let mut server = Server::open();
    let machine = Machine::well();
    server.signal(libc::SIGSTOP);
    machine.look(server.data()).says("problem", "holds the data, but does not answer");
    server.signal(libc::SIGCONT);
    machine.look(server.data()).says("ok", "the server answers");
    server.kill9();
    let found = machine.look(server.data());
    found.says("problem", "no server runs");
    found.says("ok", "the database is whole");
}

#[test]
fn databases_that_are_none_or_not_whole_are_named() {
    let machine = Machine::well();
    let none = Directory::new();
    machine.look(&none.0.join("nowhere")).says("problem", "there is no data directory");
    machine.look(&none.0).says("problem", "there is no diary in");

    let mut server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    (0..40).for_each(|_| drop(ann.log(&home, &"words ".repeat(100))));
    server.terminate();
    let whole = fs::read(database(server.data())).unwrap();
    execute(server.data(), "PRAGMA user_version = 14");
    machine.look(server.data()).says("warning", "of an earlier version (step 14 of ");
    execute(server.data(), "PRAGMA user_version = 999");
    machine.look(server.data()).says("problem", "from a newer version of deuced");
    let mut torn = whole.clone();
    let (pages, page) = (torn.len() / 4096, 4096);
    // Every page but the first, which says what there is.
    (1..pages).for_each(|number| torn[number * page..number * page + 8].fill(0xa5));
    fs::write(database(server.data()), &torn).unwrap();
    let found = machine.look(server.data());
    assert!(
        found.complaints().iter().any(|line| line.contains("damaged") || line.contains("cannot be")),
        "{}",
        found.all
    );
    assert_eq!(found.status, Some(1));
    fs::write(
        database(server.data()),
        b"not a database at all, but long enough to be read as one".repeat(90),
    )
    .unwrap();
    let found = machine.look(server.data());
    assert!(
        found.complaints().iter().any(|line| line.starts_with("problem") && line.contains("restore")),
        "{}",
        found.all
    );
    fs::write(database(server.data()), &whole).unwrap();
    machine.look(server.data()).says("ok", "the database is whole");
}

#[test]
fn backups_that_are_missing_old_failed_or_beside_the_diary_are_named() {
    let server = Server::open();
    let machine = Machine::well();
    machine.look(server.data()).says("warning", "there has been no verified backup");
    let attempt = |at: u128, path: &str, failure: &str| {
        execute(
            server.data(),
            &format!(
                "INSERT INTO backup (at, path, bytes, took_millis, failure) VALUES ({at}, '{path}', 5, 1, {failure})"
            ),
        );
    };
    attempt(now_millis() - 100 * 3_600_000, "/proc/version", "NULL");
    machine.look(server.data()).says("warning", "is 4 days old");
    let beside = server.data().join("claim.db");
    fs::write(&beside, "").unwrap();
    attempt(now_millis(), beside.to_str().unwrap(), "NULL");
    machine.look(server.data()).says("warning", "on the same disk as the diary");
    attempt(now_millis(), "/media/usb/gone.db", "NULL");
    machine.look(server.data()).says("warning", "it is not there");
    attempt(now_millis(), "/media/usb/x.db", "'no room'");
    machine.look(server.data()).says("warning", "the last backup failed (no room)");
}

#[test]
fn settings_that_nobody_understands_are_named() {
    let server = Server::open();
    let machine = Machine::well();
    let file = machine.0.0.join("deuced.toml");
    let look = |text: &str| {
        fs::write(&file, text).unwrap();
        Found::of(finish(machine.doctor(server.data(), &[]).env("DEUCED_CONFIG", &file), ""))
    };
    look("open = true\nhost = [\"diary.example\"]\n").says("ok", "is understood, 2 settings");
    look("open = true\ntrusted_proxies = [\"127.0.0.1\"]\n").says("problem", "deuced.toml:2");
    look("origin = \"nonsense\"\n").says("problem", "deuced.toml:1");
    machine.look(server.data()).says("ok", "there is no /etc/deuced/deuced.toml, so defaults count");
}

#[test]
fn words_that_are_wrong_end_with_one_line() {
    for (words, about) in [
        (&["doctor", "--url", "pi.local"][..], "'pi.local' is not a URL"),
        (&["doctor", "--wait", "long"], "long"),
        (&["doctor", "now"], "now"),
        (&["status", "--nope"], "--nope"),
    ] {
        let output = run(words, "");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{stderr}");
        assert!(stderr.contains(about) && stderr.lines().count() == 1, "{stderr}");
    }
}

/// Opens the diary through a proxy that stands before a server.
#[track_caller]
fn through(server: &Server, manner: Manner, more: &[&str]) -> (Found, Relay) {
    let relay = Relay::before(server.address(), manner);
    let url = format!("http://{}", relay.address);
    let words = [&["--url", url.as_str()], more].concat();
    let found = finish(&mut Machine::well().doctor(server.data(), &words), "");
    (Found::of(found), relay)
}

fn behind_a_proxy() -> Server {
    Server::setup().open().with(["--trusted-proxy", "127.0.0.1"]).limit("ping_every_seconds", 2).start()
}

#[test]
fn a_good_proxy_is_praised() {
    let server = behind_a_proxy();
    let (found, _) = through(&server, Manner::of(relay::good), &["--wait", "4"]);
    for words in [
        "shows the page",
        "the server sees this machine as 127.0.0.1, through the proxy at 127.0.0.1",
        "pictures of 5.2 MB come through",
        "a socket opens",
        "the server's pings came through",
    ] {
        found.says("ok", words);
    }
    let url = format!("http://{}", server.address());
    let direct = finish(&mut Machine::well().doctor(server.data(), &["--url", &url, "--wait", "0"]), "");
    Found::of(direct).says("ok", "that is the server itself, without a proxy");
}

#[test]
fn a_bad_proxy_is_told_what_it_lacks() {
    let server = behind_a_proxy();
    let bad = |edit: relay::Edit, words: &str| {
        let (found, _) = through(&server, Manner::of(edit), &["--wait", "0"]);
        found.says("problem", words);
    };
    bad(
        |lines| {
            relay::good(lines);
            relay::without(lines, "upgrade");
        },
        "does not hand on Upgrade and Connection",
    );
    bad(
        |lines| {
            relay::without(lines, "x-forwarded-for");
            relay::without(lines, "forwarded");
        },
        "does not say who its clients are (no X-Forwarded-For)",
    );
    bad(
        |lines| {
            let said = lines.iter().any(|line| line.starts_with("X-Forwarded-For"));
            if !said {
                relay::good(lines);
            }
        },
        "hands on what clients say of themselves",
    );
    bad(
        |lines| {
            relay::good(lines);
            relay::without(lines, "host");
            lines.push("Host: backend".into());
        },
        "the server saw backend",
    );
    bad(
        |lines| {
            relay::good(lines);
            relay::without(lines, "host");
            lines.push("Host: diary.example".into());
        },
        "does not go by the name",
    );
    let manner = Manner::of(relay::good);
    let bad = |manner: Manner, wait: &str, words: &str| {
        through(&server, manner, &["--wait", wait]).0.says("problem", words);
    };
    bad(Manner { most_body: Some(1 << 20), ..manner }, "0", "no pictures of 5.2 MB through (413)");
    let answer = "HTTP/1.1 502 Bad Gateway\r\nServer: relay\r\nContent-Length: 0\r\n\r\n";
    bad(Manner { answer: Some(answer), ..manner }, "0", "does not reach the server (502, relay)");
    let answer = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello";
    bad(Manner { answer: Some(answer), ..manner }, "0", "is no deuced");
}

#[test]
fn a_proxy_that_ends_silent_sockets_is_named_with_its_patience() {
    let trusting = Server::setup().open().with(["--trusted-proxy", "127.0.0.1"]);
    let server = trusting.limit("ping_every_seconds", 60).start();
    let impatient = Manner { silence: Some(Duration::from_secs(4)), ..Manner::of(relay::good) };
    let (found, _) = through(&server, impatient, &["--wait", "30"]);
    found.says("problem", "the proxy ended a socket on which nobody had spoken for");
    found.says("problem", "s; the server pings each 60 s; nginx: proxy_read_timeout 1h;");
}

#[test]
fn a_proxy_that_nobody_trusts_is_named_with_the_setting() {
    let server = Server::open();
    let (found, _) = through(&server, Manner::of(relay::good), &["--wait", "0"]);
    found.says("problem", "the server does not believe the proxy at 127.0.0.1");
    found.says("problem", "--trusted-proxy 127.0.0.1");
}

#[test]
fn from_elsewhere_less_is_seen_and_that_is_said() {
    let server = behind_a_proxy();
    let relay = Relay::before(server.address(), Manner::of(relay::good));
    let elsewhere = Directory::new();
    let url = format!("http://{}", relay.address);
    let found = finish(&mut Machine::well().doctor(&elsewhere.0, &["--url", &url, "--wait", "0"]), "");
    let found = Found::of(found);
    found.says("warning", "what arrived at the server is not known");
    found.says("ok", "a socket opens");
}

#[test]
fn only_who_can_read_the_data_is_told_what_the_server_saw() {
    let server = behind_a_proxy();
    let (_, relay) = through(&server, Manner::of(relay::good), &["--wait", "0"]);
    let proof = relay.heard("X-Deuced-Doctor").expect("the doctor proved that it can read the data");
    let seen = |server: &Server, proof: &str| {
        let nobody = server.nobody();
        let reply = nobody.request("GET", "/api/health").header("X-Deuced-Doctor", proof).send();
        reply.ok()["seen"].clone()
    };
    assert_eq!(seen(&server, &proof)["client"], "127.0.0.1");
    let (at, code) = proof.split_once('.').unwrap();
    let later = at.parse::<i64>().unwrap() + 1;
    for wrong in ["", "1", code, &format!("{later}.{code}"), &format!("{at}.{}", "0".repeat(64))] {
        assert!(seen(&server, wrong).is_null(), "{wrong}");
    }
    assert!(server.nobody().get("/api/health").ok()["seen"].is_null());
    assert!(seen(&Server::open(), &proof).is_null(), "another house has another secret");
    let upload = |server: &Server, proof: &str| {
        let nobody = server.nobody();
        let request =
            nobody.request("POST", "/api/auth/user/profile-picture").header("X-Deuced-Doctor", proof);
        request.content("image/jpeg", vec![0; 100_000]).send().status
    };
    assert_eq!(upload(&server, &proof), 401, "and what they send is refused when it has come");
    assert_eq!(upload(&server, "1"), 413);
    // It is soon over.
    let mut server = server;
    server.restart_later(301);
    assert!(seen(&server, &proof).is_null());
}
