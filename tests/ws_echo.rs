//! `examples/ws_echo.rs`, as conformance suites use it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

struct Echo(Child);

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// One frame of a client: the final one of a message of this kind, masked.
fn frame(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0x80 | opcode];
    match payload.len() {
        short @ 0..=125 => bytes.push(0x80 | short as u8),
        long => {
            bytes.push(0x80 | 127);
            bytes.extend((long as u64).to_be_bytes());
        }
    }
    let mask = [0x37, 0xfa, 0x21, 0x3d];
    bytes.extend(mask);
    bytes.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    bytes
}

fn exactly(wire: &mut TcpStream, count: usize) -> Vec<u8> {
    let mut bytes = vec![0; count];
    wire.read_exact(&mut bytes).expect("the echo");
    bytes
}

#[test]
fn r_t1_an_echo_of_our_own_socket_code_at_any_path() {
    let server = Path::new(env!("CARGO_BIN_EXE_deuced"));
    let folder = server.parent().expect("a folder of binaries");
    // Cargo builds examples for a whole test run, but not for this file alone.
    let mut building = Command::new(env!("CARGO"));
    building.args(["build", "--quiet", "--example", "ws_echo"]);
    if folder.ends_with("release") {
        building.arg("--release");
    }
    assert!(building.status().expect("cargo runs").success(), "the example does not build");
    let program = folder.join("examples/ws_echo");
    let mut child = Command::new(program)
        .args(["--listen", "127.0.0.1:0"])
        .stdout(Stdio::piped())
        .spawn()
        .expect("the example starts");
    let said = child.stdout.take().expect("its words");
    let _echo = Echo(child);
    let mut line = String::new();
    BufReader::new(said).read_line(&mut line).expect("it says where it listens");
    let address = line.split("ws://").nth(1).expect("an address").trim().trim_end_matches('/').to_owned();

    let mut wire = TcpStream::connect(&address).expect("it listens");
    wire.set_read_timeout(Some(Duration::from_secs(15))).unwrap();
    let head = format!(
        "GET /any/path?at=all HTTP/1.1\r\nHost: {address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    wire.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        answer.extend(exactly(&mut wire, 1));
    }
    assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));

    wire.write_all(&frame(1, "Grüße".as_bytes())).unwrap();
    assert_eq!(exactly(&mut wire, 9), [&[0x81, 7], "Grüße".as_bytes()].concat());
    wire.write_all(&frame(2, &[0, 255, 7])).unwrap();
    assert_eq!(exactly(&mut wire, 5), [0x82, 3, 0, 255, 7]);
    // The longest message there may be: 16 MiB.
    let long: Vec<u8> = (0..16u32 << 20).map(|number| (number % 251) as u8).collect();
    let sending = std::thread::spawn({
        let (mut wire, bytes) = (wire.try_clone().unwrap(), frame(2, &long));
        move || wire.write_all(&bytes)
    });
    let head = exactly(&mut wire, 10);
    assert_eq!((head[0], head[1]), (0x82, 127), "one frame");
    assert_eq!(u64::from_be_bytes(head[2..].try_into().unwrap()), 16 << 20);
    assert!(exactly(&mut wire, 16 << 20) == long, "the same bytes");
    sending.join().unwrap().unwrap();
}
