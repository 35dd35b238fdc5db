//! The handlers: each reads what a request says, calls one api verb, and shapes the answer.
//!
//! A handler decides nothing about what is allowed; that is the verb's business.

pub mod claim;
mod deuce;
mod group;
mod health;
mod invite;
mod location;
mod login;
mod message;
mod metrics;
mod notification;
mod openapi;
mod reaction;
mod user;

use crate::api::App;
use crate::api::deuce::{Cursor, Page};
use crate::api::pace::{Deed, Doer};
use crate::domain::{EntryId, Error, GroupId, Limits, UserId};
use crate::http::address::Peer;
use crate::http::auth::Caller;
use crate::http::body::{self, Fields};
use crate::http::error::{Failure, Result};
use crate::http::message::{Request, Response};
use crate::http::router::Verb;
use crate::http::{Server, files};
use std::rc::Rc;

/// One request on its way through a handler.
pub struct Call<'a> {
    /// The server.
    pub server: &'a Rc<Server>,
    /// What was asked.
    pub request: Request,
    /// What the wildcards of the route's path stand for.
    pub params: Vec<String>,
    /// Who asked; always somebody on routes that are not public.
    pub caller: Option<Caller>,
    /// Where from.
    pub peer: Peer,
    /// Under which id.
    pub request_id: &'a str,
}

impl Call<'_> {
    fn app(&self) -> &App {
        &self.server.app
    }

    /// The limits, to be taken along into a transaction.
    fn limits(&self) -> Limits {
        self.app().limits().clone()
    }

    fn me(&self) -> Result<UserId> {
        let caller = self.caller.as_ref().ok_or_else(Error::unauthorized)?;
        Ok(caller.me.user)
    }

    fn fields(&self) -> Result<Fields> {
        Ok(body::fields(&self.request)?)
    }

    /// Counts one deed of the caller.
    fn pace(&self, deed: Deed, per_minute: u64) -> Result<()> {
        Ok(self.app().pace.borrow_mut().take(deed, Doer::User(self.me()?), per_minute)?)
    }

    /// A whole number in the query, from `least`.
    fn number(&self, name: &str, least: u64) -> Result<Option<u64>> {
        number(self.request.query.get(name), name, least)
    }

    /// The group in the path. What is no id is answered like a group one is not in.
    fn group(&self) -> Result<GroupId> {
        GroupId::parse(&self.params[0]).ok_or_else(|| Error::forbidden("Not authorized").into())
    }

    /// This server's address as the client knows it.
    fn base(&self) -> String {
        format!("{}://{}", self.peer.scheme(), self.request.host)
    }

    /// The page asked for, if any of its words was used.
    fn page(&self) -> Result<Option<Page>> {
        let query = &self.request.query;
        let asked = ["limit", "offset", "before"].iter().any(|name| query.get(name).is_some());
        if !asked {
            return Ok(None);
        }
        let limit =
            number(query.get("limit"), "limit", 1)?.unwrap_or(50).min(self.app().limits().page_entries);
        // Further back than this, a cursor is the way.
        let offset = number(query.get("offset"), "offset", 0)?.unwrap_or(0).min(100_000);
        let after = query.get("before").map(parse_cursor).transpose()?;
        Ok(Some(Page { limit, offset, after }))
    }
}

/// Larger numbers do not survive in every client (RFC 8259 section 6).
const MOST: u64 = (1 << 53) - 1;

fn number(text: Option<&str>, name: &str, least: u64) -> Result<Option<u64>> {
    let Some(text) = text else { return Ok(None) };
    // Digits alone: `parse` would take a sign, too.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    match text.parse() {
        Ok(number) if digits && (least..=MOST).contains(&number) => Ok(Some(number)),
        _ => Err(Failure::new(400, format!("{name}: a whole number from {least} to {MOST}"))),
    }
}

/// Cursors are `<milliseconds>.<entry>`; clients are not to know.
fn parse_cursor(text: &str) -> Result<Cursor> {
    let parts = text.split_once('.').and_then(|(at, id)| Some((at.parse().ok()?, EntryId::parse(id)?)));
    let (logged_at, id) = parts.ok_or_else(|| Failure::new(400, "before: not a cursor of this server"))?;
    Ok(Cursor { logged_at, id })
}

fn write_cursor(cursor: Cursor) -> String {
    format!("{}.{}", cursor.logged_at, cursor.id)
}

fn ok() -> Response {
    Response::json(200, r#"{"ok":true}"#.to_owned())
}

fn redirect(target: &str) -> Response {
    Response::empty(302).with("location", target).with("cache-control", "no-store")
}

/// Calls the handler of a verb.
///
/// # Errors
/// The verb's refusals.
pub async fn dispatch(verb: Verb, call: Call<'_>) -> Result<Response> {
    match verb {
        Verb::LoginPage => Ok(login::page(&call)),
        Verb::Claim => claim::claim(call).await,
        Verb::Login => login::begin(call).await,
        Verb::LogoutPage => login::end(&call).await.map(|()| login::farewell(redirect("/"))),
        Verb::Logout => login::end(&call).await.map(|()| login::farewell(ok())),
        Verb::ShowMe => user::show(&call),
        Verb::RenameMe => user::rename(call).await,
        Verb::SetPicture => user::set_picture(call).await,
        Verb::Export => user::export(call).await,
        Verb::Erase => user::erase(call).await,
        Verb::ListGroups => group::list(&call),
        Verb::CreateGroup => group::create(call).await,
        Verb::ShowGroup => group::show(call).await,
        Verb::UpdateGroup => group::update(call).await,
        Verb::DeleteGroup => group::delete(call).await,
        Verb::LeaveGroup => group::leave(call).await,
        Verb::RemoveMember => group::remove_member(call).await,
        Verb::SetRole => group::set_role(call).await,
        Verb::CreateInvite => invite::create(call).await,
        Verb::ListInvites => invite::list(&call),
        Verb::RevokeInvite => invite::revoke(call).await,
        Verb::DrawInvite => invite::draw(&call),
        Verb::ShowInvite => invite::show(&call),
        Verb::JoinNew => invite::join_new(call).await,
        Verb::Join => invite::join(call).await,
        Verb::JoinPage => Ok(invite::page(&call)),
        Verb::LogDeuce => deuce::log(call).await,
        Verb::Feed => deuce::feed(call).await,
        Verb::DeleteDeuce => deuce::delete(call).await,
        Verb::BestDay => deuce::best_day(&call),
        Verb::ListReactions => reaction::list(&call),
        Verb::AddReaction => reaction::add(call).await,
        Verb::RemoveReaction => reaction::remove(call).await,
        Verb::ListLocations => location::list(&call),
        Verb::AddLocation => location::add(call).await,
        Verb::ListRooms => message::rooms(call).await,
        Verb::ListMessages => message::list(call).await,
        Verb::Say => message::say(call).await,
        Verb::EditMessage => message::edit(call).await,
        Verb::DeleteMessage => message::delete(call).await,
        Verb::ListNotifications => notification::list(&call),
        Verb::CountNotifications => notification::count(&call),
        Verb::ReadNotification => notification::mark(call).await,
        Verb::ReadAllNotifications => notification::mark_all(call).await,
        Verb::Notify => notification::send(call).await,
        Verb::ShowChoice => notification::choice(&call),
        Verb::Choose => notification::choose(call).await,
        Verb::Metrics => metrics::show(&call),
        Verb::ShowPicture => files::picture(call.server, &call.params[0]).await,
        Verb::Health => health::show(&call),
        Verb::Describe => Ok(openapi::show(&call)),
    }
}
