//! `textDocument/didPartiallyAcceptCompletion`

use crate::protocol::DidPartiallyAcceptParams;
use crate::state::State;

/// Counts an item of which the user took a first part.
pub(crate) fn did_partially_accept(state: &State, params: &DidPartiallyAcceptParams) {
    let id = params.item.id();
    if !state.offers().partly_accepted(id, params.accepted_length) {
        tracing::debug!(id, "partly accepted: no open suggestion");
    }
}
