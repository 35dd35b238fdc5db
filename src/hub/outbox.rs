//! What a socket still has to take, in order. Frames for many are held once and shared.

use crate::hub::Sink;
use std::{collections::VecDeque, io, rc::Rc};

#[derive(Default)]
pub(super) struct Outbox {
    waiting: VecDeque<Rc<[u8]>>,
    /// How much of the first was taken already.
    taken: usize,
    bytes: usize,
}

impl Outbox {
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many bytes wait.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Appends bytes of which the first `taken` were sent already. Only into an empty outbox can
    /// anything have been sent ahead.
    pub(super) fn push(&mut self, bytes: Rc<[u8]>, taken: usize) {
        debug_assert!(taken == 0 || self.is_empty(), "nothing overtakes what waits");
        self.bytes += bytes.len() - taken;
        if self.is_empty() {
            self.taken = taken;
        }
        self.waiting.push_back(bytes);
    }

    /// Writes until all is sent (`true`) or the sink takes no more.
    ///
    /// # Errors
    /// When the peer is gone.
    pub(super) fn pump(&mut self, sink: &dyn Sink) -> io::Result<bool> {
        while let Some(first) = self.waiting.front() {
            match sink.try_write(&first[self.taken..]) {
                Ok(count) => {
                    self.taken += count;
                    self.bytes -= count;
                    if self.taken == first.len() {
                        self.taken = 0;
                        self.waiting.pop_front();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        // A queue that was long once must not stay so.
        self.waiting = VecDeque::new();
        Ok(true)
    }
}
