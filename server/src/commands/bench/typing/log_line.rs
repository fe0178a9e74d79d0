//! What the server's log says of a request or an edit (pure).

/// A line of the log, as far as it counts work.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum LogLine {
    /// An edit was applied.
    Applied { ms: f64 },
    /// A request was answered.
    Answered(Answered),
}

/// The log's line for a request.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Answered {
    /// The buffers are numbered as they are opened.
    pub(super) document: u64,
    pub(super) version: i64,
    /// Who gave the answer.
    pub(super) by: String,
    /// Why it is empty.
    pub(super) empty: Option<String>,
    /// From the request read to the answer.
    pub(super) ms: f64,
    /// Of these, before the engine took it up.
    pub(super) before_engine: f64,
    /// Tokens that the engine made.
    pub(super) tokens: usize,
}

impl LogLine {
    /// Reads a line; one that is a warning or an error is shown on standard error.
    pub(super) fn parse_or_show(line: &str) -> Option<Self> {
        let parsed = Self::parse(line);
        if parsed.is_none() && (line.contains(" WARN ") || line.contains("ERROR")) {
            eprintln!("{line}");
        }
        parsed
    }

    fn parse(line: &str) -> Option<Self> {
        let (_, applied) = line.split_once(" applied ").unwrap_or_default();
        if !applied.is_empty() {
            return Some(LogLine::Applied { ms: number(applied, "ms")? });
        }
        let (_, fields) = line.split_once(" answered ")?;
        // A request of an unknown document has neither.
        let document = number(fields, "document")? as u64;
        Some(LogLine::Answered(Answered {
            document,
            version: number(fields, "version")? as i64,
            by: field(fields, "by", "\" ")?.trim_start_matches('"').into(),
            // A reason is words without quotes; the time follows.
            empty: field(fields, "empty", " ms=").map(str::to_owned),
            ms: number(fields, "ms")?,
            before_engine: number(fields, "prompt")? + number(fields, "queued")?,
            tokens: number(fields, "tokens")? as usize,
        }))
    }
}

/// The text of `name=...` up to `end`, or the line's end.
fn field<'a>(fields: &'a str, name: &str, end: &str) -> Option<&'a str> {
    let key = format!("{name}=");
    let at = fields.match_indices(&key).find(|&(at, _)| at == 0 || fields[..at].ends_with(' '))?.0;
    let value = &fields[at + key.len()..];
    Some(value.find(end).map_or(value, |end| &value[..end]))
}

fn number(fields: &str, name: &str) -> Option<f64> {
    field(fields, name, " ")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_of_the_log_are_read() {
        let line = "2026-11-25T10:00:00.000000Z  INFO cinnabar_server::request_log: answered \
                    method=\"textDocument/inlineCompletion\" document=3 language=\"rust\" version=17 by=\"engine\" \
                    empty=text changed ms=41.5 prompt=0.1 queued=2.4 tokenize=0.3 prefill=8 denoise=30 stream=900 \
                    reused=890 forwards=4 tokens=12";
        let expected = Answered {
            document: 3,
            version: 17,
            by: "engine".into(),
            empty: Some("text changed".into()),
            ms: 41.5,
            before_engine: 2.5,
            tokens: 12,
        };
        assert_eq!(LogLine::parse(line), Some(LogLine::Answered(expected.clone())));
        let shown = line.replace(" empty=text changed", "").replace("\"engine\"", "\"typing through\"");
        let expected = Answered { empty: None, by: "typing through".into(), ..expected };
        assert_eq!(LogLine::parse(&shown), Some(LogLine::Answered(expected)));
        let applied = "2026 DEBUG cinnabar_server::handlers::did_change: applied version=3 ms=0.25";
        assert_eq!(LogLine::parse(applied), Some(LogLine::Applied { ms: 0.25 }));
        assert_eq!(LogLine::parse("2026  INFO x: ready what=\"cpu\""), None);
    }
}
