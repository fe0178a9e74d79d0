//! `cinnabar stats`: what became of suggestions on this machine.

use std::fmt::Write;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context;
use serde_json::json;

use crate::stats::{self, BOUNDS_MS, Counts, Stats};
use crate::terminal;

/// Shows what became of suggestions, by language and kind.
///
/// A suggestion that was shown is accepted, partly accepted (its first words or lines), typed (the user typed all of
/// it) or dismissed (something else was suggested in its place, or the file was closed). Counted are suggestions of
/// editors that tell what became of them: VS Code and Neovim do; what comes in a completion menu, as in Helix, cannot
/// be followed. The counts are numbers in one file on this machine; no text is stored and nothing is sent.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print the counts as JSON, latencies as histograms.
    #[arg(long)]
    json: bool,

    /// Forget all counts.
    #[arg(long)]
    reset: bool,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let file = stats::default_file().context("this user has no home directory, so nothing is counted")?;
    let name = || file.display().to_string();
    if args.reset {
        return stats::reset(&file).with_context(name);
    }
    let stats = stats::read(&file).with_context(name)?;
    let text = if args.json {
        let mut value = serde_json::to_value(&stats)?;
        value["latency_bounds_ms"] = json!(BOUNDS_MS);
        value["file"] = json!(file);
        format!("{value:#}\n")
    } else {
        format!("{}\n{}\n", table(&stats), file.display())
    };
    Ok(terminal::print(&text)?)
}

fn table(stats: &Stats) -> String {
    let total = stats.total();
    if total.offered == 0 {
        return "Nothing was suggested yet.".into();
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let days = now.saturating_sub(stats.since).div_ceil(24 * 3600).max(1);
    let mut text = format!("The last {days} day{}\n\n", if days == 1 { "" } else { "s" });
    let heads =
        ["offered", "shown", "accepted", "partly", "typed", "dismissed", "characters", "p50 ms", "p95 ms"];
    let _ = write!(text, "{:<16} {:<15}", "language", "kind");
    for head in heads {
        let _ = write!(text, " {head:>10}");
    }
    text.push('\n');
    for (language, classes) in &stats.counts {
        for (class, counts) in classes {
            row(&mut text, language, class.name(), counts);
        }
    }
    row(&mut text, "all", "", &total);
    if total.shown > 0 {
        let share = 100.0 * total.accepted as f64 / total.shown as f64;
        let _ = writeln!(text, "\n{share:.0} % of what was shown was accepted.");
    }
    text
}

fn row(text: &mut String, language: &str, class: &str, counts: &Counts) {
    let Counts { offered, shown, accepted, partly_accepted, typed, dismissed, characters, .. } = counts;
    let _ = write!(text, "{language:<16.16} {class:<15}");
    for count in [offered, shown, accepted, partly_accepted, typed, dismissed, characters] {
        let _ = write!(text, " {count:>10}");
    }
    for share in [0.5, 0.95] {
        let last = BOUNDS_MS[BOUNDS_MS.len() - 1];
        let bound = counts.quantile_ms(share).map_or(format!("> {last}"), |bound| format!("<= {bound}"));
        let _ = write!(text, " {bound:>10}");
    }
    text.push('\n');
}
