//! Plays scenes through a server and keeps what came of each key.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::Context;
use fastrand::Rng;
use ropey::Rope;
use serde_json::{Value, json};

use super::editor::Editor;
use super::typist::{Key, Scene, Typist};
use crate::languages;
use crate::position::{self, Encoding};
use crate::protocol::{AUTOMATIC, INLINE_COMPLETION};

/// Share of the right suggestions that are accepted; the others are typed through.
const ACCEPTED: f64 = 0.4;
/// Shorter ones are typed faster than accepted.
const WORTH_ACCEPTING: usize = 4;
/// Milliseconds from a suggestion on the screen to its acceptance.
const REACTION: std::ops::Range<u64> = 250..500;
/// A file's first request reads all of it; nothing is typed meanwhile.
const FIRST: Duration = Duration::from_secs(5);
/// For what is still under way when all is written.
const REST: Duration = Duration::from_millis(1500);
/// Any method that no server has: its refusal says that what came before it is done.
const NO_METHOD: &str = "cinnabar/bench";

/// One request, as the editor saw it.
#[derive(Debug, Clone, Default)]
pub(super) struct Asked {
    /// Its buffer, counted from 0 in the order of opening.
    pub(super) document: u64,
    pub(super) version: i64,
    /// The buffer's first.
    pub(super) first: bool,
    /// From request to answer; `None` if the next key came before it.
    pub(super) latency: Option<Duration>,
    /// The suggestion's text.
    pub(super) shown: Option<String>,
    /// How right it was, where that is known.
    pub(super) truth: Option<Truth>,
    pub(super) accepted: bool,
}

/// A suggestion against what was going to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Truth {
    Wrong,
    /// As far as it went.
    Start,
    /// Right, and to the end of a line.
    Whole,
}

impl Truth {
    fn of(text: &str, to_come: &str) -> Self {
        match to_come.strip_prefix(text) {
            Some(rest) if rest.is_empty() || rest.starts_with(['\n', '\r']) => Truth::Whole,
            Some(_) => Truth::Start,
            None => Truth::Wrong,
        }
    }
}

/// What came of all keys.
#[derive(Default)]
pub(super) struct Played {
    pub(super) asked: Vec<Asked>,
    /// From an edit written until it was surely applied.
    pub(super) changes: Vec<Duration>,
    /// From a cancellation written until the request was answered.
    pub(super) cancellations: Vec<Duration>,
    /// Requests without an answer at the end.
    pub(super) unanswered: usize,
}

/// Plays scenes, a new buffer for each.
pub(super) struct Player<'a> {
    pub(super) editor: &'a mut Editor,
    pub(super) played: Played,
    pub(super) n_opened: u64,
    pub(super) rng: Rng,
}

/// A buffer being typed into.
struct Buffer {
    uri: String,
    text: Rope,
    /// Byte offset.
    cursor: usize,
    version: i64,
}

/// The requests of a buffer that have no answer yet.
#[derive(Default)]
struct Open {
    /// The one whose answer would be shown, and when it was sent.
    current: Option<(u64, Instant)>,
    /// When each of these was cancelled.
    cancelled: HashMap<u64, Instant>,
}

impl Open {
    fn is_empty(&self) -> bool {
        self.current.is_none() && self.cancelled.is_empty()
    }
}

impl Player<'_> {
    /// Types a scene until it is written or the time is over.
    pub(super) fn play(&mut self, scene: Scene, until: Instant) -> anyhow::Result<()> {
        let text = Rope::from_str(&format!("{}{}", scene.before, scene.after));
        let uri = format!("file:///typing/{}/{}", self.n_opened, scene.path.trim_start_matches('/'));
        let mut buffer = Buffer { uri, text, cursor: scene.before.len(), version: 1 };
        let mut open = Open::default();
        let mut typist = Typist::new(scene, self.rng.fork());
        let document = json!({
            "uri": buffer.uri,
            "languageId": languages::find("", &buffer.uri).map_or("plaintext", |language| language.ids[0]),
            "version": buffer.version,
            "text": buffer.text.to_string(),
        });
        self.editor.tell("textDocument/didOpen", json!({ "textDocument": document }))?;
        self.ask(&buffer, &mut open)?;
        self.listen(&mut open, None, Instant::now() + FIRST)?;
        while Instant::now() < until {
            let next = Instant::now() + typist.pause();
            if let Some(text) = self.listen(&mut open, Some(&typist), next)? {
                std::thread::sleep(Duration::from_millis(self.rng.u64(REACTION)));
                typist.accepted(text.len());
                self.edit(&mut buffer, &mut open, 0, &text)?;
                continue;
            }
            match typist.press() {
                Some(Key::Insert(text)) => self.edit(&mut buffer, &mut open, 0, &text)?,
                Some(Key::Backspace) => self.edit(&mut buffer, &mut open, 1, "")?,
                None => break,
            }
        }
        self.listen(&mut open, None, Instant::now() + REST)?;
        self.played.unanswered += open.cancelled.len() + usize::from(open.current.is_some());
        self.editor.tell("textDocument/didClose", json!({ "textDocument": { "uri": buffer.uri } }))?;
        self.n_opened += 1;
        Ok(())
    }

    /// Takes a number of characters before the cursor back, inserts a text, and asks for what comes next.
    fn edit(&mut self, buffer: &mut Buffer, open: &mut Open, back: usize, text: &str) -> anyhow::Result<()> {
        // As VS Code does it: what is not wanted any more is cancelled before the edit.
        if let Some((id, _)) = open.current.take() {
            open.cancelled.insert(id, Instant::now());
            self.editor.tell("$/cancelRequest", json!({ "id": id }))?;
        }
        let end = buffer.text.byte_to_char(buffer.cursor);
        let start = end - back;
        let (from, to) = (buffer.position(buffer.text.char_to_byte(start)), buffer.position(buffer.cursor));
        buffer.text.remove(start..end);
        buffer.text.insert(start, text);
        buffer.cursor = buffer.text.char_to_byte(start) + text.len();
        buffer.version += 1;
        let document = json!({ "uri": buffer.uri, "version": buffer.version });
        let change = json!({ "range": { "start": from, "end": to }, "text": text });
        let written = Instant::now();
        let change = json!({ "textDocument": document, "contentChanges": [change] });
        self.editor.tell("textDocument/didChange", change)?;
        let done = self.editor.ask(NO_METHOD, json!({}))?;
        loop {
            let received = self.editor.receive(written + FIRST)?;
            let (at, message) = received.context("the server does not answer")?;
            if message["id"] == done {
                self.played.changes.push(at - written);
                break;
            }
            self.answered(open, at, &message, None);
        }
        self.ask(buffer, open)
    }

    fn ask(&mut self, buffer: &Buffer, open: &mut Open) -> anyhow::Result<()> {
        let params = json!({
            "textDocument": { "uri": buffer.uri },
            "position": buffer.position(buffer.cursor),
            "context": { "triggerKind": AUTOMATIC },
        });
        let first = buffer.version == 1;
        let asked = Asked { document: self.n_opened, version: buffer.version, first, ..Asked::default() };
        self.played.asked.push(asked);
        open.current = Some((self.editor.ask(INLINE_COMPLETION, params)?, Instant::now()));
        Ok(())
    }

    /// Takes answers until the time comes, or only until one is to be accepted by `typist`: its text.
    fn listen(
        &mut self,
        open: &mut Open,
        typist: Option<&Typist>,
        until: Instant,
    ) -> anyhow::Result<Option<String>> {
        let to_come = typist.and_then(Typist::to_come);
        while let Some((at, message)) = self.editor.receive(until)? {
            if let Some(text) = self.answered(open, at, &message, to_come) {
                return Ok(Some(text));
            }
            if typist.is_none() && open.is_empty() {
                break;
            }
        }
        Ok(None)
    }

    /// Notes an answer. Its text, if it is to be accepted.
    fn answered(
        &mut self,
        open: &mut Open,
        at: Instant,
        message: &Value,
        to_come: Option<&str>,
    ) -> Option<String> {
        let id = message["id"].as_u64()?;
        if let Some(cancelled) = open.cancelled.remove(&id) {
            self.played.cancellations.push(at.saturating_duration_since(cancelled));
            return None;
        }
        let (_, sent) = open.current.take_if(|(current, _)| *current == id)?;
        let asked = self.played.asked.last_mut()?;
        asked.latency = Some(at - sent);
        let text = message["result"]["items"][0]["insertText"].as_str()?.to_owned();
        asked.truth = to_come.map(|to_come| Truth::of(&text, to_come));
        let right = matches!(asked.truth, Some(Truth::Start | Truth::Whole)) && text.len() >= WORTH_ACCEPTING;
        asked.accepted = right && self.rng.f64() < ACCEPTED;
        asked.shown = Some(text.clone());
        asked.accepted.then_some(text)
    }
}

impl Buffer {
    fn position(&self, offset: usize) -> Value {
        json!(position::to_position(&self.text, offset, Encoding::Utf16))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_suggestion_is_as_right_as_what_is_written() {
        let to_come = "len(self)\n    }\n";
        for (text, truth) in [
            ("len(self)", Truth::Whole),
            ("len(self)\n    }", Truth::Whole),
            ("len", Truth::Start),
            ("len(self))", Truth::Wrong),
            ("size", Truth::Wrong),
        ] {
            assert_eq!(Truth::of(text, to_come), truth, "{text:?}");
        }
    }
}
