//! Pieces of a file, and which of them says most of what is said around a cursor (pure).

use std::ops::Range;

use cinnabar_engine::Snippet;
use ropey::Rope;

use crate::position;
use crate::prompt::with_lf;

/// Lines of a piece, and from one to the next.
const LINES: usize = 20;
const STEP: usize = LINES / 2;
/// Longer pieces are no code that somebody wrote, or do not fit into the prompt.
const BYTES: usize = 2000;
/// Pieces with fewer words are left out.
const WORDS: usize = 5;
/// Lines around the cursor that are compared.
const BEFORE: usize = 30;
const AFTER: usize = 12;
/// Bytes of them at most, on either side of the cursor.
const AROUND: usize = 4000;

/// The different words of a text, as sorted hashes. Two that share one are taken for the same: that is harmless.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Words(Vec<u32>);

impl Words {
    /// Names of three letters or more.
    pub(crate) fn of(text: &str) -> Self {
        let words = text.split(|c: char| !c.is_alphanumeric() && c != '_');
        let named = words.filter(|word| word.len() >= 3 && !word.starts_with(|c: char| c.is_ascii_digit()));
        let mut words: Vec<u32> = named.map(hash).collect();
        words.sort_unstable();
        words.dedup();
        Words(words)
    }

    /// Those around a cursor.
    pub(crate) fn around(text: &Rope, cursor: usize) -> Self {
        let line = text.byte_to_line(cursor);
        let start = text.line_to_byte(line.saturating_sub(BEFORE)).max(cursor.saturating_sub(AROUND));
        let end = text.line_to_byte((line + AFTER).min(text.len_lines())).min(cursor + AROUND);
        let [start, end] = [start, end].map(|at| position::floor_char(text.slice(..), at));
        Words::of(&text.byte_slice(start..end).to_string())
    }

    /// Words that both have, of all that they have.
    fn in_common(&self, other: &Words) -> f64 {
        let (mut a, mut b, mut common) = (0, 0, 0);
        while let (Some(x), Some(y)) = (self.0.get(a), other.0.get(b)) {
            common += usize::from(x == y);
            (a, b) = (a + usize::from(x <= y), b + usize::from(y <= x));
        }
        common as f64 / (self.0.len() + other.0.len()).max(1) as f64
    }
}

fn hash(word: &str) -> u32 {
    // FNV-1a
    word.bytes().fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// A file in pieces.
#[derive(Debug, Clone)]
pub(crate) struct Pieces {
    text: Rope,
    pieces: Vec<(Words, Range<usize>)>,
}

impl Pieces {
    /// Cuts a file at its lines.
    pub(crate) fn of(text: Rope) -> Self {
        let n_lines = text.len_lines();
        let pieces = (0..n_lines).step_by(STEP).filter_map(|first| {
            let bytes = text.line_to_byte(first)..text.line_to_byte((first + LINES).min(n_lines));
            let piece = Some(&bytes).filter(|bytes| bytes.len() <= BYTES)?;
            let words = Words::of(&text.byte_slice(piece.clone()).to_string());
            (words.0.len() >= WORDS).then_some((words, bytes))
        });
        Pieces { pieces: pieces.collect(), text }
    }

    /// Whether it has none.
    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// How near the nearest piece is, and which it is.
    fn nearest(&self, words: &Words) -> Option<(f64, Range<usize>)> {
        let near = self.pieces.iter().map(|(own, bytes)| (own.in_common(words), bytes));
        // Of equals the first.
        near.reduce(|a, b| if b.0 > a.0 { b } else { a }).map(|(near, bytes)| (near, bytes.clone()))
    }

    /// How near a piece of this file is that was chosen before; 0 if it is no longer one.
    fn nearness(&self, words: &Words, snippet: &str) -> f64 {
        let same = self.pieces.iter().find(|(_, bytes)| self.text_of(bytes) == snippet);
        same.map_or(0.0, |(own, _)| own.in_common(words))
    }

    fn text_of(&self, bytes: &Range<usize>) -> String {
        with_lf(&self.text.byte_slice(bytes.clone()).to_string())
    }
}

/// How much nearer a piece must be than the one that is in the prompt: it stands first there, and with it changes all that
/// was read.
const NEARER: f64 = 1.25;

/// The piece of all files, each with its path, that is nearest to words; the one before, if it is nearly as near.
pub(crate) fn choose<'a>(
    files: impl Iterator<Item = (&'a str, &'a Pieces)> + Clone,
    words: &Words,
    before: Option<&Snippet>,
) -> Option<Snippet> {
    let near = files.clone().filter_map(|(path, file)| Some((path, file, file.nearest(words)?)));
    let (path, file, (nearness, bytes)) = near.reduce(|a, b| if b.2.0 > a.2.0 { b } else { a })?;
    let kept = before.filter(|before| {
        let mut same = files.clone().filter(|(path, _)| *path == before.path);
        same.any(|(_, file)| file.nearness(words, &before.text) * NEARER > nearness)
    });
    let new = || Snippet { path: path.to_owned(), text: file.text_of(&bytes) };
    (nearness > 0.0).then(|| kept.cloned().unwrap_or_else(new))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(functions: &[&str]) -> Pieces {
        let function = |name: &&str| {
            format!("fn {name}_all(first: Queue) {{\n    {name}(first.{name}_count);\n    other();\n}}\n\n")
        };
        Pieces::of(Rope::from_str(&functions.iter().map(function).collect::<String>()))
    }

    fn chosen(files: &[(&str, &Pieces)], around: &str, before: Option<&Snippet>) -> Option<Snippet> {
        choose(files.iter().copied(), &Words::of(around), before)
    }

    #[test]
    fn words_are_names() {
        assert_eq!(Words::of("let value_of = a + value_of(x1y, 42, 3ab);"), Words::of("x1y value_of let"));
        let text = Rope::from_str(&format!("{}here\n{}", "far\n".repeat(40), "below\n".repeat(40)));
        let words = Words::around(&text, 40 * 4 + 2);
        assert_eq!(words, Words::of("far here below"));
        let long = Rope::from_str(&"ä".repeat(10_000));
        assert_eq!(Words::around(&long, 10_001), Words::of(&"ä".repeat(4000)));
    }

    #[test]
    fn the_nearest_piece_of_all_files_is_chosen() {
        let (a, b) = (file(&["push", "pull", "read", "send", "wait", "walk"]), file(&["drop"; 30]));
        let files = [("a.rs", &a), ("b.rs", &b)];
        let of = |around: &str| chosen(&files, around, None).map(|snippet| (snippet.path, snippet.text));
        let (path, text) = of("walk(first.walk_count)").unwrap();
        assert!(path == "a.rs" && text.contains("walk_all") && !text.contains("push_all"), "{text}");
        assert!(text.starts_with("fn ") && text.lines().count() <= LINES);
        assert_eq!(of("drop_all(drop_count)").unwrap().0, "b.rs");
        assert_eq!(of("nothing in common"), None);
        assert_eq!(of(""), None);
    }

    #[test]
    fn what_is_in_the_prompt_stays_until_another_is_clearly_nearer() {
        let (a, b) = (file(&["push"; 3]), file(&["pull"; 3]));
        let files = [("a.rs", &a), ("b.rs", &b)];
        let first = chosen(&files, "push_all push_count", None);
        assert_eq!(first.as_ref().unwrap().path, "a.rs");
        let again = |around: &str| chosen(&files, around, first.as_ref()).map(|snippet| snippet.path);
        assert_eq!(again("push_all pull_all").as_deref(), Some("a.rs"));
        assert_eq!(again("pull_all pull_count").as_deref(), Some("b.rs"));
        // It is gone.
        assert_eq!(chosen(&files[1..], "push_all pull_all", first.as_ref()).unwrap().path, "b.rs");
    }

    #[test]
    fn line_breaks_are_the_models_and_no_line_is_too_long() {
        let crlf = Pieces::of(Rope::from_str("one two three\r\nfour five six seven\r\n"));
        let files = [("a.py", &crlf)];
        assert_eq!(chosen(&files, "four", None).unwrap().text, "one two three\nfour five six seven\n");
        let long = Pieces::of(Rope::from_str(&"word1 word2 word3 word4 word5 ".repeat(1000)));
        assert_eq!(chosen(&[("a.js", &long)], "word1", None), None);
    }
}
