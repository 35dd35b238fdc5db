//! Listening again from where one was.

use super::*;

fn payload(seqs: std::ops::RangeInclusive<i64>) -> Vec<Told> {
    seqs.map(|seq| Told::Event(Form::Payload, ROOM, seq)).collect()
}

fn resume(hub: &Hub, session: SessionId, cursor: i64, head: i64) {
    hub.resume(session, ROOM, Form::Payload, "room", (cursor, head), false);
}

/// The log up to `head`, as the session's task reads it.
fn catch_up(hub: &Hub, session: SessionId, head: i64) {
    assert_eq!(errand(hub, session), Poll::Ready(Errand::CatchUp));
    for (room, form, cursor) in hub.cursors(session) {
        let missed: Vec<_> = (cursor + 1..=head).map(|seq| event(room, seq)).collect();
        hub.replay(session, form, &missed);
    }
    hub.caught_up(session);
}

/// Ann's socket that listens to nothing.
fn visitor(hub: &Hub) -> (SessionId, Rc<Pipe>) {
    let pipe = Rc::new(Pipe::with_space(PLENTY));
    (hub.enter(pipe.clone(), Some(ANN)), pipe)
}

#[test]
fn what_was_missed_comes_from_the_log_and_then_live_once() {
    let hub = hub();
    let (session, pipe) = visitor(&hub);
    resume(&hub, session, 2, 5);
    // 4 and 5 are stored; they are published only now.
    publish(&hub, ROOM, 4..=5);
    hub.flush();
    assert_eq!(pipe.told(), []);
    catch_up(&hub, session, 5);
    publish(&hub, ROOM, 6..=6);
    hub.flush();
    assert_eq!((pipe.told(), hub.counters().lags), (payload(3..=6), 0));
}

#[test]
fn whoever_resumes_at_the_head_is_live_at_once() {
    let hub = hub();
    let (session, pipe) = visitor(&hub);
    resume(&hub, session, 5, 5);
    assert_eq!(errand(&hub, session), Poll::Pending);
    publish(&hub, ROOM, 6..=6);
    hub.flush();
    assert_eq!(pipe.told(), payload(6..=6));
}

#[test]
fn a_task_that_sleeps_is_woken_to_catch_up() {
    let hub = hub();
    let (session, _) = visitor(&hub);
    let alarm = Arc::new(Alarm::default());
    let waker = Waker::from(alarm.clone());
    assert_eq!(hub.poll_errand(session, &mut Context::from_waker(&waker)), Poll::Pending);
    resume(&hub, session, 0, 1);
    assert!(alarm.has_rung());
}

#[test]
fn resuming_again_begins_anew_after_what_was_published() {
    let hub = hub();
    let (session, pipe) = visitor(&hub);
    resume(&hub, session, 0, 0);
    publish(&hub, ROOM, 1..=2);
    resume(&hub, session, 1, 3);
    publish(&hub, ROOM, 3..=3);
    hub.flush();
    assert_eq!(pipe.told(), payload(1..=2));
    catch_up(&hub, session, 3);
    assert_eq!(pipe.told(), payload(2..=3));
    assert_eq!(hub.count_subscriptions(session), 1);
}

#[test]
fn a_socket_that_resumes_holds_up_its_other_rooms_and_misses_nothing_there() {
    let hub = hub();
    let (session, pipe) = listener(&hub, PLENTY, 0);
    hub.resume(session, OTHER, Form::Payload, "other", (3, 4), false);
    publish(&hub, ROOM, 1..=1);
    hub.flush();
    assert_eq!(pipe.told(), []);
    replay(&hub, session, 1..=1);
    hub.replay(session, Form::Payload, &[event(OTHER, 4)]);
    hub.caught_up(session);
    assert_eq!(pipe.told(), [Told::Event(Form::Group, ROOM, 1), Told::Event(Form::Payload, OTHER, 4)]);
}

#[test]
fn whoever_resumes_from_before_an_old_leaving_stays() {
    let hub = hub();
    // Ann left with event 4 and is back with 5. Both are stored when she resumes from 2, and
    // published after that.
    let (session, pipe) = visitor(&hub);
    resume(&hub, session, 2, 5);
    publish(&hub, ROOM, 4..=4);
    hub.unfollow(ANN.user, ROOM, 4);
    assert!(hub.is_subscribed(session, ROOM, Form::Payload));
    publish(&hub, ROOM, 5..=6);
    hub.flush();
    catch_up(&hub, session, 6);
    publish(&hub, ROOM, 7..=7);
    hub.unfollow(ANN.user, ROOM, 7);
    assert_eq!(pipe.told(), payload(3..=7));
    assert!(!hub.is_subscribed(session, ROOM, Form::Payload));
}
