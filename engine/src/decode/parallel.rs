//! Denoising by confidence, from the left: each step commits the leftmost masked row, and those behind it as long as their
//! probability reaches the threshold (the threshold is that of Fast-dLLM, arXiv 2505.22618, section 3.3).
//!
//! From the left, because a token behind open rows is a guess at what stands in them: it would bind them before the model
//! has said anything of them, an end most of all. And no step is spent on rows behind the end.

use super::Span;
use crate::completion::Finish;
use crate::error::EngineError;
use crate::model::Attention;
use crate::sampler::Pick;

pub(super) fn fill(span: &mut Span<'_>, mut known: Pick) -> Result<Finish, EngineError> {
    let rows = span.request.decoding.block;
    let (mask, threshold) = (span.mask(), span.request.decoding.threshold);
    loop {
        if let Some(finish) = span.settle(known) {
            return Ok(finish);
        }
        // Settled tokens, then masks.
        let mut block = vec![mask; rows];
        block[0] = known.token;
        let mut open = 1;
        while open < rows {
            span.show(&vec![(mask, false); rows - open]);
            if let Some(finish) = span.check(rows)? {
                return Ok(finish);
            }
            let picks = span.forward(&block, Attention::Bidirectional, open)?;
            for pick in &picks[..sure(&picks, threshold)] {
                if let Some(finish) = span.settle(*pick) {
                    return Ok(finish);
                }
                block[open] = pick.token;
                open += 1;
            }
        }
        if let Some(finish) = span.check(rows)? {
            return Ok(finish);
        }
        let picks = span.forward(&block, Attention::Causal, rows - 1)?;
        span.session.extend(block);
        known = picks[0];
    }
}

/// How many picks are committed: the first one, and those behind it that reach the threshold without a gap.
fn sure(picks: &[Pick], threshold: f32) -> usize {
    1 + picks[1..].iter().take_while(|pick| pick.probability >= threshold).count()
}
