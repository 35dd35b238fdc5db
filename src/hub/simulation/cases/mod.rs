//! Single tricky cases of the hub, told one by one.
//!
//! Here are delivery and lagging; what else there is has a file of its own. Not here: whatever dice find
//! (`simulation/mod.rs`), and sockets of the real kind (`tests/`).

mod census;
mod forms;
mod presence;
mod resume;
mod whisper;

use super::peer::Alarm;
use super::pipe::{Pipe, RENDER, Told, event, farewell, length_of, reply};
use crate::domain::{RoomId, TokenId, UserId};
use crate::hub::{Counters, Ending, Errand, Form, Hub, Owner, SessionId};
use std::{
    rc::Rc,
    sync::Arc,
    task::{Context, Poll, Waker},
    time::{Duration, Instant},
};

/// A room whose events 1 to 10 all have a frame.
const ROOM: RoomId = RoomId(5);
const OTHER: RoomId = RoomId(19);
const ANN: Owner = Owner { user: UserId(1), token: TokenId(1), permits: None, follows: true };
const PLENTY: usize = 1 << 20;

fn hub() -> Hub {
    Hub::new(RENDER, 1000)
}

/// Ann's socket with this much space, listening to the room from after `cursor`.
fn listener(hub: &Hub, space: usize, cursor: i64) -> (SessionId, Rc<Pipe>) {
    let pipe = Rc::new(Pipe::with_space(space));
    let session = hub.enter(pipe.clone(), Some(ANN));
    hub.subscribe(session, ROOM, Form::Group, cursor);
    (session, pipe)
}

fn publish(hub: &Hub, room: RoomId, seqs: std::ops::RangeInclusive<i64>) {
    seqs.for_each(|seq| hub.publish(&event(room, seq)));
}

fn replay(hub: &Hub, session: SessionId, seqs: std::ops::RangeInclusive<i64>) {
    let events: Vec<_> = seqs.map(|seq| event(ROOM, seq)).collect();
    hub.replay(session, Form::Group, &events);
}

fn errand(hub: &Hub, session: SessionId) -> Poll<Errand> {
    hub.poll_errand(session, &mut Context::from_waker(Waker::noop()))
}

fn events(seqs: std::ops::RangeInclusive<i64>) -> Vec<Told> {
    seqs.map(|seq| Told::Event(Form::Group, ROOM, seq)).collect()
}

/// A socket that was passed over for event 3, and has drained since.
fn lagging(hub: &Hub) -> (SessionId, Rc<Pipe>) {
    let (session, pipe) = listener(hub, 5, 1);
    publish(hub, ROOM, 2..=2);
    hub.flush();
    publish(hub, ROOM, 3..=3);
    hub.flush();
    pipe.make_space(PLENTY);
    assert!(hub.pump(session).unwrap());
    assert_eq!(errand(hub, session), Poll::Ready(Errand::CatchUp));
    (session, pipe)
}

#[test]
fn whoever_joins_between_commit_and_publish_hears_only_what_comes_after() {
    let hub = hub();
    let (_, early) = listener(&hub, PLENTY, 2);
    // Events 3 to 5 are committed, and 3 is published, when the second one joins.
    publish(&hub, ROOM, 3..=3);
    let (_, late) = listener(&hub, PLENTY, 5);
    publish(&hub, ROOM, 4..=4);
    hub.flush();
    assert_eq!((early.told(), late.told()), (events(3..=4), vec![]));
    publish(&hub, ROOM, 5..=7);
    hub.flush();
    assert_eq!((early.told(), late.told()), (events(5..=7), events(6..=7)));
    assert_eq!(hub.counters().deliveries, 5 + 2, "what was known is not counted");
}

#[test]
fn whoever_catches_up_past_what_is_published_hears_nothing_twice() {
    let hub = hub();
    let (session, pipe) = lagging(&hub);
    assert_eq!(pipe.told(), events(2..=2));
    publish(&hub, ROOM, 4..=4);
    // The log is at 5 already; 4 is published and not flushed, 5 not even published.
    replay(&hub, session, 3..=5);
    hub.caught_up(session);
    hub.flush();
    publish(&hub, ROOM, 5..=6);
    hub.flush();
    assert_eq!(pipe.told(), events(3..=6));
    assert_eq!(errand(&hub, session), Poll::Pending);
}

#[test]
fn a_batch_taken_in_part_is_finished_before_what_was_missed() {
    let hub = hub();
    let first = length_of(Form::Group, ROOM, 1);
    let (session, pipe) = listener(&hub, first + 3, 0);
    let (_, other) = listener(&hub, first + 7, 0);
    publish(&hub, ROOM, 1..=2);
    hub.flush();
    publish(&hub, ROOM, 3..=4);
    hub.flush();
    assert_eq!((pipe.told(), other.told()), (events(1..=1), events(1..=1)));
    assert!(!pipe.is_whole() && !other.is_whole());
    assert_eq!(errand(&hub, session), Poll::Ready(Errand::Pump));
    hub.send(session, &reply(1, 10));

    pipe.make_space(PLENTY);
    assert!(hub.pump(session).unwrap());
    assert_eq!(pipe.told(), [Told::Event(Form::Group, ROOM, 2), Told::Reply(1)]);
    assert_eq!(errand(&hub, session), Poll::Ready(Errand::CatchUp));
    assert_eq!(hub.cursors(session), [(ROOM, Form::Group, 2)]);
    replay(&hub, session, 3..=4);
    assert_eq!(hub.counters().lags, 2);

    // Still lagging until it is said that there is no more.
    publish(&hub, ROOM, 5..=5);
    hub.flush();
    replay(&hub, session, 5..=5);
    hub.caught_up(session);
    assert_eq!(pipe.told(), events(3..=5));
}

#[test]
fn a_piece_taken_in_part_is_finished_before_the_next() {
    let hub = hub();
    let (session, pipe) = lagging(&hub);
    pipe.space.set(4);
    replay(&hub, session, 3..=4);
    assert!(!hub.has_taken_all(session));
    assert_eq!(errand(&hub, session), Poll::Ready(Errand::Pump));
    publish(&hub, ROOM, 4..=5);
    hub.flush();
    pipe.make_space(PLENTY);
    assert!(hub.pump(session).unwrap());
    assert_eq!(errand(&hub, session), Poll::Ready(Errand::CatchUp));
    assert_eq!(hub.cursors(session), [(ROOM, Form::Group, 4)]);
    assert_eq!(pipe.told(), events(2..=4));
}

#[test]
fn a_close_while_lagging_comes_after_a_whole_frame_and_last() {
    let hub = hub();
    let (session, pipe) = listener(&hub, 5, 0);
    publish(&hub, ROOM, 1..=1);
    hub.flush();
    publish(&hub, ROOM, 2..=2);
    hub.flush();
    let ending = Ending::Close(1008, "logged out");
    hub.end_token(ANN.token, ending);
    hub.end_user(ANN.user, Ending::Close(1000, "later, so not the reason"));
    assert_eq!(errand(&hub, session), Poll::Ready(Errand::End(ending)));
    hub.farewell(session, &farewell());

    publish(&hub, ROOM, 3..=3);
    hub.flush();
    hub.send(session, &reply(1, 10));
    pipe.make_space(PLENTY);
    assert!(hub.pump(session).unwrap());
    publish(&hub, ROOM, 4..=4);
    hub.flush();
    hub.beat(Instant::now(), Duration::from_secs(60));
    assert_eq!(pipe.told(), [Told::Event(Form::Group, ROOM, 1), Told::Farewell]);
    hub.leave(session, true);
    assert!(hub.state.borrow().rooms.is_empty());
}

#[test]
fn a_lagging_socket_that_loses_a_room_is_ended_instead_of_left_with_a_gap() {
    let losses: [fn(&Hub); 2] = [|hub| hub.unfollow(ANN.user, ROOM, i64::MAX), |hub| hub.dissolve(ROOM)];
    for lose in losses {
        let hub = hub();
        let (slow, _) = lagging(&hub);
        let (quick, pipe) = listener(&hub, PLENTY, 3);
        let elsewhere = hub.enter(Rc::new(Pipe::default()), Some(ANN));
        hub.subscribe(elsewhere, OTHER, Form::Group, 0);
        publish(&hub, OTHER, 1..=1);
        hub.flush();
        publish(&hub, OTHER, 2..=2);
        hub.flush();

        publish(&hub, ROOM, 4..=4);
        lose(&hub);
        assert_eq!(errand(&hub, slow), Poll::Ready(Errand::End(Ending::TooSlow)));
        assert_eq!((errand(&hub, quick), pipe.told()), (Poll::Pending, events(4..=4)));
        assert_eq!(errand(&hub, elsewhere), Poll::Ready(Errand::Pump), "it did not listen there");
        publish(&hub, ROOM, 5..=5);
        hub.flush();
        assert_eq!(pipe.told(), []);
    }
}

#[test]
fn a_hole_in_what_is_published_is_filled_from_the_log() {
    let hub = hub();
    let (session, pipe) = listener(&hub, PLENTY, 0);
    let alarm = Arc::new(Alarm::default());
    let waker = Waker::from(alarm.clone());
    assert_eq!(hub.poll_errand(session, &mut Context::from_waker(&waker)), Poll::Pending);
    // This should never be; and if it is, nobody notices.
    publish(&hub, ROOM, 2..=3);
    hub.flush();
    assert!(alarm.has_rung() && pipe.told().is_empty());
    assert_eq!(errand(&hub, session), Poll::Ready(Errand::CatchUp));
    replay(&hub, session, 1..=3);
    hub.caught_up(session);
    publish(&hub, ROOM, 4..=4);
    hub.flush();
    assert_eq!(pipe.told(), events(1..=4));
}

#[test]
fn a_lagging_socket_that_leaves_a_room_by_itself_goes_on() {
    let hub = hub();
    let (session, _) = lagging(&hub);
    hub.unsubscribe(session, ROOM, Form::Group);
    assert_eq!(hub.cursors(session), []);
    hub.caught_up(session);
    assert_eq!(errand(&hub, session), Poll::Pending);
}

#[test]
fn a_room_left_and_entered_again_in_one_turn_tells_nothing_twice() {
    let hub = hub();
    let (session, pipe) = listener(&hub, PLENTY, 0);
    publish(&hub, ROOM, 1..=1);
    hub.unsubscribe(session, ROOM, Form::Group);
    publish(&hub, ROOM, 2..=2);
    hub.subscribe(session, ROOM, Form::Group, 2);
    publish(&hub, ROOM, 3..=3);
    hub.flush();
    assert_eq!(pipe.told(), events(3..=3));
}

#[test]
fn an_ending_socket_is_neither_told_nor_counted() {
    let hub = hub();
    let (session, pipe) = listener(&hub, PLENTY, 0);
    hub.end(session, Ending::Gone);
    publish(&hub, ROOM, 1..=2);
    hub.flush();
    let beat = hub.beat(Instant::now(), Duration::from_secs(60));
    assert_eq!((beat.pinged, beat.ended), (0, 0));
    assert_eq!(pipe.told(), []);
    assert_eq!(hub.counters(), Counters { open: 1, opened: 1, ..Counters::default() });
}

#[test]
fn whoever_is_back_before_the_leaving_is_told_stays() {
    let hub = hub();
    // Event 4 says that Ann left, event 5 that she is back; both are stored. One socket was there
    // before, the other subscribes now, before either event is published.
    let (before, before_pipe) = listener(&hub, PLENTY, 3);
    let (after, after_pipe) = listener(&hub, PLENTY, 5);
    publish(&hub, ROOM, 4..=4);
    hub.unfollow(ANN.user, ROOM, 4);
    publish(&hub, ROOM, 5..=6);
    hub.flush();
    assert_eq!((errand(&hub, before), before_pipe.told()), (Poll::Pending, events(4..=4)));
    assert_eq!((errand(&hub, after), after_pipe.told()), (Poll::Pending, events(6..=6)));
}

#[test]
fn a_long_replay_comes_in_pieces() {
    let hub = hub();
    let (session, _) = listener(&hub, PLENTY, 0);
    let all: Vec<_> = (1..=5000).map(|seq| event(ROOM, seq)).collect();
    let (mut told, mut pieces) = (0, 0);
    while told < all.len() {
        told += hub.replay(session, Form::Group, &all[told..]);
        pieces += 1;
        assert_eq!(hub.cursors(session), [(ROOM, Form::Group, told as i64)]);
    }
    assert!((2..5000).contains(&pieces), "{pieces} pieces");
}

#[test]
fn whoever_read_of_the_leaving_in_the_log_leaves_all_the_same() {
    let hub = hub();
    // The socket was there before event 4, which says that Ann left, and has caught up past it
    // before the event is published.
    let (session, pipe) = listener(&hub, PLENTY, 2);
    replay(&hub, session, 3..=5);
    pipe.told();
    hub.unfollow(ANN.user, ROOM, 4);
    publish(&hub, ROOM, 6..=7);
    hub.flush();
    assert_eq!((errand(&hub, session), pipe.told()), (Poll::Pending, vec![]));
}
