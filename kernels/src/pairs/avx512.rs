//! Products of pairs of 16 bits with AVX-512 VNNI: up to twelve rows times one vector of all 16 columns stay in registers.
#![expect(unsafe_code, reason = "loads and stores through pointers whose bounds the caller has checked")]

use std::arch::x86_64::*;

use super::{Scales, Strided};

/// Rows whose sums hide the latency of a product and fit into registers.
const ROWS: usize = 12;

/// See [`super::product`].
///
/// # Safety
/// The operands are as [`super::product`] has checked them.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
pub(super) unsafe fn product(
    rows: usize,
    depth: usize,
    a: Strided<&[i16]>,
    b: Strided<&[i16]>,
    scales: Scales<'_>,
    out: Strided<&mut [f32]>,
    add: bool,
) {
    let chunks = rows.div_ceil(ROWS);
    let mut row = 0;
    for chunk in 0..chunks {
        let count = (rows - row).div_ceil(chunks - chunk);
        // SAFETY: rows `row..row + count` are inside by the contract.
        unsafe {
            let a = (a.data.as_ptr().add(row * a.stride), a.stride);
            let b = (b.data.as_ptr(), b.stride);
            let x = (scales.rows.data.as_ptr().add(row * scales.rows.stride), scales.rows.stride);
            let y = scales.columns.as_ptr();
            let out = (out.data.as_mut_ptr().add(row * out.stride), out.stride);
            match count {
                1 => rows_of::<1>(depth, a, b, x, y, out, add),
                2 => rows_of::<2>(depth, a, b, x, y, out, add),
                3 => rows_of::<3>(depth, a, b, x, y, out, add),
                4 => rows_of::<4>(depth, a, b, x, y, out, add),
                5 => rows_of::<5>(depth, a, b, x, y, out, add),
                6 => rows_of::<6>(depth, a, b, x, y, out, add),
                7 => rows_of::<7>(depth, a, b, x, y, out, add),
                8 => rows_of::<8>(depth, a, b, x, y, out, add),
                9 => rows_of::<9>(depth, a, b, x, y, out, add),
                10 => rows_of::<10>(depth, a, b, x, y, out, add),
                11 => rows_of::<11>(depth, a, b, x, y, out, add),
                _ => rows_of::<12>(depth, a, b, x, y, out, add),
            }
        }
        row += count;
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn rows_of<const R: usize>(
    depth: usize,
    a: (*const i16, usize),
    b: (*const i16, usize),
    x: (*const f32, usize),
    y: *const f32,
    out: (*mut f32, usize),
    add: bool,
) {
    // SAFETY: `R` rows of `a`, `x` and `out`, `depth / 2` rows of `b` and 16 of `y` are inside.
    unsafe {
        let mut sums = [_mm512_setzero_si512(); R];
        for k in 0..depth / 2 {
            let panel = _mm512_loadu_si512(b.0.add(k * b.1).cast());
            for r in 0..R {
                let pair = a.0.add(r * a.1 + 2 * k).cast::<i32>().read_unaligned();
                sums[r] = _mm512_dpwssd_epi32(sums[r], panel, _mm512_set1_epi32(pair));
            }
        }
        let columns = _mm512_loadu_ps(y);
        for r in 0..R {
            let to = out.0.add(r * out.1);
            let scale = _mm512_mul_ps(_mm512_set1_ps(*x.0.add(r * x.1)), columns);
            let before = if add { _mm512_loadu_ps(to) } else { _mm512_setzero_ps() };
            _mm512_storeu_ps(to, _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[r]), scale, before));
        }
    }
}
