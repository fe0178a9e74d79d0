//! `textDocument/didSave`

use tower_lsp::lsp_types::DidSaveTextDocumentParams;

use crate::state::State;

/// Compares the mirror with the text that was saved. A difference is a bug, the client's or ours; every
/// suggestion would be wrong until the buffer is closed, so the saved text is taken.
pub(crate) fn did_save(state: &State, params: DidSaveTextDocumentParams) {
    let (uri, Some(text)) = (params.text_document.uri, params.text) else { return };
    if state.documents.edit(&uri, |mirror| mirror.heal(&text)) == Some(true) {
        tracing::warn!(%uri, "the mirror differed from the saved text");
    }
    state.has_now(&uri);
}
