//! Chat: saying something, changing and deleting it, and reading what was said.

use crate::api::notification;
use crate::api::room::{self, Who};
use crate::domain::event::MessageRef;
use crate::domain::message::{Mentions, Message, Said, clean_text};
use crate::domain::notification::{Mention, Notice};
use crate::domain::{Author, Channel, Code, Error, Kind, Limits, Person, Result, RoomId, Time, UserId};
use crate::store::{self, Db, Tx};

/// How long a message that is sent again is taken for the same one.
const AGAIN_SECONDS: i64 = 600;

/// A name of so many bytes is taken to be used once.
const UNIQUE_BYTES: usize = 16;

/// How many people one message notifies at most.
const MOST_MENTIONED: usize = 50;

/// The longest name a client may give to a message.
pub const CLIENT_ID_BYTES: usize = 200;

/// Something to be said.
#[derive(Clone, Debug)]
pub struct New {
    /// Who says it.
    pub who: Who,
    /// What a guest is called.
    pub guest: String,
    /// Where.
    pub channel: Channel,
    /// The words; only chat pages may send none.
    pub text: Option<String>,
    /// Whether a chat page says it; those may say nothing at all, or more than others.
    pub from_page: bool,
    /// The name a chat page gave, where it is not the author's.
    pub nickname: Option<String>,
    /// What the sender calls it, so that it can be sent again.
    pub client_id: Option<String>,
}

/// Says something. The same sender, room, name and text is one message.
///
/// # Errors
/// `Invalid` for the text; those of [`room::enter`]; `Forbidden` in an inbox; `Limit` when there are too many rooms.
pub fn say(tx: &Tx<'_>, limits: &Limits, new: &New) -> Result<MessageRef> {
    let text = match new.from_page {
        false => Some(clean_text(new.text.as_deref().unwrap_or_default())?),
        true => new.text.clone(),
    };
    let room = enter(tx, &new.who, &new.channel)?;
    let author = match new.who {
        Who::Person(me) => {
            Author::Person(store::user::find(tx, me)?.ok_or_else(Error::unauthorized)?.person())
        }
        Who::Guest | Who::Nobody => Author::Guest(new.guest.clone()),
    };
    let called = new.client_id.as_deref().filter(|_| matches!(author, Author::Person(_)));
    let name = called.map(|called| store::message::name(room, called, text.as_deref()));
    if let (Some(called), Some(name)) = (called, &name) {
        // A long name is nobody's counter that began anew.
        let since =
            if called.len() >= UNIQUE_BYTES { Time::FIRST } else { tx.now().plus_seconds(-AGAIN_SECONDS) };
        if let Some(sent) = store::message::find_sent(tx, author.number(), name, since)? {
            return Ok(sent);
        }
    }
    if let Channel::Named(channel) = &new.channel {
        make_room(tx, limits, &new.who, room, channel)?;
    }
    let message = Message { text: text.clone(), nickname: new.nickname.clone(), edited: false };
    let kind = Kind::MessageSaid(Box::new(message));
    let said =
        store::room::append_by(tx, room, author.clone(), kind, name.as_deref(), limits.events_per_room)?;
    if let (Author::Person(author), Some(text)) = (&author, &text) {
        tell_mentioned(tx, limits, author, &new.channel, said, text)?;
    }
    Ok(said)
}

/// The room of a channel in which people talk.
fn enter(db: &Db, who: &Who, channel: &Channel) -> Result<RoomId> {
    match channel {
        Channel::Me => Err(Error::forbidden("Nobody talks in an inbox")),
        channel => room::enter(db, who, channel),
    }
}

fn make_room(tx: &Tx<'_>, limits: &Limits, who: &Who, room: RoomId, name: &str) -> Result<()> {
    if store::room::exists(tx, room)? {
        return Ok(());
    }
    // Guests must not use up the names for everybody else.
    let most = if matches!(who, Who::Person(_)) { limits.rooms } else { limits.rooms.div_ceil(2) };
    if store::room::count_named(tx)? >= most {
        return Err(Error::new(Code::Limit, format!("channel: there are {most} rooms already")));
    }
    store::room::ensure(tx, room, name)
}

/// Notifies those whose names stand in a text: members of the group, or anybody in a room by name.
fn tell_mentioned(
    tx: &Tx<'_>,
    limits: &Limits,
    author: &Person,
    channel: &Channel,
    said: MessageRef,
    text: &str,
) -> Result<()> {
    let mentions = Mentions::of(text);
    if mentions.is_empty() {
        return Ok(());
    }
    let concerned: Vec<Person> = match channel {
        Channel::Group(group) => {
            let members = store::notification::choices(tx, *group, author.id)?;
            members.into_iter().filter(|(_, choice)| choice.mentions).map(|(person, _)| person).collect()
        }
        // Children are not in these rooms.
        _ => store::user::grown_ups(tx)?.into_iter().filter(|person| person.id != author.id).collect(),
    };
    for person in concerned.into_iter().filter(|person| mentions.name(person)).take(MOST_MENTIONED) {
        let mention = Mention { channel: channel.to_string(), seq: said.seq, message: said.id };
        notification::notify(tx, limits, person.id, author, Notice::Mention(mention))?;
    }
    Ok(())
}

/// Which message, as its author names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Which {
    /// Where it was said.
    pub channel: Channel,
    /// Its number there.
    pub seq: i64,
    /// Its id, if it was named: a number of another history is then not taken for this one.
    pub id: Option<String>,
}

/// What came of changing a message.
#[derive(Clone, Copy, Debug)]
pub struct Changed {
    /// The message.
    pub message: MessageRef,
    /// The number of the event that tells of it.
    pub seq: i64,
}

/// Changes what one said.
///
/// # Errors
/// `NotFound` when there is no such message; `Forbidden` for those of others; `Invalid` for the text.
pub fn edit(tx: &Tx<'_>, limits: &Limits, me: UserId, which: &Which, text: &str) -> Result<Changed> {
    let text = clean_text(text)?;
    let (room, message) = own(tx, me, which)?;
    store::message::edit(tx, room, message.seq, &text)?;
    let kind = Kind::MessageEdited(message, text);
    let event = store::room::append(tx, room, me, kind, limits.events_per_room)?;
    Ok(Changed { message, seq: event.seq })
}

/// Deletes what one said: its text is overwritten, its number stays.
///
/// # Errors
/// As [`edit`].
pub fn delete(tx: &Tx<'_>, limits: &Limits, me: UserId, which: &Which) -> Result<Changed> {
    let (room, message) = own(tx, me, which)?;
    store::message::delete(tx, room, message.seq)?;
    let event = store::room::append(tx, room, me, Kind::MessageDeleted(message), limits.events_per_room)?;
    Ok(Changed { message, seq: event.seq })
}

/// One's own message and its room.
fn own(tx: &Tx<'_>, me: UserId, which: &Which) -> Result<(RoomId, MessageRef)> {
    let room = enter(tx, &Who::Person(me), &which.channel)?;
    let missing = || Error::not_found("Message not found");
    let (author, id) = store::message::find(tx, room, which.seq)?.ok_or_else(missing)?;
    if which.id.as_ref().is_some_and(|named| !named.eq_ignore_ascii_case(&id.to_string())) {
        return Err(missing());
    }
    match author == me {
        true => Ok((room, MessageRef { id, seq: which.seq })),
        false => Err(Error::forbidden("Only the author can change a message")),
    }
}

/// A page of what was said in a room before a number, newest first, and the number the next page is before.
///
/// # Errors
/// Those of [`room::enter`].
pub fn history(
    db: &Db,
    who: &Who,
    channel: &Channel,
    before: Option<i64>,
    limit: u64,
) -> Result<(Vec<Said>, Option<i64>)> {
    let room = enter(db, who, channel)?;
    let (said, more) = store::message::list(db, room, before.unwrap_or(i64::MAX), limit)?;
    let next = said.last().map(|said| said.seq).filter(|_| more);
    Ok((said, next))
}
