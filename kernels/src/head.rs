//! The head: the largest logit of a row and its probability, without storing logits.
//!
//! For row `x` and vocabulary matrix `E`: `l = x Eᵀ`, `token = argmax l` (the first of equals), `log Σ exp(l)`. One token may be
//! banned: it is neither chosen nor counted.

use crate::Machine;
use crate::disjoint::Disjoint;
use crate::level::{self, Level};
use crate::linear;
use crate::math;
use crate::matrix::{BLOCK, Matrix};
use crate::rows::Rows;

/// The best token of a row.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Best {
    /// Its id.
    pub token: u32,
    /// Its logit.
    pub logit: f32,
    /// `Σ exp(l - logit)` over all tokens that are not banned, at least 1.
    pub sum: f32,
}

impl Best {
    const NONE: Best = Best { token: 0, logit: f32::NEG_INFINITY, sum: 0.0 };

    /// Joins what was found in two parts of the vocabulary, the second of which comes after the first.
    fn join(self, other: Best) -> Best {
        if other.sum == 0.0 {
            return self;
        }
        if self.sum == 0.0 || other.logit > self.logit {
            let sum = if self.sum == 0.0 { 0.0 } else { self.sum * (self.logit - other.logit).exp() };
            return Best { sum: other.sum + sum, ..other };
        }
        Best { sum: self.sum + other.sum * (other.logit - self.logit).exp(), ..self }
    }
}

/// The best token of each of the first `rows` rows of `x`, appended to `out`.
pub fn best(
    machine: &Machine,
    vocabulary: &Matrix,
    x: &Rows,
    rows: usize,
    banned: Option<u32>,
    out: &mut Vec<Best>,
) {
    let units = vocabulary.outputs().div_ceil(BLOCK);
    let mut parts = vec![Best::NONE; units * rows];
    let to = Disjoint::new(&mut parts);
    linear::units(machine, vocabulary, x, rows, |unit, columns| {
        let width = BLOCK.min(vocabulary.outputs() - unit * BLOCK);
        #[expect(unsafe_code, reason = "threads write different parts")]
        // SAFETY: this part belongs to this unit.
        let to = unsafe { to.slice(unit * rows, rows) };
        for (best, logits) in to.iter_mut().zip(columns.chunks_exact_mut(BLOCK)) {
            if let Some(banned) = banned.filter(|&token| token as usize / BLOCK == unit) {
                logits[banned as usize % BLOCK] = f32::NEG_INFINITY;
            }
            *best = best_of(machine.level, (unit * BLOCK) as u32, &logits[..width]);
        }
    });
    out.extend(
        (0..rows)
            .map(|row| parts[row..].iter().step_by(rows).copied().reduce(Best::join).unwrap_or(Best::NONE)),
    );
}

/// The best of some logits, the first of which is token `first`.
fn best_of(level: Level, first: u32, logits: &[f32]) -> Best {
    let (token, logit) = match level {
        Level::REFERENCE => logits
            .iter()
            .enumerate()
            .fold((0, f32::NEG_INFINITY), |best, (i, &x)| if x > best.1 { (i, x) } else { best }),
        _ => {
            let logit = level::with(level, || {
                logits.iter().fold(f32::NEG_INFINITY, |m, &x| if x > m { x } else { m })
            });
            (logits.iter().position(|&x| x == logit).unwrap_or(0), logit)
        }
    };
    if logit == f32::NEG_INFINITY {
        return Best::NONE;
    }
    let sum = match level {
        Level::REFERENCE => logits.iter().map(|x| (x - logit).exp()).sum(),
        _ => level::with(level, || {
            let mut sums = [0.0f32; 8];
            let mut eights = logits.chunks_exact(8);
            for eight in &mut eights {
                for (sum, x) in sums.iter_mut().zip(eight) {
                    *sum += math::exp(x - logit);
                }
            }
            let rest: f32 = eights.remainder().iter().map(|x| math::exp(x - logit)).sum();
            sums.iter().sum::<f32>() + rest
        }),
    };
    Best { token: first + token as u32, logit, sum }
}
