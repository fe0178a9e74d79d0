//! Byte products with AVX2 alone.
//!
//! `vpmaddubsw` adds two products of an unsigned and a signed byte in 16 bits and saturates. With weights of six bits
//! two such sums fit, `4 · 63 · 127 = 32004`, so that one widening `vpmaddwd` serves eight inputs.
#![expect(unsafe_code, reason = "loads and stores through pointers whose bounds the caller has checked")]

use std::arch::x86_64::*;

use super::{Chunk, Input, Quads, chunks};
use crate::matrix::{BLOCK, TILE};
use crate::tile::Strided;

/// Rows whose sums fit into registers beside two quads of weights.
const ROWS: usize = 4;

/// See [`super::product`].
///
/// # Safety
/// The operands are as [`super::product`] has checked them.
#[target_feature(enable = "avx2,fma,f16c")]
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
            _ => rows_of::<4>(chunk),
        });
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn rows_of<const R: usize>(chunk: Chunk) {
    let ones = _mm256_set1_epi16(1);
    let mut sums = [[_mm256_setzero_ps(); 2]; R];
    // SAFETY: `R` rows and `blocks` blocks are inside.
    unsafe {
        for block in 0..chunk.blocks {
            let mut dots = [[_mm256_setzero_si256(); 2]; R];
            for pair in 0..BLOCK / 8 {
                let from = chunk.weights.add((block * 4 + pair) * 128);
                let weight = |i: usize| _mm256_loadu_si256(from.add(32 * i).cast());
                let (low0, high0, low1, high1) = (weight(0), weight(1), weight(2), weight(3));
                for r in 0..R {
                    let quants = chunk.quants.add(r * chunk.width + block * BLOCK + pair * 8).cast::<i32>();
                    let a0 = _mm256_set1_epi32(quants.read_unaligned());
                    let a1 = _mm256_set1_epi32(quants.add(1).read_unaligned());
                    let low =
                        _mm256_add_epi16(_mm256_maddubs_epi16(low0, a0), _mm256_maddubs_epi16(low1, a1));
                    let high =
                        _mm256_add_epi16(_mm256_maddubs_epi16(high0, a0), _mm256_maddubs_epi16(high1, a1));
                    dots[r][0] = _mm256_add_epi32(dots[r][0], _mm256_madd_epi16(low, ones));
                    dots[r][1] = _mm256_add_epi32(dots[r][1], _mm256_madd_epi16(high, ones));
                }
            }
            let scales = chunk.weight_scales.add(block * TILE).cast::<__m128i>();
            let scales = [0, 1].map(|half| _mm256_cvtph_ps(_mm_loadu_si128(scales.add(half))));
            for r in 0..R {
                let at = r * (chunk.width / BLOCK) + block;
                let offset = _mm256_set1_epi32(*chunk.offsets.add(at));
                let scale = _mm256_broadcast_ss(&*chunk.scales.add(at));
                for half in 0..2 {
                    let dot = _mm256_cvtepi32_ps(_mm256_add_epi32(dots[r][half], offset));
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
