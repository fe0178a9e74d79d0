//! Attention.

use std::sync::Arc;

use cinnabar_kernels::cuda::attend::Attend;
use cinnabar_kernels::cuda::resident::Caches;
use cinnabar_kernels::cuda::{Buffer, Gpu, Half, INPUT_SCALE};

use crate::support::{Noise, distance, poison, report, state};

struct Case {
    heads: usize,
    kv_heads: usize,
    dim: usize,
    at: usize,
    rows: usize,
    causal: bool,
}

pub(crate) fn check(gpu: &Arc<Gpu>, quick: bool) {
    let mut cases = Vec::new();
    for (heads, kv_heads, dim) in [(9, 3, 64), (14, 2, 64), (28, 4, 128), (4, 4, 64)] {
        for (at, rows) in [
            (0, 1),
            (0, 8),
            (31, 1),
            (32, 5),
            (100, 16),
            (1000, 32),
            (511, 33),
            (40, 64),
            (0, 256),
            (70, 130),
            (0, 512),
        ] {
            for causal in [true, false] {
                if (!quick || heads == 9 && at <= 100 && rows < 140 && rows != 64)
                    && (rows < 512 || heads == 9)
                {
                    cases.push(Case { heads, kv_heads, dim, at, rows, causal });
                }
            }
        }
    }
    for case in &cases {
        let Case { heads, kv_heads, dim, at, rows, causal } = case;
        let expected = reference(case);
        let mut bits = Vec::new();
        for clusters in [true, false] {
            if clusters && !gpu.clusters() {
                continue;
            }
            let got = run(gpu, case, clusters);
            let way = if clusters { "cluster" } else { "two kernels" };
            report(
                &format!("attention {heads}/{kv_heads}x{dim} at {at}, {rows} rows, causal {causal}, {way}"),
                distance(&got, &expected),
            );
            bits.push(got);
        }
        assert!(bits.windows(2).all(|b| b[0] == b[1]), "the two ways of merging differ");
    }
    same_bits(gpu);
}

/// (slot 1, layer 1) of caches for `capacity` positions, and queries for `rows` rows, from one seed.
struct Inputs {
    queries: Vec<Half>,
    keys: Vec<Half>,
    values: Vec<Half>,
}

const CAPACITY: usize = 1088;

fn inputs(case: &Case, rows: usize) -> Inputs {
    let mut noise = Noise(case.dim as u64);
    let width = case.kv_heads * case.dim * CAPACITY;
    Inputs {
        keys: noise.values(width, 1.0),
        values: noise.values(width, 1.0),
        queries: noise.values(rows * case.heads * case.dim, 2.0),
    }
}

/// Rows with padding, as passes have them.
fn bucket(rows: usize) -> usize {
    if rows > 256 { rows.next_multiple_of(128) } else { rows.next_power_of_two().max(8) }
}

fn run(gpu: &Arc<Gpu>, case: &Case, clusters: bool) -> Vec<Half> {
    let &Case { heads, kv_heads, dim, at, rows, causal } = case;
    let bucket = bucket(rows);
    let inputs = inputs(case, bucket);
    let caches = Caches::new(gpu, 2, 2, kv_heads, dim, CAPACITY).unwrap();
    let (mut keys, mut values) = (inputs.keys.clone(), inputs.values.clone());
    for head in 0..kv_heads {
        for position in 0..CAPACITY {
            for d in 0..dim {
                keys[caches.key_index(head, position, d)] =
                    inputs.keys[(head * CAPACITY + position) * dim + d];
                values[caches.value_index(head, position, d)] =
                    inputs.values[(head * dim + d) * CAPACITY + position];
            }
        }
    }
    caches.write(1, 1, &keys, &values).unwrap();
    let queries = Buffer::from_slice(gpu, &inputs.queries).unwrap();
    let out = poison(gpu, bucket * heads * dim);
    let partial = Buffer::zeros(gpu, Attend::partial_len(bucket, heads, kv_heads, dim)).unwrap();
    let attend = Attend { queries: &queries, caches: &caches, layer: 1, out: &out, partial: &partial };
    attend.launch(gpu, bucket, heads, clusters, &state(gpu, at, rows, causal, 1)).unwrap();
    let out = out.read(0, bucket * heads * dim).unwrap();
    assert!(out.iter().all(|x| x.to_f32().is_finite()), "a row was not written");
    out[..rows * heads * dim].to_vec()
}

/// softmax(q kᵀ / sqrt(d)) v in f64, at the share of its value at which it is kept.
fn reference(case: &Case) -> Vec<f64> {
    let &Case { heads, kv_heads, dim, at, rows, causal } = case;
    let Inputs { queries, keys, values } = inputs(case, bucket(rows));
    let mut out = Vec::with_capacity(rows * heads * dim);
    for row in 0..rows {
        for head in 0..heads {
            let kv = head / (heads / kv_heads);
            let q = &queries[(row * heads + head) * dim..][..dim];
            let seen = if causal { at + row + 1 } else { at + rows };
            let scores: Vec<f64> = (0..seen)
                .map(|key| {
                    let k = &keys[(kv * CAPACITY + key) * dim..][..dim];
                    q.iter().zip(k).map(|(a, b)| a.to_f64() * b.to_f64()).sum::<f64>() / (dim as f64).sqrt()
                })
                .collect();
            let top = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            let weights: Vec<f64> = scores.iter().map(|s| (s - top).exp()).collect();
            let mass: f64 = weights.iter().sum();
            for d in 0..dim {
                let v = &values[(kv * dim + d) * CAPACITY..][..seen];
                out.push(
                    weights.iter().zip(v).map(|(w, v)| w * v.to_f64()).sum::<f64>() / mass
                        * f64::from(INPUT_SCALE),
                );
            }
        }
    }
    out
}

/// A causal row's result is the same bits whether it is run alone, as one of many, or in one go with the stream before it.
fn same_bits(gpu: &Arc<Gpu>) {
    let case = |at, rows| Case { heads: 9, kv_heads: 3, dim: 64, at, rows, causal: true };
    let width = 9 * 64;
    for at in [0, 63, 500] {
        let expected = run(gpu, &case(at, 1), gpu.clusters());
        for rows in [8, 16, 33, 64, 128, 256, 384, 512, 1024] {
            let got = run(gpu, &case(at, rows.min(CAPACITY - at)), gpu.clusters());
            assert!(got[..width] == expected[..], "{rows} rows at {at}: other bits than one row");
        }
    }
    println!("attention: the same bits in every pass");
}
