//! The form `path`, of chat pages whose room is in the URL. Whatever they send that is not valid is passed
//! over, and nothing is acknowledged: a page hears its own words like everybody else.

use super::{Asked, Command, json};
use crate::domain::{Event, Kind, Result, Time, Whisper, WhisperKind};
use crate::hub::Form;
use serde::Serialize;
use serde_json::{Map, Value};

/// What a page sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Words {
    /// Whether it only types.
    pub typing: bool,
    /// The words, if any.
    pub content: Option<String>,
}

pub(super) fn read(fields: &Map<String, Value>) -> Option<Asked> {
    let typing = match fields.get("type")?.as_str()? {
        "message" => false,
        "typing" => true,
        _ => return None,
    };
    let content = match fields.get("content") {
        None => None,
        Some(Value::String(content)) => Some(content.clone()),
        Some(_) => return None,
    };
    Some(Asked { form: Form::Path, id: None, command: Ok(Command::Page(Words { typing, content })) })
}

#[derive(Serialize)]
struct Frame<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    username: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
    timestamp: String,
}

fn frame(kind: &'static str, username: &str, content: Option<&str>, at: Time) -> Result<Option<String>> {
    json(&Frame { kind, username, content, timestamp: at.to_string() }).map(Some)
}

pub(super) fn render(event: &Event) -> Result<Option<String>> {
    match &event.kind {
        Kind::MessageSaid(message) => {
            let username = message.nickname.as_deref().unwrap_or(event.author.name());
            frame("message", username, message.text.as_deref(), event.at)
        }
        _ => Ok(None),
    }
}

pub(super) fn whisper(whisper: &Whisper) -> Result<Option<String>> {
    let name = whisper.nickname.as_deref().unwrap_or(whisper.author.name());
    match &whisper.kind {
        WhisperKind::Typing(content) => frame("typing", name, content.as_deref(), whisper.at),
        WhisperKind::PageOpened => frame("joined", name, None, whisper.at),
        WhisperKind::PageClosed => frame("left", name, None, whisper.at),
        WhisperKind::Arrived | WhisperKind::Departed => Ok(None),
    }
}

/// What a guarded page hears of its own words.
///
/// # Errors
/// `Internal` only.
pub fn echo(from: &str, words: &Words) -> Result<String> {
    #[derive(Serialize)]
    struct Echo<'a> {
        from: &'a str,
        #[serde(rename = "type")]
        kind: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        content: Option<&'a str>,
    }
    let kind = if words.typing { "typing" } else { "message" };
    json(&Echo { from, kind, content: words.content.as_deref() })
}
