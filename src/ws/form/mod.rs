//! The wire grammars ("forms"): pure translation between a client family's JSON and what the core knows.
//!
//! A frame is recognised by itself, not by the socket it comes on; a socket may mix forms, and an answer
//! looks like its question. What nobody recognises is answered in the manner of the form that was spoken
//! last. No form decides what is allowed, and none of them waits.

mod flat;
mod group;
mod path;
mod payload;
mod user;

use crate::api::message::Changed;
use crate::api::room::{Since, Subscribed};
use crate::domain::event::MessageRef;
use crate::domain::{Author, Channel, Code, Error, Event, GroupId, Whisper};
use crate::hub::{Form, Render};
use crate::ws::{Endpoint, frame};
use serde::Serialize;
use serde_json::{Map, Value};

pub use group::Joining;
pub use path::{Words, echo};
pub use payload::{Hello, hello, members};
pub use user::{connected, refused as registration_refused, registered};

/// What the hub is made with.
pub const RENDER: Render = Render { event: render, whisper };

/// What a client asked for.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Hear a group, or hear it no more: the diary's pages.
    Group(Joining, GroupId),
    /// Hear the notifications of whoever this token is for.
    Register(Option<String>),
    /// Be logged in by this token.
    Auth(String),
    /// Hear a channel.
    Subscribe {
        /// Which.
        channel: Channel,
        /// The last event seen.
        since: Option<Since>,
        /// Whether to be told who comes and goes.
        presence: bool,
    },
    /// Hear a channel no more.
    Unsubscribe(Channel),
    /// Say something; where one listened last, if no channel is named.
    Say(Option<Channel>, String),
    /// Change what one said.
    Edit(crate::api::message::Which, String),
    /// Delete what one said.
    Delete(crate::api::message::Which),
    /// Let others see that one types.
    Typing(Channel),
    /// Mark a notification as read, or all of them.
    Read(Option<i64>),
    /// Is anybody there?
    Ping,
    /// Nothing: an acknowledgement, which is never answered.
    Nothing,
    /// What a chat page says in the room it is for.
    Page(Words),
}

/// What a client calls its request: the JSON text of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Id(String);

impl Id {
    /// The id as a name for a message.
    pub fn name(&self) -> &str {
        let text = self.0.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
        text.unwrap_or(&self.0)
    }

    fn read(value: Option<&Value>) -> Option<Id> {
        match value? {
            id @ (Value::String(_) | Value::Number(_)) => Some(Id(id.to_string())),
            _ => None,
        }
        .filter(|id| id.0.len() <= crate::api::message::CLIENT_ID_BYTES)
    }
}

/// Raw JSON: it is written as it was read.
impl Serialize for Id {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let raw =
            serde_json::value::RawValue::from_string(self.0.clone()).map_err(serde::ser::Error::custom)?;
        raw.serialize(serializer)
    }
}

/// A text that was understood.
#[derive(Clone, Debug, PartialEq)]
pub struct Asked {
    /// In which form.
    pub form: Form,
    /// Under which id.
    pub id: Option<Id>,
    /// What for, or why not.
    pub command: Result<Command, Refusal>,
}

/// Why a request is refused, in every form's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The code of the envelope.
    pub code: &'static str,
    /// A sentence.
    pub message: String,
}

impl Refusal {
    /// A frame that is not one, or the field that the message names.
    pub fn invalid(message: impl Into<String>) -> Refusal {
        Refusal { code: "INVALID", message: message.into() }
    }

    /// More texts than allowed.
    pub fn rate_limited() -> Refusal {
        Refusal { code: "RATE_LIMITED", message: "too many messages, some were dropped".to_owned() }
    }

    /// A token that is not, or no longer, good.
    pub fn invalid_token() -> Refusal {
        Refusal { code: "INVALID_TOKEN", message: "the token is not valid".to_owned() }
    }

    /// A refusal of the core.
    pub fn of(error: &Error) -> Refusal {
        let code = match error.code {
            Code::Invalid | Code::KeyReused | Code::Counter { .. } => "INVALID",
            Code::Unauthorized => "UNAUTHORIZED",
            Code::Forbidden => "FORBIDDEN",
            Code::NotFound => "NOT_FOUND",
            Code::TooMany { .. } => "RATE_LIMITED",
            Code::Limit => "LIMIT",
            Code::Unavailable | Code::Full | Code::Failing | Code::Damaged => "UNAVAILABLE",
            Code::Internal => "INTERNAL",
        };
        Refusal { code, message: error.message.to_string() }
    }
}

/// What a text is.
#[derive(Clone, Debug, PartialEq)]
pub enum Read {
    /// Somebody's words.
    Asked(Asked),
    /// JSON that no form knows, under this id if it has one, and why.
    Unknown(Option<Id>, &'static str),
    /// No JSON.
    Garbage,
}

/// Reads a text that came to an endpoint.
pub fn read(endpoint: &Endpoint, text: &str) -> Read {
    let Ok(value) = serde_json::from_str::<Value>(text) else { return unfit(text) };
    let Value::Object(fields) = value else { return Read::Unknown(None, "an object is needed") };
    let asked = match endpoint {
        Endpoint::Page(_) | Endpoint::Echo => path::read(&fields),
        Endpoint::Flat => flat::read(&fields),
        Endpoint::Any => {
            let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default();
            match kind {
                "join_group" | "leave_group" => return group::read(kind, &fields),
                "register" => user::read(&fields),
                "chat:send" => flat::read(&fields),
                "subscribe" if fields.contains_key("topic") => flat::read(&fields),
                "ping" if fields.get("ts").is_some_and(Value::is_number) => flat::read(&fields),
                _ => payload::read(kind, &fields),
            }
        }
    };
    let unknown = || Read::Unknown(Id::read(fields.get("id")), "type: not known");
    asked.map_or_else(unknown, Read::Asked)
}

/// JSON may hold what no text and no number is: half of a character that was cut in two, for one.
fn unfit(text: &str) -> Read {
    #[derive(serde::Deserialize)]
    struct Named {
        id: Option<Value>,
    }
    if serde_json::from_str::<serde::de::IgnoredAny>(text).is_err() {
        return Read::Garbage;
    }
    let id = serde_json::from_str::<Named>(text).ok().and_then(|named| Id::read(named.id.as_ref()));
    Read::Unknown(id, "a text is not Unicode, or a number too large")
}

/// A text field.
fn text_of(fields: &Map<String, Value>, name: &str) -> Option<String> {
    fields.get(name).and_then(Value::as_str).map(str::to_owned)
}

/// Appends the frame of an event, if the form has a word for it. Clients keep only the last frame
/// they were sent, so a stray one would do harm.
pub fn render(form: Form, event: &Event, out: &mut Vec<u8>) {
    let rendered = match form {
        Form::Group => group::render(event),
        Form::User => user::render(event),
        Form::Payload => payload::render(event),
        Form::Path => path::render(event),
        Form::Flat => flat::render(event),
    };
    match rendered {
        Ok(Some(json)) => frame::text(&json, out),
        Ok(None) => {}
        Err(error) => log::error!("an event could not be rendered: {error}"),
    }
}

fn whisper(form: Form, whisper: &Whisper, out: &mut Vec<u8>) {
    let rendered = match form {
        Form::Payload => payload::whisper(whisper),
        Form::Path => path::whisper(whisper),
        Form::Group | Form::User | Form::Flat => Ok(None),
    };
    match rendered {
        Ok(Some(json)) => frame::text(&json, out),
        Ok(None) => {}
        Err(error) => log::error!("a whisper could not be rendered: {error}"),
    }
}

/// What came of a request.
pub enum Outcome {
    /// Logged in as the person of this wire id.
    LoggedIn(String),
    /// Listens; with whether the last event seen was named, and who is there if that was asked for.
    Subscribed(Channel, Subscribed, bool, Option<Vec<Author>>),
    /// Listens no more, or let others see.
    Done(Channel),
    /// Said.
    Said(Channel, MessageRef),
    /// Changed or deleted.
    Changed(Channel, Changed),
    /// So many notifications were read.
    Read(u64),
    /// Somebody is there.
    Pong,
    /// Nothing that anybody is told.
    Nothing,
}

/// The JSON to answer with, if the form answers this at all.
pub fn answer(form: Form, id: Option<&Id>, outcome: &Outcome) -> Option<String> {
    let rendered = match form {
        Form::Payload => payload::answer(id, outcome),
        Form::Flat => flat::answer(outcome),
        Form::Group | Form::User | Form::Path => Ok(None),
    };
    rendered.unwrap_or_else(|error| {
        log::error!("an answer could not be rendered: {error}");
        None
    })
}

/// The JSON to refuse with, if the form has a word for it.
pub fn refuse(form: Form, id: Option<&Id>, refusal: &Refusal) -> Option<String> {
    match form {
        Form::Payload => payload::refuse(id, refusal).ok(),
        Form::Flat => flat::refuse(refusal).ok(),
        Form::User => user::refused(refusal).ok(),
        Form::Group | Form::Path => None,
    }
}

/// The JSON text of a frame.
fn json(value: &impl Serialize) -> crate::domain::Result<String> {
    serde_json::to_string(value).map_err(Error::internal)
}

/// The greetings of flat sockets: who one is, or else what time it is.
pub fn greeting(uid: Option<&str>) -> String {
    flat::greeting(uid)
}

#[cfg(test)]
mod tests;
