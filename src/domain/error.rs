//! What can go wrong, in the words of the person who asked.
//!
//! An error has a code (what kind of refusal it is), a sentence for the client, and for internal
//! trouble a cause that only the log sees. Which HTTP status a code becomes is decided in
//! `http/error.rs`, nowhere else.

use std::{borrow::Cow, fmt};

/// The result of nearly everything above the store.
pub type Result<T> = std::result::Result<T, Error>;

/// The kind of a refusal. Doors translate it once each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// The input is not acceptable; the message names the field.
    Invalid,
    /// Nobody is logged in, or the credentials do not hold.
    Unauthorized,
    /// Somebody is logged in who may not do this.
    Forbidden,
    /// There is no such thing, or the asker may not know that there is.
    NotFound,
    /// The same idempotency key came with another request.
    KeyReused,
    /// A signed request came with a counter that is not above the last.
    Counter {
        /// The last one.
        last: i64,
    },
    /// Too many requests; come back after so many seconds.
    TooMany {
        /// Seconds after which the same request will be accepted.
        retry_after_seconds: u32,
    },
    /// There are as many of these as there may be.
    Limit,
    /// The server cannot do this right now, though the request is fine.
    Unavailable,
    /// The disk is full; nothing was stored.
    Full,
    /// The storage reports errors, or can only be read.
    Failing,
    /// The database is damaged.
    Damaged,
    /// A fault of ours. The client sees a fixed sentence, the log has the cause.
    Internal,
}

/// A refusal or a fault.
#[derive(Clone, Debug)]
pub struct Error {
    /// What kind it is.
    pub code: Code,
    /// The sentence the client reads.
    pub message: Cow<'static, str>,
    /// What happened inside; for the log only.
    pub cause: Option<String>,
}

impl Error {
    /// An error of the given kind with a sentence for the client.
    pub fn new(code: Code, message: impl Into<Cow<'static, str>>) -> Error {
        Error { code, message: message.into(), cause: None }
    }

    /// Unacceptable input. The message begins with the field's name unless the contract fixes it.
    pub fn invalid(message: impl Into<Cow<'static, str>>) -> Error {
        Error::new(Code::Invalid, message)
    }

    /// Nobody is logged in. The contract's clients look for this very word.
    pub fn unauthorized() -> Error {
        Error::new(Code::Unauthorized, "Unauthorized")
    }

    /// Not allowed for this person.
    pub fn forbidden(message: impl Into<Cow<'static, str>>) -> Error {
        Error::new(Code::Forbidden, message)
    }

    /// No such thing, as far as this person may know.
    pub fn not_found(message: impl Into<Cow<'static, str>>) -> Error {
        Error::new(Code::NotFound, message)
    }

    /// The server is not able to right now.
    pub fn unavailable(message: impl Into<Cow<'static, str>>) -> Error {
        Error::new(Code::Unavailable, message)
    }

    /// A limit on requests was reached.
    pub fn too_many(retry_after_seconds: u32) -> Error {
        Error::new(Code::TooMany { retry_after_seconds }, "Too many requests, please wait a moment")
    }

    /// A fault of ours; `cause` goes to the log and never to the client.
    pub fn internal(cause: impl fmt::Display) -> Error {
        Error {
            code: Code::Internal,
            message: Cow::Borrowed("Something went wrong on the server"),
            cause: Some(cause.to_string()),
        }
    }

    /// The same error with a cause for the log.
    pub fn because(mut self, cause: impl fmt::Display) -> Error {
        self.cause = Some(cause.to_string());
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)?;
        match &self.cause {
            Some(cause) => write!(formatter, " ({cause})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Error {}
