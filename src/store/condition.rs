//! How the storage is: found by whoever touches it, changed in one place, read by everybody.
//!
//! Each change is one line in the log. What follows from it (refusing, releasing the reserve, trying again) is the
//! writer's business.

use crate::domain::{Code, Error, Purpose, Result, Storage, Time};
use crate::io::disk;
use crate::store::reserve;
use std::{
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering},
    },
};

/// The newest copy of the diary that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// Where it is.
    pub path: PathBuf,
    /// When it was made.
    pub at: Time,
}

/// How the storage of one data directory is.
pub struct Condition {
    data: PathBuf,
    reserve_bytes: u64,
    least_free: u64,
    state: AtomicU8,
    suspected: AtomicBool,
    /// Whether the server should be started once more, now that it could write.
    anew: AtomicBool,
    copy: Mutex<Option<Copy>>,
    /// Has the writer's thread see to what somebody else has found.
    call: Mutex<Option<Box<dyn Fn() + Send>>>,
}

impl Condition {
    /// All is well, until somebody finds out otherwise.
    pub fn new(data: &Path, reserve_bytes: u64, least_free: u64) -> Condition {
        Condition {
            data: data.to_owned(),
            reserve_bytes,
            least_free,
            state: AtomicU8::new(0),
            suspected: AtomicBool::new(false),
            anew: AtomicBool::new(false),
            copy: Mutex::default(),
            call: Mutex::default(),
        }
    }

    /// From now on this is called when somebody has found something.
    pub(super) fn on_change(&self, call: impl Fn() + Send + 'static) {
        *lock(&self.call) = Some(Box::new(call));
    }

    /// Has somebody see to it.
    pub fn call(&self) {
        if let Some(call) = &*lock(&self.call) {
            call();
        }
    }

    /// How it is now.
    pub fn state(&self) -> Storage {
        Storage::ALL[usize::from(self.state.load(Ordering::Relaxed))]
    }

    /// Remembers the newest verified copy, to be named when there is trouble.
    pub fn know_copy(&self, copy: Option<Copy>) {
        *lock(&self.copy) = copy;
    }

    /// The newest verified copy, as far as it is known.
    pub fn copy(&self) -> Option<Copy> {
        lock(&self.copy).clone()
    }

    /// How much space is left; `None` where nobody can tell.
    pub fn free_bytes(&self) -> Option<u64> {
        Some(disk::space(&self.data).ok()?.free)
    }

    /// Refuses what cannot be written as things are.
    ///
    /// # Errors
    /// `Full`, `Failing` or `Damaged`, with what people are to be told.
    pub fn check(&self, purpose: Purpose) -> Result<()> {
        let code = match self.state() {
            Storage::Ok => return Ok(()),
            Storage::Full if !purpose.adds() => return Ok(()),
            Storage::Full => Code::Full,
            Storage::Failing => Code::Failing,
            Storage::Damaged => Code::Damaged,
        };
        Err(Error::new(code, self.state().sentence()))
    }

    /// Takes note of what has been found, and says whether that is news. Damage stays.
    pub(super) fn find(&self, state: Storage, why: &str) -> bool {
        let found = |now| match Storage::ALL[usize::from(now)] {
            now if now == state || now == Storage::Damaged => None,
            _ => Some(state as u8),
        };
        let changed = self.state.fetch_update(Ordering::Relaxed, Ordering::Relaxed, found).is_ok();
        if changed {
            self.tell(state, why);
            self.call();
        }
        changed
    }

    /// Takes note of an error, if it is the storage's. One without a cause is a refusal of ours.
    pub(super) fn find_error(&self, error: &Error) -> bool {
        let Some(cause) = &error.cause else { return false };
        match error.code {
            Code::Full => self.find(Storage::Full, cause),
            Code::Failing => self.find(Storage::Failing, cause),
            Code::Damaged => {
                // To SQLite a page that cannot be read is the same as one that is damaged. The writer's thread finds out
                // which it was; until then nothing is written in either case.
                self.suspected.store(true, Ordering::Relaxed);
                self.find(Storage::Failing, cause)
            }
            _ => false,
        }
    }

    /// The storage works, and only a server that begins anew can use it: this one ends as if it had been told to.
    pub(super) fn begin_anew(&self) {
        self.anew.store(true, Ordering::Relaxed);
        log::warn!("storage: {} can be written to again; the server begins anew", self.data.display());
        // SAFETY: a signal to ourselves, which the loop waits for.
        unsafe { libc::kill(libc::getpid(), libc::SIGTERM) };
    }

    /// Whether the server has ended in order to be started once more.
    pub fn is_to_begin_anew(&self) -> bool {
        self.anew.load(Ordering::Relaxed)
    }

    /// Whether somebody has found a page that makes no sense since this was last asked.
    pub(super) fn take_suspicion(&self) -> bool {
        self.suspected.swap(false, Ordering::Relaxed)
    }

    fn tell(&self, state: Storage, why: &str) {
        let data = self.data.display();
        match state {
            Storage::Ok => log::warn!("storage: ok again ({why}); {data} is written to as before"),
            Storage::Full => log::error!(
                "storage: full ({why}); the reserve of {data} is released, and nothing new is stored until there is space again"
            ),
            Storage::Failing => log::error!(
                "storage: failing ({why}); nothing is written to {data} until it works again, which is tried now and then; {}",
                self.way_out()
            ),
            Storage::Damaged => log::error!(
                "storage: damaged ({why}); nothing is written to {data} any more, and what is there is left as it is; {}",
                self.way_out()
            ),
        }
    }

    fn way_out(&self) -> String {
        way_out(self.copy().as_ref())
    }

    /// Makes the reserve; it is there or was not wanted when this is `Ok`.
    pub(super) fn make_reserve(&self) -> std::io::Result<()> {
        reserve::make(&self.data, self.reserve_bytes)
    }

    /// Gives the reserve free.
    pub(super) fn release_reserve(&self) {
        if let Err(error) = reserve::release(&self.data) {
            log::warn!("{}: {error}", reserve::path(&self.data).display());
        }
    }

    /// Whether there is less space than there should be; `more` as well, to be sure for a while.
    pub(super) fn is_short(&self, more: u64) -> bool {
        self.free_bytes().is_some_and(|free| free < self.least_free.saturating_add(more))
    }

    /// Whether there is space for the reserve and some more.
    pub(super) fn has_space_again(&self) -> bool {
        !self.is_short(self.reserve_bytes.saturating_add(self.least_free / 2))
    }
}

/// What somebody can do whose card is dying.
pub fn way_out(copy: Option<&Copy>) -> String {
    match copy {
        Some(copy) => format!(
            "the newest verified backup is {} (of {}); 'deuced restore {0}' brings it back",
            copy.path.display(),
            &copy.at.to_string()[..10]
        ),
        None => {
            "no verified backup is known; 'deuced backup FOLDER' copies what can still be read".to_owned()
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds the lock.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition() -> Condition {
        Condition::new(Path::new("/nowhere"), 0, 0)
    }

    #[test]
    fn a_full_disk_takes_what_frees_space() {
        let condition = condition();
        assert!(condition.find(Storage::Full, "for a test"));
        assert!(!condition.find(Storage::Full, "for a test"), "no news");
        assert_eq!(condition.check(Purpose::LogEntry).unwrap_err().code, Code::Full);
        assert!(condition.check(Purpose::DeleteEntry).is_ok());
        assert!(condition.find(Storage::Failing, "for a test"));
        assert_eq!(condition.check(Purpose::DeleteEntry).unwrap_err().code, Code::Failing);
        assert!(condition.find(Storage::Ok, "for a test"));
        assert!(condition.check(Purpose::LogEntry).is_ok());
    }

    #[test]
    fn damage_stays() {
        let condition = condition();
        assert!(condition.find(Storage::Damaged, "for a test"));
        for state in Storage::ALL {
            assert!(!condition.find(state, "for a test"));
        }
        assert_eq!(condition.state(), Storage::Damaged);
    }

    #[test]
    fn refusals_of_ours_are_no_trouble_of_the_storage() {
        let condition = condition();
        assert!(!condition.find_error(&Error::new(Code::Full, "said by somebody")));
        assert!(condition.find_error(&Error::new(Code::Full, "said by the database").because("SQLITE_FULL")));
    }
}
