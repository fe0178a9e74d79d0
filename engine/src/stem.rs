//! The stem: the end of the text before the cursor, with which the middle begins.
//!
//! Where the tokeniser parts text depends on what follows, so half a word is in tokens that no whole text has. The stream
//! ends before the stem instead, and the first tokens of the middle are chosen among those that it may begin with.

/// Characters of a stem at most, without the blank before it.
const MAX_STEM: usize = 24;

#[derive(PartialEq)]
enum Kind {
    Space,
    Letter,
    Digit,
    Sign,
}

fn kind(c: char) -> Kind {
    match c {
        c if c.is_whitespace() => Kind::Space,
        c if c.is_numeric() => Kind::Digit,
        c if c.is_alphabetic() => Kind::Letter,
        _ => Kind::Sign,
    }
}

/// The stem of a prefix: one character of white space, or a digit, or a run of letters or of signs with the blank before it.
/// The tokeniser parts text in front of it, whatever follows.
pub fn stem(prefix: &str) -> &str {
    let mut backwards = prefix.char_indices().rev();
    let Some((mut start, last)) = backwards.next() else { return "" };
    let of = kind(last);
    if of == Kind::Letter || of == Kind::Sign {
        let run = backwards.take_while(|&(_, c)| kind(c) == of).take(MAX_STEM - 1);
        start = run.last().map_or(start, |(at, _)| at);
        start = if prefix[..start].ends_with(' ') { start - 1 } else { start };
    }
    &prefix[start..]
}

/// What a middle shows: its text without the stem. Nothing where it ended before it held the whole of it.
pub(crate) fn shown<'a>(middle: &'a str, stem: &str) -> &'a str {
    middle.strip_prefix(stem).unwrap_or_default()
}
