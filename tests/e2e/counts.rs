//! Rule 12: what becomes of suggestions is counted, here and nowhere else.

use cinnabar_server::Ended;
use serde_json::{Value, json};

use crate::harness::{Editor, URI, item, nothing};

/// Inserts what was suggested last and says so, as editors do.
async fn accept(editor: &mut Editor) {
    let params = json!({ "command": editor.command["command"], "arguments": editor.command["arguments"] });
    let id = editor.ask("workspace/executeCommand", params).await;
    assert_eq!(editor.reply(id).await, Value::Null);
}

async fn show(editor: &mut Editor, text: &str) {
    let item = shown(editor, text);
    editor.tell("textDocument/didShowCompletion", json!({ "item": item })).await;
}

async fn take(editor: &mut Editor, text: &str, length: usize) {
    let params = json!({ "item": shown(editor, text), "acceptedLength": length });
    editor.tell("textDocument/didPartiallyAcceptCompletion", params).await;
}

fn shown(editor: &Editor, text: &str) -> Value {
    let mut item = item(0, 1, text)["items"][0].take();
    item["command"] = editor.command.clone();
    item
}

/// The counts' file, once the server has ended.
async fn counts(mut editor: Editor) -> (String, Value) {
    let id = editor.ask("shutdown", Value::Null).await;
    editor.reply(id).await;
    editor.tell("exit", Value::Null).await;
    assert_eq!(editor.ended().await, Ended::Exit { in_order: true });
    let text = std::fs::read_to_string(editor.folder.path().join("stats.json")).unwrap();
    let stats = serde_json::from_str(&text).unwrap();
    (text, stats)
}

#[tokio::test]
async fn rule_12_each_suggestion_is_counted_once_by_what_became_of_it() {
    let mut editor = Editor::with("a\n").await;
    // Accepted: the edit, the command; told twice, counted once.
    assert_eq!(editor.inline(0, 1, "bcd").await, item(0, 1, "bcd"));
    assert_eq!(
        (&editor.command["title"], &editor.command["command"]),
        (&"Accepted".into(), &"cinnabar.didAccept".into())
    );
    show(&mut editor, "bcd").await;
    show(&mut editor, "bcd").await;
    editor.edit(2, (0, 1), (0, 1), "bcd").await;
    accept(&mut editor).await;
    accept(&mut editor).await;
    // Typed through, which is the same suggestion, then given up for another one.
    assert_eq!(editor.inline(0, 4, "ef").await, item(0, 4, "ef"));
    let first = editor.command.clone();
    show(&mut editor, "ef").await;
    editor.edit(3, (0, 4), (0, 4), "e").await;
    let id = editor.ask_inline(0, 5).await;
    assert_eq!(editor.reply(id).await, item(0, 5, "f"));
    assert_eq!(editor.command, first, "the same suggestion");
    editor.edit(4, (0, 5), (0, 5), "x").await;
    assert_eq!(editor.inline(0, 6, "y\nz").await, item(0, 6, "y\nz"));
    assert_ne!(editor.command, first);
    // Its first line is taken.
    take(&mut editor, "y\nz", 2).await;
    editor.edit(5, (0, 6), (0, 6), "y\n").await;
    // Typed to the end, and the file is closed.
    assert_eq!(editor.inline(0, 1, "z;").await, item(0, 1, "z;"));
    show(&mut editor, "z;").await;
    editor.edit(6, (0, 1), (0, 1), "z;").await;
    editor.tell("textDocument/didClose", json!({ "textDocument": { "uri": URI } })).await;

    let (text, stats) = counts(editor).await;
    let rust = &stats["counts"]["rust"];
    let count = |class: &str, what: &str| rust[class][what].as_u64().unwrap();
    assert_eq!(count("rest of a line", "accepted"), 1);
    assert_eq!(count("rest of a line", "dismissed"), 1);
    assert_eq!(count("inside a line", "typed"), 1);
    assert_eq!(count("several lines", "partly_accepted"), 1);
    assert_eq!((count("rest of a line", "characters"), count("several lines", "characters")), (3, 2));
    for class in ["rest of a line", "inside a line", "several lines"] {
        let of = |what| count(class, what);
        assert_eq!(of("shown"), of("accepted") + of("partly_accepted") + of("typed") + of("dismissed"));
        let answers = rust[class]["latency"].as_array().unwrap().iter().map(|n| n.as_u64().unwrap());
        assert_eq!(of("offered"), answers.sum::<u64>());
    }
    assert!(!text.contains("bcd") && !text.contains("main"), "no text and no path: {text}");
}

#[tokio::test]
async fn rule_12_what_the_editor_does_not_show_is_not_dismissed() {
    let mut editor = Editor::with("a\n").await;
    assert_eq!(editor.inline(0, 1, "b").await, item(0, 1, "b"));
    let (_, stats) = counts(editor).await;
    let counts = &stats["counts"]["rust"]["rest of a line"];
    assert_eq!(
        (&counts["offered"], &counts["shown"], &counts["dismissed"]),
        (&1.into(), &0.into(), &0.into())
    );
}

#[tokio::test]
async fn rule_12_unknown_ids_and_commands_change_nothing() {
    let mut editor = Editor::with("a\n").await;
    editor.command = json!({ "title": "", "command": "cinnabar.didAccept", "arguments": ["0-1"] });
    accept(&mut editor).await;
    show(&mut editor, "b").await;
    take(&mut editor, "b", 1).await;
    editor.tell("textDocument/didShowCompletion", json!({ "item": { "insertText": "b" } })).await;
    editor.tell("textDocument/didPartiallyAcceptCompletion", json!({})).await;
    for params in [
        json!({ "command": "cinnabar.didAccept" }),
        json!({ "command": "cinnabar.didAccept", "arguments": [1] }),
        json!({ "command": "rm", "arguments": ["-r"] }),
    ] {
        let id = editor.ask("workspace/executeCommand", params).await;
        assert_eq!(editor.error(id).await, -32602);
    }
    assert_eq!(editor.inline(0, 1, "").await, nothing());
    editor.leave().await;
}
