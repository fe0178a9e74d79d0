//! Draft, copy and verify on the device, which decides after each pass what the next one is: a pass is one graph, the host
//! looks at what came out and launches the next.

use bytemuck::Zeroable;
use cinnabar_kernels::cuda::state::{self, MAX_HISTORY, MAX_SETTLED, Round, State, finish};

use super::{BUCKETS, CudaModel, MAX_HEAD_ROWS, Plan, failed};
use crate::completion::Finish;
use crate::error::EngineError;
use crate::model::{Ran, Rounds};
use crate::sampler::Pick;

/// Last tokens that must have stood together before for what followed to be copied. A copy takes one pass and a draft two,
/// so that one is enough (BENCHMARKS.md).
const AGREEMENT: u32 = 1;

impl CudaModel {
    /// Fills a span in rounds; `None` when they cannot be run here.
    pub(super) fn fill(
        &mut self,
        rounds: &Rounds<'_>,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Ran>, EngineError> {
        let Rounds { slot, at, known, block, max_tokens, max_lines, classes, history } = *rounds;
        assert_eq!(classes.len(), self.config.vocab, "a class for each token");
        if !BUCKETS.contains(&block) || block > MAX_HEAD_ROWS || max_tokens + MAX_HEAD_ROWS > MAX_SETTLED {
            return Ok(None);
        }
        if !self.arena.classes_known {
            self.arena.classes.write(0, classes).map_err(|e| failed(&e))?;
            self.arena.classes_known = true;
        }
        let mut ticket = self.ticket;
        let feed = State {
            at: at as u32,
            slot: slot as u32,
            banned: self.config.special.mask,
            ticket: ticket.wrapping_add(1),
            ..State::zeroed()
        };
        let before = history.unwrap_or_default();
        let before = &before[before.len().saturating_sub(MAX_HISTORY)..];
        let mut ids = [0; MAX_HISTORY];
        ids[..before.len()].copy_from_slice(before);
        self.arena.feed_history.write(ids, |history| &mut history.ids);
        let round = Round {
            block: block as u32,
            mask: self.config.special.mask,
            end: self.config.special.end,
            max_tokens: max_tokens as u32,
            max_lines: max_lines.unwrap_or(0) as u32,
            context: self.config.context as u32,
            history: before.len() as u32,
            agreement: history.map_or(0, |_| AGREEMENT),
            known: state::Pick { token: known.token, probability: known.probability },
        };
        self.arena.feed.write(feed, |feed| feed);
        self.arena.feed_round.write(round, |round| round);
        self.arena.board.write(0, |board| &mut board.stop);
        let mut first = true;
        let ended = loop {
            // A draft decides nothing: its verification is launched with it.
            let turns = if first || self.arena.board.read(|board| &board.causal) != 0 { 1 } else { 2 };
            for _ in 0..turns {
                ticket = ticket.wrapping_add(1);
                self.ticket = ticket;
                // The first run of a plan is not a graph yet; what is captured afterwards must not be the same pass.
                self.start(Plan::Turn(block, first)).map_err(|e| failed(&e))?;
                first = false;
            }
            self.wait(ticket)?;
            let ended = self.arena.board.read(|board| &board.finish);
            if ended != finish::RUNNING || stop() {
                break ended;
            }
        };
        let read = |field: fn(&state::Board) -> &u32| self.arena.board.read(field) as usize;
        let (settled, cached) = (read(|b| &b.settled), read(|b| &b.cached));
        let (drafts, rounds) = (read(|b| &b.drafts), read(|b| &b.rounds));
        let picks = (0..=cached).map(|i| self.arena.board.read(|board| &board.picks[i]));
        let picks = picks.map(|p| Pick { token: p.token, probability: p.probability }).collect();
        let finish = match ended {
            finish::END => Some(Finish::End),
            finish::MAX_TOKENS => Some(Finish::MaxTokens),
            finish::MAX_LINES => Some(Finish::MaxLines),
            finish::FULL => Some(Finish::Full),
            _ => None,
        };
        // Stopped behind a draft, there is one more of them than rounds.
        let copies = rounds.saturating_sub(drafts);
        Ok(Some(Ran { picks, settled, cached, drafts, copies, finish }))
    }
}
