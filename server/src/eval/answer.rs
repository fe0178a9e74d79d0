//! Asks the engine for one case, and puts all that is known of its answer into an outcome.

use std::time::Duration;

use anyhow::{Context, Result};
use cinnabar_engine::{Completion, Counts, DocumentId, Engine, Finish, Mode, Request, Timings};
use ropey::Rope;

use super::cases::Case;
use super::harm::Harm;
use super::outcome::Outcome;
use super::score::score;
use crate::neighbours::pieces::{Words, choose};
use crate::site::{Site, Span};
use crate::syntax::Syntax;
use crate::{postprocess, prompt};

/// The mode of what stood in the gap.
pub(super) const REFERENCE: &str = "reference";

/// The engine's answer, asked as an editor's buffer would ask it. Modes that are asked one after the other for the same
/// `number` share a session, as an editor's requests do.
pub(super) fn ask(
    engine: &Engine,
    case: &Case,
    mode: Mode,
    template: &Request,
    number: usize,
) -> Result<Outcome> {
    let (buffer, site) = buffer(case);
    let mut prompt = prompt::prompt(&buffer, &site, case.path.clone());
    let others = case.neighbours.iter().map(|(path, pieces)| (path.as_str(), pieces));
    prompt.snippets.extend(choose(others, &Words::around(&buffer, site.offset), None));
    let mut request = Request { document: DocumentId(number as u64), prompt, ..template.clone() };
    request.decoding.mode = mode;
    let completion = engine.submit(request).wait().with_context(|| format!("case {}", case.id))?;
    Ok(fitted(case, mode_name(mode), &completion))
}

/// An earlier answer, as if the engine had given it now: only what is made of its text may differ.
pub(crate) fn again(case: &Case, earlier: &Outcome) -> Outcome {
    let ms = |ms: f64| Duration::from_secs_f64(ms / 1e3);
    let completion = Completion {
        text: earlier.text.clone(),
        finish: earlier.finish.unwrap_or(Finish::End),
        mean_log_probability: earlier.probability.ln() as f32,
        counts: earlier.counts,
        timings: Timings {
            prefill: ms(earlier.prefill_ms),
            denoise: ms(earlier.denoise_ms),
            ..Timings::default()
        },
    };
    fitted(case, &earlier.mode, &completion)
}

/// The buffer that an editor would hold, and the cursor's site in it.
fn buffer(case: &Case) -> (Rope, Site) {
    let buffer = Rope::from_str(&format!("{}{}", case.prefix, case.suffix));
    let site = Site::at(&buffer, case.prefix.len());
    (buffer, site)
}

/// What an editor would have made of a completion.
fn fitted(case: &Case, mode: &str, completion: &Completion) -> Outcome {
    let (buffer, site) = buffer(case);
    let path = case.path.as_deref().unwrap_or_default();
    // As an editor would call it: a header may be of C++, which its name does not say; TSX is no TypeScript.
    let id = if path.ends_with(".h") { case.language.as_str() } else { "" };
    let syntax = Syntax::of_file(id, path, &buffer, site.offset);
    let suggestion = postprocess::suggest(completion, &site, &buffer, syntax.as_ref());
    let shown_exact = match &suggestion {
        Ok(suggestion) => {
            let rest = &case.suffix[suggestion.range.len()..];
            let accepted = format!("{}{rest}", suggestion.text);
            score(&accepted, &format!("{}{}", case.middle, case.suffix)).exact
        }
        Err(_) => case.middle.trim().is_empty(),
    };
    let harm =
        suggestion.as_ref().ok().map(|shown| Harm::of(shown, &case.middle, &buffer, &site, syntax.as_ref()));
    let (shown, empty) = match suggestion {
        Ok(suggestion) => (Some(suggestion.text), None),
        Err(reason) => (None, Some(reason.to_string())),
    };
    let ms = |time: std::time::Duration| time.as_secs_f64() * 1e3;
    Outcome {
        finish: Some(completion.finish),
        probability: f64::from(completion.mean_log_probability).exp(),
        shown,
        empty,
        shown_exact,
        goes_on: site.span == Span::WithinLine && completion.text.contains('\n'),
        harm,
        counts: completion.counts,
        prefill_ms: ms(completion.timings.prefill),
        denoise_ms: ms(completion.timings.denoise),
        ..scored(case, mode, &completion.text)
    }
}

/// What stood in the gap, as if it had been the answer: it shows whether the set and its tests are sound here.
pub(super) fn reference(case: &Case) -> Outcome {
    Outcome { shown: Some(case.middle.clone()), shown_exact: true, ..scored(case, REFERENCE, &case.middle) }
}

/// A text, cut as the benchmark cuts it, with its scores, and nothing else known of it.
fn scored(case: &Case, mode: &str, text: &str) -> Outcome {
    let text = match case.cut {
        Some(cut) => cut.apply(text, &case.language, &case.prefix, &case.suffix),
        None => text,
    };
    let score = score(text, &case.middle);
    Outcome {
        id: case.id.clone(),
        kind: case.kind.clone(),
        language: case.language.clone(),
        mode: mode.to_string(),
        text: text.to_string(),
        finish: None,
        probability: 1.0,
        exact: score.exact,
        first_line: score.first_line,
        similarity: score.similarity,
        shown: None,
        empty: None,
        shown_exact: false,
        goes_on: false,
        harm: None,
        passed: None,
        failure: None,
        counts: Counts::default(),
        prefill_ms: 0.0,
        denoise_ms: 0.0,
    }
}

/// A mode as the command line and the results name it.
pub(super) fn mode_name(mode: Mode) -> &'static str {
    match mode {
        Mode::Auto => "auto",
        Mode::Verified => "verified",
        Mode::Parallel => "parallel",
        Mode::Causal => "causal",
    }
}
