//! The requirements on accounts and API, R-A…, and R-W12 on what becomes of sockets, each by its name.

use crate::harness::{
    Client, Native, Server, Socket, emulation::leaves_out_measures, server::PASSWORD, together,
};
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const AT_ONCE: Duration = Duration::from_secs(1);
const DAY: i64 = 24 * 60 * 60;
const INVALID: &str = "Invalid or expired invite";

fn login(server: &Server, name: &str, password: &str) -> crate::harness::Reply {
    server.nobody().post("/api/login", json!({ "username": name, "password": password }))
}

// R-A6

#[test]
fn r_a6_wrong_passwords_are_limited_per_account_and_address() {
    let server = Server::strict();
    server.add_user("Ann", &[]);
    for _ in 0..5 {
        login(&server, "Ann", "a guess").refused(401, "Wrong name or password");
    }
    let reply = login(&server, "ann", "a guess");
    assert_eq!((reply.status, reply.header("Retry-After")), (429, Some("1")), "{reply:?}");
}

#[test]
fn r_a6_others_and_open_sessions_are_never_locked_out() {
    let server = Server::strict();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let mut socket = ann.socket();
    for _ in 0..5 {
        login(&server, "Ann", "a guess").refused_with(401);
    }
    login(&server, "Ann", "a guess").refused_with(429);
    ann.get("/api/auth/user").ok();
    socket.expect_silence();
    login(&server, "Bob", PASSWORD).ok();
    bob.get("/api/auth/user").ok();
}

/// The answer, without what differs each time.
fn answer(reply: &crate::harness::Reply) -> (u16, Vec<String>, String) {
    let mut body = reply.json();
    body.as_object_mut().unwrap().remove("requestId");
    let mut names: Vec<String> = reply.headers.iter().map(|(name, _)| name.to_lowercase()).collect();
    names.sort();
    (reply.status, names, body.to_string())
}

/// A known account, one that nobody has, one without a password, and one that is disabled.
fn four_kinds(server: &Server) -> [&'static str; 4] {
    server.add_user("Ann", &["--admin"]);
    let ann = server.device("Ann");
    ann.post("/api/people", json!({ "username": "prepared" })).ok();
    server.add_user("disabled", &[]);
    server.user(&["disable", "disabled"]);
    ["Ann", "nobody", "prepared", "disabled"]
}

#[test]
fn r_a6_unknown_names_give_the_same_answer() {
    let server = Server::strict();
    let names = four_kinds(&server);
    let answers: Vec<_> =
        names.iter().map(|name| answer(&login(&server, name, "a wrong password"))).collect();
    assert_eq!(answers[0].0, 401);
    assert!(answers.iter().all(|one| *one == answers[0]), "{answers:?}");
    // The same once there were too many.
    let answers: Vec<_> = names
        .iter()
        .map(|name| {
            (0..4).for_each(|_| login(&server, name, "a wrong password").refused_with(401));
            answer(&login(&server, name, "a wrong password"))
        })
        .collect();
    assert_eq!(answers[0].0, 429);
    assert!(answers.iter().all(|one| *one == answers[0]), "{answers:?}");
}

#[test]
fn r_a6_unknown_names_cost_the_same_time() {
    let server = Server::setup()
        .limit("login_failures", 1000)
        .limit("login_failures_per_address", 1000)
        .limit("logins_per_minute", 1000)
        .start();
    let names = four_kinds(&server);
    // Not by the clock on the wall: the processor's time is what a guess costs, whatever else the machine does.
    let mut ticks = [0; 4];
    for _ in 0..4 {
        for (name, ticks) in names.iter().zip(&mut ticks) {
            let before = server.processor_ticks();
            (0..5).for_each(|_| login(&server, name, "a wrong password").refused_with(401));
            *ticks += server.processor_ticks() - before;
        }
    }
    let (least, most) = (ticks.iter().min().unwrap(), ticks.iter().max().unwrap());
    // Without a hash it is a fiftieth.
    assert!(*most < 2 * least && *least > 4, "{names:?}: {ticks:?}");
}

// R-A7

#[test]
fn r_a7_passwords_of_1024_bytes_and_no_more() {
    let server = Server::strict();
    server.add_user("Ann", &["--admin"]);
    let ann = server.device("Ann");
    let longest = "ä".repeat(512);
    ann.put("/api/auth/password", json!({ "oldPassword": PASSWORD, "newPassword": longest })).ok();
    login(&server, "Ann", &longest).ok();
    login(&server, "Ann", &longest[2..]).refused_with(401);
    login(&server, "Ann", &format!("{longest}x")).refused_naming(400, "password");
    ann.put("/api/auth/password", json!({ "oldPassword": longest, "newPassword": format!("{longest}x") }))
        .refused_naming(400, "newPassword");
}

#[test]
fn r_a7_argon2_runs_off_the_loop() {
    let server = Server::setup().limit("address_requests_per_minute", 1_000_000).start();
    server.add_user("Ann", &[]);
    let answers = std::thread::scope(|scope| {
        let logins = scope.spawn(|| together(4, |_| server.device("Ann")));
        let nobody = server.nobody();
        let mut answers = 0;
        while !logins.is_finished() {
            nobody.get("/api/health").ok();
            answers += 1;
        }
        answers
    });
    assert!(answers >= 20, "only {answers} answers while four passwords were hashed");
}

#[test]
fn r_a7_at_most_two_are_hashed_at_a_time() {
    let server = Server::strict();
    server.add_user("Ann", &[]);
    let threads = || std::fs::read_dir(format!("/proc/{}/task", server.process_id())).unwrap().count();
    let most = std::thread::scope(|scope| {
        let logins = scope.spawn(|| together(12, |_| server.device("Ann")));
        let mut most = 0;
        while !logins.is_finished() {
            most = most.max(threads());
            std::thread::sleep(Duration::from_millis(1));
        }
        most
    });
    if leaves_out_measures() {
        return;
    }
    // The loop, the store, and two workers, one of which hashes.
    assert!((3..=4).contains(&most), "{most} threads");
}

// R-W12

#[test]
fn r_w12_membership_is_checked_at_every_join() {
    let server = Server::strict();
    let (ann, eve) = (server.person("Ann"), server.person("Eve"));
    let home = ann.found("Home");
    let channel = format!("group:{home}");
    let mut native = Native::open(&eve);
    native.refused("subscribe", json!({ "channel": channel }), "FORBIDDEN");
    let mut page = eve.socket();
    page.send_json(json!({ "type": "join_group", "groupId": home }));
    page.expect_silence();
    ann.log(&home, "private");
    page.expect_silence();
    ann.bring(&home, &eve);
    native.subscribe(&channel);
    eve.post(&format!("/api/groups/{home}/leave"), json!({})).ok();
    native.expect("member_left");
    native.refused("subscribe", json!({ "channel": channel }), "FORBIDDEN");
}

/// Two sockets of a login, of two families of clients.
fn sockets(client: &Client) -> [Socket; 2] {
    let mut native = Native::open(client);
    native.subscribe("me");
    [client.socket(), native.socket]
}

/// All of them are closed with 1008, and no more than a second after it was asked for.
#[track_caller]
fn all_close(what: &str, since: Instant, sockets: impl IntoIterator<Item = Socket>) {
    for mut socket in sockets {
        socket.expect_close(1008);
        assert!(since.elapsed() < AT_ONCE, "{what}: {:?}", since.elapsed());
    }
}

#[test]
fn r_w12_logout_closes_sockets_within_a_second() {
    let server = Server::strict();
    let (ann, tablet) = (server.person("Ann"), server.device("Ann"));
    let (own, mut others) = (sockets(&ann), sockets(&tablet));
    let start = Instant::now();
    ann.post("/api/auth/logout", json!({})).ok();
    all_close("logout", start, own);
    others.iter_mut().for_each(Socket::expect_silence);
}

#[test]
fn r_w12_a_new_password_closes_the_others_sockets_within_a_second() {
    let server = Server::strict();
    let (ann, tablet) = (server.person("Ann"), server.device("Ann"));
    let (mut own, others) = (sockets(&ann), sockets(&tablet));
    ann.put("/api/auth/password", json!({ "oldPassword": PASSWORD, "newPassword": "a new long password" }))
        .ok();
    // The hash takes its time, the sockets none.
    all_close("a new password", Instant::now(), others);
    own.iter_mut().for_each(Socket::expect_silence);
}

#[test]
fn r_w12_whoever_is_removed_or_disabled_hears_no_more_within_a_second() {
    let server = Server::strict();
    server.add_user("Ann", &["--admin"]);
    let ann = server.device("Ann");
    for (name, method, body) in [("Bob", "PATCH", json!({ "disabled": true })), ("Cid", "DELETE", json!({}))]
    {
        let open = sockets(&server.person(name));
        let start = Instant::now();
        ann.request(method, &format!("/api/people/dev-{}", name.to_lowercase())).json(&body).send().ok();
        all_close(method, start, open);
    }
    // From a group: the room is taken from the sockets, which go on.
    let dan = server.person("Dan");
    let home = ann.found("Home");
    ann.bring(&home, &dan);
    let mut native = Native::open(&dan);
    native.subscribe(&format!("group:{home}"));
    ann.delete(&format!("/api/groups/{home}/members/dev-dan")).ok();
    native.expect("member_left");
    ann.log(&home, "private");
    native.expect_silence();
}

#[test]
fn r_w12_what_a_command_changes_closes_sockets_within_a_second() {
    let server = Server::strict();
    server.add_user("Ann", &["--admin"]);
    let ann = server.device("Ann");
    let home = ann.found("Home");
    let mut of_ann = Native::open(&ann);
    of_ann.subscribe(&format!("group:{home}"));
    for (name, words) in
        [("Bob", &["disable", "Bob"][..]), ("Cid", &["remove", "Cid", "--yes"]), ("Dan", &["disable", "dan"])]
    {
        let person = server.person(name);
        ann.bring(&home, &person);
        let open = sockets(&person);
        server.user(words);
        all_close(words[0], Instant::now(), open);
        person.bearer().get("/api/auth/user").refused(401, "Unauthorized");
    }
    // What the command told a room is heard there, without waiting for the next event.
    let left = of_ann.until("member_left");
    assert_eq!(left["payload"]["channel"], json!(format!("group:{home}")), "{left}");
}

#[test]
fn r_w12_who_becomes_a_child_by_a_command_leaves_the_open_rooms_within_a_second() {
    let server = Server::strict();
    let kim = server.person("Kim");
    let mut native = Native::open(&kim);
    native.subscribe("general");
    server.user(&["child", "Kim", "yes"]);
    let start = Instant::now();
    native.socket.expect_close(1013);
    assert!(start.elapsed() < AT_ONCE, "{:?}", start.elapsed());
}

// R-A8

#[test]
fn r_a8_a_link_for_two_lets_in_two() {
    let server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let invite = ann.post(&format!("/api/groups/{home}/invite"), json!({ "maxUses": 2 })).ok();
    assert_eq!(invite["maxUses"], 2);
    let join = format!("/api/join/{}", invite["id"].as_str().unwrap());
    let guests = ["Bob", "Cid", "Dan", "Eve"].map(|name| server.person(name));
    let statuses = together(4, |index| guests[index].post(&join, json!({})).status);
    assert_eq!(statuses.iter().filter(|status| **status == 200).count(), 2, "{statuses:?}");
    assert_eq!(ann.members_of(&home).len(), 3);
    let late = server.person("Fay");
    late.post(&join, json!({})).refused(400, INVALID);
    let inside = statuses.iter().position(|status| *status == 200).unwrap();
    let answer = guests[inside].post(&join, json!({})).ok();
    assert_eq!(answer["message"], "Already a member of this group", "also when the link is used up");
}

#[test]
fn r_a8_of_newcomers_at_once_as_many_come_in_as_the_link_says() {
    let server = Server::strict();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let invite = ann.post(&format!("/api/groups/{home}/invite"), json!({ "maxUses": 2 })).ok();
    let join = format!("/api/join/{}/newcomer", invite["id"].as_str().unwrap());
    let names = ["Bob", "Cid", "Dan", "Eve"];
    let answers = together(4, |index| {
        server.nobody().post(&join, json!({ "username": names[index], "password": PASSWORD }))
    });
    let inside: Vec<&str> =
        (0..4).filter(|index| answers[*index].status == 200).map(|index| names[index]).collect();
    assert_eq!(inside.len(), 2, "{answers:?}");
    answers.iter().filter(|answer| answer.status != 200).for_each(|answer| answer.refused(400, INVALID));
    assert_eq!(ann.members_of(&home).len(), 3);
    for name in names {
        let login = server.nobody().post("/api/login", json!({ "username": name, "password": PASSWORD }));
        assert_eq!(login.status == 200, inside.contains(&name), "no account without the group: {login:?}");
    }
}

#[test]
fn r_a8_a_link_ends_after_seven_days() {
    let mut server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let invite = ann.invite(&home);
    server.restart_later(6 * DAY);
    server.person("Bob").join(&invite);
    server.restart_later(2 * DAY);
    server.person("Cid").post(&format!("/api/join/{invite}"), json!({})).refused(400, INVALID);
    let ann = server.device("Ann");
    let valid = |row: &Value| row["id"] == json!(invite);
    let list = ann.get(&format!("/api/groups/{home}/invites")).ok();
    assert!(!list.as_array().unwrap().iter().any(valid), "an expired link is not offered any more: {list}");
}

#[test]
fn r_a8_guesses_are_limited_for_people_and_for_strangers() {
    let server = Server::setup().limit("joins_per_minute", 3).limit("logins_per_minute", 3).start();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let invite = ann.invite(&ann.found("Home"));
    let guess = |number: u32| format!("00000000-0000-4000-8000-{number:012}");
    for number in 0..3 {
        bob.post(&format!("/api/join/{}", guess(number)), json!({})).refused(400, INVALID);
    }
    let throttled = bob.post(&format!("/api/join/{}", guess(3)), json!({}));
    throttled.refused_with(429);
    assert!(throttled.header("Retry-After").is_some(), "{throttled:?}");

    // Looking and joining draw on the same tries of an address, also of one that guesses nonsense.
    let eve = server.nobody();
    let newcomer = json!({ "username": "Eve", "password": PASSWORD });
    eve.get(&format!("/api/invites/{}", guess(3))).refused(404, INVALID);
    eve.get("/api/invites/nonsense").refused(404, INVALID);
    eve.post(&format!("/api/join/{}/newcomer", guess(4)), newcomer.clone()).refused(400, INVALID);
    for late in [
        eve.get(&format!("/api/invites/{}", guess(5))),
        eve.post(&format!("/api/join/{}/newcomer", guess(5)), newcomer),
        server.nobody().get(&format!("/api/invites/{}", guess(5))),
    ] {
        late.refused_with(429);
    }
    // Whoever holds one is not kept out by somebody's guesses.
    eve.get(&format!("/api/invites/{invite}")).ok();
    // With a login of her own Ann still gets in: her tries are hers.
    ann.join(&invite);
    // At the login an invite is guessed under the limit on logins; Bob, who was here before, has one of his own.
    for number in 5..8 {
        let with_code = json!({ "username": "Bob", "password": PASSWORD, "inviteCode": guess(number) });
        eve.post("/api/login", with_code).refused(400, INVALID);
    }
    let with_code = json!({ "username": "Bob", "password": PASSWORD, "inviteCode": guess(8) });
    eve.post("/api/login", with_code).refused_with(429);
}
