//! What happens in rooms: their logs, who is a member, and what is published and whispered.
//!
//! Not here: what a single socket asks for (`sockets`).

use super::peer::Murmur;
use super::pipe::{self, WHISPER_LENGTH, can_whisper};
use super::*;
use crate::domain::WhisperKind;

/// A room's log, as numbers.
#[derive(Default)]
pub(super) struct Log {
    pub(super) head: i64,
    pub(super) published: i64,
    /// Events up to here were trimmed.
    pub(super) floor: i64,
    /// The events with which somebody joined (`true`) or left.
    pub(super) moves: Vec<(i64, UserId, bool)>,
    strangers: Vec<UserId>,
}

impl Log {
    pub(super) fn join(&mut self, user: UserId) {
        if let Some(position) = self.strangers.iter().position(|stranger| *stranger == user) {
            self.strangers.swap_remove(position);
            self.head += 1;
            self.moves.push((self.head, user, true));
        }
    }

    pub(super) fn leave(&mut self, user: UserId) {
        if self.is_member(user) {
            self.strangers.push(user);
            self.head += 1;
            self.moves.push((self.head, user, false));
        }
    }

    pub(super) fn is_member(&self, user: UserId) -> bool {
        !self.strangers.contains(&user)
    }

    /// Retention keeps the newest, so a log never looks empty to someone who missed something.
    pub(super) fn trim(&mut self, kept: i64) {
        self.floor = self.floor.max(self.head - kept);
    }

    /// With which of these events somebody leaves, after `since`.
    pub(super) fn leaving(
        &self,
        user: Option<UserId>,
        since: i64,
        range: std::ops::RangeInclusive<i64>,
    ) -> Option<i64> {
        let leaving = |(seq, who, joins): &&(i64, UserId, bool)| {
            !joins && Some(*who) == user && *seq > since && range.contains(seq)
        };
        self.moves.iter().find(leaving).map(|(seq, ..)| *seq)
    }
}

impl World {
    /// Publishes the next event, and carries out what it says, as `api` does.
    pub(super) fn publish(&mut self, room: usize) {
        let log = &mut self.logs[room];
        if log.published == log.head {
            return;
        }
        log.published += 1;
        let seq = log.published;
        let moved = log.moves.iter().find(|(at, ..)| *at == seq).copied();
        self.hub.publish(&event(room_id(room), seq));
        let lengths = Form::ALL.into_iter().map(|form| length_of(form, room_id(room), seq));
        self.batch[room] += lengths.max().unwrap_or_default();
        self.largest = self.largest.max(self.batch[room]);
        match moved {
            Some((_, user, true)) => self.follow(user, room, seq),
            Some((_, user, false)) => self.unfollow(user, room, seq),
            None => {}
        }
    }

    pub(super) fn flush(&mut self) {
        for (room, batch) in self.batch.iter().enumerate() {
            self.touched[room] |= *batch > 0;
        }
        self.hub.flush();
        self.batch = [0; ROOMS];
    }

    fn follow(&mut self, user: UserId, room: usize, seq: i64) {
        self.note(|| format!("  {user:?} joins with {seq}"));
        self.touched[room] = true;
        self.hub.follow(user, room_id(room), seq);
        for who in 0..self.sockets.len() {
            if self.sockets[who].owner.is_some_and(|owner| owner.user == user && owner.follows) {
                self.open_ear(who, room, Form::Group, seq);
            }
        }
        self.note_people();
    }

    fn unfollow(&mut self, user: UserId, room: usize, seq: i64) {
        self.note(|| format!("  {user:?} leaves with {seq}"));
        self.touched[room] = true;
        self.hub.unfollow(user, room_id(room), seq);
        for who in 0..self.sockets.len() {
            if self.sockets[who].owner.is_some_and(|owner| owner.user == user) {
                self.silence(who, room, seq);
            }
        }
        self.note_people();
    }

    pub(super) fn dissolve(&mut self, room: usize) {
        self.touched[room] = true;
        self.publish(room);
        self.hub.dissolve(room_id(room));
        (0..self.sockets.len()).for_each(|who| self.silence(who, room, i64::MAX));
        self.note_people();
    }

    /// The server took a room from a socket, where it listened since before `seq`: what was published
    /// until then must have been told, or the socket must end, so that its person loads anew.
    fn silence(&mut self, who: usize, room: usize, seq: i64) {
        let published = self.logs[room].published;
        let socket = &mut self.sockets[who];
        let mut lost = Vec::new();
        lost.extend(socket.open_ears_in(room).filter(|ear| ear.since < seq).map(|ear| ear.form));
        if lost.is_empty() {
            return;
        }
        socket.notice_failure(&self.hub);
        if self.hub.state.borrow().sessions[socket.id.0].lagging {
            socket.ending.get_or_insert(Ending::TooSlow);
        }
        let must = if socket.ending.is_none() { published } else { 0 };
        self.done.silenced += lost.len() as u64;
        lost.into_iter().for_each(|form| self.close_ear(who, room, form, must));
    }

    /// Whispers something to somebody, and notes who has to hear it.
    pub(super) fn whisper(&mut self, room: usize) {
        self.touched[room] = true;
        self.whispered += 1;
        let kinds = [WhisperKind::Typing(None), WhisperKind::PageOpened, WhisperKind::Arrived];
        let kind = kinds[self.dice.below(3)].clone();
        let from = match self.sockets.len() {
            0 => None,
            count => Some(self.dice.below(count)),
        };
        let forms: &[Form] =
            self.dice.pick(&[&[Form::Payload, Form::Path][..], &[Form::Path][..], &Form::ALL[..]]);
        let about = from.and_then(|who| self.sockets[who].being()).filter(|_| self.dice.chance(60));
        let whisper = pipe::whisper(room_id(room), self.whispered, kind);
        let audience = match &about {
            Some(about) => Audience::Watchers(about),
            None => Audience::Listeners(forms, from.map(|who| self.sockets[who].id)),
        };
        let waited: Vec<usize> = self.sockets.iter().map(|socket| socket.waiting(&self.hub)).collect();
        self.hub.whisper(&whisper, audience);
        self.note(|| format!("  {}: {:?} to {audience:?}", self.whispered, whisper.kind));
        for (who, waited) in waited.into_iter().enumerate() {
            let is_from = from == Some(who);
            let is_about = about.is_some() && self.sockets[who].being() == about;
            let hears = |ear: &peer::Ear| {
                let meant = match about {
                    Some(_) => ear.watches && !is_about,
                    None => forms.contains(&ear.form) && !(is_from && ear.form == Form::Payload),
                };
                meant && can_whisper(ear.form, &whisper.kind)
            };
            let mut ears: Vec<Form> =
                self.sockets[who].open_ears_in(room).filter(|ear| hears(ear)).map(|ear| ear.form).collect();
            ears.sort_by_key(|form| *form as usize);
            self.expect_murmurs(who, room, ears, waited);
        }
    }

    /// A socket is to hear the newest whisper in these forms, unless it is behind, has an end or takes too little;
    /// `waited` is what waited for it before.
    fn expect_murmurs(&mut self, who: usize, room: usize, forms: Vec<Form>, waited: usize) {
        let (number, log) = (self.whispered, &self.logs[room]);
        let (published, head) = (log.published, log.head);
        let socket = &mut self.sockets[who];
        let waits = socket.waiting(&self.hub);
        let lagging = self.hub.state.borrow().sessions[socket.id.0].lagging;
        if lagging || socket.ending.is_some() || waited > self.outbox_bytes {
            return;
        }
        // Less than that waited whenever the hub looked, unless it is more now.
        let must = waits <= self.outbox_bytes && !socket.pipe.broken.get();
        for form in forms {
            socket.murmurs.push_back(Murmur { number, form, room: room_id(room), must, published, head });
            socket.allowance.1 += WHISPER_LENGTH;
            if must {
                socket.allowance.0 += WHISPER_LENGTH;
                self.counters.whispers += 1;
            } else {
                self.slack.whispers += 1;
            }
        }
    }

    // Who comes and goes.

    /// Ends a turn, as `api` does.
    pub(super) fn end_turn(&mut self) {
        self.flush();
        self.note_people();
        self.done.arrivals += self.people.end_turn(&self.hub, self.dice.below(2500) as u64);
        self.people.compare(&self.hub);
    }

    pub(super) fn tell_departures(&mut self) {
        self.note_people();
        self.done.departures += self.people.tell_departures(&self.hub, self.dice.below(6000) as u64);
        self.people.compare(&self.hub);
    }

    /// Looks at who is where, and tells the model of people what has changed.
    pub(super) fn note_people(&mut self) {
        let moved = std::mem::take(&mut self.moved);
        if moved.contains(&true) {
            self.people.look(&self.sockets, moved);
        }
    }
}
