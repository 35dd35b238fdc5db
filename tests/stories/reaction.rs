//! Reactions: one of each kind per person and entry.

use crate::harness::{Client, Server, check, client::texts, together};
use serde_json::{Value, json};

#[test]
fn reacting_and_taking_it_back() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    let entry = ann.log_id(&home, "x");
    let path = format!("/api/entries/{entry}/reactions");
    assert_eq!(ann.get(&path).ok(), json!([]));

    let picker = ["👍", "❤️", "😂", "😮", "😢", "😡", "🔥", "👏"];
    for emoji in picker {
        let reaction = bob.post(&path, json!({ "emoji": emoji, "userId": "dev-eve", "id": 7 })).ok();
        check::reaction(&reaction);
        assert_eq!((&reaction["emoji"], &reaction["userId"]), (&json!(emoji), &json!(bob.id())));
        assert_eq!(reaction["entryId"], json!(entry));
    }
    ann.post(&path, json!({ "emoji": "👍" })).ok();
    let list = ann.get(&path).ok();
    let expected: Vec<&str> = picker.into_iter().chain(["👍"]).collect();
    assert_eq!(texts(&list, "emoji"), expected, "oldest first");
    for reaction in list.as_array().unwrap() {
        check::reaction(reaction);
        check::user(&reaction["user"]);
        assert_eq!(reaction["user"]["id"], reaction["userId"]);
    }

    bob.post(&path, json!({ "emoji": "👍" })).refused(400, "You've already reacted with this emoji");
    let removed = json!({ "message": "Reaction removed" });
    assert_eq!(bob.delete_with_body(&path, json!({ "emoji": "👍" })).ok(), removed);
    assert_eq!(bob.delete_with_body(&path, json!({ "emoji": "👍" })).ok(), removed, "nothing there is fine");
    let left = texts(&bob.get(&path).ok(), "emoji");
    assert_eq!(left.iter().filter(|emoji| *emoji == "👍").count(), 1, "only one's own goes");
    bob.post(&path, json!({ "emoji": "👍" })).ok();
}

#[test]
fn a_reaction_needs_an_emoji() {
    let server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let path = format!("/api/entries/{}/reactions", ann.log_id(&home, "x"));
    for emoji in [json!(null), json!(""), json!(7), json!([]), json!({})] {
        ann.post(&path, json!({ "emoji": emoji })).refused(400, "Emoji is required");
        ann.delete_with_body(&path, json!({ "emoji": emoji })).refused(400, "Emoji is required");
    }
    ann.post(&path, json!({})).refused(400, "Emoji is required");
    ann.delete(&path).refused(400, "Emoji is required");
    ann.post(&path, json!({ "emoji": "x".repeat(11) })).refused_naming(400, "emoji");
    ann.post(&path, json!({ "emoji": "👍".repeat(11) })).refused_naming(400, "emoji");
    assert_eq!(ann.get(&path).ok(), json!([]));
    for emoji in ["👍".repeat(10), "<b>".into(), "👩‍👩‍👧‍👦".into()] {
        assert_eq!(ann.post(&path, json!({ "emoji": emoji })).ok()["emoji"], json!(emoji));
    }
}

#[test]
fn four_at_once_are_one_reaction() {
    let server = Server::open();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    let path = format!("/api/entries/{}/reactions", ann.log_id(&home, "x"));
    let devices: Vec<_> = (0..4).map(|_| ann.twin()).collect();
    let replies = together(4, |index| devices[index].post(&path, json!({ "emoji": "👍" })));
    let (taken, refused): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.status == 200);
    assert_eq!(taken.len(), 1, "{replies:?}");
    for reply in refused {
        reply.refused(400, "You've already reacted with this emoji");
    }
    assert_eq!(ann.get(&path).ok().as_array().unwrap().len(), 1);
}

/// What a stranger gets who looks, reacts and takes back.
#[track_caller]
fn answers(eve: &Client, entry: &str) -> [(u16, Value); 3] {
    let path = format!("/api/entries/{entry}/reactions");
    let replies = [
        eve.get(&path),
        eve.post(&path, json!({ "emoji": "🔥" })),
        eve.delete_with_body(&path, json!({ "emoji": "👍" })),
    ];
    for reply in &replies {
        assert!(!reply.text().contains("👍"), "{reply:?}");
    }
    replies.map(|reply| {
        let mut body = reply.json();
        body.as_object_mut().map(|fields| fields.remove("requestId"));
        (reply.status, body)
    })
}

#[test]
fn a_stranger_neither_reads_nor_reacts() {
    let server = Server::open();
    let (ann, eve) = (server.person("Ann"), server.person("Eve"));
    let home = ann.found("Home");
    let entry = ann.log_id(&home, "x");
    let path = format!("/api/entries/{entry}/reactions");
    ann.post(&path, json!({ "emoji": "👍" })).ok();
    let [looked, reacted, _] = answers(&eve, &entry);
    for (status, body) in [looked, reacted] {
        assert_eq!((status, &body["message"]), (403, &json!("Not authorized to react to this entry")));
    }
    for malformed in &super::group::UNKNOWN_IDS[1..] {
        let unknown = super::group::UNKNOWN_IDS[0];
        assert_eq!(answers(&eve, malformed), answers(&eve, unknown), "{malformed} is unknown");
    }
    assert_eq!(texts(&ann.get(&path).ok(), "emoji"), ["👍"]);
}

#[test]
fn an_unknown_entry_has_no_reactions_and_takes_none() {
    // The contract tells a missing entry (404) from a foreign one (403); ids cannot be guessed.
    let server = Server::open();
    let ann = server.person("Ann");
    for entry in super::group::UNKNOWN_IDS {
        let path = format!("/api/entries/{entry}/reactions");
        assert_eq!(ann.get(&path).ok(), json!([]));
        ann.post(&path, json!({ "emoji": "👍" })).refused(404, "Entry not found");
        ann.delete_with_body(&path, json!({ "emoji": "👍" })).ok();
    }
}

#[test]
fn a_former_member_reacts_no_more() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    let entry = ann.log_id(&home, "x");
    ann.delete(&format!("/api/groups/{home}/members/{}", bob.id())).ok();
    let path = format!("/api/entries/{entry}/reactions");
    bob.post(&path, json!({ "emoji": "👍" })).refused(403, "Not authorized to react to this entry");
    bob.get(&path).refused(403, "Not authorized to react to this entry");
    assert_eq!(ann.get(&path).ok(), json!([]));
}

#[test]
fn a_former_member_takes_their_own_reaction_back() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    let path = format!("/api/entries/{}/reactions", ann.log_id(&home, "x"));
    for person in [&ann, &bob] {
        person.post(&path, json!({ "emoji": "👍" })).ok();
    }
    bob.post(&path, json!({ "emoji": "🔥" })).ok();
    bob.post(&format!("/api/groups/{home}/leave"), json!({})).ok();
    assert_eq!(texts(&ann.get(&path).ok(), "userId"), [ann.id(), bob.id(), bob.id()], "what was said stays");
    bob.delete_with_body(&path, json!({ "emoji": "👍" })).ok();
    let left = ann.get(&path).ok();
    assert_eq!(
        (texts(&left, "emoji"), texts(&left, "userId")),
        (vec!["👍".into(), "🔥".into()], vec![ann.id(), bob.id()])
    );
    let feed = ann.get("/api/deuces").ok();
    assert_eq!(feed[0]["reactions"].as_array().unwrap().len(), 2, "really gone");
}
