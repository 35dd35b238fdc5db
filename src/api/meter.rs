//! What the socket door has counted since the start, for `/metrics`.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

/// Who closed a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// Its client.
    Client,
    /// The server.
    Server,
}

/// The counters. One for the process, on the loop's thread.
#[derive(Default)]
pub struct Meter {
    /// Texts that came from clients.
    pub texts: Cell<u64>,
    /// Requests that were dropped because there were too many.
    pub dropped: Cell<u64>,
    /// Subscriptions that were told everything they had missed.
    pub resumed: Cell<u64>,
    /// Subscriptions that have to load anew.
    pub lost: Cell<u64>,
    refusals: RefCell<BTreeMap<&'static str, u64>>,
    closes: RefCell<BTreeMap<(By, u16), u64>>,
}

impl Meter {
    /// Counts one more.
    pub fn count(counter: &Cell<u64>) {
        counter.set(counter.get() + 1);
    }

    /// Counts a refusal under its code.
    pub fn refused(&self, code: &'static str) {
        *self.refusals.borrow_mut().entry(code).or_default() += 1;
    }

    /// Counts a socket that was closed with this code. Codes that nobody knows are one.
    pub fn closed(&self, by: By, code: u16) {
        let code = if matches!(code, 1000..=1014) { code } else { 0 };
        *self.closes.borrow_mut().entry((by, code)).or_default() += 1;
    }

    /// The refusals by code.
    pub fn refusals(&self) -> Vec<(&'static str, u64)> {
        self.refusals.borrow().iter().map(|(code, count)| (*code, *count)).collect()
    }

    /// The closes by who closed, and code; 0 is any code that nobody knows.
    pub fn closes(&self) -> Vec<((By, u16), u64)> {
        self.closes.borrow().iter().map(|(close, count)| (*close, *count)).collect()
    }
}
