//! Slow work off the loop: password hashes, pictures, exports, long reads.
//!
//! At most [`THREADS`] threads, started when needed and gone when idle. Each lane lets one job run
//! at a time and a bounded number wait, so that twelve logins at once cost memory for one hash.

use smol::lock::Semaphore;
use std::{cell::Cell, sync::Arc};

/// How many worker threads there may be. `cli` sets the pool's own variable from it.
pub const THREADS: usize = 2;

/// A queue of jobs of one kind, one running at a time.
pub struct Lane {
    turn: Arc<Semaphore>,
    waiting: Cell<u64>,
    most_waiting: u64,
}

/// The lane's queue is full.
#[derive(Debug, PartialEq, Eq)]
pub struct Busy;

impl Lane {
    /// A lane in which at most so many jobs wait.
    pub fn new(most_waiting: u64) -> Lane {
        Lane { turn: Arc::new(Semaphore::new(1)), waiting: Cell::new(0), most_waiting }
    }

    /// How many jobs wait or run.
    pub fn waiting(&self) -> u64 {
        self.waiting.get()
    }

    /// Runs a job on a worker thread when its turn has come. If the caller gives up meanwhile, a
    /// job that has begun runs to its end, and the next begins only then.
    ///
    /// # Errors
    /// [`Busy`] when too many are waiting.
    pub async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        if self.waiting.get() >= self.most_waiting {
            return Err(Busy);
        }
        let _place = Place::take(&self.waiting);
        // The turn travels with the job: a caller that goes away does not make room for a second one.
        let turn = self.turn.acquire_arc().await;
        let job = move || {
            let _turn = turn;
            job()
        };
        Ok(smol::unblock(job).await)
    }
}

/// A place in the queue, given back when the caller is done or has given up.
struct Place<'a>(&'a Cell<u64>);

impl Place<'_> {
    fn take(waiting: &Cell<u64>) -> Place<'_> {
        waiting.set(waiting.get() + 1);
        Place(waiting)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.0.set(self.0.get() - 1);
    }
}
