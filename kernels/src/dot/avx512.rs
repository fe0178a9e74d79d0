//! Byte products with AVX-512 VNNI: `vpdpbusd` on vectors of all 16 outputs.
#![expect(unsafe_code, reason = "loads and stores through pointers whose bounds the caller has checked")]

use std::arch::x86_64::*;

use super::{Chunk, Input, Quads, chunks};
use crate::matrix::{BLOCK, TILE};
use crate::tile::Strided;

/// Rows whose sums hide the latency of a product and fit into registers.
const ROWS: usize = 12;

/// See [`super::product`].
///
/// # Safety
/// The operands are as [`super::product`] has checked them.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
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
            6 => rows_of::<6>(chunk),
            7 => rows_of::<7>(chunk),
            8 => rows_of::<8>(chunk),
            9 => rows_of::<9>(chunk),
            10 => rows_of::<10>(chunk),
            11 => rows_of::<11>(chunk),
            _ => rows_of::<12>(chunk),
        });
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn rows_of<const R: usize>(chunk: Chunk) {
    let mut sums = [_mm512_setzero_ps(); R];
    // SAFETY: `R` rows and `blocks` blocks are inside.
    unsafe {
        for block in 0..chunk.blocks {
            chunk.ahead.fetch(block);
            let at = |r: usize| r * (chunk.width / BLOCK) + block;
            let mut dots = [_mm512_setzero_si512(); R];
            for r in 0..R {
                dots[r] = _mm512_set1_epi32(*chunk.offsets.add(at(r)));
            }
            for quad in 0..BLOCK / 4 {
                let weights = _mm512_loadu_si512(chunk.weights.add((block * 8 + quad) * 64).cast());
                for r in 0..R {
                    let quants = chunk.quants.add(r * chunk.width + block * BLOCK + quad * 4).cast::<i32>();
                    dots[r] =
                        _mm512_dpbusd_epi32(dots[r], weights, _mm512_set1_epi32(quants.read_unaligned()));
                }
            }
            let scales = _mm256_loadu_si256(chunk.weight_scales.add(block * TILE).cast());
            let scales = _mm512_cvtph_ps(scales);
            for r in 0..R {
                let scale = _mm512_mul_ps(scales, _mm512_set1_ps(*chunk.scales.add(at(r))));
                sums[r] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(dots[r]), scale, sums[r]);
            }
        }
        for r in 0..R {
            let to = chunk.out.add(r * chunk.stride);
            let sum = match chunk.add {
                true => _mm512_add_ps(_mm512_loadu_ps(to), sums[r]),
                false => sums[r],
            };
            _mm512_storeu_ps(to, sum);
        }
    }
}
