//! Keys and values of one layer, growing with the positions that are used.
//!
//! Keys lie in panels of 16 positions, so that the scores of 16 positions are one product; values lie by positions, so that 16
//! columns of the output are. As floats (`tile.rs`) that is `[positions/16][d][16]` and `[positions][d]`; as whole numbers
//! (`pairs.rs`), two inputs of a product beside each other, `[positions/16][d/2][16][2]` and `[positions/2][d][2]`, with a scale for each
//! 32 of a key or value, `[positions/16][d/32][16]`.
//!
//! A cache grows by pieces, cut from huge pages as weights are: a row that attends to a thousand positions reads a hundred pages of 4 KiB in
//! each layer, and waits for each.

use crate::disjoint::Disjoint;
use crate::level::{Level, vectorised};
use crate::math;
use crate::matrix::{BLOCK, TILE};
use crate::memory::{Memory, Part};

/// Positions of a piece: what a cache grows by. Runs of positions that attention takes at once do not cross its end.
pub(crate) const PIECE: usize = 256;
/// Largest whole number of a key, value or query: with 12 bits the sums of a head of width 128 fit into 32.
pub(crate) const LARGEST: f32 = 2047.0;

/// How keys and values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// As they are.
    F32,
    /// Rounded to 12 bits, each 32 of a key or value with their own scale: half the memory and traffic, and products of
    /// whole numbers.
    Whole,
}

/// Keys and values of a layer. New ones are zero.
pub struct Cache {
    head: usize,
    heads: usize,
    storage: Storage,
    pieces: Vec<Piece>,
}

/// [`PIECE`] positions: one buffer for each KV head.
struct Piece {
    keys: Vec<Buffer>,
    values: Vec<Buffer>,
}

enum Buffer {
    F32(Part),
    Whole(Whole<Part, Part>),
}

/// Whole numbers and what they are multiplied with.
#[derive(Clone, Copy)]
pub(crate) struct Whole<Q, S> {
    pub(crate) quants: Q,
    pub(crate) scales: S,
}

impl Cache {
    /// An empty cache of `heads` KV heads of width `head`, a multiple of 32.
    pub fn new(storage: Storage, heads: usize, head: usize) -> Cache {
        assert!(head.is_multiple_of(BLOCK), "a head of width {head} is no whole number of blocks");
        Cache { head, heads, storage, pieces: Vec::new() }
    }

    /// Makes room for `positions` positions; what is stored stays.
    pub fn reserve(&mut self, memory: &mut Memory, positions: usize) {
        while self.positions() < positions {
            let mut buffers =
                || (0..self.heads).map(|_| Buffer::new(memory, self.storage, PIECE * self.head)).collect();
            self.pieces.push(Piece { keys: buffers(), values: buffers() });
        }
    }

    /// KV heads.
    pub fn heads(&self) -> usize {
        self.heads
    }

    /// Width of a head.
    pub fn head(&self) -> usize {
        self.head
    }

    /// Positions that there is room for.
    pub fn positions(&self) -> usize {
        self.pieces.len() * PIECE
    }

    /// How keys and values are stored.
    pub fn storage(&self) -> Storage {
        self.storage
    }

    /// Value `i` of a key.
    pub(crate) fn key(&self, head: usize, position: usize, i: usize) -> f32 {
        let (piece, at) = (&self.pieces[position / PIECE], position % PIECE);
        piece.keys[head].get(key_index(self.storage, self.head, at, i), self.head, at, i)
    }

    /// Value `i` of a value.
    pub(crate) fn value(&self, head: usize, position: usize, i: usize) -> f32 {
        let (piece, at) = (&self.pieces[position / PIECE], position % PIECE);
        piece.values[head].get(value_index(self.storage, self.head, at, i), self.head, at, i)
    }

    /// The keys of positions `16 · panel ..` as floats: `[d][16]`.
    pub(crate) fn float_keys(&self, head: usize, panel: usize) -> &[f32] {
        let (piece, at) = (&self.pieces[panel * TILE / PIECE], panel * TILE % PIECE);
        &piece.keys[head].floats()[at * self.head..][..TILE * self.head]
    }

    /// The values of `positions` positions of a piece from `start` on as floats: `[positions][d]`.
    pub(crate) fn float_values(&self, head: usize, start: usize, positions: usize) -> &[f32] {
        let (piece, at) = (&self.pieces[start / PIECE], start % PIECE);
        &piece.values[head].floats()[at * self.head..][..positions * self.head]
    }

    /// The keys of `16 · panels` positions of a piece from `start` on as whole numbers: `[panels][d/2][16][2]`, scales
    /// `[panels][d/32][16]`.
    pub(crate) fn whole_keys(&self, head: usize, start: usize, panels: usize) -> Whole<&[i16], &[f32]> {
        self.pieces[start / PIECE].keys[head].whole(start % PIECE, panels * TILE, self.head)
    }

    /// The values of `16 · panels` positions of a piece from `start` on as whole numbers: `[positions/2][d][2]`, scales
    /// `[panels][d/32][16]`.
    pub(crate) fn whole_values(&self, head: usize, start: usize, panels: usize) -> Whole<&[i16], &[f32]> {
        self.pieces[start / PIECE].values[head].whole(start % PIECE, panels * TILE, self.head)
    }

    pub(crate) fn writer(&mut self) -> Writer<'_> {
        let (mut keys, mut values) = (Vec::new(), Vec::new());
        for piece in &mut self.pieces {
            keys.extend(piece.keys.iter_mut().map(Buffer::shared));
            values.extend(piece.values.iter_mut().map(Buffer::shared));
        }
        Writer { head: self.head, heads: self.heads, storage: self.storage, keys, values }
    }
}

/// Where value `i` of a key lies in its piece.
fn key_index(storage: Storage, d: usize, position: usize, i: usize) -> usize {
    let (panel, lane) = (position / TILE * TILE * d, position % TILE);
    match storage {
        Storage::F32 => panel + i * TILE + lane,
        Storage::Whole => panel + i / 2 * 2 * TILE + lane * 2 + i % 2,
    }
}

/// Where value `i` of a value lies in its piece.
fn value_index(storage: Storage, d: usize, position: usize, i: usize) -> usize {
    match storage {
        Storage::F32 => position * d + i,
        Storage::Whole => position / 2 * 2 * d + i * 2 + position % 2,
    }
}

/// Where the scale of value `i` of a key or value lies in its piece.
fn scale_index(d: usize, position: usize, i: usize) -> usize {
    (position / TILE * (d / BLOCK) + i / BLOCK) * TILE + position % TILE
}

impl Buffer {
    /// Room for `len` values, which are zero.
    fn new(memory: &mut Memory, storage: Storage, len: usize) -> Buffer {
        match storage {
            Storage::F32 => Buffer::F32(memory.take(len * size_of::<f32>())),
            Storage::Whole => Buffer::Whole(Whole {
                quants: memory.take(len * size_of::<i16>()),
                scales: memory.take(len / BLOCK * size_of::<f32>()),
            }),
        }
    }

    fn get(&self, index: usize, d: usize, position: usize, i: usize) -> f32 {
        match self {
            Buffer::F32(_) => self.floats()[index],
            Buffer::Whole(_) => {
                let whole = self.whole(0, PIECE, d);
                f32::from(whole.quants[index]) * whole.scales[scale_index(d, position, i)]
            }
        }
    }

    fn floats(&self) -> &[f32] {
        match self {
            Buffer::F32(part) => bytemuck::cast_slice(part),
            Buffer::Whole(_) => panic!("the cache holds whole numbers"),
        }
    }

    fn whole(&self, start: usize, positions: usize, d: usize) -> Whole<&[i16], &[f32]> {
        match self {
            Buffer::F32(_) => panic!("the cache holds floats"),
            Buffer::Whole(b) => Whole {
                quants: &bytemuck::cast_slice(&b.quants)[start * d..][..positions * d],
                scales: &bytemuck::cast_slice(&b.scales)[start * d / BLOCK..][..positions * d / BLOCK],
            },
        }
    }

    fn shared(&mut self) -> Shared<'_> {
        match self {
            Buffer::F32(part) => Shared::F32(Disjoint::new(bytemuck::cast_slice_mut(part))),
            Buffer::Whole(b) => Shared::Whole(Whole {
                quants: Disjoint::new(bytemuck::cast_slice_mut(&mut b.quants)),
                scales: Disjoint::new(bytemuck::cast_slice_mut(&mut b.scales)),
            }),
        }
    }
}

/// Writes parts of keys and values from several threads.
pub(crate) struct Writer<'a> {
    head: usize,
    heads: usize,
    storage: Storage,
    /// Of each piece one for each KV head.
    keys: Vec<Shared<'a>>,
    values: Vec<Shared<'a>>,
}

enum Shared<'a> {
    F32(Disjoint<'a, f32>),
    Whole(Whole<Disjoint<'a, i16>, Disjoint<'a, f32>>),
}

impl Writer<'_> {
    /// Writes 32 of a key, from its value `from`, a multiple of 32.
    ///
    /// # Safety
    /// No other thread writes them at the same time.
    #[expect(unsafe_code, reason = "threads write different parts of a key")]
    pub(crate) unsafe fn put_key(
        &self,
        level: Level,
        head: usize,
        position: usize,
        from: usize,
        part: &[f32; BLOCK],
    ) {
        let (piece, at) = (position / PIECE, position % PIECE);
        let start = key_index(self.storage, self.head, at, from);
        let scale = scale_index(self.head, at, from);
        // SAFETY: the caller has these elements for itself, and they belong to this position alone.
        unsafe { self.keys[piece * self.heads + head].put(level, start, TILE, scale, part) }
    }

    /// Writes 32 of a value, from its value `from`, a multiple of 32.
    ///
    /// # Safety
    /// No other thread writes them at the same time.
    #[expect(unsafe_code, reason = "threads write different parts of a value")]
    pub(crate) unsafe fn put_value(
        &self,
        level: Level,
        head: usize,
        position: usize,
        from: usize,
        part: &[f32; BLOCK],
    ) {
        let (piece, at) = (position / PIECE, position % PIECE);
        let start = value_index(self.storage, self.head, at, from);
        let scale = scale_index(self.head, at, from);
        // SAFETY: the caller has these elements for itself, and they belong to this position alone.
        unsafe { self.values[piece * self.heads + head].put(level, start, 1, scale, part) }
    }
}

impl Shared<'_> {
    /// Writes `part` from `start` on, neighbours `step` apart; of whole numbers, pairs of them are, in keys beside each other.
    ///
    /// # Safety
    /// No other thread writes these elements at the same time.
    #[expect(unsafe_code, reason = "threads write different elements")]
    unsafe fn put(&self, level: Level, start: usize, step: usize, scale: usize, part: &[f32; BLOCK]) {
        match self {
            // SAFETY: the caller has these elements for itself.
            Shared::F32(b) => unsafe { b.scatter(start, step, part) },
            Shared::Whole(b) => {
                let mut quants = [0; BLOCK];
                let largest = round(level, part, LARGEST, &mut quants);
                // SAFETY: the caller has these elements for itself.
                unsafe {
                    b.scales.slice(scale, 1)[0] = largest;
                    if step == 1 {
                        // A value's neighbours are the pairs of another position's.
                        b.quants.scatter(start, 2, &quants);
                    } else {
                        let (pairs, _) = quants.as_chunks::<2>();
                        for (i, pair) in pairs.iter().enumerate() {
                            b.quants.scatter(start + i * 2 * step, 1, pair);
                        }
                    }
                }
            }
        }
    }
}

vectorised! {
    /// Rounds values to whole numbers of at most `largest`; what these are multiplied with.
    pub(crate) fn round(values: &[f32], largest: f32, quants: &mut [i16]) -> f32 {
        let mut magnitudes = [0.0f32; TILE];
        let (parts, _) = values.as_chunks::<TILE>();
        for part in parts {
            for (magnitude, x) in magnitudes.iter_mut().zip(part) {
                *magnitude = if x.abs() > *magnitude { x.abs() } else { *magnitude };
            }
        }
        let magnitude = math::max(&magnitudes);
        // Smaller ones are zero: their steps would overflow.
        let steps = if magnitude > 1e-30 { largest / magnitude } else { 0.0 };
        for (quant, x) in quants.iter_mut().zip(values) {
            *quant = math::whole(x * steps);
        }
        if magnitude > 1e-30 { magnitude / largest } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::paint;

    #[test]
    fn what_is_written_reads_back_and_stays_when_the_cache_grows() {
        for (storage, off) in [(Storage::F32, 0.0), (Storage::Whole, 0.51 / LARGEST)] {
            for level in Level::available() {
                let (mut cache, mut memory) = (Cache::new(storage, 2, 64), Memory::default());
                cache.reserve(&mut memory, PIECE + 1);
                let written = [0, 1, 15, 16, 17, 255, 256, 300];
                for position in written {
                    for from in [0, BLOCK] {
                        let part = paint(BLOCK, position + from);
                        let part: &[f32; BLOCK] = part[..].try_into().expect("because it is a block");
                        #[expect(unsafe_code, reason = "the test has the cache for itself")]
                        // SAFETY: no other thread has it.
                        unsafe {
                            cache.writer().put_key(level, 1, position, from, part);
                            cache.writer().put_value(level, 1, position, from, part);
                        }
                    }
                }
                cache.reserve(&mut memory, 2 * PIECE + 10);
                for position in 0..2 * PIECE + 10 {
                    for i in 0..64 {
                        let from = i / BLOCK * BLOCK;
                        let kept = written.contains(&position);
                        let want = if kept { paint(BLOCK, position + from)[i - from] } else { 0.0 };
                        for got in [cache.key(1, position, i), cache.value(1, position, i)] {
                            assert!(
                                (got - want).abs() <= off,
                                "{level}: {got}, not {want}, at {position}, {i}"
                            );
                        }
                        assert_eq!((cache.key(0, position, i), cache.value(0, position, i)), (0.0, 0.0));
                    }
                }
            }
        }
    }
}
