//! The head: final norm, product with the vocabulary, bests of each block (`cuda/head.cu`).

use super::driver::{CudaError, Gpu, Shape, param};
use super::memory::Buffer;
use super::pack::{CHUNK, Format};
use super::resident::Weights;
use super::state::{Best, MAX_HEAD_ROWS, MAX_ROWS, State};
use super::{Half, kept_eps};

/// Of a block, as in `cuda/head.cu`: warps, chunks that a warp has in flight, chunks of rows in a slice.
const WARPS: u32 = 8;
const fn ring(format: Format) -> u32 {
    match format {
        Format::Half => 8,
        Format::Fp8 => 15,
    }
}
const SLICE: u32 = 16;

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

    /// Bytes of shared memory for `groups` times eight rows: all of them or, sliced, two slices.
    fn shared(&self, groups: u32, sliced: bool) -> u32 {
        let (k, format) = (self.w.cols as u32, self.w.format);
        let row = |k: u32| (k * 2).next_multiple_of(128) + 64;
        let rows = groups * 8 * if sliced { 2 * row(SLICE * CHUNK as u32) } else { row(k) };
        rows + WARPS * ring(format) * 512 * format.bytes() as u32 + k * 4
    }

    /// In how many groups of eight a block takes `all` of them, as many as fit, and whether it must slice them.
    fn split(&self, all: u32, room: u32) -> (u32, bool) {
        let halves = || std::iter::successors(Some(all), |groups| (*groups > 1).then_some(groups / 2));
        halves()
            .flat_map(|groups| [(groups, false), (groups, true)])
            .filter(|&split| split != (2, true)) // not compiled: where it fits, four nearly always do
            .find(|&(groups, sliced)| self.shared(groups, sliced) <= room)
            .expect("eight sliced rows fit on every device")
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
        let (groups, sliced) = self.split(all, gpu.shared());
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
            threads: WARPS * 32,
            shared: self.shared(groups, sliced),
            cluster: 1,
        };
        let format = if self.w.format == Format::Fp8 { "_fp8" } else { "" };
        let rows = if sliced { "_sliced" } else { "" };
        // SAFETY: the arguments have the kernel's layout; sizes were checked above; rows are clamped by the kernel.
        unsafe { gpu.launch(&format!("head{format}{rows}_n{groups}"), shape, &mut [param(&mut args)]) }
    }
}
