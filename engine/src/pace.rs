//! What rounds cost here and what they yield, learned from the rounds themselves: the ground on which
//! [`crate::Mode::Auto`] chooses its next one.
//!
//! No calibration run and no file of its results: what a round yields depends on the code at hand, and what it costs on the
//! length of the stream, on what else runs and on how warm the processor is. The first rounds of a process try what is
//! unknown, which costs a few of them, and every round refines the estimate. Where a block is dear the choice ends in
//! causal steps and copies.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Where the rows of a round come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// One row, the known token: a step of causal decoding.
    Causal,
    /// What followed the last tokens where they stood before, verified in one pass.
    Copied,
    /// A masked block, denoised in one pass and verified in another.
    Drafted,
}

/// A kind of round.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Round {
    pub(crate) source: Source,
    /// Rows at most; the first holds the known token.
    pub(crate) rows: usize,
}

/// Every kind that is told apart, and the tokens that it yields before anything was seen.
const ROUNDS: [(Round, f32); 7] = [
    (Round::CAUSAL, 1.0),
    (Round { source: Source::Copied, rows: 4 }, 1.7),
    (Round { source: Source::Copied, rows: 8 }, 2.4),
    (Round { source: Source::Copied, rows: 16 }, 4.0),
    (Round { source: Source::Drafted, rows: 8 }, 2.6),
    (Round { source: Source::Drafted, rows: 16 }, 3.2),
    (Round { source: Source::Drafted, rows: 32 }, 3.4),
];
/// Weight of a new observation.
const GAIN: f32 = 0.1;

/// Kinds of rounds that are told apart.
pub(crate) const KINDS: usize = ROUNDS.len();

/// What is known of rounds of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// Where the rows come from.
    pub source: Source,
    /// Rows of the round at most.
    pub rows: usize,
    /// Milliseconds that it takes, all its passes together.
    pub round_ms: f32,
    /// Tokens that it yields.
    pub tokens: f32,
}

/// Estimates for one model on one device.
#[derive(Debug, Clone)]
pub(crate) struct Pace {
    /// Seconds of a round; `None` until it was tried.
    seconds: [Option<f32>; KINDS],
    /// Tokens that a round yields.
    tokens: [f32; KINDS],
}

impl Round {
    /// One row, one pass.
    pub(crate) const CAUSAL: Round = Round { source: Source::Causal, rows: 1 };

    /// A copy of what followed so many tokens that agree: the more do, the more of it is right.
    pub(crate) fn copied(agreement: usize) -> Round {
        let rows = match agreement {
            ..=1 => 4,
            2..=3 => 8,
            4.. => 16,
        };
        Round { source: Source::Copied, rows }
    }

    /// Never cheaper than `other`: neither rows nor passes are fewer.
    fn costs_at_least(self, other: Round) -> bool {
        let passes = |round: Round| if round.source == Source::Drafted { 2 } else { 1 };
        self.rows >= other.rows && passes(self) >= passes(other)
    }
}

impl Default for Pace {
    fn default() -> Self {
        Pace { seconds: [None; KINDS], tokens: ROUNDS.map(|(_, tokens)| tokens) }
    }
}

impl Pace {
    /// The next round: a causal step, a draft of at most `limit` rows, or `copied` where there is one. The most tokens a
    /// second, once each kind worth it was tried.
    pub(crate) fn choose(&self, limit: usize, copied: Option<Round>) -> Round {
        let is_open = |i: &usize| match ROUNDS[*i].0 {
            Round { source: Source::Copied, .. } => copied == Some(ROUNDS[*i].0),
            Round { rows, .. } => rows <= limit,
        };
        let open = || (0..KINDS).filter(is_open);
        let untried = open().find(|&i| self.seconds[i].is_none() && self.may_pay(i, open()));
        let best = || open().max_by(|&a, &b| self.rate(a).total_cmp(&self.rate(b)));
        untried.or_else(best).map_or(Round::CAUSAL, |i| ROUNDS[i].0)
    }

    /// Records a round: how long it took, the tokens it yielded.
    pub(crate) fn record(&mut self, round: Round, took: Duration, tokens: usize) {
        let Some(i) = ROUNDS.iter().position(|(kind, _)| *kind == round) else { return };
        let took = took.as_secs_f32();
        let seconds = self.seconds[i].get_or_insert(took);
        *seconds += GAIN * (took - *seconds);
        self.tokens[i] += GAIN * (tokens as f32 - self.tokens[i]);
    }

    /// What is known of each kind that was tried.
    pub(crate) fn estimates(&self) -> [Option<Estimate>; KINDS] {
        std::array::from_fn(|i| {
            let Round { source, rows } = ROUNDS[i].0;
            Some(Estimate { source, rows, round_ms: 1e3 * self.seconds[i]?, tokens: self.tokens[i] })
        })
    }

    fn rate(&self, i: usize) -> f32 {
        self.seconds[i].map_or(0.0, |seconds| self.tokens[i] / seconds.max(1e-9))
    }

    /// False when a round that cannot be dearer already costs so much that this one, at what it is expected to yield, would
    /// be slower than the best of those that are open.
    fn may_pay(&self, i: usize, open: impl Iterator<Item = usize>) -> bool {
        let cheaper = (0..KINDS).filter(|&j| ROUNDS[i].0.costs_at_least(ROUNDS[j].0));
        let floor = cheaper.filter_map(|j| self.seconds[j]).fold(0.0, f32::max);
        let best = open.map(|j| self.rate(j)).fold(0.0, f32::max);
        floor == 0.0 || self.tokens[i] / floor > best
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAFTED: fn(usize) -> Round = |rows| Round { source: Source::Drafted, rows };

    /// What is chosen once it has settled, on a device where a pass costs `base + per_row * rows` milliseconds, drafts of
    /// 8, 16 and 32 rows yield `drafted` tokens, and there is a copy that yields `copied`.
    fn settled(base: u64, per_row: u64, drafted: [usize; 3], copied: Option<(Round, usize)>) -> Round {
        let mut pace = Pace::default();
        let copy = copied.map(|(round, _)| round);
        for _ in 0..200 {
            let round = pace.choose(32, copy);
            let pass = base + per_row * round.rows as u64;
            let (passes, tokens) = match round.source {
                Source::Causal => (1, 1),
                Source::Copied => (1, copied.expect("a copy").1),
                Source::Drafted => (2, drafted[round.rows.ilog2() as usize - 3]),
            };
            pace.record(round, Duration::from_millis(passes * pass), tokens);
        }
        pace.choose(32, copy)
    }

    #[test]
    fn the_fastest_choice_wins() {
        // A GPU: rows are nearly free.
        assert_eq!(settled(1000, 1, [3, 4, 5], None), DRAFTED(32));
        // A copy takes half of a draft's passes.
        assert_eq!(settled(1000, 1, [3, 4, 5], Some((Round::copied(1), 3))), Round::copied(1));
        assert_eq!(settled(1000, 1, [3, 4, 5], Some((Round::copied(1), 1))), DRAFTED(32));
        // Drafts are rarely right: one token at a time, however cheap the rows.
        assert_eq!(settled(1000, 1, [1, 1, 1], None), Round::CAUSAL);
        // A CPU whose time grows with the rows.
        assert_eq!(settled(9, 2, [2, 3, 3], None), Round::CAUSAL);
        assert_eq!(settled(9, 2, [2, 3, 3], Some((Round::copied(8), 5))), Round::copied(8));
        // Between the two.
        assert_eq!(settled(40, 1, [3, 4, 4], None), DRAFTED(16));
    }

    #[test]
    fn the_limit_holds_and_dear_blocks_are_not_tried() {
        assert_eq!(Pace::default().choose(1, None), Round::CAUSAL);
        let mut pace = Pace::default();
        pace.record(Round::CAUSAL, Duration::from_millis(10), 1);
        assert_eq!(pace.choose(32, None), DRAFTED(8));
        // 8 rows took twenty times a single one: 32 rows can only be worse.
        pace.record(DRAFTED(8), Duration::from_millis(200), 3);
        assert_eq!(pace.choose(32, None), Round::CAUSAL);
        // That says nothing about a copy, which takes one pass and not two.
        assert_eq!(pace.choose(32, Some(Round::copied(3))), Round::copied(3));
        let tried: Vec<_> = pace.estimates().into_iter().flatten().map(|e| (e.rows, e.round_ms)).collect();
        assert_eq!(tried, [(1, 10.0), (8, 200.0)]);
    }
}
