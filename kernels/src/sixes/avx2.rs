//! Six bits to bytes with AVX2.
#![expect(unsafe_code, reason = "loads and stores through pointers whose bounds the caller has checked")]

use std::arch::x86_64::*;

use super::{GROUP, GROUP_BYTES};

/// See [`super::unpack`].
///
/// # Safety
/// `packed` is whole groups and `quads` has room for them.
#[target_feature(enable = "avx2")]
pub(super) unsafe fn unpack(packed: &[u8], quads: &mut [u8]) {
    let (low, high) = (_mm256_set1_epi8(0x0f), _mm256_set1_epi8(0x30));
    for group in 0..packed.len() / GROUP_BYTES {
        for half in 0..2 {
            // SAFETY: half a group of each is inside.
            unsafe {
                let from = packed.as_ptr().add(group * GROUP_BYTES + 32 * half);
                let to = quads.as_mut_ptr().add(group * GROUP + 32 * half);
                let load = |at: usize| _mm256_loadu_si256(from.add(at).cast());
                let (ab, cd, h) = (load(0), load(64), load(128));
                let join = |l, h| _mm256_or_si256(_mm256_and_si256(l, low), _mm256_and_si256(h, high));
                let four = [
                    join(ab, _mm256_slli_epi16::<4>(h)),
                    join(_mm256_srli_epi16::<4>(ab), _mm256_slli_epi16::<2>(h)),
                    join(cd, h),
                    join(_mm256_srli_epi16::<4>(cd), _mm256_srli_epi16::<2>(h)),
                ];
                for (i, quad) in four.into_iter().enumerate() {
                    _mm256_storeu_si256(to.add(64 * i).cast(), quad);
                }
            }
        }
    }
}
