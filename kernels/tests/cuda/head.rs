//! Head, picks and embedding.

use std::sync::Arc;

use bytemuck::Zeroable;
use cinnabar_kernels::cuda::head::Head;
use cinnabar_kernels::cuda::pack::Format;
use cinnabar_kernels::cuda::resident::Weights;
use cinnabar_kernels::cuda::state::{Board, Round, Span, State};
use cinnabar_kernels::cuda::step::{self, Stage, Step};
use cinnabar_kernels::cuda::{Buffer, Gpu, Half, INPUT_SCALE, Mapped};

use crate::support::{Noise, packed, worth};

const EPS: f32 = 1e-5;

pub(crate) fn check(gpu: &Arc<Gpu>, quick: bool) {
    // The last three are too wide for shared memory, with slices that do not divide them; one fills several turns.
    let shapes = [
        (49_152, 576, 32),
        (49_152, 576, 1),
        (1000, 96, 64),
        (151_936, 896, 16),
        (5003, 3584, 16),
        (1000, 3616, 32),
        (1000, 3616, 64),
        (20_011, 3616, 32),
    ];
    for (vocab, hidden, rows) in shapes {
        if !quick || vocab == 1000 {
            head(gpu, Format::Half, vocab, hidden, rows);
            head(gpu, Format::Fp8, vocab, hidden, rows);
        }
    }
}

fn head(gpu: &Arc<Gpu>, format: Format, vocab: usize, hidden: usize, rows: usize) {
    let mut noise = Noise(vocab as u64);
    let (from, bucket) = (3, 64);
    let x = noise.values(bucket * hidden, 2.0);
    let w = noise.values(vocab * hidden, 2.0 / (hidden as f32).sqrt());
    let gain: Vec<f32> = (0..hidden).map(|_| 1.0 + noise.next() / 2.0).collect();
    let (w_packed, w_wide) = packed(format, &w, hidden, |i| i);
    let w_gpu = Weights::new(gpu, &w_packed).unwrap();

    // Logits in f64 of the rows that the head takes.
    let x_wide = worth(&x);
    let count = rows.next_power_of_two().max(8);
    let rows = rows.min(bucket - from);
    let mut expected = Vec::new();
    for x in x_wide.chunks_exact(hidden).skip(from).take(rows) {
        let squares: f64 = x.iter().map(|v| v * v).sum();
        let scale = 1.0 / (squares / hidden as f64 + f64::from(EPS)).sqrt();
        let normed: Vec<f64> = x.iter().zip(&gain).map(|(x, g)| x * scale * f64::from(*g)).collect();
        let row: Vec<f64> = w_wide
            .chunks_exact(hidden)
            .map(|w| normed.iter().zip(w).map(|(a, b)| a * b).sum::<f64>())
            .collect();
        expected.push(row);
    }
    // The best token of the first row is banned: it must be left out of every row's pick and probability.
    let argmax = |row: &[f64], banned: usize| {
        let better = |best: usize, i: usize| if i != banned && row[i] > row[best] { i } else { best };
        (0..row.len()).fold(usize::from(banned == 0), better)
    };
    let banned = argmax(&expected[0], usize::MAX);

    let state = State {
        rows: bucket as u32,
        head_from: from as u32,
        head_rows: rows as u32,
        banned: banned as u32,
        ticket: 7,
        ..State::zeroed()
    };
    let best = Buffer::zeros(gpu, Head::best_len(gpu)).unwrap();
    let logits = Buffer::from_slice(gpu, &vec![f32::NAN; 64 * vocab]).unwrap();
    let (round, span): (Buffer<Round>, Buffer<Span>) =
        (Buffer::zeros(gpu, 1).unwrap(), Buffer::zeros(gpu, 1).unwrap());
    let (board, feed_round): (Mapped<Board>, Mapped<Round>) =
        (Mapped::zeros(gpu).unwrap(), Mapped::zeros(gpu).unwrap());
    let feed_history = Mapped::zeros(gpu).unwrap();
    let mut feed: Mapped<State> = Mapped::zeros(gpu).unwrap();
    feed.write(state, |feed| feed);
    let classes = Buffer::zeros(gpu, vocab).unwrap();
    let state = Buffer::zeros(gpu, 1).unwrap();
    let between = Step {
        state: &state,
        round: &round,
        span: &span,
        board: &board,
        feed: &feed,
        feed_round: &feed_round,
        feed_history: &feed_history,
        best: &best,
        classes: &classes,
    };
    let (x_gpu, gain_gpu) = (Buffer::from_slice(gpu, &x).unwrap(), Buffer::from_slice(gpu, &gain).unwrap());
    between.launch(gpu, Stage::Feed(0)).unwrap();
    let head = Head { w: &w_gpu, gain: &gain_gpu, eps: EPS, best: &best, logits: Some(&logits) };
    head.launch(gpu, bucket, count, &x_gpu, &state).unwrap();
    between.launch(gpu, Stage::Pick).unwrap();
    gpu.synchronize().unwrap();
    assert_eq!(board.read(|b| &b.ticket), 7, "the pass was not published");

    let got = logits.read(0, count * vocab).unwrap();
    assert!(got.iter().all(|x| x.is_finite()), "a logit was not written");
    let (mut worst, mut worst_probability) = (0.0f64, 0.0f64);
    for (row, expected) in expected.iter().enumerate() {
        let off = got[row * vocab..].iter().zip(expected).map(|(g, e)| (f64::from(*g) - e).abs());
        worst = worst.max(off.fold(0.0, f64::max));
        let pick = board.read(|b| &b.picks[row]);
        let (token, best) = (pick.token as usize, argmax(expected, banned));
        assert!(
            token != banned && expected[token] > expected[best] - 0.005,
            "row {row}: {token} instead of {best}"
        );
        let mass: f64 =
            (0..vocab).filter(|&i| i != banned).map(|i| (expected[i] - expected[token]).exp()).sum();
        worst_probability = worst_probability.max((f64::from(pick.probability) * mass - 1.0).abs());
    }
    println!(
        "  head {vocab}x{hidden}, {rows} rows, {format}: logits within {worst:.1e}, probabilities {worst_probability:.1e}"
    );
    assert!(worst < 0.005 && worst_probability < 0.003);

    // Eight rows alone have the same logits, bit for bit.
    let alone = Buffer::from_slice(gpu, &vec![f32::NAN; 64 * vocab]).unwrap();
    Head { logits: Some(&alone), ..head }.launch(gpu, bucket, 8, &x_gpu, &state).unwrap();
    gpu.synchronize().unwrap();
    let alone = alone.read(0, 8 * vocab).unwrap();
    assert!(
        alone.iter().zip(&got).all(|(a, b)| a.to_bits() == b.to_bits()),
        "sums depend on the number of rows"
    );

    if format == Format::Fp8 {
        return;
    }
    // The embedding gathers rows of the same packed matrix.
    let (stream, copy) = (
        Buffer::from_slice(gpu, &vec![f32::NAN; 8 * hidden]).unwrap(),
        crate::support::poison(gpu, 8 * hidden),
    );
    let ids = [0, 1, 7, 8, 15, 16, vocab as u32 / 2, vocab as u32 - 1];
    let mut rows = State { rows: 8, ..State::zeroed() };
    rows.ids[..8].copy_from_slice(&ids);
    let rows = Buffer::from_slice(gpu, &[rows]).unwrap();
    step::embed(gpu, 8, &w_gpu, &stream, &copy, &rows).unwrap();
    let (stream, copy) = (stream.read(0, 8 * hidden).unwrap(), copy.read(0, 8 * hidden).unwrap());
    for (row, &id) in ids.iter().enumerate() {
        let expected = &w[id as usize * hidden..][..hidden];
        let kept: Vec<Half> = expected.iter().map(|x| Half::from_f32(x.to_f32() * INPUT_SCALE)).collect();
        assert_eq!(copy[row * hidden..][..hidden], kept[..], "embedding of {id}");
        assert!(stream[row * hidden..][..hidden].iter().zip(expected).all(|(x, e)| *x == e.to_f32()));
    }
}
