//! The JSON shapes of accounts as those see them who run the server, of links, and of one's own logins.

use super::{shown, shown_if_any, text};
use crate::api::people::Prepared;
use crate::api::session::Session;
use crate::domain::{GroupId, Link, Result, Time, user::Account};
use serde::Serialize;

#[derive(Serialize)]
struct GroupView<'a> {
    #[serde(serialize_with = "shown")]
    id: GroupId,
    name: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AccountView<'a> {
    id: &'a str,
    name: String,
    role: &'static str,
    disabled: bool,
    ready: bool,
    entries: i64,
    #[serde(serialize_with = "shown")]
    created_at: Time,
    #[serde(serialize_with = "shown_if_any")]
    last_login_at: Option<Time>,
    groups: Vec<GroupView<'a>>,
}

impl<'a> AccountView<'a> {
    fn of(account: &'a Account) -> AccountView<'a> {
        let groups = account.groups.iter().map(|(id, name)| GroupView { id: *id, name });
        AccountView {
            id: &account.user.uid,
            name: account.user.display_name(),
            role: account.user.standing().as_str(),
            disabled: account.user.disabled,
            ready: account.ready,
            entries: account.user.deuce_count,
            created_at: account.user.created_at,
            last_login_at: account.logged_in_at,
            groups: groups.collect(),
        }
    }
}

/// An account.
///
/// # Errors
/// `Internal` only, as everywhere in this file.
pub fn account(account: &Account) -> Result<String> {
    text(&AccountView::of(account))
}

/// All accounts.
///
/// # Errors
/// `Internal` only.
pub fn accounts(accounts: &[Account]) -> Result<String> {
    text(&accounts.iter().map(AccountView::of).collect::<Vec<_>>())
}

/// An account just prepared, with its link on the server's address `base` where it has one.
///
/// # Errors
/// `Internal` only.
pub fn prepared(prepared: &Prepared, base: &str) -> Result<String> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct View<'a> {
        person: AccountView<'a>,
        #[serde(flatten)]
        link: Option<LinkView>,
    }
    let link = prepared.link.as_ref().map(|link| LinkView::of(link, base));
    text(&View { person: AccountView::of(&prepared.account), link })
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct LinkView {
    reset_link: String,
    #[serde(serialize_with = "shown")]
    expires_at: Time,
}

impl LinkView {
    fn of(link: &Link, base: &str) -> LinkView {
        LinkView { reset_link: link.address(base), expires_at: link.expires_at }
    }
}

/// A link on the server's address `base`.
///
/// # Errors
/// `Internal` only.
pub fn link(link: &Link, base: &str) -> Result<String> {
    text(&LinkView::of(link, base))
}

/// One's own logins.
///
/// # Errors
/// `Internal` only.
pub fn sessions(sessions: &[Session]) -> Result<String> {
    #[derive(Serialize)]
    #[serde(rename_all = "camelCase")]
    struct View<'a> {
        id: i64,
        device: Option<&'a str>,
        address: Option<String>,
        #[serde(serialize_with = "shown")]
        created_at: Time,
        #[serde(serialize_with = "shown")]
        last_used_at: Time,
        current: bool,
    }
    let views = sessions.iter().map(|session| View {
        id: session.login.id.0,
        device: session.login.agent.as_deref(),
        address: session.address.map(|address| address.to_string()),
        created_at: session.login.made_at,
        last_used_at: session.used_at,
        current: session.current,
    });
    text(&views.collect::<Vec<_>>())
}
