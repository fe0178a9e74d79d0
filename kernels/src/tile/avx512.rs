//! Inner products with AVX-512: up to twelve rows times one vector of all 16 columns stay in registers.
#![expect(unsafe_code, reason = "loads and stores through pointers whose bounds the caller has checked")]

use std::arch::x86_64::*;

use half::f16;

use super::{Panel, Strided};

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
    b: Strided<Panel<'_>>,
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
            match b.data {
                Panel::F32(data) => chunk_f32(count, depth, a, (data.as_ptr(), b.stride), out, add),
                Panel::F16(data) => chunk_f16(count, depth, a, (data.as_ptr(), b.stride), out, add),
            }
        }
        row += count;
    }
}

macro_rules! chunk {
    ($chunk:ident, $rows:ident, $element:ty, $load:ident) => {
        #[target_feature(enable = "avx512f,avx512vl")]
        unsafe fn $chunk(
            count: usize,
            depth: usize,
            a: (*const f32, usize),
            b: (*const $element, usize),
            out: (*mut f32, usize),
            add: bool,
        ) {
            // SAFETY: `product` passes rows that are inside.
            unsafe {
                match count {
                    1 => $rows::<1>(depth, a, b, out, add),
                    2 => $rows::<2>(depth, a, b, out, add),
                    3 => $rows::<3>(depth, a, b, out, add),
                    4 => $rows::<4>(depth, a, b, out, add),
                    5 => $rows::<5>(depth, a, b, out, add),
                    6 => $rows::<6>(depth, a, b, out, add),
                    7 => $rows::<7>(depth, a, b, out, add),
                    8 => $rows::<8>(depth, a, b, out, add),
                    9 => $rows::<9>(depth, a, b, out, add),
                    10 => $rows::<10>(depth, a, b, out, add),
                    11 => $rows::<11>(depth, a, b, out, add),
                    _ => $rows::<12>(depth, a, b, out, add),
                }
            }
        }

        #[target_feature(enable = "avx512f,avx512vl")]
        unsafe fn $rows<const R: usize>(
            depth: usize,
            a: (*const f32, usize),
            b: (*const $element, usize),
            out: (*mut f32, usize),
            add: bool,
        ) {
            // SAFETY: `R` rows of `a` and `out` and `depth` rows of `b` are inside.
            unsafe {
                let mut sums = [_mm512_setzero_ps(); R];
                for k in 0..depth {
                    let panel = $load(b.0.add(k * b.1));
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
    };
}

chunk!(chunk_f32, rows_f32, f32, load_f32);
chunk!(chunk_f16, rows_f16, f16, load_f16);

#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load_f32(from: *const f32) -> __m512 {
    // SAFETY: 16 values are inside.
    unsafe { _mm512_loadu_ps(from) }
}

#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load_f16(from: *const f16) -> __m512 {
    // SAFETY: 16 values are inside.
    unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.cast())) }
}
