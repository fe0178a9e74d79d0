//! Weights on the GPU: dequantised, rows in the kernels' order, gains of the norms folded into what follows them.

use std::sync::Arc;

use cinnabar_kernels::cuda::pack::{Format, Packed, gate_up_row, pack, rotary_row};
use cinnabar_kernels::cuda::resident::Weights as Resident;
use cinnabar_kernels::cuda::{Buffer, CudaError, Gpu};
use half::f16;

use super::{CudaOptions, unusable};
use crate::config::Config;
use crate::error::EngineError;
use crate::gguf::{Gguf, Q8_0_BYTES, Q8_0_WEIGHTS};

pub(super) struct Weights {
    /// (vocab, hidden), always 16 bits: a pass reads a few rows of it.
    pub(super) embedding: Resident,
    /// (vocab, hidden), if it is not the embedding as it is kept.
    head: Option<Resident>,
    pub(super) layers: Vec<Layer>,
    /// Gain of the final norm (hidden).
    pub(super) norm: Buffer<f32>,
    /// How all but the embedding is kept.
    pub(super) format: Format,
}

pub(super) struct Layer {
    /// Queries and keys in rotary pairs, then values: (q width + 2 kv width, hidden).
    pub(super) qkv: Resident,
    /// In the order of `qkv`.
    pub(super) bias: Option<Buffer<f32>>,
    pub(super) output: Resident,
    /// Gate and up by eights: (2 ffn, hidden).
    pub(super) gate_up: Resident,
    pub(super) down: Resident,
}

/// Packed matrices of a layer, on the host.
struct HostLayer {
    qkv: Packed,
    output: Packed,
    gate_up: Packed,
    down: Packed,
}

impl Weights {
    pub(super) fn from_gguf(
        gpu: &Arc<Gpu>,
        config: &Config,
        gguf: &Gguf,
        options: &CudaOptions,
    ) -> Result<Self, EngineError> {
        if !matches!(config.head_dim, 64 | 128) {
            let what = format!("has heads of size {}, the GPU engine takes 64 or 128", config.head_dim);
            return Err(gguf.bad(what, "use --device cpu"));
        }
        let (hidden, format) = (config.hidden, options.weights);
        let upload = |packed: &Packed| Resident::new(gpu, packed).map_err(|e| unusable(options, &e));
        let mut layers = Vec::with_capacity(config.layers);
        for host in pack_layers(config, gguf, format)? {
            layers.push(Layer {
                qkv: upload(&host.qkv)?,
                bias: None,
                output: upload(&host.output)?,
                gate_up: upload(&host.gate_up)?,
                down: upload(&host.down)?,
            });
        }
        let matrix = |name, format| -> Result<Resident, EngineError> {
            let source = Source::new(gguf, name, config.vocab, hidden)?;
            upload(&pack(format, config.vocab, hidden, |i, out| source.row(i, out)))
        };
        let head = match (gguf.has("output.weight"), format) {
            (true, format) => Some(matrix("output.weight", format)?),
            (false, Format::Half) => None,
            (false, format) => Some(matrix("token_embd.weight", format)?),
        };
        let norm = gguf.f32("output_norm.weight", hidden)?;
        let norm = Buffer::from_slice(gpu, &norm).map_err(|e| unusable(options, &e))?;
        let embedding = matrix("token_embd.weight", Format::Half)?;
        gguf.release_pages();
        Ok(Weights { embedding, head, layers, norm, format })
    }

    /// Uniform random weights whose products keep the size of their input.
    pub(super) fn random(
        gpu: &Arc<Gpu>,
        config: &Config,
        tied: bool,
        format: Format,
    ) -> Result<Self, CudaError> {
        let mut seed = 0;
        let mut of = |format, rows, cols: usize| {
            seed += 1;
            let seed = 0x85eb_ca6b_u32.wrapping_mul(seed);
            Resident::noise(gpu, format, rows, cols, (3.0 / cols as f32).sqrt(), seed)
        };
        let embedding = of(Format::Half, config.vocab, config.hidden)?;
        let mut noise = |rows, cols| of(format, rows, cols);
        let (hidden, ffn) = (config.hidden, config.ffn);
        let mut layers = Vec::with_capacity(config.layers);
        for _ in 0..config.layers {
            let width = config.q_width() + 2 * config.kv_width();
            layers.push(Layer {
                qkv: noise(width, hidden)?,
                bias: Some(Buffer::zeros(gpu, width)?),
                output: noise(hidden, config.q_width())?,
                gate_up: noise(2 * ffn, hidden)?,
                down: noise(hidden, ffn)?,
            });
        }
        let shared = tied && format == Format::Half;
        let head = if shared { None } else { Some(noise(config.vocab, hidden)?) };
        let norm = Buffer::from_slice(gpu, &vec![1.0; hidden])?;
        Ok(Weights { embedding, head, layers, norm, format })
    }

    /// (vocab, hidden)
    pub(super) fn head(&self) -> &Resident {
        self.head.as_ref().unwrap_or(&self.embedding)
    }

    /// Bytes that one pass reads.
    pub(super) fn bytes(&self) -> usize {
        let layer = |l: &Layer| l.qkv.bytes() + l.output.bytes() + l.gate_up.bytes() + l.down.bytes();
        self.head().bytes() + self.layers.iter().map(layer).sum::<usize>()
    }
}

/// Packs all layers, on as many threads as there are processors.
fn pack_layers(config: &Config, gguf: &Gguf, format: Format) -> Result<Vec<HostLayer>, EngineError> {
    let threads = std::thread::available_parallelism().map_or(1, |n| n.get().min(8));
    let share = config.layers.div_ceil(threads);
    let layers: Vec<usize> = (0..config.layers).collect();
    let parts: Vec<Result<Vec<HostLayer>, EngineError>> = std::thread::scope(|scope| {
        let work = |part: &[usize]| part.iter().map(|&i| pack_layer(config, gguf, format, i)).collect();
        let running: Vec<_> = layers.chunks(share).map(|part| scope.spawn(move || work(part))).collect();
        running.into_iter().map(|t| t.join().expect("packing does not panic")).collect()
    });
    Ok(parts.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect())
}

fn pack_layer(config: &Config, gguf: &Gguf, format: Format, layer: usize) -> Result<HostLayer, EngineError> {
    let (hidden, ffn, dim) = (config.hidden, config.ffn, config.head_dim);
    let (q_width, kv_width) = (config.q_width(), config.kv_width());
    let name = |part: &str| format!("blk.{layer}.{part}.weight");
    let source = |part: &str, rows, cols| Source::new(gguf, &name(part), rows, cols);
    let (attn_norm, ffn_norm) = (gguf.f32(&name("attn_norm"), hidden)?, gguf.f32(&name("ffn_norm"), hidden)?);
    let scale = |out: &mut [f32], gain: &[f32]| out.iter_mut().zip(gain).for_each(|(x, g)| *x *= g);

    let q = source("attn_q", q_width, hidden)?;
    let (k, v) = (source("attn_k", kv_width, hidden)?, source("attn_v", kv_width, hidden)?);
    let qkv = pack(format, q_width + 2 * kv_width, hidden, |i, out| {
        match i {
            i if i < q_width => q.row(rotary_row(i, dim, true), out),
            i if i < q_width + kv_width => k.row(rotary_row(i - q_width, dim, true), out),
            i => v.row(i - q_width - kv_width, out),
        }
        scale(out, &attn_norm);
    });
    let (gate, up) = (source("ffn_gate", ffn, hidden)?, source("ffn_up", ffn, hidden)?);
    let gate_up = pack(format, 2 * ffn, hidden, |i, out| {
        let (is_up, row) = gate_up_row(i);
        if is_up {
            up.row(row, out)
        } else {
            gate.row(row, out)
        }
        scale(out, &ffn_norm);
    });
    let output = source("attn_output", hidden, q_width)?;
    let down = source("ffn_down", hidden, ffn)?;
    Ok(HostLayer {
        qkv,
        output: pack(format, hidden, q_width, |i, out| output.row(i, out)),
        gate_up,
        down: pack(format, hidden, ffn, |i, out| down.row(i, out)),
    })
}

/// A Q8_0 matrix of the file.
struct Source<'a> {
    blocks: &'a [u8],
    cols: usize,
}

impl<'a> Source<'a> {
    fn new(gguf: &'a Gguf, name: &str, rows: usize, cols: usize) -> Result<Self, EngineError> {
        Ok(Source { blocks: gguf.q8_0(name, rows, cols)?, cols })
    }

    fn row(&self, i: usize, out: &mut [f32]) {
        let bytes = self.cols / Q8_0_WEIGHTS * Q8_0_BYTES;
        let blocks = self.blocks[i * bytes..][..bytes].chunks_exact(Q8_0_BYTES);
        for (block, out) in blocks.zip(out.chunks_exact_mut(Q8_0_WEIGHTS)) {
            let scale = f16::from_le_bytes([block[0], block[1]]).to_f32();
            for (x, &q) in out.iter_mut().zip(&block[2..]) {
                *x = scale * f32::from(q as i8);
            }
        }
    }
}
