//! Products of pairs of 16 bits with AVX2, and with AVX-VNNI, which multiplies and adds at once: up to six rows times two vectors of
//! eight columns stay in registers.
#![expect(unsafe_code, reason = "loads and stores through pointers whose bounds the caller has checked")]

use std::arch::x86_64::*;

use super::{Panels, STRIDE, Scales, Strided};
use crate::ahead::Ahead;
use crate::matrix::TILE;

/// Rows whose sums fit into registers beside two vectors of the panel.
const ROWS: usize = 6;

/// See [`super::product`].
///
/// # Safety
/// The operands are as [`super::product`] has checked them.
#[target_feature(enable = "avx2,fma,f16c")]
pub(super) unsafe fn product(
    rows: usize,
    depth: usize,
    a: &[i16],
    b: Panels<'_>,
    scales: Scales<'_>,
    out: Strided<&mut [f32]>,
    add: bool,
) {
    // SAFETY: the contract, passed on.
    unsafe { panels::<false>(rows, depth, a, b, scales, out, add) }
}

/// See [`super::product`].
///
/// # Safety
/// The operands are as [`super::product`] has checked them.
#[target_feature(enable = "avx2,fma,f16c,avxvnni")]
pub(super) unsafe fn product_vnni(
    rows: usize,
    depth: usize,
    a: &[i16],
    b: Panels<'_>,
    scales: Scales<'_>,
    out: Strided<&mut [f32]>,
    add: bool,
) {
    // SAFETY: the contract, passed on.
    unsafe { panels::<true>(rows, depth, a, b, scales, out, add) }
}

/// Inlined into the functions above, whose instructions it may then use.
#[inline(always)]
unsafe fn panels<const VNNI: bool>(
    rows: usize,
    depth: usize,
    a: &[i16],
    b: Panels<'_>,
    scales: Scales<'_>,
    out: Strided<&mut [f32]>,
    add: bool,
) {
    let chunks = rows.div_ceil(ROWS);
    let ahead = Ahead::new(b.ahead, b.count * chunks);
    for panel in 0..b.count {
        let mut row = 0;
        for chunk in 0..chunks {
            let count = (rows - row).div_ceil(chunks - chunk);
            ahead.fetch(panel * chunks + chunk);
            // SAFETY: rows `row..row + count` and panel `panel` are inside by the contract.
            unsafe {
                let a = a.as_ptr().add(row * STRIDE);
                let b = (b.data.as_ptr().add(panel * b.apart), b.stride);
                let x = (scales.rows.data.as_ptr().add(row * scales.rows.stride), scales.rows.stride);
                let y = scales.columns.data.as_ptr().add(panel * scales.columns.stride);
                let out = (out.data.as_mut_ptr().add(row * out.stride + panel * TILE), out.stride);
                match count {
                    1 => rows_of::<1, VNNI>(depth, a, b, x, y, out, add),
                    2 => rows_of::<2, VNNI>(depth, a, b, x, y, out, add),
                    3 => rows_of::<3, VNNI>(depth, a, b, x, y, out, add),
                    4 => rows_of::<4, VNNI>(depth, a, b, x, y, out, add),
                    5 => rows_of::<5, VNNI>(depth, a, b, x, y, out, add),
                    _ => rows_of::<6, VNNI>(depth, a, b, x, y, out, add),
                }
            }
            row += count;
        }
    }
}

#[inline(always)]
unsafe fn rows_of<const R: usize, const VNNI: bool>(
    depth: usize,
    a: *const i16,
    b: (*const i16, usize),
    x: (*const f32, usize),
    y: *const f32,
    out: (*mut f32, usize),
    add: bool,
) {
    // SAFETY: `R` rows of `a`, `x` and `out`, `depth / 2` rows of `b` and 16 of `y` are inside.
    unsafe {
        let mut sums = [[_mm256_setzero_si256(); 2]; R];
        for k in 0..depth / 2 {
            let panel = b.0.add(k * b.1).cast::<__m256i>();
            let (low, high) = (_mm256_loadu_si256(panel), _mm256_loadu_si256(panel.add(1)));
            for r in 0..R {
                let pair = _mm256_set1_epi32(a.add(r * STRIDE + 2 * k).cast::<i32>().read_unaligned());
                for (sum, panel) in sums[r].iter_mut().zip([low, high]) {
                    *sum = match VNNI {
                        true => _mm256_dpwssd_avx_epi32(*sum, panel, pair),
                        false => _mm256_add_epi32(*sum, _mm256_madd_epi16(panel, pair)),
                    };
                }
            }
        }
        for r in 0..R {
            let scale = _mm256_broadcast_ss(&*x.0.add(r * x.1));
            for half in 0..2 {
                let to = out.0.add(r * out.1 + 8 * half);
                let scale = _mm256_mul_ps(scale, _mm256_loadu_ps(y.add(8 * half)));
                let before = if add { _mm256_loadu_ps(to) } else { _mm256_setzero_ps() };
                _mm256_storeu_ps(to, _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums[r][half]), scale, before));
            }
        }
    }
}
