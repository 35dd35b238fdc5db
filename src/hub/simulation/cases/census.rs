//! Logins, registrations, and what ends with them.

use super::*;
use crate::hub::Registration;

const AS_ANN: Registration = Registration::As(ANN.user, ANN.token);
const BOB: UserId = UserId(2);

/// A socket of nobody, registered.
fn registered(hub: &Hub, registration: Registration, cursor: i64) -> (SessionId, Rc<Pipe>) {
    let pipe = Rc::new(Pipe::with_space(PLENTY));
    let session = hub.enter(pipe.clone(), None);
    hub.register(session, registration, cursor);
    (session, pipe)
}

fn notified(seqs: std::ops::RangeInclusive<i64>) -> Vec<Told> {
    let inbox = RoomId::inbox(ANN.user);
    let worded = seqs.filter(|seq| length_of(Form::User, inbox, *seq) > 0);
    worded.map(|seq| Told::Event(Form::User, inbox, seq)).collect()
}

fn notify(hub: &Hub, seqs: std::ops::RangeInclusive<i64>) {
    publish(hub, RoomId::inbox(ANN.user), seqs);
    hub.flush();
}

#[test]
fn a_registered_socket_hears_its_person_until_the_login_ends() {
    let ends: [fn(&Hub); 2] = [
        |hub| hub.end_token(ANN.token, Ending::Close(1008, "logged out")),
        |hub| hub.end_user(ANN.user, Ending::Close(1008, "logged out")),
    ];
    for end in ends {
        let hub = hub();
        let (session, pipe) = registered(&hub, AS_ANN, 0);
        notify(&hub, 1..=6);
        assert_eq!(pipe.told(), notified(1..=6));
        assert_eq!((hub.count_registered(Some(ANN.user)), hub.tokens()), ((1, 1), vec![ANN.token]));
        end(&hub);
        notify(&hub, 7..=12);
        assert_eq!((pipe.told(), errand(&hub, session)), (vec![], Poll::Pending), "it stays open");
        assert_eq!(hub.registration(session), Registration::Anonymous);
        assert_eq!((hub.count_registered(Some(ANN.user)), hub.tokens()), ((1, 0), vec![]));
    }
}

#[test]
fn a_lagging_socket_whose_login_ends_hears_nothing_more() {
    let hub = hub();
    let (session, pipe) = registered(&hub, AS_ANN, 0);
    pipe.space.set(1);
    notify(&hub, 1..=6);
    notify(&hub, 7..=7);
    hub.end_token(ANN.token, Ending::Gone);
    pipe.make_space(PLENTY);
    assert!(hub.pump(session).unwrap());
    assert_eq!((pipe.told(), hub.cursors(session)), (notified(1..=6), vec![]));
    hub.caught_up(session);
    assert_eq!(errand(&hub, session), Poll::Pending);
}

#[test]
fn an_ending_socket_is_not_registered_any_more_and_still_a_socket() {
    let hub = hub();
    let session = hub.enter(Rc::new(Pipe::default()), Some(ANN));
    hub.register(session, AS_ANN, 0);
    hub.end_token(ANN.token, Ending::Gone);
    assert_eq!(hub.count_registered(Some(ANN.user)), (0, 0));
    assert_eq!(hub.count_sockets(ANN.user), 1);
    hub.leave(session, false);
    assert_eq!(hub.count_sockets(ANN.user), 0);
    assert!(hub.state.borrow().rooms.is_empty());
}

#[test]
fn whoever_registers_for_another_hears_the_first_no_more() {
    let hub = hub();
    let (session, pipe) = registered(&hub, AS_ANN, 0);
    hub.register(session, Registration::As(BOB, TokenId(2)), 0);
    notify(&hub, 1..=6);
    assert_eq!((pipe.told(), hub.count_registered(Some(ANN.user))), (vec![], (1, 0)));
    assert_eq!(hub.cursors(session), [(RoomId::inbox(BOB), Form::User, 0)]);
    hub.register(session, Registration::Anonymous, 0);
    assert_eq!((hub.cursors(session), hub.registration(session)), (vec![], Registration::Anonymous));
}

#[test]
fn what_a_socket_asked_for_itself_outlives_its_registration() {
    let hub = hub();
    let (session, pipe) = registered(&hub, AS_ANN, 0);
    hub.subscribe(session, RoomId::inbox(ANN.user), Form::Payload, 0);
    hub.register(session, Registration::None, 0);
    notify(&hub, 1..=1);
    assert_eq!(pipe.told(), [Told::Event(Form::Payload, RoomId::inbox(ANN.user), 1)]);
}

#[test]
fn whoever_registers_with_a_new_login_misses_nothing_on_the_way() {
    let hub = hub();
    let (session, pipe) = registered(&hub, AS_ANN, 0);
    publish(&hub, RoomId::inbox(ANN.user), 1..=3);
    // Events 1 to 3 are published and 4 to 6 stored when the second registration comes.
    hub.register(session, Registration::As(ANN.user, TokenId(7)), 6);
    notify(&hub, 4..=9);
    assert_eq!(pipe.told(), notified(1..=9));
    hub.end_token(ANN.token, Ending::Gone);
    assert_eq!(hub.registration(session), Registration::As(ANN.user, TokenId(7)));
}
