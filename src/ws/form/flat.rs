//! The form `flat`: frames with a `topic`, refusals with nothing but a code.

use super::{Asked, Command, Outcome, Refusal, json};
use crate::domain::message::clean_text;
use crate::domain::{Author, Channel, Event, EventId, Kind, Result, Time};
use crate::hub::Form;
use serde::Serialize;
use serde_json::{Map, Value};

/// Reads a frame; its fields may also stand in `data`.
pub(super) fn read(fields: &Map<String, Value>) -> Option<Asked> {
    let data = fields.get("data").and_then(Value::as_object);
    let field = |name: &str| fields.get(name).or_else(|| data?.get(name));
    let text = |name: &str| field(name).and_then(Value::as_str);
    let misfit = || Refusal::invalid("the frame does not fit");
    let channel = |name: &str| {
        let channel = text(name).ok_or_else(misfit)?;
        Channel::parse(channel).map_err(|error| Refusal::of(&error))
    };
    let command = match fields.get("type")?.as_str()? {
        "ping" => field("ts").filter(|ts| ts.is_number()).map(|_| Command::Ping).ok_or_else(misfit),
        "subscribe" => {
            channel("topic").map(|channel| Command::Subscribe { channel, since: None, presence: false })
        }
        "chat:send" => channel("room").and_then(|channel| {
            let words = text("text").and_then(|text| clean_text(text).ok()).ok_or_else(misfit)?;
            Ok(Command::Say(Some(channel), words))
        }),
        _ => return None,
    };
    Some(Asked { form: Form::Flat, id: None, command })
}

pub(super) fn render(event: &Event) -> Result<Option<String>> {
    #[derive(Serialize)]
    struct Frame<'a> {
        #[serde(rename = "type")]
        kind: &'static str,
        room: &'a str,
        text: &'a str,
        from: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        guest: Option<&'a str>,
        #[serde(serialize_with = "shown")]
        id: EventId,
        seq: i64,
        ts: i64,
    }
    fn shown<S: serde::Serializer>(id: &EventId, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.collect_str(id)
    }
    let Kind::MessageSaid(message) = &event.kind else { return Ok(None) };
    let (from, guest) = match &event.author {
        Author::Person(person) => (Some(person.uid.as_str()), None),
        Author::Guest(name) => (None, Some(name.as_str())),
    };
    json(&Frame {
        kind: "chat:new",
        room: &event.channel,
        text: message.text.as_deref().unwrap_or_default(),
        from,
        guest,
        id: event.id,
        seq: event.seq,
        ts: event.at.millis(),
    })
    .map(Some)
}

pub(super) fn answer(outcome: &Outcome) -> Result<Option<String>> {
    match outcome {
        Outcome::Pong => Ok(Some(format!(r#"{{"type":"pong","ts":{}}}"#, Time::now().millis()))),
        _ => Ok(None),
    }
}

pub(super) fn refuse(refusal: &Refusal) -> Result<String> {
    #[derive(Serialize)]
    struct Frame<'a> {
        #[serde(rename = "type")]
        kind: &'static str,
        code: &'a str,
    }
    let code = match refusal.code {
        "INVALID" => "bad_msg".to_owned(),
        code => code.to_lowercase(),
    };
    json(&Frame { kind: "error", code: &code })
}

pub(super) fn greeting(uid: Option<&str>) -> String {
    match uid {
        Some(uid) => {
            let uid = Value::from(uid);
            format!(r#"{{"type":"hello","userId":{uid}}}"#)
        }
        None => format!(r#"{{"type":"welcome","ts":{}}}"#, Time::now().millis()),
    }
}
