//! `textDocument/completion`, for editors that show no ghost text.

use tower_lsp::lsp_types::{CompletionList, CompletionParams, CompletionResponse, CompletionTriggerKind};

use crate::scheduler::{self, Answer, Asked, Question};
use crate::state::State;
use crate::suggestion::Reason;
use crate::to_lsp;
use crate::trigger::Trigger;

/// Asks.
pub(crate) fn ask(state: &State, params: &CompletionParams) -> Asked {
    let at = &params.text_document_position;
    // Only a trigger character is surely not the user's wish: Helix says "invoked" while a word is typed as well.
    let kind = params.context.as_ref().map(|context| context.trigger_kind);
    let by_character = kind == Some(CompletionTriggerKind::TRIGGER_CHARACTER);
    let question = Question {
        method: "textDocument/completion",
        uri: &at.text_document.uri,
        position: at.position,
        trigger: if by_character { Trigger::Automatic } else { Trigger::Either },
        selected: None,
    };
    scheduler::ask(state, &question)
}

/// The reply: one entry or none, to be asked for again as the user types.
pub(crate) fn reply(state: &State, answer: Answer) -> Option<CompletionResponse> {
    let encoding = state.agreed()?.encoding;
    let items = match answer {
        Ok(placed) => vec![to_lsp::menu_item(&placed, encoding)],
        Err(Reason::Superseded) => return None,
        Err(_) => Vec::new(),
    };
    Some(CompletionResponse::List(CompletionList { is_incomplete: true, items }))
}
