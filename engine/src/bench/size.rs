//! Geometries without a checkpoint: the sizes in which decoders of this shape are published.

use std::str::FromStr;

use crate::config::{Config, Limits, Special};

/// A size whose weights are random in a bench.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// 135 million weights, the geometry of the shipped model.
    Tiny,
    /// 0.5 thousand million.
    Half,
    /// 1.5 thousand million.
    OneAndAHalf,
    /// 7 thousand million.
    Seven,
}

impl Size {
    /// All of them, smallest first.
    pub const ALL: [Size; 4] = [Size::Tiny, Size::Half, Size::OneAndAHalf, Size::Seven];

    /// The name by which it is asked for.
    pub fn name(self) -> &'static str {
        match self {
            Size::Tiny => "135m",
            Size::Half => "0.5b",
            Size::OneAndAHalf => "1.5b",
            Size::Seven => "7b",
        }
    }

    /// True when the head is the embedding.
    pub fn is_tied(self) -> bool {
        self != Size::Seven
    }

    /// The geometry, under a name that says that the weights are random.
    pub fn config(self) -> Config {
        let (vocab, hidden, layers, heads, kv_heads, head_dim, ffn) = match self {
            Size::Tiny => (49_152, 576, 30, 9, 3, 64, 1536),
            Size::Half => (151_936, 896, 24, 14, 2, 64, 4864),
            Size::OneAndAHalf => (151_936, 1536, 28, 12, 2, 128, 8960),
            Size::Seven => (152_064, 3584, 28, 28, 4, 128, 18_944),
        };
        Config {
            name: format!("random weights of {} geometry", self.name()),
            vocab,
            hidden,
            layers,
            heads,
            kv_heads,
            head_dim,
            ffn,
            rope_theta: 100_000.0,
            norm_eps: 1e-5,
            context: 8192,
            special: Special {
                sep: 5,
                file: 6,
                suffix: 8,
                prefix: 9,
                tail: 10,
                middle: 11,
                end: 15,
                mask: 16,
            },
            limits: Limits { stream: 1024, suffix: 400, tail: 32, path: 24 },
        }
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Size::ALL.into_iter().find(|size| size.name() == text).ok_or_else(|| {
            let names = Size::ALL.map(Size::name).join(", ");
            format!("unknown size {text:?}; use one of {names}")
        })
    }
}
