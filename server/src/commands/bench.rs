//! `cinnabar bench`: what the engine takes on this machine, and what a keystroke takes end to end.

use std::fmt::Write;
use std::time::{Duration, Instant};

use cinnabar_engine::bench::{Report, Samples, Size, Work};
use cinnabar_engine::model::Ceiling;
use cinnabar_engine::{Device, DocumentId, Engine, LoadOptions, Request};
use ropey::Rope;
use serde::Serialize;

use super::start_engine;
use crate::cli::{BadInput, Global};
use crate::place::{Source, split_place};
use crate::site::Site;
use crate::{postprocess, prompt, terminal};

/// The file that is typed into when none is named, and the text before which the cursor ends up.
const SAMPLE: (&str, &str) = ("lru_cache.py", include_str!("../../../tests/data/samples/lru_cache.py"));
const SAMPLE_CURSOR: &str = "\n    def __len__";

mod typing;

/// Measures the engine on this machine.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Keystrokes are typed one character at a time up to the cursor; each asks for a completion as an editor would, with
the text before it already cached. The first ask, which fills the cache, does not count.

Timings are medians and 95th percentiles of wall time; close other programs before believing them."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    what: Option<What>,

    /// A real file and the place up to which it is typed; by default a Python file that is built in.
    #[arg(value_name = "FILE:LINE:COL")]
    place: Option<String>,

    /// How often each kind of work is measured.
    #[arg(long, value_name = "N", default_value_t = 20)]
    rounds: usize,

    /// Instructions to measure, for comparisons; by default the best that the processor has.
    #[arg(long, value_name = "NAME")]
    level: Option<String>,

    /// Random weights of another geometry on a GPU, passes only: 135m, 0.5b, 1.5b or 7b.
    #[arg(long, value_name = "SIZE", conflicts_with_all = ["place", "level"])]
    size: Option<Size>,

    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, clap::Subcommand)]
enum What {
    /// Type real code through the language server and measure what the editor waits for.
    Typing(typing::Args),
}

/// A row of the table.
#[derive(Debug, Serialize)]
struct Row {
    what: String,
    median_ms: f64,
    p95_ms: f64,
    /// Rows a second at the median, where that says something.
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens_per_second: Option<f64>,
    /// The least time that the ceiling allows, as a share of the median.
    #[serde(skip_serializing_if = "Option::is_none")]
    share_of_ceiling: Option<f64>,
    rounds: usize,
}

#[derive(Debug, Serialize)]
struct Bench {
    version: &'static str,
    model: String,
    device: String,
    /// Of the model of the keystrokes.
    #[serde(skip_serializing_if = "Option::is_none")]
    load_ms: Option<f64>,
    /// Thousands of millions of operations a second that the processor's multiply instructions make at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    ceiling_gops: Option<f64>,
    /// Weights that a pass on a GPU reads, and what a copy in its memory reads and writes in a second, in 10^9 bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    ceiling_gb: Option<(f64, f64)>,
    rows: Vec<Row>,
    /// Memory of the process at its largest, where the system tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_memory_mb: Option<f64>,
}

pub(crate) fn run(args: &Args, global: &Global) -> anyhow::Result<()> {
    if let Some(What::Typing(args)) = &args.what {
        return typing::run(args, global);
    }
    if args.rounds == 0 {
        return Err(BadInput("--rounds must be 1 or more".into()).into());
    }
    let bench = match args.size {
        Some(size) => random(size, args, global)?,
        None => loaded(args, global)?,
    };
    let text = if args.json { format!("{}\n", serde_json::to_string(&bench)?) } else { table(&bench)? };
    Ok(terminal::print(&text)?)
}

/// Keystrokes and passes of the model.
fn loaded(args: &Args, global: &Global) -> anyhow::Result<Bench> {
    let (source, offset) = args.source()?;
    let options = LoadOptions { level: args.level.clone(), ..global.load_options()? };
    let ready = start_engine(options.clone())?;
    let keystrokes = [
        keystrokes(&ready.engine, &source, offset, args.rounds, ("rest of the line", 16, Some(1)))?,
        keystrokes(&ready.engine, &source, offset, args.rounds, ("several lines", 64, None))?,
    ];
    let load_ms = ms(ready.loaded);
    // Of the product alone: the measurements below load the model a second time.
    let peak_memory_mb = peak_memory_mb();
    drop(ready);
    let mut bench = passes(cinnabar_engine::bench::run(&options, args.rounds)?);
    bench.rows.extend(keystrokes);
    Ok(Bench { load_ms: Some(load_ms), peak_memory_mb, ..bench })
}

/// Passes alone, through weights that say nothing.
fn random(size: Size, args: &Args, global: &Global) -> anyhow::Result<Bench> {
    let index = match global.device {
        Some(Device::Cuda(index)) => index,
        Some(Device::Auto) | None => 0,
        Some(other) => return Err(BadInput(format!("--size runs on a GPU, not on {other}")).into()),
    };
    Ok(passes(cinnabar_engine::bench::run_random(
        size,
        index,
        global.weights.unwrap_or_default(),
        args.rounds,
    )?))
}

fn passes(report: Report) -> Bench {
    let Report { model, device, samples, ceiling } = report;
    let (ceiling_gops, ceiling_gb) = match ceiling {
        Some(Ceiling::Operations(second)) => (Some((second / 1e9).round()), None),
        Some(Ceiling::Bytes { pass, second }) => (None, Some((round(pass / 1e9, 3), round(second / 1e9, 0)))),
        None => (None, None),
    };
    Bench {
        version: env!("CARGO_PKG_VERSION"),
        model,
        device,
        load_ms: None,
        ceiling_gops,
        ceiling_gb,
        rows: samples.iter().map(|samples| row(samples, ceiling)).collect(),
        peak_memory_mb: None,
    }
}

fn round(x: f64, digits: i32) -> f64 {
    (x * 10f64.powi(digits)).round() / 10f64.powi(digits)
}

impl Args {
    /// The text and the byte offset up to which it is typed.
    fn source(&self) -> Result<(Source, usize), BadInput> {
        match &self.place {
            Some(place) => {
                let (file, cursor) = split_place(place)?;
                let source = Source::read(&file)?;
                let offset = source.offset(cursor)?;
                Ok((source, offset))
            }
            None => {
                let (path, text) = SAMPLE;
                let offset = text.find(SAMPLE_CURSOR).unwrap_or(text.len());
                Ok((Source { text: text.into(), path: Some(path.into()) }, offset))
            }
        }
    }
}

/// Types the last `rounds` characters before `offset` and asks after each.
fn keystrokes(
    engine: &Engine,
    source: &Source,
    offset: usize,
    rounds: usize,
    (name, max_tokens, max_lines): (&str, usize, Option<usize>),
) -> anyhow::Result<Row> {
    let (typed, rest) = source.text.split_at(offset);
    let starts: Vec<usize> = typed.char_indices().map(|(at, _)| at).chain([offset]).collect();
    let first = starts.len().saturating_sub(rounds + 1);
    let mut times = Vec::new();
    for (n, &end) in starts[first..].iter().enumerate() {
        let text = Rope::from_str(&format!("{}{rest}", &typed[..end]));
        let asked = Instant::now();
        let site = Site::at(&text, end);
        let prompt = prompt::prompt(&text, &site, source.path.clone());
        let request = Request { max_tokens, max_lines, ..Request::new(DocumentId(0), prompt) };
        // Nothing to suggest is an answer as well.
        let _ = postprocess::suggest(&engine.submit(request).wait()?, &site, &text, None);
        if n > 0 {
            times.push(asked.elapsed());
        }
    }
    if times.is_empty() {
        return Err(BadInput("nothing to type: the cursor stands at the start of the file".into()).into());
    }
    times.sort_unstable();
    Ok(summary(format!("warm keystroke, {name} (at most {max_tokens} tokens)"), &times, None))
}

fn row(samples: &Samples, ceiling: Option<Ceiling>) -> Row {
    let (what, tokens) = match samples.work {
        Work::Prefill(rows) => (format!("prefill of {rows} rows"), Some(rows)),
        Work::Step { rows, stream } => (format!("step of {rows} rows after {stream} tokens"), None),
        Work::CausalToken { stream } => (format!("causal token after {stream} tokens"), Some(1)),
    };
    let row = summary(what, &samples.times, tokens);
    let share = ceiling.and_then(|ceiling| samples.share(ceiling));
    Row { share_of_ceiling: share.map(|share| round(share, 2)), ..row }
}

/// Nearest rank: the smallest of the ascending times that at least so many percent of them do not exceed.
fn rank<T: Copy>(times: &[T], percent: usize) -> Option<T> {
    times.get((times.len() * percent).div_ceil(100).max(1) - 1).copied()
}

/// `times` ascend and are not empty.
fn summary(what: String, times: &[Duration], tokens: Option<usize>) -> Row {
    let rank = |percent| rank(times, percent).map_or(0.0, ms);
    let median_ms = rank(50);
    let tokens_per_second = tokens.map(|n| (n as f64 / median_ms * 1e3).round());
    let (p95_ms, rounds) = (rank(95), times.len());
    Row { what, median_ms, p95_ms, tokens_per_second, share_of_ceiling: None, rounds }
}

fn table(bench: &Bench) -> Result<String, std::fmt::Error> {
    let mut text = String::new();
    let loaded = bench.load_ms.map_or(String::new(), |load_ms| format!(", loaded in {load_ms:.0} ms"));
    writeln!(text, "cinnabar {}: {} on {}{loaded}", bench.version, bench.model, bench.device)?;
    writeln!(text)?;
    let width = bench.rows.iter().map(|r| r.what.len()).max().unwrap_or(0);
    writeln!(
        text,
        "{:width$}  {:>10}  {:>10}  {:>8}  {:>10}",
        "", "median ms", "p95 ms", "ceiling", "tokens/s"
    )?;
    for row in &bench.rows {
        let share = row.share_of_ceiling.map_or(String::new(), |share| format!("{:.0} %", 100.0 * share));
        let rate = row.tokens_per_second.map_or(String::new(), |rate| format!("{rate:.0}"));
        let line = format!(
            "{:width$}  {:>10.3}  {:>10.3}  {share:>8}  {rate:>10}",
            row.what, row.median_ms, row.p95_ms
        );
        writeln!(text, "{}", line.trim_end())?;
    }
    if let Some(gops) = bench.ceiling_gops {
        writeln!(
            text,
            "\nceiling: {gops:.0} GOP/s, the processor's multiply instructions on registers alone"
        )?;
    }
    if let Some((pass, second)) = bench.ceiling_gb {
        writeln!(
            text,
            "\nceiling: {:.3} ms, the {pass:.2} GB of weights at the {second:.0} GB/s of a copy in the GPU's memory",
            pass / second * 1e3
        )?;
    }
    if let Some(memory) = bench.peak_memory_mb {
        writeln!(text, "\nlargest resident memory: {memory:.0} MB, mapped weights included")?;
    }
    Ok(text)
}

fn ms(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

/// Linux tells in /proc, in kB.
fn peak_memory_mb() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kb: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some((kb / 1024.0).round())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(ms: impl IntoIterator<Item = u64>) -> Vec<Duration> {
        ms.into_iter().map(Duration::from_millis).collect()
    }

    #[test]
    fn medians_and_percentiles_are_times_that_were_measured() {
        let row = summary("x".into(), &times(1..=100), Some(10));
        assert_eq!((row.median_ms, row.p95_ms, row.tokens_per_second), (50.0, 95.0, Some(200.0)));
        let row = summary("x".into(), &times([7]), None);
        assert_eq!((row.median_ms, row.p95_ms), (7.0, 7.0));
    }

    #[test]
    fn the_table_lines_up() {
        let bench = Bench {
            version: "1.2.3",
            model: "tiny".into(),
            device: "cpu (portable)".into(),
            load_ms: Some(12.0),
            ceiling_gops: Some(400.0),
            ceiling_gb: None,
            rows: vec![
                Row {
                    share_of_ceiling: Some(0.653),
                    ..summary("prefill of 512 rows".into(), &times([500]), Some(512))
                },
                summary("step".into(), &times([20, 30]), None),
            ],
            peak_memory_mb: Some(300.0),
        };
        insta::assert_snapshot!(table(&bench).unwrap(), @r"
        cinnabar 1.2.3: tiny on cpu (portable), loaded in 12 ms

                              median ms      p95 ms   ceiling    tokens/s
        prefill of 512 rows     500.000     500.000      65 %        1024
        step                     20.000      30.000

        ceiling: 400 GOP/s, the processor's multiply instructions on registers alone

        largest resident memory: 300 MB, mapped weights included
        ");
    }

    #[test]
    fn the_built_in_file_has_its_cursor() {
        assert!(SAMPLE.1.contains(SAMPLE_CURSOR));
    }
}
