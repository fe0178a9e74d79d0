//! Cases of a benchmark, from JSON lines (plain or gzipped) in the shapes of the public sets.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use ropey::Rope;
use serde::Deserialize;
use serde_json::Value;

use super::cut::Cut;
use crate::neighbours::pieces::Pieces;

/// Text around a gap and what stood in it.
#[derive(Debug, Clone, Default)]
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
    /// Other files of its project, each with its path, if the set has some.
    pub(crate) neighbours: Vec<(String, Pieces)>,
    /// How the benchmark cuts an answer before it is judged.
    pub(crate) cut: Option<Cut>,
    /// What an answer has to pass.
    pub(crate) tests: Option<Tests>,
}

/// What decides whether an answer works.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Tests {
    /// Python that stands behind the completed file and raises where it fails.
    Script(String),
    /// Inputs and outputs of the completed file, a Python program.
    Trials(Vec<Trial>),
    /// Nothing to run: the answer says what stood in the gap, white space aside.
    SameText,
}

/// What a program is given, and what it may say.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Trial {
    pub(crate) input: String,
    pub(crate) output: Vec<String>,
}

/// A line of a set: HumanEval-Infilling (`prompt`, `suffix`, `canonical_solution`, `test`; Bavarian et al., arXiv
/// 2207.14255), or a gap: the cursor set, and SAFIM (with `task` and `tests`; Gong et al., arXiv 2403.04814).
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    HumanEval {
        task_id: String,
        entry_point: String,
        prompt: String,
        suffix: String,
        canonical_solution: String,
        test: String,
    },
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
    task: Option<Cut>,
    #[serde(default)]
    tests: Value,
    #[serde(default)]
    neighbours: Vec<Neighbour>,
}

#[derive(Deserialize)]
struct Neighbour {
    path: String,
    text: String,
}

/// The files of a set: the one, or every `.jsonl` and `.jsonl.gz` file of a folder in the order of their names.
pub(crate) fn files(path: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    if path.is_dir() {
        for entry in path.read_dir().with_context(|| format!("cannot read {}", path.display()))? {
            files.push(entry?.path());
        }
        files.retain(|file: &PathBuf| stem(file).is_some());
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

/// A set's file name without its endings.
fn stem(path: &Path) -> Option<&str> {
    let name = path.file_name()?.to_str()?;
    name.strip_suffix(".jsonl.gz").or_else(|| name.strip_suffix(".jsonl"))
}

fn read_file(path: &Path, cases: &mut Vec<Case>) -> Result<()> {
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let reader: Box<dyn Read> = match path.extension().is_some_and(|e| e == "gz") {
        true => Box::new(flate2::read::MultiGzDecoder::new(file)),
        false => Box::new(file),
    };
    let sound = sound_references(path)?;
    for (number, line) in BufReader::new(reader).lines().enumerate() {
        let place = || format!("{}, line {}", path.display(), number + 1);
        let line = line.with_context(place)?;
        if !line.trim().is_empty() {
            let line = serde_json::from_str::<Line>(&line).with_context(place)?;
            cases.push(case(line, sound.as_ref()).with_context(place)?);
        }
    }
    Ok(())
}

/// The ids in `NAME-python-ok.json` beside `NAME.jsonl`, if it is there: cases whose reference passes its own tests under
/// Python. Others say nothing about a model, so their tests are left out.
fn sound_references(path: &Path) -> Result<Option<HashSet<String>>> {
    let Some(stem) = stem(path) else { return Ok(None) };
    let list = path.with_file_name(format!("{stem}-python-ok.json"));
    match fs::read_to_string(&list) {
        Ok(text) => Ok(Some(serde_json::from_str(&text).with_context(|| format!("{}", list.display()))?)),
        Err(_) => Ok(None),
    }
}

fn case(line: Line, sound: Option<&HashSet<String>>) -> Result<Case> {
    match line {
        Line::HumanEval { task_id, entry_point, prompt, suffix, canonical_solution, test } => Ok(Case {
            kind: task_id.split('/').next().unwrap_or_default().to_string(),
            id: task_id,
            language: "python".into(),
            path: Some("solution.py".into()),
            prefix: prompt,
            suffix,
            middle: canonical_solution,
            tests: Some(Tests::Script(format!("{test}\ncheck({entry_point})\n"))),
            ..Case::default()
        }),
        Line::Gap(gap) => match gap.task {
            Some(task) => task_case(gap, task, sound),
            None => Ok(Case {
                id: gap.id,
                kind: gap.kind.unwrap_or_else(|| "gap".into()),
                language: gap.lang,
                path: gap.path,
                prefix: gap.prefix,
                suffix: gap.suffix,
                middle: gap.middle,
                neighbours: gap.neighbours.into_iter().map(in_pieces).collect(),
                ..Case::default()
            }),
        },
    }
}

fn in_pieces(Neighbour { path, text }: Neighbour) -> (String, Pieces) {
    (path, Pieces::of(Rope::from_str(&text)))
}

/// A case of SAFIM.
fn task_case(gap: Gap, task: Cut, sound: Option<&HashSet<String>>) -> Result<Case> {
    // The set has both line breaks, an answer has one.
    let with_lf = |text: String| text.replace("\r\n", "\n");
    let runs = gap.lang == "python" && sound.is_none_or(|sound| sound.contains(&gap.id));
    let tests = match task {
        Cut::Api => Some(Tests::SameText),
        Cut::Block | Cut::Control if runs => Some(Tests::Trials(serde_json::from_value(gap.tests)?)),
        Cut::Block | Cut::Control => None,
    };
    Ok(Case {
        // Ids are those of the task's own file.
        id: format!("{}/{}", task.name(), gap.id),
        kind: task.name().into(),
        path: gap.path.or_else(|| Some(file_name(&gap.lang).into())),
        language: gap.lang,
        prefix: with_lf(gap.prefix),
        suffix: with_lf(gap.suffix),
        middle: with_lf(gap.middle),
        cut: Some(task),
        tests,
        ..Case::default()
    })
}

/// A name for a file of a set that has none.
fn file_name(language: &str) -> &'static str {
    match language {
        "python" => "solution.py",
        "java" => "Solution.java",
        "cpp" => "solution.cpp",
        "csharp" => "Solution.cs",
        _ => "solution",
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// A folder with every shape of lines, one file of them gzipped.
    #[test]
    fn every_shape_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let human_eval =
            r#"{"task_id": "SingleLineInfilling/HumanEval/0/L0", "entry_point": "f", "prompt": "a\n",
            "suffix": "c\n", "canonical_solution": "b\n", "test": "def check(f): pass"}"#
                .replace('\n', " ");
        let gap = r#"{"id": "go-1", "lang": "go", "kind": "span", "path": "x.go", "prefix": "a", "suffix": "c", "middle": "b",
            "neighbours": [{"path": "y.go", "text": "package y\n"}]}"#
            .replace('\n', " ");
        let safim = r#"{"id": "b0", "lang": "python", "task": "block", "prefix": "a\r\n", "suffix": "c", "middle": "b",
            "tests": [{"input": "1", "output": ["2"]}]}"#
            .replace('\n', " ");
        let unsound = safim.replace("b0", "b1");
        let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        writeln!(gz, "{human_eval}").unwrap();
        let write = |name: &str, content: &[u8]| fs::write(folder.path().join(name), content).unwrap();
        write("b.jsonl.gz", &gz.finish().unwrap());
        write("a.jsonl", format!("{gap}\n\n").as_bytes());
        write("c.jsonl", format!("{safim}\n{unsound}\n").as_bytes());
        write("c-python-ok.json", br#"["b0"]"#);
        write("notes.txt", b"not a set");
        let cases = read(folder.path()).unwrap();
        let shown: Vec<_> = cases
            .iter()
            .map(|c| (c.id.as_str(), c.kind.as_str(), c.language.as_str(), c.path.as_deref().unwrap()))
            .collect();
        assert_eq!(
            shown,
            [
                ("go-1", "span", "go", "x.go"),
                ("SingleLineInfilling/HumanEval/0/L0", "SingleLineInfilling", "python", "solution.py"),
                ("block/b0", "block", "python", "solution.py"),
                ("block/b1", "block", "python", "solution.py"),
            ]
        );
        let neighbours: Vec<_> =
            cases[0].neighbours.iter().map(|(path, pieces)| (path.as_str(), pieces.is_empty())).collect();
        assert_eq!(neighbours, [("y.go", true)], "too short for a piece");
        let trial = Trial { input: "1".into(), output: vec!["2".into()] };
        let tests: Vec<_> = cases.into_iter().map(|case| case.tests).collect();
        let script = Tests::Script("def check(f): pass\ncheck(f)\n".into());
        assert_eq!(tests, [None, Some(script), Some(Tests::Trials(vec![trial])), None]);
    }
}
