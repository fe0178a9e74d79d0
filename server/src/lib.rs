//! The completion daemon: LSP in, suggestions out.
