//! Every decoder, by example and by chance.

use super::*;
use crate::api::message::Which;
use crate::domain::event::{Author, WhisperKind};
use crate::domain::message::Message;
use crate::domain::notification::{Notice, Notification};
use crate::domain::{EventId, Kind, Person, RoomId, Time, UserId};
use crate::ws::Page;
use proptest::prelude::*;
use serde_json::json;

const GROUP: &str = "0190c0de-0000-7000-8000-000000000001";

fn at_ws(text: &str) -> Read {
    read(&Endpoint::Any, text)
}

fn page() -> Endpoint {
    let author = Author::Guest("Alice".into());
    let channel = Channel::Named("general".into());
    Endpoint::Page(Box::new(Page { room: RoomId::named("general"), channel, author, nickname: None }))
}

fn endpoints() -> [Endpoint; 4] {
    [Endpoint::Any, Endpoint::Flat, page(), Endpoint::Echo]
}

/// What a text asks for, in which form.
#[track_caller]
fn asked(read: Read) -> (Form, Option<Id>, Result<Command, Refusal>) {
    match read {
        Read::Asked(asked) => (asked.form, asked.id, asked.command),
        other => panic!("{other:?}"),
    }
}

fn named(name: &str) -> Channel {
    Channel::Named(name.into())
}

#[test]
fn each_family_is_recognised_by_its_frames() {
    let group = GroupId::parse(GROUP).unwrap();
    for (text, form, command) in [
        (
            format!(r#"{{"type":"join_group","groupId":"{GROUP}","extra":[1]}}"#),
            Form::Group,
            Command::Group(Joining::Join, group),
        ),
        (
            format!(r#" {{"groupId":"{GROUP}","type":"leave_group"}} "#),
            Form::Group,
            Command::Group(Joining::Leave, group),
        ),
        (r#"{"type":"join_group"}"#.into(), Form::Group, Command::Nothing),
        (r#"{"type":"join_group","groupId":7}"#.into(), Form::Group, Command::Nothing),
        (r#"{"type":"register"}"#.into(), Form::User, Command::Register(None)),
        (r#"{"type":"register","jwtToken":""}"#.into(), Form::User, Command::Register(None)),
        (r#"{"type":"register","jwtToken":"x"}"#.into(), Form::User, Command::Register(Some("x".into()))),
        (r#"{"type":"ping"}"#.into(), Form::Payload, Command::Ping),
        (r#"{"type":"ping","ts":"1"}"#.into(), Form::Payload, Command::Ping),
        (r#"{"type":"ping","ts":1.5}"#.into(), Form::Flat, Command::Ping),
        (r#"{"type":"ack","payload":{"id":"x"}}"#.into(), Form::Payload, Command::Nothing),
        (
            r#"{"type":"subscribe","topic":"prices"}"#.into(),
            Form::Flat,
            Command::Subscribe { channel: named("prices"), since: None, presence: false },
        ),
        (
            r#"{"type":"chat:send","room":"room:a","text":"hi"}"#.into(),
            Form::Flat,
            Command::Say(Some(named("a")), "hi".into()),
        ),
        (
            r#"{"type":"unsubscribe","payload":{"channel":"me"}}"#.into(),
            Form::Payload,
            Command::Unsubscribe(Channel::Me),
        ),
        (
            r#"{"type":"message","payload":{"text":"hi"}}"#.into(),
            Form::Payload,
            Command::Say(None, "hi".into()),
        ),
        (r#"{"type":"read","payload":{"all":true}}"#.into(), Form::Payload, Command::Read(None)),
        (r#"{"type":"read","payload":{"seq":3}}"#.into(), Form::Payload, Command::Read(Some(3))),
        (
            r#"{"type":"delete","payload":{"channel":"a","seq":2,"messageId":"m"}}"#.into(),
            Form::Payload,
            Command::Delete(Which { channel: named("a"), seq: 2, id: Some("m".into()) }),
        ),
    ] {
        assert_eq!(asked(at_ws(&text)), (form, None, Ok(command)), "{text}");
    }
}

#[test]
fn a_subscription_may_be_spelt_in_three_ways() {
    for text in [
        r#"{"type":"subscribe","channel":"updates"}"#,
        r#"{"type":"subscribe","payload":{"channel":"updates"}}"#,
        r#"{"type":"subscribe","payload":{"channel":"room:updates","since":null}}"#,
    ] {
        let command = Command::Subscribe { channel: named("updates"), since: None, presence: false };
        assert_eq!(asked(at_ws(text)), (Form::Payload, None, Ok(command)), "{text}");
    }
    let text = r#"{"type":"subscribe","id":7,"payload":{"channel":"a","presence":true,"since":{"seq":41,"id":"x"}}}"#;
    let since = Some(Since { seq: 41, id: Some("x".into()) });
    let (_, id, command) = asked(at_ws(text));
    assert_eq!(command, Ok(Command::Subscribe { channel: named("a"), since, presence: true }));
    assert_eq!(id.unwrap().name(), "7");
    let (_, id, _) = asked(at_ws(r#"{"type":"ping","id":-5.936011095993343e-27}"#));
    assert_eq!(id.unwrap().name(), "-5.936011095993343e-27", "as it came, to the last digit");
}

#[test]
fn what_does_not_fit_is_refused_naming_the_field() {
    for (text, field) in [
        (r#"{"type":"auth"}"#, "token"),
        (r#"{"type":"subscribe"}"#, "channel"),
        (r#"{"type":"subscribe","channel":7}"#, "channel"),
        (r#"{"type":"subscribe","channel":""}"#, "channel"),
        (r#"{"type":"subscribe","channel":"a","presence":1}"#, "presence"),
        (r#"{"type":"subscribe","channel":"a","since":{}}"#, "since.seq"),
        (r#"{"type":"subscribe","channel":"a","since":{"seq":-1}}"#, "since.seq"),
        (r#"{"type":"subscribe","channel":"a","since":{"seq":3}}"#, "since.id"),
        (r#"{"type":"message","payload":{"channel":"a"}}"#, "text"),
        (r#"{"type":"message","payload":{"channel":"a","text":""}}"#, "text"),
        (r#"{"type":"message","payload":{"channel":7,"text":"x"}}"#, "channel"),
        (r#"{"type":"edit","payload":{"channel":"a","text":"x"}}"#, "seq"),
        (r#"{"type":"delete","payload":{"channel":"a","seq":1,"messageId":1}}"#, "messageId"),
        (r#"{"type":"read","payload":{}}"#, "seq"),
        (r#"{"type":"ping","id":[]}"#, "id"),
        (r#"{"type":"register","jwtToken":null}"#, "jwtToken"),
        (r#"{"type":"register","extra":1}"#, "register"),
    ] {
        let (_, _, command) = asked(at_ws(text));
        let refusal = command.unwrap_err();
        assert_eq!(refusal.code, "INVALID", "{text}");
        assert!(refusal.message.starts_with(&format!("{field}:")), "{text}: {}", refusal.message);
    }
    let long = format!(r#"{{"type":"ping","id":"{}"}}"#, "x".repeat(300));
    assert!(asked(at_ws(&long)).2.unwrap_err().message.starts_with("id:"));
}

#[test]
fn what_nobody_knows_is_told_from_what_is_no_json() {
    for text in ["null", "[]", "1", "{}", r#"{"type":null}"#, r#"{"type":"nope"}"#, r#"{"type":"Register"}"#]
    {
        endpoints()
            .iter()
            .for_each(|endpoint| assert!(matches!(read(endpoint, text), Read::Unknown(None, _)), "{text}"));
    }
    let named = r#"{"type":"nope","id":"x"}"#;
    assert!(matches!(at_ws(named), Read::Unknown(Some(id), _) if id.name() == "x"));
    for cut in [r#"{"id":7,"type":"message","payload":{"text":"\ud83d"}}"#, r#"{"id":7,"x":1e400}"#] {
        assert!(
            matches!(at_ws(cut), Read::Unknown(Some(id), why) if id.name() == "7" && why.contains("Unicode"))
        );
    }
    for text in ["", "{", "{broken", "hello", r#"{"type":"ping"} x"#, &"[".repeat(200)] {
        endpoints().iter().for_each(|endpoint| assert_eq!(read(endpoint, text), Read::Garbage, "{text}"));
    }
}

#[test]
fn flat_sockets_know_three_frames() {
    let flat = |text: &str| read(&Endpoint::Flat, text);
    for text in [
        r#"{"type":"ping","ts":1}"#,
        r#"{"v":1,"type":"subscribe","data":{"topic":"prices"}}"#,
        r#"{"type":"chat:send","room":"a","text":"x"}"#,
    ] {
        assert!(asked(flat(text)).2.is_ok(), "{text}");
    }
    for text in [
        r#"{"type":"ping"}"#,
        r#"{"type":"ping","ts":"1"}"#,
        r#"{"type":"subscribe","channel":"a"}"#,
        r#"{"type":"chat:send","room":"a","text":""}"#,
        r#"{"type":"chat:send","room":7,"text":"x"}"#,
    ] {
        assert_eq!(asked(flat(text)).2.unwrap_err().code, "INVALID", "{text}");
    }
    assert_eq!(flat(r#"{"type":"auth","payload":{"token":"x"}}"#), Read::Unknown(None, "type: not known"));
}

#[test]
fn pages_say_and_type_and_nothing_else() {
    let words = |text: &str| match read(&page(), text) {
        Read::Asked(Asked { command: Ok(Command::Page(words)), .. }) => Some((words.typing, words.content)),
        _ => None,
    };
    assert_eq!(words(r#"{"type":"message","content":"hi","x":1}"#), Some((false, Some("hi".into()))));
    assert_eq!(words(r#"{"type":"message"}"#), Some((false, None)));
    assert_eq!(words(r#"{"type":"message","content":""}"#), Some((false, Some(String::new()))));
    assert_eq!(words(r#"{"type":"typing","content":"h"}"#), Some((true, Some("h".into()))));
    for text in
        [r#"{"type":"message","content":null}"#, r#"{"type":"message","content":7}"#, r#"{"type":"joined"}"#]
    {
        assert_eq!(words(text), None, "{text}");
    }
}

fn event(kind: Kind) -> Event {
    let person =
        Person { id: UserId(1), uid: "dev-ann".into(), name: "Ann".into(), login_name: "Ann".into() };
    Event {
        room: RoomId::named("general"),
        channel: "general".into(),
        seq: 42,
        id: EventId::parse(GROUP).unwrap(),
        author: Author::Person(person),
        at: Time::from_millis(1_795_187_924_544).unwrap(),
        kind,
    }
}

fn rendered(form: Form, event: &Event) -> Option<String> {
    let mut frame = Vec::new();
    render(form, event, &mut frame);
    let length = match frame.get(1)? {
        length @ 0..126 => (2, usize::from(*length)),
        _ => (4, usize::from(u16::from_be_bytes([frame[2], frame[3]]))),
    };
    assert_eq!(frame.len(), length.0 + length.1);
    Some(String::from_utf8(frame.split_off(length.0)).unwrap())
}

#[test]
fn a_message_looks_in_each_form_as_its_clients_know_it() {
    let message = Message { text: Some("Hello".into()), nickname: Some("A".into()), edited: false };
    let said = event(Kind::MessageSaid(Box::new(message)));
    assert_eq!(
        rendered(Form::Payload, &said).unwrap(),
        format!(
            r#"{{"type":"message","id":"{GROUP}","timestamp":1795187924544,"payload":{{"channel":"general","seq":42,"from":{{"id":"dev-ann","name":"Ann"}},"text":"Hello"}}}}"#
        )
    );
    assert_eq!(
        rendered(Form::Flat, &said).unwrap(),
        format!(
            r#"{{"type":"chat:new","room":"general","text":"Hello","from":"dev-ann","id":"{GROUP}","seq":42,"ts":1795187924544}}"#
        )
    );
    assert_eq!(
        rendered(Form::Path, &said).unwrap(),
        r#"{"type":"message","username":"A","content":"Hello","timestamp":"2026-11-20T15:18:44.544Z"}"#
    );
    assert_eq!((rendered(Form::Group, &said), rendered(Form::User, &said)), (None, None));
}

#[test]
fn a_notification_looks_in_each_form_as_its_clients_know_it() {
    let notification = Notification {
        id: 41_608,
        user: UserId(7),
        actor: event(Kind::AllRead).author,
        notice: Notice::Custom(r#"{"type":"x","b":1,"a":2}"#.into()),
        created_at: Time::from_millis(1_795_187_924_544).unwrap(),
        read: false,
    };
    let notified = event(Kind::Notified(Box::new(notification)));
    assert_eq!(
        rendered(Form::User, &notified).unwrap(),
        r#"{"type":"notification_received","data":{"id":41608,"userId":7,"data":{"type":"x","b":1,"a":2},"createdAt":"2026-11-20T15:18:44.544Z","read":false}}"#
    );
    for form in [Form::Group, Form::Path, Form::Flat] {
        assert_eq!(rendered(form, &notified), None);
    }
    let native: Value = serde_json::from_str(&rendered(Form::Payload, &notified).unwrap()).unwrap();
    assert_eq!(native["payload"]["notification"]["id"], json!(41_608));
}

#[test]
fn typing_looks_in_each_form_as_its_clients_know_it() {
    let heard = |form, kind, author| {
        let (room, channel, at) = (RoomId(1), "general".into(), Time::from_millis(0).unwrap());
        let told = Whisper { room, channel, author, nickname: None, at, kind };
        let mut frame = Vec::new();
        whisper(form, &told, &mut frame);
        String::from_utf8_lossy(frame.get(2..).unwrap_or_default()).into_owned()
    };
    let guest = || Author::Guest("Alice".into());
    assert_eq!(
        heard(Form::Path, WhisperKind::Typing(None), guest()),
        r#"{"type":"typing","username":"Alice","timestamp":"1970-01-01T00:00:00.000Z"}"#
    );
    assert_eq!(
        heard(Form::Payload, WhisperKind::Typing(Some("x".into())), guest()),
        r#"{"type":"typing","payload":{"channel":"general","from":{"id":null,"name":"Alice","guest":true}}}"#
    );
    assert_eq!(heard(Form::Path, WhisperKind::Arrived, guest()), "");
    assert_eq!(heard(Form::Payload, WhisperKind::PageOpened, guest()), "");
    assert_eq!(heard(Form::Group, WhisperKind::Typing(None), guest()), "");
}

/// Any JSON, nested a little.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(any_name(), inner, 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Names that mean something, more often than not.
fn any_name() -> impl Strategy<Value = String> {
    const KNOWN: [&str; 18] = [
        "type",
        "id",
        "payload",
        "data",
        "channel",
        "topic",
        "text",
        "since",
        "seq",
        "presence",
        "token",
        "jwtToken",
        "groupId",
        "content",
        "room",
        "ts",
        "all",
        "messageId",
    ];
    prop_oneof![3 => prop::sample::select(&KNOWN[..]).prop_map(str::to_owned), 1 => ".{0,8}"]
}

/// A frame of a known type with any fields.
fn any_frame() -> impl Strategy<Value = Value> {
    const KINDS: [&str; 15] = [
        "join_group",
        "leave_group",
        "register",
        "ping",
        "subscribe",
        "unsubscribe",
        "chat:send",
        "auth",
        "message",
        "typing",
        "ack",
        "edit",
        "delete",
        "read",
        "nope",
    ];
    let fields = prop::collection::btree_map(any_name(), any_json(), 0..6);
    (prop::sample::select(&KINDS[..]), fields).prop_map(|(kind, fields)| {
        let mut fields: Map<String, Value> = fields.into_iter().collect();
        fields.insert("type".into(), kind.into());
        Value::Object(fields)
    })
}

fn any_id() -> impl Strategy<Value = Value> {
    prop_oneof![any::<u32>().prop_map(Value::from), "\\PC{0,40}".prop_map(Value::from)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..crate::test::dice() })]

    #[test]
    fn no_text_is_too_strange(text in prop_oneof!["\\PC{0,200}", ".{0,200}", any_json().prop_map(|json| json.to_string())]) {
        for endpoint in endpoints() {
            let is_json = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
            prop_assert_eq!(read(&endpoint, &text) == Read::Garbage, !is_json);
        }
    }

    #[test]
    fn every_frame_is_taken_or_refused_in_words(frame in any_frame()) {
        let text = frame.to_string();
        for endpoint in endpoints() {
            let Read::Asked(asked) = read(&endpoint, &text) else { continue };
            let Err(refusal) = &asked.command else { continue };
            prop_assert!(!refusal.message.is_empty() && refusal.message.len() < 300);
            if let Some(json) = refuse(asked.form, asked.id.as_ref(), refusal) {
                let answer: Value = serde_json::from_str(&json).unwrap();
                prop_assert_eq!(&answer["type"], &json!("error"));
                if asked.form == Form::Payload {
                    prop_assert_eq!(answer["payload"].get("id"), asked.id.as_ref().map(|_| &frame["id"]));
                }
            }
        }
    }

    #[test]
    fn a_message_survives_its_frame(channel in "[^\\pC]{1,100}", text in "\\PC{1,400}", id in any_id()) {
        prop_assume!(Channel::parse(&channel).is_ok() && crate::domain::message::clean_text(&text).is_ok());
        let frame = json!({ "type": "message", "id": id, "payload": { "channel": channel, "text": text } });
        let (form, read_id, command) = asked(at_ws(&frame.to_string()));
        prop_assert_eq!(form, Form::Payload);
        prop_assert_eq!(command, Ok(Command::Say(Channel::parse(&channel).ok(), text.clone())));
        let outcome = Outcome::Said(named("a"), MessageRef { id: EventId::new(), seq: 1 });
        let ack: Value = serde_json::from_str(&answer(form, read_id.as_ref(), &outcome).unwrap()).unwrap();
        prop_assert_eq!(&ack["payload"]["id"], &id);

        let message = Message { text: Some(text.clone()), nickname: None, edited: false };
        let said = event(Kind::MessageSaid(Box::new(message)));
        for (form, field) in [(Form::Payload, "/payload/text"), (Form::Flat, "/text"), (Form::Path, "/content")] {
            let frame: Value = serde_json::from_str(&rendered(form, &said).unwrap()).unwrap();
            prop_assert_eq!(frame.pointer(field), Some(&json!(text)));
        }
    }

    #[test]
    fn a_channel_survives_its_name(name in "\\PC{0,110}") {
        if let Ok(channel) = Channel::parse(&name) {
            prop_assert_eq!(Channel::parse(&channel.to_string()).unwrap(), channel);
        }
    }
}
