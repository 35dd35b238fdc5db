//! The whole way through the house, as two people go it.

use crate::harness::{Server, client::texts};
use serde_json::json;

#[test]
fn two_people_from_login_to_the_morning_after() {
    let mut server = Server::open();
    // Ann opens the diary on her phone and makes a group.
    let ann = server.person("Ann");
    let home = ann.found("Our place");
    let link = ann.post(&format!("/api/groups/{home}/invite"), json!({})).ok();
    let path =
        link["inviteLink"].as_str().unwrap().split_once(&server.address().to_string()).unwrap().1.to_string();

    // Bob follows the link without being logged in, logs in, and his page joins.
    let visitor = server.nobody();
    let landing = visitor.get(&path);
    let invite = landing.header("Location").unwrap().strip_prefix("/?join=").unwrap().to_string();
    let bob = server.person("Bob");
    assert_eq!(bob.join(&invite)["group"]["name"], "Our place");

    // His pages open their sockets as the old client does: the shell's, which never joins anything,
    // and Home's, which joins all groups again and again.
    let (mut shell, mut page, mut of_ann) = (bob.socket(), bob.socket(), ann.socket());
    for _ in 0..3 {
        for group in bob.get("/api/groups").ok().as_array().unwrap() {
            page.send_json(json!({ "type": "join_group", "groupId": group["id"] }));
        }
    }
    page.expect_silence();

    // Ann logs; both of Bob's sockets hear it once, and so does hers.
    let places = ann.get("/api/locations").ok();
    let body = json!({
        "groupIds": [home], "location": places[0]["name"], "thoughts": "First!", "loggedAt": "2026-11-20T14:56:00.000Z"
    });
    let entry = ann.post("/api/deuces", body).ok()["entries"][0].clone();
    for socket in [&mut shell, &mut page, &mut of_ann] {
        let event = socket.expect_deuce("First!");
        assert_eq!((&event["entry"]["id"], &event["userId"]), (&entry["id"], &json!(ann.id())));
        socket.expect_silence();
    }

    // Bob reacts, and Ann sees it on her group page.
    let reactions = format!("/api/entries/{}/reactions", entry["id"].as_str().unwrap());
    bob.post(&reactions, json!({ "emoji": "❤️" })).ok();
    assert_eq!(ann.get(&reactions).ok()[0]["user"]["firstName"], "Bob");

    // The box is restarted. The sockets are told, and the clients come back in three seconds.
    server.signal(libc::SIGTERM);
    for socket in [&mut shell, &mut page, &mut of_ann] {
        socket.expect_close(1001);
    }
    server.wait_for_end();
    server.start_again();

    // Nobody has to log in again, and everything is still there.
    let detail = bob.get(&format!("/api/groups/{home}")).ok();
    assert_eq!(texts(&detail["entries"], "thoughts"), ["First!"]);
    assert_eq!(detail["members"].as_array().unwrap().len(), 2);
    assert_eq!(bob.get(&reactions).ok()[0]["emoji"], "❤️");
    let mut again = ann.socket();
    bob.log(&home, "Good morning");
    assert_eq!(again.expect_deuce("Good morning")["message"], "Bob logged a new deuce");
    assert_eq!(ann.thoughts_in(&home), ["Good morning", "First!"]);
}

#[test]
fn the_same_with_passwords() {
    let mut server = Server::strict();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Our place");
    ann.bring(&home, &bob);
    let mut socket = bob.socket();
    let entry = ann.log(&home, "First!");
    assert_eq!(socket.expect_deuce("First!")["entry"]["id"], entry["id"]);
    server.restart();
    assert_eq!(bob.thoughts_in(&home), ["First!"]);
    assert_eq!(server.device("Ann").thoughts_in(&home), ["First!"]);
}
