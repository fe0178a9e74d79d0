//! `cinnabar complete FILE:LINE:COL`: one completion on the terminal.

use std::io;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use cinnabar_engine::{Completion, Counts, DocumentId, Engine, Finish, Frame, Mode, Prompt, Request, Ticket};
use ropey::Rope;
use serde::Serialize;

use super::decoding::{DecodingArgs, ModeName};
use super::{Ready, start_engine};
use crate::cli::{BadInput, Global};
use crate::place::{Cursor, Source, split_place};
use crate::site::{Site, Span};
use crate::suggestion::{Reason, Suggestion};
use crate::syntax::Syntax;
use crate::watch::{Scene, Screen, render};
use crate::{postprocess, prompt, terminal};

/// How long a picture of `--watch` stays at least: a processor's steps are slower, a GPU's too fast to see.
const PACE: Duration = Duration::from_millis(40);

/// Completes the code at a position and prints what belongs there.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Lines and columns are counted from 1; columns are characters, and the column after the last one is the end of the line.

Examples:
  cinnabar complete src/app.py:10:5
  cinnabar complete src/app.py:10:5 --watch
  cinnabar complete src/app.py:10:5 --json | jq .text
  git show HEAD:app.py | cinnabar complete - --cursor 10:5 --path src/app.py")]
pub(crate) struct Args {
    /// Where to complete: FILE:LINE:COL, or FILE or - (standard input) with --cursor.
    #[arg(value_name = "FILE:LINE:COL")]
    place: String,

    /// Position, when it does not stand behind the file's name.
    #[arg(long, value_name = "LINE:COL")]
    cursor: Option<Cursor>,

    /// Relative path that the model is told; by default the file's path in its checkout.
    #[arg(long, value_name = "PATH")]
    path: Option<String>,

    /// How the span is filled.
    #[arg(long, value_enum, default_value = "auto")]
    mode: ModeName,

    #[command(flatten)]
    decoding: DecodingArgs,

    /// Lines at most; 1 completes the rest of the line.
    #[arg(long, value_name = "N")]
    max_lines: Option<usize>,

    /// Time for the answer, loading not counted; then the best text so far is printed.
    #[arg(long, value_name = "MS")]
    deadline_ms: Option<u64>,

    /// Prints one JSON object: text, range, finish, device, tokens, forwards, time of each stage.
    #[arg(long, conflicts_with = "watch")]
    json: bool,

    /// Draws the span as it is denoised: masked, tentative, settled.
    #[arg(long)]
    watch: bool,
}

pub(crate) fn run(args: &Args, global: &Global) -> anyhow::Result<()> {
    let (source, cursor) = args.source()?;
    let offset = source.offset(cursor)?;
    let text = Rope::from_str(&source.text);
    let site = Site::at(&text, offset);
    let syntax = Syntax::of_file("", source.path.as_deref().unwrap_or_default(), &text, offset);
    let request = args.request(prompt::prompt(&text, &site, source.path.clone()), &site);
    request.validate()?;
    let ready = start_engine(global.load_options()?)?;
    let asked = Instant::now();
    let (completion, suggestion) = if args.watch {
        watch(&ready.engine, request, &source, &site, (&text, syntax.as_ref()))?
    } else {
        let completion = ready.engine.submit(request).wait()?;
        let suggestion = postprocess::suggest(&completion, &site, &text, syntax.as_ref());
        (completion, suggestion)
    };
    let total = asked.elapsed();
    if args.json {
        let answer = Answer::new(&completion, &suggestion, &ready, &source, cursor, total);
        terminal::print(&format!("{}\n", serde_json::to_string(&answer)?))?;
        return Ok(());
    }
    match suggestion {
        Ok(suggestion) if !args.watch => {
            let line_break = if suggestion.text.ends_with('\n') { "" } else { "\n" };
            terminal::print(&format!("{}{line_break}", suggestion.text))?;
        }
        Ok(_) => {}
        Err(reason) => eprintln!("cinnabar: no suggestion here: {reason}"),
    }
    Ok(())
}

impl Args {
    fn source(&self) -> Result<(Source, Cursor), BadInput> {
        let (source, cursor) = match (self.place.as_str(), self.cursor) {
            ("-", Some(cursor)) => (Source::read_stdin(None)?, cursor),
            ("-", None) => return Err(BadInput("standard input needs a position: --cursor LINE:COL".into())),
            (file, Some(cursor)) => (Source::read(file.as_ref())?, cursor),
            (place, None) => {
                let (file, cursor) = split_place(place)?;
                (Source::read(&file)?, cursor)
            }
        };
        let path = self.path.clone().or(source.path);
        Ok((Source { path, ..source }, cursor))
    }

    fn request(&self, prompt: Prompt, site: &Site) -> Request {
        let mut request = self.decoding.apply(self.mode, Request::new(DocumentId(0), prompt));
        if self.watch && self.mode == ModeName::Auto {
            // The one with something to see; the text is the same.
            request.decoding.mode = Mode::Verified;
        }
        Request {
            max_lines: self.max_lines.or((site.span == Span::WithinLine).then_some(1)),
            deadline: self.deadline_ms.map(Duration::from_millis),
            ..request
        }
    }
}

/// Draws each step while the engine works on the next ones.
fn watch(
    engine: &Engine,
    request: Request,
    source: &Source,
    site: &Site,
    (text, syntax): (&Rope, Option<&Syntax>),
) -> anyhow::Result<(Completion, Result<Suggestion, Reason>)> {
    let (prefix, suffix) = source.text.split_at(site.offset);
    let scene = Scene::new(prefix, suffix);
    let ink = terminal::ink();
    let height = terminal::can_redraw().then(terminal::height);
    let mut screen = Screen::new(io::stdout().lock(), height, PACE);
    let (frames, steps) = mpsc::channel::<Frame>();
    let ticket: Ticket = engine.submit_watched(
        request,
        Box::new(move |frame| {
            // The picture may be gone (a closed pipe); the completion goes on until the ticket is dropped.
            let _ = frames.send(frame);
        }),
    );
    for (n, frame) in steps.iter().enumerate() {
        screen.step(&render(&frame, &scene, ink), &format!("step {}, {} forwards", n + 1, frame.forwards))?;
    }
    let completion = ticket.wait()?;
    let suggestion = postprocess::suggest(&completion, site, text, syntax);
    let (text, replaced) = suggestion.as_ref().map_or(("", 0), |s| (s.text.as_str(), s.range.len()));
    let last = Frame { settled: text.into(), block: Vec::new(), forwards: completion.counts.forwards };
    let scene = Scene::new(prefix, &suffix[replaced..]);
    screen.finish(&render(&last, &scene, ink), &format!("{} forwards", last.forwards))?;
    Ok((completion, suggestion))
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    /// What the editor would get, with the file's line breaks.
    text: &'a str,
    /// What it replaces; usually both ends are the cursor.
    range: Range,
    /// Why there is no text, if there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    path: Option<&'a str>,
    device: &'a str,
    /// What the model wrote, before it was fitted in.
    completion: &'a str,
    finish: Finish,
    mean_log_probability: f32,
    #[serde(flatten)]
    counts: Counts,
    timings_ms: Milliseconds,
}

#[derive(Debug, Serialize)]
struct Range {
    start: Cursor,
    end: Cursor,
}

#[derive(Debug, Serialize)]
struct Milliseconds {
    load: f64,
    queued: f64,
    tokenize: f64,
    prefill: f64,
    denoise: f64,
    /// From the question to the answer; loading comes before it.
    total: f64,
}

impl<'a> Answer<'a> {
    fn new(
        completion: &'a Completion,
        suggestion: &'a Result<Suggestion, Reason>,
        ready: &'a Ready,
        source: &'a Source,
        cursor: Cursor,
        total: Duration,
    ) -> Self {
        let ms = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        let timings = &completion.timings;
        let (text, replaced) = match suggestion {
            Ok(suggestion) => (suggestion.text.as_str(), &source.text[suggestion.range.clone()]),
            Err(_) => ("", ""),
        };
        let end = Cursor { column: cursor.column + replaced.chars().count(), ..cursor };
        Answer {
            text,
            range: Range { start: cursor, end },
            reason: suggestion.as_ref().err().map(Reason::to_string),
            path: source.path.as_deref(),
            device: &ready.device,
            completion: &completion.text,
            finish: completion.finish,
            mean_log_probability: completion.mean_log_probability,
            counts: completion.counts,
            timings_ms: Milliseconds {
                load: ms(ready.loaded),
                queued: ms(timings.queued),
                tokenize: ms(timings.tokenize),
                prefill: ms(timings.prefill),
                denoise: ms(timings.denoise),
                total: ms(total),
            },
        }
    }
}
