//! A proxy before a server, which can be told to be a bad one.

use std::{
    io::{Read, Write},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

/// What a proxy does to the heads that come through.
pub type Edit = fn(&mut Vec<String>);

/// How it is to be.
#[derive(Clone, Copy)]
pub struct Manner {
    /// What it makes of a request's head, a line each.
    pub edit: Edit,
    /// How long a socket may be silent.
    pub silence: Option<Duration>,
    /// The longest body it takes.
    pub most_body: Option<usize>,
    /// What it answers itself, whatever is asked.
    pub answer: Option<&'static str>,
}

/// A running proxy. It goes with the process.
pub struct Relay {
    pub address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

/// Takes out a header that the client may have sent.
pub fn without(lines: &mut Vec<String>, name: &str) {
    lines.retain(|line| !line.to_ascii_lowercase().starts_with(&format!("{name}:")));
}

/// As a good proxy does it: says who the client is, and hands on nothing that the client says of that.
pub fn good(lines: &mut Vec<String>) {
    without(lines, "x-forwarded-for");
    without(lines, "forwarded");
    lines.push("X-Forwarded-For: 127.0.0.1".into());
    lines.push("X-Forwarded-Proto: http".into());
}

impl Manner {
    /// A good one, but for what it does to heads.
    pub fn of(edit: Edit) -> Manner {
        Manner { edit, silence: None, most_body: None, answer: None }
    }
}

impl Relay {
    /// Stands before a server.
    pub fn before(server: SocketAddr, manner: Manner) -> Relay {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let kept = heads.clone();
        thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let kept = kept.clone();
                thread::spawn(move || relay(client, server, manner, &kept));
            }
        });
        Relay { address, heads }
    }

    /// The value of a header that came through, the last of that name.
    pub fn heard(&self, name: &str) -> Option<String> {
        let heads = self.heads.lock().unwrap();
        let lines = heads.iter().rev().flat_map(|head| head.lines());
        lines
            .filter_map(|line| line.split_once(": "))
            .find_map(|(known, value)| known.eq_ignore_ascii_case(name).then(|| value.to_owned()))
    }
}

fn relay(mut client: TcpStream, server: SocketAddr, manner: Manner, kept: &Mutex<Vec<String>>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        match client.read(&mut byte) {
            Ok(1) => head.push(byte[0]),
            _ => return,
        }
    }
    let head = String::from_utf8(head).unwrap();
    kept.lock().unwrap().push(head.clone());
    let mut lines: Vec<String> = head.trim_end().lines().map(Into::into).collect();
    let length = lines.iter().find_map(|line| line.strip_prefix("Content-Length: ")?.parse::<usize>().ok());
    if let Some(answer) = manner.answer {
        let _ = client.write_all(answer.as_bytes());
        return;
    }
    if manner.most_body.is_some_and(|most| length.is_some_and(|length| length > most)) {
        let _ = client.write_all(b"HTTP/1.1 413 Too Large\r\nServer: relay\r\nContent-Length: 0\r\n\r\n");
        // What is on its way is read, or the answer would be lost with the connection.
        let _ = std::io::copy(&mut client, &mut std::io::sink());
        return;
    }
    (manner.edit)(&mut lines);
    let Ok(mut upstream) = TcpStream::connect(server) else { return };
    if upstream.write_all(format!("{}\r\n\r\n", lines.join("\r\n")).as_bytes()).is_err() {
        return;
    }
    // A machine that is busy is slow to answer; sockets are what silence is about.
    let silence = manner.silence.filter(|_| head.contains("Upgrade: websocket"));
    for socket in [&client, &upstream] {
        socket.set_read_timeout(silence).unwrap();
    }
    let there = (client.try_clone().unwrap(), upstream.try_clone().unwrap());
    let onward = thread::spawn(move || pass(there.0, there.1));
    pass(upstream, client);
    let _ = onward.join();
}

fn pass(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 8192];
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Both);
    let _ = from.shutdown(Shutdown::Both);
}
