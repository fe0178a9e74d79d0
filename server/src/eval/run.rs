//! Goes through cases and modes: what was answered before is not asked again, each new answer is kept at once.

use std::collections::HashSet;

use anyhow::Result;
use cinnabar_engine::{Engine, Mode, Request};

use super::answer;
use super::cases::Case;
use super::check::check;
use super::outcome::Outcome;
use super::results::Results;
use super::sandbox::Sandbox;

/// Who answers.
pub(crate) enum Who {
    /// What stood in the gap.
    Reference,
    /// A model, in these modes.
    Model { engine: Engine, modes: Vec<Mode> },
}

/// What is the same for every case.
pub(crate) struct Run<'a> {
    pub(crate) who: &'a Who,
    /// What is asked, but for prompt, document and mode.
    pub(crate) template: &'a Request,
    /// Where answers are tested, if they may be run.
    pub(crate) sandbox: Option<&'a Sandbox>,
}

impl Run<'_> {
    /// Adds to the outcomes those that are missing, and leaves out those of other cases and modes. `progress` is told the
    /// outcomes so far and how many there will be.
    pub(crate) fn answer(
        &self,
        cases: &[Case],
        outcomes: &mut Vec<Outcome>,
        mut results: Option<&mut Results>,
        mut progress: impl FnMut(&[Outcome], usize),
    ) -> Result<()> {
        let modes: Vec<Option<Mode>> = match self.who {
            Who::Reference => vec![None],
            Who::Model { modes, .. } => modes.iter().copied().map(Some).collect(),
        };
        let name = |mode: Option<Mode>| mode.map_or(answer::REFERENCE, answer::mode_name);
        let ids: HashSet<&str> = cases.iter().map(|case| case.id.as_str()).collect();
        outcomes.retain(|o| ids.contains(o.id.as_str()) && modes.iter().any(|&mode| name(mode) == o.mode));
        let done: HashSet<(String, String)> =
            outcomes.iter().map(|o| (o.mode.clone(), o.id.clone())).collect();
        for (number, case) in cases.iter().enumerate() {
            for &mode in &modes {
                if done.contains(&(name(mode).to_string(), case.id.clone())) {
                    continue;
                }
                let mut outcome = match (self.who, mode) {
                    (Who::Model { engine, .. }, Some(mode)) => {
                        answer::ask(engine, case, mode, self.template, number)?
                    }
                    _ => answer::reference(case),
                };
                if let Some(verdict) = check(case, &outcome.text, self.sandbox)? {
                    outcome.passed = Some(verdict.is_ok());
                    outcome.failure = verdict.err();
                }
                if let Some(results) = &mut results {
                    results.add(&outcome)?;
                }
                outcomes.push(outcome);
                progress(outcomes, cases.len() * modes.len());
            }
        }
        Ok(())
    }
}
