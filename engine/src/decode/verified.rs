//! Draft and verify: a block is denoised in parallel, then one causal pass keeps what it agrees with.
//!
//! The text equals causal decoding by construction: a drafted token is kept only where the causal pick before it is the
//! same token, and the first disagreement is replaced by the causal pick. A block of one row has nothing to draft: it
//! *is* a step of causal decoding, so rounds of different sizes mix freely.

use std::time::Instant;

use super::Span;
use crate::completion::Finish;
use crate::control::Stop;
use crate::error::EngineError;
use crate::model::{Attention, Rounds};
use crate::request::Mode;
use crate::sampler::Pick;

pub(super) fn fill(span: &mut Span<'_>, mut known: Pick) -> Result<Finish, EngineError> {
    if let Some(finish) = on_device(span, known)? {
        return Ok(finish);
    }
    loop {
        if let Some(finish) = span.settle(known) {
            return Ok(finish);
        }
        let clock = Instant::now();
        let rows = rows(span);
        let drafted = match draft(span, known.token, rows)? {
            Ok(drafted) => drafted,
            Err(finish) => return Ok(finish),
        };
        if let Some(finish) = span.check(drafted.len())? {
            return Ok(finish);
        }
        let causal = span.forward(&drafted, Attention::Causal, 0)?;
        let accepted = causal.iter().zip(&drafted[1..]).take_while(|(pick, id)| pick.token == **id).count();
        span.session.extend(drafted[..=accepted].iter().copied());
        span.pace.record(rows, clock.elapsed(), accepted + 1);
        for pick in &causal[..accepted] {
            if let Some(finish) = span.settle(*pick) {
                return Ok(finish);
            }
        }
        known = causal[accepted];
        span.show(&[(known.token, true)]);
    }
}

/// The same rounds without leaving the device, where the model can and nobody wants to see or change single steps.
fn on_device(span: &mut Span<'_>, known: Pick) -> Result<Option<Finish>, EngineError> {
    let request = span.request;
    let decoding = request.decoding;
    let plain = span.sampler.is_greedy() && decoding.draft_steps == 1 && !span.control.is_watched();
    let ends = span.tokenizer.is_special(known.token)
        || request.max_lines.is_some_and(|max| span.tokenizer.line_breaks(known.token) >= max);
    if !plain || ends || request.max_tokens == 1 || decoding.mode == Mode::Causal {
        return Ok(None);
    }
    let block = match decoding.mode {
        Mode::Auto => decoding.block.min(request.max_tokens.next_power_of_two().max(8)),
        _ => decoding.block,
    };
    let rounds = Rounds {
        slot: span.session.slot(),
        at: span.session.len(),
        known,
        block,
        max_tokens: request.max_tokens,
        max_lines: request.max_lines,
        classes: span.tokenizer.classes(),
    };
    let control = &span.control;
    let Some(ran) = span.model.rounds(&rounds, &|| control.stop().is_some())? else { return Ok(None) };
    span.session.extend(ran.picks[..ran.cached].iter().map(|pick| pick.token));
    span.settled.extend_from_slice(&ran.picks[..ran.settled]);
    span.forwards += 2 * ran.rounds;
    span.blocks += ran.rounds;
    span.block = block;
    match (ran.finish, span.control.stop()) {
        (Some(finish), _) => Ok(Some(finish)),
        (None, Some(Stop::Cancelled)) => Err(EngineError::Cancelled),
        (None, _) => Ok(Some(Finish::Deadline)),
    }
}

/// Rows of the next round: no more than tokens are still wanted, rounded up to a block that the model was trained with.
fn rows(span: &Span<'_>) -> usize {
    let decoding = span.request.decoding;
    match decoding.mode {
        Mode::Causal => 1,
        Mode::Auto => {
            let wanted = span.request.max_tokens.saturating_sub(span.settled.len()) + 1;
            span.pace.rows(decoding.block.min(wanted.next_power_of_two()))
        }
        Mode::Verified | Mode::Parallel => decoding.block,
    }
}

/// Drafts a block whose first row is `known`: its tokens up to the drafted end, or the finish that came first.
fn draft(span: &mut Span<'_>, known: u32, rows: usize) -> Result<Result<Vec<u32>, Finish>, EngineError> {
    let (mask, end) = (span.mask(), span.end());
    let mut block = vec![mask; rows];
    block[0] = known;
    if rows == 1 {
        return Ok(Ok(block));
    }
    span.blocks += 1;
    span.block = rows;
    let steps = span.request.decoding.draft_steps;
    for step in 1..=steps {
        if let Some(finish) = span.check(rows)? {
            return Ok(Err(finish));
        }
        let picks = span.forward(&block, Attention::Bidirectional, 1)?;
        reveal(&mut block, &picks, mask, step, steps);
        let shown: Vec<_> = block.iter().enumerate().map(|(row, &id)| (id, row == 0)).collect();
        span.show(&shown);
    }
    // Rows after the end are fill, and the end itself need not be run: the pick before it says whether it is right.
    let length = block.iter().position(|&id| id == end).unwrap_or(rows);
    block.truncate(length.max(1));
    Ok(Ok(block))
}

/// Puts picks into masked rows: the most probable ones first, an equal share each step, all in the last.
/// `picks` belong to rows 1 and up.
fn reveal(block: &mut [u32], picks: &[Pick], mask: u32, step: usize, steps: usize) {
    let mut open: Vec<usize> = (1..block.len()).filter(|&row| block[row] == mask).collect();
    open.sort_by(|&a, &b| picks[b - 1].probability.total_cmp(&picks[a - 1].probability).then(a.cmp(&b)));
    let share = open.len().div_ceil(steps - step + 1);
    for &row in &open[..share] {
        block[row] = picks[row - 1].token;
    }
}
