//! Rows between two matrix products, in the form that the next product takes.

use crate::disjoint::Disjoint;
use crate::level::Level;
use crate::matrix::BLOCK;

/// How a product reads its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activations {
    /// As they are: exact up to the order of additions.
    F32,
}

/// Up to a capacity of rows of one width, written in blocks of 32.
pub struct Rows {
    width: usize,
    values: Vec<f32>,
}

impl Rows {
    /// Room for `capacity` rows of `width` values. Panics when the width is not a multiple of 32.
    pub fn new(activations: Activations, capacity: usize, width: usize) -> Rows {
        assert!(width.is_multiple_of(BLOCK), "{width} is no whole number of blocks");
        match activations {
            Activations::F32 => Rows { width, values: vec![0.0; capacity * width] },
        }
    }

    /// Values in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows that there is room for.
    pub fn capacity(&self) -> usize {
        self.values.len() / self.width
    }

    pub(crate) fn values(&self) -> &[f32] {
        &self.values
    }

    pub(crate) fn writer(&mut self) -> Writer<'_> {
        Writer { width: self.width, values: Disjoint::new(&mut self.values) }
    }
}

/// Writes blocks of rows from several threads.
pub(crate) struct Writer<'a> {
    width: usize,
    values: Disjoint<'a, f32>,
}

impl Writer<'_> {
    /// Writes block `block` of row `row`.
    ///
    /// # Safety
    /// No other thread writes this block at the same time.
    #[expect(unsafe_code, reason = "threads write different blocks")]
    pub(crate) unsafe fn put(&self, _level: Level, row: usize, block: usize, values: &[f32]) {
        // SAFETY: the caller has the block for itself.
        let to = unsafe { self.values.slice(row * self.width + block * BLOCK, BLOCK) };
        to.copy_from_slice(values);
    }
}
