//! The talk as the session knows it: from the first word to the last.

use super::{FIRST_WORD, Talk, sign};
use crate::api::meter::By;
use crate::api::room::{self, Progress};
use crate::api::{presence, token, user};
use crate::domain::{Author, Result, WhisperKind};
use crate::domain::{id::random, token::base64url};
use crate::hub::{Ending, Form, Hub, Registration};
use crate::ws::form::{self, Hello};
use crate::ws::session::Conversation;
use crate::ws::{Endpoint, Greeting, close};
use std::{
    borrow::Cow,
    collections::VecDeque,
    task::{Context, Poll},
    time::Instant,
};

impl Conversation for Talk {
    fn hub(&self) -> &Hub {
        &self.app.hub
    }

    fn most(&mut self) -> u64 {
        if self.anonymous_place.is_some() && self.is_somebodys() {
            self.anonymous_place = None;
        }
        let limits = self.app.limits();
        match self.anonymous_place {
            None => limits.frame_bytes,
            Some(_) => limits.anonymous_frame_bytes.min(limits.frame_bytes),
        }
    }

    fn frames(&self) -> (u64, u64) {
        (self.app.limits().frames_per_second, self.app.limits().frames_burst)
    }

    fn begin(&mut self) -> Result<Option<Ending>> {
        if let Some(owner) = self.app.hub.owner(self.session) {
            if !token::is_good(&self.app, owner.token)? {
                return Ok(Some(close::LOGGED_OUT));
            }
            if owner.follows {
                room::join_all(&self.app, self.session, owner.user)?;
            }
        }
        self.say_first()?;
        Ok(None)
    }

    fn on_text(&mut self, text: &str) -> Option<Ending> {
        self.carry_out_text(text)
    }

    // Some servers took text in either kind of frame, and their clients rely on it.
    fn on_binary(&mut self, bytes: &[u8]) -> Option<Ending> {
        match std::str::from_utf8(bytes) {
            Ok(text) => self.carry_out_text(text),
            Err(_) => self.on_garbage(),
        }
    }

    /// Whether too many requests wait for the disk to read another.
    fn is_full(&self) -> bool {
        self.answers.len() as u64 >= self.app.limits().commands_waiting
    }

    fn poll_answers(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(answer) = self.answers.front_mut() else { return Poll::Pending };
        let Poll::Ready(answer) = answer.as_mut().poll(context) else { return Poll::Pending };
        self.answers.pop_front();
        if self.answers.is_empty() {
            self.answers = VecDeque::new();
        }
        self.send_if_any(answer);
        Poll::Ready(())
    }

    fn greeting_due(&self) -> Option<Instant> {
        self.greeting
    }

    fn greet(&mut self) {
        if self.greeting.take().is_some() {
            self.send_if_any(form::connected().ok());
        }
    }

    fn catch_up(&mut self) -> Result<Progress> {
        let progress = room::catch_up(&self.app, self.session)?;
        if let Progress::Done = progress {
            self.tell_missed_presence()?;
        }
        Ok(progress)
    }

    fn farewell(&self, code: u16, reason: &'static str) -> (u16, Cow<'static, str>) {
        match self.first {
            // Only these clients are known to read it.
            Greeting::Native if Ending::Close(code, reason) == close::GOING_AWAY => {
                let (slot, open) = (self.app.hub.slot(self.session), self.app.hub.counters().open);
                (close::RESTART, close::come_back_in(slot, open).into())
            }
            _ => (code, reason.into()),
        }
    }

    fn on_close(&mut self, by: By, code: u16) {
        self.app.meter.closed(by, code);
    }

    fn end(&mut self) {
        let Endpoint::Page(page) = &self.endpoint else { return };
        if self.entered {
            self.app.hub.unsubscribe(self.session, page.room, Form::Path);
            presence::page(&self.app, sign(page), WhisperKind::PageClosed);
        }
    }
}

impl Talk {
    /// Says what there is to say before the first request, and lets a chat page into its room.
    fn say_first(&mut self) -> Result<()> {
        let owner = self.app.hub.owner(self.session);
        let uid = owner.map(|owner| user::find(self.app.db(), owner.user)).transpose()?.map(|user| user.uid);
        match self.first {
            Greeting::None => {}
            Greeting::Native => {
                let hello = Hello {
                    v: 1,
                    conn: &base64url(&random::<12>()),
                    user_id: uid.as_deref(),
                    heartbeat: self.app.limits().ping_every_seconds,
                    max_payload: self.most(),
                };
                self.send(&form::hello(&hello)?);
            }
            Greeting::Flat => self.send(&form::greeting(uid.as_deref())),
            Greeting::FirstWord => self.greeting = Some(Instant::now() + FIRST_WORD),
        }
        if let Endpoint::Page(page) = self.endpoint.clone() {
            if let Author::Guest(name) = &page.author {
                self.app.hub.set_nickname(self.session, name);
            }
            room::subscribe(&self.app, self.session, &self.who(), Form::Path, &page.channel, None, false)?;
            self.entered = true;
            presence::page(&self.app, sign(&page), WhisperKind::PageOpened);
        }
        Ok(())
    }

    /// Whether the socket has a login by now, or has registered with one.
    fn is_somebodys(&self) -> bool {
        self.app.hub.owner(self.session).is_some()
            || matches!(self.app.hub.registration(self.session), Registration::As(..))
    }

    /// Says anew who is there, in the channels whose comings and goings the socket missed while it was behind.
    fn tell_missed_presence(&self) -> Result<()> {
        for room in self.app.hub.take_missed_presence(self.session) {
            let Some(channel) = self.app.hub.channel(room) else { continue };
            self.send(&form::members(&channel, &room::members(&self.app, room)?)?);
        }
        Ok(())
    }
}
