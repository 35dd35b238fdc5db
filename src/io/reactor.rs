//! Readiness and timers for the one thread that runs everything: `epoll`, edge-triggered.
//!
//! A source is told to the kernel once, when it is made, and its readiness is remembered here, so
//! that a request costs one wait, one read and one write. Nothing in this file knows what the
//! sources carry.

use std::{
    cell::{Cell, RefCell},
    collections::BTreeMap,
    future::{Future, poll_fn},
    io,
    os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd},
    pin::{Pin, pin},
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::{Duration, Instant},
};

use slab::Slab;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Into the process.
    Read,
    /// Out of it.
    Write,
}

/// What is known of one descriptor.
struct State {
    ready: [bool; 2],
    waiting: [Option<Waker>; 2],
    /// The peer is done or gone. From then on a short read says nothing about what follows,
    /// because the end of the stream raises no second edge.
    closing: bool,
}

struct Reactor {
    epoll: OwnedFd,
    wake: Arc<LoopWaker>,
    sources: RefCell<Slab<State>>,
    timers: RefCell<BTreeMap<(Instant, u64), Waker>>,
    next_timer: Cell<u64>,
    meter: Cell<Meter>,
}

/// How long the loop was busy between two waits.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meter {
    /// Turns of the loop since the start.
    pub turns: u64,
    /// The longest turn since the start.
    pub longest: Duration,
    /// The time of all turns together.
    pub busy: Duration,
    /// Turns that took at least this many milliseconds: 1, 5, 50 and 500.
    pub stalls: [u64; 4],
}

/// From how many milliseconds on a turn is counted as a stall.
pub const STALL_MILLIS: [u64; 4] = [1, 5, 50, 500];

impl Meter {
    fn count(&mut self, turn: Duration) {
        self.turns += 1;
        self.longest = self.longest.max(turn);
        self.busy += turn;
        if turn.as_millis() > 0 {
            for (count, least) in self.stalls.iter_mut().zip(STALL_MILLIS) {
                *count += u64::from(turn.as_millis() as u64 >= least);
            }
        }
    }
}

thread_local! {
    static REACTOR: Rc<Reactor> = Rc::new(Reactor::new().expect("the kernel gives an epoll and an eventfd"));
}

/// How the loop of this thread has been doing.
pub fn meter() -> Meter {
    REACTOR.with(|reactor| reactor.meter.get())
}

/// Wakes every task that waits for a descriptor, for when something that all of them look at has changed.
pub fn rouse() {
    REACTOR.with(|reactor| {
        let mut sources = reactor.sources.borrow_mut();
        let woken: Vec<Waker> = sources
            .iter_mut()
            .flat_map(|(_, state)| state.waiting.iter_mut().filter_map(Option::take))
            .collect();
        drop(sources);
        woken.into_iter().for_each(Waker::wake);
    });
}

const WAKE_KEY: u64 = u64::MAX;

impl Reactor {
    fn new() -> io::Result<Reactor> {
        // SAFETY: plain system calls; each descriptor is checked and owned at once.
        let epoll = unsafe { owned(libc::epoll_create1(libc::EPOLL_CLOEXEC))? };
        // SAFETY: as above.
        let event = unsafe { owned(libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK))? };
        let wake =
            Arc::new(LoopWaker { event, notified: AtomicBool::new(true), asleep: AtomicBool::new(false) });
        add(&epoll, wake.event.as_raw_fd(), libc::EPOLLIN | libc::EPOLLET, WAKE_KEY)?;
        Ok(Reactor {
            epoll,
            wake,
            sources: RefCell::default(),
            timers: RefCell::default(),
            next_timer: Cell::new(0),
            meter: Cell::default(),
        })
    }

    /// Sleeps until something is ready or the next timer is due, then wakes whoever waits for it.
    fn wait(&self, events: &mut [libc::epoll_event], woken: &mut Vec<Waker>) {
        let timeout = self.milliseconds_to_next_timer();
        self.wake.asleep.store(true, Ordering::SeqCst);
        let timeout = if self.wake.notified.load(Ordering::SeqCst) { 0 } else { timeout };
        // SAFETY: the buffer is ours and as long as we say.
        let count = unsafe {
            libc::epoll_wait(self.epoll.as_raw_fd(), events.as_mut_ptr(), events.len() as i32, timeout)
        };
        self.wake.asleep.store(false, Ordering::SeqCst);

        let count = usize::try_from(count).unwrap_or(0); // negative: interrupted
        self.mark_ready(&events[..count], woken);
        self.collect_due_timers(woken);
        woken.drain(..).for_each(Waker::wake);
    }

    fn mark_ready(&self, events: &[libc::epoll_event], woken: &mut Vec<Waker>) {
        let mut sources = self.sources.borrow_mut();
        for event in events {
            let (flags, key) = (event.events as i32, event.u64);
            // Edge-triggered: every write is a new edge, so what was written need not be read.
            if key == WAKE_KEY {
                continue;
            }
            let Some(state) = sources.get_mut(key as usize) else { continue };
            let gone = flags & (libc::EPOLLHUP | libc::EPOLLERR) != 0;
            state.closing |= gone || flags & libc::EPOLLRDHUP != 0;
            if flags & (libc::EPOLLIN | libc::EPOLLRDHUP) != 0 || gone {
                state.ready[Direction::Read as usize] = true;
                woken.extend(state.waiting[Direction::Read as usize].take());
            }
            if flags & libc::EPOLLOUT != 0 || gone {
                state.ready[Direction::Write as usize] = true;
                woken.extend(state.waiting[Direction::Write as usize].take());
            }
        }
    }

    fn milliseconds_to_next_timer(&self) -> i32 {
        match self.timers.borrow().keys().next() {
            None => -1,
            // One more than the whole milliseconds: waking early would only mean waking twice.
            Some((due, _)) => match due.checked_duration_since(Instant::now()) {
                None => 0,
                Some(left) => i32::try_from(left.as_millis()).unwrap_or(i32::MAX - 1) + 1,
            },
        }
    }

    fn collect_due_timers(&self, woken: &mut Vec<Waker>) {
        let mut timers = self.timers.borrow_mut();
        if timers.is_empty() {
            return;
        }
        let now = Instant::now();
        while let Some(entry) = timers.first_entry() {
            if entry.key().0 > now {
                break;
            }
            woken.push(entry.remove());
        }
    }
}

/// Wakes the loop from any thread. It costs a system call only while the loop sleeps.
struct LoopWaker {
    event: OwnedFd,
    notified: AtomicBool,
    asleep: AtomicBool,
}

impl Wake for LoopWaker {
    fn wake(self: Arc<LoopWaker>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<LoopWaker>) {
        self.notified.store(true, Ordering::SeqCst);
        if self.asleep.swap(false, Ordering::SeqCst) {
            let one = 1u64.to_ne_bytes();
            // SAFETY: writes eight bytes from eight bytes.
            unsafe { libc::write(self.event.as_raw_fd(), one.as_ptr().cast(), 8) };
        }
    }
}

/// Runs a future on this thread's loop until it is done. After everything that was ready has run,
/// and before the loop sleeps, `end_of_turn` is called.
pub fn block_on<T>(future: impl Future<Output = T>, mut end_of_turn: impl FnMut()) -> T {
    let reactor = REACTOR.with(Rc::clone);
    let waker = Waker::from(reactor.wake.clone());
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    let mut events = [libc::epoll_event { events: 0, u64: 0 }; 256];
    let mut woken = Vec::new();
    reactor.wake.notified.store(true, Ordering::SeqCst);
    loop {
        let begin = Instant::now();
        if reactor.wake.notified.swap(false, Ordering::SeqCst) {
            if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
                return value;
            }
        }
        end_of_turn();
        let mut meter = reactor.meter.get();
        meter.count(begin.elapsed());
        reactor.meter.set(meter);
        reactor.wait(&mut events, &mut woken);
    }
}

/// A descriptor that the loop watches for as long as this lives.
pub struct Source {
    key: usize,
    fd: RawFd,
    reactor: Rc<Reactor>,
}

impl Source {
    /// Begins to watch `fd`, which must be non-blocking and outlive this.
    ///
    /// # Errors
    /// When the kernel refuses to watch it.
    pub fn new(fd: RawFd) -> io::Result<Source> {
        let reactor = REACTOR.with(Rc::clone);
        // Taken to be ready: the first attempt finds out.
        let key = reactor.sources.borrow_mut().insert(State {
            ready: [true; 2],
            waiting: [None, None],
            closing: false,
        });
        let interest = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;
        if let Err(error) = add(&reactor.epoll, fd, interest, key as u64) {
            reactor.sources.borrow_mut().remove(key);
            return Err(error);
        }
        Ok(Source { key, fd, reactor })
    }

    /// Tries `operation` if the descriptor was ready when last seen; a `WouldBlock` is remembered.
    pub fn attempt<T>(
        &self,
        direction: Direction,
        operation: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        if !self.reactor.sources.borrow()[self.key].ready[direction as usize] {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let result = operation();
        if matches!(&result, Err(error) if error.kind() == io::ErrorKind::WouldBlock) {
            self.reactor.sources.borrow_mut()[self.key].ready[direction as usize] = false;
        }
        result
    }

    /// Notes that a read did not fill its buffer: there is nothing more until the next edge.
    pub fn drained(&self) {
        let mut sources = self.reactor.sources.borrow_mut();
        let state = &mut sources[self.key];
        state.ready[Direction::Read as usize] = state.closing;
    }

    /// Whether the descriptor may be tried again; if not, the task is woken when it may.
    pub fn poll_ready(&self, direction: Direction, context: &mut Context<'_>) -> Poll<()> {
        let mut sources = self.reactor.sources.borrow_mut();
        let state = &mut sources[self.key];
        if state.ready[direction as usize] {
            return Poll::Ready(());
        }
        match &mut state.waiting[direction as usize] {
            Some(waker) => waker.clone_from(context.waker()),
            waiting => *waiting = Some(context.waker().clone()),
        }
        Poll::Pending
    }

    /// Does `operation` as soon as it can be done.
    ///
    /// # Errors
    /// Those of the operation, but for `WouldBlock` and `Interrupted`.
    pub async fn perform<T>(
        &self,
        direction: Direction,
        mut operation: impl FnMut() -> io::Result<T>,
    ) -> io::Result<T> {
        poll_fn(|context| {
            loop {
                match self.attempt(direction, &mut operation) {
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        if self.poll_ready(direction, context).is_pending() {
                            return Poll::Pending;
                        }
                    }
                    result => return Poll::Ready(result),
                }
            }
        })
        .await
    }
}

impl Drop for Source {
    fn drop(&mut self) {
        // SAFETY: removes our own entry; the descriptor is still open, as `new` demands.
        unsafe {
            libc::epoll_ctl(
                self.reactor.epoll.as_raw_fd(),
                libc::EPOLL_CTL_DEL,
                self.fd,
                std::ptr::null_mut(),
            )
        };
        self.reactor.sources.borrow_mut().remove(self.key);
    }
}

/// Waits until the monotonic clock has reached `due`.
pub fn sleep_until(due: Instant) -> Sleep {
    Sleep { due, id: None }
}

/// The future of [`sleep_until`].
pub struct Sleep {
    due: Instant,
    id: Option<u64>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Sleep>, context: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.due {
            return Poll::Ready(());
        }
        REACTOR.with(|reactor| {
            let due = self.due;
            let id = *self.id.get_or_insert_with(|| reactor.next_timer.replace(reactor.next_timer.get() + 1));
            reactor.timers.borrow_mut().insert((due, id), context.waker().clone());
        });
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        // At the end of the thread the reactor may be gone already, and its timers with it.
        let _ = REACTOR.try_with(|reactor| reactor.timers.borrow_mut().remove(&(self.due, id)));
    }
}

/// The future's result, or `None` when it was not there by `due`.
pub async fn timeout<T>(due: Instant, future: impl Future<Output = T>) -> Option<T> {
    let mut future = pin!(future);
    let mut sleep = pin!(sleep_until(due));
    poll_fn(|context| match future.as_mut().poll(context) {
        Poll::Ready(value) => Poll::Ready(Some(value)),
        Poll::Pending => sleep.as_mut().poll(context).map(|()| None),
    })
    .await
}

fn add(epoll: &OwnedFd, fd: RawFd, interest: i32, key: u64) -> io::Result<()> {
    let mut event = libc::epoll_event { events: interest as u32, u64: key };
    // SAFETY: the event is ours and lives through the call.
    match unsafe { libc::epoll_ctl(epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Takes a fresh descriptor into ownership.
///
/// # Safety
/// `fd` is the result of a system call that makes a descriptor nobody else owns.
pub(super) unsafe fn owned(fd: RawFd) -> io::Result<OwnedFd> {
    match fd {
        -1 => Err(io::Error::last_os_error()),
        // SAFETY: the caller promises that it is fresh.
        _ => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timers_fire_in_order_and_dropped_ones_never() {
        let order = Rc::new(RefCell::new(Vec::new()));
        let executor = smol::LocalExecutor::new();
        block_on(
            executor.run(async {
                let start = Instant::now();
                let wait = |millis: u64| {
                    let order = order.clone();
                    async move {
                        sleep_until(start + Duration::from_millis(millis)).await;
                        order.borrow_mut().push(millis);
                    }
                };
                assert!(timeout(start + Duration::from_millis(5), wait(60_000)).await.is_none());
                // Tasks of their own, so that on a busy machine, where several are due at once, the timers' order counts.
                let tasks = [600, 200, 400].map(|millis| executor.spawn(wait(millis)));
                for task in tasks {
                    task.await;
                }
            }),
            || (),
        );
        assert_eq!(*order.borrow(), [200, 400, 600]);
        REACTOR.with(|reactor| assert!(reactor.timers.borrow().is_empty()));
    }

    #[test]
    fn another_thread_wakes_the_sleeping_loop() {
        let (sender, receiver) = smol::channel::bounded(1);
        let thread = std::thread::spawn(move || {
            std::thread::sleep(Duration::from_millis(20));
            sender.send_blocking(7).unwrap();
        });
        assert_eq!(block_on(receiver.recv(), || ()).unwrap(), 7);
        thread.join().unwrap();
    }

    #[test]
    fn the_end_of_a_stream_that_came_with_its_last_bytes_is_seen() {
        use std::io::{Read, Write};
        let (mut near, far) = std::os::unix::net::UnixStream::pair().unwrap();
        far.set_nonblocking(true).unwrap();
        let source = Source::new(far.as_raw_fd()).unwrap();
        block_on(
            async {
                let mut buffer = [0; 16];
                assert!(source.attempt(Direction::Read, || (&far).read(&mut buffer)).is_err());
                near.write_all(b"bye").unwrap();
                drop(near);
                for expected in [3, 0] {
                    let count = source.perform(Direction::Read, || (&far).read(&mut buffer)).await.unwrap();
                    assert_eq!(count, expected);
                    source.drained();
                }
            },
            || (),
        );
    }
}
