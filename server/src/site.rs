//! The cursor and its surroundings, as post-processing and the prompt need them.

use ropey::{Rope, RopeSlice};

use crate::position;

/// What may be suggested at a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Span {
    /// The rest of a line and lines after it: nothing but white space stands right of the cursor.
    Lines,
    /// Whole lines above the line whose start the cursor is at.
    WholeLines,
    /// Text inside a line.
    WithinLine,
}

/// A buffer's line break.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineBreak {
    /// `\n`
    Lf,
    /// `\r\n`
    CrLf,
}

/// The cursor and its surroundings. Texts are bounded however long the lines are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// Byte offset of the cursor.
    pub offset: usize,
    /// Byte offset of the end of the cursor's line, before its line break.
    pub line_end: usize,
    /// The cursor's line up to the cursor: its last bytes.
    pub before: String,
    /// The cursor's line from the cursor on: its first bytes.
    pub after: String,
    /// The last line above the cursor's that is not blank, its first bytes; empty if there is none near.
    pub above: String,
    /// The lines below the inserted text that are not blank: the first few, each its first bytes.
    pub below: Vec<String>,
    /// The line break around here.
    pub line_break: LineBreak,
    /// What may be suggested.
    pub span: Span,
}

/// Bytes of a line that are looked at.
const LINE_BYTES: usize = 1000;
/// Lines above and below the cursor that are looked at, and how many of those below are kept.
const LINES: usize = 40;
const KEPT_BELOW: usize = 8;

impl Site {
    /// The site of a byte offset. Inside a line break it is the line's end, inside a character that one's start.
    pub fn at(text: &Rope, offset: usize) -> Self {
        let line = text.byte_to_line(offset.min(text.len_bytes()));
        let start = text.line_to_byte(line);
        let content = position::line_content(text, line);
        let cursor = position::floor_char(content, offset - start);
        let from = position::floor_char(content, cursor.saturating_sub(LINE_BYTES));
        let to = position::floor_char(content, cursor + LINE_BYTES);
        let before = content.byte_slice(from..cursor).to_string();
        let after = content.byte_slice(cursor..to).to_string();
        let span = if after.trim().is_empty() {
            Span::Lines
        } else if cursor == 0 {
            Span::WholeLines
        } else {
            Span::WithinLine
        };
        // Whole lines push the cursor's line down.
        let first_below = if span == Span::WholeLines { line } else { line + 1 };
        let below = text.lines_at(first_below).take(LINES).filter_map(not_blank);
        let above = (line.saturating_sub(LINES)..line).rev().find_map(|n| not_blank(text.line(n)));
        Site {
            offset: start + cursor,
            line_end: start + content.len_bytes(),
            before,
            after,
            above: above.unwrap_or_default(),
            below: below.take(KEPT_BELOW).collect(),
            line_break: line_break(text, line),
            span,
        }
    }
}

/// A line's first bytes without its trailing blanks, if there is something.
fn not_blank(line: RopeSlice<'_>) -> Option<String> {
    let line = line.byte_slice(..position::floor_char(line, LINE_BYTES)).to_string();
    let line = line.trim_end();
    (!line.is_empty()).then(|| line.to_owned())
}

/// The break of a line, or of the one before if it has none: a buffer with both kinds keeps each where it is.
fn line_break(text: &Rope, line: usize) -> LineBreak {
    let break_of = |line| text.line(line).slice(position::line_content(text, line).len_chars()..);
    let own = break_of(line);
    let ending = if own.len_bytes() == 0 && line > 0 { break_of(line - 1) } else { own };
    if ending == "\r\n" { LineBreak::CrLf } else { LineBreak::Lf }
}
