//! The head: final norm, product with the vocabulary, bests of each block (`cuda/head.cu`).

use super::driver::{CudaError, Gpu, Shape, param};
use super::memory::Buffer;
use super::pack::Format;
use super::resident::Weights;
use super::state::{Best, MAX_HEAD_ROWS, MAX_ROWS, State};
use super::{Half, kept_eps};

/// Chunks that a warp has in flight, and warps, as in `cuda/head.cu`.
const RING: u32 = 8;
const HEAD_WARPS: u32 = 8;

/// Parameters of `cuda/head.cu`.
#[derive(Clone, Copy)]
#[repr(C)]
struct HeadArgs {
    w: u64,
    scales: u64,
    x: u64,
    gain: u64,
    state: u64,
    best: u64,
    logits: u64,
    k: u32,
    vocab: u32,
    bucket: u32,
    eps: f32,
}

/// Final norm and head.
pub struct Head<'a> {
    /// (vocabulary, hidden)
    pub w: &'a Weights,
    /// Gain of the final norm (hidden).
    pub gain: &'a Buffer<f32>,
    /// Epsilon of the norm.
    pub eps: f32,
    /// Bests of each block: [`Head::best_len`].
    pub best: &'a Buffer<Best>,
    /// (64, vocabulary), when logits are wanted.
    pub logits: Option<&'a Buffer<f32>>,
}

impl Head<'_> {
    /// Length of the bests of all blocks.
    pub fn best_len(gpu: &Gpu) -> usize {
        MAX_HEAD_ROWS * gpu.processors() as usize
    }

    /// Bytes of shared memory for `groups` times eight rows.
    fn shared(&self, groups: u32) -> u32 {
        let row = (self.w.cols as u32 * 2).next_multiple_of(128) + 64;
        groups * 8 * row + HEAD_WARPS * RING * 512 * self.w.format.bytes() as u32
    }

    /// Enqueues the head over up to `count` rows (8, 16, 32 or 64) of `x` (rows, hidden); the state says which.
    pub fn launch(
        &self,
        gpu: &Gpu,
        rows: usize,
        count: usize,
        x: &Buffer<Half>,
        state: &Buffer<State>,
    ) -> Result<(), CudaError> {
        assert!(matches!(count, 8 | 16 | 32 | 64) && rows <= MAX_ROWS, "rows of a head");
        assert!(x.len() >= rows * self.w.cols && self.gain.len() == self.w.cols, "input of a head");
        assert!(self.best.len() >= Head::best_len(gpu), "bests");
        assert!(self.logits.is_none_or(|l| l.len() >= MAX_HEAD_ROWS * self.w.rows), "logits");
        let all = count as u32 / 8;
        let mut groups = all;
        while groups > 1 && self.shared(groups) > gpu.shared() {
            groups /= 2;
        }
        let mut args = HeadArgs {
            w: self.w.packed.address(),
            scales: self.w.scales(),
            x: x.address(),
            gain: self.gain.address(),
            state: state.address(),
            best: self.best.address(),
            logits: self.logits.map_or(0, Buffer::address),
            k: self.w.cols as u32,
            vocab: self.w.rows as u32,
            bucket: rows as u32,
            eps: kept_eps(self.eps),
        };
        let shape = Shape {
            grid: [gpu.processors(), all / groups, 1],
            threads: HEAD_WARPS * 32,
            shared: self.shared(groups),
            cluster: 1,
        };
        let name = if self.w.format == Format::Fp8 { "head_fp8" } else { "head" };
        // SAFETY: the arguments have the kernel's layout; sizes were checked above; rows are clamped by the kernel.
        unsafe { gpu.launch(&format!("{name}_n{groups}"), shape, &mut [param(&mut args)]) }
    }
}
