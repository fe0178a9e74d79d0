//! Draws the span being denoised, step by step, inside a few lines of its file.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use anstyle::{AnsiColor, Style};
use cinnabar_engine::{Cell, Frame};

use crate::terminal::Ink;

/// Lines of the file shown above and below the span.
const CONTEXT: (usize, usize) = (4, 3);
/// Characters of a context line that are shown, on the side of the cursor.
const LINE_WIDTH: usize = 160;
/// A masked row: about the width of a token's first characters, whose number nobody knows yet.
const MASK: &str = "░░";

/// The file's lines around the span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Scene {
    before: String,
    after: String,
}

impl Scene {
    /// The lines around a cursor that stands between `prefix` and `suffix`.
    pub(crate) fn new(prefix: &str, suffix: &str) -> Self {
        let mut above: Vec<&str> = prefix.rsplit('\n').take(CONTEXT.0 + 1).collect();
        above.reverse();
        let below: Vec<&str> = suffix.split('\n').take(CONTEXT.1 + 1).collect();
        let (cursor_line, above) = above.split_last().unwrap_or((&"", &[]));
        let before = above.iter().map(|line| head(line)).chain([tail(cursor_line)]);
        let after = below.iter().map(|line| head(line));
        Scene { before: before.collect::<Vec<_>>().join("\n"), after: after.collect::<Vec<_>>().join("\n") }
    }
}

/// How each part of a picture looks.
#[derive(Debug, Clone, Copy)]
struct Palette {
    context: Style,
    masked: Style,
    tentative: Style,
    settled: Style,
}

impl Palette {
    fn of(ink: Ink) -> Self {
        let plain = Style::new();
        let colour = |colour: AnsiColor| Style::new().fg_color(Some(colour.into()));
        match ink {
            Ink::Plain => Palette { context: plain, masked: plain, tentative: plain, settled: plain },
            Ink::Shapes => Palette {
                context: plain.dimmed(),
                masked: plain.dimmed(),
                tentative: plain.italic(),
                settled: plain.bold(),
            },
            Ink::Colour => Palette {
                context: plain,
                masked: colour(AnsiColor::BrightBlack).dimmed(),
                tentative: colour(AnsiColor::Yellow).italic(),
                settled: colour(AnsiColor::Green),
            },
        }
    }
}

/// The picture of a frame: the scene's lines with the span between them, each ended by a line break.
pub(crate) fn render(frame: &Frame, scene: &Scene, ink: Ink) -> String {
    let palette = Palette::of(ink);
    let mut picture = Picture::default();
    picture.add(palette.context, &scene.before);
    picture.add(palette.settled, &frame.settled);
    for cell in &frame.block {
        match cell {
            Cell::Masked => picture.add(palette.masked, MASK),
            Cell::Tentative(text) => picture.add(palette.tentative, text),
            Cell::Settled(text) => picture.add(palette.settled, text),
        }
    }
    picture.add(palette.context, &scene.after);
    picture.finish()
}

/// Text in runs of one style. Styles are closed before a line break, so that lines can be left out one by one.
#[derive(Debug, Default)]
struct Picture {
    text: String,
    style: Style,
}

impl Picture {
    fn add(&mut self, style: Style, text: &str) {
        for c in text.chars() {
            if c == '\n' {
                self.switch(Style::new());
                self.text.push('\n');
            } else {
                self.switch(style);
                self.text.push(visible(c));
            }
        }
    }

    fn switch(&mut self, style: Style) {
        if style != self.style {
            self.text.push_str(&format!("{}{}", self.style.render_reset(), style.render()));
            self.style = style;
        }
    }

    fn finish(mut self) -> String {
        self.add(Style::new(), "\n");
        self.text
    }
}

/// A file's control characters would be obeyed by the terminal; shown are their pictures instead.
fn visible(c: char) -> char {
    match c {
        '\t' => c,
        '\0'..='\x1f' => char::from_u32(0x2400 + u32::from(c)).unwrap_or('\u{fffd}'),
        '\x7f'..='\u{9f}' => '\u{fffd}',
        _ => c,
    }
}

/// The first characters of a line.
fn head(line: &str) -> &str {
    line.char_indices().nth(LINE_WIDTH).map_or(line, |(at, _)| &line[..at])
}

/// The last characters of a line.
fn tail(line: &str) -> &str {
    line.char_indices().nth_back(LINE_WIDTH - 1).map_or(line, |(at, _)| &line[at..])
}

/// Shows pictures one after the other: over each other on a terminal, below each other elsewhere.
pub(crate) struct Screen<W> {
    out: W,
    /// Lines of a picture at most, when pictures replace each other.
    redraw: Option<usize>,
    /// How long a picture stays at least, when pictures replace each other.
    pace: Duration,
    drawn: usize,
    last: Option<Instant>,
}

impl<W: Write> Screen<W> {
    /// With `height` (lines of the terminal) pictures replace each other, no faster than one in `pace`.
    pub(crate) fn new(out: W, height: Option<usize>, pace: Duration) -> Self {
        Screen { out, redraw: height.map(|h| h.saturating_sub(1).max(1)), pace, drawn: 0, last: None }
    }

    /// Shows a step. On a terminal only the lines that fit, those around the end of the span; `caption` stands above
    /// it elsewhere.
    pub(crate) fn step(&mut self, picture: &str, caption: &str) -> io::Result<()> {
        let Some(room) = self.redraw else {
            return write!(self.out, "{caption}\n{picture}\n");
        };
        self.hold();
        let lines: Vec<&str> = picture.split_inclusive('\n').collect();
        let shown = &lines[lines.len().saturating_sub(room)..];
        self.replace(&shown.concat())?;
        self.drawn = shown.len();
        Ok(())
    }

    /// Shows the end in full and leaves it there.
    pub(crate) fn finish(&mut self, picture: &str, caption: &str) -> io::Result<()> {
        if self.redraw.is_none() {
            return write!(self.out, "{caption}\n{picture}");
        }
        self.hold();
        self.replace(picture)
    }

    fn hold(&mut self) {
        if let Some(last) = self.last {
            std::thread::sleep(self.pace.saturating_sub(last.elapsed()));
        }
        self.last = Some(Instant::now());
    }

    /// Line wrapping is off while a picture is written: a long line takes one line, so going up by lines is exact.
    fn replace(&mut self, picture: &str) -> io::Result<()> {
        write!(self.out, "\x1b[?7l")?;
        if self.drawn > 0 {
            write!(self.out, "\x1b[{}A\r\x1b[J", self.drawn)?;
        }
        write!(self.out, "{picture}\x1b[?7h")?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame() -> Frame {
        Frame {
            settled: "n = ".into(),
            block: vec![
                Cell::Settled("len".into()),
                Cell::Tentative("(xs)\n".into()),
                Cell::Masked,
                Cell::Tentative("ret".into()),
                Cell::Masked,
            ],
            forwards: 3,
        }
    }

    fn scene() -> Scene {
        Scene::new("def f(xs):\n    ", "  # tail\nprint(f([]))\n")
    }

    #[test]
    fn a_pipe_gets_text_alone() {
        insta::assert_snapshot!(render(&frame(), &scene(), Ink::Plain), @r"
        def f(xs):
            n = len(xs)
        ░░ret░░  # tail
        print(f([]))
        ");
    }

    #[test]
    fn each_state_has_its_look() {
        let shown = |ink| render(&frame(), &scene(), ink).replace('\x1b', "^");
        insta::assert_snapshot!(shown(Ink::Colour), @r"
        def f(xs):
            ^[32mn = len^[0m^[3m^[33m(xs)^[0m
        ^[2m^[90m░░^[0m^[3m^[33mret^[0m^[2m^[90m░░^[0m  # tail
        print(f([]))
        ");
        insta::assert_snapshot!(shown(Ink::Shapes), @r"
        ^[2mdef f(xs):^[0m
        ^[2m    ^[0m^[1mn = len^[0m^[3m(xs)^[0m
        ^[2m░░^[0m^[3mret^[0m^[2m░░  # tail^[0m
        ^[2mprint(f([]))^[0m
        ");
    }

    #[test]
    fn the_scene_is_a_few_short_lines() {
        let prefix = "1\n2\n3\n4\n5\n6\n".to_owned() + &"x".repeat(1_000_000);
        let suffix = "y".repeat(1_000_000) + "\n8\n9\n10\n11\n12";
        let scene = Scene::new(&prefix, &suffix);
        assert_eq!(scene.before, format!("3\n4\n5\n6\n{}", "x".repeat(LINE_WIDTH)));
        assert_eq!(scene.after, format!("{}\n8\n9\n10", "y".repeat(LINE_WIDTH)));
        assert_eq!(Scene::new("", ""), Scene { before: String::new(), after: String::new() });
    }

    #[test]
    fn control_characters_are_shown_not_obeyed() {
        let scene = Scene::new("\x1b[2J\ta\r", "\u{9b}b\x7f");
        let empty = Frame { settled: String::new(), block: Vec::new(), forwards: 0 };
        assert_eq!(render(&empty, &scene, Ink::Plain), "␛[2J\ta␍\u{fffd}b\u{fffd}\n");
    }

    #[test]
    fn pictures_follow_each_other_without_a_terminal() {
        let mut out = Vec::new();
        let mut screen = Screen::new(&mut out, None, Duration::from_secs(60));
        screen.step("a\nb\n", "step 1").unwrap();
        screen.step("c\n", "step 2").unwrap();
        screen.finish("d\n", "done").unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "step 1\na\nb\n\nstep 2\nc\n\ndone\nd\n");
    }

    #[test]
    fn pictures_replace_each_other_on_a_terminal() {
        let mut out = Vec::new();
        let mut screen = Screen::new(&mut out, Some(3), Duration::ZERO);
        screen.step("a\n", "step 1").unwrap();
        screen.step("b\nc\nd\n", "step 2").unwrap();
        screen.finish("e\nf\ng\nh\n", "done").unwrap();
        let text = String::from_utf8(out).unwrap();
        let wrapped = |body: &str| format!("\x1b[?7l{body}\x1b[?7h");
        // Of the second picture two lines fit above the terminal's last; the end is shown in full.
        let expected =
            wrapped("a\n") + &wrapped("\x1b[1A\r\x1b[Jc\nd\n") + &wrapped("\x1b[2A\r\x1b[Je\nf\ng\nh\n");
        assert_eq!(text, expected);
    }
}
