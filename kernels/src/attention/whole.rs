//! Attention over a cache of whole numbers: queries are rounded to 12 bits, each 32 of them with their own scale, weights of a run to
//! 14 bits, each query's with its own.
//!
//! A value's scale is taken into its weight before the weight is rounded, so that one sum runs over all positions of a run. A run's
//! weights are at most 1, so the largest scale of its values bounds them and none has to be looked for. What a query is
//! rounded by depends on what it sees and on nothing beside it: a row has the same bits alone and in a block.

use super::{MAX_HEAD, QUERIES, RUN, Run};
use crate::cache::{Cache, LARGEST, Whole, round};
use crate::level::{Level, vectorised};
use crate::math;
use crate::matrix::{BLOCK, TILE};
use crate::pairs::{self, Panels, STRIDE, Scales};
use crate::tile::Strided;

/// Largest rounded weight: `64 · 16383 · 2047` is below 2³¹.
const LARGEST_WEIGHT: f32 = 16383.0;

/// Rounded queries and weights of a unit.
#[repr(align(64))]
pub(super) struct Scratch {
    /// (queries, d)
    queries: [i16; QUERIES * STRIDE],
    /// (queries, d/32)
    query_scales: [f32; QUERIES * MAX_HEAD / BLOCK],
    /// (queries, positions of a run)
    weights: [i16; QUERIES * STRIDE],
    /// One for each query.
    weight_scales: [f32; QUERIES],
}

impl Scratch {
    pub(super) const NEW: Scratch =
        Scratch { queries: [0; _], query_scales: [0.0; _], weights: [0; _], weight_scales: [0.0; _] };

    /// Rounds scaled queries (queries, d).
    pub(super) fn queries(&mut self, level: Level, count: usize, d: usize, scaled: &[f32]) {
        let parts = d / BLOCK;
        for (i, part) in scaled[..count * d].chunks_exact(BLOCK).enumerate() {
            let to = &mut self.queries[i / parts * STRIDE + i % parts * BLOCK..][..BLOCK];
            self.query_scales[i] = round(level, part, LARGEST, to);
        }
    }

    /// Scores (queries, positions) of a run; the keys of the next one are asked for.
    pub(super) fn scores(&self, level: Level, count: usize, cache: &Cache, run: &Run, scores: &mut [f32]) {
        let (parts, panels) = (cache.head() / BLOCK, run.seen.div_ceil(TILE));
        let keys = cache.whole_keys(run.kv, run.start, panels);
        let next = bytes(cache.whole_keys(run.kv, run.next, run.ahead / TILE));
        for part in 0..parts {
            let data = &keys.quants[part * BLOCK * TILE..];
            let ahead = share(next, part, parts);
            let panels = Panels { data, count: panels, stride: 2 * TILE, apart: TILE * cache.head(), ahead };
            let scales = Scales {
                rows: Strided { data: &self.query_scales[part..], stride: parts },
                columns: Strided { data: &keys.scales[part * TILE..], stride: parts * TILE },
            };
            let (queries, to) = (&self.queries[part * BLOCK..], Strided { data: &mut *scores, stride: RUN });
            pairs::product(level, count, BLOCK, queries, panels, scales, to, part > 0);
        }
    }

    /// Adds the weighted values of a run to `attended` (queries, d), for weights (queries, positions) that are multiplied with a
    /// factor a query; those of positions that a query does not see are zero. The values of the next run are asked for.
    pub(super) fn attend(
        &mut self,
        level: Level,
        own: &[usize],
        factors: &[f32],
        cache: &Cache,
        run: &Run,
        weights: &[f32],
        attended: &mut [f32],
    ) {
        let (d, parts) = (cache.head(), cache.head() / BLOCK);
        let panels = run.seen.div_ceil(TILE);
        let values = cache.whole_values(run.kv, run.start, panels);
        let next = bytes(cache.whole_values(run.kv, run.next, run.ahead / TILE));
        for part in 0..parts {
            let mut scales = [0.0; RUN];
            for (panel, scales) in scales.chunks_exact_mut(TILE).take(panels).enumerate() {
                scales.copy_from_slice(&values.scales[(panel * parts + part) * TILE..][..TILE]);
            }
            let (mut steps, mut step, mut of) = ([0.0; RUN], 0.0, 0);
            for (q, (&own, factor)) in own.iter().zip(factors).enumerate() {
                // Queries of a row, and all rows of a run that lies before them, see the same.
                if own != of {
                    (of, step) = (own, relative(level, &scales, own, &mut steps));
                }
                let weights =
                    weights[q * RUN..].first_chunk().expect("because each query has a run's weights");
                let to = self.weights[q * STRIDE..]
                    .first_chunk_mut()
                    .expect("because a run is no longer than a row");
                weigh(level, weights, &steps, to);
                self.weight_scales[q] = factor * step;
            }
            let data = &values.quants[2 * part * BLOCK..];
            let ahead = share(next, part, parts);
            let panels = Panels { data, count: BLOCK / TILE, stride: 2 * d, apart: 2 * TILE, ahead };
            let scales = Scales {
                rows: Strided { data: &self.weight_scales[..], stride: 1 },
                columns: Strided { data: &[1.0; TILE], stride: 0 },
            };
            let to = Strided { data: &mut attended[part * BLOCK..], stride: d };
            let depth = run.seen.next_multiple_of(2);
            pairs::product(level, own.len(), depth, &self.weights, panels, scales, to, true);
        }
    }
}

fn bytes<'a>(numbers: Whole<&'a [i16], &'a [f32]>) -> &'a [u8] {
    bytemuck::cast_slice(numbers.quants)
}

/// Part `part` of `parts` of some bytes.
fn share(bytes: &[u8], part: usize, parts: usize) -> &[u8] {
    &bytes[bytes.len() * part / parts..bytes.len() * (part + 1) / parts]
}

vectorised! {
    /// The first `own` scales as multiples of a step, the largest [`LARGEST_WEIGHT`] of them, the others zero; the step.
    fn relative(scales: &[f32; RUN], own: usize, steps: &mut [f32; RUN]) -> f32 {
        let largest = math::max(&scales[..own]);
        steps.fill(0.0);
        // Values that are all zero have no step.
        if largest <= 0.0 {
            return 0.0;
        }
        for (to, scale) in steps[..own].iter_mut().zip(scales) {
            *to = scale * (LARGEST_WEIGHT / largest);
        }
        largest / LARGEST_WEIGHT
    }
}

vectorised! {
    /// Rounds products of weights and steps.
    fn weigh(weights: &[f32; RUN], steps: &[f32; RUN], to: &mut [i16; RUN]) {
        for i in 0..RUN {
            to[i] = math::whole(weights[i] * steps[i]);
        }
    }
}
