//! The socket door: live sockets, and the wire grammars spoken over them.
//!
//! A session reads frames, hands each to its form, has the request carried out, and writes what the hub has for
//! it. The upgrade itself is HTTP's business (`http/upgrade.rs`); who may hear what is decided in `api`.

pub mod close;
pub mod form;
pub mod frame;
pub mod gate;
mod rate;
pub mod reader;
pub mod session;
pub mod talk;

use crate::domain::{Author, Channel, RoomId};

/// What kind of clients come to a path, and so which forms are spoken there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// All forms but the chat pages'.
    Any,
    /// Flat frames and nothing else.
    Flat,
    /// A chat page of a room.
    Page(Box<Page>),
    /// A chat page that hears its own words.
    Echo,
}

/// A chat page: its room, and under which name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// The room's name.
    pub channel: Channel,
    /// The room.
    pub room: RoomId,
    /// Who it is; a guest goes by the page's name.
    pub author: Author,
    /// The name the page gave, where it is not the author's.
    pub nickname: Option<String>,
}

/// What a socket is told first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Greeting {
    /// Nothing.
    None,
    /// What a native client needs to know.
    Native,
    /// Who it is, or what time it is.
    Flat,
    /// That it is connected, unless it speaks first and is another kind of client.
    FirstWord,
}
