//! Drafts copied from the text itself: what followed the last tokens where they stood before.
//!
//! Code repeats itself, and a copy costs no forward pass: it is verified like a drafted block, so the text stays that of
//! causal decoding (prompt lookup decoding, Saxena 2023; Yang et al., arXiv 2304.04487).

use crate::config::Special;

/// Longer agreements are not told apart.
pub(super) const MAX_AGREEMENT: usize = 8;

/// What was written so far, as the middle continues it: the stream without its closing markers and the tail, which stand
/// between prefix and middle but come after both.
#[derive(Debug)]
pub(super) struct History {
    ids: Vec<u32>,
}

/// Where the last tokens stood before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Copy {
    /// Index of what followed them there.
    from: usize,
    /// How many of the last tokens agree, at most [`MAX_AGREEMENT`].
    pub(super) agreement: usize,
}

impl History {
    /// The history of a stream and of the tokens of the middle that stand behind it already.
    pub(super) fn new(stream: &[u32], special: &Special) -> Self {
        let marker = stream.iter().rposition(|&id| id == special.middle).unwrap_or(stream.len());
        let (before, middle) = (&stream[..marker], stream.get(marker + 1..).unwrap_or_default());
        let tail = before.iter().rposition(|&id| id == special.tail).unwrap_or(marker);
        History { ids: [&before[..tail], middle].concat() }
    }

    /// All of it, in order.
    pub(super) fn ids(&self) -> &[u32] {
        &self.ids
    }

    /// Adds tokens of the middle.
    pub(super) fn extend(&mut self, ids: &[u32]) {
        self.ids.extend_from_slice(ids);
    }

    /// The place where most of the last tokens stood before; of several the latest.
    pub(super) fn find(&self) -> Option<Copy> {
        let (last, before) = self.ids.split_last()?;
        let mut best: Option<Copy> = None;
        for at in (0..before.len()).rev().filter(|&at| before[at] == *last) {
            let pairs = before[..at].iter().rev().zip(before.iter().rev());
            let agreement = 1 + pairs.take(MAX_AGREEMENT - 1).take_while(|(a, b)| a == b).count();
            if best.is_none_or(|best| agreement > best.agreement) {
                best = Some(Copy { from: at + 1, agreement });
            }
            if agreement == MAX_AGREEMENT {
                break;
            }
        }
        best
    }

    /// At most `count` tokens that followed there.
    pub(super) fn copied(&self, copy: Copy, count: usize) -> &[u32] {
        let rest = &self.ids[copy.from..];
        &rest[..count.min(rest.len())]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SPECIAL: Special =
        Special { sep: 90, file: 91, suffix: 92, prefix: 93, tail: 94, middle: 95, end: 96, mask: 97 };

    #[test]
    fn the_longest_agreement_wins_and_then_the_latest() {
        // A stream; what is copied, and the agreement.
        type Case<'a> = (&'a [u32], Option<(&'a [u32], usize)>);
        let cases: [Case<'_>; 6] = [
            (&[1, 2, 3], None),
            (&[1, 2, 3, 1], Some((&[2, 3, 1], 1))),
            (&[5, 1, 7, 6, 1, 8, 1], Some((&[8, 1], 1))),
            (&[5, 1, 7, 6, 1, 8, 5, 1], Some((&[7, 6, 1, 8, 5, 1], 2))),
            (&[4, 4, 4], Some((&[4], 2))),
            (&[], None),
        ];
        for (stream, expected) in cases {
            let history = History::new(stream, &SPECIAL);
            let found = history.find().map(|copy| (history.copied(copy, 9), copy.agreement));
            assert_eq!(found, expected, "{stream:?}");
        }
    }

    #[test]
    fn nothing_stands_between_prefix_and_middle() {
        let streams: [&[u32]; 4] = [
            &[93, 1, 2, 3, 1, 94, 7, 95],
            &[93, 1, 2, 3, 1, 95],
            &[93, 1, 2, 3, 94, 7, 95, 1],
            &[93, 1, 2, 3, 95, 1],
        ];
        for stream in streams {
            let mut history = History::new(stream, &SPECIAL);
            history.extend(&[2]);
            assert_eq!(history.ids(), [93, 1, 2, 3, 1, 2], "{stream:?}");
            let copy = history.find().expect("1 2 stood before");
            assert_eq!((history.copied(copy, 2), copy.agreement), (&[3, 1][..], 2));
        }
    }

    proptest! {
        /// Against every place, counted one by one.
        #[test]
        fn as_a_plain_search(ids in proptest::collection::vec(0u32..4, 0..40)) {
            let history = History::new(&ids, &SPECIAL);
            let agreement = |at: usize| {
                let end = ids.len() - 1;
                (0..=at).take_while(|&k| ids[at - k] == ids[end - k]).count().min(MAX_AGREEMENT)
            };
            let places = (0..ids.len().saturating_sub(1)).filter(|&at| agreement(at) > 0);
            let expected = places.max_by_key(|&at| (agreement(at), at));
            let expected = expected.map(|at| Copy { from: at + 1, agreement: agreement(at) });
            prop_assert_eq!(history.find(), expected);
        }
    }
}
