//! The caller's logins.

use super::{Call, enforce, login, ok};
use crate::api::view::people as view;
use crate::api::{session, token};
use crate::domain::{Purpose, TokenId};
use crate::http::error::Result;
use crate::http::message::Response;
use crate::ws::close;

/// The caller's logins, the one that asks first.
pub fn list(call: &Call<'_>) -> Result<Response> {
    let sessions = session::list(call.app(), call.me()?, call.token()?)?;
    Ok(Response::json(200, view::sessions(&sessions)?))
}

/// Ends one of the caller's logins and its sockets.
pub async fn end(call: Call<'_>) -> Result<Response> {
    let (me, id) = (call.me()?, call.params[0].parse().ok().map(TokenId));
    let ended = call.app().write(Purpose::LogOut, move |tx| session::revoke(tx, me, id)).await?;
    token::ended(call.app(), &[ended], close::LOGGED_OUT);
    Ok(if ended == call.token()? { login::farewell(ok()) } else { ok() })
}

/// Ends the caller's other logins and their sockets.
pub async fn end_others(call: Call<'_>) -> Result<Response> {
    let (me, keep) = (call.me()?, call.token()?);
    call.app().write(Purpose::LogOut, move |tx| session::revoke_others(tx, me, keep)).await?;
    enforce(call.app())?;
    Ok(ok())
}
