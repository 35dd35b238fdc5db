//! The writer: the one thread that changes the database.
//!
//! Whatever is queued is done in one transaction, and one commit makes all of it durable; while the
//! card syncs, the next batch collects. A job that fails takes only its own changes back: verbs look
//! before they write, so that hardly ever happens, and the batch is then done again with a savepoint
//! around each job. (A savepoint copies every page that is changed within it; leaving it out is a
//! fifth of the thread's work.) Results and
//! events come back to the loop in the order of the commits, with one wake for a batch. A failed
//! commit fails every job in it, and nothing of it is told to anyone; on a disk that has just become full those that
//! add nothing are done once more, with the space that was kept back for them. What happens to the card meanwhile is the
//! keeper's business.

use crate::domain::{Code, EntryId, Error, Event, Purpose, Result};
use crate::store::clock::Settling;
use crate::store::keeper::Keeper;
pub use crate::store::meter::{BATCH_MILLIS, Meter};
use crate::store::written::{Bytes, Saving};
use crate::store::{Db, Surroundings, Tx, deuce};
use std::{
    future::poll_fn,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    task::{Poll, Waker},
    thread::JoinHandle,
    time::{Duration, Instant},
};

/// Jobs done in one transaction at most. More would make the first wait for too many others.
const BATCH: usize = 512;

/// A handle on the writer's thread, for the loop.
pub struct Writer {
    shared: Arc<Shared>,
    around: Arc<Surroundings>,
    most_waiting: usize,
    thread: Option<JoinHandle<()>>,
}

/// What the loop and the writer's thread have in common.
#[derive(Default)]
struct Shared {
    queue: Mutex<Queue>,
    arrived: Condvar,
    finished: Mutex<Finished>,
    meter: Mutex<Meter>,
    /// When the batch was begun that is not committed yet.
    begun: Mutex<Option<Instant>>,
}

#[derive(Default)]
struct Queue {
    jobs: Vec<Box<dyn Job>>,
    closed: bool,
    /// Whether the thread is to look at the storage.
    called: bool,
    /// Whether the thread waits for jobs; waking it when it does not would be a system call for each.
    idle: bool,
}

#[derive(Default)]
struct Finished {
    batches: Vec<Batch>,
    loop_waker: Option<Waker>,
    ended: bool,
}

/// What one commit brought.
pub struct Batch {
    jobs: Vec<Box<dyn Job>>,
    outcome: Result<()>,
    /// Everything that happened in it, in order; empty if the commit failed.
    pub events: Vec<Event>,
}

impl Batch {
    /// Gives every job of the batch its answer. Called after the events were published.
    pub fn settle(self) {
        for job in self.jobs {
            job.settle(&self.outcome);
        }
    }
}

/// One thing to write: done on the writer's thread, answered on the loop.
trait Job: Send {
    /// What it is for.
    fn purpose(&self) -> Purpose;
    /// Does the work, possibly not for the first time, and says whether its changes may stay.
    fn run(&mut self, tx: &Tx<'_>) -> bool;
    /// Why the last run failed.
    fn failure(&self) -> Option<&Error>;
    /// Hands the result to whoever waits for it.
    fn settle(self: Box<Self>, outcome: &Result<()>);
}

struct Work<F, T> {
    purpose: Purpose,
    work: F,
    result: Option<Result<T>>,
    answer: Arc<Answer<T>>,
}

/// Where the asking task finds its result.
struct Answer<T>(Mutex<(Option<Result<T>>, Option<Waker>)>);

impl<F, T> Job for Work<F, T>
where
    F: Fn(&Tx<'_>) -> Result<T> + Send,
    T: Send,
{
    fn purpose(&self) -> Purpose {
        self.purpose
    }

    fn run(&mut self, tx: &Tx<'_>) -> bool {
        self.result.insert((self.work)(tx)).is_ok()
    }

    fn failure(&self) -> Option<&Error> {
        self.result.as_ref()?.as_ref().err()
    }

    fn settle(self: Box<Self>, outcome: &Result<()>) {
        let result = match (outcome, self.result) {
            // A refusal stands whether or not the others' rows could be stored.
            (Ok(()), Some(result)) | (Err(_), Some(result @ Err(_))) => result,
            (Err(error), _) => Err(error.clone()),
            (Ok(()), None) => Err(Error::internal("a committed batch holds a job that did not run")),
        };
        let mut answer = lock(&self.answer.0);
        answer.0 = Some(result);
        if let Some(waker) = answer.1.take() {
            waker.wake();
        }
    }
}

impl Writer {
    /// Starts the thread, which takes the connection over. At most `most_waiting` jobs wait for it.
    ///
    /// # Errors
    /// When the database cannot be read, or the thread not started.
    pub fn start(db: Db, around: &Arc<Surroundings>, most_waiting: u64) -> Result<Writer> {
        let newest = deuce::newest(&db)?;
        let shared = Arc::new(Shared::default());
        let theirs = shared.clone();
        let (around, theirs_around) = (around.clone(), around.clone());
        // Weak, because what calls is held by what is called.
        let called = Arc::downgrade(&shared);
        around.condition.on_change(move || {
            if let Some(shared) = called.upgrade() {
                lock(&shared.queue).called = true;
                shared.arrived.notify_one();
            }
        });
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .stack_size(512 << 10)
            .spawn(move || {
                newest.into_iter().for_each(EntryId::follow);
                // A writer that panicked has lost track of what is stored. Nothing it could still
                // say would be worth trusting, so the process ends and is started afresh.
                let run = std::panic::AssertUnwindSafe(|| run(db, theirs_around, &theirs));
                if std::panic::catch_unwind(run).is_err() {
                    log::error!("the store's thread panicked; ending the process");
                    std::process::abort();
                }
            })
            .map_err(|error| Error::unavailable(format!("cannot start the store's thread: {error}")))?;
        Ok(Writer { shared, around, most_waiting: most_waiting as usize, thread: Some(thread) })
    }

    /// Queues a job at once, and returns what waits for its durable result.
    ///
    /// If the caller gives up waiting, the job is done all the same. It may be done more than once
    /// until it is committed, each time as if for the first.
    ///
    /// # Errors
    /// The job's own, or the commit's. Nothing was stored then.
    pub fn submit<T, F>(&self, purpose: Purpose, work: F) -> impl Future<Output = Result<T>> + use<T, F>
    where
        T: Send + 'static,
        F: Fn(&Tx<'_>) -> Result<T> + Send + 'static,
    {
        let answer = Arc::new(Answer(Mutex::new((None, None))));
        let job = Work { purpose, work, result: None, answer: answer.clone() };
        let queued = self.around.condition.check(purpose).and_then(|()| self.enqueue(Box::new(job)));
        if let Err(error) = queued {
            lock(&answer.0).0 = Some(Err(error));
        }
        poll_fn(move |context| {
            let mut answer = lock(&answer.0);
            match answer.0.take() {
                Some(result) => Poll::Ready(result),
                None => {
                    answer.1 = Some(context.waker().clone());
                    Poll::Pending
                }
            }
        })
    }

    fn enqueue(&self, job: Box<dyn Job>) -> Result<()> {
        let mut queue = lock(&self.shared.queue);
        if queue.closed {
            return Err(Error::unavailable("The server is stopping, please try again in a moment"));
        }
        if queue.jobs.len() >= self.most_waiting {
            return Err(Error::unavailable("The server has too much to write, please try again in a moment"));
        }
        queue.jobs.push(job);
        let idle = queue.idle;
        drop(queue);
        if idle {
            self.shared.arrived.notify_one();
        }
        Ok(())
    }

    /// The batches committed since the last call, oldest first; `None` when the writer has ended
    /// and everything was fetched.
    pub async fn finished(&self) -> Option<Vec<Batch>> {
        poll_fn(|context| {
            let mut finished = lock(&self.shared.finished);
            if !finished.batches.is_empty() {
                return Poll::Ready(Some(std::mem::take(&mut finished.batches)));
            }
            if finished.ended {
                return Poll::Ready(None);
            }
            finished.loop_waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }

    /// What the writer has done so far, and how many jobs wait.
    pub fn meter(&self) -> (Meter, u64) {
        (*lock(&self.shared.meter), lock(&self.shared.queue).jobs.len() as u64)
    }

    /// How long the batch that is being written has taken so far.
    pub fn at_it_for(&self) -> Duration {
        lock(&self.shared.begun).map_or(Duration::ZERO, |begun| begun.elapsed())
    }

    /// Takes no more jobs; those that wait are still done, then the log is folded into the file.
    pub fn close(&self) {
        lock(&self.shared.queue).closed = true;
        self.shared.arrived.notify_one();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.close();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds one of these locks.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The thread's life: batch after batch until the queue is closed and empty.
fn run(db: Db, around: Arc<Surroundings>, shared: &Shared) {
    let mut keeper = Keeper::new(db, around);
    loop {
        match next(shared, keeper.patience()) {
            Next::Jobs(jobs) => carry_out(&mut keeper, shared, jobs),
            Next::Nothing => keeper.come_by(),
            Next::End => break,
        }
    }
    keeper.end();
    hand_over(shared, |finished| finished.ended = true);
}

/// Does a batch, and hands it back before anything is done that nobody waits for.
fn carry_out(keeper: &mut Keeper, shared: &Shared, jobs: Vec<Box<dyn Job>>) {
    let mut batch = do_once(keeper, shared, jobs);
    if let Err(error) = &batch.outcome {
        if keeper.failed(error) {
            let (adding, sparing) =
                std::mem::take(&mut batch.jobs).into_iter().partition(|job| job.purpose().adds());
            batch.jobs = adding;
            let again = do_once(keeper, shared, sparing);
            if let Err(error) = &again.outcome {
                keeper.failed(error);
            }
            hand_over(shared, |finished| finished.batches.push(again));
        }
    }
    hand_over(shared, |finished| finished.batches.push(batch));
    keeper.tidy();
}

fn do_once(keeper: &mut Keeper, shared: &Shared, jobs: Vec<Box<dyn Job>>) -> Batch {
    let (begin, count) = (Instant::now(), jobs.len());
    *lock(&shared.begun) = Some(begin);
    let batch = match keeper.open() {
        Ok(()) => {
            let (db, around) = keeper.parts();
            let (batch, changes) = commit(db, around, jobs);
            keeper.committed(&changes);
            batch
        }
        Err(error) => Batch { jobs, outcome: Err(error), events: Vec::new() },
    };
    *lock(&shared.begun) = None;
    lock(&shared.meter).count(count, begin.elapsed(), batch.outcome.is_err());
    batch
}

fn hand_over(shared: &Shared, change: impl FnOnce(&mut Finished)) {
    let mut finished = lock(&shared.finished);
    change(&mut finished);
    let waker = finished.loop_waker.take();
    drop(finished);
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// What the thread has to do next.
enum Next {
    Jobs(Vec<Box<dyn Job>>),
    /// Nothing to write has come for as long as it was to wait, or somebody has called.
    Nothing,
    /// Nothing will come any more.
    End,
}

/// Waits for jobs; for ever, or for so long.
fn next(shared: &Shared, patience: Option<Duration>) -> Next {
    let mut queue = lock(&shared.queue);
    while queue.jobs.is_empty() {
        if queue.closed {
            return Next::End;
        }
        if std::mem::take(&mut queue.called) || patience.is_some_and(|patience| patience.is_zero()) {
            return Next::Nothing;
        }
        queue.idle = true;
        let Some(patience) = patience else {
            queue = shared.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
            queue.idle = false;
            continue;
        };
        let (waited, timeout) =
            shared.arrived.wait_timeout(queue, patience).unwrap_or_else(PoisonError::into_inner);
        queue = waited;
        queue.idle = false;
        if timeout.timed_out() && queue.jobs.is_empty() && !queue.closed {
            queue.called = false;
            return Next::Nothing;
        }
    }
    let take = queue.jobs.len().min(BATCH);
    if take == queue.jobs.len() {
        Next::Jobs(std::mem::take(&mut queue.jobs))
    } else {
        Next::Jobs(queue.jobs.drain(..take).collect())
    }
}

/// Does the jobs in one transaction. Also says how many rows each cause has changed.
fn commit(db: &Db, around: &Surroundings, mut jobs: Vec<Box<dyn Job>>) -> (Batch, Bytes) {
    let tx = Tx::new(db);
    let mut around = Within {
        around,
        changes: Bytes::default(),
        settling: Settling::default(),
        saving: Saving::default(),
    };
    let outcome = attempt(&tx, &mut around, &mut jobs);
    if let Err(error) = &outcome {
        log::error!("a batch of {} writes was not stored: {error}", jobs.len());
        // Fails when SQLite has rolled back by itself, which is as good.
        let _ = tx.execute("ROLLBACK", []);
        tx.events.borrow_mut().clear();
    }
    around.end(outcome.is_ok());
    (Batch { jobs, outcome, events: tx.events.take() }, around.changes)
}

/// What goes along with a transaction, whatever it is for.
struct Within<'a> {
    around: &'a Surroundings,
    /// Rows changed, by cause.
    changes: Bytes,
    settling: Settling,
    saving: Saving,
}

impl Within<'_> {
    fn begin(&mut self, tx: &Tx<'_>) -> Result<()> {
        tx.execute("BEGIN IMMEDIATE", [])?;
        self.changes = Bytes::default();
        self.settling = self.around.clock.settle(tx)?;
        Ok(())
    }

    fn commit(&mut self, tx: &Tx<'_>) -> Result<()> {
        if self.changes.iter().any(|changes| *changes > 0) {
            self.saving = self.around.written.save(tx, false)?;
        }
        tx.execute("COMMIT", [])?;
        Ok(())
    }

    fn count(&mut self, job: &dyn Job, changes: u64) {
        self.changes[job.purpose().cause() as usize] += changes;
    }

    fn end(&self, committed: bool) {
        self.around.clock.settled(&self.settling, committed);
        if committed {
            self.around.written.saved(&self.saving);
        }
    }
}

fn attempt(tx: &Tx<'_>, within: &mut Within<'_>, jobs: &mut [Box<dyn Job>]) -> Result<()> {
    within.begin(tx)?;
    for index in 0..jobs.len() {
        let before = (tx.changes(), tx.events.borrow().len());
        let kept = jobs[index].run(tx);
        check_storage(tx, jobs[index].as_ref())?;
        if kept {
            within.count(jobs[index].as_ref(), tx.changes() - before.0);
            continue;
        }
        tx.events.borrow_mut().truncate(before.1);
        if tx.changes() != before.0 {
            tx.execute("ROLLBACK", [])?;
            within.end(false);
            return attempt_with_savepoints(tx, within, jobs);
        }
    }
    within.commit(tx)
}

/// Whether the transaction is still worth going on with. SQLite gives all of it up when the disk is full, and then would
/// carry out whatever follows one by one.
fn check_storage(tx: &Tx<'_>, job: &dyn Job) -> Result<()> {
    // One without a cause is a refusal of ours.
    let failure = job.failure().filter(|error| {
        error.cause.is_some() && matches!(error.code, Code::Full | Code::Failing | Code::Damaged)
    });
    match failure {
        Some(failure) => Err(failure.clone()),
        None if tx.is_open() => Ok(()),
        None => Err(job.failure().cloned().unwrap_or_else(|| Error::internal("the transaction was lost"))),
    }
}

fn attempt_with_savepoints(tx: &Tx<'_>, within: &mut Within<'_>, jobs: &mut [Box<dyn Job>]) -> Result<()> {
    tx.events.borrow_mut().clear();
    within.begin(tx)?;
    jobs.iter_mut().try_for_each(|job| run_in_savepoint(tx, within, job.as_mut()))?;
    within.commit(tx)
}

fn run_in_savepoint(tx: &Tx<'_>, within: &mut Within<'_>, job: &mut dyn Job) -> Result<()> {
    let (events_before, changes_before) = (tx.events.borrow().len(), tx.changes());
    tx.execute("SAVEPOINT job", [])?;
    let kept = job.run(tx);
    check_storage(tx, job)?;
    if kept {
        within.count(job, tx.changes() - changes_before);
    } else {
        tx.execute("ROLLBACK TO job", [])?;
        tx.events.borrow_mut().truncate(events_before);
    }
    tx.execute("RELEASE job", [])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{Author, Kind, RoomId};
    use crate::store::{condition::Condition, room};
    use smol::{LocalExecutor, future::zip};
    use std::{cell::RefCell, rc::Rc};

    /// Runs jobs against a writer of their own and returns the numbers of the events, in the order
    /// they were published.
    fn published(jobs: impl AsyncFnOnce(&Writer)) -> Vec<i64> {
        let directory = std::env::temp_dir().join(format!("deuced-writer-{}", EntryId::new()));
        std::fs::create_dir(&directory).unwrap();
        let db = Db::open(&directory.join("deuced.db")).unwrap();
        let around = Surroundings::of(&db, Condition::new(&directory, 0, 0)).unwrap();
        let writer = Writer::start(db, &Arc::new(around), 100).unwrap();
        let seqs = Rc::new(RefCell::new(Vec::new()));
        let executor = LocalExecutor::new();
        let publisher = async {
            while let Some(batches) = writer.finished().await {
                for batch in batches {
                    seqs.borrow_mut().extend(batch.events.iter().map(|event| event.seq));
                    batch.settle();
                }
            }
        };
        let life = async {
            jobs(&writer).await;
            writer.close();
        };
        crate::io::block_on(executor.run(zip(publisher, life)), || ());
        drop(writer);
        std::fs::remove_dir_all(&directory).unwrap();
        seqs.take()
    }

    fn append(tx: &Tx<'_>) -> Result<()> {
        let room = match tx.one("SELECT id FROM room", [], |row| Ok(RoomId(row.get(0)?)))? {
            Some(room) => room,
            None => room::insert(tx, "room")?,
        };
        let author = Author::Guest(String::new());
        room::append_by(tx, room, author, Kind::GroupDeleted, None, 100).map(|_| ())
    }

    #[test]
    fn a_job_that_fails_after_writing_takes_back_its_own_changes_only() {
        let seqs = published(async |writer| {
            // The first keeps the thread busy, so that the others come as one batch.
            let busy = writer.submit(Purpose::Say, |_| {
                std::thread::sleep(std::time::Duration::from_millis(50));
                Ok(())
            });
            let failing =
                writer.submit(Purpose::Say, |tx| append(tx).and(Err::<(), _>(Error::invalid("no"))));
            let refusing = writer.submit(Purpose::Say, |_| Err::<(), _>(Error::forbidden("never")));
            let others = zip(
                writer.submit(Purpose::Say, append),
                zip(failing, zip(refusing, writer.submit(Purpose::Say, append))),
            );
            let (_, (first, (failed, (refused, last)))) = zip(busy, others).await;
            assert!(first.is_ok() && last.is_ok());
            assert_eq!(failed.unwrap_err().message, "no");
            assert_eq!(refused.unwrap_err().message, "never");
        });
        assert_eq!(seqs, [1, 2], "dense, and none of the failed one");
    }

    #[test]
    fn a_job_alone_that_fails_leaves_nothing() {
        let seqs = published(async |writer| {
            assert!(
                writer
                    .submit(Purpose::Say, |tx| append(tx).and(Err::<(), _>(Error::invalid("no"))))
                    .await
                    .is_err()
            );
            assert!(writer.submit(Purpose::Say, append).await.is_ok());
        });
        assert_eq!(seqs, [1]);
    }

    #[test]
    fn who_gives_up_waiting_has_it_done_all_the_same() {
        let seqs = published(async |writer| {
            let mut impatient = Box::pin(writer.submit(Purpose::Say, append));
            assert!(smol::future::poll_once(&mut impatient).await.is_none());
            drop(impatient);
            assert!(writer.submit(Purpose::Say, append).await.is_ok());
        });
        assert_eq!(seqs, [1, 2]);
    }

    #[test]
    fn a_closed_writer_refuses() {
        published(async |writer| {
            writer.close();
            assert_eq!(writer.submit(Purpose::Say, append).await.unwrap_err().code, Code::Unavailable);
        });
    }
}
