//! Attention over a cache of floats.

use super::{RUN, Run};
use crate::cache::Cache;
use crate::level::Level;
use crate::matrix::TILE;
use crate::tile::{self, Strided};

/// Scores (queries, positions) of a run for scaled queries (queries, d).
pub(super) fn scores(
    level: Level,
    count: usize,
    cache: &Cache,
    run: &Run,
    scaled: &[f32],
    scores: &mut [f32],
) {
    let d = cache.head();
    for panel in 0..run.seen.div_ceil(TILE) {
        let a = Strided { data: scaled, stride: d };
        let keys = cache.float_keys(run.kv, run.start / TILE + panel);
        let to = Strided { data: &mut scores[panel * TILE..], stride: RUN };
        tile::product(level, count, d, a, Strided { data: keys, stride: TILE }, to, false);
    }
}

/// Adds the weighted values of a run to `attended` (queries, d).
pub(super) fn attend(
    level: Level,
    count: usize,
    cache: &Cache,
    run: &Run,
    weights: &[f32],
    attended: &mut [f32],
) {
    let d = cache.head();
    let values = cache.float_values(run.kv, run.start, run.seen);
    for column in (0..d).step_by(TILE) {
        let a = Strided { data: weights, stride: RUN };
        let b = Strided { data: &values[column..], stride: d };
        let to = Strided { data: &mut attended[column..], stride: d };
        tile::product(level, count, run.seen, a, b, to, true);
    }
}
