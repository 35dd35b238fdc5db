//! Logging in and out.

use super::{Call, redirect};
use crate::api::pace::{Deed, Doer};
use crate::api::token::{self, LoggedIn};
use crate::api::{App, busy, password, user, view};
use crate::domain::{Error, InviteId, TokenId, UserId, user::uid_of};
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
    let address = call.peer.address;
    let per_minute = call.app().limits().logins_per_minute;
    call.app().pace.borrow_mut().take(Deed::Login, Doer::address(address), per_minute)?;

    let mut fields = call.fields()?;
    // The contract has one sentence for a name that is missing, blank or not a text.
    let name = fields.take_text("username").ok().flatten().unwrap_or_default();
    let name = user::clean_login_name(&name, call.app().limits())?;
    let invite = match fields.take_text("inviteCode")? {
        Some(code) => {
            Some(InviteId::parse(code.trim()).ok_or_else(|| Error::invalid("Invalid or expired invite"))?)
        }
        None => None,
    };
    let limits = call.limits();
    let old = old_login(&call);
    let person = match call.app().settings.open {
        true => None,
        false => Some(check_password(&call, &name, fields.take_text("password")?).await?),
    };
    let logged_in = call
        .app()
        .write(move |tx| {
            if let Some(old) = old {
                token::end(tx, old)?;
            }
            match person {
                Some(person) => token::begin(tx, &limits, person, invite),
                None => token::begin_by_name(tx, &limits, &name, invite),
            }
        })
        .await?;
    welcome(&call, &logged_in, old)
}

/// The login that a browser leaves behind when it logs in anew; it is to end with that.
pub fn old_login(call: &Call<'_>) -> Option<TokenId> {
    let by_cookie = call.caller.as_ref().filter(|caller| caller.source == Source::Cookie);
    by_cookie.map(|caller| caller.me.token.id)
}

/// Tells whoever has just logged in so, after what has ended with that.
pub fn welcome(call: &Call<'_>, logged_in: &LoggedIn, old: Option<TokenId>) -> Result<Response> {
    let ended: Vec<TokenId> = logged_in.ended.iter().copied().chain(old).collect();
    token::ended(call.app(), &ended, close::LOGGED_OUT);
    let signed = token::sign(call.app(), logged_in)?;
    let (secret, joined) = (logged_in.secret.as_str(), logged_in.joined.as_ref());
    let body = view::logged_in(secret, &signed, &logged_in.user, joined)?;
    let cookie = auth::set_cookie(&logged_in.secret, call.app().limits(), &call.peer);
    Ok(Response::json(200, body).with("set-cookie", cookie))
}

/// Who has this name and password. Unknown names take as long and are answered the same.
async fn check_password(call: &Call<'_>, name: &str, given: Option<String>) -> Result<UserId> {
    let app: &App = call.app();
    let given =
        given.filter(|given| !given.is_empty()).ok_or_else(|| Error::invalid("password: is required"))?;
    let limits = app.limits();
    if given.len() as u64 > limits.password_bytes {
        return Err(Error::invalid(format!("password: at most {} bytes", limits.password_bytes)).into());
    }
    let doer = Doer::name(&uid_of(name), call.peer.address);
    app.pace.borrow_mut().check(Deed::WrongPassword, doer, limits.login_failures_per_minute)?;

    let known = token::credentials(app.db(), name)?;
    let (person, stored) = known.map_or((None, None), |(person, stored)| (Some(person), stored));
    let fits =
        app.passwords.run(move || password::verify(&given, stored.as_deref())).await.map_err(|_| busy())?;
    match person.filter(|_| fits) {
        Some(person) => Ok(person),
        None => {
            app.failed_logins.set(app.failed_logins.get() + 1);
            app.pace.borrow_mut().take(Deed::WrongPassword, doer, limits.login_failures_per_minute)?;
            Err(token::wrong().into())
        }
    }
}

/// Ends the caller's login and its sockets; nothing to do without one.
pub async fn end(call: &Call<'_>) -> Result<()> {
    if let Some(caller) = &call.caller {
        let token = caller.me.token.id;
        call.app().write(move |tx| token::end(tx, token)).await?;
        token::ended(call.app(), &[token], close::LOGGED_OUT);
    }
    Ok(())
}

/// Takes the cookie along.
pub fn farewell(response: Response) -> Response {
    response.with("set-cookie", auth::clear_cookie())
}
