//! A copy that takes the place of the diary: what is said before, what is there afterwards, and that nobody takes the new
//! history for the old one.

use crate::harness::{
    Client, Native, Server, Socket,
    cut::{Dice, Luck, Recorder},
    fault::stop,
    native::Cursor,
    picture,
    server::{self, Directory, PASSWORD, copy_folder, said},
    setting,
};
use rusqlite::Connection;
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::process::ExitStatusExt,
    path::{Path, PathBuf},
    process::Output,
};

#[track_caller]
fn works(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    said(output)
}

#[track_caller]
fn refused(output: &Output, words: &str) {
    assert_eq!(output.status.code(), Some(1), "{}", said(output));
    assert!(said(output).contains(words), "{words} in {}", said(output));
    assert!(!said(output).contains("panicked"), "{}", said(output));
}

#[track_caller]
fn backup(data: &Path, folder: &Path) -> PathBuf {
    let output = server::run(&["backup", folder.to_str().unwrap(), "--data", data.to_str().unwrap()], "");
    works(&output).split(": ").next().unwrap().into()
}

fn restore(data: &Path, file: &Path, more: &[&str]) -> Output {
    let words = ["restore", file.to_str().unwrap(), "--data", data.to_str().unwrap()];
    server::run(&[&words, more].concat(), "")
}

/// The folders in which diaries were kept aside.
fn asides(data: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(data).unwrap().map(|file| file.unwrap().path()).collect();
    found.retain(|path| path.file_name().unwrap().to_str().unwrap().starts_with("before-restore-"));
    found.sort();
    found
}

fn upload(person: &Client) -> String {
    let path = "/api/auth/user/profile-picture";
    person.upload(path, "profilePicture", "image/jpeg", &picture::jpeg(50, 50)).ok();
    person.get("/api/auth/user").ok()["profileImageUrl"].as_str().unwrap().to_owned()
}

fn unread(person: &Client) -> u64 {
    person.get("/api/notifications/unread-count").ok()["count"].as_u64().unwrap()
}

fn log_as(person: &Client, group: &str, key: &str, thoughts: &str) -> (bool, Value) {
    let body = json!({ "groupIds": [group], "location": "Home", "thoughts": thoughts });
    let reply = person.request("POST", "/api/deuces").header("Idempotency-Key", key).json(&body).send();
    (reply.header("Idempotent-Replay") == Some("true"), reply.ok())
}

/// Where somebody is in every room they hear.
fn cursors(person: &Client, group: &str) -> Vec<(String, Cursor)> {
    let mut native = Native::open(person);
    let channels = [format!("group:{group}"), "general".to_owned(), "me".to_owned()];
    channels.map(|channel| (channel.clone(), native.subscribe(&channel))).into()
}

#[test]
fn what_was_copied_is_back_and_every_client_begins_anew() {
    let mut server = Server::setup().start_claimed();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    let picture = upload(&ann);
    log_as(&ann, &home, "key-before", "before");
    Native::open(&ann).say("general", "said before");
    let place = Directory::new();
    let copy = backup(server.data(), &place.0);
    let unread_before = unread(&bob);
    let early = cursors(&bob, &home);

    // What will be lost, and where people are who have heard it.
    let second = upload(&ann);
    log_as(&ann, &home, "key-after", "after");
    Native::open(&ann).say("general", "said after");
    let eve = server.person("Eve");
    ann.bring(&home, &eve);
    let late = cursors(&bob, &home);
    let told_of = bob.get("/api/notifications").ok()["notifications"][0]["id"].as_i64().unwrap();

    let dry = works(&restore(server.data(), &copy, &["--dry-run"]));
    let row = |noun: &str| {
        let words = dry.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let mut rows = words.filter(|words| words.len() == 5 && words[0] == noun);
        rows.next().unwrap_or_else(|| panic!("{noun} in {dry}"))[1..].to_vec()
    };
    assert_eq!(row("entries"), ["2", "1", "1", "0"], "{dry}");
    assert_eq!(row("accounts"), ["4", "3", "1", "0"], "{dry}");
    assert_eq!(row("messages"), ["2", "1", "1", "0"], "{dry}");
    assert_eq!(row("pictures"), ["1", "1", "1", "1"], "{dry}");
    assert!(dry.contains("accounts that would go: Eve") && dry.contains("newest entry  now 20"), "{dry}");
    assert_eq!(ann.thoughts_in(&home), ["after", "before"], "nothing was changed");

    refused(&restore(server.data(), &copy, &["--yes"]), "another deuced is already serving");
    server.terminate();
    refused(&restore(server.data(), &copy, &[]), "nothing was changed");
    let done = works(&restore(server.data(), &copy, &["--yes"]));
    let kept = asides(server.data()).pop().expect("what was there is kept");
    assert!(done.contains(kept.to_str().unwrap()), "{done}");
    server.start_again();

    assert_eq!(ann.thoughts_in(&home), ["before"]);
    assert_eq!(ann.get("/api/auth/user").ok()["profileImageUrl"], picture);
    assert_eq!(ann.get(&picture).status, 200);
    assert_eq!(ann.get(&second).status, 404);
    assert_eq!(unread(&bob), unread_before);
    assert_eq!(ann.get("/api/auth/user").ok()["deuceCount"], 1);
    assert_eq!(eve.request("GET", "/api/auth/user").send_to_troubled().status, 401, "nobody here");
    // Nobody resumes, neither from what was lost nor from what was not: and from then on everything is in order again.
    let mut native = Native::open(&bob);
    for (channel, cursor) in early.iter().chain(&late) {
        let ack = native.resume(channel, cursor);
        assert_eq!(ack["recovered"], false, "{channel}: {ack}");
        assert!(ack["seq"].as_i64().unwrap() > 1_000_000, "{ack}");
        assert!(ack["lastId"].is_string(), "a place to come back to: {ack}");
        let again = native.resume(channel, &Cursor::of(&ack));
        assert_eq!((&again["recovered"], &again["replay"]), (&json!(true), &json!(0)), "{again}");
        assert_eq!(native.resume(channel, &Cursor::beginning())["recovered"], false);
    }
    let rooms = bob.get("/api/rooms").ok();
    assert!(rooms["rooms"].as_array().unwrap().iter().all(|room| room["lastId"].is_string()), "{rooms}");
    let mut from_now = Native::open(&bob);
    let cursor = from_now.subscribe(&format!("group:{home}"));
    // What was answered before the copy is remembered; what is lost is done anew.
    assert!(log_as(&ann, &home, "key-before", "before").0, "not twice");
    let (replayed, _) = log_as(&ann, &home, "key-after", "after");
    assert!(!replayed);
    assert_eq!(ann.thoughts_in(&home), ["after", "before"]);
    let event = from_now.expect("deuce_logged");
    assert_eq!(event["payload"]["seq"], cursor.seq + 1, "{event}");
    let mut back = Native::open(&bob);
    assert_eq!(back.resume(&format!("group:{home}"), &cursor)["replay"], 1);
    assert_eq!(back.expect("deuce_logged")["id"], event["id"]);
    let newest = bob.get("/api/notifications").ok()["notifications"][0].clone();
    assert!(newest["id"].as_i64().unwrap() > told_of, "no number is given twice: {newest}");
    assert_eq!(unread(&bob), unread_before + 1);
    // Whatever else a client may have been holding on to.
    let history = bob.get("/api/rooms/general/messages").ok();
    assert_eq!(history["messages"].as_array().unwrap().len(), 1, "{history}");
    old_clients_hear(&server, &ann, &bob, &home);
}

/// The diary's own pages and the oldest clients go on as ever.
fn old_clients_hear(_server: &Server, ann: &Client, bob: &Client, home: &str) {
    let mut socket: Socket = bob.socket();
    ann.log(home, "heard");
    socket.expect_deuce("heard");
}

#[test]
fn what_was_kept_aside_can_be_brought_back() {
    let mut server = Server::setup().start_claimed();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    ann.log(&home, "before");
    let place = Directory::new();
    let copy = backup(server.data(), &place.0);
    ann.log(&home, "after");
    let picture = upload(&ann);
    // A power cut: the newest of it is in the log only.
    server.kill9();
    works(&restore(server.data(), &copy, &["--yes"]));
    server.start_again();
    assert_eq!(ann.thoughts_in(&home), ["before"]);
    assert_eq!(ann.get(&picture).status, 404);
    server.terminate();
    let kept = asides(server.data()).pop().unwrap().join("deuced.db");
    let whole = works(&server::run(&["verify", kept.to_str().unwrap()], ""));
    assert!(whole.contains("entries       2"), "{whole}");
    works(&restore(server.data(), &kept, &["--yes"]));
    server.start_again();
    assert_eq!(ann.thoughts_in(&home), ["after", "before"]);
    assert_eq!(ann.get(&picture).status, 200);
    assert_eq!(asides(server.data()).len(), 2, "the one that was there meanwhile is kept, too");
}

#[test]
fn only_a_whole_copy_that_this_program_knows_is_taken() {
    let mut server = Server::setup().start_claimed();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    ann.log(&home, "a word that the card will change");
    upload(&ann);
    let place = Directory::new();
    let copy = backup(server.data(), &place.0);
    let report = works(&server::run(&["verify", copy.to_str().unwrap()], ""));
    for line in
        ["whole", "by deuced", "people        2", "groups        1", "entries       1", "pictures      1"]
    {
        assert!(report.contains(line), "{line} in {report}");
    }
    server.terminate();
    let bytes = fs::read(&copy).unwrap();
    let wrong = |name: &str, bytes: &[u8]| {
        let path = place.0.join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let at = bytes.windows(6).position(|some| some == b"a word").unwrap();
    let mut one_letter = bytes.clone();
    one_letter[at] ^= 0x20;
    let mut page = bytes.clone();
    page[4096 * 3..4096 * 4].fill(0xa5);
    let changed = |sql: &str| {
        let path = wrong("changed.db", &bytes);
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        path
    };
    let before = fs::read(server.data().join("deuced.db")).unwrap();
    let check = |path: &Path, words: &str| {
        refused(&server::run(&["verify", path.to_str().unwrap()], ""), words);
        refused(&restore(server.data(), path, &["--dry-run"]), words);
        refused(&restore(server.data(), path, &["--yes"]), words);
    };
    check(&wrong("one-letter.db", &one_letter), "is damaged (what it says is not what was copied)");
    check(&wrong("page.db", &page), "is damaged (");
    check(&wrong("half.db", &bytes[..bytes.len() / 2]), "is damaged (");
    check(&wrong("text.db", b"Dear diary"), "is damaged (");
    check(&wrong("empty.db", b""), "there is no diary in it");
    check(&place.0.join("nowhere.db"), "there is no such file");
    check(&place.0, "there is no such file");
    check(&changed("PRAGMA user_version = 999"), "from a newer version of deuced (step 999");
    check(&changed("PRAGMA application_id = 7"), "belongs to another program");
    check(&changed("DELETE FROM entry"), "is damaged (what it says is not what was copied)");
    check(
        &changed("UPDATE backup_picture SET bytes = x'ffd8'"),
        "is damaged (what it says is not what was copied)",
    );
    assert!(fs::read(server.data().join("deuced.db")).unwrap() == before, "nothing was changed");
    refused(
        &restore(server.data(), &server.data().join("deuced.db"), &["--yes"]),
        "this is the diary itself",
    );
    assert!(asides(server.data()).is_empty());
}

#[test]
fn a_diary_that_is_gone_or_damaged_is_no_hindrance() {
    let mut server = Server::setup().start_claimed();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    ann.log(&home, "before");
    let picture = upload(&ann);
    Native::open(&ann).say("general", "said");
    let place = Directory::new();
    let copy = backup(server.data(), &place.0);
    let cursor = cursors(&ann, &home);
    server.terminate();
    let [database, log, pictures] =
        ["deuced.db", "deuced.db-wal", "pictures"].map(|name| server.data().join(name));
    let scenes: [(&str, &dyn Fn()); 4] = [
        ("nothing would be lost", &|| {
            fs::remove_file(&database).unwrap();
            fs::remove_dir_all(&pictures).unwrap();
        }),
        ("cannot be read", &|| fs::write(&database, "what the card made of it").unwrap()),
        ("is not known", &|| {
            let mut bytes = fs::read(&database).unwrap();
            // Rows, not the description of the tables, which is in front.
            let end = bytes.len();
            bytes[end - 8192..end - 1024].fill(0xa5);
            fs::write(&database, bytes).unwrap();
            fs::write(&log, "a log that belongs to nothing").unwrap();
        }),
        ("nothing would be lost", &|| fs::write(&database, "").unwrap()),
    ];
    for (index, (words, harm)) in scenes.iter().enumerate() {
        harm();
        let told = works(&restore(server.data(), &copy, &["--yes"]));
        assert!(told.contains(words), "{words} in {told}");
        server.start_again();
        assert_eq!(ann.thoughts_in(&home), ["before"], "{words}");
        assert_eq!(ann.get(&picture).status, 200, "{words}");
        let mut native = Native::open(&ann);
        for (channel, cursor) in &cursor {
            assert_eq!(native.resume(channel, cursor)["recovered"], false, "{words}: {channel}");
        }
        drop(native);
        server.terminate();
        assert_eq!(asides(server.data()).len(), index, "{words}");
    }
    let kept = fs::read(asides(server.data())[0].join("deuced.db")).unwrap();
    assert_eq!(kept, b"what the card made of it", "destroyed by nobody");
}

#[test]
fn a_copy_may_be_on_another_file_system_and_the_data_directory_a_mount_point() {
    let mut server = Server::setup().start_claimed();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    ann.log(&home, "before");
    let copy = backup(server.data(), &server.data().join("backups"));
    ann.log(&home, "after");
    server.terminate();
    // The memory is another file system than any directory for temporary files on a disk; where it is the same, so be it.
    let elsewhere = PathBuf::from(format!("/dev/shm/deuced-restore-{}.db", std::process::id()));
    fs::copy(&copy, &elsewhere).unwrap();
    let mut command = server::command();
    command.args(["restore", elsewhere.to_str().unwrap(), "--yes", "--data", server.data_text()]);
    let output = server::finish(command.envs(stop(0, server.data())), "");
    fs::remove_file(&elsewhere).unwrap();
    works(&output);
    server.start_again();
    assert_eq!(ann.thoughts_in(&home), ["before"]);
}

/// The diary as a copy has it, with one entry and a picture, and as it went on: another entry, and another picture.
struct Both {
    ann: Client,
    home: String,
    /// The paths of the pictures.
    earlier: String,
    later: String,
    copy: PathBuf,
    _place: Directory,
}

fn two_diaries() -> (Server, Both) {
    let server = Server::setup().start_claimed();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    ann.log(&home, "before");
    let earlier = upload(&ann);
    let place = Directory::new();
    let copy = backup(server.data(), &place.0);
    ann.log(&home, "after");
    let later = upload(&ann);
    (server, Both { ann, home, earlier, later, copy, _place: place })
}

impl Both {
    /// Whether somebody finds the one that went on in the server's data, or else the copy's, whose predecessor was kept
    /// whole then: never a mix.
    #[track_caller]
    fn is_old(&self, ann: &Client, data: &Path, scene: &str) -> bool {
        let pictures =
            [&self.earlier, &self.later].map(|path| ann.request("GET", path).send_to_troubled().status);
        let kept = asides(data);
        match ann.thoughts_in(&self.home).as_slice() {
            [after, before] if after == "after" && before == "before" => {
                assert_eq!(pictures, [404, 200], "{scene}");
                true
            }
            [before] if before == "before" => {
                assert_eq!(pictures, [200, 404], "{scene}");
                assert_eq!(kept.len(), 1, "{scene}");
                assert!(kept[0].join("deuced.db").exists(), "{scene}");
                false
            }
            other => panic!("{scene}: {other:?}"),
        }
    }
}

/// What was kept aside is all that there was.
#[track_caller]
fn kept_is_whole(data: &Path, scene: &str) {
    let kept = asides(data)[0].join("deuced.db");
    let whole = works(&server::run(&["verify", kept.to_str().unwrap()], ""));
    assert!(whole.contains("entries       2"), "{scene}: {whole}");
}

#[test]
fn killed_at_any_step_it_leaves_the_one_diary_or_the_other() {
    let (mut server, both) = two_diaries();
    let Both { ann, copy, .. } = &both;
    // As a power cut leaves it, with a log that is not folded in.
    server.kill9();
    let original = Directory::new();
    copy_folder(server.data(), &original.0);
    let (mut old, mut new, mut step) = (0, 0, 0);
    loop {
        step += 1;
        fs::remove_dir_all(server.data()).unwrap();
        copy_folder(&original.0, server.data());
        let mut command = server::command();
        command.args(["restore", copy.to_str().unwrap(), "--yes", "--data", server.data_text()]);
        let output = server::finish(command.envs(stop(step, server.data())), "");
        let killed = output.status.signal() == Some(libc::SIGKILL);
        assert!(killed || output.status.success(), "step {step}: {}", said(&output));
        server.start_again();
        let scene = format!("step {step}");
        if both.is_old(ann, server.data(), &scene) {
            assert!(asides(server.data()).is_empty() && new == 0, "{scene}");
            old += 1;
        } else {
            new += 1;
        }
        server.kill9();
        if !killed {
            // Whichever way it came about.
            kept_is_whole(server.data(), &scene);
            break;
        }
    }
    assert!(old >= 10 && new >= 10, "killed {step} times: {old} times the old one, {new} times the new one");
}

#[test]
fn a_restore_that_was_decided_is_finished_by_whichever_command_comes_first() {
    for words in [&["user", "list"][..], &["backup"], &["user", "add", "Bob", "--password-stdin"]] {
        let mut server = Server::setup().start_claimed();
        let ann = server.person("Ann");
        let place = Directory::new();
        let copy = backup(server.data(), &place.0);
        server.add_user("Eve", &[]);
        server.terminate();
        let ready = server.data().join("restore.ready");
        for step in 1.. {
            assert!(step < 500, "never decided");
            let mut command = server::command();
            command.args(["restore", copy.to_str().unwrap(), "--yes", "--data", server.data_text()]);
            server::finish(command.envs(stop(step, server.data())), "");
            if ready.exists() {
                break;
            }
        }
        works(&server::run(&[words, &["--data", server.data_text()]].concat(), PASSWORD));
        assert!(!ready.exists(), "{words:?}");
        server.start_again();
        assert!(!server.user(&["list"]).contains("Eve"), "{words:?}");
        ann.found("Home");
    }
}

#[test]
fn a_signed_request_is_not_good_again() {
    let mut server = Server::setup().start_claimed();
    server.person("Ann").found("Home");
    let place = Directory::new();
    let add = |name: &str| {
        let words = ["token", "add", "Ann", "--device", name, "--group", "Home", "--verb", "log"];
        works(&server::run(&[&words[..], &["--data", server.data_text()]].concat(), ""));
    };
    add("Button");
    let copy = backup(server.data(), &place.0);
    add("Second");
    server.terminate();
    let set = |data: &Path, sql: &str| {
        Connection::open(data.join("deuced.db")).unwrap().execute_batch(sql).unwrap()
    };
    set(server.data(), "UPDATE device SET counter = 77, read_until = 99");
    let told = works(&restore(server.data(), &copy, &["--yes"]));
    assert!(told.contains("devices that would go: Second"), "{told}");
    let db = Connection::open(server.data().join("deuced.db")).unwrap();
    let read =
        |sql: &str| db.query_row(sql, [], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?))).unwrap();
    assert_eq!(read("SELECT counter, read_until FROM device"), (77, 99));
    let (next, newest) =
        read("SELECT seq, (SELECT max(id) FROM token) FROM sqlite_sequence WHERE name = 'token'");
    assert!(next > newest, "the number of the second is not given again: {next} {newest}");
}

/// How many power cuts, where nobody says.
const CUTS: u64 = 40;

#[test]
fn whatever_a_power_cut_leaves_of_a_restore_is_the_one_diary_or_the_other() {
    let cuts = setting("DEUCED_CYCLES", CUTS * 4) / 4;
    let (cuts, seed) = (cuts.max(1), setting("DEUCED_SEED", 20_261_124));
    let (mut server, both) = two_diaries();
    let Both { ann, copy, .. } = &both;
    server.kill9();
    let recorder = Recorder::begin(server.data());
    let mut command = server::command();
    command.args(["restore", copy.to_str().unwrap(), "--yes", "--data", server.data_text()]);
    works(&server::finish(command.envs(recorder.environment()), ""));
    let recording = recorder.end();
    assert!(recording.syncs() > 15, "{} syncs", recording.syncs());
    let (mut old, mut new) = (0, 0);
    for cut in 0..cuts {
        let mut dice = Dice::new(seed + cut);
        let mut card = recording.card();
        // Most of the record is the copy being read in; what is decided and follows from it is at its end.
        let moments = recording.moments();
        let late = dice.below(4) > 0;
        card.go_to(if late { moments - dice.below(moments.min(60)) } else { dice.below(moments + 1) });
        let luck = Luck::draw(&mut dice);
        let left = Server::setup().start_on(|data| card.cut(luck, &mut dice, data));
        let ann = left.nobody().gadget(&ann.token());
        let scene = format!("cut {cut} of seed {seed}, {luck:?}");
        if both.is_old(&ann, left.data(), &scene) {
            old += 1;
        } else {
            kept_is_whole(left.data(), &scene);
            new += 1;
        }
    }
    println!("{cuts} power cuts: {old} times the old diary, {new} times the new one");
    assert!(old > 0 && new > 0, "{old} times the old one, {new} times the new one");
}
