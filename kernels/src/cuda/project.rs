//! Projections with what surrounds them (`cuda/project.cu`, `cuda/wide.cu`), and how their work is split.

use super::driver::{CudaError, Gpu, Shape, param};
use super::memory::Buffer;
use super::pack::{CHUNK, Format, TILE};
use super::resident::{Caches, Weights};
use super::state::{MAX_ROWS, State, Turn};
use super::{Half, kept_eps};

/// Parameters of `cuda/project.cu`, mirrored.
#[derive(Clone, Copy)]
#[repr(C)]
struct ProjectArgs {
    w: u64,
    scales: u64,
    x: u64,
    k: u32,
    tiles: u32,
    run: u32,
    eps: f32,
    over_k: f32,
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
    early: u32,
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
        queries: &'a Buffer<Half>,
        /// Epsilon of the norm.
        eps: f32,
    },
    /// Added to the residual stream (rows, outputs), whose 16-bit copy is renewed.
    Add(&'a Buffer<f32>, &'a Buffer<Half>),
    /// Normalised rows through interleaved gate and up to gated rows (rows, outputs / 2).
    Gate(&'a Buffer<Half>, f32),
}

impl Project<'_> {
    /// Enqueues the projection of `x` (rows, columns of `w`).
    pub fn launch(
        &self,
        gpu: &Gpu,
        rows: usize,
        w: &Weights,
        x: &Buffer<Half>,
        state: &Buffer<State>,
    ) -> Result<(), CudaError> {
        assert!(rows.is_multiple_of(8) && rows <= MAX_ROWS, "rows of a bucket");
        assert!(w.cols.is_multiple_of(CHUNK) && w.rows.is_multiple_of(TILE), "shape of weights");
        assert!(x.len() >= rows * w.cols && state.len() == 1, "input of a projection");
        let mut args = ProjectArgs {
            w: w.packed.address(),
            scales: w.scales(),
            x: x.address(),
            k: w.cols as u32,
            tiles: (w.rows / TILE) as u32,
            run: 0,
            eps: 0.0,
            over_k: 1.0 / w.cols as f32,
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
            early: 0,
        };
        let mut name = match *self {
            Project::Qkv { rope, bias, caches, layer, queries, eps } => {
                let (kv, dim) = (caches.kv_heads, caches.dim);
                let heads = w.rows / dim - 2 * kv;
                assert!(
                    w.rows == (heads + 2 * kv) * dim && dim.is_power_of_two() && dim >= TILE,
                    "heads of a projection"
                );
                assert!(layer < caches.layers && queries.len() >= rows * heads * dim, "queries");
                assert!(rope.len() >= caches.capacity * dim / 2, "rotations for every position");
                assert!(bias.is_none_or(|b| b.len() == w.rows), "bias");
                args.eps = kept_eps(eps);
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
                (args.out, args.eps) = (out.address(), kept_eps(eps));
                "swiglu"
            }
        };
        let chunks = args.k / CHUNK as u32;
        args.run = run(chunks);
        let work = Work { tiles: args.tiles, chunks, rows: rows as u32, unit: 512 * w.format.bytes() as u32 };
        let limits = Limits { processors: gpu.processors(), shared: gpu.shared() };
        let (kernel, shape) = work.place(limits);
        args.early = u32::from(self.releases_early(work));
        if w.format == Format::Fp8 {
            name = match name {
                "qkv" => "qkv_fp8",
                "add" => "add_fp8",
                _ => "swiglu_fp8",
            };
        }
        // SAFETY: the arguments have the kernel's layout; sizes were checked above; positions and slots in the state are
        // checked by the kernel (positions) and by whoever writes it (slots, `Step::launch`).
        unsafe { gpu.launch(&format!("{name}_{kernel}"), shape, &mut [param(&mut args)]) }
    }

    /// True when the next kernel's blocks may take their places while this one still waits for its rows. They take what is
    /// free then, two to a multiprocessor if need be, which often costs more than it brings: found by measuring
    /// whole passes of up to 64 rows of the default model on an H100.
    fn releases_early(&self, work: Work) -> bool {
        let Work { tiles, chunks, rows, .. } = work;
        tiles * chunks < LARGE
            && match self {
                Project::Gate(..) => rows <= 64,
                Project::Qkv { .. } => matches!(rows, 16 | 64),
                Project::Add(..) => rows == 8 && chunks > 24,
            }
    }
}

/// Chunks that are summed in one go, by one warp: it depends on their number alone, so that rows are summed alike in every
/// pass. Few enough for many warps, with at most twelve in a block.
fn run(chunks: u32) -> u32 {
    match chunks {
        0..=24 => 3,
        25..=48 => 4,
        _ => chunks.div_ceil(8),
    }
}

/// What a projection has to do, and on which device.
#[derive(Debug, Clone, Copy)]
struct Work {
    /// Weight tiles, and chunks of each.
    tiles: u32,
    chunks: u32,
    rows: u32,
    /// Bytes of a weight tile's chunk.
    unit: u32,
}

/// What a kernel may take.
#[derive(Debug, Clone, Copy)]
struct Limits {
    processors: u32,
    /// Bytes of shared memory of a block.
    shared: u32,
}

impl Work {
    /// The kernel, without what it computes, and its launch.
    fn place(self, limits: Limits) -> (String, Shape) {
        if let Some(wide) = Wide::choose(self, limits) {
            return (wide.kernel(), wide.shape(self));
        }
        let split = Split::choose(self, limits);
        (format!("m{}_n{}", split.tiles, split.groups), split.shape(self))
    }

    /// Runs of chunks.
    fn runs(self) -> u32 {
        self.chunks.div_ceil(run(self.chunks))
    }
}

/// Weight tiles times chunks from which no cache keeps the weights for a second reader.
const LARGE: u32 = 8 << 10;

/// How a projection of few rows is split over blocks and warps: `cuda/project.cu`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Split {
    /// Weight tiles of a block.
    tiles: u32,
    /// Groups of eight rows of a block.
    groups: u32,
}

impl Split {
    fn choose(work: Work, limits: Limits) -> Self {
        let Work { tiles, chunks, rows, .. } = work;
        let (all, processors) = (rows / 8, limits.processors);
        let mut split = if tiles * chunks >= LARGE {
            // Reading the weights is what takes time: once, by as many blocks as there are processors or nearly.
            let groups = all.min(8);
            let enough = |&more: &u32| tiles / more * (all / groups) * 3 >= processors * 2;
            Split { tiles: [4, 2].into_iter().find(enough).unwrap_or(1), groups }
        } else {
            // Found by measuring whole passes on an H100, where kernels overlap: 8, 16, 32, 64, 128, 256, 512 and more rows.
            let sizes = if tiles >= processors {
                [(4, 1), (2, 2), (2, 4), (4, 4), (4, 4), (4, 4), (4, 4)]
            } else if 3 * tiles >= processors {
                [(4, 1), (2, 2), (2, 2), (2, 2), (2, 2), (4, 4), (4, 4)]
            } else if chunks <= 24 {
                [(4, 1), (2, 2), (2, 1), (4, 1), (2, 2), (4, 4), (4, 4)]
            } else {
                [(1, 1), (1, 2), (4, 1), (2, 2), (2, 4), (2, 8), (2, 4)]
            };
            let (tiles, groups) = sizes[all.ilog2().min(6) as usize];
            Split { tiles, groups }
        };
        while split.tiles * split.groups > 16 || split.shared(work) > limits.shared {
            match split {
                Split { tiles: 1, groups } => split.groups = groups / 2,
                Split { tiles, .. } => split.tiles = tiles / 2,
            }
        }
        split
    }

    fn shape(self, work: Work) -> Shape {
        Shape {
            grid: [work.tiles.div_ceil(self.tiles), work.rows / 8 / self.groups, 1],
            threads: work.runs() * 32,
            shared: self.shared(work),
            cluster: 1,
        }
    }

    /// Bytes of shared memory: chunks in flight, later the warps' sums.
    fn shared(self, work: Work) -> u32 {
        // Chunks that a warp has in flight, as in `cuda/project.cu`.
        let stages = if self.tiles == 2 { 3 } else { 4 };
        let warps = work.runs();
        let ring = warps * run(work.chunks).min(stages) * (self.tiles * work.unit + self.groups * 512);
        let sums = warps * (self.tiles * self.groups * 512 + self.groups * 32);
        ring.max(sums)
    }
}

/// Chunks in flight, as in `cuda/wide.cu`.
const WIDE_STAGES: u32 = 6;

/// How a projection of many rows is split: `cuda/wide.cu`.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Wide {
    /// Weight tiles and groups of eight rows of a warp.
    tiles: u32,
    groups: u32,
    /// Warps of a block along the weights and along the rows.
    across: u32,
    down: u32,
}

impl Wide {
    /// `None` when there is so little to do that every warp is wanted for a part of the sums. Found by measuring whole
    /// passes on an H100.
    fn choose(work: Work, limits: Limits) -> Option<Self> {
        let (Work { tiles, chunks, rows, .. }, Limits { processors, .. }) = (work, limits);
        let wide = Wide { tiles: 4, groups: 4, across: 1, down: 4 };
        let small = Wide { tiles: 3, groups: 4, across: 1, down: 2 };
        match rows {
            0..128 => None,
            128..256 if tiles < 4 * processors => None,
            256..512 if (processors..4 * processors).contains(&tiles) => Some(small),
            768.. if 2 * tiles < processors || tiles * chunks < LARGE / 2 => Some(small),
            768.. => Some(wide),
            _ => (tiles >= processors).then_some(wide),
        }
    }

    fn kernel(self) -> String {
        format!("wide_{}{}{}{}", self.tiles, self.groups, self.across, self.down)
    }

    fn shape(self, work: Work) -> Shape {
        let (block_tiles, block_groups) = (self.tiles * self.across, self.groups * self.down);
        assert!((work.rows / 8).is_multiple_of(block_groups), "rows of a block");
        Shape {
            grid: [work.rows / 8 / block_groups, work.tiles.div_ceil(block_tiles), 1],
            threads: self.across * self.down * 32,
            shared: WIDE_STAGES * (block_tiles * work.unit + block_groups * 512),
            cluster: 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Multiprocessors and shared memory of a block: an H100, an A100, an RTX 4060.
    const DEVICES: [(u32, u32); 3] = [(132, 232_448), (108, 166_912), (24, 101_376)];
    /// (tiles, chunks) of query-key-value, output, gate-up and down of the default model, 0.5B and 7B.
    const SHAPES: [(u32, u32); 11] = [
        (60, 18),
        (36, 18),
        (192, 18),
        (36, 48),
        (72, 28),
        (608, 28),
        (56, 152),
        (288, 112),
        (224, 112),
        (2368, 112),
        (224, 592),
    ];

    #[test]
    fn every_launch_fits_every_device() {
        for (tiles, chunks) in SHAPES {
            let rows = [8, 16, 32, 64, 128, 256, 384, 512, 768, 1024];
            for (rows, unit) in rows.into_iter().flat_map(|rows| [(rows, 512), (rows, 1024)]) {
                for (processors, shared) in DEVICES {
                    let work = Work { tiles, chunks, rows, unit };
                    let limits = Limits { processors, shared };
                    let (kernel, shape) = work.place(limits);
                    // Tiles and groups of rows of a block.
                    let [block_tiles, block_groups] = match kernel.as_bytes() {
                        b"wide_3412" => [3, 8],
                        b"wide_4414" => [4, 16],
                        [b'm', m, b'_', b'n', n] => [m, n].map(|digit| u32::from(digit - b'0')),
                        _ => panic!("{kernel}"),
                    };
                    let what = format!("{work:?} {limits:?}: {kernel} {shape:?}");
                    assert!(shape.threads <= 384 && shape.shared <= shared, "{what}");
                    let [x, y, _] = shape.grid;
                    let (down, across) = if kernel.starts_with("wide") { (x, y) } else { (y, x) };
                    assert!(across * block_tiles >= tiles && down * block_groups * 8 == rows, "{what}");
                }
            }
        }
    }

    #[test]
    fn runs_cover_the_sum_with_few_warps() {
        for chunks in 1..700u32 {
            let warps = chunks.div_ceil(run(chunks));
            assert!((1..=12).contains(&warps) && warps * run(chunks) >= chunks, "{chunks}");
        }
    }
}
