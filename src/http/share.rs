//! Things that are going on, counted for as long as they last.
//!
//! Who decides how many there may be asks the counters; these only keep them true, also when a task
//! ends in the middle.

use crate::http::Server;
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    hash::Hash,
    rc::Rc,
};

/// One of many.
pub struct Counted {
    server: Rc<Server>,
    counter: fn(&Server) -> &Cell<u64>,
}

impl Counted {
    /// Counts until it is dropped.
    pub fn begin(server: &Rc<Server>, counter: fn(&Server) -> &Cell<u64>) -> Counted {
        counter(server).set(counter(server).get() + 1);
        Counted { server: server.clone(), counter }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        let counter = (self.counter)(&self.server);
        counter.set(counter.get() - 1);
    }
}

/// How many each has. Nobody with none is in it.
pub type Shares<K> = RefCell<HashMap<K, u64>>;

/// One of many, of which each may have a number.
pub struct Share<K: Copy + Eq + Hash> {
    server: Rc<Server>,
    key: K,
    shares: fn(&Server) -> &Shares<K>,
}

impl<K: Copy + Eq + Hash> Share<K> {
    /// Takes one until it is dropped; `None` when there are `most` in all or `most_each` of this one.
    pub fn take(
        server: &Rc<Server>,
        shares: fn(&Server) -> &Shares<K>,
        key: K,
        most: u64,
        most_each: u64,
    ) -> Option<Share<K>> {
        let mut counts = shares(server).borrow_mut();
        let mine = counts.get(&key).copied().unwrap_or(0);
        if counts.values().sum::<u64>() >= most || mine >= most_each {
            return None;
        }
        counts.insert(key, mine + 1);
        Some(Share { server: server.clone(), key, shares })
    }
}

impl<K: Copy + Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut counts = (self.shares)(&self.server).borrow_mut();
        if let Some(mine) = counts.get_mut(&self.key) {
            *mine -= 1;
            if *mine == 0 {
                counts.remove(&self.key);
            }
        }
    }
}
