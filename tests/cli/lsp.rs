//! `cinnabar lsp` as a process among processes.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc::channel;
use std::time::Duration;

use serde_json::json;

/// After this a test has failed; nothing waits for it otherwise.
const HUNG: Duration = Duration::from_secs(20);

/// The editor dies without a word, and somebody else holds the server's input open, so that it never ends: a wrapper,
/// a terminal, another child that inherited it. The server ends all the same.
#[test]
fn rule_11_the_server_does_not_outlive_its_editor() {
    // The shell is the editor. The server has the test's pipes.
    let mut editor = Command::new("sh")
        .args([
            "-c",
            "exec 3<&0; \"$0\" lsp --isolated --device cpu <&3 & wait",
            env!("CARGO_BIN_EXE_cinnabar"),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut to_server = editor.stdin.take().unwrap();
    let mut from_server = BufReader::new(editor.stdout.take().unwrap());
    let params = json!({ "processId": editor.id(), "capabilities": {} });
    let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "initialize", "params": params }).to_string();
    write!(to_server, "Content-Length: {}\r\n\r\n{message}", message.len()).unwrap();
    to_server.flush().unwrap();
    let mut header = String::new();
    from_server.read_line(&mut header).unwrap();
    assert!(header.starts_with("Content-Length"), "it lives: {header:?}");
    editor.kill().unwrap();
    editor.wait().unwrap();
    // The server alone still holds the other end of its output, which ends with it.
    let (tell, ended) = channel();
    std::thread::spawn(move || tell.send(from_server.read_to_end(&mut Vec::new()).is_ok()));
    assert_eq!(ended.recv_timeout(HUNG), Ok(true), "the server lives on");
    // Its input was open to the end.
    drop(to_server);
}
