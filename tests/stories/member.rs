//! Members: leaving, being removed, handing over.

use crate::harness::Server;
use serde_json::json;

#[test]
fn leaving_in_both_spellings() {
    let server = Server::open();
    let (ann, bob, cid) = (server.person("Ann"), server.person("Bob"), server.person("Cid"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    ann.bring(&home, &cid);
    assert_eq!(bob.post(&format!("/api/groups/{home}/leave"), json!({})).ok(), json!({ "ok": true }));
    assert_eq!(cid.delete(&format!("/api/groups/{home}/members/{}", cid.id())).ok(), json!({ "ok": true }));
    assert_eq!(ann.members_of(&home), [ann.id()]);
    for gone in [&bob, &cid] {
        gone.get(&format!("/api/groups/{home}")).refused(403, "Not authorized");
        let body = json!({ "groupIds": [home], "location": "Home", "thoughts": "x" });
        gone.post("/api/deuces", body).refused(403, &format!("Not authorized for group {home}"));
    }
    // The client sends no body at all.
    ann.bring(&home, &bob);
    bob.request("POST", &format!("/api/groups/{home}/leave")).send().ok();
}

#[test]
fn removing_somebody_is_for_admins() {
    let server = Server::open();
    let (ann, bob, cid) = (server.person("Ann"), server.person("Bob"), server.person("Cid"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    ann.bring(&home, &cid);
    let member = |who: &str| format!("/api/groups/{home}/members/{who}");
    for victim in [&cid, &ann] {
        bob.delete(&member(&victim.id())).refused(403, "Only admins can remove other members");
    }
    assert_eq!(ann.delete(&member(&bob.id())).ok(), json!({ "ok": true }));
    bob.get(&format!("/api/groups/{home}")).refused(403, "Not authorized");
    for nobody in [bob.id().as_str(), "dev-nobody", "x", "%00"] {
        ann.delete(&member(nobody)).refused_with(if nobody.contains('%') { 400 } else { 404 });
    }
    assert_eq!(ann.members_of(&home).len(), 2);
}

#[test]
fn whoever_was_removed_does_not_come_back_by_an_invite_seen_before() {
    let server = Server::open();
    let (ann, eve) = (server.person("Ann"), server.person("Eve"));
    let home = ann.found("Home");
    ann.bring(&home, &eve);
    let seen = ann.invite(&home);
    assert!(eve.get(&format!("/api/groups/{home}/invites")).ok().to_string().contains(&seen));
    ann.delete(&format!("/api/groups/{home}/members/{}", eve.id())).ok();
    eve.post(&format!("/api/join/{seen}"), json!({})).refused(400, "Invalid or expired invite");
    // By one that is meant for them they do.
    eve.join(&ann.invite(&home));
}

#[test]
fn the_last_admin_does_not_leave_others_behind() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    let member = |who: &str| format!("/api/groups/{home}/members/{who}");
    ann.post(&format!("/api/groups/{home}/leave"), json!({})).refused_with(400);
    ann.delete(&member(&ann.id())).refused_with(400);
    ann.put(&member(&ann.id()), json!({ "role": "member" })).refused_with(400);

    let handed = ann.put(&member(&bob.id()), json!({ "role": "admin" })).ok();
    assert_eq!((&handed["userId"], &handed["role"]), (&json!(bob.id()), &json!("admin")));
    ann.post(&format!("/api/groups/{home}/leave"), json!({})).ok();
    bob.patch(&format!("/api/groups/{home}"), json!({ "name": "Bob's" })).ok();
}

#[test]
fn two_last_admins_leaving_at_once() {
    let server = Server::open();
    let (ann, bob, cid) = (server.person("Ann"), server.person("Bob"), server.person("Cid"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    ann.bring(&home, &cid);
    ann.put(&format!("/api/groups/{home}/members/{}", bob.id()), json!({ "role": "admin" })).ok();
    let admins = [&ann, &bob];
    let leave = format!("/api/groups/{home}/leave");
    let mut statuses = crate::harness::together(2, |index| admins[index].post(&leave, json!({})).status);
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 400]);
    assert_eq!(cid.members_of(&home).len(), 2);
}

#[test]
fn roles_are_given_by_admins() {
    let server = Server::open();
    let (ann, bob, cid) = (server.person("Ann"), server.person("Bob"), server.person("Cid"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    ann.bring(&home, &cid);
    let member = |who: &str| format!("/api/groups/{home}/members/{who}");
    bob.put(&member(&bob.id()), json!({ "role": "admin" })).refused_with(403);
    for role in [json!("owner"), json!(""), json!(null), json!(1), json!("Admin")] {
        ann.put(&member(&bob.id()), json!({ "role": role })).refused_naming(400, "role");
    }
    ann.put(&member(&bob.id()), json!({})).refused_naming(400, "role");
    ann.put(&member("dev-nobody"), json!({ "role": "admin" })).refused_with(404);

    let promoted = ann.put(&member(&bob.id()), json!({ "role": "admin", "userId": cid.id() })).ok();
    assert_eq!(promoted["userId"], json!(bob.id()));
    crate::harness::check::member(&promoted);
    bob.put(&member(&ann.id()), json!({ "role": "member" })).ok();
    ann.put(&member(&cid.id()), json!({ "role": "admin" })).refused_with(403);

    // PATCH is the same.
    ann.patch(&member(&cid.id()), json!({ "role": "admin" })).refused_with(403);
    bob.patch(&member(&cid.id()), json!({ "role": "owner" })).refused_naming(400, "role");
    let patched = bob.patch(&member(&cid.id()), json!({ "role": "admin" })).ok();
    crate::harness::check::member(&patched);
    assert_eq!((&patched["userId"], &patched["role"]), (&json!(cid.id()), &json!("admin")));
    cid.patch(&member(&bob.id()), json!({ "role": "member" })).ok();
    bob.patch(&member(&bob.id()), json!({ "role": "admin" })).refused_with(403);
}

#[test]
fn the_last_one_out_ends_the_group() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    let invite = ann.invite(&home);
    ann.log(&home, "x");
    ann.post(&format!("/api/groups/{home}/leave"), json!({})).ok();
    assert_eq!(ann.get("/api/groups").ok(), json!([]));
    bob.post(&format!("/api/join/{invite}"), json!({})).refused(400, "Invalid or expired invite");
    assert_eq!(ann.get("/api/deuces").ok(), json!([]));
}

#[test]
fn people_do_not_see_each_others_addresses() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    let entry = bob.log_id(&home, "x");
    bob.post(&format!("/api/entries/{entry}/reactions"), json!({ "emoji": "👍" })).ok();
    let detail = ann.get(&format!("/api/groups/{home}")).ok();
    let member =
        detail["members"].as_array().unwrap().iter().find(|row| row["userId"] == json!(bob.id())).unwrap();
    assert_eq!(member["user"]["email"], json!(null), "the field is there, the address is not");
    assert_eq!(detail["entries"][0]["user"]["email"], json!(null));
    let reactions = ann.get(&format!("/api/entries/{entry}/reactions")).ok();
    assert_eq!(reactions[0]["user"]["email"], json!(null));
}
