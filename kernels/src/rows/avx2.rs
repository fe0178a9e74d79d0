//! Rounding a block to bytes with AVX2.
#![expect(unsafe_code, reason = "loads and stores through pointers whose bounds the types give")]

use std::arch::x86_64::*;

use super::{BLOCK, steps};

/// The block's bytes, its largest magnitude and the sum of its bytes. See [`super::quantise`].
#[target_feature(enable = "avx2")]
pub(super) fn quantise(values: &[f32; BLOCK], quants: &mut [i8; BLOCK]) -> (f32, i32) {
    // SAFETY: four vectors of eight values are inside.
    let parts = [0, 8, 16, 24].map(|i| unsafe { _mm256_loadu_ps(values.as_ptr().add(i)) });
    let magnitude = |x| _mm256_andnot_ps(_mm256_set1_ps(-0.0), x);
    let larger = |i: usize| _mm256_max_ps(magnitude(parts[i]), magnitude(parts[i + 1]));
    let max = _mm256_max_ps(larger(0), larger(2));
    let max = _mm_max_ps(_mm256_castps256_ps128(max), _mm256_extractf128_ps::<1>(max));
    let max = _mm_max_ps(max, _mm_movehl_ps(max, max));
    let max = _mm_cvtss_f32(_mm_max_ss(max, _mm_movehdup_ps(max)));
    let (max, steps) = steps(max);
    let whole = parts.map(|x| _mm256_cvtps_epi32(_mm256_mul_ps(x, _mm256_set1_ps(steps))));
    let bytes =
        _mm256_packs_epi16(_mm256_packs_epi32(whole[0], whole[1]), _mm256_packs_epi32(whole[2], whole[3]));
    // Packing interleaves the halves of its operands: put fours of bytes back into their order.
    let bytes = _mm256_permutevar8x32_epi32(bytes, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
    // SAFETY: 32 bytes are inside.
    unsafe { _mm256_storeu_si256(quants.as_mut_ptr().cast(), bytes) };
    let pairs = _mm256_maddubs_epi16(_mm256_set1_epi8(1), bytes);
    let sums = _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
    let sums = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256::<1>(sums));
    let sums = _mm_add_epi32(sums, _mm_shuffle_epi32::<0b01_00_11_10>(sums));
    let sum = _mm_cvtsi128_si32(_mm_add_epi32(sums, _mm_shuffle_epi32::<0b10_11_00_01>(sums)));
    (max, sum)
}
