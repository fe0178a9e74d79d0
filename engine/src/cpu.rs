//! The model on this processor: packed weights, the kernels of `cinnabar-kernels`, one pass over all layers.

use std::ops::Range;

use cinnabar_kernels::attention::{MAX_HEAD, attention as attend};
use cinnabar_kernels::ceiling;
use cinnabar_kernels::head::best;
use cinnabar_kernels::linear::{self, MAX_ROWS, Projected};
use cinnabar_kernels::rms_norm::rms_norm;
use cinnabar_kernels::rope::Rope;
use cinnabar_kernels::{
    Activations, Cache, Format, Level, Machine, Matrix, Memory, Pool, Rows, Storage, pool,
};

use crate::config::Config;
use crate::error::EngineError;
use crate::gguf::{Gguf, Q8_0_BYTES, Q8_0_WEIGHTS};
use crate::model::{Attention, Ceiling, Head, Model};
use crate::sampler::Pick;

/// Documents whose caches are kept. A slot takes memory as its positions are used.
const SLOTS: usize = 3;

/// How to use this processor.
#[derive(Debug, Clone)]
pub struct CpuOptions {
    /// Threads; `None` is one per physical core.
    pub threads: Option<usize>,
    /// Name of an instruction level; `None` is the best that the processor has.
    pub level: Option<String>,
    /// How products read their input.
    pub activations: Activations,
}

impl Default for CpuOptions {
    fn default() -> Self {
        CpuOptions { threads: None, level: None, activations: Activations::Int8 }
    }
}

/// A LLaMA decoder on this processor.
pub struct CpuModel {
    config: Config,
    machine: Machine,
    weights: Weights,
    rope: Rope,
    /// Per slot, one cache a layer.
    slots: Vec<Vec<Cache>>,
    /// What caches grow from.
    memory: Memory,
    scratch: Scratch,
}

struct Weights {
    /// (vocab, hidden), also the head.
    embedding: Matrix,
    layers: Vec<Layer>,
    /// (hidden)
    norm: Vec<f32>,
}

struct Layer {
    attn_norm: Vec<f32>,
    /// Query, key and value weights below each other: (q width + 2 kv width, hidden).
    queries_keys_values: Matrix,
    output: Matrix,
    ffn_norm: Vec<f32>,
    /// Gate and up weights in turns of 32 rows: (2 ffn, hidden).
    gate_up: Matrix,
    down: Matrix,
}

/// What a pass writes between layers, for up to `MAX_ROWS` rows.
struct Scratch {
    /// Residual stream (rows, hidden).
    x: Vec<f32>,
    /// (rows, q width)
    queries: Vec<f32>,
    /// Normalised rows of the residual stream.
    normed: Rows,
    /// Attended rows (rows, q width).
    attended: Rows,
    /// Gated rows (rows, ffn).
    gated: Rows,
}

impl CpuModel {
    /// Packs every weight of the file. The file's pages are not needed afterwards.
    pub fn new(config: Config, gguf: &Gguf, options: &CpuOptions) -> Result<Self, EngineError> {
        check(&config, gguf)?;
        let level = match &options.level {
            None => Level::detect(),
            Some(name) => Level::named(name).map_err(|reason| EngineError::Device {
                device: format!("cpu ({name})"),
                reason,
                hint: "leave the level out to use the best one".into(),
            })?,
        };
        let threads = options.threads.unwrap_or_else(pool::physical_cores).max(1);
        let machine = Machine { level, pool: Pool::new(threads) };
        let weights = Weights::pack(&config, gguf, options.activations, &machine.pool)?;
        gguf.release_pages();
        let storage = match options.activations {
            Activations::F32 => Storage::F32,
            Activations::Int8 => Storage::Whole,
        };
        let caches = || Cache::new(storage, config.kv_heads, config.head_dim);
        let rows = |width| Rows::new(options.activations, MAX_ROWS, width);
        Ok(CpuModel {
            rope: Rope::new(config.context, config.head_dim, config.rope_theta),
            slots: (0..SLOTS).map(|_| (0..config.layers).map(|_| caches()).collect()).collect(),
            memory: Memory::default(),
            scratch: Scratch {
                x: vec![0.0; MAX_ROWS * config.hidden],
                queries: vec![0.0; MAX_ROWS * config.q_width()],
                normed: rows(config.hidden),
                attended: rows(config.q_width()),
                gated: rows(config.ffn),
            },
            config,
            machine,
            weights,
        })
    }

    /// Leaves the residual stream after the last layer in the scratch; only the cache is filled when no `head` follows.
    fn layers(&mut self, slot: usize, at: usize, ids: &[u32], attention: Attention, head: bool) {
        let CpuModel { config, machine, weights, rope, slots, memory, scratch } = self;
        let rows = ids.len();
        let x = &mut scratch.x[..rows * config.hidden];
        for (x, &id) in x.chunks_exact_mut(config.hidden).zip(ids) {
            weights.embedding.row(id as usize, x);
        }
        let queries = &mut scratch.queries[..rows * config.q_width()];
        let (normed, attended, gated) = (&mut scratch.normed, &mut scratch.attended, &mut scratch.gated);
        for (i, (layer, cache)) in weights.layers.iter().zip(&mut slots[slot]).enumerate() {
            cache.reserve(memory, at + rows);
            rms_norm(machine, x, &layer.attn_norm, config.norm_eps, normed);
            let out = Projected { queries: &mut *queries, cache: &mut *cache, at };
            linear::queries_keys_values(machine, &layer.queries_keys_values, normed, rows, rope, out);
            if i + 1 == weights.layers.len() && !head {
                break;
            }
            attend(machine, queries, cache, at, rows, attention == Attention::Causal, attended);
            linear::add(machine, &layer.output, attended, x);
            rms_norm(machine, x, &layer.ffn_norm, config.norm_eps, normed);
            linear::gated(machine, &layer.gate_up, normed, rows, gated);
            linear::add(machine, &layer.down, gated, x);
        }
    }

    /// Normalises rows of the residual stream for the head, which finds them from row 0 on.
    fn head_rows(&mut self, rows: Range<usize>) {
        let hidden = self.config.hidden;
        let x = &self.scratch.x[rows.start * hidden..rows.end * hidden];
        rms_norm(&self.machine, x, &self.weights.norm, self.config.norm_eps, &mut self.scratch.normed);
    }

    /// Appends the logits (rows, vocabulary) of rows of the residual stream.
    fn logits(&mut self, rows: Range<usize>, out: &mut Vec<f32>) {
        self.head_rows(rows.clone());
        let from = out.len();
        out.resize(from + rows.len() * self.config.vocab, 0.0);
        linear::store(&self.machine, &self.weights.embedding, &self.scratch.normed, &mut out[from..]);
    }
}

impl Model for CpuModel {
    fn config(&self) -> &Config {
        &self.config
    }

    fn device(&self) -> String {
        format!("cpu ({}, {} threads)", self.machine.level, self.machine.pool.threads())
    }

    fn ceiling(&self) -> Option<Ceiling> {
        Some(Ceiling::Operations(match self.weights.embedding.activations() {
            Activations::F32 => ceiling::floats(&self.machine),
            Activations::Int8 => ceiling::bytes(&self.machine),
        }))
    }

    fn slots(&self) -> usize {
        self.slots.len()
    }

    fn max_rows(&self) -> usize {
        MAX_ROWS
    }

    fn forward(
        &mut self,
        slot: usize,
        at: usize,
        ids: &[u32],
        attention: Attention,
        head: Head<'_>,
    ) -> Result<(), EngineError> {
        assert!(ids.len() <= MAX_ROWS, "{} rows, at most {MAX_ROWS} run at once", ids.len());
        assert!(at + ids.len() <= self.config.context, "the model has no position {}", at + ids.len());
        self.layers(slot, at, ids, attention, !matches!(head, Head::None));
        match head {
            Head::None => {}
            Head::Picks(rows, sampler, picks) if sampler.is_greedy() => {
                self.head_rows(rows.clone());
                let mut found = Vec::with_capacity(rows.len());
                let (machine, x) = (&self.machine, &self.scratch.normed);
                best(machine, &self.weights.embedding, x, rows.len(), Some(sampler.banned), &mut found);
                picks.extend(found.iter().map(|b| Pick { token: b.token, probability: 1.0 / b.sum }));
            }
            Head::Picks(rows, sampler, picks) => {
                let mut logits = Vec::new();
                self.logits(rows.clone(), &mut logits);
                let drawn = rows.zip(logits.chunks_exact(self.config.vocab));
                picks.extend(drawn.map(|(row, logits)| sampler.pick(logits, attention.target(at + row))));
            }
            Head::Logits(rows, out) => self.logits(rows, out),
        }
        Ok(())
    }
}

impl Weights {
    fn pack(
        config: &Config,
        gguf: &Gguf,
        activations: Activations,
        pool: &Pool,
    ) -> Result<Weights, EngineError> {
        let (hidden, ffn) = (config.hidden, config.ffn);
        let rows = |name: &str, outputs, inputs| -> Result<Vec<&[u8]>, EngineError> {
            let bytes = gguf.q8_0(name, outputs, inputs)?;
            Ok(bytes.chunks_exact(inputs / Q8_0_WEIGHTS * Q8_0_BYTES).collect())
        };
        let mut memory = Memory::default();
        let format = match activations {
            Activations::F32 => Format::Exact,
            Activations::Int8 => Format::Seven,
        };
        let mut matrix = |rows: &[&[u8]], inputs| Matrix::pack(pool, &mut memory, format, inputs, rows);
        let mut layers = Vec::with_capacity(config.layers);
        for i in 0..config.layers {
            let name = |part: &str| format!("blk.{i}.{part}.weight");
            let queries = rows(&name("attn_q"), config.q_width(), hidden)?;
            let keys = rows(&name("attn_k"), config.kv_width(), hidden)?;
            let values = rows(&name("attn_v"), config.kv_width(), hidden)?;
            let gates = rows(&name("ffn_gate"), ffn, hidden)?;
            let ups = rows(&name("ffn_up"), ffn, hidden)?;
            layers.push(Layer {
                attn_norm: gguf.f32(&name("attn_norm"), hidden)?,
                queries_keys_values: matrix(&[queries, keys, values].concat(), hidden),
                output: matrix(&rows(&name("attn_output"), hidden, config.q_width())?, config.q_width()),
                ffn_norm: gguf.f32(&name("ffn_norm"), hidden)?,
                gate_up: matrix(&linear::interleave(&gates, &ups), hidden),
                down: matrix(&rows(&name("ffn_down"), hidden, ffn)?, ffn),
            });
        }
        Ok(Weights {
            embedding: matrix(&rows("token_embd.weight", config.vocab, hidden)?, hidden),
            layers,
            norm: gguf.f32("output_norm.weight", hidden)?,
        })
    }
}

/// Refuses shapes that the kernels do not have.
fn check(config: &Config, gguf: &Gguf) -> Result<(), EngineError> {
    let shapes =
        [("hidden size", config.hidden), ("feed-forward size", config.ffn), ("head size", config.head_dim)];
    for (name, size) in shapes {
        if size == 0 || !size.is_multiple_of(Q8_0_WEIGHTS) {
            let what = format!("has {name} {size}, which is not a multiple of {Q8_0_WEIGHTS}");
            return Err(gguf.bad(what, "use --device reference for this model"));
        }
    }
    if config.head_dim > MAX_HEAD {
        let what = format!("has head size {}, {MAX_HEAD} at most is supported", config.head_dim);
        return Err(gguf.bad(what, "use --device reference for this model"));
    }
    Ok(())
}
