//! `cinnabar eval SET`: the model's scores on a fill-in-the-middle benchmark. `compare` sets two runs against each other,
//! `refit` makes suggestions of a run's texts anew, `hiding` tells what a threshold would hide.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use cinnabar_engine::{DocumentId, Hardware, Mode, Prompt, Request};
use clap::ValueEnum;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::decoding::{DecodingArgs, ModeName};
use super::{model, start_engine};
use crate::cli::{BadInput, Global};
use crate::eval::cases::{self, Case};
use crate::eval::outcome::Outcome;
use crate::eval::results::{self, Head, Results};
use crate::eval::run::{Run, Who};
use crate::eval::sandbox::{Isolation, Sandbox};
use crate::eval::{answer, compare, hiding, select, summary, table};
use crate::terminal;

/// Scores the model on a fill-in-the-middle benchmark.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "\
A set is a .jsonl or .jsonl.gz file, or a folder of such files, one case a line:
  {id, lang, prefix, suffix, middle}  a gap and what stood in it; possibly {path, kind, neighbours} as well
  HumanEval-Infilling                 as its project publishes it: https://github.com/openai/human-eval-infilling
  SAFIM                               a gap with {task: block|control|api, tests: [{input, output: [..]}]}, from the fields
                                      eval_prompt, ground_truth and unit_tests of https://github.com/gonglinyuan/safim;
                                      NAME-python-ok.json beside NAME.jsonl may list the ids whose reference passes
pass@1 wants --allow-execution (SAFIM's api task compares texts and does not).

Examples:
  cinnabar eval tests/data/cursors.jsonl.gz
  cinnabar eval HumanEval-SingleLineInfilling.jsonl.gz --limit 250 --sample 1 --results single-line.jsonl
  cinnabar eval HumanEval-SingleLineInfilling.jsonl.gz --reference --allow-execution
  cinnabar eval safim/control.jsonl.gz --language python --allow-execution
  cinnabar eval tests/data/cursors.jsonl.gz --mode causal,verified,parallel --json > report.json
  cinnabar eval compare before.jsonl after.jsonl
  cinnabar eval refit tests/data/cursors.jsonl.gz before.jsonl --results after.jsonl
  cinnabar eval hiding after.jsonl
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

    /// Cases in these languages only, as the set names them; several are separated by commas.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    language: Vec<String>,

    /// Cases at most, spread evenly over the set.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// Draws the cases at random instead; a larger --limit with the same seed adds to a smaller one.
    #[arg(long, value_name = "SEED", requires = "limit")]
    sample: Option<u64>,

    /// Runs the tests of a benchmark that has some, on the model's code: without a network, under limits of time and memory
    /// (Linux, Python 3). It could still read and write your files.
    #[arg(long, value_name = "HOW", value_enum, num_args = 0..=1, require_equals = true)]
    #[arg(default_missing_value = "isolated")]
    allow_execution: Option<Execution>,

    /// Answers that are tested at a time, while the model goes on; 0 tests each before the next is asked. By default one for
    /// each processor, and 0 with a model on the processor, whose times tests beside it would spoil.
    #[arg(long, value_name = "N", requires = "allow_execution")]
    testers: Option<usize>,

    /// Leaves out the other files that the cases of some sets bring (`neighbours`: [{path, text}]).
    #[arg(long)]
    alone: bool,

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

/// How the model's code is kept apart from the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Execution {
    /// No network, and processes that end with it
    Isolated,
    /// Limits alone, where the system permits no more
    Unisolated,
}

impl From<Execution> for Isolation {
    fn from(execution: Execution) -> Self {
        match execution {
            Execution::Isolated => Isolation::Namespaces,
            Execution::Unisolated => Isolation::Limits,
        }
    }
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
    /// Make suggestions of an earlier run's texts anew: what does a change of the rules between model and editor change?
    Refit {
        /// The benchmark.
        #[arg(value_name = "SET")]
        set: PathBuf,
        /// Results, or a JSON report, of the run.
        #[arg(value_name = "RUN")]
        run: PathBuf,
        /// Where the answers are kept, a JSON line each.
        #[arg(long, value_name = "FILE")]
        results: Option<PathBuf>,
    },
    /// What `minProbability` would hide, at several values of it.
    Hiding {
        /// Results, or a JSON report, of a run.
        #[arg(value_name = "RUN")]
        run: PathBuf,
        /// Prints JSON instead of the table.
        #[arg(long)]
        json: bool,
    },
}

pub(crate) fn run(args: &Args, global: &Global) -> anyhow::Result<()> {
    match &args.question {
        Some(Question::Compare { a, b, json }) => compare_runs(a, b, *json),
        Some(Question::Refit { set, run, results }) => refit(set, run, results.as_deref()),
        Some(Question::Hiding { run, json }) => hide(run, *json),
        None => score(args, global),
    }
}

fn score(args: &Args, global: &Global) -> anyhow::Result<()> {
    let set = args.set.as_deref().expect("because clap asks for a set where there is no subcommand");
    let mut cases = cases::read(set).map_err(|error| BadInput(format!("{error:#}")))?;
    cases.retain(|case| args.language.is_empty() || args.language.contains(&case.language));
    if cases.is_empty() {
        return Err(BadInput(format!("no case is in {}", args.language.join(" or "))).into());
    }
    let mut cases = select::select(cases, args.limit, args.sample);
    if args.alone {
        cases.iter_mut().for_each(|case| case.neighbours.clear());
    }
    let template = args.decoding.apply(ModeName::Auto, Request::new(DocumentId(0), Prompt::default()));
    template.validate()?;
    let sandbox = args.allow_execution.map(|isolation| Sandbox::new(isolation.into())).transpose()?;
    let (who, head, hardware) = match args.reference {
        true => (Who::Reference, head(args, set, &template, None)?, None),
        false => {
            let options = global.load_options()?;
            let model = options.model.clone();
            let ready = start_engine(options)?;
            let head = head(args, set, &template, Some((&model, &ready.device)))?;
            (Who::Model { engine: ready.engine, modes: modes(&args.mode) }, head, Some(ready.hardware))
        }
    };
    let (mut results, mut outcomes) = (None, Vec::new());
    if let Some(path) = &args.results {
        let opened = Results::open(path, &head).with_context(|| format!("cannot use {}", path.display()));
        let (file, old) = opened.map_err(|error| BadInput(format!("{error:#}")))?;
        (results, outcomes) = (Some(file), old);
    }
    let bar = ProgressBar::no_length()
        .with_style(ProgressStyle::with_template("{bar:30} {pos}/{len} answers, {msg}, {eta} left")?);
    let testers = args.testers.unwrap_or_else(|| testers(hardware));
    let run = Run { who: &who, template: &template, sandbox: sandbox.as_ref(), testers };
    run.answer(&cases, &mut outcomes, results.as_mut(), |so_far, n| {
        let exact = so_far.iter().filter(|outcome| outcome.exact).count();
        bar.set_length(n as u64);
        bar.set_position(so_far.len() as u64);
        bar.set_message(format!("{:.1} % exact", 100.0 * exact as f64 / so_far.len() as f64));
    })?;
    bar.finish_and_clear();

    let groups = summary::groups(&outcomes);
    let pairs = compare::within(&outcomes);
    let text = match args.json {
        true => {
            let version = results::VERSION;
            let report =
                json!({"version": version, "run": head, "scores": groups, "pairs": pairs, "cases": outcomes});
            format!("{report}\n")
        }
        false => {
            let mut text = format!("{}\n\n{}", about(set, &head), table::scores(&groups));
            if !pairs.is_empty() {
                text += &format!("\n{}", table::pairs(&pairs));
            }
            text
        }
    };
    Ok(terminal::print(&text)?)
}

/// Answers to test at a time: tests beside an engine on the processor would spoil its times.
fn testers(engine: Option<Hardware>) -> usize {
    match engine {
        Some(Hardware::Processor) => 0,
        Some(Hardware::Gpu) | None => std::thread::available_parallelism().map_or(1, usize::from),
    }
}

/// Each mode once, in the order they were named.
fn modes(names: &[ModeName]) -> Vec<Mode> {
    let mut modes: Vec<Mode> = Vec::new();
    for mode in names.iter().map(|&name| name.into()) {
        if !modes.contains(&mode) {
            modes.push(mode);
        }
    }
    modes
}

fn head(args: &Args, set: &Path, template: &Request, model: Option<(&Path, &str)>) -> anyhow::Result<Head> {
    let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let (model, model_checksum, device) = match model {
        None => ("reference".into(), String::new(), String::new()),
        Some((model, device)) => {
            let files: Vec<PathBuf> = model::files(model)?.into_iter().map(|(path, _)| path).collect();
            (name(model), checksum(&files)?, device.to_string())
        }
    };
    let execution = args
        .allow_execution
        .and_then(|isolation| Some(isolation.to_possible_value()?.get_name().to_string()));
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
        execution: execution.unwrap_or_else(|| "none".into()),
        alone: args.alone,
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

/// An earlier run.
fn read_run(path: &Path) -> Result<(Head, Vec<Outcome>), BadInput> {
    let read = results::read(path).with_context(|| format!("cannot read {}", path.display()));
    read.map_err(|error| BadInput(format!("{error:#}")))
}

fn refit(set: &Path, run: &Path, results: Option<&Path>) -> anyhow::Result<()> {
    let (head, earlier) = read_run(run)?;
    let cases = cases::read(set).map_err(|error| BadInput(format!("{error:#}")))?;
    let by_id: HashMap<&str, &Case> = cases.iter().map(|case| (case.id.as_str(), case)).collect();
    let outcomes: Vec<Outcome> = earlier
        .iter()
        .filter_map(|outcome| Some(answer::again(by_id.get(outcome.id.as_str())?, outcome)))
        .collect();
    if outcomes.is_empty() {
        return Err(BadInput(format!("{} answers no case of {}", run.display(), set.display())).into());
    }
    if let Some(path) = results {
        let (mut file, old) = Results::open(path, &head)?;
        if !old.is_empty() {
            return Err(BadInput(format!("{} holds answers already", path.display())).into());
        }
        outcomes.iter().try_for_each(|outcome| file.add(outcome))?;
    }
    let text = format!("{}\n\n{}", about(run, &head), table::scores(&summary::groups(&outcomes)));
    Ok(terminal::print(&text)?)
}

fn hide(run: &Path, as_json: bool) -> anyhow::Result<()> {
    let (head, outcomes) = read_run(run)?;
    let trades = hiding::trades(&outcomes);
    let text = match as_json {
        true => format!("{}\n", json!({"version": results::VERSION, "run": head, "trades": trades})),
        false => format!("{}\n\n{}", about(run, &head), hiding::table(&trades)),
    };
    Ok(terminal::print(&text)?)
}

fn compare_runs(a: &Path, b: &Path, as_json: bool) -> anyhow::Result<()> {
    let ((head_a, outcomes_a), (head_b, outcomes_b)) = (read_run(a)?, read_run(b)?);
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
    let who = match device.as_str() {
        "" => "what stood in the gaps".to_string(),
        _ => format!(
            "{device} ({model}, {model_checksum}), at most {max_tokens} tokens, block {block}, threshold {threshold}"
        ),
    };
    format!("{}: {who}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_engine_on_the_processor_has_it_for_itself() {
        assert_eq!(testers(Some(Hardware::Processor)), 0);
        assert!(testers(Some(Hardware::Gpu)) > 0 && testers(None) > 0);
    }
}
