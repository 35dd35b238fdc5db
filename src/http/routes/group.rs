//! Groups and their members.

use super::{Call, ok};
use crate::api::group::{self, Change, Naming};
use crate::api::pace::Deed;
use crate::api::{member, view};
use crate::domain::{Error, Purpose, Role};
use crate::http::body::Value;
use crate::http::error::Result;
use crate::http::message::Response;

/// The caller's groups.
pub fn list(call: &Call<'_>) -> Result<Response> {
    let mut groups = group::list(call.app().db(), call.me()?)?;
    groups.retain(|one| call.reach.includes(one.group.id));
    Ok(Response::json(200, view::groups(&groups)?))
}

/// Makes a group.
pub async fn create(call: Call<'_>) -> Result<Response> {
    let (me, limits) = (call.me()?, call.limits());
    call.pace(Deed::Group, limits.groups_per_minute)?;
    let mut fields = call.fields()?;
    let name = fields.take_text("name")?.ok_or_else(|| Error::invalid("name: is required"))?;
    let description = fields.take_text("description")?.unwrap_or_default();
    let naming = Naming {
        name: group::clean_name(&name, &limits)?,
        description: group::clean_description(&description, &limits)?,
    };
    let made =
        call.app().write(Purpose::ChangeGroup, move |tx| group::create(tx, &limits, me, &naming)).await?;
    Ok(Response::json(200, view::group(&made)?))
}

/// A group with everything in it, or one page of it.
pub async fn show(call: Call<'_>) -> Result<Response> {
    let (me, id, page) = (call.me()?, call.group()?, call.page()?);
    group::place(call.app().db(), id, me)?;
    let text = if page.is_some() || group::is_long(call.app().db(), id)? {
        call.app().read_aside(move |db| view::detail(&group::detail(db, id, me, page.as_ref())?)).await?
    } else {
        view::detail(&group::detail(call.app().db(), id, me, None)?)?
    };
    Ok(Response::json(200, text))
}

/// Renames or describes a group anew.
pub async fn update(call: Call<'_>) -> Result<Response> {
    let (me, id, limits) = (call.me()?, call.group()?, call.limits());
    let mut fields = call.fields()?;
    let removes_description = matches!(fields.get("description"), Some(Value::Null));
    let name = fields.take_text("name")?.map(|name| group::clean_name(&name, &limits)).transpose()?;
    let description = fields.take_text("description")?;
    let description = description.map(|text| group::clean_description(&text, &limits)).transpose()?;
    let change = Change { name, description: description.or(removes_description.then_some(None)) };
    if change.name.is_none() && change.description.is_none() {
        return Err(Error::invalid("name: give a name or a description").into());
    }
    let changed =
        call.app().write(Purpose::ChangeGroup, move |tx| group::update(tx, &limits, id, me, &change)).await?;
    Ok(Response::json(200, view::group(&changed)?))
}

/// Ends a group.
pub async fn delete(call: Call<'_>) -> Result<Response> {
    let (me, id, limits) = (call.me()?, call.group()?, call.limits());
    call.app().write(Purpose::DeleteGroup, move |tx| group::delete(tx, &limits, id, me)).await?;
    Ok(ok())
}

/// Leaves a group.
pub async fn leave(call: Call<'_>) -> Result<Response> {
    let (me, id, limits) = (call.me()?, call.group()?, call.limits());
    call.app().write(Purpose::Leave, move |tx| member::leave(tx, &limits, id, me)).await?;
    Ok(ok())
}

/// Puts a child into a group.
pub async fn add_member(call: Call<'_>) -> Result<Response> {
    let (me, id, limits) = (call.me()?, call.group()?, call.limits());
    let whom = call.fields()?.take_text("userId")?.ok_or_else(|| Error::invalid("userId: is required"))?;
    let added = call.app().write(Purpose::Join, move |tx| member::add(tx, &limits, id, me, &whom)).await?;
    Ok(Response::json(200, view::member(&added)?))
}

/// Removes a member.
pub async fn remove_member(call: Call<'_>) -> Result<Response> {
    let (me, id, limits, whom) = (call.me()?, call.group()?, call.limits(), call.params[1].clone());
    call.app().write(Purpose::Leave, move |tx| member::remove(tx, &limits, id, me, &whom)).await?;
    Ok(ok())
}

/// Gives a member a role.
pub async fn set_role(call: Call<'_>) -> Result<Response> {
    let (me, id, limits, whom) = (call.me()?, call.group()?, call.limits(), call.params[1].clone());
    let role = call.fields()?.take_text("role")?;
    let role = role
        .as_deref()
        .and_then(Role::parse)
        .ok_or_else(|| Error::invalid("role: must be admin or member"))?;
    let changed = call
        .app()
        .write(Purpose::SetRole, move |tx| member::set_role(tx, &limits, id, me, &whom, role))
        .await?;
    Ok(Response::json(200, view::member(&changed)?))
}
