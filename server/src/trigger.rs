//! When the editor asks by itself while the user types: where an answer would only be in the way (pure).
//!
//! Who asks by hand always gets an answer, however unsure the model is.

use crate::document::Snapshot;
use crate::site::Site;
use crate::suggestion::Reason;
use crate::syntax::Prose;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trigger {
    /// The user, by hand.
    Invoked,
    /// The user or the editor: that of a completion menu does not always say.
    Either,
    /// The editor, while the user types.
    Automatic,
}

impl Trigger {
    /// Whether the user asks by hand. A menu that does not say opens by itself only while a word is typed; who asks
    /// again where he asked before (`again`), with nothing changed, was not content with what he got.
    pub(crate) fn is_by_hand(self, site: &Site, again: bool) -> bool {
        match self {
            Trigger::Invoked => true,
            Trigger::Either => again || !site.before.ends_with(is_word),
            Trigger::Automatic => false,
        }
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Why an automatic request at a site is not worth the engine's time.
pub(crate) fn refuse(snapshot: &Snapshot, site: &Site) -> Option<Reason> {
    if site.after.starts_with(is_word) {
        return Some(Reason::BeforeWord);
    }
    match snapshot.syntax.as_ref()?.prose(site.offset)? {
        Prose::Comment => Some(Reason::Prose),
        // Paths, keys and names have no blanks.
        Prose::String(start) => {
            let so_far = snapshot.text.byte_slice(start..site.offset);
            so_far.chars().any(char::is_whitespace).then_some(Reason::Prose)
        }
    }
}

#[cfg(test)]
mod tests {
    use cinnabar_engine::DocumentId;
    use ropey::Rope;

    use super::*;
    use crate::document::Document;

    #[test]
    fn a_menu_that_does_not_say_is_asked_by_hand_where_no_word_is_typed() {
        let by_hand = |trigger: Trigger, line: &str, again| {
            trigger.is_by_hand(&Site::at(&Rope::from_str(line), line.len()), again)
        };
        for (line, either) in
            [("let va", false), ("a_", false), ("é", false), ("a ", true), ("a.", true), ("", true)]
        {
            assert_eq!(by_hand(Trigger::Either, line, false), either, "{line:?}");
            assert!(by_hand(Trigger::Either, line, true), "{line:?} again");
            assert!(by_hand(Trigger::Invoked, line, false) && !by_hand(Trigger::Automatic, line, true));
        }
    }

    #[test]
    fn prose_and_words_get_nothing_by_themselves() {
        let (prose, word) = (Some(Reason::Prose), Some(Reason::BeforeWord));
        let cases = [
            ("a.rs", "fn f() {\n    // to $0\n}\n", prose),
            ("a.rs", "fn f() {\n    // to do$0", prose),
            ("a.rs", "/// What $0\nfn f() {}\n", prose),
            ("a.rs", "fn f() {\n    say(\"hello $0\");\n}\n", prose),
            ("a.py", "def f():\n    \"\"\"Does \n    $0\n    \"\"\"\n", prose),
            ("a.rs", "fn f() {\n    $0a();\n}\n", word),
            ("a.rs", "fn f() {\n    a_$0b();\n}\n", word),
            ("plain", "a$0é", word),
            ("a.rs", "fn f() {\n    open(\"src/$0\");\n}\n", None),
            ("a.ts", "import { a } from './$0';\n", None),
            ("a.json", "{\n  \"$0\"\n}\n", None),
            ("a.rs", "fn f() {\n    a($0);\n}\n", None),
            ("a.rs", "// why\n$0\n", None),
            ("a.py", "x = f'a {b.$0}'\n", None),
            ("plain", "to $0\n", None),
        ];
        for (path, buffer, expected) in cases {
            let offset = buffer.find("$0").unwrap();
            let text = buffer.replacen("$0", "", 1);
            let snapshot = Document::new(DocumentId(0), String::new(), path, 0, &text).parsed(offset);
            assert_eq!(refuse(&snapshot, &Site::at(&snapshot.text, offset)), expected, "{buffer:?}");
        }
    }
}
