//! What the engine answers: text, why it ended, what it cost.

use std::time::Duration;

use serde::{Deserialize, Serialize, Serializer};

use crate::pace::{Estimate, KINDS};

/// Why a completion ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Finish {
    /// The model ended the middle.
    End,
    /// `max_tokens` was reached.
    MaxTokens,
    /// `max_lines` was reached.
    MaxLines,
    /// The patience was over; the text ends with a whole line.
    Enough,
    /// The model's positions are used up.
    Full,
    /// The deadline passed; the text is what was settled by then.
    Deadline,
}

/// The engine's text for a request.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Completion {
    /// What belongs between prefix and suffix; may be empty. Line breaks are `\n`.
    pub text: String,
    /// Why it ended.
    pub finish: Finish,
    /// Mean natural logarithm of the probabilities of the text's tokens; 0 when there is none.
    pub mean_log_probability: f32,
    /// Counts of work done.
    pub counts: Counts,
    /// Wall time per stage.
    pub timings: Timings,
}

/// Work done for one completion, in the model's units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Counts {
    /// Tokens of text.
    pub tokens: usize,
    /// Tokens of the stream.
    pub stream: usize,
    /// Tokens of the stream whose cached keys and values were reused.
    pub reused: usize,
    /// Forward passes after the stream was brought up to date.
    pub forwards: usize,
    /// Blocks drafted in parallel among them; with [`crate::Mode::Auto`] this says what was chosen.
    pub blocks: usize,
    /// Rows of the last block drafted, 0 when there was none.
    pub block: usize,
    /// Drafts copied from the text, another kind of round that [`crate::Mode::Auto`] chooses.
    #[serde(default)]
    pub copies: usize,
    /// What rounds of each kind cost and yield here, as far as known: what [`crate::Mode::Auto`] chooses by.
    #[serde(serialize_with = "known", skip_deserializing)]
    pub pace: [Option<Estimate>; KINDS],
}

fn known<S: Serializer>(pace: &[Option<Estimate>], to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(pace.iter().flatten())
}

/// Wall time per stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timings {
    /// From submission until the engine took the request.
    pub queued: Duration,
    /// Text to stream ids.
    pub tokenize: Duration,
    /// Stream rows that were not cached.
    pub prefill: Duration,
    /// Denoising, head included.
    pub denoise: Duration,
}

/// A row of the block being denoised, as [`Frame`] shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Cell {
    /// Not predicted yet.
    Masked,
    /// Predicted, may still change.
    Tentative(String),
    /// Final.
    Settled(String),
}

/// The span after one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Text of finished blocks.
    pub settled: String,
    /// Rows of the current block.
    pub block: Vec<Cell>,
    /// Forward passes so far.
    pub forwards: usize,
}
