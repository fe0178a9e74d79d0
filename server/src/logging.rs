//! Log lines to standard error; standard output carries protocol frames or an answer.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging. Without `CINNABAR_LOG`, `verbose` chooses the level of Cinnabar's own crates; a filter that
/// cannot be read is reported and replaced by that default.
pub(crate) fn start(verbose: u8) {
    let filter = match std::env::var("CINNABAR_LOG") {
        Ok(wanted) if !wanted.is_empty() => EnvFilter::try_new(&wanted).unwrap_or_else(|error| {
            eprintln!("cinnabar: CINNABAR_LOG={wanted} is ignored: {error}");
            EnvFilter::new(default_filter(verbose))
        }),
        _ => EnvFilter::new(default_filter(verbose)),
    };
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|v| v.is_empty());
    // A second start can only happen in a test process; the first one stays.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(colour)
        .try_init();
}

fn default_filter(verbose: u8) -> String {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    // A target's name is matched by its beginning: this names all of our crates.
    format!("warn,cinnabar={level}")
}
