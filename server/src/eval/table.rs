//! Scores and comparisons as Markdown.

use std::fmt::Write;

use super::compare::Pair;
use super::summary::{By, Group, Harms, Mean, Rules, Share, Spread};

/// A row for each group and mode: shares in per cent with their 95 % intervals, then what an answer takes. Below it,
/// what suggestions would have spoilt, and why nothing would have been shown.
pub(crate) fn scores(groups: &[Group]) -> String {
    let tested = groups.iter().any(|group| group.passed.is_some());
    let drafted = groups.iter().any(|group| group.tokens_per_round.is_some());
    let mut head = vec!["", "mode", "cases", "exact match", "as shown", "first line", "similarity"];
    head.extend(tested.then_some("pass@1"));
    head.push("tokens a forward");
    head.extend(drafted.then_some("tokens a round"));
    head.extend(["forwards p50 / p95", "denoise ms p50 / p95", "cold prefill ms p50 / p95"]);
    let mut text = String::new();
    row(&mut text, head.iter().map(ToString::to_string));
    row(&mut text, head.iter().map(|_| "---".to_string()));
    for group in groups {
        let mut cells = vec![group.name.clone(), group.mode.clone(), group.cases.to_string()];
        cells.extend([&group.exact, &group.shown_exact, &group.first_line].map(share));
        cells.push(mean(&group.similarity));
        cells.extend(tested.then(|| group.passed.as_ref().map_or("–".into(), share)));
        cells.push(format!("{:.2}", group.tokens_per_forward));
        let round = |tokens: f64| format!("{tokens:.2}");
        cells.extend(drafted.then(|| group.tokens_per_round.map_or("–".into(), round)));
        cells.push(spread(&group.forwards, 0));
        cells.push(spread(&group.denoise_ms, 1));
        cells.push(group.cold_prefill_ms.as_ref().map_or("–".into(), |ms| spread(ms, 1)));
        row(&mut text, cells);
    }
    for Group { mode, harm, rules, .. } in groups.iter().filter(|g| g.by == By::All && g.harm.shown > 0) {
        let Harms { shown, new_errors, repeats } = harm;
        let _ = write!(text, "\n{mode}: of {shown} suggestions {new_errors} bring parse errors, ");
        let _ = writeln!(text, "{repeats} repeat what follows");
        let Rules { mended, spoilt, one_line } = rules;
        let _ = write!(
            text,
            "\n{mode}: {mended} are right as shown that the model had wrong, {spoilt} are wrong as shown "
        );
        let _ = writeln!(
            text,
            "that it had right, and {one_line} more of several lines, where an editor asks for one"
        );
    }
    for group in groups.iter().filter(|group| group.by == By::All && !group.empty.is_empty()) {
        let total: usize = group.empty.values().sum();
        let reasons: Vec<String> = group.empty.iter().map(|(reason, n)| format!("{reason} {n}")).collect();
        let _ = write!(text, "\n{}: nothing shown in {total} of {}: ", group.mode, group.cases);
        let _ = writeln!(text, "{}", reasons.join(", "));
    }
    text
}

/// A row for each measure and group: how many cases only one of the two has right.
pub(crate) fn pairs(pairs: &[Pair]) -> String {
    let mut text = String::new();
    let head = ["measure", "cases of", "B against A", "cases", "A", "B", "won", "lost", "p"];
    row(&mut text, head.map(String::from));
    row(&mut text, head.map(|_| "---".into()));
    for pair in pairs {
        let percent = |hits: usize| format!("{:.1} %", 100.0 * hits as f64 / pair.cases.max(1) as f64);
        row(
            &mut text,
            [
                pair.measure.to_string(),
                pair.name.clone(),
                format!("{} against {}", pair.b, pair.a),
                pair.cases.to_string(),
                percent(pair.hits_a),
                percent(pair.hits_b),
                pair.won.to_string(),
                pair.lost.to_string(),
                format!("{:.3}", pair.p),
            ],
        );
    }
    text
}

fn row(text: &mut String, cells: impl IntoIterator<Item = String>) {
    let cells: Vec<String> = cells.into_iter().collect();
    let _ = writeln!(text, "| {} |", cells.join(" | "));
}

fn share(share: &Share) -> String {
    percent(share.share, share.low, share.high)
}

fn mean(mean: &Mean) -> String {
    percent(mean.mean, mean.low, mean.high)
}

fn percent(value: f64, low: f64, high: f64) -> String {
    format!("{:.1} ({:.1} to {:.1})", 100.0 * value, 100.0 * low, 100.0 * high)
}

fn spread(spread: &Spread, digits: usize) -> String {
    format!("{:.digits$} / {:.digits$}", spread.p50, spread.p95)
}
