//! How `deuced doctor` proves to the server that it can read the server's data.
//!
//! Whoever can read the data directory has everything already, so they may be told what a request looked like when it
//! arrived. The proof is signed with a key that follows from a secret in the database, says when it was made and is soon
//! over; the server keeps nothing for it. It opens nothing else.

use crate::api::App;
use crate::api::signature::{from_hex, hex};
use crate::domain::{Result, Time};
use crate::store::{Db, secret};
use hmac::{Hmac, Mac};
use sha2::Sha256;

/// For so long a proof is good, and as far may two clocks differ.
const GOOD_MILLIS: i64 = 5 * 60 * 1000;

/// A proof made now from the server's database; `None` where no server has used it yet.
///
/// # Errors
/// Those of the storage.
pub fn make(db: &Db) -> Result<Option<String>> {
    let secret = secret::find_device_key(db)?;
    Ok(secret.map(|secret| sign(&secret, Time::now().millis())))
}

fn sign(secret: &[u8], at_millis: i64) -> String {
    format!("{at_millis}.{}", hex(&mac(secret, at_millis).finalize().into_bytes()))
}

/// Whether a proof was made by somebody who can read the data, and just now. Takes as long for any wrong one.
pub fn is_good(app: &App, proof: &str) -> bool {
    fits(&app.device_key, proof, Time::now())
}

fn fits(secret: &[u8], proof: &str, now: Time) -> bool {
    let parts = proof.split_once('.').and_then(|(at, code)| Some((at.parse::<i64>().ok()?, from_hex(code)?)));
    let Some((at, code)) = parts else { return false };
    now.millis().abs_diff(at) <= GOOD_MILLIS as u64 && mac(secret, at).verify_slice(&code).is_ok()
}

fn mac(secret: &[u8], at_millis: i64) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key of any length will do");
    mac.update(format!("deuced-doctor-v1\n{at_millis}").as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proof_is_good_for_a_few_minutes_and_under_its_own_secret() {
        let now = Time::from_millis(1_790_000_000_000).unwrap();
        let proof = sign(b"secret", now.millis());
        assert!(fits(b"secret", &proof, now));
        assert!(
            fits(b"secret", &proof, now.plus_seconds(299)) && fits(b"secret", &proof, now.plus_seconds(-299))
        );
        assert!(!fits(b"secret", &proof, now.plus_seconds(301)));
        assert!(!fits(b"secret", &proof, now.plus_seconds(-301)));
        assert!(!fits(b"other", &proof, now));
        let (at, code) = proof.split_once('.').unwrap();
        for bad in
            ["", ".", at, code, &format!("{}.{code}", now.millis() + 1), &format!("{at}.{}", "0".repeat(64))]
        {
            assert!(!fits(b"secret", bad, now), "{bad}");
        }
    }
}
