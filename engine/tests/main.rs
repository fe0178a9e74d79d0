//! The engine through its public interface, with the shipped model.

mod golden;
mod model_files;
mod sessions;
mod support;
