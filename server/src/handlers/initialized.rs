//! `initialized`

use tower_lsp::lsp_types::MessageType;

use crate::state::State;

/// The client takes messages from now on: what was wrong with its settings, and where the engine stands.
pub(crate) fn initialized(state: &State, shows_progress: bool) {
    let Some(agreed) = state.agreed() else { return };
    if !agreed.problems.bad.is_empty() {
        let problems = agreed.problems.bad.join("; ");
        state
            .client
            .show(MessageType::WARNING, format!("Cinnabar's settings: {problems}. The default is used"));
    }
    state.status.client_listens(shows_progress);
}
