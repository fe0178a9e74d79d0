//! The syntax tree of one document, kept up to date edit by edit.

use std::ops::{ControlFlow, Range};

use ropey::Rope;
use tree_sitter::{InputEdit, Node, ParseOptions, Parser, Point, Tree};

use crate::languages::Language;

/// Larger texts have no tree: a first parse would hold up the editor.
const MAX_BYTES: usize = 2 * 1024 * 1024;
/// A parse is given up after so many checks, about a hundred steps of the parser each: several times what a text of
/// `MAX_BYTES` takes. Steps, not time, so that the same text always has the same tree.
const BUDGET: usize = 500_000;

/// A document's parser and tree.
pub(crate) struct Syntax {
    language: &'static Language,
    parser: Parser,
    tree: Tree,
}

/// What a cursor stands in, if not in code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Prose {
    /// A comment.
    Comment,
    /// The text of a string.
    String,
}

impl Syntax {
    /// Parses a text; `None` if it is too large.
    pub(crate) fn new(language: &'static Language, text: &Rope) -> Option<Self> {
        let mut parser = Parser::new();
        parser.set_language(&language.grammar()).ok()?;
        let tree = parse(&mut parser, text, None)?;
        Some(Syntax { language, parser, tree })
    }

    /// Follows an edit: `range` of `before`, in bytes, became `new_len` bytes, which makes `after`. False if the tree is
    /// lost.
    #[must_use]
    pub(crate) fn edit(&mut self, before: &Rope, range: Range<usize>, new_len: usize, after: &Rope) -> bool {
        self.tree.edit(&input_edit(before, range, new_len, after));
        match parse(&mut self.parser, after, Some(&self.tree)) {
            Some(tree) => {
                self.tree = tree;
                true
            }
            None => false,
        }
    }

    /// What the character before `offset` belongs to, if it is not code. At the end of a line comment the cursor is
    /// still in it.
    pub(crate) fn prose(&self, offset: usize) -> Option<Prose> {
        let before = offset.checked_sub(1)?;
        let mut node = self.tree.root_node().descendant_for_byte_range(before, before + 1);
        while let Some(inner) = node {
            // Right behind a string's closing quote, or a block comment's end, code goes on.
            let inside = offset < inner.end_byte();
            if self.language.comments.contains(&inner.kind()) && (inside || ends_with_its_line(inner)) {
                return Some(Prose::Comment);
            }
            if self.language.strings.contains(&inner.kind()) && (inside || inner.kind().ends_with("_content"))
            {
                return Some(Prose::String);
            }
            node = inner.parent();
        }
        None
    }

    /// Start of the outermost item that begins at or after `offset`: a place to cut the text at.
    pub(crate) fn item_start(&self, offset: usize) -> Option<usize> {
        let root = self.tree.root_node();
        let mut cursor = root.walk();
        root.children(&mut cursor).map(|item| item.start_byte()).find(|&start| start >= offset)
    }

    /// Scopes around `offset`, outermost first: their bytes.
    pub(crate) fn scopes(&self, offset: usize) -> Vec<Range<usize>> {
        let mut scopes = Vec::new();
        let mut node = self.tree.root_node().descendant_for_byte_range(offset, offset);
        while let Some(inner) = node {
            if self.language.scopes.contains(&inner.kind()) {
                scopes.push(inner.byte_range());
            }
            node = inner.parent();
        }
        scopes.reverse();
        scopes
    }

    /// Statements at the top level that bring names in: their bytes.
    pub(crate) fn imports(&self) -> Vec<Range<usize>> {
        let root = self.tree.root_node();
        let mut cursor = root.walk();
        let items = root.children(&mut cursor);
        items
            .filter(|item| self.language.imports.contains(&item.kind()))
            .map(|item| item.byte_range())
            .collect()
    }

    /// The tree that the text would have with `range` replaced by `new`; the document keeps its own.
    pub(crate) fn tree_with(&mut self, text: &Rope, range: Range<usize>, new: &str) -> Option<(Rope, Tree)> {
        let mut changed = text.clone();
        let chars = text.byte_to_char(range.start)..text.byte_to_char(range.end);
        changed.remove(chars.clone());
        changed.insert(chars.start, new);
        let mut tree = self.tree.clone();
        tree.edit(&input_edit(text, range, new.len(), &changed));
        let tree = parse(&mut self.parser, &changed, Some(&tree))?;
        Some((changed, tree))
    }

    /// Errors in the document's tree.
    pub(crate) fn errors(&self) -> usize {
        errors(&self.tree)
    }

    /// The root of the tree, for tests and for walks that have no name here.
    pub(crate) fn root(&self) -> Node<'_> {
        self.tree.root_node()
    }
}

/// Nodes that the grammar could not place, and tokens that it had to make up.
pub(crate) fn errors(tree: &Tree) -> usize {
    let mut count = 0;
    let mut cursor = tree.walk();
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

/// True for comments that the end of a line ends: behind their last character one is still inside.
fn ends_with_its_line(comment: Node<'_>) -> bool {
    comment.start_position().row == comment.end_position().row && comment.kind() != "block_comment"
}

fn parse(parser: &mut Parser, text: &Rope, old: Option<&Tree>) -> Option<Tree> {
    if text.len_bytes() > MAX_BYTES {
        return None;
    }
    let mut checks = 0;
    let mut give_up = |_: &tree_sitter::ParseState| {
        checks += 1;
        if checks > BUDGET { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let mut chunk = |offset: usize, _: Point| {
        if offset >= text.len_bytes() {
            return &[][..];
        }
        let (chunk, start, _, _) = text.chunk_at_byte(offset);
        &chunk.as_bytes()[offset - start..]
    };
    let options = ParseOptions::new().progress_callback(&mut give_up);
    let tree = parser.parse_with_options(&mut chunk, old, Some(options));
    if tree.is_none() {
        parser.reset();
    }
    tree
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
