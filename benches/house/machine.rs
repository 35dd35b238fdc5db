//! The machine under the measurement: its processors, its clock, its disk, and what the kernel
//! tells about a process. Everything here is Linux.

use std::collections::HashMap;
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use crate::figure::{Context, Outcome, median};
use crate::option::Options;

/// Nanoseconds on the one clock that the client, the probes and the sync shim share.
pub fn now_ns() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel fills the timespec we own; CLOCK_MONOTONIC always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

/// Who sits where: server and client take different processors where there are two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Seat {
    /// The server, and of a bare loop the thread that commits.
    Server,
    /// Everything that asks.
    Client,
}

impl Seat {
    /// Moves the calling thread; children and threads it starts from now on inherit the seat.
    pub fn take(self) {
        if let Some(processor) = self.processor() {
            pin(processor);
        }
    }

    fn processor(self) -> Option<usize> {
        // Asked once: after the first `take` the kernel would name only the processor we sit on.
        static ALLOWED: std::sync::OnceLock<Vec<usize>> = std::sync::OnceLock::new();
        match (ALLOWED.get_or_init(allowed).as_slice(), self) {
            ([server, _, ..], Seat::Server) => Some(*server),
            ([_, client, ..], Seat::Client) => Some(*client),
            _ => None,
        }
    }
}

/// A bare loop inherits the narrow seat of its parent, so the parent says which ones there are.
const SEATS: &str = "HOUSE_SEATS";

/// What a child of this program must be told to sit like its parent.
pub fn seats() -> (&'static str, String) {
    let seats = [Seat::Server, Seat::Client].map(Seat::processor);
    let words = seats.iter().flatten().map(ToString::to_string);
    (SEATS, words.collect::<Vec<_>>().join(","))
}

fn allowed() -> Vec<usize> {
    if let Ok(told) = std::env::var(SEATS) {
        return told.split(',').filter_map(|word| word.parse().ok()).collect();
    }
    // SAFETY: a cpu_set_t of zeroes is an empty set, and the kernel fills no more than its size.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::sched_getaffinity(0, size_of_val(&set), &raw mut set);
        (0..libc::CPU_SETSIZE as usize).filter(|processor| libc::CPU_ISSET(*processor, &set)).collect()
    }
}

fn pin(processor: usize) {
    // SAFETY: as above; 0 means the calling thread. A refusal leaves the thread where it was.
    unsafe {
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(processor, &mut set);
        libc::sched_setaffinity(0, size_of_val(&set), &raw const set);
    }
}

/// Gives the calling thread another scheduling class; says whether the kernel agreed.
pub fn schedule(policy: libc::c_int, priority: libc::c_int) -> bool {
    let parameters = libc::sched_param { sched_priority: priority };
    // SAFETY: 0 means the calling thread, the parameters live through the call.
    unsafe { libc::sched_setscheduler(0, policy, &raw const parameters) == 0 }
}

/// Threads of the idle class, one per seat, that keep virtual processors from halting: waking a
/// halted one takes longer than what we measure. Anything else that wants to run goes first. Not for
/// measurements that sync: on a virtual disk a sync was seen to wait for 10 s while nothing was idle.
pub struct Spinner {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Spinner {
    /// Spins until dropped, or not at all if the person said so.
    pub fn start(options: &Options) -> Spinner {
        let stop = Arc::new(AtomicBool::new(false));
        let seats = [Seat::Server, Seat::Client];
        let wanted = seats.iter().filter(|seat| options.spin && seat.processor().is_some());
        let threads = wanted.map(|seat| spin(*seat, Arc::clone(&stop))).collect();
        Spinner { stop, threads }
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            // A spinner has nothing that could panic.
            let _ = thread.join();
        }
    }
}

fn spin(seat: Seat, stop: Arc<AtomicBool>) -> JoinHandle<()> {
    std::thread::spawn(move || {
        seat.take();
        // In any other class it would take the processor from what is measured.
        if schedule(libc::SCHED_IDLE, 0) {
            while !stop.load(Ordering::Relaxed) {
                std::hint::spin_loop();
            }
        }
    })
}

/// The processor time of each thread of a process, at one moment.
pub struct Spent(HashMap<u32, u64>);

impl Spent {
    /// Reads `/proc/PID/task/*/schedstat`; a process that is gone has spent nothing.
    pub fn of(process: u32) -> Spent {
        let tasks = fs::read_dir(format!("/proc/{process}/task"));
        let threads = tasks.into_iter().flatten().flatten();
        Spent(
            threads
                .filter_map(|thread| {
                    let id = thread.file_name().to_str()?.parse().ok()?;
                    let line = fs::read_to_string(thread.path().join("schedstat")).ok()?;
                    Some((id, line.split(' ').next()?.parse().ok()?))
                })
                .collect(),
        )
    }

    /// Nanoseconds spent since `earlier`. A thread that ended in between takes its share along,
    /// which is why it is compared thread by thread: the sum could otherwise go backwards.
    pub fn since(&self, earlier: &Spent) -> f64 {
        let threads = self.0.iter();
        let grown = threads.map(|(id, spent)| {
            let before = earlier.0.get(id).copied().unwrap_or(0);
            spent.saturating_sub(before)
        });
        grown.sum::<u64>() as f64
    }

    /// The same for the process's first thread alone, which in the server is the loop.
    pub fn first_thread_since(&self, earlier: &Spent, process: u32) -> f64 {
        let spent = |spent: &Spent| spent.0.get(&process).copied().unwrap_or(0);
        spent(self).saturating_sub(spent(earlier)) as f64
    }

    /// How many threads there were.
    pub fn threads(&self) -> usize {
        self.0.len()
    }
}

/// Nanoseconds the calling thread has had a processor.
pub fn own_spent() -> f64 {
    let line = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let first = line.split(' ').next().unwrap_or("0");
    first.parse().unwrap_or(0.0)
}

/// Resident memory in bytes.
pub fn resident_bytes(process: u32) -> Outcome<f64> {
    Ok(field(&format!("/proc/{process}/status"), "VmRSS:")? * 1024.0)
}

/// Bytes the process caused to be written to the disk.
pub fn written_bytes(process: u32) -> Outcome<f64> {
    field(&format!("/proc/{process}/io"), "write_bytes:")
}

/// Times any thread of the process went to sleep or was pushed aside.
pub fn switches(process: u32) -> Outcome<f64> {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).context("listing the threads")?;
    let counted = tasks.flatten().map(|thread| {
        let status = format!("{}/status", thread.path().display());
        Ok(field(&status, "voluntary_ctxt_switches:")? + field(&status, "nonvoluntary_ctxt_switches:")?)
    });
    counted.sum()
}

/// Clock ticks (user and system) the process has spent, the way `ps` counts.
pub fn ticks(process: u32) -> Outcome<f64> {
    let path = format!("/proc/{process}/stat");
    let line = fs::read_to_string(&path).context(&path)?;
    // The name in parentheses may hold spaces; fields are counted from behind it.
    let after = line.rsplit_once(") ").map_or("", |(_, after)| after);
    let fields: Vec<&str> = after.split(' ').collect();
    let spent = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok());
    match (spent(11), spent(12)) {
        (Some(user), Some(system)) => Ok(user + system),
        _ => Err(format!("{path}: not the line expected")),
    }
}

fn field(path: &str, name: &str) -> Outcome<f64> {
    let text = fs::read_to_string(path).context(path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let word = line.and_then(|rest| rest.split_whitespace().next());
    word.and_then(|word| word.parse().ok()).ok_or_else(|| format!("{path}: no field {name}"))
}

/// What the kernel holds for a connection of another process, in bytes: what it has queued to be sent, and
/// what it has reserved for it.
///
/// # Errors
/// There is no such connection, or we may not look at the process.
pub fn kernel_bytes(process: u32, own: SocketAddr, peer: SocketAddr) -> Outcome<f64> {
    let doing = format!("looking at the connection of {process} from {own} to {peer}");
    let inode = inode(process, own, peer).ok_or_else(|| format!("{doing}: there is none"))?;
    let open = fs::read_dir(format!("/proc/{process}/fd")).context(&doing)?;
    let wanted = format!("socket:[{inode}]");
    let found =
        open.flatten().find(|entry| fs::read_link(entry.path()).is_ok_and(|to| to.as_os_str() == &*wanted));
    let number = found.and_then(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let number = number.ok_or_else(|| format!("{doing}: its descriptor is gone"))?;
    let mut memory = [0_u32; 16];
    let mut length = size_of_val(&memory) as libc::socklen_t;
    // SAFETY: both descriptors are checked and owned at once; the kernel fills at most the length we say.
    let refused = unsafe {
        let holder = owned(libc::syscall(libc::SYS_pidfd_open, process, 0)).context(&doing)?;
        let copy =
            owned(libc::syscall(libc::SYS_pidfd_getfd, holder.as_raw_fd(), number, 0)).context(&doing)?;
        let (socket, option) = (libc::SOL_SOCKET, libc::SO_MEMINFO);
        libc::getsockopt(copy.as_raw_fd(), socket, option, memory.as_mut_ptr().cast(), &raw mut length)
    };
    if refused != 0 {
        return Err(format!("{doing}: {}", std::io::Error::last_os_error()));
    }
    // linux/sock_diag.h: 0 received, 4 reserved ahead, 5 queued to be sent.
    Ok([0, 4, 5].iter().map(|index| f64::from(memory[*index])).sum())
}

/// Takes a fresh descriptor into ownership.
///
/// # Safety
/// `fd` is the result of a system call that makes a descriptor nobody else owns.
unsafe fn owned(fd: libc::c_long) -> std::io::Result<OwnedFd> {
    match fd {
        -1 => Err(std::io::Error::last_os_error()),
        // SAFETY: the caller promises that it is fresh.
        _ => Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) }),
    }
}

/// The number of a connection's socket, from the kernel's list.
fn inode(process: u32, own: SocketAddr, peer: SocketAddr) -> Option<String> {
    let SocketAddr::V4(own) = own else { return None };
    let SocketAddr::V4(peer) = peer else { return None };
    let shown = |address: std::net::SocketAddrV4| {
        format!("{:08X}:{:04X}", u32::from_ne_bytes(address.ip().octets()), address.port())
    };
    let (own, peer) = (shown(own), shown(peer));
    let list = fs::read_to_string(format!("/proc/{process}/net/tcp")).ok()?;
    let mut lines = list.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let line = lines.find(|words| words.get(1) == Some(&&*own) && words.get(2) == Some(&&*peer))?;
    Some((*line.get(9)?).to_owned())
}

/// Says on what machine the figures were taken, and how long its disk takes for a sync.
pub fn describe(options: &Options) -> Outcome<()> {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let directory = &options.directory;
    let shown = directory.display();
    fs::create_dir_all(directory).context(&shown)?;
    let (growing, overwriting) = sync_microseconds(directory)?;
    println!(
        "processors {}, kernel {}, load {}",
        allowed().len(),
        kernel.trim(),
        load.split(' ').next().unwrap_or("?"),
    );
    println!(
        "disk of {shown}: write 4 KiB + fdatasync {growing:.0} µs growing a file, {overwriting:.0} µs inside it"
    );
    Ok(())
}

/// Median microseconds for 4 KiB and a sync: at the end of a growing file, and inside a file. A
/// write-ahead log does the first until its first checkpoint, the second from then on.
fn sync_microseconds(directory: &Path) -> Outcome<(f64, f64)> {
    let path = directory.join("sync-probe");
    let mut file = fs::File::create(&path).context("creating a file to sync")?;
    let mut pass = || -> std::io::Result<f64> {
        file.seek(SeekFrom::Start(0))?;
        let mut taken = Vec::new();
        for _ in 0..100 {
            let begun = now_ns();
            file.write_all(&[7; 4096])?;
            file.sync_data()?;
            taken.push((now_ns() - begun) as f64 / 1e3);
        }
        Ok(median(taken))
    };
    let growing = pass().context("syncing")?;
    let overwriting = pass().context("syncing")?;
    fs::remove_file(&path).context("removing the file that was synced")?;
    Ok((growing, overwriting))
}
