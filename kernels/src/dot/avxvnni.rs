//! Byte products with AVX-VNNI: `vpdpbusd` on vectors of eight outputs.
#![expect(unsafe_code, reason = "loads and stores through pointers whose bounds the caller has checked")]

use std::arch::x86_64::*;

use super::{Chunk, Input, Quads, chunks};
use crate::matrix::{BLOCK, TILE};
use crate::tile::Strided;

/// Rows whose sums hide the latency of a product and fit into registers.
const ROWS: usize = 6;

/// See [`super::product`].
///
/// # Safety
/// The operands are as [`super::product`] has checked them.
#[target_feature(enable = "avx2,fma,f16c,avxvnni")]
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
            3 => rows_of::<3>(chunk),
            4 => rows_of::<4>(chunk),
            5 => rows_of::<5>(chunk),
            _ => rows_of::<6>(chunk),
        });
    }
}

#[target_feature(enable = "avx2,fma,f16c,avxvnni")]
unsafe fn rows_of<const R: usize>(chunk: Chunk) {
    let mut sums = [[_mm256_setzero_ps(); 2]; R];
    // SAFETY: `R` rows and `blocks` blocks are inside.
    unsafe {
        for block in 0..chunk.blocks {
            chunk.ahead.fetch(block);
            let at = |r: usize| r * (chunk.width / BLOCK) + block;
            let mut dots = [[_mm256_setzero_si256(); 2]; R];
            for r in 0..R {
                dots[r] = [_mm256_set1_epi32(*chunk.offsets.add(at(r))); 2];
            }
            for quad in 0..BLOCK / 4 {
                let from = chunk.weights.add((block * 8 + quad) * 64);
                let (low, high) = (_mm256_loadu_si256(from.cast()), _mm256_loadu_si256(from.add(32).cast()));
                for r in 0..R {
                    let quants = chunk.quants.add(r * chunk.width + block * BLOCK + quad * 4).cast::<i32>();
                    let a = _mm256_set1_epi32(quants.read_unaligned());
                    dots[r][0] = _mm256_dpbusd_avx_epi32(dots[r][0], low, a);
                    dots[r][1] = _mm256_dpbusd_avx_epi32(dots[r][1], high, a);
                }
            }
            let scales = chunk.weight_scales.add(block * TILE).cast::<__m128i>();
            let scales = [0, 1].map(|half| _mm256_cvtph_ps(_mm_loadu_si128(scales.add(half))));
            for r in 0..R {
                let scale = _mm256_broadcast_ss(&*chunk.scales.add(at(r)));
                for half in 0..2 {
                    let dot = _mm256_cvtepi32_ps(dots[r][half]);
                    sums[r][half] = _mm256_fmadd_ps(dot, _mm256_mul_ps(scales[half], scale), sums[r][half]);
                }
            }
        }
        for r in 0..R {
            for half in 0..2 {
                let to = chunk.out.add(r * chunk.stride + 8 * half);
                let sum = match chunk.add {
                    true => _mm256_add_ps(_mm256_loadu_ps(to), sums[r][half]),
                    false => sums[r][half],
                };
                _mm256_storeu_ps(to, sum);
            }
        }
    }
}
