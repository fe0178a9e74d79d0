//! Weights in six bits: packing for memory, unpacking for a product.
//!
//! A block of a tile is 32 inputs of 16 outputs, 8 quads of 64 weights `[16][4]`, each weight 0 to 63 with its zero at 32.
//! Four quads are packed into 192 bytes: the low four bits of the first two (the second in the upper half of a byte), those of the
//! other two, and the high two bits of all four. Unpacking is a few shifts and masks of whole vectors, done once for
//! all rows of a product.

use crate::level::{Kind, Level};
use crate::matrix::{BLOCK, TILE};

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "aarch64")]
mod neon;

/// What stands for 0.
pub(crate) const ZERO: i32 = 32;
/// Bytes of a packed block of a tile.
pub(crate) const BLOCK_BYTES: usize = BLOCK * TILE * 6 / 8;

/// Weights of four quads.
const GROUP: usize = 4 * 4 * TILE;
/// Bytes of four packed quads.
const GROUP_BYTES: usize = GROUP * 6 / 8;

/// Packs the quads of a block, `[8][16][4]` weights of -32..=31.
pub(crate) fn pack(quads: &[i8; BLOCK * TILE], packed: &mut [u8]) {
    for (quads, packed) in quads.chunks_exact(GROUP).zip(packed.chunks_exact_mut(GROUP_BYTES)) {
        let weight = |quad: usize, i: usize| (i32::from(quads[quad * 64 + i]) + ZERO) as u8;
        for i in 0..64 {
            let [a, b, c, d] = [0, 1, 2, 3].map(|quad| weight(quad, i));
            packed[i] = a & 15 | b << 4;
            packed[64 + i] = c & 15 | d << 4;
            packed[128 + i] = a >> 4 | b >> 4 << 2 | c >> 4 << 4 | d >> 4 << 6;
        }
    }
}

/// One weight of packed blocks.
pub(crate) fn get(packed: &[u8], input: usize, lane: usize) -> i8 {
    let group = &packed[input / 16 * GROUP_BYTES..][..GROUP_BYTES];
    let (quad, i) = (input / 4 % 4, lane * 4 + input % 4);
    let low = group[quad / 2 * 64 + i] >> (quad % 2 * 4) & 15;
    let high = group[128 + i] >> (quad * 2) & 3;
    (i32::from(low | high << 4) - ZERO) as i8
}

/// Unpacks blocks of a tile to quads of bytes 0 to 63.
pub(crate) fn unpack(level: Level, packed: &[u8], quads: &mut [u8]) {
    assert!(packed.len().is_multiple_of(GROUP_BYTES), "a group is not whole");
    assert!(quads.len() >= packed.len() / GROUP_BYTES * GROUP, "the quads do not fit");
    match level.kind() {
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "instructions that not every processor has")]
        // SAFETY: the level proves the instructions, the assertions the lengths.
        Kind::Avx2 | Kind::AvxVnni => unsafe { avx2::unpack(packed, quads) },
        #[cfg(target_arch = "x86_64")]
        #[expect(unsafe_code, reason = "instructions that not every processor has")]
        // SAFETY: the level proves the instructions, the assertions the lengths.
        Kind::Avx512 => unsafe { avx512::unpack(packed, quads) },
        #[cfg(target_arch = "aarch64")]
        #[expect(unsafe_code, reason = "instructions that not every processor has")]
        // SAFETY: the level proves the instructions, the assertions the lengths.
        Kind::Neon => unsafe { neon::unpack(packed, quads) },
        _ => {
            for (packed, quads) in packed.chunks_exact(GROUP_BYTES).zip(quads.chunks_exact_mut(GROUP)) {
                for i in 0..64 {
                    let (ab, cd, high) = (packed[i], packed[64 + i], packed[128 + i]);
                    quads[i] = ab & 15 | (high & 3) << 4;
                    quads[64 + i] = ab >> 4 | (high >> 2 & 3) << 4;
                    quads[128 + i] = cd & 15 | (high >> 4 & 3) << 4;
                    quads[192 + i] = cd >> 4 | (high >> 6) << 4;
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn painted() -> [i8; BLOCK * TILE] {
        std::array::from_fn(|i| ((i * 37 + i / 64 * 5) % 64) as i8 - 32)
    }

    #[test]
    fn what_is_packed_unpacks_at_every_level() {
        let quads = painted();
        let mut packed = [0; 3 * BLOCK_BYTES];
        for block in packed.chunks_exact_mut(BLOCK_BYTES) {
            pack(&quads, block);
        }
        for level in Level::available() {
            let mut out = vec![0xee; 3 * BLOCK * TILE + 64];
            unpack(level, &packed, &mut out);
            for (i, &got) in out[..3 * BLOCK * TILE].iter().enumerate() {
                assert_eq!(i32::from(got) - ZERO, i32::from(quads[i % quads.len()]), "{level} at {i}");
            }
            assert!(out[3 * BLOCK * TILE..].iter().all(|&b| b == 0xee), "{level} wrote beyond the end");
        }
        for input in 0..BLOCK {
            for lane in 0..TILE {
                assert_eq!(get(&packed, input, lane), quads[input / 4 * 64 + lane * 4 + input % 4]);
            }
        }
    }
}
