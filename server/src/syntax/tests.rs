//! Trees under edits, and what is read from them.

use proptest::prelude::*;

use super::*;
use crate::languages::find;

fn syntax(id: &str, text: &str) -> Syntax {
    Syntax::new(find(id, "").unwrap(), &Rope::from_str(text)).unwrap()
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
    let syntax = Syntax::new(find("rust", "").unwrap(), &text).unwrap();
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
    let syntax = syntax("json", &text);
    assert_eq!((syntax.prose(100_000), syntax.block_end(100_000, 100_000)), (None, None));
    assert_eq!(syntax.errors(), 0);
}

#[test]
fn an_edit_that_turns_a_large_text_inside_out_is_not_waited_for() {
    let mut text = Rope::from_str(&"fn f() {\n    g(\"a\");\n}\n".repeat(13_000));
    let mut syntax = Syntax::new(find("rust", "").unwrap(), &text).unwrap();
    let middle = text.line_to_char(text.len_lines() / 2);
    let mut edit = |syntax: &mut Syntax, end, new| {
        replace(syntax, &mut text, middle..middle + end, new);
        syntax.update(&text);
    };
    edit(&mut syntax, 0, "\"");
    assert!(!syntax.is_current());
    edit(&mut syntax, 1, "");
    assert!(!syntax.is_current(), "a pause");
    for _ in 0..PAUSE {
        edit(&mut syntax, 0, "");
    }
    assert!(syntax.is_current());
    assert_eq!(syntax.errors(), 0);
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

/// Replaces characters in both, as a document does.
fn replace(syntax: &mut Syntax, text: &mut Rope, chars: Range<usize>, new: &str) {
    let bytes = text.char_to_byte(chars.start)..text.char_to_byte(chars.end);
    let before = text.clone();
    text.remove(chars.clone());
    text.insert(chars.start, new);
    syntax.edit(&before, bytes, new.len(), text);
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
                syntax.update(&text);
            }
        }
        for (start, length, old) in undo.into_iter().rev() {
            replace(&mut syntax, &mut text, start..start + length, &old);
        }
        syntax.update(&text);
        prop_assert!(syntax.is_current());
        prop_assert_eq!(text.to_string(), valid);
        prop_assert_eq!(syntax.tree.root_node().to_sexp(), fresh);
    }
}
