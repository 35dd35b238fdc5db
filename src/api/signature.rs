//! Signed requests: how a gadget without TLS proves that a request is its own without sending a secret.
//!
//! Pure text and HMAC-SHA-256. What a counter is worth is decided in `api/device.rs`, how the header looks in
//! `http/auth.rs`. `docs/devices.md` is the same for people who write clients; its example is checked here.

use crate::domain::TokenId;
use crate::domain::token::base64url;
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

/// A signing key: 43 characters, whose bytes are the key as they stand.
#[derive(Clone, PartialEq, Eq)]
pub struct Key(String);

impl Key {
    /// The key of a device. It follows from the server's secret and from the device's own, so that it is stored
    /// nowhere, and a device that got its number after a backup was restored has another.
    pub fn of(secret: &[u8], device: TokenId, hash: &[u8; 32]) -> Key {
        let mut mac = Hmac::<Sha256>::new_from_slice(secret).expect("a key of any length will do");
        mac.update(b"deuced device key v1\n");
        mac.update(&device.0.to_be_bytes());
        mac.update(hash);
        Key(base64url(&mac.finalize().into_bytes()))
    }

    /// The text that is told once.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn mac(&self, text: &str) -> Hmac<Sha256> {
        let mut mac = Hmac::<Sha256>::new_from_slice(self.0.as_bytes()).expect("a key of any length will do");
        mac.update(text.as_bytes());
        mac
    }

    /// Whether a signature is this key's under a text. Takes as long when it is not.
    pub fn verify(&self, text: &str, signature: &[u8; 32]) -> bool {
        self.mac(text).verify_slice(signature).is_ok()
    }

    /// The signature of a text, in hexadecimal digits.
    pub fn sign(&self, text: &str) -> String {
        hex(&self.mac(text).finalize().into_bytes())
    }
}

/// Never the key itself: it would end up in a log one day.
impl std::fmt::Debug for Key {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Key(…)")
    }
}

/// The text that a request's signature is made of. `target` is the path with its query as it stands in the request
/// line. No part but the last can hold a line feed, and the last has a fixed length, so no two requests share a text.
pub fn request_text(method: &str, target: &str, counter: i64, body: &[u8]) -> String {
    format!("deuced-request-v1\n{method}\n{target}\n{counter}\n{}", hex(&Sha256::digest(body)))
}

/// The text that proves a counter to the gadget: whoever sits in between could else tell it to go on from the last
/// counter there is. It names the request's signature, so that it cannot be used again.
pub fn counter_text(signature: &[u8; 32], counter: i64) -> String {
    format!("deuced-counter-v1\n{}\n{counter}", hex(signature))
}

/// Bytes as lower-case hexadecimal digits.
pub fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from(DIGITS[usize::from(digit)])).collect()
}

/// The bytes of 64 hexadecimal digits in either case; `None` for any other text.
pub fn from_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    if text.len() != 64 {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
        let digit = |letter: u8| char::from(letter).to_digit(16);
        *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The value in the page's example behind a word.
    fn example<'a>(page: &'a str, word: &str) -> &'a str {
        let lines = page.split("<!-- vector -->").nth(1).expect("the page has a test vector");
        let line = lines.lines().find_map(|line| line.strip_prefix(word));
        line.unwrap_or_else(|| panic!("{word} is not in the test vector")).trim()
    }

    #[test]
    fn the_example_of_the_page() {
        let page = include_str!("../../docs/devices.md");
        let key = Key(example(page, "key:").to_owned());
        let counter = example(page, "counter:").parse().unwrap();
        let body = example(page, "body:");
        assert_eq!(hex(&Sha256::digest(body)), example(page, "SHA-256 of the body:"));
        let text = request_text(example(page, "method:"), example(page, "target:"), counter, body.as_bytes());
        let signature = example(page, "signature:");
        assert_eq!(key.sign(&text), signature);
        let signature = from_hex(signature).unwrap();
        assert!(key.verify(&text, &signature));
        let told = example(page, "counter told:").parse().unwrap();
        assert_eq!(key.sign(&counter_text(&signature, told)), example(page, "proof:"));
    }

    #[test]
    fn a_key_is_one_devices_alone() {
        let key = Key::of(b"secret", TokenId(1), &[7; 32]);
        assert_eq!(key.as_str().len(), 43);
        assert_eq!(key, Key::of(b"secret", TokenId(1), &[7; 32]));
        assert_ne!(key, Key::of(b"other", TokenId(1), &[7; 32]));
        assert_ne!(key, Key::of(b"secret", TokenId(2), &[7; 32]));
        assert_ne!(key, Key::of(b"secret", TokenId(1), &[8; 32]));
        assert_eq!(format!("{key:?}"), "Key(…)");
    }

    #[test]
    fn hexadecimal_digits() {
        let bytes: [u8; 32] = std::array::from_fn(|index| (index * 37) as u8);
        assert_eq!(from_hex(&hex(&bytes)), Some(bytes));
        assert_eq!(from_hex(&hex(&bytes).to_uppercase()), Some(bytes));
        for bad in ["", &"0".repeat(63), &"0".repeat(65), &"g".repeat(64), &"+1".repeat(32), &"ä".repeat(32)]
        {
            assert_eq!(from_hex(bad), None, "{bad}");
        }
    }

    /// A request as far as it is signed: the request line's parts have no blanks or line feeds.
    fn requests() -> impl proptest::strategy::Strategy<Value = (String, String, i64, Vec<u8>)> {
        ("[A-Z]{1,7}", "/[!-~]{0,12}", 1..=1_000_000_i64, proptest::collection::vec(0u8..4, 0..4))
    }

    proptest::proptest! {
        #![proptest_config(crate::test::dice())]

        #[test]
        fn no_two_requests_have_the_same_text(one in requests(), other in requests()) {
            let text = |(method, target, counter, body): &(String, String, i64, Vec<u8>)| {
                request_text(method, target, *counter, body)
            };
            assert_eq!(text(&one) == text(&other), one == other, "{one:?} {other:?}");
            // The parts can be read back, which proves it for all that the dice did not show.
            let whole = text(&one);
            let parts: Vec<&str> = whole.split('\n').collect();
            let digest = hex(&Sha256::digest(&one.3));
            assert_eq!(parts, ["deuced-request-v1", &one.0, &one.1, &one.2.to_string(), &digest]);
        }

        #[test]
        fn a_signature_is_good_for_nothing_else(one in requests(), at in 0usize..64, digit in 0u8..16) {
            let key = Key::of(b"secret", TokenId(1), &[7; 32]);
            let (method, target, counter, body) = one;
            let text = request_text(&method, &target, counter, &body);
            let right = key.sign(&text);
            assert!(key.verify(&text, &from_hex(&right).unwrap()));
            let mut changed = right.clone().into_bytes();
            changed[at] = b"0123456789abcdef"[usize::from(digit)];
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(key.verify(&text, &from_hex(&changed).unwrap()), changed == right);
            assert!(!key.verify(&request_text(&method, &target, counter + 1, &body), &from_hex(&right).unwrap()));
            assert!(!Key::of(b"secret", TokenId(2), &[7; 32]).verify(&text, &from_hex(&right).unwrap()));
        }
    }
}
