//! The command line: what can be asked for, and the exit code that answers.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use cinnabar_engine::{Device, EngineError, LoadOptions, WeightFormat};
use clap::{CommandFactory, Parser, Subcommand};

use crate::commands::{bench, complete, completions, doctor, eval, lsp, model, settings, stats};
use crate::{logging, model_path, version};

/// Exit code of a command that did what it was asked, an empty completion included.
pub const OK: u8 = 0;
/// Exit code when something failed: no model, a device that cannot be used, an engine error, a closed disk.
pub const FAILURE: u8 = 1;
/// Exit code when the caller asked for something that cannot be: usage, file, position or a parameter's range.
pub const BAD_INPUT: u8 = 2;

const EXAMPLES: &str = "\
Examples:
  cinnabar complete src/main.rs:42:17            complete at line 42, column 17
  cinnabar complete src/main.rs:42:17 --watch    and watch the span being denoised
  cinnabar complete - --cursor 3:5 --path a.py   complete what is piped in
  cinnabar lsp                                   what an editor starts
  cinnabar model check                           is the model found, whole and usable?
  cinnabar completions bash > ~/.local/share/bash-completion/completions/cinnabar

Exit codes:
  0  done; an empty completion counts as done
  1  failed: no model, an unusable device, an engine error
  2  bad input: wrong usage, a missing or binary file, a position outside it, a parameter out of range";

/// Completes code in the editor with a diffusion language model that lives on this machine.
#[derive(Debug, Parser)]
#[command(name = "cinnabar", version, long_version = version::long(), after_help = EXAMPLES)]
#[command(disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,

    /// Same as `cinnabar lsp`, for editors that only pass flags.
    #[arg(long)]
    stdio: bool,

    #[command(flatten)]
    global: Global,
}

/// What every command takes.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct Global {
    /// Model to use: a GGUF file, the first shard of one, or a folder that holds one.
    #[arg(long, env = "CINNABAR_MODEL", value_name = "PATH", global = true, help_heading = "Global options")]
    pub(crate) model: Option<PathBuf>,

    /// Where the model runs: auto (the default), cpu, reference (slow and exact), cuda or cuda:N.
    #[arg(
        long,
        env = "CINNABAR_DEVICE",
        value_name = "DEVICE",
        global = true,
        help_heading = "Global options"
    )]
    pub(crate) device: Option<Device>,

    /// Weights on a GPU: 16bit (the default), or fp8: half the memory, faster from a few thousand million of them on,
    /// less exact.
    #[arg(long, value_name = "FORMAT", global = true, help_heading = "Global options")]
    pub(crate) weights: Option<WeightFormat>,

    /// Threads of the CPU engine; by default one per physical core.
    #[arg(long, value_name = "N", global = true, help_heading = "Global options", value_parser = threads)]
    pub(crate) threads: Option<usize>,

    /// The CPU engine computes in f32 with the weights as they are: slower, and what the golden files are compared with.
    #[arg(long, global = true, help_heading = "Global options")]
    pub(crate) exact: bool,

    /// Says more on standard error; repeat for more still. CINNABAR_LOG sets the filter in full.
    #[arg(short, long, action = clap::ArgAction::Count, global = true, help_heading = "Global options")]
    pub(crate) verbose: u8,
}

impl Global {
    /// Options for the engine; looks for the model.
    pub(crate) fn load_options(&self) -> anyhow::Result<LoadOptions> {
        let model = model_path::find(self.model.as_deref())?;
        Ok(LoadOptions {
            model,
            device: self.device.unwrap_or_default(),
            threads: self.threads,
            exact: self.exact,
            weights: self.weights.unwrap_or_default(),
            ..LoadOptions::default()
        })
    }

    /// What is given as settings on the command line. clap reads two of them from the environment as well, which is a
    /// layer of its own.
    pub(crate) fn settings(&self) -> serde_json::Map<String, serde_json::Value> {
        let from_environment = |name, value: &str| std::env::var(name).is_ok_and(|found| found == value);
        let model = self.model.as_ref().map(|path| path.display().to_string());
        let device = self.device.map(|device| device.to_string());
        let given = [
            ("model", model.filter(|path| !from_environment("CINNABAR_MODEL", path)).map(Into::into)),
            ("device", device.filter(|name| !from_environment("CINNABAR_DEVICE", name)).map(Into::into)),
            ("weights", self.weights.map(|weights| weights.to_string().into())),
            ("threads", self.threads.map(Into::into)),
        ];
        given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve an editor: the Language Server Protocol on standard input and output.
    Lsp(lsp::Args),
    /// Complete the code at a position and print what belongs there.
    Complete(complete::Args),
    /// Say which model is used, and check it.
    Model(model::Args),
    /// Look for what keeps suggestions from coming, and say what to do about it.
    Doctor(doctor::Args),
    /// Measure the engine on this machine.
    Bench(bench::Args),
    /// Score the model on a fill-in-the-middle benchmark.
    Eval(eval::Args),
    /// Show the settings, and where each comes from.
    Settings(settings::Args),
    /// Show what became of suggestions, counted on this machine.
    Stats(stats::Args),
    /// Print the completion script of a shell.
    Completions(completions::Args),
}

/// Something that the caller has to change: exit code 2.
#[derive(Debug)]
pub(crate) struct BadInput(pub(crate) String);

impl std::fmt::Display for BadInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadInput {}

/// Reads the arguments, runs the command, says what went wrong on standard error.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    logging::start(cli.global.verbose);
    match dispatch(cli) {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::from(OK),
        Err(error) => {
            eprintln!("cinnabar: {error:#}");
            ExitCode::from(exit_code(&error))
        }
    }
}

/// The command line's definition, for the completion scripts.
pub(crate) fn definition() -> clap::Command {
    Cli::command()
}

fn dispatch(cli: Cli) -> anyhow::Result<ExitCode> {
    let Cli { command, stdio, global } = cli;
    match command {
        Some(Command::Lsp(args)) => return Ok(lsp::run(&args, &global)),
        None if stdio => return Ok(lsp::run(&lsp::Args::default(), &global)),
        Some(Command::Complete(args)) => complete::run(&args, &global)?,
        Some(Command::Model(args)) => model::run(&args, &global)?,
        Some(Command::Doctor(args)) => doctor::run(&args, &global)?,
        Some(Command::Bench(args)) => bench::run(&args, &global)?,
        Some(Command::Eval(args)) => eval::run(&args, &global)?,
        Some(Command::Settings(args)) => settings::run(&args, &global)?,
        Some(Command::Stats(args)) => stats::run(&args)?,
        Some(Command::Completions(args)) => completions::run(&args)?,
        None => {
            eprintln!("{}", definition().render_help());
            let hint = "which command? `cinnabar complete FILE:LINE:COL` is a good first one";
            return Err(BadInput(hint.into()).into());
        }
    }
    Ok(ExitCode::from(OK))
}

fn exit_code(error: &anyhow::Error) -> u8 {
    let bad_parameter = matches!(error.downcast_ref(), Some(EngineError::Parameter { .. }));
    if bad_parameter || error.is::<BadInput>() { BAD_INPUT } else { FAILURE }
}

/// Whoever read our output has seen enough, as in `cinnabar ... | head`.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<std::io::Error>().is_some_and(|e| e.kind() == std::io::ErrorKind::BrokenPipe)
}

fn threads(text: &str) -> anyhow::Result<usize> {
    let threads = text.parse().context("expected a number of threads")?;
    anyhow::ensure!((1..=1024).contains(&threads), "expected 1 to 1024 threads");
    Ok(threads)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definition_is_consistent() {
        definition().debug_assert();
    }

    #[test]
    fn global_options_stand_anywhere() {
        let cli =
            Cli::try_parse_from(["cinnabar", "complete", "a.rs:1:2", "--device", "cuda:1", "-vv"]).unwrap();
        assert_eq!(cli.global.device, Some(Device::Cuda(1)));
        assert_eq!(cli.global.verbose, 2);
        let cli = Cli::try_parse_from(["cinnabar", "--threads", "3", "lsp", "--stdio"]).unwrap();
        assert_eq!(cli.global.threads, Some(3));
        assert!(Cli::try_parse_from(["cinnabar", "--threads", "0", "lsp"]).is_err());
        assert!(Cli::try_parse_from(["cinnabar", "--device", "tpu", "lsp"]).is_err());
    }

    #[test]
    fn exit_codes_tell_the_callers_fault_from_ours() {
        let parameter = EngineError::Parameter { name: "block", found: "3".into(), expected: "8" };
        assert_eq!(exit_code(&anyhow::Error::from(BadInput("x".into())).context("y")), BAD_INPUT);
        assert_eq!(exit_code(&parameter.into()), BAD_INPUT);
        assert_eq!(exit_code(&EngineError::Failed("x".into()).into()), FAILURE);
        assert!(is_broken_pipe(&std::io::Error::from(std::io::ErrorKind::BrokenPipe).into()));
    }
}
