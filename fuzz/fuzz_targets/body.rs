//! JSON bodies and forms: only what `serde_json` reads, too, with the same names and values; and every way in which
//! a verb takes a field.

#![no_main]

use deuced::http::body::{Fields, Value, fields};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    json(data);
    form(data);
});

fn fields_of(content_type: &str, body: &[u8]) -> Option<Fields> {
    let mut bytes = format!(
        "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: {content_type}\r\nContent-Length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    bytes.extend_from_slice(body);
    let request = deuced_fuzz::request(&bytes)?;
    assert_eq!(request.body, body);
    match fields(&request) {
        Ok(fields) => Some(fields),
        Err(error) => {
            assert!(error.status == 400 && error.message.len() < 512, "{error:?}");
            None
        }
    }
}

fn json(body: &[u8]) {
    let other = serde_json::from_slice::<serde_json::Value>(body).ok();
    let Some(fields) = fields_of("application/json", body) else { return };
    take_all(&fields);
    if body.is_empty() {
        return;
    }
    let Some(serde_json::Value::Object(other)) = other else { panic!("only we take this for an object") };
    assert_eq!(other.len(), fields.pairs().len(), "no name twice");
    for (name, value) in fields.pairs() {
        let ours: serde_json::Value = serde_json::from_str(&value.to_json()).expect("a value is JSON");
        assert!(is_same(&ours, &other[name]), "{name}: {ours} is {}", other[name]);
    }
}

/// Whether two values are the same, but for how large numbers are kept.
fn is_same(ours: &serde_json::Value, other: &serde_json::Value) -> bool {
    use serde_json::Value::{Array, Number, Object};
    match (ours, other) {
        (Number(ours), Number(other)) => ours == other || ours.as_f64() == other.as_f64(),
        (Array(ours), Array(other)) => {
            ours.len() == other.len() && ours.iter().zip(other).all(|(ours, other)| is_same(ours, other))
        }
        (Object(ours), Object(other)) => {
            ours.len() == other.len()
                && ours.iter().all(|(name, value)| other.get(name).is_some_and(|other| is_same(value, other)))
        }
        _ => ours == other,
    }
}

fn form(body: &[u8]) {
    let Some(fields) = fields_of("application/x-www-form-urlencoded", body) else { return };
    assert!(fields.pairs().iter().all(|(_, value)| matches!(value, Value::Text(_) | Value::List(_))));
    take_all(&fields);
}

fn take_all(fields: &Fields) {
    for (name, _) in fields.pairs() {
        let _ = fields.clone().take_text(name);
        let _ = fields.clone().take_integer(name);
        let _ = fields.clone().take_flag(name);
        let _ = fields.clone().take_texts(name);
        assert!(fields.has(name));
    }
}
