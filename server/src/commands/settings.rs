//! `cinnabar settings`: what holds here, and where it comes from.

use std::fmt::Write;
use std::path::PathBuf;

use crate::cli::Global;
use crate::settings::sources::{self, PROJECT_FILE, Setup};
use crate::settings::{self, schema};
use crate::terminal;

/// Shows the settings that hold in this folder, and where each comes from.
///
/// Later sources win: the user's config.toml, the project's .cinnabar.toml (which cannot choose what is loaded nor show
/// more than the user wants), the environment, the editor, the command line. What an editor says is not known here.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Print the JSON schema of the settings.
    #[arg(long)]
    schema: bool,
}

pub(crate) fn run(args: &Args, global: &Global) -> anyhow::Result<()> {
    let text = if args.schema { schema::schema() } else { table(global)? };
    Ok(terminal::print(&text)?)
}

fn table(global: &Global) -> anyhow::Result<String> {
    let (layers, problems) = Setup::of_this_user(global.settings()).layers(&[PathBuf::from(".")]);
    let given = layers.origins();
    let mut text = String::new();
    for key in settings::keys() {
        let (value, source) = match given.get(key.name) {
            Some((value, source)) => (value, source.to_string()),
            None => (&key.default, "default".into()),
        };
        let value = if value.is_null() { "chosen here".into() } else { value.to_string() };
        writeln!(text, "{:<15} {value:<16} {source}", key.name)?;
        writeln!(text, "    {} {}", key.about, sources::variable(key.name))?;
    }
    let user =
        sources::user_file().map_or("none: no home directory".into(), |file| file.display().to_string());
    writeln!(text, "\nuser's file:    {user}\nproject's file: {PROJECT_FILE} in the workspace's folder")?;
    for (source, problems) in &problems {
        if let Some(message) = problems.message(*source) {
            writeln!(text, "{message}")?;
        }
    }
    Ok(text)
}
