//! Memory that is read next, asked for while something else is computed.
//!
//! A few lines at a time: a processor has some ten or twenty requests under way, and when more are made at once they
//! wait for each other, and what is computed waits behind them.

/// Lines to ask for, the same number with each step of a loop.
#[derive(Clone, Copy)]
#[cfg_attr(
    not(target_arch = "x86_64"),
    expect(dead_code, reason = "other processors fetch ahead well enough")
)]
pub(crate) struct Ahead {
    start: *const u8,
    lines: usize,
    per_step: usize,
}

/// Bytes of a cache line.
const LINE: usize = 64;

impl Ahead {
    /// All of `bytes` within `steps` steps.
    pub(crate) fn new(bytes: &[u8], steps: usize) -> Ahead {
        let lines = bytes.len().div_ceil(LINE);
        Ahead { start: bytes.as_ptr(), lines, per_step: lines.div_ceil(steps.max(1)) }
    }

    /// Asks for the lines of step `step`.
    #[inline(always)]
    pub(crate) fn fetch(&self, step: usize) {
        #[cfg(target_arch = "x86_64")]
        for line in self.per_step * step..self.lines.min(self.per_step * (step + 1)) {
            #[expect(unsafe_code, reason = "a hint to the processor")]
            // SAFETY: a prefetch reads nothing that a program could see, and every x86-64 processor has it.
            unsafe {
                use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
                _mm_prefetch::<_MM_HINT_T1>(self.start.wrapping_add(LINE * line).cast());
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _ = step;
    }
}
