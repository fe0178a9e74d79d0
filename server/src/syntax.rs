//! The syntax tree of a text, kept up to date edit by edit.

use std::ops::{ControlFlow, Range};

use ropey::Rope;
use tree_sitter::{InputEdit, Node, ParseOptions, Parser, Point, Tree};

use crate::languages::{self, Language};

pub(crate) mod brackets;
mod window;

/// Bytes of text that have a tree. An edit may cost as much as a window: the parser takes over no node that holds a place where
/// the grammar had to try two readings, and Go and Python have them everywhere.
const WINDOW: usize = 32 * 1024;
/// So far a window reaches around its cursor at least, where the text does. Between this and half a window its ends are where they
/// cut the fewest things in two.
const MARGIN: usize = WINDOW / 8;
/// A parse is given up after so many checks, each a hundred or so steps of the parser. Plain code takes one for 140 bytes, dense
/// code one for 60; text that the grammar does not know may take many times as many. Steps, not time, so that the same window
/// always has the same tree.
const CHECKS: usize = WINDOW / 32;

/// The tree of a text around a cursor. All that is asked of it is about the text there, with and without something inserted,
/// so a text that is larger than a window is parsed as if its window were all of it: what a key costs does not grow with
/// the text. What is cut in two at the window's ends may be an error there, with the insertion as without it. A block whose
/// head is outside, of a class of a thousand lines, has no end; and behind a string or comment of so many lines that no
/// window starts outside it, code may be taken for prose until the cursor is further on. Cheap to clone: trees share their nodes.
#[derive(Debug, Clone)]
pub(crate) struct Syntax {
    language: &'static Language,
    /// Bytes of the text that the tree is of.
    window: Range<usize>,
    tree: Tree,
    /// Edits came since the parse.
    stale: bool,
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
    /// Parses a text around a byte; `None` if that takes too long.
    pub(crate) fn new(language: &'static Language, text: &Rope, at: usize) -> Option<Self> {
        let within = |window: Range<usize>| {
            let tree = parse(language, text, &window, None)?;
            Some(Syntax { language, window, tree, stale: false })
        };
        let (starts, end) = window::place(text, at);
        let syntax = within(starts.start..end);
        let errors = |syntax: &Option<Syntax>| syntax.as_ref().map_or(usize::MAX, Syntax::errors);
        if starts.is_empty() || errors(&syntax) == 0 {
            return syntax;
        }
        // Errors of the window's own: it starts inside a string of several lines, say, and takes code for prose. Nearer to the cursor
        // there may be none. Those that the user makes are there in both.
        let later = within(starts.end..end);
        if errors(&later) < errors(&syntax) { later } else { syntax }
    }

    /// Parses a file around a byte; `None` if its language, by its id or else by the path, is unknown or that takes too long.
    pub(crate) fn of_file(id: &str, path: &str, text: &Rope, at: usize) -> Option<Self> {
        languages::find(id, path).and_then(|language| Syntax::new(language, text, at))
    }

    /// Notes an edit: `range` of `before`, in bytes, became `new_len` bytes, which makes `after`.
    pub(crate) fn edit(&mut self, before: &Rope, range: Range<usize>, new_len: usize, after: &Rope) {
        self.tree.edit(&input_edit(before, range.clone(), new_len, after));
        window::follow(&mut self.window, &range, new_len);
        self.stale = true;
    }

    /// The syntax around a byte after the edits: of this window, or of a new one if this does not reach around the byte. `None` if
    /// the parse takes too long.
    pub(crate) fn updated(self, text: &Rope, at: usize) -> Option<Self> {
        match window::reaches(&self.window, text, at) {
            true if self.stale => self.parsed(text),
            true => Some(self),
            false => Syntax::new(self.language, text, at),
        }
    }

    fn parsed(self, text: &Rope) -> Option<Self> {
        let tree = parse(self.language, text, &self.window, Some(&self.tree))?;
        Some(Syntax { tree, stale: false, ..self })
    }

    /// The syntax that the text would have with `new` at `range`, and that text; `None` if the parse takes too long. The window
    /// is the same, so that the two can be compared.
    pub(crate) fn with(&self, text: &Rope, range: Range<usize>, new: &str) -> Option<(Self, Rope)> {
        let mut changed = text.clone();
        let chars = text.byte_to_char(range.start)..text.byte_to_char(range.end);
        changed.remove(chars.clone());
        changed.insert(chars.start, new);
        let mut syntax = self.clone();
        syntax.edit(text, range, new.len(), &changed);
        Some((syntax.parsed(&changed)?, changed))
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

    /// Lines that the tree is of.
    pub(crate) fn lines(&self) -> usize {
        let root = self.tree.root_node();
        root.end_position().row - root.start_position().row + 1
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
fn parse(language: &Language, text: &Rope, window: &Range<usize>, old: Option<&Tree>) -> Option<Tree> {
    let mut parser = Parser::new();
    parser.set_language(&language.grammar()).ok()?;
    let included = tree_sitter::Range {
        start_byte: window.start,
        end_byte: window.end,
        start_point: point(text, window.start),
        end_point: point(text, window.end),
    };
    parser.set_included_ranges(&[included]).ok()?;
    let mut checks_left = CHECKS;
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
