//! What the GPU must reproduce of the training code, within what 16-bit weights and activations explain.

use cinnabar_engine::cuda::CudaModel;
use cinnabar_engine::model::{Attention, Hardware, Head, Model};
use cinnabar_engine::{
    CancelToken, Completion, Control, Device, Infill, LoadOptions, Local, Mode, Request, load,
};
use safetensors::SafeTensors;

use crate::support::{goldens, model_file, options};

/// Largest difference of a stored logit: 16 bits keep 11 of precision, logits reach 30, and 30 layers add their rounding. Three
/// times what an H100 gives, as are those below.
const LOGIT_TOLERANCE: f32 = 0.18;
/// Root of the mean square of the differences.
const LOGIT_RMS: f64 = 0.02;
/// Another token may be first where the best two are closer than this.
const TIE: f32 = 0.05;

/// Logits of the last stream row, a masked and a half-revealed block.
pub(crate) fn logits(model: &mut CudaModel) {
    assert_eq!(model.hardware(), Hardware::Gpu);
    let bytes = std::fs::read(model_file("golden.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let mut found = Found::default();
    for (index, golden) in goldens().iter().enumerate() {
        let (rows, mut at, mut logits) = (model.max_rows(), 0, Vec::new());
        for chunk in golden.stream.chunks(rows) {
            let last = at + chunk.len() == golden.stream.len();
            let head = match last {
                true => Head::Logits(chunk.len() - 1..chunk.len(), &mut logits),
                false => Head::None,
            };
            model.forward(0, at, chunk, Attention::Causal, head).unwrap();
            at += chunk.len();
        }
        found.compare(&tensors, &format!("{index}.last"), &logits);
        let (before, at) = golden.before_block();
        if !before.is_empty() {
            model.forward(0, golden.stream.len(), before, Attention::Causal, Head::None).unwrap();
        }
        for (name, block) in [("masked", &golden.masked_block), ("half", &golden.half_block)] {
            let mut logits = Vec::new();
            let head = Head::Logits(0..block.len(), &mut logits);
            model.forward(0, at, block, Attention::Bidirectional, head).unwrap();
            found.compare(&tensors, &format!("{index}.{name}"), &logits);
        }
    }
    let rms = (found.squares / found.count as f64).sqrt();
    println!(
        "golden logits: {} rows, largest difference {:.3}, rms {rms:.4}, log-sum-exp {:.3}, other first token in {} \
         (largest gap {:.3})",
        found.rows, found.worst, found.worst_sum, found.swapped, found.worst_gap
    );
    assert!(found.worst < LOGIT_TOLERANCE && rms < LOGIT_RMS && found.worst_gap < TIE);
}

#[derive(Default)]
struct Found {
    rows: usize,
    count: usize,
    squares: f64,
    worst: f32,
    worst_sum: f32,
    swapped: usize,
    worst_gap: f32,
}

impl Found {
    /// Compares rows of logits with the stored top ids, values and log-sum-exp.
    fn compare(&mut self, tensors: &SafeTensors<'_>, name: &str, logits: &[f32]) {
        let words = |part: &str| -> Vec<[u8; 4]> {
            let tensor = tensors.tensor(&format!("{name}.{part}")).unwrap();
            tensor.data().chunks_exact(4).map(|b| b.try_into().unwrap()).collect()
        };
        let floats = |part: &str| words(part).into_iter().map(f32::from_le_bytes).collect::<Vec<_>>();
        let (values, sums) = (floats("top_values"), floats("logsumexp"));
        let top: Vec<usize> = words("top_ids").into_iter().map(|b| i32::from_le_bytes(b) as usize).collect();
        let (vocab, kept) = (logits.len() / sums.len(), values.len() / sums.len());
        for (row, logits) in logits.chunks_exact(vocab).enumerate() {
            let (ids, expected) = (&top[row * kept..][..kept], &values[row * kept..][..kept]);
            for (&id, &value) in ids.iter().zip(expected) {
                let off = logits[id] - value;
                assert!(off.is_finite(), "{name} row {row}: {} for {id}", logits[id]);
                self.worst = self.worst.max(off.abs());
                self.squares += f64::from(off * off);
                self.count += 1;
            }
            let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let first = logits.iter().position(|&x| x == max).unwrap();
            if first != ids[0] {
                self.swapped += 1;
                let other = ids
                    .iter()
                    .position(|&id| id == first)
                    .map_or(f32::INFINITY, |i| expected[0] - expected[i]);
                self.worst_gap = self.worst_gap.max(other);
            }
            let sum = max + logits.iter().map(|x| (x - max).exp()).sum::<f32>().ln();
            self.worst_sum = self.worst_sum.max((sum - sums[row]).abs());
            self.rows += 1;
        }
    }
}

/// Verified and auto equal causal, and rounds on the device equal the same rounds run pass by pass.
pub(crate) fn texts(infill: &mut Local) {
    let (mut causal_equal, mut parallel_equal) = (0, 0);
    let (mut copies, mut passes_of_auto, mut passes_of_verified) = (0, 0, 0);
    let goldens = goldens();
    assert!(goldens.iter().any(|golden| golden.stem == "\n"), "no line break that must not be counted");
    for golden in &goldens {
        let mut within = |mode, block, watched: bool, (max_tokens, max_lines): (usize, Option<usize>)| {
            let mut request = Request { max_tokens, max_lines, ..golden.request() };
            request.decoding.mode = mode;
            request.decoding.block = block;
            let watch = watched.then(|| Box::new(|_| ()) as cinnabar_engine::Watch);
            infill.infill(&request, &mut Control::new(CancelToken::default(), None, watch)).unwrap()
        };
        for limits in [(1, None), (2, None), (3, None), (64, Some(1)), (64, Some(2))] {
            let (device, passes) =
                (within(Mode::Verified, 16, false, limits), within(Mode::Verified, 16, true, limits));
            assert_eq!(answer(&device), answer(&passes), "{limits:?}");
        }
        let mut ask = |mode, block, watched| within(mode, block, watched, (64, None));
        let causal = ask(Mode::Causal, 16, false);
        for block in [8, 16, 32, 64] {
            let device = ask(Mode::Verified, block, false);
            let passes = ask(Mode::Verified, block, true);
            assert_eq!(device.text, causal.text, "verified, block {block}");
            assert_eq!(answer(&device), answer(&passes), "rounds on the device, block {block}");
            let auto = ask(Mode::Auto, block, false);
            assert_eq!(auto.text, causal.text, "auto, block {block}");
            copies += auto.counts.copies;
            passes_of_auto += auto.counts.forwards;
            passes_of_verified += device.counts.forwards;
        }
        let trimmed = |text: &str| text.trim_end_matches('\n').to_string();
        causal_equal += usize::from(trimmed(&causal.text) == trimmed(golden.mode("causal").1));
        let parallel = ask(Mode::Parallel, 32, false);
        parallel_equal +=
            usize::from(trimmed(&parallel.text) == trimmed(golden.mode("parallel_tau0.7_B32").1));
    }
    println!("copies {copies}: {passes_of_auto} passes instead of {passes_of_verified}");
    assert!(copies > 0 && passes_of_auto < passes_of_verified);
    println!(
        "golden texts of {}: causal {causal_equal} equal, parallel {parallel_equal} equal; verified equals causal in all",
        goldens.len()
    );
    assert!(causal_equal * 10 >= goldens.len() * 8);
}

/// What two ways of computing one completion must share.
fn answer(completion: &Completion) -> impl PartialEq + std::fmt::Debug + '_ {
    (&completion.text, completion.finish, completion.counts.tokens, completion.counts.forwards)
}

/// Causal texts of cut prompts, against the same engine on another device.
pub(crate) fn reference(infill: &mut Local, device: Device) {
    let mut other = load(&LoadOptions { exact: true, ..options(device) }).unwrap();
    let (mut equal, mut asked) = (0, 0);
    for golden in goldens() {
        for cut in [0, 40, 90] {
            let mut request = golden.request();
            let prefix = &mut request.prompt.prefix;
            let at = (0..=prefix.len() - cut.min(prefix.len()))
                .rev()
                .find(|&i| prefix.is_char_boundary(i))
                .unwrap();
            prefix.truncate(at);
            request.decoding.mode = Mode::Causal;
            request.max_tokens = 24;
            let ours = infill.infill(&request, &mut Control::unbounded()).unwrap();
            let theirs = other.infill(&request, &mut Control::unbounded()).unwrap();
            asked += 1;
            equal += usize::from(ours.text == theirs.text);
        }
    }
    println!("causal texts equal on {} and here: {equal} of {asked}", other.describe());
    assert!(equal * 100 >= asked * 95);
}
