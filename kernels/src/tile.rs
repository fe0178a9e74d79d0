//! The inner product of every operation on floats: a few rows times a panel of 16 columns.
//!
//! `out[r][c] = Σ_k a[r][k] · b[k][c]` for 16 columns, added to what `out` holds when `add` is set. Rows of all three may lie apart
//! by a stride. Tolerance against the reference: `1e-5 · Σ_k |a · b|`, the order of additions.

use crate::level::{Kind, Level};
use crate::matrix::{BLOCK, TILE, Tile};

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;

/// Rows of equal length, apart by a stride.
#[derive(Clone, Copy)]
pub(crate) struct Strided<S> {
    pub(crate) data: S,
    pub(crate) stride: usize,
}

/// Multiplies `rows` rows of `depth` values with a panel of `depth` rows of 16.
pub(crate) fn product(
    level: Level,
    rows: usize,
    depth: usize,
    a: Strided<&[f32]>,
    b: Strided<&[f32]>,
    out: Strided<&mut [f32]>,
    add: bool,
) {
    if rows == 0 {
        return;
    }
    assert!(a.data.len() >= (rows - 1) * a.stride + depth, "rows are missing");
    assert!(depth == 0 || b.data.len() >= (depth - 1) * b.stride + TILE, "the panel is too short");
    assert!(out.data.len() >= (rows - 1) * out.stride + TILE, "the output is too short");
    match level.kind() {
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "instructions that not every processor has")]
        // SAFETY: the level proves the instructions, the assertions above the bounds.
        Kind::Avx2 | Kind::AvxVnni => unsafe { avx2::product(rows, depth, a, b, out, add) },
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "instructions that not every processor has")]
        // SAFETY: the level proves the instructions, the assertions above the bounds.
        Kind::Avx512 => unsafe { avx512::product(rows, depth, a, b, out, add) },
        #[cfg(target_arch = "aarch64")]
        #[expect(unsafe_code, reason = "instructions that not every processor has")]
        // SAFETY: the level proves the instructions, the assertions above the bounds.
        Kind::Neon | Kind::I8mm => unsafe { neon::product(rows, depth, a, b, out, add) },
        _ => reference(rows, depth, a, b, out, add),
    }
}

fn reference(
    rows: usize,
    depth: usize,
    a: Strided<&[f32]>,
    b: Strided<&[f32]>,
    out: Strided<&mut [f32]>,
    add: bool,
) {
    for r in 0..rows {
        let out = &mut out.data[r * out.stride..][..TILE];
        if !add {
            out.fill(0.0);
        }
        for k in 0..depth {
            let x = a.data[r * a.stride + k];
            for (out, &b) in out.iter_mut().zip(&b.data[k * b.stride..][..TILE]) {
                *out += x * b;
            }
        }
    }
}

/// Writes the weights of `blocks` blocks of a tile, from block `first`, as a panel: `[blocks · 32][16]`.
pub(crate) fn dequantise(level: Level, tile: Tile<'_>, first: usize, blocks: usize, panel: &mut [f32]) {
    let quants: &[u8] = &tile.quants[first * BLOCK * TILE..][..blocks * BLOCK * TILE];
    let scales = &tile.scales[first * TILE..][..blocks * TILE];
    assert!(panel.len() >= blocks * BLOCK * TILE, "the panel is too short");
    match level.kind() {
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "instructions that not every processor has")]
        // SAFETY: the level proves the instructions, the slices and the assertion above the bounds.
        Kind::Avx2 | Kind::AvxVnni | Kind::Avx512 => unsafe { avx2::dequantise(quants, scales, panel) },
        _ => {
            for (quad, quants) in quants.chunks_exact(4 * TILE).enumerate() {
                for (lane, four) in quants.chunks_exact(4).enumerate() {
                    let scale = scales[quad * 4 / BLOCK * TILE + lane].to_f32();
                    for (j, &q) in four.iter().enumerate() {
                        panel[(quad * 4 + j) * TILE + lane] = f32::from(q as i8) * scale;
                    }
                }
            }
        }
    }
}
