//! The server of a household's private group diary. `ARCHITECTURE.md` has the map.

pub mod api;
pub mod cli;
pub mod domain;
pub mod http;
pub mod hub;
pub mod io;
pub mod store;
pub mod ws;
