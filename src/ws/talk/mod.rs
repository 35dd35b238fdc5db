//! What a socket's requests come to: each is read by its form, carried out, and answered in that form.
//!
//! What only looks or listens is done at once. What is to be stored is queued at once and answered when it is
//! on the disk, in the order of the requests. Here is what a socket remembers of its talk; bytes are the
//! session's business.

mod conversation;
mod identity;
mod scope;

use crate::api::message::{self, New};
use crate::api::meter::Meter;
use crate::api::presence::{self, Sign};
use crate::api::room::{self, Since, Who};
use crate::api::{App, notification, user};
use crate::domain::{Author, Channel, Code, Error, Purpose, Result, RoomId, UserId};
use crate::hub::{Ending, Form, SessionId};
use crate::ws::form::{self, Asked, Command, Id, Joining, Outcome, Read, Refusal, Words};
use crate::ws::rate::{Rate, Verdict};
use crate::ws::{Endpoint, Greeting, Page, close, frame};
use std::{
    any::Any,
    collections::VecDeque,
    pin::Pin,
    rc::Rc,
    time::{Duration, Instant},
};

/// How long a socket may keep silent before it is taken for one that waits to be greeted.
const FIRST_WORD: Duration = Duration::from_millis(150);

/// The least time between two signs that somebody types.
const TYPING_EVERY: Duration = Duration::from_secs(1);

/// What somebody without a login is called where no name was given.
const GUEST: &str = "Guest";

/// An answer that is not there yet; the frame, if there is to be one.
type Answer = Pin<Box<dyn Future<Output = Option<String>>>>;

/// Who comes to talk.
pub struct Visitor {
    /// What kind of clients come to its path.
    pub endpoint: Endpoint,
    /// What it is told first.
    pub greeting: Greeting,
    /// Whether it may talk without a login.
    pub guest: bool,
    /// Its place among those without a login, kept until it has one.
    pub anonymous_place: Option<Box<dyn Any>>,
}

/// A socket's talk.
pub struct Talk {
    app: Rc<App>,
    session: SessionId,
    endpoint: Endpoint,
    /// What it is told first.
    first: Greeting,
    /// There until the socket is somebody's.
    anonymous_place: Option<Box<dyn Any>>,
    /// The form that was spoken last: what nobody recognises is answered in its manner.
    manner: Form,
    /// Whether it may talk without a login.
    guest: bool,
    /// When it will be greeted, unless it speaks first.
    greeting: Option<Instant>,
    /// Where it listened last.
    channel: Option<Box<Channel>>,
    rate: Rate,
    answers: VecDeque<Answer>,
    typed: Option<(RoomId, Instant)>,
    /// Whether a chat page has come into its room.
    entered: bool,
}

impl Talk {
    /// The talk of a socket that is in the hub.
    pub fn new(app: Rc<App>, session: SessionId, visitor: Visitor) -> Talk {
        let Visitor { endpoint, greeting, guest, anonymous_place } = visitor;
        let manner = match (&endpoint, app.hub.owner(session)) {
            (Endpoint::Flat, _) => Form::Flat,
            (Endpoint::Page(_) | Endpoint::Echo, _) => Form::Path,
            // The diary's pages expect silence for whatever is not theirs.
            (Endpoint::Any, Some(owner)) if owner.follows => Form::Group,
            (Endpoint::Any, _) => Form::Payload,
        };
        let rate = Rate::new(app.limits().commands_per_second, app.limits().commands_burst);
        Talk {
            app,
            session,
            endpoint,
            first: greeting,
            anonymous_place,
            manner,
            guest,
            greeting: None,
            channel: None,
            rate,
            answers: VecDeque::new(),
            typed: None,
            entered: false,
        }
    }

    /// Carries out what a text asks for. The socket ends if there is an ending.
    fn carry_out_text(&mut self, text: &str) -> Option<Ending> {
        Meter::count(&self.app.meter.texts);
        // The diary's pages ask for all their groups in bursts. Everybody else is judged before their words are
        // looked at, which costs more than judging.
        let may_burst = text.contains("_group\"");
        if !may_burst {
            if let Some(outcome) = self.judge_rate() {
                return outcome;
            }
        }
        let read = form::read(&self.endpoint, text);
        let form = match &read {
            Read::Asked(asked) => asked.form,
            Read::Unknown(..) | Read::Garbage => self.manner,
        };
        if may_burst && form != Form::Group {
            if let Some(outcome) = self.judge_rate() {
                return outcome;
            }
        }
        if self.greeting.take().is_some() && form == Form::User {
            self.send_if_any(form::connected().ok());
        }
        match read {
            Read::Asked(asked) => {
                self.manner = form;
                self.carry_out(asked)
            }
            Read::Unknown(id, why) => {
                self.refuse(form, id.as_ref(), &Refusal::invalid(why));
                None
            }
            Read::Garbage => self.on_garbage(),
        }
    }

    /// Counts a request; what comes of it if it is dropped.
    fn judge_rate(&mut self) -> Option<Option<Ending>> {
        match self.rate.judge() {
            Verdict::Taken => None,
            Verdict::Dropped(tell) => {
                Meter::count(&self.app.meter.dropped);
                if tell {
                    self.refuse(self.manner, None, &Refusal::rate_limited());
                }
                Some(None)
            }
            Verdict::Enough => Some(Some(close::RATE_LIMIT)),
        }
    }

    /// Answers what is no text, or no JSON.
    fn on_garbage(&mut self) -> Option<Ending> {
        self.greeting = None;
        if self.manner == Form::Payload {
            return Some(close::INVALID_JSON);
        }
        self.refuse(self.manner, None, &Refusal::invalid("not JSON"));
        None
    }

    fn carry_out(&mut self, asked: Asked) -> Option<Ending> {
        let Asked { form, id, command } = asked;
        let command = match command {
            Ok(command) => command,
            Err(refusal) => {
                self.refuse(form, id.as_ref(), &refusal);
                return None;
            }
        };
        if let Err(error) = self.check_scope(&command) {
            // The forms of the diary's and of the chat pages are silent, refused or not.
            if !matches!(command, Command::Group(..) | Command::Page(_)) {
                self.settle(form, id.as_ref(), Err(error));
            }
            return None;
        }
        let outcome = match command {
            Command::Nothing => return None,
            Command::Group(joining, group) => {
                self.join_or_leave(joining, group);
                return None;
            }
            Command::Register(token) => return self.register(token.as_deref()),
            Command::Auth(token) => return self.log_in(id.as_ref(), &token),
            Command::Page(words) => return self.on_page(words),
            Command::Ping => Ok(Outcome::Pong),
            Command::Subscribe { channel, since, presence } => {
                self.subscribe(form, channel, since.as_ref(), presence)
            }
            Command::Unsubscribe(channel) => self.unsubscribe(form, channel),
            Command::Typing(channel) => self.typing(channel),
            Command::Say(channel, text) => {
                self.say(form, id, channel, text);
                return None;
            }
            Command::Edit(which, text) => {
                let channel = which.channel.clone();
                self.change(form, id, channel, move |app, me| {
                    let limits = app.limits().clone();
                    app.write(Purpose::EditMessage, move |tx| message::edit(tx, &limits, me, &which, &text))
                });
                return None;
            }
            Command::Delete(which) => {
                let channel = which.channel.clone();
                self.change(form, id, channel, move |app, me| {
                    let limits = app.limits().clone();
                    app.write(Purpose::DeleteMessage, move |tx| message::delete(tx, &limits, me, &which))
                });
                return None;
            }
            Command::Read(which) => {
                self.mark(form, id, which);
                return None;
            }
        };
        self.settle(form, id.as_ref(), outcome);
        None
    }

    fn who(&self) -> Who {
        match self.app.hub.owner(self.session) {
            Some(owner) => Who::Person(owner.user),
            None if self.guest => Who::Guest,
            None => Who::Nobody,
        }
    }

    fn me(&self) -> Result<UserId> {
        self.app.hub.owner(self.session).map(|owner| owner.user).ok_or_else(Error::unauthorized)
    }

    fn author(&self) -> Result<Author> {
        match self.who() {
            Who::Person(me) => user::person(self.app.db(), me).map(Author::Person),
            Who::Guest => Ok(Author::Guest(GUEST.to_owned())),
            Who::Nobody => Err(Error::unauthorized()),
        }
    }

    fn join_or_leave(&self, joining: Joining, group: crate::domain::GroupId) {
        let Ok(me) = self.me() else { return };
        let outcome = match joining {
            Joining::Join => room::join(&self.app, self.session, me, group),
            Joining::Leave => room::leave(&self.app, self.session, me, group),
        };
        // Refused or not, the form is silent.
        if let Err(error) = outcome {
            log_cause(&error);
        }
    }

    fn subscribe(
        &mut self,
        form: Form,
        channel: Channel,
        since: Option<&Since>,
        watches: bool,
    ) -> Result<Outcome> {
        let who = self.who();
        if who == Who::Guest {
            self.app.hub.set_nickname(self.session, GUEST);
        }
        let subscribed = room::subscribe(&self.app, self.session, &who, form, &channel, since, watches)?;
        if since.is_some() {
            let counter = match subscribed.replay {
                Some(_) => &self.app.meter.resumed,
                None => &self.app.meter.lost,
            };
            Meter::count(counter);
        }
        let members = watches.then(|| room::members(&self.app, subscribed.room)).transpose()?;
        self.channel = Some(Box::new(channel.clone()));
        Ok(Outcome::Subscribed(channel, subscribed, since.is_some(), members))
    }

    fn unsubscribe(&mut self, form: Form, channel: Channel) -> Result<Outcome> {
        self.channel.take_if(|last| **last == channel);
        match room::unsubscribe(&self.app, self.session, &self.who(), form, &channel) {
            // Whoever may not be there does not listen either.
            Ok(()) => Ok(Outcome::Done(channel)),
            Err(error) if error.code == Code::Forbidden => Ok(Outcome::Done(channel)),
            Err(error) => Err(error),
        }
    }

    fn typing(&mut self, channel: Channel) -> Result<Outcome> {
        let room = room::enter(self.app.db(), &self.who(), &channel)?;
        if self.may_type_again(room) {
            let sign = Sign { room, channel: &channel, author: self.author()?, nickname: None };
            presence::typing(&self.app, self.session, sign, None, true);
        }
        Ok(Outcome::Done(channel))
    }

    fn may_type_again(&mut self, room: RoomId) -> bool {
        let now = Instant::now();
        let again = self
            .typed
            .is_none_or(|(typed, at)| typed != room || now.saturating_duration_since(at) >= TYPING_EVERY);
        if again {
            self.typed = Some((room, now));
        }
        again
    }

    fn say(&mut self, form: Form, id: Option<Id>, channel: Option<Channel>, text: String) {
        let channel = channel.or_else(|| self.channel.as_deref().cloned());
        let Some(channel) = channel else {
            return self.refuse(form, id.as_ref(), &Refusal::invalid("channel: is required"));
        };
        let new = New {
            who: self.who(),
            guest: GUEST.to_owned(),
            channel: channel.clone(),
            text: Some(text),
            from_page: false,
            nickname: None,
            client_id: id.as_ref().map(|id| id.name().to_owned()),
        };
        let limits = self.app.limits().clone();
        let said = self.app.write(Purpose::Say, move |tx| message::say(tx, &limits, &new));
        self.await_outcome(form, id, async move { Ok(Outcome::Said(channel, said.await?)) });
    }

    fn change<F>(
        &mut self,
        form: Form,
        id: Option<Id>,
        channel: Channel,
        begin: impl FnOnce(&App, UserId) -> F,
    ) where
        F: Future<Output = Result<message::Changed>> + 'static,
    {
        match self.me() {
            Ok(me) => {
                let changed = begin(&self.app, me);
                self.await_outcome(form, id, async move { Ok(Outcome::Changed(channel, changed.await?)) });
            }
            Err(error) => self.settle(form, id.as_ref(), Err(error)),
        }
    }

    fn mark(&mut self, form: Form, id: Option<Id>, which: Option<i64>) {
        let me = match self.me() {
            Ok(me) => me,
            Err(error) => return self.settle(form, id.as_ref(), Err(error)),
        };
        let limits = self.app.limits().clone();
        let marked = self.app.write(Purpose::MarkRead, move |tx| match which {
            Some(number) => notification::mark(tx, &limits, me, number),
            None => notification::mark_all(tx, &limits, me),
        });
        self.await_outcome(form, id, async move { Ok(Outcome::Read(marked.await?)) });
    }

    /// What a chat page says: heard by everybody in the room, itself included, and never answered.
    fn on_page(&mut self, words: Words) -> Option<Ending> {
        let page = match self.endpoint.clone() {
            Endpoint::Page(page) => page,
            _ => {
                self.echo(&words);
                return None;
            }
        };
        let long =
            words.content.as_ref().is_some_and(|text| text.len() as u64 > self.app.limits().message_bytes);
        if long {
            return None;
        }
        if words.typing {
            let here = self.app.hub.is_subscribed(self.session, page.room, Form::Path);
            if here {
                // Chat pages hear every sign, the others one a second.
                let everybody = self.may_type_again(page.room);
                presence::typing(&self.app, self.session, sign(&page), words.content, everybody);
            }
            return None;
        }
        let new = New {
            who: self.who(),
            guest: page.author.name().to_owned(),
            channel: page.channel,
            text: words.content,
            from_page: true,
            nickname: page.nickname,
            client_id: None,
        };
        let limits = self.app.limits().clone();
        let said = self.app.write(Purpose::Say, move |tx| message::say(tx, &limits, &new));
        self.await_outcome(Form::Path, None, async move { said.await.map(|_| Outcome::Nothing) });
        None
    }

    fn echo(&mut self, words: &Words) {
        let me = self.me().and_then(|me| user::find(self.app.db(), me));
        let echo = me.and_then(|me| form::echo(me.email.as_deref().unwrap_or(&me.uid), words));
        match echo {
            Ok(json) => self.send(&json),
            Err(error) => log_cause(&error),
        }
    }

    fn await_outcome(
        &mut self,
        form: Form,
        id: Option<Id>,
        outcome: impl Future<Output = Result<Outcome>> + 'static,
    ) {
        let app = self.app.clone();
        self.answers.push_back(Box::pin(async move { json_of(&app, form, id.as_ref(), outcome.await) }));
    }

    fn settle(&mut self, form: Form, id: Option<&Id>, outcome: Result<Outcome>) {
        self.send_if_any(json_of(&self.app, form, id, outcome));
    }

    fn refuse(&self, form: Form, id: Option<&Id>, refusal: &Refusal) {
        self.app.meter.refused(refusal.code);
        self.send_if_any(form::refuse(form, id, refusal));
    }

    fn send_if_any(&self, json: Option<String>) {
        if let Some(json) = json {
            self.send(&json);
        }
    }

    fn send(&self, json: &str) {
        let mut bytes = Vec::with_capacity(json.len() + 10);
        frame::text(json, &mut bytes);
        self.app.hub.send(self.session, &bytes);
    }
}

/// The JSON to answer with, if there is to be an answer.
fn json_of(app: &App, form: Form, id: Option<&Id>, outcome: Result<Outcome>) -> Option<String> {
    match outcome {
        Ok(outcome) => form::answer(form, id, &outcome),
        Err(error) => {
            log_cause(&error);
            let refusal = Refusal::of(&error);
            app.meter.refused(refusal.code);
            form::refuse(form, id, &refusal)
        }
    }
}

/// What the client must not read is for the journal.
fn log_cause(error: &Error) {
    if error.cause.is_some() {
        log::error!("a socket's request failed: {error}");
    }
}

fn sign(page: &Page) -> Sign<'_> {
    Sign {
        room: page.room,
        channel: &page.channel,
        author: page.author.clone(),
        nickname: page.nickname.clone(),
    }
}
