//! The writer: the one thread that changes the database.
//!
//! Whatever is queued is done in one transaction, and one commit makes all of it durable; while the
//! card syncs, the next batch collects. A job that fails takes only its own changes back: verbs look
//! before they write, so that hardly ever happens, and the batch is then done again with a savepoint
//! around each job. (A savepoint copies every page that is changed within it; leaving it out is a
//! fifth of the thread's work.) Results and
//! events come back to the loop in the order of the commits, with one wake for a batch. A failed
//! commit fails every job in it, and nothing of it is told to anyone.

use crate::domain::{Code, EntryId, Error, Event, Result};
use crate::store::{Db, Tx, deuce};
use std::{
    future::poll_fn,
    path::{Path, PathBuf},
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

/// What the writer has done, for metrics.
#[derive(Clone, Copy, Debug, Default)]
pub struct Meter {
    /// Jobs done, refused ones among them.
    pub jobs: u64,
    /// Commits that are on the disk.
    pub commits: u64,
    /// Commits that failed.
    pub failures: u64,
    /// How long all batches took together, from their first job to the end of the commit.
    pub busy: Duration,
    /// Batches that took no longer than so many milliseconds: [`BATCH_MILLIS`].
    pub within: [u64; BATCH_MILLIS.len()],
}

/// The bounds that batches are counted under.
pub const BATCH_MILLIS: [u64; 7] = [1, 5, 10, 25, 100, 500, 2500];

impl Meter {
    fn count(&mut self, jobs: usize, took: Duration, failed: bool) {
        self.jobs += jobs as u64;
        self.busy += took;
        *(if failed { &mut self.failures } else { &mut self.commits }) += 1;
        for (count, most) in self.within.iter_mut().zip(BATCH_MILLIS) {
            *count += u64::from(took <= Duration::from_millis(most));
        }
    }
}

#[derive(Default)]
struct Queue {
    jobs: Vec<Box<dyn Job>>,
    closed: bool,
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
    /// Does the work, possibly not for the first time, and says whether its changes may stay.
    fn run(&mut self, tx: &Tx<'_>) -> bool;
    /// Why the last run failed.
    fn failure(&self) -> Option<&Error>;
    /// Hands the result to whoever waits for it.
    fn settle(self: Box<Self>, outcome: &Result<()>);
}

struct Work<F, T> {
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
    pub fn start(db: Db, most_waiting: u64) -> Result<Writer> {
        let newest = deuce::newest(&db)?;
        let shared = Arc::new(Shared::default());
        let (theirs, path) = (shared.clone(), db.path().to_owned());
        let thread = std::thread::Builder::new()
            .name("store".to_owned())
            .stack_size(512 << 10)
            .spawn(move || {
                newest.into_iter().for_each(EntryId::follow);
                // A writer that panicked has lost track of what is stored. Nothing it could still
                // say would be worth trusting, so the process ends and is started afresh.
                let run = std::panic::AssertUnwindSafe(|| run(db, &path, &theirs));
                if std::panic::catch_unwind(run).is_err() {
                    log::error!("the store's thread panicked; ending the process");
                    std::process::abort();
                }
            })
            .map_err(|error| Error::unavailable(format!("cannot start the store's thread: {error}")))?;
        Ok(Writer { shared, most_waiting: most_waiting as usize, thread: Some(thread) })
    }

    /// Queues a job at once, and returns what waits for its durable result.
    ///
    /// If the caller gives up waiting, the job is done all the same. It may be done more than once
    /// until it is committed, each time as if for the first.
    ///
    /// # Errors
    /// The job's own, or the commit's. Nothing was stored then.
    pub fn submit<T, F>(&self, work: F) -> impl Future<Output = Result<T>> + use<T, F>
    where
        T: Send + 'static,
        F: Fn(&Tx<'_>) -> Result<T> + Send + 'static,
    {
        let answer = Arc::new(Answer(Mutex::new((None, None))));
        let job = Work { work, result: None, answer: answer.clone() };
        if let Err(error) = self.enqueue(Box::new(job)) {
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
fn run(db: Db, path: &Path, shared: &Shared) {
    let mut connection = Reopening { db: Some(db), path: path.to_owned() };
    while let Some(jobs) = next_jobs(shared) {
        let (begin, count) = (Instant::now(), jobs.len());
        *lock(&shared.begun) = Some(begin);
        let batch = match connection.get() {
            Ok(db) => {
                let (batch, broken) = commit(db, jobs);
                if broken {
                    connection.db = None;
                }
                batch
            }
            Err(error) => Batch { jobs, outcome: Err(error), events: Vec::new() },
        };
        *lock(&shared.begun) = None;
        lock(&shared.meter).count(count, begin.elapsed(), batch.outcome.is_err());
        hand_over(shared, |finished| finished.batches.push(batch));
    }
    if let Some(db) = connection.db.take() {
        // After this the whole diary is in one file; a log left behind would be read as well.
        if let Err(error) = db.connection.execute_batch("PRAGMA wal_checkpoint(TRUNCATE); PRAGMA optimize;") {
            log::warn!("the database's log could not be folded in: {error}");
        }
    }
    hand_over(shared, |finished| finished.ended = true);
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

/// Waits for jobs. `None` when no more will come.
fn next_jobs(shared: &Shared) -> Option<Vec<Box<dyn Job>>> {
    let mut queue = lock(&shared.queue);
    while queue.jobs.is_empty() {
        if queue.closed {
            return None;
        }
        queue.idle = true;
        queue = shared.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
        queue.idle = false;
    }
    let take = queue.jobs.len().min(BATCH);
    if take == queue.jobs.len() {
        Some(std::mem::take(&mut queue.jobs))
    } else {
        Some(queue.jobs.drain(..take).collect())
    }
}

/// The writer's connection. After an I/O error SQLite's idea of the file cannot be trusted, so it
/// is opened anew before the next batch.
struct Reopening {
    db: Option<Db>,
    path: PathBuf,
}

impl Reopening {
    fn get(&mut self) -> Result<&Db> {
        if self.db.is_none() {
            self.db = Some(Db::open(&self.path)?);
        }
        Ok(self.db.as_ref().expect("opened above"))
    }
}

/// Does the jobs in one transaction. Also says whether the connection can no longer be trusted.
fn commit(db: &Db, mut jobs: Vec<Box<dyn Job>>) -> (Batch, bool) {
    let tx = Tx::new(db);
    let outcome = attempt(&tx, &mut jobs);
    let mut broken = false;
    if let Err(error) = &outcome {
        log::error!("a batch of {} writes was not stored: {error}", jobs.len());
        // Fails when SQLite has rolled back by itself, which is as good.
        let _ = tx.execute("ROLLBACK", []);
        broken = !matches!(error.code, Code::Full);
        tx.events.borrow_mut().clear();
    }
    (Batch { jobs, outcome, events: tx.events.take() }, broken)
}

fn attempt(tx: &Tx<'_>, jobs: &mut [Box<dyn Job>]) -> Result<()> {
    tx.execute("BEGIN IMMEDIATE", [])?;
    for index in 0..jobs.len() {
        let before = (tx.changes(), tx.events.borrow().len());
        let kept = jobs[index].run(tx);
        check_open(tx, jobs[index].as_ref())?;
        if kept {
            continue;
        }
        tx.events.borrow_mut().truncate(before.1);
        if tx.changes() != before.0 {
            tx.execute("ROLLBACK", [])?;
            return attempt_with_savepoints(tx, jobs);
        }
    }
    tx.execute("COMMIT", [])?;
    Ok(())
}

/// SQLite gives the whole transaction up when the disk is full, and then would carry out whatever
/// follows one by one.
fn check_open(tx: &Tx<'_>, job: &dyn Job) -> Result<()> {
    match tx.is_open() {
        true => Ok(()),
        false => Err(job.failure().cloned().unwrap_or_else(|| Error::internal("the transaction was lost"))),
    }
}

fn attempt_with_savepoints(tx: &Tx<'_>, jobs: &mut [Box<dyn Job>]) -> Result<()> {
    tx.events.borrow_mut().clear();
    tx.execute("BEGIN IMMEDIATE", [])?;
    jobs.iter_mut().try_for_each(|job| run_in_savepoint(tx, job.as_mut()))?;
    tx.execute("COMMIT", [])?;
    Ok(())
}

fn run_in_savepoint(tx: &Tx<'_>, job: &mut dyn Job) -> Result<()> {
    let events_before = tx.events.borrow().len();
    tx.execute("SAVEPOINT job", [])?;
    let kept = job.run(tx);
    check_open(tx, job)?;
    if !kept {
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
    use crate::store::room;
    use smol::{LocalExecutor, future::zip};
    use std::{cell::RefCell, rc::Rc};

    /// Runs jobs against a writer of their own and returns the numbers of the events, in the order
    /// they were published.
    fn published(jobs: impl AsyncFnOnce(&Writer)) -> Vec<i64> {
        let directory = std::env::temp_dir().join(format!("deuced-writer-{}", EntryId::new()));
        std::fs::create_dir(&directory).unwrap();
        let writer = Writer::start(Db::open(&directory.join("deuced.db")).unwrap(), 100).unwrap();
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
            let busy = writer.submit(|_| {
                std::thread::sleep(std::time::Duration::from_millis(50));
                Ok(())
            });
            let failing = writer.submit(|tx| append(tx).and(Err::<(), _>(Error::invalid("no"))));
            let refusing = writer.submit(|_| Err::<(), _>(Error::forbidden("never")));
            let others = zip(writer.submit(append), zip(failing, zip(refusing, writer.submit(append))));
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
            assert!(writer.submit(|tx| append(tx).and(Err::<(), _>(Error::invalid("no")))).await.is_err());
            assert!(writer.submit(append).await.is_ok());
        });
        assert_eq!(seqs, [1]);
    }

    #[test]
    fn who_gives_up_waiting_has_it_done_all_the_same() {
        let seqs = published(async |writer| {
            let mut impatient = Box::pin(writer.submit(append));
            assert!(smol::future::poll_once(&mut impatient).await.is_none());
            drop(impatient);
            assert!(writer.submit(append).await.is_ok());
        });
        assert_eq!(seqs, [1, 2]);
    }

    #[test]
    fn a_closed_writer_refuses() {
        published(async |writer| {
            writer.close();
            assert_eq!(writer.submit(append).await.unwrap_err().code, Code::Unavailable);
        });
    }
}
