//! Listening and connected sockets on the loop.
//!
//! Nothing here interprets a byte; HTTP and WebSocket live two floors up.

use crate::io::reactor::{Direction, Source};
use std::{
    cell::RefCell,
    future::poll_fn,
    io::{self, Read, Write},
    net::{IpAddr, SocketAddr, TcpListener, TcpStream},
    os::fd::{AsRawFd, FromRawFd, RawFd},
    task::{Context, Poll},
    time::Duration,
};

/// Accepts connections.
pub struct Listener {
    source: Source,
    socket: TcpListener,
    inherited: bool,
}

/// Connections that wait in the kernel at most: a whole household coming back at once.
const BACKLOG: i32 = 1024;

/// What every accepted connection inherits.
#[derive(Clone, Copy, Debug)]
pub struct Tuning {
    /// How long the kernel tries to get bytes to a silent peer.
    pub unacknowledged: Duration,
}

impl Listener {
    /// Listens on `address`.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub fn bind(address: SocketAddr, tuning: Tuning) -> io::Result<Listener> {
        Listener::new(TcpListener::bind(address)?, false, tuning)
    }

    /// Takes over a socket that listens already, and that others may hold as well: what this process does not accept
    /// stays in its queue for the next.
    ///
    /// # Errors
    /// A sentence on what it is instead.
    ///
    /// # Safety
    /// Nobody else in this process uses the descriptor.
    pub unsafe fn inherit(fd: RawFd, tuning: Tuning) -> Result<Listener, String> {
        let about = |name| option(fd, libc::SOL_SOCKET, name);
        let kind = about(libc::SO_TYPE).map_err(|error| format!("is no socket: {error}"))?;
        if kind != libc::SOCK_STREAM {
            return Err("carries datagrams, and not a stream (ListenStream=)".to_owned());
        }
        if !matches!(about(libc::SO_DOMAIN), Ok(libc::AF_INET | libc::AF_INET6)) {
            return Err("is a local one, where people have no addresses; it has to be TCP".to_owned());
        }
        if about(libc::SO_ACCEPTCONN).ok() != Some(1) {
            return Err("does not listen: it is a connection (Accept=no is needed)".to_owned());
        }
        // SAFETY: it is open, or the kernel would not know its type, and the caller has no other use for it.
        let socket = unsafe { TcpListener::from_raw_fd(fd) };
        // What this process starts is not to inherit it.
        // SAFETY: only sets a flag of a descriptor that is ours.
        unsafe { libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC) };
        Listener::new(socket, true, tuning).map_err(|error| format!("cannot be listened on: {error}"))
    }

    fn new(socket: TcpListener, inherited: bool, tuning: Tuning) -> io::Result<Listener> {
        socket.set_nonblocking(true)?;
        let fd = socket.as_raw_fd();
        // SAFETY: only changes the length of the queue of a socket that listens already.
        if unsafe { libc::listen(fd, BACKLOG) } != 0 {
            return Err(io::Error::last_os_error());
        }
        // Accepted sockets inherit these, which saves three system calls for each.
        set_option(fd, libc::IPPROTO_TCP, libc::TCP_NODELAY, 1)?;
        let millis = u32::try_from(tuning.unacknowledged.as_millis()).unwrap_or(u32::MAX);
        set_option(fd, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, millis)?;
        Ok(Listener { source: Source::new(fd)?, socket, inherited })
    }

    /// Whether others hold it as well, so that its queue outlives this process.
    pub fn is_inherited(&self) -> bool {
        self.inherited
    }

    /// Where it listens; with port 0 asked for, the port that was given.
    ///
    /// # Errors
    /// Those of the system call.
    pub fn local_address(&self) -> io::Result<SocketAddr> {
        self.socket.local_addr()
    }

    /// The next connection and the address it comes from.
    ///
    /// # Errors
    /// Those of `accept(2)`; out of descriptors is one, so the caller must not spin.
    pub async fn accept(&self) -> io::Result<(Stream, IpAddr)> {
        let (socket, address) = self.source.perform(Direction::Read, || self.socket.accept()).await?;
        Ok((Stream::new(socket)?, address.ip().to_canonical()))
    }

    /// A connection that is there already, if there is one.
    pub fn try_accept(&self) -> Option<(Stream, IpAddr)> {
        let (socket, address) = self.socket.accept().ok()?;
        Some((Stream::new(socket).ok()?, address.ip().to_canonical()))
    }
}

/// Raises this process's limit on open descriptors to `wanted`, as far as it may, and says what it is
/// now.
///
/// # Errors
/// Those of the system calls.
pub fn raise_descriptor_limit(wanted: u64) -> io::Result<u64> {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel fills in the structure we own.
    if unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &raw mut limit) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let wanted = libc::rlim_t::try_from(wanted).unwrap_or(libc::rlim_t::MAX).min(limit.rlim_max);
    if limit.rlim_cur < wanted {
        limit.rlim_cur = wanted;
        // SAFETY: only reads the structure.
        if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    // On 32-bit systems the number is narrower.
    #[allow(clippy::useless_conversion)]
    Ok(u64::from(limit.rlim_cur))
}

fn set_option(fd: RawFd, level: i32, name: i32, value: u32) -> io::Result<()> {
    let value = value as libc::c_int;
    let length = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: the value lives through the call and has the length we say.
    match unsafe { libc::setsockopt(fd, level, name, (&raw const value).cast(), length) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn option(fd: RawFd, level: i32, name: i32) -> io::Result<i32> {
    let (mut value, mut length) = (0 as libc::c_int, size_of::<libc::c_int>() as libc::socklen_t);
    // SAFETY: the kernel writes at most so many bytes into the number we own.
    match unsafe { libc::getsockopt(fd, level, name, (&raw mut value).cast(), &raw mut length) } {
        0 => Ok(value),
        _ => Err(io::Error::last_os_error()),
    }
}

thread_local! {
    static SCRATCH: RefCell<Vec<u8>> = RefCell::new(vec![0; SCRATCH_BYTES]);
}

/// The most that is read at a time.
pub const SCRATCH_BYTES: usize = 16 << 10;

/// A connected socket.
pub struct Stream {
    // Declared before the socket, so that it is dropped, and the kernel stops watching, first.
    source: Source,
    socket: TcpStream,
}

impl Stream {
    /// Puts a connected socket on the loop.
    ///
    /// # Errors
    /// When the kernel refuses to watch it.
    pub fn new(socket: TcpStream) -> io::Result<Stream> {
        socket.set_nonblocking(true)?;
        Ok(Stream { source: Source::new(socket.as_raw_fd())?, socket })
    }

    /// Hands what is there now to `take`; nothing at all is the end of the stream. The bytes lie in
    /// a buffer that all connections share, so what is to be kept must be copied.
    ///
    /// # Errors
    /// `WouldBlock` when there is nothing to read yet.
    pub fn try_take<T>(&self, take: impl FnOnce(&[u8]) -> T) -> io::Result<T> {
        SCRATCH.with_borrow_mut(|scratch| {
            let count = self.source.attempt(Direction::Read, || (&self.socket).read(scratch))?;
            if count < scratch.len() {
                self.source.drained();
            }
            Ok(take(&scratch[..count]))
        })
    }

    /// As [`Stream::try_take`], but waits until there is something.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn take<T>(&self, mut take: impl FnMut(&[u8]) -> T) -> io::Result<T> {
        poll_fn(|context| {
            loop {
                match self.try_take(&mut take) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        if self.poll_readable(context).is_pending() {
                            return Poll::Pending;
                        }
                    }
                    result => return Poll::Ready(result),
                }
            }
        })
        .await
    }

    /// Reads and throws away until the peer is done or `most` bytes have come.
    pub async fn discard(&self, most: usize) {
        let mut left = most;
        while let Ok(count @ 1..) = self.take(<[u8]>::len).await {
            left = left.saturating_sub(count);
            if left == 0 {
                return;
            }
        }
    }

    /// Writes what fits now.
    ///
    /// # Errors
    /// `WouldBlock` when nothing does.
    pub fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.source.attempt(Direction::Write, || (&self.socket).write(bytes))
    }

    /// Writes some of `bytes` as soon as the kernel takes any.
    ///
    /// # Errors
    /// Those of the connection.
    pub async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        self.source.perform(Direction::Write, || (&self.socket).write(bytes)).await
    }

    /// Whether there may be something to read; if not, the task is woken when there is.
    pub fn poll_readable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.source.poll_ready(Direction::Read, context)
    }

    /// Whether there may be room to write; if not, the task is woken when there is.
    pub fn poll_writable(&self, context: &mut Context<'_>) -> Poll<()> {
        self.source.poll_ready(Direction::Write, context)
    }

    /// Bounds the kernel's send buffer, of which a sleeping phone would otherwise hold megabytes. Not
    /// for long answers: over a fast link they would crawl. The kernel takes half for itself.
    pub fn bound_send_buffer(&self, bytes: u64) {
        let half = u32::try_from(bytes / 2).unwrap_or(u32::MAX);
        // Without it the socket works as well, only larger.
        let _ = set_option(self.socket.as_raw_fd(), libc::SOL_SOCKET, libc::SO_SNDBUF, half);
    }

    /// Tells the peer that nothing more will come. Errors do not matter: the peer may be gone.
    pub fn finish(&self) {
        let _ = self.socket.shutdown(std::net::Shutdown::Write);
    }
}
