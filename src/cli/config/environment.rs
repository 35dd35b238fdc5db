//! The settings that the environment holds, and the secrets that it points to.

use super::table::{Kind, SETTINGS, Setting, setting};
use super::{Said, Source};
use std::{fs, path::Path};

/// Where environment variables come from.
pub type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Two limits that have names of their own in the environment of notification servers.
pub const FOREIGN_LIMITS: [(&str, &str); 2] = [
    ("SOCKET_MAX_TOTAL_CONNECTIONS", "registered_sockets"),
    ("SOCKET_MAX_CONNECTIONS_PER_USER", "registered_sockets_per_user"),
];

/// What the environment says of the settings that are wanted. A variable that is empty says nothing.
///
/// # Errors
/// When a secret cannot be read, or is in two places.
pub fn read(environment: Environment<'_>, wanted: &dyn Fn(&Setting) -> bool) -> Result<Vec<Said>, String> {
    let get = |name: &str| environment(name).filter(|value| !value.is_empty());
    let mut all = Vec::new();
    let limit = setting("limit").expect("limits are in the table");
    for (name, known_as) in FOREIGN_LIMITS {
        if let Some(value) = get(name) {
            let texts = vec![format!("{known_as}={value}")];
            all.push(Said { setting: limit, texts, source: Source::Environment(name.to_owned()) });
        }
    }
    for setting in SETTINGS.iter().filter(|setting| wanted(setting)) {
        let variable = setting.variable();
        if let Some(text) = get(&variable) {
            let texts: Vec<String> = setting.parts(&text).into_iter().map(str::to_owned).collect();
            if !texts.is_empty() {
                all.push(Said { setting, texts, source: Source::Environment(variable.clone()) });
            }
        }
        if setting.kind == Kind::Secret {
            all.extend(secret(setting, &variable, &get)?);
        }
    }
    Ok(all)
}

/// The secret in a file that a variable names, else in systemd's folder of credentials (systemd.exec(5)).
fn secret(
    setting: &'static Setting,
    variable: &str,
    get: &dyn Fn(&str) -> Option<String>,
) -> Result<Option<Said>, String> {
    let by_file = format!("{variable}_FILE");
    let said = |text: String, from: String| {
        Some(Said { setting, texts: vec![text.trim().to_owned()], source: Source::Environment(from) })
    };
    match (get(variable), get(&by_file)) {
        (Some(_), Some(_)) => Err(format!("{variable} and {by_file}: say one of them")),
        (Some(_), None) => Ok(None),
        (None, Some(path)) => match fs::read_to_string(&path) {
            Ok(text) => Ok(said(text, by_file)),
            Err(error) => Err(format!("{by_file}: {path}: {error}")),
        },
        (None, None) => {
            let Some(folder) = get("CREDENTIALS_DIRECTORY") else { return Ok(None) };
            let name = format!("deuced.{}", setting.key);
            match fs::read_to_string(Path::new(&folder).join(&name)) {
                Ok(text) => Ok(said(text, format!("credential {name}"))),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(format!("credential {name}: {error}")),
            }
        }
    }
}
