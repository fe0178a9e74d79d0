//! What the driver says, in words that name a way out.

use std::sync::Arc;

use cinnabar_kernels::cuda::{CudaError, Gpu};

use super::CudaOptions;
use crate::error::EngineError;

pub(super) fn open(options: &CudaOptions) -> Result<Arc<Gpu>, EngineError> {
    Gpu::open(options.index).map_err(|e| unusable(options, &e))
}

/// A device that was asked for cannot be used.
pub(super) fn unusable(options: &CudaOptions, error: &CudaError) -> EngineError {
    let hint = match error {
        CudaError::NoDriver => "install NVIDIA's driver (580 or newer), or use --device cpu",
        CudaError::NoDevice(0) => {
            "check that `nvidia-smi` lists the GPU (in a container: --gpus all), or use --device cpu"
        }
        CudaError::NoDevice(_) => "choose another index with --device cuda:N, or use --device cpu",
        CudaError::TooOld(_) => "use --device cpu",
        e if e.is_old_driver() => "update NVIDIA's driver to 580 or newer, or use --device cpu",
        e if e.is_out_of_memory() => {
            "free memory on the GPU (`nvidia-smi` shows who holds it), or use --device cpu"
        }
        CudaError::Call { .. } => "run `nvidia-smi` to see whether the driver works, or use --device cpu",
    };
    EngineError::Device {
        device: format!("cuda:{}", options.index),
        reason: error.to_string(),
        hint: hint.into(),
    }
}

/// A pass failed: the engine's thread is the one to decide what follows.
pub(super) fn failed(error: &CudaError) -> EngineError {
    EngineError::Failed(error.to_string())
}
