//! The JSON shapes of devices, and the short answers they get.

use super::{shown, shown_if_any, text};
use crate::domain::{Device, Entry, EntryId, GroupId, Result, Time};
use serde::Serialize;

#[derive(Serialize)]
struct GroupView<'a> {
    #[serde(serialize_with = "shown")]
    id: GroupId,
    name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DeviceView<'a> {
    id: String,
    key_id: String,
    name: &'a str,
    verbs: Vec<&'static str>,
    groups: Vec<GroupView<'a>>,
    #[serde(serialize_with = "shown")]
    created_at: Time,
    #[serde(serialize_with = "shown_if_any")]
    last_used_at: Option<Time>,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    key: Option<&'a str>,
}

impl<'a> DeviceView<'a> {
    fn of(device: &'a Device, last_used_at: Option<Time>) -> DeviceView<'a> {
        let id = device.id.0.to_string();
        DeviceView {
            key_id: id.clone(),
            id,
            name: &device.name,
            verbs: device.permits.words().collect(),
            groups: device.groups.iter().map(|(id, name)| GroupView { id: *id, name }).collect(),
            created_at: device.made_at,
            last_used_at,
            token: None,
            key: None,
        }
    }
}

/// A list of devices, each with its last use since the server was started.
///
/// # Errors
/// `Internal` only.
pub fn devices(devices: &[(Device, Option<Time>)]) -> Result<String> {
    text(&devices.iter().map(|(device, used)| DeviceView::of(device, *used)).collect::<Vec<_>>())
}

/// A new device with its secrets, told this once.
///
/// # Errors
/// `Internal` only.
pub fn made(device: &Device, token: &str, key: &str) -> Result<String> {
    text(&DeviceView { token: Some(token), key: Some(key), ..DeviceView::of(device, None) })
}

/// The answer to a device that logged: as little as says that it is done.
///
/// # Errors
/// `Internal` only.
pub fn logged(entries: &[Entry]) -> Result<String> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct One {
        #[serde(serialize_with = "shown")]
        id: EntryId,
        #[serde(serialize_with = "shown_if_any")]
        logged_at: Option<Time>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Several {
        ids: Vec<String>,
        #[serde(serialize_with = "shown_if_any")]
        logged_at: Option<Time>,
    }
    let logged_at = entries.first().map(|entry| entry.logged_at);
    match entries {
        [entry] => text(&One { id: entry.id, logged_at }),
        entries => {
            text(&Several { ids: entries.iter().map(|entry| entry.id.to_string()).collect(), logged_at })
        }
    }
}
