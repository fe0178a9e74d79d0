//! Rows between two matrix products, in the form that the next product takes.

use crate::disjoint::Disjoint;
use crate::level::Level;
use crate::matrix::{BLOCK, ZERO};

#[cfg(target_arch = "x86_64")]
mod avx2;

/// How a product reads its input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activations {
    /// As they are: exact up to the order of additions.
    F32,
    /// Rounded to bytes, each block of 32 with its own scale; weights to seven bits.
    Int8,
}

/// Up to a capacity of rows of one width, written in blocks of 32.
pub struct Rows {
    width: usize,
    capacity: usize,
    kind: Kind,
}

enum Kind {
    F32(Vec<f32>),
    Int8(Bytes<Vec<i8>, Vec<f32>, Vec<i32>>),
}

/// Rows rounded to bytes.
#[derive(Clone, Copy)]
pub(crate) struct Bytes<Q, S, O> {
    /// (rows, width): -127 to 127.
    pub(crate) quants: Q,
    /// (rows, width/32)
    pub(crate) scales: S,
    /// (rows, width/32): what a sum over unsigned weights has too much, negated.
    pub(crate) offsets: O,
}

/// The rows as a product reads them.
#[derive(Clone, Copy)]
pub(crate) enum View<'a> {
    F32(&'a [f32]),
    Int8(Bytes<&'a [i8], &'a [f32], &'a [i32]>),
}

impl Rows {
    /// Room for `capacity` rows of `width` values. Panics when the width is not a multiple of 32.
    pub fn new(activations: Activations, capacity: usize, width: usize) -> Rows {
        assert!(width.is_multiple_of(BLOCK), "{width} is no whole number of blocks");
        let (values, blocks) = (capacity * width, capacity * width / BLOCK);
        let kind = match activations {
            Activations::F32 => Kind::F32(vec![0.0; values]),
            Activations::Int8 => Kind::Int8(Bytes {
                quants: vec![0; values],
                scales: vec![0.0; blocks],
                offsets: vec![0; blocks],
            }),
        };
        Rows { width, capacity, kind }
    }

    /// Values in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows that there is room for.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// How they are stored.
    pub fn activations(&self) -> Activations {
        match self.kind {
            Kind::F32(_) => Activations::F32,
            Kind::Int8(_) => Activations::Int8,
        }
    }

    /// Row `row` as floats.
    pub fn read(&self, row: usize, out: &mut [f32]) {
        assert_eq!(out.len(), self.width, "a row has another width");
        match &self.kind {
            Kind::F32(values) => out.copy_from_slice(&values[row * self.width..][..self.width]),
            Kind::Int8(bytes) => {
                for (i, out) in out.iter_mut().enumerate() {
                    let at = row * self.width + i;
                    *out = f32::from(bytes.quants[at]) * bytes.scales[at / BLOCK];
                }
            }
        }
    }

    pub(crate) fn view(&self) -> View<'_> {
        match &self.kind {
            Kind::F32(values) => View::F32(values),
            Kind::Int8(b) => View::Int8(Bytes { quants: &b.quants, scales: &b.scales, offsets: &b.offsets }),
        }
    }

    pub(crate) fn writer(&mut self) -> Writer<'_> {
        let kind = match &mut self.kind {
            Kind::F32(values) => Shared::F32(Disjoint::new(values)),
            Kind::Int8(b) => Shared::Int8(Bytes {
                quants: Disjoint::new(&mut b.quants),
                scales: Disjoint::new(&mut b.scales),
                offsets: Disjoint::new(&mut b.offsets),
            }),
        };
        Writer { width: self.width, kind }
    }
}

/// Writes blocks of rows from several threads.
pub(crate) struct Writer<'a> {
    width: usize,
    kind: Shared<'a>,
}

enum Shared<'a> {
    F32(Disjoint<'a, f32>),
    Int8(Bytes<Disjoint<'a, i8>, Disjoint<'a, f32>, Disjoint<'a, i32>>),
}

impl Writer<'_> {
    /// Writes block `block` of row `row`.
    ///
    /// # Safety
    /// No other thread writes this block at the same time.
    #[expect(unsafe_code, reason = "threads write different blocks")]
    pub(crate) unsafe fn put(&self, level: Level, row: usize, block: usize, values: &[f32; BLOCK]) {
        let at = row * self.width + block * BLOCK;
        match &self.kind {
            // SAFETY: the caller has the block for itself.
            Shared::F32(to) => unsafe { to.slice(at, BLOCK) }.copy_from_slice(values),
            Shared::Int8(to) => {
                // SAFETY: the caller has the block for itself.
                let (quants, scale, offset) = unsafe {
                    (
                        to.quants.slice(at, BLOCK),
                        to.scales.slice(at / BLOCK, 1),
                        to.offsets.slice(at / BLOCK, 1),
                    )
                };
                let quants = quants.try_into().expect("because it was taken with the length of a block");
                (scale[0], offset[0]) = quantise(level, values, quants);
            }
        }
    }
}

/// Rounds a block to bytes; its scale and the offset for unsigned weights.
fn quantise(level: Level, values: &[f32; BLOCK], quants: &mut [i8; BLOCK]) -> (f32, i32) {
    let (max, sum): (f32, i32) = match level.kind() {
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "instructions that not every processor has")]
        // SAFETY: the level proves the instructions.
        crate::level::Kind::Avx2 | crate::level::Kind::AvxVnni | crate::level::Kind::Avx512 => unsafe {
            avx2::quantise(values, quants)
        },
        _ => {
            let (max, steps) = steps(values.iter().fold(0.0f32, |m, x| m.max(x.abs())));
            for (to, x) in quants.iter_mut().zip(values) {
                *to = (x * steps).round_ties_even() as i8;
            }
            (max, quants.iter().map(|&q| i32::from(q)).sum())
        }
    };
    (max / 127.0, -ZERO * sum)
}

/// What a block of this largest magnitude is rounded as: the magnitude, and steps of a byte in one.
#[inline(always)]
fn steps(max: f32) -> (f32, f32) {
    // Smaller blocks are zero: their steps would overflow.
    if max > 1e-30 { (max, 127.0 / max) } else { (0.0, 0.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_rounded_alike_at_every_level() {
        let cases: [[f32; BLOCK]; 5] = [
            [0.0; BLOCK],
            std::array::from_fn(|i| (i as f32 * 0.37).sin()),
            std::array::from_fn(|i| if i == 5 { -1e4 } else { 1e-3 * i as f32 }),
            std::array::from_fn(|i| 1e-38 * i as f32),
            [3.0; BLOCK],
        ];
        for values in cases {
            let mut want = [0; BLOCK];
            let (scale, offset) = quantise(Level::REFERENCE, &values, &mut want);
            assert_eq!(offset, -ZERO * want.iter().map(|&q| i32::from(q)).sum::<i32>());
            assert!(want.iter().all(|&q| q != -128));
            for (x, q) in values.iter().zip(want) {
                assert!(
                    (x - f32::from(q) * scale).abs() <= 0.501 * scale + 1e-30,
                    "{x} became {q} of {scale}"
                );
            }
            for level in Level::available() {
                let mut rows = Rows::new(Activations::Int8, 3, 2 * BLOCK);
                #[expect(unsafe_code, reason = "the test has the rows for itself")]
                // SAFETY: no other thread has them.
                unsafe {
                    rows.writer().put(level, 1, 1, &values);
                }
                let View::Int8(bytes) = rows.view() else { panic!("rows changed their kind") };
                assert_eq!(bytes.quants[3 * BLOCK..4 * BLOCK], want, "{level}");
                assert_eq!((bytes.scales[3], bytes.offsets[3]), (scale, offset), "{level}");
                let around = [&bytes.quants[..3 * BLOCK], &bytes.quants[4 * BLOCK..]].concat();
                assert!(around.iter().all(|&q| q == 0), "{level} wrote beside the block");
            }
        }
    }
}
