//! Places: those everybody has, and those one adds.

use crate::api::user;
use crate::domain::text::{Lines, clean};
use crate::domain::{Error, Limits, Location, Result, UserId};
use crate::store::{self, Db, Tx};

/// The places a person is offered.
///
/// # Errors
/// Those of the storage.
pub fn list(db: &Db, me: UserId) -> Result<Vec<Location>> {
    store::location::list(db, me)
}

/// A place's name, cleaned and measured.
///
/// # Errors
/// `Invalid`, in the contract's words when there is none.
pub fn clean_name(name: &str, limits: &Limits) -> Result<String> {
    if name.trim().is_empty() {
        return Err(Error::invalid("Location name is required"));
    }
    clean("name", name, Lines::One, 1, limits.location_characters as usize)
}

/// Adds a place.
///
/// # Errors
/// `Invalid` when the person is offered this name already or has too many places.
pub fn add(tx: &Tx<'_>, limits: &Limits, me: UserId, name: &str) -> Result<Location> {
    if store::location::count(tx, me)? >= limits.locations_per_user {
        return Err(Error::invalid(format!("Nobody can add more than {} places", limits.locations_per_user)));
    }
    let uid = user::find(tx, me)?.uid;
    store::location::insert(tx, me, &uid, name)?.ok_or_else(|| Error::invalid("Location already exists"))
}
