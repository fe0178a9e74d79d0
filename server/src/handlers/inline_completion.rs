//! `textDocument/inlineCompletion`

use crate::protocol::{AUTOMATIC, INLINE_COMPLETION, InlineCompletionList, InlineCompletionParams};
use crate::scheduler::{self, Answer, Asked, Question};
use crate::state::State;
use crate::suggestion::Reason;
use crate::to_lsp;
use crate::trigger::Trigger;

/// Asks.
pub(crate) fn ask(state: &State, params: &InlineCompletionParams) -> Asked {
    // Who does not say is answered.
    let trigger =
        if params.context.trigger_kind == AUTOMATIC { Trigger::Automatic } else { Trigger::Invoked };
    let question = Question {
        method: INLINE_COMPLETION,
        uri: &params.text_document.uri,
        position: params.position,
        trigger,
        selected: params.context.selected_completion_info.as_ref(),
    };
    scheduler::ask(state, &question)
}

/// The reply. Neovim keeps what it shows on `null` and clears it on an empty list, so only a request that another
/// one took the place of gets `null`: the newer one decides what is shown.
pub(crate) fn reply(state: &State, answer: Answer) -> Option<InlineCompletionList> {
    let encoding = state.agreed()?.encoding;
    match answer {
        Ok(placed) => {
            let id = state.offer(&placed);
            Some(InlineCompletionList { items: vec![to_lsp::inline_item(&placed, id, encoding)] })
        }
        Err(Reason::Superseded) => None,
        Err(_) => Some(InlineCompletionList::default()),
    }
}
