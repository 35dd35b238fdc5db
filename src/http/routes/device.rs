//! Devices.

use super::{Call, ok};
use crate::api::device::{self, New};
use crate::api::pace::Deed;
use crate::api::session;
use crate::api::view;
use crate::domain::{Error, Purpose, TokenId};
use crate::http::error::Result;
use crate::http::message::Response;
use crate::ws::close;

/// The caller's devices.
pub fn list(call: &Call<'_>) -> Result<Response> {
    let devices = device::list(call.app().db(), call.me()?)?;
    let used = devices.into_iter().map(|device| {
        let last = session::last_use(call.app(), device.id);
        (device, last)
    });
    Ok(Response::json(200, view::device::devices(&used.collect::<Vec<_>>())?))
}

/// Makes a device. Its secrets are told this once.
pub async fn create(call: Call<'_>) -> Result<Response> {
    let (me, limits) = (call.me()?, call.limits());
    call.pace(Deed::Group, limits.groups_per_minute)?;
    let mut fields = call.fields()?;
    let name = fields.take_text("name")?.ok_or_else(|| Error::invalid("name: is required"))?;
    let verbs = fields.take_texts("verbs")?.unwrap_or_default();
    let new = New {
        name: device::clean_name(&name, &limits)?,
        permits: device::permits(verbs.iter().map(String::as_str))?,
        groups: fields.take_texts("groupIds")?.unwrap_or_default(),
    };
    let (made, secret) =
        call.app().write(Purpose::AddDevice, move |tx| device::make(tx, &limits, me, &new)).await?;
    let key = device::key(call.app(), made.id, &secret);
    Ok(Response::json(200, view::device::made(&made, secret.as_str(), key.as_str())?))
}

/// Ends a device, and its sockets at once.
pub async fn delete(call: Call<'_>) -> Result<Response> {
    let me = call.me()?;
    let id = call.params[0].parse().map(TokenId).map_err(|_| Error::not_found("Device not found"))?;
    call.app().write(Purpose::RemoveDevice, move |tx| device::remove(tx, me, id)).await?;
    device::removed(call.app(), id, close::LOGGED_OUT);
    Ok(ok())
}
