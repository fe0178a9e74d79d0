//! What was typed at one place since a request was made there (pure).
//!
//! A suggestion that was computed for an older text is still right when the user has meanwhile typed its first
//! characters and nothing else. This follows the edits of a document and knows whether that can be so.

use std::ops::Range;

/// The text typed at an offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Typed {
    at: usize,
    text: String,
}

impl Typed {
    /// Nothing was typed yet at byte offset `at`.
    pub(crate) fn nothing(at: usize) -> Self {
        Typed { at, text: String::new() }
    }

    /// Follows an edit that replaces `range` by `inserted`. False if it touched anything but the typed text:
    /// then what was computed for the old text is void.
    pub(crate) fn follow(&mut self, range: Range<usize>, inserted: &str) -> bool {
        if range.is_empty() && inserted.is_empty() {
            return true;
        }
        let within = self.at <= range.start && range.end <= self.at + self.text.len();
        if within {
            self.text.replace_range(range.start - self.at..range.end - self.at, inserted);
        }
        within
    }

    /// Byte offset behind the text typed so far.
    pub(crate) fn end(&self) -> usize {
        self.at + self.text.len()
    }

    /// The text typed so far.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn follow(edits: &[(Range<usize>, &str)]) -> Option<String> {
        let mut typed = Typed::nothing(10);
        edits.iter().all(|(range, text)| typed.follow(range.clone(), text)).then(|| typed.text().to_owned())
    }

    #[test]
    fn typing_and_its_corrections_are_followed() {
        assert_eq!(follow(&[(10..10, "f"), (11..11, "o"), (12..12, "o")]), Some("foo".into()));
        assert_eq!(follow(&[(10..10, "fö"), (11..13, ""), (11..11, "x")]), Some("fx".into()));
        assert_eq!(follow(&[(10..10, "()"), (11..11, "a")]), Some("(a)".into()));
        assert_eq!(follow(&[(0..0, ""), (10..10, "a")]), Some("a".into()));
    }

    #[test]
    fn an_edit_elsewhere_voids() {
        assert_eq!(follow(&[(9..9, "f")]), None);
        assert_eq!(follow(&[(9..10, "")]), None);
        assert_eq!(follow(&[(10..11, "")]), None);
        assert_eq!(follow(&[(10..10, "f"), (10..12, "g")]), None);
    }
}
