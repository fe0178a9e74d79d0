//! `cinnabar eval SET`: the model's scores on a fill-in-the-middle benchmark.

use std::path::PathBuf;

use cinnabar_engine::{DocumentId, Prompt, Request};
use indicatif::{ProgressBar, ProgressStyle};

use super::decoding::DecodingArgs;
use super::start_engine;
use crate::cli::{BadInput, Global};
use crate::eval::{cases, report, run as runner};
use crate::terminal;

/// Scores the model on a fill-in-the-middle benchmark.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A set is a .jsonl or .jsonl.gz file, or a folder of such files. A line holds {id, lang, prefix, suffix, middle} and
possibly {path, kind}, or is one of HumanEval-Infilling (https://github.com/openai/human-eval-infilling). Of the public
sets, SAFIM (https://github.com/gonglinyuan/safim) has the same fields under other names.

Examples:
  cinnabar eval tests/data/cursors.jsonl.gz
  cinnabar eval HumanEval-SingleLineInfilling.jsonl.gz --limit 100 --results single-line.jsonl
A run that was interrupted goes on where it stopped when it is given the same --results.")]
pub(crate) struct Args {
    /// The benchmark.
    #[arg(value_name = "SET")]
    set: PathBuf,

    #[command(flatten)]
    decoding: DecodingArgs,

    /// Cases at most, spread evenly over the set.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// Where answers are kept, a JSON line each; what it holds already is not asked again.
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,

    /// Prints a JSON line for each case instead of the table.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, global: &Global) -> anyhow::Result<()> {
    let cases = cases::read(&args.set).map_err(|error| BadInput(format!("{error:#}")))?;
    let cases = spread(cases, args.limit);
    let template = args.decoding.apply(Request::new(DocumentId(0), Prompt::default()));
    template.validate()?;
    let ready = start_engine(global.load_options()?)?;
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} cases, {msg}, {eta} left")?;
    let bar = ProgressBar::new(cases.len() as u64).with_style(style);
    let mut exact = 0;
    let outcomes = runner::run(&ready.engine, &cases, &template, args.results.as_deref(), |outcome| {
        exact += usize::from(outcome.exact);
        bar.inc(1);
        bar.set_message(format!("{:.1} % exact", 100.0 * exact as f64 / bar.position() as f64));
    })?;
    bar.finish_and_clear();
    let text = match args.json {
        true => {
            let lines = outcomes.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>()?;
            lines.join("\n") + "\n"
        }
        false => format!("{}\n\n{}", ready.device, report::table(&outcomes)),
    };
    terminal::print(&text)?;
    Ok(())
}

/// At most `limit` cases, at even distances.
fn spread(cases: Vec<cases::Case>, limit: Option<usize>) -> Vec<cases::Case> {
    let n = cases.len();
    let kept = limit.unwrap_or(n).min(n);
    let mut picked = (0..kept).map(|i| i * n / kept.max(1)).peekable();
    let keep = |(i, case)| picked.next_if_eq(&i).map(|_| case);
    cases.into_iter().enumerate().filter_map(keep).collect()
}
