//! A bare connection: bytes out, whole replies in. Knows how a reply is framed and nothing else.

use super::{PATIENCE, Reply};
use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpStream},
    os::fd::{AsRawFd, FromRawFd},
    time::{Duration, Instant},
};

pub struct Wire {
    stream: TcpStream,
    /// Read from the stream, not yet taken.
    pub ahead: Vec<u8>,
}

impl Wire {
    #[track_caller]
    pub fn open(address: SocketAddr) -> Wire {
        Wire::try_open(address).unwrap_or_else(|error| panic!("cannot connect to {address}: {error}"))
    }

    pub fn try_open(address: SocketAddr) -> std::io::Result<Wire> {
        Wire::over(TcpStream::connect_timeout(&address, PATIENCE)?)
    }

    /// From another of this machine's own addresses, such as 127.0.0.2.
    #[track_caller]
    pub fn open_from(source: Ipv4Addr, address: SocketAddr) -> Wire {
        let SocketAddr::V4(target) = address else { panic!("{address} is not of IPv4") };
        let form = |ip: Ipv4Addr, port: u16| libc::sockaddr_in {
            sin_family: libc::AF_INET as libc::sa_family_t,
            sin_port: port.to_be(),
            sin_addr: libc::in_addr { s_addr: u32::from(ip).to_be() },
            sin_zero: [0; 8],
        };
        let (from, to) = (form(source, 0), form(*target.ip(), target.port()));
        let length = size_of::<libc::sockaddr_in>() as libc::socklen_t;
        // SAFETY: the addresses are whole and as long as said, and the stream owns the descriptor.
        let stream = unsafe {
            let socket = libc::socket(libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0);
            assert!(socket >= 0, "{}", std::io::Error::last_os_error());
            let stream = TcpStream::from_raw_fd(socket);
            let bound = libc::bind(socket, (&raw const from).cast(), length);
            assert_eq!(bound, 0, "{}", std::io::Error::last_os_error());
            let connected = libc::connect(socket, (&raw const to).cast(), length);
            assert_eq!(connected, 0, "{}", std::io::Error::last_os_error());
            stream
        };
        Wire::over(stream).expect("a connection that can be set up")
    }

    /// The same connection once more, to send from one thread and read in another.
    #[track_caller]
    pub fn twin(&self) -> Wire {
        Wire { stream: self.stream.try_clone().expect("one more descriptor"), ahead: Vec::new() }
    }

    fn over(stream: TcpStream) -> std::io::Result<Wire> {
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        Ok(Wire { stream, ahead: Vec::new() })
    }

    #[track_caller]
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.try_send(bytes).expect("the server takes what is sent");
    }

    /// For what the server may refuse before it has read all of it.
    pub fn try_send(&mut self, bytes: impl AsRef<[u8]>) -> std::io::Result<()> {
        self.stream.write_all(bytes.as_ref())
    }

    /// Byte by byte, each in a packet of its own.
    #[track_caller]
    pub fn send_slowly(&mut self, bytes: impl AsRef<[u8]>) {
        for byte in bytes.as_ref() {
            self.send([*byte]);
        }
    }

    /// No more from this side; replies still come.
    pub fn finish_sending(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Reads more into `ahead`; 0 at the end of the stream.
    pub fn fill(&mut self) -> std::io::Result<usize> {
        let mut buffer = [0; 16 * 1024];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(count) => {
                    self.ahead.extend_from_slice(&buffer[..count]);
                    return Ok(count);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Takes exactly so many bytes, or `None` where the stream ends first.
    pub fn take(&mut self, count: usize) -> std::io::Result<Option<Vec<u8>>> {
        while self.ahead.len() < count {
            if self.fill()? == 0 {
                return Ok(None);
            }
        }
        Ok(Some(self.ahead.drain(..count).collect()))
    }

    /// The next reply, complete. `method` is what was asked with: a HEAD has no body.
    #[track_caller]
    pub fn reply(&mut self, method: &str) -> Reply {
        match self.try_reply(method) {
            Ok(reply) => reply,
            Err(what) => {
                panic!("no complete reply: {what}; read so far: {:?}", String::from_utf8_lossy(&self.ahead))
            }
        }
    }

    pub fn try_reply(&mut self, method: &str) -> Result<Reply, String> {
        let end = loop {
            if let Some(position) = self.ahead.windows(4).position(|window| window == b"\r\n\r\n") {
                break position;
            }
            match self.fill() {
                Ok(0) => return Err("the connection was closed".into()),
                Ok(_) => {}
                Err(error) => return Err(error.to_string()),
            }
        };
        let head: Vec<u8> = self.ahead.drain(..end + 4).collect();
        let mut reply = parse_head(&head[..end])?;
        let has_body = method != "HEAD" && !matches!(reply.status, 100..=199 | 204 | 304);
        if reply.header("Transfer-Encoding").is_some() {
            return Err(format!("a reply with Transfer-Encoding: {reply:?}"));
        }
        if has_body {
            let length =
                reply.header("Content-Length").ok_or_else(|| format!("no Content-Length: {reply:?}"))?;
            let length: usize = length.parse().map_err(|_| format!("Content-Length {length:?}"))?;
            reply.body = self
                .take(length)
                .map_err(|error| format!("body cut off: {error}; {reply:?}"))?
                .ok_or_else(|| format!("body cut off: {reply:?}"))?;
        }
        Ok(reply)
    }

    /// The server closes, and nothing comes before that.
    #[track_caller]
    pub fn expect_end(&mut self) {
        let start = Instant::now();
        match self.fill() {
            Ok(0) => {}
            Ok(_) => panic!("bytes instead of the end: {:?}", String::from_utf8_lossy(&self.ahead)),
            // A reset is an end too, though not a polite one.
            Err(error) if matches!(error.kind(), ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {}
            Err(error) => panic!("the connection stays open ({error} after {:?})", start.elapsed()),
        }
        assert!(self.ahead.is_empty(), "left over: {:?}", String::from_utf8_lossy(&self.ahead));
    }

    /// Whether a next request may be sent here: still open, and nothing came unasked.
    pub fn is_fresh(&mut self) -> bool {
        if !self.ahead.is_empty() || self.stream.set_nonblocking(true).is_err() {
            return false;
        }
        let mut byte = [0];
        let quiet =
            matches!(self.stream.peek(&mut byte), Err(error) if error.kind() == ErrorKind::WouldBlock);
        self.stream.set_nonblocking(false).is_ok() && quiet
    }

    pub fn set_patience(&self, patience: Duration) {
        self.stream.set_read_timeout(Some(patience)).unwrap();
    }

    /// Keeps the kernel from taking much that nobody reads: the peer soon has to wait.
    pub fn take_little(&self) {
        self.take_at_once(4096);
    }

    /// The end of that: what is read now comes as fast as to anybody.
    pub fn take_much(&self) {
        self.take_at_once(1 << 20);
    }

    fn take_at_once(&self, bytes: libc::c_int) {
        // SAFETY: the option's value is an int, and the stream is open.
        let set = unsafe {
            libc::setsockopt(
                self.stream.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_RCVBUF,
                (&raw const bytes).cast(),
                size_of_val(&bytes) as libc::socklen_t,
            )
        };
        assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
    }

    /// Waits until one of the wires has something to read, and says which have. They are looked at
    /// in order: what had come to a later one before it came to an earlier one is seen.
    #[track_caller]
    pub fn wait_for_any<const N: usize>(wires: [&Wire; N], patience: Duration) -> [bool; N] {
        let look =
            |wire: &Wire| libc::pollfd { fd: wire.stream.as_raw_fd(), events: libc::POLLIN, revents: 0 };
        let mut looks = wires.map(look);
        // SAFETY: as many entries as said, of streams that are open.
        let count =
            unsafe { libc::poll(looks.as_mut_ptr(), N as libc::nfds_t, patience.as_millis() as libc::c_int) };
        assert!(count >= 0, "{}", std::io::Error::last_os_error());
        looks.map(|look| look.revents != 0)
    }
}

fn parse_head(head: &[u8]) -> Result<Reply, String> {
    let head = std::str::from_utf8(head).map_err(|_| "a head that is not UTF-8".to_string())?;
    let mut lines = head.split("\r\n");
    let line = lines.next().unwrap_or_default();
    let mut words = line.splitn(3, ' ');
    let (version, status) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
    if !matches!(version, "HTTP/1.1" | "HTTP/1.0") || status.len() != 3 {
        return Err(format!("status line {line:?}"));
    }
    let status = status.parse().map_err(|_| format!("status line {line:?}"))?;
    let mut headers = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| format!("header line {line:?}"))?;
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty()
            || !name.bytes().all(token)
            || value.bytes().any(|byte| byte != b'\t' && byte < b' ')
        {
            return Err(format!("header line {line:?}"));
        }
        headers.push((name.to_string(), value.trim().to_string()));
    }
    for name in ["Content-Length", "Content-Type", "X-Request-Id"] {
        let count = headers.iter().filter(|(have, _)| have.eq_ignore_ascii_case(name)).count();
        if count > 1 {
            return Err(format!("{count} times {name} in {head:?}"));
        }
    }
    Ok(Reply { line: line.into(), status, headers, body: Vec::new(), asked: String::new() })
}
