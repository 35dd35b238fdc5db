//! Whose socket it is: registering for notifications, and logging in by the first message.

use super::{Talk, log_cause};
use crate::api::{device, room, token, user};
use crate::domain::{Code, RoomId};
use crate::hub::{Ending, Form, Owner, Registration};
use crate::ws::close;
use crate::ws::form::{self, Id, Outcome, Refusal};

impl Talk {
    pub(super) fn register(&mut self, token: Option<&str>) -> Option<Ending> {
        let before = self.app.hub.registration(self.session);
        let limits = self.app.limits();
        let (all, _) = self.app.hub.count_registered(None);
        if before == Registration::None && all >= limits.registered_sockets {
            return self.refuse_registration("CONNECTION_LIMIT_TOTAL_EXCEEDED");
        }
        let Some(token) = token else {
            if before == Registration::None {
                self.app.hub.register(self.session, Registration::Anonymous, 0);
            }
            return None;
        };
        // An inbox is nothing for a device.
        let me = token::recognise_text(&self.app, token).and_then(|me| match me.token.permits {
            None => Ok(me),
            Some(permits) => device::check_permit(permits, None).map(|()| me),
        });
        let me = match me {
            Ok(me) => me,
            Err(error) => {
                log_cause(&error);
                if before == Registration::None {
                    self.app.hub.register(self.session, Registration::Anonymous, 0);
                }
                self.app.failed_logins.set(self.app.failed_logins.get() + 1);
                let refusal = if error.code == Code::Unauthorized {
                    Refusal::invalid_token()
                } else {
                    Refusal::of(&error)
                };
                self.refuse(Form::User, None, &refusal);
                return None;
            }
        };
        let again = matches!(before, Registration::As(user, _) if user == me.user);
        let (_, mine) = self.app.hub.count_registered(Some(me.user));
        if !again && mine >= limits.registered_sockets_per_user {
            return self.refuse_registration("CONNECTION_LIMIT_PER_USER_EXCEEDED");
        }
        let inbox = RoomId::inbox(me.user);
        match room::head(&self.app, inbox) {
            Ok(head) => {
                self.app.hub.register(self.session, Registration::As(me.user, me.token.id), head);
                self.send_if_any(form::registered(me.user).ok());
            }
            Err(error) => self.refuse(Form::User, None, &Refusal::of(&error)),
        }
        None
    }

    fn refuse_registration(&mut self, code: &'static str) -> Option<Ending> {
        self.refuse(Form::User, None, &Refusal { code, message: "too many connections".to_owned() });
        Some(close::TOO_MANY_REGISTERED)
    }

    pub(super) fn log_in(&mut self, id: Option<&Id>, text: &str) -> Option<Ending> {
        let me = match token::recognise_text(&self.app, text) {
            Ok(me) => me,
            Err(error) if error.code == Code::Unauthorized => {
                self.app.failed_logins.set(self.app.failed_logins.get() + 1);
                self.refuse(Form::Payload, id, &Refusal::invalid_token());
                return Some(close::UNAUTHORIZED);
            }
            Err(error) => {
                self.settle(Form::Payload, id, Err(error));
                return None;
            }
        };
        let before = self.app.hub.owner(self.session);
        if before.is_some_and(|owner| owner.user != me.user) {
            let refusal = Refusal::invalid("auth: this socket is somebody else's, open another one");
            self.refuse(Form::Payload, id, &refusal);
            return None;
        }
        if me.token.permits.is_some() && before.is_some_and(|owner| owner.token != me.token.id) {
            // It would keep what the other login listened to, and outlive it.
            let refusal = Refusal::invalid("auth: this socket has another login, open another one");
            self.refuse(Form::Payload, id, &refusal);
            return None;
        }
        if before.is_none() && self.app.hub.count_sockets(me.user) >= self.app.limits().sockets_per_user {
            let refusal = Refusal { code: "LIMIT", message: "too many sockets of one person".to_owned() };
            self.refuse(Form::Payload, id, &refusal);
            return Some(close::TOO_MANY_SOCKETS);
        }
        let follows = before.is_some_and(|owner| owner.follows);
        self.app.hub.set_owner(
            self.session,
            Owner { user: me.user, token: me.token.id, permits: me.token.permits, follows },
        );
        let outcome = user::person(self.app.db(), me.user).map(|person| Outcome::LoggedIn(person.uid));
        self.settle(Form::Payload, id, outcome);
        None
    }
}
