//! `deuced invite`: a link into a group, for whoever stands at the terminal, also beside the running server.

use crate::api::{group, invite, token};
use crate::cli::words::{Asked, Choice, Entry, Job, WITH_LINK};
use crate::cli::{link, open_database, prepare_data_directory};
use crate::domain::{Error, GroupId, Invite, Limits, UserId};
use crate::store::Tx;
use std::path::PathBuf;

/// The settings of `deuced invite`.
struct Settings {
    /// The group's name or id.
    pub group: String,
    /// Who invites.
    pub inviter: String,
    /// How many may join by it; `None` is any number.
    pub uses: Option<i64>,
    /// The data directory.
    pub data: Option<PathBuf>,
    /// Where a server would listen that does not run.
    pub port: u16,
    /// The limits in force.
    pub limits: Limits,
}

/// `deuced invite`.
pub const ENTRY: Entry = Entry {
    name: "invite",
    arguments: &["GROUP"],
    brief: "make a link into a group, with a code for phones",
    about: "Makes a link into a group and shows it, with its code for phones. Whoever opens it chooses a name and \
            password, or logs in, and is in the group. Works while the server runs.\n\n\
            GROUP is the name or the id of a group that the person named by --as is in.",
    options: &[
        Choice { name: "as", value: "NAME", help: "who invites" },
        Choice { name: "uses", value: "N", help: "how many may join by it; any number unless said" },
    ],
    settings: WITH_LINK,
    notes: "The link is good for as many days as the limit invite_days says.",
    read,
};

fn read(asked: Asked) -> Result<Job, String> {
    let uses = asked.value("uses").map(|text| {
        let uses = text.parse().ok().filter(|uses| invite::USES.contains(uses));
        let (least, most) = (invite::USES.start(), invite::USES.end());
        uses.ok_or_else(|| format!("--uses: a number from {least} to {most}"))
    });
    let settings = Settings {
        group: asked.argument(0).unwrap_or_default(),
        inviter: asked.value("as").unwrap_or_default(),
        uses: uses.transpose()?,
        data: asked.settings().data.clone(),
        port: asked.settings().port(),
        limits: asked.settings().limits.clone(),
    };
    if settings.group.is_empty() || settings.inviter.trim().is_empty() {
        return Err(
            "invite: into which group, and who invites? Say 'deuced invite GROUP --as NAME'".to_owned()
        );
    }
    Ok(Box::new(move || make(&settings)))
}

/// Makes the invite and shows its link.
fn make(settings: &Settings) -> Result<(), String> {
    let sentence = |error: Error| error.to_string();
    let data = prepare_data_directory(settings.data.clone())?;
    let (address, running) = link::server_of(&data, settings.port);
    let db = open_database(&data).map_err(sentence)?;
    let (name, made) = db.write_now(|tx| in_one_write(tx, settings)).map_err(sentence)?;
    let hint = if running { "" } else { "The server does not run now; 'deuced serve' starts it.\n" };
    link::show(
        &format!("Whoever opens this link within {} days can join {name}:", settings.limits.invite_days),
        address,
        &made.path(),
        hint,
    )
}

fn in_one_write(tx: &Tx<'_>, settings: &Settings) -> crate::domain::Result<(String, Invite)> {
    let me = token::person(tx, &settings.inviter)?;
    let (id, name) = find_group(tx, me, settings)?;
    Ok((name, invite::create(tx, &settings.limits, id, me, settings.uses)?))
}

/// The group meant, among those of who invites.
fn find_group(tx: &Tx<'_>, me: UserId, settings: &Settings) -> crate::domain::Result<(GroupId, String)> {
    let wanted = settings.group.trim();
    let groups: Vec<(GroupId, String)> =
        group::list(tx, me)?.into_iter().map(|summary| (summary.group.id, summary.group.name)).collect();
    let is_meant = |(id, name): &&(GroupId, String)| {
        GroupId::parse(wanted) == Some(*id) || name.to_lowercase() == wanted.to_lowercase()
    };
    let meant: Vec<_> = groups.iter().filter(is_meant).collect();
    match meant[..] {
        [one] => Ok(one.clone()),
        [] => Err(Error::not_found(format!("{} is in no group named {wanted}", settings.inviter))),
        _ => {
            let ids: Vec<String> = meant.iter().map(|(id, _)| id.to_string()).collect();
            Err(Error::invalid(format!(
                "there are several groups named {wanted}; say which: {}",
                ids.join(", ")
            )))
        }
    }
}
