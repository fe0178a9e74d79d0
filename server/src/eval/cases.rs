//! Cases of a benchmark, from JSON lines (plain or gzipped) in the shapes of the public sets.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// Text around a gap and what stood in it.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Case {
    /// Unique within the set.
    pub(crate) id: String,
    /// What it is counted under: a kind of cursor, or the benchmark's name.
    pub(crate) kind: String,
    /// Language, as the set names it.
    pub(crate) language: String,
    /// Relative path that the prompt names, if the set has one.
    pub(crate) path: Option<String>,
    /// Text before the gap.
    pub(crate) prefix: String,
    /// Text after the gap.
    pub(crate) suffix: String,
    /// What stood in the gap.
    pub(crate) middle: String,
}

/// A line of a set: the cursor set and SAFIM (`prefix`, `suffix`, `middle`) or HumanEval-Infilling (`prompt`, `suffix`,
/// `canonical_solution`; Bavarian et al., arXiv 2207.14255).
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    HumanEval { task_id: String, prompt: String, suffix: String, canonical_solution: String },
    Gap(Gap),
}

#[derive(Deserialize)]
struct Gap {
    id: String,
    lang: String,
    prefix: String,
    suffix: String,
    middle: String,
    path: Option<String>,
    kind: Option<String>,
    task: Option<String>,
}

impl From<Line> for Case {
    fn from(line: Line) -> Self {
        match line {
            Line::HumanEval { task_id, prompt, suffix, canonical_solution } => Case {
                kind: task_id.split('/').next().unwrap_or_default().to_string(),
                id: task_id,
                language: "python".into(),
                path: Some("solution.py".into()),
                prefix: prompt,
                suffix,
                middle: canonical_solution,
            },
            Line::Gap(gap) => Case {
                id: gap.id,
                kind: gap.kind.or(gap.task).unwrap_or_else(|| "gap".into()),
                language: gap.lang,
                path: gap.path,
                prefix: gap.prefix,
                suffix: gap.suffix,
                middle: gap.middle,
            },
        }
    }
}

/// The files of a set: the one, or every `.jsonl` and `.jsonl.gz` file of a folder in the order of their names.
pub(crate) fn files(path: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    if path.is_dir() {
        for entry in path.read_dir().with_context(|| format!("cannot read {}", path.display()))? {
            files.push(entry?.path());
        }
        files.retain(|file: &PathBuf| is_set(file));
        files.sort();
    } else {
        files.push(path.to_path_buf());
    }
    Ok(files)
}

/// Reads the files of a set.
pub(crate) fn read(path: &Path) -> Result<Vec<Case>> {
    let mut cases = Vec::new();
    for file in files(path)? {
        read_file(&file, &mut cases)?;
    }
    if cases.is_empty() {
        bail!(
            "{} holds no cases; give a .jsonl or .jsonl.gz file, or a folder of such files, with a line \
             {{\"id\", \"lang\", \"prefix\", \"suffix\", \"middle\"}} for each case",
            path.display()
        );
    }
    Ok(cases)
}

fn is_set(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.ends_with(".jsonl") || name.ends_with(".jsonl.gz")
}

fn read_file(path: &Path, cases: &mut Vec<Case>) -> Result<()> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let reader: Box<dyn Read> = match path.extension().is_some_and(|e| e == "gz") {
        true => Box::new(flate2::read::MultiGzDecoder::new(file)),
        false => Box::new(file),
    };
    for (number, line) in BufReader::new(reader).lines().enumerate() {
        let place = || format!("{}, line {}", path.display(), number + 1);
        let line = line.with_context(place)?;
        if !line.trim().is_empty() {
            cases.push(serde_json::from_str::<Line>(&line).with_context(place)?.into());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A folder with both shapes of lines, one file of them gzipped.
    #[test]
    fn both_shapes_are_read() {
        let folder = tempfile::tempdir().unwrap();
        let human_eval =
            r#"{"task_id": "SingleLineInfilling/HumanEval/0/L0", "entry_point": "f", "prompt": "a\n",
            "suffix": "c\n", "canonical_solution": "b\n", "test": ""}"#
                .replace('\n', " ");
        let gap = r#"{"id": "go-1", "lang": "go", "kind": "span", "path": "x.go", "prefix": "a", "suffix": "c", "middle": "b"}"#;
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        writeln!(gz, "{human_eval}").unwrap();
        std::fs::write(folder.path().join("b.jsonl.gz"), gz.finish().unwrap()).unwrap();
        std::fs::write(folder.path().join("a.jsonl"), format!("{gap}\n\n")).unwrap();
        std::fs::write(folder.path().join("notes.txt"), "not a set").unwrap();
        let cases = read(folder.path()).unwrap();
        let shown: Vec<_> = cases
            .iter()
            .map(|c| (c.kind.as_str(), c.language.as_str(), c.path.as_deref(), c.middle.as_str()))
            .collect();
        assert_eq!(
            shown,
            [
                ("span", "go", Some("x.go"), "b"),
                ("SingleLineInfilling", "python", Some("solution.py"), "b\n")
            ]
        );
    }
}
