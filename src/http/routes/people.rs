//! Accounts in the hands of those who run the server or a group.

use super::{Call, enforce, login, user};
use crate::api::pace::Deed;
use crate::api::people::{self, Actor, Change, New};
use crate::api::user::clean_login_name;
use crate::api::view::people as view;
use crate::domain::{Error, Purpose};
use crate::http::body::Fields;
use crate::http::error::Result;
use crate::http::message::Response;

/// All accounts.
pub async fn list(call: Call<'_>) -> Result<Response> {
    Actor::of(call.app(), call.me()?)?;
    let text = call.app().read_aside(|db| view::accounts(&people::list(db)?)).await?;
    Ok(Response::json(200, text))
}

/// Prepares an account, for an owner of the server.
pub async fn prepare(call: Call<'_>) -> Result<Response> {
    let actor = Actor::of(call.app(), call.me()?)?;
    let mut fields = call.fields()?;
    let groups = fields.take_texts("groupIds")?.unwrap_or_default();
    let limits = call.limits();
    if groups.len() as u64 > limits.groups_per_user {
        return Err(Error::invalid(format!("groupIds: at most {} groups", limits.groups_per_user)).into());
    }
    let new = New { groups, ..new(&call, fields).await? };
    let prepared =
        call.app().write(Purpose::AddPerson, move |tx| people::prepare(tx, &limits, actor, &new)).await?;
    Ok(Response::json(200, view::prepared(&prepared, &call.base())?))
}

/// Prepares an account in a group, for its admins.
pub async fn prepare_in_group(call: Call<'_>) -> Result<Response> {
    let (me, id, limits) = (call.me()?, call.group()?, call.limits());
    people::check_mode(call.app())?;
    people::check_leads(call.app().db(), me, id)?;
    let new = new(&call, call.fields()?).await?;
    let prepared = call
        .app()
        .write(Purpose::AddPerson, move |tx| people::prepare_in_group(tx, &limits, me, id, &new))
        .await?;
    Ok(Response::json(200, view::prepared(&prepared, &call.base())?))
}

/// The account that a body describes. A password is hashed for whoever may prepare one only.
async fn new(call: &Call<'_>, mut fields: Fields) -> Result<New> {
    call.pace(Deed::Group, call.app().limits().groups_per_minute)?;
    let name = fields.take_text("username")?.unwrap_or_default();
    let name = clean_login_name(&name, call.app().limits())?;
    let child = fields.take_flag("child")?.unwrap_or(false);
    let password = match fields.take_text("password")? {
        None => None,
        given => Some(login::new_hash(call.app(), "password", given).await?),
    };
    Ok(New { name, password, child, groups: Vec::new() })
}

/// Changes what an account is.
pub async fn change(call: Call<'_>) -> Result<Response> {
    let (actor, uid, limits) = (Actor::of(call.app(), call.me()?)?, call.params[0].clone(), call.limits());
    let mut fields = call.fields()?;
    let change = Change {
        child: fields.take_flag("child")?,
        disabled: fields.take_flag("disabled")?,
        owner: fields.take_flag("owner")?,
    };
    if change == Change::default() {
        return Err(Error::invalid("child: give child, disabled or owner").into());
    }
    let changed = call
        .app()
        .write(Purpose::ChangeStanding, move |tx| people::change(tx, &limits, actor, &uid, change))
        .await?;
    enforce(call.app())?;
    Ok(Response::json(200, view::account(&changed)?))
}

/// Removes an account.
pub async fn remove(call: Call<'_>) -> Result<Response> {
    let (actor, uid, limits) = (Actor::of(call.app(), call.me()?)?, call.params[0].clone(), call.limits());
    let picture =
        call.app().write(Purpose::RemovePerson, move |tx| people::remove(tx, &limits, actor, &uid)).await?;
    enforce(call.app())?;
    if let Some(picture) = picture {
        user::remove_picture(call.app(), picture).await;
    }
    Ok(Response::json(200, r#"{"success":true}"#.to_owned()))
}

/// Makes a link with which somebody chooses a new password.
pub async fn reset(call: Call<'_>) -> Result<Response> {
    let (actor, uid, limits) = (Actor::of(call.app(), call.me()?)?, call.params[0].clone(), call.limits());
    call.pace(Deed::Group, limits.groups_per_minute)?;
    let link = call.app().write(Purpose::MakeLink, move |tx| people::reset(tx, &limits, actor, &uid)).await?;
    Ok(Response::json(200, view::link(&link, &call.base())?))
}
