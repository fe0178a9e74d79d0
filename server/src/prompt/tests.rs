//! Windows: what they hold, and that they stay where they are while the user types.

use proptest::prelude::*;

use super::*;

fn prompt_at(text: &str, offset: usize) -> Prompt {
    let rope = Rope::from_str(text);
    prompt(&rope, &Site::at(&rope, offset), None)
}

/// The prompt at `$0`.
fn check(text: &str) -> (String, String) {
    let offset = text.find("$0").expect("a cursor");
    let Prompt { prefix, suffix, .. } = prompt_at(&text.replacen("$0", "", 1), offset);
    (prefix, suffix)
}

fn pair(prefix: &str, suffix: &str) -> (String, String) {
    (prefix.into(), suffix.into())
}

#[test]
fn a_short_text_is_all_there() {
    assert_eq!(check("a\nb$0c\nd"), pair("a\nb", "c\nd"));
    assert_eq!(check("$0"), pair("", ""));
    assert_eq!(check("fn f() {\n    $0\n}\n"), pair("fn f() {\n    ", "\n}\n"));
}

#[test]
fn line_breaks_become_the_models() {
    assert_eq!(check("a\r\nb$0\r\nc\rd"), pair("a\nb", "\nc\nd"));
}

#[test]
fn the_text_is_parted_at_the_cursor() {
    assert_eq!(check("a\n$0b\n"), pair("a\n", "b\n"));
    assert_eq!(check("a\n$0  \nb\n"), pair("a\n", "  \nb\n"));
    assert_eq!(check("a\n $0b\n"), pair("a\n ", "b\n"));
}

#[test]
fn the_path_is_passed_on() {
    let rope = Rope::from_str("x");
    let prompt = prompt(&rope, &Site::at(&rope, 1), Some("src/x.rs".into()));
    assert_eq!(prompt.path.as_deref(), Some("src/x.rs"));
}

/// Lines of 1 to 80 bytes, numbered so that no two are equal.
fn long_text(n_lines: usize) -> String {
    (0..n_lines).map(|n| format!("{n:05}{}\n", "x".repeat(n * 7 % 75))).collect()
}

#[test]
fn windows_start_and_end_at_lines() {
    let text = long_text(2000);
    for offset in [100, 5_000, 6_145, 20_000, text.len() / 2, text.len() - 10, text.len()] {
        let Prompt { prefix, suffix, .. } = prompt_at(&text, offset);
        let start = offset - prefix.len();
        assert!(start == 0 || text[..start].ends_with('\n'), "{offset}");
        assert!(prefix.len() <= PREFIX_BYTES && prefix.len() >= offset.min(PREFIX_BYTES - PREFIX_JUMP - 80));
        let suffix = suffix.trim_start_matches('\n');
        assert!(text[offset..].trim_start_matches('\n').starts_with(suffix), "{offset}");
        let rest = text.len() - offset;
        assert!(
            suffix.len() <= SUFFIX_BYTES + LINE_BYTES
                && suffix.len() + 80 >= rest.min(SUFFIX_BYTES - SUFFIX_JUMP - 80)
        );
    }
}

#[test]
fn lines_as_long_as_the_window_are_cut() {
    let text = format!("a\n{}\nb\n", "語".repeat(100_000));
    for offset in [2, 5, 10_001, 150_002, 300_002] {
        let offset = (0..=offset).rev().find(|&at| text.is_char_boundary(at)).unwrap();
        let Prompt { prefix, suffix, .. } = prompt_at(&text, offset);
        assert!(text[..offset].ends_with(&prefix) && prefix.len() <= PREFIX_BYTES, "{offset}");
        assert!(suffix.len() <= SUFFIX_BYTES + LINE_BYTES, "{offset}");
        assert!(prefix.len() >= offset.min(PREFIX_BYTES - PREFIX_JUMP - 3), "{offset}");
    }
}

/// Types a text character by character; counts how often the window's start and the lines below change.
fn flaps(before: &str, typed: &str, after: &str) -> (usize, usize) {
    let mut seen = None;
    let (mut start_moves, mut below_moves) = (0, 0);
    for n in 0..=typed.chars().count() {
        let so_far: String = typed.chars().take(n).collect();
        let text = format!("{before}{so_far}{after}");
        let offset = before.len() + so_far.len();
        let Prompt { prefix, suffix, .. } = prompt_at(&text, offset);
        let start = offset - prefix.len();
        let below = suffix.find('\n').map_or(String::new(), |at| suffix[at..].to_owned());
        if let Some((old_start, old_below)) = seen.replace((start, below.clone())) {
            start_moves += usize::from(start != old_start);
            below_moves += usize::from(below != old_below);
        }
    }
    (start_moves, below_moves)
}

#[test]
fn typing_a_screenful_moves_the_start_once_in_a_jump_and_the_suffix_never() {
    let text = long_text(1000);
    let (before, after) = text.split_at(text[..20_000].rfind('\n').unwrap());
    let typed = "let value = compute(first, second);\n    ".repeat(150);
    let (start_moves, below_moves) = flaps(before, &typed, after);
    assert!((2..=typed.len() / PREFIX_JUMP + 1).contains(&start_moves), "{start_moves}");
    assert_eq!(below_moves, 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn typing_a_line_moves_nothing_but_at_a_jump(at in 0usize..40_000, typed in "[a-zé😀 ]{1,60}") {
        let text = long_text(1000);
        let at = at.min(text.len());
        let at = text[..at].rfind('\n').unwrap_or(0);
        let (before, after) = text.split_at(at);
        let (start_moves, below_moves) = flaps(before, &typed, after);
        prop_assert!(start_moves <= 1, "{}", start_moves);
        prop_assert_eq!(below_moves, 0);
    }

    #[test]
    fn no_text_and_no_cursor_is_too_much(text in crate::position::tests::awkward_text(), repeat in 1usize..200) {
        let text = text.repeat(repeat);
        let rope = Rope::from_str(&text);
        for (offset, _) in text.char_indices().step_by(17) {
            let site = Site::at(&rope, offset);
            let Prompt { prefix, suffix, .. } = prompt(&rope, &site, None);
            prop_assert!(!prefix.contains('\r') && !suffix.contains('\r'));
            prop_assert!(prefix.len() <= PREFIX_BYTES && suffix.len() <= SUFFIX_BYTES + LINE_BYTES + 1);
        }
    }
}
