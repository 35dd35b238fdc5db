//! The nouns of the diary, their ids, and the rules that need neither a database nor a network.
//!
//! Nothing here waits, reads a file, or knows JSON, SQL or HTTP.

pub mod deuce;
pub mod device;
pub mod error;
pub mod event;
pub mod group;
pub mod id;
pub mod invite;
pub mod limits;
pub mod link;
pub mod location;
pub mod member;
pub mod message;
pub mod notification;
pub mod reaction;
pub mod room;
pub mod storage;
pub mod text;
pub mod time;
pub mod token;
pub mod user;

pub use deuce::Entry;
pub use device::{Device, Permit, Permits};
pub use error::{Code, Error, Result};
pub use event::{Author, Event, Kind, Whisper, WhisperKind};
pub use group::{Group, GroupSummary};
pub use id::{EntryId, EventId, GroupId, InviteId, RoomId, TokenId, UserId};
pub use invite::Invite;
pub use limits::Limits;
pub use link::Link;
pub use location::Location;
pub use member::{Member, Record, Role};
pub use reaction::Reaction;
pub use room::Channel;
pub use storage::{Cause, Purpose, Storage};
pub use time::Time;
pub use token::{Secret, Token};
pub use user::{Person, User};
