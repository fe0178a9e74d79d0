//! The syntax tree of a text, kept up to date edit by edit.

use std::ops::{ControlFlow, Range};

use ropey::Rope;
use tree_sitter::{InputEdit, Node, ParseOptions, Parser, Point, Tree};

use crate::languages::{self, Language};

pub(crate) mod brackets;

/// Larger texts have no tree: a first parse would hold up the editor.
pub(crate) const MAX_BYTES: usize = 2 * 1024 * 1024;
/// A parse is given up after so many checks, each a hundred or so steps of the parser, and one more for so many bytes of
/// new text. Plain code takes one check for 140 bytes. An edit takes as many as the whole text has places where the grammar had
/// to try two readings: the parser takes over no node that holds one, and a megabyte of Go or Python has too many of them
/// (BENCHMARKS.md). An edit that turns all text behind it inside out, as an open quote does, takes thousands. Steps, not time, so
/// that the same text always has the same tree.
const CHECKS: usize = 500;
const BYTES_A_CHECK: usize = 25;
/// Edits to let pass after a parse that was given up: the next keys seldom make it cheaper.
const PAUSE: usize = 16;

/// A text's tree. Cheap to clone: trees share their nodes.
#[derive(Debug, Clone)]
pub(crate) struct Syntax {
    language: &'static Language,
    tree: Tree,
    /// Bytes that the edits since the last parse brought, if there were any.
    unparsed: Option<usize>,
    /// Updates to let pass.
    pause: usize,
}

/// What a cursor stands in, if not in code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prose {
    /// A comment.
    Comment,
    /// A string that starts at this byte.
    String(usize),
}

impl Syntax {
    /// Parses a text; `None` if that takes too long.
    pub(crate) fn new(language: &'static Language, text: &Rope) -> Option<Self> {
        let tree = parse(language, text, None, text.len_bytes())?;
        Some(Syntax { language, tree, unparsed: None, pause: 0 })
    }

    /// Parses a file; `None` if its language, by its id or else by the path, is unknown or that takes too long.
    pub(crate) fn of_file(id: &str, path: &str, text: &Rope) -> Option<Self> {
        let language = languages::find(id, path).filter(|_| text.len_bytes() <= MAX_BYTES)?;
        Syntax::new(language, text)
    }

    /// Notes an edit: `range` of `before`, in bytes, became `new_len` bytes, which makes `after`.
    pub(crate) fn edit(&mut self, before: &Rope, range: Range<usize>, new_len: usize, after: &Rope) {
        self.tree.edit(&input_edit(before, range, new_len, after));
        self.unparsed = Some(self.unparsed.unwrap_or(0) + new_len);
    }

    /// Parses what the edits changed. If that takes too long, the tree waits for more edits.
    pub(crate) fn update(&mut self, text: &Rope) {
        let Some(n_new) = self.unparsed else { return };
        if self.pause > 0 {
            self.pause -= 1;
            return;
        }
        match parse(self.language, text, Some(&self.tree), n_new) {
            Some(tree) => {
                self.tree = tree;
                self.unparsed = None;
            }
            None => self.pause = PAUSE,
        }
    }

    /// Whether the tree is that of the text; if not, nothing can be asked of it.
    pub(crate) fn is_current(&self) -> bool {
        self.unparsed.is_none()
    }

    /// The syntax that the text would have with `new` at `range`, and that text; `None` if the parse takes too long.
    pub(crate) fn with(&self, text: &Rope, range: Range<usize>, new: &str) -> Option<(Self, Rope)> {
        let mut changed = text.clone();
        let chars = text.byte_to_char(range.start)..text.byte_to_char(range.end);
        changed.remove(chars.clone());
        changed.insert(chars.start, new);
        let mut syntax = self.clone();
        syntax.edit(text, range, new.len(), &changed);
        syntax.update(&changed);
        syntax.is_current().then_some((syntax, changed))
    }

    /// What the character before `offset` belongs to, if it is not code. At the end of a line comment the cursor is
    /// still in it.
    pub(crate) fn prose(&self, offset: usize) -> Option<Prose> {
        let before = offset.checked_sub(1)?;
        for inner in self.nodes_at(before).into_iter().rev() {
            // Right behind a string's closing quote, or a block comment's end, code goes on.
            let inside = offset < inner.end_byte();
            if self.language.comments.contains(&inner.kind()) && (inside || ends_with_its_line(inner)) {
                return Some(Prose::Comment);
            }
            if self.language.strings.contains(&inner.kind()) && (inside || inner.kind().ends_with("_content"))
            {
                return Some(Prose::String(inner.start_byte()));
            }
        }
        None
    }

    /// Where the innermost block ends that started before `cursor` and holds the byte at `anchor`, with all that belongs
    /// to it: its other branches, its closing bracket. A block's head is part of it.
    pub(crate) fn block_end(&self, anchor: usize, cursor: usize) -> Option<usize> {
        let mut outwards = self.nodes_at(anchor).into_iter().skip(1).rev();
        outwards.find(|node| node.start_byte() < cursor && has_block(*node)).map(|node| node.end_byte())
    }

    /// The nodes that hold a byte, from the root inwards. From outside, because a node finds its parent by the same way
    /// each time, and texts may be nested as deep as they are long.
    fn nodes_at(&self, byte: usize) -> Vec<Node<'_>> {
        let mut cursor = self.tree.walk();
        let mut nodes = vec![cursor.node()];
        while cursor.goto_first_child_for_byte(byte).is_some() && cursor.node().start_byte() <= byte {
            nodes.push(cursor.node());
        }
        nodes
    }

    /// Nodes that the grammar could not place, and tokens that it had to make up.
    pub(crate) fn errors(&self) -> usize {
        let mut count = 0;
        let mut cursor = self.tree.walk();
        loop {
            let node = cursor.node();
            count += usize::from(node.is_error() || node.is_missing());
            // Only subtrees with errors are entered.
            if node.has_error() && cursor.goto_first_child() {
                continue;
            }
            while !cursor.goto_next_sibling() {
                if !cursor.goto_parent() {
                    return count;
                }
            }
        }
    }
}

/// How grammars call a node that holds the statements or members of its parent.
const BLOCKS: [&str; 6] =
    ["block", "body", "compound_statement", "declaration_list", "variant_list", "enumerator_list"];

fn has_block(node: Node<'_>) -> bool {
    let mut cursor = node.walk();
    node.children(&mut cursor).any(|child| BLOCKS.iter().any(|kind| child.kind().ends_with(kind)))
}

/// True for comments that the end of a line ends: behind their last character one is still inside.
fn ends_with_its_line(comment: Node<'_>) -> bool {
    comment.start_position().row == comment.end_position().row && comment.kind() != "block_comment"
}

/// A parser costs little next to a parse; without one of its own a tree can be cloned and sent.
fn parse(language: &Language, text: &Rope, old: Option<&Tree>, n_new: usize) -> Option<Tree> {
    let mut parser = Parser::new();
    parser.set_language(&language.grammar()).ok()?;
    let mut checks_left = CHECKS + n_new / BYTES_A_CHECK;
    let mut give_up = |_: &tree_sitter::ParseState| match checks_left.checked_sub(1) {
        Some(left) => {
            checks_left = left;
            ControlFlow::Continue(())
        }
        None => ControlFlow::Break(()),
    };
    let mut chunk = |offset: usize, _: Point| {
        if offset >= text.len_bytes() {
            return &[][..];
        }
        let (chunk, start, _, _) = text.chunk_at_byte(offset);
        &chunk.as_bytes()[offset - start..]
    };
    let options = ParseOptions::new().progress_callback(&mut give_up);
    parser.parse_with_options(&mut chunk, old, Some(options))
}

fn input_edit(before: &Rope, range: Range<usize>, new_len: usize, after: &Rope) -> InputEdit {
    let new_end = range.start + new_len;
    InputEdit {
        start_byte: range.start,
        old_end_byte: range.end,
        new_end_byte: new_end,
        start_position: point(before, range.start),
        old_end_position: point(before, range.end),
        new_end_position: point(after, new_end),
    }
}

/// Row and column in bytes. Rows are counted by `\n`, as tree-sitter does.
fn point(text: &Rope, offset: usize) -> Point {
    let line = text.byte_to_line(offset);
    Point::new(line, offset - text.line_to_byte(line))
}

#[cfg(test)]
mod tests;
