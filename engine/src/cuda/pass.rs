//! What a pass is made of: plans, captured when they first run, and many rows in pieces that can be given up.

use std::ops::Range;

use cinnabar_kernels::cuda::attend::Attend;
use cinnabar_kernels::cuda::project::Project;
use cinnabar_kernels::cuda::state::{MAX_ROWS, State};
use cinnabar_kernels::cuda::step::{self, Stage, Step};
use cinnabar_kernels::cuda::{CudaError, head};

use super::measure::Part;
use super::{Arena, CudaModel, failed};
use crate::error::EngineError;

/// Rows from which a pass is launched in pieces, between which it can be given up, and rows times layers of a piece.
const PIECED_ROWS: usize = 256;
const PIECE: usize = 5 * MAX_ROWS;
/// Looks at the published word between two questions to the driver whether it has failed.
const PATIENCE: u32 = 20_000;

/// A sequence of kernels that is captured once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Plan {
    /// A forward pass over a bucket of rows and its head.
    Pass(usize, HeadKind),
    /// A piece of such a pass over many rows; the last one has the head.
    Piece(usize, usize, HeadKind),
    /// The head alone, over rows of the last pass.
    HeadOnly(usize, HeadKind),
    /// A pass of a span that is filled in rounds, with the decision what comes next; true: the first.
    Turn(usize, bool),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum HeadKind {
    None,
    /// Picks of up to so many rows.
    Picks(usize),
    Logits(usize),
}

impl CudaModel {
    /// Runs a plan with this state and waits for its end. The first run of a plan also captures it.
    pub(super) fn run(&mut self, plan: Plan, state: State) -> Result<(), EngineError> {
        self.feed(state);
        self.ticket = self.ticket.wrapping_add(1);
        self.start(plan).map_err(|e| failed(&e))?;
        self.wait(self.ticket)
    }

    /// Says what the next plan works on.
    fn feed(&mut self, mut state: State) {
        state.ticket = self.ticket.wrapping_add(1);
        self.arena.feed.write(state, |feed| feed);
    }

    /// Runs a pass over a bucket of rows; false: it was given up. Many rows are run in pieces, of which one waits while one
    /// is running, so that the device never does.
    pub(super) fn run_pass(
        &mut self,
        rows: usize,
        head: HeadKind,
        state: State,
        stop: &dyn Fn() -> bool,
    ) -> Result<bool, EngineError> {
        let pieces = self.pieces(rows).count();
        if pieces == 1 {
            return self.run(Plan::Pass(rows, head), state).map(|()| true);
        }
        self.feed(state);
        for piece in 0..pieces {
            if piece > 0 && stop() {
                self.wait(self.ticket)?;
                return Ok(false);
            }
            let before = self.ticket;
            self.ticket = self.ticket.wrapping_add(1);
            let kind = if piece + 1 == pieces { head } else { HeadKind::None };
            self.start(Plan::Piece(rows, piece, kind)).map_err(|e| failed(&e))?;
            if piece > 0 {
                self.wait(before)?;
            }
        }
        self.wait(self.ticket)?;
        Ok(true)
    }

    /// The layers of each piece of a pass.
    fn pieces(&self, rows: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let layers = self.config.layers;
        let each = if rows < PIECED_ROWS { layers } else { (PIECE / rows).min(layers) };
        (0..layers).step_by(each).map(move |from| from..layers.min(from + each))
    }

    /// Launches a plan, captured if it has run before.
    pub(super) fn start(&mut self, plan: Plan) -> Result<(), CudaError> {
        if let Some(graph) = self.graphs.get(&plan) {
            return graph.launch();
        }
        self.enqueue(plan)?;
        let graph = self.gpu.capture(|| self.enqueue(plan))?;
        self.graphs.insert(plan, graph);
        Ok(())
    }

    /// Spins until the pass of this ticket, or one after it, has been published.
    pub(super) fn wait(&self, ticket: u32) -> Result<(), EngineError> {
        let ended = || self.arena.board.read(|b| &b.ticket).wrapping_sub(ticket) as i32 >= 0;
        loop {
            for _ in 0..PATIENCE {
                if ended() {
                    return Ok(());
                }
                std::hint::spin_loop();
            }
            if self.gpu.is_idle().map_err(|e| failed(&e))? && !ended() {
                return Err(EngineError::Failed("the GPU finished a pass without a result".into()));
            }
        }
    }

    fn enqueue(&self, plan: Plan) -> Result<(), CudaError> {
        let step = self.step();
        match plan {
            Plan::Pass(rows, head) => {
                step.launch(&self.gpu, Stage::Feed(rows))?;
                self.enqueue_body(rows)?;
                self.enqueue_end(rows, head)
            }
            Plan::Piece(rows, piece, head) => {
                if piece == 0 {
                    step.launch(&self.gpu, Stage::Feed(rows))?;
                    self.enqueue_embedding(rows)?;
                }
                let layers = self.pieces(rows).nth(piece).unwrap_or_default();
                self.enqueue_layers(rows, layers, None)?;
                self.enqueue_end(rows, head)
            }
            Plan::HeadOnly(rows, head) => {
                step.launch(&self.gpu, Stage::Feed(0))?;
                self.enqueue_end(rows, head)
            }
            Plan::Turn(rows, first) => {
                if first {
                    step.launch(&self.gpu, Stage::FeedSpan)?;
                }
                self.enqueue_body(rows)?;
                self.enqueue_head(rows, HeadKind::Picks(rows))?;
                step.launch(&self.gpu, Stage::Turn)
            }
        }
    }

    pub(super) fn step(&self) -> Step<'_> {
        let a = &self.arena;
        Step {
            state: &a.state,
            round: &a.round,
            span: &a.span,
            board: &a.board,
            feed: &a.feed,
            feed_round: &a.feed_round,
            feed_history: &a.feed_history,
            best: &a.best,
            classes: &a.classes,
        }
    }

    fn enqueue_body(&self, rows: usize) -> Result<(), CudaError> {
        self.enqueue_embedding(rows)?;
        self.enqueue_layers(rows, 0..self.config.layers, None)
    }

    fn enqueue_embedding(&self, rows: usize) -> Result<(), CudaError> {
        let Arena { x, x16, state, .. } = &self.arena;
        step::embed(&self.gpu, rows, &self.weights.embedding, x, x16, state)
    }

    /// The head, and what tells the host that all is done.
    fn enqueue_end(&self, rows: usize, head: HeadKind) -> Result<(), CudaError> {
        self.enqueue_head(rows, head)?;
        let stage = if matches!(head, HeadKind::Picks(_)) { Stage::Pick } else { Stage::Done };
        self.step().launch(&self.gpu, stage)
    }

    /// Layers; with `only`, one kernel of each.
    pub(super) fn enqueue_layers(
        &self,
        rows: usize,
        layers: Range<usize>,
        only: Option<Part>,
    ) -> Result<(), CudaError> {
        let CudaModel { config: c, gpu, weights: w, caches, arena: a, clusters, .. } = self;
        let eps = c.norm_eps;
        let runs = |part| only.is_none_or(|only| only == part);
        for layer in layers {
            let l = &w.layers[layer];
            let (rope, queries, bias) = (&a.rope, &a.queries, l.bias.as_ref());
            if runs(Part::Qkv) {
                let project = Project::Qkv { rope, bias, caches, layer, queries, eps };
                project.launch(gpu, rows, &l.qkv, &a.x16, &a.state)?;
            }
            if runs(Part::Attend) {
                let attend = Attend { queries, caches, layer, out: &a.attended, partial: &a.partial };
                attend.launch(gpu, rows, c.heads, *clusters, &a.state)?;
            }
            if runs(Part::Output) {
                Project::Add(&a.x, &a.x16).launch(gpu, rows, &l.output, &a.attended, &a.state)?;
            }
            if runs(Part::Gate) {
                Project::Gate(&a.gated, eps).launch(gpu, rows, &l.gate_up, &a.x16, &a.state)?;
            }
            if runs(Part::Down) {
                Project::Add(&a.x, &a.x16).launch(gpu, rows, &l.down, &a.gated, &a.state)?;
            }
        }
        Ok(())
    }

    pub(super) fn enqueue_head(&self, rows: usize, head: HeadKind) -> Result<(), CudaError> {
        let (CudaModel { config: c, gpu, weights: w, arena: a, .. }, count, logits) = match head {
            HeadKind::None => return Ok(()),
            HeadKind::Picks(count) => (self, count, None),
            HeadKind::Logits(count) => (self, count, Some(&self.arena.logits)),
        };
        let head = head::Head { w: w.head(), gain: &w.norm, eps: c.norm_eps, best: &a.best, logits };
        head.launch(gpu, rows, count, &a.x16, &a.state)
    }
}
