//! `deuced restore`: a copy takes the place of the diary, and what was there is kept aside.

use crate::api::database_path;
use crate::cli::words::{Asked, Choice, DATA, Entry, Job};
use crate::cli::{data_directory, owner, prepare_data_directory, print, verify};
use crate::domain::{Error, Time};
use crate::store::restore::{self, Comparison};
use crate::store::{backup, lock::Lock};
use std::{
    fmt::Write,
    io,
    path::{Path, PathBuf},
};

/// The settings of `deuced restore`.
struct Settings {
    file: PathBuf,
    dry_run: bool,
    yes: bool,
    data: Option<PathBuf>,
}

/// `deuced restore`.
pub const ENTRY: Entry = Entry {
    name: "restore",
    arguments: &["FILE"],
    brief: "put a copy in the place of the diary, which is kept aside",
    about: "Puts a copy in the place of the diary. The copy is verified first, and you are told what the diary has and \
            the copy has not. What was there is kept in the folder before-restore-TIME in the data directory. The \
            server must not be running; a power cut at any moment leaves the one diary or the other, whole.",
    options: &[
        Choice {
            name: "dry-run",
            value: "",
            help: "only say what would be lost; also while the server runs",
        },
        Choice { name: "yes", value: "", help: "do not ask" },
    ],
    settings: DATA,
    notes: "A copy of an older version is brought up to date. Afterwards every client loads everything anew. Logins, \
            passwords and devices are those of the copy.",
    read,
};

fn read(asked: Asked) -> Result<Job, String> {
    let file = asked
        .argument(0)
        .ok_or("restore: which file? Say 'deuced restore FILE'; 'deuced backup --list' lists them")?;
    let data = asked.settings().data.clone();
    let settings = Settings { file: file.into(), dry_run: asked.has("dry-run"), yes: asked.has("yes"), data };
    Ok(Box::new(move || run(&settings)))
}

/// Says what would be lost, asks, and does it.
fn run(settings: &Settings) -> Result<(), String> {
    let sentence = |error: Error| error.to_string();
    let file = &settings.file;
    // Root may have become somebody by that, who cannot read everything.
    let data = data_directory(settings.data.clone())?;
    if owner::became().is_some() {
        std::fs::File::open(file).map_err(|error| owner::explain(file, &error))?;
    }
    let copy = backup::verify(file).map_err(sentence)?;
    if settings.dry_run {
        return print(&format!(
            "{}: whole\n{}{}",
            file.display(),
            verify::describe(&copy),
            outlook(&data, file)
        ));
    }
    prepare_data_directory(settings.data.clone())?;
    let lock = Lock::take(&data)
        .map_err(|error| format!("{error}: stop it first, for example with 'systemctl stop deuced'"))?;
    restore::settle(&data, &lock).map_err(sentence)?;
    print(&format!("{}: whole\n{}{}", file.display(), verify::describe(&copy), outlook(&data, file)))?;
    if !settings.yes && !confirmed()? {
        return Err("nothing was changed".to_owned());
    }
    let aside = free_name(&data);
    match restore::replace(file, &data, &aside).map_err(sentence)? {
        true => print(&format!(
            "The copy is in its place. What was there before is kept in {}:\n\
             'deuced restore {0}/deuced.db' brings it back; remove it when you are sure.\n",
            data.join(aside).display()
        )),
        false => print("The copy is in its place.\n"),
    }
}

fn confirmed() -> Result<bool, String> {
    print("Put this copy in the place of the diary? Type yes: ")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer).map_err(|error| error.to_string())?;
    Ok(matches!(answer.trim(), "yes" | "y"))
}

fn free_name(data: &Path) -> String {
    let stamp = Time::now().stamp();
    let names = (1..).map(|number| match number {
        1 => format!("before-restore-{stamp}"),
        more => format!("before-restore-{stamp}-{more}"),
    });
    let mut names = names.filter(|name| !data.join(name).exists());
    names.next().expect("numbers go on")
}

/// What would be lost and what would come back.
fn outlook(data: &Path, file: &Path) -> String {
    let database = database_path(data);
    if std::fs::metadata(&database).map_or(0, |file| file.len()) == 0 {
        return format!("There is no diary in {} so far: nothing would be lost.\n", data.display());
    }
    match restore::compare(&database, file) {
        Ok(comparison) => table(&comparison),
        Err(error) => format!(
            "The present diary cannot be read, so what it has beyond the copy is not known:\n  {error}\n\
             It would be kept aside as it is.\n"
        ),
    }
}

fn table(comparison: &Comparison) -> String {
    let mut text = format!(
        "\n  {:<14}{:>9} {:>12} {:>15} {:>16}\n",
        "", "now", "in the copy", "would be lost", "would come back"
    );
    for line in &comparison.lines {
        let _ = writeln!(
            text,
            "  {:<14}{:>9} {:>12} {:>15} {:>16}",
            line.noun, line.now, line.copy, line.lost, line.back
        );
    }
    let moment = |time: Option<Time>| time.map_or_else(|| "none".to_owned(), verify::moment);
    let (now, then) = comparison.newest_entry;
    let _ = writeln!(text, "  newest entry  now {}, in the copy {}", moment(now), moment(then));
    for (what, (go, back)) in [("accounts", &comparison.accounts), ("devices", &comparison.devices)] {
        for (names, happens) in [(go, "go"), (back, "come back")] {
            if !names.is_empty() {
                let _ = writeln!(text, "  {what} that would {happens}: {}", names.join(", "));
            }
        }
    }
    let logins = comparison.lines.iter().find(|line| line.noun == "logins");
    if logins.is_some_and(|line| line.back > 0) {
        text += "  Logins that would come back were ended since; 'deuced user reset NAME' ends a person's.\n";
    }
    if comparison.passwords > 0 {
        let _ = writeln!(text, "  {} people's passwords would be their earlier ones.", comparison.passwords);
    }
    text
}
