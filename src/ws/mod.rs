//! The socket door: live sockets, and the wire grammars spoken over them.
//!
//! A session reads frames, hands each to its form, and writes what the hub has for it. The upgrade
//! itself is HTTP's business (`http/upgrade.rs`); who may hear what is decided in `api`.

pub mod close;
pub mod form;
pub mod frame;
pub mod gate;
pub mod session;
