//! Other files for a prompt: what the editor has open, and what lies in the same folder.
//!
//! Files are read and cut into pieces on a thread of their own. A document keeps its piece while the user types at
//! one place: only where the text behind the cursor is another one, and the engine reads anew in any case, may
//! another piece take its place.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use cinnabar_engine::{DocumentId, Snippet};
use ropey::Rope;

use crate::privacy::Privacy;
use pieces::{Pieces, Words, choose};

pub(crate) mod pieces;

/// Files kept; the one that came first goes first.
const KEPT: usize = 64;
/// Files of a document's folder that are read: those that were changed last.
const SIBLINGS: usize = 8;
/// Larger files are not read.
const MAX_BYTES: u64 = 64 * 1024;

/// The other files, as far as they have been read.
pub(crate) struct Neighbours {
    shelf: Arc<Mutex<Shelf>>,
    /// To the thread that reads; it ends with this.
    to_reader: Mutex<Sender<Job>>,
    /// What each document has in its prompt. Held for one choice.
    chosen: Mutex<HashMap<DocumentId, Chosen>>,
    hasher: RandomState,
}

/// Held for one choice, or to put a file on it.
type Shelf = Vec<File>;

#[derive(Clone)]
struct File {
    path: PathBuf,
    /// What the model is told of its place.
    name: String,
    pieces: Pieces,
    /// When it was changed, if it was read from a disk.
    changed: Option<SystemTime>,
}

struct Chosen {
    /// Of the text behind the cursor.
    place: u64,
    /// How many files there were.
    files: usize,
    snippet: Option<Snippet>,
}

enum Job {
    /// A buffer as it is now, and the files beside it if it was just opened.
    Buffer { path: PathBuf, name: String, text: Rope, opened: bool },
    /// A file that is used: is it still the same, and may it still be read?
    Used(PathBuf),
    /// What may be read has changed.
    Clear,
    /// A test wants to know when all before this is done.
    #[cfg(test)]
    Tell(Sender<()>),
}

impl Neighbours {
    /// None yet. `roots`: folders of the workspace; outside of them only what the editor has open is read.
    pub(crate) fn new(privacy: Arc<Privacy>, roots: Vec<PathBuf>) -> Self {
        let shelf = Arc::<Mutex<Shelf>>::default();
        let (to_reader, jobs) = channel();
        let reader = Reader { privacy, roots, shelf: Arc::clone(&shelf) };
        std::thread::spawn(move || reader.run(&jobs));
        Neighbours {
            shelf,
            to_reader: Mutex::new(to_reader),
            chosen: Mutex::default(),
            hasher: RandomState::new(),
        }
    }

    /// A buffer of a file was opened.
    pub(crate) fn opened(&self, path: PathBuf, name: String, text: Rope) {
        self.tell(Job::Buffer { path, name, text, opened: true });
    }

    /// A buffer was saved, or the user has gone on to another one.
    pub(crate) fn left(&self, path: PathBuf, name: String, text: Rope) {
        self.tell(Job::Buffer { path, name, text, opened: false });
    }

    /// What may be read has changed.
    pub(crate) fn clear(&self) {
        lock(&self.chosen).clear();
        lock(&self.shelf).clear();
        self.tell(Job::Clear);
    }

    /// A document was closed. Its text may still be of use.
    pub(crate) fn closed(&self, document: DocumentId) {
        lock(&self.chosen).remove(&document);
    }

    /// The piece for a document's prompt. `behind`: what the prompt says of the text behind the cursor's line.
    pub(crate) fn snippet(
        &self,
        document: DocumentId,
        path: &Path,
        text: &Rope,
        cursor: usize,
        behind: &str,
    ) -> Option<Snippet> {
        let place = self.hasher.hash_one(behind);
        let mut chosen = lock(&self.chosen);
        let before = chosen.get(&document);
        let shelf = lock(&self.shelf);
        let files = shelf.len();
        // Where there is none, the first one is worth what it costs.
        let stays =
            |chosen: &&Chosen| chosen.place == place && (chosen.snippet.is_some() || chosen.files == files);
        if let Some(chosen) = before.filter(stays) {
            return chosen.snippet.clone();
        }
        let others =
            shelf.iter().filter(|file| file.path != path && file.path.extension() == path.extension());
        let named = others.clone().map(|file| (file.name.as_str(), &file.pieces));
        let before = before.and_then(|chosen| chosen.snippet.as_ref());
        let snippet = choose(named, &Words::around(text, cursor), before);
        let used = snippet.as_ref().and_then(|snippet| others.clone().find(|file| file.name == snippet.path));
        let used = used.map(|file| file.path.clone());
        drop(shelf);
        chosen.insert(document, Chosen { place, files, snippet: snippet.clone() });
        used.into_iter().for_each(|path| self.tell(Job::Used(path)));
        snippet
    }

    fn tell(&self, job: Job) {
        // The thread lives as long as this.
        let _ = lock(&self.to_reader).send(job);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads and cuts files.
struct Reader {
    privacy: Arc<Privacy>,
    roots: Vec<PathBuf>,
    shelf: Arc<Mutex<Shelf>>,
}

impl Reader {
    fn run(&self, jobs: &Receiver<Job>) {
        for job in jobs {
            match job {
                Job::Buffer { path, name, text, opened } => {
                    if opened {
                        self.read_folder(&path, &name);
                    }
                    if text.len_bytes() as u64 <= MAX_BYTES && self.privacy.may_read(&path) {
                        self.keep(File { path, name, pieces: Pieces::of(text), changed: None });
                    }
                }
                Job::Used(path) => self.look_again(&path),
                Job::Clear => lock(&self.shelf).clear(),
                #[cfg(test)]
                Job::Tell(done) => drop(done.send(())),
            }
        }
    }

    /// Reads files beside one of the workspace.
    fn read_folder(&self, path: &Path, name: &str) {
        let Some(folder) = path.parent().filter(|_| self.roots.iter().any(|root| path.starts_with(root)))
        else {
            return;
        };
        let entries = folder.read_dir().into_iter().flatten().flatten();
        let beside = entries.filter_map(|entry| {
            let other = entry.path();
            let metadata = entry.metadata().ok().filter(|data| data.is_file() && data.len() <= MAX_BYTES)?;
            let same_kind = other.extension() == path.extension() && other != path;
            same_kind.then_some((metadata.modified().ok()?, other))
        });
        let mut beside: Vec<(SystemTime, PathBuf)> = beside.collect();
        beside.sort_by(|a, b| b.cmp(a));
        let name_in_folder = name.rsplit_once('/').map_or("", |(folder, _)| folder);
        for (_, other) in beside.into_iter().take(SIBLINGS) {
            let known = lock(&self.shelf).iter().any(|file| file.path == other);
            let file_name = other.file_name().unwrap_or_default().to_string_lossy();
            let separator = if name_in_folder.is_empty() { "" } else { "/" };
            let name = format!("{name_in_folder}{separator}{file_name}");
            if !known && let Some(file) = self.read(other, name) {
                self.keep(file);
            }
        }
    }

    fn read(&self, path: PathBuf, name: String) -> Option<File> {
        if !self.privacy.may_read(&path) {
            return None;
        }
        let changed = path.metadata().ok()?.modified().ok()?;
        let text = Rope::from_str(&std::fs::read_to_string(&path).ok()?);
        Some(File { path, name, pieces: Pieces::of(text), changed: Some(changed) })
    }

    /// A file that was used goes when it may no longer be read, and is read again when its disk has another one. A buffer
    /// counts as it is.
    fn look_again(&self, path: &Path) {
        let found = lock(&self.shelf).iter().find(|file| file.path == path).cloned();
        let Some(file) = found else { return };
        let now = path.metadata().and_then(|metadata| metadata.modified()).ok();
        let same = file.changed.is_none() || file.changed == now;
        if !(same && self.privacy.may_read(path)) {
            lock(&self.shelf).retain(|file| file.path != path);
            self.read(file.path, file.name).into_iter().for_each(|file| self.keep(file));
        }
    }

    fn keep(&self, file: File) {
        let mut shelf = lock(&self.shelf);
        shelf.retain(|other| other.path != file.path);
        shelf.push(file);
        let too_many = shelf.len().saturating_sub(KEPT);
        shelf.drain(..too_many);
    }
}

#[cfg(test)]
mod tests;
