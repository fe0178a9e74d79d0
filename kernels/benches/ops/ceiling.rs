//! What the processor multiplies at most: loops on registers.
#![expect(unsafe_code, reason = "instructions that not every processor has")]

use std::time::{Duration, Instant};

use cinnabar_kernels::Machine;

/// Rounds of a loop: some 20 microseconds.
const ROUNDS: usize = 10_000;

/// Most f32 operations a second, in thousands of millions, on all threads.
pub(crate) fn floats(machine: &Machine) -> f64 {
    most(
        machine,
        match machine.level.name() {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the level proves the instructions.
            "avx2" | "avxvnni" => || unsafe { x86::floats_avx2() },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the level proves the instructions.
            "avx512vnni" => || unsafe { x86::floats_avx512() },
            _ => plain,
        },
    )
}

/// Most operations on bytes a second, in thousands of millions, on all threads.
pub(crate) fn bytes(machine: &Machine) -> f64 {
    most(
        machine,
        match machine.level.name() {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the level proves the instructions.
            "avx2" => || unsafe { x86::bytes_avx2() },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the level proves the instructions.
            "avxvnni" => || unsafe { x86::bytes_avxvnni() },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the level proves the instructions.
            "avx512vnni" => || unsafe { x86::bytes_avx512() },
            _ => plain,
        },
    )
}

/// Operations a second of `run`, which returns how many it made: the best of runs on all threads at once.
fn most(machine: &Machine, run: fn() -> usize) -> f64 {
    let threads = machine.pool.threads();
    let clock = Instant::now();
    let mut most: f64 = 0.0;
    while clock.elapsed() < Duration::from_millis(300) {
        let clock = Instant::now();
        let operations = std::hint::black_box(run());
        most = most.max(operations as f64 / clock.elapsed().as_secs_f64());
    }
    most * threads as f64 / 1e9
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
