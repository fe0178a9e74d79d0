//! Keys and values of one layer, growing with the positions that are used.
//!
//! Keys lie in panels of 16 positions, so that the scores of 16 positions are one product; values lie by positions, so that 16
//! columns of the output are. As floats (`tile.rs`) that is `[positions/16][d][16]` and `[positions][d]`; as whole numbers
//! (`pairs.rs`), two inputs of a product beside each other, `[positions/16][d/2][16][2]` and `[positions/2][d][2]`, with a scale for each
//! 32 of a key or value, `[positions/16][d/32][16]`.

use crate::disjoint::Disjoint;
use crate::level::{Level, vectorised};
use crate::math;
use crate::matrix::{BLOCK, TILE};

/// Positions that a cache grows by.
const GROWTH: usize = 256;
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
    positions: usize,
    storage: Storage,
    /// One buffer for each KV head.
    keys: Vec<Buffer>,
    values: Vec<Buffer>,
}

#[derive(Clone)]
enum Buffer {
    F32(Vec<f32>),
    Whole(Whole<Vec<i16>, Vec<f32>>),
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
        let empty = match storage {
            Storage::F32 => Buffer::F32(Vec::new()),
            Storage::Whole => Buffer::Whole(Whole { quants: Vec::new(), scales: Vec::new() }),
        };
        Cache { head, positions: 0, storage, keys: vec![empty.clone(); heads], values: vec![empty; heads] }
    }

    /// Makes room for `positions` positions; what is stored stays.
    pub fn reserve(&mut self, positions: usize) {
        if positions <= self.positions {
            return;
        }
        self.positions = positions.next_multiple_of(GROWTH);
        for buffer in self.keys.iter_mut().chain(&mut self.values) {
            buffer.grow(self.positions * self.head);
        }
    }

    /// KV heads.
    pub fn heads(&self) -> usize {
        self.keys.len()
    }

    /// Width of a head.
    pub fn head(&self) -> usize {
        self.head
    }

    /// Positions that there is room for.
    pub fn positions(&self) -> usize {
        self.positions
    }

    /// How keys and values are stored.
    pub fn storage(&self) -> Storage {
        self.storage
    }

    /// Value `i` of a key.
    pub(crate) fn key(&self, head: usize, position: usize, i: usize) -> f32 {
        self.keys[head].get(key_index(self.storage, self.head, position, i), self.head, position, i)
    }

    /// Value `i` of a value.
    pub(crate) fn value(&self, head: usize, position: usize, i: usize) -> f32 {
        self.values[head].get(value_index(self.storage, self.head, position, i), self.head, position, i)
    }

    /// The keys of positions `16 · panel ..` as floats: `[d][16]`.
    pub(crate) fn float_keys(&self, head: usize, panel: usize) -> &[f32] {
        &self.keys[head].floats()[panel * TILE * self.head..][..TILE * self.head]
    }

    /// The values of `positions` positions from `start` on as floats: `[positions][d]`.
    pub(crate) fn float_values(&self, head: usize, start: usize, positions: usize) -> &[f32] {
        &self.values[head].floats()[start * self.head..][..positions * self.head]
    }

    /// The keys of `16 · panels` positions from `16 · panel` on as whole numbers: `[panels][d/2][16][2]`, scales `[panels][d/32][16]`.
    pub(crate) fn whole_keys(&self, head: usize, panel: usize, panels: usize) -> Whole<&[i16], &[f32]> {
        self.keys[head].whole(panel, panels, self.head)
    }

    /// The values of `16 · panels` positions from `16 · panel` on as whole numbers: `[positions/2][d][2]`, scales `[panels][d/32][16]`.
    pub(crate) fn whole_values(&self, head: usize, panel: usize, panels: usize) -> Whole<&[i16], &[f32]> {
        self.values[head].whole(panel, panels, self.head)
    }

    pub(crate) fn writer(&mut self) -> Writer<'_> {
        Writer {
            head: self.head,
            storage: self.storage,
            keys: self.keys.iter_mut().map(Buffer::shared).collect(),
            values: self.values.iter_mut().map(Buffer::shared).collect(),
        }
    }
}

/// Where value `i` of a key lies.
fn key_index(storage: Storage, d: usize, position: usize, i: usize) -> usize {
    let (panel, lane) = (position / TILE * TILE * d, position % TILE);
    match storage {
        Storage::F32 => panel + i * TILE + lane,
        Storage::Whole => panel + i / 2 * 2 * TILE + lane * 2 + i % 2,
    }
}

/// Where value `i` of a value lies.
fn value_index(storage: Storage, d: usize, position: usize, i: usize) -> usize {
    match storage {
        Storage::F32 => position * d + i,
        Storage::Whole => position / 2 * 2 * d + i * 2 + position % 2,
    }
}

/// Where the scale of value `i` of a key or value lies.
fn scale_index(d: usize, position: usize, i: usize) -> usize {
    (position / TILE * (d / BLOCK) + i / BLOCK) * TILE + position % TILE
}

impl Buffer {
    fn grow(&mut self, len: usize) {
        fn grow<T: Copy>(buffer: &mut Vec<T>, len: usize, zero: T) {
            buffer.reserve_exact(len - buffer.len());
            buffer.resize(len, zero);
        }
        match self {
            Buffer::F32(b) => grow(b, len, 0.0),
            Buffer::Whole(b) => {
                grow(&mut b.quants, len, 0);
                grow(&mut b.scales, len / BLOCK, 0.0);
            }
        }
    }

    fn get(&self, index: usize, d: usize, position: usize, i: usize) -> f32 {
        match self {
            Buffer::F32(b) => b[index],
            Buffer::Whole(b) => f32::from(b.quants[index]) * b.scales[scale_index(d, position, i)],
        }
    }

    fn floats(&self) -> &[f32] {
        match self {
            Buffer::F32(b) => b,
            Buffer::Whole(_) => panic!("the cache holds whole numbers"),
        }
    }

    fn whole(&self, panel: usize, panels: usize, d: usize) -> Whole<&[i16], &[f32]> {
        match self {
            Buffer::F32(_) => panic!("the cache holds floats"),
            Buffer::Whole(b) => Whole {
                quants: &b.quants[panel * TILE * d..][..panels * TILE * d],
                scales: &b.scales[panel * TILE * d / BLOCK..][..panels * TILE * d / BLOCK],
            },
        }
    }

    fn shared(&mut self) -> Shared<'_> {
        match self {
            Buffer::F32(b) => Shared::F32(Disjoint::new(b)),
            Buffer::Whole(b) => Shared::Whole(Whole {
                quants: Disjoint::new(&mut b.quants),
                scales: Disjoint::new(&mut b.scales),
            }),
        }
    }
}

/// Writes parts of keys and values from several threads.
pub(crate) struct Writer<'a> {
    head: usize,
    storage: Storage,
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
        let start = key_index(self.storage, self.head, position, from);
        let scale = scale_index(self.head, position, from);
        // SAFETY: the caller has these elements for itself, and they belong to this position alone.
        unsafe { self.keys[head].put(level, start, TILE, scale, part) }
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
        let start = value_index(self.storage, self.head, position, from);
        let scale = scale_index(self.head, position, from);
        // SAFETY: the caller has these elements for itself, and they belong to this position alone.
        unsafe { self.values[head].put(level, start, 1, scale, part) }
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
                let mut cache = Cache::new(storage, 2, 64);
                cache.reserve(1);
                let written = [0, 1, 15, 16, 17, 255];
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
                cache.reserve(300);
                for position in 0..300 {
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
