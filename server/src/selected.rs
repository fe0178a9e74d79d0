//! The entry that is selected in the editor's completion menu (pure).
//!
//! Ghost text is then shown behind that entry: what is suggested has to go on from it.

use std::ops::Range;

use crate::document::Snapshot;
use crate::suggestion::Suggestion;

/// A menu entry and what it would replace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selected {
    /// Bytes of the document.
    pub(crate) range: Range<usize>,
    /// The entry's text.
    pub(crate) text: String,
}

impl Selected {
    /// The document as it would be with the entry taken, and the cursor behind it.
    pub(crate) fn taken(&self, snapshot: &Snapshot) -> (Snapshot, usize) {
        let Selected { range, text } = self;
        let mut taken = snapshot.clone();
        match snapshot.syntax.as_ref().and_then(|syntax| syntax.with(&snapshot.text, range.clone(), text)) {
            Some((syntax, changed)) => (taken.syntax, taken.text) = (Some(syntax), changed),
            None => {
                let chars = taken.text.byte_to_char(range.start)..taken.text.byte_to_char(range.end);
                taken.text.remove(chars.clone());
                taken.text.insert(chars.start, text);
                taken.syntax = None;
            }
        }
        (taken, range.start + text.len())
    }

    /// A suggestion for that document as one for the real one: the entry's text and what follows it.
    pub(crate) fn extended(&self, suggestion: Suggestion) -> Suggestion {
        let text = format!("{}{}", self.text, suggestion.text);
        Suggestion { text, range: self.range.start..self.range.end + suggestion.range.len() }
    }
}

#[cfg(test)]
mod tests {
    use cinnabar_engine::DocumentId;

    use super::*;
    use crate::document::Document;

    #[test]
    fn a_suggestion_goes_on_from_the_entry() {
        for path in ["a.js", "unknown"] {
            let snapshot = Document::new(DocumentId(0), String::new(), path, 0, "a.le)\n").parsed(4);
            let selected = Selected { range: 2..4, text: "length".into() };
            let (taken, cursor) = selected.taken(&snapshot);
            assert_eq!((taken.text.to_string().as_str(), cursor), ("a.length)\n", 8));
            assert_eq!(taken.syntax.is_some(), path == "a.js");
            let suggestion = Suggestion { text: " > 0) {".into(), range: 8..9 };
            let expected = Suggestion { text: "length > 0) {".into(), range: 2..5 };
            assert_eq!(selected.extended(suggestion), expected);
        }
    }
}
