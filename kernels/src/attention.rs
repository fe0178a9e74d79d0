//! Attention of the rows of a block over a cache: `softmax(q Kᵀ / sqrt(d)) V` for each query head.
//!
//! Row `i` of `rows` stands at position `at + i` and sees `0..=at + i` when causal, `0..at + rows` when not; keys and values of the
//! rows are in the cache already. Query heads `g · h .. g · (h + 1)` share KV head `h` (Ainslie et al. 2023, arXiv:2305.13245).
//! Positions are taken in runs with a running maximum (Dao et al. 2022, arXiv:2205.14135), so that scores stay in the
//! first cache. A unit of work is one KV head and a few rows: with `g` query heads each they are the rows of one product.
//!
//! A cache of floats is multiplied as floats (`attention/floats.rs`), one of whole numbers by rounded queries and weights
//! (`attention/whole.rs`). Tolerance between levels: `1e-5 · max |v|` with floats, the order of additions and the exponential; `2e-3 · max |v|` with
//! whole numbers, whose reference rounds neither queries nor weights.

use std::cell::RefCell;

use crate::Machine;
use crate::cache::{Cache, PIECE, Storage};
use crate::level::{Level, vectorised};
use crate::math;
use crate::matrix::BLOCK;
use crate::rows::{Rows, Writer};

mod floats;
mod whole;

/// Query rows of a unit, heads included, at most.
const QUERIES: usize = 24;
/// Positions of a run: as floats their keys or values are 16 KiB for heads of width 64.
const RUN: usize = 64;
const _: () = assert!(PIECE.is_multiple_of(RUN), "a run would cross the end of a piece");
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
    // Long units use keys and values best, but every thread wants some.
    let most = QUERIES / group;
    let wanted = (2 * machine.pool.threads()).div_ceil(cache.heads());
    let per_unit = rows.div_ceil(wanted.max(rows.div_ceil(most))).max(1);
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
            level => SCRATCH.with_borrow_mut(|scratch| run(scratch, level, &job, queries, cache, &writer)),
        }
    });
}

/// What a unit works on.
#[repr(align(64))]
struct Scratch {
    /// Scaled queries (queries, d).
    scaled: [f32; QUERIES * MAX_HEAD],
    /// (queries, d)
    attended: [f32; QUERIES * MAX_HEAD],
    /// (queries, positions of a run)
    scores: [f32; QUERIES * RUN],
    whole: whole::Scratch,
}

thread_local! {
    static SCRATCH: RefCell<Box<Scratch>> = RefCell::new(Box::new(Scratch {
        scaled: [0.0; _],
        attended: [0.0; _],
        scores: [0.0; _],
        whole: whole::Scratch::NEW,
    }));
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
                let dot: f32 = (0..d).map(|i| query[i] * cache.key(unit.kv, p, i)).sum();
                dot / (d as f32).sqrt()
            })
            .collect();
        let max = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let weights: Vec<f32> = scores.iter().map(|s| (s - max).exp()).collect();
        let sum: f32 = weights.iter().sum();
        let mut attended = [0.0; MAX_HEAD];
        for (p, weight) in weights.iter().enumerate() {
            for (i, to) in attended[..d].iter_mut().enumerate() {
                *to += weight / sum * cache.value(unit.kv, p, i);
            }
        }
        put(Level::REFERENCE, out, row, head * d, &attended[..d]);
    }
}

fn run(scratch: &mut Scratch, level: Level, unit: &Unit, queries: &[f32], cache: &Cache, out: &Writer<'_>) {
    let d = cache.head();
    let heads = cache.heads() * unit.group;
    let count = unit.count * unit.group;
    let scale = 1.0 / (d as f32).sqrt();
    let Scratch { scaled, attended, scores, whole } = scratch;
    attended[..count * d].fill(0.0);
    let mut softmax = Softmax::NONE;
    let mut sights = [0; QUERIES];
    for q in 0..count {
        let (row, head) = unit.query(q);
        sights[q] = unit.sight(row);
        let query = &queries[(row * heads + head) * d..][..d];
        for (to, x) in scaled[q * d..][..d].iter_mut().zip(query) {
            *to = x * scale;
        }
    }
    if cache.storage() == Storage::Whole {
        whole.queries(level, count, d, scaled);
    }
    let sight = unit.sight(unit.first + unit.count - 1);
    for start in (0..sight).step_by(RUN) {
        let seen = RUN.min(sight - start);
        let ahead = RUN.min(sight - start - seen);
        let run = Run { kv: unit.kv, start, seen, next: if ahead > 0 { start + RUN } else { start }, ahead };
        match cache.storage() {
            Storage::F32 => floats::scores(level, count, cache, &run, scaled, scores),
            Storage::Whole => whole.scores(level, count, cache, &run, scores),
        }
        // A row whose sight ends before this run sees nothing of it.
        let own = sights.map(|sight| sight.saturating_sub(start).min(seen));
        let (own, local) = (&own[..count], cache.storage() == Storage::Whole);
        let factors = absorb(level, &mut softmax, local, own, scores, attended, d);
        match cache.storage() {
            Storage::F32 => floats::attend(level, count, cache, &run, scores, attended),
            Storage::Whole => whole.attend(level, own, &factors, cache, &run, scores, attended),
        }
    }
    for q in 0..count {
        let (row, head) = unit.query(q);
        let attended = &mut attended[q * d..][..d];
        let scale = 1.0 / softmax.sums[q].iter().sum::<f32>();
        attended.iter_mut().for_each(|x| *x *= scale);
        put(level, out, row, head * d, attended);
    }
}

/// Positions `start..start + seen` of a KV head, at most [`RUN`], and the `ahead` from `next` on that follow.
struct Run {
    kv: usize,
    start: usize,
    seen: usize,
    next: usize,
    ahead: usize,
}

/// Maxima and sums of the scores so far, for each query.
struct Softmax {
    max: [f32; QUERIES],
    /// Sums of every 16th weight: what vectors hold.
    sums: [[f32; LANES]; QUERIES],
}

const LANES: usize = 16;

impl Softmax {
    /// A finite stand-in for minus infinity, so that differences stay numbers.
    const LOWEST: f32 = -1e30;

    const NONE: Softmax = Softmax { max: [Self::LOWEST; QUERIES], sums: [[0.0; LANES]; QUERIES] };
}

vectorised! {
    /// Turns the first `own` scores of each query of a run into weights and the others to 0; what was attended so far is scaled to
    /// the new maximum. Returns what the weights are to be multiplied with: floats are relative to the maximum so far, `local`
    /// ones, which are rounded next, to that of the run, so that the largest is 1.
    ///
    /// Each step is taken for all queries before the next one: what waits in one is then not in the way of another.
    fn absorb(
        softmax: &mut Softmax,
        local: bool,
        own: &[usize],
        scores: &mut [f32; QUERIES * RUN],
        attended: &mut [f32],
        d: usize,
    ) -> [f32; QUERIES] {
        let (scores, _) = scores.as_chunks_mut::<RUN>();
        let mut bases = [Softmax::LOWEST; QUERIES];
        for ((scores, &own), base) in scores.iter_mut().zip(own).zip(&mut bases) {
            scores[own..].fill(f32::NEG_INFINITY);
            *base = math::max(scores).max(Softmax::LOWEST);
        }
        let (mut scales, mut factors) = ([1.0; QUERIES], [1.0; QUERIES]);
        for q in 0..QUERIES {
            let max = if bases[q] > softmax.max[q] { bases[q] } else { softmax.max[q] };
            scales[q] = math::exp(softmax.max[q] - max);
            softmax.max[q] = max;
            bases[q] = if local { bases[q] } else { max };
            factors[q] = math::exp(bases[q] - max);
        }
        for (q, (scores, &own)) in scores.iter_mut().zip(own).enumerate() {
            if scales[q] != 1.0 {
                attended[q * d..][..d].iter_mut().for_each(|x| *x *= scales[q]);
            }
            let (parts, _) = scores.as_chunks_mut::<LANES>();
            let mut sums = [0.0; LANES];
            for part in parts {
                for (sum, x) in sums.iter_mut().zip(part) {
                    *x = math::exp(*x - bases[q]);
                    *sum += *x;
                }
            }
            // Their exponentials are too small for the sums, but not zero.
            scores[own..].fill(0.0);
            for (to, sum) in softmax.sums[q].iter_mut().zip(sums) {
                *to = *to * scales[q] + factors[q] * sum;
            }
        }
        factors
    }
}

fn put(level: Level, out: &Writer<'_>, row: usize, from: usize, attended: &[f32]) {
    let (blocks, _) = attended.as_chunks::<BLOCK>();
    for (block, values) in blocks.iter().enumerate() {
        #[expect(unsafe_code, reason = "threads write different heads and rows")]
        // SAFETY: this head of this row belongs to this unit, and heads are whole numbers of blocks.
        unsafe {
            out.put(level, row, from / BLOCK + block, values);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::Storage;
    use crate::memory::Memory;
    use crate::rows::Activations;
    use crate::testing::{close, machines, paint, read, reference};

    /// A cache with painted keys and values at all of its positions.
    fn cache(storage: Storage, heads: usize, d: usize, positions: usize) -> Cache {
        let mut cache = Cache::new(storage, heads, d);
        cache.reserve(&mut Memory::default(), positions);
        for position in 0..positions {
            for head in 0..heads {
                let key = paint(d, position * 5 + head);
                let value = paint(d, position * 3 + head + 100);
                put(&mut cache, head, position, &key, &value);
            }
        }
        cache
    }

    fn put(cache: &mut Cache, head: usize, position: usize, key: &[f32], value: &[f32]) {
        let ((keys, _), (values, _)) = (key.as_chunks::<BLOCK>(), value.as_chunks::<BLOCK>());
        for (i, (key, value)) in keys.iter().zip(values).enumerate() {
            #[expect(unsafe_code, reason = "the test has the cache for itself")]
            // SAFETY: no other thread has it.
            unsafe {
                cache.writer().put_key(Level::REFERENCE, head, position, i * BLOCK, key);
                cache.writer().put_value(Level::REFERENCE, head, position, i * BLOCK, value);
            }
        }
    }

    fn attend(
        machine: &Machine,
        cache: &Cache,
        heads: usize,
        at: usize,
        rows: usize,
        causal: bool,
    ) -> Vec<f32> {
        let width = heads * cache.head();
        let queries: Vec<f32> = paint(rows * width, 7).iter().map(|x| 3.0 * x).collect();
        let mut out = Rows::new(Activations::F32, rows, width);
        attention(machine, &queries, cache, at, rows, causal, &mut out);
        read(&out, rows)
    }

    #[test]
    fn every_level_attends_alike() {
        for (heads, kv_heads, d) in [(9, 3, 64), (2, 2, 32), (4, 1, 128), (24, 1, 32)] {
            for (storage, off) in [(Storage::F32, 1e-5), (Storage::Whole, 2e-3)] {
                let cache = cache(storage, kv_heads, d, 200);
                for (at, rows) in
                    [(0, 1), (0, 17), (1, 8), (15, 1), (16, 5), (63, 2), (64, 9), (65, 33), (130, 1)]
                {
                    for causal in [true, false] {
                        let want = attend(&reference(), &cache, heads, at, rows, causal);
                        for machine in machines() {
                            let got = attend(&machine, &cache, heads, at, rows, causal);
                            let what = format!("{} {heads}/{kv_heads} x {d}, {rows} at {at}", machine.level);
                            close(&got, &want, |_| off, &what);
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn one_position_is_its_value() {
        let cache = cache(Storage::F32, 3, 64, 1);
        for machine in machines() {
            let got = attend(&machine, &cache, 9, 0, 1, true);
            for (head, got) in got.chunks_exact(64).enumerate() {
                close(got, &paint(64, head / 3 + 100), |_| 1e-6, "a head");
            }
        }
    }

    /// What verification rests on: the same bits whatever stands behind a row or is computed beside it.
    #[test]
    fn a_causal_row_sees_nothing_behind_it_and_nothing_beside_it() {
        for (machine, storage) in
            machines().iter().flat_map(|machine| [(machine, Storage::F32), (machine, Storage::Whole)])
        {
            let (mut near, mut far) = (cache(storage, 1, 32, 40), cache(storage, 1, 32, 40));
            for (cache, x) in [(&mut near, 1.0), (&mut far, 900.0)] {
                for position in 30..40 {
                    put(cache, 0, position, &[x; 32], &[x; 32]);
                }
            }
            let (near, far) =
                (attend(machine, &near, 1, 20, 20, true), attend(machine, &far, 1, 20, 20, true));
            assert_eq!(near[..10 * 32], far[..10 * 32], "{}", machine.level);
            assert_ne!(near[10 * 32..], far[10 * 32..], "{}", machine.level);
            let cache = cache(storage, 1, 32, 200);
            let together = attend(machine, &cache, 2, 50, 30, true);
            let alone = attend(machine, &cache, 2, 50, 1, true);
            assert_eq!(together[..alone.len()], alone, "{}", machine.level);
        }
    }
}
