//! Random edits and requests of several buffers, against an engine that answers, fails, panics or hangs as it likes: nothing
//! panics, every request is answered, and the engine is asked about the text that the client has.
//!
//! A short run belongs to the tests. A longer one, of other seeds as long as the time lasts:
//! `CINNABAR_FUZZ_SECONDS=600 cargo test -p cinnabar-server --test e2e random_streams -- --nocapture`

use std::time::{Duration, Instant};

use fastrand::Rng;
use serde_json::{Value, json};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

use crate::harness::{Editor, INLINE};
use crate::stage::Stage;

const SEEDS: u64 = 4;
const MESSAGES: usize = 100;
const BUFFERS: [&str; 4] =
    ["file:///project/a.rs", "file:///project/b.py", "untitled:c", "file:///%F0%9F%98%80.go"];
/// Pieces of text with every width of character, every line break and every bracket.
const PIECES: [&str; 16] = [
    "a",
    "fn f() {",
    "}",
    "\n",
    "\r\n",
    "\r",
    "é",
    "語",
    "😀",
    "\"",
    "(",
    ")",
    "    ",
    "\t",
    "\0",
    "let x = 1;\n",
];
/// So that all of a buffer is in the prompt.
const MOST_BYTES: usize = 1500;

/// The client's own idea of a buffer.
struct Buffer {
    uri: &'static str,
    /// `None`: closed.
    text: Option<String>,
    version: i32,
}

#[tokio::test]
async fn rule_1_random_streams_of_edits_and_requests() {
    let seconds = std::env::var("CINNABAR_FUZZ_SECONDS").ok().and_then(|n| n.parse().ok());
    let end = Instant::now() + Duration::from_secs(seconds.unwrap_or(0));
    let (mut messages, mut checks) = (0, 0);
    let mut seed = 0;
    while seed < SEEDS || Instant::now() < end {
        // A failure is found again by its seed.
        println!("seed {seed}, {messages} messages and {checks} checks so far");
        checks += stream(seed).await;
        messages += MESSAGES;
        seed += 1;
    }
    assert!(checks > messages / 100, "{checks}");
}

/// One server from start to end; how often the mirror was seen to be right.
async fn stream(seed: u64) -> usize {
    let mut rng = Rng::with_seed(seed);
    let mut editor = Editor::start();
    let encoding = *rng.choice(&["utf-8", "utf-16", "utf-32"]).unwrap();
    let capabilities = json!({
        "general": { "positionEncodings": [encoding] },
        "textDocument": { "inlineCompletion": {} },
    });
    let settings = json!({ "deadlineMs": 20, "nextSuggestion": rng.bool() });
    editor.initialize(json!({ "capabilities": capabilities, "initializationOptions": settings })).await;
    let mut prompts = act(std::mem::replace(&mut editor.stage, Stage::new().0), rng.fork());
    let mut buffers = BUFFERS.map(|uri| Buffer { uri, text: None, version: 0 });
    let mut checks = 0;
    for message in 0..MESSAGES {
        let buffer = &mut buffers[rng.usize(..BUFFERS.len())];
        send(&mut editor, buffer, encoding, &mut rng).await;
        if message % 10 == 9 {
            editor.all_answered().await;
            checks += usize::from(check(&mut editor, buffer, &mut prompts, encoding, &mut rng).await);
        }
    }
    // What came without being asked for stands before this answer.
    editor.ask("no/such/method", Value::Null).await;
    editor.all_answered().await;
    editor.leave().await;
    checks
}

/// Plays the engine. The text before the cursor and after it of each request.
fn act(mut stage: Stage, mut rng: Rng) -> UnboundedReceiver<(String, String)> {
    let (show, prompts) = unbounded_channel();
    tokio::spawn(async move {
        // Two crashes and the engine stays down, which is none of this test's business: one is enough.
        let mut may_crash = true;
        while let Some(call) = stage.any_call().await {
            let prompt = &call.request.prompt;
            let _ = show.send((prompt.prefix.clone(), prompt.suffix.clone()));
            match rng.u8(..100) {
                0..60 => call.answer(&text(&mut rng, 6)),
                60..70 => drop(call),
                70..72 if std::mem::take(&mut may_crash) => call.panic(),
                // Until it is cancelled, at the latest by the deadline.
                _ => drop(call.until_stopped()),
            }
        }
    });
    prompts
}

async fn send(editor: &mut Editor, buffer: &mut Buffer, encoding: &str, rng: &mut Rng) {
    let uri = buffer.uri;
    let position = json!({ "line": rng.u32(..8), "character": rng.u32(..20) });
    let at = json!({ "textDocument": { "uri": uri }, "position": position, "context": { "triggerKind": rng.u32(1..=2) } });
    match rng.u8(..100) {
        0..6 => open(editor, buffer, rng).await,
        6..8 => {
            buffer.text = None;
            editor.tell("textDocument/didClose", json!({ "textDocument": { "uri": uri } })).await;
        }
        8..50 => edit(editor, buffer, encoding, rng).await,
        50..85 => drop(editor.ask(INLINE, at).await),
        85..89 => {
            let id = editor.ask(INLINE, at).await;
            editor.tell("$/cancelRequest", json!({ "id": id })).await;
        }
        89..91 => {
            let context = json!({ "triggerKind": 1, "selectedCompletionInfo": {
                "range": { "start": position, "end": position }, "text": text(rng, 2) } });
            let at = json!({ "textDocument": { "uri": uri }, "position": position, "context": context });
            editor.ask(INLINE, at).await;
        }
        91..94 => drop(editor.ask("textDocument/completion", at).await),
        94..95 => drop(editor.ask("no/such/method", json!({ "a": [1] })).await),
        95..96 => drop(editor.ask("$/noSuchMethod", Value::Null).await),
        96..97 => drop(editor.ask(INLINE, json!({ "position": "nowhere" })).await),
        97..98 => editor.tell("$/cancelRequest", json!({ "id": "unknown" })).await,
        98..99 => editor.send_raw(b"Content-Length: 7\r\n\r\nnot: it").await,
        _ => {
            let saved = json!({ "textDocument": { "uri": uri }, "text": buffer.text });
            editor.tell("textDocument/didSave", saved).await;
        }
    }
}

async fn open(editor: &mut Editor, buffer: &mut Buffer, rng: &mut Rng) {
    let text = text(rng, 30);
    let language = *rng.choice(&["rust", "python", "", "go"]).unwrap();
    buffer.version += 1;
    let document =
        json!({ "uri": buffer.uri, "languageId": language, "version": buffer.version, "text": text });
    buffer.text = Some(text);
    editor.tell("textDocument/didOpen", json!({ "textDocument": document })).await;
}

/// One to three changes: at places that may be out of bounds or the wrong way round, now and then the whole text.
async fn edit(editor: &mut Editor, buffer: &mut Buffer, encoding: &str, rng: &mut Rng) {
    let mut changes = Vec::new();
    let mut mirror = buffer.text.clone().unwrap_or_default();
    for _ in 0..rng.usize(1..=3) {
        let new = text(rng, 3);
        if mirror.len() > MOST_BYTES || rng.u8(..20) == 0 {
            changes.push(json!({ "text": new }));
            mirror = new;
            continue;
        }
        let ends = [(); 2].map(|()| (rng.u32(..8), rng.u32(..20)));
        let [from, to] = ends.map(|(line, character)| json!({ "line": line, "character": character }));
        changes.push(json!({ "range": { "start": from, "end": to }, "text": new }));
        let [from, to] = ends.map(|place| offset(&mirror, place, encoding));
        mirror.replace_range(from.min(to)..from.max(to), &new);
    }
    buffer.version += 1;
    // Changes of a buffer that is not open are nobody's.
    buffer.text = buffer.text.is_some().then_some(mirror);
    editor.change(buffer.uri, buffer.version, json!(changes)).await;
}

/// The engine is asked about exactly the client's text. False if it had no time for it before the deadline.
async fn check(
    editor: &mut Editor,
    buffer: &mut Buffer,
    prompts: &mut UnboundedReceiver<(String, String)>,
    encoding: &str,
    rng: &mut Rng,
) -> bool {
    let Some(text) = &mut buffer.text else { return false };
    // A text that was never asked about, so that no answer of before is the answer.
    let mark = format!("x{} ", rng.u64(..));
    text.insert_str(0, &mark);
    let start = json!({ "line": 0, "character": 0 });
    let change = json!([{ "range": { "start": start, "end": start }, "text": mark }]);
    buffer.version += 1;
    editor.change(buffer.uri, buffer.version, change).await;
    while prompts.try_recv().is_ok() {}
    let place = (rng.u32(..8), rng.u32(..20));
    let at = offset(text, place, encoding);
    editor.ask_inline_in(buffer.uri, place.0, place.1).await;
    editor.all_answered().await;
    let lf = |text: &str| text.replace("\r\n", "\n").replace('\r', "\n");
    let expected = (lf(&text[..at]), lf(&text[at..]));
    let asked = std::iter::from_fn(|| prompts.try_recv().ok()).find(|(prefix, _)| prefix.starts_with(&mark));
    assert!(asked.as_ref().is_none_or(|asked| *asked == expected), "{asked:?} instead of {expected:?}");
    asked.is_some()
}

fn text(rng: &mut Rng, most: usize) -> String {
    (0..rng.usize(..=most)).map(|_| *rng.choice(&PIECES).unwrap()).collect()
}

/// The byte offset of a position, as the protocol says it, character by character.
fn offset(text: &str, (line, column): (u32, u32), encoding: &str) -> usize {
    let mut at = 0;
    for _ in 0..line {
        let Some(found) = text[at..].find(['\n', '\r']) else { return text.len() };
        at += found + if text[at + found..].starts_with("\r\n") { 2 } else { 1 };
    }
    let mut left = column as usize;
    for c in text[at..].chars() {
        let width = match encoding {
            "utf-8" => c.len_utf8(),
            "utf-16" => c.len_utf16(),
            _ => 1,
        };
        if c == '\n' || c == '\r' || width > left {
            break;
        }
        left -= width;
        at += c.len_utf8();
    }
    at
}
