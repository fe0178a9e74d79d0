//! Tables in both directions: what must be cut and what must not. `$0` is the cursor, then the engine's text, then
//! the line or lines that the user is left with, or the reason for nothing.

use std::time::Duration;

use cinnabar_engine::{Counts, Timings};
use proptest::prelude::*;
use ropey::Rope;

use super::*;

fn completion(text: &str, finish: Finish) -> Completion {
    let timings = Timings { queued: Duration::ZERO, ..Timings::default() };
    Completion { text: text.into(), finish, mean_log_probability: 0.0, counts: Counts::default(), timings }
}

fn suggestion(buffer: &str, text: &str, finish: Finish) -> Result<Suggestion, Reason> {
    let offset = buffer.find("$0").expect("a cursor");
    let rope = Rope::from_str(&buffer.replacen("$0", "", 1));
    suggest(&completion(text, finish), &Site::at(&rope, offset), &rope, None)
}

/// The buffer after accepting the suggestion, with `‹…›` around what was inserted.
fn accepted(buffer: &str, text: &str, finish: Finish) -> String {
    match suggestion(buffer, text, finish) {
        Ok(Suggestion { text, range }) => {
            let mut buffer = buffer.replacen("$0", "", 1);
            buffer.replace_range(range, &format!("‹{text}›"));
            buffer
        }
        Err(reason) => reason.to_string(),
    }
}

#[track_caller]
fn check(cases: &[(&str, &str, &str)]) {
    for (buffer, text, expected) in cases {
        assert_eq!(accepted(buffer, text, Finish::End), *expected, "{buffer:?} + {text:?}");
    }
}

#[test]
fn the_rest_of_the_line_is_not_repeated() {
    check(&[
        // Repeated: cut.
        ("foo($0)", "a, b)", "foo(‹a, b›)"),
        ("foo($0, c)", "a, b, c)", "foo(‹a, b›, c)"),
        ("let x = $0;", "1;", "let x = ‹1›;"),
        ("a[$0] = 1", "i] = 1", "a[‹i›] = 1"),
        ("print(\"$0\")", "hello\")", "print(\"‹hello›\")"),
        ("if ($0) {", "a > b) {", "if (‹a > b›) {"),
        ("x = $0 + other", "value + other", "x = ‹value› + other"),
        ("{$0}", " a: 1 }", "{‹ a: 1 ›}"),
        ("foo($0))", "bar(1))", "foo(‹bar(1)›))"),
        // The text's own bracket: kept.
        ("foo($0)", "bar(x)", "foo(‹bar(x)›)"),
        ("foo($0)", "a[0], b()", "foo(‹a[0], b()›)"),
        ("foo[$0]", "a[1]", "foo[‹a[1]›]"),
        ("print($0)", "\"(\"", "print(‹\"(\"›)"),
        // One letter in common is no repetition.
        ("x = $0e", "value", "x = ‹value›e"),
        ("x = $0 in y", "a", "x = ‹a› in y"),
    ]);
}

#[test]
fn one_colon_of_two_is_not_the_other() {
    check(&[
        ("    tokio:$0:spawn(f);\n", ":task:", "    tokio:‹:task:›:spawn(f);\n"),
        ("#$0:test]\n", "[tokio:", "#‹[tokio:›:test]\n"),
        ("let a$0: u8;\n", "b:", "let a‹b›: u8;\n"),
        ("if a$0:\n", " > 1:", "if a‹ > 1›:\n"),
    ]);
}

#[test]
fn what_the_editor_closed_is_replaced_by_what_goes_on_behind_it() {
    check(&[
        ("fn f($0)", "a: u8) -> u8 {", "fn f(‹a: u8) -> u8 {›"),
        ("foo(bar[$0])", "0], 1);", "foo(bar[‹0], 1);›"),
        ("foo(bar[$0])", "0]).baz()", "foo(bar[‹0]).baz()›"),
        ("print(\"$0\")", "hello\", end)", "print(\"‹hello\", end)›"),
        ("x = '$0'", "a' + b", "x = '‹a' + b›"),
        // What the user wrote is not replaced.
        ("fn f($0) -> u8 {", "a: u8", "fn f(‹a: u8›) -> u8 {"),
        ("foo($0)", "a", "foo(‹a›)"),
        ("x = \"$0\"", "it's", "x = \"‹it's›\""),
        ("x = \"$0\"", "a \\\"b\\\" c", "x = \"‹a \\\"b\\\" c›\""),
    ]);
}

#[test]
fn inside_a_line_there_is_one_line() {
    check(&[
        ("foo($0)", "a,\n    b", "foo(‹a,›)"),
        ("a $0 b", "+ c\nd", "a ‹+ c› b"),
        ("foo($0)", "\na", "blank"),
    ]);
}

#[test]
fn the_lines_below_are_not_repeated() {
    check(&[
        // Repeated: cut.
        ("def f():\n    $0\n    return x\n", "x = 1\n    return x", "def f():\n    ‹x = 1›\n    return x\n"),
        ("{\n    $0\n}\n", "a();\n}", "{\n    ‹a();›\n}\n"),
        ("{\n    $0\n}\n", "a();\n}\n\nfn next() {", "{\n    ‹a();\n}\n\nfn next() {›\n}\n"),
        ("a\n$0\n\n\nb = 1\nc = 2\n", "x\nb = 1\nc = 2\nd = 3", "a\n‹x›\n\n\nb = 1\nc = 2\n"),
        ("a\n    $0\n    b\n", "b", "repeats the suffix"),
        ("{\n$0\n}", "}", "repeats the suffix"),
        ("{\n$0\n}", "\n}\n", "repeats the suffix"),
        // Needed: kept.
        ("{\n    $0\n}\n", "if a {\n        b();\n    }", "{\n    ‹if a {\n        b();\n    }›\n}\n"),
        ("fn a() $0\n}\n", "{\n    b();\n}", "fn a() ‹{\n    b();\n}›\n}\n"),
        ("x\n$0\ny = 1\n", "y = 1\ny = 2", "x\n‹y = 1\ny = 2›\ny = 1\n"),
        ("x\n    $0\ny\n", "y", "x\n    ‹y›\ny\n"),
        ("for a in b:\n    $0\n\nprint(a)\n", "print(a)", "for a in b:\n    ‹print(a)›\n\nprint(a)\n"),
    ]);
}

#[test]
fn a_line_is_not_said_again_and_again() {
    check(&[
        // Lost: cut.
        ("push(a);\n$0\n", "push(a);\npush(a);", "repeats itself"),
        ("push(a);\n\npu$0\n", "sh(a);\n\npush(a);\npush(b);", "repeats itself"),
        ("$0\n", "a = f()\nbar = g()\nbar = g()\nbar = g()\nc", "‹a = f()\nbar = g()›\n"),
        // Meant: kept.
        ("push(a);\n$0\n", "push(a);", "push(a);\n‹push(a);›\n"),
        ("push(a);\n$0\n", "push(b);\npush(b);", "push(a);\n‹push(b);\npush(b);›\n"),
        ("  }\n$0\n", "  }\n  }\n  }", "  }\n‹  }\n  }\n  }›\n"),
        ("0,\n$0\n", "0,\n0,\n0,", "0,\n‹0,\n0,\n0,›\n"),
    ]);
}

#[test]
fn trailing_blanks_go() {
    check(&[
        ("a$0", "b  \n    \n", "a‹b›"),
        ("$0", "a  \n  \n  b", "‹a\n\n  b›"),
        // They are wanted before something.
        ("x = $0y", "a + ", "x = ‹a + ›y"),
    ]);
}

#[test]
fn leading_blanks_stay() {
    check(&[("if x:$0\n", "\n    pass", "if x:‹\n    pass›\n"), ("a =$0", " 1", "a =‹ 1›")]);
}

#[test]
fn whole_lines_end_with_a_line_break() {
    check(&[
        ("$0b\n", "a", "‹a\n›b\n"),
        ("$0b\n", "a\n\n", "‹a\n›b\n"),
        ("$0b\n", "b", "repeats the suffix"),
        ("x\n$0def f():\n", "@decorated", "x\n‹@decorated\n›def f():\n"),
    ]);
}

#[test]
fn line_breaks_are_the_buffers() {
    check(&[
        ("a\r\n$0\r\n", "b\nc", "a\r\n‹b\r\nc›\r\n"),
        ("a\n$0\n", "b\nc", "a\n‹b\nc›\n"),
        ("a\r\n$0", "b\nc", "a\r\n‹b\r\nc›"),
        ("$0", "b\nc", "‹b\nc›"),
        ("{\r\n    $0\r\n}\r\n", "a();\n}", "{\r\n    ‹a();›\r\n}\r\n"),
    ]);
}

#[test]
fn nothing_has_a_reason() {
    check(&[("a$0", "", "nothing missing"), ("a$0", " \n\t", "blank"), ("f($0)", ")", "repeats the suffix")]);
    assert_eq!(accepted("a$0", "", Finish::Deadline), "deadline");
}

#[test]
fn what_was_broken_off_loses_its_last_line_but_not_its_only_one() {
    for finish in [Finish::MaxTokens, Finish::Deadline, Finish::Full] {
        assert_eq!(accepted("$0", "a()\nb()\nc(", finish), "‹a()\nb()›");
        assert_eq!(accepted("$0", "a(", finish), "‹a(›");
        assert_eq!(accepted("x:$0", "\n    a(", finish), "x:‹\n    a(›");
    }
    assert_eq!(accepted("$0", "a()\nb(", Finish::End), "‹a()\nb(›");
}

proptest! {
    /// Whatever the texts: no panic, one line to replace, and the text is the engine's but for its ends.
    #[test]
    fn any_text_at_any_place(buffer in "[ab(){}\"; \n]{0,30}", at in 0usize..30, text in "[ab(){}\"; \né]{0,30}") {
        let at = at.min(buffer.len());
        let rope = Rope::from_str(&buffer);
        let site = Site::at(&rope, at);
        if let Ok(Suggestion { text: suggested, range }) = suggest(&completion(&text, Finish::End), &site, &rope, None) {
            prop_assert!(range.start == at && range.end <= site.line_end);
            prop_assert!(!suggested.trim().is_empty());
            prop_assert!(site.span != Span::WithinLine || !suggested.contains('\n'));
            let squeezed = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert!(squeezed(&text).starts_with(&squeezed(&suggested)));
        }
    }
}
