//! What the server knows: the open buffers, what was agreed with the client, and the engine.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use cinnabar_engine::{DocumentId, Engine, Load};
use tower_lsp::lsp_types::Url;

use crate::client::Client;
use crate::documents::Documents;
use crate::engine_status::EngineStatus;
use crate::offers::Offers;
use crate::position::Encoding;
use crate::privacy::Privacy;
use crate::reuse::answers::Answers;
use crate::scheduler::Placed;
use crate::settings::{Overrides, Problems, Settings};
use crate::stats::tally::Tally;
use crate::suggestion::Reason;

/// Chooses what the engine loads, once the settings are known.
pub type MakeLoad = Box<dyn FnOnce(&Settings) -> Load + Send>;

/// For the last counts, which a slow disk may take.
const LAST_COUNTS: Duration = Duration::from_millis(200);

/// Shared by all handlers. Each part has its own protection and nobody holds two at a time.
pub struct State {
    /// The open buffers.
    pub(crate) documents: Documents,
    /// The way to the client.
    pub(crate) client: Client,
    /// What the user sees of the engine.
    pub(crate) status: Arc<EngineStatus>,
    /// The engine's last answers.
    answers: Mutex<Answers>,
    /// What was suggested, until it is known what became of it.
    offers: Mutex<Offers>,
    /// Where that is counted.
    tally: Tally,
    /// Settings given on the command line; they win over the client's.
    pub(crate) overrides: Overrides,
    /// Taken by `initialize`.
    make_load: Mutex<Option<MakeLoad>>,
    /// Written once, by `initialize`.
    agreed: OnceLock<Agreed>,
}

/// What `initialize` settled.
pub(crate) struct Agreed {
    pub(crate) encoding: Encoding,
    pub(crate) settings: Settings,
    /// What was wrong with the client's settings, until `initialized` has told it.
    pub(crate) problems: Problems,
    /// Folders that paths in prompts are relative to.
    pub(crate) roots: Vec<PathBuf>,
    /// What may be read.
    pub(crate) privacy: Privacy,
    pub(crate) engine: Engine,
}

impl State {
    /// A server before `initialize`.
    pub(crate) fn new(client: Client, overrides: Overrides, tally: Tally, make_load: MakeLoad) -> Self {
        State {
            documents: Documents::default(),
            status: Arc::new(EngineStatus::new(client.clone())),
            client,
            answers: Mutex::new(Answers::new()),
            offers: Mutex::new(Offers::new()),
            tally,
            overrides,
            make_load: Mutex::new(Some(make_load)),
            agreed: OnceLock::new(),
        }
    }

    /// The engine's last answers.
    pub(crate) fn answers(&self) -> MutexGuard<'_, Answers> {
        self.answers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was suggested, until it is known what became of it.
    pub(crate) fn offers(&self) -> MutexGuard<'_, Offers> {
        self.offers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Offers a suggestion to the editor, which tells by the id what becomes of it.
    pub(crate) fn offer(&self, placed: &Placed) -> String {
        let (id, settled) = self.offers().offer(placed);
        settled.into_iter().for_each(|settled| self.tally.count(settled));
        id
    }

    /// The user accepted a suggestion.
    pub(crate) fn accepted(&self, id: &str) {
        match self.offers().accepted(id) {
            Some(settled) => self.tally.count(settled),
            None => tracing::debug!(id, "accepted: no open suggestion"),
        }
    }

    /// A document is closed.
    pub(crate) fn closed(&self, document: DocumentId) {
        self.offers().close(document).into_iter().for_each(|settled| self.tally.count(settled));
    }

    /// The editor has left: what it was offered is counted, if that does not take long.
    pub(crate) fn left(&self) {
        self.offers().close_all().into_iter().for_each(|settled| self.tally.count(settled));
        self.tally.flush(LAST_COUNTS);
    }

    /// What `initialize` settled; `None` before it.
    pub(crate) fn agreed(&self) -> Option<&Agreed> {
        self.agreed.get()
    }

    /// Starts the engine and keeps what was agreed. Only the first call has an effect.
    pub(crate) fn agree(
        &self,
        encoding: Encoding,
        settings: Settings,
        problems: Problems,
        roots: Vec<PathBuf>,
    ) {
        let make_load = self.make_load.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(make_load) = make_load else { return };
        let status = Arc::clone(&self.status);
        let engine = Engine::start(make_load(&settings), move |now| status.changed(now));
        // Only who took `make_load` comes here.
        let privacy = Privacy::new(roots.clone());
        let _ = self.agreed.set(Agreed { encoding, settings, problems, roots, privacy, engine });
    }
}

impl Agreed {
    /// Why a buffer is neither completed nor read into a prompt; `None` if it may be.
    pub(crate) fn refuse(&self, uri: &Url) -> Option<Reason> {
        let excluded = self.privacy.refuse(uri)?;
        tracing::debug!(%uri, %excluded, "not read");
        Some(Reason::Excluded)
    }

    /// A buffer's path for the prompt: relative to the innermost folder of the workspace, the bare name outside
    /// of all, nothing for a buffer that is no file.
    pub(crate) fn relative_path(&self, uri: &Url) -> Option<String> {
        let path = uri.to_file_path().ok()?;
        let inside = self.roots.iter().filter_map(|root| path.strip_prefix(root).ok());
        let relative = inside.min_by_key(|path| path.components().count());
        let relative = relative.or_else(|| path.file_name().map(AsRef::as_ref))?;
        let parts: Vec<_> = relative.components().map(|part| part.as_os_str().to_string_lossy()).collect();
        Some(parts.join("/"))
    }
}
