//! The wire grammars: pure translation between a client family's JSON and what the core knows.
//!
//! So far there is one, `group`, of the diary's own clients. It is silent by contract: nothing a
//! client sends is ever answered, because its page would answer the answer.

use crate::api::view;
use crate::domain::{Event, GroupId, Kind};
use crate::hub::Form;
use crate::ws::frame;
use serde::Deserialize;
use std::borrow::Cow;

/// What a client asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Hear a group.
    Join(GroupId),
    /// Hear it no more.
    Leave(GroupId),
}

/// Reads a text of the `group` form; `None` for everything it has no word for.
pub fn decode(text: &str) -> Option<Command> {
    #[derive(Deserialize)]
    struct Frame<'a> {
        #[serde(borrow, rename = "type")]
        kind: Cow<'a, str>,
        #[serde(borrow, rename = "groupId")]
        group: Cow<'a, str>,
    }
    let frame: Frame<'_> = serde_json::from_str(text).ok()?;
    let group = GroupId::parse(&frame.group)?;
    match &*frame.kind {
        "join_group" => Some(Command::Join(group)),
        "leave_group" => Some(Command::Leave(group)),
        _ => None,
    }
}

/// Appends the frame of an event, if the form has a word for it. Clients keep only the last frame
/// they were sent, so a stray one would do harm.
pub fn render(form: Form, event: &Event, out: &mut Vec<u8>) {
    match (form, &event.kind) {
        (Form::Group, Kind::DeuceLogged(logged)) => match view::deuce_logged(event, &logged.0, &logged.1) {
            Ok(json) => frame::text(&json, out),
            Err(error) => log::error!("an event could not be rendered: {error}"),
        },
        (Form::Group, _) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROUP: &str = "0190c0de-0000-7000-8000-000000000001";

    #[test]
    fn joins_and_leaves_are_understood() {
        let group = GroupId::parse(GROUP).unwrap();
        let join = format!(r#"{{"type":"join_group","groupId":"{GROUP}","extra":[1]}}"#);
        assert_eq!(decode(&join), Some(Command::Join(group)));
        let leave = format!(r#" {{"groupId":"{GROUP}","type":"leave_group"}} "#);
        assert_eq!(decode(&leave), Some(Command::Leave(group)));
    }

    #[test]
    fn everything_else_is_passed_over() {
        for text in [
            "",
            "null",
            "[]",
            "{",
            "1",
            r#"{"type":"join_group"}"#,
            r#"{"type":"join_group","groupId":7}"#,
            r#"{"type":"join_group","groupId":"x"}"#,
            r#"{"type":null,"groupId":"x"}"#,
            r#"{"type":"ping"}"#,
        ] {
            assert_eq!(decode(text), None, "{text}");
        }
    }
}
