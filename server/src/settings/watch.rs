//! Files of settings that change while the server runs: an editor, or a checkout of another branch, writes them.
//!
//! The system tells, so nothing wakes up while nothing changes. Clients could be asked to watch them; not all can, and
//! those that can do not agree on what they see.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Weak};
use std::time::{Duration, SystemTime};

use notify::{Event, RecommendedWatcher, RecursiveMode, Watcher};

use crate::state::State;

/// A file is written in several strokes, or in the place of another one: it is read when it has come to rest.
const REST: Duration = Duration::from_millis(50);

/// The files, and what they were when this was made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Files {
    paths: Vec<PathBuf>,
    stamps: Vec<Stamp>,
}

/// What tells a file from what it was before; `None` if there is no file.
type Stamp = Option<(SystemTime, u64)>;

impl Files {
    /// As they are now: who reads them afterwards misses no change.
    pub(crate) fn now(paths: Vec<PathBuf>) -> Self {
        let stamp = |file: &PathBuf| {
            let metadata = file.metadata().ok()?;
            Some((metadata.modified().ok()?, metadata.len()))
        };
        Files { stamps: paths.iter().map(stamp).collect(), paths }
    }

    /// The folder in which each will be changed, or will come to be. Of a folder that is not there, the one that is.
    fn folders(&self) -> BTreeSet<PathBuf> {
        let folder =
            |file: &PathBuf| file.ancestors().skip(1).find(|folder| folder.is_dir()).map(Path::to_owned);
        self.paths.iter().filter_map(folder).collect()
    }

    /// Whether an event may be about one of them: it names one, or a folder that is to hold one.
    fn concerns(&self, event: &Event) -> bool {
        let named = |path: &PathBuf| self.paths.iter().any(|file| file.starts_with(path));
        // That of reading is our own.
        !event.kind.is_access() && (event.need_rescan() || event.paths.iter().any(named))
    }
}

/// Keeps the files followed; dropping it ends that.
pub(crate) struct Following(Sender<News>);

impl Drop for Following {
    fn drop(&mut self) {
        // The thread may be gone.
        let _ = self.0.send(News::End);
    }
}

enum News {
    Changed,
    End,
}

/// Follows the files, whose settings were read after `files` was made, until the server is gone. `None` if there is
/// no file that could be there, or the system does not tell.
pub(crate) fn follow(state: &Arc<State>, files: Files) -> Option<Following> {
    if files.paths.is_empty() {
        return None;
    }
    let (tell, news) = channel();
    let (listener, concern) = (tell.clone(), files.clone());
    let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
        if event.is_ok_and(|event| concern.concerns(&event)) {
            // The thread may be gone.
            let _ = listener.send(News::Changed);
        }
    });
    let watcher = watcher.inspect_err(|error| tracing::warn!(%error, "changed settings are not read again"));
    let (watcher, state) = (watcher.ok()?, Arc::downgrade(state));
    std::thread::spawn(move || run(watcher, &news, files, &state));
    Some(Following(tell))
}

fn run(mut watcher: RecommendedWatcher, news: &Receiver<News>, mut seen: Files, state: &Weak<State>) {
    loop {
        // Each time anew: a folder that another one took the place of is not watched any more.
        let folders = seen.folders();
        for folder in &folders {
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                tracing::debug!(%error, folder = %folder.display(), "not watched");
            }
        }
        // What changed before they were watched was told by nobody.
        let now = Files::now(seen.paths.clone());
        let another_folder = now.folders() != folders;
        if now != seen {
            let Some(state) = state.upgrade() else { return };
            state.configured_by_files();
        }
        seen = now;
        if another_folder {
            continue;
        }
        match news.recv() {
            Ok(News::Changed) => std::thread::sleep(REST),
            Ok(News::End) | Err(_) => return,
        }
        if news.try_iter().any(|more| matches!(more, News::End)) {
            return;
        }
    }
}
