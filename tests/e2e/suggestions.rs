//! What the editor gets.

use serde_json::{Value, json};

use crate::harness::{Editor, URI, item, item_over, nothing};

#[tokio::test]
async fn ghost_text_at_the_cursor() {
    let mut editor = Editor::with("fn main() {\n    \n}\n").await;
    let id = editor.ask_inline(1, 4).await;
    let request = editor.stage.answer("let a = 1;\n    let b = 2;\n").await;
    assert_eq!(request.prompt.path.as_deref(), Some("src/main.rs"));
    assert_eq!(request.prompt.prefix, "fn main() {\n    ");
    assert_eq!(request.prompt.suffix, "\n}\n");
    assert_eq!(request.max_lines, None);
    assert_eq!(editor.reply(id).await, item(1, 4, "let a = 1;\n    let b = 2;"));
    editor.leave().await;
}

/// What the next key would cancel need not be longer than a line, unless it is asked for by hand.
#[tokio::test]
async fn behind_something_on_its_line_a_line_in_time_is_enough() {
    const INVOKED: u32 = 1;
    const AUTOMATIC: u32 = 2;
    for (line, kind, patient) in
        [("", AUTOMATIC, true), ("let a", AUTOMATIC, false), ("let a", INVOKED, true), ("", INVOKED, true)]
    {
        let mut editor = Editor::with(&format!("fn main() {{\n    {line}\n}}\n")).await;
        let column = 4 + u32::try_from(line.len()).unwrap();
        let id = editor.ask_inline_with(URI, 1, column, json!({ "triggerKind": kind })).await;
        assert_eq!(editor.stage.answer(" = 1;").await.patience.is_none(), patient, "{line:?}, {kind}");
        editor.reply(id).await;
        editor.leave().await;
    }
}

#[tokio::test]
async fn rule_5_one_line_inside_a_line_without_what_is_there_already() {
    let mut editor = Editor::with("foo(, b)\n").await;
    let id = editor.ask_inline(0, 4).await;
    let request = editor.stage.answer("a, b)\nbar()").await;
    assert_eq!(request.max_lines, Some(1));
    assert_eq!(editor.reply(id).await, item(0, 4, "a"));
    editor.leave().await;
}

#[tokio::test]
async fn rule_5_an_auto_closed_bracket_is_replaced() {
    let mut editor = Editor::with("fn f()\n").await;
    assert_eq!(editor.inline(0, 5, "a: u8) -> u8 {").await, item_over((0, 5), (0, 6), "a: u8) -> u8 {"));
    editor.leave().await;
}

#[tokio::test]
async fn rule_6_the_buffers_line_breaks() {
    let mut editor = Editor::with("fn f() {\r\n\r\n}\r\n").await;
    let id = editor.ask_inline(1, 0).await;
    let request = editor.stage.answer("    a();\n    b();\n").await;
    assert_eq!(request.prompt.prefix, "fn f() {\n");
    assert_eq!(request.prompt.suffix, "\n}\n");
    assert_eq!(editor.reply(id).await, item(1, 0, "    a();\r\n    b();"));
    editor.leave().await;
}

#[tokio::test]
async fn rule_6_the_buffers_indentation() {
    let mut editor = Editor::with("fn f() {\n\tif a {\n\t}\n}\n").await;
    assert_eq!(editor.inline(1, 7, "\n        b();\n    }").await, item(1, 7, "\n\t\tb();"));
    editor.leave().await;
}

#[tokio::test]
async fn rule_7_several_lines_end_with_the_block_and_add_no_error() {
    let mut editor = Editor::with("fn f() {\n").await;
    let answer = "\n    a();\n}\n\nfn g() {\n    b();\n}";
    assert_eq!(editor.inline(0, 8, answer).await, item(0, 8, "\n    a();\n}"));
    editor.edit(2, (0, 8), (0, 8), "\n    a();\n}").await;
    assert_eq!(editor.inline(1, 8, "\n    b();\n    if c {").await, item(1, 8, "\n    b();"));
    editor.edit(3, (1, 8), (1, 8), "\n    b();").await;
    assert_eq!(editor.inline(2, 8, "\n    if c {").await, nothing());
    editor.leave().await;
}

#[tokio::test]
async fn rule_8_blanks_and_repetitions_are_nothing() {
    let mut editor = Editor::with("{\n\n}\n").await;
    for (version, text) in (2..).zip(["", " \n\t", "\n}\n", "}"]) {
        // Another text each time: what was no suggestion is known not to be one.
        editor.edit(version, (0, 0), (0, 0), "{").await;
        assert_eq!(editor.inline(1, 0, text).await, nothing(), "{text:?}");
        let id = editor.ask_inline(1, 0).await;
        assert_eq!(editor.reply(id).await, nothing(), "{text:?} again");
    }
    editor.leave().await;
}

#[tokio::test]
async fn the_editor_by_itself_gets_nothing_in_prose_and_before_words_but_the_user_does() {
    let mut editor = Editor::with("// to do\nlet a = 1;\n").await;
    for (line, column) in [(0, 8), (1, 8)] {
        // No call reaches the engine, and the request is answered.
        let automatic = editor.ask_inline_with(URI, line, column, json!({ "triggerKind": 2 })).await;
        assert_eq!(editor.reply(automatic).await, nothing());
        assert_eq!(editor.inline(line, column, "b").await, item(line, column, "b"));
    }
    let automatic = editor.ask_inline_with(URI, 1, 5, json!({ "triggerKind": 2 })).await;
    editor.stage.answer("b").await;
    assert_eq!(editor.reply(automatic).await, item(1, 5, "b"));
    // One that is refused takes the place of an older one as well.
    let old = editor.ask_inline(1, 9).await;
    let busy = editor.stage.call().await;
    let new = editor.ask_inline_with(URI, 0, 8, json!({ "triggerKind": 2 })).await;
    assert_eq!((editor.reply(old).await, editor.reply(new).await), (Value::Null, nothing()));
    busy.until_stopped().recv().unwrap();
    editor.leave().await;
}

#[tokio::test]
async fn what_is_selected_in_the_menu_is_gone_on_from() {
    let mut editor = Editor::with("let a = b.le;\n").await;
    let range = json!({ "start": { "line": 0, "character": 10 }, "end": { "line": 0, "character": 12 } });
    let context = json!({ "triggerKind": 2, "selectedCompletionInfo": { "range": range, "text": "length" } });
    let id = editor.ask_inline_with(URI, 0, 12, context).await;
    let request = editor.stage.answer(" + 1;").await;
    assert_eq!((request.prompt.prefix.as_str(), request.prompt.suffix.as_str()), ("let a = b.length", ";\n"));
    assert_eq!(editor.reply(id).await, item_over((0, 10), (0, 12), "length + 1"));
    // The menu's entry changes with what is typed: the answer is void.
    let context = json!({ "triggerKind": 2, "selectedCompletionInfo": { "range": range, "text": "left" } });
    let id = editor.ask_inline_with(URI, 0, 12, context).await;
    let call = editor.stage.call().await;
    editor.edit(2, (0, 12), (0, 12), "n").await;
    call.answer(" + 1;");
    assert_eq!(editor.reply(id).await, nothing());
    editor.leave().await;
}

#[tokio::test]
async fn rule_8_what_the_model_is_unsure_of_is_shown_as_far_as_the_user_wants() {
    let by_itself = json!({ "triggerKind": 2 });
    for (least, shown) in [(json!(0.5), false), (json!(0), true)] {
        let mut editor = Editor::start();
        editor.initialize(json!({ "initializationOptions": { "minProbability": least } })).await;
        editor.stage.load().await.succeed();
        editor.open(URI, "a\n").await;
        let id = editor.ask_inline_with(URI, 0, 1, by_itself.clone()).await;
        editor.stage.call().await.answer_as_sure_as(0.1f32.ln(), "b");
        assert_eq!(editor.reply(id).await, if shown { item(0, 1, "b") } else { nothing() });
        let id = editor.ask_inline_with(URI, 1, 0, by_itself.clone()).await;
        editor.stage.call().await.answer_as_sure_as(0.6f32.ln(), "b");
        assert_eq!(editor.reply(id).await, item(1, 0, "b"));
        // Who asks by hand wants to see it all the same.
        editor.edit(2, (1, 0), (1, 0), "x").await;
        let id = editor.ask_inline(1, 1).await;
        editor.stage.call().await.answer_as_sure_as(0.1f32.ln(), "c");
        assert_eq!(editor.reply(id).await, item(1, 1, "c"));
        editor.leave().await;
    }
}

#[tokio::test]
async fn a_menu_entry_where_there_is_no_ghost_text() {
    let mut editor = Editor::start();
    let result = editor.initialize(json!({ "capabilities": {}, "clientInfo": { "name": "helix" } })).await;
    let triggers = &result["capabilities"]["completionProvider"]["triggerCharacters"];
    assert!(triggers.as_array().is_some_and(|t| t.contains(&json!("."))), "{triggers}");
    editor.stage.load().await.succeed();
    editor.open(URI, "let val\n").await;
    let position = json!({ "textDocument": { "uri": URI }, "position": { "line": 0, "character": 7 } });
    let id = editor.ask("textDocument/completion", position).await;
    editor.stage.answer("ue = 1;\nlet b = 2;").await;
    let list = editor.reply(id).await;
    assert_eq!(list["isIncomplete"], true);
    let items = list["items"].as_array().unwrap();
    let [entry] = items.as_slice() else { panic!("{items:?}") };
    assert_eq!(entry["label"], "value = 1;");
    assert_eq!(entry["filterText"], "value = 1;");
    assert_eq!((&entry["kind"], &entry["insertTextFormat"]), (&json!(1), &json!(1)));
    assert_eq!(entry["documentation"], "value = 1;\nlet b = 2;");
    assert_eq!(entry["textEdit"]["newText"], "value = 1;\nlet b = 2;");
    let range = json!({ "start": { "line": 0, "character": 4 }, "end": { "line": 0, "character": 7 } });
    assert_eq!(entry["textEdit"]["range"], range);
    editor.leave().await;
}

#[tokio::test]
async fn rule_8_a_menu_that_does_not_say_who_asks_shows_what_is_asked_for_again() {
    let mut editor = Editor::start();
    editor.initialize(json!({ "capabilities": {}, "clientInfo": { "name": "helix" } })).await;
    editor.stage.load().await.succeed();
    editor.open(URI, "let val = \n").await;
    let ask = |column: u32, kind: u32| {
        let at = json!({ "line": 0, "character": column });
        json!({ "textDocument": { "uri": URI }, "position": at, "context": { "triggerKind": kind } })
    };
    let unsure = 0.1f32.ln();
    // A word is being typed, or a character opened the menu: the editor asks.
    for (column, kind) in [(10, 2), (7, 1)] {
        let id = editor.ask("textDocument/completion", ask(column, kind)).await;
        editor.stage.call().await.answer_as_sure_as(unsure, "a");
        assert_eq!(editor.reply(id).await["items"], json!([]), "{column}");
    }
    // At the same place again, which the answer is known for; and where no word is.
    let id = editor.ask("textDocument/completion", ask(7, 1)).await;
    assert_eq!(editor.reply(id).await["items"][0]["textEdit"]["newText"], "vala");
    editor.edit(2, (0, 0), (0, 0), " ").await;
    let id = editor.ask("textDocument/completion", ask(11, 1)).await;
    editor.stage.call().await.answer_as_sure_as(unsure, "b");
    assert_eq!(editor.reply(id).await["items"][0]["textEdit"]["newText"], "b");
    editor.leave().await;
}

#[tokio::test]
async fn each_client_is_offered_what_it_can_show() {
    for (name, ghost_text, menu, triggers) in
        [("Neovim", true, false, false), ("helix", false, true, true), ("emacs", false, true, false)]
    {
        let mut editor = Editor::start();
        let text_document = if ghost_text { json!({ "inlineCompletion": {} }) } else { json!({}) };
        let params =
            json!({ "clientInfo": { "name": name }, "capabilities": { "textDocument": text_document } });
        let capabilities = editor.initialize(params).await["capabilities"].take();
        assert_eq!(capabilities["inlineCompletionProvider"], true);
        assert_eq!(capabilities.get("completionProvider").is_some(), menu, "{name}");
        assert_eq!(
            capabilities["completionProvider"]["triggerCharacters"] != Value::Null,
            triggers,
            "{name}"
        );
        editor.stage.load().await.succeed();
        editor.leave().await;
    }
}
