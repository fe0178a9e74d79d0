//! The completion daemon: LSP in, suggestions out.

mod languages;
mod syntax;
