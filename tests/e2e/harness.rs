//! The client. It reads and writes the protocol itself, so that it shares no mistake with the server.

use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

use cinnabar_server::Ended;
use cinnabar_server::lsp::Server;
use cinnabar_server::settings::sources::Setup;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, DuplexStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinHandle;

use crate::stage::Stage;

pub const INLINE: &str = "textDocument/inlineCompletion";
pub const URI: &str = "file:///project/src/main.rs";

/// After this a test has failed; nothing waits for it otherwise.
pub const HUNG: Duration = Duration::from_secs(20);

/// A client and its server. Ends with [`Editor::leave`] or one of its kind; dropped before, it fails the test.
pub struct Editor {
    pub stage: Stage,
    /// What the server may write.
    pub folder: tempfile::TempDir,
    /// The command of the last inline item.
    pub command: Value,
    to_server: Option<DuplexStream>,
    inbox: UnboundedReceiver<Value>,
    unread: VecDeque<Value>,
    unanswered: BTreeSet<i64>,
    n_requests: i64,
    server: JoinHandle<Ended>,
    left: bool,
}

impl Editor {
    /// A server that has not been spoken to.
    pub fn start() -> Self {
        let (stage, load) = Stage::new();
        let (to_server, input) = tokio::io::duplex(1 << 16);
        let (output, from_server) = tokio::io::duplex(1 << 16);
        let folder = tempfile::tempdir().unwrap();
        let setup = Setup { counts: Some(folder.path().join("stats.json")), ..Setup::default() };
        let server = tokio::spawn(async move {
            let mut server = Server::new(setup, Box::new(move |_| load));
            let ended = server.serve(input, output).await;
            // Its engine may wait for the test.
            std::thread::spawn(move || drop(server));
            ended
        });
        let (deliver, inbox) = unbounded_channel();
        tokio::spawn(async move {
            let mut from_server = BufReader::new(from_server);
            while let Some(message) = read(&mut from_server).await {
                let _ = deliver.send(message);
            }
        });
        Editor {
            stage,
            folder,
            command: Value::Null,
            to_server: Some(to_server),
            inbox,
            unread: VecDeque::new(),
            unanswered: BTreeSet::new(),
            n_requests: 0,
            server,
            left: false,
        }
    }

    /// A server that has agreed on UTF-16 with a client of ghost text, its model loaded, one buffer open.
    pub async fn with(text: &str) -> Self {
        let mut editor = Editor::start();
        editor.initialize(json!({})).await;
        editor.stage.load().await.succeed();
        editor.open(URI, text).await;
        editor
    }

    /// `initialize` with these parameters over the usual ones, then `initialized`. The server's answer.
    pub async fn initialize(&mut self, over: Value) -> Value {
        let mut params = json!({
            "processId": null,
            "workspaceFolders": [{ "uri": "file:///project", "name": "project" }],
            "capabilities": { "textDocument": { "inlineCompletion": {} } },
        });
        params.as_object_mut().unwrap().extend(over.as_object().unwrap().clone());
        let id = self.ask("initialize", params).await;
        let result = self.reply(id).await;
        self.tell("initialized", json!({})).await;
        result
    }

    pub async fn open(&mut self, uri: &str, text: &str) {
        let document = json!({ "uri": uri, "languageId": "rust", "version": 1, "text": text });
        self.tell("textDocument/didOpen", json!({ "textDocument": document })).await;
    }

    /// Replaces `(line, column) .. (line, column)` of the usual buffer.
    pub async fn edit(&mut self, version: i32, from: (u32, u32), to: (u32, u32), text: &str) {
        let change = json!({ "range": { "start": at(from), "end": at(to) }, "text": text });
        self.change(URI, version, json!([change])).await;
    }

    pub async fn change(&mut self, uri: &str, version: i32, changes: Value) {
        let params = json!({ "textDocument": { "uri": uri, "version": version }, "contentChanges": changes });
        self.tell("textDocument/didChange", params).await;
    }

    /// Asks for ghost text in the usual buffer.
    pub async fn ask_inline(&mut self, line: u32, column: u32) -> i64 {
        self.ask_inline_in(URI, line, column).await
    }

    /// By hand, which is always answered.
    pub async fn ask_inline_in(&mut self, uri: &str, line: u32, column: u32) -> i64 {
        self.ask_inline_with(uri, line, column, json!({ "triggerKind": 1 })).await
    }

    pub async fn ask_inline_with(&mut self, uri: &str, line: u32, column: u32, context: Value) -> i64 {
        let params =
            json!({ "textDocument": { "uri": uri }, "position": at((line, column)), "context": context });
        self.ask(INLINE, params).await
    }

    /// Asks for ghost text; the engine says `text`. The server's answer.
    pub async fn inline(&mut self, line: u32, column: u32, text: &str) -> Value {
        let id = self.ask_inline(line, column).await;
        self.stage.answer(text).await;
        self.reply(id).await
    }

    /// Sends a request.
    pub async fn ask(&mut self, method: &str, params: Value) -> i64 {
        self.n_requests += 1;
        self.unanswered.insert(self.n_requests);
        self.send(json!({ "jsonrpc": "2.0", "id": self.n_requests, "method": method, "params": params }))
            .await;
        self.n_requests
    }

    /// Sends a notification.
    pub async fn tell(&mut self, method: &str, params: Value) {
        self.send(json!({ "jsonrpc": "2.0", "method": method, "params": params })).await;
    }

    /// Sends any message.
    pub async fn send(&mut self, message: Value) {
        let body = message.to_string();
        self.send_raw(format!("Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes()).await;
    }

    pub async fn send_raw(&mut self, bytes: &[u8]) {
        self.to_server.as_mut().expect("still connected").write_all(bytes).await.unwrap();
    }

    /// The result of a request.
    pub async fn reply(&mut self, id: i64) -> Value {
        let mut reply = self.raw_reply(id).await;
        assert!(reply.get("error").is_none(), "{reply}");
        let mut result = reply["result"].take();
        if let Some(item) = result.pointer_mut("/items/0").and_then(Value::as_object_mut)
            && item.contains_key("insertText")
        {
            // Its id is the server's to choose.
            self.command = item.remove("command").expect("each inline item has a command");
        }
        result
    }

    /// The error code of a request.
    pub async fn error(&mut self, id: i64) -> i64 {
        let reply = self.raw_reply(id).await;
        reply["error"]["code"].as_i64().unwrap_or_else(|| panic!("no error: {reply}"))
    }

    async fn raw_reply(&mut self, id: i64) -> Value {
        let reply = self.receive(|message| message["id"] == id && message.get("method").is_none()).await;
        self.unanswered.remove(&id);
        reply
    }

    /// The parameters of the next notification of a method.
    pub async fn told(&mut self, method: &str) -> Value {
        self.receive(|message| message["method"] == method).await["params"].take()
    }

    /// Id and parameters of the server's next request of a method.
    pub async fn asked(&mut self, method: &str) -> (Value, Value) {
        let mut message = self.receive(|message| message["method"] == method).await;
        (message["id"].take(), message["params"].take())
    }

    /// Waits until every request has an answer, errors included, and forgets whatever else the server said.
    pub async fn all_answered(&mut self) {
        while !self.unanswered.is_empty() {
            let answer =
                self.receive(|message| message.get("method").is_none() && !message["id"].is_null()).await;
            assert_ne!(answer["error"]["code"], -32603, "a handler panicked: {answer}");
            self.unanswered.remove(&answer["id"].as_i64().unwrap());
        }
        self.unread.clear();
    }

    /// The first message, come or to come, that is as wanted. The others stay.
    pub async fn receive(&mut self, wanted: impl Fn(&Value) -> bool) -> Value {
        let mut looked_at = 0;
        loop {
            if let Some(n) = (looked_at..self.unread.len()).find(|&n| wanted(&self.unread[n])) {
                return self.unread.remove(n).unwrap();
            }
            looked_at = self.unread.len();
            let message = tokio::time::timeout(HUNG, self.inbox.recv()).await;
            let message = message.unwrap_or_else(|_| panic!("waited in vain; unread: {:?}", self.unread));
            self.unread.push_back(message.expect("the server is connected"));
        }
    }

    /// Leaves as the protocol wants it.
    pub async fn leave(mut self) {
        let id = self.ask("shutdown", Value::Null).await;
        assert_eq!(self.reply(id).await, Value::Null);
        self.tell("exit", Value::Null).await;
        assert_eq!(self.ended().await, Ended::Exit { in_order: true });
    }

    /// Closes the pipe.
    pub async fn hang_up(mut self) -> Ended {
        self.to_server = None;
        self.ended().await
    }

    /// Waits for the server's end. Every request is answered, every message is read.
    pub async fn ended(&mut self) -> Ended {
        let ended = tokio::time::timeout(HUNG, &mut self.server).await.expect("the server ends").unwrap();
        while let Some(message) = self.inbox.recv().await {
            self.unread.push_back(message);
        }
        self.left = true;
        ended
    }
}

impl Drop for Editor {
    fn drop(&mut self) {
        if std::thread::panicking() {
            return;
        }
        assert!(self.left, "the test does not end its server");
        assert!(self.unread.is_empty(), "unread: {:?}", self.unread);
        assert!(self.unanswered.is_empty(), "unanswered: {:?}", self.unanswered);
    }
}

fn at((line, character): (u32, u32)) -> Value {
    json!({ "line": line, "character": character })
}

/// What the list with one inline item at an empty range looks like.
pub fn item(line: u32, column: u32, text: &str) -> Value {
    item_over((line, column), (line, column), text)
}

pub fn item_over(from: (u32, u32), to: (u32, u32), text: &str) -> Value {
    json!({ "items": [{ "insertText": text, "range": { "start": at(from), "end": at(to) } }] })
}

pub fn nothing() -> Value {
    json!({ "items": [] })
}

async fn read(input: &mut BufReader<DuplexStream>) -> Option<Value> {
    let mut length = None;
    loop {
        let mut line = String::new();
        if input.read_line(&mut line).await.ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => length = line.strip_prefix("Content-Length: ").and_then(|n| n.parse().ok()).or(length),
        }
    }
    let mut body = vec![0; length.expect("a length in the header")];
    input.read_exact(&mut body).await.ok()?;
    Some(serde_json::from_slice(&body).expect("JSON"))
}
