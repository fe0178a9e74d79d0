//! Text around a cursor in, infilled text out.
//!
//! [`Engine`] is the handle a server holds: it owns one thread, which owns one [`Infill`]. The real one, made by
//! [`load`], tokenises a [`Prompt`] into a stream, brings the document's session up to date and denoises the masked
//! span with a [`model::Model`].
//!
//! This crate knows no editor, URI, position or syntax tree, and no asynchronous runtime.

mod completion;
mod control;
mod engine;
mod error;
mod infill;
mod load;
mod local;
mod request;

pub mod bench;
pub mod config;
pub mod cpu;
pub mod cuda;
mod decode;
pub mod gguf;
pub mod model;
mod pace;
mod reference;
pub mod sampler;
mod session;
mod spelling;
pub mod stem;
pub mod stream;
pub mod tokenizer;

pub use completion::{Cell, Completion, Counts, Finish, Frame, Timings};
pub use control::{CancelToken, Control, Stop, Watch};
pub use engine::{Answer, Engine, Load, Status, Ticket};
pub use error::EngineError;
pub use infill::Infill;
pub use load::{Device, LoadOptions, WeightFormat, cpu_level, load, load_model};
pub use local::Local;
pub use model::Hardware;
pub use pace::{Estimate, Source};
pub use request::{Decoding, DocumentId, Mode, Prompt, Request, Sampling, Snippet};
