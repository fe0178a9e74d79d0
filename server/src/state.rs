//! What the server knows: the open buffers, what was agreed with the client, and the engine.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock};
use std::time::Duration;

use cinnabar_engine::{DocumentId, Engine, Load, Prompt};
use ropey::Rope;
use serde_json::Value;
use tower_lsp::lsp_types::{MessageType, Url};

use crate::client::Client;
use crate::document::Snapshot;
use crate::documents::Documents;
use crate::engine_status::EngineStatus;
use crate::neighbours::Neighbours;
use crate::offers::Offers;
use crate::position::Encoding;
use crate::privacy::verdicts::Verdicts;
use crate::prompt;
use crate::reuse::answers::{self, Answers};
use crate::scheduler::Placed;
use crate::settings::sources::Setup;
use crate::settings::watch::{Files, Following};
use crate::settings::{self, Layers, Problems, Settings, Source};
use crate::site::Site;
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
    pub(crate) answers: Arc<Mutex<Answers>>,
    /// What was suggested, until it is known what became of it.
    offers: Mutex<Offers>,
    /// Where the user asked last.
    current: Mutex<Option<Url>>,
    /// Where that is counted.
    tally: Tally,
    /// What the user and the machine say.
    pub(crate) setup: Setup,
    /// What each source of settings says.
    layers: Mutex<Layers>,
    /// Tells when a file of theirs changes.
    following: OnceLock<Following>,
    /// Taken by `initialize`.
    make_load: Mutex<Option<MakeLoad>>,
    /// Written once, by `initialize`.
    agreed: OnceLock<Agreed>,
}

/// What `initialize` settled.
pub(crate) struct Agreed {
    pub(crate) encoding: Encoding,
    /// Replaced as a whole, see [`State::configure`].
    settings: RwLock<Arc<Settings>>,
    /// The files that they were read from.
    pub(crate) files: Files,
    /// Those that the engine was started with.
    started_with: Settings,
    /// What was wrong with the settings, told by `initialized`.
    pub(crate) problems: Vec<String>,
    /// Folders that paths in prompts are relative to.
    pub(crate) roots: Vec<PathBuf>,
    /// What may be read.
    pub(crate) privacy: Verdicts,
    /// What other files say.
    pub(crate) neighbours: Neighbours,
    pub(crate) engine: Engine,
}

impl State {
    /// A server before `initialize`.
    pub(crate) fn new(client: Client, setup: Setup, make_load: MakeLoad) -> Self {
        State {
            documents: Documents::default(),
            status: Arc::new(EngineStatus::new(client.clone())),
            client,
            answers: Arc::default(),
            offers: Mutex::new(Offers::new()),
            current: Mutex::default(),
            tally: Tally::new(setup.counts.clone()),
            setup,
            layers: Mutex::default(),
            following: OnceLock::new(),
            make_load: Mutex::new(Some(make_load)),
            agreed: OnceLock::new(),
        }
    }

    /// The engine's last answers.
    pub(crate) fn answers(&self) -> MutexGuard<'_, Answers> {
        answers::lock(&self.answers)
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

    /// The user types in this document now: the one before is done for the moment, and may help here.
    pub(crate) fn goes_on_in(&self, uri: &Url) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let before = (current.as_ref() != Some(uri)).then(|| current.replace(uri.clone())).flatten();
        drop(current);
        before.into_iter().for_each(|before| self.has_now(&before));
    }

    /// A buffer was opened: what it says, and the files beside it, may help in others.
    pub(crate) fn opened(&self, uri: &Url) {
        self.may_help(uri, Neighbours::opened);
    }

    /// What a buffer says now may help in others.
    pub(crate) fn has_now(&self, uri: &Url) {
        self.may_help(uri, Neighbours::left);
    }

    /// Who does not want other files in prompts has none read.
    fn may_help(&self, uri: &Url, tell: fn(&Neighbours, PathBuf, String, Rope)) {
        if let Some(agreed) = self.agreed().filter(|agreed| agreed.settings().other_files)
            && let Some((path, name)) = agreed.file(uri)
            && let Some(text) = self.documents.edit(uri, |document| document.text().clone())
        {
            tell(&agreed.neighbours, path, name, text);
        }
    }

    /// A document is closed.
    pub(crate) fn closed(&self, document: DocumentId) {
        self.agreed().into_iter().for_each(|agreed| agreed.neighbours.closed(document));
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
        (layers, files): (Layers, Files),
        problems: Vec<String>,
        roots: Vec<PathBuf>,
    ) {
        let make_load = self.make_load.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(make_load) = make_load else { return };
        let settings = layers.resolve();
        tracing::info!(?settings, "settings");
        *self.layers.lock().unwrap_or_else(PoisonError::into_inner) = layers;
        let status = Arc::clone(&self.status);
        let engine = Engine::start(make_load(&settings), move |now| status.changed(now));
        // Only who took `make_load` comes here.
        let privacy = Verdicts::new(roots.clone());
        privacy.disable(&settings.disabled_globs);
        let (started_with, settings) = (settings.clone(), RwLock::new(Arc::new(settings)));
        let neighbours = Neighbours::new(privacy.privacy(), roots.clone());
        let _ = self.agreed.set(Agreed {
            encoding,
            settings,
            files,
            started_with,
            problems,
            roots,
            privacy,
            neighbours,
            engine,
        });
    }

    /// Follows the files of settings as long as the server is there.
    pub(crate) fn follow(&self, following: Option<Following>) {
        if let Some(following) = following {
            // A client that says twice that it is initialized has the first.
            let _ = self.following.set(following);
        }
    }

    /// Takes what the client says of its settings now.
    pub(crate) fn configured_by_client(&self, given: Value) {
        let source = Source::Configuration;
        self.configure(|layers| vec![(source, layers.set(source, Some(given)))]);
    }

    /// Takes what the files of settings say now.
    pub(crate) fn configured_by_files(&self) {
        let Some(agreed) = self.agreed() else { return };
        let files = self.setup.files(&agreed.roots);
        self.configure(|layers| files.map(|(source, read)| (source, read.set(source, layers))).into());
    }

    /// Changes layers of the settings. What can change at once does; of the rest, the user is told.
    fn configure(&self, change: impl FnOnce(&mut Layers) -> Vec<(Source, Problems)>) {
        let Some(agreed) = self.agreed() else { return };
        let (problems, settings) = {
            let mut layers = self.layers.lock().unwrap_or_else(PoisonError::into_inner);
            (change(&mut layers), layers.resolve())
        };
        for message in problems.iter().filter_map(|(source, problems)| heed(*source, problems)) {
            self.client.show(MessageType::WARNING, message);
        }
        if settings == *agreed.settings() {
            return;
        }
        tracing::info!(?settings, "settings");
        let late = settings::need_restart(&agreed.started_with, &settings);
        if !late.is_empty() {
            let message =
                format!("Cinnabar: {} will be used when the server is started again", late.join(", "));
            self.client.show(MessageType::INFO, message);
        }
        agreed.privacy.disable(&settings.disabled_globs);
        agreed.neighbours.clear();
        *agreed.settings.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
        // They were given under the old ones.
        *self.answers() = Answers::default();
    }
}

/// Logs what was wrong with a source of settings; what the user should hear of it.
pub(crate) fn heed(source: Source, problems: &Problems) -> Option<String> {
    for name in &problems.unknown {
        // Editors have settings of their own under our name.
        tracing::debug!(%source, name, "unknown setting");
    }
    problems.message(source).inspect(|message| tracing::warn!("{message}"))
}

impl Agreed {
    /// The settings as they are now.
    pub(crate) fn settings(&self) -> Arc<Settings> {
        Arc::clone(&self.settings.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Why a buffer is neither completed nor read into a prompt; `None` if it may be.
    pub(crate) fn refuse(&self, uri: &Url, language: &str) -> Option<Reason> {
        if !self.settings().suggests_in(language) {
            return Some(Reason::SwitchedOff);
        }
        let excluded = self.privacy.refuse(uri)?;
        tracing::debug!(%uri, %excluded, "not read");
        Some(Reason::Excluded)
    }

    /// A file's path and what it is called in prompts; `None` for a buffer that is no file.
    pub(crate) fn file(&self, uri: &Url) -> Option<(PathBuf, String)> {
        Some((uri.to_file_path().ok()?, self.relative_path(uri)?))
    }

    /// What the engine sees at a site of a document.
    pub(crate) fn prompt(&self, uri: &Url, snapshot: &Snapshot, site: &Site) -> Prompt {
        let (text, file) = (&snapshot.text, self.file(uri));
        let name = file.as_ref().map(|(_, name)| name.clone());
        let mut prompt = prompt::prompt(text, site, name);
        if let Some((path, _)) = file.filter(|_| self.settings().other_files) {
            let behind = prompt.suffix.find('\n').map_or("", |at| &prompt.suffix[at..]);
            let snippet = self.neighbours.snippet(snapshot.document, &path, text, site.offset, behind);
            prompt.snippets.extend(snippet);
        }
        prompt
    }

    /// A buffer's path for the prompt: relative to the innermost folder of the workspace, the bare name outside
    /// of all, nothing for a buffer that is no file.
    fn relative_path(&self, uri: &Url) -> Option<String> {
        let path = uri.to_file_path().ok()?;
        let inside = self.roots.iter().filter_map(|root| path.strip_prefix(root).ok());
        let relative = inside.min_by_key(|path| path.components().count());
        let relative = relative.or_else(|| path.file_name().map(AsRef::as_ref))?;
        let parts: Vec<_> = relative.components().map(|part| part.as_os_str().to_string_lossy()).collect();
        Some(parts.join("/"))
    }
}
