//! The tokens that a middle begins with: as many as hold the stem.

use super::Span;
use crate::completion::Finish;
use crate::error::EngineError;
use crate::model::{Attention, Head};
use crate::sampler::Pick;

/// Chooses them, the first one by `logits`, those of the stream's last row. All but the last one are run and settled: that
/// one is the known token, unless a finish came first.
pub(super) fn choose(span: &mut Span<'_>, logits: &[f32]) -> Result<Result<Pick, Finish>, EngineError> {
    let spelled = span.tokenizer.spelled(span.stem);
    let mut rest = spelled.as_str();
    let (mut logits, mut next) = (logits, Vec::new());
    loop {
        let at = span.session.len();
        let pick = match rest {
            "" => span.sampler.pick(logits, at),
            _ => span.sampler.pick_among(logits, &span.tokenizer.openings(rest), at),
        };
        rest = rest.get(span.tokenizer.spelling(pick.token).len()..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(Ok(pick));
        }
        if let Some(finish) = span.settle(pick) {
            return Ok(Err(finish));
        }
        if let Some(finish) = span.check(1)? {
            return Ok(Err(finish));
        }
        next.clear();
        let head = Head::Logits(0..1, &mut next);
        span.model.forward(span.session.slot(), at, &[pick.token], Attention::Causal, head)?;
        span.forwards += 1;
        span.session.extend([pick.token]);
        logits = &next;
    }
}
