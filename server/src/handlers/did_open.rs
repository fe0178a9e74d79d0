//! `textDocument/didOpen`

use tower_lsp::lsp_types::DidOpenTextDocumentParams;

use crate::state::State;

/// Mirrors a buffer from now on.
pub(crate) fn did_open(state: &State, params: DidOpenTextDocumentParams) {
    let document = params.text_document;
    if let Some(agreed) = state.agreed() {
        agreed.privacy.foresee(&document.uri);
    }
    let uri = document.uri.clone();
    state.documents.open(document.uri, document.language_id, document.version, &document.text);
    state.opened(&uri);
}
