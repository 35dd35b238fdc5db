//! Rooms and what is said in them.

use super::Call;
use crate::api::message::{self, New, Which};
use crate::api::pace::Deed;
use crate::api::room::{self, Who};
use crate::api::view::talk;
use crate::api::{Db, Tx};
use crate::domain::{Channel, Error, Purpose};
use crate::http::error::{Failure, Result};
use crate::http::message::Response;
use serde_json::json;

/// The longest name a client may give to a message.
const CLIENT_ID_CHARACTERS: usize = 200;

/// The rooms the caller may hear.
pub async fn rooms(call: Call<'_>) -> Result<Response> {
    let (me, reach) = (call.me()?, call.reach.clone());
    let text = call.app().read_aside(move |db| talk::rooms(&room::list(db, me, &reach)?)).await?;
    Ok(Response::json(200, text))
}

/// A page of what was said.
pub async fn list(call: Call<'_>) -> Result<Response> {
    let (who, channel) = (Who::Person(call.me()?), Channel::parse(&call.params[0])?);
    let limit = call.number("limit", 1)?.unwrap_or(50).min(call.app().limits().page_messages);
    let before = call.number("before", 1)?.map(|before| i64::try_from(before).unwrap_or(i64::MAX));
    let read = move |db: &Db| {
        let (said, next) = message::history(db, &who, &channel, before, limit)?;
        talk::messages(&said, next)
    };
    Ok(Response::json(200, call.app().read_aside(read).await?))
}

/// Says something.
pub async fn say(call: Call<'_>) -> Result<Response> {
    let (me, limits, channel) = (call.me()?, call.limits(), Channel::parse(&call.params[0])?);
    call.pace(Deed::Message, limits.messages_per_minute)?;
    let mut fields = call.fields()?;
    let text = fields.take_text("text")?.unwrap_or_default();
    let client_id = fields.take_text("clientId")?;
    if client_id.as_ref().is_some_and(|id| !(1..=CLIENT_ID_CHARACTERS).contains(&id.chars().count())) {
        return Err(Failure::new(400, format!("clientId: 1 to {CLIENT_ID_CHARACTERS} characters")));
    }
    let name = channel.to_string();
    let new = New {
        who: Who::Person(me),
        guest: String::new(),
        channel,
        text: Some(text),
        from_page: false,
        nickname: None,
        client_id,
    };
    let say = move |tx: &Tx<'_>| {
        let said = message::say(tx, &limits, &new)?;
        Ok(json!({ "id": said.id.to_string(), "seq": said.seq, "channel": name }).to_string())
    };
    Ok(Response::json(200, call.write_once(Purpose::Say, say).await?))
}

/// The message in the path.
fn which(call: &Call<'_>) -> Result<Which> {
    let seq = call.params[1].parse().ok().filter(|seq| *seq >= 1);
    let seq = seq.ok_or_else(|| Error::not_found("Message not found"))?;
    Ok(Which { channel: Channel::parse(&call.params[0])?, seq, id: None })
}

/// Changes what the caller said.
pub async fn edit(call: Call<'_>) -> Result<Response> {
    let (me, limits, which) = (call.me()?, call.limits(), which(&call)?);
    call.pace(Deed::Message, limits.messages_per_minute)?;
    let text = call.fields()?.take_text("text")?.unwrap_or_default();
    let changed = call
        .app()
        .write(Purpose::EditMessage, move |tx| message::edit(tx, &limits, me, &which, &text))
        .await?;
    Ok(done(changed.seq))
}

/// Deletes what the caller said.
pub async fn delete(call: Call<'_>) -> Result<Response> {
    let (me, limits, which) = (call.me()?, call.limits(), which(&call)?);
    call.pace(Deed::Message, limits.messages_per_minute)?;
    let changed =
        call.app().write(Purpose::DeleteMessage, move |tx| message::delete(tx, &limits, me, &which)).await?;
    Ok(done(changed.seq))
}

fn done(seq: i64) -> Response {
    Response::json(200, json!({ "ok": true, "seq": seq }).to_string())
}
