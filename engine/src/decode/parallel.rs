//! Denoising by confidence: each step commits the masked rows whose probability reaches the threshold, and always
//! the best one (Fast-dLLM, arXiv 2505.22618, section 3.3).

use super::Span;
use crate::completion::Finish;
use crate::error::EngineError;
use crate::model::Attention;
use crate::sampler::Pick;

/// A row of the block: its token, the mask's where it is open.
type Row = Pick;

pub(super) fn fill(span: &mut Span<'_>, mut known: Pick) -> Result<Finish, EngineError> {
    let rows = span.request.decoding.block;
    let end = span.end();
    loop {
        // An end here costs no block.
        if known.token == end {
            return Ok(Finish::End);
        }
        let mut block = vec![Row { token: span.mask(), probability: 0.0 }; rows];
        block[0] = known;
        let stopped = denoise(span, &mut block)?;
        let mask = span.mask();
        for row in block.iter().take_while(|row| row.token != mask) {
            if let Some(finish) = span.settle(*row) {
                return Ok(finish);
            }
        }
        if let Some(finish) = stopped {
            return Ok(finish);
        }
        if let Some(finish) = span.check(rows)? {
            return Ok(finish);
        }
        let ids: Vec<u32> = block.iter().map(|row| row.token).collect();
        let picks = span.forward(&ids, Attention::Causal, rows - 1)?;
        span.session.extend(ids);
        known = picks[0];
        span.show(&[(known.token, true)]);
    }
}

/// Steps until no row is masked, or until the finish that came first.
fn denoise(span: &mut Span<'_>, block: &mut [Row]) -> Result<Option<Finish>, EngineError> {
    let (mask, end, threshold) = (span.mask(), span.end(), span.request.decoding.threshold);
    while block.iter().any(|row| row.token == mask) {
        if let Some(finish) = span.check(block.len())? {
            return Ok(Some(finish));
        }
        let ids: Vec<u32> = block.iter().map(|row| row.token).collect();
        let picks = span.forward(&ids, Attention::Bidirectional, 0)?;
        commit(block, &picks, mask, threshold);
        close(block, mask, end);
        let shown: Vec<_> = block.iter().map(|row| (row.token, true)).collect();
        span.show(&shown);
    }
    Ok(None)
}

/// Commits the masked rows that reach the threshold; the best one in any case, the first of equals.
fn commit(block: &mut [Row], picks: &[Pick], mask: u32, threshold: f32) {
    let open = || (0..picks.len()).filter(|&row| block[row].token == mask);
    let best = open().fold(None, |best: Option<usize>, row| match best {
        Some(b) if picks[b].probability >= picks[row].probability => Some(b),
        _ => Some(row),
    });
    let chosen: Vec<usize> =
        open().filter(|&row| picks[row].probability >= threshold || Some(row) == best).collect();
    for row in chosen {
        block[row] = picks[row];
    }
}

/// A committed end with no mask before it closes the block: what stands after it is fill.
fn close(block: &mut [Row], mask: u32, end: u32) {
    let Some(at) = block.iter().position(|row| row.token == end) else { return };
    if block[..at].iter().all(|row| row.token != mask) {
        block[at..].fill(Row { token: end, probability: 1.0 });
    }
}
