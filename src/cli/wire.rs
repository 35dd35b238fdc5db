//! A client of a few lines, for looking at a server from outside: one request, or a socket, over plain HTTP or through
//! `openssl s_client`. Not for anything that has to be quick.
//!
//! There is no TLS in this program. For https the bytes go through the `openssl` that is on the machine.

use crate::domain::{id::random, token::base64};
use crate::http::upgrade::accept_key;
use std::{
    collections::VecDeque,
    io::{self, Read, Write},
    net::{IpAddr, Shutdown, SocketAddr, TcpStream, ToSocketAddrs},
    process::{Child, Command, Stdio},
    sync::mpsc::{self, Receiver, RecvTimeoutError, Sender},
    thread,
    time::{Duration, Instant},
};

/// Where something is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Url {
    /// Whether it is spoken through TLS.
    pub https: bool,
    /// The name or address, without brackets.
    pub host: String,
    /// The port.
    pub port: u16,
    /// What stands behind it; begins with `/`.
    pub path: String,
}

impl Url {
    /// Reads `http://…` or `https://…`.
    pub fn parse(text: &str) -> Result<Url, String> {
        let wrong = || format!("'{text}' is not a URL, such as https://diary.example");
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let https = match scheme.to_ascii_lowercase().as_str() {
            "http" => false,
            "https" => true,
            _ => return Err(wrong()),
        };
        let (authority, path) = match rest.find(['/', '?', '#']) {
            Some(end) => (&rest[..end], &rest[end..]),
            None => (rest, "/"),
        };
        let default = if https { 443 } else { 80 };
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port.parse().map_err(|_| wrong())?),
            _ => (authority, default),
        };
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:".contains(&byte);
        if bare.is_empty() || !bare.bytes().all(plain) || path.bytes().any(|byte| byte <= b' ') {
            return Err(wrong());
        }
        let path = path.split('#').next().unwrap_or("/");
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/{path}") };
        Ok(Url { https, host: bare.to_ascii_lowercase(), port, path })
    }

    /// The host, and the port where it is none of the usual ones.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        match (self.https, self.port) {
            (false, 80) | (true, 443) => host,
            (_, port) => format!("{host}:{port}"),
        }
    }

    /// What a browser calls the pages from there.
    pub fn origin(&self) -> String {
        format!("{}://{}", if self.https { "https" } else { "http" }, self.authority())
    }
}

/// A connection. Reading and writing are on threads of their own, so that whoever uses it can stop waiting.
pub(super) struct Wire {
    outgoing: Sender<Vec<u8>>,
    incoming: Receiver<Vec<u8>>,
    read_ahead: VecDeque<u8>,
    other_end: End,
}

enum End {
    Socket(TcpStream),
    Openssl(Child),
}

impl Drop for Wire {
    fn drop(&mut self) {
        match &mut self.other_end {
            End::Socket(socket) => {
                let _ = socket.shutdown(Shutdown::Both);
            }
            End::Openssl(child) => {
                let _ = child.kill();
                let _ = child.wait();
            }
        }
    }
}

/// The two addresses of a connection: here and there.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    /// This machine's.
    pub here: IpAddr,
    /// The other one's.
    pub there: SocketAddr,
}

/// Tries whether anybody is there.
pub(super) fn reach(url: &Url, patience: Duration) -> Result<Ends, String> {
    let socket = connect(url, patience)?;
    let here = socket.local_addr().map_err(|error| error.to_string())?.ip().to_canonical();
    let there = socket.peer_addr().map_err(|error| error.to_string())?;
    Ok(Ends { here, there })
}

fn connect(url: &Url, patience: Duration) -> Result<TcpStream, String> {
    let found = (url.host.as_str(), url.port).to_socket_addrs();
    let found = found.map_err(|_| format!("the name {} is not known here", url.host))?;
    let mut last = format!("the name {} has no address", url.host);
    for address in found {
        match TcpStream::connect_timeout(&address, patience) {
            Ok(socket) => return Ok(socket),
            Err(error) => last = format!("{address}: {error}"),
        }
    }
    Err(last)
}

impl Wire {
    /// Opens a connection. Over https `trust` takes any certificate.
    pub fn open(url: &Url, patience: Duration, trust: bool) -> Result<Wire, String> {
        if url.https { Wire::through_openssl(url, trust) } else { Wire::plain(url, patience) }
    }

    fn plain(url: &Url, patience: Duration) -> Result<Wire, String> {
        let socket = connect(url, patience)?;
        let _ = socket.set_nodelay(true);
        let half = || socket.try_clone().map_err(|error| error.to_string());
        Ok(Wire::new(half()?, half()?, End::Socket(socket)))
    }

    fn through_openssl(url: &Url, trust: bool) -> Result<Wire, String> {
        let mut child = s_client(url, trust)
            .arg("-quiet")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("openssl cannot be run: {error}"))?;
        let (sink, source) =
            (child.stdin.take().expect("it is piped"), child.stdout.take().expect("it is piped"));
        Ok(Wire::new(source, sink, End::Openssl(child)))
    }

    fn new(
        mut source: impl Read + Send + 'static,
        mut sink: impl Write + Send + 'static,
        other_end: End,
    ) -> Wire {
        let (outgoing, to_write) = mpsc::channel::<Vec<u8>>();
        let (arrived, incoming) = mpsc::channel();
        thread::spawn(move || {
            for bytes in to_write {
                if sink.write_all(&bytes).and_then(|()| sink.flush()).is_err() {
                    break;
                }
            }
        });
        thread::spawn(move || {
            let mut buffer = [0; 8192];
            while let Ok(count @ 1..) = source.read(&mut buffer) {
                if arrived.send(buffer[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Wire { outgoing, incoming, read_ahead: VecDeque::new(), other_end }
    }

    /// Has bytes sent as soon as they are taken. Whether they are shows in what comes back.
    pub fn send(&self, bytes: Vec<u8>) {
        let _ = self.outgoing.send(bytes);
    }

    /// The next byte.
    fn next(&mut self, until: Instant) -> io::Result<u8> {
        while self.read_ahead.is_empty() {
            match self.incoming.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(bytes) => self.read_ahead.extend(bytes),
                Err(RecvTimeoutError::Timeout) => return Err(io::ErrorKind::TimedOut.into()),
                Err(RecvTimeoutError::Disconnected) => return Err(io::ErrorKind::UnexpectedEof.into()),
            }
        }
        Ok(self.read_ahead.pop_front().expect("there is one"))
    }

    fn take(&mut self, count: usize, until: Instant) -> io::Result<Vec<u8>> {
        (0..count).map(|_| self.next(until)).collect()
    }

    fn line(&mut self, until: Instant) -> io::Result<String> {
        const MOST: usize = 64 << 10;
        let mut line = Vec::new();
        loop {
            match self.next(until)? {
                b'\n' => break,
                byte => line.push(byte),
            }
            if line.len() > MOST {
                return Err(io::ErrorKind::InvalidData.into());
            }
        }
        Ok(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned())
    }

    /// Reads an answer. What comes after the head of a 101 is the socket's.
    pub fn answer(&mut self, until: Instant) -> io::Result<Answer> {
        let first = self.line(until)?;
        let status = first.strip_prefix("HTTP/1.").and_then(|rest| rest.split(' ').nth(1)?.parse().ok());
        let status = status.ok_or(io::ErrorKind::InvalidData)?;
        let mut headers = Vec::new();
        loop {
            let line = self.line(until)?;
            if line.is_empty() {
                break;
            }
            if let Some((name, value)) = line.split_once(':') {
                headers.push((name.trim().to_ascii_lowercase(), value.trim().to_owned()));
            }
        }
        let mut answer = Answer { status, headers, body: Vec::new() };
        if !matches!(status, 101 | 204 | 304) {
            answer.body = self.body(&answer, until)?;
        }
        Ok(answer)
    }

    fn body(&mut self, answer: &Answer, until: Instant) -> io::Result<Vec<u8>> {
        const MOST: usize = 1 << 20;
        if answer.header("transfer-encoding").is_some_and(|coding| coding.eq_ignore_ascii_case("chunked")) {
            let mut body = Vec::new();
            loop {
                let size = self.line(until)?;
                let size = size.split(';').next().unwrap_or_default().trim();
                let size = usize::from_str_radix(size, 16).map_err(|_| io::ErrorKind::InvalidData)?;
                if size == 0 {
                    return Ok(body);
                }
                if body.len() + size > MOST {
                    return Err(io::ErrorKind::InvalidData.into());
                }
                body.extend(self.take(size, until)?);
                self.line(until)?;
            }
        }
        match answer.header("content-length").and_then(|length| length.parse::<usize>().ok()) {
            Some(length) => self.take(length.min(MOST), until),
            None => {
                let mut body = Vec::new();
                while body.len() < MOST {
                    match self.next(until) {
                        Ok(byte) => body.push(byte),
                        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => break,
                        Err(error) => return Err(error),
                    }
                }
                Ok(body)
            }
        }
    }

    /// The next frame of a socket: its kind and what is in it.
    fn frame(&mut self, until: Instant) -> io::Result<(u8, Vec<u8>)> {
        const MOST: usize = 1 << 20;
        let head = self.take(2, until)?;
        // The rest of a frame follows at once, or the connection is of no use.
        let until = until.max(Instant::now() + Duration::from_secs(5));
        let number = |bytes: Vec<u8>| bytes.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte));
        let length = match head[1] & 0x7f {
            126 => number(self.take(2, until)?),
            127 => number(self.take(8, until)?),
            short => usize::from(short),
        };
        if length > MOST || head[1] & 0x80 != 0 {
            return Err(io::ErrorKind::InvalidData.into());
        }
        Ok((head[0] & 0x0f, self.take(length, until)?))
    }
}

/// What was answered.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Answer {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; null where it is none.
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }
}

/// One request on a connection of its own.
pub(super) fn ask(
    url: &Url,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: Option<Vec<u8>>,
    settings: Asking,
) -> Result<Answer, String> {
    let mut wire = Wire::open(url, settings.patience, settings.trust)?;
    let until = Instant::now() + settings.patience;
    let length = [("Content-Length", body.as_ref().map_or(0, Vec::len).to_string())];
    let length = length.iter().filter(|_| body.is_some()).map(|(name, value)| (*name, value.as_str()));
    let all: Vec<(&str, &str)> =
        [("Connection", "close")].into_iter().chain(length).chain(headers.iter().copied()).collect();
    wire.send(head(url, method, path, &all));
    if let Some(body) = body {
        wire.send(body);
    }
    wire.answer(until).map_err(|error| told(&error, settings.patience))
}

/// How something is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Asking {
    /// How long it may take.
    pub patience: Duration,
    /// Whether any certificate will do.
    pub trust: bool,
}

fn told(error: &io::Error, patience: Duration) -> String {
    match error.kind() {
        io::ErrorKind::TimedOut => format!("no whole answer came within {} s", patience.as_secs()),
        io::ErrorKind::UnexpectedEof => "the connection ended without a whole answer".to_owned(),
        io::ErrorKind::InvalidData => "what came is no HTTP".to_owned(),
        _ => error.to_string(),
    }
}

fn head(url: &Url, method: &str, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let agent = concat!("deuced-doctor/", env!("CARGO_PKG_VERSION"));
    let mut head =
        format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nUser-Agent: {agent}\r\n", url.authority());
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    (head + "\r\n").into_bytes()
}

/// An open socket.
pub(super) struct Socket {
    wire: Wire,
}

/// How a while with a socket went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum While {
    /// It is still open.
    Open,
    /// It was closed with this code.
    Closed(u16),
    /// Its connection ended without a word.
    Cut,
}

/// What was seen of a socket in a while.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watched {
    /// How it ended, or that it did not.
    pub end: While,
    /// How many pings came.
    pub pings: u32,
    /// How long it was watched.
    pub open: Duration,
    /// How long nobody had said anything when that was over.
    pub silent: Duration,
}

/// Asks for a socket: the open one, or what was answered instead.
pub(super) fn open_socket(url: &Url, settings: Asking) -> Result<Result<Socket, Answer>, String> {
    let mut wire = Wire::open(url, settings.patience, settings.trust)?;
    let key = base64(&random::<16>());
    let origin = url.origin();
    let headers = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", key.as_str()),
        ("Origin", origin.as_str()),
    ];
    wire.send(head(url, "GET", "/ws", &headers));
    let answer =
        wire.answer(Instant::now() + settings.patience).map_err(|error| told(&error, settings.patience))?;
    let accepted = answer.header("sec-websocket-accept") == Some(accept_key(&key).as_str());
    Ok(if answer.status == 101 && accepted { Ok(Socket { wire }) } else { Err(answer) })
}

impl Socket {
    /// Sends a ping and says how long its answer took; `None` when it does not come.
    pub fn ping(&mut self, patience: Duration) -> Option<Duration> {
        let (begin, word) = (Instant::now(), b"deuced doctor");
        self.send(9, word);
        loop {
            match self.wire.frame(begin + patience) {
                Ok((10, said)) if said == word => return Some(begin.elapsed()),
                Ok((9, said)) => self.send(10, &said),
                Ok((8, _)) | Err(_) => return None,
                Ok(_) => {}
            }
        }
    }

    /// Says nothing for a while but what answers pings.
    pub fn watch(&mut self, until: Instant) -> Watched {
        let begin = Instant::now();
        let (mut pings, mut last) = (0, begin);
        let end = loop {
            match self.wire.frame(until) {
                Ok((9, said)) => {
                    pings += 1;
                    self.send(10, &said);
                }
                Ok((8, said)) => {
                    break While::Closed(
                        said.get(..2).map_or(1005, |code| u16::from_be_bytes([code[0], code[1]])),
                    );
                }
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::TimedOut => break While::Open,
                Err(_) => break While::Cut,
            }
            last = Instant::now();
        };
        Watched { end, pings, open: begin.elapsed(), silent: last.elapsed() }
    }

    /// Says goodbye, so that nobody has to wonder.
    pub fn close(mut self) {
        self.send(8, &1000_u16.to_be_bytes());
        let _ = self.wire.frame(Instant::now() + Duration::from_secs(1));
    }

    /// A frame from a client is masked.
    fn send(&self, kind: u8, said: &[u8]) {
        let mask = random::<4>();
        let mut frame = vec![0x80 | kind, 0x80 | said.len() as u8];
        frame.extend(mask);
        frame.extend(said.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        self.wire.send(frame);
    }
}

/// How a TLS connection is made; `trust` takes any certificate.
fn s_client(url: &Url, trust: bool) -> Command {
    let mut command = Command::new("openssl");
    let place = Url { https: false, ..url.clone() };
    let authority = if url.port == 80 { format!("{}:80", place.authority()) } else { place.authority() };
    command.args(["s_client", "-connect", &authority]);
    let is_address = url.host.parse::<IpAddr>().is_ok();
    if !is_address {
        command.args(["-servername", &url.host]);
    }
    if !trust {
        command.args([
            "-verify_return_error",
            if is_address { "-verify_ip" } else { "-verify_hostname" },
            &url.host,
        ]);
    }
    command
}

/// Whether there is an `openssl` to speak https with.
pub(super) fn has_openssl() -> bool {
    let mut version = Command::new("openssl");
    version.arg("version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    version.status().is_ok_and(|status| status.success())
}

/// Whether this machine trusts the certificate; if not, why.
pub(super) fn check_certificate(url: &Url) -> Result<(), String> {
    let output = s_client(url, false).stdin(Stdio::null()).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // verify error:num=20:unable to get local issuer certificate
    let reason = said.lines().find_map(|line| line.split_once("verify error:num=")?.1.split_once(':'));
    Err(match reason {
        Some((_, reason)) => reason.to_owned(),
        None => "TLS was not spoken".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_as_they_are_typed() {
        let of = |text: &str| Url::parse(text).unwrap();
        let diary = of("https://Diary.example");
        assert_eq!(
            (diary.https, diary.host.as_str(), diary.port, diary.path.as_str()),
            (true, "diary.example", 443, "/")
        );
        assert_eq!(of("http://pi.local:8222/a?b#c").path, "/a?b");
        assert_eq!(of("http://pi.local?b").path, "/?b");
        for (text, authority) in [
            ("http://pi.local:80", "pi.local"),
            ("https://pi.local:80", "pi.local:80"),
            ("http://[::1]:8222/", "[::1]:8222"),
            ("https://[::1]", "[::1]"),
        ] {
            assert_eq!(of(text).authority(), authority, "{text}");
        }
        assert_eq!(of("https://diary.example:8443/x").origin(), "https://diary.example:8443");
        for bad in [
            "",
            "pi.local",
            "ftp://pi",
            "http://",
            "http://:80",
            "http://a:b",
            "http://a:70000",
            "http://a b/",
            "http://a\r\nb",
        ] {
            assert_eq!(Url::parse(bad), Err(format!("'{bad}' is not a URL, such as https://diary.example")));
        }
    }
}
