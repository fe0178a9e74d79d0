//! What a suggestion would spoil if it were accepted: none of it may happen, however little the model knows.

use ropey::Rope;
use serde::{Deserialize, Serialize};

use crate::site::{Site, Span};
use crate::suggestion::Suggestion;
use crate::syntax::Syntax;

/// Damage done by one suggestion.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Harm {
    /// The document has more parse errors than without it, and than with what stood in the gap.
    pub(crate) new_errors: bool,
    /// Its last words are what follows.
    pub(crate) repeats: bool,
}

impl Harm {
    /// The harm of a suggestion at a site where `middle` stood; without a syntax no errors are known.
    pub(crate) fn of(
        suggestion: &Suggestion,
        middle: &str,
        buffer: &Rope,
        site: &Site,
        syntax: Option<&Syntax>,
    ) -> Self {
        let new_errors = syntax.and_then(|without| {
            let with = |range, text| Some(without.with(buffer, range, text)?.0.errors());
            let before = without.errors().max(with(site.offset..site.offset, middle)?);
            Some(with(suggestion.range.clone(), &suggestion.text)? > before)
        });
        Harm { new_errors: new_errors.unwrap_or(false), repeats: repeats(suggestion, site) }
    }
}

/// Whether a text ends with what stands behind it: inside a line with its rest, else with the line below. Something to
/// read must be in it, or it must be a line of its own: `)` behind `)` is common code.
fn repeats(suggestion: &Suggestion, site: &Site) -> bool {
    let text = suggestion.text.trim_end();
    let n_words = |text: &str| text.chars().filter(|c| c.is_alphanumeric()).count();
    if site.span == Span::WithinLine {
        let rest = site.after[suggestion.range.len()..].trim_end();
        return n_words(rest) >= 3 && text.ends_with(rest);
    }
    let last = match text.rsplit_once('\n') {
        Some((_, last)) => last.to_owned(),
        None => format!("{}{text}", site.before),
    };
    site.below.first().is_some_and(|below| *below == last && (n_words(below) >= 3 || text.contains('\n')))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_harm_is_seen_and_none_where_there_is_none() {
        let none = Harm::default();
        let (errors, repeats) = (Harm { new_errors: true, ..none }, Harm { repeats: true, ..none });
        let cases = [
            ("fn f() {\n    $0\n}\n", "c();", "a();", none),
            ("fn f() {\n    $0\n}\n", "c();", "a b;", errors),
            ("fn f() {\n    $0\n}\n", "c d;", "a b;", none),
            ("fn f() {\n    $0\n    call();\n}\n", "c();", "a();\n    call();", repeats),
            ("fn f() {\n    a($0, second);\n}\n", "c", "b, second", none),
            ("fn f() {\n    a($0, second);\n}\n", "c", "b, second);", Harm { repeats: true, ..errors }),
            ("fn f() {\n    a(($0)\n}\n", "c)", "b)", none),
        ];
        for (text, middle, inserted, expected) in cases {
            let at = text.find("$0").unwrap();
            let buffer = Rope::from_str(&text.replacen("$0", "", 1));
            let syntax = Syntax::of_file("", "a.rs", &buffer, at);
            let suggestion = Suggestion { text: inserted.into(), range: at..at };
            let harm = Harm::of(&suggestion, middle, &buffer, &Site::at(&buffer, at), syntax.as_ref());
            assert_eq!(harm, expected, "{text:?} + {inserted:?}");
        }
    }
}
