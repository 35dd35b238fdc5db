//! Taking one's data along.

use crate::harness::{Server, check};
use serde_json::json;

#[test]
fn the_export_holds_everything_of_mine() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    let work = ann.found("Work");
    ann.log(&home, "at home: ❤️ \"quoted\"");
    ann.log(&work, "at work");
    bob.log(&home, "of Bob");

    let reply = ann.get("/api/user/export");
    let export = reply.ok();
    let disposition = reply.header("Content-Disposition").unwrap_or_default();
    assert!(disposition.starts_with("attachment"), "{reply:?}");
    check::time(&export["exportedAt"]);
    assert_eq!(export["account"]["id"], json!(ann.id()));
    let names: Vec<_> = export["groups"].as_array().unwrap().iter().map(|group| &group["name"]).collect();
    assert!(names.contains(&&json!("Home")) && names.contains(&&json!("Work")), "{export}");
    let text = export.to_string();
    for mine in ["at home: ❤️ \\\"quoted\\\"", "at work"] {
        assert!(text.contains(mine), "{mine} in {text}");
    }
    assert!(!text.contains("of Bob"), "what others wrote stays with them: {text}");
}

#[test]
fn the_export_has_as_many_entries_as_were_logged() {
    let server = Server::setup().open().limit("deuces_per_minute", 100_000).start();
    let ann = server.person("Ann");
    let home = ann.found("Home");
    for number in 0..120 {
        ann.log(&home, &format!("number {number}."));
    }
    let text = ann.get("/api/user/export").text();
    for number in 0..120 {
        assert!(text.contains(&format!("number {number}.")), "{number}");
    }
}
