//! What a forward pass costs here and what a drafted block yields, learned from the passes themselves: the ground on
//! which [`crate::Mode::Auto`] chooses the rows of its next round.
//!
//! No calibration run and no file of its results: what a round yields depends on the code at hand, and what it costs on the
//! length of the stream, on what else runs and on how warm the processor is. The first rounds of a process try what is
//! unknown, which costs a few of them, and every pass refines the estimate. Where a block is dear the choice ends in causal steps.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Rows a round may have: one is a causal step, more are a drafted and verified block.
const CHOICES: [usize; 4] = [1, 8, 16, 32];
/// Tokens that a round of so many rows yields before anything was seen.
const EXPECTED: [f32; 4] = [1.0, 2.6, 3.2, 3.4];
/// Weight of a new observation.
const GAIN: f32 = 0.1;

/// Sizes of rounds that are told apart.
pub(crate) const SIZES: usize = CHOICES.len();

/// What is known of rounds of one size.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Rows of the round; one is a causal step.
    pub rows: usize,
    /// Milliseconds that it takes, draft and verification together.
    pub round_ms: f32,
    /// Tokens that it yields.
    pub tokens: f32,
}

/// Estimates for one model on one device.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    /// Seconds of a round, draft and verification together; `None` until it was tried.
    seconds: [Option<f32>; CHOICES.len()],
    /// Tokens that a round yields.
    tokens: [f32; CHOICES.len()],
}

impl Default for Pace {
    fn default() -> Self {
        Pace { seconds: [None; CHOICES.len()], tokens: EXPECTED }
    }
}

impl Pace {
    /// Rows for the next round, at most `limit`: the most tokens a second, once each choice worth it was tried.
    pub(crate) fn rows(&self, limit: usize) -> usize {
        let open = || (0..CHOICES.len()).filter(|&i| CHOICES[i] <= limit);
        let untried = open().find(|&i| self.seconds[i].is_none() && self.may_pay(i));
        let best = || open().max_by(|&a, &b| self.rate(a).total_cmp(&self.rate(b)));
        CHOICES[untried.or_else(best).unwrap_or(0)]
    }

    /// Records a round: its rows, how long it took, the tokens it yielded.
    pub(crate) fn record(&mut self, rows: usize, took: Duration, tokens: usize) {
        let Some(i) = CHOICES.iter().position(|&choice| choice == rows) else { return };
        let took = took.as_secs_f32();
        let seconds = self.seconds[i].get_or_insert(took);
        *seconds += GAIN * (took - *seconds);
        self.tokens[i] += GAIN * (tokens as f32 - self.tokens[i]);
    }

    /// What is known of each size that was tried.
    pub(crate) fn estimates(&self) -> [Option<Estimate>; SIZES] {
        std::array::from_fn(|i| {
            let round_ms = 1e3 * self.seconds[i]?;
            Some(Estimate { rows: CHOICES[i], round_ms, tokens: self.tokens[i] })
        })
    }

    fn rate(&self, i: usize) -> f32 {
        self.seconds[i].map_or(0.0, |seconds| self.tokens[i] / seconds.max(1e-9))
    }

    /// False when fewer rows already cost so much more than they yield that adding rows cannot make up for it: a round
    /// never gets cheaper with more rows.
    fn may_pay(&self, i: usize) -> bool {
        let floor = self.seconds[..i].iter().flatten().copied().fold(0.0, f32::max);
        let best = (0..i).map(|j| self.rate(j)).fold(0.0, f32::max);
        floor == 0.0 || self.tokens[i] / floor > best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rounds until the choice settles, on a device where a round costs `base + per_row * rows` milliseconds and
    /// yields `tokens` for each choice.
    fn settled(base: u64, per_row: u64, tokens: [usize; 4]) -> usize {
        let mut pace = Pace::default();
        for _ in 0..200 {
            let rows = pace.rows(32);
            let i = CHOICES.iter().position(|&c| c == rows).expect("a choice");
            // A block is drafted and verified: two passes.
            let passes = if rows == 1 { 1 } else { 2 };
            pace.record(rows, Duration::from_millis(passes * (base + per_row * rows as u64)), tokens[i]);
        }
        pace.rows(32)
    }

    #[test]
    fn the_fastest_choice_wins() {
        // A GPU: rows are nearly free.
        assert_eq!(settled(1000, 1, [1, 3, 4, 5]), 32);
        // Drafts are rarely right: one token at a time, however cheap the rows.
        assert_eq!(settled(1000, 1, [1, 1, 1, 1]), 1);
        // A CPU whose time grows with the rows.
        assert_eq!(settled(9, 2, [1, 2, 3, 3]), 1);
        // Between the two.
        assert_eq!(settled(40, 1, [1, 3, 4, 4]), 16);
    }

    #[test]
    fn the_limit_holds_and_dear_blocks_are_not_tried() {
        assert_eq!(Pace::default().rows(1), 1);
        let mut pace = Pace::default();
        pace.record(1, Duration::from_millis(10), 1);
        assert_eq!(pace.rows(32), 8);
        // 8 rows took twenty times a single one: 32 rows can only be worse.
        pace.record(8, Duration::from_millis(200), 3);
        assert_eq!(pace.rows(32), 1);
        let tried: Vec<_> = pace.estimates().into_iter().flatten().map(|e| (e.rows, e.round_ms)).collect();
        assert_eq!(tried, [(1, 10.0), (8, 200.0)]);
    }
}
