//! `textDocument/didOpen`

use tower_lsp::lsp_types::DidOpenTextDocumentParams;

use crate::state::State;

/// Mirrors a buffer from now on.
pub(crate) fn did_open(state: &State, params: DidOpenTextDocumentParams) {
    let document = params.text_document;
    state.documents.open(document.uri, document.language_id, document.version, &document.text);
}
