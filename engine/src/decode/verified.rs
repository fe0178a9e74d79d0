//! Draft and verify: a block is denoised in parallel, then one causal pass keeps what it agrees with.
//!
//! The text equals causal decoding by construction: a drafted token is kept only where the causal pick before it is the
//! same token, and the first disagreement is replaced by the causal pick. Where a draft comes from does not matter for that,
//! and a block of one row has nothing to draft: it *is* a step of causal decoding. So rounds of all kinds mix freely.

use std::time::Instant;

use super::Span;
use super::copied::History;
use crate::completion::Finish;
use crate::control::Stop;
use crate::error::EngineError;
use crate::model::{Attention, Rounds};
use crate::pace::{Round, Source};
use crate::request::Mode;
use crate::sampler::Pick;

/// Rows of a draft on the device in [`Mode::Auto`]: more of them cost more there than they bring
/// (BENCHMARKS.md).
const DEVICE_BLOCK: usize = 16;

pub(super) fn fill(span: &mut Span<'_>, mut known: Pick) -> Result<Finish, EngineError> {
    if let Some(finish) = on_device(span, known)? {
        return Ok(finish);
    }
    let mut history = History::new(span.session.ids(), &span.model.config().special);
    loop {
        if let Some(finish) = span.settle(known) {
            return Ok(finish);
        }
        history.extend(&[known.token]);
        let clock = Instant::now();
        let (round, copied) = next(span, &history);
        let drafted = match round.source {
            Source::Drafted => match draft(span, known.token, round.rows)? {
                Ok(drafted) => drafted,
                Err(finish) => return Ok(finish),
            },
            Source::Causal | Source::Copied => [&[known.token], copied].concat(),
        };
        if round.source == Source::Copied {
            show(span, &drafted);
        }
        if let Some(finish) = span.check(drafted.len())? {
            return Ok(finish);
        }
        let causal = span.forward(&drafted, Attention::Causal, 0)?;
        let accepted = causal.iter().zip(&drafted[1..]).take_while(|(pick, id)| pick.token == **id).count();
        span.session.extend(drafted[..=accepted].iter().copied());
        history.extend(&drafted[1..=accepted]);
        span.pace.record(round, clock.elapsed(), accepted + 1);
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
    // Of what the stem took nothing is left.
    let max_tokens = request.max_tokens - span.settled.len();
    let max_lines = span.max_line_breaks.map(|max| max - span.line_breaks);
    let plain = span.sampler.is_greedy() && decoding.draft_steps == 1 && !span.control.is_watched();
    let ends = span.tokenizer.is_special(known.token)
        || max_lines.is_some_and(|max| span.tokenizer.line_breaks(known.token) >= max);
    if !plain || ends || max_tokens == 1 || decoding.mode == Mode::Causal {
        return Ok(None);
    }
    let block = match decoding.mode {
        Mode::Auto => decoding.block.min(DEVICE_BLOCK).min(max_tokens.next_power_of_two().max(8)),
        _ => decoding.block,
    };
    let history = History::new(span.session.ids(), &span.model.config().special);
    let rounds = Rounds {
        slot: span.session.slot(),
        at: span.session.len(),
        known,
        block,
        max_tokens,
        max_lines,
        classes: span.tokenizer.classes(),
        history: (decoding.mode == Mode::Auto).then_some(history.ids()),
    };
    let control = &span.control;
    let Some(ran) = span.model.rounds(&rounds, &|| control.stop().is_some())? else { return Ok(None) };
    span.session.extend(ran.picks[..ran.cached].iter().map(|pick| pick.token));
    span.settled.extend_from_slice(&ran.picks[..ran.settled]);
    span.forwards += 2 * ran.drafts + ran.copies;
    span.blocks += ran.drafts;
    span.copies += ran.copies;
    span.block = block;
    match (ran.finish, span.control.stop()) {
        (Some(finish), _) => Ok(Some(finish)),
        (None, Some(Stop::Cancelled)) => Err(EngineError::Cancelled),
        (None, _) => Ok(Some(Finish::Deadline)),
    }
}

/// The next round and what it copies. No more rows than tokens are still wanted, rounded up to a block that the model was
/// trained with.
fn next<'a>(span: &mut Span<'_>, history: &'a History) -> (Round, &'a [u32]) {
    let decoding = span.request.decoding;
    let round = match decoding.mode {
        Mode::Causal => Round::CAUSAL,
        Mode::Verified | Mode::Parallel => Round { source: Source::Drafted, rows: decoding.block },
        Mode::Auto => {
            let wanted = span.request.max_tokens - span.settled.len();
            let limit = decoding.block.min((wanted + 1).next_power_of_two());
            let found = history.find().filter(|_| wanted > 1);
            let round = span.pace.choose(limit, found.map(|copy| Round::copied(copy.agreement)));
            if let (Some(copy), Source::Copied) = (found, round.source) {
                span.copies += 1;
                return (round, history.copied(copy, round.rows.min(wanted) - 1));
            }
            round
        }
    };
    (round, &[])
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
        show(span, &block);
    }
    // Rows after the end are fill, and the end itself need not be run: the pick before it says whether it is right.
    let length = block.iter().position(|&id| id == end).unwrap_or(rows);
    block.truncate(length.max(1));
    Ok(Ok(block))
}

/// Shows a draft behind its first row, which is settled; the others may still change.
fn show(span: &mut Span<'_>, block: &[u32]) {
    let cells: Vec<_> = block[1..].iter().map(|&id| (id, false)).collect();
    span.show(&cells);
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
