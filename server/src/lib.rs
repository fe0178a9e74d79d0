//! The completion daemon: LSP in, suggestions out.
//!
//! `cli` is the way in. The terminal's half is `commands` with what they share: `place` (where in which text),
//! `model_path` (which model), `watch` and `terminal` (what is drawn).

pub mod cli;
pub mod model_path;

mod commands;
mod logging;
mod place;
mod terminal;
mod version;
mod watch;
