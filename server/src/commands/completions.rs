//! `cinnabar completions SHELL`: the shell's own completion of our command line.

use clap_complete::Shell;

use crate::{cli, terminal};

/// Prints a script; where it belongs is the shell's affair (`cinnabar --help` shows bash's place).
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Shell to print the script for.
    shell: Shell,
}

pub(crate) fn run(args: &Args) -> anyhow::Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut cli::definition(), "cinnabar", &mut script);
    Ok(terminal::print(&String::from_utf8(script)?)?)
}
