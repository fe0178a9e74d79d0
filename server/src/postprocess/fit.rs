//! A text against the syntax of its document (pure): where the block around the cursor ends, and which lines the
//! grammar can place.

use ropey::Rope;

use crate::site::{Site, Span};
use crate::syntax::Syntax;

/// Cuts a text of several lines where it has ended the block that the cursor stands in and goes on behind it.
pub(super) fn within_block<'a>(text: &'a str, site: &Site, buffer: &Rope, syntax: &Syntax) -> &'a str {
    if !text.trim_start().contains('\n') {
        return text;
    }
    let Some((with, _)) = insert(text, site, 0, buffer, syntax) else { return text };
    // What the text continues: the line before the cursor, else its own first words.
    let blank = |text: &str| text.len() - text.trim_start().len();
    let anchor = match site.before.trim_end().len() {
        0 => site.offset + blank(text),
        n => site.offset - (site.before.len() - n) - 1,
    };
    let Some(end) = with.block_end(anchor, site.offset) else { return text };
    let Some(end) = end.checked_sub(site.offset).filter(|&end| end < text.len()) else { return text };
    // What closes a call around the block stands on the same line.
    let end = text[end..].find('\n').map_or(text.len(), |n| end + n);
    &text[..end]
}

/// A document with more errors is of a dialect that the grammar does not know, or full of macros: what an error more or
/// less means there, nobody knows.
const KNOWN: usize = 5;

/// The longest start of a text, in whole lines, that the grammar can place as well as it could place the document
/// without it. `replaced`: bytes behind the cursor that the text replaces.
pub(super) fn without_new_errors<'a>(
    text: &'a str,
    site: &Site,
    replaced: usize,
    buffer: &Rope,
    syntax: &Syntax,
) -> &'a str {
    let before = syntax.errors();
    if before > KNOWN {
        return text;
    }
    let ends = std::iter::once(text.len()).chain(text.rmatch_indices('\n').map(|(at, _)| at));
    for end in ends {
        let start = text[..end].trim_end();
        if start.is_empty() {
            break;
        }
        match insert(start, site, replaced, buffer, syntax) {
            // Nothing is known of it.
            None => return text,
            Some((with, _)) if with.errors() <= before => return &text[..end],
            Some(_) => {}
        }
    }
    ""
}

fn insert(
    text: &str,
    site: &Site,
    replaced: usize,
    buffer: &Rope,
    syntax: &Syntax,
) -> Option<(Syntax, Rope)> {
    let line_break = if site.span == Span::WholeLines { "\n" } else { "" };
    syntax.with(buffer, site.offset..site.offset + replaced, &format!("{text}{line_break}"))
}

#[cfg(test)]
mod tests;
