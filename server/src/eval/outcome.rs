//! One answer to one case, with everything that is later summed up or compared.

use cinnabar_engine::{Counts, Finish};
use serde::{Deserialize, Serialize};

use super::harm::Harm;

/// An answered case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// The case's id.
    pub(crate) id: String,
    /// The case's kind.
    pub(crate) kind: String,
    /// The case's language.
    pub(crate) language: String,
    /// The mode that answered, or `reference` for what stood in the gap.
    pub(crate) mode: String,
    /// The text that is scored: the engine's, cut as the benchmark cuts it.
    pub(crate) text: String,
    /// Why the engine ended; nothing for a reference.
    pub(crate) finish: Option<Finish>,
    /// Geometric mean of the probabilities of the engine's tokens; 1 when there is none.
    pub(crate) probability: f64,
    /// Every character is right.
    pub(crate) exact: bool,
    /// The first line is right.
    pub(crate) first_line: bool,
    /// Edit similarity, 0 to 1.
    pub(crate) similarity: f64,
    /// What an editor would have shown.
    pub(crate) shown: Option<String>,
    /// Why it would have shown nothing.
    pub(crate) empty: Option<String>,
    /// The buffer would be right after what is shown was accepted.
    pub(crate) shown_exact: bool,
    /// Inside a line it goes on behind that line, where an editor asks for one line and shows one.
    #[serde(default)]
    pub(crate) goes_on: bool,
    /// What it would have done to the text, if something was shown.
    #[serde(default)]
    pub(crate) harm: Option<Harm>,
    /// Whether the benchmark's tests passed; nothing where they were not run.
    pub(crate) passed: Option<bool>,
    /// Why they did not.
    pub(crate) failure: Option<String>,
    /// Work done.
    pub(crate) counts: Counts,
    /// Milliseconds until the stream was up to date.
    pub(crate) prefill_ms: f64,
    /// Milliseconds of denoising.
    pub(crate) denoise_ms: f64,
}
