//! Inner products with NEON: up to four rows times four vectors of four columns stay in registers.
#![expect(unsafe_code, reason = "loads and stores through pointers whose bounds the caller has checked")]

use std::arch::aarch64::*;

use super::Strided;

/// Rows whose sums fit into registers beside a row of the panel.
const ROWS: usize = 4;

/// See [`super::product`].
///
/// # Safety
/// `a` has `rows` rows of `depth`, `b` has `depth` rows of 16 and `out` has `rows` rows of 16.
#[target_feature(enable = "neon")]
pub(super) unsafe fn product(
    rows: usize,
    depth: usize,
    a: Strided<&[f32]>,
    b: Strided<&[f32]>,
    out: Strided<&mut [f32]>,
    add: bool,
) {
    let mut row = 0;
    while row < rows {
        let count = (rows - row).min(ROWS);
        // SAFETY: rows `row..row + count` are inside by the contract.
        unsafe {
            let a = (a.data.as_ptr().add(row * a.stride), a.stride);
            let out = (out.data.as_mut_ptr().add(row * out.stride), out.stride);
            match count {
                1 => rows_of::<1>(depth, a, b, out, add),
                2 => rows_of::<2>(depth, a, b, out, add),
                3 => rows_of::<3>(depth, a, b, out, add),
                _ => rows_of::<4>(depth, a, b, out, add),
            }
        }
        row += count;
    }
}

#[target_feature(enable = "neon")]
unsafe fn rows_of<const R: usize>(
    depth: usize,
    a: (*const f32, usize),
    b: Strided<&[f32]>,
    out: (*mut f32, usize),
    add: bool,
) {
    let mut sums = [[vdupq_n_f32(0.0); 4]; R];
    // SAFETY: `R` rows of `a` and `out` and `depth` rows of `b` are inside.
    unsafe {
        for k in 0..depth {
            let panel = load(b.data.as_ptr().add(k * b.stride));
            for r in 0..R {
                let x = *a.0.add(r * a.1 + k);
                for part in 0..4 {
                    sums[r][part] = vfmaq_n_f32(sums[r][part], panel[part], x);
                }
            }
        }
        for r in 0..R {
            for part in 0..4 {
                let to = out.0.add(r * out.1 + 4 * part);
                let sum = match add {
                    true => vaddq_f32(vld1q_f32(to), sums[r][part]),
                    false => sums[r][part],
                };
                vst1q_f32(to, sum);
            }
        }
    }
}

#[inline]
#[target_feature(enable = "neon")]
unsafe fn load(from: *const f32) -> [float32x4_t; 4] {
    // SAFETY: 16 values are inside.
    unsafe { [0, 4, 8, 12].map(|i| vld1q_f32(from.add(i))) }
}
