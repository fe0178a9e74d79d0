//! What a caller asks for: plain data that could cross a socket.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::EngineError;

/// Names the text a request belongs to. Requests of one document share a session (its KV cache), and a
/// newer request supersedes an older one of the same document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct DocumentId(pub u64);

/// The text around the cursor. Line breaks are `\n`; the caller converts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Prompt {
    /// Snippets of other files, at most two are used. They stand first in the stream, so they must change rarely.
    pub snippets: Vec<Snippet>,
    /// Relative path of the file, if known.
    pub path: Option<String>,
    /// Text before the cursor. A caller that cuts it should cut in coarse jumps: the cache is valid only
    /// as long as the start stays where it is.
    pub prefix: String,
    /// Text from the cursor on, the rest of the cursor's line included.
    pub suffix: String,
}

/// A piece of another file of the same project.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Snippet {
    /// Relative path of the other file.
    pub path: String,
    /// Its text, starting at a line break.
    pub text: String,
}

/// How the masked span is filled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Each round a step of [`Mode::Causal`], a block of [`Mode::Verified`], or a copy of what followed the last tokens
    /// where they stood before, verified like a block: whichever has proved fastest on this device for these texts. The
    /// text is the same either way.
    Auto,
    /// A block is drafted in parallel and verified causally; the text equals [`Mode::Causal`] by construction.
    Verified,
    /// Every step commits the leftmost masked row, and those behind it as long as their probability reaches the threshold.
    Parallel,
    /// One token a forward pass, left to right.
    Causal,
}

/// Decoding parameters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Decoding {
    /// How the span is filled.
    pub mode: Mode,
    /// Rows of a block: 8, 16, 32 or 64. [`Mode::Causal`] has none, [`Mode::Auto`] chooses up to this one.
    pub block: usize,
    /// [`Mode::Parallel`]: probability from which a row behind another is committed with it, in (0, 1].
    pub threshold: f32,
    /// [`Mode::Verified`]: bidirectional steps a draft takes before it is verified, 1 or more.
    pub draft_steps: usize,
}

impl Default for Decoding {
    fn default() -> Self {
        Decoding { mode: Mode::Auto, block: 32, threshold: 0.7, draft_steps: 1 }
    }
}

/// How a token is chosen from its distribution.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Sampling {
    /// 0 is greedy; otherwise logits are divided by it.
    pub temperature: f32,
    /// Only the most probable tokens that together reach this mass are drawn from, in (0, 1].
    pub top_p: f32,
    /// The same seed, prompt and parameters give the same text.
    pub seed: u64,
}

impl Default for Sampling {
    fn default() -> Self {
        Sampling { temperature: 0.0, top_p: 1.0, seed: 0 }
    }
}

/// One completion asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Whose session is used.
    pub document: DocumentId,
    /// Text around the cursor.
    pub prompt: Prompt,
    /// How the span is filled.
    pub decoding: Decoding,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// Tokens of text at most.
    pub max_tokens: usize,
    /// Lines at most: 1 ends the text before its first line break.
    pub max_lines: Option<usize>,
    /// Time of filling after which the end of a line is the end of the text. A model that fills spans by itself, as on a GPU, is
    /// not asked to look at it.
    pub patience: Option<Duration>,
    /// Time from submission after which the best text so far is the answer.
    pub deadline: Option<Duration>,
}

impl Request {
    /// A request with the defaults of everything but the prompt.
    pub fn new(document: DocumentId, prompt: Prompt) -> Self {
        Request {
            document,
            prompt,
            decoding: Decoding::default(),
            sampling: Sampling::default(),
            max_tokens: 64,
            max_lines: None,
            patience: None,
            deadline: None,
        }
    }
}

impl Request {
    /// Checks every parameter's range.
    pub fn validate(&self) -> Result<(), EngineError> {
        let Decoding { block, threshold, draft_steps, .. } = self.decoding;
        let Sampling { temperature, top_p, .. } = self.sampling;
        let check = |ok: bool, name, found: String, expected| {
            if ok { Ok(()) } else { Err(EngineError::Parameter { name, found, expected }) }
        };
        check([8, 16, 32, 64].contains(&block), "block", block.to_string(), "8, 16, 32 or 64")?;
        check(
            threshold > 0.0 && threshold <= 1.0,
            "threshold",
            threshold.to_string(),
            "above 0 and at most 1",
        )?;
        check((1..=8).contains(&draft_steps), "draft_steps", draft_steps.to_string(), "1 to 8")?;
        check((0.0..=5.0).contains(&temperature), "temperature", temperature.to_string(), "0 to 5")?;
        check(top_p > 0.0 && top_p <= 1.0, "top_p", top_p.to_string(), "above 0 and at most 1")?;
        check(self.max_tokens >= 1, "max_tokens", self.max_tokens.to_string(), "1 or more")?;
        check(self.max_lines != Some(0), "max_lines", "0".into(), "1 or more")
    }
}
