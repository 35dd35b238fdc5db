//! Links to this server for people in front of its terminal.

use crate::cli::{PORT, print};
use crate::store::lock::Lock;
use std::{
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket},
    path::Path,
};

/// Where a server is that listens on `address`, as others in its network write it.
fn places(address: SocketAddr) -> Vec<String> {
    let place = |host: &str| format!("http://{host}:{}", address.port());
    let ip = |ip: IpAddr| match ip.to_canonical() {
        IpAddr::V4(v4) => place(&v4.to_string()),
        IpAddr::V6(v6) => place(&format!("[{v6}]")),
    };
    if address.ip().is_loopback() {
        return vec![ip(address.ip())];
    }
    let own = if address.ip().is_unspecified() { own_address() } else { Some(address.ip()) };
    let host = fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let name = host.map(|host| place(&format!("{}.local", host.trim())));
    let found: Vec<String> = own.map(ip).into_iter().chain(name).collect();
    if found.is_empty() { vec![place("localhost")] } else { found }
}

/// The address of the interface that leads outside. Nothing is sent for that.
fn own_address() -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// Where the server of a data directory listens, or will listen unless told otherwise; and whether it runs.
pub(super) fn server_of(data: &Path) -> (SocketAddr, bool) {
    let by_default = SocketAddr::from((Ipv4Addr::UNSPECIFIED, PORT));
    // A server that was killed leaves its address behind, but not its lock.
    if Lock::take(data).is_ok() {
        return (by_default, false);
    }
    let told = fs::read_to_string(data.join("address")).ok();
    (told.and_then(|text| text.trim().parse().ok()).unwrap_or(by_default), true)
}

/// Prints a link under each name of the server.
pub(super) fn show(heading: &str, address: SocketAddr, path: &str, closing: &str) -> Result<(), String> {
    let list: String = places(address).iter().map(|place| format!("  {place}{path}\n")).collect();
    print(&format!("\n{heading}\n\n{list}\n{closing}"))
}
