//! Weights in the order in which the tensor cores take them (`cuda/common.cuh`, `mma_chunk`).
//!
//! A matrix (rows, cols) becomes tiles of 16 rows, each tile its chunks of 32 columns, each chunk 1 KiB of 16-bit values: two
//! times 32 lanes with 16 bytes each. Rows past the end are zero.

use super::Half;

/// Columns of a chunk.
pub const CHUNK: usize = 32;
/// Rows of a tile.
pub const TILE: usize = 16;

/// Packs the rows that `row` yields: `row(i, out)` writes row i of the packed order (cols) into `out`.
pub fn pack(rows: usize, cols: usize, mut row: impl FnMut(usize, &mut [f32])) -> Vec<Half> {
    assert!(cols.is_multiple_of(CHUNK), "columns must be a multiple of {CHUNK}");
    let tiles = rows.div_ceil(TILE);
    let mut packed = vec![Half::ZERO; tiles * TILE * cols];
    let mut values = vec![0.0; cols];
    for i in 0..rows {
        row(i, &mut values);
        let tile = &mut packed[i / TILE * TILE * cols..][..TILE * cols];
        for (chunk, values) in values.chunks_exact(CHUNK).enumerate() {
            let to = &mut tile[chunk * TILE * CHUNK..][..TILE * CHUNK];
            for (col, &value) in values.iter().enumerate() {
                to[place(i % TILE, col)] = narrow(value);
            }
        }
    }
    packed
}

/// The nearest 16-bit value, the largest for what is larger.
fn narrow(value: f32) -> Half {
    Half::from_f32(value.clamp(Half::MIN.to_f32(), Half::MAX.to_f32()))
}

/// Where a chunk has an element. Lane g * 4 + q holds columns q * 8 to q * 8 + 7 of rows g and g + 8: pairs of columns, of
/// row g and then of row g + 8; the first half of its columns in the first 512 bytes.
fn place(row: usize, col: usize) -> usize {
    let (lane, pair) = (row % 8 * 4 + col / 8, col % 8 / 2);
    pair / 2 * 256 + lane * 8 + pair % 2 * 4 + row / 8 * 2 + col % 2
}

/// Source row of packed row `i` of a head's queries or keys: a tile holds the first members of eight rotary pairs, then
/// the second ones. `adjacent`: the source keeps the members of a pair next to each other (as GGUF files do), not half
/// a head apart.
pub fn rotary_row(i: usize, dim: usize, adjacent: bool) -> usize {
    let (head, i) = (i / dim, i % dim);
    let (pair, member) = (i / TILE * 8 + i % 8, i % TILE / 8);
    head * dim + if adjacent { pair * 2 + member } else { pair + member * dim / 2 }
}

/// Source of packed row `i` of gate and up: a tile holds eight rows of gate, then the same eight of up.
pub fn gate_up_row(i: usize) -> (bool, usize) {
    (i % TILE >= 8, i / TILE * 8 + i % 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_its_place() {
        let (rows, cols) = (40, 64);
        let packed = pack(rows, cols, |i, out| {
            for (j, x) in out.iter_mut().enumerate() {
                *x = (i * 4 + j / 16) as f32;
            }
        });
        assert_eq!(packed.len(), 48 * cols);
        for i in 0..48 {
            for j in 0..cols {
                let at = i / 16 * 16 * cols + j / 32 * 512 + place(i % 16, j % 32);
                let expected = if i < rows { (i * 4 + j / 16) as f32 } else { 0.0 };
                assert_eq!(packed[at].to_f32(), expected, "row {i} column {j}");
            }
        }
        let mut places: Vec<usize> = (0..16 * 32).map(|i| place(i / 32, i % 32)).collect();
        places.sort_unstable();
        assert!(places.into_iter().eq(0..16 * 32));
    }

    #[test]
    fn pairs_stand_eight_rows_apart() {
        for dim in [64, 128] {
            for adjacent in [false, true] {
                let mut seen: Vec<usize> = (0..2 * dim).map(|i| rotary_row(i, dim, adjacent)).collect();
                for i in (0..2 * dim).filter(|i| i % TILE < 8) {
                    let distance = if adjacent { 1 } else { dim / 2 };
                    assert_eq!(seen[i] + distance, seen[i + 8]);
                }
                seen.sort_unstable();
                assert!(seen.iter().copied().eq(0..2 * dim));
            }
        }
    }

    #[test]
    fn gate_and_up_alternate_by_eight() {
        assert_eq!(gate_up_row(0), (false, 0));
        assert_eq!(gate_up_row(8), (true, 0));
        assert_eq!(gate_up_row(23), (false, 15));
        assert_eq!(gate_up_row(31), (true, 15));
    }
}
