//! Text to ids and back. User text never becomes a special id, whatever it contains.

mod cache;
mod pieces;

use std::path::Path;

use tokenizers::Tokenizer as Bpe;

use self::cache::Cache;
use crate::error::EngineError;
use crate::spelling::Spellings;

/// A byte-level BPE tokeniser that treats all text as plain.
pub struct Tokenizer {
    bpe: Bpe,
    /// Per id: what the denoise loop asks about it.
    traits: Vec<Trait>,
    /// The same, in a byte.
    classes: Vec<u8>,
    spellings: Spellings,
    /// None where the ids of a text are not those of its pieces.
    cache: Option<Cache>,
}

#[derive(Clone, Copy, PartialEq)]
enum Trait {
    /// A reserved id: never text.
    Special,
    /// Text with so many line breaks.
    Text(u8),
}

impl Tokenizer {
    /// Reads `tokenizer.json`; `vocab` is the model's.
    pub fn open(path: &Path, vocab: usize) -> Result<Self, EngineError> {
        let bytes = std::fs::read(path)
            .map_err(|e| EngineError::Unreadable { path: path.into(), reason: e.to_string() })?;
        let bad = |what: String| EngineError::BadModel {
            path: path.into(),
            what,
            hint: "tokenizer.json must stand beside the model it was published with".into(),
        };
        let mut bpe = Bpe::from_bytes(&bytes).map_err(|e| bad(format!("is not a tokenizer: {e}")))?;
        let size = bpe.get_vocab_size(true);
        if size != vocab {
            return Err(bad(format!("has {size} tokens, the model has {vocab}")));
        }
        // `<|im_start|>` in a buffer is text: split it like any other.
        bpe.set_encode_special_tokens(true);
        let mut traits = vec![Trait::Text(0); vocab];
        let mut spellings = vec![Box::<str>::default(); vocab];
        let within = |id: u32| match id as usize {
            at if at < vocab => Ok(at),
            _ => Err(bad(format!("has an id {id} beyond its size"))),
        };
        for (token, id) in bpe.get_vocab(false) {
            let at = within(id)?;
            // The byte-level alphabet writes a line break as U+010A.
            let breaks = token.chars().filter(|&c| c == '\u{10a}').count();
            traits[at] = Trait::Text(breaks.min(255) as u8);
            spellings[at] = token.into();
        }
        for &id in bpe.get_added_tokens_decoder().keys() {
            let at = within(id)?;
            traits[at] = Trait::Special;
            spellings[at] = Box::default();
        }
        let class = |t: &Trait| match *t {
            Trait::Special => 128,
            Trait::Text(breaks) => breaks.min(127),
        };
        let classes = traits.iter().map(class).collect();
        let cache = pieces::agree(&bpe, spellings.iter().map(|s| &**s)).then(Cache::new);
        Ok(Tokenizer { bpe, traits, classes, spellings: Spellings::new(spellings), cache })
    }

    /// Ids of plain text. Bytes without a token (21 values that valid text hardly has) are dropped.
    /// What was encoded before is remembered, so that the next key costs what it changes.
    pub fn encode(&self, text: &str) -> Vec<u32> {
        match &self.cache {
            Some(cache) => cache.encode(text, |piece| self.encode_anew(piece)),
            None => self.encode_anew(text),
        }
    }

    fn encode_anew(&self, text: &str) -> Vec<u32> {
        // Byte-level BPE encodes every string; the error type exists for other models.
        self.bpe.encode_fast(text, false).map(|e| e.get_ids().to_vec()).unwrap_or_default()
    }

    /// Text of ids; a character that is cut becomes U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        self.bpe.decode(ids, false).unwrap_or_default()
    }

    /// A text as its tokens spell it: a character for each byte.
    pub fn spelled(&self, text: &str) -> String {
        self.encode(text).into_iter().map(|id| self.spelling(id)).collect()
    }

    /// How an id is spelled; empty for the reserved ones.
    pub fn spelling(&self, id: u32) -> &str {
        self.spellings.of(id)
    }

    /// The ids that a text may begin with which begins with what `rest` spells.
    pub fn openings(&self, rest: &str) -> Vec<u32> {
        self.spellings.openings(rest)
    }

    /// True for the reserved ids, which have a meaning and no text.
    pub fn is_special(&self, id: u32) -> bool {
        self.traits[id as usize] == Trait::Special
    }

    /// Per id: 128 for a reserved one, else its line breaks.
    pub fn classes(&self) -> &[u8] {
        &self.classes
    }

    /// Line breaks in the text of an id.
    pub fn line_breaks(&self, id: u32) -> usize {
        match self.traits[id as usize] {
            Trait::Special => 0,
            Trait::Text(breaks) => breaks.into(),
        }
    }
}

#[cfg(test)]
mod tests;
