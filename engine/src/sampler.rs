//! From a row of logits to a token, greedy or seeded.

use std::sync::LazyLock;

use cinnabar_kernels::Level;
use cinnabar_kernels::head::{self, Best};

use crate::request::Sampling;

/// The instructions of this processor: a whole vocabulary's exponentials are most of what a request does beside the passes.
static LEVEL: LazyLock<Level> = LazyLock::new(Level::detect);

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
        // The banned logit is left out, not subtracted: it may be by far the largest.
        let best = head::best_of(*LEVEL, logits, Some(self.banned));
        let tokens = (0..).zip(logits.iter().copied()).filter(|&(id, _)| id != self.banned);
        self.choose(best, tokens, position)
    }

    /// The same where only `ids` are allowed, in any order: the others are left out of the distribution.
    pub fn pick_among(&self, logits: &[f32], ids: &[u32], position: usize) -> Pick {
        let allowed = |&id: &u32| if id == self.banned { f32::NEG_INFINITY } else { logits[id as usize] };
        let logits: Vec<f32> = ids.iter().map(allowed).collect();
        let best = head::best_of(*LEVEL, &logits, None);
        let tokens = ids.iter().copied().zip(logits.iter().copied());
        let largest = tokens.clone().filter(|&(_, x)| x == best.logit).map(|(id, _)| id);
        let best = Best { token: largest.min().unwrap_or_default(), ..best };
        self.choose(best, tokens, position)
    }

    /// Chooses from tokens and their logits, minus infinity for what is left out; the best of them is known.
    fn choose(&self, best: Best, tokens: impl Iterator<Item = (u32, f32)>, position: usize) -> Pick {
        let Best { token, logit: max, sum } = best;
        if self.is_greedy() {
            return Pick { token, probability: 1.0 / sum };
        }
        let (token, x) = self.draw(tokens, max, position).unwrap_or((token, max));
        Pick { token, probability: (x - max).exp() / sum }
    }

    /// Draws from the smallest set of most probable tokens whose mass reaches `top_p`.
    fn draw(
        &self,
        tokens: impl Iterator<Item = (u32, f32)>,
        max: f32,
        position: usize,
    ) -> Option<(u32, f32)> {
        let heat = |x: f32| ((x - max) / self.sampling.temperature).exp();
        // What lies 20 below the maximum after heating (2e-9 of it) never changes a draw that a person could notice.
        let floor = max - 20.0 * self.sampling.temperature;
        let mut kept: Vec<(f32, u32, f32)> =
            tokens.filter(|&(_, x)| x >= floor).map(|(id, x)| (heat(x), id, x)).collect();
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
        let drawn = kept.iter().find(|k| {
            left -= k.0;
            left < 0.0
        });
        drawn.or(kept.last()).map(|k| (k.1, k.2))
    }

    /// A number in [0, 1) that depends on seed and position alone.
    fn uniform(&self, position: usize) -> f32 {
        let key = self.sampling.seed ^ (position as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        fastrand::Rng::with_seed(key).f32()
    }
}
