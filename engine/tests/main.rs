//! The engine through its public interface, with the shipped model.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod disturbed;
mod engine_thread;
mod given_up;
mod golden;
mod model_files;
mod rounded;
mod sampler;
mod sessions;
mod stems;
mod stream;
mod support;
