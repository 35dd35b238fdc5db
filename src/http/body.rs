//! What a request's body says, as named values: a JSON object, read strictly, or a form.
//!
//! Not here: which fields a verb takes and what they may hold (`api`), and uploads (`multipart`). The types of the JSON
//! library do not leave this file.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::message::{FormError, Request, form_pairs};

/// How deep lists and objects may be nested, the outermost object being the first level.
const DEPTH: usize = 32;
/// The most pairs in a form.
const FORM_PAIRS: usize = 1_000;
/// A longer name is not repeated in an error message.
const SHOWN_NAME_CHARACTERS: usize = 64;

/// A value in a body.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text; everything in a form is one.
    Text(String),
    /// A list.
    List(Vec<Value>),
    /// An object; its names are different from each other and in the order they came.
    Object(Vec<(String, Value)>),
}

impl Value {
    /// The JSON text of the value.
    pub fn to_json(&self) -> String {
        match self {
            Value::Null => "null".to_owned(),
            Value::Bool(flag) => flag.to_string(),
            Value::Number(Number::Integer(number)) => number.to_string(),
            Value::Number(Number::Float(number)) => serde_json::Value::from(*number).to_string(),
            Value::Text(text) => serde_json::Value::from(text.as_str()).to_string(),
            Value::List(values) => {
                let values: Vec<String> = values.iter().map(Value::to_json).collect();
                format!("[{}]", values.join(","))
            }
            Value::Object(pairs) => {
                let pair = |(name, value): &(String, Value)| {
                    format!("{}:{}", serde_json::Value::from(name.as_str()), value.to_json())
                };
                let pairs: Vec<String> = pairs.iter().map(pair).collect();
                format!("{{{}}}", pairs.join(","))
            }
        }
    }
}

/// A number, exact while it is an integer of 64 bits; larger ones become floating like `1.0`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// Written without fraction and exponent.
    Integer(i64),
    /// Anything else; always finite.
    Float(f64),
}

impl Number {
    /// The whole number this is. JSON has one kind of number, so `2.0` is one, too, as far as a float is exact.
    pub fn whole(self) -> Option<i64> {
        const EXACT: f64 = 9_007_199_254_740_991.0;
        match self {
            Number::Integer(number) => Some(number),
            Number::Float(number) if number.fract() == 0.0 && number.abs() <= EXACT => Some(number as i64),
            Number::Float(_) => None,
        }
    }
}

/// The fields of a body.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Fields {
    pairs: Vec<(String, Value)>,
    /// Forms only know texts, so numbers and flags are read out of them.
    from_form: bool,
}

/// Why a body cannot be read: a client's mistake, told in a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BodyError {
    /// The status of the answer.
    pub status: u16,
    /// What is wrong, beginning with the field.
    pub message: String,
}

impl BodyError {
    fn new(message: impl Into<String>) -> Self {
        Self { status: 400, message: message.into() }
    }
}

/// Reads a body by its content type. Without content, or with a type that is neither JSON nor a form, there are no
/// fields.
///
/// # Errors
/// 400 for what is not strictly one JSON object, or not a form.
pub fn fields(request: &Request) -> Result<Fields, BodyError> {
    let content_type = request.headers.get("content-type").unwrap_or_default();
    let essence = content_type.split(';').next().unwrap_or_default().trim();
    if request.body.is_empty() {
        Ok(Fields::default())
    } else if essence.eq_ignore_ascii_case("application/json") {
        json(&request.body)
    } else if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
        form(&request.body)
    } else {
        Ok(Fields::default())
    }
}

impl Fields {
    /// The value of a field.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let pair = self.pairs.iter().find(|(key, _)| key == name)?;
        Some(&pair.1)
    }

    /// Whether the field is there, if only as `null`: a change that sets it to nothing.
    pub fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The value of a field, taken out; nothing when it is missing or `null`.
    pub fn take(&mut self, name: &str) -> Option<Value> {
        let place = self.pairs.iter().position(|(key, _)| key == name)?;
        Some(self.pairs.swap_remove(place).1).filter(|value| *value != Value::Null)
    }

    /// The text of a field, taken out; nothing when it is missing or `null`.
    ///
    /// # Errors
    /// 400 when it is something else.
    pub fn take_text(&mut self, name: &str) -> Result<Option<String>, BodyError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text)),
            Some(_) => Err(BodyError::new(format!("{name}: must be a text"))),
        }
    }

    /// The whole number in a field, taken out; nothing when it is missing or `null`, or an empty field of a form.
    ///
    /// # Errors
    /// 400 when it is something else.
    pub fn take_integer(&mut self, name: &str) -> Result<Option<i64>, BodyError> {
        let number = match self.take(name) {
            None => return Ok(None),
            Some(Value::Number(number)) => number.whole(),
            Some(Value::Text(text)) if self.from_form && text.is_empty() => return Ok(None),
            Some(Value::Text(text)) if self.from_form => text.parse().ok(),
            Some(_) => None,
        };
        match number {
            Some(number) => Ok(Some(number)),
            None => Err(BodyError::new(format!("{name}: must be a whole number"))),
        }
    }

    /// The flag in a field, taken out; nothing when it is missing or `null`. In a form, `true`, `on` and `1` are true.
    ///
    /// # Errors
    /// 400 when it is something else.
    pub fn take_flag(&mut self, name: &str) -> Result<Option<bool>, BodyError> {
        match self.take(name) {
            None => Ok(None),
            Some(Value::Bool(flag)) => Ok(Some(flag)),
            Some(Value::Text(text)) if self.from_form && ["true", "on", "1"].contains(&text.as_str()) => {
                Ok(Some(true))
            }
            Some(Value::Text(text)) if self.from_form && ["false", "off", "0"].contains(&text.as_str()) => {
                Ok(Some(false))
            }
            Some(_) => Err(BodyError::new(format!("{name}: must be true or false"))),
        }
    }

    /// The texts in a field, taken out; nothing when it is missing or `null`. In a form, one text is a list of one.
    ///
    /// # Errors
    /// 400 when it is something else.
    pub fn take_texts(&mut self, name: &str) -> Result<Option<Vec<String>>, BodyError> {
        let values = match self.take(name) {
            None => return Ok(None),
            Some(Value::List(values)) => values,
            Some(Value::Text(text)) if self.from_form => vec![Value::Text(text)],
            Some(_) => return Err(BodyError::new(format!("{name}: must be a list of texts"))),
        };
        let texts = values.into_iter().map(|value| match value {
            Value::Text(text) => Ok(text),
            _ => Err(BodyError::new(format!("{name}: must be a list of texts"))),
        });
        texts.collect::<Result<_, _>>().map(Some)
    }

    /// All fields that were not taken out, in no particular order.
    pub fn pairs(&self) -> &[(String, Value)] {
        &self.pairs
    }
}

/// Reads a form. A repeated name becomes a list; a name that ends with `[]` always is one, without the brackets.
fn form(body: &[u8]) -> Result<Fields, BodyError> {
    let pairs = form_pairs(body, FORM_PAIRS).map_err(|error| match error {
        FormError::Escape => BodyError::new("body: not valid percent-encoded UTF-8"),
        FormError::TooMany => BodyError::new(format!("body: at most {FORM_PAIRS} fields")),
    })?;
    let mut fields = Fields { pairs: Vec::new(), from_form: true };
    for (name, text) in pairs {
        let (name, always_list) = match name.strip_suffix("[]") {
            Some(stem) => (stem.to_owned(), true),
            None => (name, false),
        };
        let text = Value::Text(text);
        let seen = fields.pairs.iter_mut().find(|(key, _)| *key == name);
        match seen {
            None if always_list => fields.pairs.push((name, Value::List(vec![text]))),
            None => fields.pairs.push((name, text)),
            Some((_, Value::List(texts))) => texts.push(text),
            Some((_, first)) => {
                let texts = vec![std::mem::replace(first, Value::Null), text];
                *first = Value::List(texts);
            }
        }
    }
    Ok(fields)
}

/// Reads a JSON object, strictly: nothing after it, no name twice, no lone surrogates, not too deep (RFC 8259, R-A11).
fn json(body: &[u8]) -> Result<Fields, BodyError> {
    let problem = Cell::new(None);
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let strict = Strict { depth: 0, problem: &problem };
    let value = strict.deserialize(&mut deserializer).and_then(|value| deserializer.end().map(|()| value));
    match value {
        Ok(Value::Object(pairs)) => Ok(Fields { pairs, from_form: false }),
        Ok(_) => Err(BodyError::new("body: must be a JSON object")),
        Err(error) => Err(BodyError::new(match problem.take() {
            Some(Problem::TooDeep) => format!("body: nested deeper than {DEPTH} levels"),
            Some(Problem::Repeated(Some(name))) => format!("body: the field {name:?} is there twice"),
            Some(Problem::Repeated(None)) => "body: a field is there twice".to_owned(),
            None => format!("body: not valid JSON at line {} column {}", error.line(), error.column()),
        })),
    }
}

/// What is valid JSON and yet refused.
#[derive(Debug)]
enum Problem {
    TooDeep,
    Repeated(Option<String>),
}

/// Reads one value at some depth. The problem is put aside because the library's errors cannot carry it.
#[derive(Clone, Copy)]
struct Strict<'a> {
    depth: usize,
    problem: &'a Cell<Option<Problem>>,
}

impl Strict<'_> {
    fn deeper<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == DEPTH {
            return Err(self.refuse(Problem::TooDeep));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }

    fn refuse<E: serde::de::Error>(self, problem: Problem) -> E {
        self.problem.set(Some(problem));
        E::custom("refused")
    }
}

impl<'de> DeserializeSeed<'de> for Strict<'_> {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict<'_> {
    type Value = Value;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Value, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Number(Number::Integer(number)))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::Number(match i64::try_from(number) {
            Ok(number) => Number::Integer(number),
            Err(_) => Number::Float(number as f64),
        }))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(Value::Number(Number::Float(number)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut values = Vec::new();
        while let Some(value) = sequence.next_element_seed(inner)? {
            values.push(value);
        }
        Ok(Value::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.deeper()?;
        let mut pairs: Vec<(String, Value)> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            pairs.push((name, map.next_value_seed(inner)?));
        }
        match repeated(&pairs) {
            None => Ok(Value::Object(pairs)),
            Some(name) => {
                let shown =
                    Some(name.to_owned()).filter(|name| name.chars().count() <= SHOWN_NAME_CHARACTERS);
                Err(self.refuse(Problem::Repeated(shown)))
            }
        }
    }
}

/// A name that is there twice. Sorted, because comparing each with each would take a large object seconds.
fn repeated(pairs: &[(String, Value)]) -> Option<&str> {
    let mut names: Vec<&str> = pairs.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::codec;
    use crate::http::guard::{Guard, GuardLimits};

    fn request(content_type: &str, body: &str) -> Request {
        let mut guard = Guard::new(GuardLimits::default());
        let length = body.len();
        let head = format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Type: {content_type}\r\nContent-Length: {length}\r\n\r\n"
        );
        guard.feed(head.as_bytes());
        guard.feed(body.as_bytes());
        let head = guard.head().expect("a head").expect("complete");
        codec::decode(head, guard.body(1 << 20).expect("a body").expect("complete")).expect("a request")
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    fn refused(body: &str) -> String {
        let error = json(body.as_bytes()).expect_err(body);
        assert_eq!(error.status, 400);
        error.message
    }

    #[test]
    fn the_content_type_decides() {
        for json in ["application/json", "Application/JSON ; charset=utf-8", "application/json;charset=\"x\""]
        {
            assert_eq!(fields(&request(json, "{\"a\":\"b\"}")).expect(json).get("a"), Some(&text("b")));
        }
        let form = "application/x-www-form-urlencoded; charset=UTF-8";
        assert_eq!(fields(&request(form, "a=b")).expect("a form").get("a"), Some(&text("b")));
        for other in ["text/plain", "", "application/jsonx", "multipart/form-data; boundary=x"] {
            assert_eq!(fields(&request(other, "{\"a\":1}")), Ok(Fields::default()), "{other}");
        }
        assert_eq!(fields(&request("application/json", "")), Ok(Fields::default()));
        assert!(fields(&request("application/json", " ")).is_err());
    }

    #[test]
    fn json_values_are_exact() {
        let body = r#"{"n":null,"t":true,"i":9007199254740993,"m":-9223372036854775808,"u":18446744073709551615,
            "f":1.5,"e":1e2,"s":"\ud83d\ude00\u00e9\n","l":[1,"x",[]],"o":{"b":{},"a":2}}"#;
        let fields = json(body.as_bytes()).expect("valid JSON");
        let integer = |number| Value::Number(Number::Integer(number));
        let float = |number| Value::Number(Number::Float(number));
        for (name, value) in [
            ("n", Value::Null),
            ("t", Value::Bool(true)),
            ("i", integer(9_007_199_254_740_993)),
            ("m", integer(i64::MIN)),
            ("u", float(18_446_744_073_709_551_615.0)),
            ("f", float(1.5)),
            ("e", float(100.0)),
            ("s", text("😀é\n")),
            ("l", Value::List(vec![integer(1), text("x"), Value::List(vec![])])),
            ("o", Value::Object(vec![("b".to_owned(), Value::Object(vec![])), ("a".to_owned(), integer(2))])),
        ] {
            assert_eq!(fields.get(name), Some(&value), "{name}");
        }
    }

    #[test]
    fn what_is_not_one_json_object_is_refused_in_a_sentence() {
        for other in ["[]", "1", "\"a\"", "null", "true", "[{\"a\":1}]"] {
            assert_eq!(refused(other), "body: must be a JSON object");
        }
        assert_eq!(refused("{\"a\"}"), "body: not valid JSON at line 1 column 5");
        for broken in [
            " ",
            "{",
            "{\"a\":1",
            "{\"a\":1}x",
            "{\"a\":1}{}",
            "{a:1}",
            "{\"a\":01}",
            "{\"a\":+1}",
            "{\"a\":1e999}",
            "{\"a\":NaN}",
            "{\"a\":1,}",
            "{\"a\":'b'}",
            "{\"a\":\"\\ud800\"}",
            "{\"a\":\"\\udc00\\ud800\"}",
            "{\"\\ud800\":1}",
            "{\"a\":\"\n\"}",
            "{\"a\":\"\\x\"}",
            "\u{feff}{}",
            "{/**/}",
        ] {
            let message = refused(broken);
            assert!(message.starts_with("body: not valid JSON at line "), "{broken}: {message}");
        }
        assert!(json(b"{\"a\":\"\xff\"}").is_err());
    }

    #[test]
    fn no_name_is_there_twice_at_any_depth() {
        assert_eq!(refused("{\"a\":1,\"b\":2,\"a\":1}"), "body: the field \"a\" is there twice");
        assert_eq!(refused("{\"a\":[{\"\\u0062\":1,\"b\":2}]}"), "body: the field \"b\" is there twice");
        let long = "x".repeat(65);
        assert_eq!(refused(&format!("{{\"{long}\":1,\"{long}\":1}}")), "body: a field is there twice");
        let many: Vec<String> = (0..20_000).map(|name| format!("\"{name}\":1")).collect();
        assert!(json(format!("{{{}}}", many.join(",")).as_bytes()).is_ok());
    }

    #[test]
    fn depth_is_limited() {
        let lists = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        let objects = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
        for nested in [lists(32), objects(32)] {
            assert!(json(nested.as_bytes()).is_ok());
        }
        for nested in
            [lists(33), objects(33), "{\"a\":".repeat(50_000), format!("{{\"a\":{}", "[".repeat(50_000))]
        {
            assert_eq!(refused(&nested), "body: nested deeper than 32 levels");
        }
    }

    #[test]
    fn forms_become_fields() {
        let fields = form(b"a=1&b=x+y%C3%A9&a=2&tags[]=z&c&l=1&l%5B%5D=2&l=3").expect("a form");
        let list = |texts: &[&str]| Value::List(texts.iter().map(|found| text(found)).collect());
        assert_eq!(fields.get("a"), Some(&list(&["1", "2"])));
        assert_eq!(fields.get("b"), Some(&text("x yé")));
        assert_eq!(fields.get("tags"), Some(&list(&["z"])));
        assert_eq!(fields.get("c"), Some(&text("")));
        assert_eq!(fields.get("l"), Some(&list(&["1", "2", "3"])));
        for bad in [&b"a=%"[..], b"a=%zz", b"%ff=1", b"a=\xff"] {
            assert!(form(bad).is_err());
        }
        assert_eq!(
            form("a&".repeat(1001).as_bytes()).expect_err("too many").message,
            "body: at most 1000 fields"
        );
    }

    #[test]
    fn fields_are_taken_by_kind() {
        let mut fields =
            json(br#"{"t":"x","i":5,"f":1.5,"b":false,"n":null,"l":["a","b"],"m":["a",1]}"#).expect("JSON");
        assert!(fields.has("n") && !fields.has("absent"));
        assert_eq!(fields.take_text("absent"), Ok(None));
        assert_eq!(fields.take_text("n"), Ok(None));
        assert_eq!(fields.take_text("t"), Ok(Some("x".to_owned())));
        assert_eq!(fields.take_text("t"), Ok(None), "taken");
        assert_eq!(fields.clone().take_text("i").expect_err("a number").message, "i: must be a text");
        assert_eq!(fields.clone().take_flag("i").expect_err("a number").message, "i: must be true or false");
        assert_eq!(fields.take_integer("i"), Ok(Some(5)));
        assert_eq!(fields.take_integer("f").expect_err("a fraction").message, "f: must be a whole number");
        let mut wholes = json(br#"{"a":2.0,"b":-1e3,"c":1e16,"d":1e300}"#).expect("JSON");
        assert_eq!((wholes.take_integer("a"), wholes.take_integer("b")), (Ok(Some(2)), Ok(Some(-1000))));
        assert!(wholes.take_integer("c").is_err() && wholes.take_integer("d").is_err(), "not exact");
        assert_eq!(fields.take_flag("b"), Ok(Some(false)));
        assert_eq!(fields.take_texts("l"), Ok(Some(vec!["a".to_owned(), "b".to_owned()])));
        assert_eq!(fields.take_texts("m").expect_err("mixed").message, "m: must be a list of texts");
        assert!(fields.pairs().is_empty());

        let mut fields = form(b"i=-7&b=on&c=0&e=&l=a&w=x").expect("a form");
        assert_eq!(fields.take_integer("i"), Ok(Some(-7)));
        assert_eq!(fields.take_integer("e"), Ok(None));
        assert_eq!(
            fields.clone().take_integer("w").expect_err("a word").message,
            "w: must be a whole number"
        );
        assert_eq!((fields.take_flag("b"), fields.take_flag("c")), (Ok(Some(true)), Ok(Some(false))));
        assert_eq!(fields.take_texts("l"), Ok(Some(vec!["a".to_owned()])));
    }
}
