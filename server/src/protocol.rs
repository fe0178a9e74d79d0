//! What lsp-types 0.94 does not have: `textDocument/inlineCompletion` of LSP 3.18, and how editors tell what became
//! of its items, in the shapes that Copilot's language server made customary.

use serde::{Deserialize, Serialize};
use tower_lsp::lsp_types::{Command, Position, Range, TextDocumentIdentifier};

/// The request's method.
pub(crate) const INLINE_COMPLETION: &str = "textDocument/inlineCompletion";

/// The item is on screen. A notification.
pub(crate) const DID_SHOW: &str = "textDocument/didShowCompletion";

/// The user took a first part of the item. A notification.
pub(crate) const DID_PARTIALLY_ACCEPT: &str = "textDocument/didPartiallyAcceptCompletion";

/// The command of an item, run once the item was inserted. Its argument is the item's id.
pub(crate) const DID_ACCEPT: &str = "cinnabar.didAccept";

/// `InlineCompletionTriggerKind`: the editor asked while the user types.
pub(crate) const AUTOMATIC: u32 = 2;

/// `InlineCompletionParams`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InlineCompletionParams {
    /// The buffer. The standard sends no version with it.
    pub(crate) text_document: TextDocumentIdentifier,
    /// The cursor.
    pub(crate) position: Position,
    /// Why it is asked; older clients leave it out.
    #[serde(default)]
    pub(crate) context: InlineCompletionContext,
}

/// `InlineCompletionContext`
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InlineCompletionContext {
    /// 1: the user asked; 2: the editor asked while the user types.
    #[serde(default)]
    pub(crate) trigger_kind: u32,
    /// The entry selected in an open completion menu; an answer must extend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) selected_completion_info: Option<SelectedCompletionInfo>,
}

/// `SelectedCompletionInfo`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
pub(crate) struct SelectedCompletionInfo {
    /// What accepting the entry would replace.
    pub(crate) range: Range,
    /// What it would insert.
    pub(crate) text: String,
}

/// `InlineCompletionList`
#[derive(Debug, Clone, Default, PartialEq, Deserialize, Serialize)]
pub(crate) struct InlineCompletionList {
    /// Best first.
    pub(crate) items: Vec<InlineCompletionItem>,
}

/// `InlineCompletionItem`
#[derive(Debug, Clone, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct InlineCompletionItem {
    /// Literal text.
    pub(crate) insert_text: String,
    /// What it replaces: on one line, containing the cursor. Optional in the protocol, but without it Neovim lets
    /// the text slide along as the user types.
    pub(crate) range: Range,
    /// Run after the text was inserted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) command: Option<Command>,
}

/// An item that comes back: of all that was sent with it, what tells it apart.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct SentItem {
    command: Option<Command>,
}

impl SentItem {
    /// The id in its command; empty if it has none.
    pub(crate) fn id(&self) -> &str {
        let argument =
            self.command.as_ref().and_then(|command| command.arguments.as_ref()?.first()?.as_str());
        argument.unwrap_or_default()
    }
}

/// Parameters of [`DID_SHOW`]
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct DidShowParams {
    /// As it was sent.
    pub(crate) item: SentItem,
}

/// Parameters of [`DID_PARTIALLY_ACCEPT`]
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct DidPartiallyAcceptParams {
    /// As it was sent.
    pub(crate) item: SentItem,
    /// UTF-16 units from the start of the item's text that are taken, those taken before included.
    pub(crate) accepted_length: usize,
}
