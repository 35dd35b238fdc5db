//! The pages: the built-in one, and a built single-page app given by `--web`.

use crate::harness::{Client, Server, check, server::Directory};
use std::fs;

/// What every page has.
#[track_caller]
fn page(client: &Client, path: &str) -> String {
    let reply = client.get(path);
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(reply.header("Content-Type").unwrap_or_default().starts_with("text/html"), "{reply:?}");
    let policy = reply.header("Content-Security-Policy").expect("a page has a policy");
    assert!(policy.contains("default-src 'self'") || policy.contains("default-src 'none'"), "{policy}");
    assert!(policy.contains("frame-ancestors"), "{policy}");
    reply.text()
}

fn app() -> Directory {
    let web = Directory::new();
    fs::create_dir(web.0.join("assets")).unwrap();
    fs::write(web.0.join("index.html"), "<!doctype html><title>the app</title>").unwrap();
    fs::write(web.0.join("assets/index-B1a2.js"), "console.log('app')").unwrap();
    fs::write(web.0.join("assets/index-C3d4.css"), "body{}").unwrap();
    fs::write(web.0.join("logo.svg"), "<svg xmlns='http://www.w3.org/2000/svg'/>").unwrap();
    fs::write(web.0.join("über uns.txt"), "wir").unwrap();
    web
}

#[test]
fn the_built_in_page() {
    let server = Server::open();
    let nobody = server.nobody();
    assert!(page(&nobody, "/").to_lowercase().contains("<!doctype html>"));
    page(&nobody, "/?join=0193c5a0-0000-7000-8000-000000000000");
}

#[test]
fn the_app_answers_for_its_own_paths() {
    let web = app();
    let server = Server::setup().open().with(["--web", web.0.to_str().unwrap()]).start();
    let nobody = server.nobody();
    for path in [
        "/",
        "/groups",
        "/groups/0193c5a0-0000-7000-8000-000000000000",
        "/profile",
        "/any/thing",
        "/?join=x",
        "/index.html",
    ] {
        assert!(page(&nobody, path).contains("the app"), "{path}");
    }
    for (path, kind) in [
        ("/assets/index-B1a2.js", "javascript"),
        ("/assets/index-C3d4.css", "text/css"),
        ("/logo.svg", "image/svg+xml"),
        ("/%C3%BCber%20uns.txt", "text/plain"),
    ] {
        let reply = nobody.get(path);
        assert_eq!(reply.status, 200, "{reply:?}");
        assert!(reply.header("Content-Type").unwrap_or_default().contains(kind), "{reply:?}");
        let head = nobody.request("HEAD", path).send();
        assert_eq!(head.header("Content-Length"), Some(reply.body.len().to_string().as_str()));
        let etag = reply.header("ETag").expect("an ETag").to_string();
        assert_eq!(nobody.request("GET", path).header("If-None-Match", &etag).send().status, 304);
    }
    assert_eq!(nobody.get("/assets/index-B1a2.js").text(), "console.log('app')");
}

#[test]
fn the_app_hides_no_api() {
    let web = app();
    let server = Server::setup().open().with(["--web", web.0.to_str().unwrap()]).start();
    let nobody = server.nobody();
    nobody.get("/api/nope").refused(404, "Not found");
    nobody.get("/api/groups").refused(401, "Unauthorized");
    nobody.get("/uploads/nothing.jpg").refused_with(404);
    nobody.get("/api/login").leads_to("/");
    nobody.get("/health").ok();
    // A page that was not built does not come as HTML under a script's name.
    let missing = nobody.get("/assets/gone-X9.js");
    assert!(
        missing.status == 404
            || missing.header("Content-Type").is_some_and(|kind| kind.starts_with("text/html")),
        "{missing:?}"
    );
    let posted = nobody.request("POST", "/groups").send();
    posted.refused_with(405);
    check::reply(&posted, "POST", "/groups", None);
}

#[test]
fn the_app_ends_at_its_directory() {
    let web = app();
    let server = Server::setup().open().with(["--web", web.0.to_str().unwrap()]).start();
    for path in [
        "/../deuced.db",
        "/%2e%2e/deuced.db",
        "/assets/../../deuced.db",
        "/assets/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/assets/..%2f..%2fetc/passwd",
        "/..%5c..%5cetc/passwd",
        "/assets",
        "/assets/",
        "/%00",
        "/.",
    ] {
        let reply = server.nobody().get(path);
        assert!(!reply.text().contains("root:"), "{path} leads out: {reply:?}");
        assert!(matches!(reply.status, 200 | 301 | 302 | 400 | 403 | 404), "{reply:?}");
        if reply.status == 200 {
            assert!(reply.text().contains("the app"), "{reply:?}");
        }
    }
}

#[test]
fn the_built_in_page_asks_nobody_else() {
    let server = Server::open();
    let text = page(&server.nobody(), "/");
    assert!(!text.contains("https://") && !text.contains("src=\"//"), "no foreign host is contacted");
}
