//! Indentation as in the buffer (pure): a text that indents with what its surroundings never use is rewritten.

use crate::site::Site;

/// What one level of indentation is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Tab,
    Spaces(usize),
}

/// The text with the indentation of its lines written as in the lines around it. Where those use both, or none, nobody
/// knows, and the text stays. Its first line goes on with the cursor's, if there is something before the cursor.
pub(super) fn as_in_buffer(text: &str, site: &Site) -> String {
    let around = [&site.above, &site.before].into_iter().chain(&site.below).map(String::as_str);
    let continued = usize::from(!site.before.is_empty());
    let own = unit(text.split('\n').skip(continued));
    let (Some(buffer), Some(own)) = (unit(around), own) else { return text.into() };
    let (from, to) = match (own, buffer) {
        (Unit::Tab, Unit::Spaces(n)) => ("\t".to_owned(), " ".repeat(n)),
        (Unit::Spaces(n), Unit::Tab) => (" ".repeat(n), "\t".to_owned()),
        // Another width may be an alignment.
        (Unit::Tab, Unit::Tab) | (Unit::Spaces(_), Unit::Spaces(_)) => return text.into(),
    };
    let mut out = String::with_capacity(text.len());
    for (n, line) in text.split('\n').enumerate() {
        if n > 0 {
            out.push('\n');
        }
        let mut rest = line;
        while let Some(inner) = rest.strip_prefix(&from).filter(|_| n >= continued) {
            out.push_str(&to);
            rest = inner;
        }
        out.push_str(rest);
    }
    out
}

/// The unit that lines are indented with, if it is one.
fn unit<'a>(lines: impl Iterator<Item = &'a str>) -> Option<Unit> {
    let (mut tabs, mut width) = (false, 0);
    for line in lines.filter(|line| !line.trim().is_empty()) {
        let blanks = &line[..line.len() - line.trim_start().len()];
        tabs |= blanks.contains('\t');
        if blanks.starts_with("  ") {
            width = gcd(width, blanks.chars().take_while(|&c| c == ' ').count());
        }
    }
    match (tabs, width) {
        (true, 0) => Some(Unit::Tab),
        (false, 8) => Some(Unit::Spaces(4)),
        (false, 2..8) => Some(Unit::Spaces(width)),
        _ => None,
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use ropey::Rope;

    use super::*;

    /// The text at `$0` of a buffer.
    fn check(buffer: &str, text: &str, expected: &str) {
        let cursor = buffer.find("$0").unwrap();
        let rope = Rope::from_str(&buffer.replacen("$0", "", 1));
        assert_eq!(as_in_buffer(text, &Site::at(&rope, cursor)), expected, "{text:?} in {buffer:?}");
    }

    #[test]
    fn what_the_buffer_never_uses_is_rewritten() {
        check("func f() {\n\tif a {$0\n\t}\n}\n", "\n        b()\n    }", "\n\t\tb()\n\t}");
        check("func f() {\n\tif a {$0\n\t}\n}\n", "\n  b()\n    c()", "\n\tb()\n\t\tc()");
        check("def f():\n    if a:$0\n", "\n\t\tb()\n\tc()", "\n        b()\n    c()");
        check("func f() {\n\ta()\n$0\n}\n", "    b()", "\tb()");
        check("function f() {\n  if (a) {$0\n  }\n}\n", "\n\t\tb();\n\t}", "\n    b();\n  }");
    }

    #[test]
    fn what_is_right_or_unknown_stays() {
        check("func f() {\n\tif a {$0\n\t}\n}\n", "\n\t\tb()\n\t}", "\n\t\tb()\n\t}");
        check("def f():\n    if a:$0\n", "\n      b()", "\n      b()");
        check("a$0\n", "\n\tb", "\n\tb");
        check("\ta\n    b$0\n", "\n\tc", "\n\tc");
        // One line is no indentation, a tab inside a line neither.
        check("def f():\n    a$0\n", "\t= 1", "\t= 1");
        check("def f():\n    a$0\n", "\n    b\tc", "\n    b\tc");
        // Alignment behind tabs.
        check("func f() {\n\ta($0\n", "\n\t    b)", "\n\t    b)");
    }
}
