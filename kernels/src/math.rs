//! Elementary functions that the compiler can vectorise.

/// `exp(x)` within 3e-7 of the result; what is below -87 counts as -87. Branch-free, so that a loop over it becomes
/// vectors.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    // Adding 1.5 · 2^23 leaves the rounded integer in the last bits of the sum.
    const ROUND: f32 = 12_582_912.0;
    let clamped = x.clamp(-87.0, 88.0);
    let sum = clamped.mul_add(std::f32::consts::LOG2_E, ROUND);
    let n = sum - ROUND;
    // ln 2 in two parts, the first exact in few bits, so that the remainder keeps its last ones.
    let r = n.mul_add(-0.693_359_4, clamped);
    let r = n.mul_add(2.121_944_4e-4, r);
    let p = 1.987_569_1e-4_f32;
    let p = p.mul_add(r, 1.398_2e-3);
    let p = p.mul_add(r, 8.333_452e-3);
    let p = p.mul_add(r, 4.166_579_6e-2);
    let p = p.mul_add(r, 1.666_666_6e-1);
    let p = p.mul_add(r, 0.5);
    let p = (p * r).mul_add(r, r) + 1.0;
    let scale = f32::from_bits((sum.to_bits() << 23).wrapping_add(127 << 23));
    p * scale
}

/// `x / (1 + exp(-x))`.
#[inline(always)]
pub(crate) fn silu(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

/// The sum in 16 parts, so that it becomes vectors.
#[inline(always)]
pub(crate) fn sum(values: &[f32]) -> f32 {
    let mut sums = [0.0f32; 16];
    let mut parts = values.chunks_exact(16);
    for part in &mut parts {
        for (sum, x) in sums.iter_mut().zip(part) {
            *sum += x;
        }
    }
    sums.iter().chain(parts.remainder()).sum()
}

/// The largest value, minus infinity if there is none, in 16 parts.
#[inline(always)]
pub(crate) fn max(values: &[f32]) -> f32 {
    let mut maxima = [f32::NEG_INFINITY; 16];
    let mut parts = values.chunks_exact(16);
    for part in &mut parts {
        for (max, &x) in maxima.iter_mut().zip(part) {
            *max = if x > *max { x } else { *max };
        }
    }
    maxima.iter().chain(parts.remainder()).fold(f32::NEG_INFINITY, |m, &x| if x > m { x } else { m })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_is_close_to_the_exact_one() {
        for i in -8800..=8800 {
            let x = i as f32 * 0.01;
            let want = f64::from(x.max(-87.0)).exp();
            let got = f64::from(exp(x));
            assert!((got - want).abs() <= 3e-7 * want, "exp({x}) = {got}, not {want}");
        }
        assert!(exp(f32::NEG_INFINITY) < 2e-38);
    }

    #[test]
    fn silu_keeps_its_limits() {
        assert_eq!(silu(0.0), 0.0);
        assert_eq!(silu(100.0), 100.0);
        assert!(silu(-200.0).abs() < 1e-30);
        assert!((silu(1.0) - 0.731_058_6).abs() < 1e-6);
    }
}
