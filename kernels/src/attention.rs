//! Attention of the rows of a block over a cache: `softmax(q Kᵀ / sqrt(d)) V` for each query head.
//!
//! Row `i` of `rows` stands at position `at + i` and sees `0..=at + i` when causal, `0..at + rows` when not; keys and values of the
//! rows are in the cache already. Query heads `g · h .. g · (h + 1)` share KV head `h` (Ainslie et al. 2023, arXiv:2305.13245).
//! Positions are taken in runs with a running maximum (Dao et al. 2022, arXiv:2205.14135), so that scores stay in the
//! first cache. A unit of work is one KV head and a few rows: with `g` query heads each they are the rows of one product.
//!
//! Tolerance between levels: `1e-5 · max |v|`, the order of additions and the exponential.

use crate::Machine;
use crate::cache::Cache;
use crate::level::{self, Level};
use crate::math;
use crate::matrix::{BLOCK, TILE};
use crate::rows::{Rows, Writer};
use crate::tile::{self, Strided};

/// Query rows of a unit, heads included, at most.
const QUERIES: usize = 12;
/// Positions of a run.
const RUN: usize = 256;
/// Widest head.
pub const MAX_HEAD: usize = 128;

/// Attends `queries` (rows, heads, d), already turned to their positions, into `rows` rows of `out`.
pub fn attention(
    machine: &Machine,
    queries: &[f32],
    cache: &Cache,
    at: usize,
    rows: usize,
    causal: bool,
    out: &mut Rows,
) {
    let d = cache.head();
    let heads = out.width() / d;
    let group = heads / cache.heads();
    assert!(d <= MAX_HEAD && d.is_multiple_of(BLOCK), "heads of width {d} are not supported");
    assert!(
        group * cache.heads() == heads && group <= QUERIES,
        "{heads} heads do not share {}",
        cache.heads()
    );
    assert_eq!(queries.len(), rows * heads * d, "queries have another shape");
    assert!(at + rows <= cache.positions() && rows <= out.capacity(), "rows are out of range");
    let per_unit = QUERIES / group;
    let chunks = rows.div_ceil(per_unit);
    let writer = out.writer();
    machine.pool.run(cache.heads() * chunks, &|unit| {
        // The rows that see most come first, so that no thread is left with the longest unit.
        let (kv, chunk) = (unit % cache.heads(), chunks - 1 - unit / cache.heads());
        let first = chunk * per_unit;
        let count = per_unit.min(rows - first);
        let job = Unit { kv, first, count, group, at, rows, causal };
        match machine.level {
            Level::REFERENCE => reference(&job, queries, cache, &writer),
            level => run(level, &job, queries, cache, &writer),
        }
    });
}

/// One KV head and rows `first..first + count`.
struct Unit {
    kv: usize,
    first: usize,
    count: usize,
    group: usize,
    at: usize,
    rows: usize,
    causal: bool,
}

impl Unit {
    /// Positions that a row sees.
    fn sight(&self, row: usize) -> usize {
        self.at + if self.causal { row + 1 } else { self.rows }
    }

    /// Row and head of query `q` of the unit.
    fn query(&self, q: usize) -> (usize, usize) {
        (self.first + q / self.group, self.kv * self.group + q % self.group)
    }
}

fn reference(unit: &Unit, queries: &[f32], cache: &Cache, out: &Writer<'_>) {
    let d = cache.head();
    let heads = cache.heads() * unit.group;
    for q in 0..unit.count * unit.group {
        let (row, head) = unit.query(q);
        let query = &queries[(row * heads + head) * d..][..d];
        let scores: Vec<f32> = (0..unit.sight(row))
            .map(|p| {
                let keys = cache.keys(unit.kv, p / TILE);
                let dot: f32 = (0..d).map(|i| query[i] * keys.get(i * TILE + p % TILE)).sum();
                dot / (d as f32).sqrt()
            })
            .collect();
        let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weights: Vec<f32> = scores.iter().map(|s| (s - max).exp()).collect();
        let sum: f32 = weights.iter().sum();
        let mut attended = [0.0; MAX_HEAD];
        for (p, weight) in weights.iter().enumerate() {
            let values = cache.values(unit.kv, p, 0);
            for (i, to) in attended[..d].iter_mut().enumerate() {
                *to += weight / sum * values.get(i);
            }
        }
        put(Level::REFERENCE, out, row, head * d, &attended[..d]);
    }
}

fn run(level: Level, unit: &Unit, queries: &[f32], cache: &Cache, out: &Writer<'_>) {
    let d = cache.head();
    let heads = cache.heads() * unit.group;
    let count = unit.count * unit.group;
    let scale = 1.0 / (d as f32).sqrt();
    let mut scaled = [0.0; QUERIES * MAX_HEAD];
    let mut attended = [0.0; QUERIES * MAX_HEAD];
    let mut scores = [0.0; QUERIES * RUN];
    let mut softmax = [Softmax { max: f32::NEG_INFINITY, sum: 0.0 }; QUERIES];
    for q in 0..count {
        let (row, head) = unit.query(q);
        let query = &queries[(row * heads + head) * d..][..d];
        for (to, x) in scaled[q * d..][..d].iter_mut().zip(query) {
            *to = x * scale;
        }
    }
    let sight = unit.sight(unit.first + unit.count - 1);
    for start in (0..sight).step_by(RUN) {
        let seen = RUN.min(sight - start);
        for panel in 0..seen.div_ceil(TILE) {
            let a = Strided { data: &scaled[..], stride: d };
            let keys = cache.keys(unit.kv, start / TILE + panel);
            let b = Strided { data: keys, stride: TILE };
            let to = Strided { data: &mut scores[panel * TILE..], stride: RUN };
            tile::product(level, count, d, a, b, to, false);
        }
        for q in 0..count {
            // A row whose sight ends before this run sees nothing of it.
            let own = unit.sight(unit.query(q).0).saturating_sub(start).min(seen);
            let weights = &mut scores[q * RUN..][..seen];
            softmax[q].absorb(level, weights, own, &mut attended[q * d..][..d]);
        }
        for column in (0..d).step_by(TILE) {
            let a = Strided { data: &scores[..], stride: RUN };
            let b = Strided { data: cache.values(unit.kv, start, column), stride: d };
            let to = Strided { data: &mut attended[column..], stride: d };
            tile::product(level, count, seen, a, b, to, true);
        }
    }
    for q in 0..count {
        let (row, head) = unit.query(q);
        let attended = &mut attended[q * d..][..d];
        let scale = 1.0 / softmax[q].sum;
        attended.iter_mut().for_each(|x| *x *= scale);
        put(level, out, row, head * d, attended);
    }
}

/// Maximum and sum of the scores so far.
#[derive(Clone, Copy)]
struct Softmax {
    max: f32,
    sum: f32,
}

impl Softmax {
    /// Turns the first `own` scores into weights and the others to 0; what was attended so far is scaled to the new
    /// maximum.
    fn absorb(&mut self, level: Level, scores: &mut [f32], own: usize, attended: &mut [f32]) {
        let (own, others) = scores.split_at_mut(own);
        others.fill(0.0);
        if own.is_empty() {
            return;
        }
        level::with(level, || {
            let mut max = self.max;
            for &x in own.iter() {
                max = if x > max { x } else { max };
            }
            if max > self.max {
                let scale = math::exp(self.max - max);
                self.sum *= scale;
                attended.iter_mut().for_each(|x| *x *= scale);
                self.max = max;
            }
            let mut sums = [0.0f32; 8];
            let mut eights = own.chunks_exact_mut(8);
            for eight in &mut eights {
                for (sum, x) in sums.iter_mut().zip(eight) {
                    *x = math::exp(*x - max);
                    *sum += *x;
                }
            }
            for x in eights.into_remainder() {
                *x = math::exp(*x - max);
                self.sum += *x;
            }
            self.sum += sums.iter().sum::<f32>();
        });
    }
}

fn put(level: Level, out: &Writer<'_>, row: usize, from: usize, attended: &[f32]) {
    for (block, values) in attended.chunks_exact(BLOCK).enumerate() {
        #[expect(unsafe_code, reason = "threads write different heads and rows")]
        // SAFETY: this head of this row belongs to this unit, and heads are whole numbers of blocks.
        unsafe {
            out.put(level, row, from / BLOCK + block, values);
        }
    }
}
