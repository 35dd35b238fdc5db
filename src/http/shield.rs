//! The header fields that every answer has, whatever it says: what a browser may not do with it.
//!
//! They are ready-made lines, one block for each kind of content, so that they cost no more than copying them.
//! `Cross-Origin-Opener-Policy` comes over https only: browsers pass over it otherwise, and complain in the console.

/// What kind of content an answer has, and so what a browser may do with it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Shield {
    /// JSON, text, or nothing: nothing at all may come of it.
    #[default]
    Data,
    /// A page of our own, or what belongs to it.
    Page,
    /// The same over https.
    SecurePage,
    /// A page of the owner's own app. Such bundles set inline styles, the existing client's among them.
    App,
    /// The same over https.
    SecureApp,
    /// An answer to a handshake: its clients are no pages, and the contract has it without anything more.
    Handshake,
    /// An answer to a gadget that counts bytes, and is no browser: no field it can do without.
    Brief,
    /// A picture that was uploaded.
    Picture,
    /// The same where pages of other origins are as good as our own.
    SharedPicture,
}

macro_rules! shield {
    ($policy:literal, $resource:literal $(, $more:literal)*) => {
        concat!(
            "content-security-policy: ", $policy, "\r\n",
            "x-content-type-options: nosniff\r\n",
            "x-frame-options: DENY\r\n",
            "referrer-policy: same-origin\r\n",
            "cross-origin-resource-policy: ", $resource, "\r\n",
            $($more, "\r\n",)*
        )
    };
}

macro_rules! page {
    ($($more:literal),*) => {
        shield!(
            "default-src 'self'; img-src 'self' data: blob:; connect-src 'self'; form-action 'self'; \
             base-uri 'none'; object-src 'none'; frame-ancestors 'none'",
            "same-origin",
            "permissions-policy: camera=(), microphone=(), geolocation=(), payment=(), usb=()"
            $(, $more)*
        )
    };
}

macro_rules! app {
    ($($more:literal),*) => {
        shield!(
            "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; connect-src 'self'; \
             base-uri 'self'; object-src 'none'; frame-ancestors 'none'",
            "same-origin"
            $(, $more)*
        )
    };
}

impl Shield {
    /// The shield of a page: our own or of the owner's app, over https or not.
    pub fn of_page(own: bool, https: bool) -> Shield {
        match (own, https) {
            (true, false) => Shield::Page,
            (true, true) => Shield::SecurePage,
            (false, false) => Shield::App,
            (false, true) => Shield::SecureApp,
        }
    }

    /// The lines, each with its end.
    pub(super) fn lines(self) -> &'static str {
        match self {
            Shield::Data => shield!("default-src 'none'; frame-ancestors 'none'", "same-origin"),
            Shield::Page => page!(),
            Shield::SecurePage => page!("cross-origin-opener-policy: same-origin"),
            Shield::App => app!(),
            Shield::SecureApp => app!("cross-origin-opener-policy: same-origin"),
            Shield::Handshake | Shield::Brief => "",
            Shield::Picture => {
                shield!("default-src 'none'; frame-ancestors 'none'; sandbox", "same-origin")
            }
            Shield::SharedPicture => {
                shield!("default-src 'none'; frame-ancestors 'none'; sandbox", "cross-origin")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shield_is_whole_lines() {
        let all = [
            Shield::Data,
            Shield::Page,
            Shield::SecurePage,
            Shield::App,
            Shield::SecureApp,
            Shield::Picture,
            Shield::SharedPicture,
        ];
        for shield in all {
            let lines = shield.lines();
            assert!(lines.ends_with("\r\n") && lines.is_ascii(), "{lines}");
            for line in lines.trim_end().split("\r\n") {
                let (name, value) = line.split_once(": ").expect("a field");
                assert!(name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{line}");
                assert!(
                    !value.is_empty() && !value.contains("  ") && !value.contains(['\r', '\n']),
                    "{line}"
                );
            }
            let inline = lines.contains("unsafe");
            assert_eq!(inline, matches!(shield, Shield::App | Shield::SecureApp), "{lines}");
        }
    }
}
