//! The engine's text to a suggestion: cut what the user already has, keep everything else (pure).
//!
//! The model ends the middle itself. What is left to do is what users complain about most: text that repeats what
//! stands right of the cursor or below it, and line breaks that are not the buffer's. Cutting too much is as wrong
//! as cutting too little, so each rule has a table of both in the tests.

use cinnabar_engine::{Completion, Finish};
use ropey::Rope;

use crate::brackets;
use crate::site::{LineBreak, Site, Span};
use crate::suggestion::{Reason, Suggestion};
use crate::syntax::Syntax;

mod fit;
mod indentation;

/// The suggestion for a site, or why there is none.
pub(crate) fn suggest(
    completion: &Completion,
    site: &Site,
    buffer: &Rope,
    syntax: Option<&Syntax>,
) -> Result<Suggestion, Reason> {
    let text = completion.text.as_str();
    if text.is_empty() {
        let too_late = completion.finish == Finish::Deadline;
        return Err(if too_late { Reason::Deadline } else { Reason::Nothing });
    }
    let text = whole_lines_only(text, completion.finish);
    let text = if site.span == Span::WithinLine { first_line(text) } else { text };
    // A line that was broken off goes on; of several, those that are left are whole.
    let whole = completion.finish == Finish::End && text == completion.text || text.contains('\n');
    if text.trim().is_empty() {
        return Err(Reason::Blank);
    }
    let text = &indentation::as_in_buffer(text, site);
    let text = without_repetition(text, site);
    if text.trim().is_empty() {
        return Err(Reason::Repeats);
    }
    let text = without_lines_below(text, site);
    let text = syntax.map_or(text, |syntax| fit::within_block(text, site, buffer, syntax));
    let (text, replaced) = match site.span {
        Span::WithinLine => without_rest_of_line(text, &site.after),
        Span::Lines | Span::WholeLines => (text.trim_end(), 0),
    };
    if text.trim().is_empty() {
        return Err(Reason::RepeatsSuffix);
    }
    let text = match syntax {
        Some(syntax) => fit::fitted(text, whole, site, replaced, buffer, syntax),
        None => text.to_owned(),
    };
    if text.is_empty() {
        return Err(Reason::ParseError);
    }
    let mut text = without_trailing_blanks(&text);
    if site.span == Span::WholeLines {
        text.push('\n');
    }
    if site.line_break == LineBreak::CrLf {
        text = text.replace('\n', "\r\n");
    }
    Ok(Suggestion { text, range: site.offset..site.offset + replaced })
}

/// A text that was broken off ends in the middle of something: of several lines, the last is left out.
fn whole_lines_only(text: &str, finish: Finish) -> &str {
    match (finish, text.rfind('\n')) {
        (Finish::MaxTokens | Finish::Deadline | Finish::Full, Some(last))
            if !text[..last].trim().is_empty() =>
        {
            &text[..last]
        }
        _ => text,
    }
}

fn first_line(text: &str) -> &str {
    text.split('\n').next().unwrap_or(text)
}

/// Byte offset and content of a text's lines that are not blank. The first one continues the cursor's line.
fn lines<'a>(text: &'a str, first: &'a str) -> Vec<(usize, &'a str)> {
    let mut at = 0;
    let mut lines = Vec::new();
    for (n, line) in text.split('\n').enumerate() {
        let content = if n == 0 { first.trim_end() } else { line.trim_end() };
        if !content.is_empty() {
            lines.push((at, content));
        }
        at += line.len() + 1;
    }
    lines
}

/// Cuts where a line is said again, and then again: the model has lost its way. Once is common in real code.
fn without_repetition<'a>(text: &'a str, site: &Site) -> &'a str {
    let first = format!("{}{}", site.before, first_line(text));
    let lines = lines(text, &first);
    let before = std::iter::once(site.above.as_str()).chain(lines.iter().map(|&(_, line)| line));
    let again: Vec<bool> = before.zip(&lines).map(|(before, &(_, line))| before == line).collect();
    let says_much = |line: &str| line.chars().filter(|&c| is_word(c)).count() >= 3;
    let lost = (1..lines.len()).find(|&n| again[n - 1] && again[n] && says_much(lines[n].1));
    lost.map_or(text, |n| &text[..lines[n - 1].0])
}

/// Cuts where the text goes over into the lines that stand below: at a line from which on everything repeats
/// them, or at two lines in a row that do.
fn without_lines_below<'a>(text: &'a str, site: &Site) -> &'a str {
    let first = format!("{}{}", site.before, first_line(text));
    let lines = lines(text, &first);
    for (n, &(at, _)) in lines.iter().enumerate() {
        let n_same =
            lines[n..].iter().zip(&site.below).take_while(|((_, line), below)| line == below).count();
        let to_the_end = n_same > 0 && n + n_same == lines.len();
        if (to_the_end || n_same >= 2) && !closes_own_bracket(&text[..at], lines[n].1) {
            return &text[..at];
        }
    }
    text
}

/// A line of closing brackets looks like the one below it, and is still needed where the text opened a block.
fn closes_own_bracket(text: &str, line: &str) -> bool {
    brackets::only_closing(line) && brackets::balance(text).open > 0
}

/// Inside a line: the text without its overlap with what stands right of the cursor, and how many bytes of that
/// it replaces.
fn without_rest_of_line<'a>(text: &'a str, after: &str) -> (&'a str, usize) {
    let rest = after.trim_end();
    let overlap = (1..=rest.len().min(text.len()))
        .rev()
        .filter(|&n| rest.is_char_boundary(n) && text.ends_with(&rest[..n]))
        .find(|&n| repeats(&text[..text.len() - n], &rest[..n], &rest[n..]));
    if let Some(n) = overlap {
        return (&text[..text.len() - n], 0);
    }
    // The editor closed a bracket by itself and the text goes on behind it: the text replaces the editor's.
    if !rest.is_empty() && brackets::only_closing(rest) && brackets::closes(text, rest) {
        return (text, rest.len());
    }
    (text, 0)
}

/// Whether `overlap`, which ends the text and starts the rest of the line, is there twice by mistake. `kept` is the
/// text before it, `behind` the line's rest behind it.
fn repeats(kept: &str, overlap: &str, behind: &str) -> bool {
    let closing = overlap.chars().next().is_some_and(|c| brackets::only_closing(&c.to_string()));
    if closing {
        // The text's own bracket, or the one that is there already?
        return brackets::balance(kept).open == 0 && !brackets::in_string(kept);
    }
    let starts_word = kept.chars().next_back().is_none_or(|c| !is_word(c)) || !overlap.starts_with(is_word);
    let n_word = overlap.chars().filter(|&c| is_word(c)).count();
    match overlap {
        // Of `a::b` two are right.
        ":" => !behind.starts_with(is_word),
        ";" | "," => true,
        _ => starts_word && (n_word >= 3 || (behind.is_empty() && n_word >= 1)),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn without_trailing_blanks(text: &str) -> String {
    let lines: Vec<&str> = text.split('\n').collect();
    let (last, inner) = lines.split_last().expect("because a split has at least one part");
    let mut out = String::with_capacity(text.len());
    for line in inner {
        out.push_str(line.trim_end());
        out.push('\n');
    }
    // The last line goes on with what stands right of the cursor.
    out.push_str(last);
    out
}

#[cfg(test)]
mod tests;
