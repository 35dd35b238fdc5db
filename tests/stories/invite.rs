//! Invites: for many, for seven days, until revoked.

use crate::harness::{Server, check, client::texts, together};
use serde_json::json;

const INVALID: &str = "Invalid or expired invite";

#[test]
fn a_link_for_many() {
    let server = Server::open();
    let (ann, bob, cid) = (server.person("Ann"), server.person("Bob"), server.person("Cid"));
    let home = ann.found("Home");
    let invite = ann.request("POST", &format!("/api/groups/{home}/invite")).send().ok();
    let id = invite["id"].as_str().unwrap();
    let link = invite["inviteLink"].as_str().unwrap();
    assert_eq!(link, format!("http://{}/join/{id}", server.address()));
    assert_eq!((&invite["maxUses"], &invite["uses"]), (&json!(null), &json!(0)));
    check::time(&invite["expiresAt"]);

    for guest in [&bob, &cid] {
        let joined = guest.join(id);
        check::group(&joined["group"]);
        assert_eq!(joined["group"]["id"], json!(home));
        assert_eq!(joined.get("message"), None);
    }
    let again = bob.join(id);
    assert_eq!(again["message"], "Already a member of this group");
    assert_eq!(again["group"]["id"], json!(home));
    assert_eq!(ann.members_of(&home), [cid.id(), bob.id(), ann.id()]);
    // Any member may invite.
    let by_bob = bob.invite(&home);
    server.person("Dan").join(&by_bob);
}

#[test]
fn joining_four_times_at_once_is_one_membership() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    let invite = ann.post(&format!("/api/groups/{home}/invite"), json!({ "maxUses": 2 })).ok();
    let id = invite["id"].as_str().unwrap();
    let devices: Vec<_> = (0..4).map(|_| bob.twin()).collect();
    let replies = together(4, |index| devices[index].join(id));
    let news = replies.iter().filter(|reply| reply.get("message").is_none()).count();
    assert_eq!(news, 1, "{replies:?}");
    assert_eq!(ann.members_of(&home).len(), 2);
    let list = ann.get(&format!("/api/groups/{home}/invites")).ok();
    assert_eq!(list[0]["uses"], 1, "only a new membership uses the link up");
}

#[test]
fn a_use_count_that_does_not_do() {
    let server = Server::setup().open().limit("groups_per_minute", 1000).start();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    for uses in [json!(0), json!(-1), json!("2"), json!(1.5), json!(true), json!([]), json!(1e30)] {
        ann.post(&format!("/api/groups/{home}/invite"), json!({ "maxUses": uses }))
            .refused_naming(400, "maxUses");
    }
    assert_eq!(ann.get(&format!("/api/groups/{home}/invites")).ok(), json!([]));
    ann.post(&format!("/api/groups/{home}/invite"), json!({ "maxUses": null })).ok();
}

#[test]
fn the_list_of_invites() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    let first = ann.invite(&home);
    bob.join(&first);
    let second = bob.invite(&home);
    let list = ann.get(&format!("/api/groups/{home}/invites")).ok();
    let mut ids = texts(&list, "id");
    ids.sort();
    let mut expected = [first.clone(), second];
    expected.sort();
    assert_eq!(ids, expected);
    let row = list.as_array().unwrap().iter().find(|row| row["id"] == json!(first)).unwrap();
    check::time(&row["createdAt"]);
    check::time(&row["expiresAt"]);
    assert_eq!((&row["uses"], &row["maxUses"]), (&json!(1), &json!(null)));
    assert_eq!(row["createdBy"], json!(ann.id()));
    assert!(row["inviteLink"].as_str().unwrap().ends_with(&format!("/join/{first}")));
}

#[test]
fn a_revoked_link() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let (home, work) = (ann.found("Home"), ann.found("Work"));
    let invite = ann.invite(&home);
    let path = format!("/api/groups/{home}/invites/{invite}");
    ann.delete(&format!("/api/groups/{work}/invites/{invite}")).refused_with(404);
    assert_eq!(ann.delete(&path).ok(), json!({ "ok": true }));
    bob.post(&format!("/api/join/{invite}"), json!({})).refused(400, INVALID);
    ann.delete(&path).refused_with(404);
    assert_eq!(ann.get(&format!("/api/groups/{home}/invites")).ok(), json!([]));
}

#[test]
fn a_link_that_never_was() {
    let server = Server::open();
    let bob = server.person("Bob");
    for id in super::group::UNKNOWN_IDS {
        bob.post(&format!("/api/join/{id}"), json!({})).refused(400, INVALID);
    }
    bob.post(&format!("/api/join/{}", "x".repeat(2000)), json!({})).refused(400, INVALID);
}

#[test]
fn coming_back_by_the_same_link() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    let invite = ann.invite(&home);
    bob.join(&invite);
    bob.post(&format!("/api/groups/{home}/leave"), json!({})).ok();
    assert_eq!(bob.join(&invite).get("message"), None);
    assert_eq!(ann.members_of(&home).len(), 2);
}
