//! The stream's layout, written out with the special ids by name.

use cinnabar_engine::config::Config;
use cinnabar_engine::stem::stem;
use cinnabar_engine::stream::{self, Stream};
use cinnabar_engine::tokenizer::Tokenizer;
use cinnabar_engine::{Prompt, Snippet};
use proptest::prelude::*;

use crate::support::{config, tokenizer};

/// Text of a stream, special ids in brackets, the stem behind a stroke.
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
    let whole_lines = if stream.whole_lines { " (whole lines)" } else { "" };
    format!("{text}{}|{}{whole_lines}", tokenizer.decode(&plain), stream.stem)
}

#[test]
fn layout() {
    let (tokenizer, config) = (tokenizer(), config());
    // (prefix, suffix, stream)
    let cases = [
        ("a = 1\nb", "\nc = 3\n", "[FILE]x.py[SUF]\nc = 3\n[PRE]a = 1\n[MID]|b"),
        // White space alone right of the cursor is dropped.
        ("a = 1\nb", "  \nc = 3\n", "[FILE]x.py[SUF]\nc = 3\n[PRE]a = 1\n[MID]|b"),
        ("return ", "\n", "[FILE]x.py[SUF]\n[PRE]return[MID]| "),
        ("return le", "\n", "[FILE]x.py[SUF]\n[PRE]return[MID]| le"),
        ("f(", ")\ng()\n", "[FILE]x.py[SUF]\ng()\n[PRE]f[TAIL])[MID]|("),
        ("f(", ")", "[FILE]x.py[SUF][PRE]f[TAIL])[MID]|("),
        ("", "", "[FILE]x.py[SUF][PRE][MID]|"),
        ("", ")", "[FILE]x.py[SUF]\n)[PRE][MID]| (whole lines)"),
        // At the start of a line with text, whole lines are wanted.
        ("a\n", "b\nc\n", "[FILE]x.py[SUF]\nb\nc\n[PRE]a[MID]|\n (whole lines)"),
        ("", "b\n", "[FILE]x.py[SUF]\nb\n[PRE][MID]| (whole lines)"),
        // A blank line is filled, not pushed down.
        ("a\n", "\nc\n", "[FILE]x.py[SUF]\nc\n[PRE]a[MID]|\n"),
        ("a\n", "  \nc\n", "[FILE]x.py[SUF]\nc\n[PRE]a[MID]|\n"),
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
    assert_eq!(show(&prompt), "[SEP]y.py\ndef y():\n[SEP]z.py\nZ = 1\n[FILE]x.py[SUF][PRE]y[MID]|(");
    prompt.path = None;
    assert_eq!(show(&prompt), "[SUF][PRE]y[MID]|(");
}

/// The same as in tests/recipe.
#[test]
fn a_stem_is_what_the_tokeniser_parts() {
    let long = "a".repeat(99);
    for (prefix, expected) in [
        ("", ""),
        ("a", "a"),
        ("x = ", " "),
        ("return len", " len"),
        ("self._ent", "ent"),
        ("f(a[", "["),
        ("x == ", " "),
        ("x ==", " =="),
        ("v = 12", "2"),
        ("\n", "\n"),
        ("\tab", "ab"),
        ("größe", "größe"),
        ("// 日本", " 日本"),
        (&long, &long[..24]),
    ] {
        assert_eq!(stem(prefix), expected, "{prefix:?}");
    }
}

/// Wherever the cursor stands, the stream and the middle have the tokens of the whole text: those that training has seen.
#[test]
fn stream_and_middle_are_tokenised_like_the_whole() {
    let (tokenizer, mut config) = (tokenizer(), config());
    config.limits.stream = 1 << 20;
    for whole in SAMPLES {
        let ids = tokenizer.encode(whole);
        for at in (1..whole.len()).step_by(3).filter(|&at| whole.is_char_boundary(at)) {
            let (before, after) = whole.split_at(at);
            // Inside white space the tokeniser looks ahead.
            if before.ends_with(char::is_whitespace) && after.starts_with(char::is_whitespace) {
                continue;
            }
            let prompt = Prompt { prefix: before.into(), ..Prompt::default() };
            let Stream { ids: stream, stem, .. } = stream::build(&prompt, &tokenizer, &config);
            // [SUF] [PRE] P [MID]
            let known = &stream[2..stream.len() - 1];
            let middle = tokenizer.encode(&format!("{stem}{after}"));
            assert!([known, &middle[..]].concat() == ids, "at {:?}", before.lines().last());
        }
    }
}

const SAMPLES: [&str; 4] = [
    include_str!("../../tests/data/samples/lru_cache.py"),
    include_str!("../../tests/data/samples/debounce.ts"),
    include_str!("../../tests/data/samples/ring_buffer.rs"),
    include_str!("../../tests/data/samples/worker_pool.go"),
];

#[test]
fn typing_within_a_word_leaves_the_stream_as_it_is() {
    let (tokenizer, config) = (tokenizer(), config());
    for (line, words) in [("    return ", "collection"), ("self.", "entries"), ("if a ", "=="), ("f(", "x")] {
        let ids = |typed: &str| {
            let prefix = format!("{line}{typed}");
            stream::build(&Prompt { prefix, ..Prompt::default() }, &tokenizer, &config).ids
        };
        for typed in 1..=words.len() {
            assert_eq!(ids(&words[..typed]), ids(&words[..1]), "{line:?}, {typed}");
        }
        // Nothing changes where the blank before it has been typed either.
        assert_eq!(line.ends_with(' '), ids("") == ids(&words[..1]), "{line:?}");
    }
}

/// Against every token, looked at one by one.
#[test]
fn openings_are_all_tokens_that_fit() {
    let (tokenizer, config) = (tokenizer(), config());
    for stem in ["a", " ", "\n", "2", " return", "retu", " ==", "zqxv", "größe", "日本", "…", " \u{e9}"]
    {
        let rest = tokenizer.spelled(stem);
        let fits = |id: &u32| {
            let token = tokenizer.spelling(*id);
            !token.is_empty() && (token.starts_with(&rest) || rest.starts_with(token))
        };
        let expected: Vec<u32> = (0..config.vocab as u32).filter(fits).collect();
        let mut found = tokenizer.openings(&rest);
        found.sort_unstable();
        assert_eq!(found, expected, "{stem:?}");
        assert!(!found.iter().any(|&id| tokenizer.is_special(id)));
        assert!(found.contains(&tokenizer.encode(stem)[0]));
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
