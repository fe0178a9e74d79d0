//! Products of pairs of 16 bits with AVX-512 VNNI: up to twelve rows times one or two vectors of 16 columns stay in registers.
#![expect(unsafe_code, reason = "loads and stores through pointers whose bounds the caller has checked")]

use std::arch::x86_64::*;

use super::{Panels, STRIDE, Scales, Strided};
use crate::ahead::Ahead;
use crate::matrix::TILE;

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
    a: &[i16],
    b: Panels<'_>,
    scales: Scales<'_>,
    out: Strided<&mut [f32]>,
    add: bool,
) {
    let chunks = rows.div_ceil(ROWS);
    let ahead = Ahead::new(b.ahead, b.count.div_ceil(2) * chunks);
    // Two panels at once: a value of `a` is loaded once for both.
    for panel in (0..b.count).step_by(2) {
        let mut row = 0;
        for chunk in 0..chunks {
            let count = (rows - row).div_ceil(chunks - chunk);
            ahead.fetch(panel / 2 * chunks + chunk);
            // SAFETY: rows `row..row + count` and the panels are inside by the contract.
            unsafe {
                let a = a.as_ptr().add(row * STRIDE);
                let columns = scales.columns;
                let from = (b.data.as_ptr().add(panel * b.apart), b.stride, b.apart);
                let x = (scales.rows.data.as_ptr().add(row * scales.rows.stride), scales.rows.stride);
                let y = (columns.data.as_ptr().add(panel * columns.stride), columns.stride);
                let out = (out.data.as_mut_ptr().add(row * out.stride + panel * TILE), out.stride);
                match panel + 1 < b.count {
                    true => panels_of::<2>(count, depth, a, from, x, y, out, add),
                    false => panels_of::<1>(count, depth, a, from, x, y, out, add),
                }
            }
            row += count;
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn panels_of<const P: usize>(
    rows: usize,
    depth: usize,
    a: *const i16,
    b: (*const i16, usize, usize),
    x: (*const f32, usize),
    y: (*const f32, usize),
    out: (*mut f32, usize),
    add: bool,
) {
    // SAFETY: the contract, passed on.
    unsafe {
        match rows {
            1 => rows_of::<1, P>(depth, a, b, x, y, out, add),
            2 => rows_of::<2, P>(depth, a, b, x, y, out, add),
            3 => rows_of::<3, P>(depth, a, b, x, y, out, add),
            4 => rows_of::<4, P>(depth, a, b, x, y, out, add),
            5 => rows_of::<5, P>(depth, a, b, x, y, out, add),
            6 => rows_of::<6, P>(depth, a, b, x, y, out, add),
            7 => rows_of::<7, P>(depth, a, b, x, y, out, add),
            8 => rows_of::<8, P>(depth, a, b, x, y, out, add),
            9 => rows_of::<9, P>(depth, a, b, x, y, out, add),
            10 => rows_of::<10, P>(depth, a, b, x, y, out, add),
            11 => rows_of::<11, P>(depth, a, b, x, y, out, add),
            _ => rows_of::<12, P>(depth, a, b, x, y, out, add),
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vnni")]
unsafe fn rows_of<const R: usize, const P: usize>(
    depth: usize,
    a: *const i16,
    b: (*const i16, usize, usize),
    x: (*const f32, usize),
    y: (*const f32, usize),
    out: (*mut f32, usize),
    add: bool,
) {
    // SAFETY: `R` rows of `a`, `x` and `out`, `depth / 2` rows of `P` panels of `b` and 16 of `y` for each are inside.
    unsafe {
        let mut sums = [[_mm512_setzero_si512(); P]; R];
        for k in 0..depth / 2 {
            let panels: [__m512i; P] =
                std::array::from_fn(|p| _mm512_loadu_si512(b.0.add(k * b.1 + p * b.2).cast()));
            for r in 0..R {
                let pair = _mm512_set1_epi32(a.add(r * STRIDE + 2 * k).cast::<i32>().read_unaligned());
                for p in 0..P {
                    sums[r][p] = _mm512_dpwssd_epi32(sums[r][p], panels[p], pair);
                }
            }
        }
        let columns: [__m512; P] = std::array::from_fn(|p| _mm512_loadu_ps(y.0.add(p * y.1)));
        for r in 0..R {
            let row = _mm512_set1_ps(*x.0.add(r * x.1));
            for p in 0..P {
                let to = out.0.add(r * out.1 + p * TILE);
                let scale = _mm512_mul_ps(row, columns[p]);
                let before = if add { _mm512_loadu_ps(to) } else { _mm512_setzero_ps() };
                _mm512_storeu_ps(to, _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[r][p]), scale, before));
            }
        }
    }
}
