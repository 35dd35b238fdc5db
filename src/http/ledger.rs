//! The bytes of requests that have begun and are not answered, in all and for each address, so that a crowd of
//! unfinished requests cannot fill the memory.
//!
//! Not here: how many there may be (`limits`), and who is refused (`connection`).

use crate::api::pace::network_of;
use std::{
    cell::{Cell, RefCell},
    collections::HashMap,
    net::IpAddr,
    rc::Rc,
};

/// What every connection may hold without being counted: nearly all requests are shorter.
pub const UNCOUNTED_BYTES: u64 = 8 << 10;

/// All that is held. An address with nothing is not in it.
#[derive(Default)]
pub struct Ledger {
    total: Cell<u64>,
    each: RefCell<HashMap<IpAddr, u64>>,
}

impl Ledger {
    /// How many bytes are counted.
    pub fn total(&self) -> u64 {
        self.total.get()
    }

    fn change(&self, address: IpAddr, from: u64, to: u64) {
        self.total.set(self.total.get() - from + to);
        let mut each = self.each.borrow_mut();
        let mine = each.entry(address).or_default();
        *mine = *mine - from + to;
        if *mine == 0 {
            each.remove(&address);
        }
    }
}

/// What one connection holds; nothing any more once it is dropped.
pub struct Entry {
    ledger: Rc<Ledger>,
    address: IpAddr,
    bytes: u64,
}

impl Entry {
    /// Of a connection from this address, which holds nothing yet.
    pub fn new(ledger: &Rc<Ledger>, address: IpAddr) -> Entry {
        Entry { ledger: ledger.clone(), address: network_of(address), bytes: 0 }
    }

    /// Notes how much it holds now; false when that is more than there may be in all or, as `most_each` says, of this
    /// address.
    pub fn set(&mut self, bytes: u64, most: u64, most_each: impl FnOnce() -> u64) -> bool {
        let bytes = if bytes <= UNCOUNTED_BYTES { 0 } else { bytes };
        if bytes != self.bytes {
            self.ledger.change(self.address, self.bytes, bytes);
            self.bytes = bytes;
        }
        if bytes == 0 {
            return true;
        }
        let mine = self.ledger.each.borrow().get(&self.address).copied().unwrap_or(0);
        self.ledger.total.get() <= most && mine <= most_each()
    }

    /// It holds nothing any more.
    pub fn settle(&mut self) {
        if self.bytes > 0 {
            self.ledger.change(self.address, self.bytes, 0);
            self.bytes = 0;
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.settle();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_counted_in_all_and_for_each_and_given_back() {
        let ledger = Rc::new(Ledger::default());
        let entry = |last: u8| Entry::new(&ledger, IpAddr::from([10, 0, 0, last]));
        let (mut ann, mut ann_too, mut bob) = (entry(1), entry(1), entry(2));
        assert!(ann.set(8 << 10, 0, || 0), "little is not counted");
        assert_eq!(ledger.total(), 0);
        assert!(ann.set(60_000, 150_000, || 100_000));
        assert!(!ann_too.set(60_000, 150_000, || 100_000), "more than one address may have");
        ann_too.settle();
        assert!(bob.set(90_000, 150_000, || 100_000));
        assert!(!ann.set(60_001, 150_000, || 100_000), "more than there may be");
        drop((ann, ann_too, bob));
        assert_eq!((ledger.total(), ledger.each.borrow().len()), (0, 0));
    }
}
