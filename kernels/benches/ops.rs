//! Every operation at the default model's shapes, on every level, as a share of what the processor can do at most:
//! `cargo bench -p cinnabar-kernels --bench ops -- [--threads N] [--level NAME]`.
//!
//! The ceilings are loops of the level's multiply instruction on registers, without a load: floats for products of floats,
//! bytes for products of bytes. Times are the lowest of many short runs, which a busy machine disturbs least.
#![expect(clippy::print_stdout, reason = "a bench prints its table")]

use std::time::{Duration, Instant};

use cinnabar_kernels::attention::attention;
use cinnabar_kernels::head::best;
use cinnabar_kernels::linear::{self, Projected};
use cinnabar_kernels::rms_norm::rms_norm;
use cinnabar_kernels::rope::Rope;
use cinnabar_kernels::{
    Activations, Cache, Format, Level, Machine, Matrix, Memory, Pool, Rows, Storage, ceiling, pool,
};

const HIDDEN: usize = 576;
const FFN: usize = 1536;
const VOCABULARY: usize = 49152;
const HEADS: usize = 9;
const KV_HEADS: usize = 3;
const HEAD: usize = 64;

fn main() {
    let options: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| options.iter().position(|o| o == name).and_then(|at| options.get(at + 1));
    let threads = value("--threads").and_then(|n| n.parse().ok()).unwrap_or_else(pool::physical_cores);
    let levels = match value("--level") {
        Some(name) => vec![Level::named(name).expect("because the level was asked for")],
        None => Level::available(),
    };
    for level in levels {
        let machine = Machine { level, pool: Pool::new(threads) };
        let floats = ceiling::floats(&machine) / 1e9;
        let bytes = ceiling::bytes(&machine) / 1e9;
        println!("{level}, {threads} threads: ceilings {floats:.0} GFLOP/s (f32), {bytes:.0} GOP/s (bytes)");
        for (format, ceiling) in [(Format::Exact, floats), (Format::Seven, bytes)] {
            if level != Level::REFERENCE {
                table(&machine, format, ceiling);
            }
        }
    }
}

fn table(machine: &Machine, format: Format, ceiling: f64) {
    let activations = format.activations();
    let weights = |outputs, inputs| matrix(machine, format, outputs, inputs);
    let qkv = weights((HEADS + 2 * KV_HEADS) * HEAD, HIDDEN);
    let output = weights(HIDDEN, HEADS * HEAD);
    let gate_up = weights(2 * FFN, HIDDEN);
    let down = weights(HIDDEN, FFN);
    let vocabulary = weights(VOCABULARY, HIDDEN);
    let rope = Rope::new(2048, HEAD, 1e5);
    let storage = if activations == Activations::F32 { Storage::F32 } else { Storage::Whole };
    println!("  {format:?}: microseconds, and share of the ceiling");
    println!(
        "  {:>5} {:>14} {:>14} {:>14} {:>14} {:>16} {:>18} {:>8}",
        "rows", "qkv", "output", "gate, up", "down", "head", "attention of 512", "norm"
    );
    for rows in [1, 4, 8, 16, 32, 64, 128] {
        let mut x = vec![0.0; rows * HIDDEN];
        x.iter_mut().enumerate().for_each(|(i, x)| *x = (i as f32 * 0.37).sin());
        let gains = vec![1.0; HIDDEN];
        let mut normed = Rows::new(activations, rows, HIDDEN);
        let mut gated = Rows::new(activations, rows, FFN);
        let mut attended = Rows::new(activations, rows, HEADS * HEAD);
        let mut queries = vec![0.0; rows * HEADS * HEAD];
        let mut cache = Cache::new(storage, KV_HEADS, HEAD);
        cache.reserve(&mut Memory::default(), 512 + rows);
        let norm = time(|| rms_norm(machine, &x, &gains, 1e-5, &mut normed));
        let products = [
            time(|| {
                let out = Projected { queries: &mut queries, cache: &mut cache, at: 512 };
                linear::queries_keys_values(machine, &qkv, &normed, rows, &rope, out);
            }),
            time(|| linear::add(machine, &output, &attended, &mut x)),
            time(|| linear::gated(machine, &gate_up, &normed, rows, &mut gated)),
            time(|| linear::add(machine, &down, &gated, &mut x)),
            time(|| best(machine, &vocabulary, &normed, rows, Some(16), &mut Vec::new())),
        ];
        let attend = time(|| attention(machine, &queries, &cache, 512, rows, false, &mut attended));
        print!("  {rows:>5}");
        for (time, weights) in products.iter().zip([&qkv, &output, &gate_up, &down, &vocabulary]) {
            let done = 2.0 * (rows * weights.outputs() * weights.inputs()) as f64 / time.as_secs_f64() / 1e9;
            print!(" {:>8.1} {:>4.0}%", micros(*time), 100.0 * done / ceiling);
        }
        println!(" {:>18.1} {:>8.1}", micros(attend), micros(norm));
    }
}

fn matrix(machine: &Machine, format: Format, outputs: usize, inputs: usize) -> Matrix {
    let row: Vec<u8> = (0..inputs / 32 * 34)
        .map(|i| if i % 34 < 2 { [0, 0x20][i % 34] } else { (i * 37 % 251) as u8 })
        .collect();
    Matrix::pack(&machine.pool, &mut Memory::default(), format, inputs, &vec![row.as_slice(); outputs])
}

/// The lowest time of a run, of as many as fit into a tenth of a second and ten at least.
fn time<R>(mut run: impl FnMut() -> R) -> Duration {
    let clock = Instant::now();
    let mut lowest = Duration::MAX;
    let mut runs = 0;
    while runs < 10 || clock.elapsed() < Duration::from_millis(100) {
        let clock = Instant::now();
        std::hint::black_box(run());
        lowest = lowest.min(clock.elapsed());
        runs += 1;
    }
    lowest
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
