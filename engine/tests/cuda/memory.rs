//! A GPU whose memory is taken is refused with a way out, and taken when the memory is free again.

use cinnabar_engine::EngineError;
use cinnabar_engine::cuda::CudaModel;
use cinnabar_kernels::cuda::{Buffer, Gpu};

/// Left free: less than the weights take.
const LEFT: usize = 128 << 20;

pub(crate) fn refused(load: impl Fn() -> Result<CudaModel, EngineError>) {
    let gpu = Gpu::open(0).unwrap();
    let (free, _) = gpu.memory().unwrap();
    let taken: Buffer<u8> = Buffer::zeros(&gpu, free - LEFT).unwrap();
    let Err(error @ EngineError::Device { .. }) = load() else { panic!("loaded without memory") };
    let text = error.to_string();
    assert!(
        text.contains("OUT_OF_MEMORY") && text.contains("nvidia-smi") && text.contains("--device cpu"),
        "{text}"
    );
    drop(taken);
    load().unwrap();
    println!("without memory: {}", text.replace("\n ", ";"));
}
