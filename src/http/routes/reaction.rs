//! Reactions.

use super::Call;
use crate::api::pace::Deed;
use crate::api::{Tx, reaction, view};
use crate::domain::{EntryId, Error, Purpose};
use crate::http::error::Result;
use crate::http::message::Response;

/// The emoji of a request's body.
fn emoji(call: &Call<'_>) -> Result<String> {
    // The contract has one sentence for an emoji that is missing, empty or not a text.
    let emoji = call.fields()?.take_text("emoji").ok().flatten().unwrap_or_default();
    Ok(reaction::clean_emoji(&emoji, call.app().limits())?)
}

/// An entry's reactions.
pub fn list(call: &Call<'_>) -> Result<Response> {
    let reactions = match EntryId::parse(&call.params[0]) {
        Some(id) => reaction::list(call.app().db(), call.me()?, id)?,
        None => Vec::new(),
    };
    Ok(Response::json(200, view::reactions(&reactions)?))
}

/// Reacts.
pub async fn add(call: Call<'_>) -> Result<Response> {
    let (me, limits) = (call.me()?, call.limits());
    call.pace(Deed::Reaction, limits.reactions_per_minute)?;
    let emoji = emoji(&call)?;
    let id = EntryId::parse(&call.params[0]).ok_or_else(|| Error::not_found("Entry not found"))?;
    let add = move |tx: &Tx<'_>| view::reaction(&reaction::add(tx, &limits, me, id, &emoji)?);
    Ok(Response::json(200, call.write_once(Purpose::React, add).await?))
}

/// Takes a reaction back.
pub async fn remove(call: Call<'_>) -> Result<Response> {
    let (me, limits) = (call.me()?, call.limits());
    call.pace(Deed::Reaction, limits.reactions_per_minute)?;
    let emoji = emoji(&call)?;
    if let Some(id) = EntryId::parse(&call.params[0]) {
        call.app()
            .write(Purpose::TakeReactionBack, move |tx| reaction::remove(tx, &limits, me, id, &emoji))
            .await?;
    }
    Ok(Response::json(200, r#"{"message":"Reaction removed"}"#.to_owned()))
}
