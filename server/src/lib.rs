//! The completion daemon: LSP in, suggestions out.
//!
//! One keystroke goes through `lsp` (routing), `handlers` (one file a method), `documents`, `document` and
//! `position` (the mirror), `privacy` and `trigger` (whether), `scheduler` (newest wins), `site`, `neighbours` and `prompt` (what the engine sees), the engine,
//! `postprocess` and `reuse` (what the user sees), `to_lsp`. What becomes of it is followed by `offers` and counted by `stats`.
//!
//! The terminal's half is `cli` (what can be asked for) and `commands` (one file a command), with what they share:
//! `place` (where in which text), `model_path` (which model), `watch` and `terminal` (what is drawn),
//! `eval` (benchmarks).
//!
//! This crate knows no tensor, token id or device type.

pub mod cli;
mod commands;
mod eval;
mod logging;
pub mod model_path;
mod place;
mod terminal;
mod version;
mod watch;

pub mod lsp;
pub mod settings;
pub mod state;

mod client;
mod courtesy;
mod engine_status;
mod frames;
mod handlers;
mod parent;
mod protocol;
mod transport;

mod document;
mod documents;
mod languages;
mod neighbours;
pub mod position;
mod privacy;
mod syntax;
mod typed;

mod ahead;
mod request_log;
mod scheduler;
mod selected;
mod trigger;

mod class;
mod offers;
mod stats;

mod brackets;
mod postprocess;
pub mod prompt;
mod reuse;
pub mod site;
pub mod suggestion;
mod to_lsp;

pub use transport::Ended;
