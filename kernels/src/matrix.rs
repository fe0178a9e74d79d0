//! Weights of a linear map, packed once for all levels.
//!
//! The source is GGUF's Q8_0: rows of 32-blocks, each an f16 scale and 32 signed bytes. Outputs are packed in tiles of
//! 16 and inputs in quads, `[inputs/4][16][4]`, so that one 64-byte load holds four inputs of 16 outputs:
//! what a byte dot product takes. The scales of a tile follow its weights, `[inputs/32][16]`, so that a tile is read and fetched
//! ahead as one run of memory. Outputs beyond the last are zero.
//!
//! Products with f32 rows keep the bytes as they are. Products with byte rows round them to seven bits and keep bytes, so that a sum
//! of two fits where byte products saturate at 16 bits.

use half::f16;

use crate::disjoint::Disjoint;
use crate::memory::{Memory, Part};
use crate::pool::Pool;
use crate::rows::Activations;

/// Outputs of a tile.
pub(crate) const TILE: usize = 16;
/// Inputs that share a scale.
pub(crate) const BLOCK: usize = 32;
/// Bytes of a Q8_0 block: the scale and a byte per weight.
const BLOCK_BYTES: usize = 2 + BLOCK;

/// How weights are kept, and with it the kind of rows that they are multiplied with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// As they are, for f32 rows.
    Exact,
    /// Rounded to seven bits, for byte rows.
    Seven,
}

impl Format {
    /// All formats.
    pub const ALL: [Format; 2] = [Format::Exact, Format::Seven];

    /// The kind of rows that weights are multiplied with.
    pub fn activations(self) -> Activations {
        match self {
            Format::Exact => Activations::F32,
            Format::Seven => Activations::Int8,
        }
    }
}

/// The largest weight in seven bits.
const LARGEST: f32 = 63.0;
/// What stands for 0 in seven bits.
pub(crate) const ZERO: i32 = 64;

/// A packed weight matrix `W` (outputs, inputs).
pub struct Matrix {
    outputs: usize,
    inputs: usize,
    format: Format,
    /// Of each tile the weights, then the scales.
    tiles: Part,
}

/// Sixteen outputs of a matrix.
#[derive(Clone, Copy)]
pub(crate) struct Tile<'a> {
    /// Bytes `[inputs/4][16][4]`, signed or of seven bits.
    pub(crate) quants: &'a [u8],
    /// `[inputs/32][16]`
    pub(crate) scales: &'a [f16],
    /// All of its bytes, scales included: what to fetch ahead.
    pub(crate) bytes: &'a [u8],
}

impl Matrix {
    /// Packs rows of Q8_0 blocks, one row an output in the order given. Panics when
    /// `inputs` is not a multiple of 32 or a row has another length than `inputs` asks for.
    pub fn pack(pool: &Pool, memory: &mut Memory, format: Format, inputs: usize, rows: &[&[u8]]) -> Matrix {
        assert!(inputs.is_multiple_of(BLOCK), "{inputs} inputs are no whole number of blocks");
        let row_bytes = inputs / BLOCK * BLOCK_BYTES;
        assert!(rows.iter().all(|row| row.len() == row_bytes), "a row is not {row_bytes} bytes long");
        let count = rows.len().div_ceil(TILE);
        let (quants, bytes) = (inputs * TILE, tile_bytes(inputs));
        let mut tiles = memory.take(count * bytes);
        let to = Disjoint::new(&mut tiles);
        pool.run(count, &|tile| {
            #[expect(unsafe_code, reason = "threads pack different tiles")]
            // SAFETY: each unit takes the part of its own tile.
            let (quants, scales) = unsafe { to.slice(tile * bytes, bytes) }.split_at_mut(quants);
            let scales = &mut bytemuck::cast_slice_mut(scales)[..inputs / BLOCK * TILE];
            let from = tile * TILE;
            let rows = &rows[from..rows.len().min(from + TILE)];
            match format {
                Format::Exact => pack_bytes(rows, quants, scales),
                Format::Seven => pack_rounded(rows, quants, scales),
            }
        });
        Matrix { outputs: rows.len(), inputs, format, tiles }
    }

    /// Rows of `W`.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Columns of `W`.
    pub fn inputs(&self) -> usize {
        self.inputs
    }

    /// The kind of rows that it is multiplied with.
    pub fn activations(&self) -> Activations {
        self.format.activations()
    }

    /// How its weights are kept.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.tiles.len()
    }

    /// The weights of one output: a row of an embedding.
    pub fn row(&self, output: usize, out: &mut [f32]) {
        assert_eq!(out.len(), self.inputs, "a row has as many weights as there are inputs");
        let (tile, lane) = (self.tile(output / TILE), output % TILE);
        for (input, out) in out.iter_mut().enumerate() {
            let at = input / 4 * 64 + lane * 4 + input % 4;
            let quant = match self.format {
                Format::Exact => tile.quants[at] as i8,
                Format::Seven => (i32::from(tile.quants[at]) - ZERO) as i8,
            };
            *out = f32::from(quant) * tile.scales[input / BLOCK * TILE + lane].to_f32();
        }
    }

    pub(crate) fn tiles(&self) -> usize {
        self.outputs.div_ceil(TILE)
    }

    pub(crate) fn tile(&self, index: usize) -> Tile<'_> {
        let len = tile_bytes(self.inputs);
        let bytes = &self.tiles[index * len..][..len];
        let (quants, scales) = bytes.split_at(self.inputs * TILE);
        Tile { quants, scales: &bytemuck::cast_slice(scales)[..self.inputs / BLOCK * TILE], bytes }
    }
}

/// Bytes of a tile, whole cache lines.
fn tile_bytes(inputs: usize) -> usize {
    (inputs * TILE + inputs / BLOCK * TILE * size_of::<f16>()).next_multiple_of(64)
}

fn pack_bytes(rows: &[&[u8]], quants: &mut [u8], scales: &mut [f16]) {
    for (lane, row) in rows.iter().enumerate() {
        for (block, bytes) in row.chunks_exact(BLOCK_BYTES).enumerate() {
            scales[block * TILE + lane] = f16::from_le_bytes([bytes[0], bytes[1]]);
            for (quad, four) in bytes[2..].chunks_exact(4).enumerate() {
                let at = (block * BLOCK / 4 + quad) * 64 + lane * 4;
                quants[at..at + 4].copy_from_slice(four);
            }
        }
    }
}

/// Packs weights rounded to seven bits.
fn pack_rounded(rows: &[&[u8]], quants: &mut [u8], scales: &mut [f16]) {
    // What the lanes of missing outputs keep.
    quants.fill(ZERO as u8);
    for (lane, row) in rows.iter().enumerate() {
        for (block, bytes) in row.chunks_exact(BLOCK_BYTES).enumerate() {
            let scale = f16::from_le_bytes([bytes[0], bytes[1]]);
            let mut weights = [0i8; BLOCK];
            for (to, &byte) in weights.iter_mut().zip(&bytes[2..]) {
                *to = byte as i8;
            }
            scales[block * TILE + lane] = f16::from_f32(scale.to_f32() * round(&mut weights));
            for (quad, four) in weights.chunks_exact(4).enumerate() {
                let at = (block * BLOCK / 4 + quad) * 64 + lane * 4;
                for (to, &weight) in quants[at..at + 4].iter_mut().zip(four) {
                    *to = (i32::from(weight) + ZERO) as u8;
                }
            }
        }
    }
}

/// Rounds a block of 8-bit weights to `-LARGEST..=LARGEST` and returns the factor that its scale grows by.
///
/// The largest weight stays as it is. Steps of a smaller squared error, which cut it, were measured to be worse: the few large
/// weights matter most.
fn round(weights: &mut [i8; BLOCK]) -> f32 {
    let magnitude = weights.iter().map(|w| w.unsigned_abs()).max().map_or(0.0, f32::from);
    if magnitude == 0.0 {
        return 1.0;
    }
    let step = magnitude / LARGEST;
    for w in weights {
        // Adding this rounds to whole numbers, ties to even, and leaves them in the lowest bits; the function of the
        // standard library is a call for each weight, and loading a model rounds them all.
        const WHOLE: f32 = 12_582_912.0;
        *w = (f32::from(*w) / step + WHOLE).to_bits() as i8;
    }
    step
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Q8_0 rows whose bytes run through all values with a period prime to every tile, and scales that differ.
    pub(crate) fn painted(outputs: usize, inputs: usize, seed: usize) -> Vec<Vec<u8>> {
        (0..outputs)
            .map(|o| {
                (0..inputs / BLOCK)
                    .flat_map(|b| {
                        let scale = f16::from_f32(0.001 + 0.0007 * ((o * 7 + b * 3 + seed) % 11) as f32);
                        let quants = (0..BLOCK).map(move |i| {
                            let n = (o * 31 + (b * BLOCK + i) * 17 + seed * 13 + (o * i) % 7) % 251;
                            (n as i32 - 125) as i8 as u8
                        });
                        scale.to_le_bytes().into_iter().chain(quants).collect::<Vec<u8>>()
                    })
                    .collect()
            })
            .collect()
    }

    /// Packs painted rows.
    pub(crate) fn matrix(format: Format, outputs: usize, inputs: usize, seed: usize) -> Matrix {
        let rows = painted(outputs, inputs, seed);
        Matrix::pack(
            &Pool::new(1),
            &mut Memory::default(),
            format,
            inputs,
            &rows.iter().map(Vec::as_slice).collect::<Vec<_>>(),
        )
    }

    /// The weights of Q8_0 rows.
    pub(crate) fn weights(rows: &[Vec<u8>]) -> Vec<Vec<f32>> {
        rows.iter()
            .map(|row| {
                row.chunks_exact(BLOCK_BYTES)
                    .flat_map(|block| {
                        let scale = f16::from_le_bytes([block[0], block[1]]).to_f32();
                        block[2..].iter().map(move |&q| f32::from(q as i8) * scale)
                    })
                    .collect()
            })
            .collect()
    }

    #[test]
    fn a_packed_row_reads_back() {
        for (outputs, inputs) in [(1, 32), (15, 64), (16, 32), (17, 96), (53, 160)] {
            let want = weights(&painted(outputs, inputs, 1));
            for format in Format::ALL {
                let matrix = matrix(format, outputs, inputs, 1);
                assert_eq!((matrix.outputs(), matrix.inputs()), (outputs, inputs));
                for (o, want) in want.iter().enumerate() {
                    let mut row = vec![f32::NAN; inputs];
                    matrix.row(o, &mut row);
                    for (block, (row, want)) in row.chunks(BLOCK).zip(want.chunks(BLOCK)).enumerate() {
                        let max = want.iter().fold(0.0f32, |m, x| m.max(x.abs()));
                        // Half a step, and the rounding of its scale to f16.
                        let off = match format {
                            Format::Exact => 0.0,
                            Format::Seven => max * (0.51 / LARGEST + 1e-3),
                        };
                        for (got, want) in row.iter().zip(want) {
                            assert!((got - want).abs() <= off, "{format:?} {o} {block}: {got} {want}");
                        }
                    }
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "not 68 bytes long")]
    fn a_row_of_another_length_is_refused() {
        let rows = painted(3, 32, 0);
        Matrix::pack(
            &Pool::new(1),
            &mut Memory::default(),
            Format::Exact,
            64,
            &rows.iter().map(Vec::as_slice).collect::<Vec<_>>(),
        );
    }

    #[test]
    fn rounding_errs_by_half_a_step_at_most() {
        for seed in 0..200i32 {
            let weights: [i8; BLOCK] =
                std::array::from_fn(|i| ((seed * 71 + i as i32 * 59) % 255 - 127) as i8);
            let mut rounded = weights;
            let step = round(&mut rounded);
            for (w, r) in weights.iter().zip(rounded) {
                assert_eq!(r, (f32::from(*w) / step).round_ties_even() as i8);
                assert!((-LARGEST..=LARGEST).contains(&f32::from(r)));
                let off = (f32::from(*w) - f32::from(r) * step).abs();
                assert!(off <= 0.5 * step + 1e-4, "{w} became {r} steps of {step}");
            }
        }
        let mut zero = [0; BLOCK];
        assert_eq!((round(&mut zero), zero), (1.0, [0; BLOCK]));
    }
}
