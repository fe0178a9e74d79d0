//! Outcomes summed up: a group for all of them, for each kind and for each language, each split by mode.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::harm::Harm;
use super::outcome::Outcome;
use super::statistics::{interval, mean_interval, percentile};

/// What the members of a group have in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum By {
    /// Nothing but the mode.
    All,
    /// The kind of gap.
    Kind,
    /// The language.
    Language,
}

/// The scores of a group in one mode.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Group {
    pub(crate) by: By,
    /// The kind or language; `all` otherwise.
    pub(crate) name: String,
    pub(crate) mode: String,
    pub(crate) cases: usize,
    pub(crate) exact: Share,
    pub(crate) first_line: Share,
    pub(crate) shown_exact: Share,
    /// Cases whose tests passed, of those whose tests were run.
    pub(crate) passed: Option<Share>,
    pub(crate) similarity: Mean,
    /// Tokens of text over forward passes, of all cases together.
    pub(crate) tokens_per_forward: f64,
    /// Tokens of text over rounds of draft and verification, of all cases together; only where every round drafts.
    pub(crate) tokens_per_round: Option<f64>,
    pub(crate) forwards: Spread,
    /// Milliseconds of denoising.
    pub(crate) denoise_ms: Spread,
    /// Milliseconds of reading a prompt of which nothing was cached.
    pub(crate) cold_prefill_ms: Option<Spread>,
    /// What was shown, and would have spoilt the text.
    pub(crate) harm: Harms,
    /// What the rules between model and editor made of its texts.
    pub(crate) rules: Rules,
    /// Why nothing would have been shown, and how often.
    pub(crate) empty: BTreeMap<String, usize>,
}

/// How many suggestions would have done which harm.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Harms {
    /// Suggestions shown.
    pub(crate) shown: usize,
    pub(crate) new_errors: usize,
    pub(crate) repeats: usize,
}

/// How many texts are right as one of the two and not as the other: the model's, and what was shown of it.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Rules {
    /// Right as shown.
    pub(crate) mended: usize,
    /// Right as the model had it.
    pub(crate) spoilt: usize,
    /// Right as the model had it, and several lines where one was asked for.
    pub(crate) one_line: usize,
}

/// A share with its 95 % interval.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Share {
    pub(crate) hits: usize,
    pub(crate) of: usize,
    pub(crate) share: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// A mean with its 95 % interval.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Mean {
    pub(crate) mean: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
}

/// How values are spread.
#[derive(Debug, Clone, Copy, Serialize)]
pub(crate) struct Spread {
    pub(crate) mean: f64,
    pub(crate) p50: f64,
    pub(crate) p95: f64,
}

/// Every group that is not a copy of another, all cases last; within a group the modes in the order they were asked.
pub(crate) fn groups(outcomes: &[Outcome]) -> Vec<Group> {
    let kinds: BTreeSet<&str> = outcomes.iter().map(|o| o.kind.as_str()).collect();
    let languages: BTreeSet<&str> = outcomes.iter().map(|o| o.language.as_str()).collect();
    let mut groups = Vec::new();
    for kind in kinds.iter().filter(|_| kinds.len() > 1) {
        groups.extend(by_mode(By::Kind, kind, outcomes.iter().filter(|o| o.kind == *kind)));
    }
    for language in languages.iter().filter(|_| languages.len() > 1) {
        groups.extend(by_mode(By::Language, language, outcomes.iter().filter(|o| o.language == *language)));
    }
    groups.extend(by_mode(By::All, "all", outcomes.iter()));
    groups
}

/// Modes in the order of their first outcomes.
pub(crate) fn modes(outcomes: &[Outcome]) -> Vec<&str> {
    let mut modes: Vec<&str> = Vec::new();
    for outcome in outcomes {
        if !modes.contains(&outcome.mode.as_str()) {
            modes.push(&outcome.mode);
        }
    }
    modes
}

fn by_mode<'a>(by: By, name: &str, members: impl Iterator<Item = &'a Outcome>) -> Vec<Group> {
    let mut split: Vec<(&str, Vec<&Outcome>)> = Vec::new();
    for member in members {
        match split.iter_mut().find(|(mode, _)| *mode == member.mode) {
            Some((_, members)) => members.push(member),
            None => split.push((&member.mode, vec![member])),
        }
    }
    split.into_iter().map(|(mode, members)| group(by, name, mode, &members)).collect()
}

fn group(by: By, name: &str, mode: &str, members: &[&Outcome]) -> Group {
    let number = |f: fn(&Outcome) -> bool| members.iter().filter(|o| f(o)).count();
    let count = |f: fn(&Outcome) -> bool| share(number(f), members.len());
    let sum = |f: fn(&Outcome) -> usize| members.iter().map(|o| f(o)).sum::<usize>();
    let tested = number(|o| o.passed.is_some());
    let ratio = |a: usize, b: usize| a as f64 / b.max(1) as f64;
    let tokens = sum(|o| o.counts.tokens);
    let similarities: Vec<f64> = members.iter().map(|o| o.similarity).collect();
    let (mean, low, high) = mean_interval(&similarities);
    let cold: Vec<f64> = members
        .iter()
        .filter(|o| o.counts.stream > 0 && o.counts.reused == 0)
        .map(|o| o.prefill_ms)
        .collect();
    let harmed =
        |f: fn(&Harm) -> bool| members.iter().filter_map(|o| o.harm.as_ref()).filter(|h| f(h)).count();
    let mut empty = BTreeMap::new();
    for reason in members.iter().filter_map(|o| o.empty.as_ref()) {
        *empty.entry(reason.clone()).or_default() += 1;
    }
    Group {
        by,
        name: name.to_string(),
        mode: mode.to_string(),
        cases: members.len(),
        exact: count(|o| o.exact),
        first_line: count(|o| o.first_line),
        shown_exact: count(|o| o.shown_exact),
        passed: (tested > 0).then(|| share(number(|o| o.passed == Some(true)), tested)),
        similarity: Mean { mean, low, high },
        tokens_per_forward: ratio(tokens, sum(|o| o.counts.forwards)),
        tokens_per_round: (mode == "verified").then(|| ratio(tokens, sum(|o| o.counts.blocks))),
        forwards: spread(members.iter().map(|o| o.counts.forwards as f64).collect()),
        denoise_ms: spread(members.iter().map(|o| o.denoise_ms).collect()),
        cold_prefill_ms: (!cold.is_empty()).then(|| spread(cold)),
        harm: Harms {
            shown: harmed(|_| true),
            new_errors: harmed(|harm| harm.new_errors),
            repeats: harmed(|harm| harm.repeats),
        },
        rules: Rules {
            mended: number(|o| !o.exact && o.shown_exact),
            spoilt: number(|o| o.exact && !o.shown_exact && !o.goes_on),
            one_line: number(|o| o.exact && !o.shown_exact && o.goes_on),
        },
        empty,
    }
}

fn share(hits: usize, of: usize) -> Share {
    let (low, high) = interval(hits, of);
    Share { hits, of, share: hits as f64 / of.max(1) as f64, low, high }
}

fn spread(values: Vec<f64>) -> Spread {
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    Spread { mean, p50: percentile(&values, 0.5), p95: percentile(&values, 0.95) }
}
