//! The brackets of a tree: those in strings and comments are none.

use std::ops::Range;

use tree_sitter::{Node, TreeCursor};

use super::Syntax;

const KINDS: [(char, char); 3] = [('(', ')'), ('[', ']'), ('{', '}')];

/// Of each kind of bracket, how many more are opened than closed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Balance([isize; 3]);

/// A bracket without a partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Unpaired {
    /// Its byte in the text.
    pub(crate) at: usize,
    pub(crate) bracket: char,
}

impl Balance {
    /// What a text leaves open that was inserted: more than was open before, and than closes what stood without a partner.
    pub(crate) fn opened_since(self, before: Balance) -> Balance {
        self.since(before, |with, before| (with - before.max(0)).max(0))
    }

    /// The same of what it closes without having opened it.
    pub(crate) fn closed_since(self, before: Balance) -> Balance {
        self.since(before, |with, before| (before.min(0) - with).max(0))
    }

    fn since(self, before: Balance, change: fn(isize, isize) -> isize) -> Balance {
        Balance([0, 1, 2].map(|kind| change(self.0[kind], before.0[kind])))
    }

    /// Whether nothing is left.
    pub(crate) fn is_zero(self) -> bool {
        self == Balance::default()
    }

    /// Takes one bracket off, if one of its kind is counted.
    pub(crate) fn take(&mut self, bracket: char) -> bool {
        let counted = kind(bracket).map(|(kind, _)| &mut self.0[kind]).filter(|count| **count > 0);
        counted.map(|count| *count -= 1).is_some()
    }
}

/// The bracket that closes an opening one.
pub(crate) fn partner(bracket: char) -> Option<char> {
    KINDS.iter().find(|(open, _)| *open == bracket).map(|(_, close)| *close)
}

impl Syntax {
    /// Brackets opened against brackets closed. What the grammar can place closes what it opens, so only the
    /// rest of the text is looked at.
    pub(crate) fn balance(&self) -> Balance {
        let mut balance = Balance::default();
        walk(
            &mut self.tree.walk(),
            |node| node.has_error(),
            |_, bracket| {
                if let Some((kind, change)) = kind(bracket) {
                    balance.0[kind] += change;
                }
            },
        );
        balance
    }

    /// The brackets in a range that have no partner there.
    pub(crate) fn unpaired(&self, range: Range<usize>) -> Vec<Unpaired> {
        let mut unpaired: Vec<Unpaired> = Vec::new();
        let meets = |node: Node<'_>| node.start_byte() < range.end && node.end_byte() > range.start;
        walk(&mut self.tree.walk(), meets, |at, bracket| {
            if !range.contains(&at) {
                return;
            }
            match unpaired.last() {
                Some(last) if partner(last.bracket) == Some(bracket) => drop(unpaired.pop()),
                _ => unpaired.push(Unpaired { at, bracket }),
            }
        });
        unpaired
    }
}

fn kind(bracket: char) -> Option<(usize, isize)> {
    KINDS.iter().enumerate().find_map(|(kind, &(open, close))| match bracket {
        _ if bracket == open => Some((kind, 1)),
        _ if bracket == close => Some((kind, -1)),
        _ => None,
    })
}

/// Visits the brackets of the nodes that are entered, in their order. Tokens are what grammars leave unnamed; some hold
/// more than the bracket, like `${`.
fn walk(cursor: &mut TreeCursor<'_>, enter: impl Fn(Node<'_>) -> bool, mut visit: impl FnMut(usize, char)) {
    loop {
        let node = cursor.node();
        if node.child_count() == 0 && !node.is_named() && !node.is_missing() {
            for (at, bracket) in node.kind().char_indices().filter(|(_, c)| kind(*c).is_some()) {
                visit(node.start_byte() + at, bracket);
            }
        }
        if enter(node) && cursor.goto_first_child() {
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ropey::Rope;

    use super::*;

    fn syntax(path: &str, text: &str) -> Syntax {
        Syntax::of_file("", path, &Rope::from_str(text), 0).expect("a language")
    }

    #[test]
    fn what_is_open_is_counted_per_kind() {
        let cases = [
            ("a.rs", "fn f() {\n    a();\n}\n", [0, 0, 0]),
            ("a.rs", "fn f() {\n    if a {\n}\n", [0, 0, 1]),
            ("a.rs", "fn f() {\n    g(a[1;\n}\n", [1, 1, 0]),
            ("a.rs", "fn f() {\n    a();\n}\n}\n", [0, 0, -1]),
            // No brackets.
            ("a.rs", "fn f() {\n    g(\"(\", '{', /* [ */ 1); // }\n    if a {\n}\n", [0, 0, 1]),
            ("a.ts", "const a = `${b} {`;\nf(`${c", [1, 0, 1]),
            ("a.py", "x = f(a, [1,\ny = 2\n", [1, 1, 0]),
            ("a.go", "package p\n\nfunc f() {\n\tif a {\n}\n", [0, 0, 1]),
            ("a.json", "{\"a\": [1, {\"b\": 2]}", [0, 0, 1]),
        ];
        for (path, text, expected) in cases {
            assert_eq!(syntax(path, text).balance(), Balance(expected), "{path}: {text:?}");
        }
    }

    #[test]
    fn brackets_without_a_partner_are_found_where_they_stand() {
        let of = |text: &str, range: Range<usize>| -> Vec<(usize, char)> {
            let unpaired = syntax("a.rs", text).unpaired(range);
            unpaired.into_iter().map(|unpaired| (unpaired.at, unpaired.bracket)).collect()
        };
        let text = "fn f() {\n    if a {\n        b(1);\n    } else {\n        c(2);\n}\n";
        assert_eq!(of(text, 0..text.len()), [(7, '{')]);
        assert_eq!(of(text, 9..text.len() - 2), [(45, '{')]);
        assert_eq!(of(text, 20..text.len() - 2), [(38, '}'), (45, '{')]);
    }

    #[test]
    fn what_an_insertion_changed() {
        let since = |with: [isize; 3], before: [isize; 3]| {
            let (with, before) = (Balance(with), Balance(before));
            (with.opened_since(before).0, with.closed_since(before).0)
        };
        assert_eq!(since([1, 0, 1], [0, 0, 0]), ([1, 0, 1], [0; 3]));
        // It opened what is closed below, or closed what was open.
        assert_eq!(since([0, 0, 0], [-1, 0, 1]), ([0; 3], [0; 3]));
        assert_eq!(since([0, 0, 2], [0, 0, 1]), ([0, 0, 1], [0; 3]));
        assert_eq!(since([-1, 0, -2], [0, 0, -1]), ([0; 3], [1, 0, 1]));
    }
}
