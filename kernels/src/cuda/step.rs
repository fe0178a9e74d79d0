//! Launching what stands between two passes: state, embedding, picks, and the turns of a span (`cuda/step.cu`).

use super::Half;
use super::driver::{CudaError, Gpu, Shape, param};
use super::head::Head;
use super::memory::{Buffer, Mapped};
use super::pack::Format;
use super::resident::Weights;
use super::state::{Best, Board, History, MAX_ROWS, Round, Span, State};

/// Parameters of `cuda/step.cu`.
#[derive(Clone, Copy)]
#[repr(C)]
struct StepArgs {
    state: u64,
    round: u64,
    span: u64,
    board: u64,
    feed: u64,
    feed_round: u64,
    feed_history: u64,
    best: u64,
    classes: u64,
    blocks: u32,
    fresh: u32,
    rows: u32,
    unused: u32,
}

/// What stands between passes.
pub struct Step<'a> {
    /// The state that every kernel reads.
    pub state: &'a Buffer<State>,
    /// How a span is filled.
    pub round: &'a Buffer<Round>,
    /// Where it stands.
    pub span: &'a Buffer<Span>,
    /// What the host sees.
    pub board: &'a Mapped<Board>,
    /// What the host says.
    pub feed: &'a Mapped<State>,
    /// What the host says of a span.
    pub feed_round: &'a Mapped<Round>,
    /// What stands before it.
    pub feed_history: &'a Mapped<History>,
    /// Bests of the head's blocks.
    pub best: &'a Buffer<Best>,
    /// Per token: [`super::state::NOT_TEXT`] or its line breaks.
    pub classes: &'a Buffer<u8>,
}

/// A kernel of `cuda/step.cu`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The host's state, with the ids of so many rows (a multiple of 8), becomes the device's.
    Feed(usize),
    /// The same, and a span begins.
    FeedSpan,
    /// Picks are published.
    Pick,
    /// The end of a pass, or of a piece of one, is published; the next piece has the next ticket.
    Done,
    /// Drafted picks become the rows of a causal pass, or a causal pass's are accepted and the next round's rows laid.
    Turn,
}

impl Step<'_> {
    /// Enqueues a stage.
    pub fn launch(&self, gpu: &Gpu, stage: Stage) -> Result<(), CudaError> {
        assert!(self.state.len() == 1 && self.round.len() == 1 && self.span.len() == 1, "step operands");
        assert!(self.best.len() >= Head::best_len(gpu), "bests");
        assert!(
            !matches!(stage, Stage::Feed(rows) if rows > MAX_ROWS || !rows.is_multiple_of(8)),
            "rows of a pass"
        );
        let mut args = StepArgs {
            state: self.state.address(),
            round: self.round.address(),
            span: self.span.address(),
            board: self.board.address(),
            feed: self.feed.address(),
            feed_round: self.feed_round.address(),
            feed_history: self.feed_history.address(),
            best: self.best.address(),
            classes: self.classes.address(),
            blocks: gpu.processors(),
            fresh: u32::from(stage == Stage::FeedSpan),
            rows: if let Stage::Feed(rows) = stage { rows as u32 } else { 0 },
            unused: 0,
        };
        let (name, threads) = match stage {
            Stage::Feed(_) => ("feed", 160),
            Stage::FeedSpan => ("feed", 1024),
            Stage::Pick => ("pick", 1024),
            Stage::Done => ("done", 32),
            Stage::Turn => ("turn", 1024),
        };
        let shape = Shape { grid: [1, 1, 1], threads, shared: 0, cluster: 1 };
        // SAFETY: the arguments have the kernel's layout, and each points to a whole value of its type; tokens index
        // `classes`, which the owner has made as long as the vocabulary.
        unsafe { gpu.launch(name, shape, &mut [param(&mut args)]) }
    }
}

/// Parameters of `embed` in `cuda/step.cu`.
#[derive(Clone, Copy)]
#[repr(C)]
struct EmbedArgs {
    state: u64,
    w: u64,
    x: u64,
    x16: u64,
    k: u32,
    vocab: u32,
}

/// Rows of the embedding (vocabulary, hidden) for the state's ids: the residual stream and its 16-bit copy.
pub fn embed(
    gpu: &Gpu,
    rows: usize,
    w: &Weights,
    x: &Buffer<f32>,
    x16: &Buffer<Half>,
    state: &Buffer<State>,
) -> Result<(), CudaError> {
    assert!(w.format == Format::Half, "an embedding has 16 bits");
    assert!(rows <= MAX_ROWS && x.len() >= rows * w.cols && x16.len() >= rows * w.cols, "residual stream");
    let mut args = EmbedArgs {
        state: state.address(),
        w: w.packed.address(),
        x: x.address(),
        x16: x16.address(),
        k: w.cols as u32,
        vocab: w.rows as u32,
    };
    let shape = Shape { grid: [rows as u32, 1, 1], threads: 128, shared: 0, cluster: 1 };
    // SAFETY: the arguments have the kernel's layout; sizes were checked above; ids are clamped by the kernel.
    unsafe { gpu.launch("embed", shape, &mut [param(&mut args)]) }
}
