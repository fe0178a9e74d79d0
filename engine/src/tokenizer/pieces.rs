//! Where a text may be parted so that the ids of its pieces, in a row, are its own.
//!
//! Byte-level BPE parts a text into pre-tokens with a regular expression and merges bytes within each. In front of a blank
//! that follows an ASCII letter or digit, every expression known has one pre-token end and another begin (GPT-2, StarCoder2,
//! Llama 3, Qwen2, gpt-oss, DeepSeek, Falcon, BLOOM); none looks behind, and what looks ahead asks what follows white space.
//! So the text on either side of such a place has the same pre-tokens whatever stands on the other.
//!
//! Other places will not do: Qwen2 has a pre-token of `);` and the line break behind it, DeepSeek-Coder one of `= =`, BLOOM
//! one of `. ,`, and which characters beyond ASCII are white space differs.

use tokenizers::{DecoderWrapper, NormalizerWrapper, Tokenizer as Bpe};

/// Bytes after which a piece ends within a line.
const LONG: usize = 256;

/// True for a tokeniser that gives a text's pieces the ids of the text.
///
/// Its expression is not looked at, but its vocabulary: where no token spans such a place no merge does, wherever the expression
/// parts the text. Tokens of several words do (SuperBPE).
pub(super) fn agree<'a>(bpe: &Bpe, mut spellings: impl Iterator<Item = &'a str>) -> bool {
    let byte_level = matches!(bpe.get_decoder(), Some(DecoderWrapper::ByteLevel(_)));
    // No composition takes in the blank or goes across it.
    let plain = matches!(bpe.get_normalizer(), None | Some(NormalizerWrapper::NFC(_)));
    let resized = bpe.get_truncation().is_some() || bpe.get_padding().is_some();
    // Added tokens are looked for in the text before it is parted; those of the kind `special` are not, see `Tokenizer::open`.
    let added = bpe.get_added_tokens_decoder();
    let mut sought = added.values().filter(|token| !token.special);
    byte_level
        && plain
        && !resized
        && !sought.any(|token| token.rstrip || spans(&token.content, ' '))
        // The byte-level alphabet writes a blank as U+0120.
        && !spellings.any(|spelling| spans(spelling, '\u{120}'))
}

/// True where a blank follows an ASCII letter or digit.
fn spans(text: &str, blank: char) -> bool {
    text.match_indices(blank).any(|(at, _)| text[..at].ends_with(|c: char| c.is_ascii_alphanumeric()))
}

/// The pieces of a text: each ends at the first place behind a line break that is within it, or behind [`LONG`] bytes.
///
/// Most ends so depend on their line alone, and an edit changes the pieces around it, wherever the text begins.
pub(super) fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        let (piece, after) = rest.split_at(first_end(rest));
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

fn first_end(text: &str) -> usize {
    let mut line_break = false;
    let end = text.as_bytes().windows(2).zip(1..).find(|&(pair, at)| {
        line_break |= pair[0] == b'\n';
        (line_break || at >= LONG) && pair[1] == b' ' && pair[0].is_ascii_alphanumeric()
    });
    end.map_or(text.len(), |(_, at)| at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_piece_ends_behind_a_word() {
        let long = "a".repeat(LONG);
        for (text, expected) in [
            ("", &[][..]),
            ("a b c", &["a b c"]),
            ("a b\nc d e\nf", &["a b\nc", " d e\nf"]),
            ("a b\n    c = d;\n}\n", &["a b\n    c", " = d;\n}\n"]),
            ("é \n) \né b\u{a0}\n", &["é \n) \né b\u{a0}\n"]),
            ("f(x) {\n} ;\n\n  größe  é  1  \n", &["f(x) {\n} ;\n\n  größe", "  é  1  \n"]),
            (&format!("{long} b {long}( c {long}"), &[&long, &format!(" b {long}( c"), &format!(" {long}")]),
        ] {
            assert_eq!(pieces(text).collect::<Vec<_>>(), expected, "{text:?}");
        }
    }
}
