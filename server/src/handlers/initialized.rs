//! `initialized`

use std::sync::Arc;

use tower_lsp::lsp_types::MessageType;

use super::did_change_configuration::ask;
use crate::settings::watch;
use crate::state::State;

/// The client takes messages and requests from now on: what was wrong with the settings, where the engine stands,
/// and what the client's own settings are. `has_settings`: it can be asked for them.
pub(crate) fn initialized(state: &Arc<State>, shows_progress: bool, has_settings: bool) {
    let Some(agreed) = state.agreed() else { return };
    for problem in &agreed.problems {
        state.client.show(MessageType::WARNING, problem.clone());
    }
    state.status.client_listens(shows_progress);
    if has_settings {
        ask(state);
    }
    state.follow(watch::follow(state, agreed.files.clone()));
}
