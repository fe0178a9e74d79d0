//! `cinnabar lsp`: the language server on standard input and output.

use std::process::ExitCode;

use cinnabar_engine::{EngineError, Load, LoadOptions};

use crate::cli::Global;
use crate::settings::{Settings, sources::Setup};
use crate::{courtesy, lsp, model_path};

/// Serves one editor until it says `exit`, closes the connection or dies.
#[derive(Debug, Default, clap::Args)]
#[command(after_help = "\
Exit codes: 0 after shutdown and exit, as the protocol wants it; 1 after exit alone, the end of input or the editor's death.")]
pub(crate) struct Args {
    /// Accepted because many editors pass it; standard input and output are used in any case.
    #[arg(long)]
    stdio: bool,

    /// Takes settings from the editor and this command line alone, and counts nothing: for measurements, which must not
    /// depend on who makes them.
    #[arg(long)]
    isolated: bool,
}

pub(crate) fn run(args: &Args, global: &Global) -> ExitCode {
    let command_line = global.settings();
    let setup = match args.isolated {
        true => Setup { command_line, ..Setup::default() },
        false => Setup::of_this_user(command_line),
    };
    lsp::run(setup, Box::new(load))
}

/// Looks for the model when it is loaded, so that one that was put in place after a failure is found.
fn load(settings: &Settings) -> Load {
    let Settings { model, device, weights, threads, .. } = settings.clone();
    Box::new(move || {
        // On the engine's thread, which starts those of the kernels.
        courtesy::give_way();
        let model = model_path::find(model.as_deref()).map_err(|e| EngineError::NotRunning(e.to_string()))?;
        cinnabar_engine::load(&LoadOptions { model, device, weights, threads, ..LoadOptions::default() })
    })
}
