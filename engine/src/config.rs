//! Geometry, special tokens and limits of a model, as its file states them.

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
    /// After the tail's text.
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
