//! Telling who comes, who goes, and who is typing. None of it is kept.

use crate::api::{App, room};
use crate::domain::{Author, Channel, RoomId, Time, Whisper, WhisperKind};
use crate::hub::{Audience, Being, Form, SessionId};
use std::{sync::Arc, time::Instant};

/// Tells the watchers who has come in this turn of the loop.
pub fn tell_arrivals(app: &App) {
    for (room, being) in app.hub.take_arrivals(Instant::now()) {
        tell(app, room, &being, WhisperKind::Arrived);
    }
}

/// Tells the watchers who is gone, their grace being over.
pub fn tell_departures(app: &App) {
    for (room, being) in app.hub.take_departures(Instant::now()) {
        tell(app, room, &being, WhisperKind::Departed);
    }
}

fn tell(app: &App, room: RoomId, being: &Being, kind: WhisperKind) {
    // In a crowd everybody would hear of everybody.
    if app.hub.listeners(room) as u64 > app.limits().people_present {
        return;
    }
    match room::name_of(app, being) {
        Ok(author) => {
            let Some((author, channel)) = author.zip(app.hub.channel(room)) else { return };
            let whisper = Whisper { room, channel, author, nickname: None, at: Time::now(), kind };
            app.hub.whisper(&whisper, Audience::Watchers(being));
        }
        Err(error) => log::error!("who came or went could not be told: {error}"),
    }
}

/// Something a socket lets a room see: where, and as whom.
pub struct Sign<'a> {
    /// The room.
    pub room: RoomId,
    /// The room's name on the wire.
    pub channel: &'a Channel,
    /// Who it is.
    pub author: Author,
    /// The name a chat page gave, where it is not the author's.
    pub nickname: Option<String>,
}

/// Tells a room that somebody types: the chat pages, and `everybody` else but the socket it came from.
pub fn typing(app: &App, from: SessionId, sign: Sign<'_>, words: Option<String>, everybody: bool) {
    let forms: &[Form] = if everybody { &[Form::Payload, Form::Path] } else { &[Form::Path] };
    whisper(app, sign, WhisperKind::Typing(words), Audience::Listeners(forms, Some(from)));
}

/// Tells the chat pages of a room that one of them was opened, or closed.
pub fn page(app: &App, sign: Sign<'_>, kind: WhisperKind) {
    whisper(app, sign, kind, Audience::Listeners(&[Form::Path], None));
}

fn whisper(app: &App, sign: Sign<'_>, kind: WhisperKind, audience: Audience<'_>) {
    let Sign { room, channel, author, nickname } = sign;
    let channel = Arc::from(channel.to_string());
    app.hub.whisper(&Whisper { room, channel, author, nickname, at: Time::now(), kind }, audience);
}
