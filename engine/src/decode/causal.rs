//! Greedy decoding, one token a forward pass: the control for quality.

use super::Span;
use crate::completion::Finish;
use crate::error::EngineError;
use crate::model::Attention;
use crate::sampler::Pick;

pub(super) fn fill(span: &mut Span<'_>, mut known: Pick) -> Result<Finish, EngineError> {
    loop {
        if let Some(finish) = span.settle(known) {
            return Ok(finish);
        }
        if let Some(finish) = span.check(1)? {
            return Ok(finish);
        }
        let picks = span.forward(&[known.token], Attention::Causal, 0)?;
        span.session.extend([known.token]);
        known = picks[0];
        span.show(&[]);
    }
}
