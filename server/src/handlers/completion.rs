//! `textDocument/completion`, for editors that show no ghost text.

use tower_lsp::lsp_types::{CompletionList, CompletionParams, CompletionResponse};

use crate::scheduler::{self, Asked, Placed};
use crate::state::State;
use crate::suggestion::Reason;
use crate::to_lsp;

/// Asks the engine.
pub(crate) fn ask(state: &State, params: &CompletionParams) -> Result<Asked, Reason> {
    let at = &params.text_document_position;
    scheduler::ask(state, "textDocument/completion", &at.text_document.uri, at.position)
}

/// The reply: one entry or none, to be asked for again as the user types.
pub(crate) fn reply(state: &State, answer: Result<Placed, Reason>) -> Option<CompletionResponse> {
    let encoding = state.agreed()?.encoding;
    let items = match answer {
        Ok(placed) => vec![to_lsp::menu_item(&placed, encoding)],
        Err(Reason::Superseded) => return None,
        Err(_) => Vec::new(),
    };
    Some(CompletionResponse::List(CompletionList { is_incomplete: true, items }))
}
