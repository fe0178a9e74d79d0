//! What the editor gets, or why it gets nothing.

use std::fmt;
use std::ops::Range;

/// Text to show at the cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// Literal text, with the buffer's line breaks.
    pub text: String,
    /// Bytes of the document it replaces: on one line, around the cursor. Usually empty.
    pub range: Range<usize>,
}

/// Why there is no suggestion. Every empty answer has one, and the log line of the request names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    // === The request ===
    /// No buffer is open under its URI.
    UnknownDocument,
    /// A newer request of the same document took its place.
    Superseded,
    /// The client cancelled it.
    Cancelled,
    /// The text changed, and not by typing the first characters of the answer.
    Edited,
    /// The buffer was closed.
    Closed,

    // === The place ===
    /// The settings want nothing suggested, or not in this language.
    SwitchedOff,
    /// The buffer is not to be read: it may hold secrets, or the user's ignore file names it.
    Excluded,
    /// The editor asked by itself in a comment or a string of prose.
    Prose,
    /// The editor asked by itself right before a word.
    BeforeWord,

    // === The engine ===
    /// Nothing was there when the deadline passed.
    Deadline,
    /// The model is not loaded and will not be.
    EngineDown,
    /// The engine failed on this request.
    EngineFailed,

    // === The text ===
    /// The model thinks that nothing is missing.
    Nothing,
    /// The model is less sure of it than the user wants.
    Unsure,
    /// White space only.
    Blank,
    /// It says the line above again and again.
    Repeats,
    /// It only repeats what stands below or right of the cursor.
    RepeatsSuffix,
    /// The grammar cannot place it.
    ParseError,
    /// The user has typed all of it.
    AllTyped,
}

impl fmt::Display for Reason {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Reason::UnknownDocument => "unknown document",
            Reason::Superseded => "superseded",
            Reason::Cancelled => "cancelled",
            Reason::Edited => "text changed",
            Reason::Closed => "closed",
            Reason::SwitchedOff => "switched off",
            Reason::Excluded => "excluded",
            Reason::Prose => "in prose",
            Reason::BeforeWord => "right before a word",
            Reason::Deadline => "deadline",
            Reason::EngineDown => "engine down",
            Reason::EngineFailed => "engine failed",
            Reason::Nothing => "nothing missing",
            Reason::Unsure => "unsure",
            Reason::Blank => "blank",
            Reason::Repeats => "repeats itself",
            Reason::RepeatsSuffix => "repeats the suffix",
            Reason::ParseError => "parse error",
            Reason::AllTyped => "typed already",
        })
    }
}
