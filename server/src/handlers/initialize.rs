//! `initialize`

use std::path::PathBuf;

use tower_lsp::lsp_types::{
    CompletionOptions, ExecuteCommandOptions, InitializeParams, InitializeResult, SaveOptions,
    ServerCapabilities, ServerInfo, TextDocumentSyncCapability, TextDocumentSyncKind,
    TextDocumentSyncOptions, TextDocumentSyncSaveOptions,
};

use crate::position::Encoding;
use crate::protocol::DID_ACCEPT;
use crate::settings::{Source, watch::Files};
use crate::state::{State, heed};

/// Characters after which Helix asks for a completion. Others ask while a word is being typed; they would open
/// their menu after each of these.
const HELIX_TRIGGERS: [&str; 12] = [" ", ".", "(", ",", "=", ":", "[", "{", ">", "-", "\"", "'"];

/// Settles what both sides do and starts the engine. `ghost_text`: the client shows inline completions.
pub(crate) fn initialize(state: &State, params: InitializeParams, ghost_text: bool) -> InitializeResult {
    let roots = roots(&params);
    let files = Files::now(state.setup.paths(&roots));
    let (mut layers, mut problems) = state.setup.layers(&roots);
    let given = params.initialization_options;
    problems.push((Source::Initialization, layers.set(Source::Initialization, given)));
    let told = problems.iter().filter_map(|(source, problems)| heed(*source, problems)).collect();
    let offered =
        params.capabilities.general.as_ref().and_then(|general| general.position_encodings.as_deref());
    let encoding = Encoding::negotiate(offered.unwrap_or_default());
    let client = params.client_info.as_ref().map_or("", |info| info.name.as_str());
    tracing::info!(client, ?encoding, ghost_text, "initialize");
    let capabilities = capabilities(encoding, ghost_text, client.eq_ignore_ascii_case("helix"));
    state.agree(encoding, (layers, files), told, roots);
    InitializeResult {
        capabilities,
        server_info: Some(ServerInfo {
            name: "cinnabar".into(),
            version: Some(env!("CARGO_PKG_VERSION").into()),
        }),
    }
}

/// Inline completion is added to these where messages are routed: the protocol's types do not know it yet.
fn capabilities(encoding: Encoding, ghost_text: bool, helix: bool) -> ServerCapabilities {
    let sync = TextDocumentSyncOptions {
        open_close: Some(true),
        change: Some(TextDocumentSyncKind::INCREMENTAL),
        save: Some(TextDocumentSyncSaveOptions::SaveOptions(SaveOptions { include_text: Some(true) })),
        ..TextDocumentSyncOptions::default()
    };
    // An editor that shows ghost text would show the same suggestion twice.
    let completion = (!ghost_text).then(|| CompletionOptions {
        trigger_characters: helix.then(|| HELIX_TRIGGERS.map(String::from).into()),
        ..CompletionOptions::default()
    });
    ServerCapabilities {
        position_encoding: Some(encoding.kind()),
        text_document_sync: Some(TextDocumentSyncCapability::Options(sync)),
        completion_provider: completion,
        execute_command_provider: Some(ExecuteCommandOptions {
            commands: vec![DID_ACCEPT.into()],
            ..ExecuteCommandOptions::default()
        }),
        ..ServerCapabilities::default()
    }
}

fn roots(params: &InitializeParams) -> Vec<PathBuf> {
    let folders = params.workspace_folders.iter().flatten().map(|folder| &folder.uri);
    // Older clients send nothing but the root.
    folders.chain(params.root_uri.iter()).filter_map(|uri| uri.to_file_path().ok()).collect()
}
