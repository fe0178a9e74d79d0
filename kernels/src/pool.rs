//! The threads of the kernels: one pool, started once, silent when nothing runs.
//!
//! Protocol. `state` holds the number of the current job, whether it is open, and how many helpers joined it. The
//! caller publishes a job, opens it and works on it itself; a helper that sees a new open job joins by
//! compare-and-swap. Units are handed out by a counter. When none is left the caller closes the job, after which
//! nobody can join, and waits for those who did. A helper that the system has put aside is therefore never waited for
//! unless it holds a unit.
//!
//! Helpers spin for some ten microseconds after a job, because the next one of a forward pass is near, and then park.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{JoinHandle, Thread};

/// Looks at the state before a helper parks: about 100 microseconds.
const SPINS: u32 = 4000;

const OPEN: u64 = 1 << 31;
const JOINED: u64 = OPEN - 1;
const EPOCH: u64 = 1 << 32;

/// Threads that run the units of one job at a time.
pub struct Pool {
    shared: Arc<Shared>,
    helpers: Vec<JoinHandle<()>>,
    /// Held while a job runs: jobs of two callers follow each other.
    turn: Mutex<()>,
}

struct Shared {
    state: AtomicU64,
    /// Next unit to hand out.
    next: AtomicUsize,
    /// Written by the caller while the job is closed and nobody is joined, read by those who joined.
    job: Mutex<Option<Job>>,
    parked: Vec<AtomicBool>,
    stop: AtomicBool,
    /// What the first failing unit of a helper panicked with.
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

/// A task without its lifetime; the caller of [`Pool::run`] outlives its use.
#[derive(Clone, Copy)]
struct Job {
    task: *const (dyn Fn(usize) + Sync),
    units: usize,
}

#[expect(unsafe_code, reason = "a task is lent to the helpers for the duration of a job")]
// SAFETY: the pointee is `Sync`, and `Pool::run` keeps it alive until every joined helper has left.
unsafe impl Send for Job {}

impl Pool {
    /// A pool of `threads` threads, the caller of [`Pool::run`] among them.
    pub fn new(threads: usize) -> Self {
        let helpers = threads.max(1) - 1;
        let shared = Arc::new(Shared {
            state: AtomicU64::new(0),
            next: AtomicUsize::new(0),
            job: Mutex::new(None),
            parked: (0..helpers).map(|_| AtomicBool::new(false)).collect(),
            stop: AtomicBool::new(false),
            panic: Mutex::new(None),
        });
        let helpers = (0..helpers)
            .map(|index| {
                let shared = Arc::clone(&shared);
                std::thread::Builder::new()
                    .name(format!("kernel-{}", index + 1))
                    .spawn(move || shared.help(index))
                    .expect("because a system that cannot start a thread cannot run the engine")
            })
            .collect();
        Self { shared, helpers, turn: Mutex::new(()) }
    }

    /// Number of threads, the caller's included.
    pub fn threads(&self) -> usize {
        self.helpers.len() + 1
    }

    /// Runs `task(unit)` once for every unit below `units` and returns when all are done. Panics when a unit does.
    ///
    /// A task must not call `run` of the same pool.
    pub fn run(&self, units: usize, task: &(dyn Fn(usize) + Sync)) {
        if self.helpers.is_empty() || units <= 1 {
            return (0..units).for_each(task);
        }
        let _turn = lock(&self.turn);
        let shared = &*self.shared;
        *lock(&shared.job) = Some(Job { task: forget_lifetime(task), units });
        shared.next.store(0, Ordering::Relaxed);
        // Opens the job under its new number; whoever joins sees the two stores above.
        shared.state.fetch_add(EPOCH | OPEN, Ordering::SeqCst);
        for (helper, parked) in self.helpers.iter().zip(&shared.parked) {
            if parked.load(Ordering::SeqCst) {
                wake(helper.thread());
            }
        }
        // A unit that panics here must not leave before the helpers have let go of the task.
        let outcome = catch_unwind(AssertUnwindSafe(|| shared.work(task, units)));
        shared.state.fetch_and(!OPEN, Ordering::AcqRel);
        let mut looks = 0u32;
        while shared.state.load(Ordering::Acquire) & JOINED != 0 {
            looks = looks.saturating_add(1);
            // A helper that is late this long was put aside, perhaps for this thread.
            if looks < SPINS { std::hint::spin_loop() } else { std::thread::yield_now() }
        }
        *lock(&shared.job) = None;
        if let Err(panic) = outcome {
            resume_unwind(panic);
        }
        if let Some(panic) = lock(&shared.panic).take() {
            resume_unwind(panic);
        }
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::SeqCst);
        for helper in self.helpers.drain(..) {
            wake(helper.thread());
            // A helper catches what its units panic with, so joining cannot fail.
            let _ = helper.join();
        }
    }
}

impl Shared {
    fn help(&self, index: usize) {
        let mut seen = 0;
        while !self.stop.load(Ordering::Relaxed) {
            match self.join_new(&mut seen) {
                Some(job) => {
                    let task = borrow(&job);
                    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.work(task, job.units))) {
                        lock(&self.panic).get_or_insert(panic);
                    }
                    self.state.fetch_sub(1, Ordering::Release);
                }
                None => self.rest(index, seen),
            }
        }
    }

    /// Joins the open job unless it is the one with number `seen`.
    fn join_new(&self, seen: &mut u64) -> Option<Job> {
        let state = self.state.load(Ordering::Acquire);
        if state & OPEN == 0 || state / EPOCH == *seen {
            return None;
        }
        self.state.compare_exchange(state, state + 1, Ordering::AcqRel, Ordering::Relaxed).ok()?;
        *seen = state / EPOCH;
        *lock(&self.job)
    }

    fn work(&self, task: &(dyn Fn(usize) + Sync), units: usize) {
        loop {
            let unit = self.next.fetch_add(1, Ordering::Relaxed);
            if unit >= units {
                return;
            }
            task(unit);
        }
    }

    /// Spins, then parks, until there may be a job with a number other than `seen`.
    fn rest(&self, index: usize, seen: u64) {
        let news = || {
            let state = self.state.load(Ordering::SeqCst);
            (state & OPEN != 0 && state / EPOCH != seen) || self.stop.load(Ordering::SeqCst)
        };
        for _ in 0..SPINS {
            if news() {
                return;
            }
            std::hint::spin_loop();
        }
        self.parked[index].store(true, Ordering::SeqCst);
        // The caller opens a job and then looks at `parked`; this looks at the job after setting it. One of the two
        // sees the other.
        while !news() {
            std::thread::park();
        }
        self.parked[index].store(false, Ordering::SeqCst);
    }
}

/// Number of physical cores that this process may use; half the processors where the system does not tell.
pub fn physical_cores() -> usize {
    let logical = std::thread::available_parallelism().map_or(1, usize::from);
    if cfg!(target_os = "linux") {
        let siblings = |cpu| {
            std::fs::read_to_string(format!("/sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list"))
        };
        let cores: std::collections::HashSet<String> =
            (0..4096).map_while(|cpu| siblings(cpu).ok()).collect();
        if !cores.is_empty() {
            return cores.len().min(logical);
        }
    }
    // Arm processors run one thread a core.
    if cfg!(target_arch = "aarch64") { logical } else { logical.div_ceil(2) }
}

fn wake(thread: &Thread) {
    thread.unpark();
}

/// A panic of a unit poisons nothing: every value behind these locks is replaced as a whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[expect(unsafe_code, reason = "a task is lent to the helpers for the duration of a job")]
fn forget_lifetime<'a>(task: &'a (dyn Fn(usize) + Sync + 'a)) -> *const (dyn Fn(usize) + Sync + 'static) {
    // SAFETY: only the lifetime bound of the trait object changes; `Pool::run` does not return before the last use.
    unsafe { std::mem::transmute::<*const (dyn Fn(usize) + Sync + 'a), _>(task) }
}

#[expect(unsafe_code, reason = "a task is lent to the helpers for the duration of a job")]
fn borrow(job: &Job) -> &(dyn Fn(usize) + Sync) {
    // SAFETY: called by a helper that has joined the job; the caller waits for it to leave before the task ends.
    unsafe { &*job.task }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_unit_runs_once() {
        for threads in [1, 2, 3, 7] {
            let pool = Pool::new(threads);
            for units in [0, 1, 2, 3, 64, 1000] {
                let counts: Vec<AtomicUsize> = (0..units).map(|_| AtomicUsize::new(0)).collect();
                pool.run(units, &|unit| {
                    counts[unit].fetch_add(1, Ordering::Relaxed);
                });
                assert!(
                    counts.iter().all(|c| c.load(Ordering::Relaxed) == 1),
                    "{threads} threads, {units} units"
                );
            }
        }
    }

    #[test]
    fn jobs_follow_each_other_without_a_unit_of_the_last_one() {
        let pool = Pool::new(3);
        for round in 0..if cfg!(miri) { 20 } else { 20_000 } {
            let sum = AtomicUsize::new(0);
            pool.run(5, &|unit| {
                sum.fetch_add(round + unit, Ordering::Relaxed);
            });
            assert_eq!(sum.into_inner(), 5 * round + 10);
        }
    }

    #[test]
    fn a_parked_pool_wakes_up() {
        let pool = Pool::new(2);
        for _ in 0..3 {
            let done = AtomicUsize::new(0);
            pool.run(8, &|_| {
                done.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(done.into_inner(), 8);
            while !pool.shared.parked[0].load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
        let pool = Pool::new(3);
        for bad in [0, 9] {
            let outcome = catch_unwind(AssertUnwindSafe(|| pool.run(10, &|unit| assert_ne!(unit, bad))));
            assert!(outcome.is_err(), "unit {bad} failed unseen");
            let done = AtomicUsize::new(0);
            pool.run(10, &|_| {
                done.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(done.into_inner(), 10);
        }
    }
}
