//! What an engine must reproduce of the training code: streams, logits and texts (`model/README.md`, Golden files).

use cinnabar_engine::model::{Attention, Head, Model};
use cinnabar_engine::{Completion, Control, Device, Mode, load, load_model, stream};
use safetensors::SafeTensors;

use crate::support::{Golden, config, goldens, model_file, options, tokenizer};

/// Difference of f32 logits that another order of summation may make.
const LOGIT_TOLERANCE: f32 = 2e-2;
/// Two logits closer than this may change places.
const TIE: f32 = 1e-3;

#[test]
fn streams_are_bit_identical() {
    let (tokenizer, config) = (tokenizer(), config());
    for golden in goldens() {
        let stream::Stream { ids, stem, .. } = stream::build(&golden.prompt, &tokenizer, &config);
        assert_eq!(stem, golden.stem);
        // The golden streams cut a long prefix at 640 tokens exactly; ours starts at a coarser jump.
        let at = |stream: &[u32]| stream.iter().position(|&id| id == config.special.prefix).unwrap() + 1;
        let (head, start) = golden.stream.split_at(at(&golden.stream));
        let (our_head, our_start) = ids.split_at(at(&ids));
        assert_eq!(our_head, head);
        assert!(start.ends_with(our_start), "{:?}", golden.prompt.path);
        assert!(start.len() - our_start.len() < 128);
    }
}

#[test]
fn logits_match() {
    let bytes = std::fs::read(model_file("golden.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    // The reference is slow: it shows with the short prompts that it is the model that was trained.
    for (device, longest) in [(Device::Cpu, usize::MAX), (Device::Reference, 550)] {
        let mut model = load_model(&options(device)).unwrap();
        let goldens = goldens();
        let chosen = goldens.iter().enumerate().filter(|(_, golden)| golden.stream.len() <= longest);
        for (index, golden) in chosen {
            let last = prefill(model.as_mut(), golden);
            compare(&tensors, &format!("{index}.last"), &last, LOGIT_TOLERANCE);
            let (before, at) = golden.before_block();
            if !before.is_empty() {
                model.forward(0, golden.stream.len(), before, Attention::Causal, Head::None).unwrap();
            }
            for (name, block) in [("masked", &golden.masked_block), ("half", &golden.half_block)] {
                let mut logits = Vec::new();
                let head = Head::Logits(0..block.len(), &mut logits);
                model.forward(0, at, block, Attention::Bidirectional, head).unwrap();
                compare(&tensors, &format!("{index}.{name}"), &logits, LOGIT_TOLERANCE);
            }
        }
    }
}

/// Texts and forward passes of all three modes, on the prompts that our stream lays out without a coarser cut.
#[test]
fn texts_match() {
    let (tokenizer, config) = (tokenizer(), config());
    let goldens: Vec<Golden> = goldens()
        .into_iter()
        .filter(|golden| stream::build(&golden.prompt, &tokenizer, &config).ids == golden.stream)
        .collect();
    assert!(goldens.len() >= 6, "only {} golden streams are laid out whole", goldens.len());
    let mut infill = load(&options(Device::Cpu)).unwrap();
    let (mut copies, mut passes, mut causal_passes) = (0, 0, 0);
    for golden in &goldens {
        let mut ask = |mode, block| {
            let mut request = golden.request();
            request.decoding.mode = mode;
            request.decoding.block = block;
            infill.infill(&request, &mut Control::unbounded()).unwrap()
        };
        let causal = ask(Mode::Causal, 16);
        let verified = ask(Mode::Verified, 16);
        assert_eq!(causal.text, verified.text);
        let auto = ask(Mode::Auto, 32);
        assert_eq!(causal.text, auto.text);
        copies += auto.counts.copies;
        passes += auto.counts.forwards;
        causal_passes += causal.counts.forwards;
        check(golden, "causal", &causal);
        check(golden, "verified_B16", &verified);
        check(golden, "parallel_tau0.7_B32", &ask(Mode::Parallel, 32));
    }
    // Code repeats itself: `auto` copies, and needs fewer passes than one for each token.
    assert!(
        copies > 0 && passes < causal_passes,
        "{copies} copies, {passes} passes instead of {causal_passes}"
    );
}

/// Tokens at which the golden outputs are cut.
const LIMIT: usize = 64;

/// The golden outputs count the pass over the stream's last row; ours belongs to the prefill.
fn check(golden: &Golden, mode: &str, got: &Completion) {
    let (ids, text, forwards) = golden.mode(mode);
    assert_eq!(
        got.text.strip_suffix('\n').unwrap_or(&got.text),
        text.strip_suffix('\n').unwrap_or(text),
        "{mode}"
    );
    // The last block of a text that is cut at the limit may have fewer rows here.
    let cut = ids.len() == LIMIT && mode != "causal";
    assert!(cut || got.counts.forwards + 1 == forwards, "{mode} took {ids:?}");
}

/// Fills slot 0 with a golden stream; the logits of its last row.
fn prefill(model: &mut dyn Model, golden: &Golden) -> Vec<f32> {
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
    logits
}

/// Compares rows of logits with the stored top ids, values and log-sum-exp.
fn compare(tensors: &SafeTensors<'_>, name: &str, logits: &[f32], tolerance: f32) {
    let words = |part: &str| -> Vec<[u8; 4]> {
        let tensor = tensors.tensor(&format!("{name}.{part}")).unwrap();
        tensor.data().chunks_exact(4).map(|b| b.try_into().unwrap()).collect()
    };
    let floats = |part: &str| words(part).into_iter().map(f32::from_le_bytes).collect::<Vec<_>>();
    let (values, sums) = (floats("top_values"), floats("logsumexp"));
    let top: Vec<usize> = words("top_ids").into_iter().map(|b| i32::from_le_bytes(b) as usize).collect();
    let vocab = logits.len() / sums.len();
    let kept = values.len() / sums.len();
    for (row, logits) in logits.chunks_exact(vocab).enumerate() {
        let (ids, expected) = (&top[row * kept..][..kept], &values[row * kept..][..kept]);
        for (&id, &value) in ids.iter().zip(expected) {
            let off = (logits[id] - value).abs();
            assert!(off <= tolerance, "{name} row {row} id {id}: {} instead of {value}", logits[id]);
        }
        let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        assert!(logits[ids[0]] >= max - TIE, "{name} row {row}: another id is first");
        let sum = max + logits.iter().map(|x| (x - max).exp()).sum::<f32>().ln();
        assert!((sum - sums[row]).abs() <= tolerance, "{name} row {row}: log-sum-exp {sum}");
    }
}
