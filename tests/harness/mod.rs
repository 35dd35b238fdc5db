//! What the stories stand on: a server of one's own, people who are logged in, their sockets, and a
//! client that checks what every reply should have. No expectations about single endpoints: those
//! are in the stories.
//!
//! `DEUCED_BIN` names another server binary than the one cargo built; `DEUCED_RUNNER` holds words
//! put before it (`qemu-aarch64-static -L /usr/aarch64-linux-gnu`), `DEUCED_TARGET_CC` the C compiler for what is
//! loaded into that server, and `DEUCED_EXPECT_ARCH` the architecture that it must say it runs on. What does not hold
//! under emulation is named in `tests/emulation.txt`.

pub mod attack;
pub mod check;
pub mod client;
pub mod cut;
pub mod emulation;
pub mod facts;
pub mod fault;
pub mod golden;
pub mod native;
pub mod picture;
pub mod relay;
pub mod server;
pub mod socket;
pub mod wire;

pub use client::{Client, Reply};
pub use native::Native;
pub use server::{Server, command};
pub use socket::{Frame, Socket};
pub use wire::Wire;

use std::time::Duration;

/// How long anything may take before it counts as never. Generous, because it is only waited out
/// in tests that fail.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// A number that the environment sets for a long run.
#[track_caller]
pub fn setting(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().map_or(otherwise, |text| text.parse().expect("a number"))
}

/// Runs `act` on `count` threads that start at the same moment, and collects what they return.
pub fn together<T: Send>(count: usize, act: impl Fn(usize) -> T + Sync) -> Vec<T> {
    let start = std::sync::Barrier::new(count);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..count)
            .map(|index| {
                let (start, act) = (&start, &act);
                scope.spawn(move || {
                    start.wait();
                    act(index)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a parallel act panicked")).collect()
    })
}
