//! `textDocument/didShowCompletion`

use crate::protocol::DidShowParams;
use crate::state::State;

/// Counts an item that is on screen; editors may tell again when they draw again.
pub(crate) fn did_show(state: &State, params: &DidShowParams) {
    let id = params.item.id();
    if !state.offers().shown(id) {
        tracing::debug!(id, "shown: no open suggestion");
    }
}
