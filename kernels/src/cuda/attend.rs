//! Attention (`cuda/attend.cu`), and how its work is split.

use super::Half;
use super::driver::{CudaError, Gpu, Shape, param};
use super::memory::Buffer;
use super::resident::Caches;
use super::state::{MAX_ROWS, State};

/// Parts of the keys, as in `cuda/common.cuh`.
const PARTS: u32 = 16;
/// Blocks of a cluster that share them, everywhere and where clusters may be large; such clusters that an H100 has at once.
const SPLITS: u32 = 8;
const LARGE_SPLITS: u32 = 16;
const LARGE_CLUSTERS: u32 = 7;
/// Query tiles that a block of a large cluster has at most.
const LARGE_TILES: u32 = 6;
/// Blocks of attention up to which a block has one tile.
const BLOCKS: u32 = 80;
/// Rows from which a block takes all keys itself, and its query tiles: more if they bring all blocks onto an H100 at once.
const MANY_ROWS: usize = 256;
const MANY_TILES: u32 = 2;
const MORE_TILES: u32 = 3;
const MANY_BLOCKS: u32 = 132;

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
    pub queries: &'a Buffer<Half>,
    /// Keys and values.
    pub caches: &'a Caches,
    /// Which layer's.
    pub layer: usize,
    /// (rows, heads * dim)
    pub out: &'a Buffer<Half>,
    /// Partial results where there are no clusters: [`Attend::partial_len`].
    pub partial: &'a Buffer<f32>,
}

/// How attention is split over blocks.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Split {
    /// Blocks that share the keys.
    splits: u32,
    /// Parts of the keys that a warp takes, one after the other.
    parts: u32,
    /// Blocks along z and query tiles of each.
    groups: u32,
    tiles: u32,
}

impl Split {
    fn choose(rows: usize, heads: usize, kv_heads: usize, dim: usize, large_clusters: bool) -> Self {
        let (all, kv_heads) = ((heads / kv_heads * rows).div_ceil(16) as u32, kv_heads as u32);
        if rows >= MANY_ROWS {
            let blocks = |tiles| all.div_ceil(tiles) * kv_heads;
            let more = dim == 64 && blocks(MANY_TILES) > MANY_BLOCKS && blocks(MORE_TILES) <= MANY_BLOCKS;
            let tiles = if more { MORE_TILES } else { MANY_TILES };
            return Split { splits: 1, parts: 4, groups: all.div_ceil(tiles), tiles };
        }
        // The fewest reads of keys and values, by as many clusters as there can be.
        let groups = (LARGE_CLUSTERS / kv_heads).min(all);
        if large_clusters && dim == 64 && groups > 0 && all.div_ceil(groups) <= LARGE_TILES {
            let tiles = all.div_ceil(groups);
            return Split { splits: LARGE_SPLITS, parts: 1, groups: all.div_ceil(tiles), tiles };
        }
        // Few rows are spread over all multiprocessors of a large device, more rows share what a block reads.
        let most = if dim == 64 { 3 } else { 2 };
        let wanted = (all * SPLITS * kv_heads).div_ceil(BLOCKS).clamp(1, most);
        let groups = all.div_ceil(wanted);
        Split { splits: SPLITS, parts: 1, groups, tiles: all.div_ceil(groups) }
    }

    fn shape(self, kv_heads: usize, dim: usize) -> Shape {
        let teams = PARTS / self.splits / self.parts;
        let units = units(dim) - u32::from(self.splits == 1);
        // A few units of keys and values for each team; the rows that a block merges.
        let ring = teams * units * 32 * dim as u32 * 4;
        let inbox = PARTS / self.parts * (self.tiles * 16 / self.splits) * (dim as u32 + 8) * 4;
        let shared = if self.splits == 1 { ring.max(inbox) } else { ring + inbox };
        let grid = [self.splits, kv_heads as u32, self.groups];
        Shape { grid, threads: self.tiles * teams * 32, shared, cluster: self.splits }
    }
}

/// Units in flight, one fewer for many rows, as in `cuda/attend.cu`.
fn units(dim: usize) -> u32 {
    if dim == 64 { 3 } else { 2 }
}

impl Attend<'_> {
    /// Length of the partial results for up to `rows` rows.
    pub fn partial_len(rows: usize, heads: usize, kv_heads: usize, dim: usize) -> usize {
        let split = Split::choose(rows, heads, kv_heads, dim, false);
        if split.splits == 1 {
            return 0;
        }
        (split.groups * split.tiles) as usize * 16 * kv_heads * PARTS as usize * (dim + 8)
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
        let split = Split::choose(rows, heads, kv_heads, dim, clusters && gpu.large_clusters());
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
        let shape = split.shape(kv_heads, dim);
        if clusters || split.splits == 1 {
            let name = match split.splits {
                1 => "attend_many",
                LARGE_SPLITS => "attend_16",
                _ => "attend",
            };
            // SAFETY: the arguments have the kernel's layout; sizes were checked above; the kernel clamps positions.
            return unsafe { gpu.launch(&format!("{name}_d{dim}"), shape, &mut [param(&mut args)]) };
        }
        assert!(self.partial.len() >= Attend::partial_len(rows, heads, kv_heads, dim), "partial results");
        let parts = Shape { cluster: 1, ..shape };
        let merge = Shape { grid: [1, kv_heads as u32, split.groups], shared: 0, ..parts };
        let mut tiles = split.tiles;
        // SAFETY: as above, and the partial results have room for every part.
        unsafe {
            gpu.launch(&format!("attend_parts_d{dim}"), parts, &mut [param(&mut args)])?;
            gpu.launch(&format!("attend_merge_d{dim}"), merge, &mut [param(&mut args), param(&mut tiles)])
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_query_is_covered_and_every_block_fits() {
        for (heads, kv_heads, dim) in [(9, 3, 64), (14, 2, 64), (12, 2, 128), (28, 4, 128), (32, 32, 128)] {
            for rows in [8, 16, 32, 64, 128, 256, 384, 512, 768, 1024] {
                for large_clusters in [false, true] {
                    let split = Split::choose(rows, heads, kv_heads, dim, large_clusters);
                    let shape = split.shape(kv_heads, dim);
                    let queries = (split.groups * split.tiles * 16) as usize;
                    assert!(queries >= heads / kv_heads * rows, "{heads}/{kv_heads} {rows}: {split:?}");
                    let threads = match (split.splits, dim) {
                        (1, 64) => 512,
                        (1, _) => 256,
                        _ => 192,
                    };
                    // The least shared memory that a device of compute capability 8.0 and up gives a block.
                    assert!(
                        shape.threads <= threads && shape.shared <= 101_376,
                        "{heads}/{kv_heads}x{dim} {rows}: {shape:?}"
                    );
                }
            }
        }
    }
}
