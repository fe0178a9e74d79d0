//! The sampler against a naive definition of greedy and nucleus sampling.

use cinnabar_engine::Sampling;
use cinnabar_engine::sampler::Sampler;
use proptest::prelude::*;

const BANNED: u32 = 2;

fn sampler(temperature: f32, top_p: f32, seed: u64) -> Sampler {
    Sampler { sampling: Sampling { temperature, top_p, seed }, banned: BANNED }
}

/// Softmax of `logits / temperature` in f64, without the banned token.
fn softmax(logits: &[f32], temperature: f64) -> Vec<f64> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let mut p: Vec<f64> = logits.iter().map(|&x| (f64::from(x - max) / temperature).exp()).collect();
    p[BANNED as usize] = 0.0;
    let sum: f64 = p.iter().sum();
    p.iter().map(|x| x / sum).collect()
}

proptest! {
    #[test]
    fn greedy_takes_the_first_most_probable(logits in prop::collection::vec(-9f32..9.0, 4..60)) {
        let p = softmax(&logits, 1.0);
        let pick = sampler(0.0, 1.0, 0).pick(&logits, 5);
        let best = (0..p.len()).fold(0, |best, id| if p[id] > p[best] { id } else { best });
        prop_assert_eq!(pick.token as usize, best);
        prop_assert!((f64::from(pick.probability) - p[best]).abs() < 1e-5);
    }

    /// A drawn token is never banned, lies in the nucleus, and carries its probability at temperature 1.
    #[test]
    fn draws_stay_in_the_nucleus(
        logits in prop::collection::vec(-9f32..9.0, 4..60),
        temperature in 0.1f32..3.0,
        top_p in 0.05f32..1.0,
        seed: u64,
        position in 0usize..2000,
    ) {
        let sampler = sampler(temperature, top_p, seed);
        let pick = sampler.pick(&logits, position);
        prop_assert_eq!(pick, sampler.pick(&logits, position));
        prop_assert_ne!(pick.token, BANNED);
        let hot = softmax(&logits, temperature.into());
        let likelier: f64 = hot.iter().filter(|&&p| p > hot[pick.token as usize]).sum();
        prop_assert!(likelier < f64::from(top_p) + 1e-4, "{} of the mass is likelier than the pick", likelier);
        let cold = softmax(&logits, 1.0)[pick.token as usize];
        prop_assert!((f64::from(pick.probability) - cold).abs() < 1e-5);
    }
}

proptest! {
    /// What is not allowed might as well be impossible; the order of what is does not matter.
    #[test]
    fn a_choice_among_some_is_one_where_the_others_are_impossible(
        logits in prop::collection::vec(-9f32..9.0, 4..60),
        allowed in prop::collection::vec(any::<prop::sample::Index>(), 1..20),
        temperature in prop_oneof![Just(0f32), 0.1f32..3.0],
        seed: u64,
    ) {
        let mut ids: Vec<u32> = allowed.iter().map(|index| index.index(logits.len()) as u32).collect();
        ids.sort_unstable();
        ids.dedup();
        ids.retain(|&id| id != BANNED);
        prop_assume!(!ids.is_empty());
        let sampler = sampler(temperature, 0.9, seed);
        let among = |id: usize| ids.contains(&(id as u32));
        let possible: Vec<f32> =
            logits.iter().enumerate().map(|(id, &x)| if among(id) { x } else { f32::NEG_INFINITY }).collect();
        let expected = sampler.pick(&possible, 3);
        ids.reverse();
        let got = sampler.pick_among(&logits, &ids, 3);
        prop_assert_eq!(got.token, expected.token);
        prop_assert!((got.probability - expected.probability).abs() < 1e-6);
    }
}

/// Frequencies over many positions follow the distribution.
#[test]
fn draws_follow_the_distribution() {
    let logits = [1.0, 0.0, 5.0, -1.0, 0.5];
    let p = softmax(&logits, 0.7);
    let sampler = sampler(0.7, 1.0, 11);
    let n = 20_000;
    let mut counts = [0usize; 5];
    for position in 0..n {
        counts[sampler.pick(&logits, position).token as usize] += 1;
    }
    for (count, p) in counts.iter().zip(p) {
        // Five standard deviations of a binomial.
        let bound = 5.0 * (p * (1.0 - p) * n as f64).sqrt() + 1e-9;
        assert!((*count as f64 - p * n as f64).abs() <= bound, "{counts:?}");
    }
}
