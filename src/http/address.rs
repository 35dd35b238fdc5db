//! Where a request really comes from, and which origins are our own.
//!
//! What a client says of itself in `Forwarded` headers counts only when it comes from a proxy that
//! the owner trusts.

use crate::http::message::Headers;
use crate::http::target::authority;
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

impl std::fmt::Display for Network {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.base, self.bits)
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
    /// Who the connection itself comes from: the client, or a proxy.
    pub neighbour: IpAddr,
    /// Whether the client speaks https, to a proxy we trust.
    pub https: bool,
    /// The lower-case authority the client asked that proxy for, where the proxy says so.
    pub host: Option<String>,
}

/// What proxies say of a client in one of the two ways there are; what is not said, or unreadable, is nothing.
#[derive(Default)]
struct Said {
    address: Option<IpAddr>,
    https: Option<bool>,
    host: Option<String>,
}

impl Peer {
    /// The client of a request that came over a connection from `address`.
    pub fn of(address: IpAddr, headers: &Headers, trusted: &[Network]) -> Peer {
        let is_trusted = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
        if !is_trusted(address) {
            return Peer { address, neighbour: address, https: false, host: None };
        }
        // A proxy writes one of the two, and passes on what a client wrote of the other. Where they contradict each
        // other, nobody knows which is which, and neither counts.
        let (new, old) = (forwarded(headers, is_trusted), x_forwarded(headers, is_trusted));
        Peer {
            address: agreed(new.address, old.address).unwrap_or(address),
            neighbour: address,
            https: agreed(new.https, old.https).unwrap_or(false),
            host: agreed(new.host, old.host),
        }
    }

    /// The scheme the client speaks.
    pub fn scheme(&self) -> &'static str {
        if self.https { "https" } else { "http" }
    }
}

fn agreed<T: PartialEq>(one: Option<T>, other: Option<T>) -> Option<T> {
    match (one, other) {
        (Some(one), Some(other)) => (one == other).then_some(one),
        (one, other) => one.or(other),
    }
}

/// `X-Forwarded-For`, `-Proto` and `-Host`.
fn x_forwarded(headers: &Headers, is_trusted: impl Fn(IpAddr) -> bool) -> Said {
    // Each proxy appends whom it heard; the last that is not one of ours is the client. What
    // stands before a hop that cannot be read was written by nobody knows whom.
    let named: Vec<Option<IpAddr>> =
        headers.get_all("x-forwarded-for").flat_map(|value| value.split(',')).map(parse_hop).collect();
    let readable = named.iter().rev().map_while(|hop| *hop);
    let client = readable.clone().find(|address| !is_trusted(*address));
    let last = |name| headers.get_all(name).last().and_then(|value| value.rsplit(',').next()).map(str::trim);
    Said {
        address: client.or_else(|| readable.last()),
        https: last("x-forwarded-proto").map(|scheme| scheme.eq_ignore_ascii_case("https")),
        host: last("x-forwarded-host").and_then(|host| authority(host.as_bytes())),
    }
}

/// `Forwarded` (RFC 7239): the element of the proxy that heard the client itself.
fn forwarded(headers: &Headers, is_trusted: impl Fn(IpAddr) -> bool) -> Said {
    let elements: Vec<Said> = headers
        .get_all("forwarded")
        .flat_map(|value| split_unquoted(value, ','))
        .map(parse_element)
        .collect();
    let mut found = Said::default();
    for element in elements.into_iter().rev() {
        let Some(hop) = element.address else { break };
        found = element;
        if !is_trusted(hop) {
            break;
        }
    }
    found
}

/// `for=192.0.2.60;proto=http;host=diary.example`, in any order and case.
fn parse_element(text: &str) -> Said {
    let mut said = Said::default();
    for pair in split_unquoted(text, ';') {
        let Some((name, value)) = pair.split_once('=') else { continue };
        let value = unquote(value.trim());
        match name.trim().to_ascii_lowercase().as_str() {
            "for" => said.address = parse_hop(&value),
            "proto" => said.https = Some(value.eq_ignore_ascii_case("https")),
            "host" => said.host = authority(value.as_bytes()),
            _ => {}
        }
    }
    said
}

/// The parts between separators that are in no quotes.
fn split_unquoted(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut begin, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if letter == separator && !quoted => {
                parts.push(&text[begin..at]);
                begin = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[begin..]);
    parts
}

/// A token, or what a quoted string says (RFC 9110 section 5.6.4).
fn unquote(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else {
        return text.to_owned();
    };
    let mut letters = inner.chars();
    let mut said = String::new();
    while let Some(letter) = letters.next() {
        said.extend(if letter == '\\' { letters.next() } else { Some(letter) });
    }
    said
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
/// very host and port it now talks to, or the owner named its origin. Over https a page that came
/// without is somebody else's; a proxy that is not trusted cannot say which it was.
pub fn is_own_origin(origin: &str, host: &str, https: bool, named: &[String]) -> bool {
    let origin = origin.trim_end_matches('/');
    if named.iter().any(|named| named.trim_end_matches('/').eq_ignore_ascii_case(origin)) {
        return true;
    }
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let default_port = match scheme.to_ascii_lowercase().as_str() {
        "http" if !https => ":80",
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
    let name = name_of(host);
    name.parse::<std::net::Ipv4Addr>().is_ok() || !name.contains('.') || is_below(name, &ENDINGS)
}

fn is_below(name: &str, endings: &[&str]) -> bool {
    let name = name.to_ascii_lowercase();
    endings.iter().any(|ending| name.ends_with(ending))
}

/// The name in an authority, without port and the dot of the root.
pub fn name_of(host: &str) -> &str {
    let name = match host.ends_with(']') {
        true => host,
        false => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.trim_end_matches('.')
}

/// The host name of an origin such as `https://diary.example:8443`, in lower case.
pub fn host_of_origin(origin: &str) -> Option<String> {
    let (_, rest) = origin.split_once("://")?;
    let authority = rest.split('/').next().unwrap_or_default();
    Some(name_of(authority).to_ascii_lowercase()).filter(|name| !name.is_empty())
}

/// The origin of a URL such as a `Referer`.
pub fn origin_of(url: &str) -> Option<&str> {
    let begin = url.find("://")? + 3;
    let end = url[begin..].find(['/', '?', '#']).map_or(url.len(), |length| begin + length);
    Some(&url[..end])
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
        let own = |origin, host| is_own_origin(origin, host, false, &["https://diary.example".to_owned()]);
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
    #[test]
    fn over_https_only_https_pages_are_our_own() {
        assert!(is_own_origin("https://diary.example", "diary.example", true, &[]));
        assert!(is_own_origin("https://diary.example", "diary.example:443", true, &[]));
        assert!(!is_own_origin("http://diary.example", "diary.example", true, &[]));
        assert!(!is_own_origin("http://diary.example:443", "diary.example", true, &[]));
    }

    #[test]
    fn parts_of_urls() {
        for (host, name) in [
            ("pi.local:8222", "pi.local"),
            ("pi.local.", "pi.local"),
            ("[::1]:80", "[::1]"),
            ("[::1]", "[::1]"),
        ] {
            assert_eq!(name_of(host), name);
        }
        assert_eq!(host_of_origin("https://Diary.example:8443/").as_deref(), Some("diary.example"));
        assert_eq!(host_of_origin("https://"), None);
        assert_eq!(origin_of("http://tv.local:3000/a?b"), Some("http://tv.local:3000"));
        assert_eq!(origin_of("https://a"), Some("https://a"));
        assert_eq!(origin_of("nothing"), None);
    }

    /// Headers as a request brings them.
    fn headers(lines: &str) -> Headers {
        let mut guard = crate::http::guard::Guard::new(crate::http::guard::GuardLimits::default());
        guard.feed(format!("GET / HTTP/1.1\r\nHost: inside\r\n{lines}\r\n").as_bytes());
        guard.head().expect("a good head").expect("a whole one").headers
    }

    #[test]
    fn proxies_are_believed_in_both_languages_and_never_when_they_disagree() {
        let trusted = [Network::parse("10.0.0.0/8").unwrap()];
        let peer = |lines: &str| {
            let peer = Peer::of("10.0.0.1".parse().unwrap(), &headers(lines), &trusted);
            (peer.address.to_string(), peer.https, peer.host.unwrap_or_default())
        };
        let expect = |address: &str, https, host: &str| (address.to_owned(), https, host.to_owned());
        let nothing = expect("10.0.0.1", false, "");
        for lines in [
            "Forwarded: for=192.0.2.7;proto=https;host=Diary.example\r\n",
            "forwarded: FOR=\"192.0.2.7:4711\" ; Proto=\"https\";host=\"diary.example\"\r\n",
            "Forwarded: for=198.51.100.1;host=evil.example, for=192.0.2.7;host=diary.example;proto=https, for=10.0.0.2;proto=http\r\n",
            "Forwarded: for=\"a,b;c\\\"\";host=evil.example\r\nForwarded: for=192.0.2.7;proto=https;host=diary.example\r\n",
            "X-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: diary.example\r\n",
            "X-Forwarded-For: evil, 192.0.2.7, 10.0.0.2\r\nX-Forwarded-Proto: http, HTTPS\r\nX-Forwarded-Host: evil.example, diary.example\r\n",
            "Forwarded: for=192.0.2.7;host=diary.example\r\nX-Forwarded-For: 192.0.2.7\r\nX-Forwarded-Proto: https\r\n",
        ] {
            assert_eq!(peer(lines), expect("192.0.2.7", true, "diary.example"), "{lines}");
        }
        for lines in [
            "",
            "Forwarded: for=unknown;proto=https;host=diary.example\r\n",
            "Forwarded: for=_hidden;proto=https\r\n",
            "Forwarded: proto=https\r\n",
            "Forwarded: ,;=,\"\r\n",
            "X-Forwarded-For: unknown\r\nX-Forwarded-Host: a/b\r\n",
            "Forwarded: for=192.0.2.7;proto=https;host=a\r\nX-Forwarded-For: 192.0.2.8\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: b\r\n",
        ] {
            assert_eq!(peer(lines), nothing, "{lines}");
        }
        assert_eq!(peer("Forwarded: for=\"[2001:db8::7]:1\"\r\n"), expect("2001:db8::7", false, ""));
        let stranger = Peer::of(
            "192.0.2.9".parse().unwrap(),
            &headers("Forwarded: for=1.2.3.4;proto=https;host=x\r\n"),
            &trusted,
        );
        assert_eq!(
            (stranger.address.to_string().as_str(), stranger.https, stranger.host),
            ("192.0.2.9", false, None)
        );
    }
}
