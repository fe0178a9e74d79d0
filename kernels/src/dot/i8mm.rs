//! Byte products with the matrix instructions of Armv8.6: `smmla` multiplies eight bytes of two rows with those of two outputs,
//! twice the products of an `sdot`.
#![expect(unsafe_code, reason = "loads and stores through pointers whose bounds the caller has checked")]

use std::arch::aarch64::*;
use std::arch::asm;

use super::{Chunk, Input, Quads, chunks, neon};
use crate::matrix::{BLOCK, TILE};
use crate::tile::Strided;

/// Rows whose sums of half a tile fit into registers: whole and rounded ones, four vectors of each a pair of rows.
const ROWS: usize = 4;

/// See [`super::product`].
///
/// # Safety
/// The operands are as [`super::product`] has checked them.
#[target_feature(enable = "neon,dotprod,i8mm")]
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
            1 => neon::rows_of::<1>(chunk),
            2 => pairs_of::<1>(rows, chunk),
            _ => pairs_of::<2>(rows, chunk),
        });
    }
}

/// Pairs of rows, the last of which is one row twice where `rows` is odd.
#[target_feature(enable = "neon,dotprod,i8mm")]
unsafe fn pairs_of<const P: usize>(rows: usize, chunk: Chunk) {
    // SAFETY: `rows` rows and `blocks` blocks are inside.
    unsafe {
        for half in 0..2 {
            // Of a pair of rows and one of outputs: [row][output].
            let mut sums = [[vdupq_n_f32(0.0); 4]; P];
            for block in 0..chunk.blocks {
                if half == 0 {
                    chunk.ahead.fetch(block);
                }
                let row = |r: usize| r.min(rows - 1);
                let at = |r: usize| row(r) * (chunk.width / BLOCK) + block;
                let mut dots = [[vdupq_n_s32(0); 4]; P];
                for (p, dots) in dots.iter_mut().enumerate() {
                    let (even, odd) = (*chunk.offsets.add(at(2 * p)), *chunk.offsets.add(at(2 * p + 1)));
                    *dots = [vcombine_s32(vdup_n_s32(even), vdup_n_s32(odd)); 4];
                }
                for quads in 0..BLOCK / 8 {
                    let from = chunk.weights.add((block * 8 + quads * 2) * 64 + half * 32).cast::<i32>();
                    let (near, far) = ([vld1q_s32(from), vld1q_s32(from.add(4))], from.add(16));
                    let far = [vld1q_s32(far), vld1q_s32(far.add(4))];
                    let outputs = [
                        vzip1q_s32(near[0], far[0]),
                        vzip2q_s32(near[0], far[0]),
                        vzip1q_s32(near[1], far[1]),
                        vzip2q_s32(near[1], far[1]),
                    ];
                    let quants = chunk.quants.add(block * BLOCK + quads * 8);
                    for (p, dots) in dots.iter_mut().enumerate() {
                        let eight = |r: usize| vld1_s8(quants.add(row(r) * chunk.width));
                        let a = vcombine_s8(eight(2 * p), eight(2 * p + 1));
                        for (dots, outputs) in dots.iter_mut().zip(outputs) {
                            *dots = smmla(*dots, a, vreinterpretq_s8_s32(outputs));
                        }
                    }
                }
                let from = chunk.weight_scales.add(block * TILE + 8 * half);
                let scales: [f32; 8] = std::array::from_fn(|i| (*from.add(i)).to_f32());
                for p in 0..P {
                    let scale = |r: usize| vdup_n_f32(*chunk.scales.add(at(r)));
                    let of_rows = vcombine_f32(scale(2 * p), scale(2 * p + 1));
                    for pair in 0..4 {
                        let of_outputs = vld1_f32(scales.as_ptr().add(2 * pair));
                        let scale = vmulq_f32(vcombine_f32(of_outputs, of_outputs), of_rows);
                        sums[p][pair] = vfmaq_f32(sums[p][pair], vcvtq_f32_s32(dots[p][pair]), scale);
                    }
                }
            }
            for r in 0..rows {
                for part in 0..2 {
                    let pairs = [sums[r / 2][2 * part], sums[r / 2][2 * part + 1]];
                    let sum = match r % 2 {
                        0 => vcombine_f32(vget_low_f32(pairs[0]), vget_low_f32(pairs[1])),
                        _ => vcombine_f32(vget_high_f32(pairs[0]), vget_high_f32(pairs[1])),
                    };
                    let to = chunk.out.add(r * chunk.stride + 8 * half + 4 * part);
                    vst1q_f32(to, if chunk.add { vaddq_f32(vld1q_f32(to), sum) } else { sum });
                }
            }
        }
    }
}

/// Adds the products of two times eight bytes of `a` with two times eight of `b` to the four sums `[of a][of b]`. The intrinsic is
/// not stable yet.
#[inline]
#[target_feature(enable = "neon,i8mm")]
pub(crate) fn smmla(mut sums: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: reads and writes the named registers alone.
    unsafe {
        asm!("smmla {0:v}.4s, {1:v}.16b, {2:v}.16b", inout(vreg) sums, in(vreg) a, in(vreg) b,
             options(pure, nomem, nostack, preserves_flags));
    }
    sums
}
