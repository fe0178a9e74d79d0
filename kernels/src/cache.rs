//! Keys and values of one layer, growing with the positions that are used.
//!
//! Keys lie in panels of 16 positions, `[head][positions/16][d][16]`, so that the scores of 16 positions are one product of
//! `tile.rs`; values lie as rows, `[head][positions][d]`, so that 16 columns of the output are.

use half::f16;

use crate::disjoint::Disjoint;
use crate::matrix::TILE;
use crate::tile::Panel;

/// Positions that a cache grows by.
const GROWTH: usize = 256;

/// How keys and values are stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// As they are.
    F32,
    /// Rounded to 11 bits: half the memory and traffic.
    F16,
}

/// Keys and values of a layer. New ones are zero.
pub struct Cache {
    head: usize,
    positions: usize,
    /// One buffer for each KV head.
    keys: Vec<Buffer>,
    values: Vec<Buffer>,
}

#[derive(Clone)]
enum Buffer {
    F32(Vec<f32>),
    F16(Vec<f16>),
}

impl Cache {
    /// An empty cache of `heads` KV heads of width `head`, a multiple of 16.
    pub fn new(storage: Storage, heads: usize, head: usize) -> Cache {
        assert!(head.is_multiple_of(TILE), "a head of width {head} is no whole number of panels");
        let empty = match storage {
            Storage::F32 => Buffer::F32(Vec::new()),
            Storage::F16 => Buffer::F16(Vec::new()),
        };
        Cache { head, positions: 0, keys: vec![empty.clone(); heads], values: vec![empty; heads] }
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

    /// The panel of positions `16 · panel ..` of a head: `[d][16]`.
    pub(crate) fn keys(&self, head: usize, panel: usize) -> Panel<'_> {
        self.keys[head].part(panel * TILE * self.head, TILE * self.head)
    }

    /// The values of a head at `positions` positions from `start` on: `[positions][d]`.
    pub(crate) fn values(&self, head: usize, start: usize, positions: usize) -> Panel<'_> {
        self.values[head].part(start * self.head, positions * self.head)
    }

    pub(crate) fn writer(&mut self) -> Writer<'_> {
        Writer {
            head: self.head,
            keys: self.keys.iter_mut().map(Buffer::shared).collect(),
            values: self.values.iter_mut().map(Buffer::shared).collect(),
        }
    }
}

impl Buffer {
    fn grow(&mut self, len: usize) {
        match self {
            Buffer::F32(b) => {
                b.reserve_exact(len - b.len());
                b.resize(len, 0.0);
            }
            Buffer::F16(b) => {
                b.reserve_exact(len - b.len());
                b.resize(len, f16::ZERO);
            }
        }
    }

    fn part(&self, start: usize, len: usize) -> Panel<'_> {
        match self {
            Buffer::F32(b) => Panel::F32(&b[start..][..len]),
            Buffer::F16(b) => Panel::F16(&b[start..][..len]),
        }
    }

    fn shared(&mut self) -> Shared<'_> {
        match self {
            Buffer::F32(b) => Shared::F32(Disjoint::new(b)),
            Buffer::F16(b) => Shared::F16(Disjoint::new(b)),
        }
    }
}

/// Writes parts of keys and values from several threads.
pub(crate) struct Writer<'a> {
    head: usize,
    keys: Vec<Shared<'a>>,
    values: Vec<Shared<'a>>,
}

enum Shared<'a> {
    F32(Disjoint<'a, f32>),
    F16(Disjoint<'a, f16>),
}

impl Writer<'_> {
    /// Writes part of a key, from its value `from`.
    ///
    /// # Safety
    /// No other thread writes this part at the same time.
    #[expect(unsafe_code, reason = "threads write different parts of a key")]
    pub(crate) unsafe fn put_key(&self, head: usize, position: usize, from: usize, part: &[f32]) {
        let start = position / TILE * TILE * self.head + from * TILE + position % TILE;
        // SAFETY: the caller has this part for itself, and the elements belong to this position alone.
        unsafe { self.keys[head].put(start, TILE, part) }
    }

    /// Writes part of a value, from its value `from`.
    ///
    /// # Safety
    /// No other thread writes this part at the same time.
    #[expect(unsafe_code, reason = "threads write different parts of a value")]
    pub(crate) unsafe fn put_value(&self, head: usize, position: usize, from: usize, part: &[f32]) {
        // SAFETY: the caller has this part for itself.
        unsafe { self.values[head].put(position * self.head + from, 1, part) }
    }
}

impl Shared<'_> {
    /// Writes `part` to every `step`th element from `start` on.
    ///
    /// # Safety
    /// No other thread writes these elements at the same time.
    #[expect(unsafe_code, reason = "threads write different elements")]
    unsafe fn put(&self, start: usize, step: usize, part: &[f32]) {
        for (i, &x) in part.iter().enumerate() {
            // SAFETY: the caller has this element for itself.
            unsafe {
                match self {
                    Shared::F32(b) => b.slice(start + i * step, 1)[0] = x,
                    Shared::F16(b) => b.slice(start + i * step, 1)[0] = f16::from_f32(x),
                }
            }
        }
    }
}
