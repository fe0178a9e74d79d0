//! Times on the device, for the bench: whole passes back to back, and single kernels.

use cinnabar_kernels::cuda::CudaError;
use cinnabar_kernels::cuda::state::MAX_HEAD_ROWS;
use cinnabar_kernels::cuda::step::Stage;

use super::{CudaModel, HeadKind, Plan, bucket, failed};
use crate::error::EngineError;
use crate::model::Attention;

/// A kernel of a layer, or the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    Qkv,
    Attend,
    Output,
    Gate,
    Down,
    Head,
}

impl Part {
    const ALL: [(Part, &'static str); 6] = [
        (Part::Qkv, "qkv"),
        (Part::Attend, "attention"),
        (Part::Output, "output"),
        (Part::Gate, "gate and up"),
        (Part::Down, "down"),
        (Part::Head, "head and picks"),
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
    pub fn time_kernels(&mut self, at: usize, rows: usize) -> Result<Vec<(&'static str, f32)>, EngineError> {
        let ids = vec![self.config.special.mask; rows];
        let bucket = bucket(rows);
        self.run(
            Plan::Pass(bucket, HeadKind::Picks(bucket.min(MAX_HEAD_ROWS))),
            self.state(0, at, &ids, Attention::Bidirectional, &(0..rows.min(MAX_HEAD_ROWS))),
        )?;
        let layers = self.config.layers as f32;
        let mut times = Vec::new();
        for (part, name) in Part::ALL {
            let per_pass = if part == Part::Head { 1.0 } else { layers };
            let time = || -> Result<f32, CudaError> {
                let graph = self.gpu.capture(|| match part {
                    Part::Head => {
                        self.enqueue_head(bucket, HeadKind::Picks(bucket.min(MAX_HEAD_ROWS)))?;
                        self.step().launch(&self.gpu, Stage::Pick)
                    }
                    part => self.enqueue_layers(bucket, 0..self.config.layers, Some(part)),
                })?;
                graph.launch()?;
                self.gpu.time(|| (0..20).try_for_each(|_| graph.launch()))
            };
            times.push((name, time().map_err(|e| failed(&e))? / 20.0 / per_pass * 1e3));
        }
        Ok(times)
    }
}
