//! What this machine is called, and where the others in its network find it.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket},
    ptr,
};

/// This machine's name without its domain, where it is one that a link may hold.
pub fn host_name() -> Option<String> {
    label(&super::full_host_name()?).map(str::to_lowercase)
}

fn label(name: &str) -> Option<&str> {
    let label = name.split('.').next()?;
    let fits = label.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    (fits && !label.is_empty() && label != "localhost").then_some(label)
}

/// This machine's address in its network: the one it would speak from to the world, and where there is no way
/// out, the first that others can reach.
pub fn address() -> Option<IpAddr> {
    outward().or_else(|| own_addresses().into_iter().min_by_key(rank))
}

/// The address that packets to the world leave from. Connecting a datagram socket sends nothing; it asks the
/// kernel for the route. The address is one of documentation (RFC 5737), which nobody has.
fn outward() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    let address = socket.local_addr().ok()?.ip();
    is_reachable(&address).then_some(address)
}

/// Plain addresses of four numbers first, which people can type.
fn rank(address: &IpAddr) -> u8 {
    match address {
        IpAddr::V4(v4) if v4.is_private() => 0,
        IpAddr::V4(_) => 1,
        IpAddr::V6(_) => 2,
    }
}

/// Whether others may reach an address by a link: one of a single link only needs the name of an interface.
fn is_reachable(address: &IpAddr) -> bool {
    let single_link = match address {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.segments()[0] & 0xffc0 == 0xfe80,
    };
    !single_link && !address.is_loopback() && !address.is_unspecified()
}

/// The addresses of the interfaces that are up and can be reached by others.
fn own_addresses() -> Vec<IpAddr> {
    let mut found = Vec::new();
    let mut first: *mut libc::ifaddrs = ptr::null_mut();
    // SAFETY: on success the list is ours until it is freed below, and nothing of it is kept.
    unsafe {
        if libc::getifaddrs(&raw mut first) != 0 {
            return found;
        }
        let mut next = first;
        while let Some(interface) = next.as_ref() {
            next = interface.ifa_next;
            if interface.ifa_flags & libc::IFF_UP as libc::c_uint != 0 {
                found.extend(read_address(interface.ifa_addr).filter(is_reachable));
            }
        }
        libc::freeifaddrs(first);
    }
    found
}

/// The address in a structure of the system's.
///
/// # Safety
/// The pointer is null, or to a whole address of the family it says.
unsafe fn read_address(address: *const libc::sockaddr) -> Option<IpAddr> {
    // SAFETY: the caller vouches for the pointer; the family says which structure it is.
    unsafe {
        match i32::from(address.as_ref()?.sa_family) {
            libc::AF_INET => {
                let v4 = address.cast::<libc::sockaddr_in>().read_unaligned();
                Some(Ipv4Addr::from_bits(u32::from_be(v4.sin_addr.s_addr)).into())
            }
            libc::AF_INET6 => {
                let v6 = address.cast::<libc::sockaddr_in6>().read_unaligned();
                Some(Ipv6Addr::from(v6.sin6_addr.s6_addr).into())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_first_word_of_it() {
        assert_eq!(label("raspberrypi"), Some("raspberrypi"));
        assert_eq!(label("Pi-4.fritz.box"), Some("Pi-4"));
        for none in ["", "localhost", "localhost.localdomain", "käse", "a b", ".local"] {
            assert_eq!(label(none), None, "{none}");
        }
    }

    #[test]
    fn addresses_of_one_link_or_one_machine_are_not_for_others() {
        for reachable in ["192.168.1.7", "10.0.0.1", "fd00::1", "2001:db8::1", "203.0.113.9"] {
            assert!(is_reachable(&reachable.parse().unwrap()), "{reachable}");
        }
        for not in ["127.0.0.1", "::1", "169.254.1.1", "fe80::1", "0.0.0.0", "::"] {
            assert!(!is_reachable(&not.parse().unwrap()), "{not}");
        }
        let mut several: Vec<IpAddr> =
            ["fd00::1", "203.0.113.9", "192.168.1.7"].map(|text| text.parse().unwrap()).into();
        several.sort_by_key(rank);
        assert_eq!(several[0].to_string(), "192.168.1.7");
    }

    #[test]
    fn what_is_found_is_an_address_of_this_machine() {
        for found in own_addresses().into_iter().chain(address()) {
            assert!(is_reachable(&found), "{found}");
            // Only one's own address can be listened on.
            std::net::TcpListener::bind((found, 0)).unwrap_or_else(|error| panic!("{found}: {error}"));
        }
    }
}
