//! Suggestions to the protocol's types.

use ropey::Rope;
use tower_lsp::lsp_types::{
    Command, CompletionItem, CompletionItemKind, CompletionTextEdit, Documentation, InsertTextFormat, Range,
    TextEdit,
};

use crate::position::{self, Encoding};
use crate::protocol::{DID_ACCEPT, InlineCompletionItem};
use crate::scheduler::Placed;

/// Characters of a menu entry's label.
const LABEL_CHARS: usize = 80;

/// Ghost text. The editor gives `id` back when the text is accepted.
pub(crate) fn inline_item(placed: &Placed, id: String, encoding: Encoding) -> InlineCompletionItem {
    let range = to_range(&placed.snapshot.text, placed.suggestion.range.clone(), encoding);
    let command = Command::new("Accepted".into(), DID_ACCEPT.into(), Some(vec![id.into()]));
    InlineCompletionItem { insert_text: placed.suggestion.text.clone(), range, command: Some(command) }
}

/// An entry of a completion menu. Plain text of kind Text: Helix re-indents what calls itself a snippet. It starts
/// with the word before the cursor, since editors filter by that word.
pub(crate) fn menu_item(placed: &Placed, encoding: Encoding) -> CompletionItem {
    let (suggestion, text) = (&placed.suggestion, &placed.snapshot.text);
    let word = word_before(text, suggestion.range.start);
    let new_text = format!("{word}{}", suggestion.text);
    let first_line = new_text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default().trim();
    let range = suggestion.range.start - word.len()..suggestion.range.end;
    CompletionItem {
        label: first_line.chars().take(LABEL_CHARS).collect(),
        kind: Some(CompletionItemKind::TEXT),
        // A string: a client may know neither of the kinds of markup.
        documentation: Some(Documentation::String(new_text.clone())),
        // Before what other servers offer.
        sort_text: Some("\u{1}".into()),
        filter_text: Some(first_line.to_owned()),
        insert_text_format: Some(InsertTextFormat::PLAIN_TEXT),
        text_edit: Some(CompletionTextEdit::Edit(TextEdit {
            range: to_range(text, range, encoding),
            new_text,
        })),
        ..CompletionItem::default()
    }
}

fn to_range(text: &Rope, bytes: std::ops::Range<usize>, encoding: Encoding) -> Range {
    let at = |offset| position::to_position(text, offset, encoding);
    Range { start: at(bytes.start), end: at(bytes.end) }
}

/// The letters, digits and underscores that end at an offset. What is longer than any name is none.
fn word_before(text: &Rope, offset: usize) -> String {
    let mut before = text.chars_at(text.byte_to_char(offset));
    let backwards = std::iter::from_fn(|| before.prev()).take_while(|c| c.is_alphanumeric() || *c == '_');
    let backwards: Vec<char> = backwards.take(LABEL_CHARS + 1).collect();
    if backwards.len() > LABEL_CHARS {
        return String::new();
    }
    backwards.into_iter().rev().collect()
}
