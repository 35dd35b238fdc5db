//! Slow work off the loop: password hashes, pictures, exports, long reads.
//!
//! At most [`THREADS`] threads, started when needed and gone when idle. Each lane lets one job run
//! at a time and a bounded number wait, so that twelve logins at once cost memory for one hash.

use smol::lock::{Semaphore, SemaphoreGuardArc};
use std::{cell::Cell, sync::Arc};

/// How many worker threads there may be. `cli` sets the pool's own variable from it.
pub const THREADS: usize = 2;

/// A queue of jobs of one kind, one running at a time.
pub struct Lane {
    turn: Arc<Semaphore>,
    /// Where ordinary jobs wait for each other, so that only one of them at a time waits for the turn.
    line: Semaphore,
    waiting: Cell<u64>,
    most_waiting: u64,
    /// How many of the places are for those who go first.
    reserved: u64,
}

/// The lane's queue is full.
#[derive(Debug, PartialEq, Eq)]
pub struct Busy;

impl Lane {
    /// A lane in which at most so many jobs wait.
    pub fn new(most_waiting: u64) -> Lane {
        Lane::with_reserve(most_waiting, 0)
    }

    /// As [`Lane::new`], where so many of the places are kept for those who go first.
    pub fn with_reserve(most_waiting: u64, reserved: u64) -> Lane {
        Lane {
            turn: Arc::new(Semaphore::new(1)),
            line: Semaphore::new(1),
            waiting: Cell::new(0),
            most_waiting,
            reserved: reserved.min(most_waiting.saturating_sub(1)),
        }
    }

    /// How many jobs wait or run.
    pub fn waiting(&self) -> u64 {
        self.waiting.get()
    }

    /// Runs a job on a worker thread when its turn has come. If the caller gives up meanwhile, a
    /// job that has begun runs to its end, and the next begins only then.
    ///
    /// # Errors
    /// [`Busy`] when too many are waiting, or there is no memory for a worker.
    pub async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> Result<T, Busy> {
        Ok(self.turn().await?.run(job).await)
    }

    /// Waits for the turn to run a job.
    ///
    /// # Errors
    /// [`Busy`] when too many are waiting.
    pub async fn turn(&self) -> Result<Turn<'_>, Busy> {
        if self.waiting.get() >= self.most_waiting - self.reserved || !a_thread_fits() {
            return Err(Busy);
        }
        let place = Place::take(&self.waiting);
        let _next = self.line.acquire().await;
        Ok(self.take_turn(place).await)
    }

    /// As [`Lane::turn`], before all others but the one who has it and the one who is next.
    ///
    /// # Errors
    /// [`Busy`] when too many are waiting.
    pub async fn turn_first(&self) -> Result<Turn<'_>, Busy> {
        if self.waiting.get() >= self.most_waiting || !a_thread_fits() {
            return Err(Busy);
        }
        let place = Place::take(&self.waiting);
        Ok(self.take_turn(place).await)
    }

    async fn take_turn<'a>(&self, place: Place<'a>) -> Turn<'a> {
        Turn { _place: place, held: Arc::new(self.turn.acquire_arc().await) }
    }
}

/// Whether there is memory for a worker's stack. The pool tries for ever to start its first thread, and holds up the loop
/// meanwhile; so where there is none, nobody comes that far.
fn a_thread_fits() -> bool {
    const STACK: usize = 3 << 20;
    // SAFETY: takes addresses that nobody uses, touches none of them, and gives them back.
    unsafe {
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let place = libc::mmap(std::ptr::null_mut(), STACK, libc::PROT_NONE, flags, -1, 0);
        place != libc::MAP_FAILED && libc::munmap(place, STACK) == 0
    }
}

/// The turn to run a job. Nobody else has it before this is dropped and the job has ended, so that what follows from
/// one job's outcome can be known before the next begins.
pub struct Turn<'a> {
    _place: Place<'a>,
    held: Arc<SemaphoreGuardArc>,
}

impl Turn<'_> {
    /// Runs the job on a worker thread.
    pub async fn run<T: Send + 'static>(&self, job: impl FnOnce() -> T + Send + 'static) -> T {
        // The turn travels with the job: a caller that goes away does not make room for a second one.
        let held = self.held.clone();
        let job = move || {
            let _held = held;
            job()
        };
        smol::unblock(job).await
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn whoever_goes_first_passes_the_others_and_has_a_place() {
        let (lane, order) = (Lane::with_reserve(6, 2), Arc::new(Mutex::new(Vec::new())));
        let job = |name: &'static str| {
            let order = order.clone();
            move || {
                std::thread::sleep(std::time::Duration::from_millis(20));
                order.lock().unwrap().push(name);
            }
        };
        let executor = smol::LocalExecutor::new();
        let mut tasks = Vec::new();
        for name in ["a", "b", "c", "d", "e"] {
            let outcome = executor.spawn(lane.run(job(name)));
            while executor.try_tick() {}
            tasks.push(outcome);
        }
        let first = executor.spawn(async {
            lane.turn_first().await?.run(job("first")).await;
            Ok::<(), Busy>(())
        });
        while executor.try_tick() {}
        assert_eq!(lane.waiting(), 5, "four ordinary ones, and one that goes first");
        let outcomes = smol::future::block_on(executor.run(async {
            let mut outcomes = Vec::new();
            for task in tasks {
                outcomes.push(task.await);
            }
            first.await.unwrap();
            outcomes
        }));
        assert_eq!(outcomes, [Ok(()), Ok(()), Ok(()), Ok(()), Err(Busy)], "two places are kept");
        let order = order.lock().unwrap().clone();
        let place = order.iter().position(|name| *name == "first").unwrap();
        assert!(place <= 2, "behind the one that runs and the next: {order:?}");
        assert_eq!(lane.waiting(), 0);
    }
}
