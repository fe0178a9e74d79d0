//! The operations on an NVIDIA GPU: kernels compiled ahead of time, the driver's library opened at run time.
//!
//! | operation | kernel | launched by |
//! |---|---|---|
//! | projection with norm, rotation, residual or gate | `cuda/project.cu`, for many rows `cuda/wide.cu` | [`project::Project`] |
//! | attention over cache and block | `cuda/attend.cu` | [`attend::Attend`] |
//! | head | `cuda/head.cu` | [`head::Head`] |
//! | state, embedding, picks, draft and verify | `cuda/step.cu` | [`step::Step`], [`step::embed`] |
//!
//! Everything runs in order on one stream of one [`Gpu`]. Launches may be captured once and replayed as a [`Graph`]:
//! whatever changes between passes ([`state::State`]) is read from device memory.

pub mod attend;
pub mod head;
pub mod memory;
pub mod pack;
pub mod project;
pub mod resident;
pub mod state;
pub mod step;

mod driver;

pub use driver::{CudaError, Gpu, Graph};
pub use memory::{Buffer, Mapped};

/// The 16-bit type of weights, inputs of products, queries, keys and values: see `cuda/common.cuh`.
pub type Half = half::f16;

/// Share of their value at which rows of the residual stream, attended and gated rows are kept in 16 bits, as in
/// `cuda/common.cuh`.
pub const INPUT_SCALE: f32 = 1.0 / 16.0;

/// The epsilon of a norm over rows that are kept at that share: their mean square is its square as large.
fn kept_eps(eps: f32) -> f32 {
    eps * INPUT_SCALE * INPUT_SCALE
}
