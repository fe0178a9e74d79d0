//! Positions of the protocol to byte offsets and back. The only place that knows UTF-16.

use ropey::{Rope, RopeSlice};
use tower_lsp::lsp_types::{Position, PositionEncodingKind};

/// What `character` of a position counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// Bytes.
    Utf8,
    /// UTF-16 code units: what a client means that says nothing.
    Utf16,
    /// Characters.
    Utf32,
}

impl Encoding {
    /// The encoding both sides use: bytes if the client knows them, since then nothing has to be converted.
    pub fn negotiate(offered: &[PositionEncodingKind]) -> Self {
        if offered.contains(&PositionEncodingKind::UTF8) {
            Encoding::Utf8
        } else if offered.contains(&PositionEncodingKind::UTF16) || offered.is_empty() {
            Encoding::Utf16
        } else if offered.contains(&PositionEncodingKind::UTF32) {
            Encoding::Utf32
        } else {
            Encoding::Utf16
        }
    }

    /// The protocol's name.
    pub fn kind(self) -> PositionEncodingKind {
        match self {
            Encoding::Utf8 => PositionEncodingKind::UTF8,
            Encoding::Utf16 => PositionEncodingKind::UTF16,
            Encoding::Utf32 => PositionEncodingKind::UTF32,
        }
    }
}

/// Byte offset of a position. A line past the end is the end of the text, a column past the end of its line
/// is the line's end (before its line break), a column inside a character is that character's start.
pub fn to_offset(text: &Rope, position: Position, encoding: Encoding) -> usize {
    let line = position.line as usize;
    if line >= text.len_lines() {
        return text.len_bytes();
    }
    let content = line_content(text, line);
    let column = position.character as usize;
    let within = match encoding {
        Encoding::Utf8 => floor_char(content, column),
        Encoding::Utf16 => {
            let column = column.min(content.len_utf16_cu());
            content.char_to_byte(content.utf16_cu_to_char(column))
        }
        Encoding::Utf32 => content.char_to_byte(column.min(content.len_chars())),
    };
    text.line_to_byte(line) + within
}

/// Position of a byte offset, which is clamped like [`to_offset`] does.
pub fn to_position(text: &Rope, offset: usize, encoding: Encoding) -> Position {
    let offset = offset.min(text.len_bytes());
    let line = text.byte_to_line(offset);
    let content = line_content(text, line);
    let within = floor_char(content, offset - text.line_to_byte(line));
    let column = match encoding {
        Encoding::Utf8 => within,
        Encoding::Utf16 => content.char_to_utf16_cu(content.byte_to_char(within)),
        Encoding::Utf32 => content.byte_to_char(within),
    };
    Position { line: clamp(line), character: clamp(column) }
}

/// A line without its line break.
pub fn line_content(text: &Rope, line: usize) -> RopeSlice<'_> {
    let line = text.line(line);
    let n_chars = line.len_chars();
    let last = |back: usize| n_chars.checked_sub(back).map(|at| line.char(at));
    let end = match (last(2), last(1)) {
        (Some('\r'), Some('\n')) => n_chars - 2,
        (_, Some('\n' | '\r')) => n_chars - 1,
        _ => n_chars,
    };
    line.slice(..end)
}

/// The start of the character that `offset` points into; the end of the text for anything past it.
pub fn floor_char(text: RopeSlice<'_>, offset: usize) -> usize {
    text.char_to_byte(text.byte_to_char(offset.min(text.len_bytes())))
}

fn clamp(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

#[cfg(test)]
pub(crate) mod tests;
