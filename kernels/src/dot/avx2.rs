//! Byte products with AVX2 alone.
//!
//! `vpmaddubsw` adds two products of an unsigned and a signed byte in 16 bits and saturates. With weights of seven bits
//! such a sum fits, `2 · 127 · 127 = 32258`.
//!
//! Sixteen registers hold the weights of one block and eight outputs, and all rows pass by them: a row's sum waits in the output,
//! which is in the first cache, while the weights would be loaded again for every row the other way round.
#![expect(unsafe_code, reason = "loads and stores through pointers whose bounds the caller has checked")]

use std::arch::x86_64::*;

use super::{Chunk, Input, Quads, chunks};
use crate::matrix::{BLOCK, TILE};
use crate::tile::Strided;

/// Rows between two requests for the weights that are read next.
const ROWS: usize = 16;

/// Rows whose products take turns: one alone would wait for each of its sums.
const TOGETHER: usize = 2;

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
        chunks(ROWS, rows, width, input, weights, out, add, |rows, chunk| {
            for block in 0..chunk.blocks {
                chunk.ahead.fetch(block);
                for half in 0..2 {
                    eight_outputs(rows, chunk, block, half);
                }
            }
        });
    }
}

/// Adds the products of one block with half of the outputs.
#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn eight_outputs(rows: usize, chunk: Chunk, block: usize, half: usize) {
    let first = block == 0 && !chunk.add;
    // SAFETY: `rows` rows and block `block` are inside.
    unsafe {
        let from = chunk.weights.add(block * BLOCK * TILE + 32 * half);
        let weights: [__m256i; BLOCK / 4] =
            std::array::from_fn(|quad| _mm256_loadu_si256(from.add(quad * 64).cast()));
        let scales = chunk.weight_scales.add(block * TILE + 8 * half);
        let scales = _mm256_cvtph_ps(_mm_loadu_si128(scales.cast()));
        let mut row = 0;
        while row + TOGETHER <= rows {
            rows_of::<TOGETHER>(chunk, row, block, half, &weights, scales, first);
            row += TOGETHER;
        }
        while row < rows {
            rows_of::<1>(chunk, row, block, half, &weights, scales, first);
            row += 1;
        }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn rows_of<const R: usize>(
    chunk: Chunk,
    row: usize,
    block: usize,
    half: usize,
    weights: &[__m256i; BLOCK / 4],
    scales: __m256,
    first: bool,
) {
    let ones = _mm256_set1_epi16(1);
    // SAFETY: rows `row..row + R` and block `block` are inside.
    unsafe {
        let at = |r: usize| (row + r) * (chunk.width / BLOCK) + block;
        let mut dots: [__m256i; R] = std::array::from_fn(|r| _mm256_set1_epi32(*chunk.offsets.add(at(r))));
        for quad in (0..BLOCK / 4).step_by(2) {
            for r in 0..R {
                let quants = chunk.quants.add((row + r) * chunk.width + block * BLOCK).cast::<i32>();
                let product = |quad: usize| {
                    let a = _mm256_set1_epi32(quants.add(quad).read_unaligned());
                    _mm256_maddubs_epi16(weights[quad], a)
                };
                let (first, second) = (product(quad), product(quad + 1));
                dots[r] = _mm256_add_epi32(dots[r], _mm256_madd_epi16(first, ones));
                dots[r] = _mm256_add_epi32(dots[r], _mm256_madd_epi16(second, ones));
            }
        }
        for r in 0..R {
            let scale = _mm256_mul_ps(scales, _mm256_broadcast_ss(&*chunk.scales.add(at(r))));
            let to = chunk.out.add((row + r) * chunk.stride + 8 * half);
            let before = if first { _mm256_setzero_ps() } else { _mm256_loadu_ps(to) };
            _mm256_storeu_ps(to, _mm256_fmadd_ps(_mm256_cvtepi32_ps(dots[r]), scale, before));
        }
    }
}
