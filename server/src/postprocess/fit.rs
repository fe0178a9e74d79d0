//! A text against the syntax of its document (pure): where the block around the cursor ends, what the grammar can place,
//! and which brackets are left open.

use ropey::Rope;

use crate::site::{Site, Span};
use crate::syntax::Syntax;
use crate::syntax::brackets::{Balance, Unpaired, partner};

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

/// A document with more errors than these, and than lines, is of a language that the grammar does not know: what an error
/// more or less means there, nobody knows.
const KNOWN: usize = 5;

/// The text as the document can take it: with no more errors than the document has without it, closing what it opens
/// and nothing else. What it leaves open is closed, if it is `whole`; else it is cut, first to what stands before a
/// bracket too many, then line by line. A text that cannot be mended and makes no more errors than there were stays:
/// its document is being written. `replaced`: bytes behind the cursor that the text replaces.
pub(super) fn fitted(
    text: &str,
    whole: bool,
    site: &Site,
    replaced: usize,
    buffer: &Rope,
    syntax: &Syntax,
) -> String {
    let before = (syntax.errors(), syntax.balance());
    if before.0 > KNOWN.max(syntax.lines()) {
        return text.into();
    }
    let judge = |text: &str| Some(Judged::new(insert(text, site, replaced, buffer, syntax)?.0, before));
    // If nothing is known of it, it stays.
    let Some(judged) = judge(text) else { return text.into() };
    if judged.fits() {
        return text.into();
    }
    let end = site.offset + text.trim_end().len();
    let unpaired = judged.with.unpaired(site.offset..end);
    let closed = closed(text.trim_end(), site, &unpaired, judged.opened).filter(|_| whole);
    let before_bracket = cut_before_bracket(text, site, &unpaired, judged.closed);
    let lines = text.rmatch_indices('\n').map(|(at, _)| text[..at].to_owned());
    // Blanks before what stands right of the cursor part what they should not.
    let trimmed = text.trim_end().to_owned();
    let mut candidates = [trimmed].into_iter().chain(closed).chain(before_bracket).chain(lines);
    let fits = |candidate: &String| {
        let candidate = candidate.trim_end();
        !candidate.is_empty() && judge(candidate).is_some_and(|judged| judged.fits())
    };
    candidates.find(fits).unwrap_or_else(|| if judged.places() { text.into() } else { String::new() })
}

/// A text in its document, against the document without it.
struct Judged {
    with: Syntax,
    /// Errors that it brings.
    new_errors: usize,
    /// Brackets that it opens and nothing closes, and the other way round.
    opened: Balance,
    closed: Balance,
}

impl Judged {
    fn new(with: Syntax, (errors, balance): (usize, Balance)) -> Self {
        let (new_errors, now) = (with.errors().saturating_sub(errors), with.balance());
        Judged { new_errors, opened: now.opened_since(balance), closed: now.closed_since(balance), with }
    }

    /// The grammar can place it.
    fn places(&self) -> bool {
        self.new_errors == 0
    }

    fn fits(&self) -> bool {
        self.places() && self.opened.is_zero() && self.closed.is_zero()
    }
}

/// The text with what it leaves open closed, each bracket where code would have it: behind a line break if its partner
/// ends a line. `None` if that is not all, or a block would be closed that has nothing in it.
fn closed(text: &str, site: &Site, unpaired: &[Unpaired], mut opened: Balance) -> Option<String> {
    let mut out = text.to_owned();
    for open in unpaired.iter().rev() {
        if opened.is_zero() {
            break;
        }
        let close = partner(open.bracket).filter(|_| opened.take(open.bracket))?;
        let behind = &text[open.at - site.offset + 1..];
        match behind.split_once('\n') {
            _ if behind.trim().is_empty() => return None,
            Some((line, _)) if line.trim().is_empty() => {
                out.push('\n');
                out.push_str(indentation(&text[..open.at - site.offset], site));
            }
            _ => {}
        }
        out.push(close);
    }
    opened.is_zero().then_some(out)
}

/// The text before the first bracket in it that closes what stands before the text and is closed behind it.
fn cut_before_bracket(text: &str, site: &Site, unpaired: &[Unpaired], mut closed: Balance) -> Option<String> {
    let mut too_many = unpaired.iter().filter(|unpaired| partner(unpaired.bracket).is_none());
    let first = too_many.find(|unpaired| closed.take(unpaired.bracket))?;
    Some(text[..first.at - site.offset].trim_end().to_owned())
}

/// The blanks that the last line of a text starts with; of the first line, those of the cursor's.
fn indentation<'a>(text: &'a str, site: &'a Site) -> &'a str {
    let line = text.rsplit_once('\n').map_or(site.before.as_str(), |(_, line)| line);
    // At the start of an empty line the text brings its own.
    let line = if line.is_empty() { text } else { line };
    &line[..line.len() - line.trim_start().len()]
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
