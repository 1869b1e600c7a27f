//! Work that the background thread does for one store, and what came of it.

use std::sync::Arc;

use parking_lot::Mutex;

use crate::background::BACKGROUND;
use crate::engine::Error;

/// One piece of work at a time.
#[derive(Clone, Default)]
pub(super) struct Task(Arc<Mutex<Progress>>);

#[derive(Default)]
enum Progress {
    #[default]
    Idle,
    UnderWay,
    Failed(Error),
}

impl Task {
    /// Has the thread do `work`, even if the last environment detaches first.
    pub(super) fn begin(&self, work: impl FnOnce() -> Result<(), Error> + Send + 'static) {
        *self.0.lock() = Progress::UnderWay;
        let end = End(self.clone());
        BACKGROUND.finish(Box::new(move || {
            if let Err(error) = work() {
                *end.0.0.lock() = Progress::Failed(error);
            }
        }));
    }

    /// Whether the work is under way. If it failed, gives its error, once.
    pub(super) fn is_under_way(&self) -> Result<bool, Error> {
        let mut progress = self.0.lock();
        if matches!(*progress, Progress::UnderWay) {
            return Ok(true);
        }
        match std::mem::take(&mut *progress) {
            Progress::Failed(error) => Err(error),
            Progress::Idle | Progress::UnderWay => Ok(false),
        }
    }
}

/// Resets the task to idle, even if the work panicked.
struct End(Task);

impl Drop for End {
    fn drop(&mut self) {
        let mut progress = self.0.0.lock();
        if matches!(*progress, Progress::UnderWay) {
            *progress = Progress::Idle;
        }
    }
}
