//! A decoder as the denoise loop sees it: rows in, a token per row out.

use std::ops::Range;

use crate::completion::Finish;
use crate::config::Config;
use crate::error::EngineError;
use crate::sampler::{Pick, Sampler};

/// Which rows a row sees besides the stream before the block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attention {
    /// Itself and the rows before it: the stream, and the verification of a draft.
    Causal,
    /// Every row of the block: denoising.
    Bidirectional,
}

impl Attention {
    /// Position of the token that a row at `position` predicts: the next one in the stream, its own in a block.
    pub fn target(self, position: usize) -> usize {
        match self {
            Attention::Causal => position + 1,
            Attention::Bidirectional => position,
        }
    }
}

/// What the rows of a forward pass are turned into.
pub enum Head<'a> {
    /// Nothing: the pass only fills the cache.
    None,
    /// One pick for each row of the range, appended, drawn for the row's [`Attention::target`].
    Picks(Range<usize>, &'a Sampler, &'a mut Vec<Pick>),
    /// Raw logits (rows, vocabulary) of the range, appended.
    Logits(Range<usize>, &'a mut Vec<f32>),
}

/// What computes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hardware {
    /// The machine's processor, with which everything else is shared.
    Processor,
    /// A device of its own.
    Gpu,
}

/// What a pass cannot be faster than.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Ceiling {
    /// Operations a second that the multiply instructions of the device make at most.
    Operations(f64),
    /// Every pass reads its weights: their bytes, and bytes a second that a copy in the device's memory reads and writes.
    Bytes {
        /// Of weights, head included.
        pass: f64,
        /// In a second.
        second: f64,
    },
}

/// A LLaMA-shaped decoder with a fixed number of KV cache slots.
///
/// A slot is memory without a length: the caller knows how many of its positions are valid. A forward pass writes
/// the keys and values of its rows at their positions whatever the attention; after a bidirectional pass they
/// are scratch, and the caller's length does not grow. Caches are therefore cropped by forgetting.
pub trait Model: Send {
    /// Geometry, special ids and limits.
    fn config(&self) -> &Config;

    /// Device and level, for people: `cpu (avx2)`.
    fn device(&self) -> String;

    /// What kind of device that is.
    fn hardware(&self) -> Hardware {
        Hardware::Processor
    }

    /// What bounds the passes, measured here; `None` where that is not known. What a bench holds its times against.
    fn ceiling(&self) -> Option<Ceiling> {
        None
    }

    /// Number of KV cache slots.
    fn slots(&self) -> usize;

    /// Rows that one pass takes at most; also the size of prefill chunks.
    fn max_rows(&self) -> usize;

    /// Runs `ids` at positions `at..at + ids.len()` of `slot`. Each row attends to positions `0..at` and, within
    /// the rows, as `attention` says.
    ///
    /// Positions reach up to `config().context`; slots grow as needed.
    ///
    /// Panics when `slot`, the positions or the number of rows are out of range: the caller has checked them.
    fn forward(
        &mut self,
        slot: usize,
        at: usize,
        ids: &[u32],
        attention: Attention,
        head: Head<'_>,
    ) -> Result<(), EngineError>;

    /// A causal pass that may be given up: `stop` is asked while it runs, where a pass takes long. False when it was given
    /// up; the slot's positions from `at` on then hold nothing.
    fn prefill(
        &mut self,
        slot: usize,
        at: usize,
        ids: &[u32],
        head: Head<'_>,
        stop: &dyn Fn() -> bool,
    ) -> Result<bool, EngineError> {
        let _ = stop;
        self.forward(slot, at, ids, Attention::Causal, head).map(|()| true)
    }

    /// Fills a span by greedy rounds of draft and verify without leaving the device. `stop` is asked between rounds.
    /// `None`: this model (or device) runs single passes only, and nothing has happened.
    fn rounds(&mut self, rounds: &Rounds<'_>, stop: &dyn Fn() -> bool) -> Result<Option<Ran>, EngineError> {
        let _ = (rounds, stop);
        Ok(None)
    }
}

/// A span to fill by rounds: a bidirectional draft and a causal verification, or a copy and its verification.
#[derive(Debug, Clone, Copy)]
pub struct Rounds<'a> {
    /// KV cache slot.
    pub slot: usize,
    /// Positions of the slot that are valid.
    pub at: usize,
    /// Token after them.
    pub known: Pick,
    /// Rows of a draft.
    pub block: usize,
    /// Tokens of text at most.
    pub max_tokens: usize,
    /// Line breaks at which the span ends.
    pub max_lines: Option<usize>,
    /// Per token: 128 if it is not text and ends the span, else its line breaks.
    pub classes: &'a [u8],
    /// What stands before the known token, as the middle continues it. Where the last tokens stood in it before, what followed
    /// may be verified in place of a draft; `None`: every block is drafted.
    pub history: Option<&'a [u32]>,
}

/// What rounds made of a span.
#[derive(Debug, Clone, PartialEq)]
pub struct Ran {
    /// The known token and what followed it: `cached + 1` picks.
    pub picks: Vec<Pick>,
    /// Leading picks that are the span's text.
    pub settled: usize,
    /// Leading picks whose keys and values are in the cache now.
    pub cached: usize,
    /// Drafts, two passes each with their verification.
    pub drafts: usize,
    /// Copies, one pass each.
    pub copies: usize,
    /// Why the span ended; `None` when it was told to stop.
    pub finish: Option<Finish>,
}
