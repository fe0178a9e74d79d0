//! Rule 10: what no editor should send, and what no machine should be like. A killed engine is in `engine`.

use serde_json::json;
use tower_lsp::lsp_types::Url;

use crate::harness::{Editor, URI, item, nothing};

/// The server still completes in an ordinary buffer.
async fn completes(editor: &mut Editor) {
    let uri = "file:///project/src/ordinary.rs";
    editor.open(uri, "a\n").await;
    let id = editor.ask_inline_in(uri, 0, 1).await;
    editor.stage.answer("b").await;
    assert_eq!(editor.reply(id).await, item(0, 1, "b"));
}

#[tokio::test]
async fn rule_10_a_file_of_50_mb() {
    let mut editor = Editor::with(&"let a = 1;\n".repeat(50_000_000 / 11)).await;
    for (version, line) in [(2, 0), (3, 2_000_000), (4, 4_545_453)] {
        editor.edit(version, (line, 10), (line, 10), " b").await;
        let id = editor.ask_inline(line, 12).await;
        let prompt = editor.stage.answer("c").await.prompt;
        assert!(prompt.prefix.ends_with("let a = 1; b") && prompt.prefix.len() < 20_000);
        assert_eq!(editor.reply(id).await, item(line, 12, "c"));
    }
    editor.leave().await;
}

#[tokio::test]
async fn rule_10_nul_bytes_and_other_controls() {
    let mut editor = Editor::with("a\0b\u{1}\u{7f}\u{feff}\u{2028}\n\0\0\0").await;
    for (line, column) in [(0, 1), (0, 2), (0, 7), (1, 2), (1, 3)] {
        let id = editor.ask_inline(line, column).await;
        editor.stage.answer("").await;
        assert_eq!(editor.reply(id).await, nothing());
    }
    editor.edit(2, (0, 0), (1, 3), "a").await;
    let id = editor.ask_inline(0, 1).await;
    assert_eq!(editor.stage.answer("\0").await.prompt.prefix, "a");
    editor.reply(id).await;
    completes(&mut editor).await;
    editor.leave().await;
}

#[tokio::test]
async fn rule_10_files_on_disk_that_are_no_text() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    for name in [".cinnabar.toml", ".cinnabarignore", ".gitignore", "a.rs"] {
        std::fs::write(root.join(name), b"\xff\xfe\0 = [\n*.log\n").unwrap();
    }
    let mut editor = Editor::start();
    let folders = json!([{ "uri": Url::from_directory_path(&root).unwrap(), "name": "project" }]);
    editor.initialize(json!({ "workspaceFolders": folders })).await;
    let warning = editor.told("window/showMessage").await;
    assert!(warning["message"].as_str().unwrap().contains(".cinnabar.toml cannot be read"), "{warning}");
    editor.stage.load().await.succeed();
    let uri = Url::from_file_path(root.join("a.rs")).unwrap();
    // What counts is what the editor has.
    editor.open(uri.as_str(), "a\n").await;
    let id = editor.ask_inline_in(uri.as_str(), 0, 1).await;
    editor.stage.answer("b").await;
    assert_eq!(editor.reply(id).await, item(0, 1, "b"));
    editor.leave().await;
}

#[tokio::test]
async fn rule_10_a_workspace_that_vanishes() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    let uri = Url::from_file_path(root.join("src/a.rs")).unwrap();
    let mut editor = Editor::start();
    let folders = json!([{ "uri": Url::from_directory_path(&root).unwrap(), "name": "project" }]);
    editor.initialize(json!({ "workspaceFolders": folders })).await;
    editor.stage.load().await.succeed();
    editor.open(uri.as_str(), "a\n").await;
    folder.close().unwrap();
    let id = editor.ask_inline_in(uri.as_str(), 0, 1).await;
    assert_eq!(editor.stage.answer("b").await.prompt.path.as_deref(), Some("src/a.rs"));
    assert_eq!(editor.reply(id).await, item(0, 1, "b"));
    editor.leave().await;
}

/// Nothing that the server writes is worth an answer.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn rule_10_a_full_disk() {
    let mut editor = Editor::with("a\n").await;
    // Where the counts are written before they take the old ones' place.
    std::os::unix::fs::symlink("/dev/full", editor.folder.path().join("stats.new")).unwrap();
    assert_eq!(editor.inline(0, 1, "b").await, item(0, 1, "b"));
    editor.tell("textDocument/didClose", json!({ "textDocument": { "uri": URI } })).await;
    completes(&mut editor).await;
    editor.leave().await;
}
