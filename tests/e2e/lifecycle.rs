//! From `initialize` to the end, and messages that are none.

use cinnabar_engine::Decoding;
use cinnabar_server::Ended;
use serde_json::{Value, json};

use crate::harness::{Editor, INLINE, URI, item};

#[tokio::test]
async fn requests_before_initialize_are_refused() {
    let mut editor = Editor::start();
    let id = editor.ask_inline(0, 0).await;
    assert_eq!(editor.error(id).await, -32002);
    editor.open(URI, "ignored").await;
    editor.initialize(json!({})).await;
    editor.stage.load().await.succeed();
    let id = editor.ask("initialize", json!({ "capabilities": {} })).await;
    assert_eq!(editor.error(id).await, -32600, "only once");
    editor.leave().await;
}

#[tokio::test]
async fn rule_11_requests_after_shutdown_are_refused_and_exit_ends() {
    let mut editor = Editor::with("a").await;
    let id = editor.ask("shutdown", Value::Null).await;
    assert_eq!(editor.reply(id).await, Value::Null);
    let id = editor.ask_inline(0, 1).await;
    assert_eq!(editor.error(id).await, -32600);
    editor.tell("exit", Value::Null).await;
    assert_eq!(editor.ended().await, Ended::Exit { in_order: true });
}

#[tokio::test]
async fn rule_11_exit_alone_ends_out_of_order() {
    let mut editor = Editor::with("a").await;
    editor.tell("exit", Value::Null).await;
    assert_eq!(editor.ended().await, Ended::Exit { in_order: false });
}

#[tokio::test]
async fn rule_11_the_end_of_input_ends_the_server_even_if_the_engine_is_busy() {
    let mut editor = Editor::with("a").await;
    let id = editor.ask_inline(0, 1).await;
    let _busy = editor.stage.call().await;
    editor.tell("$/cancelRequest", json!({ "id": id })).await;
    assert_eq!(editor.error(id).await, -32800);
    assert_eq!(editor.hang_up().await, Ended::EndOfInput);
}

#[cfg(unix)]
#[tokio::test]
async fn rule_11_the_editors_death_ends_the_server() {
    let mut editor_process = std::process::Command::new("sleep").arg("1000").spawn().unwrap();
    let mut editor = Editor::start();
    editor.initialize(json!({ "processId": editor_process.id() })).await;
    editor.stage.load().await.succeed();
    editor.open(URI, "a").await;
    assert_eq!(editor.inline(0, 1, "b").await, item(0, 1, "b"), "alive");
    editor_process.kill().unwrap();
    editor_process.wait().unwrap();
    assert_eq!(editor.ended().await, Ended::ParentGone);
}

#[tokio::test]
async fn a_malformed_message_costs_only_itself() {
    let mut editor = Editor::with("a").await;
    assert_eq!(editor.inline(0, 1, "b").await, item(0, 1, "b"));
    for bad in
        ["Content-Length: 9\r\n\r\n{\"method\"", "Content-Length: x\r\n\r\n", "Content-Length: 0\r\n\r\n"]
    {
        editor.send_raw(bad.as_bytes()).await;
        let error = editor.receive(|message| message["id"].is_null() && message.get("error").is_some()).await;
        assert_eq!(error["error"]["code"], -32700);
        let id = editor.ask_inline(0, 1).await;
        assert_eq!(editor.reply(id).await, item(0, 1, "b"));
    }
    editor.leave().await;
}

#[tokio::test]
async fn what_is_json_and_no_message_is_refused() {
    let mut editor = Editor::with("a").await;
    for bad in [
        json!([]),
        json!(1),
        json!({ "jsonrpc": "2.0" }),
        json!({ "method": 5 }),
        json!({ "method": INLINE }),
    ] {
        editor.send(bad).await;
        let error = editor.receive(|message| message["id"].is_null() && message.get("error").is_some()).await;
        assert_eq!(error["error"]["code"], -32600);
    }
    editor.send(json!({ "jsonrpc": "2.0", "id": 99, "result": "to nothing that was asked" })).await;
    for method in ["no/such/method", "$/noSuchMethod"] {
        let id = editor.ask(method, json!({})).await;
        assert_eq!(editor.error(id).await, -32601, "{method}");
    }
    editor.tell("$/noSuchNotification", json!({})).await;
    for params in
        [json!({}), json!({ "textDocument": { "uri": "no uri" }, "position": { "line": 0, "character": 0 } })]
    {
        let id = editor.ask(INLINE, params).await;
        assert_eq!(editor.error(id).await, -32602);
    }
    editor.tell("textDocument/didChange", json!({ "textDocument": 1 })).await;
    assert_eq!(editor.inline(0, 1, "b").await, item(0, 1, "b"));
    editor.leave().await;
}

#[tokio::test]
async fn bad_settings_are_told_once_and_the_defaults_hold() {
    let mut editor = Editor::start();
    let options = json!({ "block": 7, "maxTokens": 12, "noSuchSetting": true });
    editor.initialize(json!({ "initializationOptions": options })).await;
    let message = editor.told("window/showMessage").await;
    assert_eq!(message["type"], 2);
    assert!(
        message["message"].as_str().unwrap().contains("block must be 8, 16, 32 or 64, not 7"),
        "{message}"
    );
    editor.stage.load().await.succeed();
    editor.open(URI, "a").await;
    let id = editor.ask_inline(0, 1).await;
    let request = editor.stage.answer("b").await;
    assert_eq!((request.decoding.block, request.max_tokens), (Decoding::default().block, 12));
    assert_eq!(editor.reply(id).await, item(0, 1, "b"));
    editor.leave().await;
}
