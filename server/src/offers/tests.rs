//! Offers and what becomes of them.

use super::*;
use crate::document::Document;
use crate::suggestion::Suggestion;

/// What happens to the offer of `foo 😀(a)` in a Rust document.
enum Step {
    Shown,
    Accepted,
    Pieces(usize),
    /// It is offered again, with this rest.
    Continued(&'static str),
    InText,
    Other,
    Closed,
}
use Step::*;

fn placed(text: &str, continues: bool) -> Placed {
    let snapshot = Document::new(DocumentId(7), "rust".into(), "a.rs", 1, "let a = \n").snapshot();
    let suggestion = Suggestion { text: text.into(), range: 8..8 };
    Placed { suggestion, snapshot, continues, took: Duration::from_millis(3) }
}

/// Fate and characters of the offer once it is settled.
fn follow(steps: &[Step]) -> Option<(Option<Fate>, usize)> {
    let mut offers = Offers::new();
    let (id, settled) = offers.offer(&placed("foo 😀(a)", false));
    assert_eq!(settled, None);
    let mut end = None;
    for step in steps {
        let settled = match step {
            Shown => {
                assert!(offers.shown(&id));
                None
            }
            Pieces(length) => {
                assert!(offers.partly_accepted(&id, *length));
                None
            }
            Accepted => offers.accepted(&id),
            Continued(rest) => {
                let (same, settled) = offers.offer(&placed(rest, true));
                assert_eq!((same, &settled), (id.clone(), &None));
                settled
            }
            InText => {
                offers.in_text(DocumentId(7));
                None
            }
            Other => offers.offer(&placed("bar", false)).1,
            Closed => offers.close(DocumentId(7)),
        };
        end = end.or(settled);
    }
    end.map(|settled| {
        let Settled { language, class, took, fate, characters } = settled;
        assert_eq!((language.as_str(), class, took.as_millis()), ("rust", Class::RestOfLine, 3));
        (fate, characters)
    })
}

#[test]
fn each_offer_has_one_fate() {
    for (steps, expected) in [
        (&[Shown][..], None),
        (&[Shown, Accepted], Some((Some(Fate::Accepted), 8))),
        // Taken, so it was seen, whatever the editor says.
        (&[Accepted], Some((Some(Fate::Accepted), 8))),
        (&[Shown, Continued("(a)"), Accepted], Some((Some(Fate::Accepted), 3))),
        // The editor's edit comes before its word.
        (&[Shown, InText, Accepted, Other], Some((Some(Fate::Accepted), 8))),
        (&[Shown, Other], Some((Some(Fate::Dismissed), 0))),
        (&[Shown, Continued("(a)"), Closed], Some((Some(Fate::Dismissed), 0))),
        (&[Shown, InText, Other], Some((Some(Fate::Typed), 0))),
        (&[Pieces(4), Other], Some((Some(Fate::Partly), 4))),
        // 😀 has two units; half of it is not taken.
        (&[Pieces(5), Pieces(3), Other], Some((Some(Fate::Partly), 4))),
        (&[Pieces(6), Other], Some((Some(Fate::Partly), 5))),
        (&[Pieces(4), Continued("😀(a)"), Pieces(2), Closed], Some((Some(Fate::Partly), 5))),
        (&[Pieces(4), Continued("😀(a)"), Pieces(99), Closed], Some((Some(Fate::Accepted), 8))),
        (&[Pieces(4), Continued("😀(a)"), Accepted], Some((Some(Fate::Accepted), 8))),
        (&[Other], Some((None, 0))),
        (&[InText, Closed], Some((None, 0))),
    ] {
        assert_eq!(follow(steps), expected);
    }
}

#[test]
fn unknown_and_repeated_ids_are_nothing() {
    let mut offers = Offers::new();
    let (id, _) = offers.offer(&placed("a", false));
    assert!(!offers.shown("") && !offers.partly_accepted("x-1", 1));
    assert_eq!(offers.accepted("x-1"), None);
    assert!(offers.accepted(&id).is_some());
    assert_eq!(offers.accepted(&id), None);
    assert!(!offers.shown(&id));
    assert_ne!(Offers::new().offer(&placed("a", false)).0, id, "another server's");
}

#[test]
fn all_are_settled_when_the_editor_leaves() {
    let mut offers = Offers::new();
    offers.offer(&placed("a", false));
    assert_eq!(offers.close_all().len(), 1);
    assert_eq!(offers.close_all().len(), 0);
}
