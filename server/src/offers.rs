//! What was offered to the editor and what became of it, until that is settled.
//!
//! A suggestion is one offer as long as the user types its text, however often the editor asks again. It is settled
//! when it is accepted, when something else is offered in its document, or when the document is closed: an answer
//! with nothing does not settle it, since editors tell of an acceptance shortly after the edit that it is.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use cinnabar_engine::DocumentId;

use crate::class::Class;
use crate::scheduler::Placed;

/// The last offer of each document. Texts stay in memory; what is settled has none.
pub(crate) struct Offers {
    /// So that no id of an earlier server is taken for one of this one's.
    server: u64,
    n_offered: u64,
    open: HashMap<DocumentId, Offer>,
}

struct Offer {
    id: String,
    language: String,
    class: Class,
    took: Duration,
    shown: bool,
    /// Its text as it was sent last: what the user had typed is taken off.
    rest: String,
    /// Characters accepted in pieces before that text was sent.
    before: usize,
    /// Characters of that text accepted in pieces.
    piece: usize,
    /// The user has typed all of it, or accepted it and the editor has yet to say so.
    in_text: bool,
}

/// An offer that came to its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settled {
    /// The protocol's language id.
    pub(crate) language: String,
    pub(crate) class: Class,
    /// From the request to its answer.
    pub(crate) took: Duration,
    /// `None`: the editor did not say that it was shown.
    pub(crate) fate: Option<Fate>,
    /// Characters accepted.
    pub(crate) characters: usize,
}

/// What became of a suggestion that was shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Taken, at once or in pieces.
    Accepted,
    /// A first part was taken.
    Partly,
    /// The user typed it to its end.
    Typed,
    /// Something else came in its place.
    Dismissed,
}

impl Offers {
    /// Nothing was offered yet.
    pub(crate) fn new() -> Self {
        Offers { server: RandomState::new().hash_one(0), n_offered: 0, open: HashMap::new() }
    }

    /// Offers a suggestion: the id that it is told apart by, and the offer that it takes the place of.
    pub(crate) fn offer(&mut self, placed: &Placed) -> (String, Option<Settled>) {
        let Placed { suggestion, snapshot, continues, took } = placed;
        if let Some(offer) = self.open.get_mut(&snapshot.document).filter(|_| *continues) {
            offer.rest.clone_from(&suggestion.text);
            offer.before += std::mem::take(&mut offer.piece);
            offer.in_text = false;
            return (offer.id.clone(), None);
        }
        self.n_offered += 1;
        let id = format!("{:x}-{}", self.server, self.n_offered);
        let offer = Offer {
            id: id.clone(),
            language: snapshot.language.clone(),
            class: Class::of(suggestion, &snapshot.text),
            took: *took,
            shown: false,
            rest: suggestion.text.clone(),
            before: 0,
            piece: 0,
            in_text: false,
        };
        (id, self.open.insert(snapshot.document, offer).map(Offer::settle))
    }

    /// The editor shows an offer; false if it is none of ours.
    pub(crate) fn shown(&mut self, id: &str) -> bool {
        self.find(id).map(|offer| offer.shown = true).is_some()
    }

    /// The user took the first `length` UTF-16 units of an offer's text; false if it is none of ours.
    pub(crate) fn partly_accepted(&mut self, id: &str, length: usize) -> bool {
        let accepted = self.find(id).map(|offer| {
            offer.shown = true;
            // The same piece is told again with the next one's length.
            offer.piece = offer.piece.max(characters(&offer.rest, length));
        });
        accepted.is_some()
    }

    /// The user took all of an offer; `None` if it is none of ours, or was settled before.
    pub(crate) fn accepted(&mut self, id: &str) -> Option<Settled> {
        let document = *self.open.iter().find(|(_, offer)| offer.id == id)?.0;
        let mut offer = self.open.remove(&document)?;
        offer.shown = true;
        offer.piece = offer.rest.chars().count();
        Some(offer.settle())
    }

    /// An edit has brought all of a document's offer into the text.
    pub(crate) fn in_text(&mut self, document: DocumentId) {
        if let Some(offer) = self.open.get_mut(&document) {
            offer.in_text = true;
        }
    }

    /// A document is closed.
    pub(crate) fn close(&mut self, document: DocumentId) -> Option<Settled> {
        self.open.remove(&document).map(Offer::settle)
    }

    /// The editor leaves.
    pub(crate) fn close_all(&mut self) -> Vec<Settled> {
        self.open.drain().map(|(_, offer)| offer.settle()).collect()
    }

    fn find(&mut self, id: &str) -> Option<&mut Offer> {
        self.open.values_mut().find(|offer| offer.id == id)
    }
}

impl Offer {
    fn settle(self) -> Settled {
        let pieces = self.before + self.piece;
        let fate = if self.piece == self.rest.chars().count() {
            Fate::Accepted
        } else if pieces > 0 {
            Fate::Partly
        } else if self.in_text {
            Fate::Typed
        } else {
            Fate::Dismissed
        };
        let Offer { language, class, took, shown, .. } = self;
        // What was typed by someone who did not see it is no success.
        Settled { language, class, took, fate: shown.then_some(fate), characters: pieces }
    }
}

/// How many characters the first UTF-16 units of a text hold.
fn characters(text: &str, units: usize) -> usize {
    let ends = text.chars().scan(0, |end, c| {
        *end += c.len_utf16();
        Some(*end)
    });
    ends.take_while(|end| *end <= units).count()
}

#[cfg(test)]
mod tests;
