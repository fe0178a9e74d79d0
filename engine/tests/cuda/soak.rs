//! Random sessions, edits, cancels and evictions: every text must be the one that a fresh session gives.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use cinnabar_engine::{CancelToken, Control, DocumentId, EngineError, Infill, Local, Mode};
use cinnabar_kernels::cuda::Gpu;

use crate::support::goldens;

pub(crate) fn run(infill: &mut Local, time: Duration) {
    let (goldens, clock) = (goldens(), Instant::now());
    let mut noise = 1u64;
    let mut random = |n: usize| {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (noise >> 33) as usize % n
    };
    let mut texts: HashMap<(usize, usize), String> = HashMap::new();
    let (mut asked, mut cancelled, mut next_document) = (0u64, 0u64, 1000);
    let gpu = Gpu::open(0).unwrap();
    let left = || gpu.memory().unwrap().0 >> 20;
    let (start, left_at_start) = (memory(), left());
    while clock.elapsed() < time {
        let which = random(goldens.len());
        let mut request = goldens[which].request();
        let cut = random(40);
        let prefix = &mut request.prompt.prefix;
        let at = (0..=prefix.len().saturating_sub(cut)).rev().find(|&i| prefix.is_char_boundary(i)).unwrap();
        prefix.truncate(at);
        // More documents than slots: sessions are evicted.
        request.document = DocumentId(random(20) as u64);
        request.decoding.mode = [Mode::Verified, Mode::Causal, Mode::Auto][random(3)];
        request.decoding.block = [8, 16, 32, 64][random(4)];
        request.max_tokens = 24;
        let cancel = CancelToken::default();
        let deadline = (random(4) == 0).then(|| Instant::now() + Duration::from_micros(random(4000) as u64));
        if random(20) == 0 {
            cancel.cancel();
        }
        let fresh = random(50) == 0;
        if fresh {
            next_document += 1;
            request.document = DocumentId(next_document);
        }
        asked += 1;
        match infill.infill(&request, &mut Control::new(cancel, deadline, None)) {
            Ok(completion) if completion.finish == cinnabar_engine::Finish::Deadline => {
                if let Some(text) = texts.get(&(which, at)) {
                    // Whole lines end with a line break wherever they end.
                    let part = completion.text.trim_end_matches('\n');
                    assert!(text.starts_with(part), "{part:?} is no part of {text:?}");
                }
            }
            Ok(completion) => {
                let known = texts.entry((which, at)).or_insert_with(|| completion.text.clone());
                assert_eq!(*known, completion.text, "prompt {which} cut at {at}");
            }
            Err(EngineError::Cancelled) => cancelled += 1,
            Err(error) => panic!("{error}"),
        }
    }
    println!(
        "soak: {asked} requests in {:.0} s, {cancelled} cancelled, {} texts each always the same; resident {start} to {} MiB, free \
         on the GPU {left_at_start} to {} MiB",
        time.as_secs_f64(),
        texts.len(),
        memory(),
        left()
    );
    assert!(left() + 64 > left_at_start, "memory of the GPU is lost");
}

/// Resident memory of this process in MiB.
fn memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kb| kb.parse::<usize>().ok()).unwrap_or(0) / 1024
}
