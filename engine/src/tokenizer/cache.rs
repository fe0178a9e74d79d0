//! What pieces of text became.

use std::collections::HashMap;
use std::mem::take;
use std::sync::{Mutex, PoisonError};

use super::pieces::pieces;

/// Bytes of a generation at most. A prompt of 8 KB takes some 35 KB.
const GENERATION: usize = 512 << 10;
/// Bytes of an entry beside its text and ids: two boxes in a table that may be half empty, and two heads of allocations.
const OVERHEAD: usize = 112;

/// The ids of pieces of text, in bounded memory: the least recently used ones go.
pub(super) struct Cache(Mutex<Generations>);

/// An entry that is used is among the young. When these fill their room they become the old ones, and those are dropped that
/// have not been used since that last happened.
#[derive(Default)]
struct Generations {
    young: HashMap<Box<str>, Box<[u32]>>,
    old: HashMap<Box<str>, Box<[u32]>>,
    /// Bytes of the young.
    size: usize,
}

impl Cache {
    pub(super) fn new() -> Self {
        Cache(Mutex::default())
    }

    /// Ids of a text: those of its pieces, of which `encode` makes the ones that are not known.
    pub(super) fn encode(&self, text: &str, mut encode: impl FnMut(&str) -> Vec<u32>) -> Vec<u32> {
        let mut ids = Vec::with_capacity(text.len() / 2);
        for piece in pieces(text) {
            if !self.generations(|known| known.append(piece, &mut ids)) {
                let made = encode(piece);
                ids.extend_from_slice(&made);
                self.generations(|known| known.insert(piece.into(), made.into()));
            }
        }
        ids
    }

    fn generations<T>(&self, work: impl FnOnce(&mut Generations) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Generations {
    /// Appends the ids of a piece that is known.
    fn append(&mut self, piece: &str, ids: &mut Vec<u32>) -> bool {
        if let Some(known) = self.young.get(piece) {
            ids.extend_from_slice(known);
            return true;
        }
        let Some((piece, known)) = self.old.remove_entry(piece) else { return false };
        ids.extend_from_slice(&known);
        self.insert(piece, known);
        true
    }

    /// Remembers a piece, unless it is larger than a generation.
    fn insert(&mut self, piece: Box<str>, ids: Box<[u32]>) {
        let size = piece.len() + size_of_val(&*ids) + OVERHEAD;
        if size > GENERATION {
            return;
        }
        if self.size + size > GENERATION {
            self.old = take(&mut self.young);
            self.size = 0;
        }
        self.size += size;
        self.young.insert(piece, ids);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = include_str!("../../../tests/data/samples/lru_cache.py");

    /// Encodes a text, an id a byte, and counts the bytes that were not known.
    fn unknown(cache: &Cache, text: &str) -> usize {
        let mut unknown = 0;
        let ids = cache.encode(text, |piece| {
            unknown += piece.len();
            piece.bytes().map(u32::from).collect()
        });
        assert!(ids.into_iter().eq(text.bytes().map(u32::from)), "{text:?}");
        unknown
    }

    /// Bytes of both generations, counted again.
    fn size(cache: &Cache) -> usize {
        cache.generations(|known| {
            let entries = known.young.iter().chain(&known.old);
            entries.map(|(piece, ids)| piece.len() + size_of_val(&**ids) + OVERHEAD).sum()
        })
    }

    /// A line of its own for each number.
    fn line(n: usize) -> String {
        format!("\nline {n} of many")
    }

    #[test]
    fn a_key_encodes_its_line_alone() {
        let cache = Cache::new();
        let (text, typed) = FILE.split_at(FILE.len() - 600);
        assert!(unknown(&cache, text) > 2000);
        for end in 1..=typed.len() {
            let unknown = unknown(&cache, &FILE[..text.len() + end]);
            assert!(unknown < 200, "{unknown} bytes behind {:?}", &typed[..end]);
        }
        assert_eq!(unknown(&cache, FILE), 0);
        // Where the text begins elsewhere.
        let later = FILE.find("    def __len__").unwrap();
        assert!(unknown(&cache, &FILE[later + 3..]) < 200);
    }

    #[test]
    fn memory_is_bounded_and_what_is_used_stays() {
        let cache = Cache::new();
        unknown(&cache, FILE);
        for n in 0..20_000 {
            assert!(unknown(&cache, &line(n)) > 0);
            if n % 100 == 0 {
                assert_eq!(unknown(&cache, FILE), 0, "after {n} lines");
                assert!(size(&cache) <= 2 * GENERATION, "{} bytes", size(&cache));
            }
        }
        assert!(size(&cache) > GENERATION);
        assert!(unknown(&cache, &line(0)) > 0);
        assert_eq!(unknown(&cache, &line(19_999)), 0);
    }

    #[test]
    fn a_piece_larger_than_all_room_passes_through() {
        let cache = Cache::new();
        unknown(&cache, FILE);
        for _ in 0..3 {
            assert_eq!(unknown(&cache, &"a_".repeat(GENERATION)), 2 * GENERATION);
        }
        assert_eq!(unknown(&cache, FILE), 0);
    }
}
