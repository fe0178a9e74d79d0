//! Every CUDA kernel against plain loops in f64 on the same 16-bit inputs. Without a usable GPU one line says so.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::print_stdout, reason = "the errors found are the test's report")]

mod attend;
mod head;
mod project;
mod support;

use cinnabar_kernels::cuda::Gpu;

fn main() {
    let gpu = match Gpu::open(0) {
        Ok(gpu) => gpu,
        Err(reason) => return println!("skipped: CUDA kernel tests ({reason})"),
    };
    println!("CUDA kernel tests on {}, {} multiprocessors", gpu.name(), gpu.processors());
    // A tenth of the shapes is enough for a checker that runs every instruction many times slower.
    let quick = std::env::args().any(|a| a == "--quick");
    project::check(&gpu, quick);
    attend::check(&gpu, quick);
    head::check(&gpu, quick);
    println!("all passed");
}
