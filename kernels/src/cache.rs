//! Keys and values of one layer, growing with the positions that are used.
//!
//! Keys lie in panels of 16 positions, `[head][positions/16][d][16]`, so that the scores of 16 positions are one product of
//! `tile.rs`; values lie as rows, `[head][positions][d]`, so that 16 columns of the output are. Both are f16: half the memory
//! and traffic of f32.

use half::f16;

use crate::disjoint::Disjoint;
use crate::matrix::TILE;

/// Positions that a cache grows by.
const GROWTH: usize = 256;

/// Keys and values of a layer. New ones are zero.
pub struct Cache {
    head: usize,
    positions: usize,
    /// One buffer for each KV head.
    keys: Vec<Vec<f16>>,
    values: Vec<Vec<f16>>,
}

impl Cache {
    /// An empty cache of `heads` KV heads of width `head`, a multiple of 16.
    pub fn new(heads: usize, head: usize) -> Cache {
        assert!(head.is_multiple_of(TILE), "a head of width {head} is no whole number of panels");
        Cache { head, positions: 0, keys: vec![Vec::new(); heads], values: vec![Vec::new(); heads] }
    }

    /// Makes room for `positions` positions; what is stored stays.
    pub fn reserve(&mut self, positions: usize) {
        if positions <= self.positions {
            return;
        }
        self.positions = positions.next_multiple_of(GROWTH);
        for buffer in self.keys.iter_mut().chain(&mut self.values) {
            buffer.reserve_exact(self.positions * self.head - buffer.len());
            buffer.resize(self.positions * self.head, f16::ZERO);
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

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        2 * 2 * self.heads() * self.positions * self.head
    }

    /// The panel of positions `16 · panel ..` of a head: `[d][16]`.
    pub(crate) fn keys(&self, head: usize, panel: usize) -> &[f16] {
        &self.keys[head][panel * TILE * self.head..][..TILE * self.head]
    }

    /// All values of a head: `[positions][d]`.
    pub(crate) fn values(&self, head: usize) -> &[f16] {
        &self.values[head]
    }

    pub(crate) fn writer(&mut self) -> Writer<'_> {
        Writer {
            head: self.head,
            keys: self.keys.iter_mut().map(|k| Disjoint::new(k)).collect(),
            values: self.values.iter_mut().map(|v| Disjoint::new(v)).collect(),
        }
    }
}

/// Writes parts of keys and values from several threads.
pub(crate) struct Writer<'a> {
    head: usize,
    keys: Vec<Disjoint<'a, f16>>,
    values: Vec<Disjoint<'a, f16>>,
}

impl Writer<'_> {
    /// Writes part of a key, from its value `from`.
    ///
    /// # Safety
    /// No other thread writes this part at the same time.
    #[expect(unsafe_code, reason = "threads write different parts of a key")]
    pub(crate) unsafe fn put_key(&self, head: usize, position: usize, from: usize, part: &[f32]) {
        let panel = position / TILE * TILE * self.head;
        for (i, &x) in part.iter().enumerate() {
            // SAFETY: the caller has this part for itself, and the element belongs to this position alone.
            let to = unsafe { self.keys[head].slice(panel + (from + i) * TILE + position % TILE, 1) };
            to[0] = f16::from_f32(x);
        }
    }

    /// Writes part of a value, from its value `from`.
    ///
    /// # Safety
    /// No other thread writes this part at the same time.
    #[expect(unsafe_code, reason = "threads write different parts of a value")]
    pub(crate) unsafe fn put_value(&self, head: usize, position: usize, from: usize, part: &[f32]) {
        // SAFETY: the caller has this part for itself.
        let to = unsafe { self.values[head].slice(position * self.head + from, part.len()) };
        for (to, &x) in to.iter_mut().zip(part) {
            *to = f16::from_f32(x);
        }
    }
}
