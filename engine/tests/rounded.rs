//! The product's model on a processor: rows rounded to bytes and weights to seven bits, against the exact one.

use cinnabar_engine::config::Config;
use cinnabar_engine::cpu::{CpuModel, CpuOptions};
use cinnabar_engine::gguf::Gguf;
use cinnabar_engine::model::{Attention, Head, Model};
use cinnabar_kernels::{Activations, Level};

use crate::support::{goldens, shipped};

fn model(activations: Activations, level: Option<Level>) -> CpuModel {
    let gguf = Gguf::open(&shipped()).unwrap();
    let level = level.map(|level| level.name().to_string());
    let options = CpuOptions { activations, level, threads: Some(2) };
    CpuModel::new(Config::from_gguf(&gguf).unwrap(), &gguf, &options).unwrap()
}

/// Logits of all `ids`, run `rows` at a time.
fn logits(model: &mut CpuModel, ids: &[u32], rows: usize) -> Vec<f32> {
    let mut logits = Vec::new();
    for (i, ids) in ids.chunks(rows).enumerate() {
        let head = Head::Logits(0..ids.len(), &mut logits);
        model.forward(0, i * rows, ids, Attention::Causal, head).unwrap();
    }
    logits
}

fn argmax(logits: &[f32]) -> usize {
    (0..logits.len()).max_by(|&a, &b| logits[a].total_cmp(&logits[b])).unwrap()
}

/// What `verified` rests on: a row's logits do not depend on the rows beside it.
#[test]
fn rows_are_alike_one_by_one_and_together() {
    let stream = goldens().pop().unwrap().stream;
    let stream = &stream[..24];
    for activations in [Activations::F32, Activations::Int8] {
        let mut model = model(activations, None);
        let together = logits(&mut model, stream, 24);
        for rows in [1, 7] {
            assert_eq!(logits(&mut model, stream, rows), together, "{activations:?}, {rows} rows at a time");
        }
    }
}

#[test]
fn every_level_gives_the_same_distributions() {
    let stream = goldens().pop().unwrap().stream;
    let stream = &stream[..6];
    for activations in [Activations::F32, Activations::Int8] {
        let vocab = model(activations, None).config().vocab;
        let want = logits(&mut model(activations, Some(Level::REFERENCE)), stream, 6);
        for level in Level::available() {
            let got = logits(&mut model(activations, Some(level)), stream, 6);
            // A sum that differs in its last bit may round a byte the other way.
            let tolerance = if activations == Activations::F32 { 1e-6 } else { 0.02 };
            for (got, want) in got.chunks_exact(vocab).zip(want.chunks_exact(vocab)) {
                let divergence = kl(want, got);
                assert!(divergence <= tolerance, "{activations:?} {level}: divergence {divergence}");
            }
        }
    }
}

#[test]
fn rounding_keeps_what_the_model_says() {
    let mut rounded = model(Activations::Int8, None);
    let mut exact = model(Activations::F32, None);
    let vocab = exact.config().vocab;
    let (mut rows, mut same, mut divergence) = (0, 0, 0.0);
    for golden in goldens().iter().filter(|golden| golden.stream.len() < 100) {
        let (got, want) =
            (logits(&mut rounded, &golden.stream, 128), logits(&mut exact, &golden.stream, 128));
        for (got, want) in got.chunks_exact(vocab).zip(want.chunks_exact(vocab)) {
            rows += 1;
            same += usize::from(argmax(got) == argmax(want));
            divergence += kl(want, got);
        }
    }
    assert!(rows > 100, "only {rows} rows were compared");
    let (share, divergence) = (same as f64 / rows as f64, divergence / rows as f64);
    println!("{rows} rows: {share:.3} have the same token, mean divergence {divergence:.4}");
    assert!(
        share >= 0.93 && divergence <= 0.01,
        "{share} of rows have the same token, divergence {divergence}"
    );
}

/// Kullback-Leibler divergence of `q` from `p`, both as logits.
fn kl(p: &[f32], q: &[f32]) -> f64 {
    let log_sum = |x: &[f32]| {
        let max = x.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        f64::from(max) + x.iter().map(|x| f64::from(x - max).exp()).sum::<f64>().ln()
    };
    let (p_sum, q_sum) = (log_sum(p), log_sum(q));
    p.iter()
        .zip(q)
        .map(|(&p, &q)| {
            let (p, q) = (f64::from(p) - p_sum, f64::from(q) - q_sum);
            p.exp() * (p - q)
        })
        .sum()
}
