//! Six bits to bytes with NEON.
#![expect(unsafe_code, reason = "loads and stores through pointers whose bounds the caller has checked")]

use std::arch::aarch64::*;

use super::{GROUP, GROUP_BYTES};

/// See [`super::unpack`].
///
/// # Safety
/// `packed` is whole groups and `quads` has room for them.
#[target_feature(enable = "neon")]
pub(super) unsafe fn unpack(packed: &[u8], quads: &mut [u8]) {
    let (low, high) = (vdupq_n_u8(0x0f), vdupq_n_u8(0x30));
    for group in 0..packed.len() / GROUP_BYTES {
        for part in 0..4 {
            // SAFETY: a quarter of a group of each is inside.
            unsafe {
                let from = packed.as_ptr().add(group * GROUP_BYTES + 16 * part);
                let to = quads.as_mut_ptr().add(group * GROUP + 16 * part);
                let (ab, cd, h) = (vld1q_u8(from), vld1q_u8(from.add(64)), vld1q_u8(from.add(128)));
                let join = |l, h| vorrq_u8(vandq_u8(l, low), vandq_u8(h, high));
                vst1q_u8(to, join(ab, vshlq_n_u8::<4>(h)));
                vst1q_u8(to.add(64), join(vshrq_n_u8::<4>(ab), vshlq_n_u8::<2>(h)));
                vst1q_u8(to.add(128), join(cd, h));
                vst1q_u8(to.add(192), join(vshrq_n_u8::<4>(cd), vshrq_n_u8::<2>(h)));
            }
        }
    }
}
