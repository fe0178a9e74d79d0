//! The inner product of bytes: a few rounded rows times a tile of 16 outputs in seven bits.
//!
//! For blocks `b` of 32 inputs: `out[r][c] = Σ_b x[r][b] · w[b][c] · Σ_k a[r][b,k] · (u[b,k][c] - z)`, added to what `out` holds when `add` is
//! set, with scales `x` and `w`, signed bytes `a` and weights `u` of 0 to 127, whose zero `z` is 64. The inner sums are whole numbers and equal at
//! every level; `Σ a · z` is known from rounding the rows, so products run over unsigned weights as x86 wants
//! them. Tolerance against the reference: `1e-5 · Σ_b |x w Σ_k|`, the order of additions of blocks.

use half::f16;

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
use crate::ahead::Ahead;
use crate::level::{Kind, Level};
use crate::matrix::{BLOCK, TILE, ZERO};
use crate::rows::Bytes;
use crate::tile::Strided;

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avxvnni;
#[cfg(target_arch = "aarch64")]
pub(crate) mod i8mm;
#[cfg(target_arch = "aarch64")]
pub(crate) mod neon;

/// Blocks of rows, the first of which starts at the slices' beginnings.
pub(crate) type Input<'a> = Bytes<&'a [i8], &'a [f32], &'a [i32]>;

/// Weights of 16 outputs.
#[derive(Clone, Copy)]
pub(crate) struct Quads<'a> {
    /// `[blocks][8][16][4]`: 0 to 127.
    pub(crate) bytes: &'a [u8],
    /// `[blocks][16]`
    pub(crate) scales: &'a [f16],
    /// What is read after this: asked for during the product, a part of it with each block.
    pub(crate) ahead: &'a [u8],
}

/// Multiplies the blocks of `weights` with `rows` rows whose whole width is `width`.
pub(crate) fn product(
    level: Level,
    rows: usize,
    width: usize,
    input: Input<'_>,
    weights: Quads<'_>,
    out: Strided<&mut [f32]>,
    add: bool,
) {
    if rows == 0 {
        return;
    }
    let blocks = weights.scales.len() / TILE;
    assert!(blocks > 0 && blocks * BLOCK <= width, "rows are too short");
    assert!(weights.bytes.len() >= blocks * BLOCK * TILE, "weights are missing");
    let (last, last_block) = ((rows - 1) * width, (rows - 1) * (width / BLOCK));
    assert!(input.quants.len() >= last + blocks * BLOCK, "rows are missing");
    assert!(input.scales.len() >= last_block + blocks && input.offsets.len() >= last_block + blocks);
    assert!(out.data.len() >= (rows - 1) * out.stride + TILE, "the output is too short");
    match level.kind() {
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "instructions that not every processor has")]
        // SAFETY: the level proves the instructions, the assertions above the bounds.
        Kind::Avx2 => unsafe { avx2::product(rows, width, input, weights, out, add) },
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "instructions that not every processor has")]
        // SAFETY: the level proves the instructions, the assertions above the bounds.
        Kind::AvxVnni => unsafe { avxvnni::product(rows, width, input, weights, out, add) },
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "instructions that not every processor has")]
        // SAFETY: the level proves the instructions, the assertions above the bounds.
        Kind::Avx512 => unsafe { avx512::product(rows, width, input, weights, out, add) },
        #[cfg(target_arch = "aarch64")]
        #[expect(unsafe_code, reason = "instructions that not every processor has")]
        // SAFETY: the level proves the instructions, the assertions above the bounds.
        Kind::Neon => unsafe { neon::product(rows, width, input, weights, out, add) },
        #[cfg(target_arch = "aarch64")]
        #[expect(unsafe_code, reason = "instructions that not every processor has")]
        // SAFETY: the level proves the instructions, the assertions above the bounds.
        Kind::I8mm => unsafe { i8mm::product(rows, width, input, weights, out, add) },
        _ => reference(rows, width, input, weights, out, add),
    }
}

fn reference(
    rows: usize,
    width: usize,
    input: Input<'_>,
    weights: Quads<'_>,
    out: Strided<&mut [f32]>,
    add: bool,
) {
    for r in 0..rows {
        let out = &mut out.data[r * out.stride..][..TILE];
        if !add {
            out.fill(0.0);
        }
        for b in 0..weights.scales.len() / TILE {
            let quants = &input.quants[r * width + b * BLOCK..][..BLOCK];
            let scale = input.scales[r * (width / BLOCK) + b];
            for (c, out) in out.iter_mut().enumerate() {
                let weight = |k: usize| weights.bytes[b * BLOCK * TILE + k / 4 * 64 + c * 4 + k % 4];
                let sum: i32 = (0..BLOCK).map(|k| i32::from(quants[k]) * (i32::from(weight(k)) - ZERO)).sum();
                *out += sum as f32 * (weights.scales[b * TILE + c].to_f32() * scale);
            }
        }
    }
}

/// Pointers of a chunk of rows; what `product` of a level passes to its inner loop.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[derive(Clone, Copy)]
struct Chunk {
    blocks: usize,
    /// First quant of the first row; rows are `width` apart.
    quants: *const i8,
    width: usize,
    /// First scale and offset of the first row; rows are `width / 32` apart.
    scales: *const f32,
    offsets: *const i32,
    weights: *const u8,
    weight_scales: *const f16,
    out: *mut f32,
    stride: usize,
    add: bool,
    /// What is read next, in as many steps as there are blocks.
    ahead: Ahead,
}

/// Calls `chunk(rows, pointers)` for chunks of at most `most` rows that differ by one row in length.
///
/// # Safety
/// The operands are as [`product`] has checked them.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[expect(unsafe_code, reason = "pointers whose bounds the caller has checked")]
#[inline(always)]
unsafe fn chunks(
    most: usize,
    rows: usize,
    width: usize,
    input: Input<'_>,
    weights: Quads<'_>,
    out: Strided<&mut [f32]>,
    add: bool,
    chunk: impl Fn(usize, Chunk),
) {
    let count = rows.div_ceil(most);
    let mut row = 0;
    let blocks = weights.scales.len() / TILE;
    let part = weights.ahead.len().div_ceil(count).max(1);
    for i in 0..count {
        let take = (rows - row).div_ceil(count - i);
        let ahead = weights.ahead.chunks(part).nth(i).unwrap_or_default();
        // SAFETY: `row` is below `rows`.
        let pointers = unsafe {
            Chunk {
                blocks,
                quants: input.quants.as_ptr().add(row * width),
                width,
                scales: input.scales.as_ptr().add(row * (width / BLOCK)),
                offsets: input.offsets.as_ptr().add(row * (width / BLOCK)),
                weights: weights.bytes.as_ptr(),
                weight_scales: weights.scales.as_ptr(),
                out: out.data.as_mut_ptr().add(row * out.stride),
                stride: out.stride,
                add,
                ahead: Ahead::new(ahead, blocks),
            }
        };
        chunk(take, pointers);
        row += take;
    }
}
