//! Measures a model as the denoise loop uses it. Numbers are wall time; the text has no meaning.

use std::time::{Duration, Instant};

use crate::config::Config;
use crate::cuda::{CudaModel, CudaOptions};
use crate::error::EngineError;
use crate::load::{LoadOptions, WeightFormat, load_model};
use crate::model::{Attention, Ceiling, Head, Model};
use crate::request::Sampling;
use crate::sampler::Sampler;

mod size;

pub use size::Size;

/// Rows of the prefills that are measured.
const PREFILLS: [usize; 3] = [512, 128, 32];
const GPU_PREFILLS: [usize; 2] = [1024, 128];
/// Tokens of the stream before a measured step.
const STREAM: usize = 1000;
const GPU_STREAMS: [usize; 3] = [256, STREAM, 4000];
/// Rows of a measured denoise step.
const STEP_ROWS: usize = 32;
const GPU_STEP_ROWS: [usize; 4] = [8, 16, 32, 64];

/// What was measured and where.
#[derive(Debug, Clone)]
pub struct Report {
    /// Name of the model.
    pub model: String,
    /// Device and level.
    pub device: String,
    /// One entry for each kind of work.
    pub samples: Vec<Samples>,
    /// What bounds the times, measured; `None` where it was not.
    pub ceiling: Option<Ceiling>,
}

/// The times of one kind of work.
#[derive(Debug, Clone)]
pub struct Samples {
    /// What was done.
    pub work: Work,
    /// Multiplications and additions that its matrix products take, those of attention and head included.
    pub operations: f64,
    /// Wall time of each round, ascending.
    pub times: Vec<Duration>,
}

/// A kind of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// That many rows from an empty cache, nothing predicted.
    Prefill(usize),
    /// One bidirectional pass over that many masked rows after a stream, a token picked for each.
    Step {
        /// Masked rows.
        rows: usize,
        /// Tokens of the stream.
        stream: usize,
    },
    /// One token after a stream, the next one picked.
    CausalToken {
        /// Tokens of the stream.
        stream: usize,
    },
}

impl Samples {
    /// The least time that the ceiling allows over the median; `None` for a prefill whose passes wait for more than their
    /// weights.
    pub fn share(&self, ceiling: Ceiling) -> Option<f64> {
        let median = self.times.get((self.times.len() - 1) / 2)?.as_secs_f64();
        match (ceiling, self.work) {
            (Ceiling::Operations(second), _) => Some(self.operations / second / median),
            (Ceiling::Bytes { .. }, Work::Prefill(_)) => None,
            (Ceiling::Bytes { pass, second }, _) => Some(pass / second / median),
        }
    }
}

/// Loads the model and measures each kind of work `rounds` times.
pub fn run(options: &LoadOptions, rounds: usize) -> Result<Report, EngineError> {
    report(load_model(options)?.as_mut(), rounds)
}

/// Measures random weights of another geometry on the GPU of this index.
pub fn run_random(
    size: Size,
    index: usize,
    weights: WeightFormat,
    rounds: usize,
) -> Result<Report, EngineError> {
    let options = CudaOptions { index, weights, ..CudaOptions::default() };
    report(&mut CudaModel::random(size.config(), size.is_tied(), &options)?, rounds)
}

fn report(model: &mut dyn Model, rounds: usize) -> Result<Report, EngineError> {
    let ceiling = model.ceiling();
    let works = works(model, ceiling);
    let samples = measure(model, &works, rounds)?;
    Ok(Report { model: model.config().name.clone(), device: model.device(), samples, ceiling })
}

/// What is measured: on a GPU more rows and longer streams.
fn works(model: &dyn Model, ceiling: Option<Ceiling>) -> Vec<Work> {
    let on_gpu = matches!(ceiling, Some(Ceiling::Bytes { .. }));
    let (prefills, streams, rows) = match on_gpu {
        true => (&GPU_PREFILLS[..], &GPU_STREAMS[..], &GPU_STEP_ROWS[..]),
        false => (&PREFILLS[..], &[STREAM][..], &[STEP_ROWS][..]),
    };
    let longest = model.config().context.saturating_sub(rows[rows.len() - 1]);
    let prefills = prefills.iter().map(|&rows| Work::Prefill(rows.min(longest)));
    let steps = streams
        .iter()
        .flat_map(|&stream| rows.iter().map(move |&rows| Work::Step { rows, stream: stream.min(longest) }));
    prefills.chain(steps).chain([Work::CausalToken { stream: STREAM.min(longest) }]).collect()
}

/// Measures each kind of work `rounds` times, after one round that does not count. Rounds of all kinds take turns, so
/// that a machine that slows down slows all of them.
pub fn measure(model: &mut dyn Model, works: &[Work], rounds: usize) -> Result<Vec<Samples>, EngineError> {
    let operations = |work| operations(model.config(), work);
    let new = |&work| Samples { work, operations: operations(work), times: Vec::with_capacity(rounds) };
    let mut samples: Vec<Samples> = works.iter().map(new).collect();
    let stream = works.iter().map(|work| work.stream()).max().unwrap_or(0);
    let ids = meaningless_ids(model, stream);
    for round in 0..=rounds {
        // Prefills overwrite the start of the stream with the same rows, so the steps always see all of it.
        fill(model, &ids)?;
        for sample in &mut samples {
            let time = work_once(model, sample.work, &ids)?;
            if round > 0 {
                sample.times.push(time);
            }
        }
    }
    for sample in &mut samples {
        sample.times.sort_unstable();
    }
    Ok(samples)
}

impl Work {
    /// Tokens that must be cached before, or that it caches.
    fn stream(self) -> usize {
        match self {
            Work::Prefill(rows) => rows,
            Work::Step { stream, .. } | Work::CausalToken { stream } => stream,
        }
    }
}

fn work_once(model: &mut dyn Model, work: Work, ids: &[u32]) -> Result<Duration, EngineError> {
    let mask = model.config().special.mask;
    let sampler = Sampler { sampling: Sampling::default(), banned: mask };
    let mut picks = Vec::new();
    let started = Instant::now();
    match work {
        Work::Prefill(rows) => fill(model, &ids[..rows])?,
        Work::Step { rows, stream } => {
            let head = Head::Picks(0..rows, &sampler, &mut picks);
            model.forward(0, stream, &vec![mask; rows], Attention::Bidirectional, head)?;
        }
        Work::CausalToken { stream } => {
            let head = Head::Picks(0..1, &sampler, &mut picks);
            model.forward(0, stream, &ids[..1], Attention::Causal, head)?;
        }
    }
    Ok(started.elapsed())
}

/// Two for each weight and row, and for each value of a key or value that a query head sees.
fn operations(config: &Config, work: Work) -> f64 {
    let Config { hidden, ffn, layers, vocab, .. } = *config;
    let (q, kv) = (config.q_width(), config.kv_width());
    // The last layer of a pass that fills the cache alone ends with its keys and values.
    let layer = (q + 2 * kv) * hidden;
    let rest = q * hidden + 3 * hidden * ffn;
    let passes = |rows: usize, whole_layers: usize| rows * (layers * layer + whole_layers * rest);
    // Positions that rows see in all; causal rows see up to themselves.
    let (products, seen) = match work {
        Work::Prefill(rows) => (passes(rows, layers - 1), (layers - 1) * (rows * (rows + 1) / 2)),
        Work::Step { rows, stream } => {
            (passes(rows, layers) + rows * vocab * hidden, layers * rows * (stream + rows))
        }
        Work::CausalToken { stream } => (passes(1, layers) + vocab * hidden, layers * (stream + 1)),
    };
    2.0 * (products as f64 + 2.0 * (seen * q) as f64)
}

/// Runs `ids` from position 0 in chunks of the model's size.
fn fill(model: &mut dyn Model, ids: &[u32]) -> Result<(), EngineError> {
    let rows = model.max_rows();
    for (n, chunk) in ids.chunks(rows).enumerate() {
        model.forward(0, n * rows, chunk, Attention::Causal, Head::None)?;
    }
    Ok(())
}

/// Ordinary ids that differ from row to row: what they say does not change the time.
fn meaningless_ids(model: &dyn Model, count: usize) -> Vec<u32> {
    let vocab = model.config().vocab as u32;
    // Special ids stand below 32; 7919 is prime, so neighbours never repeat.
    (0..count as u32).map(|i| 32 + (i * 7919) % (vocab - 32)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Limits, Special};
    use crate::sampler::Pick;

    /// Notes what it is asked.
    struct Notebook {
        config: Config,
        passes: Vec<(usize, usize, Attention)>,
    }

    impl Model for Notebook {
        fn config(&self) -> &Config {
            &self.config
        }

        fn device(&self) -> String {
            "paper".into()
        }

        fn slots(&self) -> usize {
            1
        }

        fn max_rows(&self) -> usize {
            200
        }

        fn forward(
            &mut self,
            _slot: usize,
            at: usize,
            ids: &[u32],
            attention: Attention,
            head: Head<'_>,
        ) -> Result<(), EngineError> {
            assert!(ids.iter().all(|&id| (id as usize) < self.config.vocab));
            self.passes.push((at, ids.len(), attention));
            if let Head::Picks(rows, _, picks) = head {
                picks.extend(rows.map(|_| Pick { token: 0, probability: 1.0 }));
            }
            Ok(())
        }
    }

    fn notebook(context: usize) -> Notebook {
        let special =
            Special { sep: 5, file: 6, suffix: 8, prefix: 9, tail: 10, middle: 11, end: 15, mask: 16 };
        let limits = Limits { stream: 1024, suffix: 400, tail: 32, path: 24 };
        let config = Config {
            name: "notebook".into(),
            vocab: 100,
            hidden: 1,
            layers: 1,
            heads: 1,
            kv_heads: 1,
            head_dim: 2,
            ffn: 1,
            rope_theta: 1e4,
            norm_eps: 1e-5,
            context,
            special,
            limits,
        };
        Notebook { config, passes: Vec::new() }
    }

    #[test]
    fn every_round_does_the_same_work() {
        let mut model = notebook(8192);
        let works = works(&model, None);
        let samples = measure(&mut model, &works, 3).unwrap();
        assert!(samples.iter().all(|s| s.times.len() == 3 && s.times.is_sorted()));
        let works: Vec<Work> = samples.iter().map(|s| s.work).collect();
        let expected = [
            Work::Prefill(512),
            Work::Prefill(128),
            Work::Prefill(32),
            Work::Step { rows: 32, stream: 1000 },
            Work::CausalToken { stream: 1000 },
        ];
        assert_eq!(works, expected);

        let (rounds, rest) = model.passes.as_chunks::<12>();
        assert_eq!((rounds.len(), rest.len()), (4, 0));
        assert!(rounds.iter().all(|r| r == &rounds[0]));
        let causal = Attention::Causal;
        let filled = [
            (0, 200, causal),
            (200, 200, causal),
            (400, 200, causal),
            (600, 200, causal),
            (800, 200, causal),
        ];
        assert_eq!(rounds[0][..5], filled);
        assert_eq!(rounds[0][5..8], [(0, 200, causal), (200, 200, causal), (400, 112, causal)]);
        assert_eq!(rounds[0][8..10], [(0, 128, causal), (0, 32, causal)]);
        assert_eq!(rounds[0][10..], [(1000, 32, Attention::Bidirectional), (1000, 1, causal)]);
    }

    #[test]
    fn operations_are_counted() {
        // One layer: query, key, value and output weights of 1 x 2, three feed-forward ones of 1 x 1; 100 tokens.
        let config = notebook(100).config;
        assert_eq!(
            operations(&config, Work::CausalToken { stream: 9 }),
            2.0 * (8 + 3 + 100 + 2 * 10 * 2) as f64
        );
        let step = Work::Step { rows: 4, stream: 9 };
        assert_eq!(operations(&config, step), 2.0 * 4.0 * (8 + 3 + 100 + 2 * 13 * 2) as f64);
        assert_eq!(operations(&config, Work::Prefill(5)), 2.0 * 5.0 * 6.0);
    }

    #[test]
    fn a_short_model_is_measured_on_the_stream_it_has() {
        let works = works(&notebook(100), None);
        assert_eq!(works[0], Work::Prefill(68));
        assert_eq!(works[4], Work::CausalToken { stream: 68 });
    }

    #[test]
    fn a_gpu_is_measured_on_more_rows_and_held_against_its_memory() {
        let ceiling = Ceiling::Bytes { pass: 3e9, second: 3e12 };
        let works = works(&notebook(8192), Some(ceiling));
        assert_eq!(works.len(), 2 + 3 * 4 + 1);
        let step = Work::Step { rows: 64, stream: 4000 };
        assert!(works.contains(&step));
        let share = |work, ceiling| {
            let times = [2, 4, 9].map(Duration::from_millis).to_vec();
            Samples { work, operations: 6e9, times }.share(ceiling)
        };
        assert_eq!(share(step, ceiling), Some(0.25));
        assert_eq!(share(Work::Prefill(512), ceiling), None);
        assert_eq!(share(Work::Prefill(512), Ceiling::Operations(3e12)), Some(0.5));
    }
}
