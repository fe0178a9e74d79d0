//! Which cases of a set are asked.

use super::cases::Case;

/// At most `limit` cases: at even distances, or, with a seed, drawn at random. A larger draw with the same seed holds the
/// smaller one, so that a run can be extended.
pub(crate) fn select(cases: Vec<Case>, limit: Option<usize>, seed: Option<u64>) -> Vec<Case> {
    let n = cases.len();
    let kept = limit.unwrap_or(n).min(n);
    let mut picked: Vec<usize> = match seed {
        Some(seed) => {
            let mut order: Vec<usize> = (0..n).collect();
            order.sort_by_key(|&i| (rank(seed, &cases[i].id), i));
            order.truncate(kept);
            order
        }
        None => (0..kept).map(|i| i * n / kept.max(1)).collect(),
    };
    picked.sort_unstable();
    let mut picked = picked.into_iter().peekable();
    let keep = |(i, case)| picked.next_if_eq(&i).map(|_| case);
    cases.into_iter().enumerate().filter_map(keep).collect()
}

/// A number that looks random and depends on seed and id alone: the same on every machine, whatever else is in the set.
fn rank(seed: u64, id: &str) -> u64 {
    // FNV-1a, then the finaliser of SplitMix64, which spreads neighbouring ids.
    let hash = id.bytes().fold(0xcbf2_9ce4_8422_2325, |hash: u64, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    let mut z = hash ^ seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picked(limit: usize, seed: Option<u64>) -> Vec<String> {
        let cases = (0..100).map(|n| Case { id: format!("case-{n:03}"), ..Case::default() }).collect();
        select(cases, Some(limit), seed).into_iter().map(|case| case.id).collect()
    }

    #[test]
    fn cases_are_spread_or_drawn() {
        assert_eq!(picked(4, None), ["case-000", "case-025", "case-050", "case-075"]);
        assert_eq!(picked(1000, None).len(), 100);
        let (small, large, other) = (picked(10, Some(1)), picked(30, Some(1)), picked(10, Some(2)));
        assert!(small.iter().all(|id| large.contains(id)) && large.len() == 30);
        assert_ne!(small, other);
        // A draw, not a stretch of the set.
        let low = large.iter().filter(|id| id.as_str() < "case-050").count();
        assert!((8..=22).contains(&low), "{large:?}");
    }
}
