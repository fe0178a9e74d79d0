//! `textDocument/didChange`

use std::time::Instant;

use tower_lsp::lsp_types::DidChangeTextDocumentParams;

use crate::scheduler;
use crate::state::State;

/// Applies edits to the mirror. A request that they make pointless is answered here and now.
pub(crate) fn did_change(state: &State, params: DidChangeTextDocumentParams) {
    let Some(agreed) = state.agreed() else { return };
    let started = Instant::now();
    let document = params.text_document;
    let edited = state.documents.edit(&document.uri, |mirror| {
        let end_of_edit = mirror.apply(document.version, &params.content_changes, agreed.encoding);
        (end_of_edit, mirror.slot.holds_all_that_was_shown().then(|| mirror.id()))
    });
    match edited {
        Some((end_of_edit, complete)) => {
            if let Some(document) = complete {
                state.offers().in_text(document);
            }
            scheduler::prepare(state, &document.uri, end_of_edit);
        }
        None => tracing::warn!(uri = %document.uri, "a change of a document that is not open"),
    }
    let ms = started.elapsed().as_secs_f64() * 1e3;
    tracing::debug!(ms, version = document.version, "applied");
}
