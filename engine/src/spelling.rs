//! How a vocabulary spells its tokens, and which of them a text may begin with.
//!
//! Bytes are spelled as the tokeniser does, a character for each: a token may hold part of a character, and compares as text
//! all the same.

/// The spellings of a vocabulary.
pub(crate) struct Spellings {
    /// By id; empty for ids that are no text.
    of: Vec<Box<str>>,
    /// Ids of text in the order of their spellings.
    sorted: Vec<u32>,
}

impl Spellings {
    /// `of`: by id, empty for ids that are no text.
    pub(crate) fn new(of: Vec<Box<str>>) -> Self {
        let mut sorted: Vec<u32> = (0..of.len() as u32).filter(|&id| !of[id as usize].is_empty()).collect();
        sorted.sort_unstable_by_key(|&id| &of[id as usize]);
        Spellings { of, sorted }
    }

    /// The spelling of an id.
    pub(crate) fn of(&self, id: u32) -> &str {
        &self.of[id as usize]
    }

    /// The ids that a text may begin with which begins with `rest`: those that begin with it, and those that it begins with.
    pub(crate) fn openings(&self, rest: &str) -> Vec<u32> {
        let from = self.sorted.partition_point(|&id| self.of(id) < rest);
        let longer = &self.sorted[from..];
        let longer = &longer[..longer.partition_point(|&id| self.of(id).starts_with(rest))];
        let shorter = rest.char_indices().filter_map(|(at, _)| {
            let found = self.sorted[..from].binary_search_by(|&id| self.of(id).cmp(&rest[..at]));
            found.ok().map(|at| self.sorted[at])
        });
        shorter.chain(longer.iter().copied()).collect()
    }
}
