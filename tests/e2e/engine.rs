//! The engine loads, fails, dies and comes back; the documents stay.

use cinnabar_engine::EngineError;
use serde_json::{Value, json};

use crate::harness::{Editor, URI, item, nothing};

const CREATE: &str = "window/workDoneProgress/create";

fn with_progress() -> Value {
    let window = json!({ "workDoneProgress": true });
    json!({ "capabilities": { "window": window, "textDocument": { "inlineCompletion": {} } } })
}

#[tokio::test]
async fn loading_shows_progress() {
    let mut editor = Editor::start();
    editor.initialize(with_progress()).await;
    let loading = editor.stage.load().await;
    let (id, params) = editor.asked(CREATE).await;
    editor.send(json!({ "jsonrpc": "2.0", "id": id, "result": null })).await;
    let begin = editor.told("$/progress").await;
    assert_eq!(begin["token"], params["token"]);
    assert_eq!(begin["value"]["kind"], "begin");
    loading.succeed();
    let end = editor.told("$/progress").await;
    assert_eq!((&end["token"], &end["value"]["kind"]), (&params["token"], &json!("end")));
    assert_eq!(end["value"]["message"], "a script");
    editor.leave().await;
}

#[tokio::test]
async fn a_client_that_refuses_the_progress_gets_none() {
    let mut editor = Editor::start();
    editor.initialize(with_progress()).await;
    let loading = editor.stage.load().await;
    let (id, _) = editor.asked(CREATE).await;
    let error = json!({ "code": -32601, "message": "no" });
    editor.send(json!({ "jsonrpc": "2.0", "id": id, "error": error })).await;
    loading.succeed();
    editor.open(URI, "a").await;
    assert_eq!(editor.inline(0, 1, "b").await, item(0, 1, "b"));
    editor.leave().await;
}

#[tokio::test]
async fn a_request_waits_while_the_model_loads() {
    let mut editor = Editor::start();
    editor.initialize(json!({ "initializationOptions": { "deadlineMs": 60000 } })).await;
    editor.open(URI, "a").await;
    let id = editor.ask_inline(0, 1).await;
    editor.stage.load().await.succeed();
    editor.stage.answer("b").await;
    assert_eq!(editor.reply(id).await, item(0, 1, "b"));
    editor.leave().await;
}

#[tokio::test]
async fn a_model_that_does_not_load_is_told_once() {
    let mut editor = Editor::start();
    editor.initialize(with_progress()).await;
    let loading = editor.stage.load().await;
    let (id, _) = editor.asked(CREATE).await;
    editor.send(json!({ "jsonrpc": "2.0", "id": id, "result": null })).await;
    assert_eq!(editor.told("$/progress").await["value"]["kind"], "begin");
    loading.fail(EngineError::NotRunning("no model is there".into()));
    assert_eq!(editor.told("$/progress").await["value"]["kind"], "end");
    let message = editor.told("window/showMessage").await;
    assert_eq!(message["type"], 1);
    assert!(message["message"].as_str().unwrap().contains("no model is there"), "{message}");
    editor.open(URI, "a").await;
    for _ in 0..3 {
        let id = editor.ask_inline(0, 1).await;
        assert_eq!(editor.reply(id).await, nothing());
    }
    editor.leave().await;
}

#[tokio::test]
async fn a_crash_costs_one_answer_and_a_restart_keeps_the_documents() {
    let mut editor = Editor::with("a").await;
    let id = editor.ask_inline(0, 1).await;
    editor.stage.call().await.panic();
    assert_eq!(editor.reply(id).await, nothing());
    editor.edit(2, (0, 1), (0, 1), "b").await;
    editor.stage.load().await.succeed();
    let id = editor.ask_inline(0, 2).await;
    assert_eq!(editor.stage.answer("c").await.prompt.prefix, "ab");
    assert_eq!(editor.reply(id).await, item(0, 2, "c"));

    editor.edit(3, (0, 2), (0, 2), "d").await;
    let id = editor.ask_inline(0, 3).await;
    editor.stage.call().await.panic();
    assert_eq!(editor.reply(id).await, nothing());
    let message = editor.told("window/showMessage").await;
    assert!(message["message"].as_str().unwrap().contains("2 times"), "{message}");
    editor.edit(4, (0, 3), (0, 3), "c").await;
    let id = editor.ask_inline(0, 4).await;
    assert_eq!(editor.reply(id).await, nothing());
    editor.leave().await;
}

#[tokio::test]
async fn a_failure_costs_one_answer() {
    let mut editor = Editor::with("a").await;
    let id = editor.ask_inline(0, 1).await;
    drop(editor.stage.call().await);
    assert_eq!(editor.reply(id).await, nothing());
    assert_eq!(editor.inline(0, 1, "b").await, item(0, 1, "b"));
    editor.leave().await;
}
