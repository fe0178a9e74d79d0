//! Inner products with AVX-512: up to twelve rows times one vector of all 16 columns stay in registers.
#![expect(unsafe_code, reason = "loads and stores through pointers whose bounds the caller has checked")]

use std::arch::x86_64::*;

use super::Strided;

/// Rows whose sums hide the latency of an addition and fit into registers.
const ROWS: usize = 12;

/// See [`super::product`].
///
/// # Safety
/// `a` has `rows` rows of `depth`, `b` has `depth` rows of 16 and `out` has `rows` rows of 16.
#[target_feature(enable = "avx512f,avx512vl")]
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
                6 => rows_of::<6>(depth, a, b, out, add),
                7 => rows_of::<7>(depth, a, b, out, add),
                8 => rows_of::<8>(depth, a, b, out, add),
                9 => rows_of::<9>(depth, a, b, out, add),
                10 => rows_of::<10>(depth, a, b, out, add),
                11 => rows_of::<11>(depth, a, b, out, add),
                _ => rows_of::<12>(depth, a, b, out, add),
            }
        }
        row += count;
    }
}

#[target_feature(enable = "avx512f,avx512vl")]
unsafe fn rows_of<const R: usize>(
    depth: usize,
    a: (*const f32, usize),
    b: (*const f32, usize),
    out: (*mut f32, usize),
    add: bool,
) {
    // SAFETY: `R` rows of `a` and `out` and `depth` rows of `b` are inside.
    unsafe {
        let mut sums = [_mm512_setzero_ps(); R];
        for k in 0..depth {
            let panel = _mm512_loadu_ps(b.0.add(k * b.1));
            for r in 0..R {
                let x = _mm512_set1_ps(*a.0.add(r * a.1 + k));
                sums[r] = _mm512_fmadd_ps(x, panel, sums[r]);
            }
        }
        for r in 0..R {
            let to = out.0.add(r * out.1);
            let sum = match add {
                true => _mm512_add_ps(_mm512_loadu_ps(to), sums[r]),
                false => sums[r],
            };
            _mm512_storeu_ps(to, sum);
        }
    }
}
