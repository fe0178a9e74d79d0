//! Trees under edits, and what is read from them.

use proptest::prelude::*;

use super::*;
use crate::languages::find;

fn syntax(id: &str, text: &str) -> Syntax {
    Syntax::new(find(id, "").unwrap(), &Rope::from_str(text), 0).unwrap()
}

/// `$` is the cursor.
#[test]
fn prose_is_told_from_code() {
    let cases = [
        ("rust", "let a = $1;", None),
        ("rust", "// note$", Some(Prose::Comment)),
        ("rust", "/* a $ b */ x()", Some(Prose::Comment)),
        ("rust", "let s = \"he$llo\";", Some(Prose::String(9))),
        ("rust", "let s = \"hello$\";", Some(Prose::String(9))),
        ("rust", "let s = \"hello\"$;", None),
        ("python", "x = 1  # why$", Some(Prose::Comment)),
        ("python", "x = f'a{b$}c'", None),
        ("python", "\"\"\"doc$string\"\"\"\n", Some(Prose::String(3))),
        ("go", "s := \"a$b\"\n", Some(Prose::String(5))),
        ("typescript", "const s = 'a$b';", Some(Prose::String(10))),
        ("typescript", "const s = $1; // c", None),
        ("json", "{\"a\": \"b$\"}", Some(Prose::String(7))),
        ("python", "$x = 1", None),
    ];
    for (id, text, expected) in cases {
        let offset = text.find('$').unwrap();
        assert_eq!(syntax(id, &text.replace('$', "")).prose(offset), expected, "{id}: {text}");
    }
}

#[test]
fn errors_are_counted_and_a_trial_leaves_the_tree_alone() {
    let text = Rope::from_str("fn f() {\n    g(\n}\n");
    let syntax = Syntax::new(find("rust", "").unwrap(), &text, 0).unwrap();
    let broken = syntax.errors();
    assert!(broken > 0);
    let at = "fn f() {\n    g(".len();
    let (with, whole) = syntax.with(&text, at..at, "1);").unwrap();
    assert_eq!((whole.to_string().as_str(), with.errors()), ("fn f() {\n    g(1);\n}\n", 0));
    assert_eq!(syntax.errors(), broken);
}

/// Takes minutes if a level costs as much as the levels around it.
#[test]
fn deep_nesting_is_no_trouble() {
    let text = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    for at in [0, 50_000, 100_000] {
        let syntax = Syntax::new(find("json", "").unwrap(), &Rope::from_str(&text), at);
        let asked = |syntax: Syntax| (syntax.prose(at), syntax.block_end(at, at));
        // Too many levels that nothing closes in the window are given up.
        assert_eq!(syntax.map_or((None, None), asked), (None, None));
    }
}

const VALID: [(&str, &str); 6] = [
    ("python", "import os\n\ndef f(a, b=1):\n    if a:\n        return {'x': [a, b]}\n    # é\n"),
    (
        "rust",
        "use std::fmt;\n\n/// é\nfn f(a: &str) -> usize {\n    match a { \"x\" => 1, _ => a.len() }\n}\n",
    ),
    ("typescript", "export const f = (a: string): number => {\n  return a ? `é${a}`.length : 0;\n};\n"),
    ("go", "package p\n\nfunc F(a []int) (n int) {\n\tfor _, x := range a {\n\t\tn += x\n\t}\n\treturn\n}\n"),
    ("c", "#include <stdio.h>\nint main(void) {\n    puts(\"é\");\n    return 0;\n}\n"),
    ("json", "{\"a\": [1, 2, {\"é\": null}], \"b\": \"c\"}\n"),
];

const SAMPLES: [(&str, &str); 4] = [
    ("a.py", include_str!("../../../tests/data/samples/lru_cache.py")),
    ("a.rs", include_str!("../../../tests/data/samples/ring_buffer.rs")),
    ("a.ts", include_str!("../../../tests/data/samples/debounce.ts")),
    ("a.go", include_str!("../../../tests/data/samples/worker_pool.go")),
];

/// The syntax with all of the text as its window.
fn whole(syntax: &Syntax, text: &Rope, old: Option<&Tree>) -> Syntax {
    let mut parser = Parser::new();
    parser.set_language(&syntax.language.grammar()).unwrap();
    let tree = parser.parse(text.to_string(), old).unwrap();
    Syntax { tree, window: 0..text.len_bytes(), stale: false, language: syntax.language }
}

/// What is asked at a cursor where `new` is suggested, and the errors with it.
fn asked(syntax: &Syntax, text: &Rope, cursor: usize, new: &str) -> (impl PartialEq + use<>, usize) {
    let (mut with, mut changed) = (syntax.clone(), text.clone());
    let at = text.byte_to_char(cursor);
    replace(&mut with, &mut changed, at..at, new);
    // The whole text's would be given up.
    let with = if syntax.window.len() == text.len_bytes() {
        whole(&with, &changed, Some(&with.tree))
    } else {
        with.parsed(&changed).unwrap()
    };
    let end = cursor + new.len();
    let (before, after) = (syntax.balance(), with.balance());
    let answers = (
        syntax.prose(cursor),
        with.errors() > syntax.errors(),
        (after.opened_since(before), after.closed_since(before)),
        with.unpaired(cursor..end),
        with.block_end(cursor.saturating_sub(1), cursor).filter(|block_end| *block_end < end),
    );
    (answers, with.errors())
}

/// Replaces characters in both, as a document does.
fn replace(syntax: &mut Syntax, text: &mut Rope, chars: Range<usize>, new: &str) {
    let bytes = text.char_to_byte(chars.start)..text.char_to_byte(chars.end);
    let before = text.clone();
    text.remove(chars.clone());
    text.insert(chars.start, new);
    syntax.edit(&before, bytes, new.len(), text);
}

/// Pieces of code are typed and deleted all over long texts, up to any character: half a line, a bracket, half a string. What is
/// asked then is answered as the tree of all of the text would; always, where that has no errors, with what is suggested. How a
/// grammar recovers from an error depends on all that is there, so with errors the answers may differ, and seldom do.
#[test]
fn a_window_answers_as_the_whole_text_does() {
    let mut random = fastrand::Rng::with_seed(1);
    let (mut n, mut same) = ([0, 0], [0, 0]);
    for (path, sample) in SAMPLES {
        let mut text = Rope::from_str(&sample.repeat(4 * WINDOW / sample.len()));
        let mut syntax = Syntax::of_file("", path, &text, 0).unwrap();
        let mut whole = whole(&syntax, &text, None);
        for _ in 0..40 {
            let n_chars = text.len_chars();
            let piece = |random: &mut fastrand::Rng, longest| {
                let start = random.usize(..n_chars);
                start..(start + random.usize(..longest)).min(n_chars)
            };
            let cut = piece(&mut random, 40);
            // Half of the time only deleted, and suggested again.
            let (typed, suggested) = if random.bool() {
                (0..0, cut.clone())
            } else {
                (piece(&mut random, 60), piece(&mut random, 200))
            };
            let [old, typed, suggested] =
                [cut.clone(), typed, suggested].map(|piece| text.slice(piece).to_string());
            // Done and undone.
            let behind = cut.start + typed.chars().count();
            for (range, new) in [(cut.clone(), &typed), (cut.start..behind, &old)] {
                let mut again = text.clone();
                replace(&mut whole, &mut again, range.clone(), new);
                replace(&mut syntax, &mut text, range.clone(), new);
                let cursor = text.char_to_byte(range.start) + new.len();
                syntax = syntax.updated(&text, cursor).unwrap();
                whole = self::whole(&whole, &text, Some(&whole.tree));
                let [(of_window, _), (of_whole, errors)] =
                    [&syntax, &whole].map(|syntax| asked(syntax, &text, cursor, &suggested));
                let broken = usize::from(errors > 0);
                n[broken] += 1;
                same[broken] += usize::from(of_window == of_whole);
            }
        }
    }
    assert!(same[0] == n[0] && n[0] > 50 && same[1] * 100 > n[1] * 95, "{same:?} of {n:?}");
}

/// `$` is the cursor, behind a string of several lines of which the window sees the end only. So many bytes of lines
/// that could be code stand in the string, and so many of code between it and the cursor.
fn behind_a_string(in_it: usize, behind: usize) -> (Syntax, usize) {
    let lines = |line: &str, bytes: usize| line.repeat(bytes / line.len());
    let words = lines("Reads what is there.\n\n", in_it);
    let code = format!("x = \"\"\"\n{words}\"\"\"\n\n{}", lines("def f(a):\n    return g(a)\n\n", behind));
    let text = Rope::from_str(&format!("{code}{}", lines("y = 1\n\n\"\"\"z\"\"\"\n", WINDOW)));
    (Syntax::of_file("", "a.py", &text, code.len()).unwrap(), code.len())
}

#[test]
fn a_window_that_would_start_inside_a_string_starts_behind_it() {
    let (syntax, cursor) = behind_a_string(2 * WINDOW, WINDOW / 4);
    assert_eq!((syntax.errors(), syntax.prose(cursor)), (0, None));
    // Unless the string's end is too near: it is taken for a start.
    let (syntax, cursor) = behind_a_string(2 * WINDOW, MARGIN / 2);
    assert!(syntax.errors() > 0 && syntax.prose(cursor).is_some());
}

#[test]
fn what_takes_too_many_steps_is_given_up() {
    assert!(Syntax::of_file("", "a.json", &Rope::from_str(&"{".repeat(WINDOW)), 0).is_none());
}

proptest! {
    /// Whatever was done and undone, the tree is that of a fresh parse. (While a text has errors it may differ: how far
    /// a grammar's recovery reaches depends on what it parsed before.)
    #[test]
    fn edits_keep_the_tree_of_a_fresh_parse(
        language in 0..VALID.len(),
        edits in prop::collection::vec((any::<prop::sample::Index>(), 0usize..12, "[a-z(){}\\[\\]\"'#/:;=\n\té😀 ]{0,8}"), 1..12),
    ) {
        let (id, valid) = VALID[language];
        let mut text = Rope::from_str(valid);
        let mut syntax = syntax(id, valid);
        let fresh = syntax.tree.root_node().to_sexp();
        prop_assert!(!syntax.tree.root_node().has_error());
        let mut undo = Vec::new();
        for (at, cut, new) in edits {
            let start = at.index(text.len_chars() + 1);
            let end = (start + cut).min(text.len_chars());
            undo.push((start, new.chars().count(), text.slice(start..end).to_string()));
            replace(&mut syntax, &mut text, start..end, &new);
            // Several edits between two parses, as a client may send them.
            if start % 3 > 0 {
                syntax = syntax.updated(&text, 0).unwrap();
            }
        }
        for (start, length, old) in undo.into_iter().rev() {
            replace(&mut syntax, &mut text, start..start + length, &old);
        }
        syntax = syntax.updated(&text, 0).unwrap();
        prop_assert_eq!(text.to_string(), valid);
        prop_assert_eq!(syntax.tree.root_node().to_sexp(), fresh);
    }
}
