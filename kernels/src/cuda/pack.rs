//! Weights in the order in which the tensor cores take them (`cuda/common.cuh`, `mma_chunk`).
//!
//! A matrix (rows, cols) becomes tiles of 16 rows, each tile its chunks of 32 columns, each chunk 1 KiB of 16-bit values: two
//! times 32 lanes with 16 bytes each; of 8-bit values, once. Rows past the end are zero.

use std::fmt;
use std::str::FromStr;

use super::Half;

/// Columns of a chunk.
pub const CHUNK: usize = 32;
/// Rows of a tile.
pub const TILE: usize = 16;

/// How weights are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// 16 bits each.
    #[default]
    Half,
    /// 8 bits each, 4 of exponent and 3 of mantissa (e4m3), and a scale for each row.
    Fp8,
}

impl fmt::Display for Format {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Format::Half => "16bit",
            Format::Fp8 => "fp8",
        })
    }
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "16bit" => Ok(Format::Half),
            "fp8" => Ok(Format::Fp8),
            _ => Err(format!("unknown kind of weights {text:?}; use 16bit or fp8")),
        }
    }
}

impl Format {
    /// Bytes of a weight.
    pub fn bytes(self) -> usize {
        match self {
            Format::Half => 2,
            Format::Fp8 => 1,
        }
    }
}

/// A matrix (rows, cols) in the kernels' order.
pub struct Packed {
    pub(super) format: Format,
    pub(super) rows: usize,
    pub(super) cols: usize,
    pub(super) bytes: Vec<u8>,
    /// Of whole tiles, with [`Format::Fp8`].
    pub(super) scales: Vec<f32>,
}

/// Packs the rows that `row` yields: `row(i, out)` writes row i of the packed order (cols) into `out`.
pub fn pack(format: Format, rows: usize, cols: usize, mut row: impl FnMut(usize, &mut [f32])) -> Packed {
    assert!(cols.is_multiple_of(CHUNK), "columns must be a multiple of {CHUNK}");
    let padded = rows.next_multiple_of(TILE);
    let mut bytes = vec![0; padded * cols * format.bytes()];
    let mut scales = if format == Format::Fp8 { vec![1.0; padded] } else { Vec::new() };
    let mut values = vec![0.0; cols];
    for i in 0..rows {
        row(i, &mut values);
        if format == Format::Fp8 {
            let largest = values.iter().fold(0.0f32, |most, x| most.max(x.abs()));
            scales[i] = if largest > 0.0 { largest / E4M3_MAX } else { 1.0 };
        }
        for (col, &value) in values.iter().enumerate() {
            let at = place(format, cols, i, col);
            match format {
                Format::Half => bytes[at..at + 2].copy_from_slice(&narrow(value).to_le_bytes()),
                Format::Fp8 => bytes[at] = e4m3(value / scales[i]),
            }
        }
    }
    Packed { format, rows, cols, bytes, scales }
}

impl Packed {
    /// What a weight of a packed row is worth, as it is kept.
    pub fn value(&self, row: usize, col: usize) -> f32 {
        let at = place(self.format, self.cols, row, col);
        match self.format {
            Format::Half => Half::from_le_bytes([self.bytes[at], self.bytes[at + 1]]).to_f32(),
            Format::Fp8 => from_e4m3(self.bytes[at]) * self.scales[row],
        }
    }
}

/// The nearest 16-bit value, the largest for what is larger.
fn narrow(value: f32) -> Half {
    Half::from_f32(value.clamp(Half::MIN.to_f32(), Half::MAX.to_f32()))
}

const E4M3_MAX: f32 = 448.0;

/// The nearest e4m3 value, the largest for what is larger.
fn e4m3(value: f32) -> u8 {
    let sign = u8::from(value.is_sign_negative()) << 7;
    let size = value.abs().min(E4M3_MAX);
    // The smallest normal value is 1/64; below, steps are 1/512.
    if size < 1.0 / 64.0 {
        return sign | (size * 512.0).round_ties_even() as u8;
    }
    // 3 of 23 bits of mantissa stay, an even one in the middle; an overflow goes where it belongs, into the exponent.
    let bits = size.to_bits();
    let rounded = (bits + 0x7_ffff + (bits >> 20 & 1)) >> 20;
    sign | (rounded - ((127 - 7) << 3)) as u8
}

fn from_e4m3(code: u8) -> f32 {
    // The same bits under a wider exponent, whose offset is 8 more.
    let bits = u16::from(code & 0x80) << 8 | u16::from(code & 0x7f) << 7;
    Half::from_bits(bits).to_f32() * 256.0
}

/// The byte at which a weight begins. Lane g * 4 + q holds columns q * 8 to q * 8 + 7 of rows g and g + 8 of a chunk:
/// pairs of columns, of row g and then of row g + 8; of 16 bits, the first half of its columns in the first 512 bytes.
fn place(format: Format, cols: usize, row: usize, col: usize) -> usize {
    let chunk = row / TILE * TILE * cols + col / CHUNK * TILE * CHUNK;
    let (row, col) = (row % TILE, col % CHUNK);
    let (lane, pair, of_pair) = (row % 8 * 4 + col / 8, col % 8 / 2, row / 8 * 2 + col % 2);
    match format {
        Format::Half => (chunk + pair / 2 * 256 + lane * 8 + pair % 2 * 4 + of_pair) * 2,
        Format::Fp8 => chunk + lane * 16 + pair * 4 + of_pair,
    }
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
        let value = |i: usize, j: usize| (i * 4 + j / 16) as f32;
        for format in [Format::Half, Format::Fp8] {
            let packed = pack(format, rows, cols, |i, out| {
                out.iter_mut().enumerate().for_each(|(j, x)| *x = value(i, j));
            });
            assert_eq!(packed.bytes.len(), 48 * cols * format.bytes());
            for (i, j) in (0..48 * cols).map(|at| (at / cols, at % cols)) {
                let (got, expected) = (packed.value(i, j), if i < rows { value(i, j) } else { 0.0 });
                let close = if format == Format::Half { 0.0 } else { expected / 16.0 };
                assert!(
                    (got - expected).abs() <= close,
                    "{format}: row {i} column {j}: {got} for {expected}"
                );
            }
            let mut places: Vec<usize> =
                (0..48 * cols).map(|at| place(format, cols, at / cols, at % cols)).collect();
            places.sort_unstable();
            assert!(places.into_iter().eq((0..48 * cols).map(|at| at * format.bytes())));
        }
    }

    #[test]
    fn eight_bits_hold_the_nearest_value() {
        let finite = || (0..=0x7e_u8).chain(0x80..=0xfe);
        for code in finite().filter(|&code| code != 0x80) {
            assert_eq!(e4m3(from_e4m3(code)), code);
        }
        assert_eq!((from_e4m3(0x7e), from_e4m3(1), from_e4m3(8)), (448.0, 1.0 / 512.0, 1.0 / 64.0));
        for i in -5000..5000 {
            let x = (i as f32 / 700.0).powi(3) + i as f32 / 9000.0;
            let nearest = finite().map(|c| (from_e4m3(c) - x).abs()).fold(f32::INFINITY, f32::min);
            assert_eq!((from_e4m3(e4m3(x)) - x).abs(), nearest, "{x}");
        }
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
