//! `examples/http_echo.rs`, as conformance suites use it.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

/// The example, running; ends with the value.
struct Echo {
    child: Child,
    address: String,
}

impl Echo {
    fn start() -> Echo {
        let server = Path::new(env!("CARGO_BIN_EXE_deuced"));
        let folder = server.parent().expect("a folder of binaries");
        // Cargo builds examples for a whole test run, but not for this file alone.
        let mut building = Command::new(env!("CARGO"));
        building.args(["build", "--quiet", "--example", "http_echo"]);
        if folder.ends_with("release") {
            building.arg("--release");
        }
        assert!(building.status().expect("cargo runs").success(), "the example does not build");
        let program = folder.join("examples/http_echo");
        let mut child = Command::new(program)
            .args(["--listen", "127.0.0.1:0"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let mut address = String::new();
        let said = child.stdout.take().expect("its words");
        BufReader::new(said).read_line(&mut address).expect("it says where it listens");
        Echo { child, address: address.trim().to_owned() }
    }

    /// Everything that comes back until the end.
    fn ask(&self, bytes: &[u8]) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time limit");
        stream.write_all(bytes).expect("it takes what is sent");
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).expect("an orderly end");
        String::from_utf8(answer).expect("text")
    }
}

impl Drop for Echo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn it_answers_with_what_it_understood() {
    let echo = Echo::start();
    for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "get", "BREW"] {
        let head = format!("{method} /a%20b?x=%41 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n");
        let whole = echo.ask(format!("{head}Content-Length: 5\r\n\r\nhello").as_bytes());
        let body = whole.split_once("\r\n\r\n").expect("a head").1;
        assert!(whole.starts_with("HTTP/1.1 200 OK\r\n"), "{whole}");
        assert_eq!(body, format!("{method} /a%20b?x=%41\n/a b\n\nhello"));
        let chunked =
            format!("{head}Transfer-Encoding: chunked\r\n\r\n2;x\r\nhe\r\n3\r\nllo\r\n0\r\nt: u\r\n\r\n");
        assert!(echo.ask(chunked.as_bytes()).ends_with(body), "{method}");
    }
    // Several in a row, the last of them a HEAD.
    let row = b"POST /1 HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nxGET http://b/2 HTTP/1.1\r\nHost: a\r\n\r\nHEAD /3 HTTP/1.0\r\n\r\n";
    let answers = echo.ask(row);
    assert_eq!(answers.matches("HTTP/1.1 200 OK\r\n").count(), 3, "{answers}");
    assert!(answers.contains("POST /1\n/1\n\nx") && answers.contains("GET http://b/2\n/2\n\n"), "{answers}");
    assert!(answers.ends_with("\r\n\r\n") && answers.contains("content-length: 12\r\n"), "{answers}");
    let refused = echo.ask(b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n");
    assert!(
        refused.starts_with("HTTP/1.1 400 Bad Request\r\n") && refused.contains("{\"message\":\"host: "),
        "{refused}"
    );
}

#[test]
fn it_takes_sixteen_mebibytes_and_no_more() {
    let echo = Echo::start();
    let head = |length: usize| {
        format!("PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n")
    };
    let most = 16 << 20;
    let answer = echo.ask(&[head(most).as_bytes(), &vec![b'x'; most]].concat());
    assert_eq!(answer.split_once("\r\n\r\n").expect("a head").1.len(), "PUT /\n/\n\n".len() + most);
    assert!(echo.ask(head(most + 1).as_bytes()).starts_with("HTTP/1.1 413 Content Too Large\r\n"));
}
