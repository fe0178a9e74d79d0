//! `cinnabar model`: which model is used, and whether it is whole.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use cinnabar_engine::{Completion, DocumentId, Engine, Prompt, Request};

use super::start_engine;
use crate::cli::Global;
use crate::{model_path, terminal};

/// Says which model is used, and checks it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    question: Question,
}

#[derive(Debug, clap::Subcommand)]
enum Question {
    /// Print the file that would be loaded.
    Path,
    /// Load the model, check every part of it and complete a line with it.
    Check,
}

pub(crate) fn run(args: &Args, global: &Global) -> anyhow::Result<()> {
    let answer = match args.question {
        Question::Path => format!("{}\n", model_path::find(global.model.as_deref())?.display()),
        Question::Check => check(global)?,
    };
    Ok(terminal::print(&answer)?)
}

/// Everything loading checks, and one completion through tokeniser, model and sampler.
fn check(global: &Global) -> anyhow::Result<String> {
    let options = global.load_options()?;
    let files = files(&options.model)?;
    let ready = start_engine(options)?;
    let completion = trial(&ready.engine)?;
    let timings = completion.timings;
    let mut text = String::new();
    for (path, bytes) in files {
        writeln!(text, "file:   {} ({:.1} MB)", path.display(), bytes as f64 / 1e6)?;
    }
    writeln!(text, "model:  {}", ready.device)?;
    writeln!(text, "loaded: {}", milliseconds(ready.loaded))?;
    writeln!(text, "trial:  `return ` is completed with {:?}", completion.text)?;
    writeln!(
        text,
        "        {} tokens after {} of context in {}",
        completion.counts.tokens,
        completion.counts.stream,
        milliseconds(timings.tokenize + timings.prefill + timings.denoise)
    )?;
    writeln!(text, "The model is whole and usable.")?;
    Ok(text)
}

/// Completes a line: tokeniser, model and sampler.
pub(super) fn trial(engine: &Engine) -> anyhow::Result<Completion> {
    let prompt = Prompt {
        path: Some("sum.py".into()),
        prefix: "def add(a, b):\n    return ".into(),
        suffix: "\n".into(),
        ..Prompt::default()
    };
    let request = Request { max_tokens: 16, max_lines: Some(1), ..Request::new(DocumentId(0), prompt) };
    engine.submit(request).wait().context("the model loads but cannot complete")
}

pub(super) fn milliseconds(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1e3)
}

/// The files of a model with their sizes: its shards, or the one file, and the tokeniser.
pub(crate) fn files(model: &Path) -> anyhow::Result<Vec<(PathBuf, u64)>> {
    let name = model.file_name().and_then(|n| n.to_str()).unwrap_or_default();
    // Shards of one set differ in five digits: x-00001-of-00002.gguf.
    let (set, end) = name.split_once("-00001-of-").unwrap_or((name, ""));
    let folder = model.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let entries = folder.read_dir().with_context(|| format!("cannot list {}", folder.display()))?;
    let mut files: Vec<(PathBuf, u64)> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let file = entry.file_name().into_string().ok()?;
            let shard =
                file.strip_prefix(set).is_some_and(|rest| rest.starts_with('-') && rest.ends_with(end));
            let ours = file == name || file == "tokenizer.json" || (!end.is_empty() && shard);
            ours.then(|| Some((entry.path(), entry.metadata().ok()?.len())))?
        })
        .collect();
    files.sort();
    Ok(files)
}
