//! Which part of a text is parsed (pure).

use std::ops::Range;

use ropey::Rope;

use super::{MARGIN, WINDOW};

/// Whether a window shows what is around a byte: all that there is, or a margin.
pub(super) fn reaches(window: &Range<usize>, text: &Rope, at: usize) -> bool {
    window.len() <= 2 * WINDOW
        && (window.start == 0 || window.start + MARGIN <= at)
        && (window.end == text.len_bytes() || at + MARGIN <= window.end)
}

/// The window after `range` became `new_len` bytes. What is typed at its ends is part of it.
pub(super) fn follow(window: &mut Range<usize>, range: &Range<usize>, new_len: usize) {
    let moved = |at: usize| at.max(range.end) - range.len() + new_len;
    if window.start > range.start {
        window.start = moved(window.start);
    }
    if window.end >= range.start {
        window.end = moved(window.end);
    }
}

/// A window around a byte: where it starts, or else may start, and where it ends.
pub(super) fn place(text: &Rope, at: usize) -> (Range<usize>, usize) {
    let len = text.len_bytes();
    let start = at.saturating_sub(WINDOW / 2).min(len.saturating_sub(WINDOW));
    let end = start + WINDOW;
    let starts = if start == 0 { 0..0 } else { seams(text, start..at - MARGIN) };
    let end = if end >= len { len } else { seams(text, at + MARGIN..end).end };
    (starts, end)
}

/// The first and the last place in a range where a cut goes through the fewest things: before a line that is indented least
/// and, of those, one behind a blank line; nothing but a closing bracket may stand there. Without such a line, the ends.
fn seams(text: &Rope, range: Range<usize>) -> Range<usize> {
    let first = text.byte_to_line(range.start) + 1;
    let mut at = text.line_to_byte(first);
    let mut after_blank = false;
    let mut best: Option<(_, Range<usize>)> = None;
    for line in text.lines_at(first) {
        if at >= range.end {
            break;
        }
        let indentation = line.bytes().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let blank = matches!(line.get_byte(indentation), None | Some(b'\r' | b'\n'));
        if !blank && !matches!(line.byte(indentation), b')' | b']' | b'}') {
            let rank = (indentation, !after_blank);
            best = match best {
                Some((least, _)) if rank > least => best,
                Some((least, seams)) if rank == least => Some((least, seams.start..at)),
                _ => Some((rank, at..at)),
            };
        }
        after_blank = blank;
        at += line.len_bytes();
    }
    let floor = |at| text.char_to_byte(text.byte_to_char(at));
    best.map_or_else(|| floor(range.start)..floor(range.end), |(_, seams)| seams)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_is_cut_where_it_is_indented_least() {
        let cases = [
            ("x\n    a\nb\n    c\nd\n    e\n", "b", "d"),
            // A blank line parts more than a line break.
            ("x\n\na\n    b\n\nc\nd\n", "a", "c"),
            ("x\n\n    a\n    b\n\n    c\n", "    a", "    c"),
            // What a bracket closes began above.
            ("x\n    a\n}\n\n)\n    b\n", "    a", "    b"),
            // There is no line to choose from.
            ("x\n}\n\n", "x", ""),
            ("a long line", "a long", ""),
        ];
        for (text, first, last) in cases {
            let rope = Rope::from_str(text);
            let seams = seams(&rope, 0..text.len());
            let found = [seams.start, seams.end].map(|at| &text[at..]);
            assert!(found[0].starts_with(first) && found[1].starts_with(last), "{text:?}: {found:?}");
        }
    }

    proptest! {
        #[test]
        fn a_new_window_reaches_around_its_byte_and_is_a_part_of_the_text(
            lines in prop::collection::vec("( {0,8}[a-z}é]{0,30}\r?\n|é{3000})", 1..60),
            times in 1usize..80,
            at in any::<prop::sample::Index>(),
        ) {
            let text = Rope::from_str(&lines.concat().repeat(times));
            let at = text.char_to_byte(at.index(text.len_chars() + 1));
            let (starts, end) = place(&text, at);
            for start in [starts.start, starts.end] {
                prop_assert!(reaches(&(start..end), &text, at), "{start}..{end} around {at} of {}", text.len_bytes());
                // A character more at most.
                prop_assert!(end - start < WINDOW + 4);
                prop_assert_eq!(text.char_to_byte(text.byte_to_char(start)), start);
            }
            prop_assert_eq!(text.char_to_byte(text.byte_to_char(end)), end);
        }

        /// What a window shows, and what is inserted at its ends, stays in it; nothing else comes in.
        #[test]
        fn a_window_follows_its_text(text in "[a-y]{1,20}", [a, b, c, d] in any::<[prop::sample::Index; 4]>(), new in "Z{0,4}") {
            let of = |index: prop::sample::Index| index.index(text.len() + 1);
            let (mut window, range) = (of(a).min(of(b))..of(a).max(of(b)), of(c).min(of(d))..of(c).max(of(d)));
            let kept = |part: Range<usize>| -> String {
                part.filter(|at| !range.contains(at)).map(|at| &text[at..=at]).collect()
            };
            let expected = kept(window.clone());
            let inserted = window.start <= range.start && range.start <= window.end;
            let mut changed = text.clone();
            changed.replace_range(range.clone(), &new);
            follow(&mut window, &range, new.len());
            prop_assert_eq!(changed[window.clone()].replace('Z', ""), expected);
            prop_assert!(!inserted || changed[window].contains(&new));
        }
    }
}
