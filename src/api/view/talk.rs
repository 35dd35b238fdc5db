//! The JSON shapes of what is talked about: rooms, messages, notifications.

use super::{shown, text};
use crate::api::room::Listed;
use crate::domain::message::Said;
use crate::domain::notification::{Choice, Notice, Notification};
use crate::domain::{Author, EntryId, Error, EventId, GroupId, Result, Time};
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// Somebody, as others see them in frames and lists.
#[derive(Serialize)]
pub struct AuthorView<'a> {
    id: Option<&'a str>,
    name: &'a str,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    guest: bool,
}

impl<'a> AuthorView<'a> {
    /// This author's.
    pub fn of(author: &'a Author) -> AuthorView<'a> {
        match author {
            Author::Person(person) => AuthorView { id: Some(&person.uid), name: &person.name, guest: false },
            Author::Guest(name) => AuthorView { id: None, name, guest: true },
        }
    }
}

/// A notification.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotificationView {
    id: i64,
    user_id: i64,
    data: Box<RawValue>,
    #[serde(serialize_with = "shown")]
    created_at: Time,
    read: bool,
}

/// What the server says in a notification of its own making.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Data<'a> {
    #[serde(rename = "type")]
    kind: &'static str,
    message: String,
    user_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    entry_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    emoji: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seq: Option<i64>,
}

impl NotificationView {
    /// This notification's.
    ///
    /// # Errors
    /// `Internal` only.
    pub fn of(notification: &Notification) -> Result<NotificationView> {
        Ok(NotificationView {
            id: notification.id,
            user_id: notification.user.0,
            data: data(notification)?,
            created_at: notification.created_at,
            read: notification.read,
        })
    }
}

fn data(notification: &Notification) -> Result<Box<RawValue>> {
    let actor = &notification.actor;
    let name = actor.name();
    let about = |kind, message: String, group: Option<GroupId>, entry: Option<EntryId>| Data {
        kind,
        message,
        user_id: AuthorView::of(actor).id,
        channel: group.map(|group| crate::domain::Channel::Group(group).to_string()),
        group_id: group.map(|group| group.to_string()),
        entry_id: entry.map(|entry| entry.to_string()),
        emoji: None,
        message_id: None,
        seq: None,
    };
    let data = match &notification.notice {
        Notice::Custom(data) => return RawValue::from_string(data.clone()).map_err(Error::internal),
        Notice::Deuce(topic) => {
            about("deuce_logged", format!("{name} logged a new deuce"), topic.group, topic.entry)
        }
        Notice::Reaction(topic, emoji) => Data {
            emoji: Some(emoji),
            ..about("reaction_added", format!("{name} reacted with {emoji}"), topic.group, topic.entry)
        },
        Notice::Joined(topic) => {
            about("member_joined", format!("{name} joined your group"), topic.group, topic.entry)
        }
        Notice::Mention(mention) => Data {
            channel: Some(mention.channel.clone()),
            message_id: Some(mention.message.to_string()),
            seq: Some(mention.seq),
            ..about("mention", format!("{name} mentioned you"), None, None)
        },
    };
    to_raw_value(&data).map_err(Error::internal)
}

/// One notification.
///
/// # Errors
/// `Internal` only, as everywhere in this file.
pub fn notification(notification: &Notification) -> Result<String> {
    text(&NotificationView::of(notification)?)
}

/// A page of notifications that begins after the first `start_index`, of `total`.
///
/// # Errors
/// `Internal` only.
pub fn notifications(notifications: &[Notification], start_index: u64, total: u64) -> Result<String> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct View {
        notifications: Vec<NotificationView>,
        start_index: u64,
        total: u64,
    }
    let notifications = notifications.iter().map(NotificationView::of).collect::<Result<_>>()?;
    text(&View { notifications, start_index, total })
}

/// What one is notified of.
///
/// # Errors
/// `Internal` only.
pub fn choice(choice: Choice) -> Result<String> {
    #[derive(Serialize)]
    struct View {
        entries: bool,
        reactions: bool,
        joins: bool,
        mentions: bool,
    }
    let Choice { entries, reactions, joins, mentions } = choice;
    text(&View { entries, reactions, joins, mentions })
}

/// A page of messages, newest first, and the number the next page is before.
///
/// # Errors
/// `Internal` only.
pub fn messages(said: &[Said], next_before: Option<i64>) -> Result<String> {
    #[derive(Serialize)]
    struct One<'a> {
        #[serde(serialize_with = "shown")]
        id: EventId,
        seq: i64,
        from: AuthorView<'a>,
        text: &'a str,
        timestamp: i64,
        #[serde(skip_serializing_if = "std::ops::Not::not")]
        edited: bool,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct View<'a> {
        messages: Vec<One<'a>>,
        next_before: Option<i64>,
    }
    let messages = said.iter().map(|said| One {
        id: said.id,
        seq: said.seq,
        from: AuthorView::of(&said.author),
        text: said.message.text.as_deref().unwrap_or_default(),
        timestamp: said.at.millis(),
        edited: said.message.edited,
    });
    text(&View { messages: messages.collect(), next_before })
}

/// The rooms one may hear.
///
/// # Errors
/// `Internal` only.
pub fn rooms(rooms: &[Listed]) -> Result<String> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct One<'a> {
        channel: &'a str,
        name: &'a str,
        seq: i64,
        last_id: Option<String>,
    }
    #[derive(Serialize)]
    struct View<'a> {
        rooms: Vec<One<'a>>,
    }
    let rooms = rooms.iter().map(|listed| One {
        channel: &listed.channel,
        name: &listed.name,
        seq: listed.seq,
        last_id: listed.last.map(|id| id.to_string()),
    });
    text(&View { rooms: rooms.collect() })
}
