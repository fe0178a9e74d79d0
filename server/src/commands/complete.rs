//! `cinnabar complete FILE:LINE:COL`: one completion on the terminal.

use std::io;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use cinnabar_engine::{
    Completion, Decoding, DocumentId, Engine, Finish, Frame, Mode, Prompt, Request, Sampling, Ticket,
};
use clap::ValueEnum;
use serde::Serialize;

use super::{Ready, start_engine};
use crate::cli::{BadInput, Global};
use crate::place::{Cursor, Source, split_place};
use crate::terminal;
use crate::watch::{Scene, Screen, render};

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

    /// How the span is filled: a drafted block is verified, rows are committed in parallel, or one token at a time.
    #[arg(long, value_enum, default_value = "verified")]
    mode: ModeName,

    /// Tokens at most.
    #[arg(long, value_name = "N", default_value_t = 64)]
    max_tokens: usize,

    /// Lines at most; 1 completes the rest of the line.
    #[arg(long, value_name = "N")]
    max_lines: Option<usize>,

    /// Rows of a block: 8, 16, 32 or 64.
    #[arg(long, value_name = "ROWS", default_value_t = Decoding::default().block)]
    block: usize,

    /// Probability from which `parallel` commits a row.
    #[arg(long, value_name = "P", default_value_t = Decoding::default().threshold)]
    threshold: f32,

    /// Steps that `verified` drafts before it verifies.
    #[arg(long, value_name = "N", default_value_t = Decoding::default().draft_steps)]
    draft_steps: usize,

    /// 0 always takes the most probable token.
    #[arg(long, value_name = "T", default_value_t = Sampling::default().temperature)]
    temperature: f32,

    /// Draws only from the most probable tokens that together reach this mass.
    #[arg(long, value_name = "P", default_value_t = Sampling::default().top_p)]
    top_p: f32,

    /// Same seed, same text.
    #[arg(long, value_name = "N", default_value_t = Sampling::default().seed)]
    seed: u64,

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

/// [`Mode`] as it is written on the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum ModeName {
    Verified,
    Parallel,
    Causal,
}

pub(crate) fn run(args: &Args, global: &Global) -> anyhow::Result<()> {
    let (source, cursor) = args.source()?;
    let offset = source.offset(cursor)?;
    let request = args.request(prompt(&source, offset));
    request.validate()?;
    let ready = start_engine(global.load_options()?)?;
    let asked = Instant::now();
    let completion =
        if args.watch { watch(&ready.engine, request)? } else { ready.engine.submit(request).wait()? };
    let total = asked.elapsed();
    if args.json {
        let answer = Answer::new(&completion, &ready, source.path.as_deref(), cursor, total);
        terminal::print(&format!("{}\n", serde_json::to_string(&answer)?))?;
    } else if completion.text.is_empty() {
        eprintln!("cinnabar: no completion here: {}", why(completion.finish));
    } else if !args.watch {
        let line_break = if completion.text.ends_with('\n') { "" } else { "\n" };
        terminal::print(&format!("{}{line_break}", completion.text))?;
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

    fn request(&self, prompt: Prompt) -> Request {
        let mode = match self.mode {
            ModeName::Verified => Mode::Verified,
            ModeName::Parallel => Mode::Parallel,
            ModeName::Causal => Mode::Causal,
        };
        Request {
            decoding: Decoding {
                mode,
                block: self.block,
                threshold: self.threshold,
                draft_steps: self.draft_steps,
            },
            sampling: Sampling { temperature: self.temperature, top_p: self.top_p, seed: self.seed },
            max_tokens: self.max_tokens,
            max_lines: self.max_lines,
            deadline: self.deadline_ms.map(Duration::from_millis),
            ..Request::new(DocumentId(0), prompt)
        }
    }
}

/// The text around the cursor.
pub(crate) fn prompt(source: &Source, offset: usize) -> Prompt {
    let (prefix, suffix) = source.text.split_at(offset);
    let unix = |text: &str| text.replace("\r\n", "\n").replace('\r', "\n");
    Prompt { path: source.path.clone(), prefix: unix(prefix), suffix: unix(suffix), ..Prompt::default() }
}

/// Draws each step while the engine works on the next ones.
fn watch(engine: &Engine, request: Request) -> anyhow::Result<Completion> {
    let scene = Scene::new(&request.prompt.prefix, &request.prompt.suffix);
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
    let last =
        Frame { settled: completion.text.clone(), block: Vec::new(), forwards: completion.counts.forwards };
    screen.finish(&render(&last, &scene, ink), &format!("{} forwards", last.forwards))?;
    Ok(completion)
}

/// Why there is no text.
fn why(finish: Finish) -> &'static str {
    match finish {
        Finish::Deadline => "the deadline passed before the first token was settled",
        Finish::Full => "the text before the cursor fills the model's positions",
        Finish::End | Finish::MaxTokens | Finish::MaxLines => "the model sees nothing missing",
    }
}

/// What `--json` prints.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    text: &'a str,
    /// What the text replaces; both ends are the cursor: nothing.
    range: Range,
    path: Option<&'a str>,
    finish: Finish,
    mean_log_probability: f32,
    device: &'a str,
    tokens: usize,
    stream: usize,
    reused: usize,
    forwards: usize,
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
        ready: &'a Ready,
        path: Option<&'a str>,
        cursor: Cursor,
        total: Duration,
    ) -> Self {
        let ms = |time: Duration| (time.as_secs_f64() * 1e6).round() / 1e3;
        let (counts, timings) = (&completion.counts, &completion.timings);
        Answer {
            text: &completion.text,
            range: Range { start: cursor, end: cursor },
            path,
            finish: completion.finish,
            mean_log_probability: completion.mean_log_probability,
            device: &ready.device,
            tokens: counts.tokens,
            stream: counts.stream,
            reused: counts.reused,
            forwards: counts.forwards,
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
