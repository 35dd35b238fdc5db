//! A WebSocket as a client sees it: the handshake, frames in and out, pongs by themselves. What the
//! texts say is for others to know.

use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::figure::{Context, Outcome};

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// The close code of a connection that ended without one.
pub const TORN: u16 = 1006;

/// Where a connection comes from.
#[derive(Clone, Copy, Debug)]
pub struct Origin {
    /// The address is 127.0.0.`host`: one address has too few ports for a large run.
    pub host: u8,
    /// How much of what was not read the kernel keeps, about, if it is to be less than usual.
    pub receive_bytes: Option<i32>,
}

impl Default for Origin {
    fn default() -> Origin {
        Origin { host: 1, receive_bytes: None }
    }
}

/// A socket that never waits.
pub struct Socket {
    stream: TcpStream,
    /// The beginning of a frame whose end is still to come.
    partial: Vec<u8>,
    upgraded: bool,
    pings: usize,
}

impl Socket {
    /// Connects and asks for an upgrade to `path`, with `headers` as complete lines. The answer is
    /// taken with the first texts.
    ///
    /// # Errors
    /// Nobody listens.
    pub fn open(origin: Origin, address: SocketAddr, path: &str, headers: &str) -> Outcome<Socket> {
        let mut stream = connect(origin, address)?;
        stream.set_nodelay(true).context("connecting a socket")?;
        stream.set_nonblocking(true).context("connecting a socket")?;
        let upgrade = format!(
            "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
        );
        stream.write_all(upgrade.as_bytes()).context("upgrading")?;
        Ok(Socket { stream, partial: Vec::new(), upgraded: false, pings: 0 })
    }

    /// Whether the handshake was answered.
    pub fn is_upgraded(&self) -> bool {
        self.upgraded
    }

    /// How many pings have come, and were answered.
    pub fn pings(&self) -> usize {
        self.pings
    }

    /// Sends one text.
    ///
    /// # Errors
    /// The connection is broken, or takes nothing.
    pub fn send(&mut self, text: &str) -> Outcome<()> {
        self.send_all(&masked(TEXT, text.as_bytes()))
    }

    /// Sends frames made with [`text_frame`] in one piece.
    ///
    /// # Errors
    /// As [`Socket::send`].
    pub fn send_all(&mut self, frames: &[u8]) -> Outcome<()> {
        self.stream.write_all(frames).context("sending a frame")
    }

    /// Reads once what is there and hands on each complete text. A close code when the connection has
    /// ended.
    ///
    /// # Errors
    /// A refused handshake, bytes that are no frames, or what `heard` says.
    pub fn receive(
        &mut self,
        buffer: &mut [u8],
        heard: &mut impl FnMut(&[u8]) -> Outcome<()>,
    ) -> Outcome<Option<u16>> {
        let count = match self.stream.read(buffer) {
            Ok(0) => return Ok(Some(TORN)),
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(Some(TORN)),
            Err(error) => return Err(error.to_string()),
        };
        if self.partial.is_empty() && self.upgraded {
            let (used, closed) = self.take_frames(&buffer[..count], heard)?;
            self.partial.extend_from_slice(&buffer[used..count]);
            return Ok(closed);
        }
        let mut bytes = std::mem::take(&mut self.partial);
        bytes.extend_from_slice(&buffer[..count]);
        if !self.upgraded {
            let Some(end) = upgraded(&bytes)? else {
                self.partial = bytes;
                return Ok(None);
            };
            self.upgraded = true;
            bytes.drain(..end);
        }
        let (used, closed) = self.take_frames(&bytes, heard)?;
        bytes.drain(..used);
        self.partial = bytes;
        Ok(closed)
    }

    /// Takes the complete frames from `bytes` and says how many bytes they had.
    fn take_frames(
        &mut self,
        bytes: &[u8],
        heard: &mut impl FnMut(&[u8]) -> Outcome<()>,
    ) -> Outcome<(usize, Option<u16>)> {
        let mut used = 0;
        while let Some((kind, from, to)) = frame(&bytes[used..]) {
            let payload = &bytes[used + from..used + to];
            used += to;
            match kind {
                TEXT => heard(payload)?,
                PING => {
                    self.pings += 1;
                    self.send_all(&masked(PONG, payload))?;
                }
                PONG => {}
                CLOSE => {
                    let code = payload.first_chunk().map_or(TORN, |code| u16::from_be_bytes(*code));
                    return Ok((used, Some(code)));
                }
                other => return Err(format!("a frame of kind {other}: {payload:?}")),
            }
        }
        Ok((used, None))
    }

    /// Ends the connection in both directions, so that the peer sees it at once.
    pub fn shut_down(&self) {
        // A connection that is gone already is what was wanted.
        let _ = self.stream.shutdown(std::net::Shutdown::Both);
    }

    /// The connection's own address and the server's.
    ///
    /// # Errors
    /// Those of the system calls.
    pub fn addresses(&self) -> Outcome<(SocketAddr, SocketAddr)> {
        let own = self.stream.local_addr().context("a socket's address")?;
        Ok((own, self.stream.peer_addr().context("a socket's address")?))
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> i32 {
        self.stream.as_raw_fd()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// A text as a client must send it.
pub fn text_frame(text: &str) -> Vec<u8> {
    masked(TEXT, text.as_bytes())
}

/// A frame with a mask of zeroes, which leaves the payload as it is.
fn masked(kind: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0x80 | kind];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length => {
            let length = u16::try_from(length).expect("we send no long texts");
            frame.push(0x80 | 126);
            frame.extend_from_slice(&length.to_be_bytes());
        }
    }
    frame.extend_from_slice(&[0; 4]);
    frame.extend_from_slice(payload);
    frame
}

/// Kind, begin and end of the payload of a complete frame at the front. A server does not mask.
fn frame(bytes: &[u8]) -> Option<(u8, usize, usize)> {
    let kind = bytes.first()? & 0x0f;
    let (from, length) = match *bytes.get(1)? {
        126 => (4, u64::from(u16::from_be_bytes(*bytes.get(2..)?.first_chunk()?))),
        127 => (10, u64::from_be_bytes(*bytes.get(2..)?.first_chunk()?)),
        short => (2, u64::from(short)),
    };
    let to = from + usize::try_from(length).ok()?;
    (bytes.len() >= to).then_some((kind, from, to))
}

/// Where the 101 ends; `None` while bytes are missing.
fn upgraded(bytes: &[u8]) -> Outcome<Option<usize>> {
    let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") else {
        return Ok(None);
    };
    if bytes.starts_with(b"HTTP/1.1 101 ") {
        return Ok(Some(end + 4));
    }
    Err(format!("the upgrade was refused: {}", String::from_utf8_lossy(bytes)))
}

/// A connection. Its receive buffer has to be bounded before connecting, because the handshake promises the
/// peer a window.
fn connect(origin: Origin, address: SocketAddr) -> Outcome<TcpStream> {
    let SocketAddr::V4(to) = address else { return Err(format!("{address} is not of this machine")) };
    // SAFETY: plain system calls; the descriptor is checked and owned at once, the numbers and addresses
    // are ours and have the lengths we say.
    unsafe {
        let fd = libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0);
        if fd < 0 {
            return Err(format!("making a socket: {}", std::io::Error::last_os_error()));
        }
        let stream = TcpStream::from(OwnedFd::from_raw_fd(fd));
        let mut options = vec![(libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)];
        options.extend(origin.receive_bytes.map(|bytes| (libc::SOL_SOCKET, libc::SO_RCVBUF, bytes)));
        for (level, name, value) in options {
            let length = size_of::<libc::c_int>() as libc::socklen_t;
            libc::setsockopt(fd, level, name, (&raw const value).cast(), length);
        }
        let length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        let from = ipv4(Ipv4Addr::new(127, 0, 0, origin.host), 0);
        let to = ipv4(*to.ip(), to.port());
        if libc::bind(fd, (&raw const from).cast(), length) != 0
            || libc::connect(fd, (&raw const to).cast(), length) != 0
        {
            return Err(format!("connecting a socket: {}", std::io::Error::last_os_error()));
        }
        Ok(stream)
    }
}

fn ipv4(address: Ipv4Addr, port: u16) -> libc::sockaddr_in {
    libc::sockaddr_in {
        sin_family: libc::AF_INET as libc::sa_family_t,
        sin_port: port.to_be(),
        sin_addr: libc::in_addr { s_addr: u32::from_ne_bytes(address.octets()) },
        sin_zero: [0; 8],
    }
}
