//! Outcomes as a Markdown table: a row for each class, one for each language, one for all.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::run::Outcome;
use super::score::interval;

/// The table. Shares are in per cent, exact match with its 95 % interval; times are medians.
pub(crate) fn table(outcomes: &[Outcome]) -> String {
    let mut text = String::from(
        "| | cases | exact match | as shown | first line | similarity | tokens a forward | forwards | denoise ms | prefill ms |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
    );
    let classes: BTreeSet<&str> = outcomes.iter().map(|o| o.class.as_str()).collect();
    let languages: BTreeSet<&str> = outcomes.iter().map(|o| o.language.as_str()).collect();
    for class in &classes {
        row(&mut text, class, outcomes.iter().filter(|o| o.class == *class));
    }
    if languages.len() > 1 {
        for language in &languages {
            row(&mut text, language, outcomes.iter().filter(|o| o.language == *language));
        }
    }
    row(&mut text, "all", outcomes.iter());
    text
}

fn row<'a>(text: &mut String, name: &str, outcomes: impl Iterator<Item = &'a Outcome>) {
    let outcomes: Vec<&Outcome> = outcomes.collect();
    let n = outcomes.len();
    let count = |f: fn(&Outcome) -> bool| outcomes.iter().filter(|o| f(o)).count();
    let sum = |f: fn(&Outcome) -> f64| outcomes.iter().map(|o| f(o)).sum::<f64>();
    let exact = count(|o| o.exact);
    let (low, high) = interval(exact, n);
    let percent = |x: f64| 100.0 * x;
    let share = |x: f64| percent(x / n.max(1) as f64);
    let forwards = sum(|o| o.counts.forwards as f64);
    writeln!(
        text,
        "| {name} | {n} | {:.1} ({:.1} to {:.1}) | {:.1} | {:.1} | {:.1} | {:.2} | {:.1} | {:.1} | {:.1} |",
        share(exact as f64),
        percent(low),
        percent(high),
        share(count(|o| o.shown_exact) as f64),
        share(count(|o| o.first_line) as f64),
        share(sum(|o| o.similarity)),
        sum(|o| o.counts.tokens as f64) / forwards.max(1.0),
        forwards / n.max(1) as f64,
        median(outcomes.iter().map(|o| o.denoise_ms)),
        median(outcomes.iter().map(|o| o.prefill_ms)),
    )
    .expect("writing to a string succeeds");
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}
