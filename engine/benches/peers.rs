//! The shipped model against its peers on the same threads, in one run whose rounds take turns:
//! `cargo bench -p cinnabar-engine --bench peers -- [--threads N] [--level NAME] [--rounds N] [--llama-bench PATH]`.
//!
//! Candle's f32 forward is the engine's reference. Its quantised forward is counted as the products of all matrices in Q8_0
//! alone, without norms and attention: less than it would take. llama.cpp runs its own bench tool on the same file.
//!
//! Completions are of the sample files, each with a cold stream and in the default mode: those of 32 tokens count. llama.cpp's
//! tool reads as many tokens as the stream has and generates 32.
//! Ratios are of medians; the lowest times stand beside them, which a busy machine disturbs least.
#![expect(clippy::print_stdout, reason = "a bench prints its table")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use candle_core::quantized::{GgmlDType, QMatMul, QTensor};
use candle_core::{DType, Device as CandleDevice, Module, Tensor};
use cinnabar_engine::model::{Attention, Head, Model};
use cinnabar_engine::sampler::Sampler;
use cinnabar_engine::{
    Control, Device, DocumentId, Infill, LoadOptions, Prompt, Request, Sampling, load, load_model,
};

/// What is timed: rows after a stream, and how often one after another.
struct Work {
    name: &'static str,
    stream: usize,
    rows: usize,
    tokens: usize,
    /// Arguments of llama-bench for the same, if it has the same.
    llama: Option<&'static [&'static str]>,
}

const WORKS: [Work; 5] = [
    Work {
        name: "prefill of 512 tokens",
        stream: 0,
        rows: 128,
        tokens: 512,
        llama: Some(&["-p", "512", "-n", "0"]),
    },
    Work {
        name: "prefill of 32 tokens",
        stream: 0,
        rows: 32,
        tokens: 32,
        llama: Some(&["-p", "32", "-n", "0"]),
    },
    Work { name: "32 greedy tokens", stream: 0, rows: 1, tokens: 32, llama: Some(&["-p", "0", "-n", "32"]) },
    Work {
        name: "32 greedy tokens after 512",
        stream: 512,
        rows: 1,
        tokens: 32,
        llama: Some(&["-p", "0", "-n", "32", "-d", "512"]),
    },
    Work { name: "step of 32 rows after 512", stream: 512, rows: 32, tokens: 32, llama: None },
];

fn main() {
    let options: Vec<String> = std::env::args().skip(1).collect();
    let value = |name: &str| {
        let at = options.iter().position(|o| o == name)?;
        options.get(at + 1).cloned()
    };
    let number = |name: &str| value(name).and_then(|n| n.parse::<usize>().ok());
    let threads = number("--threads").unwrap_or(2);
    let rounds = number("--rounds").unwrap_or(5);
    let file = "cinnabar-135m-q8_0-00001-of-00002.gguf";
    let model: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "model/cinnabar-135m", file].iter().collect();
    let options = |device, exact| {
        let (level, threads) = (value("--level"), Some(threads));
        LoadOptions { model: model.clone(), device, threads, level, exact, ..LoadOptions::default() }
    };
    let loaded = |device, exact| load_model(&options(device, exact)).expect("because the model is shipped");
    let mut ours = loaded(Device::Cpu, false);
    let mut exact = loaded(Device::Cpu, true);
    let mut reference = loaded(Device::Reference, false);
    let matrices = quantised(ours.as_ref()).expect("because the shapes are those of the model");
    println!("{} against its peers, {threads} threads, {rounds} rounds", ours.device());
    for work in &WORKS {
        let mut times: Vec<(&str, Vec<Duration>)> = vec![("cinnabar", vec![]), ("cinnabar, exact", vec![])];
        // Candle takes seconds for long work; the rows that a step has are what the two are compared on.
        let candle = work.name.starts_with("step");
        if candle {
            times.extend([("candle, f32", vec![]), ("candle, Q8_0 products alone", vec![])]);
        }
        let llama = value("--llama-bench").zip(work.llama);
        if llama.is_some() {
            times.push(("llama.cpp", vec![]));
        }
        let warmed = [&mut ours, &mut exact].into_iter().chain(candle.then_some(&mut reference));
        for model in warmed {
            run(model.as_mut(), work.stream, 128, 0);
            run(model.as_mut(), work.rows, work.rows, work.stream);
        }
        for _ in 0..rounds {
            for (name, times) in &mut times {
                times.push(match *name {
                    "cinnabar" => run(ours.as_mut(), work.tokens, work.rows, work.stream),
                    "cinnabar, exact" => run(exact.as_mut(), work.tokens, work.rows, work.stream),
                    "candle, f32" => run(reference.as_mut(), work.tokens, work.rows, work.stream),
                    "llama.cpp" => {
                        let (tool, arguments) = llama.as_ref().expect("because it was asked for");
                        llama_bench(tool, arguments, &model, threads)
                    }
                    _ => products(&matrices, work.rows),
                });
            }
        }
        println!("{}", work.name);
        let median = |times: &[Duration]| times[times.len() / 2].as_secs_f64() * 1e3;
        let own = {
            times.iter_mut().for_each(|(_, times)| times.sort_unstable());
            (median(&times[0].1), times[0].1[0].as_secs_f64() * 1e3)
        };
        for (name, times) in &times {
            let (median, lowest) = (median(times), times[0].as_secs_f64() * 1e3);
            println!(
                "  {name:<28} {median:>8.1} ms ({:>5.2} times as long), lowest {lowest:>8.1} ms ({:>5.2})",
                median / own.0,
                lowest / own.1
            );
        }
    }
    if let Some(tool) = value("--llama-bench") {
        let mut infill = load(&options(Device::Cpu, false)).expect("because the model is shipped");
        completions(infill.as_mut(), &tool, &model, threads, rounds);
    }
}

/// Tokens of a completion that counts.
const TOKENS: usize = 32;

/// Gaps of eight lines after every tenth line of the sample files.
fn prompts() -> Vec<Prompt> {
    let samples: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "tests", "data", "samples"].iter().collect();
    let mut prompts = Vec::new();
    for name in ["debounce.ts", "lru_cache.py", "ring_buffer.rs", "worker_pool.go"] {
        let text = std::fs::read_to_string(samples.join(name)).expect("because the samples are shipped");
        let ends: Vec<usize> = text.match_indices('\n').map(|(at, _)| at).collect();
        for (from, to) in ends.iter().zip(ends.iter().skip(8)).step_by(10).skip(1) {
            let (prefix, suffix) = (text[..*from].into(), text[*to..].into());
            prompts.push(Prompt { snippets: Vec::new(), path: Some(name.into()), prefix, suffix });
        }
    }
    prompts
}

fn completions(infill: &mut dyn Infill, tool: &str, model: &Path, threads: usize, rounds: usize) {
    let mut documents = 0..;
    let mut complete = |prompt: &Prompt| {
        let document = DocumentId(documents.next().expect("because numbers do not end"));
        let request = Request { max_tokens: TOKENS, ..Request::new(document, prompt.clone()) };
        let clock = Instant::now();
        let completion =
            infill.infill(&request, &mut Control::unbounded()).expect("because nothing stops it");
        (clock.elapsed(), completion.counts)
    };
    let mut works: Vec<(Prompt, usize, Vec<Duration>, Vec<Duration>)> = prompts()
        .into_iter()
        .filter_map(|prompt| {
            let counts = complete(&prompt).1;
            (counts.tokens == TOKENS).then_some((prompt, counts.stream, vec![], vec![]))
        })
        .collect();
    for _ in 0..rounds {
        for (prompt, stream, ours, theirs) in &mut works {
            ours.push(complete(prompt).0);
            let pair = format!("{stream},{TOKENS}");
            theirs.push(llama_bench(tool, &["-p", "0", "-n", "0", "-pg", &pair], model, threads));
        }
    }
    println!("{} fill-in-the-middle completions of {TOKENS} tokens, cold", works.len());
    let median = |times: &mut [Duration]| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() * 1e3
    };
    let (mut sums, mut ratios) = ((0.0, 0.0), Vec::new());
    for (_, stream, ours, theirs) in &mut works {
        let (ours, theirs) = (median(ours), median(theirs));
        println!(
            "  stream of {stream:>4}: cinnabar {ours:>7.1} ms, llama.cpp {:>5.2} times as long",
            theirs / ours
        );
        sums = (sums.0 + ours, sums.1 + theirs);
        ratios.push(theirs / ours);
    }
    ratios.sort_by(f64::total_cmp);
    println!(
        "  in all: cinnabar {:.1} ms, llama.cpp {:.2} times as long, {:.2} at least",
        sums.0,
        sums.1 / sums.0,
        ratios.first().copied().unwrap_or(f64::NAN)
    );
}

/// Runs `tokens` tokens after `stream`, `rows` at a time; a single row or a step picks a token for each row.
fn run(model: &mut dyn Model, tokens: usize, rows: usize, stream: usize) -> Duration {
    let ids: Vec<u32> = (0..tokens as u32).map(|i| 1000 + i * 37 % 9000).collect();
    let sampler = Sampler { sampling: Sampling::default(), banned: model.config().special.mask };
    let clock = Instant::now();
    for (i, ids) in ids.chunks(rows.max(1)).enumerate() {
        let mut picks = Vec::new();
        let last = (i + 1) * rows >= tokens;
        let from = match (stream, rows) {
            (_, 1) => Some(0),
            (0, _) => last.then_some(ids.len() - 1),
            _ => Some(0),
        };
        let head = from.map_or(Head::None, |from| Head::Picks(from..ids.len(), &sampler, &mut picks));
        let attention = if rows > 1 && stream > 0 { Attention::Bidirectional } else { Attention::Causal };
        model.forward(0, stream + i * rows, ids, attention, head).expect("because the positions exist");
    }
    clock.elapsed()
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

fn products(matrices: &[(QMatMul, usize)], rows: usize) -> Duration {
    let clock = Instant::now();
    for (matrix, inputs) in matrices {
        let x = Tensor::ones((rows, *inputs), DType::F32, &CandleDevice::Cpu);
        let y = x.and_then(|x| matrix.forward(&x)).expect("because the shapes are those of the model");
        std::hint::black_box(y);
    }
    clock.elapsed()
}

/// One run of llama.cpp's bench tool: the time that it reports.
fn llama_bench(tool: &str, arguments: &[&str], model: &Path, threads: usize) -> Duration {
    let output = Command::new(tool)
        .args(["-r", "1", "-o", "json", "-m"])
        .arg(model)
        .args(["-t", &threads.to_string()])
        .args(arguments)
        .output()
        .expect("because the tool was named");
    let report: serde_json::Value =
        serde_json::from_slice(&output.stdout).expect("because the tool prints JSON");
    Duration::from_nanos(report[0]["avg_ns"].as_u64().expect("because the tool reports a time"))
}
