//! Notifications.

use super::Call;
use crate::api::Tx;
use crate::api::notification::{self, Recipient};
use crate::api::pace::Deed;
use crate::api::view::talk;
use crate::domain::notification::Choice;
use crate::domain::{Error, Purpose};
use crate::http::body::{Fields, Value};
use crate::http::error::{Failure, Result};
use crate::http::message::Response;

/// How many notifications a page has unless asked otherwise.
const PER_PAGE: u64 = 20;

/// A page of the caller's notifications, newest first.
pub fn list(call: &Call<'_>) -> Result<Response> {
    let start = call.number("startIndex", 0)?.unwrap_or(0);
    let limit = call.number("perPage", 1)?.unwrap_or(PER_PAGE).min(call.app().limits().page_messages);
    let (notifications, total) = notification::list(call.app().db(), call.me()?, start, limit)?;
    Ok(Response::json(200, talk::notifications(&notifications, start, total)?))
}

/// How many of them were not read.
pub fn count(call: &Call<'_>) -> Result<Response> {
    let count = notification::unread(call.app().db(), call.me()?)?;
    Ok(Response::json(200, format!(r#"{{"count":{count}}}"#)))
}

/// Marks one as read.
pub async fn mark(call: Call<'_>) -> Result<Response> {
    let (me, limits) = (call.me()?, call.limits());
    let id = call.params[0].parse().map_err(|_| Error::not_found("Notification not found"))?;
    call.app().write(Purpose::MarkRead, move |tx| notification::mark(tx, &limits, me, id)).await?;
    Ok(success())
}

/// Marks all as read.
pub async fn mark_all(call: Call<'_>) -> Result<Response> {
    let (me, limits) = (call.me()?, call.limits());
    call.app().write(Purpose::MarkRead, move |tx| notification::mark_all(tx, &limits, me)).await?;
    Ok(success())
}

/// Notifies somebody.
pub async fn send(call: Call<'_>) -> Result<Response> {
    let (me, limits) = (call.me()?, call.limits());
    // A device that comes so far has the verb.
    let may_notify =
        call.device().is_some() || call.caller.as_ref().is_some_and(|caller| caller.me.token.may_notify);
    call.pace(Deed::Notification, limits.notifications_per_minute)?;
    let mut fields = call.fields()?;
    let to = recipient(&mut fields)?;
    let data = match fields.take("data") {
        Some(data @ Value::Object(_)) => data.to_json(),
        _ => return Err(Failure::new(400, "data: must be an object")),
    };
    if data.len() as u64 > limits.notification_bytes {
        return Err(Failure::new(400, format!("data: at most {} bytes", limits.notification_bytes)));
    }
    let send =
        move |tx: &Tx<'_>| talk::notification(&notification::send(tx, &limits, me, may_notify, &to, &data)?);
    Ok(Response::json(200, call.write_once(Purpose::Notify, send).await?))
}

/// Whom a notification is for.
///
/// # Errors
/// 400 when that is not said.
pub fn recipient(fields: &mut Fields) -> Result<Recipient> {
    let to = match fields.take("userId") {
        Some(Value::Number(number)) => number.whole().map(Recipient::Number),
        Some(Value::Text(uid)) => Some(Recipient::Uid(uid)),
        _ => None,
    };
    to.ok_or_else(|| Failure::new(400, "userId: a number, or the id of a person"))
}

/// What the caller is notified of in a group.
pub fn choice(call: &Call<'_>) -> Result<Response> {
    let choice = notification::choice(call.app().db(), call.group()?, call.me()?)?;
    Ok(Response::json(200, talk::choice(choice)?))
}

/// Chooses what the caller is notified of in a group. What is not named stays.
pub async fn choose(call: Call<'_>) -> Result<Response> {
    let (me, id) = (call.me()?, call.group()?);
    let mut fields = call.fields()?;
    let mut flag = |name: &str| match fields.get(name) {
        Some(Value::Null) => Err(Failure::new(400, format!("{name}: must be true or false"))),
        _ => Ok(fields.take_flag(name)?),
    };
    let (entries, reactions) = (flag("entries")?, flag("reactions")?);
    let (joins, mentions) = (flag("joins")?, flag("mentions")?);
    let change = move |before: Choice| Choice {
        entries: entries.unwrap_or(before.entries),
        reactions: reactions.unwrap_or(before.reactions),
        joins: joins.unwrap_or(before.joins),
        mentions: mentions.unwrap_or(before.mentions),
    };
    let chosen =
        call.app().write(Purpose::ChooseNotices, move |tx| notification::choose(tx, id, me, change)).await?;
    Ok(Response::json(200, talk::choice(chosen)?))
}

fn success() -> Response {
    Response::json(200, r#"{"success":true}"#.to_owned())
}
