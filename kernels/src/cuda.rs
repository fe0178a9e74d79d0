//! The operations on an NVIDIA GPU: kernels compiled ahead of time, the driver's library opened at run time.
//!
//! | operation | kernel | launched by |
//! |---|---|---|
//! | projection with norm, rotation, residual or gate | `cuda/project.cu` | [`ops::Project`] |
//! | attention over cache and block | `cuda/attend.cu` | [`ops::Attend`] |
//! | head | `cuda/head.cu` | [`ops::Head`] |
//! | state, embedding, picks, draft and verify | `cuda/step.cu` | [`step::Step`], [`step::embed`] |
//!
//! Everything runs in order on one stream of one [`Gpu`]. Launches may be captured once and replayed as a [`Graph`]:
//! whatever changes between passes ([`state::State`]) is read from device memory.

pub mod memory;
pub mod ops;
pub mod pack;
pub mod resident;
pub mod state;
pub mod step;

mod driver;

pub use driver::{CudaError, Gpu, Graph};
pub use memory::{Buffer, Mapped};
