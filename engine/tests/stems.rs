//! The middle begins with the end of the text before the cursor, and nobody sees it do so.

use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use cinnabar_engine::{
    CancelToken, Cell, Completion, Control, Device, DocumentId, EngineError, Finish, Frame, Infill, Local,
    Mode, Prompt, Request, load, load_model,
};

use crate::disturbed::Disturbed;
use crate::support::{goldens, options, tokenizer};

const MODES: [Mode; 4] = [Mode::Auto, Mode::Verified, Mode::Causal, Mode::Parallel];
const FILE: &str = include_str!("../../tests/data/samples/lru_cache.py");

/// A request where `typed` stands in place of `gap` in the file.
fn request(gap: &str, typed: &str) -> Request {
    let at = FILE.find(gap).unwrap();
    let prompt = Prompt {
        path: Some("lru_cache.py".into()),
        prefix: format!("{}{typed}", &FILE[..at]),
        suffix: FILE[at + gap.len()..].into(),
        ..Prompt::default()
    };
    Request { max_lines: Some(1), ..Request::new(DocumentId(1), prompt) }
}

/// The model says what it would have said had less of the word been typed, and reads nothing for it.
#[test]
fn a_line_does_not_depend_on_how_much_of_its_word_is_typed() {
    let mut infill = load(&options(Device::Cpu)).unwrap();
    let mut longest = 0;
    for (gap, typed) in [
        (" default\n            self._entries", " "),
        ("move_to_end(key)\n            self._hits", "m"),
        ("return\n\n    def __iter__", "re"),
        ("def __iter__", "de"),
        ("capacity < 1", "cap"),
        (" entry is None", " "),
    ] {
        let mut ask = |typed: &str| infill.infill(&request(gap, typed), &mut Control::unbounded()).unwrap();
        let line = format!("{typed}{}", ask(typed).text);
        let letters = line.strip_prefix(' ').unwrap_or(&line).chars().take_while(|c| c.is_alphabetic());
        let end = usize::from(line.starts_with(' ')) + letters.map(char::len_utf8).sum::<usize>();
        for end in typed.len() + 1..=end {
            let got = ask(&line[..end]);
            assert_eq!(got.text, line[end..], "{:?}", &line[..end]);
            assert_eq!(got.counts.stream, got.counts.reused, "{:?}", &line[..end]);
            longest = longest.max(end - typed.len());
        }
    }
    assert!(longest >= 3, "no word was typed: at most {longest} letters");
}

/// A word that no token holds takes several, in every mode the same.
#[test]
fn a_stem_of_several_tokens_is_held_whole() {
    let mut infill = load(&options(Device::Cpu)).unwrap();
    for typed in ["zqxvkj", "größenwahn", "日本語", "x = qqzz", "<=>?!"] {
        let mut ask = |mode, max_tokens| {
            let mut request = Request { max_tokens, max_lines: None, ..request("capacity < 1", typed) };
            request.decoding.mode = mode;
            infill.infill(&request, &mut Control::unbounded()).unwrap()
        };
        let causal = ask(Mode::Causal, 12);
        for mode in [Mode::Verified, Mode::Auto] {
            assert_eq!(ask(mode, 12).text, causal.text, "{typed:?}, {mode:?}");
        }
        // What ends before it holds the whole stem has no text of its own.
        for mode in MODES {
            let cut = ask(mode, 1);
            assert_eq!((cut.counts.tokens, cut.finish), (1, Finish::MaxTokens), "{typed:?}");
            assert_eq!(cut.text, "", "{typed:?}, {mode:?}");
        }
        assert!(causal.counts.tokens <= 12 && !causal.text.contains('\u{fffd}'), "{causal:?}");
    }
}

/// Every prompt with its text and the frames on the way there.
fn watched(infill: &mut dyn Infill, request: &Request) -> (Completion, Vec<Frame>) {
    let (frames, seen) = channel();
    let watch = Box::new(move |frame| frames.send(frame).unwrap());
    let mut control = Control::new(CancelToken::default(), None, Some(watch));
    let completion = infill.infill(request, &mut control).unwrap();
    drop(control);
    (completion, seen.iter().collect())
}

#[test]
fn frames_show_the_text_from_its_start() {
    let mut infill = load(&options(Device::Cpu)).unwrap();
    let several = ["zqxvkj", "größenwahn"].map(|typed| request("capacity < 1", typed));
    let requests = goldens().into_iter().map(|golden| golden.request()).chain(several);
    for mut request in requests {
        request.max_tokens = 16;
        for mode in MODES {
            request.decoding.mode = mode;
            request.decoding.block = 8;
            let (completion, frames) = watched(&mut *infill, &request);
            let text = completion.text.trim_end_matches('\n');
            for frame in &frames {
                let mut behind_a_mask = frame.block.iter().skip_while(|cell| **cell != Cell::Masked);
                assert!(!behind_a_mask.any(|cell| matches!(cell, Cell::Settled(_))), "{mode:?}: {frame:?}");
                let sure = frame.block.iter().map_while(|cell| match cell {
                    Cell::Settled(text) => Some(text.as_str()),
                    _ => None,
                });
                let seen: String = [frame.settled.as_str()].into_iter().chain(sure).collect();
                // A limit cuts what a block has beyond it; half a character is shown as such.
                let cut = completion.finish != Finish::End || seen.contains('\u{fffd}');
                let begins = text.starts_with(seen.trim_end_matches('\n')) || cut && seen.starts_with(text);
                assert!(begins, "{mode:?}: {seen:?} is not the start of {text:?}");
            }
        }
    }
}

/// The line break that the cursor stands behind is none of the answer's.
#[test]
fn a_line_break_before_the_cursor_is_not_counted() {
    let mut infill = load(&options(Device::Cpu)).unwrap();
    let mut cut = 0;
    for (end, mode) in
        ["import threading\n", "Generic[V]):\n", "\n\n    def is_expired"].into_iter().zip(MODES)
    {
        let prefix = FILE[..FILE.find(end).unwrap() + end.find('\n').unwrap() + 1].to_owned();
        let mut ask = |max_lines| {
            let prompt = Prompt { prefix: prefix.clone(), ..Prompt::default() };
            let mut request = Request { max_lines, max_tokens: 40, ..Request::new(DocumentId(1), prompt) };
            request.decoding.mode = mode;
            infill.infill(&request, &mut Control::unbounded()).unwrap()
        };
        let full = ask(None).text;
        for max in [1, 2] {
            let got = ask(Some(max));
            let lines: Vec<&str> = full.split('\n').take(max).collect();
            assert_eq!(got.text, lines.join("\n"), "{mode:?}, {max}");
            cut += usize::from(got.finish == Finish::MaxLines);
        }
    }
    assert!(cut > 0, "no answer had several lines");
}

#[test]
fn a_request_may_end_inside_its_stem() {
    let asked = Request { max_tokens: 12, ..request("capacity < 1", "zqxvkjw") };
    let mut fresh = Local::new(load_model(&options(Device::Cpu)).unwrap(), tokenizer());
    let expected = fresh.infill(&asked, &mut Control::unbounded()).unwrap();

    let cancel = CancelToken::default();
    let cancelling = cancel.clone();
    let mut infill = Local::new(Disturbed::in_forward(move || cancelling.cancel()), tokenizer());
    let cancelled = infill.infill(&asked, &mut Control::new(cancel, None, None));
    assert!(matches!(cancelled, Err(EngineError::Cancelled)), "{cancelled:?}");
    let after = infill.infill(&asked, &mut Control::unbounded()).unwrap();
    assert_eq!(after.text, expected.text);

    // The stream is cached, so that the deadline comes where the model sleeps.
    let sleeping = Disturbed::in_forward(|| std::thread::sleep(Duration::from_secs(2)));
    let mut infill = Local::new(sleeping, tokenizer());
    infill.prepare(asked.document, &asked.prompt, &Control::unbounded()).unwrap();
    let deadline = Instant::now() + Duration::from_secs(1);
    let late =
        infill.infill(&asked, &mut Control::new(CancelToken::default(), Some(deadline), None)).unwrap();
    assert_eq!((late.finish, late.text.as_str(), late.counts.forwards), (Finish::Deadline, "", 1));
    assert_eq!(infill.infill(&asked, &mut Control::unbounded()).unwrap().text, expected.text);
}
