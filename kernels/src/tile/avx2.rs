//! Inner products with AVX2, FMA and F16C: up to six rows times two vectors of eight columns stay in registers.
#![expect(unsafe_code, reason = "loads and stores through pointers whose bounds the caller has checked")]

use std::arch::x86_64::*;

use half::f16;

use super::Strided;
use crate::matrix::TILE;

/// Rows whose sums fit into registers beside two vectors of the panel.
const ROWS: usize = 6;

/// See [`super::product`].
///
/// # Safety
/// `a` has `rows` rows of `depth`, `b` has `depth` rows of 16 and `out` has `rows` rows of 16.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn product(
    rows: usize,
    depth: usize,
    a: Strided<&[f32]>,
    b: Strided<&[f32]>,
    out: Strided<&mut [f32]>,
    add: bool,
) {
    let chunks = rows.div_ceil(ROWS);
    let mut row = 0;
    for chunk in 0..chunks {
        // Chunks differ by a row at most: the sums of a last chunk with one row would wait for each other.
        let count = (rows - row).div_ceil(chunks - chunk);
        // SAFETY: rows `row..row + count` are inside by the contract.
        unsafe {
            let a = (a.data.as_ptr().add(row * a.stride), a.stride);
            let out = (out.data.as_mut_ptr().add(row * out.stride), out.stride);
            let b = (b.data.as_ptr(), b.stride);
            match count {
                1 => rows_of::<1>(depth, a, b, out, add),
                2 => rows_of::<2>(depth, a, b, out, add),
                3 => rows_of::<3>(depth, a, b, out, add),
                4 => rows_of::<4>(depth, a, b, out, add),
                5 => rows_of::<5>(depth, a, b, out, add),
                _ => rows_of::<6>(depth, a, b, out, add),
            }
        }
        row += count;
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn rows_of<const R: usize>(
    depth: usize,
    a: (*const f32, usize),
    b: (*const f32, usize),
    out: (*mut f32, usize),
    add: bool,
) {
    // SAFETY: `R` rows of `a` and `out` and `depth` rows of `b` are inside.
    unsafe {
        let mut sums = [[_mm256_setzero_ps(); 2]; R];
        for k in 0..depth {
            let panel = b.0.add(k * b.1);
            let (low, high) = (_mm256_loadu_ps(panel), _mm256_loadu_ps(panel.add(8)));
            for r in 0..R {
                let x = _mm256_broadcast_ss(&*a.0.add(r * a.1 + k));
                sums[r][0] = _mm256_fmadd_ps(x, low, sums[r][0]);
                sums[r][1] = _mm256_fmadd_ps(x, high, sums[r][1]);
            }
        }
        for r in 0..R {
            for half in 0..2 {
                let to = out.0.add(r * out.1 + 8 * half);
                let sum = match add {
                    true => _mm256_add_ps(_mm256_loadu_ps(to), sums[r][half]),
                    false => sums[r][half],
                };
                _mm256_storeu_ps(to, sum);
            }
        }
    }
}

#[inline]
#[target_feature(enable = "avx2,fma,f16c")]
unsafe fn load_f16(from: *const f16) -> __m256 {
    // SAFETY: eight values are inside.
    unsafe { _mm256_cvtph_ps(_mm_loadu_si128(from.cast())) }
}

/// See [`super::dequantise`].
///
/// # Safety
/// `scales` has 16 values and `panel` 512 for every 512 of `quants`.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn dequantise(quants: &[u8], scales: &[f16], panel: &mut [f32]) {
    for block in 0..scales.len() / TILE {
        for half in 0..2 {
            // SAFETY: half a block of each is inside.
            unsafe {
                let scale = load_f16(scales.as_ptr().add(block * TILE + 8 * half));
                for quad in 8 * block..8 * (block + 1) {
                    let bytes = _mm256_loadu_si256(quants.as_ptr().add(quad * 64 + 32 * half).cast());
                    let to = panel.as_mut_ptr().add(quad * 64 + 8 * half);
                    // Each 32-bit lane holds four inputs of an output: bring each to the top, then down with its sign.
                    let inputs = [
                        _mm256_srai_epi32::<24>(_mm256_slli_epi32::<24>(bytes)),
                        _mm256_srai_epi32::<24>(_mm256_slli_epi32::<16>(bytes)),
                        _mm256_srai_epi32::<24>(_mm256_slli_epi32::<8>(bytes)),
                        _mm256_srai_epi32::<24>(bytes),
                    ];
                    for (j, input) in inputs.into_iter().enumerate() {
                        _mm256_storeu_ps(to.add(j * TILE), _mm256_mul_ps(_mm256_cvtepi32_ps(input), scale));
                    }
                }
            }
        }
    }
}
