//! `workspace/executeCommand`

use serde_json::Value;
use tower_lsp::jsonrpc::{Error, Result};
use tower_lsp::lsp_types::ExecuteCommandParams;

use crate::protocol::DID_ACCEPT;
use crate::state::State;

/// The one command: an item was accepted.
pub(crate) fn execute_command(state: &State, params: &ExecuteCommandParams) -> Result<Option<Value>> {
    if params.command != DID_ACCEPT {
        return Err(Error::invalid_params(format!("unknown command {:?}", params.command)));
    }
    match params.arguments.first() {
        Some(Value::String(id)) => state.accepted(id),
        _ => return Err(Error::invalid_params(format!("{DID_ACCEPT} wants an item's id"))),
    }
    Ok(None)
}
