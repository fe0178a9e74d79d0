//! The mirror against a plain string under edits of every kind.

use proptest::prelude::*;
use tower_lsp::lsp_types::{Position, Range};

use super::*;
use crate::position::tests::{awkward_text, naive_offset};

const ALL: [Encoding; 3] = [Encoding::Utf8, Encoding::Utf16, Encoding::Utf32];

fn document(text: &str) -> Document {
    Document::new(DocumentId(0), "text".into(), "a.txt", 0, text)
}

fn change(range: Option<(u32, u32, u32, u32)>, text: &str) -> TextDocumentContentChangeEvent {
    let range = range.map(|(a, b, c, d)| Range {
        start: Position { line: a, character: b },
        end: Position { line: c, character: d },
    });
    TextDocumentContentChangeEvent { range, range_length: None, text: text.into() }
}

/// What the protocol says an edit does, on a plain string.
fn naive_apply(text: &mut String, change: &TextDocumentContentChangeEvent, encoding: Encoding) {
    let Some(range) = change.range else {
        text.clone_from(&change.text);
        return;
    };
    let a = naive_offset(text, range.start, encoding);
    let b = naive_offset(text, range.end, encoding);
    text.replace_range(a.min(b)..a.max(b), &change.text);
}

#[test]
fn edits_apply_one_after_the_other() {
    let mut document = document("fn main() {}\n");
    let changes = [change(Some((0, 11, 0, 11)), "\n    x\n"), change(Some((1, 4, 1, 5)), "let 😀 = 1;")];
    document.apply(7, &changes, Encoding::Utf16);
    assert_eq!(document.text().to_string(), "fn main() {\n    let 😀 = 1;\n}\n");
    assert_eq!(document.snapshot().version, 7);
}

#[test]
fn overlapping_and_swapped_ranges_are_applied_in_order() {
    let mut document = document("abcdef");
    let changes =
        [change(Some((0, 1, 0, 4)), "X"), change(Some((0, 3, 0, 0)), ""), change(Some((9, 9, 9, 9)), "!")];
    document.apply(1, &changes, Encoding::Utf8);
    assert_eq!(document.text().to_string(), "f!");
}

#[test]
fn saving_heals_a_wrong_mirror() {
    let mut document = document("a\r\nb");
    assert!(!document.heal("a\r\nb"));
    assert!(document.heal("a\nb"));
    assert_eq!(document.text().to_string(), "a\nb");
}

#[test]
fn a_line_of_a_million_characters_and_nul_bytes() {
    let mut document = document(&"語\0".repeat(500_000));
    document.apply(1, &[change(Some((0, 999_999, 0, 2_000_000)), "x\n")], Encoding::Utf16);
    assert_eq!(document.text().len_bytes(), 500_000 * 4 - 1 + 2);
    assert_eq!(document.text().len_lines(), 2);
}

#[test]
fn the_tree_follows_the_text() {
    let mut document = Document::new(DocumentId(0), "".into(), "a.rs", 0, "fn f() {}\n");
    let errors = |document: &mut Document| document.parsed(0).syntax.map(|syntax| syntax.errors());
    assert_eq!(errors(&mut document), Some(0));
    let kept = document.parsed(0);
    document.apply(1, &[change(Some((0, 8, 0, 9)), "")], Encoding::Utf8);
    assert_ne!(errors(&mut document), Some(0));
    // Of edits that come together only the last one counts, and a snapshot stays what it was.
    document.apply(2, &[change(Some((0, 8, 0, 8)), "é"), change(Some((0, 8, 0, 10)), "}")], Encoding::Utf8);
    assert_eq!(errors(&mut document), Some(0));
    assert_eq!(kept.syntax.unwrap().errors(), 0);
    // Larger than its window, and small again.
    document.apply(3, &[change(None, &"fn f() {}\n".repeat(300_000))], Encoding::Utf8);
    assert_eq!(errors(&mut document), Some(0));
    document.apply(4, &[change(Some((0, 0, 299_999, 0)), "")], Encoding::Utf8);
    assert_eq!(errors(&mut document), Some(0));
    document.heal("fn");
    assert_ne!(errors(&mut document), Some(0));
}

#[test]
fn a_text_that_was_too_much_for_the_parser_is_tried_again_after_a_pause() {
    let mut document = Document::new(DocumentId(0), "".into(), "a.json", 0, &"{".repeat(100_000));
    assert!(document.parsed(0).syntax.is_none());
    document.apply(1, &[change(Some((0, 0, 0, 99_999)), "")], Encoding::Utf8);
    for _ in 0..PAUSE {
        assert!(document.parsed(0).syntax.is_none());
    }
    assert!(document.parsed(0).syntax.is_some());
}

fn edits() -> impl Strategy<Value = Vec<TextDocumentContentChangeEvent>> {
    // Columns and lines go beyond what there is; ends come before starts; one in twenty replaces everything.
    let range = (0u32..14, 0u32..24, 0u32..4, 0u32..24)
        .prop_map(|(line, from, lines, to)| (line, from, line + lines, to));
    let range = proptest::option::weighted(0.95, range);
    let one = (range, awkward_text(), any::<bool>()).prop_map(|(range, text, long)| {
        let text = if long { text } else { text.chars().take(2).collect() };
        change(range, &text)
    });
    proptest::collection::vec(one, 200)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn two_hundred_random_edits_mirror_a_string(start in awkward_text(), edits in edits()) {
        for encoding in ALL {
            let mut text = start.clone();
            let mut document = document(&start);
            for (version, edits) in edits.chunks(3).enumerate() {
                document.apply(version as i32, edits, encoding);
                edits.iter().for_each(|edit| naive_apply(&mut text, edit, encoding));
                prop_assert_eq!(document.text().to_string(), text.as_str(), "{:?} at {}", encoding, version);
            }
        }
    }
}
