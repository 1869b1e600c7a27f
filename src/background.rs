//! The one background thread of the process, shared by all stores.
//!
//! It removes what has expired, in small steps between which a store's callers go first, and frees
//! large amounts of memory. It has no clock: a store's owner tells it when there is something to
//! do, and which time it is (see docs/design.md for why).
//!
//! The thread is started by the first job and ends when no store is left. An addon can be
//! unloaded when the last JavaScript environment that loaded it ends, and a thread that still
//! ran its code would crash the process; so environments attach here, and the last one to
//! detach stops the thread and waits for it.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Weak;
use std::thread::JoinHandle;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::time::stopwatch;

/// How long the thread works in one go, and how long it then rests. If it shares a processor with a
/// JavaScript thread, that one waits for no longer than a burst and a step; without rests it waited
/// 8 ms, the system's time slice.
const BURST: Duration = Duration::from_micros(500);
const REST: Duration = Duration::from_micros(150);

/// After so many steps the thread has freed enough for the allocator to give memory back.
const WORTH_TIDYING: usize = 300;

/// After so many stores were dropped, the allocator has enough of theirs to give back.
const STORES_WORTH_TIDYING: usize = 50;

/// Something that is maintained step by step: pruned, swept, evicted from.
pub trait Maintenance: Send + Sync {
    /// Does a small part of what is left to be done. Returns whether there is more.
    fn maintenance_step(&self) -> bool;
}

/// The background worker of this process.
pub static BACKGROUND: Worker = Worker::new();

/// See the module's description.
pub struct Worker {
    state: Mutex<State>,
    wake: Condvar,
    /// How the thread rests.
    rest: fn(Duration),
}

struct State {
    jobs: VecDeque<Job>,
    /// JavaScript environments that have the addon loaded.
    environments: usize,
    stores: usize,
    /// Stores that were dropped since the last time that this was worth tidying.
    dropped: usize,
    /// Whether the thread takes jobs. One that has ended may still have to be joined.
    running: bool,
    thread: Option<JoinHandle<()>>,
    tidy: Option<fn()>,
    /// How often the last environment has detached. A thread takes jobs in one era only: an
    /// environment that attaches while another waits for the thread to end gets a new thread.
    era: u64,
}

enum Job {
    Maintain(Weak<dyn Maintenance>),
    Free(Box<dyn Send>),
    /// Done even if the last environment detaches before.
    Finish(Box<dyn FnOnce() + Send>),
    /// Called until it returns false.
    Steps(Box<dyn FnMut() -> bool + Send>),
}

impl Worker {
    const fn new() -> Self {
        Self {
            state: Mutex::new(State {
                jobs: VecDeque::new(),
                environments: 0,
                stores: 0,
                dropped: 0,
                running: false,
                thread: None,
                tidy: None,
                era: 0,
            }),
            wake: Condvar::new(),
            rest: std::thread::sleep,
        }
    }

    /// An environment has loaded the addon.
    pub fn attach(&self) {
        self.state.lock().environments += 1;
    }

    /// Has the thread call `tidy` when it has freed much and has nothing more to do.
    pub fn tidy_with(&self, tidy: fn()) {
        self.state.lock().tidy = Some(tidy);
    }

    /// An environment is about to unload the addon. The last one waits for the thread to end:
    /// prunes stop after the current step, but memory is freed and work given to [`Self::finish`]
    /// is done.
    pub fn detach(&self) {
        let mut state = self.state.lock();
        state.environments -= 1;
        if state.environments > 0 {
            return;
        }
        state.era += 1;
        state.running = false;
        let thread = state.thread.take();
        let jobs = std::mem::take(&mut state.jobs);
        self.wake.notify_all();
        drop(state);
        join(thread);
        for job in jobs {
            if matches!(job, Job::Free(_) | Job::Finish(_)) {
                run(job);
            }
        }
    }

    /// Notes that a store uses the thread, until the guard is dropped.
    pub fn open(&'static self) -> OpenStore {
        self.state.lock().stores += 1;
        OpenStore { worker: self }
    }

    /// Has the thread do all the steps that `store` has left. Forgets it if the store is dropped.
    pub fn maintain(&'static self, store: Weak<dyn Maintenance>) {
        self.submit(Job::Maintain(store));
    }

    /// Has the thread call `step` until it returns false.
    pub fn run(&'static self, step: Box<dyn FnMut() -> bool + Send>) {
        self.submit(Job::Steps(step));
    }

    /// Has the thread drop `garbage`, so that the caller need not wait for it.
    pub fn free(&'static self, garbage: Box<dyn Send>) {
        self.submit(Job::Free(garbage));
    }

    /// Has the thread do `work` in one go, even if the last environment detaches before.
    pub fn finish(&'static self, work: Box<dyn FnOnce() + Send>) {
        self.submit(Job::Finish(work));
    }

    fn submit(&'static self, job: Job) {
        let mut state = self.state.lock();
        if state.environments == 0 || !self.ensure_thread(&mut state) {
            drop(state);
            run_to_end(job);
            return;
        }
        state.jobs.push_back(job);
        self.wake.notify_one();
    }

    /// Starts the thread if it is not running. Returns whether it is now.
    fn ensure_thread(&'static self, state: &mut MutexGuard<'_, State>) -> bool {
        if state.running {
            return true;
        }
        // The former thread ended right after it cleared `running`, so this does not wait.
        join(state.thread.take());
        let era = state.era;
        #[expect(clippy::disallowed_methods, reason = "this is the one place that starts a thread")]
        let thread =
            std::thread::Builder::new().name("memorystore-rs".into()).spawn(move || self.work(era));
        state.running = thread.is_ok();
        state.thread = thread.ok();
        state.running
    }

    fn work(&self, era: u64) {
        let mut began = stopwatch();
        let mut freed = 0;
        let mut state = self.state.lock();
        while state.era == era {
            if let Some(job) = state.jobs.pop_front() {
                freed += job.weight();
                let unfinished = MutexGuard::unlocked(&mut state, || {
                    if began.elapsed() > BURST {
                        (self.rest)(REST);
                        began = stopwatch();
                    }
                    run(job)
                });
                if state.era == era {
                    state.jobs.extend(unfinished);
                } else {
                    // Dropping it may free much memory, so not under the lock.
                    MutexGuard::unlocked(&mut state, || drop(unfinished));
                }
            } else if freed >= WORTH_TIDYING {
                freed = 0;
                if let Some(tidy) = state.tidy {
                    MutexGuard::unlocked(&mut state, tidy);
                }
            } else if state.stores == 0 {
                state.running = false;
                return;
            } else {
                self.wake.wait(&mut state);
                began = stopwatch();
            }
        }
    }
}

impl Job {
    /// How much it frees, in steps.
    fn weight(&self) -> usize {
        match self {
            Job::Maintain(_) | Job::Steps(_) => 1,
            Job::Free(_) => WORTH_TIDYING,
            Job::Finish(_) => 0,
        }
    }
}

/// Keeps the thread alive for a store's sake.
pub struct OpenStore {
    worker: &'static Worker,
}

impl Drop for OpenStore {
    fn drop(&mut self) {
        let mut state = self.worker.state.lock();
        state.stores -= 1;
        state.dropped += 1;
        let is_worth_tidying = state.dropped >= STORES_WORTH_TIDYING;
        if is_worth_tidying {
            state.dropped = 0;
        }
        if state.stores == 0 {
            self.worker.wake.notify_one();
        }
        drop(state);
        if is_worth_tidying {
            self.worker.free(Box::new(()));
        }
    }
}

/// Does a job, or one step of it. Returns what is left to do.
///
/// A panic ends the job and nothing else: the thread serves other stores too.
fn run(job: Job) -> Option<Job> {
    catch_unwind(AssertUnwindSafe(|| match job {
        Job::Steps(mut step) => step().then_some(Job::Steps(step)),
        Job::Maintain(store) => store.upgrade()?.maintenance_step().then_some(Job::Maintain(store)),
        Job::Free(garbage) => {
            drop(garbage);
            None
        }
        Job::Finish(work) => {
            work();
            None
        }
    }))
    .unwrap_or(None)
}

fn run_to_end(job: Job) {
    let mut next = Some(job);
    while let Some(job) = next {
        next = run(job);
    }
}

fn join(thread: Option<JoinHandle<()>>) {
    if let Some(thread) = thread {
        // `run` has dealt with the panics of jobs.
        let _ = thread.join();
    }
}

#[cfg(test)]
impl Worker {
    /// A worker of the test's own, so that tests can run side by side.
    pub(crate) fn leaked() -> &'static Self {
        Box::leak(Box::new(Self::new()))
    }
}

#[cfg(test)]
mod tests;
