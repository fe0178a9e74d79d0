//! Cancellation, deadline and progress of a running request.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::completion::Frame;

/// Set once by whoever lost interest; read once per step by the engine.
#[derive(Debug, Clone, Default)]
pub struct CancelToken(Arc<AtomicBool>);

impl CancelToken {
    /// Asks the holder to stop at its next step.
    pub fn cancel(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// One atomic load.
    pub fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Why a step must not start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// Nobody waits for the answer any more.
    Cancelled,
    /// The best text so far is the answer.
    Deadline,
}

/// Receives the span after each step.
pub type Watch = Box<dyn FnMut(Frame) + Send>;

/// What a running request looks at between steps.
pub struct Control {
    cancel: CancelToken,
    deadline: Option<Instant>,
    watch: Option<Watch>,
}

impl Control {
    /// A control that stops when `cancel` is set or `deadline` has passed.
    pub fn new(cancel: CancelToken, deadline: Option<Instant>, watch: Option<Watch>) -> Self {
        Control { cancel, deadline, watch }
    }

    /// A control that never stops anything.
    pub fn unbounded() -> Self {
        Control::new(CancelToken::default(), None, None)
    }

    /// Asked before every step: one atomic load, and one clock read when there is a deadline.
    pub fn stop(&self) -> Option<Stop> {
        if self.cancel.is_cancelled() {
            Some(Stop::Cancelled)
        } else if self.deadline.is_some_and(|at| Instant::now() >= at) {
            Some(Stop::Deadline)
        } else {
            None
        }
    }

    /// True when somebody wants to see every step.
    pub fn is_watched(&self) -> bool {
        self.watch.is_some()
    }

    /// Shows the span to the watcher; the frame is built only when there is one.
    pub fn show(&mut self, frame: impl FnOnce() -> Frame) {
        if let Some(watch) = &mut self.watch {
            watch(frame());
        }
    }
}
