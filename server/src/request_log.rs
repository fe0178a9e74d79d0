//! One log line for each request: what it was for, what it cost, and why it is empty if it is.

use std::time::{Duration, Instant};

use cinnabar_engine::{Completion, Counts, Timings};

use crate::class::Class;
use crate::document::Snapshot;
use crate::scheduler::{Answer, Placed};
use crate::suggestion::Reason;

/// The line being collected. Dropped without an end, it says that the request was cancelled.
pub(crate) struct RequestLog {
    method: &'static str,
    started: Instant,
    document: Option<Snapshot>,
    /// What was asked for; of an answer, what it is.
    class: Option<Class>,
    /// Who gave the answer.
    by: &'static str,
    prompt: Duration,
    timings: Timings,
    counts: Counts,
    written: bool,
}

impl RequestLog {
    /// Starts the clock.
    pub(crate) fn start(method: &'static str) -> Self {
        RequestLog {
            method,
            started: Instant::now(),
            document: None,
            class: None,
            by: "engine",
            prompt: Duration::ZERO,
            timings: Timings::default(),
            counts: Counts::default(),
            written: false,
        }
    }

    /// The text the request is about.
    pub(crate) fn of(&mut self, snapshot: &Snapshot) {
        self.document = Some(snapshot.clone());
    }

    /// What may be suggested at the place.
    pub(crate) fn asks_for(&mut self, class: Class) {
        self.class = Some(class);
    }

    /// The prompt is built.
    pub(crate) fn prompted(&mut self) {
        self.prompt = self.started.elapsed();
    }

    /// The answer came without the engine.
    pub(crate) fn answered_by(&mut self, by: &'static str) {
        self.by = by;
    }

    /// The engine's answer.
    pub(crate) fn completed(&mut self, completion: &Completion) {
        self.timings = completion.timings;
        self.counts = completion.counts;
        tracing::trace!(text = completion.text, finish = ?completion.finish, "completion");
    }

    /// Writes the line for an answer.
    pub(crate) fn end(mut self, mut answer: Answer) -> Answer {
        match &mut answer {
            Ok(Placed { suggestion, snapshot, took, .. }) => {
                tracing::trace!(text = suggestion.text, range = ?suggestion.range, "suggestion");
                self.class = Some(Class::of(suggestion, &snapshot.text));
                *took = self.started.elapsed();
                self.write(None);
            }
            Err(reason) => self.write(Some(*reason)),
        }
        answer
    }

    fn write(&mut self, empty: Option<Reason>) {
        self.written = true;
        let RequestLog { method, started, document, class, by, prompt, timings, counts, .. } = self;
        let ms = |duration: Duration| (duration.as_secs_f64() * 1e4).round() / 10.0;
        tracing::info!(
            method,
            document = document.as_ref().map(|of| of.document.0),
            language = document.as_ref().map(|of| of.language.as_str()),
            version = document.as_ref().map(|of| of.version),
            class = class.map(Class::name),
            by,
            empty = empty.map(tracing::field::display),
            ms = ms(started.elapsed()),
            prompt = ms(*prompt),
            queued = ms(timings.queued),
            tokenize = ms(timings.tokenize),
            prefill = ms(timings.prefill),
            denoise = ms(timings.denoise),
            stream = counts.stream,
            reused = counts.reused,
            forwards = counts.forwards,
            tokens = counts.tokens,
            "answered"
        );
    }
}

impl Drop for RequestLog {
    fn drop(&mut self) {
        if !self.written {
            self.write(Some(Reason::Cancelled));
        }
    }
}
