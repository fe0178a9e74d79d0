//! The language server from end to end, in one process: a client over pipes in memory, the real server, the real
//! engine thread, and on it a script in place of the model. Nothing here waits for time to pass.

#![expect(unreachable_pub, clippy::unwrap_used, reason = "modules of a test are not a library")]

mod harness;
mod stage;

mod counts;
mod documents;
mod engine;
mod lifecycle;
mod scheduling;
mod secrets;
mod suggestions;
