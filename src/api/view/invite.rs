//! What invites look like: to members of their group, and to whoever holds the link.

use super::{shown, text};
use crate::api::invite::Preview;
use crate::domain::{Invite, InviteId, Result, Time};
use serde::Serialize;

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct InviteView<'a> {
    invite_link: String,
    #[serde(serialize_with = "shown")]
    id: InviteId,
    created_by: &'a str,
    #[serde(serialize_with = "shown")]
    created_at: Time,
    #[serde(serialize_with = "shown")]
    expires_at: Time,
    max_uses: Option<i64>,
    uses: i64,
}

impl<'a> InviteView<'a> {
    fn of(invite: &'a Invite, base: &str) -> InviteView<'a> {
        InviteView {
            invite_link: format!("{base}{}", invite.path()),
            id: invite.id,
            created_by: &invite.created_by,
            created_at: invite.created_at,
            expires_at: invite.expires_at,
            max_uses: invite.max_uses,
            uses: invite.uses,
        }
    }
}

/// An invite, with its link on the server's address `base`.
///
/// # Errors
/// `Internal` only.
pub fn invite(invite: &Invite, base: &str) -> Result<String> {
    text(&InviteView::of(invite, base))
}

/// A list of invites.
///
/// # Errors
/// `Internal` only.
pub fn invites(invites: &[Invite], base: &str) -> Result<String> {
    text(&invites.iter().map(|invite| InviteView::of(invite, base)).collect::<Vec<_>>())
}

/// What an invite leads to, and no more than that.
///
/// # Errors
/// `Internal` only.
pub fn preview(preview: &Preview) -> Result<String> {
    #[derive(Serialize)]
    struct GroupName<'a> {
        name: &'a str,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct View<'a> {
        group: GroupName<'a>,
        invited_by: &'a str,
        #[serde(serialize_with = "shown")]
        expires_at: Time,
    }
    text(&View {
        group: GroupName { name: &preview.group },
        invited_by: &preview.inviter,
        expires_at: preview.expires_at,
    })
}
