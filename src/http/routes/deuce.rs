//! Entries.

use super::{Call, ok, write_cursor};
use crate::api::deuce::{self, Key, NewDeuce, Page};
use crate::api::device::Reach;
use crate::api::pace::Deed;
use crate::api::view;
use crate::api::{Db, Tx};
use crate::domain::deuce::{logged_at_millis, parse_logged_at};
use crate::domain::{EntryId, Error, GroupId, Limits, Purpose, Time};
use crate::http::body::{Fields, Number, Value};
use crate::http::error::{Failure, Result};
use crate::http::message::{Request, Response};
use crate::http::shield::Shield;
use sha2::{Digest, Sha256};

/// Logs an entry.
pub async fn log(call: Call<'_>) -> Result<Response> {
    let (me, limits) = (call.me()?, call.limits());
    call.pace(Deed::Deuce, limits.deuces_per_minute)?;
    let key = key(&call.request)?;
    let new = new_deuce(&call, &limits)?;
    if let Some((device, _)) = call.device() {
        // Keys are a device's own: another's answer may say more than this one is to know.
        let key = key.map(|key| Key { key: format!("\u{1}{} {}", device.0, key.key), ..key });
        let log = move |tx: &Tx<'_>| Ok(deuce::log(tx, &limits, me, &new, key.as_ref())?.answer);
        let answer = call.write_once(Purpose::LogEntry, log).await?;
        return Ok(Response::json(200, answer).shielded(Shield::Brief));
    }
    let logged = call
        .app()
        .write(Purpose::LogEntry, move |tx| deuce::log(tx, &limits, me, &new, key.as_ref()))
        .await?;
    let response = Response::json(200, logged.answer);
    Ok(if logged.replayed { response.with("idempotent-replay", "true") } else { response })
}

/// What the `Idempotency-Key` header says.
fn key(request: &Request) -> Result<Option<Key>> {
    let Some(bytes) = request.headers.bytes("idempotency-key") else { return Ok(None) };
    match std::str::from_utf8(bytes) {
        Ok(key)
            if (1..=200).contains(&key.len()) && key.bytes().all(|byte| (b' '..=b'~').contains(&byte)) =>
        {
            Ok(Some(Key { key: key.to_owned(), request: Sha256::digest(&request.body).into() }))
        }
        _ => Err(Failure::new(400, "Idempotency-Key: 1 to 200 printable ASCII characters")),
    }
}

fn new_deuce(call: &Call<'_>, limits: &Limits) -> Result<NewDeuce> {
    let mut fields = call.fields()?;
    let named = match named_groups(&mut fields)? {
        named if named.is_empty() => vec![implied_group(call)?],
        named => named,
    };
    let groups = each_once(named, limits)?;
    let location = fields.take_text("location")?.ok_or_else(|| Error::invalid("location: is required"))?;
    let silent = call.device().map(|_| String::new());
    let thoughts = fields
        .take_text("thoughts")?
        .or(silent)
        .ok_or_else(|| Error::invalid("thoughts: is required, but may be empty"))?;
    Ok(NewDeuce {
        groups,
        location: deuce::clean_location(&location, limits)?,
        thoughts: deuce::clean_thoughts(&thoughts, limits)?,
        logged_at: logged_at(&mut fields)?,
        brief: call.device().is_some(),
    })
}

/// The groups named in a request to log; none if it names none.
///
/// # Errors
/// 400 when what is named is no list of texts, or an empty one.
pub fn named_groups(fields: &mut Fields) -> Result<Vec<String>> {
    match fields.take_texts("groupIds")? {
        Some(named) if named.is_empty() => Err(Error::invalid("At least one group must be selected").into()),
        Some(named) => Ok(named),
        None => Ok(fields.take_text("groupId")?.into_iter().collect()),
    }
}

/// The group meant when none is named: a device's only one.
fn implied_group(call: &Call<'_>) -> Result<String> {
    match &call.reach {
        // The contract's words for a request without any group.
        Reach::All => Ok("undefined".to_owned()),
        Reach::Only(groups) => match groups[..] {
            [group] => Ok(group.to_string()),
            [] => Err(Error::forbidden("groupIds: this device is in no group any more").into()),
            _ => {
                Err(Error::invalid("groupIds: is required, because this device is in several groups").into())
            }
        },
    }
}

/// The groups in order, each once.
fn each_once(named: Vec<String>, limits: &Limits) -> Result<Vec<String>> {
    let mut groups: Vec<String> = Vec::with_capacity(named.len());
    for name in named {
        if !groups.iter().any(|group| group.eq_ignore_ascii_case(&name)) {
            groups.push(name);
        }
        if groups.len() as u64 > limits.groups_per_entry {
            return Err(
                Error::invalid(format!("groupIds: at most {} groups", limits.groups_per_entry)).into()
            );
        }
    }
    Ok(groups)
}

/// When it happened: a text or milliseconds; missing or null is now.
fn logged_at(fields: &mut Fields) -> Result<Option<Time>> {
    Ok(match fields.take("loggedAt") {
        None | Some(Value::Null) => None,
        Some(Value::Text(text)) => Some(parse_logged_at(&text)?),
        Some(Value::Number(Number::Integer(millis))) => Some(logged_at_millis(millis)?),
        Some(Value::Number(Number::Float(millis))) if millis.abs() < 1e15 => {
            Some(logged_at_millis(millis as i64)?)
        }
        Some(_) => return Err(Error::invalid("loggedAt: must be a date").into()),
    })
}

/// A page of the feed.
pub async fn feed(call: Call<'_>) -> Result<Response> {
    let group = call.request.query.get("groupId");
    let group = group
        .map(|text| GroupId::parse(text).ok_or_else(|| Failure::new(400, "groupId: not a group's id")))
        .transpose()?;
    let most = call.app().limits().page_entries;
    let page = call.page()?.unwrap_or(Page { limit: most.min(50), offset: 0, after: None });
    let me = call.me()?;
    let reach = call.reach.clone();
    let read = move |db: &Db| {
        let feed = deuce::feed(db, me, group, &reach, &page)?;
        Ok((view::feed(&feed.entries)?, feed.next))
    };
    let (text, next) = call.app().read_aside(read).await?;
    let response = Response::json(200, text);
    Ok(match next {
        Some(cursor) => response.with("x-next-cursor", write_cursor(cursor)),
        None => response,
    })
}

/// Takes an entry back.
pub async fn delete(call: Call<'_>) -> Result<Response> {
    let (me, limits) = (call.me()?, call.limits());
    let id = EntryId::parse(&call.params[0]).ok_or_else(|| Error::not_found("Entry not found"))?;
    call.app().write(Purpose::DeleteEntry, move |tx| deuce::delete(tx, &limits, me, id)).await?;
    Ok(ok())
}

/// The caller's best day.
pub fn best_day(call: &Call<'_>) -> Result<Response> {
    let best = deuce::best_day(call.app().db(), call.me()?)?;
    Ok(Response::json(200, view::best_day(best.as_ref())?))
}
