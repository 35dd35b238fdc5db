//! Logging in and out.

use super::{Call, ok, redirect};
use crate::api::pace::{Deed, Doer};
use crate::api::token::{self, Arrival, LoggedIn};
use crate::api::{App, busy, link, password, session, user, view};
use crate::domain::{Error, InviteId, Purpose, TokenId, UserId, token::clean_agent, user::uid_of};
use crate::http::auth::{self, Source};
use crate::http::error::Result;
use crate::http::message::Response;
use crate::ws::close;

/// Where clients navigate when they are logged out. The page at `/` is where logging in happens;
/// an invite that was on the way is kept.
pub fn page(call: &Call<'_>) -> Response {
    let wanted = call.request.query.get("returnTo").and_then(|path| path.strip_prefix("/join/"));
    match wanted.and_then(InviteId::parse) {
        Some(invite) => redirect(&format!("/?join={invite}")),
        None => redirect("/"),
    }
}

/// Logs in: by name and password, or by name alone in open mode.
pub async fn begin(call: Call<'_>) -> Result<Response> {
    let mut fields = call.fields()?;
    // The contract has one sentence for a name that is missing, blank or not a text.
    let name = fields.take_text("username").ok().flatten().unwrap_or_default();
    keep_pace(&call, &name)?;
    let name = user::clean_login_name(&name, call.app().limits())?;
    let invite = match fields.take_text("inviteCode")? {
        Some(code) => {
            Some(InviteId::parse(code.trim()).ok_or_else(|| Error::invalid("Invalid or expired invite"))?)
        }
        None => None,
    };
    let limits = call.limits();
    let arrival = Arrival { invite, ..arrival(&call) };
    let old = old_login(&call);
    let person = match call.app().settings.open {
        true => None,
        false => Some(check_password(&call, &name, fields.take_text("password")?).await?),
    };
    let logged_in = call
        .app()
        .write(Purpose::LogIn, move |tx| {
            if let Some(old) = old {
                token::end(tx, old)?;
            }
            match person {
                Some(person) => token::begin(tx, &limits, person, &arrival),
                None => token::begin_by_name(tx, &limits, &name, &arrival),
            }
        })
        .await?;
    welcome(&call, &logged_in, old)
}

/// Counts a try to log in. Where the account is known, it is counted by itself: whoever else is in the network does not
/// use up its tries.
fn keep_pace(call: &Call<'_>, name: &str) -> Result<()> {
    let (app, address, uid) = (call.app(), call.peer.address, uid_of(name));
    let doer = match app.throttle.borrow().is_known(&uid, address) {
        true => Doer::name(&uid, address),
        false => Doer::address(address),
    };
    Ok(app.pace.borrow_mut().take(Deed::Login, doer, app.limits().logins_per_minute)?)
}

/// What comes along with a login.
pub(super) fn arrival(call: &Call<'_>) -> Arrival {
    let agent = call.request.headers.get("user-agent").and_then(clean_agent);
    Arrival { invite: None, agent }
}

/// The login that a browser leaves behind when it logs in anew. It ends with that.
pub(super) fn old_login(call: &Call<'_>) -> Option<TokenId> {
    let caller = call.caller.as_ref().filter(|caller| caller.source == Source::Cookie)?;
    Some(caller.me.token.id)
}

/// The answer to a login, when the logins that it ended have been seen to.
pub(super) fn welcome(call: &Call<'_>, logged_in: &LoggedIn, old: Option<TokenId>) -> Result<Response> {
    let ended: Vec<TokenId> = logged_in.ended.iter().copied().chain(old).collect();
    token::ended(call.app(), &ended, close::LOGGED_OUT);
    session::note_use(call.app(), logged_in.token, call.peer.address);
    let signed = token::sign(call.app(), logged_in)?;
    let (secret, joined) = (logged_in.secret.as_str(), logged_in.joined.as_ref());
    let body = view::logged_in(secret, &signed, &logged_in.user, joined)?;
    let cookie = auth::set_cookie(&logged_in.secret, call.app().limits(), &call.peer);
    Ok(Response::json(200, body).with("set-cookie", cookie))
}

/// Who has this name and password. Unknown names, accounts without a password and disabled ones take as long and are
/// answered the same.
async fn check_password(call: &Call<'_>, name: &str, given: Option<String>) -> Result<UserId> {
    let app: &App = call.app();
    let given = given_password(app, "password", given)?;
    let known = token::credentials(app.db(), name)?;
    let (person, stored) = known.map_or((None, None), |(person, stored)| (Some(person), stored));
    let fits = prove(call, &uid_of(name), given, stored).await?;
    person.filter(|_| fits).ok_or_else(|| token::wrong().into())
}

/// A password as it came, which must be there and not be longer than any that is taken.
fn given_password(app: &App, field: &str, given: Option<String>) -> Result<String> {
    let given = given
        .filter(|given| !given.is_empty())
        .ok_or_else(|| Error::invalid(format!("{field}: is required")))?;
    let most = app.limits().password_bytes;
    match given.len() as u64 > most {
        true => Err(Error::invalid(format!("{field}: at most {most} bytes")).into()),
        false => Ok(given),
    }
}

/// Whether a password is the one that is stored. Wrong ones are counted, and whoever sent too many has to wait first.
/// Whoever was known at this address before does not wait for the passwords of strangers to be looked at.
async fn prove(call: &Call<'_>, uid: &str, given: String, stored: Option<String>) -> Result<bool> {
    let (app, address): (&App, _) = (call.app(), call.peer.address);
    let limits = app.limits();
    let known = app.throttle.borrow_mut().check(limits, uid, address)?.is_known();
    let turn = match known {
        true => app.passwords.turn_first().await,
        false => app.passwords.turn().await,
    };
    let turn = turn.map_err(|_| busy())?;
    // Only now it is a try, and nobody else's is under way: what came of those before it is known.
    let tried = app.throttle.borrow_mut().begin(limits, uid, address)?;
    let fits = turn.run(move || password::verify(&given, stored.as_deref())).await;
    match fits {
        true => app.throttle.borrow_mut().succeed(tried),
        false => app.failed_logins.set(app.failed_logins.get() + 1),
    }
    Ok(fits)
}

/// The hash of a new password, made beside everything else.
pub(super) async fn new_hash(app: &App, field: &str, given: Option<String>) -> Result<String> {
    let given = given_password(app, field, given)?;
    let named = |error: Error| match error.message.strip_prefix("password:") {
        Some(rest) => Error::invalid(format!("{field}:{rest}")),
        None => error,
    };
    password::check_new(&given, app.limits()).map_err(named)?;
    let turn = app.passwords.turn_first().await.map_err(|_| busy())?;
    Ok(turn.run(move || password::hash(&given)).await?)
}

/// Changes the caller's password, who has to know the old one. All other logins end.
pub async fn change_password(call: Call<'_>) -> Result<Response> {
    let (me, app) = (call.me()?, call.app());
    let mut fields = call.fields()?;
    let old = given_password(app, "oldPassword", fields.take_text("oldPassword")?)?;
    let new = fields.take_text("newPassword")?;
    let person = user::find(app.db(), me)?;
    let stored = user::password(app.db(), me)?;
    if !prove(&call, &person.uid, old, stored).await? {
        return Err(Error::forbidden("oldPassword: this is not your password").into());
    }
    let hash = new_hash(app, "newPassword", new).await?;
    let keep = call.token()?;
    app.write(Purpose::ChangePassword, move |tx| user::change_password(tx, me, &hash, keep)).await?;
    super::enforce(app)?;
    Ok(ok())
}

/// Chooses a password by a link, and logs in with that.
pub async fn reset(call: Call<'_>) -> Result<Response> {
    let app = call.app();
    let mut fields = call.fields()?;
    let secret = fields.take_text("secret")?.ok_or_else(|| Error::invalid("secret: is required"))?;
    // Before anything is hashed for it. Only wrong ones are counted, so that nobody is locked out by somebody's guesses.
    if let Err(wrong) = link::check(app.db(), &secret) {
        let per_minute = app.limits().logins_per_minute;
        app.pace.borrow_mut().take(Deed::Link, Doer::address(call.peer.address), per_minute)?;
        return Err(wrong.into());
    }
    let hash = new_hash(app, "password", fields.take_text("password")?).await?;
    let (limits, arrival, old) = (call.limits(), arrival(&call), old_login(&call));
    let logged_in = app
        .write(Purpose::ChangePassword, move |tx| {
            if let Some(old) = old {
                token::end(tx, old)?;
            }
            link::redeem(tx, &limits, &secret, &hash, &arrival)
        })
        .await?;
    super::enforce(app)?;
    welcome(&call, &logged_in, old)
}

/// Ends the caller's login and its sockets; nothing to do without one.
pub async fn end(call: &Call<'_>) -> Result<()> {
    if let Some(caller) = &call.caller {
        let token = caller.me.token.id;
        call.app().write(Purpose::LogOut, move |tx| token::end(tx, token)).await?;
        token::ended(call.app(), &[token], close::LOGGED_OUT);
    }
    Ok(())
}

/// Logs out by navigating. A foreign page that sends somebody here only leads them to the page: they stay logged in.
pub async fn leave(call: &Call<'_>) -> Result<Response> {
    if !auth::may_end_login(call.server, &call.request) {
        return Ok(redirect("/"));
    }
    end(call).await?;
    Ok(farewell(redirect("/")))
}

/// Takes the cookie along.
pub fn farewell(response: Response) -> Response {
    response.with("set-cookie", auth::clear_cookie())
}
