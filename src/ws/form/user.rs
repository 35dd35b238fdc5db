//! The form `user`, of notification clients: they register with a token and hear what is in their inbox.

use super::{Asked, Command, Refusal, json};
use crate::api::view::talk::NotificationView;
use crate::domain::{Event, Kind, Result, UserId};
use crate::hub::Form;
use serde::Serialize;
use serde_json::{Map, Value};

pub(super) fn read(fields: &Map<String, Value>) -> Option<Asked> {
    let token = match fields.get("jwtToken") {
        None => Ok(None),
        Some(Value::String(token)) if token.is_empty() => Ok(None),
        Some(Value::String(token)) => Ok(Some(token.clone())),
        Some(_) => Err(Refusal::invalid("jwtToken: must be a text")),
    };
    let known = fields.keys().all(|name| matches!(name.as_str(), "type" | "jwtToken"));
    let token = token.and_then(|token| match known {
        true => Ok(token),
        false => Err(Refusal::invalid("register: takes jwtToken and nothing else")),
    });
    Some(Asked { form: Form::User, id: None, command: token.map(Command::Register) })
}

/// Every frame of this form.
#[derive(Serialize)]
struct Frame<T> {
    #[serde(rename = "type")]
    kind: &'static str,
    data: T,
}

pub(super) fn render(event: &Event) -> Result<Option<String>> {
    match &event.kind {
        Kind::Notified(notification) => {
            let data = NotificationView::of(notification)?;
            json(&Frame { kind: "notification_received", data }).map(Some)
        }
        _ => Ok(None),
    }
}

/// The greeting.
///
/// # Errors
/// `Internal` only, as everywhere in this file.
pub fn connected() -> Result<String> {
    #[derive(Serialize)]
    struct Data {
        message: &'static str,
    }
    json(&Frame { kind: "connected", data: Data { message: "Connection established" } })
}

/// The answer to a token that is good.
///
/// # Errors
/// `Internal` only.
pub fn registered(user: UserId) -> Result<String> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Data {
        user_id: i64,
        message: &'static str,
    }
    let data = Data { user_id: user.0, message: "Registered for notifications" };
    json(&Frame { kind: "registered", data })
}

/// A refusal.
///
/// # Errors
/// `Internal` only.
pub fn refused(refusal: &Refusal) -> Result<String> {
    #[derive(Serialize)]
    struct Data<'a> {
        code: &'a str,
        message: &'a str,
    }
    json(&Frame { kind: "error", data: Data { code: refusal.code, message: &refusal.message } })
}
