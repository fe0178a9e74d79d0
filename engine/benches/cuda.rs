//! The GPU engine's steps: random weights of several geometries, and the shipped model if a path to it is given.
//!
//! `cargo bench -p cinnabar-engine --bench cuda [-- MODEL.gguf] [--large]`, or with `--heads` the heads of all geometries, with
//! `--prefill` their passes of many rows.
#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]
#![expect(clippy::print_stdout, reason = "the table is the bench's result")]

use std::path::PathBuf;
use std::time::Instant;

use cinnabar_engine::bench::Size;
use cinnabar_engine::config::Config;
use cinnabar_engine::cuda::{CudaModel, CudaOptions};
use cinnabar_engine::gguf::Gguf;
use cinnabar_engine::model::{Attention, Head, Model};
use cinnabar_engine::sampler::Sampler;
use cinnabar_engine::{EngineError, Sampling, WeightFormat};

/// Bytes a second that a copy on an H100 (HBM3) reads and writes, for the floor.
const BANDWIDTH: f64 = 3.02e12;

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    if args.iter().any(|a| a == "--heads") {
        return heads();
    }
    if args.iter().any(|a| a == "--prefill") {
        return prefills();
    }
    let options = CudaOptions::default();
    let path = args.iter().find(|a| a.ends_with(".gguf")).map(PathBuf::from);
    let small = match &path {
        Some(path) => {
            let gguf = Gguf::open(path).unwrap();
            CudaModel::new(Config::from_gguf(&gguf).unwrap(), &gguf, &options)
        }
        None => CudaModel::random(Size::Tiny.config(), Size::Tiny.is_tied(), &options),
    };
    match small {
        Ok(model) => measure(model),
        Err(reason @ EngineError::Device { .. }) => {
            return println!("skipped: CUDA bench ({})", reason.to_string().replace("\n ", ";"));
        }
        Err(error) => panic!("{error}"),
    }
    if args.iter().any(|a| a == "--large") {
        for size in [Size::Half, Size::OneAndAHalf, Size::Seven] {
            measure(CudaModel::random(size.config(), size.is_tied(), &options).unwrap());
        }
    }
}

fn measure(mut model: CudaModel) {
    let floor = model.weight_bytes() as f64 / BANDWIDTH * 1e3;
    println!(
        "{} on {}: {:.2} GB a pass, floor {floor:.3} ms",
        model.config().name,
        model.device(),
        model.weight_bytes() as f64 / 1e9
    );
    println!("| rows | stream | head rows | device ms | share of floor | wall ms p50 | p95 |");
    println!("|---|---|---|---|---|---|---|");
    for (at, rows) in [
        (1000, 1),
        (1000, 8),
        (256, 16),
        (1000, 16),
        (256, 32),
        (1000, 32),
        (4000, 32),
        (1000, 64),
        (4000, 64),
    ] {
        let mut device: Vec<f32> = (0..5).map(|_| model.time_passes(at, rows, rows, 50).unwrap()).collect();
        device.sort_by(f32::total_cmp);
        let device = device[2];
        let (p50, p95) = wall(&mut model, at, rows, rows, 100);
        println!(
            "| {rows} | {at} | {rows} | {device:.3} | {:.0} % | {p50:.3} | {p95:.3} |",
            floor / f64::from(device) * 100.0
        );
    }
    for rows in [8, 16, 32, 64, 256] {
        let kernels = model.time_kernels(1000, rows, Attention::Bidirectional).unwrap();
        let kernels: Vec<String> = kernels.iter().map(|(name, us)| format!("{name} {us:.2}")).collect();
        println!("µs a kernel, {rows} rows, stream 1000: {}", kernels.join(", "));
    }
    let body = model.time_passes(1000, 32, 0, 50).unwrap();
    println!("| 32 | 1000 | none | {body:.3} | | | |");
    for at in [0, 768] {
        let chunk = model.time_passes(at, 256, 1, 20).unwrap();
        println!("| 256 | {at} | 1 | {chunk:.3} | | | |");
    }
    cold_prefill(&mut model);
    println!();
}

/// The head alone, with its picks: models of one layer.
fn heads() {
    println!("µs of the head and its picks, rows 8, 16, 32, 64");
    for size in Size::ALL {
        for weights in [WeightFormat::Half, WeightFormat::Fp8] {
            let config = Config { layers: 1, ..size.config() };
            let bytes = config.vocab * config.hidden * if weights == WeightFormat::Fp8 { 1 } else { 2 };
            let options = CudaOptions { slots: Some(1), weights, ..CudaOptions::default() };
            let mut model = match CudaModel::random(config, size.is_tied(), &options) {
                Ok(model) => model,
                Err(reason) => return println!("skipped: CUDA bench ({reason})"),
            };
            let times = [8, 16, 32, 64].map(|rows| {
                let mut times = [(); 5].map(|()| model.time_head(1000, rows).unwrap());
                times.sort_by(f32::total_cmp);
                format!("{:.1}", times[2])
            });
            let floor = bytes as f64 / BANDWIDTH * 1e6;
            println!("{} {weights}: {}; floor {floor:.1}", size.name(), times.join(", "));
        }
    }
}

/// Causal passes of many rows without a stream before them, kernel by kernel, and a cold prefill.
fn prefills() {
    for size in Size::ALL {
        let options = CudaOptions { slots: Some(1), ..CudaOptions::default() };
        let mut model = match CudaModel::random(size.config(), size.is_tied(), &options) {
            Ok(model) => model,
            Err(reason) => return println!("skipped: CUDA bench ({reason})"),
        };
        for rows in [128, 256, 512, 768, 1024] {
            let kernels = model.time_kernels(0, rows, Attention::Causal).unwrap();
            let layer: f32 = kernels[..5].iter().map(|(_, us)| us).sum();
            let kernels: Vec<String> =
                kernels[..5].iter().map(|(name, us)| format!("{name} {us:.1}")).collect();
            println!("{}, µs of {rows} rows: {}; a layer {layer:.1}", size.name(), kernels.join(", "));
        }
        cold_prefill(&mut model);
    }
}

fn cold_prefill(model: &mut CudaModel) {
    let mut cold: Vec<f64> = (0..20).map(|_| prefill(model, 1024)).collect();
    cold.sort_by(f64::total_cmp);
    println!("1024-token cold prefill with the next token: wall ms p50 {:.3}, p95 {:.3}", cold[10], cold[19]);
}

/// Wall milliseconds of a pass with its picks, as the denoise loop asks for it: median and 95th percentile.
fn wall(model: &mut CudaModel, at: usize, rows: usize, picks: usize, times: usize) -> (f64, f64) {
    let ids = vec![model.config().special.mask; rows];
    let sampler = sampler(model);
    let mut times: Vec<f64> = (0..times)
        .map(|_| {
            let (clock, mut out) = (Instant::now(), Vec::with_capacity(picks));
            let head = Head::Picks(0..picks, &sampler, &mut out);
            model.forward(0, at, &ids, Attention::Bidirectional, head).unwrap();
            clock.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() * 95 / 100])
}

fn prefill(model: &mut CudaModel, tokens: usize) -> f64 {
    let sampler = sampler(model);
    let ids: Vec<u32> = (0..tokens as u32).map(|i| 100 + i * 37 % 40_000).collect();
    let (clock, mut picks) = (Instant::now(), Vec::new());
    let chunk = model.max_rows();
    for at in (0..tokens).step_by(chunk) {
        let ids = &ids[at..tokens.min(at + chunk)];
        let head = if at + ids.len() < tokens {
            Head::None
        } else {
            Head::Picks(ids.len() - 1..ids.len(), &sampler, &mut picks)
        };
        model.forward(0, at, ids, Attention::Causal, head).unwrap();
    }
    assert_eq!(picks.len(), 1);
    clock.elapsed().as_secs_f64() * 1e3
}

fn sampler(model: &CudaModel) -> Sampler {
    Sampler { sampling: Sampling::default(), banned: model.config().special.mask }
}
