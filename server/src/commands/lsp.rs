//! `cinnabar lsp`: the language server on standard input and output.

use crate::cli::Global;

/// Serves one editor until it says `exit`, closes the connection or dies.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct Args {
    /// Accepted because many editors pass it; standard input and output are used in any case.
    #[arg(long)]
    stdio: bool,
}

pub(crate) fn run(_args: &Args, global: &Global) -> anyhow::Result<()> {
    let _options = global.load_options()?;
    anyhow::bail!("the language server is not part of this build")
}
