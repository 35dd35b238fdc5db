//! What must hold for every reply and every object, whatever the story is about.

use super::Reply;
use serde_json::Value;

/// Panics unless the reply has what every reply should have. `me` is who asked.
#[track_caller]
pub fn reply(reply: &Reply, method: &str, path: &str, me: Option<&str>) {
    // 501 and 505 say that the client speaks something else, and 503 that a fresh server has no owner yet.
    let unclaimed = reply.status == 503 && is_unclaimed(reply);
    assert!(
        reply.status < 500 || matches!(reply.status, 501 | 505) || unclaimed,
        "a server error: {reply:?}"
    );
    form(reply, method, path, me);
}

/// The same for a server that may have to say that it cannot.
#[track_caller]
pub fn form(reply: &Reply, method: &str, path: &str, me: Option<&str>) {
    if method == "POST" && path == "/api/deuces" && reply.status == 200 && !reply.json()["entries"].is_array()
    {
        return brief(reply);
    }
    let id = reply.header("X-Request-Id").unwrap_or_default();
    assert!(!id.is_empty(), "no X-Request-Id: {reply:?}");
    assert_eq!(reply.header("X-Content-Type-Options"), Some("nosniff"), "{reply:?}");
    assert_eq!(reply.header("X-Frame-Options"), Some("DENY"), "{reply:?}");
    assert_eq!(reply.header("Referrer-Policy"), Some("same-origin"), "{reply:?}");
    let policy = reply.header("Content-Security-Policy").unwrap_or_default();
    assert!(policy.contains("frame-ancestors 'none'"), "{reply:?}");
    assert_eq!(reply.header("Access-Control-Allow-Origin"), None, "{reply:?}");
    for (_, cookie) in reply.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("Set-Cookie")) {
        for attribute in ["HttpOnly", "SameSite=Lax", "Path=/"] {
            let has = cookie.split(';').skip(1).any(|have| have.trim().eq_ignore_ascii_case(attribute));
            assert!(has, "cookie without {attribute}: {reply:?}");
        }
    }
    let path = path.split('?').next().unwrap_or_default();
    let api = path.to_lowercase().starts_with("/api/");
    // The description of the API is for everybody, and speaks of passwords without having any.
    let is_description = path == "/api/openapi.json";
    if api && !is_description {
        let cache = reply.header("Cache-Control").unwrap_or_default();
        assert!(cache.contains("no-store"), "an API answer that may be cached: {reply:?}");
    }
    if method == "HEAD" || matches!(reply.status, 101 | 302 | 304) {
        return;
    }
    let is_page = reply.header("Content-Type").is_some_and(|kind| kind.starts_with("text/html"));
    if is_page && !api && reply.status == 503 && is_unclaimed(reply) {
        return;
    }
    let is_picture = api && path.ends_with("/qr") && reply.status == 200;
    if is_picture {
        assert_eq!(reply.header("Content-Type"), Some("image/svg+xml"), "{reply:?}");
        return;
    }
    if api || reply.status >= 400 {
        let kind = reply.header("Content-Type").unwrap_or_default();
        assert!(kind.starts_with("application/json"), "not declared as JSON: {reply:?}");
        if is_description && reply.status == 200 {
            return;
        }
        let body = reply.json();
        secrets(&body, me, is_login(path) || (method, path) == ("POST", "/api/devices"));
        if reply.status >= 400 {
            let message = body["message"].as_str().unwrap_or_else(|| panic!("no message: {reply:?}"));
            assert!(!message.is_empty(), "an empty message: {reply:?}");
            assert!(!shows_insides(message), "the message shows our insides: {reply:?}");
            if let Some(named) = body.get("requestId") {
                assert_eq!(named.as_str(), Some(id), "{reply:?}");
            }
        }
    }
}

/// Panics unless this is what a device is answered that has logged: little, for somebody who counts bytes.
#[track_caller]
fn brief(reply: &Reply) {
    let body = reply.json();
    let names: Vec<&str> = body.as_object().expect("an object").keys().map(String::as_str).collect();
    assert!(names == ["id", "loggedAt"] || names == ["ids", "loggedAt"], "{reply:?}");
    time(&body["loggedAt"]);
    let mut fields: Vec<String> = reply.headers.iter().map(|(name, _)| name.to_lowercase()).collect();
    fields.sort();
    assert_eq!(fields, ["content-length", "content-type", "date"], "{reply:?}");
    let head = reply.headers.iter().map(|(name, value)| name.len() + value.len() + 4).sum::<usize>();
    let bytes = reply.line.len() + 2 + head + 2 + reply.body.len();
    assert!(bytes < 200 || names[0] == "ids", "{bytes} bytes: {reply:?}");
}

/// Whether a path's answer is that to a login: it holds a token.
pub fn is_login(path: &str) -> bool {
    let path = path.to_lowercase();
    path.starts_with("/api/login")
        || path.ends_with("/newcomer")
        || ["/api/claim", "/api/reset"].contains(&path.as_str())
}

/// Whether a server answers that it has no owner yet: in a sentence, or with the page that says so.
pub fn is_unclaimed(reply: &Reply) -> bool {
    let text = reply.text();
    text.contains("has not been claimed yet") || text.contains("<title>Claim this diary")
}

/// Whether a sentence for clients has words in it that are for the log alone: SQL and its errors, the
/// code's own, or where a file lies.
pub fn shows_insides(message: &str) -> bool {
    const WORDS: [&str; 19] = [
        "SELECT ",
        "INSERT ",
        "UPDATE ",
        "DELETE ",
        "CREATE ",
        "PRAGMA",
        "FROM ",
        "WHERE ",
        "UNIQUE",
        "SQL",
        "sqlite",
        "constraint",
        "no such ",
        "panicked",
        ".rs:",
        "unwrap",
        "serde",
        "deuced.db",
        "os error",
    ];
    const PLACES: [&str; 10] =
        ["tmp", "home", "var", "etc", "usr", "opt", "root", "work", "uploads", "address"];
    let mut below = message.split('/').skip(1);
    WORDS.iter().any(|word| message.contains(word))
        || below.any(|name| PLACES.iter().any(|place| name.starts_with(place)))
}

/// Panics where JSON shows a hash or password, a token outside of login, or the e-mail address of
/// anybody but the asker.
#[track_caller]
pub fn secrets(value: &Value, me: Option<&str>, is_login: bool) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                let lower = name.to_lowercase();
                assert!(
                    !lower.contains("password") && !lower.contains("hash"),
                    "a field {name:?} in {value}"
                );
                assert!(is_login || lower != "token", "a token in {value}");
                if lower == "email" {
                    let own = fields
                        .get("id")
                        .and_then(Value::as_str)
                        .is_some_and(|id| me.is_some_and(|me| me == id));
                    assert!(
                        field.is_null() || own || is_login,
                        "somebody's e-mail address for {me:?}: {value}"
                    );
                } else if lower == "from" && is_address_of(field, me) {
                    // The guarded chat page shows oneself by one's address.
                } else {
                    secrets(field, me, is_login);
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| secrets(item, me, is_login)),
        Value::String(text) => {
            assert!(!text.contains("$argon2") && !text.contains("@localhost.dev"), "a secret in {text:?}");
        }
        _ => {}
    }
}

/// Whether this is the made-up address of this person.
fn is_address_of(value: &Value, me: Option<&str>) -> bool {
    let local = value.as_str().and_then(|text| text.strip_suffix("@localhost.dev"));
    local.is_some_and(|local| me.is_some_and(|me| me == format!("dev-{}", local.replace('.', "-"))))
}

/// `YYYY-MM-DDTHH:MM:SS.mmmZ`.
#[track_caller]
pub fn time(value: &Value) -> String {
    let text = value.as_str().unwrap_or_else(|| panic!("not a time: {value}"));
    assert!(fits(text, "0000-00-00T00:00:00.000Z"), "not a time with three decimals and Z: {text:?}");
    text.into()
}

/// `YYYY-MM-DD`.
#[track_caller]
pub fn day(value: &Value) -> String {
    let text = value.as_str().unwrap_or_else(|| panic!("not a day: {value}"));
    assert!(fits(text, "0000-00-00"), "not a day: {text:?}");
    text.into()
}

fn fits(text: &str, pattern: &str) -> bool {
    let same = |(have, want): (char, char)| if want == '0' { have.is_ascii_digit() } else { have == want };
    text.len() == pattern.len() && text.chars().zip(pattern.chars()).all(same)
}

/// A user as the contract has it. `me` may see the e-mail address of that one.
#[track_caller]
pub fn user(value: &Value) {
    fields(value, "id:s email:s? firstName:s? lastName:s? username:s? profileImageUrl:s? deuceCount:i");
    time(&value["createdAt"]);
    time(&value["updatedAt"]);
}

#[track_caller]
pub fn group(value: &Value) {
    fields(value, "id:s name:s description:s? createdBy:s");
    time(&value["createdAt"]);
    time(&value["updatedAt"]);
}

/// A group as `GET /api/groups` lists it.
#[track_caller]
pub fn listed_group(value: &Value) {
    group(value);
    fields(value, "memberCount:i entryCount:i lastActivity:s?");
    if !value["lastActivity"].is_null() {
        time(&value["lastActivity"]);
    }
}

#[track_caller]
pub fn member(value: &Value) {
    fields(value, "id:i groupId:s userId:s role:s user:o");
    assert!(matches!(value["role"].as_str(), Some("admin" | "member")), "{value}");
    time(&value["joinedAt"]);
    user(&value["user"]);
    assert_eq!(value["userId"], value["user"]["id"]);
    if let Some(record) = value["user"].get("personalRecord") {
        day(&record["date"]);
        fields(record, "count:i");
    }
}

#[track_caller]
pub fn entry(value: &Value) {
    fields(value, "id:s userId:s groupId:s location:s thoughts:s");
    time(&value["loggedAt"]);
    time(&value["createdAt"]);
}

#[track_caller]
pub fn reaction(value: &Value) {
    fields(value, "id:i entryId:s userId:s emoji:s");
    time(&value["createdAt"]);
}

#[track_caller]
pub fn location(value: &Value) {
    fields(value, "id:i name:s isDefault:b createdBy:s?");
    time(&value["createdAt"]);
}

/// A whole `deuce_logged` frame: these keys, no others.
#[track_caller]
pub fn deuce_logged(frame: &Value) {
    let mut keys: Vec<&str> =
        frame.as_object().expect("a frame is an object").keys().map(String::as_str).collect();
    keys.sort_unstable();
    assert_eq!(keys, ["entry", "message", "msgId", "seq", "type", "userId"], "{frame}");
    fields(frame, "type:s message:s entry:o userId:s msgId:s seq:i");
    assert_eq!(frame["type"], "deuce_logged");
    entry(&frame["entry"]);
    user(&frame["entry"]["user"]);
    assert_eq!(frame["entry"]["userId"], frame["userId"]);
    assert_eq!(frame["entry"]["user"]["id"], frame["userId"]);
    secrets(frame, None, false);
}

/// `name:kind` words; kinds are s(tring), i(nteger), b(oolean), o(bject), with `?` for "or null".
#[track_caller]
fn fields(value: &Value, expected: &str) {
    for word in expected.split_whitespace() {
        let (name, kind) = word.split_once(':').expect("name:kind");
        let field = value.get(name).unwrap_or_else(|| panic!("no {name} in {value}"));
        let fits = match kind.trim_end_matches('?') {
            "s" => field.is_string(),
            "i" => field.is_i64() || field.is_u64(),
            "b" => field.is_boolean(),
            _ => field.is_object(),
        };
        assert!(fits || kind.ends_with('?') && field.is_null(), "{name} is not {kind}: {value}");
    }
}
