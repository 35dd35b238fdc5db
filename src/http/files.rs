//! Static files: the built-in page, or the owner's own app from a directory.

use crate::domain::{Error, token::base64url};
use crate::http::Server;
use crate::http::error::{Failure, Result};
use crate::http::message::{Body, Request, Response};
use crate::http::shield::Shield;
use sha2::{Digest, Sha256};
use std::{
    collections::HashMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError, Weak},
    time::UNIX_EPOCH,
};

/// No file of an app is larger; a mistaken `--web /` must not fill the memory.
const MOST_BYTES: u64 = 64 << 20;

/// The built-in page's files.
const BUILT_IN: &[(&str, &str, &[u8])] = &[
    ("/", "text/html; charset=utf-8", include_bytes!("../../web/index.html")),
    ("/app.js", "text/javascript; charset=utf-8", include_bytes!("../../web/app.js")),
    ("/deuced.js", "text/javascript; charset=utf-8", include_bytes!("../../web/deuced.js")),
    ("/deuced.d.ts", "text/plain; charset=utf-8", include_bytes!("../../web/deuced.d.ts")),
    ("/style.css", "text/css; charset=utf-8", include_bytes!("../../web/style.css")),
    ("/icon.svg", "image/svg+xml", include_bytes!("../../web/icon.svg")),
    (CLAIM_PAGE, "text/html; charset=utf-8", include_bytes!("../../web/claim.html")),
    ("/welcome", "text/html; charset=utf-8", include_bytes!("../../web/welcome.html")),
    ("/reset", "text/html; charset=utf-8", include_bytes!("../../web/reset.html")),
    ("/door.js", "text/javascript; charset=utf-8", include_bytes!("../../web/door.js")),
    ("/door.css", "text/css; charset=utf-8", include_bytes!("../../web/door.css")),
    ("/door.svg", "image/svg+xml", include_bytes!("../../web/icon.svg")),
];

/// Where the owner of a fresh server chooses name and password.
const CLAIM_PAGE: &str = "/claim";

/// What the pages before the diary need.
const DOOR: [&str; 3] = ["/door.js", "/door.css", "/door.svg"];

/// Whether it is there beside the owner's own app, too: the client library, and the pages by which people get
/// their password, with what these need.
fn is_ours(path: &str) -> bool {
    matches!(path, "/deuced.js" | "/deuced.d.ts" | CLAIM_PAGE | "/welcome" | "/reset") || DOOR.contains(&path)
}

/// Whether it is the claim page or something it needs.
pub fn is_of_claim_page(path: &str) -> bool {
    path == CLAIM_PAGE || DOOR.contains(&path)
}

/// The claim page in place of what was asked for.
pub fn claim_page(status: u16, https: bool) -> Response {
    let bytes = BUILT_IN[index_of(CLAIM_PAGE)].2;
    Response::new(status, "text/html; charset=utf-8", Body::Static(bytes))
        .shielded(Shield::of_page(true, https))
        .with("cache-control", "no-store")
}

/// The place of a path's file; that of the page itself for paths without one.
fn index_of(path: &str) -> usize {
    BUILT_IN.iter().position(|(known, _, _)| *known == path).unwrap_or(0)
}

/// Answers a GET for anything that is not the API's.
///
/// # Errors
/// Those of the storage; a path without a file gets the page instead.
pub async fn serve(server: &Server, request: &Request) -> Result<Response> {
    // Nobody is asked to claim what has its owner: an old claim link leads to the diary.
    let over = request.path == CLAIM_PAGE && server.app.is_claimed();
    let path = if over { "/".to_owned() } else { request.path.clone() };
    let Some(root) = server.doors.web.clone() else { return Ok(built_in(request, &path)) };
    let (asked, files) = (path.clone(), server.files.clone());
    let read = server.app.file_aside(move || read(&root, &path, &files)).await?;
    let file = read.map_err(|error| Error::unavailable("The page cannot be read").because(error))?;
    let Some(file) = file else {
        // The owner's app may use our client without a copy of its own.
        return if is_ours(&asked) {
            Ok(built_in(request, &asked))
        } else {
            Err(Failure::new(404, "Not found"))
        };
    };
    let shield = Shield::of_page(false, request.https);
    if has_tag(request, &file.tag) {
        let response = Response::empty(304).shielded(shield);
        return Ok(response.with("etag", file.tag).with("cache-control", file.caching));
    }
    let response = Response::new(200, file.content_type, Body::Shared(file.bytes));
    Ok(response.shielded(shield).with("etag", file.tag).with("cache-control", file.caching))
}

fn built_in(request: &Request, path: &str) -> Response {
    let index = index_of(path);
    let (tag, (_, content_type, bytes)) = (&built_in_tags()[index], BUILT_IN[index]);
    let shield = Shield::of_page(true, request.https);
    if has_tag(request, tag) {
        return Response::empty(304).shielded(shield).with("etag", tag).with("cache-control", "no-cache");
    }
    Response::new(200, content_type, Body::Static(bytes))
        .shielded(shield)
        .with("etag", tag)
        .with("cache-control", "no-cache")
}

/// The entity tags of the built-in files: what is in them, not which version says so.
fn built_in_tags() -> &'static [String] {
    static TAGS: OnceLock<Vec<String>> = OnceLock::new();
    TAGS.get_or_init(|| BUILT_IN.iter().map(|(_, _, bytes)| tag_of(bytes)).collect())
}

/// The entity tag of what is built in.
pub(super) fn tag_of(bytes: &[u8]) -> String {
    format!("\"{}\"", base64url(&Sha256::digest(bytes)))
}

/// Whether the client has this very version already (RFC 9110 section 13.1.2).
pub(super) fn has_tag(request: &Request, tag: &str) -> bool {
    let known = request.headers.get("if-none-match").unwrap_or_default();
    known
        .split(',')
        .map(|known| known.trim().trim_start_matches("W/"))
        .any(|known| known == "*" || known == tag)
}

/// The files that are being sent, by their places, with their tags: however many ask for one, it is in memory once.
#[derive(Default)]
pub struct Files(Mutex<HashMap<PathBuf, Version>>);

/// A file's tag, and its bytes for as long as anybody is being sent them.
type Version = (String, Weak<Vec<u8>>);

impl Files {
    /// The file's bytes, which are read only if nobody else is being sent this very version.
    fn read(&self, place: &Path, tag: &str) -> io::Result<Arc<Vec<u8>>> {
        // Whoever panicked with it has left nothing half done.
        let mut files = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        files.retain(|_, (_, bytes)| bytes.strong_count() > 0);
        if let Some(bytes) = files.get(place).filter(|file| file.0 == tag).and_then(|file| file.1.upgrade()) {
            return Ok(bytes);
        }
        let bytes = Arc::new(fs::read(place)?);
        files.insert(place.to_owned(), (tag.to_owned(), Arc::downgrade(&bytes)));
        Ok(bytes)
    }
}

/// A file as it is sent.
struct File {
    bytes: Arc<Vec<u8>>,
    content_type: &'static str,
    tag: String,
    caching: &'static str,
}

/// The file of a path below `root`, or the app's page where there is none.
fn read(root: &Path, path: &str, files: &Files) -> io::Result<Option<File>> {
    match find(root, path) {
        Some(found) => load(&found, path, files).map(Some),
        None if is_ours(path) => Ok(None),
        None if root.join("index.html").is_file() => load(&root.join("index.html"), "/", files).map(Some),
        None => Ok(None),
    }
}

/// The guard has refused `..` and decoded the path; what remains to be kept out are hidden files.
fn find(root: &Path, path: &str) -> Option<PathBuf> {
    let parts: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    if parts.is_empty() || parts.iter().any(|part| part.starts_with('.')) {
        return None;
    }
    let found = root.join(parts.join("/"));
    found.is_file().then_some(found)
}

fn load(found: &Path, path: &str, files: &Files) -> io::Result<File> {
    let about = fs::metadata(found)?;
    if about.len() > MOST_BYTES {
        return Err(io::Error::other(format!("{} is larger than {MOST_BYTES} bytes", found.display())));
    }
    let changed = about.modified()?.duration_since(UNIX_EPOCH).unwrap_or_default();
    // Builders put a hash into the names below /assets/, so those never change.
    let caching =
        if path.starts_with("/assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    let tag = format!("\"{:x}-{:x}\"", about.len(), changed.as_nanos());
    Ok(File { bytes: files.read(found, &tag)?, content_type: content_type(found), tag, caching })
}

fn content_type(path: &Path) -> &'static str {
    let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
    match extension.to_ascii_lowercase().as_str() {
        "html" | "htm" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "webmanifest" => "application/manifest+json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "jpg" | "jpeg" => "image/jpeg",
        "gif" => "image/gif",
        "webp" => "image/webp",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "woff" => "font/woff",
        "txt" => "text/plain; charset=utf-8",
        "wasm" => "application/wasm",
        _ => "application/octet-stream",
    }
}

/// An uploaded picture. Its name is random and never used again, so it may be kept for ever.
///
/// # Errors
/// 404 when there is none of that name.
pub async fn picture(server: &Server, name: &str) -> Result<Response> {
    let (data, name) = (server.app.settings.data.clone(), name.to_owned());
    let bytes = server.app.file_aside(move || crate::api::picture::read(&data, &name)).await?;
    let bytes = bytes.ok_or_else(|| Failure::new(404, "Not found"))?;
    let shield = if server.doors.origins.is_empty() { Shield::Picture } else { Shield::SharedPicture };
    Ok(Response::new(200, "image/jpeg", Body::Bytes(bytes))
        .shielded(shield)
        .with("cache-control", "public, max-age=31536000, immutable"))
}
