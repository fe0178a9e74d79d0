//! Goes through cases and modes: what was answered before is not asked again, each new answer is kept at once.

use std::collections::{HashMap, HashSet};
use std::sync::mpsc;
use std::sync::{Mutex, PoisonError};

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
    /// Answers that are tested at a time, while further ones are made; 0: each is tested before the next is made.
    pub(crate) testers: usize,
}

impl Run<'_> {
    /// Adds to the outcomes those that are missing, leaves out those of other cases and modes, and brings all into the order
    /// of cases and modes. `progress` is told the outcomes so far and how many there will be.
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
        let places: HashMap<&str, usize> =
            cases.iter().zip(0..).map(|(case, at)| (case.id.as_str(), at)).collect();
        let place = |o: &Outcome| {
            let mode = modes.iter().position(|&mode| name(mode) == o.mode)?;
            Some((*places.get(o.id.as_str())?, mode))
        };
        outcomes.retain(|o| place(o).is_some());
        let done: HashSet<(String, String)> =
            outcomes.iter().map(|o| (o.mode.clone(), o.id.clone())).collect();
        let count = cases.len() * modes.len();
        let mut keep = |outcome: Outcome| -> Result<()> {
            if let Some(results) = &mut results {
                results.add(&outcome)?;
            }
            outcomes.push(outcome);
            progress(outcomes, count);
            Ok(())
        };
        let (to_test, untested) = mpsc::channel();
        let (to_keep, tested) = mpsc::channel();
        let untested = Mutex::new(untested);
        let take = || untested.lock().unwrap_or_else(PoisonError::into_inner).recv();
        std::thread::scope(|scope| {
            for _ in 0..self.testers {
                let to_keep = to_keep.clone();
                scope.spawn(move || {
                    while let Ok((case, outcome)) = take() {
                        if to_keep.send(self.test(case, outcome)).is_err() {
                            return;
                        }
                    }
                });
            }
            drop(to_keep);
            // Dropped at the first error, which ends the testers.
            let to_test = to_test;
            for (number, case) in cases.iter().enumerate() {
                for &mode in &modes {
                    if done.contains(&(name(mode).to_string(), case.id.clone())) {
                        continue;
                    }
                    let outcome = match (self.who, mode) {
                        (Who::Model { engine, .. }, Some(mode)) => {
                            answer::ask(engine, case, mode, self.template, number)?
                        }
                        _ => answer::reference(case),
                    };
                    match self.testers {
                        0 => keep(self.test(case, outcome)?)?,
                        _ => to_test.send((case, outcome)).expect("testers live as long as this"),
                    }
                    tested.try_iter().try_for_each(|outcome| keep(outcome?))?;
                }
            }
            drop(to_test);
            tested.iter().try_for_each(|outcome| keep(outcome?))
        })?;
        // Answers are tested side by side, and end in any order.
        outcomes.sort_by_key(place);
        Ok(())
    }

    /// The outcome with what the tests say of it, where there are any and they may be run.
    fn test(&self, case: &Case, mut outcome: Outcome) -> Result<Outcome> {
        if let Some(verdict) = check(case, &outcome.text, self.sandbox)? {
            outcome.passed = Some(verdict.is_ok());
            outcome.failure = verdict.err();
        }
        Ok(outcome)
    }
}
