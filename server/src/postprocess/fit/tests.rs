//! Tables in both directions: what must be cut and what must not. `$0` is the cursor, then the engine's text, then what
//! is left of it.

use super::*;

#[derive(Clone, Copy)]
struct Case(&'static str, &'static str, &'static str, &'static str);

#[track_caller]
fn check<T>(cut: impl Fn(&'static str, &Site, &Rope, &Syntax) -> T, cases: &[Case])
where
    T: for<'a> PartialEq<&'a str> + std::fmt::Debug,
{
    for Case(path, buffer, text, expected) in cases {
        let offset = buffer.find("$0").expect("a cursor");
        let rope = Rope::from_str(&buffer.replacen("$0", "", 1));
        let syntax = Syntax::of_file("", path, &rope, offset).expect("a language");
        assert_eq!(
            cut(text, &Site::at(&rope, offset), &rope, &syntax),
            *expected,
            "{path}: {buffer:?} + {text:?}"
        );
    }
}

#[test]
fn what_follows_the_block_of_the_cursor_is_cut() {
    check(
        within_block,
        &[
            // A function whose head stands there: its body, not the next function.
            Case("a.py", "def f(a):$0\n", "\n    return a\n\n\ndef g():\n    pass", "\n    return a"),
            Case("a.py", "def f(a):\n    $0\n", "return a\n\ndef g():", "return a"),
            Case("a.rs", "fn f() $0\n", "{\n    a();\n}\n\nfn g() {\n    b();\n}", "{\n    a();\n}"),
            Case("a.rs", "fn f() {$0\n", "\n    a();\n}\n\nfn g() {}", "\n    a();\n}"),
            Case("a.go", "package p\n\nfunc f() {$0\n", "\n\ta()\n}\n\nfunc g() {}", "\n\ta()\n}"),
            Case(
                "a.c",
                "int f(void) {$0\n",
                "\n    return 1;\n}\n\nint g(void) { return 2; }",
                "\n    return 1;\n}",
            ),
            Case(
                "a.java",
                "class A {\n    void f() {$0\n}\n",
                "\n        a();\n    }\n\n    void g() {}",
                "\n        a();\n    }",
            ),
            Case("a.ts", "class A {\n  f() {$0\n}\n", "\n    a();\n  }\n\n  g() {}", "\n    a();\n  }"),
            Case("a.lua", "function f()$0\n", "\n  a()\nend\n\nfunction g()\nend", "\n  a()\nend"),
            Case("a.sh", "f() {$0\n", "\n  a\n}\n\ng() {\n  b\n}", "\n  a\n}"),
            // A class: its members, not the next class.
            Case("a.py", "class A:\n    x = 1\n    $0\n", "y = 2\n\nclass B:\n    z = 3", "y = 2"),
            Case("a.rs", "struct A {$0\n", "\n    a: u8,\n}\n\nstruct B;", "\n    a: u8,\n}"),
            // A statement's block: its statements, not the next statement.
            Case("a.py", "def f(a):\n    if a:\n        $0\n    b()\n", "c()\n    d()", "c()"),
            Case("a.js", "if (a) {$0\n", "\n  b();\n}\nc();", "\n  b();\n}"),
            // What closes the call around a block stays.
            Case("a.js", "it('a', () => {$0\n", "\n  b();\n});\n\nit('c', () => {\n});", "\n  b();\n});"),
        ],
    );
}

#[test]
fn what_belongs_to_the_block_is_not_cut() {
    let whole = |path, buffer, text| Case(path, buffer, text, text);
    check(
        within_block,
        &[
            // Blocks inside it, and what comes after them.
            whole("a.py", "def f(a):\n    $0\n", "if a:\n        b()\n    return c"),
            whole("a.rs", "fn f() {\n    $0\n}\n", "if a {\n        b();\n    }\n    c();"),
            whole(
                "a.py",
                "class A:\n    $0\n",
                "def f(self):\n        pass\n\n    def g(self):\n        pass",
            ),
            whole("a.ts", "class A {\n  $0\n}\n", "f() {\n  }\n\n  g() {\n  }"),
            // Its other branches.
            whole("a.py", "if a:\n    $0\n", "b()\nelif c:\n    d()\nelse:\n    e()"),
            whole("a.js", "if (a) {$0\n", "\n  b();\n} else {\n  c();\n}"),
            whole("a.py", "try:\n    $0\n", "a()\nexcept B:\n    c()"),
            whole("a.rs", "fn f() {\n    match a {$0\n}\n", "\n        1 => b(),\n        _ => c(),\n    }"),
            // Outside of all blocks anything may follow.
            whole("a.py", "$0\n", "import a\nimport b\n\n\ndef f():\n    pass\n\n\nx = 1"),
            whole("a.rs", "use a::$0\n", "b;\nuse c::d;"),
            whole("a.yaml", "a:\n  b: 1$0\n", "\n  c: 2\nd: 3"),
            whole("a.json", "{\n  $0\n}\n", "\"a\": 1,\n  \"b\": [\n    2\n  ]"),
            whole("a.toml", "[a]\n$0\n", "b = 1\nc = 2"),
            // One line is not looked at.
            whole("a.py", "def f(a):\n    $0\n", "return a"),
        ],
    );
}

fn fitted_at_the_cursor(text: &'static str, site: &Site, buffer: &Rope, syntax: &Syntax) -> String {
    fitted(text, true, site, 0, buffer, syntax)
}

#[test]
fn lines_that_the_grammar_cannot_place_are_cut() {
    check(
        fitted_at_the_cursor,
        &[
            Case("a.rs", "fn f() {\n    $0\n}\n", "a();\n    if b {", "a();"),
            Case("a.rs", "fn f() {\n    $0\n}\n", "if b {", ""),
            // However little of the rest it can place.
            Case(
                "a.rs",
                "fn a() { b c }\nfn a() { b c }\nfn a() { b c }\nfn a() { b c }\nfn a() { b c }\nfn a() { b c }\nfn f() {\n    $0\n}\n",
                "a();\n    if b {",
                "a();",
            ),
            Case("a.rs", "fn f() {\n    $0\n}\n", "a(;\n    b();", ""),
            Case("a.py", "def f():\n    $0\n", "a = [1,\n        2]\n    b = (", "a = [1,\n        2]"),
            Case("a.go", "package p\n\nfunc f() {\n\t$0\n}\n", "a()\n\tb := []int{", "a()"),
            Case("a.c", "int f(void) {\n    $0\n}\n", "a();\n}\nreturn 1;\n}", "a();"),
        ],
    );
}

#[test]
fn lines_that_the_grammar_can_place_stay() {
    let whole = |path, buffer, text| Case(path, buffer, text, text);
    check(
        fitted_at_the_cursor,
        &[
            whole("a.rs", "fn f() {\n    $0\n}\n", "if b {\n        c();\n    }"),
            whole("a.rs", "fn f() {\n    g($0\n}\n", "1);"),
            // A document that is foreign to the grammar is not judged.
            whole(
                "a.c",
                "@a@ {{ b }\n@c@ )) d\n@e@ (] f\n@g@ }} h\n@i@ ]] j\n@k@ }) l\n@m@ ]) n\n$0\n",
                "@o@ ((",
            ),
        ],
    );
}

#[test]
fn what_a_text_leaves_open_is_closed() {
    check(
        fitted_at_the_cursor,
        &[
            // The bracket below is the function's.
            Case(
                "a.rs",
                "fn f() {\n    if a > b $0\n}\n",
                "{\n        a - b\n    } else {\n        a + b",
                "{\n        a - b\n    } else {\n        a + b\n    }",
            ),
            Case("a.rs", "fn f() {\n    $0\n}\n", "if b {\n        c();", "if b {\n        c();\n    }"),
            Case("a.rs", "fn f() {\n$0\n}\n", "    if b {\n        c();", "    if b {\n        c();\n    }"),
            Case("a.go", "package p\n\nfunc f() {\n\tif a $0\n}\n", "{\n\t\tb()", "{\n\t\tb()\n\t}"),
            Case("a.js", "f(() => {\n  $0\n});\n", "g(() => {\n    h();", "g(() => {\n    h();\n  })"),
            Case(
                "a.java",
                "class A {\n    void f() {\n        if (a) $0\n    }\n}\n",
                "{\n            b();",
                "{\n            b();\n        }",
            ),
            // On one line.
            Case("a.ts", "const a = b$0;\n", "(c", "(c)"),
            Case("a.json", "[1$0]\n", ", [2", ", [2]"),
            Case("a.py", "x = $0\n", "f(a, [1, 2", "f(a, [1, 2])"),
            Case("a.py", "x = f($0)\n", "g(a", "g(a)"),
            // Only what it opened itself.
            Case("a.rs", "fn f() {$0\n", "\n    if a {\n        b();", "\n    if a {\n        b();\n    }"),
        ],
    );
}

#[test]
fn what_a_text_closes_too_often_is_cut() {
    check(
        fitted_at_the_cursor,
        &[
            Case("a.py", "x = f($0)\n", "a))", "a"),
            // A blank too many.
            Case("a.go", "package p\n\nfunc f() {\n\ta $0= b\n}\n", ": ", ":"),
            Case("a.rs", "fn f() {\n    $0\n}\n", "a();\n    }\n}", "a();"),
            Case("a.ts", "f(() => {\n  if (a) {$0\n  }\n});\n", "\n    b();\n  }\n});", "\n    b();"),
        ],
    );
}

#[test]
fn what_the_document_opens_or_closes_itself_is_left_to_it() {
    let whole = |path, buffer, text| Case(path, buffer, text, text);
    check(
        fitted_at_the_cursor,
        &[
            // What was open may stay open, or be closed.
            whole("a.rs", "fn f() {$0\n", "\n    a();"),
            whole("a.rs", "fn f() {$0\n", "\n    a();\n}"),
            whole("a.js", "const a = {$0\n", "\n  b: 1,"),
            whole("a.py", "x = f($0\n", "a,\n      b"),
            whole("a.py", "def f(a)$0\n", ":\n    return a"),
            // The block that it opens stands below.
            whole("a.rs", "fn f() {\n    if a > b $0\n        a();\n    }\n}\n", "{"),
            whole("a.rs", "fn f() {\n    let a = $0\n        b: 1,\n    };\n}\n", "A {"),
            whole("a.py", "x = f$0a, b)\n", "("),
            // A block with nothing in it is the user's to fill.
            whole("a.rs", "fn f() {\n    if a > b $0\n}\n", "{"),
            // Brackets that are none.
            whole("a.rs", "fn f() {\n    $0\n}\n", "g(\"{ (\", '['); // {"),
        ],
    );
}

#[test]
fn what_was_broken_off_is_not_closed() {
    let broken = |text: &'static str, site: &Site, buffer: &Rope, syntax: &Syntax| {
        fitted(text, false, site, 0, buffer, syntax)
    };
    check(
        broken,
        &[
            Case("a.ts", "const a = b$0;\n", "(c", ""),
            Case("a.py", "x = f($0)\n", "g(a,", ""),
            Case("a.py", "x = f($0)\n", "g(a)", "g(a)"),
        ],
    );
}
