//! Six bits to bytes with AVX-512.
#![expect(unsafe_code, reason = "loads and stores through pointers whose bounds the caller has checked")]

use std::arch::x86_64::*;

use super::{GROUP, GROUP_BYTES};

/// See [`super::unpack`].
///
/// # Safety
/// `packed` is whole groups and `quads` has room for them.
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) unsafe fn unpack(packed: &[u8], quads: &mut [u8]) {
    let (low, high) = (_mm512_set1_epi8(0x0f), _mm512_set1_epi8(0x30));
    for group in 0..packed.len() / GROUP_BYTES {
        // SAFETY: a group of each is inside.
        unsafe {
            let from = packed.as_ptr().add(group * GROUP_BYTES);
            let to = quads.as_mut_ptr().add(group * GROUP);
            let load = |at: usize| _mm512_loadu_si512(from.add(at).cast());
            let (ab, cd, h) = (load(0), load(64), load(128));
            // The second operand's bits where the mask says so, the first's elsewhere; bits above are cleared before.
            let join = |l, h| _mm512_ternarylogic_epi32::<0xf8>(_mm512_and_si512(l, low), h, high);
            let four = [
                join(ab, _mm512_slli_epi16::<4>(h)),
                join(_mm512_srli_epi16::<4>(ab), _mm512_slli_epi16::<2>(h)),
                join(cd, h),
                join(_mm512_srli_epi16::<4>(cd), _mm512_srli_epi16::<2>(h)),
            ];
            for (i, quad) in four.into_iter().enumerate() {
                _mm512_storeu_si512(to.add(64 * i).cast(), quad);
            }
        }
    }
}
