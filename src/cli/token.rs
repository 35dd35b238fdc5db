//! `deuced token add`: a login for a program, also beside a running server.

use crate::api::token;
use crate::cli::{AddToken, change, prepare_data_directory, print};

/// Makes the login and prints its secret, this once.
pub(super) fn add(settings: &AddToken) -> Result<(), String> {
    let sentence = |error: crate::domain::Error| error.to_string();
    let data = prepare_data_directory(settings.data.clone())?;
    let (name, notify) = (settings.name.as_str(), settings.notify);
    let secret =
        change(&data, |tx| token::make_for_program(tx, &settings.limits, name, notify)).map_err(sentence)?;
    print(&format!("{}\n", secret.as_str()))
}
