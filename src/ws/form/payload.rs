//! The form `payload`: the envelope `{type, id?, payload?}`, and the native protocol `deuced.v1`, which is the
//! same with more words. `docs/native.md` describes it for people.

use super::{Asked, Command, Id, Outcome, Refusal, json};
use crate::api::message::{self, Which};
use crate::api::room::Since;
use crate::api::view::{self, talk::AuthorView, talk::NotificationView};
use crate::domain::event::MessageRef;
use crate::domain::message::clean_text;
use crate::domain::{Author, Channel, Error, Event, Kind, Person, Result, Whisper, WhisperKind};
use crate::hub::Form;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// The fields of a request, which stand in `payload`, or beside `type` as the shortest clients have them.
struct Fields<'a> {
    outer: &'a Map<String, Value>,
    payload: Option<&'a Map<String, Value>>,
}

impl<'a> Fields<'a> {
    fn get(&self, name: &str) -> Option<&'a Value> {
        self.payload.and_then(|payload| payload.get(name)).or_else(|| self.outer.get(name))
    }

    fn text(&self, name: &str) -> std::result::Result<&'a str, Refusal> {
        let value = self.get(name).ok_or_else(|| Refusal::invalid(format!("{name}: is required")))?;
        value.as_str().ok_or_else(|| Refusal::invalid(format!("{name}: must be a text")))
    }

    fn flag(&self, name: &str) -> std::result::Result<bool, Refusal> {
        match self.get(name) {
            None => Ok(false),
            Some(value) => {
                value.as_bool().ok_or_else(|| Refusal::invalid(format!("{name}: must be true or false")))
            }
        }
    }

    fn channel(&self) -> std::result::Result<Channel, Refusal> {
        Channel::parse(self.text("channel")?).map_err(|error| Refusal::of(&error))
    }

    fn words(&self) -> std::result::Result<String, Refusal> {
        let text = self.text("text")?;
        clean_text(text).map_err(|error| Refusal::of(&error))
    }

    fn since(&self) -> std::result::Result<Option<Since>, Refusal> {
        let Some(since) = self.get("since").filter(|since| !since.is_null()) else { return Ok(None) };
        let seq = since.get("seq").and_then(Value::as_i64).filter(|seq| *seq >= 0);
        let seq = seq.ok_or_else(|| Refusal::invalid("since.seq: a whole number from 0"))?;
        let id = since.get("id").and_then(Value::as_str).map(str::to_owned);
        match seq > 0 && id.is_none() {
            true => Err(Refusal::invalid("since.id: is required, it tells one history from another")),
            false => Ok(Some(Since { seq, id })),
        }
    }

    fn which(&self) -> std::result::Result<Which, Refusal> {
        let seq = self.get("seq").and_then(Value::as_i64).filter(|seq| *seq >= 1);
        Ok(Which {
            channel: self.channel()?,
            seq: seq.ok_or_else(|| Refusal::invalid("seq: a whole number from 1"))?,
            id: self.get("messageId").map(|_| self.text("messageId")).transpose()?.map(str::to_owned),
        })
    }
}

pub(super) fn read(kind: &str, outer: &Map<String, Value>) -> Option<Asked> {
    let fields = Fields { outer, payload: outer.get("payload").and_then(Value::as_object) };
    let command = match kind {
        "auth" => fields.text("token").map(|token| Command::Auth(token.to_owned())),
        "subscribe" => subscribe(&fields),
        "unsubscribe" => fields.channel().map(Command::Unsubscribe),
        "message" => say(&fields),
        "edit" => fields.which().and_then(|which| Ok(Command::Edit(which, fields.words()?))),
        "delete" => fields.which().map(Command::Delete),
        "typing" => fields.channel().map(Command::Typing),
        "read" => mark(&fields),
        "ping" => Ok(Command::Ping),
        "ack" => Ok(Command::Nothing),
        _ => return None,
    };
    let id = Id::read(outer.get("id"));
    let command = match outer.get("id") {
        Some(given) if id.is_none() && !given.is_null() => Err(Refusal::invalid(format!(
            "id: a number, or a text of at most {} bytes",
            message::CLIENT_ID_BYTES
        ))),
        _ => command,
    };
    Some(Asked { form: Form::Payload, id, command })
}

fn subscribe(fields: &Fields<'_>) -> std::result::Result<Command, Refusal> {
    Ok(Command::Subscribe {
        channel: fields.channel()?,
        since: fields.since()?,
        presence: fields.flag("presence")?,
    })
}

fn say(fields: &Fields<'_>) -> std::result::Result<Command, Refusal> {
    let channel = fields.get("channel").map(|_| fields.channel()).transpose()?;
    Ok(Command::Say(channel, fields.words()?))
}

fn mark(fields: &Fields<'_>) -> std::result::Result<Command, Refusal> {
    if fields.flag("all")? {
        return Ok(Command::Read(None));
    }
    let seq = fields.get("seq").and_then(Value::as_i64).filter(|seq| *seq >= 1);
    seq.map(|seq| Command::Read(Some(seq)))
        .ok_or_else(|| Refusal::invalid("seq: a whole number from 1, or all"))
}

/// A frame of the envelope.
#[derive(Serialize)]
struct Frame<'a, T> {
    #[serde(rename = "type")]
    kind: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timestamp: Option<i64>,
    payload: T,
}

fn plain<T: Serialize>(kind: &'static str, payload: T) -> Result<String> {
    json(&Frame { kind, id: None, timestamp: None, payload })
}

/// What an event says beside where and who.
#[derive(Serialize)]
#[serde(untagged)]
enum Said<'a> {
    Message {
        text: &'a str,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        edited: bool,
    },
    #[serde(rename_all = "camelCase")]
    Edited {
        message_id: String,
        message_seq: i64,
        text: &'a str,
    },
    #[serde(rename_all = "camelCase")]
    Deleted {
        message_id: String,
        message_seq: i64,
    },
    Entry {
        entry: Box<RawValue>,
    },
    #[serde(rename_all = "camelCase")]
    EntryGone {
        entry_id: String,
    },
    #[serde(rename_all = "camelCase")]
    Reaction {
        entry_id: String,
        emoji: &'a str,
    },
    Member {
        user: PersonView<'a>,
    },
    Role {
        user: PersonView<'a>,
        role: &'static str,
    },
    Group {
        group: NamingView<'a>,
    },
    Notification {
        notification: NotificationView,
    },
    #[serde(rename_all = "camelCase")]
    Read {
        notification_id: i64,
    },
    AllRead {
        all: bool,
    },
    Nothing {},
}

#[derive(Serialize)]
struct PersonView<'a> {
    id: &'a str,
    name: &'a str,
}

impl<'a> PersonView<'a> {
    fn of(person: &'a Person) -> PersonView<'a> {
        PersonView { id: &person.uid, name: &person.name }
    }
}

#[derive(Serialize)]
struct NamingView<'a> {
    id: String,
    name: &'a str,
    description: Option<&'a str>,
}

/// The event's word and what it says.
fn said(event: &Event) -> Result<(&'static str, Said<'_>)> {
    let deleted =
        |message: &MessageRef| Said::Deleted { message_id: message.id.to_string(), message_seq: message.seq };
    Ok(match &event.kind {
        Kind::MessageSaid(message) => {
            let text = message.text.as_deref().unwrap_or_default();
            ("message", Said::Message { text, edited: message.edited })
        }
        Kind::MessageEdited(message, text) => {
            let message_id = message.id.to_string();
            ("message_edited", Said::Edited { message_id, message_seq: message.seq, text })
        }
        Kind::MessageDeleted(message) => ("message_deleted", deleted(message)),
        Kind::DeuceLogged(logged) => {
            let entry = RawValue::from_string(view::entry(&logged.0, &logged.1)?).map_err(Error::internal)?;
            ("deuce_logged", Said::Entry { entry })
        }
        Kind::DeuceDeleted(entry) => ("deuce_deleted", Said::EntryGone { entry_id: entry.to_string() }),
        Kind::ReactionAdded(entry, emoji) => {
            ("reaction_added", Said::Reaction { entry_id: entry.to_string(), emoji })
        }
        Kind::ReactionRemoved(entry, emoji) => {
            ("reaction_removed", Said::Reaction { entry_id: entry.to_string(), emoji })
        }
        Kind::PersonChanged(person) => ("person_changed", Said::Member { user: PersonView::of(person) }),
        Kind::PersonErased(person) => ("person_erased", Said::Member { user: PersonView::of(person) }),
        Kind::MemberJoined(person) => ("member_joined", Said::Member { user: PersonView::of(person) }),
        Kind::MemberLeft(person) => ("member_left", Said::Member { user: PersonView::of(person) }),
        Kind::RoleChanged(person, role) => {
            ("role_changed", Said::Role { user: PersonView::of(person), role: role.as_str() })
        }
        Kind::GroupChanged(naming) => {
            let (id, name) = (naming.id.to_string(), naming.name.as_str());
            let group = NamingView { id, name, description: naming.description.as_deref() };
            ("group_changed", Said::Group { group })
        }
        Kind::GroupDeleted => ("group_deleted", Said::Nothing {}),
        Kind::Notified(notification) => {
            ("notification", Said::Notification { notification: NotificationView::of(notification)? })
        }
        Kind::NotificationRead(id) => ("notification_read", Said::Read { notification_id: *id }),
        Kind::AllRead => ("notification_read", Said::AllRead { all: true }),
    })
}

pub(super) fn render(event: &Event) -> Result<Option<String>> {
    #[derive(Serialize)]
    struct Payload<'a> {
        channel: &'a str,
        seq: i64,
        from: AuthorView<'a>,
        #[serde(flatten)]
        said: Said<'a>,
    }
    let (kind, said) = said(event)?;
    let payload =
        Payload { channel: &event.channel, seq: event.seq, from: AuthorView::of(&event.author), said };
    let id = event.id.to_string();
    json(&Frame { kind, id: Some(&id), timestamp: Some(event.at.millis()), payload }).map(Some)
}

pub(super) fn whisper(whisper: &Whisper) -> Result<Option<String>> {
    #[derive(Serialize)]
    struct Typing<'a> {
        channel: &'a str,
        from: AuthorView<'a>,
    }
    #[derive(Serialize)]
    struct Presence<'a> {
        channel: &'a str,
        member: AuthorView<'a>,
    }
    let (channel, author) = (&*whisper.channel, AuthorView::of(&whisper.author));
    match whisper.kind {
        WhisperKind::Typing(_) => plain("typing", Typing { channel, from: author }).map(Some),
        WhisperKind::Arrived => plain("joined", Presence { channel, member: author }).map(Some),
        WhisperKind::Departed => plain("left", Presence { channel, member: author }).map(Some),
        WhisperKind::PageOpened | WhisperKind::PageClosed => Ok(None),
    }
}

/// Who is there, to a socket that missed who came and went.
///
/// # Errors
/// `Internal` only.
pub fn members(channel: &str, members: &[Author]) -> Result<String> {
    #[derive(Serialize)]
    struct Payload<'a> {
        channel: &'a str,
        members: Vec<AuthorView<'a>>,
    }
    plain("members", Payload { channel, members: members.iter().map(AuthorView::of).collect() })
}

/// Everything an acknowledgement may say.
#[derive(Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct Ack<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a Id>,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_id: Option<Option<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovered: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    replay: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<Vec<AuthorView<'a>>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    count: Option<u64>,
}

pub(super) fn answer(id: Option<&Id>, outcome: &Outcome) -> Result<Option<String>> {
    let plain_ack = |channel: &Channel| Ack { id, channel: Some(channel.to_string()), ..Ack::default() };
    let ack = match outcome {
        Outcome::Pong => return Ok(Some(r#"{"type":"pong"}"#.to_owned())),
        Outcome::LoggedIn(uid) => Ack { id, user_id: Some(uid), ..Ack::default() },
        // Whoever gives a request no name wants no answer.
        Outcome::Nothing => return Ok(None),
        _ if id.is_none() => return Ok(None),
        Outcome::Done(channel) => plain_ack(channel),
        Outcome::Subscribed(channel, subscribed, resumed, members) => Ack {
            seq: Some(subscribed.seq),
            last_id: Some(subscribed.last.map(|id| id.to_string())),
            recovered: resumed.then_some(subscribed.replay.is_some()),
            replay: resumed.then_some(subscribed.replay.unwrap_or(0)),
            members: members.as_ref().map(|members| members.iter().map(AuthorView::of).collect()),
            ..plain_ack(channel)
        },
        Outcome::Said(channel, message) => {
            Ack { seq: Some(message.seq), message_id: Some(message.id.to_string()), ..plain_ack(channel) }
        }
        Outcome::Changed(channel, changed) => Ack {
            seq: Some(changed.seq),
            message_id: Some(changed.message.id.to_string()),
            ..plain_ack(channel)
        },
        Outcome::Read(count) => Ack { id, count: Some(*count), ..Ack::default() },
    };
    plain("ack", ack).map(Some)
}

pub(super) fn refuse(id: Option<&Id>, refusal: &Refusal) -> Result<String> {
    #[derive(Serialize)]
    struct Payload<'a> {
        code: &'a str,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        id: Option<&'a Id>,
    }
    plain("error", Payload { code: refusal.code, message: &refusal.message, id })
}

/// What a native client is told first.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hello<'a> {
    /// The version of the protocol.
    pub v: u32,
    /// Names the connection, for the journal.
    pub conn: &'a str,
    /// Who is logged in.
    pub user_id: Option<&'a str>,
    /// Seconds between two pings of the server.
    pub heartbeat: u64,
    /// The longest message taken, in bytes.
    pub max_payload: u64,
}

/// The native greeting.
///
/// # Errors
/// `Internal` only.
pub fn hello(hello: &Hello<'_>) -> Result<String> {
    plain("hello", hello)
}
