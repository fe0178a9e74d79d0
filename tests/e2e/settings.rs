//! Settings that the editor tells, at the start and later.

use serde_json::{Value, json};
use tower_lsp::lsp_types::Url;

use crate::harness::{Editor, URI, item, nothing};

const ASKED: &str = "workspace/configuration";

/// An editor that can be asked for its settings, and answers with these.
async fn start(options: Value, settings: Value) -> Editor {
    let mut editor = Editor::start();
    let capabilities = json!({
        "workspace": { "configuration": true },
        "textDocument": { "inlineCompletion": {} },
    });
    editor.initialize(json!({ "capabilities": capabilities, "initializationOptions": options })).await;
    editor.stage.load().await.succeed();
    answer(&mut editor, settings).await;
    editor.open(URI, "a\n").await;
    editor
}

async fn answer(editor: &mut Editor, settings: Value) {
    let (id, params) = editor.asked(ASKED).await;
    assert_eq!(params["items"][0]["section"], "cinnabar");
    editor.send(json!({ "jsonrpc": "2.0", "id": id, "result": [settings] })).await;
}

/// Asks at the end of the first line; how many tokens the engine may use.
async fn max_tokens(editor: &mut Editor, text: &str) -> usize {
    let id = editor.ask_inline(0, 1).await;
    let request = editor.stage.answer(text).await;
    assert_eq!(editor.reply(id).await, item(0, 1, text));
    request.max_tokens
}

#[tokio::test]
async fn the_editor_is_asked_and_asked_again() {
    let mut editor = start(json!({ "maxTokens": 5 }), json!({ "maxTokens": 6, "ofTheEditor": 1 })).await;
    assert_eq!(max_tokens(&mut editor, "b").await, 6);
    // It is told that something changed; a remembered answer to the same question is void.
    editor.edit(2, (0, 0), (0, 1), "x").await;
    editor.tell("workspace/didChangeConfiguration", json!({ "settings": null })).await;
    answer(&mut editor, json!({ "maxTokens": 7 })).await;
    editor.edit(3, (0, 0), (0, 1), "a").await;
    assert_eq!(max_tokens(&mut editor, "c").await, 7);
    // The settings come along.
    editor.edit(4, (0, 0), (0, 1), "x").await;
    editor.tell("workspace/didChangeConfiguration", json!({ "settings": { "cinnabar": {} } })).await;
    editor.edit(5, (0, 0), (0, 1), "a").await;
    assert_eq!(max_tokens(&mut editor, "d").await, 5);
    editor.leave().await;
}

#[tokio::test]
async fn problems_are_told_once_and_so_is_what_needs_a_restart() {
    let bad = json!({ "maxTokens": 0, "block": 9, "device": "cpu", "threads": 2 });
    let mut editor = start(json!({}), bad.clone()).await;
    let warning = editor.told("window/showMessage").await;
    let told = warning["message"].as_str().unwrap();
    assert!(told.contains("block must be 8, 16, 32 or 64") && told.contains("maxTokens must be"), "{told}");
    let note = editor.told("window/showMessage").await;
    let told = note["message"].as_str().unwrap();
    assert!(told.contains("device, threads") && told.contains("started again"), "{told}");
    for enable in [true, false] {
        let mut settings = bad.clone();
        settings["enable"] = enable.into();
        let settings = json!({ "settings": { "cinnabar": settings } });
        editor.tell("workspace/didChangeConfiguration", settings).await;
    }
    let id = editor.ask_inline(0, 1).await;
    assert_eq!(editor.reply(id).await, nothing());
    // A message that was told twice would be unread now.
    editor.leave().await;
}

#[tokio::test]
async fn what_is_switched_off_gets_nothing_until_it_is_switched_on() {
    let mut editor = start(json!({}), Value::Null).await;
    for (off, on) in [
        (json!({ "enable": false }), json!({ "enable": true })),
        (json!({ "languages": { "rust": false } }), json!({ "languages": { "*": false, "rust": true } })),
        (json!({ "disabledGlobs": ["src/*.rs"] }), json!({ "disabledGlobs": ["*.rs.bak"] })),
    ] {
        editor.tell("workspace/didChangeConfiguration", json!({ "settings": { "cinnabar": off } })).await;
        let id = editor.ask_inline(0, 1).await;
        assert_eq!(editor.reply(id).await, nothing(), "{off}");
        editor.tell("workspace/didChangeConfiguration", json!({ "settings": { "cinnabar": on } })).await;
        let answer = editor.ask_inline(1, 0).await;
        editor.stage.answer("b").await;
        assert_eq!(editor.reply(answer).await, item(1, 0, "b"), "{on}");
        // Nothing is left on screen for the next round.
        editor.edit(2, (0, 1), (0, 1), " ").await;
        editor.edit(3, (0, 1), (0, 2), "").await;
    }
    editor.leave().await;
}

#[tokio::test]
async fn a_projects_file_is_read_and_cannot_choose_the_model() {
    let folder = tempfile::tempdir().unwrap();
    let text = "maxTokens = 9\nmodel = \"evil.gguf\"\n";
    std::fs::write(folder.path().join(".cinnabar.toml"), text).unwrap();
    let mut editor = Editor::start();
    let root = Url::from_directory_path(folder.path()).unwrap();
    editor.initialize(json!({ "workspaceFolders": [{ "uri": root, "name": "project" }] })).await;
    let warning = editor.told("window/showMessage").await;
    assert!(warning["message"].as_str().unwrap().contains("model must be set by the user"), "{warning}");
    editor.stage.load().await.succeed();
    editor.open(URI, "a\n").await;
    assert_eq!(max_tokens(&mut editor, "b").await, 9);
    editor.leave().await;
}

#[tokio::test]
async fn a_projects_file_that_changes_is_read_again() {
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let file = folders[1].path().join(".cinnabar.toml");
    let mut editor = Editor::start();
    let roots = folders.each_ref().map(|folder| Url::from_directory_path(folder.path()).unwrap());
    let roots = roots.map(|root| json!({ "uri": root, "name": "project" }));
    editor.initialize(json!({ "workspaceFolders": roots })).await;
    editor.stage.load().await.succeed();
    editor.open(URI, "a\n").await;
    assert_eq!(max_tokens(&mut editor, "b").await, 64);
    let mut version: i32 = 1;
    for (text, expected) in [(Some("maxTokens = 9\n"), 9), (Some("maxTokens = 11\n"), 11), (None, 64)] {
        match text {
            Some(text) => std::fs::write(&file, text).unwrap(),
            None => std::fs::remove_file(&file).unwrap(),
        }
        // Each question is a new one, so that the engine is asked.
        while {
            version += 1;
            let another = char::from_u32(0x4e00 + version.unsigned_abs()).unwrap();
            editor.edit(version, (0, 0), (0, 1), &another.to_string()).await;
            max_tokens(&mut editor, &format!("b{version}")).await != expected
        } {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
    editor.leave().await;
}
