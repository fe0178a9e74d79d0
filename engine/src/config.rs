//! Geometry, special tokens and limits of a model, as its file states them.

use crate::error::EngineError;
use crate::gguf::Gguf;

/// The prompt layout that [`crate::stream`] writes.
const LAYOUT: &str = "sep-spm-stem-2";

/// Shape of a LLaMA decoder.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// Name of the model, for people.
    pub name: String,
    /// Rows of the embedding.
    pub vocab: usize,
    /// Width of the residual stream.
    pub hidden: usize,
    /// Decoder layers.
    pub layers: usize,
    /// Query heads.
    pub heads: usize,
    /// Key and value heads; `heads` is a multiple.
    pub kv_heads: usize,
    /// Width of a head, even.
    pub head_dim: usize,
    /// Width between gate/up and down.
    pub ffn: usize,
    /// Base of the rotary frequencies.
    pub rope_theta: f32,
    /// Epsilon of RMSNorm.
    pub norm_eps: f32,
    /// Positions the model has.
    pub context: usize,
    /// Ids with a meaning.
    pub special: Special,
    /// Lengths the layout was trained with.
    pub limits: Limits,
}

/// Ids with a meaning in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Special {
    /// Before a cross-file snippet.
    pub sep: u32,
    /// Before the path.
    pub file: u32,
    /// Before the suffix lines.
    pub suffix: u32,
    /// Before the prefix.
    pub prefix: u32,
    /// Before the rest of the cursor's line.
    pub tail: u32,
    /// Before the middle.
    pub middle: u32,
    /// End of the middle.
    pub end: u32,
    /// A masked row.
    pub mask: u32,
}

/// Lengths in tokens that the layout was trained with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The whole stream.
    pub stream: usize,
    /// The suffix lines.
    pub suffix: usize,
    /// The rest of the cursor's line.
    pub tail: usize,
    /// A path.
    pub path: usize,
}

impl Config {
    /// Width of all key (or value) heads of a layer.
    pub fn kv_width(&self) -> usize {
        self.kv_heads * self.head_dim
    }

    /// Width of all query heads of a layer.
    pub fn q_width(&self) -> usize {
        self.heads * self.head_dim
    }
}

impl Config {
    /// Reads and checks the metadata of a model file.
    pub fn from_gguf(gguf: &Gguf) -> Result<Self, EngineError> {
        let architecture = gguf.text("general.architecture").unwrap_or("unknown");
        if architecture != "llama" {
            let what = format!("holds a model of architecture {architecture}, llama is expected");
            return Err(
                gguf.bad(what, "use the model that ships with Cinnabar, or one adapted with its recipe")
            );
        }
        let layout = gguf.text("cinnabar.layout").unwrap_or("none");
        if layout != LAYOUT {
            let what = format!("has prompt layout {layout:?}, {LAYOUT:?} is expected");
            let hint = "use the model that ships with this version of Cinnabar, or adapt one with its recipe; \
                        plain chat models cannot fill a span";
            return Err(gguf.bad(what, hint));
        }
        let hidden: usize = gguf.integer("llama.embedding_length")?;
        let heads: usize = gguf.integer("llama.attention.head_count")?;
        let config = Config {
            name: gguf.text("general.name").unwrap_or("unnamed model").to_string(),
            vocab: gguf.integer("llama.vocab_size")?,
            hidden,
            layers: gguf.integer("llama.block_count")?,
            heads,
            kv_heads: gguf.integer("llama.attention.head_count_kv")?,
            head_dim: gguf.integer("llama.rope.dimension_count").or_else(|_| {
                hidden.checked_div(heads).ok_or_else(|| gguf.bad("has no heads", "the file is damaged"))
            })?,
            ffn: gguf.integer("llama.feed_forward_length")?,
            rope_theta: gguf.float("llama.rope.freq_base")?,
            norm_eps: gguf.float("llama.attention.layer_norm_rms_epsilon")?,
            context: gguf.integer("llama.context_length")?,
            special: Special {
                sep: gguf.integer("cinnabar.file_sep_id")?,
                file: gguf.integer("cinnabar.file_id")?,
                suffix: gguf.integer("cinnabar.suffix_id")?,
                prefix: gguf.integer("cinnabar.prefix_id")?,
                tail: gguf.integer("cinnabar.tail_id")?,
                middle: gguf.integer("cinnabar.middle_id")?,
                end: gguf.integer("cinnabar.end_id")?,
                mask: gguf.integer("cinnabar.mask_id")?,
            },
            limits: Limits {
                stream: gguf.integer("cinnabar.max_trained_stream")?,
                suffix: gguf.integer("cinnabar.max_suffix")?,
                tail: gguf.integer("cinnabar.max_tail")?,
                path: gguf.integer("cinnabar.max_path")?,
            },
        };
        config.check().map_err(|what| gguf.bad(what, "the file is damaged or made for another program"))?;
        Ok(config)
    }

    /// Refuses geometry that the forward pass is not written for; the error says what is wrong.
    fn check(&self) -> Result<(), String> {
        let divides = |n: usize, d: usize| d != 0 && n.is_multiple_of(d);
        let s = &self.special;
        let ids = [s.sep, s.file, s.suffix, s.prefix, s.tail, s.middle, s.end, s.mask];
        let distinct = (1..ids.len()).all(|i| !ids[..i].contains(&ids[i]));
        let limits = &self.limits;
        let checks = [
            (self.layers > 0 && self.layers <= 1024, "has an impossible number of layers"),
            (self.hidden > 0 && divides(self.hidden, 32), "has a hidden size that is not a multiple of 32"),
            (self.ffn > 0 && divides(self.ffn, 32), "has a feed-forward size that is not a multiple of 32"),
            (
                self.heads > 0 && divides(self.heads, self.kv_heads),
                "has heads that do not divide into groups",
            ),
            (self.head_dim > 0 && divides(self.head_dim, 2), "has an odd head size"),
            (
                divides(self.q_width(), 32) && divides(self.kv_width(), 32),
                "has head widths that are not multiples of 32",
            ),
            (ids.iter().all(|&id| (id as usize) < self.vocab) && distinct, "has special ids that clash"),
            (self.rope_theta > 1.0 && self.norm_eps > 0.0, "has an impossible rotary base or norm epsilon"),
            (limits.stream >= 64 && limits.stream <= self.context, "has an impossible stream limit"),
            (limits.suffix + limits.tail + limits.path < limits.stream, "has limits larger than the stream"),
        ];
        checks.iter().find(|c| !c.0).map_or(Ok(()), |c| Err(c.1.to_string()))
    }
}
