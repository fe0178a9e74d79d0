//! The stream's layout, written out with the special ids by name.

use std::fmt::Write;

use cinnabar_engine::config::Config;
use cinnabar_engine::stream::{self, Stream};
use cinnabar_engine::tokenizer::Tokenizer;
use cinnabar_engine::{Prompt, Snippet};
use proptest::prelude::*;

use crate::support::{config, tokenizer};

/// Text of a stream, special ids in brackets.
fn render(stream: &Stream, tokenizer: &Tokenizer, config: &Config) -> String {
    let s = config.special;
    let names = [
        (s.sep, "[SEP]"),
        (s.file, "[FILE]"),
        (s.suffix, "[SUF]"),
        (s.prefix, "[PRE]"),
        (s.tail, "[TAIL]"),
        (s.middle, "[MID]"),
    ];
    let mut text = String::new();
    let mut plain = Vec::new();
    for &id in &stream.ids {
        match names.iter().find(|name| name.0 == id) {
            Some((_, name)) => {
                text.push_str(&tokenizer.decode(&std::mem::take(&mut plain)));
                text.push_str(name);
            }
            None => plain.push(id),
        }
    }
    text.push_str(&tokenizer.decode(&plain));
    if stream.whole_lines {
        write!(text, " (whole lines)").unwrap();
    }
    text
}

#[test]
fn layout() {
    let (tokenizer, config) = (tokenizer(), config());
    // (prefix, suffix, stream)
    let cases = [
        ("a = 1\nb", "\nc = 3\n", "[FILE]x.py[SUF]\nc = 3\n[PRE]a = 1\nb"),
        // White space alone right of the cursor is dropped.
        ("a = 1\nb", "  \nc = 3\n", "[FILE]x.py[SUF]\nc = 3\n[PRE]a = 1\nb"),
        ("f(", ")\ng()\n", "[FILE]x.py[SUF]\ng()\n[PRE]f([TAIL])[MID]"),
        ("f(", ")", "[FILE]x.py[SUF][PRE]f([TAIL])[MID]"),
        ("", "", "[FILE]x.py[SUF][PRE]"),
        // At the start of a line with text, whole lines are wanted.
        ("a\n", "b\nc\n", "[FILE]x.py[SUF]\nb\nc\n[PRE]a\n (whole lines)"),
        ("", "b\n", "[FILE]x.py[SUF]\nb\n[PRE] (whole lines)"),
        // A blank line is filled, not pushed down.
        ("a\n", "\nc\n", "[FILE]x.py[SUF]\nc\n[PRE]a\n"),
        ("a\n", "  \nc\n", "[FILE]x.py[SUF]\nc\n[PRE]a\n"),
    ];
    for (prefix, suffix, expected) in cases {
        let prompt = Prompt {
            path: Some("x.py".into()),
            prefix: prefix.into(),
            suffix: suffix.into(),
            ..Prompt::default()
        };
        let stream = stream::build(&prompt, &tokenizer, &config);
        assert_eq!(render(&stream, &tokenizer, &config), expected, "{prefix:?} | {suffix:?}");
    }
}

#[test]
fn snippets_stand_first_and_only_with_a_path() {
    let (tokenizer, config) = (tokenizer(), config());
    let snippet = |path: &str, text: &str| Snippet { path: path.into(), text: text.into() };
    let mut prompt = Prompt {
        snippets: vec![snippet("y.py", "def y():\n"), snippet("z.py", "Z = 1\n"), snippet("w.py", "W = 1\n")],
        path: Some("x.py".into()),
        prefix: "y(".into(),
        suffix: String::new(),
    };
    let show = |prompt: &Prompt| render(&stream::build(prompt, &tokenizer, &config), &tokenizer, &config);
    assert_eq!(show(&prompt), "[SEP]y.py\ndef y():\n[SEP]z.py\nZ = 1\n[FILE]x.py[SUF][PRE]y(");
    prompt.path = None;
    assert_eq!(show(&prompt), "[SUF][PRE]y(");
}

#[test]
fn white_space_at_the_end_of_the_prefix_is_a_token_of_its_own() {
    let (tokenizer, config) = (tokenizer(), config());
    for (prefix, last) in [("if x:\n    ", " "), ("if x:\n\t", "\t"), ("a\n\n", "\n"), ("a ", " ")] {
        let prompt = Prompt { prefix: prefix.into(), ..Prompt::default() };
        let ids = stream::build(&prompt, &tokenizer, &config).ids;
        assert_eq!(tokenizer.decode(&ids[ids.len() - 1..]), last, "{prefix:?}");
    }
}

#[test]
fn a_blank_behind_a_word_can_be_taken_off() {
    let (tokenizer, config) = (tokenizer(), config());
    for (prefix, suffix, blank) in [
        ("return ", "\n", true),
        ("a = ", "  \n", true),
        ("return", "\n", false),
        // The tokeniser keeps the last blank of several apart as well, and the model has seen a lot of indentation.
        ("if x:\n    ", "\n", false),
        ("a\t", "\n", false),
        // What stands right of the cursor stands behind it in the stream.
        ("f(a, ", ")\n", false),
        ("", "", false),
        (" ", "", false),
    ] {
        let prompt = Prompt { prefix: prefix.into(), suffix: suffix.into(), ..Prompt::default() };
        let stream = stream::build(&prompt, &tokenizer, &config);
        let before = stream.before_blank().map(|ids| tokenizer.decode(&ids[ids.len() - 1..]));
        assert_eq!(before.is_some(), blank, "{prefix:?}");
        assert!(before.is_none_or(|before| prefix.trim_end().ends_with(before.trim_start())), "{prefix:?}");
    }
}

/// However much is typed, a stream stays within what was trained, and its head moves in coarse jumps only.
#[test]
fn long_prefixes_move_in_jumps() {
    let (tokenizer, config) = (tokenizer(), config());
    let mut prefix = "let value = compute(1, 2, 3);\n".repeat(100);
    let suffix = "let other = compute(4, 5, 6);\n".repeat(200);
    let (mut heads, mut last) = (0, Vec::new());
    for _ in 0..200 {
        prefix.push_str("x = y;\n");
        let prompt = Prompt {
            path: Some("deep/".repeat(40)),
            prefix: prefix.clone(),
            suffix: format!(");{suffix}"),
            ..Prompt::default()
        };
        let ids = stream::build(&prompt, &tokenizer, &config).ids;
        assert!(ids.len() <= config.limits.stream, "{} tokens", ids.len());
        let start = ids.iter().position(|&id| id == config.special.prefix).unwrap();
        let head = ids[..start + 20].to_vec();
        heads += usize::from(head != last);
        last = head;
    }
    assert!(heads <= 12, "the start of the prefix moved {heads} times in 200 lines");
}

proptest! {
    /// No text, whatever it contains, yields a special id; all of it comes back but for bytes without a token.
    #[test]
    fn text_never_becomes_special(text in r#"(<\|(im_start|fim_end|mask|endoftext)\|>|<file_sep>|[ -~]|\n|\PC){0,40}"#) {
        use std::sync::LazyLock;
        static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(tokenizer);
        let ids = TOKENIZER.encode(&text);
        prop_assert!(ids.iter().all(|&id| !TOKENIZER.is_special(id)));
        let missing = |c: char| c.to_string().bytes().any(|b| b >= 0xf1);
        if !text.chars().any(missing) {
            prop_assert_eq!(TOKENIZER.decode(&ids), text);
        }
    }
}
