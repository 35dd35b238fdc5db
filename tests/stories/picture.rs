//! Profile pictures: really decoded, cropped, kept with the data.

use crate::harness::{Client, Reply, Server, check, picture, server::Setup};
use serde_json::json;
use std::fs;

const PATH: &str = "/api/auth/user/profile-picture";
const FIELD: &str = "profilePicture";

/// Room for as many tries as a test makes.
fn patient() -> Setup {
    Server::setup().open().limit("pictures_per_minute", 1000)
}

#[track_caller]
fn upload(person: &Client, kind: &str, bytes: &[u8]) -> Reply {
    person.upload(PATH, FIELD, kind, bytes)
}

#[track_caller]
fn url(reply: &Reply) -> String {
    let me = reply.ok();
    check::user(&me);
    let url = me["profileImageUrl"].as_str().expect("a picture").to_string();
    assert!(url.starts_with("/uploads/"), "{url}");
    url
}

#[test]
fn a_picture_is_cropped_and_public() {
    let server = Server::open();
    let ann = server.person("Ann");
    for (kind, bytes) in [("image/jpeg", picture::jpeg(320, 240)), ("image/png", picture::png(100, 300))] {
        let url = url(&upload(&ann, kind, &bytes));
        assert_eq!(ann.get("/api/auth/user").ok()["profileImageUrl"], json!(url));
        let file = server.nobody().get(&url);
        assert_eq!(file.status, 200, "{file:?}");
        assert_eq!(file.header("Content-Type"), Some("image/jpeg"));
        let (width, height, pixels) = picture::decode_jpeg(&file.body);
        assert_eq!((width, height), (200, 200));
        let (left, right) = (&pixels[(100 * 200 + 20) * 3..][..3], &pixels[(100 * 200 + 180) * 3..][..3]);
        assert!(left[0] > 150 && left[2] < 110, "red on the left: {left:?}");
        assert!(right[2] > 150 && right[0] < 110, "blue on the right: {right:?}");

        // Either it can be asked for again cheaply, or it never needs to be.
        match file.header("ETag") {
            Some(etag) => {
                let again = server.nobody().request("GET", &url).header("If-None-Match", etag).send();
                assert_eq!((again.status, again.body.len()), (304, 0));
            }
            None => {
                assert!(file.header("Cache-Control").unwrap_or_default().contains("immutable"), "{file:?}")
            }
        }
        let head = server.nobody().request("HEAD", &url).send();
        assert_eq!(head.header("Content-Length"), Some(file.body.len().to_string().as_str()));
    }
}

#[test]
fn the_old_picture_goes() {
    let server = Server::open();
    let ann = server.person("Ann");
    let old = url(&upload(&ann, "image/png", &picture::png(10, 10)));
    let new = url(&upload(&ann, "image/png", &picture::png(20, 20)));
    assert_ne!(old, new, "browsers keep what they know by its name");
    server.nobody().get(&old).refused_with(404);
    assert_eq!(server.nobody().get(&new).status, 200);
    let files = fs::read_dir(server.data().join("pictures")).unwrap().count();
    assert_eq!(files, 1);

    ann.delete("/api/user/account").ok();
    server.nobody().get(&new).refused_with(404);
}

#[test]
fn a_picture_outlives_logins_and_restarts() {
    let mut server = Server::open();
    let ann = server.person("Ann");
    let url = url(&upload(&ann, "image/jpeg", &picture::jpeg(64, 64)));
    let bytes = server.nobody().get(&url).body;
    server.kill9();
    server.start_again();
    assert_eq!(server.nobody().get(&url).body, bytes);
    assert_eq!(server.device("Ann").get("/api/auth/user").ok()["profileImageUrl"], json!(url));
}

#[test]
fn others_see_the_picture_in_events_and_lists() {
    let server = Server::open();
    let (ann, bob) = (server.person("Ann"), server.person("Bob"));
    let home = ann.found("Home");
    ann.bring(&home, &bob);
    let mut socket = bob.socket();
    let url = url(&upload(&ann, "image/png", &picture::png(30, 20)));
    ann.log(&home, "x");
    assert_eq!(socket.expect_deuce("x")["entry"]["user"]["profileImageUrl"], json!(url));
    assert_eq!(bob.get("/api/deuces").ok()[0]["user"]["profileImageUrl"], json!(url));
}

#[test]
fn not_a_picture() {
    let server = patient().start();
    let ann = server.person("Ann");
    let svg = br#"<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>"#;
    let jpeg = picture::jpeg(40, 40);
    upload(&ann, "text/plain", b"hello").refused(400, "Only image files are allowed");
    upload(&ann, "text/html", &jpeg).refused(400, "Only image files are allowed");
    for (kind, bytes) in [
        ("image/svg+xml", &svg[..]),
        ("image/png", b"<html><script>alert(1)</script></html>"),
        ("image/jpeg", b""),
        ("image/jpeg", b"\xff\xd8\xff"),
        ("image/jpeg", &jpeg[..200]),
        ("image/png", &picture::png(10, 10)[..40]),
        ("image/gif", b"GIF89a\x01\x00\x01\x00\x00\x00\x00;"),
        ("image/bmp", b"BM"),
    ] {
        upload(&ann, kind, bytes).refused_with(400);
    }
    assert_eq!(ann.get("/api/auth/user").ok()["profileImageUrl"], json!(null));
    let kept = fs::read_dir(server.data().join("pictures")).map(|files| files.count()).unwrap_or(0);
    assert_eq!(kept, 0, "nothing is left of refused uploads");
}

#[test]
fn a_picture_of_a_billion_pixels() {
    let server = patient().start();
    let ann = server.person("Ann");
    for bytes in [
        picture::png_that_claims(40_000, 40_000),
        picture::png_that_claims(u32::MAX, u32::MAX),
        picture::png_that_claims(0, 0),
        picture::png_that_claims(1, 1_000_000_000),
    ] {
        upload(&ann, "image/png", &bytes).refused_with(400);
    }
    for bytes in [picture::jpeg_that_claims(65_000, 65_000), picture::jpeg_that_claims(0, 0)] {
        upload(&ann, "image/jpeg", &bytes).refused_with(400);
    }
    ann.get("/api/auth/user").ok();
}

#[test]
fn too_many_bytes() {
    let server = patient().start();
    let ann = server.person("Ann");
    let mut bytes = picture::jpeg(40, 40);
    bytes.resize(5 * 1024 * 1024 + 1, 0);
    upload(&ann, "image/jpeg", &bytes).refused(413, "File too large");
    // Far beyond: refused from the announced length.
    bytes.resize(40 * 1024 * 1024, 0);
    upload(&ann, "image/jpeg", &bytes).refused(413, "File too large");

    // A picture of just under the limit does; what follows the image in the file is ignored.
    bytes.truncate(5 * 1024 * 1024);
    url(&upload(&ann, "image/jpeg", &bytes));
}

#[test]
fn another_limit_for_pictures() {
    let server = Server::setup().open().limit("picture_bytes", 10_000).start();
    let ann = server.person("Ann");
    let mut bytes = picture::jpeg(20, 20);
    bytes.resize(10_001, 0);
    upload(&ann, "image/jpeg", &bytes).refused(413, "File too large");
    url(&upload(&ann, "image/jpeg", &picture::jpeg(20, 20)));
}

#[test]
fn a_form_without_the_picture() {
    let server = patient().start();
    let ann = server.person("Ann");
    let jpeg = picture::jpeg(20, 20);
    ann.upload(PATH, "avatar", "image/jpeg", &jpeg).refused(400, "Unexpected field");
    let (kind, empty) = picture::multipart(&[]);
    ann.request("POST", PATH).content(&kind, empty).send().refused(400, "No file uploaded");
    ann.request("POST", PATH).send().refused(400, "No file uploaded");
    ann.post(PATH, json!({ "profilePicture": "x" })).refused(400, "No file uploaded");
    let (kind, two) =
        picture::multipart(&[(FIELD, "a.jpg", "image/jpeg", &jpeg), (FIELD, "b.jpg", "image/jpeg", &jpeg)]);
    let reply = ann.request("POST", PATH).content(&kind, two).send();
    assert_eq!(reply.status, 400, "one file: {reply:?}");
    let broken: [(&str, &[u8]); 6] = [
        ("multipart/form-data", b"--x\r\n\r\n--x--\r\n"),
        ("multipart/form-data; boundary=", b"--\r\n\r\n----\r\n"),
        ("multipart/form-data; boundary=x", b""),
        ("multipart/form-data; boundary=x", b"--x"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=\"profilePicture\"; filename=\"a\"\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\nContent-Disposition: form-data; name=\"profilePicture\"; filename=\"a\"\r\nContent-Type: image/png\r\n\r\nno end"),
    ];
    for (kind, body) in broken {
        ann.request("POST", PATH).content(kind, body).send().refused_with(400);
    }
}

#[test]
fn a_file_name_leads_nowhere() {
    let server = patient().start();
    let ann = server.person("Ann");
    let jpeg = picture::jpeg(20, 20);
    for name in ["../../deuced.db", "/etc/passwd", "a.html", "a\u{0}.jpg", "über.jpg", "..\\..\\x.jpg"] {
        let (kind, body) = picture::multipart(&[(FIELD, name, "image/jpeg", &jpeg)]);
        let reply = ann.request("POST", PATH).content(&kind, body).send();
        if reply.status == 200 {
            assert!(url(&reply).ends_with(".jpg"));
        } else {
            reply.refused_with(400);
        }
    }
    for path in [
        "/uploads/../deuced.db",
        "/uploads/%2e%2e/deuced.db",
        "/uploads/..%2fdeuced.db",
        "/uploads/",
        "/uploads/nothing.jpg",
        "/uploads//etc/passwd",
        "/uploads/%00.jpg",
        "/uploads/..%5cdeuced.db",
    ] {
        // A path that tries to lead elsewhere is no path.
        let status = if path.contains("..") || path.contains('%') { 400 } else { 404 };
        server.nobody().get(path).refused_with(status);
    }
}
