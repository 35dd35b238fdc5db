//! The disk under the data: its room, its file system, whether it keeps what it says it has kept, and how worn it is.

use super::{Finding, Patient, Report, ok, problem, size, warning};
use crate::api::database_path;
use crate::io::disk::{self, Space};
use std::{fs, path::Path, time::Duration};

/// Looks at the disk that the data directory is on.
pub(super) fn check(patient: &Patient<'_>, report: &mut Report) {
    let data = &patient.data;
    match disk::space(data) {
        Ok(space) => {
            let database = fs::metadata(database_path(data)).map_or(0, |about| about.len());
            report.tell_all(judge_space(space, database));
        }
        Err(error) => {
            report.tell(problem(format!("the room on the disk is not known ({error})"), LOOK_AT_CARD))
        }
    }
    let mounts = patient.read("proc/self/mountinfo").unwrap_or_default();
    let path = fs::canonicalize(data).unwrap_or_else(|_| data.clone());
    let mount = mount_of(&mounts, &path);
    if let Some(mount) = &mount {
        report.tell(judge_kind(mount));
    }
    if mount.as_ref().is_some_and(|mount| mount.read_only) {
        report.tell(problem(format!("the file system of {} is read-only", data.display()), LOOK_AT_CARD));
    } else {
        match disk::time_syncs(data, SYNCS) {
            Ok(times) => report.tell(judge_syncs(&times)),
            Err(error) => report.tell(problem(
                format!("nothing can be written to {} ({error})", data.display()),
                LOOK_AT_CARD,
            )),
        }
    }
    if let Some(card) = mount.and_then(|mount| disk_of(patient, &mount)) {
        report.tell_all(check_card(patient, &card));
    }
}

const LOOK_AT_CARD: &str = "look at 'dmesg', make a backup while it can be read, and try another card";

fn judge_space(space: Space, database: u64) -> Vec<Finding> {
    const LITTLE: u64 = 256_000_000;
    const NEARLY_NOTHING: u64 = 16_000_000;
    let room = "make room: old copies are in backups/ and deuced.db.before-step-*, logs go with 'journalctl --vacuum-size=50M'";
    let what = format!("{} of {} are free", size(space.free), size(space.total));
    let mut found = vec![match space.free {
        0..NEARLY_NOTHING => problem(format!("the disk is full: {what}"), room),
        // A backup, and what a migration keeps, need as much as the database has.
        free if free < LITTLE.max(database.saturating_mul(2)) => {
            warning(format!("little room: {what}"), room)
        }
        _ => ok(what),
    }];
    if let Some(free @ 0..1000) = space.files_free {
        let what = format!("only {free} more files can be made on the disk (inodes)");
        found.push(if free < 50 { problem(what, room) } else { warning(what, room) });
    }
    found
}

/// A line of `/proc/self/mountinfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mount {
    kind: String,
    device: String,
    source: String,
    read_only: bool,
}

/// The file system that a path is on.
fn mount_of(mounts: &str, path: &Path) -> Option<Mount> {
    let mut best: Option<(usize, Mount)> = None;
    for line in mounts.lines() {
        // number parent major:minor root point options... - kind source options
        let Some((front, back)) = line.split_once(" - ") else { continue };
        let front: Vec<&str> = front.split(' ').collect();
        let back: Vec<&str> = back.split(' ').collect();
        let (Some(device), Some(point), Some(options)) = (front.get(2), front.get(4), front.get(5)) else {
            continue;
        };
        let point = unescape(point);
        let depth = Path::new(&point).components().count();
        if !path.starts_with(&point) || best.as_ref().is_some_and(|(deepest, _)| *deepest > depth) {
            continue;
        }
        let is_read_only = |options: &str| options.split(',').any(|option| option == "ro");
        let read_only = is_read_only(options) || back.get(2).is_some_and(|options| is_read_only(options));
        let word = |at: usize| back.get(at).map_or(String::new(), |word| unescape(word));
        let mount = Mount { kind: word(0), device: (*device).to_owned(), source: word(1), read_only };
        best = Some((depth, mount));
    }
    best.map(|(_, mount)| mount)
}

/// Blanks in names are written as `\040`.
fn unescape(text: &str) -> String {
    let mut parts = text.split('\\');
    let mut plain = parts.next().unwrap_or_default().as_bytes().to_vec();
    for part in parts {
        match part.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            Some(byte) => {
                plain.push(byte);
                plain.extend(&part.as_bytes()[3..]);
            }
            None => {
                plain.push(b'\\');
                plain.extend(part.as_bytes());
            }
        }
    }
    String::from_utf8_lossy(&plain).into_owned()
}

fn judge_kind(mount: &Mount) -> Finding {
    let kind = mount.kind.as_str();
    let elsewhere = "keep the data on ext4, and only backups there";
    match kind {
        "vfat" | "msdos" | "exfat" | "ntfs" | "ntfs3" | "fuseblk" | "hfsplus" => warning(
            format!("the data is on {kind}, which knows no owners and does not come through power cuts well"),
            elsewhere,
        ),
        "nfs" | "nfs4" | "cifs" | "smb3" | "smbfs" | "9p" | "fuse.sshfs" | "afs" | "ceph" => warning(
            format!(
                "the data is on a network file system ({kind}), where SQLite's locks and log do not hold"
            ),
            elsewhere,
        ),
        "tmpfs" | "ramfs" => warning(
            format!("the data is in memory ({kind}) and gone with the power"),
            "say --data DIR with a folder on a disk",
        ),
        "overlay" | "aufs" | "squashfs" => warning(
            format!(
                "the data is on {kind}: the inside of a container, or a Pi whose card is write-protected, forgets it"
            ),
            "put the data on a volume, or switch the overlay off in raspi-config",
        ),
        kind => ok(format!("the data is on {kind} ({})", mount.source)),
    }
}

/// How many blocks are synced to see how long that takes.
const SYNCS: usize = 15;

/// What no card does: 20 µs are not enough for a command to a card and back.
const TOO_QUICK: Duration = Duration::from_micros(20);

fn judge_syncs(times: &[Duration]) -> Finding {
    let (Some(median), Some(worst)) = (times.get(times.len() / 2), times.last()) else {
        return warning("no sync was timed", "run it again");
    };
    let what = format!("a sync takes {} (worst of {}: {})", shown(*median), times.len(), shown(*worst));
    match median {
        quick if *quick < TOO_QUICK => warning(
            format!("{what}, which is too quick to be true"),
            "it is memory, or a disk that says 'kept' before it has: what was acknowledged may be lost with the power",
        ),
        slow if *slow > Duration::from_millis(500) => warning(
            format!("{what}: people wait for that at each entry"),
            "try another card (A1 or A2), or a USB disk; a worn card becomes slow before it fails",
        ),
        _ => ok(what),
    }
}

fn shown(time: Duration) -> String {
    let micros = time.as_micros();
    if micros < 10_000 {
        format!("{:.2} ms", micros as f64 / 1000.0)
    } else {
        format!("{} ms", micros / 1000)
    }
}

/// The name of the whole disk that a file system is on, such as `mmcblk0`.
fn disk_of(patient: &Patient<'_>, mount: &Mount) -> Option<String> {
    let event = patient.read(format!("sys/dev/block/{}/uevent", mount.device)).unwrap_or_default();
    let told = event.lines().find_map(|line| line.strip_prefix("DEVNAME="));
    let name = told.or_else(|| mount.source.strip_prefix("/dev/"))?;
    whole_disk(name).filter(|disk| patient.system(&format!("sys/block/{disk}")).is_dir())
}

/// `mmcblk0p2` is on `mmcblk0`, `sda1` on `sda`.
fn whole_disk(name: &str) -> Option<String> {
    let ends_in_number = ["mmcblk", "nvme", "loop", "nbd"].iter().any(|begin| name.starts_with(begin));
    let whole = if ends_in_number {
        let (disk, part) = name.rsplit_once('p').unwrap_or((name, ""));
        if !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()) { disk } else { name }
    } else {
        name.trim_end_matches(|c: char| c.is_ascii_digit())
    };
    (!whole.is_empty() && !whole.contains('/')).then(|| whole.to_owned())
}

/// What a card says of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Card {
    disk: String,
    name: String,
    made: String,
    /// In tenths used up, of each kind of cells.
    life: Vec<u32>,
    pre_end: u32,
    errors: u64,
}

fn check_card(patient: &Patient<'_>, disk: &str) -> Vec<Finding> {
    let of = |name: &str| patient.read(format!("sys/block/{disk}/device/{name}")).unwrap_or_default();
    let number = |text: &str| {
        let text = text.trim();
        match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).unwrap_or(0),
            None => text.parse().unwrap_or(0),
        }
    };
    let name =
        Some(of("name")).filter(|name| !name.is_empty()).unwrap_or_else(|| of("model").trim().to_owned());
    judge_card(&Card {
        disk: disk.to_owned(),
        name,
        made: of("date"),
        life: of("life_time").split_whitespace().map(|used| number(used) as u32).collect(),
        pre_end: number(&of("pre_eol_info")) as u32,
        errors: number(&of("ioerr_cnt")),
    })
}

fn judge_card(card: &Card) -> Vec<Finding> {
    let replace = "make a backup now and replace it";
    let made = if card.made.is_empty() { String::new() } else { format!(", made {}", card.made) };
    let name = if card.name.is_empty() { String::new() } else { format!(" ({}{made})", card.name) };
    let disk = format!("the disk {}{name}", card.disk);
    let mut found = Vec::new();
    match card.life.iter().max() {
        Some(11..) => found.push(problem(format!("{disk} has used up the life it was made for"), replace)),
        Some(used @ 9..=10) => {
            found.push(warning(format!("{disk} has used up about {} % of its life", used * 10), replace));
        }
        _ => {}
    }
    match card.pre_end {
        2 => found.push(warning(format!("{disk} has used 80 % of its spare blocks"), replace)),
        3.. => found.push(problem(format!("{disk} has hardly any spare blocks left"), replace)),
        _ => {}
    }
    if card.errors > 0 {
        let what = format!("{disk} has had {} errors since the start of this machine", card.errors);
        found.push(warning(what, "check its cable and power supply, look at 'dmesg', and make a backup"));
    }
    if found.is_empty() {
        let used = card.life.iter().max().filter(|used| **used > 0);
        let life = used.map_or(", which does not say how worn it is".to_owned(), |used| {
            format!(", {} % used up", used * 10)
        });
        found.push(ok(format!("{disk}{life}")));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOUNTS: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
27 1 179:2 / / rw,noatime shared:1 - ext4 /dev/root rw
30 27 179:1 / /boot/firmware rw,relatime shared:2 - vfat /dev/mmcblk0p1 rw
31 27 8:1 / /media/my\\040stick ro,relatime - ext4 /dev/sda1 rw,errors=remount-ro
32 27 8:17 / /srv rw,relatime - ext4 /dev/sdb1 ro,errors=remount-ro";

    #[test]
    fn the_deepest_mount_counts() {
        let of = |path: &str| mount_of(MOUNTS, Path::new(path)).unwrap();
        let root = of("/var/lib/deuced");
        assert_eq!((root.kind.as_str(), root.device.as_str(), root.read_only), ("ext4", "179:2", false));
        assert_eq!(of("/boot/firmware/x").kind, "vfat");
        assert_eq!(of("/boot/firmwares").source, "/dev/root");
        assert!(of("/media/my stick/backups").read_only && of("/srv/x").read_only);
        assert_eq!(mount_of("", Path::new("/")), None);
    }

    #[test]
    fn disks_are_known_by_their_parts() {
        for (name, disk) in [
            ("mmcblk0p2", "mmcblk0"),
            ("mmcblk0", "mmcblk0"),
            ("sda1", "sda"),
            ("nvme0n1p3", "nvme0n1"),
            ("vda", "vda"),
        ] {
            assert_eq!(whole_disk(name).as_deref(), Some(disk));
        }
        assert_eq!(whole_disk("mapper/secret"), None);
    }

    #[test]
    fn room_is_judged_by_what_a_backup_needs() {
        let judged = |free, files_free, database| {
            judge_space(Space { free, total: 32_000_000_000, files_free }, database)
        };
        assert_eq!(judged(9_000_000_000, None, 0), [ok("9.0 GB of 32 GB are free")]);
        assert!(
            matches!(&judged(200_000_000, None, 0)[0], Finding::Warning(what, _) if what.starts_with("little room"))
        );
        assert!(matches!(&judged(900_000_000, None, 500_000_000)[0], Finding::Warning(..)));
        assert!(
            matches!(&judged(1_000_000, None, 0)[0], Finding::Problem(what, _) if what.starts_with("the disk is full"))
        );
        assert!(
            matches!(&judged(9_000_000_000, Some(10), 0)[1], Finding::Problem(what, _) if what.contains("only 10 more files"))
        );
        assert!(matches!(&judged(9_000_000_000, Some(900), 0)[1], Finding::Warning(..)));
        assert_eq!(judged(9_000_000_000, Some(1000), 0).len(), 1);
    }

    #[test]
    fn file_systems_that_lose_or_tell_data_are_named() {
        let judged = |kind: &str| {
            judge_kind(&Mount {
                kind: kind.to_owned(),
                device: String::new(),
                source: "/dev/x".to_owned(),
                read_only: false,
            })
        };
        for good in ["ext4", "btrfs", "f2fs", "xfs"] {
            assert_eq!(judged(good), ok(format!("the data is on {good} (/dev/x)")));
        }
        for bad in ["vfat", "ntfs3", "nfs4", "cifs", "tmpfs", "overlay", "fuseblk"] {
            assert!(matches!(judged(bad), Finding::Warning(what, _) if what.contains(bad)), "{bad}");
        }
    }

    #[test]
    fn a_sync_takes_its_time() {
        let judged = |micros: &[u64]| {
            judge_syncs(&micros.iter().map(|micros| Duration::from_micros(*micros)).collect::<Vec<_>>())
        };
        assert_eq!(judged(&[1000, 2500, 40_000]), ok("a sync takes 2.50 ms (worst of 3: 40 ms)"));
        assert!(
            matches!(judged(&[8, 10, 9000]), Finding::Warning(what, _) if what.contains("too quick to be true"))
        );
        assert!(
            matches!(judged(&[1000, 600_000, 700_000]), Finding::Warning(what, _) if what.contains("wait"))
        );
        assert!(matches!(judged(&[]), Finding::Warning(..)));
    }

    #[test]
    fn worn_cards_are_named() {
        let card = Card {
            disk: "mmcblk0".to_owned(),
            name: "SC32G".to_owned(),
            made: "03/2021".to_owned(),
            ..Card::default()
        };
        let judged = |life: &[u32], pre_end, errors| {
            judge_card(&Card { life: life.to_vec(), pre_end, errors, ..card.clone() })
        };
        assert_eq!(
            judged(&[], 0, 0),
            [ok("the disk mmcblk0 (SC32G, made 03/2021), which does not say how worn it is")]
        );
        assert_eq!(judged(&[1, 3], 1, 0), [ok("the disk mmcblk0 (SC32G, made 03/2021), 30 % used up")]);
        assert!(matches!(&judged(&[1, 9], 1, 0)[0], Finding::Warning(what, _) if what.contains("90 %")));
        assert!(matches!(&judged(&[11, 2], 1, 0)[0], Finding::Problem(..)));
        assert!(
            matches!(&judged(&[1, 1], 2, 0)[0], Finding::Warning(what, _) if what.contains("spare blocks"))
        );
        assert!(matches!(&judged(&[1, 1], 3, 0)[0], Finding::Problem(..)));
        assert!(matches!(&judged(&[], 0, 4)[0], Finding::Warning(what, _) if what.contains("4 errors")));
    }
}
