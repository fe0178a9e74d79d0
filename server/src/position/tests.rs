//! Positions against a conversion that is as naive as the protocol's text.

use proptest::prelude::*;

use super::*;

const ALL: [Encoding; 3] = [Encoding::Utf8, Encoding::Utf16, Encoding::Utf32];

/// Lines with their line breaks, as the protocol defines them.
pub(crate) fn lines(text: &str) -> Vec<&str> {
    let mut lines = Vec::new();
    let mut rest = text;
    while let Some(at) = rest.find(['\n', '\r']) {
        let n = if rest[at..].starts_with("\r\n") { 2 } else { 1 };
        lines.push(&rest[..at + n]);
        rest = &rest[at + n..];
    }
    lines.push(rest);
    lines
}

/// Goes through the line character by character.
pub(crate) fn naive_offset(text: &str, position: Position, encoding: Encoding) -> usize {
    let lines = lines(text);
    let Some(line) = lines.get(position.line as usize) else { return text.len() };
    let start: usize = lines[..position.line as usize].iter().map(|line| line.len()).sum();
    let content = line.trim_end_matches(['\n', '\r']);
    let (mut units, mut bytes) = (0, 0);
    for c in content.chars() {
        units += match encoding {
            Encoding::Utf8 => c.len_utf8(),
            Encoding::Utf16 => c.len_utf16(),
            Encoding::Utf32 => 1,
        };
        if units > position.character as usize {
            break;
        }
        bytes += c.len_utf8();
    }
    start + bytes
}

/// Text with everything that goes wrong: emoji, CJK, combining marks, all line breaks, separators that are none.
pub(crate) fn awkward_text() -> impl Strategy<Value = String> {
    let pieces = [
        "a",
        "b c",
        "é",
        "e\u{301}",
        "語",
        "😀",
        "👩‍👩‍👧",
        "\u{0}",
        "\n",
        "\r\n",
        "\r",
        "\u{2028}",
        "\u{85}",
        "\t",
    ];
    proptest::collection::vec(proptest::sample::select(pieces.to_vec()), 0..40)
        .prop_map(|parts| parts.concat())
}

fn at(line: u32, character: u32) -> Position {
    Position { line, character }
}

#[test]
fn columns_count_what_was_agreed() {
    let text = Rope::from_str("a😀é語\nb");
    for (encoding, columns) in [
        (Encoding::Utf8, [0, 1, 5, 7, 10]),
        (Encoding::Utf16, [0, 1, 3, 4, 5]),
        (Encoding::Utf32, [0, 1, 2, 3, 4]),
    ] {
        for (column, offset) in columns.into_iter().zip([0, 1, 5, 7, 10]) {
            assert_eq!(to_offset(&text, at(0, column), encoding), offset, "{encoding:?}");
            assert_eq!(to_position(&text, offset, encoding), at(0, column), "{encoding:?}");
        }
    }
}

#[test]
fn inside_a_character_is_its_start() {
    let text = Rope::from_str("😀x");
    assert_eq!(to_offset(&text, at(0, 1), Encoding::Utf16), 0);
    assert_eq!(to_offset(&text, at(0, 3), Encoding::Utf8), 0);
    assert_eq!(to_position(&text, 2, Encoding::Utf16), at(0, 0));
}

#[test]
fn out_of_range_is_clamped() {
    let text = Rope::from_str("ab\r\nc\n");
    for encoding in ALL {
        assert_eq!(to_offset(&text, at(0, 99), encoding), 2);
        assert_eq!(to_offset(&text, at(0, 3), encoding), 2);
        assert_eq!(to_offset(&text, at(1, u32::MAX), encoding), 5);
        assert_eq!(to_offset(&text, at(2, 0), encoding), 6);
        assert_eq!(to_offset(&text, at(3, 0), encoding), 6);
        assert_eq!(to_offset(&text, at(u32::MAX, u32::MAX), encoding), 6);
        assert_eq!(to_position(&text, 3, encoding), at(0, 2));
        assert_eq!(to_position(&text, 99, encoding), at(2, 0));
        assert_eq!(to_offset(&Rope::new(), at(5, 5), encoding), 0);
    }
}

#[test]
fn only_the_protocols_line_breaks_break_lines() {
    let text = Rope::from_str("a\u{2028}b\u{85}c\u{c}d\re");
    assert_eq!(to_position(&text, text.len_bytes(), Encoding::Utf32), at(1, 1));
}

#[test]
fn bytes_are_preferred_and_utf_16_is_the_default() {
    let (utf8, utf16, utf32) =
        (PositionEncodingKind::UTF8, PositionEncodingKind::UTF16, PositionEncodingKind::UTF32);
    assert_eq!(Encoding::negotiate(&[]), Encoding::Utf16);
    assert_eq!(Encoding::negotiate(&[utf16.clone(), utf32.clone(), utf8]), Encoding::Utf8);
    assert_eq!(Encoding::negotiate(&[utf32.clone(), utf16]), Encoding::Utf16);
    assert_eq!(Encoding::negotiate(&[utf32]), Encoding::Utf32);
    assert_eq!(Encoding::negotiate(&[PositionEncodingKind::new("utf-7")]), Encoding::Utf16);
}

proptest! {
    #[test]
    fn offsets_equal_the_naive_ones(text in awkward_text(), line in 0u32..12, character in 0u32..30) {
        let rope = Rope::from_str(&text);
        for encoding in ALL {
            let position = at(line, character);
            prop_assert_eq!(to_offset(&rope, position, encoding), naive_offset(&text, position, encoding));
        }
    }

    #[test]
    fn offset_to_position_and_back(text in awkward_text()) {
        let rope = Rope::from_str(&text);
        for (offset, _) in text.char_indices().chain([(text.len(), ' ')]) {
            let inside_break = text[..offset].ends_with('\r') && text[offset..].starts_with('\n');
            for encoding in ALL {
                let back = to_offset(&rope, to_position(&rope, offset, encoding), encoding);
                prop_assert_eq!(back, if inside_break { offset - 1 } else { offset });
            }
        }
    }
}
