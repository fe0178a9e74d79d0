//! Where SAFIM ends an answer (Gong et al., arXiv 2403.04814, its syntax-aware truncation): a model that goes on behind
//! the gap is judged by what it put into it.

use serde::Deserialize;
use tree_sitter::{Parser, Tree};

use crate::languages::{self, Language};

/// A task of SAFIM.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Cut {
    /// The body of a block: whole lines from the end are dropped until the answer stays within it.
    Block,
    /// The expression of a control statement: up to the bracket that closes the statement's; in Python, a line.
    Control,
    /// A call: up to the bracket that closes its own.
    Api,
}

impl Cut {
    /// The task's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Cut::Block => "block",
            Cut::Control => "control",
            Cut::Api => "api",
        }
    }

    /// The part of `answer` that is judged.
    pub(crate) fn apply<'a>(self, answer: &'a str, language: &str, prefix: &str, suffix: &str) -> &'a str {
        match self {
            Cut::Block => match languages::find(language, "") {
                Some(language) => within_block(answer, language, prefix, suffix),
                None => answer,
            },
            Cut::Control if language == "python" => {
                answer.lines().find(|line| !line.trim().is_empty()).unwrap_or_default()
            }
            Cut::Control => &answer[..closing(answer, -1).unwrap_or(answer.len())],
            Cut::Api => &answer[..closing(answer, 0).map_or(answer.len(), |at| at + 1)],
        }
    }
}

/// Where a bracket closes that brings the depth down to `depth` or below.
fn closing(text: &str, depth: i32) -> Option<usize> {
    let mut open = 0;
    text.char_indices().find_map(|(at, c)| {
        open += match c {
            '(' => 1,
            ')' => -1,
            _ => return None,
        };
        (c == ')' && open <= depth).then_some(at)
    })
}

/// The most lines of an answer with which the file has no more errors than without it, and which add to its tree in one
/// place and change nothing else.
fn within_block<'a>(answer: &'a str, language: &'static Language, prefix: &str, suffix: &str) -> &'a str {
    let mut parser = Parser::new();
    if parser.set_language(&language.grammar()).is_err() {
        return answer;
    }
    let mut walk = |middle: &str| {
        let text = format!("{prefix}{middle}{suffix}");
        parser.parse(&text, None).map(|tree| Walk::new(&tree, &text))
    };
    // A block of Python is never empty.
    let (filler, own) = if language.ids.contains(&"python") { ("pass", 4) } else { ("", 0) };
    let Some(without) = walk(filler) else { return answer };
    let mut end = answer.len();
    while end > 0 {
        let fits = walk(&answer[..end])
            .is_none_or(|with| with.errors <= without.errors && with.only_adds_to(&without, own));
        if fits {
            break;
        }
        end = answer[..end].trim_end_matches('\n').rfind('\n').map_or(0, |at| at + 1);
    }
    &answer[..end]
}

/// A walk around a tree: the kinds of nodes as they are entered and left.
struct Walk {
    steps: Vec<(u16, bool)>,
    /// Nodes that the grammar could not place, stray semicolons aside.
    errors: usize,
}

impl Walk {
    fn new(tree: &Tree, text: &str) -> Self {
        let mut walk = Walk { steps: Vec::new(), errors: 0 };
        let mut cursor = tree.walk();
        loop {
            let node = cursor.node();
            walk.errors += usize::from(node.is_error() && &text[node.byte_range()] != ";");
            walk.steps.push((node.kind_id(), true));
            if cursor.goto_first_child() {
                continue;
            }
            walk.steps.push((cursor.node().kind_id(), false));
            while !cursor.goto_next_sibling() {
                if !cursor.goto_parent() {
                    return walk;
                }
                walk.steps.push((cursor.node().kind_id(), false));
            }
        }
    }

    /// Whether this is `other` with steps put in at one place, where `other` had up to `own` steps of its own.
    fn only_adds_to(&self, other: &Walk, own: usize) -> bool {
        let pairs = || self.steps.iter().zip(&other.steps);
        let ends = || self.steps.iter().rev().zip(other.steps.iter().rev());
        let same = pairs().take_while(|(a, b)| a == b).count() + ends().take_while(|(a, b)| a == b).count();
        self.steps.len() >= other.steps.len() && same + own >= other.steps.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_end_where_the_gap_does() {
        let java = ("class A {\n  void f() {\n    if (a) {\n      ", "\n    }\n  }\n}\n");
        let python = ("def f(n):\n    if n:\n        ", "\n    return n\n");
        let cases = [
            // task, language, around, answer, judged
            (Cut::Block, "java", java, "g();\n      h();", "g();\n      h();"),
            (Cut::Block, "java", java, "g();\n    }\n    h();\n", "g();\n"),
            // The rule's blind spot: a block that ends and another that starts are an addition in one place.
            (
                Cut::Block,
                "java",
                java,
                "g();\n    }\n    if (b) {\n      h();",
                "g();\n    }\n    if (b) {\n      h();",
            ),
            (Cut::Block, "python", python, "n += 1\n        n += 2", "n += 1\n        n += 2"),
            (Cut::Block, "python", python, "n += 1\n    n += 2\n", "n += 1\n"),
            (Cut::Block, "python", python, "return 1\n\ndef g():\n    pass\n", "return 1\n\n"),
            (Cut::Block, "python", python, "pass", "pass"),
            (Cut::Block, "cobol", python, "anything\ngoes", "anything\ngoes"),
            (Cut::Control, "java", java, "a(b) && c) {\n", "a(b) && c"),
            (Cut::Control, "java", java, "a", "a"),
            (Cut::Control, "python", python, "\nx in y:\n  z", "x in y:"),
            (Cut::Api, "python", python, "np.sum(f(x), axis=0)\nmore()", "np.sum(f(x), axis=0)"),
            (Cut::Api, "java", java, "x)", "x)"),
        ];
        for (cut, language, (prefix, suffix), answer, judged) in cases {
            assert_eq!(cut.apply(answer, language, prefix, suffix), judged, "{cut:?} {language} {answer:?}");
        }
    }
}
