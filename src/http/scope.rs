//! What a device may ask for, and about which groups: the one place where this is judged for HTTP.
//!
//! A device reads and adds. It changes and deletes nothing, sees nobody's inbox and no room by name, and does nothing
//! with accounts, groups, invites and other devices. What is not named here, no device may do.

use crate::api::device::{self, Reach};
use crate::domain::{Channel, EntryId, Error, GroupId, Permit, Result};
use crate::http::error::{self, Failure};
use crate::http::router::Verb;
use crate::http::routes::{Call, deuce, notification};

/// The permit that a device needs; `None` for what no device may do.
pub fn permit(verb: Verb) -> Option<Permit> {
    match verb {
        Verb::LogDeuce => Some(Permit::Log),
        Verb::Feed
        | Verb::ListGroups
        | Verb::ShowGroup
        | Verb::ListReactions
        | Verb::ListRooms
        | Verb::ListMessages => Some(Permit::Read),
        Verb::Say | Verb::AddReaction => Some(Permit::Chat),
        Verb::Notify => Some(Permit::Notify),
        _ => None,
    }
}

/// Refuses what the caller's login may not do. Full logins may do everything that their person may, which is for the
/// verbs to say. The verbs that list groups, rooms and entries leave out what is not within the call's reach.
///
/// # Errors
/// `Forbidden` for what the device has no verb for, and as a stranger is answered for groups that are not its own.
pub fn check(verb: Verb, call: &Call<'_>) -> error::Result<()> {
    let Some((token, permits)) = call.device() else { return Ok(()) };
    device::check_permit(permits, permit(verb))?;
    let db = call.server.app.db();
    let strange = || Error::forbidden("Not authorized").into();
    match verb {
        Verb::ListGroups | Verb::ListRooms => Ok(()),
        Verb::ShowGroup => within(&call.reach, GroupId::parse(&call.params[0]), strange),
        Verb::Feed => match call.request.query.get("groupId") {
            Some(text) => within(&call.reach, GroupId::parse(text), strange),
            None => Ok(()),
        },
        Verb::ListReactions | Verb::AddReaction => match entry_group(call)? {
            Some(group) => {
                let strange = || Error::forbidden("Not authorized to react to this entry").into();
                within(&call.reach, Some(group), strange)
            }
            // The verb says that there is none.
            None => Ok(()),
        },
        Verb::ListMessages | Verb::Say => {
            Ok(device::check_channel(db, token, &Channel::parse(&call.params[0])?)?)
        }
        Verb::LogDeuce => deuce::named_groups(&mut call.fields()?)?.iter().try_for_each(|name| {
            let strange = || Error::forbidden(format!("Not authorized for group {name}")).into();
            within(&call.reach, GroupId::parse(name), strange)
        }),
        Verb::Notify => {
            Ok(device::check_recipient(db, token, &notification::recipient(&mut call.fields()?)?)?)
        }
        // A verb that got a permit and no line here.
        _ => Err(strange()),
    }
}

fn within(reach: &Reach, group: Option<GroupId>, strange: impl Fn() -> Failure) -> error::Result<()> {
    match group {
        Some(group) if reach.includes(group) => Ok(()),
        _ => Err(strange()),
    }
}

fn entry_group(call: &Call<'_>) -> Result<Option<GroupId>> {
    let entry = EntryId::parse(&call.params[0]);
    Ok(entry.map(|entry| device::group_of(call.server.app.db(), entry)).transpose()?.flatten())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::message::Method;
    use crate::http::router::ROUTES;

    #[test]
    fn a_device_changes_only_what_happens_once() {
        // These go through `Call::write_once`; a signed request to any other could be sent again.
        let once = [Verb::LogDeuce, Verb::Say, Verb::AddReaction, Verb::Notify];
        for route in ROUTES.iter().filter(|route| permit(route.verb).is_some()) {
            let reads = route.method == Method::Get;
            assert_eq!(reads, !once.contains(&route.verb), "{:?}", route.verb);
            assert!(!route.public, "on a public route a device is nobody: {:?}", route.verb);
        }
        let allowed = ROUTES.iter().filter(|route| permit(route.verb).is_some()).count();
        assert_eq!(allowed, 10, "each of these is a decision");
    }
}
