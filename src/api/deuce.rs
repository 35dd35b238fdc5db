//! Entries: logging them, taking them back, and reading them.

use crate::api::{device::Reach, group, notification, view};
use crate::domain::notification::{Notice, Topic};
use crate::domain::text::{Lines, clean};
use crate::domain::{
    Code, Entry, EntryId, Error, GroupId, Kind, Limits, Reaction, Record, Result, Time, User, UserId,
};
pub use crate::store::deuce::{Cursor, Page};
use crate::store::{self, Db, Tx, deuce::NewEntry, idempotency::Given};

/// What somebody wants to log, cleaned and measured.
pub struct NewDeuce {
    /// The groups as they were named, in order, each once.
    pub groups: Vec<String>,
    /// Where.
    pub location: String,
    /// What about it.
    pub thoughts: String,
    /// When; now, if nothing was said.
    pub logged_at: Option<Time>,
    /// Whether a device asks, which is answered briefly.
    pub brief: bool,
}

/// Under which key a request came, and what it was.
pub struct Key {
    /// The key.
    pub key: String,
    /// The hash of the request.
    pub request: [u8; 32],
}

/// What came of a request to log.
pub struct Logged {
    /// The JSON text to answer with.
    pub answer: String,
    /// Whether it had been answered before. Then nothing was stored or told.
    pub replayed: bool,
}

/// Cleans a place's name.
///
/// # Errors
/// `Invalid`, naming the field.
pub fn clean_location(location: &str, limits: &Limits) -> Result<String> {
    clean("location", location, Lines::One, 1, limits.location_characters as usize)
}

/// Cleans an entry's thoughts, which may be empty.
///
/// # Errors
/// `Invalid`, naming the field.
pub fn clean_thoughts(thoughts: &str, limits: &Limits) -> Result<String> {
    clean("thoughts", thoughts, Lines::Many, 0, limits.thoughts_characters as usize)
}

/// Stores an entry in each of the groups, counts the post once, and remembers the answer under the
/// key, all or nothing.
///
/// # Errors
/// `Forbidden`, naming the first group that is not the person's; `KeyReused` when the key stands
/// for another request; `TooMany` when the day's allowance is used up.
pub fn log(tx: &Tx<'_>, limits: &Limits, me: UserId, new: &NewDeuce, key: Option<&Key>) -> Result<Logged> {
    if let Some(answer) = key.map(|key| answered_before(tx, limits, me, key)).transpose()?.flatten() {
        return Ok(Logged { answer, replayed: true });
    }
    let groups = places(tx, me, &new.groups)?;
    check_day(tx, limits, me, groups.len() as u64)?;

    let author = store::user::count_deuce(tx, me, groups.len() as u64)?;
    let row = NewEntry {
        author: &author,
        location: &new.location,
        thoughts: &new.thoughts,
        logged_at: new.logged_at.unwrap_or(tx.now()),
    };
    let mut entries = Vec::with_capacity(groups.len());
    for (id, place) in groups {
        let entry = store::deuce::insert(tx, &row, id)?;
        store::group::count_entry(tx, id, entry.id)?;
        let kind = Kind::DeuceLogged(Box::new((entry.clone(), author.clone())));
        store::room::append(tx, place.room, me, kind, limits.events_per_room)?;
        let notice = Notice::Deuce(Topic { group: Some(id), entry: Some(entry.id) });
        notification::tell_members(tx, limits, id, &author.person(), |choice| choice.entries, &notice)?;
        entries.push(entry);
    }
    let answer = if new.brief { view::device::logged(&entries)? } else { view::logged(&entries)? };
    if let Some(key) = key {
        let given = Given { request: key.request, answer: answer.clone() };
        store::idempotency::insert(
            tx,
            me,
            &key.key,
            &given,
            limits.idempotency_hours,
            limits.idempotency_keys_per_user,
        )?;
    }
    Ok(Logged { answer, replayed: false })
}

fn answered_before(tx: &Tx<'_>, limits: &Limits, me: UserId, key: &Key) -> Result<Option<String>> {
    match store::idempotency::find(tx, me, &key.key, tx.now(), limits.idempotency_hours)? {
        Some(given) if given.request == key.request => Ok(Some(given.answer)),
        Some(_) => Err(Error::new(Code::KeyReused, "Idempotency-Key: was used for another request")),
        None => Ok(None),
    }
}

/// Where the person stands in each of the groups; all of them are looked at before anything is
/// stored.
fn places(tx: &Tx<'_>, me: UserId, names: &[String]) -> Result<Vec<(GroupId, crate::domain::group::Place)>> {
    let standing = |name: &String| {
        let id = GroupId::parse(name);
        let place = id.map(|id| store::member::place(tx, id, me)).transpose()?.flatten();
        match (id, place) {
            (Some(id), Some(place)) => Ok((id, place)),
            _ => Err(Error::forbidden(format!("Not authorized for group {}", repeatable(name)))),
        }
    };
    names.iter().map(standing).collect()
}

/// A group's name as a message may repeat it: what can be an id; of anything else only that it is none.
fn repeatable(name: &str) -> &str {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'));
    if plain && name.len() <= 64 { name } else { "(not an id)" }
}

/// Refuses so many entries more when they would exceed the day's allowance.
fn check_day(tx: &Tx<'_>, limits: &Limits, me: UserId, more: u64) -> Result<()> {
    const DAY: i64 = 86_400;
    if limits.deuces_per_day == 0 {
        return Ok(());
    }
    let second = tx.now().millis().div_euclid(1000);
    let midnight = Time::from_millis((second - second.rem_euclid(DAY)) * 1000).unwrap_or(tx.now());
    match store::deuce::count_since(tx, me, midnight)? + more <= limits.deuces_per_day {
        true => Ok(()),
        false => Err(Error::too_many((DAY - second.rem_euclid(DAY)) as u32)),
    }
}

/// Takes an entry back, with its reactions.
///
/// # Errors
/// `NotFound` for entries the person cannot see, `Forbidden` for those of others.
pub fn delete(tx: &Tx<'_>, limits: &Limits, me: UserId, id: EntryId) -> Result<()> {
    let missing = || Error::not_found("Entry not found");
    let (room, entry) = store::deuce::find(tx, id)?.ok_or_else(missing)?;
    if entry.user != me {
        // Whoever is not in the group does not learn that there is such an entry.
        store::member::place(tx, entry.group, me)?.ok_or_else(missing)?;
        return Err(Error::forbidden("Only the author can delete an entry"));
    }
    store::deuce::delete(tx, id)?;
    store::group::uncount_entry(tx, entry.group, id)?;
    store::idempotency::forget(tx, me, &id.to_string())?;
    store::user::uncount_day(tx, me, entry.created_at)?;
    store::room::append(tx, room, me, Kind::DeuceDeleted(id), limits.events_per_room)?;
    Ok(())
}

/// One entry of the feed.
pub struct FeedEntry {
    /// The entry.
    pub entry: Entry,
    /// Its author.
    pub author: User,
    /// What others made of it.
    pub reactions: Vec<Reaction>,
}

/// A page of the feed.
pub struct Feed {
    /// Its entries, latest first.
    pub entries: Vec<FeedEntry>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Cursor>,
}

/// A page of all the person's groups within their login's reach, or of one.
///
/// # Errors
/// `Forbidden` for a foreign group.
pub fn feed(db: &Db, me: UserId, only: Option<GroupId>, reach: &Reach, page: &Page) -> Result<Feed> {
    let groups = match only {
        Some(id) => group::place(db, id, me).map(|_| vec![id])?,
        None => {
            let own = store::member::groups_of(db, me)?.into_iter().map(|(id, _)| id);
            own.filter(|id| reach.includes(*id)).collect()
        }
    };
    // One more than asked for tells whether there is a next page.
    let longer = Page { limit: page.limit + 1, ..*page };
    let mut listed = store::deuce::page(db, &groups, &longer)?;
    let more = listed.len() as u64 > page.limit;
    listed.truncate(page.limit as usize);
    let last = listed.last().map(|(entry, _)| Cursor { logged_at: entry.logged_at.millis(), id: entry.id });
    let mut entries = Vec::with_capacity(listed.len());
    for (entry, author) in listed {
        let reactions = store::reaction::list(db, entry.id)?;
        entries.push(FeedEntry { entry, author, reactions });
    }
    Ok(Feed { entries, next: last.filter(|_| more) })
}

/// The person's best day.
///
/// # Errors
/// Those of the storage.
pub fn best_day(db: &Db, me: UserId) -> Result<Option<Record>> {
    store::member::record(db, me)
}
