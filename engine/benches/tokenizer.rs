//! Tokenising while one types: `cargo bench -p cinnabar-engine --bench tokenizer [-- FILE...]`.
//!
//! A key at the end of a prefix of 3 KB, and the 2 KB behind a cursor that goes down line by line: with the pieces that are
//! remembered and, in turns, as the tokenizers crate makes them of the whole text. Microseconds, medians (95th percentiles).
#![expect(clippy::unwrap_used, reason = "a bench fails by panicking")]
#![expect(clippy::print_stdout, reason = "a bench prints its table")]

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

use cinnabar_engine::tokenizer::Tokenizer;
use tokenizers::Tokenizer as Bpe;

/// Files of this repository that are typed without arguments.
const FILES: [&str; 4] = [
    "server/src/scheduler.rs",
    "engine/src/stream.rs",
    "editors/vscode/src/client.ts",
    "model/recipe/train.py",
];
/// Bytes before the first key.
const PREFIX: usize = 3000;
/// Characters that are typed.
const TYPED: usize = 600;
/// Bytes behind a cursor.
const SUFFIX: usize = 2000;

/// Times of what is remembered, and of whole texts.
#[derive(Default)]
struct Times([Vec<f64>; 2]);

fn main() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files: Vec<PathBuf> =
        std::env::args().skip(1).filter(|a| !a.starts_with("--")).map(PathBuf::from).collect();
    if files.is_empty() {
        files = FILES.iter().map(|file| root.join(file)).collect();
    }
    let path = root.join("model/cinnabar-135m/tokenizer.json");
    let open = || {
        let whole = Bpe::from_file(&path).unwrap();
        (Tokenizer::open(&path, whole.get_vocab_size(true)).unwrap(), whole)
    };
    let (mut keys, mut lines) = (Times::default(), Times::default());
    for file in files {
        let text = std::fs::read_to_string(file).unwrap();
        let text: Vec<char> = text.chars().collect();
        let part = |from: usize, to: usize| text[from..to.min(text.len())].iter().collect::<String>();
        let tokenizers = open();
        for end in PREFIX..=PREFIX + TYPED {
            keys.add(&tokenizers, &part(0, end));
        }
        let tokenizers = open();
        for at in (0..PREFIX).filter(|&at| text[at] == '\n') {
            lines.add(&tokenizers, &part(at, at + SUFFIX));
        }
    }
    println!("| µs | whole | with pieces |");
    println!("|---|---|---|");
    for (name, times) in [("a key later", keys), ("what follows, a line further down", lines)] {
        let [ours, whole] = times.0.map(|mut times| {
            times.sort_by(f64::total_cmp);
            format!("{:.0} ({:.0})", times[times.len() / 2], times[times.len() * 95 / 100])
        });
        println!("| {name} | {whole} | {ours} |");
    }
}

impl Times {
    fn add(&mut self, (ours, whole): &(Tokenizer, Bpe), text: &str) {
        let clock = Instant::now();
        black_box(ours.encode(text));
        self.0[0].push(clock.elapsed().as_secs_f64() * 1e6);
        let clock = Instant::now();
        black_box(whole.encode_fast(text, false).unwrap());
        self.0[1].push(clock.elapsed().as_secs_f64() * 1e6);
    }
}
