//! What happened in a room, numbered; and what is merely going on there, which is not.

use crate::domain::message::Message;
use crate::domain::notification::Notification;
use crate::domain::user::Person;
use crate::domain::{Entry, EntryId, EventId, GroupId, Role, RoomId, Time, User, UserId};
use std::sync::Arc;

/// An event of a room's log. `seq` counts each room's events from 1 without gaps, in the order of
/// their commits.
#[derive(Clone, Debug)]
pub struct Event {
    /// The room it belongs to.
    pub room: RoomId,
    /// The room's name on the wire.
    pub channel: Arc<str>,
    /// Its number in that room.
    pub seq: i64,
    /// Its id, the same for everyone who hears of it.
    pub id: EventId,
    /// Who caused it.
    pub author: Author,
    /// When it was stored.
    pub at: Time,
    /// What happened.
    pub kind: Kind,
}

/// Who causes events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Author {
    /// Somebody with an account.
    Person(Person),
    /// Somebody without a login, under the name they gave.
    Guest(String),
}

impl Author {
    /// The number in the database; 0 stands for guests.
    pub fn number(&self) -> UserId {
        match self {
            Author::Person(person) => person.id,
            Author::Guest(_) => UserId(0),
        }
    }

    /// The name others read.
    pub fn name(&self) -> &str {
        match self {
            Author::Person(person) => &person.name,
            Author::Guest(name) => name,
        }
    }
}

/// What can happen in a room.
#[derive(Clone, Debug)]
pub enum Kind {
    /// An entry was logged.
    DeuceLogged(Box<(Entry, User)>),
    /// An entry was taken back. Also what remains of `DeuceLogged` afterwards.
    DeuceDeleted(EntryId),
    /// A reaction was given.
    ReactionAdded(EntryId, String),
    /// A reaction was taken back.
    ReactionRemoved(EntryId, String),
    /// Somebody became a member.
    MemberJoined(Person),
    /// Somebody is no member any more.
    MemberLeft(Person),
    /// A member's role changed.
    RoleChanged(Person, Role),
    /// Name or description changed; this is what they are now.
    GroupChanged(Box<Naming>),
    /// The group is gone; the last event of its room, told but not kept.
    GroupDeleted,
    /// Somebody said something.
    MessageSaid(Box<Message>),
    /// A message was changed to this text.
    MessageEdited(MessageRef, String),
    /// A message was deleted. Also what remains of `MessageSaid` afterwards.
    MessageDeleted(MessageRef),
    /// A member is called differently now.
    PersonChanged(Person),
    /// Somebody deleted their account: what they wrote here is blank.
    PersonErased(Person),
    /// The person whose inbox this is was notified.
    Notified(Box<Notification>),
    /// The person read the notification of this number.
    NotificationRead(i64),
    /// The person read everything up to here.
    AllRead,
}

impl Kind {
    /// How long what people wrote in it is.
    pub fn text_bytes(&self) -> usize {
        match self {
            Kind::DeuceLogged(logged) => logged.0.thoughts.len(),
            Kind::MessageSaid(message) => message.text.as_ref().map_or(0, String::len),
            Kind::MessageEdited(_, text) => text.len(),
            _ => 0,
        }
    }
}

/// What a group is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Naming {
    /// The group.
    pub id: GroupId,
    /// Its name.
    pub name: String,
    /// Its description.
    pub description: Option<String>,
}

/// Which message of a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageRef {
    /// Its id.
    pub id: EventId,
    /// Its number.
    pub seq: i64,
}

/// Something that is going on in a room: told to whoever is live and has room for it, and never kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whisper {
    /// The room.
    pub room: RoomId,
    /// The room's name on the wire.
    pub channel: Arc<str>,
    /// Who it is about.
    pub author: Author,
    /// The name a chat page gave, where it is not the author's.
    pub nickname: Option<String>,
    /// When.
    pub at: Time,
    /// What is going on.
    pub kind: WhisperKind,
}

/// What can be going on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WhisperKind {
    /// Somebody types; a chat page may say what.
    Typing(Option<String>),
    /// A chat page was opened.
    PageOpened,
    /// A chat page was closed.
    PageClosed,
    /// A person is there who was not.
    Arrived,
    /// A person is no longer there.
    Departed,
}
