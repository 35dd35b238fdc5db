//! Claiming the server, and what is answered until that is done.

use super::{Call, login};
use crate::api::claim::{self, UNCLAIMED};
use crate::api::pace::{Deed, Doer};
use crate::api::user;
use crate::domain::{Error, Purpose};
use crate::http::error::{Failure, Result};
use crate::http::files;
use crate::http::message::{Method, Request, Response};
use crate::http::router::Verb;

/// Whether a request is served before the server has its owner.
pub fn may_pass(verb: Option<Verb>, request: &Request) -> bool {
    let reads = matches!(request.method, Method::Get | Method::Head);
    matches!(verb, Some(Verb::Health | Verb::Claim)) || (reads && files::is_of_claim_page(&request.path))
}

/// What every other request is answered: whoever looks for a page gets the one that says what to do.
///
/// # Errors
/// The sentence, for programs.
pub fn keep_out(request: &Request, is_api: bool) -> Result<Response> {
    let reads = matches!(request.method, Method::Get | Method::Head);
    let wants_page = request.headers.get_all("accept").any(|kinds| kinds.contains("text/html"));
    match reads && wants_page && !is_api {
        true => Ok(files::claim_page(503, request.https)),
        false => Err(Failure::new(503, UNCLAIMED)),
    }
}

/// Makes the owner. Wrong secrets of one address are soon not even answered; the right one always is, so that nobody
/// can lock out the owner from beside them.
pub async fn claim(call: Call<'_>) -> Result<Response> {
    let (app, limits) = (call.app(), call.limits());
    app.check_claimable()?;
    let mut fields = call.fields()?;
    let secret = fields.take_text("secret")?.ok_or_else(|| Error::invalid("secret: is required"))?;
    let data = app.settings.data.clone();
    if !app.file_aside(move || claim::fits(&data, &secret)).await?? {
        // Somebody else may have been quicker, and the secret is gone with that.
        app.check_claimable()?;
        let doer = Doer::address(call.peer.address);
        app.pace.borrow_mut().take(Deed::WrongClaim, doer, limits.claim_failures_per_minute)?;
        return Err(claim::wrong().into());
    }
    let name = user::clean_login_name(&fields.take_text("username")?.unwrap_or_default(), &limits)?;
    let hash = login::new_hash(app, "password", fields.take_text("password")?).await?;
    let arrival = login::arrival(&call);
    let logged_in =
        app.write(Purpose::AddPerson, move |tx| claim::claim(tx, &limits, &name, &hash, &arrival)).await?;
    let data = app.settings.data.clone();
    // When there is no worker for it now, the next start does it.
    let _ = app.file_aside(move || claim::forget(&data)).await;
    login::welcome(&call, &logged_in, None)
}
