//! What a device may ask for on a socket, in whatever form it asks: the one place where this is judged for sockets.
//!
//! As over HTTP (`http/scope.rs`): it hears with the verb `read`, says with the verb `chat`, both in the rooms of its
//! groups only, and neither changes, deletes nor marks anything.

use super::Talk;
use crate::api::device::{check_channel, check_permit};
use crate::domain::{Channel, Permit, Result};
use crate::ws::Endpoint;
use crate::ws::form::{Command, Joining};

impl Talk {
    /// Refuses what the socket's login may not do. Full logins and guests are judged where the thing is done.
    pub(super) fn check_scope(&self, command: &Command) -> Result<()> {
        let owner = self.app.hub.owner(self.session);
        let device = owner.and_then(|owner| Some((owner.token, owner.permits?)));
        let Some((token, permits)) = device else { return Ok(()) };
        let (needed, channel) = match command {
            // To hear less, to be greeted and to show another token needs no permit.
            Command::Nothing
            | Command::Ping
            | Command::Auth(_)
            | Command::Register(_)
            | Command::Unsubscribe(_)
            | Command::Group(Joining::Leave, _) => return Ok(()),
            Command::Group(Joining::Join, group) => (Some(Permit::Read), Some(Channel::Group(*group))),
            Command::Subscribe { channel, .. } => (Some(Permit::Read), Some(channel.clone())),
            Command::Typing(channel) => (Some(Permit::Chat), Some(channel.clone())),
            Command::Say(channel, _) => {
                // Without a channel one talks where one listened last, or nowhere, which is said later.
                let last = || self.channel.as_deref().cloned();
                (Some(Permit::Chat), channel.clone().or_else(last))
            }
            Command::Page(_) => match &self.endpoint {
                Endpoint::Page(page) => (Some(Permit::Chat), Some(page.channel.clone())),
                _ => (None, None),
            },
            Command::Edit(..) | Command::Delete(_) | Command::Read(_) => (None, None),
        };
        check_permit(permits, needed)?;
        match channel {
            Some(channel) => check_channel(self.app.db(), token, &channel),
            None => Ok(()),
        }
    }
}
