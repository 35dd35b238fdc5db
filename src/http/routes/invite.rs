//! Invites.

use super::{Call, login, ok, redirect};
use crate::api::pace::{Deed, Doer};
use crate::api::token::{self, Arrival};
use crate::api::{invite, qr, user, view};
use crate::domain::{Error, InviteId, Purpose};
use crate::http::error::Result;
use crate::http::message::{Body, Response};
use crate::http::shield::Shield;

/// Makes an invite.
pub async fn create(call: Call<'_>) -> Result<Response> {
    let (me, id, limits) = (call.me()?, call.group()?, call.limits());
    call.pace(Deed::Group, limits.groups_per_minute)?;
    let max_uses = call.fields()?.take_integer("maxUses")?;
    if max_uses.is_some_and(|uses| !invite::USES.contains(&uses)) {
        return Err(Error::invalid("maxUses: a number from 1 to 1000000").into());
    }
    let made =
        call.app().write(Purpose::Invite, move |tx| invite::create(tx, &limits, id, me, max_uses)).await?;
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
    call.app().write(Purpose::RevokeInvite, move |tx| invite::revoke(tx, id, me, which)).await?;
    Ok(ok())
}

/// An invite's link as a picture that a camera reads, at the address under which this was asked for.
pub async fn draw(call: Call<'_>) -> Result<Response> {
    let invite = invite::find(call.app().db(), call.group()?, call.me()?, InviteId::parse(&call.params[1]))?;
    let link = format!("{}{}", call.base(), invite.path());
    let drawn = call.app().file_aside(move || qr::Code::of(&link).map(|code| code.to_svg())).await?;
    let svg = drawn.ok_or_else(|| Error::invalid("Host: too long for a QR code"))?;
    Ok(Response::new(200, "image/svg+xml", Body::Bytes(svg.into_bytes())).shielded(Shield::Picture))
}

/// What an invite leads to, for whoever holds it.
pub fn show(call: &Call<'_>) -> Result<Response> {
    let (_, preview) = find(call, Error::not_found(invite::OVER))?;
    Ok(Response::json(200, view::preview(&preview)?))
}

/// Joins by invite.
pub async fn join(call: Call<'_>) -> Result<Response> {
    let (me, limits) = (call.me()?, call.limits());
    let which = match InviteId::parse(&call.params[0]) {
        // Also one that is used up: who is in the group already is told so.
        Some(id) if invite::is_known(call.app().db(), id)? => id,
        _ => find(&call, Error::invalid(invite::OVER))?.0,
    };
    let accepted = call.app().write(Purpose::Join, move |tx| invite::accept(tx, &limits, me, which)).await?;
    Ok(Response::json(200, view::joined(&accepted.group, accepted.already)?))
}

/// Makes an account, joins by invite and logs in, all or nothing.
pub async fn join_new(call: Call<'_>) -> Result<Response> {
    let (app, limits) = (call.app(), call.limits());
    // Nobody has a password hashed here who holds no invite.
    let (which, _) = find(&call, Error::invalid(invite::OVER))?;
    let mut fields = call.fields()?;
    let name = user::clean_login_name(&fields.take_text("username")?.unwrap_or_default(), &limits)?;
    // Before the password is hashed, which takes a while; the transaction looks again.
    user::check_name_is_free(app.db(), &name)?;
    let hash = login::new_hash(app, "password", fields.take_text("password")?).await?;
    let old = login::old_login(&call);
    let arrival = Arrival { invite: Some(which), ..login::arrival(&call) };
    let logged_in = app
        .write(Purpose::AddPerson, move |tx| {
            if let Some(old) = old {
                token::end(tx, old)?;
            }
            token::begin_as_newcomer(tx, &limits, &name, &hash, &arrival)
        })
        .await?;
    login::welcome(&call, &logged_in, old)
}

/// The open invite that a request names. Only wrong ones are counted, of the person, or of the address where nobody is
/// logged in: whoever holds an invite is not kept out by others' guesses.
fn find(call: &Call<'_>, over: Error) -> Result<(InviteId, invite::Preview)> {
    let which = InviteId::parse(&call.params[0]);
    let known = which.map(|id| invite::preview(call.app().db(), id)).transpose()?.flatten();
    if let Some(found) = which.zip(known) {
        return Ok(found);
    }
    let doer = match &call.caller {
        Some(caller) => Doer::User(caller.me.user),
        None => Doer::address(call.peer.address),
    };
    call.app().pace.borrow_mut().take(Deed::Join, doer, call.app().limits().joins_per_minute)?;
    Err(over.into())
}

/// Leads an invited person to the page that joins: with a login, or where a name is enough, that is the diary
/// itself, and else the one for newcomers. Whether the invite is good is not said here, because anybody may ask.
pub fn page(call: &Call<'_>) -> Response {
    let page = if call.app().settings.open || call.caller.is_some() { "/" } else { "/welcome" };
    match InviteId::parse(&call.params[0]) {
        Some(invite) => redirect(&format!("{page}?join={invite}")),
        None => redirect("/"),
    }
}
