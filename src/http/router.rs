//! Which path and method is which verb, and what every request goes through on its way there and
//! every answer on its way back.

use crate::api::device::{self, Reach};
use crate::api::pace::{Deed, Doer};
use crate::api::{session, token};
use crate::domain::{Purpose, Storage};
use crate::http::address::Peer;
use crate::http::auth::{self, Caller, Source};
use crate::http::error::{Failure, Result};
use crate::http::message::{Method, Request, Response};
use crate::http::routes::{self, Call, claim};
use crate::http::shield::Shield;
use crate::http::{Server, files, scope};
use std::{net::IpAddr, rc::Rc};

/// What can be asked of the server over HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Leads to the page.
    LoginPage,
    /// Makes the owner of a fresh server.
    Claim,
    /// Logs in.
    Login,
    /// Logs out by navigating.
    LogoutPage,
    /// Logs out.
    Logout,
    /// The caller.
    ShowMe,
    /// Sets the caller's username.
    RenameMe,
    /// Sets the caller's picture.
    SetPicture,
    /// Everything about the caller.
    Export,
    /// Deletes the caller's account.
    Erase,
    /// Changes the caller's password.
    ChangePassword,
    /// Chooses a password by a link.
    Reset,
    /// The caller's logins.
    ListSessions,
    /// Ends one of the caller's logins.
    EndSession,
    /// Ends the caller's other logins.
    EndOtherSessions,
    /// All accounts.
    ListPeople,
    /// Prepares an account.
    PreparePerson,
    /// Changes what an account is.
    ChangePerson,
    /// Removes an account.
    RemovePerson,
    /// Makes a link with which somebody chooses a new password.
    ResetPerson,
    /// Prepares an account in a group.
    PrepareMember,
    /// Puts a child into a group.
    AddMember,
    /// The caller's groups.
    ListGroups,
    /// Makes a group.
    CreateGroup,
    /// A group with everything in it.
    ShowGroup,
    /// Renames a group.
    UpdateGroup,
    /// Ends a group.
    DeleteGroup,
    /// Leaves a group.
    LeaveGroup,
    /// Removes a member.
    RemoveMember,
    /// Gives a member a role.
    SetRole,
    /// Makes an invite.
    CreateInvite,
    /// A group's invites.
    ListInvites,
    /// Revokes an invite.
    RevokeInvite,
    /// An invite as a picture for a camera.
    DrawInvite,
    /// What an invite leads to.
    ShowInvite,
    /// Joins by invite.
    Join,
    /// Makes an account and joins by invite.
    JoinNew,
    /// Leads an invited person to the page.
    JoinPage,
    /// Logs an entry.
    LogDeuce,
    /// The feed.
    Feed,
    /// Takes an entry back.
    DeleteDeuce,
    /// The caller's best day.
    BestDay,
    /// An entry's reactions.
    ListReactions,
    /// Reacts.
    AddReaction,
    /// Takes a reaction back.
    RemoveReaction,
    /// The places on offer.
    ListLocations,
    /// Adds a place.
    AddLocation,
    /// The rooms the caller may hear.
    ListRooms,
    /// What was said in a room.
    ListMessages,
    /// Says something in a room.
    Say,
    /// Changes what the caller said.
    EditMessage,
    /// Deletes what the caller said.
    DeleteMessage,
    /// The caller's notifications.
    ListNotifications,
    /// How many of them were not read.
    CountNotifications,
    /// Marks one as read.
    ReadNotification,
    /// Marks all as read.
    ReadAllNotifications,
    /// Notifies somebody.
    Notify,
    /// What the caller is notified of in a group.
    ShowChoice,
    /// Chooses what the caller is notified of in a group.
    Choose,
    /// An uploaded picture.
    ShowPicture,
    /// What the server counts, for monitoring.
    Metrics,
    /// The caller's devices.
    ListDevices,
    /// Makes a device.
    CreateDevice,
    /// Ends a device.
    DeleteDevice,
    /// Whether the server is well.
    Health,
    /// The description of all this.
    Describe,
}

/// One line of the table of routes.
pub struct Route {
    /// The method.
    pub method: Method,
    /// The path's segments; `:` stands for one of any text.
    pub pattern: &'static [&'static str],
    /// Whether it is for everybody or needs a login.
    pub public: bool,
    /// What it does.
    pub verb: Verb,
}

const fn public(method: Method, pattern: &'static [&'static str], verb: Verb) -> Route {
    Route { method, pattern, public: true, verb }
}

const fn session(method: Method, pattern: &'static [&'static str], verb: Verb) -> Route {
    Route { method, pattern, public: false, verb }
}

/// Every route there is.
pub const ROUTES: &[Route] = &[
    session(Method::Get, &["api", "auth", "user"], Verb::ShowMe),
    session(Method::Put, &["api", "auth", "user"], Verb::RenameMe),
    session(Method::Post, &["api", "auth", "user", "profile-picture"], Verb::SetPicture),
    session(Method::Put, &["api", "auth", "password"], Verb::ChangePassword),
    session(Method::Get, &["api", "sessions"], Verb::ListSessions),
    session(Method::Delete, &["api", "sessions"], Verb::EndOtherSessions),
    session(Method::Delete, &["api", "sessions", ":"], Verb::EndSession),
    session(Method::Get, &["api", "people"], Verb::ListPeople),
    session(Method::Post, &["api", "people"], Verb::PreparePerson),
    session(Method::Patch, &["api", "people", ":"], Verb::ChangePerson),
    session(Method::Delete, &["api", "people", ":"], Verb::RemovePerson),
    session(Method::Post, &["api", "people", ":", "reset"], Verb::ResetPerson),
    session(Method::Post, &["api", "deuces"], Verb::LogDeuce),
    session(Method::Get, &["api", "deuces"], Verb::Feed),
    session(Method::Delete, &["api", "deuces", ":"], Verb::DeleteDeuce),
    session(Method::Get, &["api", "entries", ":", "reactions"], Verb::ListReactions),
    session(Method::Post, &["api", "entries", ":", "reactions"], Verb::AddReaction),
    session(Method::Delete, &["api", "entries", ":", "reactions"], Verb::RemoveReaction),
    session(Method::Get, &["api", "groups"], Verb::ListGroups),
    session(Method::Post, &["api", "groups"], Verb::CreateGroup),
    session(Method::Get, &["api", "groups", ":"], Verb::ShowGroup),
    session(Method::Patch, &["api", "groups", ":"], Verb::UpdateGroup),
    session(Method::Put, &["api", "groups", ":"], Verb::UpdateGroup),
    session(Method::Delete, &["api", "groups", ":"], Verb::DeleteGroup),
    session(Method::Post, &["api", "groups", ":", "leave"], Verb::LeaveGroup),
    session(Method::Post, &["api", "groups", ":", "people"], Verb::PrepareMember),
    session(Method::Post, &["api", "groups", ":", "members"], Verb::AddMember),
    session(Method::Delete, &["api", "groups", ":", "members", ":"], Verb::RemoveMember),
    session(Method::Put, &["api", "groups", ":", "members", ":"], Verb::SetRole),
    session(Method::Patch, &["api", "groups", ":", "members", ":"], Verb::SetRole),
    session(Method::Post, &["api", "groups", ":", "invite"], Verb::CreateInvite),
    session(Method::Get, &["api", "groups", ":", "invites"], Verb::ListInvites),
    session(Method::Delete, &["api", "groups", ":", "invites", ":"], Verb::RevokeInvite),
    session(Method::Get, &["api", "groups", ":", "invites", ":", "qr"], Verb::DrawInvite),
    session(Method::Post, &["api", "join", ":"], Verb::Join),
    session(Method::Get, &["api", "analytics", "most-deuces"], Verb::BestDay),
    session(Method::Get, &["api", "locations"], Verb::ListLocations),
    session(Method::Post, &["api", "locations"], Verb::AddLocation),
    session(Method::Get, &["api", "user", "export"], Verb::Export),
    session(Method::Delete, &["api", "user", "account"], Verb::Erase),
    session(Method::Get, &["api", "rooms"], Verb::ListRooms),
    session(Method::Get, &["api", "rooms", ":", "messages"], Verb::ListMessages),
    session(Method::Post, &["api", "rooms", ":", "messages"], Verb::Say),
    session(Method::Patch, &["api", "rooms", ":", "messages", ":"], Verb::EditMessage),
    session(Method::Delete, &["api", "rooms", ":", "messages", ":"], Verb::DeleteMessage),
    session(Method::Get, &["api", "notifications"], Verb::ListNotifications),
    session(Method::Post, &["api", "notifications"], Verb::Notify),
    session(Method::Get, &["api", "notifications", "unread-count"], Verb::CountNotifications),
    session(Method::Post, &["api", "notifications", "read-all"], Verb::ReadAllNotifications),
    session(Method::Post, &["api", "notifications", ":", "read"], Verb::ReadNotification),
    session(Method::Get, &["api", "groups", ":", "notifications"], Verb::ShowChoice),
    session(Method::Put, &["api", "groups", ":", "notifications"], Verb::Choose),
    session(Method::Patch, &["api", "groups", ":", "notifications"], Verb::Choose),
    session(Method::Get, &["api", "devices"], Verb::ListDevices),
    session(Method::Post, &["api", "devices"], Verb::CreateDevice),
    session(Method::Delete, &["api", "devices", ":"], Verb::DeleteDevice),
    public(Method::Get, &["metrics"], Verb::Metrics),
    public(Method::Post, &["api", "claim"], Verb::Claim),
    public(Method::Get, &["api", "login"], Verb::LoginPage),
    public(Method::Post, &["api", "login"], Verb::Login),
    public(Method::Post, &["api", "reset"], Verb::Reset),
    public(Method::Get, &["api", "logout"], Verb::LogoutPage),
    public(Method::Post, &["api", "logout"], Verb::Logout),
    public(Method::Post, &["api", "auth", "logout"], Verb::Logout),
    public(Method::Get, &["api", "health"], Verb::Health),
    public(Method::Get, &["health"], Verb::Health),
    public(Method::Get, &["api", "openapi.json"], Verb::Describe),
    public(Method::Get, &["api", "invites", ":"], Verb::ShowInvite),
    public(Method::Post, &["api", "join", ":", "newcomer"], Verb::JoinNew),
    public(Method::Get, &["join", ":"], Verb::JoinPage),
    public(Method::Get, &["uploads", ":"], Verb::ShowPicture),
];

/// What a path leads to, whatever the method.
#[derive(Default)]
pub struct Target {
    routes: Vec<&'static Route>,
    params: Vec<String>,
    is_api: bool,
}

impl Target {
    /// Finds what a path leads to. Case and a trailing slash do not matter.
    pub fn of(path: &str) -> Target {
        let segments: Vec<&str> = path.strip_suffix('/').unwrap_or(path).split('/').skip(1).collect();
        let routes: Vec<_> = ROUTES.iter().filter(|route| fits(route.pattern, &segments)).collect();
        let pattern = routes.first().map_or(&[][..], |route| route.pattern);
        let wild = pattern.iter().zip(&segments).filter(|(want, _)| **want == WILDCARD);
        Target { params: wild.map(|(_, have)| (*have).to_owned()).collect(), is_api: is_api(path), routes }
    }

    /// Whether anything but a page is there.
    pub fn is_routed(&self) -> bool {
        self.is_api || !self.routes.is_empty()
    }

    /// What a method does there. HEAD is GET without the body, which the codec leaves out.
    fn route(&self, method: Method) -> Option<&'static Route> {
        let method = if method == Method::Head { Method::Get } else { method };
        self.routes.iter().find(|route| route.method == method).copied()
    }

    /// What a request does whose body has not been read yet.
    pub fn verb(&self, method: Method) -> Option<Verb> {
        self.route(method).map(|route| route.verb)
    }
}

const WILDCARD: &str = ":";

fn fits(pattern: &[&str], segments: &[&str]) -> bool {
    let same = |(want, have): (&&str, &&str)| {
        if *want == WILDCARD { !have.is_empty() } else { want.eq_ignore_ascii_case(have) }
    };
    pattern.len() == segments.len() && pattern.iter().zip(segments).all(same)
}

/// Whether a path belongs to the API rather than to the pages. Also in spellings that no route has,
/// so that they never get a page and a 200.
fn is_api(path: &str) -> bool {
    let first = path.trim_start_matches('/').split('/').next().unwrap_or_default();
    first.eq_ignore_ascii_case("api") || first.eq_ignore_ascii_case("uploads")
}

/// Answers a request: never fails, and never lets an internal word out.
pub async fn answer(server: &Rc<Server>, target: Target, request: Request, address: IpAddr) -> Response {
    let request_id = server.next_request_id();
    let routed = target.is_routed();
    let response = match handle(server, target, request, address, &request_id).await {
        Ok(response) => response,
        Err(failure) => {
            let clear = failure.clear_cookie;
            let response = failure.into_response(&request_id);
            if clear { response.with("set-cookie", auth::clear_cookie()) } else { response }
        }
    };
    let storage = server.app.storage();
    let response = match storage {
        Storage::Ok => response,
        _ if !routed => response,
        _ => response.with("x-deuced-storage", storage.name()),
    };
    let cached = response.headers.iter().any(|(name, _)| *name == "cache-control");
    if response.shield == Shield::Brief {
        return response;
    }
    let response = if routed && !cached { response.with("cache-control", "no-store") } else { response };
    response.with("x-request-id", request_id)
}

async fn handle(
    server: &Rc<Server>,
    target: Target,
    request: Request,
    address: IpAddr,
    request_id: &str,
) -> Result<Response> {
    let peer = server.peer(address, &request.headers);
    if !server.app.is_claimed() && !claim::may_pass(target.verb(request.method), &request) {
        return pace_stranger(server, &peer).and_then(|()| claim::keep_out(&request, target.is_api));
    }
    if target.routes.is_empty() {
        pace_stranger(server, &peer)?;
        return unknown(server, &target, &request).await;
    }
    let Some(route) = target.route(request.method) else {
        return wrong_method(&request, &target.routes);
    };
    if !auth::has_bearer(&request.headers) {
        auth::check_page(server, &request)?;
    }
    // That token is no login, and not bringing one is no failure.
    let reads_metrics =
        matches!(route.verb, Verb::Metrics) && auth::may_read_metrics(server, &request.headers);
    let recognised = if reads_metrics { Ok(None) } else { auth::caller_of(server, &request) };
    let caller = match (recognised, route.public) {
        // Where everybody may come, a device is nobody: it is not logged out, and sees what strangers see.
        (Ok(Some(caller)), true) => Some(caller).filter(|caller| caller.me.token.permits.is_none()),
        (Ok(Some(caller)), false) => Some(caller),
        (Ok(None) | Err(_), true) => None,
        (Ok(None), false) => {
            return pace_stranger(server, &peer).and(Err(crate::domain::Error::unauthorized().into()));
        }
        (Err(failure), false) => return pace_stranger(server, &peer).and(Err(failure)),
    };
    keep_pace(server, &peer, caller.as_ref())?;
    if let Some(caller) = &caller {
        session::note_use(&server.app, caller.me.token.id, peer.address);
    }
    let renewal =
        caller.as_ref().filter(|caller| token::due_for_renewal(&server.app, &caller.me.token)).cloned();
    let renewing_peer = renewal.as_ref().map(|_| peer.clone());
    let signed = caller.as_ref().and_then(|caller| caller.signed.clone());
    let reach = match &caller {
        Some(caller) => Reach::of(server.app.db(), &caller.me.token)?,
        None => Reach::All,
    };
    let call = Call { server, request, params: target.params, caller, reach, peer, request_id };
    let response = carry_out(route, call).await.map_err(|failure| match &signed {
        Some(signed) => failure.proven(|counter| signed.prove(counter)),
        None => failure,
    })?;
    match renewal.zip(renewing_peer) {
        Some((caller, peer)) => renew(server, &caller, &peer, response).await,
        None => Ok(response),
    }
}

/// Calls the handler, if the caller's login covers that.
async fn carry_out(route: &Route, call: Call<'_>) -> Result<Response> {
    scope::check(route.verb, &call)?;
    let claim = call.caller.as_ref().and_then(|caller| caller.signed.as_ref()).map(|signed| signed.claim);
    // What changes something has its counter looked at in its transaction.
    if let Some(claim) = claim.filter(|_| route.method == Method::Get) {
        if let Some(until) = device::take_read(&call.server.app, &claim)? {
            call.server
                .app
                .write(Purpose::CountDevice, move |tx| device::reserve(tx, claim.device, until))
                .await?;
        }
    }
    routes::dispatch(route.verb, call).await
}

fn keep_pace(server: &Server, peer: &Peer, caller: Option<&Caller>) -> Result<()> {
    match caller {
        Some(caller) => {
            let per_minute = server.app.limits().api_requests_per_minute;
            Ok(server.app.pace.borrow_mut().take(Deed::Request, caller.doer(), per_minute)?)
        }
        None => pace_stranger(server, peer),
    }
}

fn pace_stranger(server: &Server, peer: &Peer) -> Result<()> {
    let per_minute = server.app.limits().address_requests_per_minute;
    Ok(server.app.pace.borrow_mut().take(Deed::Request, Doer::address(peer.address), per_minute)?)
}

/// Prolongs a login that is in use. One that has just ended stays ended.
async fn renew(server: &Rc<Server>, caller: &Caller, peer: &Peer, response: Response) -> Result<Response> {
    let (limits, token) = (server.app.limits().clone(), caller.me.token);
    // The request was carried out; that its login could not be prolonged is no reason to deny it.
    let renewed = server.app.write(Purpose::RenewLogin, move |tx| token::renew(tx, &limits, &token)).await;
    token::changed(&server.app);
    let told = response.headers.iter().any(|(name, _)| *name == "set-cookie");
    let secret =
        caller.secret.as_ref().filter(|_| renewed.is_ok() && caller.source == Source::Cookie && !told);
    Ok(match secret {
        Some(secret) => response.with("set-cookie", auth::set_cookie(secret, server.app.limits(), peer)),
        None => response,
    })
}

const EVERY_METHOD: &str = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

/// A path that is no route: the API says so, everything else is the page.
async fn unknown(server: &Server, target: &Target, request: &Request) -> Result<Response> {
    if target.is_api {
        return Err(Failure::new(404, "Not found"));
    }
    match request.method {
        Method::Get | Method::Head => files::serve(server, request).await,
        // Asked of the server as a whole (RFC 9110 section 9.3.7).
        Method::Options if request.path == "*" => Ok(options(EVERY_METHOD.to_owned())),
        Method::Options => Ok(options("GET, HEAD, OPTIONS".to_owned())),
        _ => Err(Failure::method_not_allowed("GET, HEAD, OPTIONS".to_owned())),
    }
}

fn wrong_method(request: &Request, routes: &[&Route]) -> Result<Response> {
    let mut allowed: Vec<&str> = routes.iter().map(|route| route.method.name()).collect();
    if allowed.contains(&"GET") {
        allowed.push("HEAD");
    }
    allowed.push("OPTIONS");
    let allowed = allowed.join(", ");
    match request.method {
        Method::Options => Ok(options(allowed)),
        _ => Err(Failure::method_not_allowed(allowed)),
    }
}

fn options(allowed: String) -> Response {
    Response::json(200, "{}".to_owned()).with("allow", allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_and_a_trailing_slash_do_not_matter() {
        let verb = |path| Target::of(path).verb(Method::Get);
        assert_eq!(verb("/API/Groups/"), Some(Verb::ListGroups));
        assert_eq!(verb("/api/groups/abc"), Some(Verb::ShowGroup));
        for none in ["/api/groups//", "/", "", "*", "/api/groups/a/b/c/d"] {
            assert_eq!(verb(none), None, "{none}");
        }
        assert_eq!(Target::of("/api/Groups/aBc/MEMBERS/x").params, ["aBc", "x"]);
    }

    /// What is for everybody is listed here a second time, so that nothing becomes so by mistake.
    #[test]
    fn r_a1_everything_else_needs_a_login() {
        const FOR_EVERYBODY: [&str; 15] = [
            "GET /api/health",
            "GET /api/invites/:",
            "GET /api/login",
            "GET /api/logout",
            "GET /api/openapi.json",
            "GET /health",
            "GET /join/:",
            "GET /metrics",
            "GET /uploads/:",
            "POST /api/auth/logout",
            "POST /api/claim",
            "POST /api/join/:/newcomer",
            "POST /api/login",
            "POST /api/logout",
            "POST /api/reset",
        ];
        let public = ROUTES.iter().filter(|route| route.public);
        let mut found: Vec<String> =
            public.map(|route| format!("{} /{}", route.method.name(), route.pattern.join("/"))).collect();
        found.sort();
        assert_eq!(found, FOR_EVERYBODY, "these need no login");
    }

    #[test]
    fn no_line_of_the_table_hides_another() {
        for route in ROUTES {
            let path = format!("/{}", route.pattern.join("/").replace(WILDCARD, "x"));
            assert_eq!(Target::of(&path).verb(route.method), Some(route.verb), "{path}");
        }
    }
}
