//! The small texts that strangers choose: addresses, hosts, origins, ids, secrets, signed tokens, names.

#![no_main]

use deuced::api::signed;
use deuced::domain::deuce::parse_logged_at;
use deuced::domain::text::{Lines, clean};
use deuced::domain::token::{base64url, from_base64url};
use deuced::domain::{Channel, GroupId, InviteId, Secret};
use deuced::http::address::{Network, Peer, is_home_host, is_own_origin};
use hmac::{Hmac, Mac};
use libfuzzer_sys::fuzz_target;
use sha2::Sha256;
use std::net::{IpAddr, Ipv4Addr};

fuzz_target!(|data: &[u8]| {
    let text = String::from_utf8_lossy(data);
    let (first, second) = text.split_once('\n').unwrap_or((&text, ""));
    addresses(first, second);
    ids(first);
    tokens(first, second);
    texts(&text);
    proxies(data);
});

fn addresses(first: &str, second: &str) {
    if let Some(network) = Network::parse(first) {
        if let Ok(address) = second.parse() {
            network.contains(address);
        }
        let alone = first.parse::<IpAddr>();
        assert!(alone.is_err() || alone.is_ok_and(|address| network.contains(address)));
    }
    is_home_host(first);
    let own = is_own_origin(first, second, false, &[]);
    let same =
        first.trim_end_matches('/').split_once("://").map(|(_, authority)| authority.to_ascii_lowercase());
    if own {
        let host = second.to_ascii_lowercase();
        let bare = |text: &str| text.trim_end_matches(":80").trim_end_matches(":443").to_owned();
        assert_eq!(same.map(|same| bare(&same)), Some(bare(&host)), "{first:?} is {second:?}");
    }
}

fn ids(text: &str) {
    if let Some(id) = GroupId::parse(text) {
        assert_eq!(GroupId::parse(&id.to_string()), Some(id));
    }
    if let Some(id) = InviteId::parse(text) {
        assert_eq!(InviteId::parse(&id.to_string()), Some(id));
    }
    if let Ok(channel) = Channel::parse(text) {
        assert_eq!(Channel::parse(&channel.to_string()).ok(), Some(channel));
    }
    let _ = parse_logged_at(text);
}

fn tokens(first: &str, second: &str) {
    if let Some(secret) = Secret::parse(first) {
        assert_eq!(secret.as_str(), first);
    }
    if let Some(bytes) = from_base64url(first) {
        assert_eq!(base64url(&bytes), first, "one spelling only");
    }
    assert_eq!(from_base64url(&base64url(first.as_bytes())).as_deref(), Some(first.as_bytes()));
    assert!(signed::read(first, b"another key").is_none(), "nobody signed this");
    // Somebody who has the key may still write nonsense.
    let signed = format!("{}.{}", base64url(first.as_bytes()), base64url(second.as_bytes()));
    let mut mac = Hmac::<Sha256>::new_from_slice(b"the key").expect("a key of any length will do");
    mac.update(signed.as_bytes());
    let token = format!("{signed}.{}", base64url(&mac.finalize().into_bytes()));
    if let Some(claims) = signed::read(&token, b"the key") {
        let again = signed::write(&claims, b"the key").expect("claims can be written");
        assert_eq!(signed::read(&again, b"the key"), Some(claims));
    }
}

fn texts(text: &str) {
    for lines in [Lines::One, Lines::Many] {
        if let Ok(clean_text) = clean("text", text, lines, 1, 100) {
            assert!((1..=100).contains(&clean_text.chars().count()));
            let kept: &[char] = if lines == Lines::Many { &['\n', '\t'] } else { &[] };
            assert!(!clean_text.contains(|c: char| c.is_control() && !kept.contains(&c)), "{clean_text:?}");
            assert_eq!(clean("text", &clean_text, lines, 1, 100).ok(), Some(clean_text), "clean already");
        }
    }
}

/// What proxies, and those who play one, say of where a request comes from.
fn proxies(data: &[u8]) {
    let mut bytes = b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec();
    bytes.extend_from_slice(data);
    bytes.extend_from_slice(b"\r\n\r\n");
    let Some(request) = deuced_fuzz::request(&bytes) else { return };
    let home = IpAddr::V4(Ipv4Addr::new(192, 168, 0, 7));
    let stranger = Peer::of(home, &request.headers, &[]);
    assert_eq!((stranger.address, stranger.https), (home, false), "nobody is believed unasked");
    Peer::of(home, &request.headers, &Network::parse("192.168.0.0/16").into_iter().collect::<Vec<_>>());
}
