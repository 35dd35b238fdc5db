//! The form `group`, of the diary's own pages. It is silent by contract: nothing a page sends is ever
//! answered, because the page would answer the answer.

use super::{Asked, Command, Read, text_of};
use crate::api::view;
use crate::domain::{Event, GroupId, Kind, Result};
use crate::hub::Form;
use serde_json::{Map, Value};

/// What a page wants with a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joining {
    /// To hear it.
    Join,
    /// To hear it no more.
    Leave,
}

pub(super) fn read(kind: &str, fields: &Map<String, Value>) -> Read {
    let joining = if kind == "join_group" { Joining::Join } else { Joining::Leave };
    let group = text_of(fields, "groupId").and_then(|text| GroupId::parse(&text));
    // What names no group is passed over, too, but it was this form that was spoken.
    let command = group.map_or(Command::Nothing, |group| Command::Group(joining, group));
    Read::Asked(Asked { form: Form::Group, id: None, command: Ok(command) })
}

pub(super) fn render(event: &Event) -> Result<Option<String>> {
    match &event.kind {
        Kind::DeuceLogged(logged) => view::deuce_logged(event, &logged.0, &logged.1).map(Some),
        _ => Ok(None),
    }
}
