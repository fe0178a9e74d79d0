//! Filling the span after a stream: what the three modes share.

mod copied;
mod opening;
mod parallel;
mod verified;

use std::time::Instant;

use crate::completion::{Cell, Finish, Frame};
use crate::control::{Control, Stop};
use crate::error::EngineError;
use crate::model::{Attention, Head, Model};
use crate::pace::Pace;
use crate::request::{Mode, Request};
use crate::sampler::{Pick, Sampler};
use crate::session::Session;
use crate::stem::shown;
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
    /// What the middle begins with and does not show.
    stem: &'a str,
    /// Line breaks at which the span ends, those of the stem included.
    max_line_breaks: Option<usize>,
    /// From then on a line break ends the span.
    enough: Option<Instant>,
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
            stem: "",
            max_line_breaks: request.max_lines,
            enough: request.patience.map(|patience| Instant::now() + patience),
            settled: Vec::new(),
            line_breaks: 0,
            forwards: 0,
            blocks: 0,
            block: 0,
            copies: 0,
        }
    }

    /// Fills the span, which begins with `stem`; `logits` are those of the stream's last row.
    pub(crate) fn fill(mut self, stem: &'a str, logits: &[f32]) -> Result<Filled, EngineError> {
        let own = stem.matches('\n').count();
        (self.stem, self.max_line_breaks) = (stem, self.request.max_lines.map(|max| max + own));
        let finish = match (opening::choose(&mut self, logits)?, self.request.decoding.mode) {
            (Err(finish), _) => finish,
            (Ok(known), Mode::Parallel) => parallel::fill(&mut self, known)?,
            (Ok(known), Mode::Auto | Mode::Verified | Mode::Causal) => verified::fill(&mut self, known)?,
        };
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
        let line_breaks = self.tokenizer.line_breaks(pick.token);
        self.line_breaks += line_breaks;
        if self.max_line_breaks.is_some_and(|max| self.line_breaks >= max) {
            Some(Finish::MaxLines)
        } else if line_breaks > 0
            && self.line_breaks > self.stem.matches('\n').count()
            && self.enough.is_some_and(|enough| Instant::now() >= enough)
        {
            Some(Finish::Enough)
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

    /// Shows the settled text and the rows behind it: each a token and whether it is final.
    fn show(&mut self, block: &[(u32, bool)]) {
        let Span { control, tokenizer, stem, settled, forwards, model, .. } = self;
        let special = model.config().special;
        control.show(|| {
            let mut ids: Vec<u32> = settled.iter().map(|p| p.token).collect();
            let text = tokenizer.decode(&ids);
            let plain = |id: u32| if id == special.end { String::new() } else { tokenizer.decode(&[id]) };
            let mut cell = |(row, &(id, fixed)): (usize, &(u32, bool))| {
                // The first row holds the rest of a stem that the settled text does not hold yet.
                let text = match row {
                    0 if !text.starts_with(*stem) => {
                        ids.push(id);
                        shown(&tokenizer.decode(&ids), stem).to_owned()
                    }
                    _ => plain(id),
                };
                match fixed {
                    _ if id == special.mask => Cell::Masked,
                    true => Cell::Settled(text),
                    false => Cell::Tentative(text),
                }
            };
            Frame {
                settled: shown(&text, stem).to_owned(),
                block: block.iter().enumerate().map(&mut cell).collect(),
                forwards: *forwards,
            }
        });
    }
}
