//! The reference model: candle, f32, on the CPU. Slow, plain, and what every other model is measured against.

use candle_core::{D, Device, IndexOp, Result, Tensor};
use candle_nn::ops::{rms_norm, silu, softmax_last_dim};
use candle_nn::rotary_emb::rope;

use crate::config::Config;
use crate::error::EngineError;
use crate::gguf::{Gguf, Q8_0_BYTES, Q8_0_WEIGHTS};
use crate::model::{Attention, Head, Model};

const SLOTS: usize = 2;
const MAX_ROWS: usize = 128;
/// Positions by which a slot grows.
const GROWTH: usize = 512;

/// A LLaMA decoder in candle.
pub(crate) struct Reference {
    config: Config,
    /// (vocab, hidden)
    embedding: Tensor,
    layers: Vec<Layer>,
    /// (hidden)
    norm: Tensor,
    /// (context, head_dim / 2)
    cos: Tensor,
    sin: Tensor,
    /// Per slot and layer: keys and values, (1, kv_heads, positions, head_dim).
    caches: Vec<Vec<(Tensor, Tensor)>>,
}

/// Matrices are (out, in).
struct Layer {
    attn_norm: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    output: Tensor,
    ffn_norm: Tensor,
    gate: Tensor,
    up: Tensor,
    down: Tensor,
}

impl Reference {
    /// Dequantises every weight of the file to f32.
    pub(crate) fn new(config: Config, gguf: &Gguf) -> std::result::Result<Self, EngineError> {
        let matrix = |name: &str, rows, cols| -> std::result::Result<Tensor, EngineError> {
            let values = dequantise(gguf.q8_0(name, rows, cols)?);
            Tensor::from_vec(values, (rows, cols), &Device::Cpu).map_err(failed)
        };
        let vector = |name: &str, len| -> std::result::Result<Tensor, EngineError> {
            Tensor::from_vec(gguf.f32(name, len)?, len, &Device::Cpu).map_err(failed)
        };
        let (hidden, ffn, q_width, kv_width) =
            (config.hidden, config.ffn, config.q_width(), config.kv_width());
        let mut layers = Vec::with_capacity(config.layers);
        for i in 0..config.layers {
            let name = |part: &str| format!("blk.{i}.{part}.weight");
            layers.push(Layer {
                attn_norm: vector(&name("attn_norm"), hidden)?,
                q: rotate_half_rows(&matrix(&name("attn_q"), q_width, hidden)?, config.heads)
                    .map_err(failed)?,
                k: rotate_half_rows(&matrix(&name("attn_k"), kv_width, hidden)?, config.kv_heads)
                    .map_err(failed)?,
                v: matrix(&name("attn_v"), kv_width, hidden)?,
                output: matrix(&name("attn_output"), hidden, q_width)?,
                ffn_norm: vector(&name("ffn_norm"), hidden)?,
                gate: matrix(&name("ffn_gate"), ffn, hidden)?,
                up: matrix(&name("ffn_up"), ffn, hidden)?,
                down: matrix(&name("ffn_down"), hidden, ffn)?,
            });
        }
        let (cos, sin) = rotary_tables(&config).map_err(failed)?;
        Ok(Reference {
            embedding: matrix("token_embd.weight", config.vocab, hidden)?,
            norm: vector("output_norm.weight", hidden)?,
            layers,
            cos,
            sin,
            caches: (0..SLOTS).map(|_| Vec::new()).collect(),
            config,
        })
    }

    /// Makes room for positions `0..end` of a slot, keeping what it holds.
    fn reserve(&mut self, slot: usize, end: usize) -> Result<()> {
        let (config, cache) = (&self.config, &mut self.caches[slot]);
        let room = cache.first().map_or(Ok(0), |(k, _)| k.dim(2))?;
        if end <= room {
            return Ok(());
        }
        let shape = (1, config.kv_heads, end.next_multiple_of(GROWTH), config.head_dim);
        let grown = |old: Option<&Tensor>| -> Result<Tensor> {
            let new = Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu)?;
            if let Some(old) = old {
                new.slice_set(old, 2, 0)?;
            }
            Ok(new)
        };
        *cache = (0..config.layers)
            .map(|layer| {
                let old = cache.get(layer);
                Ok((grown(old.map(|c| &c.0))?, grown(old.map(|c| &c.1))?))
            })
            .collect::<Result<_>>()?;
        Ok(())
    }

    /// Final hidden rows (rows, hidden), normalised.
    fn hidden_rows(&mut self, slot: usize, at: usize, ids: &[u32], attention: Attention) -> Result<Tensor> {
        self.reserve(slot, at + ids.len())?;
        let mask = mask(at, ids.len(), attention)?;
        let cos = self.cos.narrow(0, at, ids.len())?;
        let sin = self.sin.narrow(0, at, ids.len())?;
        let mut x = self.embedding.index_select(&Tensor::new(ids, &Device::Cpu)?, 0)?;
        let eps = self.config.norm_eps;
        for (layer, cache) in self.layers.iter().zip(&self.caches[slot]) {
            let h = rms_norm(&x, &layer.attn_norm, eps)?;
            let attended = attend(layer, &self.config, &h, (&cos, &sin), &mask, cache, at)?;
            x = (x + attended.matmul(&layer.output.t()?)?)?;
            let h = rms_norm(&x, &layer.ffn_norm, eps)?;
            let gated = (silu(&h.matmul(&layer.gate.t()?)?)? * h.matmul(&layer.up.t()?)?)?;
            x = (x + gated.matmul(&layer.down.t()?)?)?;
        }
        rms_norm(&x, &self.norm, eps)
    }
}

impl Model for Reference {
    fn config(&self) -> &Config {
        &self.config
    }

    fn device(&self) -> String {
        "cpu (candle f32 reference)".into()
    }

    fn slots(&self) -> usize {
        SLOTS
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
    ) -> std::result::Result<(), EngineError> {
        let hidden = self.hidden_rows(slot, at, ids, attention).map_err(failed)?;
        let logits = |rows: std::ops::Range<usize>| -> Result<Vec<Vec<f32>>> {
            hidden.i(rows)?.matmul(&self.embedding.t()?)?.to_vec2()
        };
        match head {
            Head::None => {}
            Head::Picks(rows, sampler, picks) => {
                let first = at + rows.start;
                let rows = logits(rows).map_err(failed)?;
                picks.extend(
                    rows.iter().enumerate().map(|(i, row)| sampler.pick(row, attention.target(first + i))),
                );
            }
            Head::Logits(rows, out) => out.extend(logits(rows).map_err(failed)?.into_iter().flatten()),
        }
        Ok(())
    }
}

/// Attention over the slot and the rows themselves: (rows, hidden) to (rows, heads * head_dim).
fn attend(
    layer: &Layer,
    config: &Config,
    h: &Tensor,
    (cos, sin): (&Tensor, &Tensor),
    mask: &Tensor,
    (keys, values): &(Tensor, Tensor),
    at: usize,
) -> Result<Tensor> {
    let rows = h.dim(0)?;
    let (heads, kv_heads, width) = (config.heads, config.kv_heads, config.head_dim);
    // (rows, in) to (1, heads, rows, head_dim)
    let project = |w: &Tensor, heads: usize| -> Result<Tensor> {
        h.matmul(&w.t()?)?.reshape((1, rows, heads, width))?.transpose(1, 2)?.contiguous()
    };
    let q = rope(&project(&layer.q, heads)?, cos, sin)?;
    keys.slice_set(&rope(&project(&layer.k, kv_heads)?, cos, sin)?, 2, at)?;
    values.slice_set(&project(&layer.v, kv_heads)?, 2, at)?;
    let group = heads / kv_heads;
    let k = keys.narrow(2, 0, at + rows)?.squeeze(0)?;
    let v = values.narrow(2, 0, at + rows)?.squeeze(0)?.contiguous()?;
    // The query heads of a group share their key head: fold them into its rows.
    let q = q.reshape((kv_heads, group * rows, width))?;
    let scores = (q.matmul(&k.transpose(1, 2)?.contiguous()?)? / (width as f64).sqrt())?;
    let scores = scores.reshape((kv_heads, group, rows, at + rows))?.broadcast_add(mask)?;
    let weights = softmax_last_dim(&scores)?.reshape((kv_heads, group * rows, at + rows))?;
    weights.matmul(&v)?.reshape((heads, rows, width))?.transpose(0, 1)?.reshape((rows, heads * width))
}

/// (rows, at + rows): 0 where a row sees a position, minus infinity where not.
fn mask(at: usize, rows: usize, attention: Attention) -> Result<Tensor> {
    let sees = |row: usize, position: usize| attention == Attention::Bidirectional || position <= at + row;
    let values: Vec<f32> = (0..rows)
        .flat_map(|row| (0..at + rows).map(move |p| if sees(row, p) { 0.0 } else { f32::NEG_INFINITY }))
        .collect();
    Tensor::from_vec(values, (rows, at + rows), &Device::Cpu)
}

/// Rows of q and k stand in pairs for interleaved rotation in GGUF; back to the order for rotating halves.
fn rotate_half_rows(matrix: &Tensor, heads: usize) -> Result<Tensor> {
    let (rows, cols) = matrix.dims2()?;
    matrix.reshape((heads, rows / heads / 2, 2, cols))?.transpose(1, 2)?.reshape((rows, cols))
}

fn rotary_tables(config: &Config) -> Result<(Tensor, Tensor)> {
    let half = config.head_dim / 2;
    let frequencies: Vec<f32> =
        (0..half).map(|i| config.rope_theta.powf(-((2 * i) as f32) / config.head_dim as f32)).collect();
    let frequencies = Tensor::from_vec(frequencies, (1, half), &Device::Cpu)?;
    let positions = Tensor::arange(0f32, config.context as f32, &Device::Cpu)?.unsqueeze(D::Minus1)?;
    let angles = positions.matmul(&frequencies)?;
    Ok((angles.cos()?, angles.sin()?))
}

fn dequantise(blocks: &[u8]) -> Vec<f32> {
    let mut values = Vec::with_capacity(blocks.len() / Q8_0_BYTES * Q8_0_WEIGHTS);
    for block in blocks.chunks_exact(Q8_0_BYTES) {
        let scale = half::f16::from_le_bytes([block[0], block[1]]).to_f32();
        values.extend(block[2..].iter().map(|&q| scale * f32::from(q as i8)));
    }
    values
}

fn failed(error: candle_core::Error) -> EngineError {
    EngineError::Failed(error.to_string())
}
