//! Who comes in, and from where: logins, pages, hosts, proxies, redirects, what a browser may do with an answer, and
//! what the journal never holds (R-A1 to R-A5, R-A14, R-A16).

use crate::harness::{Client, Native, Reply, Server, check, picture, server::PASSWORD, server::Setup};
use serde_json::json;
use std::fs;

/// What needs a login: method and path.
const GUARDED: [(&str, &str); 16] = [
    ("GET", "/api/auth/user"),
    ("PUT", "/api/auth/user"),
    ("POST", "/api/auth/user/profile-picture"),
    ("GET", "/api/deuces"),
    ("POST", "/api/deuces"),
    ("DELETE", "/api/deuces/x"),
    ("GET", "/api/groups"),
    ("POST", "/api/groups"),
    ("GET", "/api/groups/x"),
    ("PUT", "/api/groups/x/members/y"),
    ("POST", "/api/join/x"),
    ("GET", "/api/locations"),
    ("GET", "/api/rooms/general/messages"),
    ("GET", "/api/user/export"),
    ("DELETE", "/api/user/account"),
    ("POST", "/api/notifications"),
];

/// Other ways to write a path, good and bad.
fn spellings(path: &str) -> Vec<String> {
    let letter = path.replacen("/a", "/%61", 1);
    let mut swapped = path.to_uppercase();
    swapped.replace_range(0..4, "/aPi");
    vec![
        path.to_uppercase(),
        swapped,
        format!("{path}/"),
        format!("{path}?a=b&token=c"),
        letter,
        path.replace("/api/", "/api%2F"),
        path.replace("/api/", "/api%2f"),
        path.replace("/api/", "//api/"),
        path.replace("/api/", "/api//"),
        path.replace("/api/", "/./api/"),
        path.replace("/api/", "/api/./"),
        path.replace("/api/", "/x/../api/"),
        path.replace("/api/", "/api/login/%2e%2e/"),
        path.replace("/api/", "/api;x/"),
        path.replace("/api/", "\\api\\"),
        path.replace("/api/", "/api%5c"),
        format!("{path}%00"),
        format!("{path}%20"),
        format!("{path}.json"),
        format!("http://127.0.0.1{path}"),
        format!("HTTP://localhost:1{path}"),
    ]
}

#[test]
fn r_a1_no_spelling_of_a_path_needs_no_login() {
    let server = Server::setup().limit("address_requests_per_minute", 100_000).start();
    server.add_user("Ann", &["--admin"]);
    let forged = format!("deuced={}", "A".repeat(43));
    for (method, path) in GUARDED {
        for credentials in [("X-Nothing", "x"), ("Cookie", forged.as_str()), ("Authorization", "Bearer x")] {
            let ask = |path: &str| {
                let nobody = server.nobody();
                let request = nobody.request(method, path).header(credentials.0, credentials.1);
                request.header("Content-Type", "application/json").send()
            };
            ask(path).refused(401, "Unauthorized");
            for spelling in spellings(path) {
                let reply = ask(&spelling);
                // A path that only looks like the API's is the page's, which says nothing of anybody.
                let page = reply.status == 200
                    && spelling.contains(';')
                    && reply.header("Content-Type") == Some("text/html; charset=utf-8");
                assert!(page || matches!(reply.status, 400 | 401 | 404 | 405), "{spelling}: {reply:?}");
            }
        }
    }
    // Nothing below the API is ever the page.
    for path in ["/api", "/API/", "//api/groups", "/%61pi/x", "/api/../x", "/api/groups/x/y/z"] {
        let reply = server.nobody().get(path);
        assert!(matches!(reply.status, 400 | 404), "{path}: {reply:?}");
    }
}

#[test]
fn r_a1_with_a_login_the_good_spellings_are_the_same_path() {
    let server = Server::open();
    let ann = server.person("Ann");
    for path in [
        "/API/Auth/USER",
        "/api/auth/user/",
        "/%61pi/auth/user",
        "/api%2Fauth/user",
        "http://deuce/api/auth/user",
    ] {
        assert_eq!(ann.get(path).ok()["id"], json!(ann.id()), "{path}");
    }
}

#[test]
fn r_a2_sessions_are_chosen_by_the_server_and_stored_hashed() {
    let server = Server::strict();
    server.add_user("Ann", &[]);
    let fixed = "A".repeat(43);
    let login = || {
        let nobody = server.nobody();
        let request = nobody.request("POST", "/api/login").header("Cookie", &format!("deuced={fixed}"));
        request.json(&json!({ "username": "Ann", "password": PASSWORD })).send()
    };
    let (first, second) = (login(), login());
    let token = |reply: &Reply| reply.ok()["token"].as_str().unwrap().to_owned();
    let (first_token, second_token) = (token(&first), token(&second));
    assert!(first_token != second_token && first_token != fixed && second_token != fixed);
    assert_eq!(crate::harness::client::from_base64url(&first_token).len(), 32);
    let cookie = first.header("Set-Cookie").unwrap();
    let attributes: Vec<&str> = cookie.split("; ").collect();
    for wanted in [&*format!("deuced={first_token}"), "Path=/", "HttpOnly", "SameSite=Lax"] {
        assert!(attributes.contains(&wanted), "{cookie}");
    }
    assert!(!attributes.contains(&"Secure"), "over http a Secure cookie would not come back: {cookie}");
    for entry in
        fs::read_dir(server.data()).unwrap().map(|entry| entry.unwrap().path()).filter(|path| path.is_file())
    {
        let bytes = fs::read(&entry).unwrap();
        let found = bytes.windows(first_token.len()).any(|window| window == first_token.as_bytes());
        assert!(!found, "the token lies in {}", entry.display());
    }
}

/// A server that trusts the tests' own address as a proxy and goes by the proxy's name.
fn behind_a_proxy() -> Setup {
    Server::setup().open().with(["--trusted-proxy", "127.0.0.1", "--host", "diary.example"])
}

#[test]
fn r_a2_behind_https_cookies_are_secure() {
    let server = behind_a_proxy().start();
    for (name, value) in [("X-Forwarded-Proto", "https"), ("Forwarded", "for=192.0.2.7;proto=https")] {
        let nobody = server.nobody();
        let reply =
            nobody.request("POST", "/api/login").header(name, value).json(&json!({"username": "Ann"})).send();
        assert!(reply.header("Set-Cookie").unwrap().ends_with("; Secure"), "{reply:?}");
    }
}

#[test]
fn r_a3_a_form_with_a_cookie_says_where_it_comes_from() {
    let server = Server::open();
    let ann = server.person("Ann");
    let own = format!("http://{}", server.address());
    let found = |header: Option<(&str, &str)>, kind: &str, body: &str| {
        let request = ann.request("POST", "/api/groups").content(kind, body);
        match header {
            Some((name, value)) => request.header(name, value).send(),
            None => request.send(),
        }
    };
    let form = "application/x-www-form-urlencoded";
    for kind in
        [form, "Application/X-WWW-Form-Urlencoded; charset=utf-8", "text/plain", "text/plain;charset=UTF-8"]
    {
        found(None, kind, "name=x").refused_naming(403, "Origin");
        found(Some(("Origin", "https://evil.example")), kind, "name=x").refused_with(403);
        found(Some(("Origin", "null")), kind, "name=x").refused_with(403);
        found(Some(("Sec-Fetch-Site", "cross-site")), kind, "name=x").refused_with(403);
        found(Some(("Sec-Fetch-Site", "same-site")), kind, "name=x").refused_with(403);
    }
    // What asks for nothing in its body can still do something.
    let leave = ann.request("POST", "/api/notifications/read-all").content("text/plain", "");
    leave.send().refused_with(403);
    assert_eq!(ann.get("/api/groups").ok(), json!([]));
    // From our own page, as JSON, or without a cookie it is as it was.
    found(Some(("Origin", &own)), form, "name=x").ok();
    found(Some(("Sec-Fetch-Site", "same-origin")), form, "name=x").ok();
    found(None, "application/json", r#"{"name":"x"}"#).ok();
    ann.bearer().form("/api/groups", "name=x").ok();
    server.nobody().form("/api/login", "username=Bob").ok();
    ann.upload("/api/auth/user/profile-picture", "profilePicture", "image/png", &picture::png(2, 2)).ok();
}

#[test]
fn r_a3_programs_with_a_bearer_token_are_free_of_it() {
    let server = Server::open();
    let ann = server.person("Ann").bearer();
    for (name, value) in
        [("Origin", "https://evil.example"), ("Sec-Fetch-Site", "cross-site"), ("Origin", "null")]
    {
        ann.request("POST", "/api/groups").header(name, value).json(&json!({ "name": "x" })).send().ok();
    }
    // The bearer counts, not the cookie beside it.
    let bob = server.person("Bob");
    let both = bob
        .request("POST", "/api/groups")
        .header("Authorization", "Bearer x")
        .header("Origin", "https://evil.example");
    both.json(&json!({ "name": "x" })).send().refused(401, "Unauthorized");
}

#[test]
fn r_a3_no_foreign_page_logs_anybody_in_or_out() {
    let server = Server::open();
    let ann = server.person("Ann");
    for (name, value) in [
        ("Origin", "https://evil.example"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ] {
        for path in ["/api/login", "/api/logout", "/api/auth/logout"] {
            let request = ann.request("POST", path).header(name, value).json(&json!({ "username": "Eve" }));
            request.send().refused_with(403);
        }
    }
    // A link, an image or a frame of theirs only leads to the page.
    for (name, value) in [
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
        ("Origin", "https://evil.example"),
    ] {
        for method in ["GET", "HEAD"] {
            let reply = ann
                .request(method, "/api/logout")
                .header(name, value)
                .header("Referer", "https://evil.example/")
                .send();
            reply.leads_to("/");
            assert_eq!(reply.header("Set-Cookie"), None, "{reply:?}");
        }
    }
    ann.get("/api/auth/user").ok();
    // One's own page, an address typed in, and browsers that say nothing.
    for header in [Some("same-origin"), Some("none"), None] {
        let device = server.device("Ann");
        let token = device.bearer();
        let request = device.request("GET", "/api/logout");
        let request = match header {
            Some(site) => request.header("Sec-Fetch-Site", site),
            None => request,
        };
        request.send().leads_to("/");
        token.get("/api/auth/user").refused(401, "Unauthorized");
    }
}

#[test]
fn r_a3_an_allowed_page_may_log_out() {
    let server = Server::setup().open().with(["--origin", "https://tv.example"]).start();
    let ann = server.person("Ann");
    let token = ann.bearer();
    let leave = ann.request("GET", "/api/logout").header("Sec-Fetch-Site", "cross-site");
    leave.header("Referer", "https://tv.example/home").send().leads_to("/");
    token.get("/api/auth/user").refused(401, "Unauthorized");
}

#[test]
fn r_a3_no_foreign_page_opens_a_socket() {
    let server = Server::open();
    let ann = server.person("Ann");
    for (name, value) in [
        ("Origin", "https://evil.example"),
        ("Origin", "null"),
        ("Sec-Fetch-Site", "cross-site"),
        ("Sec-Fetch-Site", "same-site"),
    ] {
        ann.handshake().header(name, value).refused(403);
        server.nobody().handshake().header(name, value).refused(403);
    }
    ann.handshake().header("Sec-Fetch-Site", "same-origin").open().expect_silence();
}

#[test]
fn r_a4_no_answer_invites_a_foreign_page_to_read_it() {
    let server = Server::setup().open().with(["--origin", "https://tv.example"]).start();
    let ann = server.person("Ann");
    for origin in ["https://evil.example", "https://tv.example", "null"] {
        for (method, path) in [
            ("GET", "/api/auth/user"),
            ("OPTIONS", "/api/groups"),
            ("POST", "/api/groups"),
            ("GET", "/"),
            ("GET", "/api/nope"),
        ] {
            let request = ann.request(method, path).header("Origin", origin);
            let request = request.header("Access-Control-Request-Method", "POST");
            let reply = request.header("Access-Control-Request-Headers", "content-type").send();
            let invites =
                reply.headers.iter().find(|(name, _)| name.to_lowercase().starts_with("access-control-"));
            assert_eq!(invites, None, "{reply:?}");
        }
    }
}

/// The invite link that somebody gets who asks with these headers.
fn link(client: &Client, group: &str, headers: &[(&str, &str)]) -> String {
    let path = format!("/api/groups/{group}/invite");
    let request = headers
        .iter()
        .fold(client.request("POST", &path), |request, (name, value)| request.header(name, value));
    request.send().ok()["inviteLink"].as_str().unwrap().to_owned()
}

#[test]
fn r_a5_links_are_made_of_what_a_trusted_proxy_says() {
    let said: [&[(&str, &str)]; 4] = [
        &[
            ("X-Forwarded-For", "192.0.2.7"),
            ("X-Forwarded-Proto", "https"),
            ("X-Forwarded-Host", "Diary.example"),
        ],
        &[("Forwarded", "for=192.0.2.7;proto=https;host=diary.example")],
        &[(
            "Forwarded",
            "for=198.51.100.9;host=evil.example, for=\"[2001:db8::1]:99\" ; host=\"diary.example\";proto=HTTPS",
        )],
        &[("Host", "diary.example"), ("X-Forwarded-For", "192.0.2.7"), ("X-Forwarded-Proto", "https")],
    ];
    let trusting = behind_a_proxy().start();
    let ann = trusting.person("Ann");
    let home = ann.found("Home");
    for headers in said {
        assert!(link(&ann, &home, headers).starts_with("https://diary.example/join/"), "{headers:?}");
    }
    // Anybody else may say so as well.
    let plain = Server::setup().open().with(["--host", "diary.example"]).start();
    let bob = plain.person("Bob");
    let home = bob.found("Home");
    let own = format!("http://{}/join/", plain.address());
    for headers in &said[..3] {
        assert!(link(&bob, &home, headers).starts_with(&own), "{headers:?}");
    }
    assert!(link(&bob, &home, said[3]).starts_with("http://diary.example/join/"));
}

#[test]
fn r_a5_a_proxy_that_is_contradicted_is_not_believed() {
    let server = behind_a_proxy().limit("logins_per_minute", 2).start();
    let login = |spoofed: &str| {
        let nobody = server.nobody();
        let request = nobody.request("POST", "/api/login").header("X-Forwarded-For", "192.0.2.7");
        request.header("Forwarded", spoofed).json(&json!({ "username": "Ann" })).send().status
    };
    let statuses = ["for=198.51.100.1", "for=198.51.100.2", "for=198.51.100.3"].map(login);
    assert_eq!(statuses, [200, 200, 429], "one new name after the other");
}

#[test]
fn r_a5_a_server_answers_to_its_own_names_only() {
    let own = [
        "127.0.0.1",
        "[::1]:8222",
        "192.168.1.5:8222",
        "localhost:8222",
        "raspberrypi",
        "pi.local",
        "PI.LOCAL.:80",
        "diary.lan",
        "box.fritz.box",
        "pi.home.arpa",
        "diary.example",
        "Diary.Example:8443",
        "tv.example:1",
    ];
    let foreign = [
        "evil.example",
        "evil.example:8222",
        "127.0.0.1.evil.example",
        "xdiary.example",
        "diary.example.evil",
        "tv.example.",
        "local.example",
    ];
    for setup in [Server::setup(), Server::setup().open()] {
        let server = setup.with(["--host", "diary.example", "--origin", "https://TV.example:3000"]).start();
        let ask = |method: &str, path: &str, host: &str| {
            let nobody = server.nobody();
            nobody.request(method, path).header("Host", host).send()
        };
        for host in own {
            ask("GET", "/api/health", host).ok();
        }
        for host in foreign.iter().filter(|host| **host != "tv.example.") {
            for (method, path) in [
                ("GET", "/api/health"),
                ("GET", "/"),
                ("POST", "/api/login"),
                ("GET", "/ws"),
                ("OPTIONS", "*"),
            ] {
                let reply = ask(method, path, host);
                reply.refused_naming(421, "Host");
                assert_eq!(reply.header("Connection"), Some("close"));
            }
            let asked = server.nobody();
            let request =
                asked.request("GET", &format!("http://{host}/api/health")).header("Host", "localhost");
            request.send().refused_naming(421, "Host");
        }
        // Health checks of old programs name nobody.
        let mut wire = server.wire();
        wire.send("GET /health HTTP/1.0\r\n\r\n");
        assert_eq!(wire.reply("GET").status, 200);
    }
}

#[test]
fn r_a5_https_is_only_what_a_trusted_proxy_has_spoken() {
    let ask = |server: &Server| {
        let nobody = server.nobody();
        nobody.request("GET", "https://localhost/api/health").send()
    };
    ask(&Server::open()).refused_naming(421, "https");
    ask(&behind_a_proxy().start()).ok();
}

#[test]
fn r_a5_over_https_a_page_without_it_is_foreign() {
    let server = behind_a_proxy().start();
    let ann = server.person("Ann");
    let found = |origin: &str| {
        let request = ann.request("POST", "/api/groups").header("Origin", origin);
        let request =
            request.header("X-Forwarded-Proto", "https").header("X-Forwarded-Host", "diary.example");
        request.json(&json!({ "name": "x" })).send()
    };
    found("https://diary.example").ok();
    found("http://diary.example").refused_with(403);
    found(&format!("http://{}", server.address())).refused_with(403);
}

#[test]
fn r_a14_redirects_stay_here() {
    let server = Server::setup().open().limit("logins_per_minute", 1000).start();
    let ann = server.person("Ann");
    let invite = ann.invite(&ann.found("Home"));
    let nobody = server.nobody();
    nobody.get(&format!("/api/login?returnTo=/join/{invite}")).leads_to(&format!("/?join={invite}"));
    nobody.get(&format!("/join/{invite}")).leads_to(&format!("/?join={invite}"));
    for target in [
        "https://evil.example",
        "//evil.example",
        "/\\evil.example",
        "%5c%5cevil.example",
        "javascript:alert(1)",
        "/join/https://evil.example",
        "/join//evil.example",
        "/join/..%2f..",
        "/join/%0d%0aLocation:%20x",
        "/%09/evil.example",
        "data:text/html,x",
        "/join/",
        "/groups/x",
        "@evil.example",
    ] {
        for name in ["returnTo", "next", "redirect", "url"] {
            nobody.get(&format!("/api/login?{name}={target}")).leads_to("/");
            server.device("Ann").get(&format!("/api/logout?{name}={target}")).leads_to("/");
        }
    }
    for id in ["x", "https:%2f%2fevil.example", "%2f%2fevil.example", "javascript:x", "..%2f", "%C3%AB"] {
        let reply = nobody.get(&format!("/join/{id}"));
        assert!(matches!(reply.header("Location"), None | Some("/")), "{reply:?}");
        assert!(matches!(reply.status, 200 | 302 | 400 | 404), "{reply:?}");
    }
}

/// The directives of a policy.
fn policy(reply: &Reply) -> Vec<(String, String)> {
    let text = reply.header("Content-Security-Policy").unwrap_or_else(|| panic!("no policy: {reply:?}"));
    let directive = |part: &str| {
        let (name, value) = part.trim().split_once(' ').unwrap_or((part.trim(), ""));
        (name.to_owned(), value.to_owned())
    };
    text.split(';').map(directive).collect()
}

#[test]
fn r_a16_a_browser_may_do_little_with_an_answer() {
    let server = Server::open();
    let ann = server.person("Ann");
    let path =
        ann.upload("/api/auth/user/profile-picture", "profilePicture", "image/png", &picture::png(2, 2)).ok();
    let picture = path["profileImageUrl"].as_str().unwrap().to_owned();
    let every = |reply: &Reply| {
        for (name, value) in [
            ("X-Content-Type-Options", "nosniff"),
            ("X-Frame-Options", "DENY"),
            ("Referrer-Policy", "same-origin"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
        ] {
            assert_eq!(reply.header(name), Some(value), "{reply:?}");
        }
        let policy = policy(reply);
        assert!(policy.contains(&("frame-ancestors".into(), "'none'".into())), "{reply:?}");
        assert!(
            policy.iter().all(|(_, value)| !value.contains("unsafe") && !value.contains('*')),
            "{reply:?}"
        );
        // Browsers pass over it without https, and say so in the console.
        assert_eq!(reply.header("Cross-Origin-Opener-Policy"), None);
        assert_eq!(reply.header("Server"), None, "nobody needs to know what this is: {reply:?}");
    };
    let data = [
        ann.get("/api/auth/user"),
        ann.get("/api/nope"),
        server.nobody().get("/api/auth/user"),
        ann.get("/api/login"),
        ann.get("/health"),
        ann.request("OPTIONS", "/api/groups").send(),
        ann.request("BREW", "/api/groups").send(),
        ann.request("GET", "/api/health").header("Host", "evil.example").send(),
    ];
    for reply in &data {
        every(reply);
        assert!(policy(reply).contains(&("default-src".into(), "'none'".into())), "{reply:?}");
    }
    assert!(data[..3].iter().all(|reply| reply.header("Cache-Control") == Some("no-store")));
    for path in ["/", "/app.js", "/style.css", "/icon.svg", "/some/page"] {
        let reply = ann.get(path);
        every(&reply);
        let policy = policy(&reply);
        for directive in [
            ("default-src", "'self'"),
            ("object-src", "'none'"),
            ("base-uri", "'none'"),
            ("form-action", "'self'"),
        ] {
            assert!(policy.contains(&(directive.0.into(), directive.1.into())), "{reply:?}");
        }
        let unchanged =
            ann.request("GET", path).header("If-None-Match", reply.header("ETag").unwrap()).send();
        assert_eq!(unchanged.status, 304);
        every(&unchanged);
    }
    let reply = ann.get(&picture);
    every(&reply);
    assert_eq!((reply.status, reply.header("Content-Type")), (200, Some("image/jpeg")));
    assert_eq!(policy(&reply)[0], ("default-src".into(), "'none'".into()));
    let mut wire = server.wire();
    wire.send("GET / HTTP/7.0\r\n\r\n");
    every(&wire.reply("GET"));
}

#[test]
fn r_a16_behind_https_other_windows_are_strangers() {
    let server = behind_a_proxy().start();
    let page = |scheme: &str| server.nobody().request("GET", "/").header("X-Forwarded-Proto", scheme).send();
    assert_eq!(page("https").header("Cross-Origin-Opener-Policy"), Some("same-origin"));
    assert_eq!(page("http").header("Cross-Origin-Opener-Policy"), None);
}

#[test]
fn r_a16_an_app_of_ones_own_may_set_styles_and_nothing_more() {
    let web = crate::harness::server::Directory::new();
    fs::write(web.0.join("index.html"), "<!doctype html><title>the app</title>").unwrap();
    let server = Server::setup().open().with(["--web", web.0.to_str().unwrap()]).start();
    let policy = policy(&server.nobody().get("/"));
    let unsafe_ones: Vec<&str> =
        policy.iter().filter(|(_, value)| value.contains("unsafe")).map(|(name, _)| name.as_str()).collect();
    assert_eq!(unsafe_ones, ["style-src"]);
    assert!(policy.contains(&("default-src".into(), "'self'".into())));
}

/// Secrets that are sent in every place there is, right and wrong ones. Each is told by the word in it.
const WORD: &str = "hush4711";

#[test]
fn no_secret_reaches_the_journal() {
    let loud = [("RUST_LOG", "trace"), ("RUST_BACKTRACE", "full"), ("RUST_LIB_BACKTRACE", "1")];
    let setup = loud.iter().fold(Server::setup(), |setup, (name, value)| setup.env(name, value));
    let mut server = setup
        .guests(true)
        .with(["--trusted-proxy", "127.0.0.1", "--host", "diary.example"])
        .limit("login_failures", 1000)
        .limit("logins_per_minute", 1000)
        .start();
    let ann = server.person("Ann");
    let (token, jwt) = (ann.token(), ann.jwt());
    let home = ann.found("Home");
    let invite = ann.invite(&home);

    let nobody = server.nobody();
    for body in [
        json!({ "username": "Ann", "password": WORD }),
        json!({ "username": WORD, "password": WORD }),
        json!({ "username": "Ann", "password": WORD.repeat(500) }),
        json!({ "username": "Ann", "password": { "x": WORD } }),
        json!({ "username": "Ann", "password": PASSWORD, "inviteCode": WORD }),
    ] {
        let reply = nobody.post("/api/login", body);
        assert!((400..500).contains(&reply.status), "{reply:?}");
    }
    for body in [format!("{{\"password\":\"{WORD}\",}}"), format!("{{\"{WORD}"), format!("\u{0}{WORD}")] {
        nobody.request("POST", "/api/login").content("application/json", body).send();
    }
    nobody.form("/api/login", &format!("username=Ann&password={WORD}"));
    for (name, value) in [
        ("Authorization", format!("Bearer {WORD}")),
        ("Authorization", format!("Basic {WORD}")),
        ("Authorization", format!("Deuced key=\"{WORD}\", counter=\"1\", signature=\"{WORD}\"")),
        ("Authorization", format!("Bearer {jwt}{WORD}")),
        ("Cookie", format!("deuced={WORD}; other={WORD}")),
        ("X-Deuced-Signature", WORD.into()),
        ("Forwarded", format!("for={WORD};host={WORD}")),
        ("X-Forwarded-For", WORD.into()),
        ("Idempotency-Key", WORD.into()),
    ] {
        for (method, path) in
            [("GET", "/api/auth/user"), ("POST", "/api/deuces"), ("GET", "/metrics"), ("GET", "/")]
        {
            server.nobody().request(method, path).header(name, &value).send();
        }
        let _ = server.nobody().handshake().header(name, &value).try_open();
    }
    for path in [
        format!("/api/login?returnTo={WORD}"),
        format!("/join/{WORD}"),
        format!("/api/invites/{WORD}"),
        format!("/{WORD}?token={WORD}"),
        format!("/api/nope?token={token}&secret={WORD}"),
        format!("/uploads/{WORD}.jpg"),
    ] {
        server.nobody().get(&path);
        ann.get(&path);
    }
    for (path, body) in [
        ("/api/claim", json!({ "secret": WORD, "username": "Eve", "password": WORD })),
        ("/api/reset", json!({ "secret": WORD, "password": WORD })),
        (&*format!("/api/join/{invite}/newcomer"), json!({ "username": "Ann", "password": WORD })),
        ("/api/auth/password", json!({ "oldPassword": WORD, "newPassword": WORD.repeat(2) })),
        ("/api/people", json!({ "username": "Eve", "password": WORD })),
        ("/api/devices", json!({ "name": WORD, "verbs": [WORD] })),
    ] {
        ann.post(path, body.clone());
        server.nobody().put(path, body);
    }
    // Fragments are never sent; a program that does it all the same says the secret.
    for bytes in [
        format!("GET /claim#{WORD} HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!("GET /?token={WORD}%ff HTTP/1.1\r\nHost: x\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: {WORD}@x\r\n\r\n"),
        format!("GET / HTTP/1.1\r\nHost: x\r\n{WORD}: a\rb\r\n\r\n"),
        format!("{WORD}\r\n\r\n"),
        format!("POST /api/login HTTP/1.1\r\nHost: x\r\nContent-Length: {WORD}\r\n\r\n"),
        format!(
            "POST /api/login HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3;{WORD}\r\nabc{WORD}"
        ),
    ] {
        let mut wire = server.wire();
        wire.send(bytes);
        let reply = wire.reply("GET");
        check::reply(&reply, "GET", "/", None);
        assert!(!reply.text().contains(WORD), "{reply:?}");
    }
    // Sockets, with the token in every place, and words that are none.
    for path in [
        format!("/ws?token={WORD}"),
        format!("/ws?token={token}"),
        format!("/realtime?token={jwt}"),
        format!("/chat/{WORD}"),
    ] {
        let _ = server.nobody().handshake().target(&path).try_open();
    }
    for offer in [format!("jwt.{WORD}"), format!("jwt.{jwt}"), token.clone(), format!("deuced.v1, {WORD}")] {
        let _ = server.nobody().handshake().header("Sec-WebSocket-Protocol", &offer).try_open();
    }
    let mut socket = server.nobody().socket();
    for text in [
        json!({ "type": "auth", "token": WORD }).to_string(),
        json!({ "type": "register", "jwtToken": WORD }).to_string(),
        format!("{{\"type\":\"{WORD}\""),
        format!("\u{7}{WORD}"),
    ] {
        socket.send_text(&text);
    }
    let mut native = Native::open(&ann);
    native.say("general", "x");
    ann.get("/api/auth/user").ok();

    // A panic would be told with its place alone; `cli/journal.rs` has a test for that.
    server.terminate();
    let journal = server.stderr();
    assert!(journal.contains("stopped"), "{journal}");
    for secret in [WORD, PASSWORD, &token, &jwt, jwt.rsplit('.').next().unwrap(), &invite] {
        assert!(!journal.contains(secret), "{secret:?} is in the journal:\n{journal}");
    }
}
