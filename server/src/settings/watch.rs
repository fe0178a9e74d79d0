//! Files of settings that change while the server runs: an editor, or a checkout of another branch, writes them.
//!
//! They are looked at once a second. Clients could be asked to watch them; not all can, and those that can do not
//! agree on what they see.

use std::path::PathBuf;
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use crate::state::State;

const EVERY: Duration = Duration::from_secs(1);

/// Follows the files until the server is gone. Without a file that could be there, there is nothing to do.
pub(crate) fn watch(state: &Arc<State>) {
    let Some(agreed) = state.agreed() else { return };
    let files = state.setup.paths(&agreed.roots);
    if files.is_empty() {
        return;
    }
    // What was read by `initialize` may have changed before this: it is read again at the first look.
    let mut seen = Vec::new();
    let state = Arc::downgrade(state);
    std::thread::spawn(move || {
        while let Some(state) = Weak::upgrade(&state) {
            let now = stamps(&files);
            if now != seen {
                state.configured_by_files();
                seen = now;
            }
            drop(state);
            std::thread::sleep(EVERY);
        }
    });
}

/// What tells a file from what it was before.
fn stamps(files: &[PathBuf]) -> Vec<Option<(SystemTime, u64)>> {
    let stamp = |file: &PathBuf| {
        let metadata = file.metadata().ok()?;
        Some((metadata.modified().ok()?, metadata.len()))
    };
    files.iter().map(stamp).collect()
}
