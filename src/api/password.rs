//! Passwords: argon2id (RFC 9106), made so that a board with 512 MB can do it.
//!
//! These functions take tens of milliseconds and belong on a worker, one at a time.

use crate::domain::{Error, Limits, Result, id};
use argon2::{
    Algorithm, Argon2, Params, Version,
    password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString},
};

/// 12 MiB, three passes, one lane. A stored hash carries its own parameters, so these can change.
fn hasher() -> Argon2<'static> {
    let params = Params::new(12 * 1024, 3, 1, None).expect("the parameters are within argon2's bounds");
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
}

/// The text to store for a password.
///
/// # Errors
/// `Internal` only.
pub fn hash(password: &str) -> Result<String> {
    let salt = SaltString::encode_b64(&id::random::<16>()).map_err(Error::internal)?;
    Ok(hasher().hash_password(password.as_bytes(), &salt).map_err(Error::internal)?.to_string())
}

/// Whether a password fits what is stored. Where nothing is stored it takes as long to say no.
pub fn verify(password: &str, stored: Option<&str>) -> bool {
    match stored.and_then(|text| PasswordHash::new(text).ok()) {
        Some(parsed) => hasher().verify_password(password.as_bytes(), &parsed).is_ok(),
        None => {
            let mut unused = [0; 32];
            let _ = hasher().hash_password_into(password.as_bytes(), b"nobody's salt...", &mut unused);
            false
        }
    }
}

/// Checks a new password's length. How good it is, is its owner's business.
///
/// # Errors
/// `Invalid`, naming the field.
pub fn check_new(password: &str, limits: &Limits) -> Result<()> {
    if password.len() as u64 > limits.password_bytes {
        return Err(Error::invalid(format!("password: at most {} bytes", limits.password_bytes)));
    }
    match password.chars().count() {
        0..8 => Err(Error::invalid("password: at least 8 characters")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_right_password_fits_and_no_other() {
        let stored = hash("correct horse").unwrap();
        assert!(stored.starts_with("$argon2id$v=19$m=12288,t=3,p=1$"), "{stored}");
        assert!(verify("correct horse", Some(&stored)));
        assert!(!verify("correct horsE", Some(&stored)));
        assert!(!verify("correct horse", None));
        assert!(!verify("correct horse", Some("not a hash")));
        assert_ne!(stored, hash("correct horse").unwrap(), "every hash has its own salt");
    }
}
