//! Launching the kernels: each operation checks its operands' sizes, chooses how the work is split, and is enqueued.

use bytemuck::Pod;
use half::bf16;

use super::driver::{CudaError, Gpu, Shape, param};
use super::memory::Buffer;
use super::pack::{CHUNK, TILE};
use super::resident::{Caches, Weights};
use super::state::{Best, MAX_HEAD_ROWS, MAX_ROWS, Pick, Round, State, Turn};

/// Chunks that a warp of the head has in flight, and its warps, as in `cuda/head.cu`.
const RING: u32 = 8;
const HEAD_WARPS: u32 = 8;
/// Parts and cluster size of `cuda/attend.cu`.
const PARTS: u32 = 16;
const SPLITS: u32 = 8;
/// Query tiles of a block of `cuda/attend.cu`, two warps each.
const MAX_TILES: u32 = 3;
/// Blocks of attention up to which a block has one tile.
const BLOCKS: u32 = 160;

/// Parameters of `cuda/project.cu`.
#[derive(Clone, Copy)]
#[repr(C)]
struct ProjectArgs {
    w: u64,
    x: u64,
    k: u32,
    tiles: u32,
    eps: f32,
    layer: u32,
    state: u64,
    out_f32: u64,
    out: u64,
    bias: u64,
    rope: u64,
    k_cache: u64,
    v_cache: u64,
    heads: u32,
    kv_heads: u32,
    dim: u32,
    layers: u32,
    capacity: u32,
}

/// A projection of `rows` rows (a multiple of 8) with what follows it.
pub enum Project<'a> {
    /// Normalised rows to rotated queries, and keys and values in the cache of a layer.
    Qkv {
        /// Rotations (positions, dim / 2).
        rope: &'a Buffer<Turn>,
        /// Bias in packed row order.
        bias: Option<&'a Buffer<f32>>,
        /// Where keys and values go.
        caches: &'a Caches,
        /// Which layer's.
        layer: usize,
        /// Queries (rows, heads * dim).
        queries: &'a Buffer<bf16>,
        /// Epsilon of the norm.
        eps: f32,
    },
    /// Added to the residual stream (rows, outputs), whose bf16 copy is renewed.
    Add(&'a Buffer<f32>, &'a Buffer<bf16>),
    /// Normalised rows through interleaved gate and up to gated rows (rows, outputs / 2).
    Gate(&'a Buffer<bf16>, f32),
}

impl Project<'_> {
    /// Enqueues the projection of `x` (rows, columns of `w`).
    pub fn launch(
        &self,
        gpu: &Gpu,
        rows: usize,
        w: &Weights,
        x: &Buffer<bf16>,
        state: &Buffer<State>,
    ) -> Result<(), CudaError> {
        assert!(rows.is_multiple_of(8) && rows <= MAX_ROWS, "rows of a bucket");
        assert!(w.cols.is_multiple_of(CHUNK) && w.rows.is_multiple_of(TILE), "shape of weights");
        assert!(x.len() >= rows * w.cols && state.len() == 1, "input of a projection");
        let mut args = ProjectArgs {
            w: w.packed.address(),
            x: x.address(),
            k: w.cols as u32,
            tiles: (w.rows / TILE) as u32,
            eps: 0.0,
            layer: 0,
            state: state.address(),
            out_f32: 0,
            out: 0,
            bias: 0,
            rope: 0,
            k_cache: 0,
            v_cache: 0,
            heads: 0,
            kv_heads: 0,
            dim: 0,
            layers: 0,
            capacity: 0,
        };
        let name = match *self {
            Project::Qkv { rope, bias, caches, layer, queries, eps } => {
                let (kv, dim) = (caches.kv_heads, caches.dim);
                let heads = w.rows / dim - 2 * kv;
                assert!(
                    w.rows == (heads + 2 * kv) * dim && dim.is_multiple_of(TILE),
                    "heads of a projection"
                );
                assert!(layer < caches.layers && queries.len() >= rows * heads * dim, "queries");
                assert!(rope.len() >= caches.capacity * dim / 2, "rotations for every position");
                assert!(bias.is_none_or(|b| b.len() == w.rows), "bias");
                args.eps = eps;
                args.layer = layer as u32;
                args.out = queries.address();
                args.bias = bias.map_or(0, Buffer::address);
                args.rope = rope.address();
                args.k_cache = caches.keys.address();
                args.v_cache = caches.values.address();
                (args.heads, args.kv_heads, args.dim) = (heads as u32, kv as u32, dim as u32);
                (args.layers, args.capacity) = (caches.layers as u32, caches.capacity as u32);
                "qkv"
            }
            Project::Add(x, x16) => {
                assert!(x.len() >= rows * w.rows && x16.len() >= rows * w.rows, "residual stream");
                (args.out_f32, args.out) = (x.address(), x16.address());
                "add"
            }
            Project::Gate(out, eps) => {
                assert!(out.len() >= rows * w.rows / 2, "gated rows");
                (args.out, args.eps) = (out.address(), eps);
                "swiglu"
            }
        };
        let split =
            Split::choose(args.tiles, rows as u32, args.k / CHUNK as u32, gpu.processors(), gpu.shared());
        let shape = Shape {
            grid: [args.tiles.div_ceil(split.tiles), rows as u32 / 8 / split.groups, 1],
            threads: split.warps * 32,
            shared: split.shared(args.k / CHUNK as u32),
            cluster: 1,
        };
        let name = format!("{name}_m{}_n{}", split.tiles, split.groups);
        // SAFETY: the arguments have the kernel's layout; sizes were checked above; positions and slots in the state are
        // checked by the kernel (positions) and by whoever writes it (slots, `Step::launch`).
        unsafe { gpu.launch(&name, shape, &mut [param(&mut args)]) }
    }
}

/// How a projection is split over blocks and warps.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Split {
    /// Weight tiles of a block.
    tiles: u32,
    /// Groups of eight rows of a block.
    groups: u32,
    warps: u32,
}

impl Split {
    /// The number of warps depends on the chunks alone, so that rows are summed alike in every bucket.
    fn choose(tiles: u32, rows: u32, chunks: u32, processors: u32, limit: u32) -> Self {
        let warps = match chunks {
            0..=24 => chunks.div_ceil(3),
            25..=48 => chunks.div_ceil(4),
            _ => 8,
        };
        let mut split = Split { tiles: 1, groups: (rows / 8).min(8), warps };
        while split.groups > 1 && (split.shared(chunks) > limit || !(rows / 8).is_multiple_of(split.groups)) {
            split.groups /= 2;
        }
        for more in [4, 2] {
            let wider = Split { tiles: more, ..split };
            let blocks = tiles / more * (rows / 8 / split.groups);
            if blocks * 3 >= processors * 2 && wider.shared(chunks) <= limit {
                return wider;
            }
        }
        split
    }

    /// Bytes of shared memory: chunks in flight, later the warps' sums.
    fn shared(self, chunks: u32) -> u32 {
        // Chunks that a warp has in flight, as in `cuda/project.cu`.
        let stages = if self.tiles == 2 { 3 } else { 4 };
        let slots = chunks.div_ceil(self.warps).min(stages);
        let ring = self.warps * slots * (self.tiles * 1024 + self.groups * 512);
        let sums = self.warps * (self.tiles * self.groups * 512 + self.groups * 32);
        ring.max(sums)
    }
}

/// Parameters of `cuda/attend.cu`.
#[derive(Clone, Copy)]
#[repr(C)]
struct AttendArgs {
    state: u64,
    q: u64,
    k_cache: u64,
    v_cache: u64,
    out: u64,
    partial: u64,
    bucket: u32,
    heads: u32,
    kv_heads: u32,
    layers: u32,
    layer: u32,
    capacity: u32,
    scale: f32,
}

/// Attention of one layer.
pub struct Attend<'a> {
    /// (rows, heads * dim)
    pub queries: &'a Buffer<bf16>,
    /// Keys and values.
    pub caches: &'a Caches,
    /// Which layer's.
    pub layer: usize,
    /// (rows, heads * dim)
    pub out: &'a Buffer<bf16>,
    /// Partial results where there are no clusters: [`Attend::partial_len`].
    pub partial: &'a Buffer<f32>,
}

impl Attend<'_> {
    /// Blocks along z and query tiles of each.
    fn groups(rows: usize, heads: usize, kv_heads: usize) -> (u32, u32) {
        let tiles = (heads / kv_heads * rows).div_ceil(16) as u32;
        // Few rows are spread over all multiprocessors of a large device, many rows share what a block reads.
        let wanted = (tiles * SPLITS * kv_heads as u32).div_ceil(BLOCKS).clamp(1, MAX_TILES);
        let groups = tiles.div_ceil(wanted);
        (groups, tiles.div_ceil(groups))
    }

    /// Length of the partial results for up to `rows` rows.
    pub fn partial_len(rows: usize, heads: usize, kv_heads: usize, dim: usize) -> usize {
        let (groups, tiles) = Attend::groups(rows, heads, kv_heads);
        (groups * tiles) as usize * 16 * kv_heads * PARTS as usize * (dim + 8)
    }

    /// Enqueues attention of `rows` rows of `heads` heads. `clusters` merges through distributed shared memory.
    pub fn launch(
        &self,
        gpu: &Gpu,
        rows: usize,
        heads: usize,
        clusters: bool,
        state: &Buffer<State>,
    ) -> Result<(), CudaError> {
        let Caches { kv_heads, dim, layers, capacity, .. } = *self.caches;
        let width = rows * heads * dim;
        assert!(matches!(dim, 64 | 128), "heads of 64 or 128");
        assert!(heads.is_multiple_of(kv_heads) && self.layer < layers && rows <= MAX_ROWS, "attention shape");
        assert!(
            self.queries.len() >= width && self.out.len() >= width && state.len() == 1,
            "attention operands"
        );
        let (groups, tiles) = Attend::groups(rows, heads, kv_heads);
        let mut args = AttendArgs {
            state: state.address(),
            q: self.queries.address(),
            k_cache: self.caches.keys.address(),
            v_cache: self.caches.values.address(),
            out: self.out.address(),
            partial: self.partial.address(),
            bucket: rows as u32,
            heads: heads as u32,
            kv_heads: kv_heads as u32,
            layers: layers as u32,
            layer: self.layer as u32,
            capacity: capacity as u32,
            scale: std::f32::consts::LOG2_E / (dim as f32).sqrt(),
        };
        let threads = tiles * PARTS / SPLITS * 32;
        // A few units of keys and values for each half, then the rows that a block merges, as in
        // `cuda/attend.cu`.
        let halves = PARTS / SPLITS;
        let units = if dim == 64 { 3 } else { 2 };
        let dim_bytes = dim as u32 * 4;
        let shared = halves * units * 32 * dim_bytes + tiles * halves * 16 * (dim_bytes + 32);
        let shape = Shape { grid: [SPLITS, kv_heads as u32, groups], threads, shared, cluster: SPLITS };
        if clusters {
            // SAFETY: the arguments have the kernel's layout; sizes were checked above; the kernel clamps positions.
            return unsafe { gpu.launch(&format!("attend_d{dim}"), shape, &mut [param(&mut args)]) };
        }
        assert!(self.partial.len() >= Attend::partial_len(rows, heads, kv_heads, dim), "partial results");
        let parts = Shape { cluster: 1, ..shape };
        let merge = Shape { grid: [1, kv_heads as u32, groups], shared: 0, ..parts };
        let mut tiles = tiles;
        // SAFETY: as above, and the partial results have room for every part.
        unsafe {
            gpu.launch(&format!("attend_parts_d{dim}"), parts, &mut [param(&mut args)])?;
            gpu.launch(&format!("attend_merge_d{dim}"), merge, &mut [param(&mut args), param(&mut tiles)])
        }
    }
}

/// Parameters of `cuda/head.cu`.
#[derive(Clone, Copy)]
#[repr(C)]
struct HeadArgs {
    w: u64,
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
        groups * 8 * row + HEAD_WARPS * RING * 1024
    }

    /// Enqueues the head over up to `count` rows (8, 16, 32 or 64) of `x` (rows, hidden); the state says which.
    pub fn launch(
        &self,
        gpu: &Gpu,
        rows: usize,
        count: usize,
        x: &Buffer<bf16>,
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
            x: x.address(),
            gain: self.gain.address(),
            state: state.address(),
            best: self.best.address(),
            logits: self.logits.map_or(0, Buffer::address),
            k: self.w.cols as u32,
            vocab: self.w.rows as u32,
            bucket: rows as u32,
            eps: self.eps,
        };
        let shape = Shape {
            grid: [gpu.processors(), all / groups, 1],
            threads: HEAD_WARPS * 32,
            shared: self.shared(groups),
            cluster: 1,
        };
        // SAFETY: the arguments have the kernel's layout; sizes were checked above; rows are clamped by the kernel.
        unsafe { gpu.launch(&format!("head_n{groups}"), shape, &mut [param(&mut args)]) }
    }
}

/// What kernels exchange with the host has the layout that both sides assume.
const _: () = {
    const fn plain<T: Pod>() {}
    plain::<Pick>();
    assert!(size_of::<State>() == 4 * (8 + MAX_ROWS) && size_of::<Best>() == 16 && size_of::<Round>() == 32);
};

#[cfg(test)]
mod tests {
    use super::*;

    /// An H100's multiprocessors and shared memory.
    const H100: (u32, u32) = (132, 232_448);

    #[test]
    fn splits_fit_and_keep_the_order_of_sums() {
        // (tiles, chunks) of query-key-value, output, gate-up and down of the default model, 0.5B and 7B.
        let shapes = [
            (60, 18),
            (36, 18),
            (192, 18),
            (36, 48),
            (72, 28),
            (608, 28),
            (56, 152),
            (2368, 112),
            (224, 592),
        ];
        for (tiles, chunks) in shapes {
            let warps = Split::choose(tiles, 8, chunks, H100.0, H100.1).warps;
            for rows in [8, 16, 32, 64, 128, 256] {
                for limit in [H100.1, 101_376, 166_912] {
                    let split = Split::choose(tiles, rows, chunks, H100.0, limit);
                    assert_eq!(split.warps, warps);
                    assert!(
                        split.warps <= 12 && split.shared(chunks) <= limit,
                        "{tiles} {chunks} {rows} {split:?}"
                    );
                    assert!((rows / 8).is_multiple_of(split.groups));
                }
            }
        }
    }

    #[test]
    fn attention_covers_every_query() {
        for (heads, kv_heads) in [(9, 3), (14, 2), (28, 4), (32, 32)] {
            for rows in [8, 16, 32, 64, 128, 256] {
                let (groups, tiles) = Attend::groups(rows, heads, kv_heads);
                assert!(tiles <= MAX_TILES && (groups * tiles * 16) as usize >= heads / kv_heads * rows);
            }
        }
    }
}
