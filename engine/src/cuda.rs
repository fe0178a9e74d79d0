//! The model on an NVIDIA GPU: everything resident, one captured graph per number of rows and kind of head.
//!
//! The host writes ids and position into mapped memory, launches a graph and watches a word that the last kernel
//! writes: no copy, no synchronisation call. Rows have 16 bits (11 of precision), weights too or 8, sums are
//! f32.

mod errors;
mod fill;
mod measure;
mod pass;
mod weights;

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use bytemuck::Zeroable;
use cinnabar_kernels::cuda::attend::Attend;
use cinnabar_kernels::cuda::head;
use cinnabar_kernels::cuda::pack::Format as WeightFormat;
use cinnabar_kernels::cuda::resident::Caches;
use cinnabar_kernels::cuda::state::{
    Best, Board, History, MAX_HEAD_ROWS, MAX_ROWS, Round, Span, State, Turn,
};
use cinnabar_kernels::cuda::{Buffer, CudaError, Gpu, Graph, Half, Mapped};

use crate::config::Config;
use crate::error::EngineError;
use crate::gguf::Gguf;
use crate::model::{Attention, Ceiling, Hardware, Head, Model, Ran, Rounds};
use crate::sampler::Pick;
use errors::{failed, open, unusable};
use pass::{HeadKind, Plan};
use weights::Weights;

/// Documents whose caches are kept, if memory allows.
const SLOTS: usize = 8;
/// Rows for which graphs exist.
const BUCKETS: [usize; 10] = [8, 16, 32, 64, 128, 256, 384, 512, 768, MAX_ROWS];
/// How to use a GPU.
#[derive(Debug, Clone)]
pub struct CudaOptions {
    /// Index of the device.
    pub index: usize,
    /// Kernels start before their predecessors end and merge through clusters, where the device can.
    pub clusters: bool,
    /// KV cache slots; `None` is what memory allows, at most eight.
    pub slots: Option<usize>,
    /// How weights are kept.
    pub weights: WeightFormat,
}

impl Default for CudaOptions {
    fn default() -> Self {
        CudaOptions { index: 0, clusters: true, slots: None, weights: WeightFormat::default() }
    }
}

/// A LLaMA-shaped decoder on a GPU.
pub struct CudaModel {
    config: Config,
    index: usize,
    clusters: bool,
    // Graphs go first: they point into everything below.
    graphs: HashMap<Plan, Graph>,
    weights: Weights,
    caches: Caches,
    arena: Arena,
    ticket: u32,
    gpu: Arc<Gpu>,
}

/// What a pass needs besides weights and caches, for up to `MAX_ROWS` rows, at fixed addresses.
struct Arena {
    state: Buffer<State>,
    round: Buffer<Round>,
    span: Buffer<Span>,
    board: Mapped<Board>,
    feed: Mapped<State>,
    feed_round: Mapped<Round>,
    feed_history: Mapped<History>,
    /// Per token: whether it ends a span, its line breaks.
    classes: Buffer<u8>,
    classes_known: bool,
    /// Residual stream (rows, hidden) and its 16-bit copy.
    x: Buffer<f32>,
    x16: Buffer<Half>,
    /// (rows, heads * dim)
    queries: Buffer<Half>,
    attended: Buffer<Half>,
    /// (rows, ffn)
    gated: Buffer<Half>,
    partial: Buffer<f32>,
    best: Buffer<Best>,
    /// (64, vocab)
    logits: Buffer<f32>,
    /// (capacity, dim / 2)
    rope: Buffer<Turn>,
}

impl CudaModel {
    /// Uploads every weight of the file.
    pub fn new(config: Config, gguf: &Gguf, options: &CudaOptions) -> Result<Self, EngineError> {
        let gpu = open(options)?;
        let weights = Weights::from_gguf(&gpu, &config, gguf, options)?;
        CudaModel::with(config, gpu, weights, options)
    }

    /// Random weights of a geometry, for benches.
    pub fn random(config: Config, tied: bool, options: &CudaOptions) -> Result<Self, EngineError> {
        let gpu = open(options)?;
        let weights =
            Weights::random(&gpu, &config, tied, options.weights).map_err(|e| unusable(options, &e))?;
        CudaModel::with(config, gpu, weights, options)
    }

    fn with(
        config: Config,
        gpu: Arc<Gpu>,
        weights: Weights,
        options: &CudaOptions,
    ) -> Result<Self, EngineError> {
        let made = CudaModel::build(config, gpu, weights, options).map_err(|e| unusable(options, &e))?;
        let mut model = made;
        model.warm_up()?;
        Ok(model)
    }

    fn build(
        config: Config,
        gpu: Arc<Gpu>,
        weights: Weights,
        options: &CudaOptions,
    ) -> Result<Self, CudaError> {
        let c = &config;
        let slot = Caches::slot_bytes(c.layers, c.kv_heads, c.head_dim, c.context);
        let (free, _) = gpu.memory()?;
        let slots = options.slots.unwrap_or((free / 2 / slot).clamp(1, SLOTS));
        let caches = Caches::new(&gpu, slots, c.layers, c.kv_heads, c.head_dim, c.context)?;
        let rows = |width: usize| Buffer::zeros(&gpu, MAX_ROWS * width);
        let partial = BUCKETS.map(|r| Attend::partial_len(r, c.heads, c.kv_heads, c.head_dim));
        let arena = Arena {
            state: Buffer::zeros(&gpu, 1)?,
            round: Buffer::zeros(&gpu, 1)?,
            span: Buffer::zeros(&gpu, 1)?,
            board: Mapped::zeros(&gpu)?,
            feed: Mapped::zeros(&gpu)?,
            feed_round: Mapped::zeros(&gpu)?,
            feed_history: Mapped::zeros(&gpu)?,
            classes: Buffer::zeros(&gpu, c.vocab)?,
            classes_known: false,
            x: Buffer::zeros(&gpu, MAX_ROWS * c.hidden)?,
            x16: rows(c.hidden)?,
            queries: rows(c.q_width())?,
            attended: rows(c.q_width())?,
            gated: rows(c.ffn)?,
            partial: Buffer::zeros(&gpu, partial.into_iter().max().unwrap_or(0))?,
            best: Buffer::zeros(&gpu, head::Head::best_len(&gpu))?,
            logits: Buffer::zeros(&gpu, MAX_HEAD_ROWS * c.vocab)?,
            rope: Buffer::from_slice(&gpu, &rotations(c))?,
        };
        let clusters = options.clusters && gpu.clusters();
        let (index, graphs) = (options.index, HashMap::new());
        Ok(CudaModel { config, index, clusters, graphs, weights, caches, arena, ticket: 0, gpu })
    }

    /// Runs the passes that a keystroke takes once, so that no request pays for loading and capturing.
    fn warm_up(&mut self) -> Result<(), EngineError> {
        for rows in BUCKETS {
            // Of a prefill the last row's logits are wanted, or nothing; blocks have few rows.
            let mut heads = vec![HeadKind::None, HeadKind::Logits(8)];
            if rows <= MAX_HEAD_ROWS {
                heads.push(HeadKind::Picks(8));
            }
            if (16..=MAX_HEAD_ROWS).contains(&rows) {
                heads.push(HeadKind::Picks(rows));
            }
            for head in heads {
                let state =
                    State { rows: 1, head_rows: 1, banned: self.config.special.mask, ..State::zeroed() };
                self.run_pass(rows, head, state, &|| false)?;
            }
        }
        for rows in BUCKETS.into_iter().filter(|&rows| rows <= MAX_HEAD_ROWS) {
            for first in [true, false] {
                self.start(Plan::Turn(rows, first)).map_err(|e| failed(&e))?;
            }
        }
        self.gpu.synchronize().map_err(|e| failed(&e))?;
        // These rounds have published tickets of their own: no later pass may wait for one of them.
        self.ticket = self.ticket.wrapping_add(64);
        Ok(())
    }

    fn state(&self, slot: usize, at: usize, ids: &[u32], attention: Attention, head: &Range<usize>) -> State {
        let mut state = State {
            at: at as u32,
            rows: ids.len() as u32,
            causal: u32::from(attention == Attention::Causal),
            slot: slot as u32,
            head_from: head.start as u32,
            head_rows: head.len() as u32,
            banned: self.config.special.mask,
            ..State::zeroed()
        };
        state.ids[..ids.len()].copy_from_slice(ids);
        state
    }

    /// Picks of the rows of the last pass's head.
    fn read_picks(&self, count: usize, picks: &mut Vec<Pick>) {
        for row in 0..count {
            let pick = self.arena.board.read(|b| &b.picks[row]);
            picks.push(Pick { token: pick.token, probability: pick.probability });
        }
    }

    fn read_logits(&self, count: usize, out: &mut Vec<f32>) -> Result<(), EngineError> {
        self.arena.logits.append_to(out, 0, count * self.config.vocab).map_err(|e| failed(&e))
    }
}

impl Model for CudaModel {
    fn config(&self) -> &Config {
        &self.config
    }

    fn device(&self) -> String {
        format!("cuda:{} ({}, {})", self.index, self.gpu.name(), self.weights.format)
    }

    fn hardware(&self) -> Hardware {
        Hardware::Gpu
    }

    fn ceiling(&self) -> Option<Ceiling> {
        let second = self.gpu.copy_rate().ok()?;
        Some(Ceiling::Bytes { pass: self.weights.bytes() as f64, second })
    }

    fn slots(&self) -> usize {
        self.caches.slots()
    }

    fn max_rows(&self) -> usize {
        MAX_ROWS
    }

    fn forward(
        &mut self,
        slot: usize,
        at: usize,
        ids: &[u32],
        attention: Attention,
        head: Head<'_>,
    ) -> Result<(), EngineError> {
        self.pass(slot, at, ids, attention, head, &|| false).map(|_| ())
    }

    fn prefill(
        &mut self,
        slot: usize,
        at: usize,
        ids: &[u32],
        head: Head<'_>,
        stop: &dyn Fn() -> bool,
    ) -> Result<bool, EngineError> {
        self.pass(slot, at, ids, Attention::Causal, head, stop)
    }

    fn rounds(&mut self, rounds: &Rounds<'_>, stop: &dyn Fn() -> bool) -> Result<Option<Ran>, EngineError> {
        self.fill(rounds, stop)
    }
}

impl CudaModel {
    /// [`Model::forward`], or [`Model::prefill`].
    fn pass(
        &mut self,
        slot: usize,
        at: usize,
        ids: &[u32],
        attention: Attention,
        mut head: Head<'_>,
        stop: &dyn Fn() -> bool,
    ) -> Result<bool, EngineError> {
        assert!(slot < self.slots() && !ids.is_empty() && ids.len() <= MAX_ROWS, "slot or rows out of range");
        assert!(at + ids.len() <= self.config.context, "positions out of range");
        let rows = bucket(ids.len());
        let (range, greedy) = match &head {
            Head::None => (0..0, true),
            Head::Picks(range, sampler, _) => (range.clone(), sampler.is_greedy()),
            Head::Logits(range, _) => (range.clone(), false),
        };
        let kind = |count: usize| match (count, greedy) {
            (0, _) => HeadKind::None,
            (n, true) => HeadKind::Picks(bucket(n)),
            (n, false) => HeadKind::Logits(bucket(n)),
        };
        let (mut picks, mut logits) = (Vec::new(), Vec::new());
        let mut start = range.start;
        loop {
            // The body runs with the first rows of the head; further groups of rows need the head alone.
            let part = start..range.end.min(start + MAX_HEAD_ROWS);
            let (part_kind, state) = (kind(part.len()), self.state(slot, at, ids, attention, &part));
            let first = start == range.start;
            if !first {
                self.run(Plan::HeadOnly(rows, part_kind), state)?;
            } else if !self.run_pass(rows, part_kind, state, stop)? {
                return Ok(false);
            }
            match part_kind {
                HeadKind::None => {}
                HeadKind::Picks(_) => self.read_picks(part.len(), &mut picks),
                HeadKind::Logits(_) => match &mut head {
                    Head::Logits(_, out) => self.read_logits(part.len(), out)?,
                    _ => self.read_logits(part.len(), &mut logits)?,
                },
            }
            start = part.end;
            if start >= range.end {
                break;
            }
        }
        match head {
            Head::None | Head::Logits(..) => {}
            Head::Picks(_, _, out) if greedy => out.append(&mut picks),
            Head::Picks(range, sampler, out) => {
                let drawn = range.zip(logits.chunks_exact(self.config.vocab));
                out.extend(drawn.map(|(row, logits)| sampler.pick(logits, attention.target(at + row))));
            }
        }
        Ok(true)
    }
}

/// The smallest bucket that holds `rows`.
fn bucket(rows: usize) -> usize {
    BUCKETS.into_iter().find(|&b| b >= rows).unwrap_or(MAX_ROWS)
}

/// Cosines and sines of every position (capacity, dim / 2).
fn rotations(config: &Config) -> Vec<Turn> {
    let half = config.head_dim / 2;
    let frequency = |i: usize| f64::from(config.rope_theta).powf(-2.0 * i as f64 / config.head_dim as f64);
    let frequencies: Vec<f64> = (0..half).map(frequency).collect();
    (0..config.context.next_multiple_of(32))
        .flat_map(|position| frequencies.iter().map(move |f| (position as f64 * f).sin_cos()))
        .map(|(sin, cos)| [cos as f32, sin as f32])
        .collect()
}
