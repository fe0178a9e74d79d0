//! Times that a user feels: keystrokes in a warm session, throughput of long completions, cancelling.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use cinnabar_engine::{CancelToken, Control, EngineError, Infill, Local, Mode};

use crate::support::goldens;

pub(crate) fn measure(infill: &mut Local) {
    for (what, tokens, lines) in [("rest of a line", 16, Some(1)), ("multi-line", 64, None)] {
        for mode in [Mode::Verified, Mode::Auto, Mode::Causal] {
            for block in if mode == Mode::Causal { vec![16] } else { vec![8, 16, 32] } {
                typed(infill, what, tokens, lines, mode, block);
            }
        }
    }
    cancelled(infill);
}

/// Types the end of each golden prefix character by character and asks after each.
fn typed(infill: &mut Local, what: &str, tokens: usize, lines: Option<usize>, mode: Mode, block: usize) {
    let (mut walls, mut produced, mut forwards, mut denoise, mut prefill) = (Vec::new(), 0, 0, 0.0, 0.0);
    for golden in goldens() {
        let mut request = golden.request();
        request.decoding.mode = mode;
        request.decoding.block = block;
        request.max_tokens = tokens;
        request.max_lines = lines;
        let prefix = request.prompt.prefix.clone();
        let cuts: Vec<usize> = (prefix.len().saturating_sub(16)..=prefix.len())
            .filter(|&i| prefix.is_char_boundary(i))
            .collect();
        for (i, &cut) in cuts.iter().enumerate() {
            request.prompt.prefix = prefix[..cut].to_string();
            let clock = Instant::now();
            let completion = infill.infill(&request, &mut Control::unbounded()).unwrap();
            // The first of a file brings its session up to date: not a keystroke.
            if i > 0 {
                walls.push((clock.elapsed().as_secs_f64() * 1e3, completion.counts, completion.timings));
                produced += completion.counts.tokens;
                forwards += completion.counts.forwards;
                denoise += completion.timings.denoise.as_secs_f64();
                prefill += completion.timings.prefill.as_secs_f64();
            }
        }
    }
    walls.sort_by(|a, b| a.0.total_cmp(&b.0));
    let n = walls.len();
    let (slow, counts, timings) = walls[n * 95 / 100];
    println!(
        "{what}, {mode:?} block {block}: wall ms p50 {:.2}, p95 {:.2}; {:.1} tokens and {:.1} passes each, prefill {:.2} ms, \
         {:.0} tokens/s while denoising",
        walls[n / 2].0,
        slow,
        produced as f64 / n as f64,
        forwards as f64 / n as f64,
        prefill / n as f64 * 1e3,
        produced as f64 / denoise
    );
    println!(
        "  the one at p95: tokenised in {:.2} ms, {} rows prefilled in {:.2} ms, {} tokens in {} passes, {:.2} ms; the slowest {:.2} ms",
        timings.tokenize.as_secs_f64() * 1e3,
        counts.stream - counts.reused,
        timings.prefill.as_secs_f64() * 1e3,
        counts.tokens,
        counts.forwards,
        timings.denoise.as_secs_f64() * 1e3,
        walls[n - 1].0
    );
}

/// From the moment of cancelling until the engine is free.
fn cancelled(infill: &mut Local) {
    let mut waits = Vec::new();
    let goldens = goldens();
    for i in 0..200 {
        let mut request = goldens[i % goldens.len()].request();
        request.max_tokens = 512;
        request.decoding.mode = if i % 2 == 0 { Mode::Verified } else { Mode::Causal };
        let cancel = CancelToken::default();
        let (sender, receiver) = mpsc::channel();
        let token = cancel.clone();
        let after = Duration::from_micros(500 + 37 * i as u64);
        let thread = std::thread::spawn(move || {
            let clock = Instant::now();
            while clock.elapsed() < after {
                std::hint::spin_loop();
            }
            token.cancel();
            sender.send(Instant::now()).unwrap();
        });
        let result = infill.infill(&request, &mut Control::new(cancel, None, None));
        let free = Instant::now();
        thread.join().unwrap();
        if matches!(result, Err(EngineError::Cancelled)) {
            let wait = free.saturating_duration_since(receiver.recv().unwrap()).as_secs_f64() * 1e3;
            waits.push((wait, after.as_secs_f64() * 1e3));
        }
    }
    waits.sort_by(|a, b| a.0.total_cmp(&b.0));
    if let (Some(&(last, at)), n) = (waits.last(), waits.len()) {
        let (p95, p95_at) = waits[n * 95 / 100];
        println!(
            "cancelled {n} requests: engine free after ms p50 {:.2}, p95 {p95:.2} (cancelled {p95_at:.1} ms after the start), \
             most {last:.2} ({at:.1} ms)",
            waits[n / 2].0
        );
    }
}
