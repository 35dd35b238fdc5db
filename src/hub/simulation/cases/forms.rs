//! Several forms on one room and one socket.

use super::*;

/// A socket that listens to the room in these forms.
fn in_forms(hub: &Hub, space: usize, forms: &[Form]) -> (SessionId, Rc<Pipe>) {
    let pipe = Rc::new(Pipe::with_space(space));
    let session = hub.enter(pipe.clone(), Some(ANN));
    forms.iter().for_each(|form| hub.subscribe(session, ROOM, *form, 0));
    (session, pipe)
}

#[test]
fn each_form_has_its_own_frames_of_one_event() {
    let hub = hub();
    let (session, pipe) = in_forms(&hub, PLENTY, &Form::ALL);
    publish(&hub, ROOM, 1..=2);
    hub.flush();
    let told = pipe.told();
    let all = Form::ALL.into_iter().flat_map(|form| [1, 2].map(|seq| (form, seq)));
    let worded = all.filter(|(form, seq)| length_of(*form, ROOM, *seq) > 0);
    assert_eq!(told, worded.map(|(form, seq)| Told::Event(form, ROOM, seq)).collect::<Vec<_>>());
    assert!((5..10).contains(&told.len()), "{told:?}");
    assert!(hub.cursors(session).iter().all(|(_, _, cursor)| *cursor == 2), "also where there was no word");
    assert_eq!(hub.counters().deliveries, 10);
}

#[test]
fn a_form_that_is_left_leaves_the_others() {
    let hub = hub();
    let (session, pipe) = in_forms(&hub, PLENTY, &[Form::Group, Form::Payload]);
    hub.unsubscribe(session, ROOM, Form::Payload);
    hub.unsubscribe(session, ROOM, Form::Flat);
    publish(&hub, ROOM, 1..=2);
    hub.flush();
    assert_eq!(pipe.told(), events(1..=2));
    hub.dissolve(ROOM);
    assert_eq!((hub.count_subscriptions(session), errand(&hub, session)), (0, Poll::Pending));
}

#[test]
fn a_form_that_comes_into_a_turn_hears_what_was_not_rendered_for_it_before() {
    let hub = hub();
    let (session, pipe) = in_forms(&hub, PLENTY, &[Form::Group]);
    publish(&hub, ROOM, 1..=2);
    hub.subscribe(session, ROOM, Form::Payload, 2);
    publish(&hub, ROOM, 3..=3);
    hub.flush();
    let payload = Told::Event(Form::Payload, ROOM, 3);
    assert_eq!(pipe.told(), [events(1..=3), vec![payload]].concat());
}

#[test]
fn a_socket_that_takes_one_form_only_catches_up_with_the_other() {
    let hub = hub();
    let (session, pipe) = in_forms(&hub, 5, &[Form::Group, Form::Payload]);
    publish(&hub, ROOM, 1..=2);
    hub.flush();
    assert_eq!(hub.cursors(session), [(ROOM, Form::Group, 2), (ROOM, Form::Payload, 0)]);
    pipe.make_space(PLENTY);
    assert!(hub.pump(session).unwrap());
    assert_eq!((pipe.told(), errand(&hub, session)), (events(1..=2), Poll::Ready(Errand::CatchUp)));
    let missed: Vec<_> = (1..=2).map(|seq| event(ROOM, seq)).collect();
    hub.replay(session, Form::Payload, &missed);
    hub.caught_up(session);
    assert_eq!(pipe.told(), [1, 2].map(|seq| Told::Event(Form::Payload, ROOM, seq)));
}
