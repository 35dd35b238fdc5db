//! What touches the operating system's sockets, timers, signals and worker threads.
//!
//! The event loop: one thread, one `epoll`, no helper thread. `smol`'s own reactor would start a
//! thread of its own and hand every event across, which costs a calm server several times the work
//! of the event itself; its executor, channels and pool are used as they are. No other floor names
//! a reactor, a timer or a descriptor, so that this folder can be replaced alone.

pub mod lan;
pub mod net;
pub mod reactor;
pub mod signal;
pub mod worker;

pub use net::{Listener, Stream, raise_descriptor_limit};
pub use reactor::{Meter, STALL_MILLIS, block_on, meter, sleep_until, timeout};

/// How many bytes this process has had written to disk, as the kernel counts; `None` where it does not.
pub fn written_bytes() -> Option<u64> {
    let counts = std::fs::read_to_string("/proc/self/io").ok()?;
    counts.lines().find_map(|line| line.strip_prefix("write_bytes: "))?.trim().parse().ok()
}
