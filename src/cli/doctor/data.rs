//! The data directory: whose it is, and that nobody else can look in.

use super::{Finding, Patient, Report, ok, problem, warning};
use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::{Path, PathBuf},
};

/// Something in the data directory.
struct Kept {
    path: PathBuf,
    mode: u32,
    owner: u32,
}

/// Looks at the directory and the files in it; whether the rest of the data can be looked at.
pub(super) fn check(patient: &Patient<'_>, report: &mut Report) -> bool {
    let data = &patient.data;
    let about = match fs::metadata(data) {
        Ok(about) => about,
        Err(error) => {
            report.tell(absent(data, &error));
            return false;
        }
    };
    let mut kept = Vec::new();
    if let Err(error) = list(data, &mut kept) {
        report.tell(problem(
            format!("{} cannot be looked into ({error})", data.display()),
            "run this as root, or as its owner",
        ));
        return false;
    }
    let name = |owner| user_name(patient, owner);
    // SAFETY: asks for a number.
    let me = unsafe { libc::geteuid() };
    report.tell(judge_folder(data, about.permissions().mode(), about.uid(), me, &name));
    report.tell_all(judge_files(data, about.uid(), &kept, &name));
    true
}

fn absent(data: &Path, error: &io::Error) -> Finding {
    match error.kind() {
        io::ErrorKind::NotFound => problem(
            format!("there is no data directory {}", data.display()),
            "say --data DIR if it is elsewhere, else start 'deuced serve' once",
        ),
        _ => problem(
            format!("{} cannot be looked at ({error})", data.display()),
            "run this as root, or as its owner",
        ),
    }
}

/// The files of the directory and of those in it.
fn list(folder: &Path, kept: &mut Vec<Kept>) -> io::Result<()> {
    for file in fs::read_dir(folder)? {
        let file = file?;
        // What is gone meanwhile was not there to stay.
        let Ok(about) = file.metadata() else { continue };
        if about.is_file() || about.is_dir() {
            kept.push(Kept { path: file.path(), mode: about.permissions().mode(), owner: about.uid() });
        }
        if about.is_dir() {
            list(&file.path(), kept)?;
        }
    }
    Ok(())
}

fn judge_folder(data: &Path, mode: u32, owner: u32, me: u32, name: &dyn Fn(u32) -> String) -> Finding {
    let (shown, mode) = (data.display(), mode & 0o777);
    if me != 0 && me != owner {
        return problem(
            format!("{shown} belongs to {}, and this runs as {}", name(owner), name(me)),
            format!("run it with 'sudo -u {}'", name(owner)),
        );
    }
    match mode & 0o077 {
        0 => ok(format!("{shown} belongs to {} and nobody else can look in ({mode:04o})", name(owner))),
        _ => problem(
            format!("others on this machine can look into {shown} ({mode:04o})"),
            format!("chmod 700 {shown}"),
        ),
    }
}

fn judge_files(data: &Path, owner: u32, kept: &[Kept], name: &dyn Fn(u32) -> String) -> Vec<Finding> {
    let strange: Vec<&Kept> = kept.iter().filter(|file| file.owner != owner).collect();
    let exposed: Vec<&Kept> = kept.iter().filter(|file| file.mode & 0o077 != 0).collect();
    let mut found = Vec::new();
    if let Some(first) = strange.first() {
        found.push(problem(
            format!("{} and not to {}: the server cannot write there", belongs(&strange, name), name(owner)),
            format!(
                "chown -R {}: {}",
                name(owner),
                if strange.len() == 1 { &first.path } else { data }.display()
            ),
        ));
    }
    if !exposed.is_empty() {
        found.push(warning(
            format!("others may read {}", named(&exposed)),
            format!("chmod -R go= {}", data.display()),
        ));
    }
    if found.is_empty() {
        found.push(ok(format!("the {} files in it are their owner's alone", kept.len())));
    }
    found
}

fn belongs(files: &[&Kept], name: &dyn Fn(u32) -> String) -> String {
    let verb = if files.len() == 1 { "belongs" } else { "belong" };
    format!("{} {verb} to {}", named(files), name(files[0].owner))
}

fn named(files: &[&Kept]) -> String {
    let first = files[0].path.display();
    match files.len() {
        1 => first.to_string(),
        more => format!("{first} and {} more", more - 1),
    }
}

fn user_name(patient: &Patient<'_>, number: u32) -> String {
    let users = patient.read("etc/passwd").unwrap_or_default();
    let of = |line: &str| {
        let mut parts = line.split(':');
        let name = parts.next()?;
        (parts.nth(1)? == number.to_string()).then(|| name.to_owned())
    };
    users.lines().find_map(of).unwrap_or_else(|| format!("user {number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: u32) -> String {
        if number == 0 { "root".to_owned() } else { format!("u{number}") }
    }

    #[test]
    fn only_the_owner_may_look_in() {
        let judged = |mode, owner, me| judge_folder(Path::new("/d"), mode, owner, me, &name);
        assert_eq!(judged(0o40700, 7, 0), ok("/d belongs to u7 and nobody else can look in (0700)"));
        assert_eq!(
            judged(0o40750, 7, 7),
            problem("others on this machine can look into /d (0750)", "chmod 700 /d")
        );
        assert_eq!(
            judged(0o40700, 7, 8),
            problem("/d belongs to u7, and this runs as u8", "run it with 'sudo -u u7'")
        );
    }

    #[test]
    fn what_root_left_behind_is_named() {
        let file = |name: &str, mode, owner| Kept { path: Path::new("/d").join(name), mode, owner };
        let judged = |kept: &[Kept]| judge_files(Path::new("/d"), 7, kept, &name);
        let own = || file("deuced.db", 0o600, 7);
        assert_eq!(judged(&[own()]), [ok("the 1 files in it are their owner's alone")]);
        let one = [own(), file("deuced.db-wal", 0o600, 0)];
        let what = "/d/deuced.db-wal belongs to root and not to u7: the server cannot write there";
        assert_eq!(judged(&one), [problem(what, "chown -R u7: /d/deuced.db-wal")]);
        let two = [file("deuced.db-wal", 0o600, 0), file("deuced.db-shm", 0o600, 0)];
        let what = "/d/deuced.db-wal and 1 more belong to root and not to u7: the server cannot write there";
        assert_eq!(judged(&two), [problem(what, "chown -R u7: /d")]);
        let open = [file("deuced.db", 0o644, 7)];
        assert_eq!(judged(&open), [warning("others may read /d/deuced.db", "chmod -R go= /d")]);
    }
}
