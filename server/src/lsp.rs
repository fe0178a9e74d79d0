//! The language server: routes the protocol's methods to handlers and awaits the replies.
//!
//! Asynchronous code lives here and in the transport, nowhere else. A method's state changes happen before its
//! first await; the only thing awaited is the engine's answer.

use std::future::Future;
use std::pin::Pin;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll};

use cinnabar_engine::Completion;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::sync::mpsc::UnboundedReceiver;
use tower_lsp::jsonrpc::{Request, Response, Result};
use tower_lsp::lsp_types::{
    CompletionParams, CompletionResponse, DidChangeConfigurationParams, DidChangeTextDocumentParams,
    DidCloseTextDocumentParams, DidOpenTextDocumentParams, DidSaveTextDocumentParams, ExecuteCommandParams,
    InitializeParams, InitializeResult, InitializedParams,
};
use tower_lsp::{ExitedError, LanguageServer, LspService};
use tower_service::Service;

use crate::client::{Client, Outgoing};
use crate::handlers;
use crate::parent;
use crate::protocol::{
    DID_PARTIALLY_ACCEPT, DID_SHOW, DidPartiallyAcceptParams, DidShowParams, INLINE_COMPLETION,
    InlineCompletionList, InlineCompletionParams,
};
use crate::scheduler::{self, Answer, Asked, Submitted};
use crate::settings::sources::Setup;
use crate::state::{MakeLoad, State};
use crate::suggestion::Reason;
use crate::transport::{self, Ended};

/// Serves the editor on standard input and output, until it leaves. `make_load`
/// says what the engine loads, once the settings are known.
///
/// Exit codes: 0 after `shutdown` and `exit`; 1 after `exit` alone, the end of input, or the editor's death.
pub fn run(setup: Setup, make_load: MakeLoad) -> ExitCode {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            tracing::error!(%error, "cannot start");
            return ExitCode::FAILURE;
        }
    };
    let mut server = Server::new(setup, make_load);
    let ended = runtime.block_on(server.serve(tokio::io::stdin(), tokio::io::stdout()));
    tracing::info!(?ended, "end");
    // The engine may be loading or in the middle of a step, standard input may be waiting for the editor: the
    // process ends without them.
    std::mem::forget(server);
    runtime.shutdown_background();
    if ended == (Ended::Exit { in_order: true }) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A language server for one client. Dropping it ends the engine.
pub struct Server {
    state: Arc<State>,
    outbox: Option<UnboundedReceiver<Outgoing>>,
}

impl Server {
    /// A server that has not spoken to anyone yet.
    pub fn new(setup: Setup, make_load: MakeLoad) -> Self {
        let (client, outbox) = Client::new();
        Server { state: Arc::new(State::new(client, setup, make_load)), outbox: Some(outbox) }
    }

    /// Serves a client until it leaves. A second call ends at once.
    pub async fn serve(
        &mut self,
        input: impl AsyncRead + Unpin,
        output: impl AsyncWrite + Unpin + Send + 'static,
    ) -> Ended {
        let Some(outbox) = self.outbox.take() else { return Ended::EndOfInput };
        let peculiar = Arc::new(Peculiar::default());
        let methods = Methods { state: Arc::clone(&self.state), peculiar: Arc::clone(&peculiar) };
        let (service, _) = LspService::build(|_| methods)
            .custom_method(INLINE_COMPLETION, Methods::inline_completion)
            .custom_method(DID_SHOW, Methods::did_show)
            .custom_method(DID_PARTIALLY_ACCEPT, Methods::did_partially_accept)
            .finish();
        let service = Layer { inner: service, peculiar: Arc::clone(&peculiar) };
        let client = self.state.client.clone();
        let ended = transport::serve(input, output, service, client, outbox, peculiar.parent_gone()).await;
        self.state.left();
        ended
    }
}

/// What the protocol's types of tower-lsp lose of `initialize`.
#[derive(Default)]
struct Peculiar {
    /// The client shows inline completions.
    ghost_text: AtomicBool,
    /// The client shows progress.
    progress: AtomicBool,
    /// The client can be asked for its settings.
    settings: AtomicBool,
    /// The process whose end ends the server; 0 if there is none.
    parent: AtomicU32,
    /// `parent` is set.
    initialized: Notify,
}

impl Peculiar {
    fn read(&self, params: &Value) {
        let capabilities = &params["capabilities"];
        self.ghost_text
            .store(capabilities["textDocument"]["inlineCompletion"].is_object(), Ordering::Relaxed);
        let progress = capabilities["window"]["workDoneProgress"].as_bool();
        self.progress.store(progress.unwrap_or(false), Ordering::Relaxed);
        let settings = capabilities["workspace"]["configuration"].as_bool();
        self.settings.store(settings.unwrap_or(false), Ordering::Relaxed);
        let parent = params["processId"].as_u64().and_then(|id| u32::try_from(id).ok());
        self.parent.store(parent.unwrap_or(0), Ordering::Relaxed);
        self.initialized.notify_one();
    }

    async fn parent_gone(&self) {
        self.initialized.notified().await;
        match self.parent.load(Ordering::Relaxed) {
            0 => std::future::pending().await,
            parent => parent::gone(parent).await,
        }
    }
}

/// Around tower-lsp's router: reads what its types do not know and adds the capability that they do not have.
struct Layer {
    inner: LspService<Methods>,
    peculiar: Arc<Peculiar>,
}

impl Service<Request> for Layer {
    type Response = Option<Response>;
    type Error = ExitedError;
    type Future = Pin<Box<dyn Future<Output = std::result::Result<Option<Response>, ExitedError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<std::result::Result<(), ExitedError>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if request.method() != "initialize" {
            return self.inner.call(request);
        }
        if let Some(params) = request.params() {
            self.peculiar.read(params);
        }
        let answer = self.inner.call(request);
        Box::pin(async move {
            let (id, result) = match answer.await? {
                Some(response) => response.into_parts(),
                None => return Ok(None),
            };
            let result = result.map(|mut result| {
                result["capabilities"]["inlineCompletionProvider"] = json!(true);
                result
            });
            Ok(Some(Response::from_parts(id, result)))
        })
    }
}

struct Methods {
    state: Arc<State>,
    peculiar: Arc<Peculiar>,
}

impl Methods {
    async fn inline_completion(
        &self,
        params: InlineCompletionParams,
    ) -> Result<Option<InlineCompletionList>> {
        let asked = handlers::inline_completion::ask(&self.state, &params);
        let answer = self.answer(asked).await;
        Ok(handlers::inline_completion::reply(&self.state, answer))
    }

    async fn did_show(&self, params: DidShowParams) {
        handlers::did_show_completion::did_show(&self.state, &params);
    }

    async fn did_partially_accept(&self, params: DidPartiallyAcceptParams) {
        handlers::did_partially_accept_completion::did_partially_accept(&self.state, &params);
    }

    async fn answer(&self, asked: Asked) -> Answer {
        let Submitted { ticket, put_out, deadline, pending } = match asked {
            Asked::Answered(answer) => return answer,
            Asked::Submitted(submitted) => *submitted,
        };
        // Dropping the ticket, here or because the client cancelled, makes the engine stop at its next step.
        let outcome: std::result::Result<Completion, Reason> = tokio::select! {
            biased;
            told = put_out => Err(told.unwrap_or(Reason::Closed)),
            answer = ticket.into_future() => answer.map_err(|error| scheduler::reason(&error)),
            () = tokio::time::sleep_until(deadline.into()) => Err(Reason::Deadline),
        };
        scheduler::finish(&self.state, pending, outcome)
    }
}

#[tower_lsp::async_trait]
impl LanguageServer for Methods {
    async fn initialize(&self, params: InitializeParams) -> Result<InitializeResult> {
        let ghost_text = self.peculiar.ghost_text.load(Ordering::Relaxed);
        Ok(handlers::initialize::initialize(&self.state, params, ghost_text))
    }

    async fn initialized(&self, _: InitializedParams) {
        let Peculiar { progress, settings, .. } = &*self.peculiar;
        let [progress, settings] = [progress, settings].map(|flag| flag.load(Ordering::Relaxed));
        handlers::initialized::initialized(&self.state, progress, settings);
    }

    async fn shutdown(&self) -> Result<()> {
        Ok(())
    }

    async fn did_change_configuration(&self, params: DidChangeConfigurationParams) {
        handlers::did_change_configuration::did_change_configuration(&self.state, params);
    }

    async fn did_open(&self, params: DidOpenTextDocumentParams) {
        handlers::did_open::did_open(&self.state, params);
    }

    async fn did_change(&self, params: DidChangeTextDocumentParams) {
        handlers::did_change::did_change(&self.state, params);
    }

    async fn did_save(&self, params: DidSaveTextDocumentParams) {
        handlers::did_save::did_save(&self.state, params);
    }

    async fn did_close(&self, params: DidCloseTextDocumentParams) {
        handlers::did_close::did_close(&self.state, params);
    }

    async fn execute_command(&self, params: ExecuteCommandParams) -> Result<Option<Value>> {
        handlers::execute_command::execute_command(&self.state, &params)
    }

    async fn completion(&self, params: CompletionParams) -> Result<Option<CompletionResponse>> {
        let asked = handlers::completion::ask(&self.state, &params);
        let answer = self.answer(asked).await;
        Ok(handlers::completion::reply(&self.state, answer))
    }
}
