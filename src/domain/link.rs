//! A link that lets one person choose a password, once.

use crate::domain::{Secret, Time};

/// A link just made. Its secret is told this once.
#[derive(Clone, Debug)]
pub struct Link {
    /// What stands behind the `#` of the address.
    pub secret: Secret,
    /// When it ends unless it is used before.
    pub expires_at: Time,
}

impl Link {
    /// The whole address, on a server that is reached at `base`. The secret stands in the fragment, which browsers
    /// keep to themselves: it is in no request line, no `Referer` and no proxy's log.
    pub fn address(&self, base: &str) -> String {
        format!("{base}/reset#{}", self.secret.as_str())
    }
}
