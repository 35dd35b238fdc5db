//! Who comes, who goes, and who only seems to.

use super::*;
use crate::hub::Being;
use crate::hub::presence::GRACE;

const BOB: Owner = Owner { user: UserId(2), token: TokenId(2), permits: None, follows: false };

/// A hub with a room that Ann watches, and a clock.
struct House {
    hub: Hub,
    now: Instant,
    ann: SessionId,
}

impl House {
    fn new() -> House {
        let hub = hub();
        let ann = hub.enter(Rc::new(Pipe::with_space(PLENTY)), Some(ANN));
        hub.resume(ann, ROOM, Form::Payload, "room", (0, 0), true);
        let house = House { hub, now: Instant::now(), ann };
        assert_eq!(house.arrivals(), [], "nobody was there to be told");
        house
    }

    fn enter(&self, owner: Option<Owner>) -> SessionId {
        self.hub.enter(Rc::new(Pipe::with_space(PLENTY)), owner)
    }

    /// Bob's socket in the room.
    fn bob(&self) -> SessionId {
        let session = self.enter(Some(BOB));
        self.hub.subscribe(session, ROOM, Form::Group, 0);
        session
    }

    fn guest(&self, name: &str) -> SessionId {
        let session = self.enter(None);
        self.hub.set_nickname(session, name);
        self.hub.subscribe(session, ROOM, Form::Path, 0);
        session
    }

    fn watch(&self, session: SessionId, watches: bool) {
        self.hub.resume(session, ROOM, Form::Payload, "room", (0, 0), watches);
    }

    /// Who arrived in this turn, which ends.
    fn arrivals(&self) -> Vec<Being> {
        beings(self.hub.take_arrivals(self.now))
    }

    /// Who is gone when so much time has passed.
    fn departures_after(&mut self, passed: Duration) -> Vec<Being> {
        assert_eq!(self.arrivals(), []);
        self.now += passed;
        beings(self.hub.take_departures(self.now))
    }

    fn present(&self) -> Vec<Being> {
        self.hub.present(ROOM)
    }
}

fn beings(told: Vec<(RoomId, Being)>) -> Vec<Being> {
    assert!(told.iter().all(|(room, _)| *room == ROOM));
    told.into_iter().map(|(_, being)| being).collect()
}

fn person(owner: Owner) -> Being {
    Being::Person(owner.user)
}

fn named(session: SessionId, name: &str) -> Being {
    Being::Guest(session, Rc::from(name))
}

const MOMENT: Duration = Duration::from_millis(1);

#[test]
fn coming_is_told_at_once_and_going_after_a_grace() {
    let mut house = House::new();
    let bob = house.bob();
    assert_eq!(house.arrivals(), [person(BOB)]);
    house.hub.leave(bob, true);
    assert_eq!(house.present(), [person(ANN), person(BOB)]);
    assert_eq!(house.departures_after(GRACE - MOMENT), []);
    assert_eq!(house.departures_after(MOMENT), [person(BOB)]);
    assert_eq!((house.present(), house.departures_after(GRACE)), (vec![person(ANN)], vec![]));
}

#[test]
fn who_is_back_within_the_grace_was_never_away() {
    let mut house = House::new();
    let bob = house.bob();
    house.arrivals();
    house.hub.unsubscribe(bob, ROOM, Form::Group);
    assert_eq!(house.departures_after(GRACE - MOMENT), []);
    house.bob();
    assert_eq!(house.departures_after(GRACE), []);
    // Also when the grace was over, and it was not told yet.
    house.hub.leave(bob, true);
    assert_eq!(house.departures_after(GRACE), [], "there is another socket");
}

#[test]
fn a_person_leaves_with_the_last_form_of_the_last_socket() {
    let mut house = House::new();
    let (phone, tablet) = (house.bob(), house.bob());
    assert_eq!(house.arrivals(), [person(BOB)], "once");
    house.hub.subscribe(tablet, ROOM, Form::Flat, 0);
    house.hub.leave(phone, false);
    house.hub.unsubscribe(tablet, ROOM, Form::Group);
    assert_eq!(house.departures_after(GRACE), []);
    house.hub.unsubscribe(tablet, ROOM, Form::Flat);
    assert_eq!(house.departures_after(GRACE), [person(BOB)]);
}

#[test]
fn guests_of_one_name_are_each_there() {
    let mut house = House::new();
    let (one, two) = (house.guest("Eve"), house.guest("Eve"));
    assert_eq!(house.arrivals(), [named(one, "Eve"), named(two, "Eve")]);
    house.hub.leave(one, true);
    assert_eq!(house.departures_after(GRACE), [named(one, "Eve")]);
}

#[test]
fn each_grace_begins_with_the_end_of_its_own_turn() {
    let mut house = House::new();
    let (bob, eve) = (house.bob(), house.guest("Eve"));
    house.arrivals();
    house.hub.leave(bob, true);
    assert_eq!(house.departures_after(MOMENT), []);
    house.hub.leave(eve, true);
    assert_eq!(house.departures_after(GRACE - MOMENT), [person(BOB)]);
    assert_eq!(house.departures_after(MOMENT), [named(eve, "Eve")]);
}

#[test]
fn whoever_waits_for_a_departure_is_woken_by_it() {
    let house = House::new();
    let bob = house.bob();
    house.arrivals();
    let alarm = Arc::new(Alarm::default());
    let waker = Waker::from(alarm.clone());
    let mut context = Context::from_waker(&waker);
    assert_eq!(house.hub.poll_departure(&mut context), Poll::Pending);
    house.arrivals();
    assert!(!alarm.has_rung(), "nobody left");
    house.hub.leave(bob, true);
    house.arrivals();
    assert!(alarm.has_rung());
    assert_eq!(house.hub.poll_departure(&mut context), Poll::Ready(house.now + GRACE));
}

#[test]
fn a_dissolved_room_is_left_by_nobody() {
    let mut house = House::new();
    let bob = house.bob();
    house.arrivals();
    house.hub.leave(bob, true);
    house.guest("Eve");
    house.hub.dissolve(ROOM);
    assert_eq!((house.departures_after(GRACE), house.present()), (vec![], vec![]));
}

#[test]
fn a_room_that_empties_is_left_by_nobody() {
    let mut house = House::new();
    let bob = house.bob();
    house.arrivals();
    house.hub.leave(bob, true);
    house.hub.leave(house.ann, true);
    house.bob();
    assert_eq!(house.departures_after(GRACE), []);
}

#[test]
fn who_resumes_neither_comes_nor_goes() {
    let mut house = House::new();
    let bob = house.enter(Some(BOB));
    house.watch(bob, true);
    assert_eq!(house.arrivals(), [person(BOB)]);
    house.watch(bob, false);
    house.watch(house.ann, true);
    assert_eq!(house.departures_after(GRACE), []);
}

#[test]
fn who_resumes_alone_still_hears_who_left_before() {
    let mut house = House::new();
    let bob = house.bob();
    house.arrivals();
    house.hub.leave(bob, true);
    house.watch(house.ann, true);
    assert_eq!(house.present(), [person(ANN), person(BOB)]);
    assert_eq!(house.departures_after(GRACE), [person(BOB)]);
}

#[test]
fn who_is_back_while_nobody_watches_is_not_told_to_be_gone() {
    let mut house = House::new();
    let eve = house.guest("Eve");
    let bob = house.bob();
    house.arrivals();
    house.hub.leave(bob, true);
    assert_eq!(house.departures_after(MOMENT), []);
    // Nobody watches while Bob comes back, and then somebody does again.
    house.hub.unsubscribe(house.ann, ROOM, Form::Payload);
    house.bob();
    house.watch(house.ann, true);
    assert_eq!(house.present().len(), 3, "Ann, Bob and {eve:?}");
    assert_eq!(house.arrivals(), [], "Ann has just been told who is there");
    assert_eq!(house.departures_after(GRACE), []);
}

#[test]
fn a_guest_who_logs_in_goes_and_a_person_comes() {
    let mut house = House::new();
    let guest = house.guest("Guest");
    house.hub.subscribe(guest, ROOM, Form::Payload, 0);
    assert_eq!(house.arrivals(), [named(guest, "Guest")]);
    house.hub.set_owner(guest, BOB);
    assert_eq!(house.arrivals(), [person(BOB)]);
    assert_eq!(house.departures_after(GRACE), [named(guest, "Guest")]);
    // Another login of the same person changes nothing.
    house.hub.set_owner(guest, Owner { token: TokenId(9), ..BOB });
    assert_eq!(house.departures_after(GRACE), []);
    house.hub.leave(guest, true);
    assert_eq!(house.departures_after(GRACE), [person(BOB)]);
}
