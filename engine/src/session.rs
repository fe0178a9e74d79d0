//! Sessions: which tokens each KV cache slot holds, and bringing a slot up to date with a stream.

use std::cell::Cell;
use std::sync::Arc;

use crate::control::{Control, Stop};
use crate::error::EngineError;
use crate::model::{Head, Model};
use crate::request::DocumentId;

/// The model-side cache of one document.
///
/// Invariant: positions `0..ids.len()` of `slot` hold the keys and values of a causal pass over `ids`.
#[derive(Debug)]
pub(crate) struct Session {
    document: DocumentId,
    slot: usize,
    ids: Vec<u32>,
    /// Length of the stream that `ids` begin with and logits of its last row, once they are known. While a word is typed the
    /// stream stays as it is: such a key needs no pass before the first of its own.
    last_row: Option<(usize, Arc<Vec<f32>>)>,
    last_used: u64,
}

/// All sessions of a model; the least recently used one gives way.
#[derive(Debug)]
pub(crate) struct Sessions {
    sessions: Vec<Session>,
    slots: usize,
    clock: u64,
}

/// What bringing a session up to date found and did.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Prefilled {
    /// Tokens of the stream whose keys and values were in the cache.
    pub(crate) reused: usize,
    /// Logits of the stream's last row; `None` when the deadline came first.
    pub(crate) logits: Option<Arc<Vec<f32>>>,
}

impl Sessions {
    /// No sessions on a model with `slots` slots.
    pub(crate) fn new(slots: usize) -> Self {
        Sessions { sessions: Vec::new(), slots, clock: 0 }
    }

    /// The session of a document, a fresh one if it has none.
    pub(crate) fn open(&mut self, document: DocumentId) -> &mut Session {
        self.clock += 1;
        let at = match self.sessions.iter().position(|s| s.document == document) {
            Some(at) => at,
            None if self.sessions.len() < self.slots => {
                let slot = self.sessions.len();
                self.sessions.push(Session { document, slot, ids: Vec::new(), last_row: None, last_used: 0 });
                slot
            }
            None => {
                let ages = self.sessions.iter().enumerate().map(|(at, s)| (s.last_used, at));
                let (_, at) = ages.min().expect("a model has at least one slot");
                let session = &mut self.sessions[at];
                session.document = document;
                session.ids.clear();
                session.last_row = None;
                at
            }
        };
        let session = &mut self.sessions[at];
        session.last_used = self.clock;
        session
    }
}

impl Session {
    /// Where the next token stands: the number of cached tokens.
    pub(crate) fn len(&self) -> usize {
        self.ids.len()
    }

    /// The cached tokens.
    pub(crate) fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// The model's slot.
    pub(crate) fn slot(&self) -> usize {
        self.slot
    }

    /// Records that a causal pass over `ids` was run at the session's end.
    pub(crate) fn extend(&mut self, ids: impl IntoIterator<Item = u32>) {
        self.ids.extend(ids);
    }

    /// Runs what is not cached of `stream`, and its last row unless the logits of that are known. What was run stays cached when
    /// the request is cancelled or its deadline passes, so the next one goes on from there.
    pub(crate) fn prefill(
        &mut self,
        stream: &[u32],
        model: &mut dyn Model,
        control: &Control,
    ) -> Result<Prefilled, EngineError> {
        let common = self.ids.iter().zip(stream).take_while(|(a, b)| a == b).count();
        if let Some((length, logits)) = &self.last_row
            && (*length, common) == (stream.len(), stream.len())
        {
            let logits = Some(Arc::clone(logits));
            self.ids.truncate(common);
            return Ok(Prefilled { reused: common, logits });
        }
        // The memory of the last ones, whose request has ended: new memory of that size would be cleared page by page.
        let last = self.last_row.take().and_then(|(_, logits)| Arc::try_unwrap(logits).ok());
        let mut logits = last.unwrap_or_default();
        logits.clear();
        let reused = common.min(stream.len() - 1);
        self.ids.truncate(reused);
        let given_up = |stop| match stop {
            Stop::Cancelled => Err(EngineError::Cancelled),
            Stop::Deadline => Ok(Prefilled { reused, logits: None }),
        };
        for chunk in stream[reused..].chunks(model.max_rows()) {
            if let Some(stop) = control.stop() {
                return given_up(stop);
            }
            let at = self.ids.len();
            let last = at + chunk.len() == stream.len();
            let head = match last {
                true => Head::Logits(chunk.len() - 1..chunk.len(), &mut logits),
                false => Head::None,
            };
            let stopped = Cell::new(None);
            let stop = || {
                stopped.set(control.stop());
                stopped.get().is_some()
            };
            if !model.prefill(self.slot, at, chunk, head, &stop)? {
                return given_up(stopped.get().unwrap_or(Stop::Cancelled));
            }
            self.ids.extend_from_slice(chunk);
        }
        let logits = Arc::new(logits);
        self.last_row = Some((stream.len(), Arc::clone(&logits)));
        Ok(Prefilled { reused, logits: Some(logits) })
    }
}
