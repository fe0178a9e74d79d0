//! `textDocument/inlineCompletion`

use crate::protocol::{INLINE_COMPLETION, InlineCompletionList, InlineCompletionParams};
use crate::scheduler::{self, Asked, Placed};
use crate::state::State;
use crate::suggestion::Reason;
use crate::to_lsp;

/// Asks the engine.
pub(crate) fn ask(state: &State, params: &InlineCompletionParams) -> Result<Asked, Reason> {
    scheduler::ask(state, INLINE_COMPLETION, &params.text_document.uri, params.position)
}

/// The reply. Neovim keeps what it shows on `null` and clears it on an empty list, so only a request that another
/// one took the place of gets `null`: the newer one decides what is shown.
pub(crate) fn reply(state: &State, answer: Result<Placed, Reason>) -> Option<InlineCompletionList> {
    let encoding = state.agreed()?.encoding;
    match answer {
        Ok(placed) => Some(InlineCompletionList { items: vec![to_lsp::inline_item(&placed, encoding)] }),
        Err(Reason::Superseded) => None,
        Err(_) => Some(InlineCompletionList::default()),
    }
}
