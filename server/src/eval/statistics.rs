//! What can be said of a share or a mean that was seen in so many cases.

/// Wilson's 95 % interval of a share of `n` (Wilson 1927).
pub(super) fn interval(hits: usize, n: usize) -> (f64, f64) {
    if n == 0 {
        return (0.0, 1.0);
    }
    let (z, n, p) = (1.96f64, n as f64, hits as f64 / n as f64);
    let centre = p + z * z / (2.0 * n);
    let spread = z * (p * (1.0 - p) / n + z * z / (4.0 * n * n)).sqrt();
    let scale = 1.0 + z * z / n;
    (((centre - spread) / scale).max(0.0), ((centre + spread) / scale).min(1.0))
}

/// Mean and its 95 % interval, by the normal approximation.
pub(super) fn mean_interval(values: &[f64]) -> (f64, f64, f64) {
    let n = values.len().max(1) as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (n - 1.0).max(1.0);
    let spread = 1.96 * (variance / n).sqrt();
    (mean, mean - spread, mean + spread)
}

/// The value below which `share` of the values lie; 0 of none.
pub(super) fn percentile(values: &[f64], share: f64) -> f64 {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let at = (share * values.len() as f64).ceil() as usize;
    values.get(at.saturating_sub(1)).copied().unwrap_or_default()
}

/// Probability that a fair coin splits `won + lost` throws at least as unevenly: the exact sign test, two-sided.
pub(super) fn sign_test(won: usize, lost: usize) -> f64 {
    let n = won + lost;
    // Binomial coefficients in logarithms: they leave the range of a float at a thousand throws.
    let mut ln_choose = 0.0;
    let mut tail = 0.0;
    for k in 0..=won.min(lost) {
        if k > 0 {
            ln_choose += ((n - k + 1) as f64 / k as f64).ln();
        }
        tail += (ln_choose - n as f64 * std::f64::consts::LN_2).exp();
    }
    (2.0 * tail).min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_hold_the_share() {
        // Values of Wilson's formula for 13 of 250 and the two ends.
        let (low, high) = interval(33, 250);
        assert!((low - 0.0956).abs() < 1e-3 && (high - 0.1795).abs() < 1e-3, "{low} {high}");
        assert!(interval(0, 20).0 == 0.0 && interval(0, 20).1 > 0.1);
        assert!((interval(20, 20).1 - 1.0).abs() < 1e-9);
        assert_eq!(interval(0, 0), (0.0, 1.0));
    }

    #[test]
    fn means_and_percentiles() {
        let (mean, low, high) = mean_interval(&[1.0, 2.0, 3.0, 4.0]);
        assert!((mean - 2.5).abs() < 1e-9 && (high - mean - 1.2652).abs() < 1e-3, "{low} {high}");
        assert_eq!(mean_interval(&[0.5]), (0.5, 0.5, 0.5));
        let values: Vec<f64> = (1..=20).rev().map(f64::from).collect();
        assert_eq!((percentile(&values, 0.5), percentile(&values, 0.95)), (10.0, 19.0));
        assert_eq!((percentile(&[7.0], 0.95), percentile(&[], 0.5)), (7.0, 0.0));
    }

    /// Against values counted by hand: 2 * (1 + 6) / 64, and 44 of 65 as binomial tables have it.
    #[test]
    fn the_sign_test_is_exact() {
        let cases = [(0, 0, 1.0), (5, 5, 1.0), (5, 1, 14.0 / 64.0), (1, 5, 14.0 / 64.0), (44, 21, 0.00593)];
        for (won, lost, p) in cases {
            assert!((sign_test(won, lost) - p).abs() < 1e-4, "{won} {lost}: {}", sign_test(won, lost));
        }
        assert!(sign_test(2000, 1000) < 1e-60);
    }
}
