//! Reactions: giving, taking back, reading.

use crate::api::notification;
use crate::domain::{Entry, EntryId, Error, Kind, Limits, Reaction, Result, RoomId, UserId};
use crate::store::{self, Db, Tx};

/// A reaction's emoji, cleaned and measured.
///
/// # Errors
/// `Invalid`, in the contract's words when there is none.
pub fn clean_emoji(emoji: &str, limits: &Limits) -> Result<String> {
    let kept: String = emoji.chars().filter(|c| !c.is_control()).collect();
    match kept.chars().count() as u64 {
        0 => Err(Error::invalid("Emoji is required")),
        count if count > limits.emoji_characters => {
            Err(Error::invalid(format!("emoji: at most {} characters", limits.emoji_characters)))
        }
        _ => Ok(kept),
    }
}

/// An entry that the person may see, and its room.
fn visible(db: &Db, me: UserId, id: EntryId) -> Result<(RoomId, Entry)> {
    let (room, entry) = store::deuce::find(db, id)?.ok_or_else(|| Error::not_found("Entry not found"))?;
    match store::member::place(db, entry.group, me)? {
        Some(_) => Ok((room, entry)),
        None => Err(Error::forbidden("Not authorized to react to this entry")),
    }
}

/// Reacts to an entry.
///
/// # Errors
/// `NotFound`, `Forbidden` outside the entry's group, `Invalid` when the person gave this emoji
/// already or the entry has too many reactions.
pub fn add(tx: &Tx<'_>, limits: &Limits, me: UserId, id: EntryId, emoji: &str) -> Result<Reaction> {
    let (room, entry) = visible(tx, me, id)?;
    if store::reaction::count(tx, id)? >= limits.reactions_per_entry {
        return Err(Error::invalid(format!("An entry has at most {} reactions", limits.reactions_per_entry)));
    }
    let reaction = store::reaction::insert(tx, id, me, emoji)?
        .ok_or_else(|| Error::invalid("You've already reacted with this emoji"))?;
    store::room::append(tx, room, me, Kind::ReactionAdded(id, emoji.to_owned()), limits.events_per_room)?;
    let user = crate::api::user::find(tx, me)?;
    notification::tell_author(tx, limits, &entry, &user.person(), emoji)?;
    Ok(Reaction { id: reaction, entry: id, user, emoji: emoji.to_owned(), created_at: tx.now() })
}

/// Takes a reaction back, also after having left the group; it is no error if there was none.
///
/// # Errors
/// Those of the storage.
pub fn remove(tx: &Tx<'_>, limits: &Limits, me: UserId, id: EntryId, emoji: &str) -> Result<()> {
    let Some((room, _)) = store::deuce::find(tx, id)? else { return Ok(()) };
    if store::reaction::delete(tx, id, me, emoji)? {
        store::room::append(
            tx,
            room,
            me,
            Kind::ReactionRemoved(id, emoji.to_owned()),
            limits.events_per_room,
        )?;
    }
    Ok(())
}

/// The reactions to an entry, oldest first; none for an entry that is not there.
///
/// # Errors
/// `Forbidden` outside the entry's group.
pub fn list(db: &Db, me: UserId, id: EntryId) -> Result<Vec<Reaction>> {
    match visible(db, me, id) {
        Ok(_) => store::reaction::list(db, id),
        Err(error) if error.code == crate::domain::Code::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    }
}
