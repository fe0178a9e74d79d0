//! The GPU engine with the shipped model: golden logits and texts, rounds on the device, keystrokes, and a soak.
//!
//! Without a usable GPU one line says so. `--soak SECONDS` makes the soak longer than its moment.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "the errors and times found are the test's report")]

mod golden;
mod keystrokes;
mod memory;
mod soak;
#[path = "../support.rs"]
mod support;

use std::time::{Duration, Instant};

use cinnabar_engine::cuda::{CudaModel, CudaOptions};
use cinnabar_engine::gguf::Gguf;
use cinnabar_engine::{Device, EngineError, Local};

fn main() {
    let clock = Instant::now();
    let gguf = Gguf::open(&support::shipped()).unwrap();
    let model = |clusters| {
        CudaModel::new(support::config(), &gguf, &CudaOptions { clusters, ..CudaOptions::default() })
    };
    let mut first = match model(true) {
        Ok(model) => model,
        Err(reason @ EngineError::Device { .. }) => {
            return println!("skipped: CUDA engine tests ({})", reason.to_string().replace("\n ", ";"));
        }
        Err(error) => panic!("{error}"),
    };
    println!("loaded in {:.0} ms", clock.elapsed().as_secs_f64() * 1e3);
    golden::logits(&mut first);
    golden::logits(&mut model(false).unwrap());
    memory::refused(|| model(true));
    let mut infill = Local::new(Box::new(first), support::tokenizer());
    golden::texts(&mut infill);
    golden::reference(&mut infill, Device::Cpu);
    keystrokes::measure(&mut infill);
    let args: Vec<String> = std::env::args().collect();
    let seconds = args.iter().position(|a| a == "--soak").and_then(|i| args.get(i + 1)?.parse().ok());
    soak::run(&mut infill, Duration::from_secs(seconds.unwrap_or(5)));
    println!("all passed");
}
