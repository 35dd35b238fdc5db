//! A place that the form offers.

use crate::domain::Time;

/// A place's row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Its number.
    pub id: i64,
    /// Its name, 1 to 100 characters.
    pub name: String,
    /// Whether everybody has it from the start.
    pub is_default: bool,
    /// Wire id of who added it.
    pub created_by: Option<String>,
    /// When it was added.
    pub created_at: Time,
}
