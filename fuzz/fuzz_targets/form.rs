//! Every form's decoder: whatever a text says at whatever endpoint, it is read without a panic, and what is answered
//! is JSON and short.

#![no_main]

use deuced::domain::{Author, Channel, RoomId};
use deuced::hub::Form;
use deuced::ws::form::{self, Command, Outcome, Read, Refusal};
use deuced::ws::{Endpoint, Page};
use libfuzzer_sys::fuzz_target;

const FORMS: [Form; 5] = [Form::Group, Form::User, Form::Payload, Form::Path, Form::Flat];

/// The longest answer that does not repeat a channel: an id and a sentence.
const LONG: usize = 2048;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let page = Page {
        channel: Channel::Named("general".to_owned()),
        room: RoomId::named("general"),
        author: Author::Guest("Guest".to_owned()),
        nickname: None,
    };
    let is_json = serde_json::from_str::<&serde_json::value::RawValue>(text).is_ok();
    for endpoint in [Endpoint::Any, Endpoint::Flat, Endpoint::Echo, Endpoint::Page(Box::new(page))] {
        let read = form::read(&endpoint, text);
        assert_eq!(read == Read::Garbage, !is_json, "{text:?}");
        match read {
            Read::Garbage => {}
            Read::Unknown(id, why) => {
                for form in FORMS {
                    check(form::refuse(form, id.as_ref(), &Refusal::invalid(why)));
                }
            }
            Read::Asked(asked) => {
                let id = asked.id.as_ref();
                match asked.command {
                    Err(refusal) => check(form::refuse(asked.form, id, &refusal)),
                    Ok(command) => {
                        if let Some(channel) = channel(&command) {
                            let again = Channel::parse(&channel.to_string());
                            assert_eq!(
                                again.ok().as_ref(),
                                Some(channel),
                                "a name that is read is read again"
                            );
                            check(form::answer(asked.form, id, &Outcome::Done(channel.clone())));
                        }
                        if let Command::Page(words) = &command {
                            let echo = form::echo("somebody", words).expect("an echo is JSON");
                            assert!(serde_json::from_str::<serde_json::Value>(&echo).is_ok());
                        }
                        for outcome in [Outcome::Pong, Outcome::Read(7), Outcome::Nothing] {
                            check(form::answer(asked.form, id, &outcome));
                        }
                    }
                }
            }
        }
    }
});

fn channel(command: &Command) -> Option<&Channel> {
    match command {
        Command::Subscribe { channel, .. } | Command::Unsubscribe(channel) | Command::Typing(channel) => {
            Some(channel)
        }
        Command::Say(channel, _) => channel.as_ref(),
        Command::Edit(which, _) | Command::Delete(which) => Some(&which.channel),
        _ => None,
    }
}

fn check(answer: Option<String>) {
    let Some(answer) = answer else { return };
    assert!(answer.len() <= LONG, "{} bytes: {answer}", answer.len());
    serde_json::from_str::<serde_json::Value>(&answer).expect("an answer is JSON");
}
