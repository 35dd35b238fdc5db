//! Places.

use super::Call;
use crate::api::{location, view};
use crate::domain::Purpose;
use crate::http::error::Result;
use crate::http::message::Response;

/// The places on offer.
pub fn list(call: &Call<'_>) -> Result<Response> {
    let locations = location::list(call.app().db(), call.me()?)?;
    Ok(Response::json(200, view::locations(&locations)?))
}

/// Adds a place.
pub async fn add(call: Call<'_>) -> Result<Response> {
    let (me, limits) = (call.me()?, call.limits());
    let name = call.fields()?.take_text("name")?.unwrap_or_default();
    let name = location::clean_name(&name, &limits)?;
    let added = call.app().write(Purpose::AddPlace, move |tx| location::add(tx, &limits, me, &name)).await?;
    Ok(Response::json(200, view::location(&added)?))
}
