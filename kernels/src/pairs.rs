//! The inner product of attention over whole numbers: a few rows of 16 bits times a panel of 16 columns.
//!
//! `out[r][c] = x[r] · y[c] · Σ_k a[r][k] · b[k/2][c][k%2]` for 16 columns, added to what `out` holds when `add` is set, with scales
//! `x` and `y`; several panels give neighbouring columns. Two inputs of a column stand beside each other, as instructions on pairs of 16
//! bits want them: twice the products of floats of the same register. The inner sums are whole numbers and equal at every level; the
//! caller keeps them below 2³¹.

#[cfg(target_arch = "x86_64")]
use crate::level::Kind;
use crate::level::Level;
use crate::matrix::TILE;
use crate::tile::Strided;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

/// Values from a row of `a` to the next, used or not: a constant, so that one register addresses all rows.
pub(crate) const STRIDE: usize = 128;

/// Panels of 16 columns.
#[derive(Clone, Copy)]
pub(crate) struct Panels<'a> {
    /// Pairs of the first panel's first row on.
    pub(crate) data: &'a [i16],
    pub(crate) count: usize,
    /// Values from a row of pairs to the next.
    pub(crate) stride: usize,
    /// Values from a panel to the next.
    pub(crate) apart: usize,
    /// What is read after this: asked for during the product.
    #[cfg_attr(
        not(target_arch = "x86_64"),
        expect(dead_code, reason = "other processors fetch ahead well enough")
    )]
    pub(crate) ahead: &'a [u8],
}

/// What sums are multiplied with.
#[derive(Clone, Copy)]
pub(crate) struct Scales<'a> {
    /// One a row, apart by a stride.
    pub(crate) rows: Strided<&'a [f32]>,
    /// Sixteen a panel, apart by a stride.
    pub(crate) columns: Strided<&'a [f32]>,
}

/// Multiplies `rows` rows of `depth` values (even), [`STRIDE`] apart, with panels of `depth / 2` rows of 16 pairs.
pub(crate) fn product(
    level: Level,
    rows: usize,
    depth: usize,
    a: &[i16],
    b: Panels<'_>,
    scales: Scales<'_>,
    out: Strided<&mut [f32]>,
    add: bool,
) {
    if rows == 0 || depth == 0 || b.count == 0 {
        return;
    }
    let last = b.count - 1;
    assert!(depth.is_multiple_of(2), "a pair is cut");
    assert!(a.len() >= (rows - 1) * STRIDE + depth, "rows are missing");
    assert!(b.data.len() >= last * b.apart + (depth / 2 - 1) * b.stride + 2 * TILE, "a panel is too short");
    assert!(scales.rows.data.len() > (rows - 1) * scales.rows.stride, "scales are missing");
    assert!(scales.columns.data.len() >= last * scales.columns.stride + TILE, "scales are missing");
    assert!(out.data.len() >= (rows - 1) * out.stride + b.count * TILE, "the output is too short");
    match level.kind() {
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "instructions that not every processor has")]
        // SAFETY: the level proves the instructions, the assertions above the bounds.
        Kind::Avx2 => unsafe { avx2::product(rows, depth, a, b, scales, out, add) },
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "instructions that not every processor has")]
        // SAFETY: the level proves the instructions, the assertions above the bounds.
        Kind::AvxVnni => unsafe { avx2::product_vnni(rows, depth, a, b, scales, out, add) },
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "instructions that not every processor has")]
        // SAFETY: the level proves the instructions, the assertions above the bounds.
        Kind::Avx512 => unsafe { avx512::product(rows, depth, a, b, scales, out, add) },
        // The compiler makes vectors of these loops where every processor of the kind has them.
        _ => plain(rows, depth, a, b, scales, out, add),
    }
}

fn plain(
    rows: usize,
    depth: usize,
    a: &[i16],
    b: Panels<'_>,
    scales: Scales<'_>,
    out: Strided<&mut [f32]>,
    add: bool,
) {
    for panel in 0..b.count {
        let columns = &scales.columns.data[panel * scales.columns.stride..][..TILE];
        for r in 0..rows {
            let mut sums = [0i32; TILE];
            for (k, pair) in a[r * STRIDE..][..depth].chunks_exact(2).enumerate() {
                let (pairs, _) = b.data[panel * b.apart + k * b.stride..][..2 * TILE].as_chunks::<2>();
                for (sum, column) in sums.iter_mut().zip(pairs) {
                    *sum +=
                        i32::from(pair[0]) * i32::from(column[0]) + i32::from(pair[1]) * i32::from(column[1]);
                }
            }
            let scale = scales.rows.data[r * scales.rows.stride];
            let out = &mut out.data[r * out.stride + panel * TILE..][..TILE];
            for ((out, sum), column) in out.iter_mut().zip(sums).zip(columns) {
                *out = if add { *out } else { 0.0 } + sum as f32 * (scale * column);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{bounded, close, paint};

    fn whole(len: usize, seed: usize) -> Vec<i16> {
        paint(len, seed).iter().map(|x| (2047.0 * x) as i16).collect()
    }

    #[test]
    fn every_level_multiplies_alike_beside_nothing_else() {
        for rows in [1, 2, 5, 6, 7, 11, 12, 13, 24] {
            for (depth, count, spare) in [(2, 1, 0), (32, 2, 6), (62, 3, 0), (64, 4, 32)] {
                let (stride, out_stride) = (2 * TILE + spare, count * TILE + spare);
                let apart = depth / 2 * stride;
                // Exactly as long as they must be: a load beyond the end is one beyond the buffer.
                let a = whole((rows - 1) * STRIDE + depth, rows);
                let b = whole((count - 1) * apart + (depth / 2 - 1) * stride + 2 * TILE, depth);
                let (x, y) = (paint(rows, 3), paint((count - 1) * (TILE + spare) + TILE, 4));
                let start = paint((rows - 1) * out_stride + count * TILE, 5);
                for add in [false, true] {
                    let run = |level| {
                        bounded(&start, |out| {
                            let b = Panels { data: &b, count, stride, apart, ahead: &[7; 1000] };
                            let scales = Scales {
                                rows: Strided { data: &x[..], stride: 1 },
                                columns: Strided { data: &y[..], stride: TILE + spare },
                            };
                            let out = Strided { data: out, stride: out_stride };
                            product(level, rows, depth, &a, b, scales, out, add);
                        })
                    };
                    let want = run(Level::REFERENCE);
                    for level in Level::available() {
                        let what = format!("{level} {rows} x {depth} x {count} panels");
                        close(&run(level), &want, |i| 1e-6 * want[i].abs() + 1e-6, &what);
                    }
                }
            }
        }
    }

    #[test]
    fn the_largest_values_do_not_overflow() {
        let (a, b) = (vec![16383i16; 64], vec![-2047i16; 32 * 2 * TILE]);
        for level in Level::available() {
            let mut out = [0.0; TILE];
            let one = Strided { data: &[1.0; TILE][..], stride: 1 };
            let panel = Panels { data: &b, count: 1, stride: 2 * TILE, apart: 0, ahead: &[] };
            let scales = Scales { rows: one, columns: one };
            product(level, 1, 64, &a, panel, scales, Strided { data: &mut out, stride: TILE }, false);
            assert!(out.iter().all(|&x| x == (-64 * 16383 * 2047) as f32), "{level}: {out:?}");
        }
    }
}
