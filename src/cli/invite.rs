//! `deuced invite`: a link into a group, for whoever stands at the terminal, also beside the running server.

use crate::api::{group, invite, token};
use crate::cli::{
    Command, Environment, help, limits_from, link, open_database, prepare_data_directory, told_data,
};
use crate::domain::{Error, GroupId, Invite, Limits, UserId};
use crate::store::Tx;
use lexopt::{Arg, Parser, ValueExt};
use std::path::PathBuf;

/// The settings of `deuced invite`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Settings {
    /// The group's name or id.
    pub group: String,
    /// Who invites.
    pub inviter: String,
    /// How many may join by it; `None` is any number.
    pub uses: Option<i64>,
    /// The data directory.
    pub data: Option<PathBuf>,
    /// The limits in force.
    pub limits: Limits,
}

/// Reads what follows `invite`.
pub(super) fn parse(mut words: Parser, environment: Environment<'_>) -> Result<Command, String> {
    let plain = |error: lexopt::Error| error.to_string();
    let mut settings = Settings { limits: limits_from(environment)?, ..Settings::default() };
    settings.data = told_data(environment);
    while let Some(word) = words.next().map_err(plain)? {
        match word {
            Arg::Value(value) if settings.group.is_empty() => {
                settings.group = value.string().map_err(plain)?
            }
            Arg::Long("as") => {
                settings.inviter = words.value().and_then(|value| value.string()).map_err(plain)?
            }
            Arg::Long("uses") => {
                let uses = words
                    .value()
                    .and_then(|value| value.parse())
                    .ok()
                    .filter(|uses| invite::USES.contains(uses));
                let (least, most) = (invite::USES.start(), invite::USES.end());
                settings.uses = Some(uses.ok_or_else(|| format!("--uses: a number from {least} to {most}"))?);
            }
            Arg::Long("data") => settings.data = Some(words.value().map_err(plain)?.into()),
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help(help::INVITE)),
            other => return Err(other.unexpected().to_string()),
        }
    }
    if settings.group.trim().is_empty() || settings.inviter.trim().is_empty() {
        return Err(
            "invite: into which group, and who invites? Say 'deuced invite GROUP --as NAME'".to_owned()
        );
    }
    Ok(Command::Invite(settings))
}

/// Makes the invite and shows its link.
pub(super) fn make(settings: &Settings) -> Result<(), String> {
    let sentence = |error: Error| error.to_string();
    let data = prepare_data_directory(settings.data.clone())?;
    let (address, running) = link::server_of(&data);
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
