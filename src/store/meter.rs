//! What the writer counts of its own work.

use std::time::Duration;

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
    /// Counts a batch.
    pub(super) fn count(&mut self, jobs: usize, took: Duration, failed: bool) {
        self.jobs += jobs as u64;
        self.busy += took;
        *(if failed { &mut self.failures } else { &mut self.commits }) += 1;
        for (count, most) in self.within.iter_mut().zip(BATCH_MILLIS) {
            *count += u64::from(took <= Duration::from_millis(most));
        }
    }
}
