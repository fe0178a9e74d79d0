//! What hiding suggestions that the model is unsure of would cost and spare: the trade behind `minProbability`.

use std::fmt::Write;

use serde::Serialize;

use super::outcome::Outcome;

/// Thresholds that are looked at.
const THRESHOLDS: [f64; 8] = [0.0, 0.3, 0.35, 0.4, 0.45, 0.5, 0.6, 0.7];

/// What one threshold does to a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(crate) struct Trade {
    pub(crate) threshold: f64,
    /// Suggestions that are right and still shown, of all that are right.
    pub(crate) kept: usize,
    pub(crate) right: usize,
    /// Others that are hidden, of all others.
    pub(crate) hidden: usize,
    pub(crate) wrong: usize,
}

/// The trade of each threshold, over all that was shown.
pub(crate) fn trades(outcomes: &[Outcome]) -> Vec<Trade> {
    let shown = || outcomes.iter().filter(|outcome| outcome.shown.is_some());
    let right = shown().filter(|outcome| outcome.shown_exact).count();
    let wrong = shown().count() - right;
    let trade = |threshold: f64| {
        let kept = shown().filter(|o| o.shown_exact && o.probability >= threshold).count();
        let hidden = shown().filter(|o| !o.shown_exact && o.probability < threshold).count();
        Trade { threshold, kept, right, hidden, wrong }
    };
    THRESHOLDS.map(trade).to_vec()
}

/// A row for each threshold.
pub(crate) fn table(trades: &[Trade]) -> String {
    let mut text = String::from(
        "| `minProbability` | right ones kept | others hidden | right among those shown |\n| --- | --- | --- | --- |\n",
    );
    for Trade { threshold, kept, right, hidden, wrong } in trades {
        let percent = |part: usize, of: usize| 100.0 * part as f64 / of.max(1) as f64;
        let _ = writeln!(
            text,
            "| {threshold} | {kept} of {right} | {hidden} of {wrong} ({:.0} %) | {:.1} % |",
            percent(*hidden, *wrong),
            percent(*kept, kept + wrong - hidden)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::super::answer;
    use super::super::cases::Case;
    use super::*;

    #[test]
    fn right_and_wrong_ones_below_a_threshold_are_told_apart() {
        let outcome = |probability: f64, shown: bool, shown_exact: bool| Outcome {
            probability,
            shown: shown.then(String::new),
            shown_exact,
            ..answer::reference(&Case::default())
        };
        let outcomes = [
            outcome(0.9, true, true),
            outcome(0.42, true, true),
            outcome(0.32, true, false),
            outcome(0.8, true, false),
            // What is not shown cannot be hidden.
            outcome(0.1, false, true),
        ];
        let trades = trades(&outcomes);
        let of = |threshold: f64| {
            let trade = trades.iter().find(|trade| trade.threshold == threshold).unwrap();
            (trade.kept, trade.right, trade.hidden, trade.wrong)
        };
        assert_eq!((of(0.0), of(0.4), of(0.45)), ((2, 2, 0, 2), (2, 2, 1, 2), (1, 2, 1, 2)));
        assert!(table(&trades).contains("| 0.45 | 1 of 2 | 1 of 2 (50 %) | 50.0 % |"));
    }
}
