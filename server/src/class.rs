//! Kinds of suggestions: figures are told apart by them.

use ropey::Rope;
use serde::{Deserialize, Serialize};

use crate::position;
use crate::site::Span;
use crate::suggestion::Suggestion;

/// What a suggestion is to the one who reads it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) enum Class {
    /// The end of the line that the cursor is in.
    #[serde(rename = "rest of a line")]
    RestOfLine,
    /// Something before text that stays right of it.
    #[serde(rename = "inside a line")]
    InsideLine,
    /// More than one line.
    #[serde(rename = "several lines")]
    SeveralLines,
}

impl Class {
    /// The class of a suggestion for a text.
    pub(crate) fn of(suggestion: &Suggestion, text: &Rope) -> Self {
        if suggestion.text.contains('\n') {
            return Class::SeveralLines;
        }
        let end = suggestion.range.end.min(text.len_bytes());
        let line = text.byte_to_line(end);
        let content = position::line_content(text, line);
        let right = content.byte_slice((end - text.line_to_byte(line)).min(content.len_bytes())..);
        if right.chars().all(char::is_whitespace) { Class::RestOfLine } else { Class::InsideLine }
    }

    /// The class that is asked for at a place: what comes may be shorter.
    pub(crate) fn asked(span: Span) -> Self {
        match span {
            Span::WithinLine => Class::InsideLine,
            Span::Lines | Span::WholeLines => Class::SeveralLines,
        }
    }

    /// For people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Class::RestOfLine => "rest of a line",
            Class::InsideLine => "inside a line",
            Class::SeveralLines => "several lines",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_and_what_is_right_of_it_decide() {
        for (text, inserted, range, expected) in [
            ("let a\n", " = 1;", 5..5, Class::RestOfLine),
            ("f()  \n", "a)", 2..3, Class::RestOfLine),
            ("f(, b)\n", "a", 2..2, Class::InsideLine),
            ("f() {", "\n    a", 5..5, Class::SeveralLines),
            ("", "a", 0..0, Class::RestOfLine),
        ] {
            let suggestion = Suggestion { text: inserted.into(), range };
            assert_eq!(Class::of(&suggestion, &Rope::from_str(text)), expected, "{text:?}");
        }
    }
}
