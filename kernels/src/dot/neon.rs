//! Byte products with the dot product instructions of Armv8.2: `sdot` on vectors of four outputs.
//!
//! Weights of 0 to 127 are valid signed bytes, so the offsets of x86 serve here as well.
#![expect(unsafe_code, reason = "loads and stores through pointers whose bounds the caller has checked")]

use std::arch::aarch64::*;
use std::arch::asm;

use super::{Chunk, Input, Quads, chunks};
use crate::matrix::{BLOCK, TILE};
use crate::tile::Strided;

/// Rows whose sums fit into registers: whole and rounded ones, four vectors of each a row.
const ROWS: usize = 3;

/// See [`super::product`].
///
/// # Safety
/// The operands are as [`super::product`] has checked them.
#[target_feature(enable = "neon,dotprod")]
pub(super) unsafe fn product(
    rows: usize,
    width: usize,
    input: Input<'_>,
    weights: Quads<'_>,
    out: Strided<&mut [f32]>,
    add: bool,
) {
    // SAFETY: the contract, passed on.
    unsafe {
        chunks(ROWS, rows, width, input, weights, out, add, |rows, chunk| match rows {
            1 => rows_of::<1>(chunk),
            2 => rows_of::<2>(chunk),
            _ => rows_of::<3>(chunk),
        });
    }
}

#[target_feature(enable = "neon,dotprod")]
pub(super) unsafe fn rows_of<const R: usize>(chunk: Chunk) {
    let mut sums = [[vdupq_n_f32(0.0); 4]; R];
    // SAFETY: `R` rows and `blocks` blocks are inside.
    unsafe {
        for block in 0..chunk.blocks {
            chunk.ahead.fetch(block);
            let at = |r: usize| r * (chunk.width / BLOCK) + block;
            let mut dots = [[vdupq_n_s32(0); 4]; R];
            for r in 0..R {
                dots[r] = [vdupq_n_s32(*chunk.offsets.add(at(r))); 4];
            }
            for quad in 0..BLOCK / 4 {
                let from = chunk.weights.add((block * 8 + quad) * 64).cast::<i8>();
                for r in 0..R {
                    let quants = chunk.quants.add(r * chunk.width + block * BLOCK + quad * 4).cast::<i32>();
                    let a = vreinterpretq_s8_s32(vdupq_n_s32(quants.read_unaligned()));
                    for part in 0..4 {
                        dots[r][part] = sdot(dots[r][part], vld1q_s8(from.add(16 * part)), a);
                    }
                }
            }
            for part in 0..4 {
                let from = chunk.weight_scales.add(block * TILE + 4 * part);
                let scales: [f32; 4] = std::array::from_fn(|i| (*from.add(i)).to_f32());
                let scales = vld1q_f32(scales.as_ptr());
                for r in 0..R {
                    let scale = vmulq_n_f32(scales, *chunk.scales.add(at(r)));
                    sums[r][part] = vfmaq_f32(sums[r][part], vcvtq_f32_s32(dots[r][part]), scale);
                }
            }
        }
        for r in 0..R {
            for part in 0..4 {
                let to = chunk.out.add(r * chunk.stride + 4 * part);
                let sum = match chunk.add {
                    true => vaddq_f32(vld1q_f32(to), sums[r][part]),
                    false => sums[r][part],
                };
                vst1q_f32(to, sum);
            }
        }
    }
}

/// Adds the products of four bytes to each of four sums. The intrinsic is not stable yet.
#[inline]
#[target_feature(enable = "neon,dotprod")]
pub(crate) fn sdot(mut sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: reads and writes the named registers alone.
    unsafe {
        asm!("sdot {0:v}.4s, {1:v}.16b, {2:v}.16b", inout(vreg) sums, in(vreg) a, in(vreg) b,
             options(pure, nomem, nostack, preserves_flags));
    }
    sums
}
