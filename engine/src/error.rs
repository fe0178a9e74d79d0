//! What can go wrong in the engine, in words a user can act on.

use std::path::PathBuf;

/// An error of the engine.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    // === Model files ===
    /// A model file cannot be read.
    #[error("cannot read {path}: {reason}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        reason: String,
    },
    /// A model file is not what it should be. `hint` says what to do.
    #[error("{path}: {what}\n  hint: {hint}", path = path.display())]
    BadModel {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
        /// What to do about it.
        hint: String,
    },

    // === Devices ===
    /// A device that was asked for cannot be used.
    #[error("device {device} cannot be used: {reason}\n  hint: {hint}")]
    Device {
        /// As asked for.
        device: String,
        /// Why not.
        reason: String,
        /// The way out.
        hint: String,
    },

    // === Requests ===
    /// A parameter is outside its range.
    #[error("{name} must be {expected}, not {found}")]
    Parameter {
        /// Its name.
        name: &'static str,
        /// What it is.
        found: String,
        /// What it should be.
        expected: &'static str,
    },
    /// Nobody waits for the answer any more: cancelled, or superseded by a newer request of the document.
    #[error("cancelled")]
    Cancelled,
    /// The engine is not running: it failed to load or died too often.
    #[error("the engine is not running: {0}")]
    NotRunning(String),
    /// A bug in the engine; the request is lost, the process lives.
    #[error("the engine failed: {0}")]
    Failed(String),
}
