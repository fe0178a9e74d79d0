//! Times on the device, for the bench: whole passes back to back, and single kernels.

use cinnabar_kernels::cuda::CudaError;
use cinnabar_kernels::cuda::state::MAX_HEAD_ROWS;
use cinnabar_kernels::cuda::step::Stage;

use super::{CudaModel, HeadKind, Plan, bucket, failed};
use crate::error::EngineError;
use crate::model::Attention;

/// A kernel of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Qkv,
    Attend,
    Output,
    Gate,
    Down,
}

/// Heads that are timed in one go.
const HEADS: u8 = 10;

impl Part {
    const ALL: [(Part, &'static str); 5] = [
        (Part::Qkv, "qkv"),
        (Part::Attend, "attention"),
        (Part::Output, "output"),
        (Part::Gate, "gate and up"),
        (Part::Down, "down"),
    ];
}

impl CudaModel {
    /// Bytes of weights that one pass reads, head included.
    pub fn weight_bytes(&self) -> usize {
        self.weights.bytes()
    }

    /// Milliseconds on the device for each of `times` passes of a plan like the one that `rows` rows at `at` take,
    /// back to back.
    pub fn time_passes(
        &mut self,
        at: usize,
        rows: usize,
        picks: usize,
        times: usize,
    ) -> Result<f32, EngineError> {
        let ids = vec![self.config.special.mask; rows];
        let head =
            if picks == 0 { HeadKind::None } else { HeadKind::Picks(bucket(picks).min(MAX_HEAD_ROWS)) };
        let plan = Plan::Pass(bucket(rows), head);
        let state = self.state(0, at, &ids, Attention::Bidirectional, &(0..picks));
        self.run(plan, state)?;
        let graph = &self.graphs[&plan];
        let total = self.gpu.time(|| (0..times).try_for_each(|_| graph.launch())).map_err(|e| failed(&e))?;
        Ok(total / times as f32)
    }

    /// Microseconds on the device of each kernel of a layer and of the head, from passes that leave the others out.
    pub fn time_kernels(
        &mut self,
        at: usize,
        rows: usize,
        attention: Attention,
    ) -> Result<Vec<(&'static str, f32)>, EngineError> {
        self.stand(at, rows, attention)?;
        let head = self.time_heads(rows)?;
        let (bucket, layers) = (bucket(rows), self.config.layers);
        let mut times = Vec::new();
        for (part, name) in Part::ALL {
            let total = self.time_graph(|| self.enqueue_layers(bucket, 0..layers, Some(part)))?;
            times.push((name, total / layers as f32));
        }
        times.push(("head and picks", head));
        Ok(times)
    }

    /// Microseconds on the device of the head and its picks, of up to 64 of `rows` rows at `at`.
    pub fn time_head(&mut self, at: usize, rows: usize) -> Result<f32, EngineError> {
        self.stand(at, rows, Attention::Bidirectional)?;
        self.time_heads(rows)
    }

    /// Runs a pass whose state the kernels that are timed then find.
    fn stand(&mut self, at: usize, rows: usize, attention: Attention) -> Result<(), EngineError> {
        let ids = vec![self.config.special.mask; rows];
        let state = self.state(0, at, &ids, attention, &(0..rows.min(MAX_HEAD_ROWS)));
        self.run(Plan::Pass(bucket(rows), Self::timed_head(rows)), state)
    }

    fn timed_head(rows: usize) -> HeadKind {
        HeadKind::Picks(bucket(rows).min(MAX_HEAD_ROWS))
    }

    fn time_heads(&self, rows: usize) -> Result<f32, EngineError> {
        let (bucket, head) = (bucket(rows), Self::timed_head(rows));
        let total = self.time_graph(|| {
            (0..HEADS).try_for_each(|_| {
                self.enqueue_head(bucket, head)?;
                self.step().launch(&self.gpu, Stage::Pick)
            })
        })?;
        Ok(total / f32::from(HEADS))
    }

    /// Microseconds on the device of what `launches` enqueues: the mean of 20 in a row, once it has run.
    fn time_graph(&self, launches: impl FnOnce() -> Result<(), CudaError>) -> Result<f32, EngineError> {
        let time = || -> Result<f32, CudaError> {
            let graph = self.gpu.capture(launches)?;
            graph.launch()?;
            self.gpu.time(|| (0..20).try_for_each(|_| graph.launch()))
        };
        Ok(time().map_err(|e| failed(&e))? / 20.0 * 1e3)
    }
}
