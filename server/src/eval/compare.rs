//! Two runs over the same cases, case by case: what one has right and the other has not.

use std::collections::{BTreeSet, HashMap};

use serde::Serialize;

use super::outcome::Outcome;
use super::statistics::sign_test;
use super::summary::modes;

/// One measure of a group of cases in two runs, or two modes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Pair {
    pub(crate) measure: &'static str,
    /// `all`, or the kind of gap.
    pub(crate) name: String,
    /// Modes of the two.
    pub(crate) a: String,
    pub(crate) b: String,
    /// Cases that both have.
    pub(crate) cases: usize,
    /// Cases that A has right, and B.
    pub(crate) hits_a: usize,
    pub(crate) hits_b: usize,
    /// Cases that only B has right, and only A.
    pub(crate) won: usize,
    pub(crate) lost: usize,
    /// Probability of a split at least as uneven if neither were better: the exact sign test, two-sided.
    pub(crate) p: f64,
}

/// Whether an outcome is right, if that is known.
type Measure = fn(&Outcome) -> Option<bool>;

/// What is compared.
const MEASURES: [(&str, Measure); 4] = [
    ("exact match", |o| Some(o.exact)),
    ("as shown", |o| Some(o.shown_exact)),
    ("first line", |o| Some(o.first_line)),
    ("pass@1", |o| o.passed),
];

/// Two runs, mode by mode; runs of one mode each are compared whatever the modes are.
pub(crate) fn runs(a: &[Outcome], b: &[Outcome]) -> Vec<Pair> {
    let (modes_a, modes_b) = (modes(a), modes(b));
    match (&modes_a[..], &modes_b[..]) {
        ([a_only], [b_only]) => two(a, a_only, b, b_only),
        _ => modes_a
            .iter()
            .filter(|mode| modes_b.contains(mode))
            .flat_map(|mode| two(a, mode, b, mode))
            .collect(),
    }
}

/// The modes of one run, each against the first.
pub(crate) fn within(outcomes: &[Outcome]) -> Vec<Pair> {
    match &modes(outcomes)[..] {
        [first, others @ ..] => others.iter().flat_map(|mode| two(outcomes, first, outcomes, mode)).collect(),
        [] => Vec::new(),
    }
}

fn two(a: &[Outcome], mode_a: &str, b: &[Outcome], mode_b: &str) -> Vec<Pair> {
    let by_id: HashMap<&str, &Outcome> =
        a.iter().filter(|o| o.mode == mode_a).map(|o| (o.id.as_str(), o)).collect();
    let both: Vec<(&Outcome, &Outcome)> =
        b.iter().filter(|o| o.mode == mode_b).filter_map(|o| Some((*by_id.get(o.id.as_str())?, o))).collect();
    let kinds: BTreeSet<&str> = both.iter().map(|(a, _)| a.kind.as_str()).collect();
    let mut pairs = Vec::new();
    for (measure, known) in MEASURES {
        let mut pair = |name: &str, kind: Option<&str>| {
            let members = both.iter().filter(|(a, _)| kind.is_none_or(|kind| a.kind == kind));
            let hits: Vec<(bool, bool)> = members.filter_map(|(a, b)| Some((known(a)?, known(b)?))).collect();
            let count = |f: fn(&(bool, bool)) -> bool| hits.iter().filter(|hit| f(hit)).count();
            let (won, lost) = (count(|hit| !hit.0 && hit.1), count(|hit| hit.0 && !hit.1));
            if !hits.is_empty() {
                pairs.push(Pair {
                    measure,
                    name: name.to_string(),
                    a: mode_a.to_string(),
                    b: mode_b.to_string(),
                    cases: hits.len(),
                    hits_a: count(|hit| hit.0),
                    hits_b: count(|hit| hit.1),
                    won,
                    lost,
                    p: sign_test(won, lost),
                });
            }
        };
        for kind in kinds.iter().filter(|_| kinds.len() > 1) {
            pair(kind, Some(kind));
        }
        pair("all", None);
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::super::answer;
    use super::super::cases::Case;
    use super::*;

    fn outcome(id: usize, mode: &str, exact: bool) -> Outcome {
        let kind = if id < 4 { "line" } else { "block" };
        let case = Case { id: id.to_string(), kind: kind.into(), ..Case::default() };
        Outcome { mode: mode.into(), exact, ..answer::reference(&case) }
    }

    /// A: cases 0 to 9, even ones right. B: cases 2 to 11, right from 5 on.
    #[test]
    fn only_cases_that_both_have_are_compared() {
        let a: Vec<_> = (0..10).map(|id| outcome(id, "causal", id % 2 == 0)).collect();
        let b: Vec<_> = (2..12).map(|id| outcome(id, "parallel", id >= 5)).collect();
        let pairs = runs(&a, &b);
        let exact: Vec<_> = pairs
            .iter()
            .filter(|pair| pair.measure == "exact match")
            .map(|p| (p.name.as_str(), p.cases, p.hits_a, p.hits_b, p.won, p.lost))
            .collect();
        assert_eq!(exact, [("block", 6, 3, 5, 3, 1), ("line", 2, 1, 0, 0, 1), ("all", 8, 4, 5, 3, 2)]);
        assert!(pairs.iter().all(|pair| pair.measure != "pass@1"), "no tests were run");
        let both: Vec<_> = a.iter().chain(&b).cloned().collect();
        assert_eq!(within(&both), pairs);
        // Runs of several modes are compared mode by mode.
        assert!(runs(&both, &a).iter().all(|pair| pair.won + pair.lost == 0 && pair.a == "causal"));
    }
}
