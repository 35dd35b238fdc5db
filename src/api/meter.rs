//! What the socket door has counted since the start, for `/metrics`.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
};

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
    closes: RefCell<BTreeMap<u16, u64>>,
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

    /// Counts a socket that the server closed with this code.
    pub fn closed(&self, code: u16) {
        *self.closes.borrow_mut().entry(code).or_default() += 1;
    }

    /// The refusals by code.
    pub fn refusals(&self) -> Vec<(&'static str, u64)> {
        self.refusals.borrow().iter().map(|(code, count)| (*code, *count)).collect()
    }

    /// The closes by code.
    pub fn closes(&self) -> Vec<(u16, u64)> {
        self.closes.borrow().iter().map(|(code, count)| (*code, *count)).collect()
    }
}
