//! The language server from end to end, in one process: a client over pipes in memory, the real server, the real
//! engine thread, and on it a script in place of the model. Nothing here waits for time to pass.
//!
//! What the server must get right has numbers, and tests are named after them: `cargo test -p cinnabar-server rule_4`.
//!  1. The mirror is exact in every encoding, and no position is too much for it.
//!  2. The newest request wins; whoever loses is answered at once and frees the engine within a step.
//!  3. What was computed for an older text is never shown as if it were for this one; if its beginning was typed, its rest is.
//!  4. Typing through a suggestion costs no work and changes nothing on the screen.
//!  5. Nothing is suggested that stands there already, and nothing else is cut (more: `server/src/postprocess/tests.rs`).
//!  6. Indentation and line breaks are the buffer's.
//!  7. Several lines end with their block and bring no error; inside a line there is one.
//!  8. Nothing rather than junk, and every empty answer has its reason.
//!  9. Secrets and what ignore files name are neither completed nor read (more: `server/src/privacy/tests.rs`).
//! 10. Large files, long lines, broken text and a broken engine are survived.
//! 11. The server ends with `exit`, with its input and with its editor.
//! 12. What becomes of suggestions is counted, each once (more: `server/src/offers/tests.rs`, `server/src/stats/tests.rs`).

#![expect(unreachable_pub, clippy::unwrap_used, reason = "modules of a test are not a library")]

mod harness;
mod stage;

mod counts;
mod documents;
mod engine;
mod fuzz;
mod lifecycle;
mod neighbours;
mod scheduling;
mod secrets;
mod settings;
mod suggestions;
mod survival;
