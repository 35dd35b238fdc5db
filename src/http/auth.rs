//! Who is asking: credentials, cookies, and whether the page behind a request may use them.

use crate::api::device::{self, Claim, MOST_COUNTER, Signed};
use crate::api::pace::Doer;
use crate::api::signature;
use crate::api::token::{self, Me};
use crate::domain::{Code, Limits, Secret, TokenId};
use crate::http::Server;
use crate::http::address::{Peer, is_home_host, is_own_origin, name_of, origin_of};
use crate::http::error::{Failure, Result};
use crate::http::guard::Head;
use crate::http::message::{Headers, Method, Refusal, Request};
use std::net::IpAddr;

/// The name of our cookie.
const COOKIE: &str = "deuced";

/// Where a credential came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The `Authorization` header: sent on purpose, free of cross-site worries.
    Bearer,
    /// A signature in the `Authorization` header: the secret itself is never sent.
    Signature,
    /// A subprotocol offered, for sockets only.
    Subprotocol,
    /// The `token` of the query, for sockets only.
    Query,
    /// The cookie, which browsers send whoever's page asks.
    Cookie,
}

/// Somebody recognised.
#[derive(Clone, Debug)]
pub struct Caller {
    /// Who it is.
    pub me: Me,
    /// How they proved it.
    pub source: Source,
    /// The secret, if it was one, to be handed back when the cookie is renewed.
    pub secret: Option<Secret>,
    /// What was signed, if it was a signature.
    pub signed: Option<Signed>,
}

impl Caller {
    /// Who is counted for what they do.
    pub fn doer(&self) -> Doer {
        match self.me.token.permits {
            Some(_) => Doer::Device(self.me.token.id),
            None => Doer::User(self.me.user),
        }
    }
}

/// The credential of a request, if it has one: `Authorization` before the cookie.
fn presented(headers: &Headers) -> Option<(Source, &str)> {
    let bearer = bearer(headers).map(|text| (Source::Bearer, text));
    bearer.or_else(|| cookie(headers).map(|text| (Source::Cookie, text)))
}

fn bearer(headers: &Headers) -> Option<&str> {
    authorization(headers, "bearer")
}

/// Whether the request brings the token for those who only read `/metrics`.
pub fn may_read_metrics(server: &Server, headers: &Headers) -> bool {
    let token = server.doors.metrics_token.as_ref();
    bearer(headers).is_some_and(|text| token.is_some_and(|token| token.is(text)))
}

/// What follows a scheme in the `Authorization` header.
fn authorization<'a>(headers: &'a Headers, wanted: &str) -> Option<&'a str> {
    let (scheme, rest) = headers.get("authorization")?.split_once(' ')?;
    scheme.eq_ignore_ascii_case(wanted).then(|| rest.trim())
}

/// The scheme of signed requests.
const SIGNED: &str = "deuced";

/// Whether the request speaks for itself, whatever page it comes from.
pub fn has_bearer(headers: &Headers) -> bool {
    bearer(headers).is_some() || authorization(headers, SIGNED).is_some()
}

/// Reads `key="12", counter="41", signature="…"`, each once, in any order, with or without the quotes.
fn claim(text: &str) -> Option<Claim> {
    let (mut key, mut counter, mut signature) = (None, None, None);
    for part in text.split(',') {
        let (name, value) = part.split_once('=')?;
        let value = value.trim();
        let value = value.strip_prefix('"').map_or(Some(value), |rest| rest.strip_suffix('"'))?;
        let place = match name.trim() {
            "key" => &mut key,
            "counter" => &mut counter,
            "signature" => &mut signature,
            _ => return None,
        };
        if place.replace(value).is_some() {
            return None;
        }
    }
    Some(Claim {
        device: TokenId(number(key?)?),
        counter: number(counter?)?,
        signature: signature::from_hex(signature?)?,
    })
}

/// A number from 1 in its one spelling, so that the text that was signed is the text that is checked.
fn number(text: &str) -> Option<i64> {
    let plain = text.bytes().all(|byte| byte.is_ascii_digit()) && !text.starts_with('0');
    text.parse().ok().filter(|number| plain && (1..=MOST_COUNTER).contains(number))
}

/// Our cookie's value. Other cookies of the host may hold anything, also what is not UTF-8.
fn cookie(headers: &Headers) -> Option<&str> {
    headers.all_bytes("cookie").flat_map(|value| value.split(|byte| *byte == b';')).find_map(|pair| {
        let (name, value) = std::str::from_utf8(pair).ok()?.trim().split_once('=')?;
        (name == COOKIE && !value.is_empty()).then_some(value)
    })
}

/// Who is asking; `None` when no credential came along.
///
/// # Errors
/// 401 when one came that is not, or no longer, good. A bad cookie is to be cleared.
pub fn caller_of(server: &Server, request: &Request) -> Result<Option<Caller>> {
    let Some(text) = authorization(&request.headers, SIGNED) else { return caller(server, &request.headers) };
    let malformed = "Authorization: must be Deuced key=\"…\", counter=\"…\", signature=\"…\"";
    let claim = claim(text).ok_or_else(|| Failure::new(401, malformed))?;
    let (method, target) = (request.method.name(), request.raw_target());
    let recognised = device::recognise(&server.app, claim, method, target, &request.body);
    let (me, signed) = recognised.map_err(|error| refused(server, error))?;
    Ok(Some(Caller { me, source: Source::Signature, secret: None, signed: Some(signed) }))
}

/// As [`caller_of`], by what the head alone can prove.
///
/// # Errors
/// As [`caller_of`].
pub fn caller(server: &Server, headers: &Headers) -> Result<Option<Caller>> {
    let Some((source, text)) = presented(headers) else { return Ok(None) };
    recognise(server, source, text).map(Some)
}

/// Who opens a socket. Browsers cannot set headers there, so a subprotocol or the query may hold the token.
///
/// # Errors
/// As [`caller`].
pub fn socket_caller(server: &Server, head: &Head, offers: &[&str]) -> Result<Option<Caller>> {
    let found = match (presented(&head.headers), token_of(offers), head.query.all("token").next()) {
        (Some((Source::Bearer, text)), ..) => Some((Source::Bearer, text)),
        (_, Some(text), _) => Some((Source::Subprotocol, text)),
        (_, _, Some(text)) => Some((Source::Query, text)),
        (cookie, ..) => cookie,
    };
    if authorization(&head.headers, SIGNED).is_some() {
        // Nothing of what a socket says later would be signed.
        return Err(Failure::new(401, "Authorization: a socket is not opened by a signature"));
    }
    let Some((source, text)) = found else { return Ok(None) };
    recognise(server, source, text).map(Some)
}

/// The token among the subprotocols offered: behind `jwt.`, or bare, which is known by its form.
fn token_of<'a>(offers: &[&'a str]) -> Option<&'a str> {
    // A signed token begins with a JSON object in base 64.
    let is_signed = |offer: &str| offer.starts_with("eyJ") && offer.split('.').count() == 3;
    let looks_like_one = |offer: &str| Secret::parse(offer).is_some() || is_signed(offer);
    offers.iter().find_map(|offer| match offer.strip_prefix("jwt.") {
        Some(token) => Some(token),
        None => looks_like_one(offer).then_some(*offer),
    })
}

fn recognise(server: &Server, source: Source, text: &str) -> Result<Caller> {
    match token::recognise_text(&server.app, text) {
        Ok(me) => Ok(Caller { me, source, secret: Secret::parse(text), signed: None }),
        Err(error) => {
            let unauthorized = error.code == Code::Unauthorized;
            let mut failure = refused(server, error);
            failure.clear_cookie = unauthorized && source == Source::Cookie;
            Err(failure)
        }
    }
}

/// Counts a credential that is not good.
fn refused(server: &Server, error: crate::domain::Error) -> Failure {
    if error.code == Code::Unauthorized {
        server.app.failed_logins.set(server.app.failed_logins.get() + 1);
    }
    error.into()
}

/// Refuses what a foreign page makes a browser do in its user's name (R-A3). A request that changes
/// something and whose authority is the browser's (a cookie, or being in the home network) must
/// come from our own pages, or from no page at all.
///
/// A request that does not say where it comes from is a program's, or a browser's of many years ago. For the sake
/// of the latter it may bring a cookie only with what no foreign form can send.
///
/// # Errors
/// 403 for requests of foreign pages.
pub fn check_page(server: &Server, request: &Request) -> Result<()> {
    if matches!(request.method, Method::Get | Method::Head | Method::Options) {
        return Ok(());
    }
    let headers = &request.headers;
    match comes_from_here(server, headers, &request.host, request.https) {
        Some(true) => Ok(()),
        Some(false) => Err(Failure::new(403, "Origin: this page may not use this server")),
        None if cookie(headers).is_some() && is_of_a_plain_form(request) => Err(Failure::new(
            403,
            "Origin: a form with a cookie must say that it comes from this server's page",
        )),
        None => Ok(()),
    }
}

/// Whether a request comes from a page that may use the server (`Origin`, else `Sec-Fetch-Site`); `None` when it says
/// nothing.
pub fn comes_from_here(server: &Server, headers: &Headers, host: &str, https: bool) -> Option<bool> {
    match (headers.bytes("origin"), headers.bytes("sec-fetch-site")) {
        (Some(origin), _) => {
            let origin = std::str::from_utf8(origin).unwrap_or_default();
            Some(is_own_origin(origin, host, https, &server.doors.origins))
        }
        (None, Some(site)) => Some(matches!(site, b"none" | b"same-origin")),
        (None, None) => None,
    }
}

/// Whether the navigation behind a request may end a login: it comes from a page that may use the server, from no page,
/// or from a browser that does not say.
pub fn may_end_login(server: &Server, request: &Request) -> bool {
    let headers = &request.headers;
    let origins = &server.doors.origins;
    let referrer = headers.get("referer").and_then(origin_of);
    let named = referrer.is_some_and(|origin| is_own_origin(origin, "", true, origins));
    // Over plain http browsers say nothing but where the link was.
    let own = || referrer.is_none_or(|origin| is_own_origin(origin, &request.host, request.https, origins));
    named || comes_from_here(server, headers, &request.host, request.https).unwrap_or_else(own)
}

/// Whether the body is of a kind that a form of any page can send without being asked. A picture is not counted where one
/// belongs: whoever has a file to send is no mere page.
fn is_of_a_plain_form(request: &Request) -> bool {
    let content_type = request.headers.get("content-type").unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/x-www-form-urlencoded" | "text/plain" => true,
        "multipart/form-data" => !request.path.to_ascii_lowercase().contains("/profile-picture"),
        _ => false,
    }
}

/// Settles under which name and scheme the server was asked, as a trusted proxy says or else the client, and whether it
/// goes by that name: a page of any other name that reaches us has been pointed here by a stranger's name server
/// (DNS rebinding), and could read and write as our own.
///
/// # Errors
/// 421 for any other name, and for https that was not spoken (RFC 9110 section 7.4).
pub fn check_host(server: &Server, head: &mut Head, address: IpAddr) -> std::result::Result<(), Refusal> {
    const FOREIGN: Refusal = Refusal {
        status: 421,
        message: "Host: this server does not go by that name; 'deuced serve --host NAME' lets it",
    };
    const NOT_SECURE: Refusal = Refusal { status: 421, message: "target: https is not spoken here" };
    if server.is_proxy(address) {
        let peer = server.peer(address, &head.headers);
        head.https = peer.https;
        head.host = peer.host.unwrap_or(std::mem::take(&mut head.host));
    } else if head.https {
        return Err(NOT_SECURE);
    }
    let host = &head.host;
    let named = || server.doors.hosts.iter().any(|named| named == name_of(host));
    // Who names no host speaks HTTP/1.0, which no browser does.
    if host.is_empty() || is_home_host(host) || named() { Ok(()) } else { Err(FOREIGN) }
}

/// Whether the page behind a request is our own, or there is none.
pub fn is_own_page(headers: &Headers, host: &str, https: bool) -> bool {
    match headers.bytes("origin") {
        Some(origin) => {
            std::str::from_utf8(origin).is_ok_and(|origin| is_own_origin(origin, host, https, &[]))
        }
        None => true,
    }
}

/// The cookie that carries a login.
pub fn set_cookie(secret: &Secret, limits: &Limits, peer: &Peer) -> String {
    let seconds = token::seconds(limits);
    let expires = crate::domain::Time::now().plus_seconds(seconds).http_date();
    let secure = if peer.https { "; Secure" } else { "" };
    format!(
        "{COOKIE}={}; Path=/; HttpOnly; SameSite=Lax; Max-Age={seconds}; Expires={expires}{secure}",
        secret.as_str()
    )
}

/// The cookie that ends the cookie.
pub fn clear_cookie() -> String {
    format!("{COOKIE}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0; Expires=Thu, 01 Jan 1970 00:00:00 GMT")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_has_one_reading() {
        let signature = "0f".repeat(32);
        let claimed = Claim { device: TokenId(12), counter: 41, signature: [15; 32] };
        for good in [
            format!(r#"key="12", counter="41", signature="{signature}""#),
            format!("key=12,counter=41,signature={}", signature.to_uppercase()),
            format!(r#"signature="{signature}" , counter=41, key="12""#),
        ] {
            assert_eq!(claim(&good), Some(claimed), "{good}");
        }
        for bad in [
            String::new(),
            "key=12,counter=41".to_owned(),
            format!("key=12,counter=41,signature={signature},signature={signature}"),
            format!("key=12,counter=41,signature={signature},more=1"),
            format!("key=12,counter=041,signature={signature}"),
            format!("key=12,counter=0,signature={signature}"),
            format!("key=12,counter=-1,signature={signature}"),
            format!("key=12,counter=+1,signature={signature}"),
            format!("key=12,counter=9007199254740992,signature={signature}"),
            format!("key=12,counter=99999999999999999999,signature={signature}"),
            format!("key=\"12,counter=41,signature={signature}"),
            format!("key=,counter=41,signature={signature}"),
            format!("key=12,counter=41,signature={}", &signature[1..]),
        ] {
            assert_eq!(claim(&bad), None, "{bad}");
        }
    }
}
