//! Runs cases through the engine, one result a line, so that an interrupted run goes on where it stopped.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, Result};
use cinnabar_engine::{Counts, DocumentId, Engine, Request};
use ropey::Rope;
use serde::{Deserialize, Serialize};

use super::cases::Case;
use super::score::score;
use crate::site::Site;
use crate::syntax::Syntax;
use crate::{postprocess, prompt};

/// One answered case.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// The case's id.
    pub(crate) id: String,
    /// The case's class.
    pub(crate) class: String,
    /// The case's language.
    pub(crate) language: String,
    /// The engine's text.
    pub(crate) text: String,
    /// Every character is right.
    pub(crate) exact: bool,
    /// The buffer would be right after the final suggestion was accepted.
    pub(crate) shown_exact: bool,
    /// The first line is right.
    pub(crate) first_line: bool,
    /// Edit similarity, 0 to 1.
    pub(crate) similarity: f64,
    /// Work done.
    pub(crate) counts: Counts,
    /// Milliseconds until the stream was up to date.
    pub(crate) prefill_ms: f64,
    /// Milliseconds of denoising.
    pub(crate) denoise_ms: f64,
}

/// Answers every case that `results` does not hold yet and writes it there at once; `progress` is told each outcome.
/// Returns the outcomes of these cases, in their order in the file.
pub(crate) fn run(
    engine: &Engine,
    cases: &[Case],
    template: &Request,
    results: Option<&Path>,
    mut progress: impl FnMut(&Outcome),
) -> Result<Vec<Outcome>> {
    let wanted: HashSet<&str> = cases.iter().map(|case| case.id.as_str()).collect();
    let mut outcomes = Vec::new();
    let mut file = None;
    if let Some(path) = results {
        let (old, opened) = resume(path).with_context(|| format!("cannot use {}", path.display()))?;
        outcomes = old;
        outcomes.retain(|outcome| wanted.contains(outcome.id.as_str()));
        file = Some(opened);
    }
    outcomes.iter().for_each(&mut progress);
    let done: HashSet<String> = outcomes.iter().map(|outcome| outcome.id.clone()).collect();
    for (number, case) in cases.iter().enumerate().filter(|(_, case)| !done.contains(&case.id)) {
        let outcome = answer(engine, case, template, number)?;
        if let Some(file) = &mut file {
            writeln!(file, "{}", serde_json::to_string(&outcome)?).context("cannot write the results")?;
        }
        progress(&outcome);
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// Outcomes that a file holds, and the file, ready for more. A last line that an interruption cut is taken back.
fn resume(path: &Path) -> Result<(Vec<Outcome>, File)> {
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    let whole = text.rfind('\n').map_or(0, |at| at + 1);
    let outcomes = text[..whole].lines().map(serde_json::from_str).collect::<Result<_, _>>()?;
    file.set_len(whole as u64)?;
    file.seek(SeekFrom::End(0))?;
    Ok((outcomes, file))
}

fn answer(engine: &Engine, case: &Case, template: &Request, number: usize) -> Result<Outcome> {
    // The engine is asked as an editor's buffer would ask it.
    let buffer = Rope::from_str(&format!("{}{}", case.prefix, case.suffix));
    let site = Site::at(&buffer, case.prefix.len());
    let prompt = prompt::prompt(&buffer, &site, case.path.clone());
    let request = Request { document: DocumentId(number as u64), prompt, ..template.clone() };
    let completion = engine.submit(request).wait().with_context(|| format!("case {}", case.id))?;
    let score = score(&completion.text, &case.middle);
    let syntax = Syntax::of_file(case.path.as_deref().unwrap_or_default(), &buffer);
    let shown_exact = match postprocess::suggest(&completion, &site, &buffer, syntax.as_ref()) {
        Ok(suggestion) => {
            let rest = &case.suffix[suggestion.range.len()..];
            super::score::score(
                &format!("{}{rest}", suggestion.text),
                &format!("{}{}", case.middle, case.suffix),
            )
            .exact
        }
        Err(_) => case.middle.trim().is_empty(),
    };
    let ms = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    Ok(Outcome {
        id: case.id.clone(),
        class: case.class.clone(),
        language: case.language.clone(),
        text: completion.text,
        exact: score.exact,
        shown_exact,
        first_line: score.first_line,
        similarity: score.similarity,
        counts: completion.counts,
        prefill_ms: ms(completion.timings.prefill),
        denoise_ms: ms(completion.timings.denoise),
    })
}
