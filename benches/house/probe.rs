//! How late things are: a connection that asks the server for its health every two milliseconds,
//! and beside it threads that only sleep two milliseconds and see when they wake.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::client::{self, Caller};
use crate::figure::{Outcome, quantile};
use crate::machine::{Seat, now_ns, schedule};

const GAP: Duration = Duration::from_millis(2);

/// Samples of lateness in milliseconds, summed up.
#[derive(Clone, Copy, Debug)]
pub struct Lateness {
    /// Median.
    pub p50: f64,
    /// One in a hundred is later.
    pub p99: f64,
    /// The worst.
    pub max: f64,
}

/// What the probes saw while a measurement ran.
pub struct Seen {
    /// From a request for the health to its answer.
    pub health: Lateness,
    /// An ordinary thread that wants to wake on the server's processor.
    pub server_seat: Lateness,
    /// A thread like the health probe, on the client's processor.
    pub client_seat: Lateness,
}

/// The probes at work.
pub struct Probes {
    stop: Arc<AtomicBool>,
    health: JoinHandle<Outcome<Vec<f64>>>,
    server_seat: JoinHandle<Outcome<Vec<f64>>>,
    client_seat: JoinHandle<Outcome<Vec<f64>>>,
}

impl Probes {
    /// Starts the three threads.
    ///
    /// # Errors
    /// Nobody listens at the address.
    pub fn start(address: SocketAddr) -> Outcome<Probes> {
        let stop = Arc::new(AtomicBool::new(false));
        let mut caller = Caller::connect(address)?;
        let health = client::request("GET", "/api/health", "", None);
        Ok(Probes {
            health: sampled(Seat::Client, &stop, move || {
                let asked = now_ns();
                caller.ask(&health)?;
                Ok(asked)
            }),
            server_seat: sampled(Seat::Server, &stop, slept),
            client_seat: sampled(Seat::Client, &stop, slept),
            stop,
        })
    }

    /// Stops them and says what they saw.
    ///
    /// # Errors
    /// The health was refused.
    pub fn finish(self) -> Outcome<Seen> {
        self.stop.store(true, Ordering::Relaxed);
        Ok(Seen {
            health: summed_up(self.health)?,
            server_seat: summed_up(self.server_seat)?,
            client_seat: summed_up(self.client_seat)?,
        })
    }
}

/// Sleeps one gap and says when it should have woken.
fn slept() -> Outcome<u64> {
    let due = now_ns() + GAP.as_nanos() as u64;
    std::thread::sleep(GAP);
    Ok(due)
}

/// Every gap: calls `due`, which says since when it was due to return, and notes how late it was.
fn sampled(
    seat: Seat,
    stop: &Arc<AtomicBool>,
    mut due: impl FnMut() -> Outcome<u64> + Send + 'static,
) -> JoinHandle<Outcome<Vec<f64>>> {
    let stop = Arc::clone(stop);
    std::thread::spawn(move || {
        seat.take();
        be_punctual(seat);
        let mut late = Vec::new();
        while !stop.load(Ordering::Relaxed) {
            let since = due()?;
            late.push((now_ns() - since) as f64 / 1e6);
            std::thread::sleep(GAP);
        }
        Ok(late)
    })
}

/// Timers without slack. On the client's processor also ahead of the busy client, which is not what
/// is measured; on the server's an ordinary thread, because that is what the server's threads are.
fn be_punctual(seat: Seat) {
    // SAFETY: this call reads its arguments and nothing else.
    unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1_u64) };
    if seat == Seat::Client {
        // Without the right to it the probes are as late as the client is busy, and show it.
        schedule(libc::SCHED_FIFO, 1);
    }
}

fn summed_up(samples: JoinHandle<Outcome<Vec<f64>>>) -> Outcome<Lateness> {
    let samples = samples.join().map_err(|_| "a probe panicked")??;
    Ok(Lateness { p50: quantile(&samples, 0.5), p99: quantile(&samples, 0.99), max: quantile(&samples, 1.0) })
}
