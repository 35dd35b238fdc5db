//! Where a request really comes from, and which origins are our own.
//!
//! What a client says of itself in `Forwarded` headers counts only when it comes from a proxy that
//! the owner trusts.

use crate::http::message::Headers;
use std::net::IpAddr;

/// An address, or a range of them such as `192.168.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    bits: u32,
}

impl Network {
    /// Reads `ADDRESS` or `ADDRESS/BITS`.
    pub fn parse(text: &str) -> Option<Network> {
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let base: IpAddr = address.parse().ok()?;
        let most = if base.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Some(most), |bits| bits.parse().ok())?;
        (bits <= most).then_some(Network { base, bits })
    }

    /// Whether the address is in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address.to_canonical()) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                same_prefix(u128::from(base.to_bits()) << 96, u128::from(address.to_bits()) << 96, self.bits)
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                same_prefix(base.to_bits(), address.to_bits(), self.bits)
            }
            _ => false,
        }
    }
}

fn same_prefix(left: u128, right: u128, bits: u32) -> bool {
    bits == 0 || (left ^ right) >> (128 - bits) == 0
}

/// The other end of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The client's address.
    pub address: IpAddr,
    /// Whether the client speaks https, to a proxy we trust.
    pub https: bool,
}

impl Peer {
    /// The client of a request that came over a connection from `address`.
    pub fn of(address: IpAddr, headers: &Headers, trusted: &[Network]) -> Peer {
        let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
        if !is_trusted(address) {
            return Peer { address, https: false };
        }
        // Each proxy appends whom it heard; the last that is not one of ours is the client. What
        // stands before a hop that cannot be read was written by nobody knows whom.
        let named: Vec<Option<IpAddr>> =
            headers.get_all("x-forwarded-for").flat_map(|value| value.split(',')).map(parse_hop).collect();
        let readable = named.iter().rev().map_while(|hop| *hop);
        let client = readable.clone().find(|address| !is_trusted(*address)).or_else(|| readable.last());
        let https = headers
            .get_all("x-forwarded-proto")
            .last()
            .is_some_and(|value| value.trim().eq_ignore_ascii_case("https"));
        Peer { address: client.unwrap_or(address), https }
    }

    /// The scheme the client speaks.
    pub fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }
}

fn parse_hop(text: &str) -> Option<IpAddr> {
    let text = text.trim();
    let bare = text.parse().ok();
    let bracketed = || text.strip_prefix('[')?.split(']').next()?.parse().ok();
    bare.or_else(bracketed)
        .or_else(|| text.rsplit_once(':')?.0.parse().ok())
        .map(|address: IpAddr| address.to_canonical())
}

/// Whether a page of `origin` may use this server as if it were our own: it was loaded from the
/// very host and port it now talks to, or the owner named its origin.
pub fn is_own_origin(origin: &str, host: &str, named: &[String]) -> bool {
    let origin = origin.trim_end_matches('/');
    if named.iter().any(|named| named.trim_end_matches('/').eq_ignore_ascii_case(origin)) {
        return true;
    }
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let default_port = match scheme.to_ascii_lowercase().as_str() {
        "http" => ":80",
        "https" => ":443",
        _ => return false,
    };
    let without_default =
        |authority: &str| authority.strip_suffix(default_port).unwrap_or(authority).to_ascii_lowercase();
    !host.is_empty() && without_default(authority) == without_default(host)
}

/// Whether a host name can be one of the home network's own: an address, `localhost`, a single word,
/// or a name under an ending that no stranger can register. A page of any other name that reaches us
/// has been pointed here by a stranger's name server (DNS rebinding).
pub fn is_home_host(host: &str) -> bool {
    const ENDINGS: [&str; 7] =
        [".local", ".lan", ".home", ".home.arpa", ".internal", ".fritz.box", ".localhost"];
    if host.starts_with('[') {
        return true;
    }
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name).trim_end_matches('.');
    name.parse::<std::net::Ipv4Addr>().is_ok()
        || !name.contains('.')
        || ENDINGS.iter().any(|ending| name.to_ascii_lowercase().ends_with(ending))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_hold_their_addresses_and_no_others() {
        for (network, inside, outside) in [
            ("127.0.0.1", "127.0.0.1", "127.0.0.2"),
            ("192.168.0.0/16", "192.168.255.1", "192.169.0.1"),
            ("10.0.0.0/8", "::ffff:10.1.2.3", "::1"),
            ("fd00::/8", "fd12::1", "fe80::1"),
        ] {
            let network = Network::parse(network).unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{inside}");
            assert!(!network.contains(outside.parse().unwrap()), "{outside}");
        }
        assert!(Network::parse("0.0.0.0/0").unwrap().contains("8.8.8.8".parse().unwrap()));
        for bad in ["", "localhost", "10.0.0.0/33", "10.0.0.0/-1", "::/129", "10.0.0.0/"] {
            assert_eq!(Network::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn hops_are_read_as_proxies_write_them() {
        for text in ["1.2.3.4", " 1.2.3.4 ", "1.2.3.4:5678", "::ffff:1.2.3.4"] {
            assert_eq!(parse_hop(text), "1.2.3.4".parse().ok(), "{text}");
        }
        assert_eq!(parse_hop("[2001:db8::1]:443"), "2001:db8::1".parse().ok());
        assert_eq!(parse_hop("unknown"), None);
    }

    #[test]
    fn home_hosts_are_those_no_stranger_can_register() {
        for host in [
            "192.168.1.7:8222",
            "[fe80::1]:8222",
            "localhost",
            "raspberrypi:8222",
            "pi.local",
            "PI.Fritz.Box:80",
        ] {
            assert!(is_home_host(host), "{host}");
        }
        for host in ["evil.example", "evil.example:8222", "192.168.1.7.evil.example", "local.evil.example"] {
            assert!(!is_home_host(host), "{host}");
        }
    }

    #[test]
    fn our_own_origin_is_the_host_we_were_asked_for() {
        let own = |origin, host| is_own_origin(origin, host, &["https://diary.example".to_owned()]);
        assert!(own("http://pi.local:8222", "pi.local:8222"));
        assert!(own("http://PI.local", "pi.local:80"));
        assert!(own("https://pi.local", "pi.local"));
        assert!(own("https://diary.example", "127.0.0.1:8222"));
        for foreign in [
            "null",
            "",
            "http://evil.example",
            "http://pi.local",
            "http://pi.local:8223",
            "file://pi.local:8222",
        ] {
            assert!(!own(foreign, "pi.local:8222"), "{foreign}");
        }
    }
}
