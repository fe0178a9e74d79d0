//! From a finished suggestion to the text as it is now (pure).

use crate::suggestion::{Reason, Suggestion};

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

    fn rebased(typed: &str) -> Result<(String, std::ops::Range<usize>), Reason> {
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
}
