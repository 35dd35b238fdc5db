//! The JSON shape of everything the server knows of a person.

use super::{EntryView, LocationView, RecordView, SummaryView, UserView, shown, talk, text};
use crate::domain::notification::Notification;
use crate::domain::token::Login;
use crate::domain::{Entry, EntryId, GroupSummary, Location, Record, Result, Time, User};
use serde::Serialize;

/// Everything the server knows of a person.
pub struct Export<'a> {
    /// The person.
    pub user: &'a User,
    /// Their groups.
    pub groups: &'a [GroupSummary],
    /// What they logged.
    pub entries: &'a [Entry],
    /// What they reacted with.
    pub reactions: &'a [(EntryId, String, Time)],
    /// The places they added.
    pub locations: &'a [Location],
    /// Their best day.
    pub best: Option<&'a Record>,
    /// What they said: where, when, what.
    pub messages: &'a [(String, Time, String)],
    /// What they were notified of.
    pub notifications: &'a [Notification],
    /// Where they are logged in.
    pub sessions: &'a [Login],
}

/// Everything the server knows of a person, as the text to hand out.
///
/// # Errors
/// `Internal` only.
pub fn export(export: &Export<'_>) -> Result<String> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Given<'a> {
        #[serde(serialize_with = "shown")]
        entry_id: EntryId,
        emoji: &'a str,
        #[serde(serialize_with = "shown")]
        created_at: Time,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Said<'a> {
        channel: &'a str,
        #[serde(serialize_with = "shown")]
        created_at: Time,
        text: &'a str,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct LoginView<'a> {
        device: Option<&'a str>,
        #[serde(serialize_with = "shown")]
        created_at: Time,
        #[serde(serialize_with = "shown")]
        renewed_at: Time,
        #[serde(serialize_with = "shown")]
        expires_at: Time,
    }
    impl<'a> LoginView<'a> {
        fn of(login: &'a Login) -> LoginView<'a> {
            let Login { agent, made_at, renewed_at, expires_at, .. } = login;
            LoginView {
                device: agent.as_deref(),
                created_at: *made_at,
                renewed_at: *renewed_at,
                expires_at: *expires_at,
            }
        }
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct View<'a> {
        #[serde(serialize_with = "shown")]
        exported_at: Time,
        account: UserView<'a>,
        groups: Vec<SummaryView<'a>>,
        entries: Vec<EntryView<'a>>,
        reactions: Vec<Given<'a>>,
        messages: Vec<Said<'a>>,
        notifications: Vec<talk::NotificationView>,
        locations: Vec<LocationView<'a>>,
        sessions: Vec<LoginView<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        personal_record: Option<RecordView<'a>>,
    }
    let own_places = export.locations.iter().filter(|location| !location.is_default);
    text(&View {
        exported_at: Time::now(),
        account: UserView::own(export.user),
        groups: export.groups.iter().map(SummaryView::of).collect(),
        entries: export.entries.iter().map(EntryView::of).collect(),
        reactions: export
            .reactions
            .iter()
            .map(|(entry, emoji, at)| Given { entry_id: *entry, emoji, created_at: *at })
            .collect(),
        messages: export
            .messages
            .iter()
            .map(|(channel, at, text)| Said { channel, created_at: *at, text })
            .collect(),
        notifications: export.notifications.iter().map(talk::NotificationView::of).collect::<Result<_>>()?,
        locations: own_places.map(LocationView::of).collect(),
        sessions: export.sessions.iter().map(LoginView::of).collect(),
        personal_record: export.best.map(RecordView::of),
    })
}
