//! The head: the largest logit of a row and its probability, without storing logits.
//!
//! For row `x` and vocabulary matrix `E`: `l = x Eᵀ`, `token = argmax l` (the first of equals), `log Σ exp(l)`. One token may be
//! banned: it is neither chosen nor counted.

use crate::Machine;
use crate::disjoint::Disjoint;
use crate::level::{Level, vectorised};
use crate::linear::{self, MAX_ROWS};
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

    /// Joins what was found in two parts of the vocabulary. Of equal logits the lower token wins.
    fn join(self, other: Best) -> Best {
        if other.sum == 0.0 {
            return self;
        }
        let ahead = other.logit > self.logit || (other.logit == self.logit && other.token < self.token);
        if self.sum == 0.0 || ahead {
            let sum = if self.sum == 0.0 { 0.0 } else { self.sum * (self.logit - other.logit).exp() };
            return Best { sum: other.sum + sum, ..other };
        }
        Best { sum: self.sum + other.sum * (other.logit - self.logit).exp(), ..self }
    }
}

/// Blocks of outputs of a unit of work.
const BLOCKS: usize = 8;

/// The best token of each of the first `rows` rows of `x`, appended to `out`.
pub fn best(
    machine: &Machine,
    vocabulary: &Matrix,
    x: &Rows,
    rows: usize,
    banned: Option<u32>,
    out: &mut Vec<Best>,
) {
    let outputs = vocabulary.outputs();
    let blocks = outputs.div_ceil(BLOCK);
    let units = blocks.div_ceil(BLOCKS);
    let mut parts = vec![Best::NONE; units * rows];
    let to = Disjoint::new(&mut parts);
    machine.pool.run(units, &|unit| {
        let mut found = [Found::NONE; MAX_ROWS];
        for block in unit * BLOCKS..blocks.min((unit + 1) * BLOCKS) {
            linear::block(machine.level, vocabulary, block, x, rows, |columns| {
                let (rows, _) = columns.as_chunks_mut::<BLOCK>();
                for (found, logits) in found.iter_mut().zip(rows) {
                    logits[BLOCK.min(outputs - block * BLOCK)..].fill(f32::NEG_INFINITY);
                    found.take_in(machine.level, logits, block, banned);
                }
            });
        }
        #[expect(unsafe_code, reason = "threads write different parts")]
        // SAFETY: this part belongs to this unit.
        let to = unsafe { to.slice(unit * rows, rows) };
        for (to, found) in to.iter_mut().zip(&found) {
            *to = found.best();
        }
    });
    out.extend(
        (0..rows)
            .map(|row| parts[row..].iter().step_by(rows).copied().reduce(Best::join).unwrap_or(Best::NONE)),
    );
}

/// The best token of a row of logits that are there already.
pub fn best_of(level: Level, logits: &[f32], banned: Option<u32>) -> Best {
    let mut found = Found::NONE;
    for (block, part) in logits.chunks(BLOCK).enumerate() {
        let mut logits = [f32::NEG_INFINITY; BLOCK];
        logits[..part.len()].copy_from_slice(part);
        found.take_in(level, &mut logits, block, banned);
    }
    found.best()
}

/// What was found of a row so far.
#[derive(Clone, Copy)]
struct Found {
    logit: f32,
    token: u32,
    /// Of every 16th logit `Σ exp(l - logit)`: what a vector holds of the sum.
    sums: [f32; LANES],
}

const LANES: usize = 16;

impl Found {
    /// A finite stand-in for minus infinity, so that differences stay numbers.
    const LOWEST: f32 = -1e30;

    const NONE: Found = Found { logit: Self::LOWEST, token: 0, sums: [0.0; LANES] };

    /// Takes in a block of logits without the banned one.
    fn take_in(&mut self, level: Level, logits: &mut [f32; BLOCK], block: usize, banned: Option<u32>) {
        if let Some(banned) = banned.filter(|&token| token as usize / BLOCK == block) {
            logits[banned as usize % BLOCK] = f32::NEG_INFINITY;
        }
        match level {
            Level::REFERENCE => plain(self, logits, block),
            level => absorb(level, self, logits, (block * BLOCK) as u32),
        }
    }

    fn best(&self) -> Best {
        match self.logit > Self::LOWEST {
            true => Best { token: self.token, logit: self.logit, sum: self.sums.iter().sum() },
            false => Best::NONE,
        }
    }
}

fn plain(found: &mut Found, logits: &[f32; BLOCK], block: usize) {
    for (i, &x) in logits.iter().enumerate().filter(|(_, x)| **x > f32::NEG_INFINITY) {
        let one = Best { token: (block * BLOCK + i) as u32, logit: x, sum: 1.0 };
        let best = found.best().join(one);
        *found = Found { logit: best.logit, token: best.token, ..Found::NONE };
        found.sums[0] = best.sum;
    }
}

vectorised! {
    /// Takes in a block of logits, the first of which is token `first`.
    fn absorb(found: &mut Found, logits: &[f32; BLOCK], first: u32) {
        let max = math::max(logits);
        // After the first blocks of a row this is rare.
        if max > found.logit {
            let scale = math::exp(found.logit - max);
            found.sums.iter_mut().for_each(|sum| *sum *= scale);
            found.logit = max;
            found.token = first + logits.iter().position(|&x| x == max).unwrap_or(0) as u32;
        }
        let (halves, _) = logits.as_chunks::<LANES>();
        for half in halves {
            for (sum, &x) in found.sums.iter_mut().zip(half) {
                *sum += math::exp(x - found.logit);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matrix::Format;
    use crate::matrix::tests::matrix;
    use crate::testing::{machines, paint, reference, rows};

    /// What the head finds, from all logits in f64.
    fn expected(logits: &[f32], banned: Option<u32>) -> Best {
        let kept = || logits.iter().enumerate().filter(|&(i, _)| Some(i as u32) != banned);
        let (token, logit) =
            kept().fold((0, f32::NEG_INFINITY), |m, (i, &x)| if x > m.1 { (i, x) } else { m });
        let sum: f64 = kept().map(|(_, &x)| (f64::from(x) - f64::from(logit)).exp()).sum();
        Best { token: token as u32, logit, sum: sum as f32 }
    }

    #[test]
    fn every_level_finds_the_largest_logit() {
        for format in Format::ALL {
            for tokens in [1, 31, 32, 33, 255, 256, 257, 1000] {
                let vocabulary = matrix(format, tokens, 64, 3);
                for count in [1, 3, 32] {
                    let x = rows(format.activations(), 64, &paint(count * 64, tokens));
                    let mut logits = vec![0.0; count * tokens];
                    linear::store(&reference(), &vocabulary, &x, &mut logits);
                    let first = expected(&logits[..tokens], None).token;
                    for banned in [None, Some(first), Some(tokens as u32 - 1)] {
                        if tokens == 1 && banned.is_some() {
                            continue;
                        }
                        for machine in machines() {
                            let mut found = Vec::new();
                            best(&machine, &vocabulary, &x, count, banned, &mut found);
                            assert_eq!(found.len(), count);
                            let rows = logits.chunks_exact(tokens);
                            found.extend(rows.clone().map(|row| best_of(machine.level, row, banned)));
                            for (found, logits) in found.iter().zip(rows.clone().chain(rows)) {
                                let want = expected(logits, banned);
                                let what = format!("{format:?} {} {tokens} {banned:?}", machine.level);
                                // Equal up to the order of additions: another token only if its logit is as large.
                                let chosen = logits[found.token as usize];
                                assert!(
                                    (chosen - want.logit).abs() <= 1e-5,
                                    "{what}: {found:?}, not {want:?}"
                                );
                                assert!(
                                    (found.logit - want.logit).abs() <= 1e-5,
                                    "{what}: {found:?}, not {want:?}"
                                );
                                assert!(
                                    (found.sum / want.sum - 1.0).abs() <= 1e-4,
                                    "{what}: {found:?}, not {want:?}"
                                );
                                assert_ne!(Some(found.token), banned, "{what}");
                            }
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn of_equal_logits_the_first_token_wins() {
        for machine in machines() {
            for level in [Level::REFERENCE, machine.level] {
                let mut found = Found::NONE;
                for block in 0..3 {
                    let logits = [2.5; BLOCK];
                    match level {
                        Level::REFERENCE => plain(&mut found, &logits, block),
                        level => absorb(level, &mut found, &logits, (block * BLOCK) as u32),
                    }
                }
                assert_eq!(found.best(), Best { token: 0, logit: 2.5, sum: 96.0 }, "{level}");
            }
        }
    }

    #[test]
    fn logits_far_apart_keep_their_order() {
        for machine in machines() {
            let mut found = Found::NONE;
            let logits: [f32; BLOCK] = std::array::from_fn(|i| if i == 21 { 300.0 } else { -300.0 });
            match machine.level {
                Level::REFERENCE => plain(&mut found, &logits, 0),
                level => absorb(level, &mut found, &logits, 0),
            }
            let found: Best = found.best();
            assert_eq!((found.token, found.logit), (21, 300.0));
            assert!((found.sum - 1.0).abs() < 1e-6, "{found:?}");
        }
    }
}
