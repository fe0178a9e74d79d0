//! The mirror, seen through what the engine is asked.

use serde_json::json;

use crate::harness::{Editor, URI, item, nothing};

#[tokio::test]
async fn rule_1_each_encoding_is_agreed_on_and_used() {
    for (offered, agreed, column, end) in [
        (json!(["utf-8", "utf-16", "utf-32"]), "utf-8", 7, 11),
        (json!(["utf-16"]), "utf-16", 4, 6),
        (json!(["utf-32"]), "utf-32", 3, 4),
        (json!(null), "utf-16", 4, 6),
    ] {
        let mut editor = Editor::start();
        let capabilities = json!({
            "general": { "positionEncodings": offered },
            "textDocument": { "inlineCompletion": {} },
        });
        let result = editor.initialize(json!({ "capabilities": capabilities })).await;
        assert_eq!(result["capabilities"]["positionEncoding"], agreed);
        editor.stage.load().await.succeed();
        editor.open(URI, "a😀éx\n").await;
        // The x becomes an emoji; the cursor stands behind it.
        editor.edit(2, (0, column), (0, column + 1), "😀").await;
        let id = editor.ask_inline(0, end).await;
        let request = editor.stage.answer("z").await;
        assert_eq!(request.prompt.prefix, "a😀é😀", "{agreed}");
        assert_eq!(editor.reply(id).await, item(0, end, "z"), "{agreed}");
        editor.leave().await;
    }
}

#[tokio::test]
async fn rule_1_edits_are_applied_in_the_order_in_which_they_are_sent() {
    let mut editor = Editor::with("").await;
    for n in 0..200 {
        editor.edit(n + 2, (0, n as u32), (0, n as u32), &(n % 10).to_string()).await;
        if n % 7 == 0 {
            let id = editor.ask_inline(0, n as u32 + 1).await;
            let request = editor.stage.answer("x").await;
            assert_eq!(request.prompt.prefix.len(), n as usize + 1);
            assert_eq!(editor.reply(id).await, item(0, n as u32 + 1, "x"));
        }
    }
    let id = editor.ask_inline(0, 200).await;
    assert_eq!(editor.stage.answer("").await.prompt.prefix, "0123456789".repeat(20));
    assert_eq!(editor.reply(id).await, nothing());
    editor.leave().await;
}

#[tokio::test]
async fn an_unknown_document_is_nothing_and_changes_of_it_are_ignored() {
    let mut editor = Editor::with("a").await;
    editor.change("file:///other.rs", 3, json!([{ "text": "b" }])).await;
    editor.tell("textDocument/didClose", json!({ "textDocument": { "uri": "untitled:x" } })).await;
    editor.tell("textDocument/didSave", json!({ "textDocument": { "uri": "untitled:x" }, "text": "" })).await;
    let id = editor.ask_inline_in("file:///other.rs", 0, 0).await;
    assert_eq!(editor.reply(id).await, nothing());
    editor.leave().await;
}

#[tokio::test]
async fn rule_1_a_position_out_of_range_is_clamped() {
    let mut editor = Editor::with("ab\ncd").await;
    assert_eq!(editor.inline(99, 99, "e").await, item(1, 2, "e"));
    assert_eq!(editor.inline(0, u32::MAX, "e").await, item(0, 2, "e"));
    editor.leave().await;
}

#[tokio::test]
async fn a_document_is_forgotten_and_opened_again() {
    let mut editor = Editor::with("old").await;
    let id = editor.ask_inline(0, 3).await;
    let call = editor.stage.call().await;
    let old = call.request.document;
    editor.tell("textDocument/didClose", json!({ "textDocument": { "uri": URI } })).await;
    assert_eq!(editor.reply(id).await, nothing(), "at once, although the engine is busy");
    call.answer("late");
    editor.open(URI, "new").await;
    let id = editor.ask_inline(0, 3).await;
    let request = editor.stage.answer("").await;
    assert_eq!(request.prompt.prefix, "new");
    assert_ne!(request.document, old, "another text, another session");
    assert_eq!(editor.reply(id).await, nothing());
    editor.leave().await;
}

#[tokio::test]
async fn saving_brings_a_lost_mirror_back() {
    let mut editor = Editor::with("wrong").await;
    editor.tell("textDocument/didSave", json!({ "textDocument": { "uri": URI }, "text": "right" })).await;
    let id = editor.ask_inline(0, 5).await;
    assert_eq!(editor.stage.answer("").await.prompt.prefix, "right");
    assert_eq!(editor.reply(id).await, nothing());
    editor.leave().await;
}

#[tokio::test]
async fn rule_10_a_large_file_and_a_long_line() {
    let line = "x".repeat(1_000_000);
    let text = format!("{line}\n{}{line}", "let a = 1;\n".repeat(400_000));
    let mut editor = Editor::with(&text).await;
    for (line, column, end) in [(0, 500_000, 'x'), (200_000, 10, ';'), (400_001, 1_000_000, 'x')] {
        let id = editor.ask_inline(line, column).await;
        let prompt = editor.stage.answer("").await.prompt;
        assert!(prompt.prefix.ends_with(end) && prompt.prefix.len() <= 8192, "{}", prompt.prefix.len());
        assert!(prompt.suffix.len() <= 4096, "{}", prompt.suffix.len());
        assert_eq!(editor.reply(id).await, nothing());
    }
    editor.leave().await;
}
