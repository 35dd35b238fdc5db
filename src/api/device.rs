//! Devices: making and ending them, where they may be, and that what they sign happens once.
//!
//! A device acts as the person who made it, but only in its groups and as far as its permits go. Which request needs
//! which permit is decided at the doors, in one place each (`http/scope.rs`, `ws/talk/scope.rs`); here is what they ask.

use crate::api::right::{self, Act};
use crate::api::signature::{Key, counter_text, request_text};
use crate::api::token::{self, Me};
use crate::api::{App, group, user};
use crate::domain::text::{Lines, clean};
use crate::domain::{
    Channel, Code, Device, Error, GroupId, Limits, Permit, Permits, Result, Secret, Token, TokenId, UserId,
};
use crate::hub::Ending;
use crate::store::{self, Db, Tx};
use std::collections::HashMap;

/// The largest counter of a signed request: what every JSON library reads exactly.
pub const MOST_COUNTER: i64 = (1 << 53) - 1;

/// How far ahead of a signed read the database is told, so that it is written once for very many of them. What was
/// taken since is then known at least that well after a restart. With milliseconds as counters it is an hour.
const READ_AHEAD: i64 = 3_600_000;

/// What is known of devices only while the server runs.
#[derive(Default)]
pub struct Live {
    /// The counter of each one's last signed read.
    reads: HashMap<TokenId, i64>,
}

/// What a new device is to be.
#[derive(Clone, Debug)]
pub struct New {
    /// Its name, cleaned.
    pub name: String,
    /// What it may do.
    pub permits: Permits,
    /// Where, as the groups were named.
    pub groups: Vec<String>,
}

/// Cleans a device's name.
///
/// # Errors
/// `Invalid`, naming the field.
pub fn clean_name(name: &str, limits: &Limits) -> Result<String> {
    clean("name", name, Lines::One, 1, limits.device_name_characters as usize)
}

/// The permits of these words.
///
/// # Errors
/// `Invalid`, naming the field.
pub fn permits<'a>(words: impl IntoIterator<Item = &'a str>) -> Result<Permits> {
    Permits::parse(words).ok_or_else(|| Error::invalid("verbs: one or more of log, read, chat and notify"))
}

/// Makes a device of somebody. The secret is told this once.
///
/// # Errors
/// `Invalid` for a name that is taken, or without a group; `Forbidden` for a group that is not the person's, and for children; `Limit`
/// when they have as many devices as there may be.
pub fn make(tx: &Tx<'_>, limits: &Limits, me: UserId, new: &New) -> Result<(Device, Secret)> {
    user::find(tx, me)?;
    right::check(tx, me, Act::MakeDevice)?;
    let most = limits.devices_per_user;
    if store::device::count(tx, me)? >= most {
        return Err(Error::new(
            Code::Limit,
            format!("Nobody can have more than {most} devices: end one first"),
        ));
    }
    if list(tx, me)?.iter().any(|device| device.name == new.name) {
        return Err(Error::invalid(format!("name: there is a device named {} already", new.name)));
    }
    let groups = own_groups(tx, limits, me, &new.groups)?;
    let secret = Secret::new();
    let id = store::token::insert(tx, me, &secret.hash(), token::seconds(limits), None)?;
    store::device::insert(tx, id, &new.name, new.permits)?;
    groups.into_iter().try_for_each(|group| store::device::admit(tx, id, me, group))?;
    let made = list(tx, me)?.into_iter().find(|device| device.id == id);
    let made = made.ok_or_else(|| Error::internal("a device vanished within a transaction"))?;
    Ok((made, secret))
}

/// The groups named, each once, all of them the person's.
fn own_groups(db: &Db, limits: &Limits, me: UserId, named: &[String]) -> Result<Vec<GroupId>> {
    let mut groups = Vec::new();
    for name in named {
        let own = GroupId::parse(name).map(|id| group::place(db, id, me).map(|_| id)).transpose();
        let Ok(Some(id)) = own else {
            return Err(Error::forbidden(format!("Not authorized for group {name}")));
        };
        if !groups.contains(&id) {
            groups.push(id);
        }
        if groups.len() as u64 > limits.groups_per_entry {
            return Err(Error::invalid(format!("groupIds: at most {} groups", limits.groups_per_entry)));
        }
    }
    match groups.is_empty() {
        true => Err(Error::invalid("groupIds: at least one group")),
        false => Ok(groups),
    }
}

/// The key that a device signs with.
pub fn key(app: &App, device: TokenId, secret: &Secret) -> Key {
    Key::of(&app.device_key, device, &secret.hash())
}

/// Makes a device for somebody by name, in groups by name or id, on the machine itself.
///
/// # Errors
/// As [`make`]; `NotFound` when there is nobody of that name, or no such group among theirs.
pub fn make_by_name(tx: &Tx<'_>, limits: &Limits, who: &str, new: &New) -> Result<(Device, Secret, Key)> {
    let me = token::person(tx, who)?;
    let theirs = group::list(tx, me)?;
    let mut groups = Vec::new();
    for name in &new.groups {
        let fits = |id: GroupId, called: &str| called == name || id.to_string().eq_ignore_ascii_case(name);
        let found = theirs.iter().filter(|one| fits(one.group.id, &one.group.name));
        let found: Vec<String> = found.map(|one| one.group.id.to_string()).collect();
        match &found[..] {
            [id] => groups.push(id.clone()),
            [] => return Err(Error::not_found(format!("{who} is in no group named {name}"))),
            ids => {
                return Err(Error::invalid(format!(
                    "several groups are named {name}: say {}",
                    ids.join(" or ")
                )));
            }
        }
    }
    let (device, secret) = make(tx, limits, me, &New { groups, ..new.clone() })?;
    let key = Key::of(&store::secret::device_key_or_new(tx)?, device.id, &secret.hash());
    Ok((device, secret, key))
}

/// The devices of somebody, newest first.
///
/// # Errors
/// Those of the storage.
pub fn list(db: &Db, me: UserId) -> Result<Vec<Device>> {
    store::device::list(db, me)
}

/// The devices of somebody by name, newest first.
///
/// # Errors
/// `NotFound` when there is nobody of that name.
pub fn list_by_name(db: &Db, who: &str) -> Result<Vec<Device>> {
    list(db, token::person(db, who)?)
}

/// Ends a device.
///
/// # Errors
/// `NotFound` when the person has none of that number.
pub fn remove(tx: &Tx<'_>, me: UserId, id: TokenId) -> Result<()> {
    match store::device::delete(tx, me, id)? {
        true => Ok(()),
        false => Err(Error::not_found("Device not found")),
    }
}

/// Ends a device by the name of its person and its own name or id.
///
/// # Errors
/// `NotFound` when there is no such person or device.
pub fn remove_by_name(tx: &Tx<'_>, who: &str, device: &str) -> Result<Device> {
    let me = token::person(tx, who)?;
    let mut devices = list(tx, me)?;
    let by_name = devices.iter().position(|one| one.name == device);
    let place = by_name.or_else(|| devices.iter().position(|one| one.id.0.to_string() == device));
    let place = place.ok_or_else(|| Error::not_found(format!("{who} has no device named {device}")))?;
    let found = devices.swap_remove(place);
    remove(tx, me, found.id)?;
    Ok(found)
}

/// What has to follow when a device has been ended.
pub fn removed(app: &App, id: TokenId, ending: Ending) {
    token::ended(app, &[id], ending);
    app.devices.borrow_mut().reads.remove(&id);
}

/// Which of a person's groups a login reaches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// All of them, and everything else.
    All,
    /// These, and nothing else.
    Only(Vec<GroupId>),
}

impl Reach {
    /// What a login reaches.
    ///
    /// # Errors
    /// Those of the storage.
    pub fn of(db: &Db, token: &Token) -> Result<Reach> {
        match token.permits {
            None => Ok(Reach::All),
            Some(_) => store::device::groups(db, token.id).map(Reach::Only),
        }
    }

    /// Whether a group is within it.
    pub fn includes(&self, group: GroupId) -> bool {
        match self {
            Reach::All => true,
            Reach::Only(groups) => groups.contains(&group),
        }
    }
}

/// Refuses what a device has no permit for.
///
/// # Errors
/// `Forbidden`, naming the verb.
pub fn check_permit(permits: Permits, needed: Option<Permit>) -> Result<()> {
    match needed {
        Some(permit) if permits.include(permit) => Ok(()),
        Some(permit) => Err(Error::forbidden(format!("This device lacks the verb {}", permit.as_str()))),
        None => {
            Err(Error::forbidden("No device may do this: it has the verbs log, read, chat and notify only"))
        }
    }
}

/// Refuses a channel that is not the room of one of a device's groups: inboxes and rooms by name are no device's.
///
/// # Errors
/// `Forbidden`, as for the groups of others.
pub fn check_channel(db: &Db, device: TokenId, channel: &Channel) -> Result<()> {
    match channel {
        Channel::Group(group) if store::device::is_in(db, device, *group)? => Ok(()),
        _ => Err(Error::forbidden("Not authorized")),
    }
}

/// The group of an entry; `None` when there is no such entry.
///
/// # Errors
/// Those of the storage.
pub fn group_of(db: &Db, entry: crate::domain::EntryId) -> Result<Option<GroupId>> {
    Ok(store::deuce::find(db, entry)?.map(|(_, entry)| entry.group))
}

/// Refuses to notify anybody outside of a device's groups, whether there is such a person or not.
///
/// # Errors
/// `NotFound`, as for somebody who does not exist.
pub fn check_recipient(db: &Db, device: TokenId, to: &crate::api::notification::Recipient) -> Result<()> {
    use crate::api::notification::Recipient;
    let user = match to {
        Recipient::Number(number) => Some(UserId(*number)),
        Recipient::Uid(uid) => store::user::find_by_uid(db, uid)?.map(|user| user.id),
    };
    match user.map(|user| store::device::reaches(db, device, user)).transpose()? {
        Some(true) => Ok(()),
        _ => Err(Error::not_found("userId: nobody has this id")),
    }
}

/// What the header of a signed request says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    /// The device whose key it was signed with.
    pub device: TokenId,
    /// Its counter, from 1.
    pub counter: i64,
    /// The signature.
    pub signature: [u8; 32],
}

/// A request whose signature was found right.
#[derive(Clone, Debug)]
pub struct Signed {
    /// What it says of itself.
    pub claim: Claim,
    key: Key,
}

impl Signed {
    /// What proves to the gadget that a counter is told by this server, in answer to this request.
    pub fn prove(&self, counter: i64) -> String {
        self.key.sign(&counter_text(&self.claim.signature, counter))
    }
}

/// Who signed a request.
///
/// # Errors
/// `Unauthorized` when nobody did, after the same work.
pub fn recognise(app: &App, claim: Claim, method: &str, target: &str, body: &[u8]) -> Result<(Me, Signed)> {
    let found = store::token::find_by_id(app.db(), claim.device)?;
    let found = found.filter(|token| token.permits.is_some() && token.expires_at > app.now());
    let hash = store::device::hash(app.db(), claim.device)?;
    let key = Key::of(&app.device_key, claim.device, &hash.unwrap_or_default());
    let fits = key.verify(&request_text(method, target, claim.counter, body), &claim.signature);
    match found.filter(|_| fits && hash.is_some()) {
        Some(token) => Ok((Me { user: token.user, token }, Signed { claim, key })),
        None => Err(Error::unauthorized()),
    }
}

/// The refusal of a counter that is not above the last.
fn used(last: i64) -> Error {
    Error::new(Code::Counter { last }, format!("counter: must be greater than {last}"))
}

/// Carries out what a signed request asks for, once: the counter has to be above the last, and is stored with the
/// rest. The last request sent again gets its answer again. One that is refused has not used its counter.
///
/// # Errors
/// The work's own; `Counter` for a counter that was used; `Unauthorized` when the device has been ended meanwhile.
pub fn once(tx: &Tx<'_>, claim: &Claim, work: impl FnOnce(&Tx<'_>) -> Result<String>) -> Result<String> {
    let last = store::device::last(tx, claim.device)?.ok_or_else(Error::unauthorized)?;
    if claim.counter <= last.counter {
        return match last.answered {
            Some((signature, answer)) if claim.counter == last.counter && signature == claim.signature => {
                Ok(answer)
            }
            _ => Err(used(last.counter)),
        };
    }
    let answer = work(tx)?;
    store::device::set_last(tx, claim.device, claim.counter, &claim.signature, &answer)?;
    Ok(answer)
}

/// Takes the counter of a signed request that only reads. It has to be above that of the last one, or whoever
/// listened on the wire could send the request again and see what is new. The last one is kept in memory;
/// what is returned, if anything, has to be [`reserve`]d before the request is answered.
///
/// # Errors
/// `Counter` for a counter that was used; `Unauthorized` when the device has been ended meanwhile.
pub fn take_read(app: &App, claim: &Claim) -> Result<Option<i64>> {
    let reserved = store::device::read_until(app.db(), claim.device)?.ok_or_else(Error::unauthorized)?;
    let mut live = app.devices.borrow_mut();
    let last = live.reads.get(&claim.device).copied().unwrap_or(reserved);
    if claim.counter <= last {
        return Err(used(last));
    }
    live.reads.insert(claim.device, claim.counter);
    Ok((claim.counter > reserved).then(|| (claim.counter + READ_AHEAD).min(MOST_COUNTER)))
}

/// Has the database know that counters up to this one may have been used for reading.
///
/// # Errors
/// Those of the storage.
pub fn reserve(tx: &Tx<'_>, device: TokenId, until: i64) -> Result<()> {
    store::device::set_read_until(tx, device, until)
}
