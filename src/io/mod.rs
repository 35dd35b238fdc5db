//! What touches the operating system's sockets, timers, signals, watched files and worker threads.
//!
//! The event loop: one thread, one `epoll`, no helper thread. `smol`'s own reactor would start a
//! thread of its own and hand every event across, which costs a calm server several times the work
//! of the event itself; its executor, channels and pool are used as they are. No other floor names
//! a reactor, a timer or a descriptor, so that this folder can be replaced alone.

pub mod disk;
pub mod lan;
pub mod net;
pub mod notify;
pub mod reactor;
pub mod signal;
pub mod watch;
pub mod worker;

pub use net::{Listener, Stream, raise_descriptor_limit};
pub use reactor::{Meter, STALL_MILLIS, block_on, meter, rouse, sleep_until, timeout};

/// How many bytes this process has had written to disk, as the kernel counts; `None` where it does not.
pub fn written_bytes() -> Option<u64> {
    let counts = std::fs::read_to_string("/proc/self/io").ok()?;
    counts.lines().find_map(|line| line.strip_prefix("write_bytes: "))?.trim().parse().ok()
}

/// The whole name of this machine, with its domain if it has one; `None` where it has none.
pub fn full_host_name() -> Option<String> {
    let mut bytes = [0_u8; 256];
    // SAFETY: the kernel writes at most so many bytes into the buffer we own.
    if unsafe { libc::gethostname(bytes.as_mut_ptr().cast(), bytes.len()) } != 0 {
        return None;
    }
    let end = bytes.iter().position(|byte| *byte == 0)?;
    let name = std::str::from_utf8(&bytes[..end]).ok()?;
    (!name.is_empty()).then(|| name.to_owned())
}

/// Whether the kernel believes that the clock is right, as whoever sets it has told it (`adjtimex(2)`).
pub fn is_clock_synchronised() -> bool {
    // SAFETY: all bytes zero is a structure that asks for nothing to be changed; the kernel fills it in.
    let mut state: libc::timex = unsafe { std::mem::zeroed() };
    let told = unsafe { libc::adjtimex(&raw mut state) };
    told >= 0 && told != libc::TIME_ERROR && state.status & libc::STA_UNSYNC == 0
}
