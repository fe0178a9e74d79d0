//! The seam: text in, text out. The real model, a remote engine and the scripts of tests implement it.

use crate::completion::Completion;
use crate::control::Control;
use crate::error::EngineError;
use crate::model::Hardware;
use crate::request::{DocumentId, Prompt, Request};

/// Fills the gap at a cursor. Owned by one thread; no method is called concurrently.
pub trait Infill: Send {
    /// What runs where, for people: `cinnabar-135m (q8_0) on cpu (avx2)`.
    fn describe(&self) -> String;

    /// What it computes on.
    fn hardware(&self) -> Hardware {
        Hardware::Processor
    }

    /// Answers one request. Looks at `control` once per step: on cancellation it returns
    /// [`EngineError::Cancelled`], at the deadline the text settled so far.
    fn infill(&mut self, request: &Request, control: &mut Control) -> Result<Completion, EngineError>;

    /// Brings a document's session up to date with a prompt that a request will probably have. Cancelled when anything
    /// else is wanted; what was done by then is kept.
    fn prepare(
        &mut self,
        document: DocumentId,
        prompt: &Prompt,
        control: &Control,
    ) -> Result<(), EngineError> {
        let _ = (document, prompt, control);
        Ok(())
    }
}
