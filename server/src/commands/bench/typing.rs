//! `cinnabar bench typing`: what somebody who types real code waits for, through the real server.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Context;
use fastrand::Rng;
use serde_json::Value;

use crate::cli::{BadInput, Global};
use crate::place::Source;
use crate::{model_path, terminal};

use editor::Editor;
use replay::{Played, Player};
use report::Report;
use typist::Scene;

mod editor;
mod log_line;
mod replay;
mod report;
mod typist;

/// Files that are typed when none is named.
const SAMPLES: [(&str, &str); 4] = [
    ("src/debounce.ts", include_str!("../../../../tests/data/samples/debounce.ts")),
    ("lru_cache.py", include_str!("../../../../tests/data/samples/lru_cache.py")),
    ("src/ring_buffer.rs", include_str!("../../../../tests/data/samples/ring_buffer.rs")),
    ("worker_pool.go", include_str!("../../../../tests/data/samples/worker_pool.go")),
];
/// What the server logs: a line for each request, and one for each edit.
const LOG: &str = "warn,cinnabar=info,cinnabar_server::handlers::did_change=debug";

/// Types real code through the language server and measures what the editor waits for.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Pieces of the files are cut out and typed again, a key every 100 to 250 ms, with mistakes that are taken back and pauses
before some lines. Each key is an edit and a request, as VS Code sends them: a request that has no answer yet is
cancelled first. Some of the suggestions that are right are accepted.

An answer that comes after the next key counts as not in time, and its time is not known: percentiles are of those that came.

Examples:
  cinnabar bench typing
  cinnabar bench typing src/*.rs --seconds 120 --json
  cinnabar bench typing --at-least 1000000          in buffers of a megabyte and more")]
pub(crate) struct Args {
    /// Files to type from; by default four that are built in.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    /// How long to type.
    #[arg(long, value_name = "N", default_value_t = 60)]
    seconds: u64,

    /// The same seed types the same keys.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,

    /// Makes each buffer so many bytes or more, with the file's own text over and over above it.
    #[arg(long, value_name = "BYTES", default_value_t = 0)]
    at_least: usize,

    /// Settings for the server, as an editor sends them.
    #[arg(long, value_name = "JSON", default_value = "null", value_parser = json)]
    settings: Value,

    /// Another server to measure: a command and its arguments, parted by blanks.
    #[arg(long, value_name = "COMMAND")]
    server: Option<String>,

    /// Prints one JSON object.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, global: &Global) -> anyhow::Result<()> {
    let files = files(&args.files)?;
    let mut rng = Rng::with_seed(args.seed);
    let (name, command) = server(args, global)?;
    let mut editor = Editor::start(command, &args.settings)?;
    let until = Instant::now() + Duration::from_secs(args.seconds);
    let mut player = Player { editor: &mut editor, played: Played::default(), n_opened: 0, rng: rng.fork() };
    while Instant::now() < until {
        let (path, text) = &files[rng.usize(..files.len())];
        let scene = Scene::choose(path, text, &mut rng);
        let mut scene = scene.ok_or_else(|| BadInput(format!("{path} has no indented line to type")))?;
        while scene.before.len() + scene.after.len() < args.at_least {
            scene.before.insert_str(0, text);
        }
        player.play(scene, until)?;
    }
    let played = player.played;
    let report = Report::new(name, args.seconds, &played, &editor.leave()?);
    let text = if args.json { format!("{}\n", serde_json::to_string(&report)?) } else { report.table()? };
    Ok(terminal::print(&text)?)
}

/// Paths and texts to type from.
fn files(paths: &[PathBuf]) -> anyhow::Result<Vec<(String, String)>> {
    if paths.is_empty() {
        return Ok(SAMPLES.map(|(path, text)| (path.into(), text.into())).into());
    }
    let read = |path: &PathBuf| -> anyhow::Result<_> {
        let source = Source::read(path)?;
        Ok((source.path.unwrap_or_default(), source.text))
    };
    paths.iter().map(read).collect()
}

/// The server's name and how it is started: by default this program, with the options that it was given.
fn server(args: &Args, global: &Global) -> anyhow::Result<(String, Command)> {
    let mut command = match &args.server {
        Some(line) => {
            let mut words = line.split_whitespace();
            let mut command = Command::new(words.next().context("--server is empty").map_err(bad)?);
            command.args(words);
            command
        }
        None => own_server(global)?,
    };
    command.env("CINNABAR_LOG", LOG);
    let name = args.server.clone().unwrap_or_else(|| "cinnabar lsp".into());
    Ok((name, command))
}

fn own_server(global: &Global) -> anyhow::Result<Command> {
    let mut command = Command::new(std::env::current_exe()?);
    // The user's settings would be measured too, and what is only played would count as offered.
    command.args(["lsp", "--isolated", "--model"]).arg(model_path::find(global.model.as_deref())?);
    if let Some(device) = global.device {
        command.args(["--device", &device.to_string()]);
    }
    if let Some(threads) = global.threads {
        command.args(["--threads", &threads.to_string()]);
    }
    Ok(command)
}

fn json(text: &str) -> Result<Value, String> {
    serde_json::from_str(text).map_err(|error| error.to_string())
}

fn bad(error: anyhow::Error) -> BadInput {
    BadInput(error.to_string())
}
