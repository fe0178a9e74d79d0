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

/// `x` rounded to a whole number, ties to even, for magnitudes below 2^15. Branch-free, and without the library's function, which
/// is a call where the instruction is not certain.
#[inline(always)]
pub(crate) fn whole(x: f32) -> i16 {
    (x + 12_582_912.0).to_bits() as i16
}

/// The largest value, minus infinity if there is none, in 16 parts.
#[inline(always)]
pub(crate) fn max(values: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut maxima = [f32::NEG_INFINITY; 16];
    let (parts, rest) = values.as_chunks::<16>();
    for part in parts {
        for (max, &x) in maxima.iter_mut().zip(part) {
            *max = larger(*max, x);
        }
    }
    rest.iter().fold(fold(maxima, larger), |max, &x| larger(max, x))
}

/// Joins the parts of a vector by halves: in order, each would wait for the one before it. They go through memory, or
/// the compiler takes the loop that made them for one over halves as well.
#[inline(always)]
fn fold(parts: [f32; 16], join: impl Fn(f32, f32) -> f32) -> f32 {
    let mut parts = std::hint::black_box(parts);
    for half in [8, 4, 2, 1] {
        for i in 0..half {
            parts[i] = join(parts[i], parts[i + half]);
        }
    }
    parts[0]
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
    fn whole_numbers_are_the_nearest() {
        for i in -33_000..33_000 {
            let x = i as f32 * 0.75;
            assert_eq!(i32::from(whole(x)), x.round_ties_even() as i32, "{x}");
        }
    }

    #[test]
    fn silu_keeps_its_limits() {
        assert_eq!(silu(0.0), 0.0);
        assert_eq!(silu(100.0), 100.0);
        assert!(silu(-200.0).abs() < 1e-30);
        assert!((silu(1.0) - 0.731_058_6).abs() < 1e-6);
    }
}
