use std::cell::RefCell;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, ThreadId};
use std::time::Duration;

use super::*;

/// So long that only a deadlock takes longer, however busy the machine.
const FOREVER: Duration = Duration::from_secs(10 * 60);

fn wait<T>(receiver: &Receiver<T>) -> T {
    receiver.recv_timeout(FOREVER).expect("it never happened")
}

/// A prune whose steps are the calls of a function.
struct Steps<F>(F);

impl<F: Fn() -> bool + Send + Sync> Maintenance for Steps<F> {
    fn maintenance_step(&self) -> bool {
        (self.0)()
    }
}

fn steps(step: impl Fn() -> bool + Send + Sync + 'static) -> Arc<dyn Maintenance> {
    Arc::new(Steps(step))
}

/// A worker that an environment has loaded, and that a store uses.
fn worker_of_a_store() -> (&'static Worker, OpenStore) {
    let worker = Worker::leaked();
    worker.attach();
    (worker, worker.open())
}

/// A prune of one step that holds the thread until the test lets it go on.
struct Gate {
    job: Arc<dyn Maintenance>,
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

    /// A gate at which the worker's thread stands.
    fn hold(worker: &'static Worker) -> Self {
        let gate = Self::new();
        worker.maintain(Arc::downgrade(&gate.job));
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
fn thread_of(worker: &'static Worker) -> ThreadId {
    let (garbage, freed) = garbage();
    worker.free(garbage);
    wait(&freed)
}

/// Waits for the thread to end by itself.
fn await_end(worker: &'static Worker) {
    let thread = worker.state.lock().thread.take();
    wait(&aside(|| join(thread)));
    assert!(!worker.state.lock().running);
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
fn detach_aside(worker: &'static Worker) -> Receiver<()> {
    let done = aside(|| worker.detach());
    while worker.state.lock().environments > 0 {
        thread::yield_now();
    }
    done
}

#[test]
fn a_prune_is_stepped_to_its_end_on_another_thread() {
    let (worker, _open) = worker_of_a_store();
    let (sender, step) = channel();
    let left = AtomicUsize::new(4);
    let store = steps(move || {
        sender.send(thread::current().id()).unwrap();
        left.fetch_sub(1, Ordering::Relaxed) > 0
    });

    worker.maintain(Arc::downgrade(&store));
    let ids: Vec<_> = (0..5).map(|_| wait(&step)).collect();
    assert!(ids.iter().all(|id| *id != thread::current().id()));
    // A later job has its turn, and the finished one makes no further step.
    assert_eq!(thread_of(worker), ids[0]);
    assert!(step.try_recv().is_err());
    worker.detach();
}

#[test]
fn the_thread_rests_after_each_burst() {
    static RESTS: AtomicUsize = AtomicUsize::new(0);
    let rest = |_: Duration| {
        RESTS.fetch_add(1, Ordering::Relaxed);
    };
    let worker: &'static Worker = Box::leak(Box::new(Worker { rest, ..Worker::new() }));
    worker.attach();
    let _open = worker.open();
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
    worker.maintain(Arc::downgrade(&store));
    wait(&ended);
    assert_eq!(RESTS.load(Ordering::Relaxed), 9, "in between");
    worker.detach();
}

#[test]
fn stores_take_turns() {
    let (worker, _open) = worker_of_a_store();
    let gate = Gate::hold(worker);
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
        worker.maintain(Arc::downgrade(store));
    }
    gate.open();
    let order: Vec<_> = (0..9).map(|_| wait(&step)).collect();
    assert_eq!(order.concat(), "abcabcabc");
    worker.detach();
}

#[test]
fn a_store_that_was_dropped_is_forgotten() {
    let (worker, _open) = worker_of_a_store();
    let gate = Gate::hold(worker);
    let (sender, step) = channel::<()>();
    let store = steps(move || sender.send(()).is_ok());
    worker.maintain(Arc::downgrade(&store));
    drop(store);
    gate.open();
    thread_of(worker);
    assert!(step.try_recv().is_err());
    assert!(worker.state.lock().jobs.is_empty());
    worker.detach();
}

#[test]
fn the_thread_tidies_when_it_has_freed_much_and_has_nothing_more_to_do() {
    static TIDIED: AtomicUsize = AtomicUsize::new(0);
    let worker = Worker::leaked();
    worker.tidy_with(|| {
        TIDIED.fetch_add(1, Ordering::SeqCst);
    });
    worker.attach();
    let open = worker.open();

    let of_steps = |count: usize| {
        let left = AtomicUsize::new(count);
        steps(move || left.fetch_sub(1, Ordering::Relaxed) > 1)
    };
    let (few, many) = (of_steps(WORTH_TIDYING - 1), of_steps(WORTH_TIDYING));
    let gate = Gate::hold(worker);
    worker.maintain(Arc::downgrade(&few));
    worker.maintain(Arc::downgrade(&many));
    assert_eq!(TIDIED.load(Ordering::SeqCst), 0);
    gate.open();
    drop(open);
    await_end(worker);
    assert_eq!(TIDIED.load(Ordering::SeqCst), 1, "once, when both were done");

    let open = worker.open();
    let gate = Gate::hold(worker);
    let few = of_steps(WORTH_TIDYING - 2);
    worker.maintain(Arc::downgrade(&few));
    gate.open();
    drop(open);
    await_end(worker);
    assert_eq!(TIDIED.load(Ordering::SeqCst), 1, "too little");
    let open = worker.open();
    thread_of(worker);
    drop(open);
    await_end(worker);
    assert_eq!(TIDIED.load(Ordering::SeqCst), 2, "what is freed in one piece may be large");
    worker.detach();
}

#[test]
fn the_thread_ends_with_the_last_store_and_starts_again_for_the_next() {
    let worker = Worker::leaked();
    worker.attach();
    assert!(worker.state.lock().thread.is_none(), "no job, no thread");

    let (one, other) = (worker.open(), worker.open());
    assert!(worker.state.lock().thread.is_none(), "no job, no thread");
    let first = thread_of(worker);
    drop(one);
    assert_eq!(thread_of(worker), first);
    drop(other);
    await_end(worker);

    let _open = worker.open();
    let second = thread_of(worker);
    assert_ne!(second, first);
    assert_eq!(thread_of(worker), second);
    worker.detach();
}

#[test]
fn jobs_of_the_last_store_are_done_before_the_thread_ends() {
    let (worker, open) = worker_of_a_store();
    let gate = Gate::hold(worker);
    let (garbage, freed) = garbage();
    worker.free(garbage);
    drop(open);
    gate.open();
    assert_ne!(wait(&freed), thread::current().id());
    await_end(worker);
    worker.detach();
}

#[test]
fn the_thread_goes_on_while_an_environment_is_left() {
    let (worker, _open) = worker_of_a_store();
    worker.attach();
    let id = thread_of(worker);
    worker.detach();
    assert_eq!(thread_of(worker), id);
    worker.detach();
}

#[test]
fn the_last_detach_waits_until_the_thread_is_gone() {
    let (worker, _open) = worker_of_a_store();
    let (sender, ended) = channel();
    let end = Mutex::new(Some(Box::new(LongEnd(sender))));
    let keep = steps(move || {
        end.lock().take().is_some_and(|end| {
            drop_at_thread_end(end);
            false
        })
    });
    worker.maintain(Arc::downgrade(&keep));
    let gate = Gate::hold(worker);
    let done = detach_aside(worker);
    assert!(done.try_recv().is_err(), "a job is under way");
    gate.open();
    wait(&done);
    assert!(ended.try_recv().is_ok(), "the thread is gone");
    assert!(!worker.state.lock().running);
}

#[test]
fn the_last_detach_ends_a_thread_that_waits_for_work() {
    let worker = Worker::leaked();
    for _ in 0..50 {
        worker.attach();
        let _open = worker.open();
        thread_of(worker);
        wait(&detach_aside(worker));
    }
}

#[test]
fn the_last_detach_gives_up_prunes_and_frees_memory() {
    let (worker, _open) = worker_of_a_store();
    let gate = Gate::hold(worker);
    let (sender, step) = channel();
    let endless = steps(move || sender.send(()).is_ok());
    let (garbage, freed) = garbage();
    worker.maintain(Arc::downgrade(&endless));
    worker.free(garbage);
    let done = detach_aside(worker);
    gate.open();
    wait(&done);
    assert!(step.try_recv().is_err(), "no further step");
    assert!(freed.try_recv().is_ok());
    assert!(worker.state.lock().jobs.is_empty());
}

#[test]
fn the_last_detach_finishes_work_that_was_not_begun() {
    let (worker, _open) = worker_of_a_store();
    let gate = Gate::hold(worker);
    let (tell, told) = channel();
    for number in 0..3 {
        let tell = tell.clone();
        worker.finish(Box::new(move || tell.send(number).unwrap()));
    }
    let left = detach_aside(worker);
    gate.open();
    wait(&left);
    assert_eq!(told.try_iter().collect::<Vec<_>>(), [0, 1, 2]);
}

#[test]
fn a_prune_under_way_stops_after_its_step_when_the_last_environment_detaches() {
    let (worker, _open) = worker_of_a_store();
    let (enter, entered) = channel();
    let (open, opened) = channel();
    let opened = Mutex::new(opened);
    let endless = steps(move || {
        enter.send(()).unwrap();
        wait(&opened.lock());
        true
    });
    worker.maintain(Arc::downgrade(&endless));
    wait(&entered);
    let done = detach_aside(worker);
    open.send(()).unwrap();
    wait(&done);
    assert!(entered.try_recv().is_err());
    assert!(worker.state.lock().jobs.is_empty());
}

#[test]
fn an_environment_that_comes_while_the_last_one_leaves_has_its_jobs_done() {
    let (worker, _open) = worker_of_a_store();
    let gate = Gate::hold(worker);
    let first = detach_aside(worker);

    worker.attach();
    let (sender, step) = channel();
    let store = steps(move || sender.send(()).is_err());
    worker.maintain(Arc::downgrade(&store));
    gate.open();
    wait(&first);
    wait(&step);
    assert_ne!(thread_of(worker), thread::current().id());
    worker.detach();
}

#[test]
fn environments_that_leave_together_do_not_wait_for_ever() {
    let (worker, _open) = worker_of_a_store();
    let gate = Gate::hold(worker);
    let first = detach_aside(worker);
    worker.attach();
    let second = detach_aside(worker);
    wait(&second);
    gate.open();
    wait(&first);
}

#[test]
fn without_an_environment_jobs_are_done_by_the_caller() {
    let worker = Worker::leaked();
    let _open = worker.open();
    let here = thread::current().id();
    assert_eq!(thread_of(worker), here);

    let (sender, step) = channel();
    let left = AtomicUsize::new(2);
    let store = steps(move || {
        sender.send(thread::current().id()).unwrap();
        left.fetch_sub(1, Ordering::Relaxed) > 0
    });
    worker.maintain(Arc::downgrade(&store));
    assert_eq!(step.try_iter().collect::<Vec<_>>(), [here; 3]);
    assert!(worker.state.lock().thread.is_none());
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

    let (worker, _open) = worker_of_a_store();
    let id = thread_of(worker);
    let (sender, step) = channel();
    let broken = steps(move || {
        sender.send(()).unwrap();
        resume_unwind(Box::new(()))
    });
    worker.maintain(Arc::downgrade(&broken));
    worker.free(Box::new(Bomb));
    assert_eq!(thread_of(worker), id);
    assert_eq!(step.try_iter().count(), 1, "it is not tried again");

    // Nor does it where the caller, or the last detach, has to do it.
    let gate = Gate::hold(worker);
    worker.free(Box::new(Bomb));
    let done = detach_aside(worker);
    gate.open();
    wait(&done);
    worker.free(Box::new(Bomb));
}

#[test]
fn the_thread_tidies_when_many_stores_were_dropped() {
    static TIDIED: AtomicUsize = AtomicUsize::new(0);
    let worker = Worker::leaked();
    worker.tidy_with(|| {
        TIDIED.fetch_add(1, Ordering::SeqCst);
    });
    worker.attach();
    let drop_stores = |count| {
        let open = worker.open();
        let gate = Gate::hold(worker);
        for _ in 1..count {
            drop(worker.open());
        }
        gate.open();
        drop(open);
        await_end(worker);
    };

    drop_stores(STORES_WORTH_TIDYING - 1);
    assert_eq!(TIDIED.load(Ordering::SeqCst), 0, "too few");
    drop_stores(1);
    assert_eq!(TIDIED.load(Ordering::SeqCst), 1, "as many as that, one by one");
    drop_stores(STORES_WORTH_TIDYING - 1);
    assert_eq!(TIDIED.load(Ordering::SeqCst), 1, "too few since");
    worker.detach();
}

#[test]
fn garbage_may_close_a_store_on_the_thread() {
    let (worker, _open) = worker_of_a_store();
    let inner = worker.open();
    worker.free(Box::new(inner));
    assert_ne!(thread_of(worker), thread::current().id());
    assert_eq!(worker.state.lock().stores, 1);
    worker.detach();
}

#[test]
fn environments_come_and_go_on_many_threads() {
    let worker = Worker::leaked();
    let steps_done = Arc::new(AtomicUsize::new(0));
    let come_and_go = || {
        let steps_done = Arc::clone(&steps_done);
        aside(move || {
            for turn in 0..150 {
                worker.attach();
                let open = worker.open();
                let steps_done = Arc::clone(&steps_done);
                let store =
                    steps(move || !steps_done.fetch_add(1, Ordering::Relaxed).is_multiple_of(8));
                worker.maintain(Arc::downgrade(&store));
                if turn % 3 == 0 {
                    thread_of(worker);
                }
                // In a worker that is terminated the stores go after the environment.
                if turn % 2 == 0 {
                    drop(open);
                    worker.detach();
                } else {
                    worker.detach();
                    drop(open);
                }
            }
        })
    };
    for finished in [(); 4].map(|()| come_and_go()) {
        wait(&finished);
    }
    let state = worker.state.lock();
    assert!(state.thread.is_none() && state.jobs.is_empty());
    assert_eq!((state.environments, state.stores), (0, 0));
}

#[test]
fn a_job_of_steps_is_called_until_there_is_no_more_to_do_and_then_dropped() {
    let (worker, _open) = worker_of_a_store();
    let (sender, step) = channel();
    let (kept, dropped) = garbage();
    let mut left = 4;
    worker.run(Box::new(move || {
        let _ = &kept;
        sender.send(thread::current().id()).unwrap();
        left -= 1;
        left > 0
    }));
    let here = wait(&dropped);
    assert_ne!(here, thread::current().id());
    assert_eq!(step.try_iter().collect::<Vec<_>>(), [here; 4]);
    assert!(worker.state.lock().jobs.is_empty());
    worker.detach();
}

#[test]
fn jobs_of_steps_take_turns_with_prunes() {
    let (worker, _open) = worker_of_a_store();
    let gate = Gate::hold(worker);
    let (sender, step) = channel();
    let counted = |name: &'static str| {
        let (sender, left) = (sender.clone(), AtomicUsize::new(2));
        move || {
            sender.send(name).unwrap();
            left.fetch_sub(1, Ordering::Relaxed) > 0
        }
    };
    let store = steps(counted("p"));
    worker.run(Box::new(counted("a")));
    worker.maintain(Arc::downgrade(&store));
    worker.run(Box::new(counted("b")));
    gate.open();
    let order: Vec<_> = (0..9).map(|_| wait(&step)).collect();
    assert_eq!(order.concat(), "apbapbapb");
    worker.detach();
}

#[test]
fn the_last_detach_drops_jobs_of_steps_and_does_no_further_step() {
    let (worker, _open) = worker_of_a_store();
    let (enter, entered) = channel();
    let (open, opened) = channel();
    let ((running, running_dropped), (queued, queued_dropped)) = (garbage(), garbage());
    let (sender, step) = channel();
    worker.run(Box::new(move || {
        let _ = &running;
        enter.send(()).unwrap();
        wait(&opened);
        true
    }));
    wait(&entered);
    worker.run(Box::new(move || {
        let _ = &queued;
        sender.send(()).is_ok()
    }));
    let done = detach_aside(worker);
    open.send(()).unwrap();
    wait(&done);
    assert!(entered.try_recv().is_err() && step.try_recv().is_err());
    assert!(running_dropped.try_recv().is_ok() && queued_dropped.try_recv().is_ok());
    assert!(worker.state.lock().jobs.is_empty());
}

#[test]
fn without_an_environment_steps_are_done_by_the_caller() {
    let worker = Worker::leaked();
    let (sender, step) = channel();
    let mut left = 3;
    worker.run(Box::new(move || {
        sender.send(thread::current().id()).unwrap();
        left -= 1;
        left > 0
    }));
    let here = thread::current().id();
    assert_eq!(step.try_iter().collect::<Vec<_>>(), [here; 3]);
}

#[test]
fn steps_that_panic_end_their_job_and_nothing_else() {
    let (worker, _open) = worker_of_a_store();
    let id = thread_of(worker);
    let (sender, step) = channel();
    let (kept, dropped) = garbage();
    worker.run(Box::new(move || {
        let _ = &kept;
        sender.send(()).unwrap();
        resume_unwind(Box::new(()))
    }));
    assert_eq!(wait(&dropped), id);
    assert_eq!(thread_of(worker), id);
    assert_eq!(step.try_iter().count(), 1, "they are not tried again");

    let (sender, step) = channel();
    let mut left = 3;
    worker.run(Box::new(move || {
        sender.send(()).unwrap();
        left -= 1;
        left > 0
    }));
    (0..3).for_each(|_| wait(&step));
    worker.detach();
}
