//! The mirror of one open buffer.

use std::ops::Range;

use cinnabar_engine::DocumentId;
use ropey::Rope;
use tower_lsp::lsp_types::TextDocumentContentChangeEvent;

use crate::languages::{self, Language};
use crate::position::{self, Encoding};
use crate::scheduler::Slot;
use crate::syntax::Syntax;

/// Requests to let pass after a parse that was given up: the next keys seldom make it cheaper.
const PAUSE: usize = 16;

/// An open buffer: its text, its version and the request that waits for an answer.
pub(crate) struct Document {
    id: DocumentId,
    language: String,
    version: i32,
    text: Rope,
    /// Its language, if the syntax is known.
    grammar: Option<&'static Language>,
    /// As of the last request that needed it, with the edits since then noted; `None` if that took the parser too long.
    syntax: Option<Syntax>,
    /// Requests to let pass without it then.
    pause: usize,
    /// At most one request at a time; a newer one takes the place of an older one.
    pub(crate) slot: Slot,
}

/// A document at one moment. Cheap: ropes share their text, trees their nodes.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    /// Whose session the engine uses.
    pub(crate) document: DocumentId,
    /// The protocol's language id.
    pub(crate) language: String,
    /// The client's version of the text.
    pub(crate) version: i32,
    /// The text.
    pub(crate) text: Rope,
    /// Its syntax, if it is known and was wanted.
    pub(crate) syntax: Option<Syntax>,
}

impl Document {
    /// A buffer as the client opened it. The path tells the language where the client's name for it does not.
    pub(crate) fn new(id: DocumentId, language: String, path: &str, version: i32, text: &str) -> Self {
        let grammar = languages::find(&language, path);
        let text = Rope::from_str(text);
        Document { id, language, version, text, grammar, syntax: None, pause: 0, slot: Slot::default() }
    }

    /// Applies edits in their order, each to the text that the one before it left. Ranges out of bounds are
    /// clamped, ranges whose ends are swapped are read the right way round. The end of the last edit, where the
    /// cursor probably is.
    pub(crate) fn apply(
        &mut self,
        version: i32,
        changes: &[TextDocumentContentChangeEvent],
        encoding: Encoding,
    ) -> usize {
        let mut end_of_last = 0;
        for change in changes {
            let range = match change.range {
                Some(range) => {
                    let start = position::to_offset(&self.text, range.start, encoding);
                    let end = position::to_offset(&self.text, range.end, encoding);
                    start.min(end)..start.max(end)
                }
                None => 0..self.text.len_bytes(),
            };
            end_of_last = range.start + change.text.len();
            self.replace(range, &change.text);
        }
        self.version = version;
        end_of_last
    }

    /// The text as the client states it to be. True if the mirror was different, which is a bug on either side.
    pub(crate) fn heal(&mut self, text: &str) -> bool {
        let differs = self.text != *text;
        if differs {
            self.replace(0..self.text.len_bytes(), text);
        }
        differs
    }

    /// The document as it is now, with its syntax around a byte. Most of what an edit costs is this, and only a question
    /// for the engine needs it: an edit alone, and typing through what is shown, do not wait for it.
    pub(crate) fn parsed(&mut self, at: usize) -> Snapshot {
        if self.pause > 0 {
            self.pause -= 1;
        } else if let Some(grammar) = self.grammar {
            self.syntax = match self.syntax.take() {
                Some(syntax) => syntax.updated(&self.text, at),
                None => Syntax::new(grammar, &self.text, at),
            };
            self.pause = if self.syntax.is_none() { PAUSE } else { 0 };
        }
        Snapshot { syntax: self.syntax.clone(), ..self.snapshot() }
    }

    /// The document as it is now, without its syntax.
    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            document: self.id,
            language: self.language.clone(),
            version: self.version,
            text: self.text.clone(),
            syntax: None,
        }
    }

    /// What it is called, of all documents of this server.
    pub(crate) fn id(&self) -> DocumentId {
        self.id
    }

    /// The text.
    pub(crate) fn text(&self) -> &Rope {
        &self.text
    }

    /// Changes the text.
    fn replace(&mut self, range: Range<usize>, text: &str) {
        // Writes beat reads: a request that this edit makes pointless is answered before the edit is done.
        self.slot.follow(range.clone(), text);
        if range == (0..self.text.len_bytes()) {
            self.text = Rope::from_str(text);
            // Nothing of the old tree is left.
            self.syntax = None;
            return;
        }
        let before = self.syntax.is_some().then(|| self.text.clone());
        let chars = self.text.byte_to_char(range.start)..self.text.byte_to_char(range.end);
        self.text.remove(chars.clone());
        self.text.insert(chars.start, text);
        if let (Some(syntax), Some(before)) = (&mut self.syntax, &before) {
            syntax.edit(before, range, text.len(), &self.text);
        }
    }
}

#[cfg(test)]
mod tests;
