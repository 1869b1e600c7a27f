//! The one background thread of the process, shared by all stores.
//!
//! It removes what has expired, in small steps between which a store's callers go first, and
//! frees large amounts of memory. It has no clock: a store's owner tells it when there is
//! something to do, and by which time to judge (see CONTRIBUTING.md for why).
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

/// How long the thread does steps in one go, and how long it rests then. Where the system has put
/// it on the processor of a JavaScript thread, that one is held up for no longer than a burst and
/// a step; without rests it was for 8 ms, the system's time slices.
const BURST: Duration = Duration::from_micros(500);
const REST: Duration = Duration::from_micros(150);

/// After so many steps the thread has freed enough for the allocator to give memory back.
const WORTH_TIDYING: usize = 300;

/// Something that is pruned step by step.
pub trait Prunable: Send + Sync {
    /// Does a small part of the prune that is under way. Returns whether there is more to do.
    fn prune_step(&self) -> bool;
}

/// The pruner of this process.
pub static PRUNER: Pruner = Pruner::new();

/// See the module's description.
pub struct Pruner {
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
    /// Whether the thread takes jobs. One that has ended may still have to be joined.
    running: bool,
    thread: Option<JoinHandle<()>>,
    tidy: Option<fn()>,
    /// How often the last environment has detached. A thread takes jobs in one era only: an
    /// environment that comes while another waits for the thread to end gets a new one.
    era: u64,
}

enum Job {
    Prune(Weak<dyn Prunable>),
    Free(Box<dyn Send>),
    /// Done even if the last environment detaches before.
    Finish(Box<dyn FnOnce() + Send>),
    /// Called until it returns false.
    Steps(Box<dyn FnMut() -> bool + Send>),
}

impl Pruner {
    const fn new() -> Self {
        Self {
            state: Mutex::new(State {
                jobs: VecDeque::new(),
                environments: 0,
                stores: 0,
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
    /// prunes stop after the step they are at, memory is freed and work finished to the end.
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

    /// A store begins to use the thread. It ends when the guard is dropped.
    pub fn open(&'static self) -> OpenStore {
        self.state.lock().stores += 1;
        OpenStore { pruner: self }
    }

    /// Has the thread do all the steps of `store`'s prune. Forgets it if the store is dropped.
    pub fn prune(&'static self, store: Weak<dyn Prunable>) {
        self.submit(Job::Prune(store));
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

    /// Starts the thread if it does not run. Returns whether it does now.
    fn ensure_thread(&'static self, state: &mut MutexGuard<'_, State>) -> bool {
        if state.running {
            return true;
        }
        // The last thing the former thread did was to say that it does not run any more.
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
                    // What it still has may be much to free.
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
            Job::Prune(_) | Job::Steps(_) => 1,
            Job::Free(_) => WORTH_TIDYING,
            Job::Finish(_) => 0,
        }
    }
}

/// Keeps the thread alive for a store's sake.
pub struct OpenStore {
    pruner: &'static Pruner,
}

impl Drop for OpenStore {
    fn drop(&mut self) {
        let mut state = self.pruner.state.lock();
        state.stores -= 1;
        if state.stores == 0 {
            self.pruner.wake.notify_one();
        }
    }
}

/// Does a job, or one step of it. Returns what is left to do.
///
/// A panic ends the job and nothing else: the thread serves other stores too.
fn run(job: Job) -> Option<Job> {
    catch_unwind(AssertUnwindSafe(|| match job {
        Job::Steps(mut step) => step().then_some(Job::Steps(step)),
        Job::Prune(store) => store.upgrade()?.prune_step().then_some(Job::Prune(store)),
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
        // It ends with a panic only where `run` has already dealt with it.
        let _ = thread.join();
    }
}

#[cfg(test)]
impl Pruner {
    /// A pruner of the test's own, so that tests can run side by side.
    pub(crate) fn leaked() -> &'static Self {
        Box::leak(Box::new(Self::new()))
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::panic::resume_unwind;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::{Receiver, Sender, channel};
    use std::thread::{self, ThreadId};
    use std::time::Duration;

    use super::*;

    /// So long that only a deadlock takes longer, however busy the machine.
    const FOREVER: Duration = Duration::from_mins(10);

    fn wait<T>(receiver: &Receiver<T>) -> T {
        receiver.recv_timeout(FOREVER).expect("it never happened")
    }

    /// A prune whose steps are the calls of a function.
    struct Steps<F>(F);

    impl<F: Fn() -> bool + Send + Sync> Prunable for Steps<F> {
        fn prune_step(&self) -> bool {
            (self.0)()
        }
    }

    fn steps(step: impl Fn() -> bool + Send + Sync + 'static) -> Arc<dyn Prunable> {
        Arc::new(Steps(step))
    }

    /// A prune of one step that holds the thread until the test lets it go on.
    struct Gate {
        job: Arc<dyn Prunable>,
        entered: Receiver<()>,
        open: Sender<()>,
    }

    impl Gate {
        fn new() -> Self {
            let (enter, entered) = channel();
            let (open, opened) = channel();
            let opened = Mutex::new(opened);
            let job = steps(move || {
                enter.send(()).unwrap();
                wait(&opened.lock());
                false
            });
            Self { job, entered, open }
        }

        /// A gate at which the pruner's thread stands.
        fn hold(pruner: &'static Pruner) -> Self {
            let gate = Self::new();
            pruner.prune(Arc::downgrade(&gate.job));
            wait(&gate.entered);
            gate
        }

        fn open(&self) {
            self.open.send(()).unwrap();
        }
    }

    /// Tells when it is dropped, and on which thread.
    struct Garbage(Sender<ThreadId>);

    /// Takes long to drop, and tells when that is done.
    struct LongEnd(Sender<()>);

    impl Drop for LongEnd {
        fn drop(&mut self) {
            thread::sleep(Duration::from_millis(50));
            let _ = self.0.send(());
        }
    }

    impl Drop for Garbage {
        fn drop(&mut self) {
            let _ = self.0.send(thread::current().id());
        }
    }

    fn garbage() -> (Box<Garbage>, Receiver<ThreadId>) {
        let (sender, receiver) = channel();
        (Box::new(Garbage(sender)), receiver)
    }

    /// Has the thread do a job and tells which thread did it.
    fn thread_of(pruner: &'static Pruner) -> ThreadId {
        let (garbage, freed) = garbage();
        pruner.free(garbage);
        wait(&freed)
    }

    /// Waits for the thread to end by itself.
    fn await_end(pruner: &'static Pruner) {
        let thread = pruner.state.lock().thread.take();
        wait(&aside(|| join(thread)));
        assert!(!pruner.state.lock().running);
    }

    /// Lets the thread that runs this drop `garbage` when it ends.
    fn drop_at_thread_end(garbage: Box<dyn Send>) {
        thread_local!(static KEPT: RefCell<Option<Box<dyn Send>>> = const { RefCell::new(None) });
        KEPT.set(Some(garbage));
    }

    /// Runs `body` on a thread of its own, and tells when that is done.
    fn aside(body: impl FnOnce() + Send + 'static) -> Receiver<()> {
        let (sender, done) = channel();
        #[expect(
            clippy::disallowed_methods,
            reason = "a scoped thread would let a deadlock hang the test instead of failing it"
        )]
        thread::spawn(move || {
            body();
            let _ = sender.send(());
        });
        done
    }

    /// Detaches the last environment, on a thread of its own.
    fn detach_aside(pruner: &'static Pruner) -> Receiver<()> {
        let done = aside(|| pruner.detach());
        while pruner.state.lock().environments > 0 {
            thread::yield_now();
        }
        done
    }

    #[test]
    fn a_prune_is_stepped_to_its_end_on_another_thread() {
        let pruner = Pruner::leaked();
        pruner.attach();
        let _open = pruner.open();
        let (sender, step) = channel();
        let left = AtomicUsize::new(4);
        let store = steps(move || {
            sender.send(thread::current().id()).unwrap();
            left.fetch_sub(1, Ordering::Relaxed) > 0
        });

        pruner.prune(Arc::downgrade(&store));
        let ids: Vec<_> = (0..5).map(|_| wait(&step)).collect();
        assert!(ids.iter().all(|id| *id != thread::current().id()));
        // A job behind it comes up, and it makes no further step.
        assert_eq!(thread_of(pruner), ids[0]);
        assert!(step.try_recv().is_err());
        pruner.detach();
    }

    #[test]
    fn the_thread_rests_after_each_burst() {
        static RESTS: AtomicUsize = AtomicUsize::new(0);
        let rest = |_: Duration| {
            RESTS.fetch_add(1, Ordering::Relaxed);
        };
        let pruner: &'static Pruner = Box::leak(Box::new(Pruner { rest, ..Pruner::new() }));
        pruner.attach();
        let _open = pruner.open();
        let (sender, ended) = channel();
        let left = AtomicUsize::new(10);
        let store = steps(move || {
            let began = stopwatch();
            while began.elapsed() <= BURST {}
            let has_more = left.fetch_sub(1, Ordering::Relaxed) > 1;
            if !has_more {
                sender.send(()).unwrap();
            }
            has_more
        });
        pruner.prune(Arc::downgrade(&store));
        wait(&ended);
        assert_eq!(RESTS.load(Ordering::Relaxed), 9, "in between");
        pruner.detach();
    }

    #[test]
    fn stores_take_turns() {
        let pruner = Pruner::leaked();
        pruner.attach();
        let _open = pruner.open();
        let gate = Gate::hold(pruner);
        let (sender, step) = channel();
        let stores = ["a", "b", "c"].map(|name| {
            let sender = sender.clone();
            let left = AtomicUsize::new(2);
            steps(move || {
                sender.send(name).unwrap();
                left.fetch_sub(1, Ordering::Relaxed) > 0
            })
        });
        for store in &stores {
            pruner.prune(Arc::downgrade(store));
        }
        gate.open();
        let order: Vec<_> = (0..9).map(|_| wait(&step)).collect();
        assert_eq!(order.concat(), "abcabcabc");
        pruner.detach();
    }

    #[test]
    fn a_store_that_was_dropped_is_forgotten() {
        let pruner = Pruner::leaked();
        pruner.attach();
        let _open = pruner.open();
        let gate = Gate::hold(pruner);
        let (sender, step) = channel::<()>();
        let store = steps(move || sender.send(()).is_ok());
        pruner.prune(Arc::downgrade(&store));
        drop(store);
        gate.open();
        thread_of(pruner);
        assert!(step.try_recv().is_err());
        assert!(pruner.state.lock().jobs.is_empty());
        pruner.detach();
    }

    #[test]
    fn the_thread_tidies_when_it_has_freed_much_and_has_nothing_more_to_do() {
        static TIDIED: AtomicUsize = AtomicUsize::new(0);
        let pruner = Pruner::leaked();
        pruner.tidy_with(|| {
            TIDIED.fetch_add(1, Ordering::SeqCst);
        });
        pruner.attach();
        let open = pruner.open();

        let of_steps = |count: usize| {
            let left = AtomicUsize::new(count);
            steps(move || left.fetch_sub(1, Ordering::Relaxed) > 1)
        };
        let (few, many) = (of_steps(WORTH_TIDYING - 1), of_steps(WORTH_TIDYING));
        let gate = Gate::hold(pruner);
        pruner.prune(Arc::downgrade(&few));
        pruner.prune(Arc::downgrade(&many));
        assert_eq!(TIDIED.load(Ordering::SeqCst), 0);
        gate.open();
        drop(open);
        await_end(pruner);
        assert_eq!(TIDIED.load(Ordering::SeqCst), 1, "once, when both were done");

        let open = pruner.open();
        let gate = Gate::hold(pruner);
        let few = of_steps(WORTH_TIDYING - 2);
        pruner.prune(Arc::downgrade(&few));
        gate.open();
        drop(open);
        await_end(pruner);
        assert_eq!(TIDIED.load(Ordering::SeqCst), 1, "too little");
        let open = pruner.open();
        thread_of(pruner);
        drop(open);
        await_end(pruner);
        assert_eq!(TIDIED.load(Ordering::SeqCst), 2, "what is freed in one piece may be large");
        pruner.detach();
    }

    #[test]
    fn the_thread_ends_with_the_last_store_and_starts_again_for_the_next() {
        let pruner = Pruner::leaked();
        pruner.attach();
        assert!(pruner.state.lock().thread.is_none(), "no job, no thread");

        let (one, other) = (pruner.open(), pruner.open());
        assert!(pruner.state.lock().thread.is_none(), "no job, no thread");
        let first = thread_of(pruner);
        drop(one);
        assert_eq!(thread_of(pruner), first);
        drop(other);
        await_end(pruner);

        let _open = pruner.open();
        let second = thread_of(pruner);
        assert_ne!(second, first);
        assert_eq!(thread_of(pruner), second);
        pruner.detach();
    }

    #[test]
    fn jobs_of_the_last_store_are_done_before_the_thread_ends() {
        let pruner = Pruner::leaked();
        pruner.attach();
        let open = pruner.open();
        let gate = Gate::hold(pruner);
        let (garbage, freed) = garbage();
        pruner.free(garbage);
        drop(open);
        gate.open();
        assert_ne!(wait(&freed), thread::current().id());
        await_end(pruner);
        pruner.detach();
    }

    #[test]
    fn the_thread_goes_on_while_an_environment_is_left() {
        let pruner = Pruner::leaked();
        pruner.attach();
        pruner.attach();
        let _open = pruner.open();
        let id = thread_of(pruner);
        pruner.detach();
        assert_eq!(thread_of(pruner), id);
        pruner.detach();
    }

    #[test]
    fn the_last_detach_waits_until_the_thread_is_gone() {
        let pruner = Pruner::leaked();
        pruner.attach();
        let _open = pruner.open();
        let (sender, ended) = channel();
        let end = Mutex::new(Some(Box::new(LongEnd(sender))));
        let keep = steps(move || {
            end.lock().take().is_some_and(|end| {
                drop_at_thread_end(end);
                false
            })
        });
        pruner.prune(Arc::downgrade(&keep));
        let gate = Gate::hold(pruner);
        let done = detach_aside(pruner);
        assert!(done.try_recv().is_err(), "a job is under way");
        gate.open();
        wait(&done);
        assert!(ended.try_recv().is_ok(), "the thread is gone");
        assert!(!pruner.state.lock().running);
    }

    #[test]
    fn the_last_detach_ends_a_thread_that_waits_for_work() {
        let pruner = Pruner::leaked();
        for _ in 0..50 {
            pruner.attach();
            let _open = pruner.open();
            thread_of(pruner);
            wait(&detach_aside(pruner));
        }
    }

    #[test]
    fn the_last_detach_gives_up_prunes_and_frees_memory() {
        let pruner = Pruner::leaked();
        pruner.attach();
        let _open = pruner.open();
        let gate = Gate::hold(pruner);
        let (sender, step) = channel();
        let endless = steps(move || sender.send(()).is_ok());
        let (garbage, freed) = garbage();
        pruner.prune(Arc::downgrade(&endless));
        pruner.free(garbage);
        let done = detach_aside(pruner);
        gate.open();
        wait(&done);
        assert!(step.try_recv().is_err(), "no further step");
        assert!(freed.try_recv().is_ok());
        assert!(pruner.state.lock().jobs.is_empty());
    }

    #[test]
    fn the_last_detach_finishes_work_that_was_not_begun() {
        let pruner = Pruner::leaked();
        pruner.attach();
        let _open = pruner.open();
        let gate = Gate::hold(pruner);
        let (tell, told) = channel();
        for number in 0..3 {
            let tell = tell.clone();
            pruner.finish(Box::new(move || tell.send(number).unwrap()));
        }
        let left = detach_aside(pruner);
        gate.open();
        wait(&left);
        assert_eq!(told.try_iter().collect::<Vec<_>>(), [0, 1, 2]);
    }

    #[test]
    fn a_prune_under_way_stops_after_its_step_when_the_last_environment_detaches() {
        let pruner = Pruner::leaked();
        pruner.attach();
        let _open = pruner.open();
        let (enter, entered) = channel();
        let (open, opened) = channel();
        let opened = Mutex::new(opened);
        let endless = steps(move || {
            enter.send(()).unwrap();
            wait(&opened.lock());
            true
        });
        pruner.prune(Arc::downgrade(&endless));
        wait(&entered);
        let done = detach_aside(pruner);
        open.send(()).unwrap();
        wait(&done);
        assert!(entered.try_recv().is_err());
        assert!(pruner.state.lock().jobs.is_empty());
    }

    #[test]
    fn an_environment_that_comes_while_the_last_one_leaves_has_its_jobs_done() {
        let pruner = Pruner::leaked();
        pruner.attach();
        let _open = pruner.open();
        let gate = Gate::hold(pruner);
        let first = detach_aside(pruner);

        pruner.attach();
        let (sender, step) = channel();
        let store = steps(move || sender.send(()).is_err());
        pruner.prune(Arc::downgrade(&store));
        gate.open();
        wait(&first);
        wait(&step);
        assert_ne!(thread_of(pruner), thread::current().id());
        pruner.detach();
    }

    #[test]
    fn environments_that_leave_together_do_not_wait_for_ever() {
        let pruner = Pruner::leaked();
        pruner.attach();
        let _open = pruner.open();
        let gate = Gate::hold(pruner);
        let first = detach_aside(pruner);
        pruner.attach();
        let second = detach_aside(pruner);
        wait(&second);
        gate.open();
        wait(&first);
    }

    #[test]
    fn without_an_environment_jobs_are_done_by_the_caller() {
        let pruner = Pruner::leaked();
        let _open = pruner.open();
        let here = thread::current().id();
        assert_eq!(thread_of(pruner), here);

        let (sender, step) = channel();
        let left = AtomicUsize::new(2);
        let store = steps(move || {
            sender.send(thread::current().id()).unwrap();
            left.fetch_sub(1, Ordering::Relaxed) > 0
        });
        pruner.prune(Arc::downgrade(&store));
        assert_eq!(step.try_iter().collect::<Vec<_>>(), [here; 3]);
        assert!(pruner.state.lock().thread.is_none());
    }

    #[test]
    fn a_job_that_panics_ends_and_nothing_else() {
        struct Bomb;
        impl Drop for Bomb {
            fn drop(&mut self) {
                if !thread::panicking() {
                    resume_unwind(Box::new(()));
                }
            }
        }

        let pruner = Pruner::leaked();
        pruner.attach();
        let _open = pruner.open();
        let id = thread_of(pruner);
        let (sender, step) = channel();
        let broken = steps(move || {
            sender.send(()).unwrap();
            resume_unwind(Box::new(()))
        });
        pruner.prune(Arc::downgrade(&broken));
        pruner.free(Box::new(Bomb));
        assert_eq!(thread_of(pruner), id);
        assert_eq!(step.try_iter().count(), 1, "it is not tried again");

        // Nor does it where the caller, or the last detach, has to do it.
        let gate = Gate::hold(pruner);
        pruner.free(Box::new(Bomb));
        let done = detach_aside(pruner);
        gate.open();
        wait(&done);
        pruner.free(Box::new(Bomb));
    }

    #[test]
    fn garbage_may_close_a_store_on_the_thread() {
        let pruner = Pruner::leaked();
        pruner.attach();
        let inner = pruner.open();
        let _open = pruner.open();
        pruner.free(Box::new(inner));
        assert_ne!(thread_of(pruner), thread::current().id());
        assert_eq!(pruner.state.lock().stores, 1);
        pruner.detach();
    }

    #[test]
    fn environments_come_and_go_on_many_threads() {
        let pruner = Pruner::leaked();
        let steps_done = Arc::new(AtomicUsize::new(0));
        let come_and_go = || {
            let steps_done = Arc::clone(&steps_done);
            aside(move || {
                for turn in 0..150 {
                    pruner.attach();
                    let open = pruner.open();
                    let steps_done = Arc::clone(&steps_done);
                    let store = steps(move || {
                        !steps_done.fetch_add(1, Ordering::Relaxed).is_multiple_of(8)
                    });
                    pruner.prune(Arc::downgrade(&store));
                    if turn % 3 == 0 {
                        thread_of(pruner);
                    }
                    // In a worker that is terminated the stores go after the environment.
                    if turn % 2 == 0 {
                        drop(open);
                        pruner.detach();
                    } else {
                        pruner.detach();
                        drop(open);
                    }
                }
            })
        };
        for finished in [(); 4].map(|()| come_and_go()) {
            wait(&finished);
        }
        let state = pruner.state.lock();
        assert!(state.thread.is_none() && state.jobs.is_empty());
        assert_eq!((state.environments, state.stores), (0, 0));
    }

    #[test]
    fn a_job_of_steps_is_called_until_there_is_no_more_to_do_and_then_dropped() {
        let pruner = Pruner::leaked();
        pruner.attach();
        let _open = pruner.open();
        let (sender, step) = channel();
        let (kept, dropped) = garbage();
        let mut left = 4;
        pruner.run(Box::new(move || {
            let _ = &kept;
            sender.send(thread::current().id()).unwrap();
            left -= 1;
            left > 0
        }));
        let here = wait(&dropped);
        assert_ne!(here, thread::current().id());
        assert_eq!(step.try_iter().collect::<Vec<_>>(), [here; 4]);
        assert!(pruner.state.lock().jobs.is_empty());
        pruner.detach();
    }

    #[test]
    fn jobs_of_steps_take_turns_with_prunes() {
        let pruner = Pruner::leaked();
        pruner.attach();
        let _open = pruner.open();
        let gate = Gate::hold(pruner);
        let (sender, step) = channel();
        let counted = |name: &'static str| {
            let (sender, left) = (sender.clone(), AtomicUsize::new(2));
            move || {
                sender.send(name).unwrap();
                left.fetch_sub(1, Ordering::Relaxed) > 0
            }
        };
        let store = steps(counted("p"));
        pruner.run(Box::new(counted("a")));
        pruner.prune(Arc::downgrade(&store));
        pruner.run(Box::new(counted("b")));
        gate.open();
        let order: Vec<_> = (0..9).map(|_| wait(&step)).collect();
        assert_eq!(order.concat(), "apbapbapb");
        pruner.detach();
    }

    #[test]
    fn the_last_detach_drops_jobs_of_steps_and_does_no_further_step() {
        let pruner = Pruner::leaked();
        pruner.attach();
        let _open = pruner.open();
        let (enter, entered) = channel();
        let (open, opened) = channel();
        let ((running, running_dropped), (queued, queued_dropped)) = (garbage(), garbage());
        let (sender, step) = channel();
        pruner.run(Box::new(move || {
            let _ = &running;
            enter.send(()).unwrap();
            wait(&opened);
            true
        }));
        wait(&entered);
        pruner.run(Box::new(move || {
            let _ = &queued;
            sender.send(()).is_ok()
        }));
        let done = detach_aside(pruner);
        open.send(()).unwrap();
        wait(&done);
        assert!(entered.try_recv().is_err() && step.try_recv().is_err());
        assert!(running_dropped.try_recv().is_ok() && queued_dropped.try_recv().is_ok());
        assert!(pruner.state.lock().jobs.is_empty());
    }

    #[test]
    fn without_an_environment_steps_are_done_by_the_caller() {
        let pruner = Pruner::leaked();
        let (sender, step) = channel();
        let mut left = 3;
        pruner.run(Box::new(move || {
            sender.send(thread::current().id()).unwrap();
            left -= 1;
            left > 0
        }));
        let here = thread::current().id();
        assert_eq!(step.try_iter().collect::<Vec<_>>(), [here; 3]);
    }

    #[test]
    fn steps_that_panic_end_their_job_and_nothing_else() {
        let pruner = Pruner::leaked();
        pruner.attach();
        let _open = pruner.open();
        let id = thread_of(pruner);
        let (sender, step) = channel();
        let (kept, dropped) = garbage();
        pruner.run(Box::new(move || {
            let _ = &kept;
            sender.send(()).unwrap();
            resume_unwind(Box::new(()))
        }));
        assert_eq!(wait(&dropped), id);
        assert_eq!(thread_of(pruner), id);
        assert_eq!(step.try_iter().count(), 1, "they are not tried again");

        let (sender, step) = channel();
        let mut left = 3;
        pruner.run(Box::new(move || {
            sender.send(()).unwrap();
            left -= 1;
            left > 0
        }));
        (0..3).for_each(|_| wait(&step));
        pruner.detach();
    }
}
