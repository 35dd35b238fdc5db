//! The caller's own account.

use super::Call;
use crate::api::pace::Deed;
use crate::api::{App, picture, token, user, view};
use crate::domain::{Cause, Error, Purpose};
use crate::http::auth;
use crate::http::error::{Failure, Result};
use crate::http::message::{Request, Response};
use crate::http::multipart::{MultipartError, single_file};
use crate::ws::close;

/// The caller.
pub fn show(call: &Call<'_>) -> Result<Response> {
    let user = user::find(call.app().db(), call.me()?)?;
    Ok(Response::json(200, view::own_user(&user)?))
}

/// Sets the username.
pub async fn rename(call: Call<'_>) -> Result<Response> {
    let me = call.me()?;
    let name =
        call.fields()?.take_text("username")?.ok_or_else(|| Error::invalid("username: is required"))?;
    let limits = call.limits();
    let user = call.app().write(Purpose::Rename, move |tx| user::rename(tx, &limits, me, &name)).await?;
    Ok(Response::json(200, view::own_user(&user)?))
}

/// Sets the profile picture. Its file is on the card before the row names it.
pub async fn set_picture(mut call: Call<'_>) -> Result<Response> {
    let me = call.me()?;
    call.pace(Deed::Picture, call.app().limits().pictures_per_minute)?;
    // Before the picture is scaled for nothing.
    call.app().check_storage(Purpose::SetPicture)?;
    let upload = uploaded(&mut call.request, call.server.app.limits().picture_bytes)?;
    let (app, limits) = (call.app(), call.limits());
    let data = app.settings.data.clone();
    let picture::Kept { path, bytes } = app.aside(move || picture::keep(&data, &upload, &limits)).await??;
    app.written().count(Cause::Picture, bytes);

    let assigned = path.clone();
    let changed = app.write(Purpose::SetPicture, move |tx| picture::assign(tx, me, &assigned)).await;
    let (unused, answer) = match changed {
        Ok((user, old)) => (old, Ok(user)),
        Err(error) => (Some(path), Err(error)),
    };
    if let Some(unused) = unused {
        remove_picture(app, unused).await;
    }
    Ok(Response::json(200, view::own_user(&answer?)?))
}

/// The picture in a request: the form's file, or the body itself when it says that it is a picture.
fn uploaded(request: &mut Request, most: u64) -> Result<Vec<u8>> {
    let content_type = request.headers.get("content-type").unwrap_or_default().to_owned();
    let bytes = if content_type.starts_with("image/") {
        std::mem::take(&mut request.body)
    } else if content_type.to_ascii_lowercase().starts_with("multipart/form-data") {
        match single_file(&content_type, &request.body, "profilePicture") {
            Ok(Some(file)) if !file.content_type.is_some_and(|kind| kind.starts_with("image/")) => {
                return Err(Failure::new(400, "Only image files are allowed"));
            }
            Ok(Some(file)) => file.bytes.to_vec(),
            Ok(None) => Vec::new(),
            Err(MultipartError::UnexpectedField(_)) => return Err(Failure::new(400, "Unexpected field")),
            Err(MultipartError::Malformed(why)) => return Err(Failure::new(400, why)),
        }
    } else {
        Vec::new()
    };
    match bytes.len() as u64 {
        0 => Err(Failure::new(400, "No file uploaded")),
        length if length > most => Err(Failure::new(413, "File too large")),
        _ => Ok(bytes),
    }
}

/// Everything the server knows of the caller, as a file.
pub async fn export(call: Call<'_>) -> Result<Response> {
    let me = call.me()?;
    let text = call.app().read_aside(move |db| user::export(db, me)).await?;
    Ok(Response::json(200, text).with("content-disposition", "attachment; filename=\"deuced-export.json\""))
}

/// Removes a picture's file. When there is no worker for it now, the next start does it.
pub(super) async fn remove_picture(app: &App, path: String) {
    let data = app.settings.data.clone();
    let _ = app.aside(move || picture::remove(&data, &path)).await;
}

/// Deletes the caller's account, with its logins, sockets and picture.
pub async fn erase(call: Call<'_>) -> Result<Response> {
    let (me, limits, app) = (call.me()?, call.limits(), call.app());
    let erased = app.write(Purpose::RemovePerson, move |tx| user::erase(tx, &limits, me)).await?;
    token::ended(app, &[], close::LOGGED_OUT);
    app.hub.end_user(me, close::LOGGED_OUT);
    if let Some(picture) = erased {
        remove_picture(app, picture).await;
    }
    Ok(Response::json(200, r#"{"success":true}"#.to_owned()).with("set-cookie", auth::clear_cookie()))
}
