//! Brackets and quotes of a piece of text, by counting characters (pure).
//!
//! A piece of a line has no syntax tree, so this is a guess that is right for code that closes what it opens.

/// What a piece of text leaves open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Balance {
    /// Brackets opened and not closed in it.
    pub(crate) open: usize,
    /// Brackets closed that were not opened in it, in their order.
    pub(crate) closing: String,
}

/// Counts a text's brackets; those in string literals do not count.
pub(crate) fn balance(text: &str) -> Balance {
    let mut balance = Balance { open: 0, closing: String::new() };
    let mut quote = None;
    let mut escaped = false;
    for c in text.chars() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(_), '\n') => quote = None,
            (Some(open), _) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '`') => quote = Some(c),
            (None, '(' | '[' | '{') => balance.open += 1,
            (None, ')' | ']' | '}') if balance.open > 0 => balance.open -= 1,
            (None, ')' | ']' | '}') => balance.closing.push(c),
            (None, _) => {}
        }
    }
    balance
}

/// Whether a text ends inside a double-quoted string that starts in it.
pub(crate) fn in_string(text: &str) -> bool {
    let mut open = false;
    let mut escaped = false;
    for c in text.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => open = !open,
            '\n' => open = false,
            _ => {}
        }
    }
    open
}

/// Where a quote stands in a text without a backslash before it.
fn unescaped(text: &str, quote: char) -> Vec<usize> {
    let mut escaped = false;
    let stands = |&(_, c): &(usize, char)| {
        let stands = c == quote && !escaped;
        escaped = c == '\\' && !escaped;
        stands
    };
    text.char_indices().filter(stands).map(|(at, _)| at).collect()
}

/// Whether a text is closing brackets, quotes and separators alone.
pub(crate) fn only_closing(text: &str) -> bool {
    let text = text.trim();
    !text.is_empty()
        && text.chars().all(|c| matches!(c, ')' | ']' | '}' | '"' | '\'' | '`' | ';' | ',' | ' '))
        && text.contains([')', ']', '}', '"', '\'', '`'])
}

/// Whether a text closes, in this order, the brackets of `closers`, which stand behind it. If they begin with a quote, it
/// is the string that the text starts in.
pub(crate) fn closes(text: &str, closers: &str) -> bool {
    if let Some(quote @ ('"' | '\'' | '`')) = closers.chars().next() {
        // One quote closes the string; all others come in pairs.
        let quotes = unescaped(text, quote);
        let Some(&first) = quotes.first().filter(|_| quotes.len() % 2 == 1) else { return false };
        let (text, closers) = (&text[first + 1..], &closers[1..]);
        return closers.trim().is_empty() || closes(text, closers);
    }
    let wanted: String = closers.chars().filter(|c| matches!(c, ')' | ']' | '}')).collect();
    !wanted.is_empty() && balance(text).closing.starts_with(&wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn brackets_are_counted_outside_strings() {
        let of = |text| (balance(text).open, balance(text).closing);
        assert_eq!(of("f(a[1], {"), (2, String::new()));
        assert_eq!(of("a) {"), (1, ")".into()));
        assert_eq!(of("x)])"), (0, ")])".into()));
        assert_eq!(of(r#"print("(\"(")"#), (0, String::new()));
    }

    #[test]
    fn strings_end_at_their_quote() {
        assert!(in_string(r#"say("hel"#));
        assert!(in_string(r#""a\""#));
        assert!(!in_string(r#""a" + b"#));
    }

    #[test]
    fn closing_is_not_text() {
        assert!(only_closing(");") && only_closing("  }") && only_closing("\")"));
        assert!(!only_closing(";") && !only_closing("") && !only_closing(") {"));
    }

    #[test]
    fn a_text_closes_what_the_editor_closed() {
        assert!(closes("a) -> u8 {", ")"));
        assert!(!closes("f(a)", ")"));
        assert!(!closes("a]", ")"));
        assert!(closes("a\" + b", "\"") && closes("a', b)", "')"));
        assert!(!closes("a", "\"") && !closes("a \\\" b", "\"") && !closes("\"a\"", "\""));
        assert!(!closes("a', b", "')"));
    }
}
