//! Errors as answers. Codes become statuses here and nowhere else.

use crate::domain::{Code, Error};
use crate::http::body::BodyError;
use crate::http::message::{Refusal, Response};

/// What a handler returns.
pub type Result<T> = std::result::Result<T, Failure>;

/// A refusal on its way to the client.
#[derive(Debug)]
pub struct Failure {
    status: u16,
    message: String,
    code: Option<&'static str>,
    retry_after: Option<u32>,
    /// The last counter that a device used for signing, and what proves it.
    counter: Option<Box<(i64, String)>>,
    allow: Option<String>,
    cause: Option<String>,
    /// Whether the client's cookie is good for nothing and should go.
    pub clear_cookie: bool,
}

impl Failure {
    /// A refusal with this status and sentence.
    pub fn new(status: u16, message: impl Into<String>) -> Failure {
        Failure {
            status,
            message: message.into(),
            code: None,
            retry_after: None,
            counter: None,
            allow: None,
            cause: None,
            clear_cookie: false,
        }
    }

    /// A path that exists, but not for this method.
    pub fn method_not_allowed(allow: String) -> Failure {
        Failure { allow: Some(allow), ..Failure::new(405, "Method not allowed") }
    }

    /// Adds what proves a counter to whoever signed the request.
    pub fn proven(mut self, prove: impl FnOnce(i64) -> String) -> Failure {
        self.counter = self.counter.map(|counter| Box::new((counter.0, prove(counter.0))));
        self
    }

    /// The answer. What the client must not read goes to the log, under the same request id.
    pub fn into_response(self, request_id: &str) -> Response {
        if let Some(cause) = &self.cause {
            log::warn!("request {request_id}: {}: {cause}", self.message);
        }
        let mut body = serde_json::json!({ "message": self.message, "requestId": request_id });
        if let Some(code) = self.code {
            body["code"] = code.into();
            body["status"] = self.status.into();
        }
        if let Some((last, proof)) = self.counter.map(|counter| *counter) {
            body["counter"] = last.into();
            body["proof"] = proof.into();
        }
        let mut response = Response::json(self.status, body.to_string());
        if let Some(seconds) = self.retry_after {
            response = response.with("retry-after", seconds.to_string());
        }
        if let Some(allow) = self.allow {
            response = response.with("allow", allow);
        }
        response
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        let status = match error.code {
            Code::Invalid => 400,
            Code::Unauthorized => 401,
            Code::Forbidden | Code::Limit => 403,
            Code::NotFound => 404,
            Code::Counter { .. } => 409,
            Code::KeyReused => 422,
            Code::TooMany { .. } => 429,
            Code::Internal => 500,
            Code::Unavailable | Code::Failing | Code::Damaged => 503,
            Code::Full => 507,
        };
        let retry_after = match error.code {
            Code::TooMany { retry_after_seconds } => Some(retry_after_seconds),
            Code::Unavailable => Some(1),
            // So long as it takes until the storage is tried again, more or less.
            Code::Failing => Some(10),
            _ => None,
        };
        // The proof is the caller's to add.
        let counter = match error.code {
            Code::Counter { last } => Some(Box::new((last, String::new()))),
            _ => None,
        };
        let code = matches!(error.code, Code::TooMany { .. }).then_some("RATE_LIMIT_EXCEEDED");
        Failure { retry_after, counter, code, cause: error.cause, ..Failure::new(status, error.message) }
    }
}

impl From<BodyError> for Failure {
    fn from(error: BodyError) -> Failure {
        Failure::new(error.status, error.message)
    }
}

impl From<Refusal> for Failure {
    fn from(refusal: Refusal) -> Failure {
        Failure::new(refusal.status, refusal.message)
    }
}
