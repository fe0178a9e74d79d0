//! How close one answer is to what stood in the gap.

/// How close an answer is to what stood in the gap. White space at the end does not count.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Score {
    /// Every character is right.
    pub(crate) exact: bool,
    /// The first line is right.
    pub(crate) first_line: bool,
    /// 1 minus the edit distance over the longer length, in characters; 1 for two empty texts.
    pub(crate) similarity: f64,
}

/// Scores an answer against the text that stood in the gap.
pub(crate) fn score(answer: &str, middle: &str) -> Score {
    let (answer, middle) = (answer.trim_end(), middle.trim_end());
    let first = |text: &str| text.split('\n').next().unwrap_or_default().trim_end().to_string();
    let longer = answer.chars().count().max(middle.chars().count());
    let distance = edit_distance(answer, middle);
    Score {
        exact: answer == middle,
        first_line: first(answer) == first(middle),
        similarity: 1.0 - distance as f64 / longer.max(1) as f64,
    }
}

/// Levenshtein distance in characters.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, &y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_scored() {
        let cases = [
            // answer, middle, exact, first line, similarity
            ("a + b", "a + b", true, true, 1.0),
            ("a + b\n", "a + b", true, true, 1.0),
            ("a + c", "a + b", false, false, 0.8),
            ("a\nb", "a\nc", false, true, 2.0 / 3.0),
            ("", "", true, true, 1.0),
            ("", "abcd", false, false, 0.0),
            ("naïve", "naive", false, false, 0.8),
        ];
        for (answer, middle, exact, first_line, similarity) in cases {
            let got = score(answer, middle);
            assert_eq!((got.exact, got.first_line), (exact, first_line), "{answer:?} {middle:?}");
            assert!((got.similarity - similarity).abs() < 1e-9, "{answer:?} {middle:?} {got:?}");
        }
    }
}
