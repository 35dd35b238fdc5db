//! What one value may be: from the text of a word, a variable or a line to what the server works with, and back.

use crate::http::address::{Network, name_of};
use std::{fmt, net::SocketAddr, ops::RangeInclusive, path::PathBuf};

/// The port where nothing else was said.
pub const PORT: u16 = 8222;

/// Where to listen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Listen {
    /// On every interface, for both kinds of addresses where the system has both.
    Everywhere(u16),
    /// On one address.
    At(SocketAddr),
}

impl fmt::Display for Listen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Listen::Everywhere(port) => write!(formatter, ":{port}"),
            Listen::At(address) => address.fmt(formatter),
        }
    }
}

pub(super) fn listen(text: &str) -> Result<Listen, String> {
    let everywhere = text.strip_prefix(':').filter(|port| port.bytes().all(|byte| byte.is_ascii_digit()));
    let everywhere = everywhere.and_then(|port| port.parse().ok()).map(Listen::Everywhere);
    everywhere.or_else(|| text.parse().ok().map(Listen::At)).ok_or_else(|| {
        format!("'{text}' is not an address to listen on, such as 0.0.0.0:{PORT} or [::1]:{PORT}")
    })
}

pub(super) fn web(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    match path.join("index.html").is_file() {
        true => Ok(path),
        false => Err(format!("'{text}' has no index.html")),
    }
}

/// Yes or no.
pub fn yes_or_no(text: &str) -> Result<bool, String> {
    match text {
        "0" | "no" | "false" => Ok(false),
        "1" | "yes" | "true" => Ok(true),
        other => Err(format!("'{other}' is neither yes nor no")),
    }
}

pub(super) fn origin(text: &str) -> Result<String, String> {
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://")).unwrap_or_default();
    let authority = rest.strip_suffix('/').unwrap_or(rest);
    match authority.is_empty() || authority.contains(['/', '?', '#', '@', ' ']) {
        true => Err(format!("'{text}' is not an origin, such as https://diary.example")),
        false => Ok(text.to_owned()),
    }
}

/// A name without a port, which does not matter, in lower case.
pub(super) fn host(text: &str) -> Result<String, String> {
    let name = name_of(text);
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    match name.is_empty() || name.len() > 255 || text.contains('/') || !name.bytes().all(plain) {
        true => Err(format!("'{text}' is not a host name, such as diary.example")),
        false => Ok(name.to_ascii_lowercase()),
    }
}

pub(super) fn proxy(text: &str) -> Result<Network, String> {
    Network::parse(text).ok_or_else(|| {
        format!("'{text}' is not an address or a range of them, such as 127.0.0.1 or 10.0.0.0/8")
    })
}

pub(super) fn number(text: &str, range: RangeInclusive<u64>) -> Result<u64, String> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|number| plain && range.contains(number));
    number.ok_or_else(|| format!("a number from {} to {}", range.start(), range.end()))
}

/// How many backups stay.
pub fn keep(text: &str) -> Result<u64, String> {
    number(text, 1..=1000)
}
