//! Tokens that say whose login they are: JWTs signed with HMAC-SHA-256 (RFC 7515, RFC 7519).
//!
//! Only the one algorithm is known, whatever a token's header says it wants. What the claims allow is not
//! decided here: a login's row is.

use crate::domain::token::{base64url, from_base64url};
use crate::domain::{Error, Result, Time, TokenId, UserId};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

/// What a token says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claims {
    /// The person.
    pub user: UserId,
    /// The person's wire id.
    pub uid: String,
    /// The login.
    pub token: TokenId,
    /// Tells the login from another that got its number after a backup was restored.
    pub proof: Proof,
    /// When it was signed.
    pub issued_at: Time,
    /// When it is good no longer.
    pub expires_at: Time,
}

/// The first bytes of the login's hash.
pub type Proof = [u8; 8];

/// The claims that the two families of clients look for, under their names for them.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    #[serde(rename = "type")]
    kind: String,
    user_id: i64,
    sub: String,
    jti: String,
    iat: i64,
    iat_ms: i64,
    exp: i64,
}

const KIND: &str = "auth";
const HEADER: &str = r#"{"alg":"HS256"}"#;

#[derive(Deserialize)]
struct Header {
    alg: String,
}

/// The longest token that is looked at.
const MOST_BYTES: usize = 4096;

/// Signs claims.
///
/// # Errors
/// None that is known: the claims can be written as JSON.
pub fn write(claims: &Claims, key: &[u8]) -> Result<String> {
    let wire = Wire {
        kind: KIND.to_owned(),
        user_id: claims.user.0,
        sub: claims.uid.clone(),
        jti: format!("{}.{}", claims.token.0, base64url(&claims.proof)),
        iat: claims.issued_at.millis().div_euclid(1000),
        iat_ms: claims.issued_at.millis(),
        exp: claims.expires_at.millis().div_euclid(1000),
    };
    let body = serde_json::to_vec(&wire).map_err(Error::internal)?;
    let text = format!("{}.{}", base64url(HEADER.as_bytes()), base64url(&body));
    let signature = mac(&text, key).finalize().into_bytes();
    Ok(format!("{text}.{}", base64url(&signature)))
}

/// The claims of a token that was signed with this key; `None` for everything else.
pub fn read(text: &str, key: &[u8]) -> Option<Claims> {
    if text.len() > MOST_BYTES {
        return None;
    }
    let (signed, signature) = text.rsplit_once('.')?;
    let (header, body) = signed.split_once('.')?;
    mac(signed, key).verify_slice(&from_base64url(signature)?).ok()?;
    let header: Header = serde_json::from_slice(&from_base64url(header)?).ok()?;
    let wire: Wire = serde_json::from_slice(&from_base64url(body)?).ok()?;
    let known = header.alg == "HS256" && wire.kind == KIND && wire.user_id != 0;
    let time = |seconds: i64| Time::from_millis(seconds.checked_mul(1000)?);
    known.then_some(())?;
    let (token, proof) = wire.jti.split_once('.')?;
    Some(Claims {
        user: UserId(wire.user_id),
        uid: wire.sub,
        token: TokenId(token.parse().ok()?),
        proof: from_base64url(proof)?.try_into().ok()?,
        issued_at: Time::from_millis(wire.iat_ms)?,
        expires_at: time(wire.exp)?,
    })
}

fn mac(text: &str, key: &[u8]) -> Hmac<Sha256> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("a key of any length will do");
    mac.update(text.as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims() -> Claims {
        let now = Time::from_millis(1_795_187_924_544).unwrap();
        Claims {
            user: UserId(7),
            uid: "dev-ann".to_owned(),
            token: TokenId(12),
            proof: *b"12345678",
            issued_at: now,
            expires_at: Time::from_millis(1_795_187_925_000).unwrap(),
        }
    }

    #[test]
    fn the_signature_of_the_rfc() {
        // RFC 7515 appendix A.1.
        let key = from_base64url(
            "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow",
        );
        let signed = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
        let signature = mac(signed, &key.unwrap()).finalize().into_bytes();
        assert_eq!(base64url(&signature), "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk");
    }

    #[test]
    fn what_was_signed_is_read_back() {
        let text = write(&claims(), b"key").unwrap();
        assert_eq!(read(&text, b"key"), Some(claims()));
        assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte)));
    }

    #[test]
    fn nothing_else_is_believed() {
        let text = write(&claims(), b"key").unwrap();
        assert_eq!(read(&text, b"other"), None);
        let parts: Vec<&str> = text.split('.').collect();
        let none = base64url(br#"{"alg":"none"}"#);
        let (header, body, signature) = (parts[0], parts[1], parts[2]);
        for forged in [
            String::new(),
            "..".to_owned(),
            "a.b.c".to_owned(),
            format!("{none}.{body}."),
            format!("{none}.{body}.{signature}"),
            format!("{header}.{body}"),
            format!("{header}.{body}.{}", &signature[1..]),
            format!("{header}.{}.{signature}", base64url(b"{}")),
            format!("{text}."),
            format!("{text}x"),
        ] {
            assert_eq!(read(&forged, b"key"), None, "{forged}");
        }
        let signed = |header: &str, body: &str| {
            let text = format!("{}.{}", base64url(header.as_bytes()), base64url(body.as_bytes()));
            format!("{text}.{}", base64url(&mac(&text, b"key").finalize().into_bytes()))
        };
        let body =
            r#"{"type":"auth","userId":7,"sub":"x","jti":"1.MTIzNDU2Nzg","iat":1,"iatMs":1000,"exp":2}"#;
        assert!(read(&signed(HEADER, body), b"key").is_some());
        assert_eq!(read(&signed(r#"{"alg":"HS384"}"#, body), b"key"), None);
        for (from, to) in [
            ("auth", "other"),
            ("7", "0"),
            ("7", "\"7\""),
            ("1.MT", "x.MT"),
            ("Nzg", "Nz"),
            ("1.M", "1M"),
            (",\"exp\":2", ""),
        ] {
            assert_eq!(read(&signed(HEADER, &body.replacen(from, to, 1)), b"key"), None, "{from} -> {to}");
        }
    }

    proptest::proptest! {
        #![proptest_config(crate::test::dice())]

        #[test]
        fn any_other_text_is_nobodys(text in "\\PC{0,80}", at in 0usize..200, byte in 33u8..127) {
            assert_eq!(read(&text, b"key"), None);
            let mut bytes = write(&claims(), b"key").unwrap().into_bytes();
            let at = at % bytes.len();
            let changed = std::mem::replace(&mut bytes[at], byte) != byte;
            // The last digit of a signature has two bits that mean nothing.
            if changed && at + 1 < bytes.len() {
                assert_eq!(read(std::str::from_utf8(&bytes).unwrap(), b"key"), None);
            }
        }
    }
}
