//! Places to choose from: a handful for everybody, and one's own.

use crate::harness::{Server, check, client::texts};
use serde_json::json;

#[test]
fn a_fresh_server_offers_a_handful_of_places() {
    let server = Server::open();
    let list = server.person("Ann").get("/api/locations").ok();
    let rows = list.as_array().unwrap();
    assert!((3..=12).contains(&rows.len()), "{list}");
    for row in rows {
        check::location(row);
        assert_eq!((&row["isDefault"], &row["createdBy"]), (&json!(true), &json!(null)));
    }
    let names = texts(&list, "name");
    let mut sorted = names.clone();
    sorted.sort();
    assert_eq!(names, sorted, "by name");
}

#[test]
fn a_place_of_ones_own_comes_first() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let body = json!({ "name": "  Shed ", "isDefault": true, "createdBy": "dev-eve", "id": 1 });
    let shed = ann.post("/api/locations", body).ok();
    check::location(&shed);
    assert_eq!((&shed["name"], &shed["isDefault"]), (&json!("Shed"), &json!(false)));
    assert_eq!(shed["createdBy"], json!(ann.id()));
    ann.post("/api/locations", json!({ "name": "Attic" })).ok();
    let names = texts(&ann.get("/api/locations").ok(), "name");
    assert_eq!(names[..2], ["Attic", "Shed"]);

    assert!(
        !texts(&bob.get("/api/locations").ok(), "name").contains(&"Shed".to_string()),
        "others see their own"
    );
    bob.post("/api/locations", json!({ "name": "Shed" })).ok();
}

#[test]
fn a_place_that_does_not_do() {
    let server = Server::open();
    let ann = server.person("Ann");
    for name in [json!(null), json!(""), json!("  ")] {
        ann.post("/api/locations", json!({ "name": name })).refused(400, "Location name is required");
    }
    ann.post("/api/locations", json!({})).refused(400, "Location name is required");
    for name in [json!(7), json!(["Shed"]), json!({})] {
        ann.post("/api/locations", json!({ "name": name })).refused_naming(400, "name");
    }
    ann.post("/api/locations", json!({ "name": "x".repeat(101) })).refused_with(400);
    ann.post("/api/locations", json!({ "name": "Shed" })).ok();
    ann.post("/api/locations", json!({ "name": " Shed" })).refused(400, "Location already exists");
    let default = ann.get("/api/locations").ok();
    let default =
        default.as_array().unwrap().iter().find(|row| row["isDefault"] == json!(true)).unwrap().clone();
    ann.post("/api/locations", json!({ "name": default["name"] })).refused(400, "Location already exists");
    // Exact spelling counts.
    ann.post("/api/locations", json!({ "name": "shed" })).ok();
    ann.post("/api/locations", json!({ "name": "ö".repeat(100) })).ok();
}

#[test]
fn four_at_once_make_one_place() {
    let server = Server::open();
    let ann = server.person("Ann");
    let devices: Vec<_> = (0..4).map(|_| ann.twin()).collect();
    let replies =
        crate::harness::together(4, |index| devices[index].post("/api/locations", json!({ "name": "Shed" })));
    assert_eq!(replies.iter().filter(|reply| reply.status == 200).count(), 1, "{replies:?}");
}
