//! Invites.

use super::{Call, ok, redirect};
use crate::api::pace::Deed;
use crate::api::{invite, view};
use crate::domain::{Error, InviteId};
use crate::http::error::Result;
use crate::http::message::Response;

/// Makes an invite.
pub async fn create(call: Call<'_>) -> Result<Response> {
    let (me, id, limits) = (call.me()?, call.group()?, call.limits());
    call.pace(Deed::Group, limits.groups_per_minute)?;
    let max_uses = call.fields()?.take_integer("maxUses")?;
    if max_uses.is_some_and(|uses| !(1..=1_000_000).contains(&uses)) {
        return Err(Error::invalid("maxUses: a number from 1 to 1000000").into());
    }
    let made = call.app().write(move |tx| invite::create(tx, &limits, id, me, max_uses)).await?;
    Ok(Response::json(200, view::invite(&made, &call.base())?))
}

/// A group's open invites.
pub fn list(call: &Call<'_>) -> Result<Response> {
    let invites = invite::list(call.app().db(), call.group()?, call.me()?)?;
    Ok(Response::json(200, view::invites(&invites, &call.base())?))
}

/// Revokes an invite.
pub async fn revoke(call: Call<'_>) -> Result<Response> {
    let (me, id, which) = (call.me()?, call.group()?, InviteId::parse(&call.params[1]));
    call.app().write(move |tx| invite::revoke(tx, id, me, which)).await?;
    Ok(ok())
}

/// Joins by invite.
pub async fn join(call: Call<'_>) -> Result<Response> {
    let (me, limits) = (call.me()?, call.limits());
    call.pace(Deed::Join, limits.joins_per_minute)?;
    let which =
        InviteId::parse(&call.params[0]).ok_or_else(|| Error::invalid("Invalid or expired invite"))?;
    let accepted = call.app().write(move |tx| invite::accept(tx, &limits, me, which)).await?;
    Ok(Response::json(200, view::joined(&accepted.group, accepted.already)?))
}

/// Leads an invited person to the page, which joins after logging in. Whether the invite is good is
/// not said here, because anybody may ask.
pub fn page(call: &Call<'_>) -> Response {
    match InviteId::parse(&call.params[0]) {
        Some(invite) => redirect(&format!("/?join={invite}")),
        None => redirect("/"),
    }
}
