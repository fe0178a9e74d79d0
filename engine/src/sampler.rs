//! From a row of logits to a token, greedy or seeded.

use crate::request::Sampling;

/// A token chosen for a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pick {
    /// Token id.
    pub token: u32,
    /// Its probability in the row's distribution at temperature 1, without the banned token.
    pub probability: f32,
}

/// Chooses a token per row. The draw of a row depends on the seed and the row's position alone, so a drafted and
/// a verified row of one position draw the same number, and `verified` equals `causal` when sampling as well.
#[derive(Debug, Clone, Copy)]
pub struct Sampler {
    /// Temperature, top-p and seed.
    pub sampling: Sampling,
    /// Never chosen and left out of the distribution: the mask token.
    pub banned: u32,
}

impl Sampler {
    /// True when the token is the argmax, so that a head may keep a running maximum and no logits.
    pub fn is_greedy(&self) -> bool {
        self.sampling.temperature <= 0.0
    }

    /// Chooses from `logits` (vocabulary) for the row at `position`.
    pub fn pick(&self, logits: &[f32], position: usize) -> Pick {
        let (mut token, mut max) = (0, f32::NEG_INFINITY);
        for (id, &x) in logits.iter().enumerate() {
            if x > max && id as u32 != self.banned {
                (token, max) = (id as u32, x);
            }
        }
        // The banned logit is left out, not subtracted: it may be by far the largest.
        let mass = |logits: &[f32]| logits.iter().map(|&x| (x - max).exp()).sum::<f32>();
        let banned = (self.banned as usize).min(logits.len());
        let sum = mass(&logits[..banned]) + mass(logits.get(banned + 1..).unwrap_or_default());
        if self.is_greedy() {
            return Pick { token, probability: 1.0 / sum };
        }
        let token = self.draw(logits, max, position);
        Pick { token, probability: (logits[token as usize] - max).exp() / sum }
    }

    /// Draws from the smallest set of most probable tokens whose mass reaches `top_p`.
    fn draw(&self, logits: &[f32], max: f32, position: usize) -> u32 {
        let heat = |x: f32| ((x - max) / self.sampling.temperature).exp();
        // What lies 20 below the maximum after heating (2e-9 of it) never changes a draw that a person could notice.
        let floor = max - 20.0 * self.sampling.temperature;
        let mut kept: Vec<(f32, u32)> = logits
            .iter()
            .enumerate()
            .filter(|&(id, &x)| x >= floor && id as u32 != self.banned)
            .map(|(id, &x)| (heat(x), id as u32))
            .collect();
        kept.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let total: f32 = kept.iter().map(|k| k.0).sum();
        let mut mass = 0.0;
        let nucleus = kept
            .iter()
            .position(|k| {
                mass += k.0;
                mass >= self.sampling.top_p * total
            })
            .map_or(kept.len(), |i| i + 1);
        kept.truncate(nucleus);
        let total: f32 = kept.iter().map(|k| k.0).sum();
        let mut left = self.uniform(position) * total;
        for &(weight, id) in &kept {
            left -= weight;
            if left < 0.0 {
                return id;
            }
        }
        kept.last().map_or(0, |k| k.1)
    }

    /// A number in [0, 1) that depends on seed and position alone.
    fn uniform(&self, position: usize) -> f32 {
        let key = self.sampling.seed ^ (position as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        fastrand::Rng::with_seed(key).f32()
    }
}
