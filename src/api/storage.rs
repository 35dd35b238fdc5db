//! How the storage is, as the doors ask for it, and what somebody can do whose storage is broken.

use crate::api::{App, Settings, database_path};
use crate::domain::{Purpose, Result, Storage, Time};
use crate::store::backup::{self, record};
use crate::store::condition::{Copy, way_out};
use crate::store::{Db, written::Written};

impl App {
    /// What has been written to the card, and for what.
    pub fn written(&self) -> &Written {
        &self.around.written
    }

    /// Whether the server has ended in order to be started once more.
    pub fn is_to_begin_anew(&self) -> bool {
        self.around.condition.is_to_begin_anew()
    }

    /// How the storage is.
    pub fn storage(&self) -> Storage {
        self.around.condition.state()
    }

    /// How much space is left for the data; `None` where nobody can tell.
    pub fn free_bytes(&self) -> Option<u64> {
        self.around.condition.free_bytes()
    }

    /// Refuses at once what would be refused when it is written.
    ///
    /// # Errors
    /// `Full`, `Failing` or `Damaged`.
    pub fn check_storage(&self, purpose: Purpose) -> Result<()> {
        self.around.condition.check(purpose)
    }

    /// Looks at the storage anew, because another process may have found or changed something.
    pub fn look_at_storage(&self) {
        self.around.condition.know_copy(record::newest_copy(&self.db));
        self.around.condition.call();
    }

    /// What time it is for whatever has an end. A clock that was set a moment ago ends nothing.
    pub fn now(&self) -> Time {
        self.around.clock.now()
    }
}

/// What is left to somebody whose file is damaged, in a sentence: the newest copy that is known in the file, as far as that
/// can be read, or that lies in the folder of the copies.
pub fn way_out_of(settings: &Settings) -> String {
    let known = Db::open_reader(&database_path(&settings.data)).ok().and_then(|db| record::newest_copy(&db));
    let found = || {
        let copies = backup::list(&settings.backup.folder(&settings.data)).ok()?;
        let copy = copies.into_iter().find(|copy| copy.about.is_some())?;
        Some(Copy { at: copy.about?.made_at?, path: copy.path })
    };
    way_out(known.or_else(found).as_ref())
}
