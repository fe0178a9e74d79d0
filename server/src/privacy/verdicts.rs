//! Verdicts on buffers, for a thread that must not wait for a disk: each is worked out aside, remembered, and looked at
//! again when it is used and no longer fresh. Until it is there, the buffer is not read.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tower_lsp::lsp_types::Url;

use super::{Excluded, FRESH, Privacy};

/// How long one question about a buffer waits for its verdict; no other one does. The look begins when the buffer is
/// opened, and a disk that is no trouble takes some microseconds for it.
const PATIENCE: Duration = Duration::from_millis(200);

/// What is known of the files that were asked about.
pub(crate) struct Verdicts {
    privacy: Arc<Privacy>,
    known: Arc<Known>,
    /// To the thread that looks; it ends with this.
    look: Mutex<Sender<PathBuf>>,
    patience: Duration,
    fresh: Duration,
}

type Files = HashMap<PathBuf, Verdict>;

#[derive(Default)]
struct Known {
    /// Held for a look-up, by the thread that looks for an insertion.
    files: Mutex<Files>,
    arrived: Condvar,
}

/// A file's verdict.
struct Verdict {
    /// `None` until the first look is done.
    excluded: Option<Option<Excluded>>,
    at: Instant,
    /// It is being looked at.
    asked: bool,
    /// A question has waited for it.
    waited: bool,
}

impl Verdicts {
    /// For a workspace with these folders.
    pub(crate) fn new(roots: Vec<PathBuf>) -> Self {
        let privacy = Arc::new(Privacy::new(roots));
        let looking = Arc::clone(&privacy);
        Verdicts::with(privacy, move |path| looking.refuse_path(path), PATIENCE, FRESH)
    }

    fn with(
        privacy: Arc<Privacy>,
        look: impl Fn(&Path) -> Option<Excluded> + Send + 'static,
        patience: Duration,
        fresh: Duration,
    ) -> Self {
        let (ask, asked) = channel::<PathBuf>();
        let known = Arc::<Known>::default();
        let tell = Arc::clone(&known);
        std::thread::spawn(move || {
            for path in asked {
                let excluded = Some(look(&path));
                let verdict = Verdict { excluded, at: Instant::now(), asked: false, waited: true };
                tell.files().insert(path, verdict);
                tell.arrived.notify_all();
            }
        });
        Verdicts { privacy, known, look: Mutex::new(ask), patience, fresh }
    }

    /// What looks, for other threads that may wait.
    pub(crate) fn privacy(&self) -> Arc<Privacy> {
        Arc::clone(&self.privacy)
    }

    /// Excludes what the settings' patterns name, and no longer what earlier ones did.
    pub(crate) fn disable(&self, globs: &[String]) {
        self.privacy.disable(globs);
    }

    /// Why a buffer is not completed, nor read into a prompt; `None` if it is.
    pub(crate) fn refuse(&self, uri: &Url) -> Option<Excluded> {
        let Ok(path) = uri.to_file_path() else {
            // Not a file of this machine, or none yet; its name may tell nevertheless.
            return self.privacy.refuse_name(Path::new(uri.path()));
        };
        self.privacy.refuse_name(&path).or_else(|| self.on_disk(&path))
    }

    /// A buffer was opened: it will be asked about.
    pub(crate) fn foresee(&self, uri: &Url) {
        if let Ok(path) = uri.to_file_path() {
            self.look(&mut self.known.files(), &path);
        }
    }

    /// A buffer was closed.
    pub(crate) fn forget(&self, uri: &Url) {
        if let Ok(path) = uri.to_file_path() {
            self.known.files().remove(&path);
        }
    }

    /// What ignore files say, and what the name leads to.
    fn on_disk(&self, path: &Path) -> Option<Excluded> {
        let mut files = self.known.files();
        let verdict = self.look(&mut files, path);
        if !std::mem::replace(&mut verdict.waited, true) {
            let unknown = |files: &mut Files| files.get(path).is_some_and(|v| v.excluded.is_none());
            let waited = self.known.arrived.wait_timeout_while(files, self.patience, unknown);
            files = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        let excluded = files.get(path).and_then(|verdict| verdict.excluded.clone());
        excluded.unwrap_or(Some(Excluded::Unknown))
    }

    /// A file's verdict as it is, which will be looked at if it is not there or no longer fresh.
    fn look<'a>(&self, files: &'a mut Files, path: &Path) -> &'a mut Verdict {
        let verdict = files.entry(path.to_owned()).or_insert_with(|| Verdict {
            excluded: None,
            at: Instant::now(),
            asked: false,
            waited: false,
        });
        if !verdict.asked && (verdict.excluded.is_none() || verdict.at.elapsed() >= self.fresh) {
            verdict.asked = true;
            // The thread lives as long as this.
            let _ = self.look.lock().unwrap_or_else(PoisonError::into_inner).send(path.to_owned());
        }
        verdict
    }
}

impl Known {
    fn files(&self) -> MutexGuard<'_, Files> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::Receiver;

    use super::*;

    /// Verdicts from a disk that answers when it is told what; and what it was asked.
    fn with_a_slow_disk(patience: Duration) -> (Verdicts, Sender<Option<Excluded>>, Receiver<PathBuf>) {
        let (answer, answers) = channel();
        let (ask, asked) = channel();
        let look = move |path: &Path| {
            ask.send(path.to_owned()).unwrap();
            answers.recv().unwrap()
        };
        let verdicts = Verdicts::with(Arc::new(Privacy::new(vec![])), look, patience, Duration::ZERO);
        (verdicts, answer, asked)
    }

    fn uri(path: &str) -> Url {
        Url::from_file_path(path).unwrap()
    }

    fn ignored() -> Excluded {
        Excluded::Ignored("/p/.cinnabarignore".into(), "a.py".into())
    }

    #[test]
    fn nothing_is_read_before_the_disk_has_answered_and_nobody_waits_twice() {
        let (mut verdicts, answer, asked) = with_a_slow_disk(Duration::from_millis(1));
        let a = uri("/p/a.py");
        verdicts.foresee(&a);
        assert_eq!(verdicts.refuse(&a), Some(Excluded::Unknown));
        // A second question that waited would not come back.
        verdicts.patience = Duration::from_secs(1_000_000);
        assert_eq!(verdicts.refuse(&a), Some(Excluded::Unknown));
        assert_eq!(asked.recv(), Ok("/p/a.py".into()));
        assert!(asked.try_recv().is_err(), "one look at a time");
        answer.send(None).unwrap();
        while verdicts.refuse(&a).is_some() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn what_was_known_holds_until_the_next_look_is_done() {
        let (verdicts, answer, asked) = with_a_slow_disk(Duration::from_secs(20));
        let a = uri("/p/a.py");
        answer.send(Some(ignored())).unwrap();
        assert_eq!(verdicts.refuse(&a), Some(ignored()), "the first question waits");
        assert_eq!(asked.recv(), Ok("/p/a.py".into()));
        // It is no longer fresh: a look begins, and the old one holds.
        assert_eq!(verdicts.refuse(&a), Some(ignored()));
        assert_eq!(asked.recv(), Ok("/p/a.py".into()));
        assert_eq!(verdicts.refuse(&a), Some(ignored()));
        answer.send(None).unwrap();
        while verdicts.refuse(&a).is_some() {
            std::thread::yield_now();
        }
        verdicts.forget(&a);
    }

    #[test]
    fn names_need_no_disk() {
        let (verdicts, _answer, asked) = with_a_slow_disk(Duration::from_secs(20));
        verdicts.disable(&["*.min.js".into()]);
        assert!(matches!(verdicts.refuse(&uri("/p/.env")), Some(Excluded::Secret(_))));
        assert!(matches!(verdicts.refuse(&uri("/p/a.min.js")), Some(Excluded::Disabled(_))));
        assert_eq!(verdicts.refuse(&"untitled:a.py".parse().unwrap()), None);
        assert!(asked.try_recv().is_err());
    }

    #[test]
    fn a_buffer_that_is_no_file_is_judged_by_its_name() {
        let verdicts = Verdicts::new(Vec::new());
        for (uri, expected) in [
            ("untitled:.env", true),
            ("vscode-vfs://github/a/b/.env", true),
            ("file:///nowhere/.env", true),
            ("untitled:Untitled-1", false),
            ("vscode-notebook-cell:/a/b.ipynb#x", false),
            ("file:///nowhere/a.py", false),
        ] {
            assert_eq!(verdicts.refuse(&uri.parse().unwrap()).is_some(), expected, "{uri}");
        }
    }
}
