//! Rule 9: secrets are neither completed nor read into a prompt, however the editor asks.

use serde_json::json;
use tower_lsp::lsp_types::Url;

use crate::harness::{Editor, item, nothing};

#[tokio::test]
async fn rule_9_secrets_get_no_answer_and_no_prompt() {
    let mut editor = Editor::with("a").await;
    for uri in ["file:///project/.env", "untitled:.env.local", "file:///project/keys/server.pem"] {
        editor.open(uri, "TOKEN=\n").await;
        for context in [json!({ "triggerKind": 1 }), json!({ "triggerKind": 2 })] {
            let id = editor.ask_inline_with(uri, 0, 6, context).await;
            assert_eq!(editor.reply(id).await, nothing(), "{uri}");
        }
        // An edit lets the engine read on where it may.
        editor.change(uri, 2, json!([{ "text": "TOKEN=0123456789" }])).await;
        let position = json!({ "line": 0, "character": 6 });
        let params = json!({ "textDocument": { "uri": uri }, "position": position });
        let id = editor.ask("textDocument/completion", params).await;
        assert_eq!(editor.reply(id).await, json!({ "isIncomplete": true, "items": [] }), "{uri}");
    }
    // Nothing of this was in the engine's queue before the first buffer that may be read.
    let id = editor.ask_inline(0, 1).await;
    assert_eq!(editor.stage.answer("b").await.prompt.prefix, "a");
    assert_eq!(editor.reply(id).await, item(0, 1, "b"));
    editor.open("file:///project/.env.example", "TOKEN=").await;
    let id = editor.ask_inline_in("file:///project/.env.example", 0, 6).await;
    editor.stage.answer("change_me").await;
    assert_eq!(editor.reply(id).await, item(0, 6, "change_me"));
    // Only this one is read ahead, of all that was edited.
    editor.change("file:///project/.env.example", 2, json!([{ "text": "TOKEN=x\nB=" }])).await;
    assert_eq!(editor.stage.prepared().await.prefix, "TOKEN=x\nB=");
    editor.leave().await;
}

#[tokio::test]
async fn rule_9_the_users_ignore_file_is_honoured() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    std::fs::write(root.join(".cinnabarignore"), "generated/\n").unwrap();
    let uri = |path: &str| Url::from_file_path(root.join(path)).unwrap().to_string();
    let mut editor = Editor::start();
    let folders = json!([{ "uri": uri(""), "name": "project" }]);
    editor.initialize(json!({ "workspaceFolders": folders })).await;
    editor.stage.load().await.succeed();
    editor.open(&uri("generated/a.rs"), "a").await;
    let id = editor.ask_inline_in(&uri("generated/a.rs"), 0, 1).await;
    assert_eq!(editor.reply(id).await, nothing());
    editor.open(&uri("a.rs"), "a").await;
    let id = editor.ask_inline_in(&uri("a.rs"), 0, 1).await;
    editor.stage.answer("b").await;
    assert_eq!(editor.reply(id).await, item(0, 1, "b"));
    editor.leave().await;
}
