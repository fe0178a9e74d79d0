//! An editor's end of the protocol, with a language server in a child process, on the caller's thread.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::{Value, json};

use super::log_line::LogLine;
use crate::frames::{self, Frames};

/// A server that says nothing for so long will not say anything.
const SILENCE: Duration = Duration::from_secs(60);

/// A connection to a server of our own.
pub(super) struct Editor {
    child: Child,
    to_server: ChildStdin,
    inbox: Receiver<(Instant, Value)>,
    log: JoinHandle<Vec<LogLine>>,
    n_requests: u64,
}

impl Editor {
    /// Starts a server and waits until its model is there.
    pub(super) fn start(mut command: Command, options: &Value) -> anyhow::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start the server")?;
        let (to_server, from_server) = (child.stdin.take(), child.stdout.take());
        let (Some(to_server), Some(from_server), Some(log)) = (to_server, from_server, child.stderr.take())
        else {
            bail!("the server has no pipes");
        };
        let (deliver, inbox) = channel();
        std::thread::spawn(move || receive(from_server, &deliver));
        let log = std::thread::spawn(move || {
            let lines = BufReader::new(log).lines().map_while(Result::ok);
            lines.filter_map(|line| LogLine::parse_or_show(&line)).collect()
        });
        let mut editor = Editor { child, to_server, inbox, log, n_requests: 0 };
        editor.initialize(options)?;
        Ok(editor)
    }

    fn initialize(&mut self, options: &Value) -> anyhow::Result<()> {
        let capabilities = json!({
            "textDocument": { "inlineCompletion": {} },
            "window": { "workDoneProgress": true },
        });
        let params = json!({
            "processId": std::process::id(),
            "capabilities": capabilities,
            "initializationOptions": options,
        });
        let id = self.ask("initialize", params)?;
        self.wait(|message| message["id"] == id)?;
        self.tell("initialized", json!({}))?;
        // A server without progress is ready when it says nothing more.
        while let Some((_, message)) = self.receive(Instant::now() + Duration::from_secs(3))? {
            match message["method"].as_str() {
                Some("window/workDoneProgress/create") => {
                    self.send(&json!({ "jsonrpc": "2.0", "id": message["id"], "result": null }))?;
                    self.wait(|message| message["params"]["value"]["kind"] == "end")?;
                    break;
                }
                Some("window/showMessage") => bail!("{}", message["params"]["message"]),
                _ => {}
            }
        }
        Ok(())
    }

    /// Sends a request; its id.
    pub(super) fn ask(&mut self, method: &str, params: Value) -> anyhow::Result<u64> {
        self.n_requests += 1;
        self.send(&json!({ "jsonrpc": "2.0", "id": self.n_requests, "method": method, "params": params }))?;
        Ok(self.n_requests)
    }

    /// Sends a notification.
    pub(super) fn tell(&mut self, method: &str, params: Value) -> anyhow::Result<()> {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }))
    }

    fn send(&mut self, message: &Value) -> anyhow::Result<()> {
        self.to_server.write_all(&frames::encode(message)?).context("the server is gone")
    }

    /// The next message and when it came; `None` if there is none until then.
    pub(super) fn receive(&mut self, until: Instant) -> anyhow::Result<Option<(Instant, Value)>> {
        match self.inbox.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(received) => Ok(Some(received)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => bail!("the server has ended"),
        }
    }

    /// Waits for one message and drops what comes before it.
    fn wait(&mut self, wanted: impl Fn(&Value) -> bool) -> anyhow::Result<Value> {
        let until = Instant::now() + SILENCE;
        while let Some((_, message)) = self.receive(until)? {
            if wanted(&message) {
                return Ok(message);
            }
        }
        bail!("the server does not answer")
    }

    /// Ends the server; what it logged of its work.
    pub(super) fn leave(mut self) -> anyhow::Result<Vec<LogLine>> {
        let id = self.ask("shutdown", Value::Null)?;
        self.wait(|message| message["id"] == id)?;
        self.tell("exit", Value::Null)?;
        drop(self.to_server);
        self.child.wait()?;
        Ok(self.log.join().unwrap_or_default())
    }
}

fn receive(mut from_server: impl Read, deliver: &Sender<(Instant, Value)>) {
    let mut frames = Frames::default();
    let mut piece = [0; 64 * 1024];
    while let Ok(n @ 1..) = from_server.read(&mut piece) {
        let now = Instant::now();
        frames.buffer().extend_from_slice(&piece[..n]);
        while let Some(message) = frames.next() {
            // Nobody listens any more when the bench has failed; what is malformed answers nothing.
            let _ = message.map(|message| deliver.send((now, message)));
        }
    }
}
