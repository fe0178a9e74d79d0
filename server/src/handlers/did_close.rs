//! `textDocument/didClose`

use tower_lsp::lsp_types::DidCloseTextDocumentParams;

use crate::state::State;

/// Forgets a buffer; its request is answered with nothing.
pub(crate) fn did_close(state: &State, params: DidCloseTextDocumentParams) {
    let uri = params.text_document.uri;
    if let Some(agreed) = state.agreed() {
        agreed.privacy.forget(&uri);
    }
    match state.documents.close(&uri) {
        Some(document) => state.closed(document),
        None => tracing::warn!(%uri, "closed a document that is not open"),
    }
}
