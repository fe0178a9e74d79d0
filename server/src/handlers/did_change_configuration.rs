//! `workspace/didChangeConfiguration`

use std::sync::Arc;

use serde_json::Value;
use tower_lsp::lsp_types::request::WorkspaceConfiguration;
use tower_lsp::lsp_types::{ConfigurationItem, ConfigurationParams, DidChangeConfigurationParams};

use crate::state::State;

/// What our settings are called among the client's.
const SECTION: &str = "cinnabar";

/// Takes the settings that come with the message; of one without them, asks for them.
pub(crate) fn did_change_configuration(state: &Arc<State>, mut params: DidChangeConfigurationParams) {
    match params.settings.get_mut(SECTION).map(Value::take) {
        Some(settings) => state.configured_by_client(settings),
        None => ask(state),
    }
}

/// Asks the client for its settings. One that does not have any answers with an error or `null`.
pub(crate) fn ask(state: &Arc<State>) {
    let item = ConfigurationItem { scope_uri: None, section: Some(SECTION.into()) };
    let asker = Arc::clone(state);
    state.client.request::<WorkspaceConfiguration>(ConfigurationParams { items: vec![item] }, move |reply| {
        match reply.map(|mut all| all.get_mut(0).map(Value::take)) {
            Ok(settings) => asker.configured_by_client(settings.unwrap_or_default()),
            Err(error) => tracing::debug!(%error, "no settings from the client"),
        }
    });
}
