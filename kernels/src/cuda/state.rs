//! What kernels and host tell each other; the layouts of `cuda/common.cuh` and `cuda/step.cu`.

use bytemuck::{Pod, Zeroable};

/// Rows of one pass.
pub const MAX_ROWS: usize = 1024;
/// Tokens that a span filled on the device may have.
pub const MAX_SETTLED: usize = 4096;
/// Tokens before a span that copies are looked for in.
pub const MAX_HISTORY: usize = 4096;
/// Rows that one head takes.
pub const MAX_HEAD_ROWS: usize = 64;

/// What a forward pass depends on.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct State {
    /// Position of row 0.
    pub at: u32,
    /// Rows in use.
    pub rows: u32,
    /// 1: a row sees rows up to itself, 0: every row.
    pub causal: u32,
    /// KV cache slot.
    pub slot: u32,
    /// First row that the head turns into a pick.
    pub head_from: u32,
    /// Number of such rows.
    pub head_rows: u32,
    /// Token id left out of the distribution.
    pub banned: u32,
    /// Number of the pass, published when it has ended.
    pub ticket: u32,
    /// Token ids of the rows.
    pub ids: [u32; MAX_ROWS],
}

/// A token chosen for a row and its probability.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Pick {
    /// Token id.
    pub token: u32,
    /// Probability without the banned token.
    pub probability: f32,
}

/// How a span is filled on the device.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Round {
    /// Rows of a draft.
    pub block: u32,
    /// Id of a masked row.
    pub mask: u32,
    /// Id that ends the span.
    pub end: u32,
    /// Tokens to settle at most.
    pub max_tokens: u32,
    /// Line breaks at which the span ends; 0 is no limit.
    pub max_lines: u32,
    /// Positions of the model.
    pub context: u32,
    /// Tokens before the known one, as the middle continues them.
    pub history: u32,
    /// Last tokens that must agree for a copy; 0: every block is drafted.
    pub agreement: u32,
    /// Token after the stream.
    pub known: Pick,
}

/// Tokens before a span, from the host.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct History {
    /// Ids, the last [`MAX_HISTORY`] of them.
    pub ids: [u32; MAX_HISTORY],
}

/// Where a span stands, on the device alone.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Span {
    /// Counts and flags of `cuda/step.cu`.
    pub words: [u32; 8],
    /// The history, and behind it at most as much that was accepted since.
    pub history: [[u32; MAX_HISTORY]; 2],
}

/// Why a span ended.
pub mod finish {
    /// It goes on.
    pub const RUNNING: u32 = 0;
    /// A token that is not text.
    pub const END: u32 = 1;
    /// Enough tokens.
    pub const MAX_TOKENS: u32 = 2;
    /// Enough line breaks.
    pub const MAX_LINES: u32 = 3;
    /// No positions left.
    pub const FULL: u32 = 4;
    /// The host said stop.
    pub const STOPPED: u32 = 5;
}

/// What the device tells the host. `stop` is the host's.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Board {
    /// Not 0: no further round may start.
    pub stop: u32,
    /// Number of the last pass that has ended; written last.
    pub ticket: u32,
    /// Why the span ended.
    pub finish: u32,
    /// Tokens of the span's text.
    pub settled: u32,
    /// Tokens of the span whose keys and values are final.
    pub cached: u32,
    /// Masked blocks of the span that were denoised.
    pub drafts: u32,
    /// Drafts and copies of the span that were verified.
    pub rounds: u32,
    /// 1: the next pass verifies.
    pub causal: u32,
    /// Of a pass: by row. Of a span: the known token, then what was accepted.
    pub picks: [Pick; MAX_SETTLED],
}

/// Largest logit of a block's share of the vocabulary.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
pub struct Best {
    /// The logit.
    pub maximum: f32,
    /// Sum of exp(logit - maximum).
    pub mass: f32,
    /// Its id.
    pub token: u32,
    /// Layout.
    pub unused: u32,
}

/// A class of tokens that are not text and end a span; other values count a token's line breaks.
pub const NOT_TEXT: u8 = 128;

/// Width of a key that is rotated: cosine and sine.
pub type Turn = [f32; 2];

/// The layouts that kernels assume.
const _: () = {
    const fn plain<T: Pod>() {}
    plain::<Pick>();
    assert!(size_of::<State>() == 4 * (8 + MAX_ROWS) && size_of::<Best>() == 16 && size_of::<Round>() == 40);
    assert!(size_of::<Span>() == 4 * (8 + MAX_HISTORY + MAX_SETTLED));
};
