//! Links to this server for people in front of its terminal, with a code for their phones.

use crate::api::qr;
use crate::cli::print;
use crate::io::lan;
use crate::store::lock::Lock;
use std::{
    fs,
    io::IsTerminal,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
};

/// Where a server is that listens on `address`, as others in its network write it; the one for phones first,
/// because not all of them know names that end in `.local`.
pub(super) fn places(address: SocketAddr) -> Vec<String> {
    let place = |host: &str| format!("http://{host}:{}", address.port());
    let ip = |ip: IpAddr| match ip.to_canonical() {
        IpAddr::V4(v4) => place(&v4.to_string()),
        IpAddr::V6(v6) => place(&format!("[{v6}]")),
    };
    if address.ip().is_loopback() {
        return vec![ip(address.ip())];
    }
    let own = if address.ip().is_unspecified() { lan::address() } else { Some(address.ip()) };
    let name = lan::host_name().map(|name| place(&format!("{name}.local")));
    let found: Vec<String> = own.map(ip).into_iter().chain(name).collect();
    if found.is_empty() { vec![place("localhost")] } else { found }
}

/// Where the server of a data directory listens, or will listen, as far as its port is known; and whether it runs.
pub(super) fn server_of(data: &Path, port: u16) -> (SocketAddr, bool) {
    let by_default = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    // A server that was killed leaves its address behind, but not its lock.
    if !Lock::is_taken(data) {
        return (by_default, false);
    }
    let told = fs::read_to_string(data.join("address")).ok();
    (told.and_then(|text| text.trim().parse().ok()).unwrap_or(by_default), true)
}

/// Prints a link under each name of the server, and the code of the first.
pub(super) fn show(heading: &str, address: SocketAddr, path: &str, closing: &str) -> Result<(), String> {
    let links: Vec<String> = places(address).iter().map(|place| format!("{place}{path}")).collect();
    let code = qr::Code::of(&links[0]).map(|code| code.to_terminal(std::io::stdout().is_terminal()));
    let list: String = links.iter().map(|link| format!("  {link}\n")).collect();
    print(&format!("\n{heading}\n\n{list}\n{}\n{closing}", code.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_where_it_listens() {
        let of = |text: &str| places(text.parse().unwrap());
        assert_eq!(of("127.0.0.1:81"), ["http://127.0.0.1:81"]);
        assert_eq!(of("[::1]:81"), ["http://[::1]:81"]);
        assert_eq!(of("192.168.1.7:81")[0], "http://192.168.1.7:81");
        assert_eq!(of("[::ffff:192.168.1.7]:81")[0], "http://192.168.1.7:81");
        for everywhere in ["0.0.0.0:81", "[::]:81"] {
            let places = of(everywhere);
            assert!(!places.is_empty() && places.iter().all(|place| place.ends_with(":81")), "{places:?}");
            assert!(!places.iter().any(|place| place.contains("0.0.0.0") || place.contains("[::]")));
        }
    }
}
