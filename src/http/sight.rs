//! What the server saw of a request: who sent it, and what proxies said of it. For `deuced doctor`, which asks through a
//! proxy and has to know what arrived.
//!
//! Told to nobody but those who prove that they can read the data directory (`api/proof.rs`).

use crate::api::proof;
use crate::http::Server;
use crate::http::address::Peer;
use crate::http::auth;
use crate::http::message::{Headers, Request};
use serde_json::{Value, json};

/// The header that brings the proof.
const PROOF: &str = "x-deuced-doctor";

/// What proxies say of their clients, and what a client may have said itself.
const TOLD: [&str; 5] =
    ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded", "x-real-ip"];

/// Whether whoever asks proves that they can read the data.
pub(super) fn is_proven(server: &Server, headers: &Headers) -> bool {
    headers.get(PROOF).is_some_and(|proof| proof::is_good(&server.app, proof))
}

/// What was seen; `None` for whoever proves nothing.
pub(super) fn of(server: &Server, request: &Request, peer: &Peer) -> Option<Value> {
    let headers = &request.headers;
    if !is_proven(server, headers) {
        return None;
    }
    let limits = server.app.limits();
    let told: serde_json::Map<String, Value> = TOLD
        .iter()
        .filter_map(|name| {
            let values: Vec<&str> = headers.get_all(name).collect();
            (!values.is_empty()).then(|| ((*name).to_owned(), values.join(", ").into()))
        })
        .collect();
    Some(json!({
        "neighbour": peer.neighbour.to_string(),
        "trusted": server.is_proxy(peer.neighbour),
        "client": peer.address.to_string(),
        "https": request.https,
        "host": request.host,
        "hostHeader": headers.get("host"),
        "told": told,
        "ownPage": auth::comes_from_here(server, headers, &request.host, request.https),
        "pingEverySeconds": limits.ping_every_seconds,
        "pictureBytes": limits.picture_bytes,
    }))
}
