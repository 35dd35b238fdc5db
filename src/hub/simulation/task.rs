//! What a socket's task does, as `ws/session.rs` has it.
//!
//! Not here: what makes it do so (`mod.rs`).

use super::*;
use std::task::Waker;

impl World {
    pub(super) fn run(&mut self, who: usize) {
        let socket = &mut self.sockets[who];
        let writable = socket.pipe.space.get() > 0 || socket.pipe.broken.get();
        match socket.phase {
            Phase::Serving => {
                socket.alarm.set();
                let waker = Waker::from(socket.alarm.clone());
                let errand = self.hub.poll_errand(socket.id, &mut Context::from_waker(&waker));
                let name = socket.name;
                socket.asleep = None;
                match errand {
                    Poll::Pending => socket.asleep = Some(errand),
                    Poll::Ready(Errand::Pump) if !writable => socket.asleep = Some(errand),
                    Poll::Ready(Errand::Pump) if self.hub.pump(socket.id).is_err() => self.leave(who, false),
                    Poll::Ready(Errand::Pump) => {}
                    Poll::Ready(Errand::CatchUp) => self.catch_up(who),
                    Poll::Ready(Errand::End(ending)) => self.part(who, ending),
                }
                self.note(|| format!("  socket {name}: {errand:?}"));
            }
            Phase::Parting => self.send_the_rest(who),
            Phase::Finished => self.leave(who, true),
        }
    }

    /// The same as `api::room::catch_up`, from the model's log.
    fn catch_up(&mut self, who: usize) {
        let id = self.sockets[who].id;
        let person = self.sockets[who].owner.map(|owner| owner.user);
        for (room, form, cursor) in self.hub.cursors(id) {
            let log = &self.logs[index(room)];
            let from = cursor.max(log.floor) + 1;
            let to = log.head.min(from + self.piece as i64 - 1);
            if to < from {
                continue;
            }
            if from != cursor + 1 {
                return self.part(who, TOO_LATE);
            }
            let since = self.hub.since(id, room, form).expect("it listens there");
            let leaving = log.leaving(person, since, from..=to);
            let events: Vec<Event> = (from..=leaving.unwrap_or(to)).map(|seq| event(room, seq)).collect();
            let bytes = events.iter().map(|event| length_of(form, room, event.seq)).sum();
            self.largest = self.largest.max(bytes);
            let told = self.hub.replay(id, form, &events);
            if let Some(leaving) = leaving.filter(|_| told == events.len()) {
                self.hub.unsubscribe(id, room, form);
                let cursor = self.sockets[who].was.forget(room, form).unwrap_or(leaving);
                self.counters.deliveries += (leaving - cursor) as u64;
                let broken = self.sockets[who].pipe.broken.get();
                self.close_ear(who, index(room), form, if broken { 0 } else { leaving });
                self.note_people();
            }
            if told < events.len() || events.len() == self.piece || !self.hub.has_taken_all(id) {
                return;
            }
        }
        self.hub.caught_up(id);
    }

    pub(super) fn part(&mut self, who: usize, ending: Ending) {
        let socket = &mut self.sockets[who];
        if ending == Ending::Gone {
            return self.leave(who, false);
        }
        self.hub.farewell(socket.id, &farewell());
        socket.ending.get_or_insert(Ending::Gone);
        socket.phase = Phase::Parting;
        socket.asleep = None;
        self.send_the_rest(who);
    }

    fn send_the_rest(&mut self, who: usize) {
        let socket = &mut self.sockets[who];
        match self.hub.pump(socket.id) {
            Ok(true) => {
                socket.read();
                assert!(socket.farewell, "the last frame did not arrive");
                socket.assert_complete();
                // As a socket whose sending side is closed.
                socket.pipe.broken.set(true);
                socket.phase = Phase::Finished;
            }
            Ok(false) => {}
            Err(_) => self.leave(who, false),
        }
    }
}
