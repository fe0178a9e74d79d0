//! Newest wins: at most one request of a document waits for the engine, every request is answered.
//!
//! A request occupies its document's [`Slot`]. It leaves the slot with the answer, or is put out of it: by a newer
//! request, by an edit that no answer could survive, or by the buffer's end. The one who is put out is told at once
//! and drops its ticket, which makes the engine stop at its next step.

use std::ops::Range;
use std::time::{Duration, Instant};

use cinnabar_engine::{Completion, EngineError, Finish, Request, Ticket};
use tokio::sync::oneshot;
use tower_lsp::lsp_types::{Position, Url};

use crate::ahead;
use crate::class::Class;
use crate::document::Snapshot;
use crate::position::{self, Encoding};
use crate::postprocess;
use crate::protocol::SelectedCompletionInfo;
use crate::request_log::RequestLog;
use crate::reuse::{self, Shown, answers::By};
use crate::selected::Selected;
use crate::settings::Settings;
use crate::site::{Site, Span};
use crate::state::State;
use crate::suggestion::{Reason, Suggestion};
use crate::trigger::{self, Trigger};
use crate::typed::Typed;

/// Behind something on its line a text is asked for at each key, and keys come every 100 to 250 ms: a line in time is worth more than
/// several that the next key cancels. Filling alone, without what comes before and the pass that runs.
const PATIENCE: Duration = Duration::from_millis(60);

/// A document's place for the one request that waits, and for what was answered last.
#[derive(Default)]
pub(crate) struct Slot {
    waiting: Option<Waiting>,
    shown: Option<Shown>,
    /// Where was asked last, if nothing was edited since.
    asked_at: Option<usize>,
    n_occupied: u64,
}

/// What a request gets that takes the slot.
struct Occupied {
    serial: u64,
    /// Resolves when it is put out.
    put_out: oneshot::Receiver<Reason>,
    /// The one before asked at the same place of the same text.
    again: bool,
}

struct Waiting {
    serial: u64,
    typed: Typed,
    /// Sent when the request is put out; dropped when the document is.
    put_out: oneshot::Sender<Reason>,
}

impl Slot {
    /// Takes the slot for a request at byte offset `at`; the one before is superseded.
    fn occupy(&mut self, at: usize) -> Occupied {
        self.put_out(Reason::Superseded);
        self.n_occupied += 1;
        let (put_out, told) = oneshot::channel();
        self.waiting = Some(Waiting { serial: self.n_occupied, typed: Typed::nothing(at), put_out });
        let again = self.asked_at.replace(at) == Some(at);
        Occupied { serial: self.n_occupied, put_out: told, again }
    }

    /// Whether the user has typed all of what was answered last, or accepted it.
    pub(crate) fn holds_all_that_was_shown(&self) -> bool {
        self.shown.as_ref().is_some_and(Shown::is_typed)
    }

    /// Whether a request was ever made.
    fn is_used(&self) -> bool {
        self.n_occupied > 0
    }

    /// Follows an edit of the document's text.
    pub(crate) fn follow(&mut self, range: Range<usize>, inserted: &str) {
        self.asked_at = None;
        if self.waiting.as_mut().is_some_and(|w| !w.typed.follow(range.clone(), inserted)) {
            self.put_out(Reason::Edited);
        }
        self.shown.take_if(|shown| !shown.follow(range, inserted));
    }

    /// Frees the slot for the request that comes with its answer; `None` if it was put out before.
    fn leave(&mut self, serial: u64) -> Option<Typed> {
        self.waiting.take_if(|w| w.serial == serial).map(|w| w.typed)
    }

    fn put_out(&mut self, reason: Reason) {
        if let Some(waiting) = self.waiting.take() {
            // A request that was cancelled does not listen any more.
            let _ = waiting.put_out.send(reason);
        }
    }
}

/// What the client gets for a request.
pub(crate) type Answer = Result<Placed, Reason>;

/// What became of a question.
pub(crate) enum Asked {
    /// It is answered.
    Answered(Answer),
    /// The engine has it.
    Submitted(Box<Submitted>),
}

/// A request that waits for the engine. Dropping it cancels it.
pub(crate) struct Submitted {
    pub(crate) ticket: Ticket,
    /// Resolves when nobody wants the answer any more.
    pub(crate) put_out: oneshot::Receiver<Reason>,
    /// When the client is answered in any case.
    pub(crate) deadline: Instant,
    pub(crate) pending: Pending,
}

/// What is left of a request while its answer is awaited.
pub(crate) struct Pending {
    uri: Url,
    serial: u64,
    /// The text that the engine saw.
    asked_of: Snapshot,
    selected: Option<Selected>,
    site: Site,
    by_hand: bool,
    /// What the engine's answer is kept under.
    key: u64,
    log: RequestLog,
}

/// A suggestion and the text it belongs to.
pub(crate) struct Placed {
    pub(crate) suggestion: Suggestion,
    pub(crate) snapshot: Snapshot,
    /// It is what is left of the suggestion before it, which the user is typing.
    pub(crate) continues: bool,
    /// From the request to this answer.
    pub(crate) took: Duration,
}

impl Placed {
    /// A new suggestion; how long it took is known when the request ends.
    fn new(suggestion: Suggestion, snapshot: Snapshot) -> Self {
        Placed { suggestion, snapshot, continues: false, took: Duration::ZERO }
    }
}

/// What the editor asks.
pub(crate) struct Question<'a> {
    pub(crate) method: &'static str,
    pub(crate) uri: &'a Url,
    pub(crate) position: Position,
    pub(crate) trigger: Trigger,
    /// The entry selected in the editor's menu.
    pub(crate) selected: Option<&'a SelectedCompletionInfo>,
}

/// Answers a question from what is known, or hands it to the engine if it is worth it.
pub(crate) fn ask(state: &State, question: &Question<'_>) -> Asked {
    let &Question { method, uri, position, .. } = question;
    let mut log = RequestLog::start(method);
    let Some(agreed) = state.agreed() else { return Asked::Answered(log.end(Err(Reason::EngineDown))) };
    let occupied = state.documents.edit(uri, |document| {
        let offset = position::to_offset(document.text(), position, agreed.encoding);
        let occupied = document.slot.occupy(offset);
        let shown = document.slot.shown.as_ref().filter(|_| question.selected.is_none());
        let rest = shown.and_then(|shown| shown.rest(offset));
        let snapshot = if rest.is_some() { document.snapshot() } else { document.parsed(offset) };
        (snapshot, offset, occupied, rest)
    });
    let Some((snapshot, offset, Occupied { serial, put_out, again }, rest)) = occupied else {
        return Asked::Answered(log.end(Err(Reason::UnknownDocument)));
    };
    log.of(&snapshot);
    let answered = |log: RequestLog, answer| {
        state.documents.edit(uri, |document| document.slot.leave(serial));
        Asked::Answered(log.end(answer))
    };
    if let Some(reason) = agreed.refuse(uri, &snapshot.language) {
        return answered(log, Err(reason));
    }
    if let Some(suggestion) = rest {
        log.answered_by("typing through");
        return answered(log, Ok(Placed { continues: true, ..Placed::new(suggestion, snapshot) }));
    }
    let selected = question.selected.and_then(|info| selected(info, &snapshot, offset, agreed.encoding));
    let (snapshot, offset) = match &selected {
        Some(selected) => selected.taken(&snapshot),
        None => (snapshot, offset),
    };
    let site = Site::at(&snapshot.text, offset);
    if question.trigger == Trigger::Automatic
        && let Some(reason) = trigger::refuse(&snapshot, &site)
    {
        return answered(log, Err(reason));
    }
    log.asks_for(Class::asked(site.span));
    state.goes_on_in(uri);
    let prompt = agreed.prompt(uri, &snapshot, &site);
    log.prompted();
    let settings = agreed.settings();
    let mut request = request(&settings, &snapshot, prompt, site.span);
    let key = state.answers().key(&request);
    let known = state.answers().find(key);
    let by_hand = question.trigger.is_by_hand(&site, again);
    if !by_hand && !site.before.trim().is_empty() {
        request.patience = Some(PATIENCE);
    }
    let pending =
        |log| Pending { uri: uri.clone(), serial, asked_of: snapshot, selected, site, by_hand, key, log };
    if let Some((by, completion)) = known {
        log.answered_by(by.name());
        return Asked::Answered(finish(state, pending(log), Ok(completion)));
    }
    let deadline = Instant::now() + settings.deadline;
    let ticket = agreed.engine.submit(request);
    Asked::Submitted(Box::new(Submitted { ticket, put_out, deadline, pending: pending(log) }))
}

/// The selected entry in bytes; one that is not at the cursor is none.
fn selected(
    info: &SelectedCompletionInfo,
    snapshot: &Snapshot,
    cursor: usize,
    encoding: Encoding,
) -> Option<Selected> {
    let offset = |position| position::to_offset(&snapshot.text, position, encoding);
    let range = offset(info.range.start)..offset(info.range.end);
    let there = range.start <= cursor && cursor <= range.end && info.range.start.line == info.range.end.line;
    there.then(|| Selected { range, text: info.text.clone() })
}

/// Lets the engine read up to where the user types while nothing else is to be done: editors ask some time after
/// the key. Only in documents that were asked about: who never asks pays nothing. Nor does who types what is suggested.
pub(crate) fn prepare(state: &State, uri: &Url, offset: usize) {
    let Some(agreed) = state.agreed() else { return };
    let snapshot = state.documents.edit(uri, |document| {
        let known = document.slot.shown.as_ref().is_some_and(|shown| shown.rest(offset).is_some());
        (document.slot.is_used() && !known).then(|| document.snapshot())
    });
    if let Some(snapshot) = snapshot.flatten()
        && agreed.refuse(uri, &snapshot.language).is_none()
    {
        let site = Site::at(&snapshot.text, offset);
        let prompt = agreed.prompt(uri, &snapshot, &site);
        agreed.engine.prepare(snapshot.document, prompt);
    }
}

/// What the engine is asked for a prompt.
pub(crate) fn request(
    settings: &Settings,
    snapshot: &Snapshot,
    prompt: cinnabar_engine::Prompt,
    span: Span,
) -> Request {
    let mut request = Request::new(snapshot.document, prompt);
    request.decoding.mode = settings.mode;
    request.decoding.block = settings.block;
    request.decoding.threshold = settings.threshold;
    request.max_tokens = settings.max_tokens;
    request.max_lines = (span == Span::WithinLine).then_some(1);
    request.deadline = Some(settings.deadline.saturating_sub(headroom(settings.deadline)));
    request
}

/// How long before the client's deadline the engine stops, so that the text so far still arrives in time.
fn headroom(deadline: Duration) -> Duration {
    (deadline / 10).min(Duration::from_millis(50))
}

/// Turns what became of a request into what the client sees, on the text as it is now.
pub(crate) fn finish(state: &State, pending: Pending, outcome: Result<Completion, Reason>) -> Answer {
    let Pending { uri, serial, asked_of, selected, site, by_hand, key, mut log } = pending;
    // Whatever the outcome: the slot is free for the next one.
    let left = state.documents.edit(&uri, |document| (document.slot.leave(serial), document.snapshot()));
    if let Ok(completion) = &outcome {
        log.completed(completion);
        // Shown or not: the same question has the same answer, and may be asked by hand.
        state.answers().keep(key, completion, By::Editor);
    }
    let late = match &outcome {
        Ok(completion) => completion.finish == Finish::Deadline,
        Err(reason) => *reason == Reason::Deadline,
    };
    if late {
        // The engine reads on: the next request finds what this one had no time for.
        prepare(state, &uri, site.offset);
    }
    let min_probability = state.agreed().map_or(0.0, |agreed| agreed.settings().min_probability);
    log.end(outcome.and_then(|completion| {
        let (typed, snapshot) = left.ok_or(Reason::Closed)?;
        let typed = typed.ok_or(Reason::Superseded)?;
        if !by_hand && completion.mean_log_probability.exp() < min_probability {
            return Err(Reason::Unsure);
        }
        let suggestion = postprocess::suggest(&completion, &site, &asked_of.text, asked_of.syntax.as_ref())?;
        let Some(selected) = selected else {
            let rest = reuse::rebase(suggestion.clone(), typed.text());
            if let Ok(rest) = &rest {
                ahead::work_ahead(state, &uri, rest, &snapshot);
            }
            // What more time would have made longer is not shown longer than needed.
            let shown = (completion.finish != Finish::Deadline).then(|| Shown::new(suggestion, typed));
            state.documents.edit(&uri, |document| document.slot.shown = shown);
            return Ok(Placed::new(rest?, snapshot));
        };
        // With the text the menu has changed; the editor asks again.
        let unchanged = typed.text().is_empty();
        unchanged.then(|| Placed::new(selected.extended(suggestion), snapshot)).ok_or(Reason::Edited)
    }))
}

/// Why the engine's error leaves the client without a suggestion.
pub(crate) fn reason(error: &EngineError) -> Reason {
    match error {
        EngineError::Cancelled => Reason::Superseded,
        EngineError::Failed(_) | EngineError::Parameter { .. } => Reason::EngineFailed,
        _ => Reason::EngineDown,
    }
}
