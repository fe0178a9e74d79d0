//! `textDocument/didOpen`

use ropey::Rope;
use tower_lsp::lsp_types::DidOpenTextDocumentParams;

use crate::state::State;

/// Mirrors a buffer from now on.
pub(crate) fn did_open(state: &State, params: DidOpenTextDocumentParams) {
    let document = params.text_document;
    if let Some(agreed) = state.agreed() {
        agreed.privacy.foresee(&document.uri);
        if let Some((path, name)) = agreed.file(&document.uri) {
            agreed.neighbours.opened(path, name, Rope::from_str(&document.text));
        }
    }
    state.documents.open(document.uri, document.language_id, document.version, &document.text);
}
