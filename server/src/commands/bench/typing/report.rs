//! What came of the keys, as figures (pure).

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write;
use std::time::Duration;

use serde::Serialize;

use super::log_line::{Answered, LogLine};
use super::replay::{Asked, Played, Truth};
use crate::commands::bench::{ms, rank};

/// Tokens of a rest of a line at most.
const REST_OF_LINE: usize = 16;

/// All figures of a run. Times are milliseconds.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    version: &'static str,
    server: String,
    seconds: u64,
    keys: usize,
    /// What the editor waited for, by class.
    classes: Vec<Class>,
    /// Share of the requests that were answered before the next key.
    in_time: f64,
    unanswered: usize,
    /// Who gave the answers.
    by: BTreeMap<String, usize>,
    /// Why requests had an empty answer.
    empty: BTreeMap<String, usize>,
    /// Seconds that the engine spent on requests, and the share of them that led to nothing on the screen.
    engine_seconds: f64,
    wasted: f64,
    suggestions: Suggestions,
}

/// Times of a class of work.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Class {
    what: &'static str,
    n: usize,
    /// 50th, 95th and 99th percentile, as the editor measures it.
    editor: [f64; 3],
    /// The same inside the server, where its log tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<[f64; 3]>,
}

/// Suggestions that appeared on the screen; one that is typed through counts once.
#[derive(Debug, Default, PartialEq, Serialize)]
struct Suggestions {
    shown: usize,
    /// Of them, with a known truth: shown while no mistake stood in the text.
    judged: usize,
    /// All of it was about to be written.
    right: usize,
    /// Right, and to the end of a line.
    whole: usize,
    accepted: usize,
}

impl Report {
    pub(super) fn new(server: String, seconds: u64, played: &Played, log: &[LogLine]) -> Self {
        let mut lines: HashMap<(u64, i64), &Answered> = HashMap::new();
        let mut applied = Vec::new();
        for line in log {
            match line {
                LogLine::Applied { ms } => applied.push(*ms),
                LogLine::Answered(line) => drop(lines.insert((line.document, line.version), line)),
            }
        }
        let mut times: BTreeMap<Kind, (Vec<f64>, Vec<f64>)> = BTreeMap::new();
        let (changes, cancelled) = (all_ms(&played.changes), all_ms(&played.cancellations));
        times.insert(Kind::Change, (changes, applied));
        times.insert(Kind::Cancelled, (cancelled, Vec::new()));
        let mut report = Report {
            version: env!("CARGO_PKG_VERSION"),
            server,
            seconds,
            keys: played.changes.len(),
            classes: Vec::new(),
            in_time: 0.0,
            unanswered: played.unanswered,
            by: BTreeMap::new(),
            empty: BTreeMap::new(),
            engine_seconds: 0.0,
            wasted: 0.0,
            suggestions: Suggestions::default(),
        };
        for asked in &played.asked {
            let line = lines.get(&(asked.document, asked.version)).copied();
            if let Some(latency) = asked.latency {
                let (editor, server) = times.entry(kind(asked, line)).or_default();
                editor.push(ms(latency));
                server.extend(line.map(|line| line.ms));
            }
            report.count(asked, line);
        }
        let answered = played.asked.iter().filter(|asked| asked.latency.is_some()).count();
        report.in_time = share(answered as f64, played.asked.len() as f64);
        report.wasted = share(report.wasted, report.engine_seconds);
        report.classes = times.into_iter().map(|(kind, times)| class(kind.name(), times)).collect();
        report
    }

    fn count(&mut self, asked: &Asked, line: Option<&Answered>) {
        let by = line.map_or("", |line| line.by.as_str());
        if let Some(line) = line {
            *self.by.entry(line.by.clone()).or_default() += 1;
            if let Some(reason) = &line.empty {
                *self.empty.entry(reason.clone()).or_default() += 1;
            }
            if by == "engine" && !asked.first {
                let spent = (line.ms - line.before_engine).max(0.0) / 1e3;
                self.engine_seconds += spent;
                self.wasted += if asked.shown.is_none() { spent } else { 0.0 };
            }
        }
        if asked.shown.is_some() && by != "typing through" {
            let suggestions = &mut self.suggestions;
            suggestions.shown += 1;
            suggestions.judged += usize::from(asked.truth.is_some());
            suggestions.right += usize::from(matches!(asked.truth, Some(Truth::Start | Truth::Whole)));
            suggestions.whole += usize::from(asked.truth == Some(Truth::Whole));
        }
        self.suggestions.accepted += usize::from(asked.accepted);
    }

    /// The figures for people.
    pub(super) fn table(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        let Report { version, server, seconds, keys, suggestions: shown, .. } = self;
        writeln!(text, "cinnabar {version}: {keys} keys in {seconds} s, through {server}\n")?;
        writeln!(
            text,
            "{:26}{:>6}  {:^26}  {:^26}",
            "", "", "the editor waits, ms", "inside the server, ms"
        )?;
        let head = format!("{:>8} {:>8} {:>8}", "p50", "p95", "p99");
        writeln!(text, "{:26}{:>6}  {head}  {head}", "", "n")?;
        for class in &self.classes {
            write!(text, "{:26}{:>6}", class.what, class.n)?;
            for times in [Some(class.editor), class.server].into_iter().flatten() {
                write!(text, "  {:>8.2} {:>8.2} {:>8.2}", times[0], times[1], times[2])?;
            }
            writeln!(text)?;
        }
        writeln!(text)?;
        writeln!(text, "answered before the next key  {}", percent(self.in_time))?;
        writeln!(text, "never answered                {}", self.unanswered)?;
        writeln!(text, "answers by                    {}", counts(&self.by))?;
        writeln!(text, "empty answers                 {}", counts(&self.empty))?;
        let (spent, wasted) = (self.engine_seconds, percent(self.wasted));
        writeln!(
            text,
            "engine's time for requests    {spent:.1} s, {wasted} of it for nothing on the screen"
        )?;
        let Suggestions { shown, judged, right, whole, accepted } = shown;
        let (right, whole) =
            (percent(share(*right as f64, *judged as f64)), percent(share(*whole as f64, *judged as f64)));
        writeln!(
            text,
            "suggestions                   {shown} shown, {accepted} accepted; of {judged} judged {right} were right, {whole} to a line's end"
        )?;
        Ok(text)
    }
}

/// Classes, in the order in which they are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Change,
    Known,
    RestOfLine,
    SeveralLines,
    Refused,
    First,
    Cancelled,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Change => "edit applied",
            Kind::Known => "typed through or known",
            Kind::RestOfLine => "rest of a line",
            Kind::SeveralLines => "several lines",
            Kind::Refused => "refused without engine",
            Kind::First => "first of a buffer",
            Kind::Cancelled => "cancelled to answered",
        }
    }
}

/// The class of an answered request. A server without our log is judged by what it shows.
fn kind(asked: &Asked, line: Option<&Answered>) -> Kind {
    let several = asked.shown.as_ref().is_some_and(|text| text.trim_end().contains('\n'));
    match line {
        _ if asked.first => Kind::First,
        Some(line) if line.by != "engine" => Kind::Known,
        Some(Answered { tokens: 0, empty: Some(why), .. })
            if why.starts_with("in prose") || why.starts_with("right before") =>
        {
            Kind::Refused
        }
        Some(line) if line.tokens > REST_OF_LINE => Kind::SeveralLines,
        None if several => Kind::SeveralLines,
        _ => Kind::RestOfLine,
    }
}

fn class(what: &'static str, (mut editor, mut server): (Vec<f64>, Vec<f64>)) -> Class {
    let percentiles = |times: &mut Vec<f64>| {
        times.sort_by(f64::total_cmp);
        [50, 95, 99].map(|percent| rank(times, percent).unwrap_or_default())
    };
    let n = editor.len();
    let inside = percentiles(&mut server);
    Class { what, n, editor: percentiles(&mut editor), server: (!server.is_empty()).then_some(inside) }
}

fn all_ms(times: &[Duration]) -> Vec<f64> {
    times.iter().map(|&time| ms(time)).collect()
}

fn share(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}

fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

fn counts(counts: &BTreeMap<String, usize>) -> String {
    let counts: Vec<String> = counts.iter().map(|(what, n)| format!("{n} {what}")).collect();
    if counts.is_empty() { "none".into() } else { counts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(version: i64, latency: Option<u64>, shown: Option<&str>, truth: Option<Truth>) -> Asked {
        let latency = latency.map(Duration::from_millis);
        Asked { version, latency, shown: shown.map(str::to_owned), truth, ..Asked::default() }
    }

    fn line(version: i64, by: &str, empty: Option<&str>, ms: f64, tokens: usize) -> LogLine {
        let (by, empty) = (by.to_owned(), empty.map(str::to_owned));
        LogLine::Answered(Answered { version, by, empty, ms, tokens, ..Answered::default() })
    }

    #[test]
    fn each_request_counts_in_its_class() {
        let played = Played {
            asked: vec![
                Asked { first: true, ..asked(1, Some(300), None, None) },
                asked(2, Some(40), Some("ab"), Some(Truth::Whole)),
                asked(3, Some(1), Some("b"), Some(Truth::Whole)),
                asked(4, Some(200), Some("a\nb"), Some(Truth::Wrong)),
                asked(5, None, None, None),
                asked(6, Some(2), None, None),
            ],
            changes: [1, 2, 3].map(Duration::from_millis).into(),
            cancellations: vec![Duration::from_millis(4)],
            unanswered: 1,
        };
        let log = [
            LogLine::Applied { ms: 0.1 },
            line(1, "engine", None, 299.0, 3),
            line(2, "engine", None, 39.0, 3),
            line(3, "typing through", None, 0.5, 0),
            line(4, "engine", None, 199.0, 30),
            line(5, "engine", Some("cancelled"), 62.0, 0),
            line(6, "engine", Some("in prose"), 0.0, 0),
        ];
        let report = Report::new("x".into(), 1, &played, &log);
        let classes: Vec<_> = report.classes.iter().map(|c| (c.what, c.n, c.editor[0])).collect();
        assert_eq!(
            classes,
            [
                ("edit applied", 3, 2.0),
                ("typed through or known", 1, 1.0),
                ("rest of a line", 1, 40.0),
                ("several lines", 1, 200.0),
                ("refused without engine", 1, 2.0),
                ("first of a buffer", 1, 300.0),
                ("cancelled to answered", 1, 4.0),
            ]
        );
        assert_eq!(report.classes[0].server, Some([0.1; 3]));
        assert!((report.in_time - 5.0 / 6.0).abs() < 1e-9 && report.unanswered == 1);
        assert!((report.engine_seconds - 0.3).abs() < 1e-9 && (report.wasted - 0.062 / 0.3).abs() < 1e-9);
        let expected = Suggestions { shown: 2, judged: 2, right: 1, whole: 1, accepted: 0 };
        assert_eq!(report.suggestions, expected);
        assert_eq!(counts(&report.empty), "1 cancelled, 1 in prose");
    }
}
