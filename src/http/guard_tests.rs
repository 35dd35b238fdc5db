//! The guard's promises: what each request is read as, that packets do not matter, that nothing grows.

use super::*;
use crate::http::codec;

const LIMIT: usize = 64;

/// What a connection's bytes come to: each request as `METHOD path body`, then `refused STATUS`, or what is unfinished.
fn outcome<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<String> {
    let mut guard = Guard::new(GuardLimits::default());
    let mut seen = Vec::new();
    let mut waiting: Option<Head> = None;
    for piece in pieces {
        guard.feed(piece);
        loop {
            let step = match waiting.take() {
                None => guard.head().map(|head| {
                    waiting = head;
                    waiting.is_some()
                }),
                Some(head) => guard.body(LIMIT).map(|body| match body {
                    Some(body) => {
                        seen.push(describe(&head, &body));
                        codec::decode(head, body).expect("the codec takes whatever was judged good");
                        true
                    }
                    None => {
                        waiting = Some(head);
                        false
                    }
                }),
            };
            match step {
                Ok(true) => {}
                Ok(false) => break,
                Err(refusal) => {
                    assert_eq!(guard.head().expect_err("refused for ever"), refusal);
                    seen.push(format!("refused {}", refusal.status));
                    return seen;
                }
            }
        }
    }
    if guard.has_partial() {
        seen.push("partial".to_owned());
    } else {
        assert_eq!(guard.buffer.capacity(), 0, "an idle guard holds no buffer");
    }
    seen
}

fn describe(head: &Head, body: &[u8]) -> String {
    let close = if head.keep_alive { "" } else { " close" };
    let upgrade = if head.upgrade_websocket { " upgrade" } else { "" };
    let body = String::from_utf8_lossy(body);
    format!("{} {} {} [{body}]{close}{upgrade}", head.method.name(), head.host, head.path)
}

/// The outcome, checked to be the same in any packets, and cut in two at every byte.
fn check(bytes: &[u8]) -> Vec<String> {
    let whole = check_packets(bytes);
    for cut in 1..bytes.len().min(1000) {
        let (first, second) = bytes.split_at(cut);
        assert_eq!(outcome([first, second].into_iter()), whole, "cut at {cut}: {}", bytes.escape_ascii());
    }
    whole
}

/// The outcome, checked to be the same for one packet, single bytes, and seeded random packets.
fn check_packets(bytes: &[u8]) -> Vec<String> {
    let whole = outcome(std::iter::once(bytes));
    assert_eq!(outcome(bytes.chunks(1)), whole, "byte by byte: {}", bytes.escape_ascii());
    let mut random = 0x9e37_79b9_7f4a_7c15_u64 ^ bytes.len() as u64;
    for round in 0..20 {
        let mut pieces = Vec::new();
        let mut rest = bytes;
        while !rest.is_empty() {
            // xorshift64
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            let (piece, left) = rest.split_at(1 + (random as usize % (3 + 7 * round)).min(rest.len() - 1));
            pieces.push(piece);
            rest = left;
        }
        assert_eq!(outcome(pieces.into_iter()), whole, "round {round}: {}", bytes.escape_ascii());
    }
    whole
}

/// A GET with these header lines after Host.
fn get(lines: &str) -> String {
    format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n")
}

/// A POST with these header lines after Host, and what follows the head.
fn post(lines: &str, rest: &str) -> String {
    format!("POST /p HTTP/1.1\r\nHost: a\r\n{lines}\r\n{rest}")
}

#[test]
fn r_h5_good_requests() {
    let table: Vec<(String, &[&str])> = vec![
        (get(""), &["GET a / []"]),
        (format!("\r\n{}", get("")), &["GET a / []"]),
        (format!("\r\n\r\n{}", get("")), &["GET a / []"]),
        (get("") + "\r\n", &["GET a / []"]),
        (get("") + "\r", &["GET a / []", "partial"]),
        (get("X:\r\nY: \t \r\nZ:a\t b \r\n"), &["GET a / []"]),
        (get("Connection: keep-alive, Close\r\n"), &["GET a / [] close"]),
        (get("Connection: foo\r\nconnection: close\r\n"), &["GET a / [] close"]),
        (get("Connection: keep-alive, Upgrade\r\nUpgrade: h2c, WebSocket\r\n"), &["GET a / [] upgrade"]),
        (get("Connection: close\r\nUpgrade: websocket\r\n"), &["GET a / [] close"]),
        (get("Connection: upgrade\r\nUpgrade: websockets\r\n"), &["GET a / []"]),
        ("GET / HTTP/1.1\r\nhOsT:\t[::1]:8222 \r\n\r\n".into(), &["GET [::1]:8222 / []"]),
        ("GET http://B.local:1/x?y HTTP/1.1\r\nHost: a\r\n\r\n".into(), &["GET b.local:1 /x []"]),
        ("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n".into(), &["OPTIONS a * []"]),
        ("OPTIONS /x HTTP/1.1\r\nHost: a\r\n\r\n".into(), &["OPTIONS a /x []"]),
        ("get / HTTP/1.1\r\nHost: a\r\n\r\n".into(), &["OTHER a / []"]),
        ("BREW /pot HTTP/1.1\r\nHost: a\r\n\r\n".into(), &["OTHER a /pot []"]),
        ("GET /a%20b%2Fc HTTP/1.1\r\nHost: a\r\n\r\n".into(), &["GET a /a b/c []"]),
        ("GET / HTTP/1.0\r\n\r\n".into(), &["GET  / [] close"]),
        ("GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n".into(), &["GET a / [] close"]),
        ("GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n".into(), &["GET  / [] close"]),
        ("POST / HTTP/1.0\r\nContent-Length: 1\r\nExpect: magic\r\n\r\nx".into(), &["POST  / [x] close"]),
        (post("", ""), &["POST a /p []"]),
        (post("Content-Length: 0\r\n", ""), &["POST a /p []"]),
        (post("Content-Length: 5\r\n", "hello"), &["POST a /p [hello]"]),
        (post("Content-Length: 005\r\n", "hello"), &["POST a /p [hello]"]),
        (post("Content-Length: 5\r\nContent-Length: 5\r\n", "hello"), &["POST a /p [hello]"]),
        (post("Content-Length: 5, 5\r\n", "hello"), &["POST a /p [hello]"]),
        (post("Content-Length: 5\r\n", "hell"), &["partial"]),
        (
            post("Content-Length: 5\r\nConnection: upgrade\r\nUpgrade: websocket\r\n", "hello"),
            &["POST a /p [hello]"],
        ),
        (
            post("Content-Length: 64\r\n", &"x".repeat(64)),
            &["POST a /p [xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx]"],
        ),
        (post("Transfer-Encoding: chunked\r\n", "0\r\n\r\n"), &["POST a /p []"]),
        (post("Transfer-Encoding: CHUNKED\r\n", "2;x=y\r\nhi\r\n0\r\na: b\r\n\r\n"), &["POST a /p [hi]"]),
        (post("Transfer-Encoding: chunked\r\n", "2\r\nhi\r\n0\r\n"), &["partial"]),
        (post("Expect: 100-Continue\r\nContent-Length: 2\r\n", "hi"), &["POST a /p [hi]"]),
        // Pipelining: nothing that was read ahead is lost, whatever kind of body is in between.
        (get("") + &get("").replace("GET /", "GET /2"), &["GET a / []", "GET a /2 []"]),
        (get("").repeat(5), &["GET a / []"; 5]),
        (post("Content-Length: 2\r\n", "hi") + &get(""), &["POST a /p [hi]", "GET a / []"]),
        (
            post("Transfer-Encoding: chunked\r\n", "2\r\nhi\r\n0\r\n\r\n").repeat(2) + "\r\n" + &get(""),
            &["POST a /p [hi]", "POST a /p [hi]", "GET a / []"],
        ),
        (get("") + "GET /broken\r\n\r\n", &["GET a / []", "refused 400"]),
        (get("") + "GET /half", &["GET a / []", "partial"]),
    ];
    for (bytes, expected) in &table {
        assert_eq!(check(bytes.as_bytes()), *expected, "{bytes:?}");
    }
}

#[test]
fn r_h2_bad_lines_are_refused() {
    let bad = [
        "GET / HTTP/1.1\nHost: a\n\n",
        "GET / HTTP/1.1\r\nHost: a\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n\n",
        "GET / HTTP/1.1\r\nHost: a\rX: b\r\n\r\n",
        "GET / HTTP/1.1\rHost: a\r\n\r\n",
        "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        " GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /  HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
        "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /\r\n\r\n",
        "GET / \r\nHost: a\r\n\r\n",
        "GET / http/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1x\r\nHost: a\r\n\r\n",
        "G(T / HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /caf\u{e9} HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET / HTTP/1.1\r\n Host: a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n\r\n",
        "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX\t: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX y: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nCaf\u{e9}: b\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: \x1b[0m\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n",
        "\x16\x03\x01\x02",
    ];
    for bytes in bad {
        assert_eq!(check(bytes.as_bytes()), ["refused 400"], "{bytes:?}");
    }
}

#[test]
fn r_h4_bad_targets_and_hosts_are_refused() {
    let targets = [
        "CONNECT a:80",
        "CONNECT /",
        "GET *",
        "GET a",
        "GET /#x",
        "GET /%",
        "GET /%zz",
        "GET /%ff",
        "GET /%00",
        "GET /..",
        "GET /a/%2e%2E/b",
        "GET /a/./b",
        "GET /a\\b",
        "GET /%5C",
        "GET http://u@a/",
        "GET http:///",
        "GET /?a=%",
        "GET ",
    ];
    for target in targets {
        let bytes = format!("{target} HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(check(bytes.as_bytes()), ["refused 400"], "{bytes:?}");
    }
    let hosts = [
        "",
        "Host:\r\n",
        "Host: a\r\nHost: a\r\n",
        "Host: a\r\nhost: b\r\n",
        "Host: a, b\r\n",
        "Host: x/?a=\r\n",
        "Host: u@a\r\n",
        "Host: a b\r\n",
        "Host: a:x\r\n",
        "Host: a:70000\r\n",
        "Host: [::1\r\n",
        "Host: caf\u{e9}\r\n",
    ];
    for host in hosts {
        let bytes = format!("GET / HTTP/1.1\r\n{host}\r\n");
        assert_eq!(check(bytes.as_bytes()), ["refused 400"], "{bytes:?}");
    }
    assert_eq!(check(b"GET / HTTP/1.0\r\nHost: a/b\r\n\r\n"), ["refused 400"]);
}

#[test]
fn r_h2_bad_framing_is_refused() {
    let coding =
        |value: &str| post(&format!("Transfer-Encoding: {value}\r\n"), "0\r\n\r\nGET /hidden HTTP/1.1\r\n");
    let length = |value: &str| post(&format!("Content-Length: {value}\r\n"), "hello");
    for value in [
        "",
        "identity",
        "gzip",
        "xchunked",
        "chunked, identity",
        "chunked, chunked",
        "chunked, gzip",
        "\"chunked\"",
        "chunked;q=1",
        "chunked,",
        ",chunked",
        "gzip,,chunked",
        "chunked\u{b}",
        "chunk ed",
        "cow, chunked",
        "chunked\r\nTransfer-Encoding: chunked",
        "chunked\r\nContent-Length: 5",
        "chunked\r\nContent-Length: 0",
    ] {
        assert_eq!(check(coding(value).as_bytes()), ["refused 400"], "{value:?}");
    }
    for value in ["gzip, chunked", "x-gzip\r\nTransfer-Encoding: chunked", "deflate, COMPRESS, chunked"] {
        assert_eq!(check(coding(value).as_bytes()), ["refused 501"], "{value:?}");
    }
    for value in [
        "",
        "+5",
        "-5",
        "5 5",
        "0x5",
        "5.0",
        "5,",
        ",5",
        "5, 6",
        "5\r\nContent-Length: 6",
        "five",
        "5\u{e9}",
        "1e1",
    ] {
        assert_eq!(check(length(value).as_bytes()), ["refused 400"], "{value:?}");
    }
    for value in ["65", "18446744073709551615", "99999999999999999999999999"] {
        assert_eq!(check(length(value).as_bytes()), ["refused 413"], "{value:?}");
    }
    let chunks = |rest: &str| post("Transfer-Encoding: chunked\r\n", rest);
    assert_eq!(check(chunks("41\r\n").as_bytes()), ["refused 413"]);
    assert_eq!(check(chunks("2\r\nhi\r\n3f\r\n").as_bytes()), ["refused 413"]);
    assert_eq!(check(chunks("-1\r\n").as_bytes()), ["refused 400"]);
    let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    assert_eq!(check(old.as_bytes()), ["refused 400"]);
    assert_eq!(check(post("Expect: magic\r\n", "").as_bytes()), ["refused 417"]);
}

#[test]
fn r_h6_other_versions() {
    for version in ["HTTP/2.0", "HTTP/2.1", "HTTP/0.9", "HTTP/3.0"] {
        let bytes = format!("GET / {version}\r\nHost: a\r\n\r\n");
        assert_eq!(check(bytes.as_bytes()), ["refused 505"], "{version}");
    }
    // A client that knows more than 1.1 knows 1.1, too.
    for version in ["HTTP/1.2", "HTTP/1.9"] {
        let bytes = format!("GET / {version}\r\nHost: a\r\n\r\n");
        assert_eq!(check(bytes.as_bytes()), ["GET a / []"], "{version}");
    }
    assert_eq!(check(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), ["refused 505"]);
    assert_eq!(check(b"GET / HTTP/11.1\r\nHost: a\r\n\r\n"), ["refused 400"]);
    assert_eq!(check(b"GET / HTTQ/1.1\r\nHost: a\r\n\r\n"), ["refused 400"]);
}

#[test]
fn r_h7_head_limits_are_exact_and_hold_while_reading() {
    let target = |length: usize| format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(length - 1));
    assert_eq!(check(target(8192).as_bytes()).len(), 1);
    assert_eq!(check(target(8193).as_bytes()), ["refused 414"]);
    let head = |length: usize| get(&format!("X: {}\r\n", "x".repeat(length - get("").len() - 5)));
    assert_eq!(head(16_384).len(), 16_384);
    assert_eq!(check(head(16_384).as_bytes()), ["GET a / []"]);
    assert_eq!(check(head(16_385).as_bytes()), ["refused 431"]);
    assert_eq!(check(get(&"X: y\r\n".repeat(99)).as_bytes()), ["GET a / []"]);
    assert_eq!(check(get(&"X: y\r\n".repeat(100)).as_bytes()), ["refused 431"]);
    assert_eq!(check(&[b'x'; 40_000]), ["refused 431"]);
    assert_eq!(check(&[b"GET /".as_slice(), &[b'x'; 40_000]].concat()), ["refused 414"]);
}

#[test]
fn r_h7_an_endless_line_takes_bounded_memory_and_time() {
    let mut guard = Guard::new(GuardLimits::default());
    for _ in 0..100_000 {
        guard.feed(&[b'x'; 1024]);
        let _ = guard.head();
        assert!(guard.buffer.capacity() <= 40 * 1024, "{}", guard.buffer.capacity());
    }
    assert_eq!(guard.head().expect_err("too large").status, 431);
    assert!(!guard.has_partial());
}

#[test]
fn r_h7_an_announced_length_costs_nothing_until_it_comes() {
    let mut guard = Guard::new(GuardLimits::default());
    guard.feed(post("Content-Length: 50000000\r\n", "x").as_bytes());
    guard.head().expect("a head").expect("complete");
    assert_eq!(guard.body(100_000_000), Ok(None));
    let State::Length { received, .. } = &guard.state else { panic!("waiting for a body") };
    assert!(received.capacity() <= TRUSTED_BYTES);
}

#[test]
fn r_h9_any_bytes_in_values_are_kept_as_they_are() {
    let mut guard = Guard::new(GuardLimits::default());
    guard.feed(
        b"GET / HTTP/1.1\r\nHost: a\r\nCookie: n=\xc3\xa9\r\nX-Raw: \xff\x80 z \r\nX-Raw: second\r\n\r\n",
    );
    let head = guard.head().expect("a head").expect("complete");
    assert_eq!(head.headers.get("cookie"), Some("n=é"));
    assert_eq!(head.headers.get("x-raw"), None);
    assert_eq!(head.headers.bytes("x-raw"), Some(&b"\xff\x80 z"[..]));
    assert_eq!(head.headers.get_all("x-raw").collect::<Vec<_>>(), ["second"]);
    assert_eq!(head.headers.iter().count(), 4);
    assert_eq!(head.headers.bytes("absent"), None);
}

#[test]
fn r_h6_continue_is_wanted_once_and_never_for_what_is_refused() {
    let bytes = post("Expect: 100-continue\r\nContent-Length: 4\r\n", "");
    let mut guard = Guard::new(GuardLimits::default());
    guard.feed(bytes.as_bytes());
    guard.head().expect("a head").expect("complete");
    assert_eq!(guard.body(LIMIT), Ok(None));
    assert!(guard.wants_continue());
    assert!(!guard.wants_continue());
    guard.feed(b"body");
    assert_eq!(guard.body(LIMIT), Ok(Some(b"body".to_vec())));
    assert_eq!(guard.progress(), 4);

    guard.feed(bytes.as_bytes());
    guard.feed(b"body");
    guard.head().expect("a head").expect("complete");
    assert_eq!(guard.body(LIMIT), Ok(Some(b"body".to_vec())));
    assert!(!guard.wants_continue(), "the body came unasked");
    assert_eq!(guard.progress(), 8);

    guard.feed(bytes.as_bytes());
    guard.head().expect("a head").expect("complete");
    assert_eq!(guard.body(3).expect_err("too large").status, 413);
    assert!(!guard.wants_continue());
}

#[test]
fn r_h5_frames_sent_with_the_upgrade_are_left_over() {
    let mut guard = Guard::new(GuardLimits::default());
    guard.feed(get("Connection: Upgrade\r\nUpgrade: websocket\r\n").as_bytes());
    guard.feed(b"\x81\x80abcd");
    let head = guard.head().expect("a head").expect("complete");
    assert!(head.upgrade_websocket);
    assert_eq!(guard.body(0), Ok(Some(Vec::new())));
    guard.feed(b"more");
    assert_eq!(guard.into_leftover(), b"\x81\x80abcdmore");
}

#[test]
fn calls_out_of_order_are_refused_and_never_wait() {
    let mut guard = Guard::new(GuardLimits::default());
    assert_eq!(guard.body(LIMIT).expect_err("no head yet").status, 500);
    let mut guard = Guard::new(GuardLimits::default());
    guard.feed(get("").repeat(2).as_bytes());
    guard.head().expect("a head").expect("complete");
    assert_eq!(guard.head().expect_err("body not asked for").status, 500);
}

/// Breaks good requests in seeded random places: whatever comes of it must not depend on the packets.
#[test]
fn r_h5_broken_requests_are_read_the_same_in_any_packets() {
    let chunked = post("Transfer-Encoding: chunked\r\n", "2;x=y\r\nhi\r\n0\r\na: b\r\n\r\n") + &get("");
    let length =
        post("Content-Length: 5\r\nExpect: 100-continue\r\n", "hello") + &get("Connection: close\r\n");
    let target =
        "GET http://[::1]:80/a%20b?x=%41 HTTP/1.0\r\nHost: b:80\r\nUpgrade: websocket\r\n\r\n".to_owned();
    let splinters: [&[u8]; 16] = [
        b"\r",
        b"\n",
        b"\r\n",
        b" ",
        b"\t",
        b":",
        b",",
        b"0",
        b"\0",
        b"\xff",
        b"%",
        b"/..",
        b"?",
        b"\r\n\r\n",
        b"",
        b"f",
    ];
    let mut random = 0x2545_f491_4f6c_dd1d_u64;
    let mut below = |most: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 11) as usize % most
    };
    for round in 0..1_500 {
        let mut bytes = [&chunked, &length, &target][round % 3].clone().into_bytes();
        for _ in 0..1 + below(3) {
            let (place, cut) = (below(bytes.len()), below(3));
            let end = (place + cut).min(bytes.len());
            bytes.splice(place..end, splinters[below(splinters.len())].iter().copied());
        }
        check_packets(&bytes);
    }
}

proptest::proptest! {
    #![proptest_config(crate::test::dice())]

    /// Requests of every kind in a row, some of them broken, in any number of packets.
    #[test]
    fn r_h5_any_row_of_requests_is_read_the_same_in_any_packets(
        kinds in proptest::collection::vec(0..9_usize, 1..6),
        lengths in proptest::collection::vec(1..40_usize, 1..60),
    ) {
        let kind = |index: &usize| match index {
            0 => get(""),
            1 => get("X: \u{e9}\r\nCookie: a=b; c=d\r\n"),
            2 => post("Content-Length: 11\r\n", "hello world"),
            3 => post("Transfer-Encoding: chunked\r\n", "b;x=\"y\"\r\nhello world\r\n0\r\na: b\r\n\r\n"),
            4 => "\r\nHEAD http://b/%20?x=1 HTTP/1.1\r\nHost: a\r\n\r\n".to_owned(),
            5 => post("Expect: 100-continue\r\nContent-Length: 2\r\n", "hi"),
            6 => get("X: folded\r\n y\r\n"),
            7 => post("Content-Length: 65\r\n", "x"),
            _ => post("Transfer-Encoding: chunked\r\n", "2\r\nhix"),
        };
        let bytes: String = kinds.iter().map(kind).collect();
        let whole = outcome(std::iter::once(bytes.as_bytes()));
        let mut rest = bytes.as_bytes();
        let mut pieces = Vec::new();
        for length in lengths.iter().cycle() {
            let (piece, left) = rest.split_at((*length).min(rest.len()));
            pieces.push(piece);
            rest = left;
            if rest.is_empty() {
                break;
            }
        }
        proptest::prop_assert_eq!(outcome(pieces.into_iter()), whole);
    }
}
