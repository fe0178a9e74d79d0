//! The inner product of attention over whole numbers: a few rows of 16 bits times a panel of 16 columns.
//!
//! `out[r][c] = x[r] · y[c] · Σ_k a[r][k] · b[k/2][c][k%2]` for 16 columns, added to what `out` holds when `add` is set, with scales
//! `x` and `y`. Two inputs of a column stand beside each other, as instructions on pairs of 16 bits want them: twice the
//! products of floats of the same register. The inner sums are whole numbers and equal at every level; the caller
//! keeps them below 2³¹.

use crate::level::{Kind, Level};
use crate::matrix::TILE;
use crate::tile::Strided;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;

/// What sums are multiplied with.
#[derive(Clone, Copy)]
pub(crate) struct Scales<'a> {
    /// One a row, apart by a stride.
    pub(crate) rows: Strided<&'a [f32]>,
    pub(crate) columns: &'a [f32; TILE],
}

/// Multiplies `rows` rows of `depth` values (even) with a panel of `depth / 2` rows of 16 pairs.
pub(crate) fn product(
    level: Level,
    rows: usize,
    depth: usize,
    a: Strided<&[i16]>,
    b: Strided<&[i16]>,
    scales: Scales<'_>,
    out: Strided<&mut [f32]>,
    add: bool,
) {
    if rows == 0 || depth == 0 {
        return;
    }
    assert!(depth.is_multiple_of(2), "a pair is cut");
    assert!(a.data.len() >= (rows - 1) * a.stride + depth, "rows are missing");
    assert!(b.data.len() >= (depth / 2 - 1) * b.stride + 2 * TILE, "the panel is too short");
    assert!(scales.rows.data.len() > (rows - 1) * scales.rows.stride, "scales are missing");
    assert!(out.data.len() >= (rows - 1) * out.stride + TILE, "the output is too short");
    match level.kind() {
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "instructions that not every processor has")]
        // SAFETY: the level proves the instructions, the assertions above the bounds.
        Kind::Avx2 | Kind::AvxVnni => unsafe { avx2::product(rows, depth, a, b, scales, out, add) },
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "instructions that not every processor has")]
        // SAFETY: the level proves the instructions, the assertions above the bounds.
        Kind::Avx512 => unsafe { avx512::product(rows, depth, a, b, scales, out, add) },
        // The compiler makes vectors of these loops where every processor of the kind has them.
        Kind::Neon | Kind::Reference => plain(rows, depth, a, b, scales, out, add),
        #[cfg(not(target_arch = "x86_64"))]
        _ => plain(rows, depth, a, b, scales, out, add),
    }
}

fn plain(
    rows: usize,
    depth: usize,
    a: Strided<&[i16]>,
    b: Strided<&[i16]>,
    scales: Scales<'_>,
    out: Strided<&mut [f32]>,
    add: bool,
) {
    for r in 0..rows {
        let mut sums = [0i32; TILE];
        for (k, pair) in a.data[r * a.stride..][..depth].chunks_exact(2).enumerate() {
            let (columns, _) = b.data[k * b.stride..][..2 * TILE].as_chunks::<2>();
            for (sum, column) in sums.iter_mut().zip(columns) {
                *sum += i32::from(pair[0]) * i32::from(column[0]) + i32::from(pair[1]) * i32::from(column[1]);
            }
        }
        let scale = scales.rows.data[r * scales.rows.stride];
        let out = &mut out.data[r * out.stride..][..TILE];
        for ((out, sum), column) in out.iter_mut().zip(sums).zip(scales.columns) {
            *out = if add { *out } else { 0.0 } + sum as f32 * (scale * column);
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
            for (depth, spare) in [(2, 0), (32, 6), (62, 0), (64, 32)] {
                let (a_stride, b_stride, out_stride) = (depth + spare, 2 * TILE + spare, TILE + spare);
                // Exactly as long as they must be: a load beyond the end is one beyond the buffer.
                let a = whole((rows - 1) * a_stride + depth, rows);
                let b = whole((depth / 2 - 1) * b_stride + 2 * TILE, depth);
                let (x, y) = (paint(rows, 3), paint(TILE, 4));
                let start = paint((rows - 1) * out_stride + TILE, 5);
                for add in [false, true] {
                    let run = |level| {
                        bounded(&start, |out| {
                            let a = Strided { data: &a[..], stride: a_stride };
                            let b = Strided { data: &b[..], stride: b_stride };
                            let rows_scales = Strided { data: &x[..], stride: 1 };
                            let columns = y[..].try_into().expect("because there are 16");
                            let scales = Scales { rows: rows_scales, columns };
                            product(
                                level,
                                rows,
                                depth,
                                a,
                                b,
                                scales,
                                Strided { data: out, stride: out_stride },
                                add,
                            );
                        })
                    };
                    let want = run(Level::REFERENCE);
                    for level in Level::available() {
                        let what = format!("{level} {rows} x {depth}");
                        close(&run(level), &want, |i| 1e-6 * want[i].abs() + 1e-6, &what);
                    }
                }
            }
        }
    }

    #[test]
    fn the_largest_values_do_not_overflow() {
        let (a, b) = (vec![8191i16; 64], vec![-2047i16; 32 * 2 * TILE]);
        for level in Level::available() {
            let mut out = [0.0; TILE];
            let scales = Scales { rows: Strided { data: &[1.0], stride: 1 }, columns: &[1.0; TILE] };
            let (a, b) = (Strided { data: &a[..], stride: 64 }, Strided { data: &b[..], stride: 2 * TILE });
            product(level, 1, 64, a, b, scales, Strided { data: &mut out, stride: TILE }, false);
            assert!(out.iter().all(|&x| x == (-64 * 8191 * 2047) as f32), "{level}: {out:?}");
        }
    }
}
