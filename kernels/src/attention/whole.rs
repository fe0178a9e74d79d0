//! Attention over a cache of whole numbers: queries are rounded to 12 bits, each 32 of them with their own scale, weights of a run to
//! 13 bits, each query's with its own.
//!
//! A value's scale is taken into its weight before the weight is rounded, so that one sum runs over all positions of a run. What
//! a query is rounded by depends on what it sees and on nothing beside it: a row has the same bits alone and in a block.

use super::{MAX_HEAD, QUERIES, RUN, Run};
use crate::cache::{Cache, LARGEST, round};
use crate::level::Level;
use crate::matrix::{BLOCK, TILE};
use crate::pairs::{self, Scales};
use crate::tile::Strided;

/// Largest rounded weight: `64 · 8191 · 2047` is below 2³¹.
const LARGEST_WEIGHT: f32 = 8191.0;

/// Rounded queries and weights of a unit.
#[repr(align(64))]
pub(super) struct Scratch {
    /// (queries, d)
    queries: [i16; QUERIES * MAX_HEAD],
    /// (queries, d/32)
    query_scales: [f32; QUERIES * MAX_HEAD / BLOCK],
    /// (queries, positions of a run)
    weights: [i16; QUERIES * RUN],
    /// One for each query.
    weight_scales: [f32; QUERIES],
}

impl Scratch {
    pub(super) const NEW: Scratch =
        Scratch { queries: [0; _], query_scales: [0.0; _], weights: [0; _], weight_scales: [0.0; _] };

    /// Rounds scaled queries (queries, d).
    pub(super) fn queries(&mut self, level: Level, count: usize, d: usize, scaled: &[f32]) {
        for (i, part) in scaled[..count * d].chunks_exact(BLOCK).enumerate() {
            self.query_scales[i] = round(level, part, LARGEST, &mut self.queries[i * BLOCK..][..BLOCK]);
        }
    }

    /// Scores (queries, positions) of a run.
    pub(super) fn scores(&self, level: Level, count: usize, cache: &Cache, run: &Run, scores: &mut [f32]) {
        let d = cache.head();
        for panel in 0..run.seen.div_ceil(TILE) {
            let keys = cache.whole_keys(run.kv, run.start / TILE + panel);
            let (columns, _) = keys.scales.as_chunks::<TILE>();
            for (part, columns) in columns.iter().enumerate() {
                let a = Strided { data: &self.queries[part * BLOCK..], stride: d };
                let b = Strided { data: &keys.quants[part * BLOCK * TILE..], stride: 2 * TILE };
                let rows = Strided { data: &self.query_scales[part..], stride: d / BLOCK };
                let to = Strided { data: &mut scores[panel * TILE..], stride: RUN };
                pairs::product(level, count, BLOCK, a, b, Scales { rows, columns }, to, part > 0);
            }
        }
    }

    /// Adds the weighted values of a run to `attended` (queries, d). Weights of positions that are not seen are zero.
    pub(super) fn attend(
        &mut self,
        level: Level,
        count: usize,
        cache: &Cache,
        run: &Run,
        weights: &[f32],
        attended: &mut [f32],
    ) {
        let d = cache.head();
        let panels = run.seen.div_ceil(TILE);
        let values = cache.whole_values(run.kv, run.start / TILE, panels);
        for part in 0..d / BLOCK {
            let mut scales = [0.0; RUN];
            for (panel, scales) in scales.chunks_exact_mut(TILE).take(panels).enumerate() {
                scales.copy_from_slice(&values.scales[(panel * (d / BLOCK) + part) * TILE..][..TILE]);
            }
            for q in 0..count {
                let weights = &weights[q * RUN..][..RUN];
                let scaled: [f32; RUN] = std::array::from_fn(|i| weights[i] * scales[i]);
                let rounded = &mut self.weights[q * RUN..][..RUN];
                self.weight_scales[q] = round(level, &scaled, LARGEST_WEIGHT, rounded);
            }
            for column in (part * BLOCK..(part + 1) * BLOCK).step_by(TILE) {
                let a = Strided { data: &self.weights[..], stride: RUN };
                let b = Strided { data: &values.quants[2 * column..], stride: 2 * d };
                let rows = Strided { data: &self.weight_scales[..], stride: 1 };
                let to = Strided { data: &mut attended[column..], stride: d };
                let scales = Scales { rows, columns: &[1.0; TILE] };
                pairs::product(level, count, run.seen.next_multiple_of(2), a, b, scales, to, true);
            }
        }
    }
}
