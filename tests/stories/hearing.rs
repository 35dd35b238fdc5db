//! What a socket hears when it matters: in which order, after leaving, and after having lagged.

use crate::harness::{Client, Frame, Server, Socket, Wire, server::Setup, socket::frame, together};
use serde_json::{Value, json};
use std::time::Duration;

fn join(group: &str) -> Value {
    json!({ "type": "join_group", "groupId": group })
}

/// Room for as many entries as a test makes, and little room for those who do not read.
fn narrow() -> Setup {
    Server::setup()
        .open()
        .limit("deuces_per_minute", 1_000_000)
        .limit("api_requests_per_minute", 1_000_000)
        .limit("send_buffer_bytes", 4096)
}

/// Some four thousand bytes.
fn long(number: usize) -> String {
    format!("{number} {}", "👍".repeat(990))
}

/// A socket that reads nothing for now, and whose kernel does not either.
fn stalled(socket: Socket) -> Socket {
    socket.wire().take_little();
    socket
}

/// Everything a socket still hears, and how it ended: with a pong that followed upon nothing, or for
/// good.
fn rest(socket: &mut Socket) -> (Vec<Value>, Frame) {
    socket.wire().take_much();
    let mut heard: Vec<Value> = Vec::new();
    let mut before = None;
    loop {
        // A pong may overtake what is still to be read from the log. Where there is more, some of it
        // comes before the next.
        if before == Some(heard.len()) {
            return (heard, Frame::Pong(Vec::new()));
        }
        before = Some(heard.len());
        socket.try_send_raw(&frame(9, b""));
        loop {
            match socket.next_frame() {
                Frame::Text(text) => heard.push(serde_json::from_str(&text).unwrap()),
                Frame::Pong(_) => break,
                end => return (heard, end),
            }
        }
    }
}

#[test]
fn after_leave_group_a_program_hears_it_no_more() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let (home, club) = (ann.found("Home"), ann.found("Club"));
    ann.bring(&home, &bob);
    ann.bring(&club, &bob);
    let mut of_ann = ann.socket();
    let by_header = bob.bearer().socket();
    let by_query = server.nobody().handshake().target(&format!("/ws?token={}", bob.token())).open();
    for mut socket in [by_header, by_query] {
        socket.send_json(join(&home));
        socket.send_json(join(&club));
        socket.expect_silence();
        ann.log(&home, "joined");
        socket.expect_deuce("joined");
        of_ann.expect_deuce("joined");

        socket.send_json(json!({ "type": "leave_group", "groupId": home }));
        socket.expect_silence();
        ann.log(&home, "left");
        of_ann.expect_deuce("left");
        socket.expect_silence();
        ann.log(&club, "elsewhere");
        assert_eq!(socket.expect_deuce("elsewhere")["entry"]["groupId"], json!(club));
        of_ann.expect_deuce("elsewhere");
        socket.expect_silence();

        // Leaving twice is as good as once, and one can come back.
        socket.send_json(json!({ "type": "leave_group", "groupId": home }));
        socket.send_json(join(&home));
        socket.expect_silence();
        ann.log(&home, "back");
        socket.expect_deuce("back");
        of_ann.expect_deuce("back");
        socket.expect_silence();
    }
    assert_eq!(bob.get("/api/groups").ok().as_array().unwrap().len(), 2, "the membership is untouched");
}

#[test]
fn the_event_is_on_its_way_before_the_answer() {
    const ROUNDS: usize = 300;
    let server = narrow().start();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let mut socket = ann.socket();
    let mut wire = server.wire();
    let cookie = ann.cookie().unwrap();
    let mut late = 0;
    for number in 0..ROUNDS {
        let thoughts = number.to_string();
        let body = json!({ "groupId": home, "location": "Home", "thoughts": thoughts }).to_string();
        wire.send(format!(
            "POST /api/deuces HTTP/1.1\r\nHost: x\r\nCookie: {cookie}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        ));
        loop {
            // The answer is looked for first: whatever came before it is there by then.
            match Wire::wait_for_any([&wire, socket.wire()], Duration::from_secs(15)) {
                [true, true] => break,
                [false, true] => continue,
                [true, false] => {
                    late += 1;
                    break;
                }
                [false, false] => panic!("neither answer nor event"),
            }
        }
        assert_eq!(wire.reply("POST").status, 200);
        socket.expect_deuce(&thoughts);
    }
    // The kernel may turn two packets round once in a while; a server that answers first does it
    // nearly always.
    assert!(late <= ROUNDS / 100, "{late} of {ROUNDS} answers came before their event");
}

/// Ann and Bob in one group, where Bob's socket is far behind.
fn far_behind(server: &Server, most: usize) -> (Client, Client, String, Socket) {
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    let late = stalled(bob.socket());
    let devices: Vec<_> = (0..4).map(|_| ann.twin()).collect();
    crate::harness::together(4, |index| {
        for number in (0..most).skip(index).step_by(4) {
            devices[index].log(&home, &long(number));
        }
    });
    (ann, bob, home, late)
}

/// The numbers of the events, which have to be one after the other.
#[track_caller]
fn without_a_gap(heard: &[Value]) -> i64 {
    let numbers: Vec<i64> = heard.iter().map(|event| event["seq"].as_i64().unwrap()).collect();
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{numbers:?}");
    *numbers.last().expect("what the kernel had taken is heard")
}

/// Whether a reader knows that it has to come back: it is told, or, where it takes longer than the server waits for that
/// to be read, the connection ends.
fn is_cut_off(end: &Frame) -> bool {
    matches!(end, Frame::Close(Some(1013), _) | Frame::End)
}

#[test]
fn a_stalled_reader_whose_events_are_gone_is_closed() {
    let server = narrow().limit("events_per_room", 100).limit("replay_events", 10).start();
    let (ann, bob, home, mut late) = far_behind(&server, 600);
    let (heard, end) = rest(&mut late);
    assert!(without_a_gap(&heard) < 500, "the log was trimmed before this reader came to it");
    assert!(is_cut_off(&end), "not silently past a gap: {end:?}");
    // Coming back, it is as good as new.
    let mut again = bob.socket();
    ann.log(&home, "x");
    again.expect_deuce("x");
}

#[test]
fn a_stalled_reader_catches_up_in_small_pieces() {
    let server = narrow().limit("replay_events", 1).start();
    let (ann, _bob, home, mut late) = far_behind(&server, 200);
    let (heard, end) = rest(&mut late);
    assert!(matches!(end, Frame::Pong(_)), "{end:?}");
    assert_eq!(heard.len(), 200);
    without_a_gap(&heard);
    late.expect_silence();
    ann.log(&home, "live");
    late.expect_deuce("live");
}

#[test]
fn removed_while_lagging() {
    let server = narrow().start();
    let (ann, bob, home, mut late) = far_behind(&server, 100);
    let mut of_ann = ann.socket();
    ann.delete(&format!("/api/groups/{home}/members/{}", bob.id())).ok();
    for number in 0..20 {
        let thoughts = format!("about Bob {number}");
        ann.log(&home, &thoughts);
        of_ann.expect_deuce(&thoughts);
    }
    let (heard, end) = rest(&mut late);
    without_a_gap(&heard);
    let text = json!(heard).to_string();
    assert!(!text.contains("about Bob"), "the one who left reads along: {text}");
    // Either it heard all that was before, or it is told to come back.
    match end {
        Frame::Pong(_) => assert_eq!(heard.len(), 100, "silently past a gap"),
        end => assert!(is_cut_off(&end), "{end:?}"),
    }
    let mut again = bob.socket();
    ann.log(&home, "about Bob again");
    of_ann.expect_deuce("about Bob again");
    again.expect_silence();
}

#[test]
fn leaving_while_lagging() {
    let server = narrow().start();
    let (ann, bob, home, mut late) = far_behind(&server, 100);
    bob.post(&format!("/api/groups/{home}/leave"), json!({})).ok();
    let mut of_ann = ann.socket();
    ann.log(&home, "about Bob");
    of_ann.expect_deuce("about Bob");
    let (heard, _) = rest(&mut late);
    assert!(!json!(heard).to_string().contains("about Bob"));
}

#[test]
fn a_group_that_ends_while_somebody_lags() {
    let server = narrow().start();
    let (ann, bob, home, mut late) = far_behind(&server, 100);
    ann.delete(&format!("/api/groups/{home}")).ok();
    let (heard, end) = rest(&mut late);
    let seq = without_a_gap(&heard);
    assert!(heard.len() == 100 || is_cut_off(&end), "{seq}, then {end:?}");
    let mut again = bob.socket();
    let own = bob.found("Own");
    bob.log(&own, "x");
    again.expect_deuce("x");
}

#[test]
fn no_socket_outlives_the_login_that_opened_it() {
    let server = Server::setup().open().limit("logins_per_minute", 1000).start();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let mut opened = Vec::new();
    for _ in 0..30 {
        let tablet = server.person("Ann");
        let devices: Vec<Client> = (0..4).map(|_| tablet.twin()).collect();
        // Sockets are being opened at the very moment of the logout; some are in time, some are not.
        let sockets = together(4, |index| match index {
            0 => {
                devices[0].post("/api/auth/logout", json!({})).ok();
                None
            }
            _ => devices[index].handshake().try_open().ok(),
        });
        opened.extend(sockets.into_iter().flatten());
    }
    ann.log(&home, "after");
    for mut socket in opened {
        // Only the close frame counts: the server has long given up waiting for our answer to it.
        match socket.next_frame() {
            Frame::Close(Some(1008), _) => {}
            other => panic!("expected a close with 1008, got {other:?}"),
        }
    }
}
