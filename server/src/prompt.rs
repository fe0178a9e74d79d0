//! Snapshot and cursor to the engine's prompt (pure).
//!
//! The engine's cache is valid as far as the stream stays the same, and the stream is `path, suffix lines, prefix`.
//! So the windows must not move with every key. Their far ends lie at line starts, in coarse jumps: the prefix's
//! start is measured from the start of the text, which typing at the cursor leaves alone, and the suffix's end
//! from the end of the text. Nothing is remembered from one keystroke to the next.

use cinnabar_engine::Prompt;
use ropey::Rope;

use crate::position;
use crate::site::Site;

/// Bytes before the cursor at most. The engine cuts to its tokens; this only has to be enough for that.
const PREFIX_BYTES: usize = 6144;
/// Bytes after the cursor's line at most.
const SUFFIX_BYTES: usize = 2048;
/// Bytes of the cursor's line after the cursor; a longer line leaves nothing of the lines below.
const LINE_BYTES: usize = 1024;
/// A window's far end moves by multiples of this.
const PREFIX_JUMP: usize = 2048;
/// The suffix stands first in the stream: it moves only when the cursor goes to another part of the file.
const SUFFIX_JUMP: usize = 512;

/// The prompt for a site of a text.
pub fn prompt(text: &Rope, site: &Site, path: Option<String>) -> Prompt {
    let prefix = with_lf(&text.byte_slice(prefix_start(text, site.offset)..site.offset).to_string());
    let suffix = with_lf(&text.byte_slice(site.offset..suffix_end(text, site)).to_string());
    Prompt { snippets: Vec::new(), path, prefix, suffix }
}

/// Where the prefix window of a cursor starts.
fn prefix_start(text: &Rope, offset: usize) -> usize {
    let start = offset.saturating_sub(PREFIX_BYTES).next_multiple_of(PREFIX_JUMP);
    let line = text.byte_to_line(start);
    let line_start = text.line_to_byte(line);
    let next_line = if line_start == start { start } else { text.line_to_byte(line + 1) };
    // A line as long as the window is cut where it is.
    if next_line <= offset && next_line - start <= PREFIX_JUMP {
        next_line
    } else {
        position::floor_char(text.slice(..), start)
    }
}

/// Where the suffix window of a cursor ends.
fn suffix_end(text: &Rope, site: &Site) -> usize {
    if site.line_end - site.offset > LINE_BYTES {
        return position::floor_char(text.slice(..), site.offset + LINE_BYTES);
    }
    let below = text.len_bytes() - site.line_end;
    let left_out = below.saturating_sub(SUFFIX_BYTES).next_multiple_of(SUFFIX_JUMP);
    let end = text.len_bytes() - left_out.min(below);
    let line_start = text.line_to_byte(text.byte_to_line(end));
    if left_out == 0 || line_start <= site.line_end {
        position::floor_char(text.slice(..), end)
    } else {
        line_start
    }
}

/// The model knows one line break.
pub(crate) fn with_lf(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\r', "\n")
}

#[cfg(test)]
mod tests;
