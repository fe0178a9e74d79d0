//! One step of the shipped model against candle on the same threads: `cargo bench -p cinnabar-engine --bench candle`.
//!
//! Candle's f32 forward is the engine's reference. Its quantised forward is counted as the products of all matrices in Q8_0
//! alone, without norms and attention: less than it would take. Rounds of all take turns; the ratio is of medians.
#![expect(clippy::print_stdout, reason = "a bench prints its table")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{Device as CandleDevice, Module, Tensor};
use cinnabar_engine::model::{Attention, Head, Model};
use cinnabar_engine::sampler::Sampler;
use cinnabar_engine::{Device, LoadOptions, Sampling, load_model};

const ROUNDS: usize = 9;
/// Tokens before the step.
const STREAM: usize = 128;

fn main() {
    let file = "cinnabar-135m-q8_0-00001-of-00002.gguf";
    let model: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "model", file].iter().collect();
    let load = |device, exact| {
        let options = LoadOptions { model: model.clone(), device, exact, ..LoadOptions::default() };
        load_model(&options).expect("because the model is shipped")
    };
    let mut models = [
        ("cinnabar", load(Device::Cpu, false)),
        ("cinnabar, exact", load(Device::Cpu, true)),
        ("candle, f32", load(Device::Reference, false)),
    ];
    let matrices = quantised(models[0].1.as_ref()).expect("because the shapes are those of the model");
    for (_, model) in &mut models {
        prefill(model.as_mut());
    }
    for rows in [1, 16, 32] {
        let mut times = vec![Vec::new(); models.len() + 1];
        for _ in 0..ROUNDS {
            for ((_, model), times) in models.iter_mut().zip(&mut times) {
                times.push(time(|| step(model.as_mut(), rows)));
            }
            times[models.len()].push(time(|| {
                for (matrix, inputs) in &matrices {
                    let x = Tensor::ones((rows, *inputs), candle_core::DType::F32, &CandleDevice::Cpu);
                    let y = x
                        .and_then(|x| matrix.forward(&x))
                        .expect("because the shapes are those of the model");
                    std::hint::black_box(y);
                }
            }));
        }
        let medians: Vec<Duration> = times
            .iter_mut()
            .map(|times| {
                times.sort_unstable();
                times[ROUNDS / 2]
            })
            .collect();
        let names = models.iter().map(|(name, _)| *name).chain(["candle, Q8_0 products alone"]);
        println!("step of {rows} rows after {STREAM} tokens, on {}", models[0].1.device());
        for (name, median) in names.zip(&medians) {
            let ratio = median.as_secs_f64() / medians[0].as_secs_f64();
            println!("  {name:<28} {:>8.1} ms  {ratio:>5.1} times as long", median.as_secs_f64() * 1e3);
        }
    }
}

fn prefill(model: &mut dyn Model) {
    let ids: Vec<u32> = (0..STREAM as u32).map(|i| 1000 + i * 37 % 9000).collect();
    for (i, ids) in ids.chunks(model.max_rows()).enumerate() {
        model
            .forward(0, i * model.max_rows(), ids, Attention::Causal, Head::None)
            .expect("because the positions exist");
    }
}

fn step(model: &mut dyn Model, rows: usize) {
    let mask = model.config().special.mask;
    let sampler = Sampler { sampling: Sampling::default(), banned: mask };
    let mut picks = Vec::new();
    let head = Head::Picks(0..rows, &sampler, &mut picks);
    model
        .forward(0, STREAM, &vec![mask; rows], Attention::Bidirectional, head)
        .expect("because the positions exist");
}

/// All matrices of the model with their inputs, as candle multiplies them from Q8_0.
fn quantised(model: &dyn Model) -> candle_core::Result<Vec<(QMatMul, usize)>> {
    let config = model.config();
    let (hidden, ffn) = (config.hidden, config.ffn);
    let mut shapes = vec![(config.vocab, hidden)];
    for _ in 0..config.layers {
        let (q, kv) = (config.q_width(), config.kv_width());
        shapes.extend([(q, hidden), (kv, hidden), (kv, hidden), (hidden, q)]);
        shapes.extend([(ffn, hidden), (ffn, hidden), (hidden, ffn)]);
    }
    shapes
        .into_iter()
        .map(|(outputs, inputs)| {
            let weights = Tensor::randn(0f32, 0.05, (outputs, inputs), &CandleDevice::Cpu)?;
            Ok((QMatMul::from_qtensor(QTensor::quantize(&weights, GgmlDType::Q8_0)?)?, inputs))
        })
        .collect()
}

fn time(run: impl FnOnce()) -> Duration {
    let clock = Instant::now();
    run();
    clock.elapsed()
}
