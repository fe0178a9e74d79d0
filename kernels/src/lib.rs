//! The operations of a decoder: each with a plain reference and fast versions chosen at run time.
//!
//! | operation | file | formula |
//! |---|---|---|
//! | packed matrix product | `linear.rs` | `y = x Wᵀ`, then added to, gated, or stored |
//! | RMSNorm | `rms_norm.rs` | `x g / sqrt(mean(x²) + eps)` |
//! | rotary positions | `rope.rs` | pairs turned by `position · theta^(-2i/d)` |
//! | attention | `attention.rs` | `softmax(q Kᵀ / sqrt(d)) V` over a cache and a block |
//! | head | `head.rs` | the largest logit of a row and its probability, without storing logits |
//!
//! Every operation takes a [`Level`]: `Level::REFERENCE` runs plain loops, the others instructions that were found on
//! this processor. What is shared between operations stands below them: inner products over panels of 16 outputs
//! (`tile.rs` for floats, `dot.rs` for bytes, `pairs.rs` for pairs of 16 bits), the packed weights (`matrix.rs`), the rows between two products
//! (`rows.rs`) and the threads (`pool.rs`).
//!
//! This crate knows no model, tokenizer or configuration, and reads no environment.

#![expect(clippy::needless_range_loop, reason = "an inner loop names a row for several arrays at once")]

pub mod attention;
pub mod cache;
pub mod ceiling;
#[expect(unsafe_code, reason = "the driver and the kernels behind it are C")]
pub mod cuda;
pub mod head;
pub mod level;
pub mod linear;
pub mod matrix;
pub mod memory;
pub mod pool;
pub mod rms_norm;
pub mod rope;
pub mod rows;

mod ahead;
mod disjoint;
mod dot;
mod math;
mod pairs;
mod tile;

#[cfg(test)]
mod testing;

pub use cache::{Cache, Storage};
pub use level::Level;
pub use matrix::{Format, Matrix};
pub use memory::Memory;
pub use pool::Pool;
pub use rows::{Activations, Rows};

/// What operations run on: instructions and threads.
pub struct Machine {
    /// The instructions.
    pub level: Level,
    /// The threads.
    pub pool: Pool,
}
