//! The JSON shapes of the nouns, the same for both doors. Field names and their order are the
//! contract's; nothing here decides what may be seen, except that only the owner sees an e-mail.

mod invite;
pub mod talk;

use crate::api::deuce::FeedEntry;
use crate::api::group::Detail;
use crate::domain::notification::Notification;
use crate::domain::{
    Entry, EntryId, Error, Event, EventId, Group, GroupId, GroupSummary, Location, Member, Reaction, Record,
    Result, Time, User,
};
pub use invite::{invite, invites, preview};
use serde::{Serialize, Serializer};
use std::fmt::Display;

/// The JSON text of a value.
///
/// # Errors
/// `Internal` only; our own shapes can always be written.
fn text(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(Error::internal)
}

fn shown<S: Serializer>(value: &impl Display, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    serializer.collect_str(value)
}

fn shown_if_any<S: Serializer>(value: &Option<Time>, serializer: S) -> std::result::Result<S::Ok, S::Error> {
    match value {
        Some(time) => serializer.collect_str(time),
        None => serializer.serialize_none(),
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct UserView<'a> {
    id: &'a str,
    email: Option<&'a str>,
    first_name: Option<&'a str>,
    last_name: Option<&'a str>,
    username: Option<&'a str>,
    profile_image_url: Option<&'a str>,
    deuce_count: i64,
    #[serde(serialize_with = "shown")]
    created_at: Time,
    #[serde(serialize_with = "shown")]
    updated_at: Time,
}

impl<'a> UserView<'a> {
    /// As others see it.
    fn of(user: &'a User) -> UserView<'a> {
        UserView {
            id: &user.uid,
            email: None,
            first_name: user.first_name.as_deref(),
            last_name: user.last_name.as_deref(),
            username: user.username.as_deref(),
            profile_image_url: user.picture.as_deref(),
            deuce_count: user.deuce_count,
            created_at: user.created_at,
            updated_at: user.updated_at,
        }
    }

    /// As its owner sees it.
    fn own(user: &'a User) -> UserView<'a> {
        UserView { email: user.email.as_deref(), ..UserView::of(user) }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GroupView<'a> {
    #[serde(serialize_with = "shown")]
    id: GroupId,
    name: &'a str,
    description: Option<&'a str>,
    created_by: &'a str,
    #[serde(serialize_with = "shown")]
    created_at: Time,
    #[serde(serialize_with = "shown")]
    updated_at: Time,
}

impl<'a> GroupView<'a> {
    fn of(group: &'a Group) -> GroupView<'a> {
        GroupView {
            id: group.id,
            name: &group.name,
            description: group.description.as_deref(),
            created_by: &group.created_by,
            created_at: group.created_at,
            updated_at: group.updated_at,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct SummaryView<'a> {
    #[serde(flatten)]
    group: GroupView<'a>,
    member_count: i64,
    entry_count: i64,
    #[serde(serialize_with = "shown_if_any")]
    last_activity: Option<Time>,
}

impl<'a> SummaryView<'a> {
    fn of(summary: &'a GroupSummary) -> SummaryView<'a> {
        SummaryView {
            group: GroupView::of(&summary.group),
            member_count: summary.member_count,
            entry_count: summary.entry_count,
            last_activity: summary.last_activity,
        }
    }
}

#[derive(Serialize)]
struct RecordView<'a> {
    date: &'a str,
    count: i64,
}

impl<'a> RecordView<'a> {
    fn of(record: &'a Record) -> RecordView<'a> {
        RecordView { date: &record.day, count: record.count }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MemberUserView<'a> {
    #[serde(flatten)]
    user: UserView<'a>,
    // Absent, not null, for people without entries.
    #[serde(skip_serializing_if = "Option::is_none")]
    personal_record: Option<RecordView<'a>>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct MemberView<'a> {
    id: i64,
    #[serde(serialize_with = "shown")]
    group_id: GroupId,
    user_id: &'a str,
    role: &'static str,
    #[serde(serialize_with = "shown")]
    joined_at: Time,
    user: MemberUserView<'a>,
}

impl<'a> MemberView<'a> {
    fn of(member: &'a Member) -> MemberView<'a> {
        MemberView {
            id: member.id,
            group_id: member.group,
            user_id: &member.user.uid,
            role: member.role.as_str(),
            joined_at: member.joined_at,
            user: MemberUserView {
                user: UserView::of(&member.user),
                personal_record: member.record.as_ref().map(RecordView::of),
            },
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EntryView<'a> {
    #[serde(serialize_with = "shown")]
    id: EntryId,
    user_id: &'a str,
    #[serde(serialize_with = "shown")]
    group_id: GroupId,
    location: &'a str,
    thoughts: &'a str,
    #[serde(serialize_with = "shown")]
    logged_at: Time,
    #[serde(serialize_with = "shown")]
    created_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reactions: Option<Vec<ReactionView<'a>>>,
}

impl<'a> EntryView<'a> {
    fn of(entry: &'a Entry) -> EntryView<'a> {
        EntryView {
            id: entry.id,
            user_id: &entry.user_uid,
            group_id: entry.group,
            location: &entry.location,
            thoughts: &entry.thoughts,
            logged_at: entry.logged_at,
            created_at: entry.created_at,
            user: None,
            reactions: None,
        }
    }

    fn with_author(entry: &'a Entry, author: &'a User) -> EntryView<'a> {
        EntryView { user: Some(UserView::of(author)), ..EntryView::of(entry) }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ReactionView<'a> {
    id: i64,
    #[serde(serialize_with = "shown")]
    entry_id: EntryId,
    user_id: &'a str,
    emoji: &'a str,
    #[serde(serialize_with = "shown")]
    created_at: Time,
    #[serde(skip_serializing_if = "Option::is_none")]
    user: Option<UserView<'a>>,
}

impl<'a> ReactionView<'a> {
    /// The row alone.
    fn of(reaction: &'a Reaction) -> ReactionView<'a> {
        ReactionView {
            id: reaction.id,
            entry_id: reaction.entry,
            user_id: &reaction.user.uid,
            emoji: &reaction.emoji,
            created_at: reaction.created_at,
            user: None,
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LocationView<'a> {
    id: i64,
    name: &'a str,
    is_default: bool,
    created_by: Option<&'a str>,
    #[serde(serialize_with = "shown")]
    created_at: Time,
}

impl<'a> LocationView<'a> {
    fn of(location: &'a Location) -> LocationView<'a> {
        LocationView {
            id: location.id,
            name: &location.name,
            is_default: location.is_default,
            created_by: location.created_by.as_deref(),
            created_at: location.created_at,
        }
    }
}

/// A person, as its owner sees it.
///
/// # Errors
/// `Internal` only, as everywhere in this file.
pub fn own_user(user: &User) -> Result<String> {
    text(&UserView::own(user))
}

/// The answer to a login.
///
/// # Errors
/// `Internal` only.
pub fn logged_in(secret: &str, signed: &str, user: &User, joined: Option<&Group>) -> Result<String> {
    #[derive(Serialize)]
    struct Joined<'a> {
        #[serde(serialize_with = "shown")]
        id: GroupId,
        name: &'a str,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct View<'a> {
        ok: bool,
        token: &'a str,
        jwt: &'a str,
        user: UserView<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        joined_group: Option<Joined<'a>>,
    }
    let joined_group = joined.map(|group| Joined { id: group.id, name: &group.name });
    text(&View { ok: true, token: secret, jwt: signed, user: UserView::own(user), joined_group })
}

/// A group.
///
/// # Errors
/// `Internal` only.
pub fn group(group: &Group) -> Result<String> {
    text(&GroupView::of(group))
}

/// A list of groups.
///
/// # Errors
/// `Internal` only.
pub fn groups(groups: &[GroupSummary]) -> Result<String> {
    text(&groups.iter().map(SummaryView::of).collect::<Vec<_>>())
}

/// A group with its members and entries.
///
/// # Errors
/// `Internal` only.
pub fn detail(detail: &Detail) -> Result<String> {
    #[derive(Serialize)]
    struct View<'a> {
        group: GroupView<'a>,
        members: Vec<MemberView<'a>>,
        entries: Vec<EntryView<'a>>,
    }
    text(&View {
        group: GroupView::of(&detail.group),
        members: detail.members.iter().map(MemberView::of).collect(),
        entries: detail.entries.iter().map(|(entry, author)| EntryView::with_author(entry, author)).collect(),
    })
}

/// A member.
///
/// # Errors
/// `Internal` only.
pub fn member(member: &Member) -> Result<String> {
    text(&MemberView::of(member))
}

/// The answer to joining a group.
///
/// # Errors
/// `Internal` only.
pub fn joined(group: &Group, already: bool) -> Result<String> {
    #[derive(Serialize)]
    struct View<'a> {
        group: GroupView<'a>,
        #[serde(skip_serializing_if = "Option::is_none")]
        message: Option<&'static str>,
    }
    text(&View { group: GroupView::of(group), message: already.then_some("Already a member of this group") })
}

/// The answer to logging.
///
/// # Errors
/// `Internal` only.
pub fn logged(entries: &[Entry]) -> Result<String> {
    #[derive(Serialize)]
    struct View<'a> {
        entries: Vec<EntryView<'a>>,
        count: usize,
    }
    text(&View { entries: entries.iter().map(EntryView::of).collect(), count: entries.len() })
}

/// A page of the feed.
///
/// # Errors
/// `Internal` only.
pub fn feed(entries: &[FeedEntry]) -> Result<String> {
    let views: Vec<_> = entries
        .iter()
        .map(|one| EntryView {
            reactions: Some(one.reactions.iter().map(ReactionView::of).collect()),
            ..EntryView::with_author(&one.entry, &one.author)
        })
        .collect();
    text(&views)
}

/// The best day; an empty date and zero when there is none.
///
/// # Errors
/// `Internal` only.
pub fn best_day(record: Option<&Record>) -> Result<String> {
    text(&record.map_or(RecordView { date: "", count: 0 }, RecordView::of))
}

/// A reaction just given.
///
/// # Errors
/// `Internal` only.
pub fn reaction(reaction: &Reaction) -> Result<String> {
    text(&ReactionView::of(reaction))
}

/// The reactions to an entry, with the people they are from.
///
/// # Errors
/// `Internal` only.
pub fn reactions(reactions: &[Reaction]) -> Result<String> {
    let views: Vec<_> = reactions
        .iter()
        .map(|one| ReactionView { user: Some(UserView::of(&one.user)), ..ReactionView::of(one) })
        .collect();
    text(&views)
}

/// A place.
///
/// # Errors
/// `Internal` only.
pub fn location(location: &Location) -> Result<String> {
    text(&LocationView::of(location))
}

/// A list of places.
///
/// # Errors
/// `Internal` only.
pub fn locations(locations: &[Location]) -> Result<String> {
    text(&locations.iter().map(LocationView::of).collect::<Vec<_>>())
}

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
        personal_record: export.best.map(RecordView::of),
    })
}

/// An entry with its author.
///
/// # Errors
/// `Internal` only.
pub fn entry(entry: &Entry, author: &User) -> Result<String> {
    text(&EntryView::with_author(entry, author))
}

/// The event of an entry, as the diary's own clients know it.
///
/// # Errors
/// `Internal` only.
pub fn deuce_logged(event: &Event, entry: &Entry, author: &User) -> Result<String> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct View<'a> {
        #[serde(rename = "type")]
        kind: &'static str,
        message: String,
        entry: EntryView<'a>,
        user_id: &'a str,
        #[serde(serialize_with = "shown")]
        msg_id: EventId,
        seq: i64,
    }
    text(&View {
        kind: "deuce_logged",
        message: format!("{} logged a new deuce", author.display_name()),
        entry: EntryView::with_author(entry, author),
        user_id: &author.uid,
        msg_id: event.id,
        seq: event.seq,
    })
}
