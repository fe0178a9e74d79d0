//! What an edit of a large file costs, through the language server itself:
//! `cargo bench -p cinnabar-server --bench edits`.
//!
//! Each key is a `textDocument/didChange` and a request behind it, whose answer says that the edit is applied. One kind of
//! request costs nothing but its way there and back; the other needs the syntax tree brought up to date, and is refused
//! then, because it asks in a comment. Where that took too many steps there is no tree, and who asks gets an answer: how many of
//! the keys had a tree is told beside the times. The first question of a document, which parses its window, is not among them. No model is there. Percentiles, because the budget has them.
#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints its table, and ends where it fails"
)]

use std::time::{Duration, Instant};

use cinnabar_engine::{Completion, Control, Counts, EngineError, Finish, Infill, Request, Timings};
use cinnabar_server::lsp::Server;
use cinnabar_server::settings::sources::Setup;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream};

/// Bytes of each file, at least.
const SIZES: [usize; 2] = [128 << 10, 1 << 20];
const KEYS: usize = 300;
const WARM_UP: usize = 20;

/// Real files, said again and again until they are large, and how a line comment starts.
const FILES: [(&str, &str, &str); 4] = [
    ("lru_cache.py", include_str!("../../tests/data/samples/lru_cache.py"), "#"),
    ("ring_buffer.rs", include_str!("../../tests/data/samples/ring_buffer.rs"), "//"),
    ("debounce.ts", include_str!("../../tests/data/samples/debounce.ts"), "//"),
    ("worker_pool.go", include_str!("../../tests/data/samples/worker_pool.go"), "//"),
];

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    println!(
        "{:26} {:>34} {:>34} {:>12}",
        "", "edit applied", "and the tree brought up to date", "keys with"
    );
    let times = "median, 95th percentile, most";
    println!("{:26} {times:>34} {times:>34} {:>12}", "", "a tree");
    for (size, (name, text, comment)) in SIZES.into_iter().flat_map(|size| FILES.map(|file| (size, file))) {
        let text = text.repeat(size.div_ceil(text.len()));
        let columns = [false, true].map(|parse| {
            let (mut times, with_tree) = runtime.block_on(typed(name, &text, comment, parse));
            times.sort_unstable();
            let [median, p95, most] = [KEYS / 2, KEYS * 95 / 100, KEYS - 1].map(|n| ms(times[n]));
            (format!("{median:.3}, {p95:.3}, {most:.3} ms"), with_tree)
        });
        let [(applied, _), (parsed, with_tree)] = columns;
        println!("{:4} KiB, {name:16} {applied:>34} {parsed:>34} {with_tree:>5} of {KEYS}", size >> 10);
    }
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Types a name, character by character, in the middle of a file; how long each key took, and how many had a tree. `parse`:
/// one is wanted.
async fn typed(name: &str, text: &str, comment: &str, parse: bool) -> (Vec<Duration>, usize) {
    // A comment in a line of its own, and a line to type into.
    let half = text.len() / 2;
    let middle = text[half..].find("\n\n").unwrap() + half + 1;
    let line = text[..middle].matches('\n').count();
    let text = format!("{}{comment} why\n\n{}", &text[..middle], &text[middle..]);
    let mut client = Client::start().await;
    let uri = format!("file:///project/{name}");
    let document = json!({ "uri": uri, "languageId": "", "version": 0, "text": text });
    client.tell("textDocument/didOpen", json!({ "textDocument": document })).await;
    let (mut times, mut with_tree) = (Vec::new(), 0);
    for key in 0..WARM_UP + KEYS {
        let at = json!({ "line": line + 1, "character": key });
        let change = json!([{ "range": { "start": at, "end": at }, "text": "a" }]);
        let edit = json!({ "textDocument": { "uri": uri, "version": key + 1 }, "contentChanges": change });
        let question = json!({
            "textDocument": { "uri": uri },
            "position": { "line": line, "character": comment.len() + " why".len() },
            "context": { "triggerKind": 2 },
        });
        let started = Instant::now();
        client.tell("textDocument/didChange", edit).await;
        let answer = match parse {
            true => client.ask("textDocument/inlineCompletion", question).await,
            false => client.ask("no/such/method", Value::Null).await,
        };
        times.push(started.elapsed());
        let items = answer["result"]["items"].as_array();
        assert_eq!(items.is_some(), parse, "{answer}");
        with_tree += usize::from(key >= WARM_UP && items.is_some_and(Vec::is_empty));
    }
    (times.split_off(WARM_UP), with_tree)
}

/// Answers whatever is asked with one word.
struct Word;

impl Infill for Word {
    fn describe(&self) -> String {
        "a word".into()
    }

    fn infill(&mut self, _: &Request, _: &mut Control) -> Result<Completion, EngineError> {
        Ok(Completion {
            text: "not".into(),
            finish: Finish::End,
            mean_log_probability: 0.0,
            counts: Counts::default(),
            timings: Timings::default(),
        })
    }
}

/// A client of a server of its own.
struct Client {
    to_server: DuplexStream,
    from_server: BufReader<DuplexStream>,
    asked: usize,
}

impl Client {
    async fn start() -> Self {
        let (to_server, input) = tokio::io::duplex(1 << 16);
        let (output, from_server) = tokio::io::duplex(1 << 16);
        let load = || Ok(Box::new(Word) as Box<dyn Infill>);
        tokio::spawn(async move {
            let mut server = Server::new(Setup::default(), Box::new(move |_| Box::new(load)));
            server.serve(input, output).await
        });
        let mut client = Client { to_server, from_server: BufReader::new(from_server), asked: 0 };
        let capabilities = json!({ "textDocument": { "inlineCompletion": {} } });
        client.ask("initialize", json!({ "processId": null, "capabilities": capabilities })).await;
        client.tell("initialized", json!({})).await;
        client
    }

    async fn tell(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params })).await;
    }

    /// The reply, result or error; what the server says by itself is passed over.
    async fn ask(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        self.send(&json!({ "jsonrpc": "2.0", "id": self.asked, "method": method, "params": params })).await;
        loop {
            let message = self.receive().await;
            if message["id"] == self.asked && message.get("method").is_none() {
                return message;
            }
        }
    }

    async fn send(&mut self, message: &Value) {
        let body = message.to_string();
        let frame = format!("Content-Length: {}\r\n\r\n{body}", body.len());
        self.to_server.write_all(frame.as_bytes()).await.unwrap();
    }

    async fn receive(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut line = String::new();
            self.from_server.read_line(&mut line).await.unwrap();
            match line.trim_end() {
                "" => break,
                line => length = line.strip_prefix("Content-Length: ").map_or(length, |n| n.parse().unwrap()),
            }
        }
        let mut body = vec![0; length];
        self.from_server.read_exact(&mut body).await.unwrap();
        serde_json::from_slice(&body).unwrap()
    }
}
