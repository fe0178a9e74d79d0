//! Draft and verify on the device: a round is one graph, the host looks at its result and launches the next.

use bytemuck::Zeroable;
use cinnabar_kernels::cuda::state::{self, MAX_SETTLED, Round, State, finish};

use super::{BUCKETS, CudaModel, MAX_HEAD_ROWS, Plan, failed};
use crate::completion::Finish;
use crate::error::EngineError;
use crate::model::{Ran, Rounds};
use crate::sampler::Pick;

impl CudaModel {
    /// Fills a span in rounds; `None` when they cannot be run here.
    pub(super) fn fill(
        &mut self,
        rounds: &Rounds<'_>,
        stop: &dyn Fn() -> bool,
    ) -> Result<Option<Ran>, EngineError> {
        let Rounds { slot, at, known, block, max_tokens, max_lines, classes } = *rounds;
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
        let round = Round {
            block: block as u32,
            mask: self.config.special.mask,
            end: self.config.special.end,
            max_tokens: max_tokens as u32,
            max_lines: max_lines.unwrap_or(0) as u32,
            context: self.config.context as u32,
            known: state::Pick { token: known.token, probability: known.probability },
        };
        self.arena.feed.write(feed, |feed| feed);
        self.arena.feed_round.write(round, |round| round);
        self.arena.board.write(0, |board| &mut board.stop);
        let mut first = true;
        let ended = loop {
            ticket = ticket.wrapping_add(1);
            self.ticket = ticket;
            // The first run of a plan is not a graph yet; what is captured afterwards must not be the same round.
            self.start(Plan::Round(block, first)).map_err(|e| failed(&e))?;
            first = false;
            self.wait(ticket)?;
            let ended = self.arena.board.read(|board| &board.finish);
            if ended != finish::RUNNING || stop() {
                break ended;
            }
        };
        let read = |field: fn(&state::Board) -> &u32| self.arena.board.read(field) as usize;
        let (settled, cached, count) = (read(|b| &b.settled), read(|b| &b.cached), read(|b| &b.rounds));
        let picks = (0..=cached).map(|i| self.arena.board.read(|board| &board.picks[i]));
        let picks = picks.map(|p| Pick { token: p.token, probability: p.probability }).collect();
        let finish = match ended {
            finish::END => Some(Finish::End),
            finish::MAX_TOKENS => Some(Finish::MaxTokens),
            finish::MAX_LINES => Some(Finish::MaxLines),
            finish::FULL => Some(Finish::Full),
            _ => None,
        };
        Ok(Some(Ran { picks, settled, cached, rounds: count, finish }))
    }
}
