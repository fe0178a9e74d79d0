//! The options of every command that asks the engine for text: how the span is filled, how tokens are chosen. The mode
//! is each command's own option: some take one, some several.

use cinnabar_engine::{Decoding, Mode, Request, Sampling};
use clap::ValueEnum;

/// How the span is filled and tokens are chosen.
#[derive(Debug, clap::Args)]
pub(crate) struct DecodingArgs {
    /// Tokens at most.
    #[arg(long, value_name = "N", default_value_t = 64)]
    max_tokens: usize,

    /// Rows of a block: 8, 16, 32 or 64.
    #[arg(long, value_name = "ROWS", default_value_t = Decoding::default().block)]
    block: usize,

    /// Probability from which `parallel` commits a row together with the one before it.
    #[arg(long, value_name = "P", default_value_t = Decoding::default().threshold)]
    threshold: f32,

    /// Steps that `verified` drafts before it verifies.
    #[arg(long, value_name = "N", default_value_t = Decoding::default().draft_steps)]
    draft_steps: usize,

    /// 0 always takes the most probable token.
    #[arg(long, value_name = "T", default_value_t = Sampling::default().temperature)]
    temperature: f32,

    /// Draws only from the most probable tokens that together reach this mass.
    #[arg(long, value_name = "P", default_value_t = Sampling::default().top_p)]
    top_p: f32,

    /// Same seed, same text.
    #[arg(long, value_name = "N", default_value_t = Sampling::default().seed)]
    seed: u64,
}

/// [`Mode`] as it is written on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ModeName {
    /// Verified or causal, whichever is faster here; same text
    Auto,
    /// A block is drafted at once, then verified left to right
    Verified,
    /// Every step commits the next row, and those behind it that are sure enough
    Parallel,
    /// One token after the other
    Causal,
}

impl From<ModeName> for Mode {
    fn from(name: ModeName) -> Self {
        match name {
            ModeName::Auto => Mode::Auto,
            ModeName::Verified => Mode::Verified,
            ModeName::Parallel => Mode::Parallel,
            ModeName::Causal => Mode::Causal,
        }
    }
}

impl DecodingArgs {
    /// Puts the options into a request.
    pub(crate) fn apply(&self, mode: ModeName, request: Request) -> Request {
        let DecodingArgs { block, threshold, draft_steps, temperature, top_p, seed, max_tokens } = *self;
        Request {
            decoding: Decoding { mode: mode.into(), block, threshold, draft_steps },
            sampling: Sampling { temperature, top_p, seed },
            max_tokens,
            ..request
        }
    }
}
