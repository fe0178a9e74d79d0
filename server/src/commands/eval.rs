//! `cinnabar eval SET`: the model's scores on a fill-in-the-middle benchmark; `cinnabar eval compare` sets two runs
//! against each other.

use std::collections::HashSet;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use cinnabar_engine::{DocumentId, Mode, Prompt, Request};
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::decoding::{DecodingArgs, ModeName};
use super::{Ready, model, start_engine};
use crate::cli::{BadInput, Global};
use crate::eval::cases::Case;
use crate::eval::outcome::Outcome;
use crate::eval::results::{self, Head, Results};
use crate::eval::{answer, cases, compare, select, summary, table};
use crate::terminal;

/// Scores the model on a fill-in-the-middle benchmark.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "\
A set is a .jsonl or .jsonl.gz file, or a folder of such files. A line holds {id, lang, prefix, suffix, middle} and
possibly {path, kind}, or is one of HumanEval-Infilling (https://github.com/openai/human-eval-infilling). Of the public
sets, SAFIM (https://github.com/gonglinyuan/safim) has the same fields under other names.

Examples:
  cinnabar eval tests/data/cursors.jsonl.gz
  cinnabar eval HumanEval-SingleLineInfilling.jsonl.gz --limit 250 --sample 1 --results single-line.jsonl
  cinnabar eval tests/data/cursors.jsonl.gz --mode causal,verified,parallel --json > report.json
  cinnabar eval compare before.jsonl after.jsonl
A run that was interrupted goes on where it stopped when it is given the same --results.")]
pub(crate) struct Args {
    #[command(subcommand)]
    question: Option<Question>,

    /// The benchmark.
    #[arg(value_name = "SET", required = true)]
    set: Option<PathBuf>,

    /// How the span is filled; several, separated by commas, are scored side by side.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "auto")]
    mode: Vec<ModeName>,

    #[command(flatten)]
    decoding: DecodingArgs,

    /// Cases at most, spread evenly over the set.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// Draws the cases at random instead; a larger --limit with the same seed adds to a smaller one.
    #[arg(long, value_name = "SEED", requires = "limit")]
    sample: Option<u64>,

    /// Where answers are kept, a JSON line each; what it holds already is not asked again.
    #[arg(long, value_name = "FILE")]
    results: Option<PathBuf>,

    /// Scores what stood in the gaps instead of asking a model: are the set and its tests sound on this machine?
    #[arg(long)]
    reference: bool,

    /// Prints one JSON object instead of the table: the run, scores, comparisons of modes, every case.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Question {
    /// Compare two runs case by case, with an exact sign test.
    Compare {
        /// Results, or a JSON report, of the run to measure against.
        #[arg(value_name = "A")]
        a: PathBuf,
        /// Results, or a JSON report, of the other run.
        #[arg(value_name = "B")]
        b: PathBuf,
        /// Prints JSON instead of the table.
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(args: &Args, global: &Global) -> anyhow::Result<()> {
    match &args.question {
        Some(Question::Compare { a, b, json }) => compare_runs(a, b, *json),
        None => score(args, global),
    }
}

fn score(args: &Args, global: &Global) -> anyhow::Result<()> {
    let set = args.set.as_deref().expect("because clap asks for a set where there is no subcommand");
    let cases = cases::read(set).map_err(|error| BadInput(format!("{error:#}")))?;
    let cases = select::select(cases, args.limit, args.sample);
    let template = args.decoding.apply(ModeName::Auto, Request::new(DocumentId(0), Prompt::default()));
    template.validate()?;
    let who = match args.reference {
        true => Who::Reference,
        false => {
            let options = global.load_options()?;
            let files = model::files(&options.model)?.into_iter().map(|(path, _)| path).collect();
            let mut modes: Vec<Mode> = Vec::new();
            args.mode.iter().map(|&name| name.into()).for_each(|mode| {
                if !modes.contains(&mode) {
                    modes.push(mode);
                }
            });
            Who::Model { ready: start_engine(options)?, files, modes }
        }
    };
    let head = head(set, &who, &template)?;
    let outcomes = answers(&who, &cases, &template, args.results.as_deref(), &head)?;
    let groups = summary::groups(&outcomes);
    let pairs = compare::within(&outcomes);
    let text = match args.json {
        true => {
            let scores = json!({"run": head, "scores": groups, "pairs": pairs, "cases": outcomes});
            format!("{scores}\n")
        }
        false => {
            let mut text = format!("{} of {}\n\n{}", head.device, head.model, table::scores(&groups));
            if !pairs.is_empty() {
                text += &format!("\n{}", table::pairs(&pairs));
            }
            text
        }
    };
    Ok(terminal::print(&text)?)
}

/// Who answers.
enum Who {
    /// What stood in the gap.
    Reference,
    /// A model, from these files, in these modes.
    Model { ready: Ready, files: Vec<PathBuf>, modes: Vec<Mode> },
}

fn head(set: &Path, who: &Who, template: &Request) -> anyhow::Result<Head> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (model, model_checksum, device) = match who {
        Who::Reference => ("reference".into(), String::new(), String::new()),
        Who::Model { ready, files, .. } => {
            (files.first().map(|file| name(file)).unwrap_or_default(), checksum(files)?, ready.device.clone())
        }
    };
    Ok(Head {
        version: results::VERSION,
        set: name(set),
        set_checksum: checksum(&cases::files(set)?)?,
        model,
        model_checksum,
        device,
        max_tokens: template.max_tokens,
        block: template.decoding.block,
        threshold: template.decoding.threshold,
        draft_steps: template.decoding.draft_steps,
        sampling: template.sampling,
        execution: "none".into(),
    })
}

/// CRC-32 of files' bytes: enough to notice another model or set.
fn checksum(files: &[PathBuf]) -> anyhow::Result<String> {
    let mut crc = flate2::Crc::new();
    let mut buffer = vec![0; 1 << 20];
    for path in files {
        let mut file = BufReader::new(File::open(path)?);
        loop {
            match file.read(&mut buffer).with_context(|| format!("cannot read {}", path.display()))? {
                0 => break,
                n => crc.update(&buffer[..n]),
            }
        }
    }
    Ok(format!("{:08x}", crc.sum()))
}

/// An outcome for every case and mode: those that the results hold, then the others, which are kept there at once.
fn answers(
    who: &Who,
    cases: &[Case],
    template: &Request,
    path: Option<&Path>,
    head: &Head,
) -> anyhow::Result<Vec<Outcome>> {
    let mut results = None;
    let mut outcomes = Vec::new();
    if let Some(path) = path {
        let opened = Results::open(path, head).with_context(|| format!("cannot use {}", path.display()));
        let (file, old) = opened.map_err(|error| BadInput(format!("{error:#}")))?;
        results = Some(file);
        outcomes = old;
    }
    let modes: Vec<Option<Mode>> = match who {
        Who::Reference => vec![None],
        Who::Model { modes, .. } => modes.iter().copied().map(Some).collect(),
    };
    let name = |mode: Option<Mode>| mode.map_or("reference", answer::mode_name);
    let ids: HashSet<&str> = cases.iter().map(|case| case.id.as_str()).collect();
    let names: Vec<&str> = modes.iter().map(|&mode| name(mode)).collect();
    outcomes.retain(|o| ids.contains(o.id.as_str()) && names.contains(&o.mode.as_str()));
    let done: HashSet<(String, String)> = outcomes.iter().map(|o| (o.mode.clone(), o.id.clone())).collect();

    let bar = progress((cases.len() * modes.len()) as u64)?;
    let mut exact = outcomes.iter().filter(|o| o.exact).count();
    bar.set_position(outcomes.len() as u64);
    for (number, case) in cases.iter().enumerate() {
        for &mode in &modes {
            if done.contains(&(name(mode).to_string(), case.id.clone())) {
                continue;
            }
            let outcome = match (who, mode) {
                (Who::Model { ready, .. }, Some(mode)) => {
                    answer::ask(&ready.engine, case, mode, template, number)?
                }
                _ => answer::reference(case),
            };
            if let Some(results) = &mut results {
                results.add(&outcome)?;
            }
            exact += usize::from(outcome.exact);
            outcomes.push(outcome);
            bar.inc(1);
            bar.set_message(format!("{:.1} % exact", 100.0 * exact as f64 / outcomes.len() as f64));
        }
    }
    bar.finish_and_clear();
    Ok(outcomes)
}

fn progress(n: u64) -> anyhow::Result<ProgressBar> {
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} answers, {msg}, {eta} left")?;
    Ok(ProgressBar::new(n).with_style(style))
}

fn compare_runs(a: &Path, b: &Path, as_json: bool) -> anyhow::Result<()> {
    let read = |path: &Path| {
        let read = results::read(path).with_context(|| format!("cannot read {}", path.display()));
        read.map_err(|error| BadInput(format!("{error:#}")))
    };
    let ((head_a, outcomes_a), (head_b, outcomes_b)) = (read(a)?, read(b)?);
    if head_a.set_checksum != head_b.set_checksum {
        let sets = format!("{} and {}", head_a.set, head_b.set);
        return Err(BadInput(format!("the runs are of different sets: {sets}")).into());
    }
    let pairs = compare::runs(&outcomes_a, &outcomes_b);
    if pairs.is_empty() {
        return Err(BadInput("the runs have no case and mode in common".into()).into());
    }
    let text = match as_json {
        true => {
            format!("{}\n", json!({"version": results::VERSION, "a": head_a, "b": head_b, "pairs": pairs}))
        }
        false => format!("A: {}\nB: {}\n\n{}", about(a, &head_a), about(b, &head_b), table::pairs(&pairs)),
    };
    Ok(terminal::print(&text)?)
}

/// A run in a line.
fn about(path: &Path, head: &Head) -> String {
    let Head { model, model_checksum, device, max_tokens, block, threshold, .. } = head;
    format!(
        "{}: {model} ({model_checksum}), {device}, at most {max_tokens} tokens, block {block}, threshold {threshold}",
        path.display()
    )
}
