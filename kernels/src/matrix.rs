//! Weights of a linear map, packed once for all levels.
//!
//! The source is GGUF's Q8_0: rows of 32-blocks, each an f16 scale and 32 signed bytes. Outputs are packed in tiles of
//! 16 and inputs in quads, `[inputs/4][16][4]`, so that one 64-byte load holds four inputs of 16 outputs:
//! what a byte dot product takes. The scales of a tile follow its weights, `[inputs/32][16]`, so that a tile is read and fetched
//! ahead as one run of memory. Outputs beyond the last are zero.
//!
//! Products with f32 rows keep the bytes as they are. Products with byte rows round them to six bits (`sixes.rs`): a quarter less
//! to read, and on processors whose byte products saturate at 16 bits two sums fit where one did.

use half::f16;

use crate::disjoint::Disjoint;
use crate::memory::{Memory, Part};
use crate::pool::Pool;
use crate::rows::Activations;
use crate::sixes;

/// Outputs of a tile.
pub(crate) const TILE: usize = 16;
/// Inputs that share a scale.
pub(crate) const BLOCK: usize = 32;
/// Bytes of a Q8_0 block: the scale and a byte per weight.
const BLOCK_BYTES: usize = 2 + BLOCK;

/// A packed weight matrix `W` (outputs, inputs).
pub struct Matrix {
    outputs: usize,
    inputs: usize,
    activations: Activations,
    /// Of each tile the weights, then the scales.
    tiles: Part,
}

/// Sixteen outputs of a matrix.
#[derive(Clone, Copy)]
pub(crate) struct Tile<'a> {
    /// Signed bytes `[inputs/4][16][4]`, or the same packed by `sixes.rs`.
    pub(crate) quants: &'a [u8],
    /// `[inputs/32][16]`
    pub(crate) scales: &'a [f16],
    /// All of its bytes, scales included: what to fetch ahead.
    pub(crate) bytes: &'a [u8],
}

impl Matrix {
    /// Packs rows of Q8_0 blocks, one row an output in the order given, for products with rows of a kind. Panics when
    /// `inputs` is not a multiple of 32 or a row has another length than `inputs` asks for.
    pub fn pack(
        pool: &Pool,
        memory: &mut Memory,
        activations: Activations,
        inputs: usize,
        rows: &[&[u8]],
    ) -> Matrix {
        assert!(inputs.is_multiple_of(BLOCK), "{inputs} inputs are no whole number of blocks");
        let row_bytes = inputs / BLOCK * BLOCK_BYTES;
        assert!(rows.iter().all(|row| row.len() == row_bytes), "a row is not {row_bytes} bytes long");
        let count = rows.len().div_ceil(TILE);
        let (quants, bytes) = (quant_bytes(activations, inputs), tile_bytes(activations, inputs));
        let mut tiles = memory.take(count * bytes);
        let to = Disjoint::new(&mut tiles);
        pool.run(count, &|tile| {
            #[expect(unsafe_code, reason = "threads pack different tiles")]
            // SAFETY: each unit takes the part of its own tile.
            let (quants, scales) = unsafe { to.slice(tile * bytes, bytes) }.split_at_mut(quants);
            let scales = &mut bytemuck::cast_slice_mut(scales)[..inputs / BLOCK * TILE];
            let from = tile * TILE;
            let rows = &rows[from..rows.len().min(from + TILE)];
            match activations {
                Activations::F32 => pack_bytes(rows, quants, scales),
                Activations::Int8 => pack_sixes(rows, quants, scales),
            }
        });
        Matrix { outputs: rows.len(), inputs, activations, tiles }
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
        self.activations
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
            let quant = match self.activations {
                Activations::F32 => tile.quants[input / 4 * 64 + lane * 4 + input % 4] as i8,
                Activations::Int8 => sixes::get(tile.quants, input, lane),
            };
            *out = f32::from(quant) * tile.scales[input / BLOCK * TILE + lane].to_f32();
        }
    }

    pub(crate) fn tiles(&self) -> usize {
        self.outputs.div_ceil(TILE)
    }

    pub(crate) fn tile(&self, index: usize) -> Tile<'_> {
        let len = tile_bytes(self.activations, self.inputs);
        let bytes = &self.tiles[index * len..][..len];
        let (quants, scales) = bytes.split_at(quant_bytes(self.activations, self.inputs));
        Tile { quants, scales: &bytemuck::cast_slice(scales)[..self.inputs / BLOCK * TILE], bytes }
    }
}

/// Bytes of a tile's weights.
fn quant_bytes(activations: Activations, inputs: usize) -> usize {
    match activations {
        Activations::F32 => inputs * TILE,
        Activations::Int8 => inputs / BLOCK * sixes::BLOCK_BYTES,
    }
}

/// Bytes of a tile, whole cache lines.
fn tile_bytes(activations: Activations, inputs: usize) -> usize {
    (quant_bytes(activations, inputs) + inputs / BLOCK * TILE * size_of::<f16>()).next_multiple_of(64)
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

fn pack_sixes(rows: &[&[u8]], quants: &mut [u8], scales: &mut [f16]) {
    for (block, quants) in quants.chunks_exact_mut(sixes::BLOCK_BYTES).enumerate() {
        let mut quads = [0i8; BLOCK * TILE];
        for (lane, row) in rows.iter().enumerate() {
            let bytes = &row[block * BLOCK_BYTES..][..BLOCK_BYTES];
            let scale = f16::from_le_bytes([bytes[0], bytes[1]]);
            let mut weights = [0i8; BLOCK];
            for (to, &byte) in weights.iter_mut().zip(&bytes[2..]) {
                *to = byte as i8;
            }
            scales[block * TILE + lane] = f16::from_f32(scale.to_f32() * sixes::round(&mut weights));
            for (quad, four) in weights.chunks_exact(4).enumerate() {
                quads[quad * 64 + lane * 4..][..4].copy_from_slice(four);
            }
        }
        sixes::pack(&quads, quants);
    }
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
    pub(crate) fn matrix(activations: Activations, outputs: usize, inputs: usize, seed: usize) -> Matrix {
        let rows = painted(outputs, inputs, seed);
        Matrix::pack(
            &Pool::new(1),
            &mut Memory::default(),
            activations,
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
            for activations in [Activations::F32, Activations::Int8] {
                let matrix = matrix(activations, outputs, inputs, 1);
                assert_eq!((matrix.outputs(), matrix.inputs()), (outputs, inputs));
                for (o, want) in want.iter().enumerate() {
                    let mut row = vec![f32::NAN; inputs];
                    matrix.row(o, &mut row);
                    for (block, (row, want)) in row.chunks(BLOCK).zip(want.chunks(BLOCK)).enumerate() {
                        let max = want.iter().fold(0.0f32, |m, x| m.max(x.abs()));
                        // Half a step of six bits, and the rounding of its scale to f16.
                        let off =
                            if activations == Activations::F32 { 0.0 } else { max * (0.51 / 31.0 + 1e-3) };
                        for (got, want) in row.iter().zip(want) {
                            assert!((got - want).abs() <= off, "{activations:?} {o} {block}: {got} {want}");
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
            Activations::F32,
            64,
            &rows.iter().map(Vec::as_slice).collect::<Vec<_>>(),
        );
    }
}
