//! Filling the span after a stream: what the three modes share.

mod copied;
mod parallel;
mod verified;

use crate::completion::{Cell, Finish, Frame};
use crate::control::{Control, Stop};
use crate::error::EngineError;
use crate::model::{Attention, Head, Model};
use crate::pace::Pace;
use crate::request::{Mode, Request};
use crate::sampler::{Pick, Sampler};
use crate::session::Session;
use crate::tokenizer::Tokenizer;

/// A span being filled. Modes add tokens with [`Span::settle`] until it names a [`Finish`].
pub(crate) struct Span<'a> {
    pub(crate) model: &'a mut dyn Model,
    pub(crate) session: &'a mut Session,
    pub(crate) tokenizer: &'a Tokenizer,
    pub(crate) sampler: &'a Sampler,
    pub(crate) control: &'a mut Control,
    pub(crate) request: &'a Request,
    pub(crate) pace: &'a mut Pace,
    /// Tokens of the middle, in order, without the end.
    settled: Vec<Pick>,
    line_breaks: usize,
    forwards: usize,
    blocks: usize,
    block: usize,
    copies: usize,
}

/// A filled span.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Filled {
    /// Tokens of the middle, without the end.
    pub(crate) tokens: Vec<Pick>,
    /// Why it ended.
    pub(crate) finish: Finish,
    /// Forward passes it took.
    pub(crate) forwards: usize,
    /// Blocks drafted among them.
    pub(crate) blocks: usize,
    /// Rows of the last block.
    pub(crate) block: usize,
    /// Drafts copied from the text.
    pub(crate) copies: usize,
}

impl Filled {
    /// The deadline came before the span was begun.
    pub(crate) fn nothing() -> Self {
        let (forwards, blocks, block, copies) = (0, 0, 0, 0);
        Filled { tokens: Vec::new(), finish: Finish::Deadline, forwards, blocks, block, copies }
    }
}

impl<'a> Span<'a> {
    /// An empty span after the stream that `session` holds.
    pub(crate) fn new(
        model: &'a mut dyn Model,
        session: &'a mut Session,
        tokenizer: &'a Tokenizer,
        sampler: &'a Sampler,
        control: &'a mut Control,
        request: &'a Request,
        pace: &'a mut Pace,
    ) -> Self {
        Span {
            model,
            session,
            tokenizer,
            sampler,
            control,
            request,
            pace,
            settled: Vec::new(),
            line_breaks: 0,
            forwards: 0,
            blocks: 0,
            block: 0,
            copies: 0,
        }
    }

    /// Fills the span; `known` is the token after the stream.
    pub(crate) fn fill(mut self, known: Pick) -> Result<Filled, EngineError> {
        let finish = match self.request.decoding.mode {
            Mode::Parallel => parallel::fill(&mut self, known),
            Mode::Auto | Mode::Verified | Mode::Causal => verified::fill(&mut self, known),
        }?;
        let Span { settled: tokens, forwards, blocks, block, copies, .. } = self;
        Ok(Filled { tokens, finish, forwards, blocks, block, copies })
    }

    /// Adds a token for good; the finish, if the span ends with or before it.
    fn settle(&mut self, pick: Pick) -> Option<Finish> {
        // No special id belongs into text. The model ends with `end`; any other means that it has lost the layout.
        if self.tokenizer.is_special(pick.token) {
            return Some(Finish::End);
        }
        self.settled.push(pick);
        self.line_breaks += self.tokenizer.line_breaks(pick.token);
        if self.request.max_lines.is_some_and(|max| self.line_breaks >= max) {
            Some(Finish::MaxLines)
        } else if self.settled.len() >= self.request.max_tokens {
            Some(Finish::MaxTokens)
        } else {
            None
        }
    }

    /// Asked before each forward pass: an error when cancelled, a finish when no further pass may start.
    fn check(&self, rows: usize) -> Result<Option<Finish>, EngineError> {
        match self.control.stop() {
            Some(Stop::Cancelled) => Err(EngineError::Cancelled),
            Some(Stop::Deadline) => Ok(Some(Finish::Deadline)),
            None if self.session.len() + rows > self.model.config().context => Ok(Some(Finish::Full)),
            None => Ok(None),
        }
    }

    /// One forward pass over `ids` at the session's end; picks for the rows from `first` on.
    fn forward(&mut self, ids: &[u32], attention: Attention, first: usize) -> Result<Vec<Pick>, EngineError> {
        let mut picks = Vec::with_capacity(ids.len() - first);
        let head = Head::Picks(first..ids.len(), self.sampler, &mut picks);
        self.model.forward(self.session.slot(), self.session.len(), ids, attention, head)?;
        self.forwards += 1;
        Ok(picks)
    }

    fn end(&self) -> u32 {
        self.model.config().special.end
    }

    fn mask(&self) -> u32 {
        self.model.config().special.mask
    }

    /// Shows the settled text and the rows of a block: each a token and whether it is final.
    fn show(&mut self, block: &[(u32, bool)]) {
        let Span { control, tokenizer, settled, forwards, model, .. } = self;
        let special = model.config().special;
        control.show(|| {
            let ids: Vec<u32> = settled.iter().map(|p| p.token).collect();
            let text = |id: u32| if id == special.end { String::new() } else { tokenizer.decode(&[id]) };
            let cell = |&(id, fixed): &(u32, bool)| match (id, fixed) {
                (id, _) if id == special.mask => Cell::Masked,
                (id, true) => Cell::Settled(text(id)),
                (id, false) => Cell::Tentative(text(id)),
            };
            Frame {
                settled: tokenizer.decode(&ids),
                block: block.iter().map(cell).collect(),
                forwards: *forwards,
            }
        });
    }
}
