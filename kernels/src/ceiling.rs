//! What the processor multiplies at most: loops of a level's multiply instructions on registers, without a load. A yardstick
//! for benches.
#![expect(unsafe_code, reason = "instructions that not every processor has")]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::Machine;
use crate::level::Kind;

/// Rounds of a loop: some 100 microseconds, so that the start of a job does not count.
const ROUNDS: usize = 50_000;

/// Most f32 operations a second on all threads.
pub fn floats(machine: &Machine) -> f64 {
    most(
        machine,
        match machine.level.kind() {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the level proves the instructions.
            Kind::Avx2 | Kind::AvxVnni => || unsafe { x86::floats_avx2() },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the level proves the instructions.
            Kind::Avx512 => || unsafe { x86::floats_avx512() },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: the level proves the instructions.
            Kind::Neon | Kind::I8mm => || unsafe { arm::floats() },
            _ => plain,
        },
    )
}

/// Most operations on bytes a second on all threads.
pub fn bytes(machine: &Machine) -> f64 {
    most(
        machine,
        match machine.level.kind() {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the level proves the instructions.
            Kind::Avx2 => || unsafe { x86::bytes_avx2() },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the level proves the instructions.
            Kind::AvxVnni => || unsafe { x86::bytes_avxvnni() },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the level proves the instructions.
            Kind::Avx512 => || unsafe { x86::bytes_avx512() },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: the level proves the instructions.
            Kind::Neon => || unsafe { arm::bytes_neon() },
            #[cfg(target_arch = "aarch64")]
            // SAFETY: the level proves the instructions.
            Kind::I8mm => || unsafe { arm::bytes_i8mm() },
            _ => plain,
        },
    )
}

/// Operations a second of `run`, which returns how many it made: the best of jobs on all threads.
fn most(machine: &Machine, run: fn() -> usize) -> f64 {
    let started = Instant::now();
    let mut most: f64 = 0.0;
    while started.elapsed() < Duration::from_millis(200) {
        let operations = AtomicUsize::new(0);
        let clock = Instant::now();
        machine.pool.run(machine.pool.threads(), &|_| {
            operations.fetch_add(std::hint::black_box(run()), Ordering::Relaxed);
        });
        most = most.max(operations.into_inner() as f64 / clock.elapsed().as_secs_f64());
    }
    most
}

fn plain() -> usize {
    let mut sums = [1.0f32; 16];
    for _ in 0..ROUNDS {
        for sum in &mut sums {
            *sum = *sum * 0.999 + 0.001;
        }
        std::hint::black_box(&mut sums);
    }
    ROUNDS * 16 * 2
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;
    use std::hint::black_box;

    use super::ROUNDS;

    /// Chains that hide the latency of an instruction.
    const CHAINS: usize = 12;

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn floats_avx2() -> usize {
        let x = black_box(_mm256_set1_ps(0.5));
        let mut sums = [x; CHAINS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = _mm256_fmadd_ps(*sum, x, x);
            }
        }
        black_box(sums);
        ROUNDS * CHAINS * 8 * 2
    }

    #[target_feature(enable = "avx512f")]
    pub(super) fn floats_avx512() -> usize {
        let x = black_box(_mm512_set1_ps(0.5));
        let mut sums = [x; CHAINS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(*sum, x, x);
            }
        }
        black_box(sums);
        ROUNDS * CHAINS * 16 * 2
    }

    /// What a product of bytes takes without dot product instructions: multiply, widen, add.
    #[target_feature(enable = "avx2")]
    pub(super) fn bytes_avx2() -> usize {
        let ones = black_box(_mm256_set1_epi16(1));
        let weights = black_box(_mm256_set1_epi8(3));
        let mut sums = [ones; CHAINS];
        for _ in 0..ROUNDS {
            let x = black_box(weights);
            for sum in &mut sums {
                // Depends on the chain, so that the product is not hoisted out of it.
                let product = _mm256_maddubs_epi16(weights, _mm256_xor_si256(x, *sum));
                *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(product, ones));
            }
        }
        black_box(sums);
        ROUNDS * CHAINS * 32 * 2
    }

    #[target_feature(enable = "avx2,avxvnni")]
    pub(super) fn bytes_avxvnni() -> usize {
        let x = black_box(_mm256_set1_epi8(3));
        let mut sums = [x; CHAINS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = _mm256_dpbusd_avx_epi32(*sum, x, x);
            }
        }
        black_box(sums);
        ROUNDS * CHAINS * 32 * 2
    }

    #[target_feature(enable = "avx512f,avx512vnni")]
    pub(super) fn bytes_avx512() -> usize {
        let x = black_box(_mm512_set1_epi8(3));
        let mut sums = [x; CHAINS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = _mm512_dpbusd_epi32(*sum, x, x);
            }
        }
        black_box(sums);
        ROUNDS * CHAINS * 64 * 2
    }
}

#[cfg(target_arch = "aarch64")]
mod arm {
    use std::arch::aarch64::*;
    use std::hint::black_box;

    use super::ROUNDS;
    use crate::dot::i8mm::smmla;
    use crate::dot::neon::sdot;

    /// Chains that hide the latency of an instruction.
    const CHAINS: usize = 16;

    #[target_feature(enable = "neon")]
    pub(super) fn floats() -> usize {
        let x = black_box(vdupq_n_f32(0.5));
        let mut sums = [x; CHAINS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = vfmaq_f32(x, *sum, x);
            }
        }
        black_box(sums);
        ROUNDS * CHAINS * 4 * 2
    }

    #[target_feature(enable = "neon,dotprod")]
    pub(super) fn bytes_neon() -> usize {
        let x = black_box(vdupq_n_s8(3));
        let mut sums = [vdupq_n_s32(0); CHAINS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = sdot(*sum, x, x);
            }
        }
        black_box(sums);
        ROUNDS * CHAINS * 16 * 2
    }

    #[target_feature(enable = "neon,i8mm")]
    pub(super) fn bytes_i8mm() -> usize {
        let x = black_box(vdupq_n_s8(3));
        let mut sums = [vdupq_n_s32(0); CHAINS];
        for _ in 0..ROUNDS {
            for sum in &mut sums {
                *sum = smmla(*sum, x, x);
            }
        }
        black_box(sums);
        ROUNDS * CHAINS * 32 * 2
    }
}
