//! A place in a text, as a person names it: FILE:LINE:COL, counted from 1 in characters.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::cli::BadInput;

/// Larger input is refused: it is no source file, and a device or an endless pipe would never end.
const MAX_BYTES: u64 = 256 << 20;

/// A line and a column, both from 1. A column counts characters (Unicode scalar values); the one after the last
/// character is the end of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Cursor {
    /// Line from 1.
    pub(crate) line: usize,
    /// Column from 1.
    pub(crate) column: usize,
}

impl FromStr for Cursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |part: &str, what| match part.parse() {
            Ok(0) => Err(format!("{what}s are counted from 1")),
            Ok(n) => Ok(n),
            Err(_) => Err(format!("{part:?} is not a {what} number")),
        };
        let (line, column) =
            text.split_once(':').ok_or_else(|| format!("expected LINE:COL, found {text:?}"))?;
        Ok(Cursor { line: number(line, "line")?, column: number(column, "column")? })
    }
}

/// A text to complete in.
#[derive(Debug)]
pub(crate) struct Source {
    /// Its characters, without a byte order mark.
    pub(crate) text: String,
    /// What the model is told about its place in the project.
    pub(crate) path: Option<String>,
}

impl Source {
    /// Reads a file.
    pub(crate) fn read(file: &Path) -> Result<Self, BadInput> {
        let name = file.display().to_string();
        let fail = |error: std::io::Error| BadInput(format!("cannot read {name}: {error}"));
        let metadata = file.metadata().map_err(fail)?;
        if metadata.is_dir() {
            return Err(BadInput(format!("{name} is a directory, not a file")));
        }
        if !metadata.is_file() {
            return Err(BadInput(format!("{name} is not a regular file; pipe it in and write - instead")));
        }
        let bytes = read_limited(File::open(file).map_err(fail)?, &name)?;
        Ok(Source { text: decode(bytes, &name)?, path: project_path(file) })
    }

    /// Reads standard input; `path` is what the text is called.
    pub(crate) fn read_stdin(path: Option<String>) -> Result<Self, BadInput> {
        let name = "standard input";
        Ok(Source { text: decode(read_limited(std::io::stdin().lock(), name)?, name)?, path })
    }

    /// Byte offset of a cursor.
    pub(crate) fn offset(&self, cursor: Cursor) -> Result<usize, BadInput> {
        let mut start = 0;
        for line in 1..cursor.line {
            let Some(length) = line_break(&self.text[start..]).map(|(at, width)| at + width) else {
                return Err(BadInput(format!("there is no line {}: the text has {line}", cursor.line)));
            };
            start += length;
        }
        let end = line_break(&self.text[start..]).map_or(self.text.len(), |(at, _)| start + at);
        let line = &self.text[start..end];
        let mut places = line.char_indices().map(|(at, _)| at).chain([line.len()]);
        places.nth(cursor.column - 1).map(|at| start + at).ok_or_else(|| {
            let columns = line.chars().count() + 1;
            BadInput(format!(
                "there is no column {} in line {}: its columns are 1 to {columns}",
                cursor.column, cursor.line
            ))
        })
    }
}

/// Splits FILE:LINE:COL at its last two colons, since a file name may hold some.
pub(crate) fn split_place(place: &str) -> Result<(PathBuf, Cursor), BadInput> {
    let mut parts = place.rsplitn(3, ':');
    let (Some(column), Some(line), Some(file)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(BadInput(format!(
            "{place:?} names no position: write FILE:LINE:COL, or FILE --cursor LINE:COL"
        )));
    };
    if file.is_empty() {
        return Err(BadInput(format!("{place:?} names no file: write FILE:LINE:COL")));
    }
    let cursor = format!("{line}:{column}").parse().map_err(|e| BadInput(format!("{place:?}: {e}")))?;
    Ok((PathBuf::from(file), cursor))
}

/// Byte offset and width of the first line break: `\n`, `\r\n` or `\r`, as the Language Server Protocol counts.
fn line_break(text: &str) -> Option<(usize, usize)> {
    let at = text.find(['\n', '\r'])?;
    Some((at, if text[at..].starts_with("\r\n") { 2 } else { 1 }))
}

fn read_limited(input: impl Read, name: &str) -> Result<Vec<u8>, BadInput> {
    let mut bytes = Vec::new();
    let read = input.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    read.map_err(|error| BadInput(format!("cannot read {name}: {error}")))?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(BadInput(format!("{name} is larger than {} MB", MAX_BYTES >> 20)));
    }
    Ok(bytes)
}

fn decode(bytes: Vec<u8>, name: &str) -> Result<String, BadInput> {
    if let Some(at) = bytes.iter().position(|&b| b == 0) {
        return Err(BadInput(format!("{name} looks binary: byte {at} is NUL; completions need UTF-8 text")));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..at].iter().filter(|&&b| b == b'\n').count();
        BadInput(format!(
            "{name} is not UTF-8: byte {at}, in line {line}; convert it first, for instance with iconv"
        ))
    })?;
    // Editors hide the mark and do not count it as a column.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Path from the root of the checkout that holds the file; outside one, the path as given if it leads down from here.
fn project_path(file: &Path) -> Option<String> {
    let full = file.canonicalize().ok()?;
    let root = full.ancestors().skip(1).find(|folder| folder.join(".git").exists());
    let leads_down = || file.components().all(|part| matches!(part, std::path::Component::Normal(_)));
    let path = match root.and_then(|root| full.strip_prefix(root).ok()) {
        Some(inside) => inside,
        None if leads_down() => file,
        None => Path::new(full.file_name()?),
    };
    Some(path.to_str()?.replace(std::path::MAIN_SEPARATOR, "/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset(text: &str, line: usize, column: usize) -> Result<usize, String> {
        let source = Source { text: text.into(), path: None };
        source.offset(Cursor { line, column }).map_err(|e| e.0)
    }

    #[test]
    fn columns_count_characters() {
        assert_eq!(offset("", 1, 1), Ok(0));
        assert_eq!(offset("añ😀b", 1, 4), Ok(7));
        assert_eq!(offset("añ😀b", 1, 5), Ok(8));
        assert_eq!(offset("ab\ncd\n", 2, 3), Ok(5));
        assert_eq!(offset("ab\ncd\n", 3, 1), Ok(6));
    }

    #[test]
    fn every_line_break_of_the_protocol_ends_a_line() {
        assert_eq!(offset("ab\r\ncd", 2, 1), Ok(4));
        assert_eq!(offset("ab\rcd", 2, 1), Ok(3));
        assert_eq!(offset("\r\n\r\n", 3, 1), Ok(4));
        // Between \r and \n there is no column.
        let message = offset("ab\r\ncd", 1, 4).unwrap_err();
        assert_eq!(message, "there is no column 4 in line 1: its columns are 1 to 3");
    }

    #[test]
    fn places_outside_the_text_are_refused() {
        assert_eq!(offset("a\nb", 3, 1).unwrap_err(), "there is no line 3: the text has 2");
        assert_eq!(offset("a\nb\n", 4, 1).unwrap_err(), "there is no line 4: the text has 3");
        assert!(offset("abc", 1, usize::MAX).is_err());
        assert!(offset("abc", usize::MAX, 1).is_err());
    }

    #[test]
    fn a_place_splits_at_its_last_colons() {
        let check = |text: &str, file: &str, line, column| {
            assert_eq!(split_place(text).unwrap(), (PathBuf::from(file), Cursor { line, column }));
        };
        check("a.rs:3:4", "a.rs", 3, 4);
        check("C:\\x.rs:3:4", "C:\\x.rs", 3, 4);
        check("odd:name:5:6:7", "odd:name:5", 6, 7);
        for bad in
            ["a.rs", "a.rs:3", ":3:4", "a.rs:x:4", "a.rs:3:", "a.rs:0:1", "a.rs:1:0", "a.rs:-1:2", "", "::"]
        {
            assert!(split_place(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_no_text_is_refused() {
        assert!(decode(b"a\0b".to_vec(), "x").unwrap_err().0.contains("byte 1 is NUL"));
        assert!(decode(b"a\nb\xff".to_vec(), "x").unwrap_err().0.contains("byte 3, in line 2"));
        assert_eq!(decode("\u{feff}a".into(), "x").unwrap(), "a");
    }

    #[test]
    fn the_path_starts_at_the_checkout() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("repo/.git")).unwrap();
        std::fs::create_dir_all(dir.path().join("repo/src")).unwrap();
        let file = dir.path().join("repo/src/a.rs");
        std::fs::write(&file, "x").unwrap();
        assert_eq!(Source::read(&file).unwrap().path.as_deref(), Some("src/a.rs"));
        assert!(Source::read(dir.path()).unwrap_err().0.contains("is a directory"));
        assert!(Source::read(&dir.path().join("none")).unwrap_err().0.contains("cannot read"));
    }
}
