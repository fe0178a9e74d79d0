//! Answers on disk: a line that says what was asked of whom, then a line for each answer. A run that was interrupted goes
//! on where it stopped, and never mixes two models or settings.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use cinnabar_engine::Sampling;
use serde::{Deserialize, Serialize};

use super::outcome::Outcome;

/// Version of the results' form, and of the report's.
pub(crate) const VERSION: u32 = 1;

/// What was asked of whom. Two runs with equal heads give equal texts.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Head {
    /// [`VERSION`] of the program that wrote it.
    pub(crate) version: u32,
    /// Name of the set.
    pub(crate) set: String,
    /// Checksum of the set's files.
    pub(crate) set_checksum: String,
    /// Name of the model's file; `reference` when what stood in the gaps was scored.
    pub(crate) model: String,
    /// Checksum of the model's files.
    pub(crate) model_checksum: String,
    /// What ran where.
    pub(crate) device: String,
    /// Tokens of an answer at most.
    pub(crate) max_tokens: usize,
    /// Rows of a block.
    pub(crate) block: usize,
    /// Probability from which `parallel` commits a row.
    pub(crate) threshold: f32,
    /// Steps that `verified` drafts before it verifies.
    pub(crate) draft_steps: usize,
    /// How tokens are chosen.
    pub(crate) sampling: Sampling,
    /// Whether answers were run, and how they were kept apart from the machine.
    pub(crate) execution: String,
    /// Whether other files of the cases were left out.
    #[serde(default)]
    pub(crate) alone: bool,
}

/// A results file, open to be added to.
#[derive(Debug)]
pub(crate) struct Results {
    file: File,
}

impl Results {
    /// Opens or starts a file, and reads what it holds. A last line that an interruption cut is taken back.
    pub(crate) fn open(path: &Path, head: &Head) -> Result<(Self, Vec<Outcome>)> {
        let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let whole = whole(&text);
        file.set_len(whole as u64)?;
        file.seek(SeekFrom::End(0))?;
        let mut results = Results { file };
        if whole == 0 {
            results.write(head)?;
            return Ok((results, Vec::new()));
        }
        let (found, outcomes) = parse(&text)?;
        let different = differences(&found, head)?;
        ensure!(different.is_empty(), "it is of another run: {}", different.join("; "));
        Ok((results, outcomes))
    }

    /// Adds an answer, on disk at once.
    pub(crate) fn add(&mut self, outcome: &Outcome) -> Result<()> {
        self.write(outcome)
    }

    fn write(&mut self, line: &impl Serialize) -> Result<()> {
        writeln!(self.file, "{}", serde_json::to_string(line)?).context("cannot write the results")
    }
}

/// Reads a results file, or the JSON report of a run, which holds the same answers.
pub(crate) fn read(path: &Path) -> Result<(Head, Vec<Outcome>)> {
    #[derive(Deserialize)]
    struct Report {
        run: Head,
        cases: Vec<Outcome>,
    }
    let text = fs::read_to_string(path)?;
    match serde_json::from_str::<Report>(&text) {
        Ok(report) => Ok((report.run, report.cases)),
        Err(_) => parse(&text),
    }
}

/// Reads the whole lines of a results file.
fn parse(text: &str) -> Result<(Head, Vec<Outcome>)> {
    let mut lines = text[..whole(text)].lines();
    let Some(head) = lines.next() else { bail!("it is empty") };
    let head: Head = serde_json::from_str(head).context("it holds no results of `cinnabar eval`")?;
    ensure!(head.version == VERSION, "it has version {}, this program knows {VERSION}", head.version);
    Ok((head, lines.map(serde_json::from_str).collect::<Result<_, _>>()?))
}

/// Bytes up to the last line break: a run that was interrupted, or is still going on, has a part of a line behind it.
fn whole(text: &str) -> usize {
    text.rfind('\n').map_or(0, |at| at + 1)
}

/// What differs between two heads, for people.
fn differences(found: &Head, wanted: &Head) -> Result<Vec<String>> {
    let (found, wanted) = (serde_json::to_value(found)?, serde_json::to_value(wanted)?);
    let fields = found.as_object().into_iter().flatten();
    let different = fields.filter(|(name, value)| wanted[name.as_str()] != **value);
    Ok(different.map(|(name, value)| format!("{name} was {value}, now {}", wanted[name.as_str()])).collect())
}
