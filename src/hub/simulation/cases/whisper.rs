//! What is merely going on, and who hears of it.

use super::super::pipe::{WHISPER_LENGTH, whisper};
use super::*;
use crate::domain::WhisperKind;
use crate::hub::{Audience, Being};

const BOB: Owner = Owner { user: UserId(2), token: TokenId(2), permits: None, follows: false };

fn typing(hub: &Hub, number: i64, from: SessionId) {
    let audience = Audience::Listeners(&[Form::Payload, Form::Path], Some(from));
    hub.whisper(&whisper(ROOM, number, WhisperKind::Typing(None)), audience);
}

/// A person's socket with this much space, listening in a form.
fn ear(hub: &Hub, owner: Owner, space: usize, form: Form) -> (SessionId, Rc<Pipe>) {
    let pipe = Rc::new(Pipe::with_space(space));
    let session = hub.enter(pipe.clone(), Some(owner));
    hub.resume(session, ROOM, form, "room", (0, 0), true);
    (session, pipe)
}

fn told(number: i64) -> Told {
    Told::Whisper(Form::Payload, ROOM, number)
}

#[test]
fn who_types_hears_it_on_chat_pages_only() {
    let hub = hub();
    let (session, pipe) = ear(&hub, ANN, PLENTY, Form::Payload);
    hub.subscribe(session, ROOM, Form::Path, 0);
    hub.subscribe(session, ROOM, Form::Flat, 0);
    let (_, tablet) = ear(&hub, ANN, PLENTY, Form::Payload);
    typing(&hub, 1, session);
    assert_eq!(pipe.told(), [Told::Whisper(Form::Path, ROOM, 1)]);
    assert_eq!(tablet.told(), [told(1)], "another socket of the same person");
    assert_eq!(hub.counters().whispers, 2);
}

#[test]
fn what_was_published_before_is_told_before() {
    let hub = hub();
    let (_, pipe) = ear(&hub, ANN, PLENTY, Form::Payload);
    let (bob, _) = ear(&hub, BOB, PLENTY, Form::Payload);
    publish(&hub, ROOM, 1..=1);
    typing(&hub, 7, bob);
    publish(&hub, ROOM, 2..=2);
    hub.flush();
    let event = |seq| Told::Event(Form::Payload, ROOM, seq);
    assert_eq!(pipe.told(), [event(1), told(7), event(2)]);
}

#[test]
fn a_socket_that_falls_behind_with_the_whisper_does_not_hear_it() {
    let hub = hub();
    let (session, pipe) = ear(&hub, ANN, 5, Form::Payload);
    let (bob, _) = ear(&hub, BOB, PLENTY, Form::Payload);
    publish(&hub, ROOM, 1..=1);
    typing(&hub, 7, bob);
    // Half an event waits, and nobody is behind: the whisper waits after it.
    publish(&hub, ROOM, 2..=2);
    typing(&hub, 8, bob);
    // Event 2 passed it over, so whisper 8 did, too.
    pipe.make_space(PLENTY);
    assert!(hub.pump(session).unwrap());
    assert_eq!(pipe.told(), [Told::Event(Form::Payload, ROOM, 1), told(7)]);
    typing(&hub, 9, bob);
    assert_eq!((pipe.told(), errand(&hub, session)), (vec![], Poll::Ready(Errand::CatchUp)));
}

#[test]
fn whispers_to_who_takes_nothing_stop() {
    let hub = Hub::new(RENDER, 100);
    let (session, pipe) = ear(&hub, ANN, 3, Form::Payload);
    let (bob, _) = ear(&hub, BOB, PLENTY, Form::Payload);
    (1..=50).for_each(|number| typing(&hub, number, bob));
    assert!(hub.gauges().waiting_bytes <= 100 + WHISPER_LENGTH as u64);
    assert_eq!(errand(&hub, session), Poll::Ready(Errand::Pump), "and it does not end for that");
    pipe.make_space(PLENTY);
    assert!(hub.pump(session).unwrap());
    let heard = pipe.told();
    assert_eq!(heard, (1..=heard.len() as i64).map(told).collect::<Vec<_>>());
    assert_eq!(hub.counters().whispers, heard.len() as u64);
}

#[test]
fn watchers_alone_hear_who_comes_and_not_of_themselves() {
    let hub = hub();
    let (_, ann) = ear(&hub, ANN, PLENTY, Form::Payload);
    let (_, tablet) = ear(&hub, ANN, PLENTY, Form::Payload);
    let (bob, bobs) = ear(&hub, BOB, PLENTY, Form::Payload);
    let idle = Rc::new(Pipe::with_space(PLENTY));
    let other = hub.enter(idle.clone(), None);
    hub.resume(other, ROOM, Form::Payload, "room", (0, 0), false);
    let being = Being::Person(BOB.user);
    hub.whisper(&whisper(ROOM, 1, WhisperKind::Arrived), Audience::Watchers(&being));
    assert_eq!((ann.told(), tablet.told()), (vec![told(1)], vec![told(1)]));
    assert_eq!((bobs.told(), idle.told()), (vec![], vec![]));
    // Who resumes without it watches no more.
    hub.resume(bob, ROOM, Form::Payload, "room", (0, 0), false);
    let being = Being::Person(ANN.user);
    hub.whisper(&whisper(ROOM, 2, WhisperKind::Arrived), Audience::Watchers(&being));
    assert_eq!(bobs.told(), []);
}

#[test]
fn whispers_are_counted_only_when_they_are_told() {
    let hub = hub();
    let (ending, pipe) = ear(&hub, ANN, PLENTY, Form::Payload);
    hub.subscribe(ending, ROOM, Form::Path, 0);
    let (bob, _) = ear(&hub, BOB, PLENTY, Form::Payload);
    let (broken, its_pipe) = ear(&hub, ANN, PLENTY, Form::Payload);
    its_pipe.broken.set(true);
    hub.end(ending, Ending::Gone);
    typing(&hub, 1, bob);
    // A form without a word for it.
    let opened = whisper(ROOM, 2, WhisperKind::PageOpened);
    hub.whisper(&opened, Audience::Listeners(&[Form::Payload], None));
    assert_eq!((pipe.told(), hub.counters().whispers, hub.traffic().bytes), (vec![], 0, 0));
    assert_eq!(errand(&hub, broken), Poll::Ready(Errand::End(Ending::Gone)));
}

#[test]
fn nothing_comes_after_the_last_frame() {
    let hub = hub();
    let (session, pipe) = ear(&hub, ANN, 0, Form::Payload);
    let (bob, _) = ear(&hub, BOB, PLENTY, Form::Payload);
    hub.farewell(session, &farewell());
    typing(&hub, 1, bob);
    publish(&hub, ROOM, 1..=1);
    hub.flush();
    pipe.make_space(PLENTY);
    assert!(hub.pump(session).unwrap());
    assert_eq!(pipe.told(), [Told::Farewell]);
    typing(&hub, 2, bob);
    assert_eq!(pipe.told(), []);
}
