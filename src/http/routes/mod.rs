//! The handlers: each reads what a request says, calls one api verb, and shapes the answer.
//!
//! A handler decides nothing about what is allowed; that is the verb's business.

pub mod claim;
pub mod deuce;
mod device;
mod group;
mod health;
mod invite;
mod location;
mod login;
mod message;
mod metrics;
pub mod notification;
mod openapi;
mod people;
mod reaction;
mod session;
mod user;

use crate::api::deuce::{Cursor, Page};
use crate::api::pace::Deed;
use crate::api::token;
use crate::api::{App, Tx, device::Reach};
use crate::domain::{self, EntryId, Error, GroupId, Limits, Permits, Purpose, TokenId, UserId};
use crate::http::address::Peer;
use crate::http::auth::Caller;
use crate::http::body::{self, Fields};
use crate::http::error::{Failure, Result};
use crate::http::message::{Request, Response};
use crate::http::router::Verb;
use crate::http::{Server, files};
use crate::ws::close;
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
    /// Which groups the caller's login reaches.
    pub reach: Reach,
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

    /// The login that asks.
    fn token(&self) -> Result<TokenId> {
        let caller = self.caller.as_ref().ok_or_else(Error::unauthorized)?;
        Ok(caller.me.token.id)
    }

    /// The caller's login and what it may do, if it is a device's.
    pub fn device(&self) -> Option<(TokenId, Permits)> {
        let token = self.caller.as_ref()?.me.token;
        token.permits.map(|permits| (token.id, permits))
    }

    /// Carries out what changes something and says what to answer; what was signed, once.
    async fn write_once<F>(&self, purpose: Purpose, work: F) -> Result<String>
    where
        F: Fn(&Tx<'_>) -> domain::Result<String> + Send + 'static,
    {
        let claim = self.caller.as_ref().and_then(|caller| caller.signed.as_ref()).map(|signed| signed.claim);
        let written = self.app().write(purpose, move |tx| match &claim {
            Some(claim) => crate::api::device::once(tx, claim, &work),
            None => work(tx),
        });
        Ok(written.await?)
    }

    pub(super) fn fields(&self) -> Result<Fields> {
        Ok(body::fields(&self.request)?)
    }

    /// Counts one deed of the caller.
    fn pace(&self, deed: Deed, per_minute: u64) -> Result<()> {
        let caller = self.caller.as_ref().ok_or_else(Error::unauthorized)?;
        Ok(self.app().pace.borrow_mut().take(deed, caller.doer(), per_minute)?)
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

/// Ends the sockets of logins that have ended just now, and brings those of children in line.
fn enforce(app: &App) -> Result<()> {
    token::enforce(app, close::ENDINGS)?;
    Ok(())
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
        Verb::LogoutPage => login::leave(&call).await,
        Verb::Logout => login::end(&call).await.map(|()| login::farewell(ok())),
        Verb::ShowMe => user::show(&call),
        Verb::RenameMe => user::rename(call).await,
        Verb::SetPicture => user::set_picture(call).await,
        Verb::Export => user::export(call).await,
        Verb::Erase => user::erase(call).await,
        Verb::ChangePassword => login::change_password(call).await,
        Verb::Reset => login::reset(call).await,
        Verb::ListSessions => session::list(&call),
        Verb::EndSession => session::end(call).await,
        Verb::EndOtherSessions => session::end_others(call).await,
        Verb::ListPeople => people::list(call).await,
        Verb::PreparePerson => people::prepare(call).await,
        Verb::ChangePerson => people::change(call).await,
        Verb::RemovePerson => people::remove(call).await,
        Verb::ResetPerson => people::reset(call).await,
        Verb::PrepareMember => people::prepare_in_group(call).await,
        Verb::AddMember => group::add_member(call).await,
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
        Verb::DrawInvite => invite::draw(call).await,
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
        Verb::ListDevices => device::list(&call),
        Verb::CreateDevice => device::create(call).await,
        Verb::DeleteDevice => device::delete(call).await,
        Verb::Metrics => metrics::show(&call),
        Verb::ShowPicture => files::picture(call.server, &call.params[0]).await,
        Verb::Health => health::show(&call),
        Verb::Describe => Ok(openapi::show(&call)),
    }
}
