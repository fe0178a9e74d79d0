//! From a finished suggestion to the text as it is now (pure).

use std::ops::Range;

use crate::suggestion::{Reason, Suggestion};
use crate::typed::Typed;

pub(crate) mod answers;

/// A document's last suggestion and what was typed at its place since.
pub(crate) struct Shown {
    suggestion: Suggestion,
    typed: Typed,
}

impl Shown {
    /// A suggestion for the text before `typed` was typed.
    pub(crate) fn new(suggestion: Suggestion, typed: Typed) -> Self {
        Shown { suggestion, typed }
    }

    /// Follows an edit; false if the suggestion is void.
    pub(crate) fn follow(&mut self, range: Range<usize>, inserted: &str) -> bool {
        self.typed.follow(range, inserted)
    }

    /// Whether nothing is left to be typed of it.
    pub(crate) fn is_typed(&self) -> bool {
        rebase(self.suggestion.clone(), self.typed.text()) == Err(Reason::AllTyped)
    }

    /// What is left of it for a cursor behind what was typed of it.
    pub(crate) fn rest(&self, cursor: usize) -> Option<Suggestion> {
        let rest = rebase(self.suggestion.clone(), self.typed.text()).ok()?;
        (self.typed.end() == cursor).then_some(rest)
    }
}

/// Moves a suggestion behind what was typed at its place since it was asked for. Something else than its first
/// characters makes it void.
pub(crate) fn rebase(suggestion: Suggestion, typed: &str) -> Result<Suggestion, Reason> {
    let rest = suggestion.text.strip_prefix(typed).ok_or(Reason::Edited)?;
    if rest.trim().is_empty() && !typed.is_empty() {
        return Err(Reason::AllTyped);
    }
    let range = suggestion.range.start + typed.len()..suggestion.range.end + typed.len();
    Ok(Suggestion { text: rest.to_owned(), range })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rebased(typed: &str) -> Result<(String, Range<usize>), Reason> {
        let suggestion = Suggestion { text: "foo(a)\n".into(), range: 7..8 };
        rebase(suggestion, typed).map(|s| (s.text, s.range))
    }

    #[test]
    fn what_was_typed_of_it_is_taken_off() {
        assert_eq!(rebased(""), Ok(("foo(a)\n".into(), 7..8)));
        assert_eq!(rebased("foo"), Ok(("(a)\n".into(), 10..11)));
    }

    #[test]
    fn anything_else_voids_it() {
        assert_eq!(rebased("fo "), Err(Reason::Edited));
        assert_eq!(rebased("foo(a)\nb"), Err(Reason::Edited));
        assert_eq!(rebased("foo(a)"), Err(Reason::AllTyped));
    }

    #[test]
    fn what_is_shown_is_typed_through() {
        let suggestion = Suggestion { text: "foo(a)".into(), range: 7..7 };
        let mut shown = Shown::new(suggestion, Typed::nothing(7));
        let rest = |shown: &Shown, cursor| shown.rest(cursor).map(|s| (s.text, s.range));
        assert!(shown.follow(7..7, "f") && shown.follow(8..8, "oo"));
        assert_eq!(rest(&shown, 10), Some(("(a)".into(), 10..10)));
        assert_eq!(rest(&shown, 7), None, "the cursor is elsewhere");
        assert!(shown.follow(9..10, ""));
        assert_eq!(rest(&shown, 9), Some(("o(a)".into(), 9..9)));
        assert!(shown.follow(9..9, "x"));
        assert_eq!(rest(&shown, 10), None, "something else was typed");
        assert!(!shown.is_typed());
        assert!(shown.follow(9..10, "o(a)"));
        assert_eq!(rest(&shown, 13), None, "nothing is left");
        assert!(shown.is_typed());
        assert!(!shown.follow(3..4, ""));
    }
}
