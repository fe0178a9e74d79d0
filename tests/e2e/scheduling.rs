//! Newest wins, cancellation, edits meanwhile, deadlines: nobody waits for the engine who need not.

use cinnabar_engine::Stop;
use serde_json::{Value, json};

use crate::harness::{Editor, INLINE, URI, item, nothing};

#[tokio::test]
async fn rule_2_a_newer_request_answers_the_older_one_at_once() {
    let mut editor = Editor::with("ab").await;
    let old = editor.ask_inline(0, 1).await;
    let busy = editor.stage.call().await;
    let new = editor.ask_inline(0, 2).await;
    assert_eq!(editor.reply(old).await, Value::Null, "null: what is on the screen stays");
    // Only now the engine comes to know, at its next step.
    assert_eq!(busy.until_stopped().recv().unwrap(), Stop::Cancelled);
    editor.stage.answer("c").await;
    assert_eq!(editor.reply(new).await, item(0, 2, "c"));
    editor.leave().await;
}

#[tokio::test]
async fn rule_2_of_many_requests_only_the_first_and_the_last_reach_the_engine() {
    let mut editor = Editor::with("ab").await;
    let first = editor.ask_inline(0, 2).await;
    let busy = editor.stage.call().await;
    let mut ids = vec![first];
    for _ in 0..50 {
        ids.push(editor.ask_inline(0, 2).await);
    }
    let last = ids.pop().unwrap();
    for id in ids {
        assert_eq!(editor.reply(id).await, Value::Null);
    }
    assert_eq!(busy.until_stopped().recv().unwrap(), Stop::Cancelled);
    editor.stage.answer("c").await;
    assert_eq!(editor.reply(last).await, item(0, 2, "c"));
    editor.leave().await;
}

#[tokio::test]
async fn rule_2_a_busy_engine_delays_neither_cancellations_nor_edits() {
    let mut editor = Editor::with("").await;
    let uris: Vec<String> = (0..8).map(|n| format!("file:///project/{n}.py")).collect();
    let mut ids = Vec::new();
    for uri in &uris {
        editor.open(uri, "x").await;
        ids.push(editor.ask_inline_in(uri, 0, 1).await);
    }
    let busy = editor.stage.call().await;
    // All eight wait. The third is cancelled, the fourth document is edited and asked about again.
    editor.tell("$/cancelRequest", json!({ "id": ids[2] })).await;
    assert_eq!(editor.error(ids[2]).await, -32800);
    editor.change(&uris[3], 2, json!([{ "text": "edited" }])).await;
    assert_eq!(editor.reply(ids[3]).await, nothing(), "nothing that was asked of the old text can be right");
    ids[3] = editor.ask_inline_in(&uris[3], 0, 6).await;
    busy.answer("0");
    let mut prefixes = Vec::new();
    for n in [1, 4, 5, 6, 7, 3] {
        prefixes.push(editor.stage.answer(&n.to_string()).await.prompt.prefix);
    }
    assert_eq!(prefixes, ["x", "x", "x", "x", "x", "edited"]);
    for n in [0, 1, 3, 4, 5, 6, 7] {
        let column = if n == 3 { 6 } else { 1 };
        assert_eq!(editor.reply(ids[n]).await, item(0, column, &n.to_string()));
    }
    editor.leave().await;
}

#[tokio::test]
async fn rule_2_cancelling_stops_the_engine() {
    let mut editor = Editor::with("a").await;
    let id = editor.ask_inline(0, 1).await;
    let call = editor.stage.call().await;
    editor.tell("$/cancelRequest", json!({ "id": id })).await;
    assert_eq!(editor.error(id).await, -32800);
    assert_eq!(call.until_stopped().recv().unwrap(), Stop::Cancelled);
    // What is unknown or finished is not an error.
    editor.tell("$/cancelRequest", json!({ "id": id })).await;
    editor.tell("$/cancelRequest", json!({ "id": "no such" })).await;
    assert_eq!(editor.inline(0, 1, "b").await, item(0, 1, "b"));
    editor.leave().await;
}

#[tokio::test]
async fn rule_3_an_answer_that_the_user_is_typing_is_still_right() {
    let mut editor = Editor::with("x = \n").await;
    let id = editor.ask_inline(0, 4).await;
    let call = editor.stage.call().await;
    editor.edit(2, (0, 4), (0, 4), "f").await;
    editor.edit(3, (0, 5), (0, 5), "oop").await;
    editor.edit(4, (0, 7), (0, 8), "").await;
    call.answer("foo(a)");
    assert_eq!(editor.reply(id).await, item(0, 7, "(a)"));
    editor.leave().await;
}

#[tokio::test]
async fn rule_3_an_answer_that_the_user_contradicts_is_not_shown() {
    let mut editor = Editor::with("x = \n").await;
    let id = editor.ask_inline(0, 4).await;
    let call = editor.stage.call().await;
    editor.edit(2, (0, 4), (0, 4), "b").await;
    call.answer("foo(a)");
    assert_eq!(editor.reply(id).await, nothing());
    let id = editor.ask_inline(0, 5).await;
    let call = editor.stage.call().await;
    editor.edit(3, (0, 0), (0, 1), "y").await;
    assert_eq!(editor.reply(id).await, nothing(), "at once: no answer can be right any more");
    assert_eq!(call.until_stopped().recv().unwrap(), Stop::Cancelled);
    editor.leave().await;
}

#[tokio::test]
async fn rule_4_typing_through_a_suggestion_costs_no_work() {
    let mut editor = Editor::with("x = \n").await;
    assert_eq!(editor.inline(0, 4, "foo(a)").await, item(0, 4, "foo(a)"));
    for (n, typed) in ["f", "o", "o", "("].into_iter().enumerate() {
        let column = 4 + n as u32;
        editor.edit(2 + n as i32, (0, column), (0, column), typed).await;
        let id = editor.ask_inline(0, column + 1).await;
        // No call reaches the engine.
        assert_eq!(editor.reply(id).await, item(0, column + 1, &"foo(a)"[n + 1..]));
    }
    // A correction of it neither.
    editor.edit(6, (0, 7), (0, 8), "").await;
    let id = editor.ask_inline(0, 7).await;
    assert_eq!(editor.reply(id).await, item(0, 7, "(a)"));
    // Something else does.
    editor.edit(7, (0, 7), (0, 7), "[").await;
    assert_eq!(editor.inline(0, 8, "1]").await, item(0, 8, "1]"));
    // And the way back does not, nor does another place of before.
    editor.edit(8, (0, 0), (0, 8), "x = ").await;
    let id = editor.ask_inline(0, 4).await;
    assert_eq!(editor.reply(id).await, item(0, 4, "foo(a)"));
    editor.leave().await;
}

#[tokio::test]
async fn what_follows_a_suggestion_is_there_when_it_is_accepted() {
    let mut editor = Editor::start();
    editor.initialize(json!({ "initializationOptions": { "nextSuggestion": true } })).await;
    editor.stage.load().await.succeed();
    editor.open(URI, "x = \n").await;
    assert_eq!(editor.inline(0, 4, "foo(a)").await, item(0, 4, "foo(a)"));
    let ahead = editor.stage.call().await;
    assert_eq!(ahead.request.prompt.prefix, "x = foo(a)");
    // Typing through it does not disturb the engine.
    editor.edit(2, (0, 4), (0, 4), "f").await;
    let id = editor.ask_inline(0, 5).await;
    assert_eq!(editor.reply(id).await, item(0, 5, "oo(a)"));
    ahead.answer(" + 1");
    editor.edit(3, (0, 5), (0, 5), "oo(a)").await;
    // The preparation that follows the edit comes after it: by now the answer is kept.
    editor.stage.prepared().await;
    let id = editor.ask_inline(0, 10).await;
    assert_eq!(editor.reply(id).await, item(0, 10, " + 1"));
    let ahead = editor.stage.call().await;
    assert_eq!(ahead.request.prompt.prefix, "x = foo(a) + 1");
    // Whatever is asked comes first.
    let id = editor.ask_inline(0, 2).await;
    let stopped = ahead.until_stopped();
    editor.stage.answer("b").await;
    assert_eq!(stopped.recv().unwrap(), Stop::Cancelled);
    assert_eq!(editor.reply(id).await, item(0, 2, "b"));
    drop(editor.stage.call().await);
    editor.leave().await;
}

#[tokio::test]
async fn all_typed_is_nothing() {
    let mut editor = Editor::with("x = \n").await;
    let id = editor.ask_inline(0, 4).await;
    let call = editor.stage.call().await;
    editor.edit(2, (0, 4), (0, 4), "1").await;
    call.answer("1");
    assert_eq!(editor.reply(id).await, nothing());
    editor.leave().await;
}

#[tokio::test]
async fn the_deadline_holds_whatever_the_engine_does() {
    let mut editor = Editor::start();
    editor.initialize(json!({ "initializationOptions": { "deadlineMs": 10 } })).await;
    editor.open(URI, "a").await;
    let id = editor.ask_inline(0, 1).await;
    assert_eq!(editor.reply(id).await, nothing(), "still loading");
    editor.stage.load().await.succeed();
    let id = editor.ask_inline(0, 1).await;
    let call = editor.stage.call().await;
    assert_eq!(editor.reply(id).await, nothing(), "stuck");
    call.answer("late");
    assert_eq!(editor.stage.prepared().await.prefix, "a", "what there was no time for is made up for");
    editor.leave().await;
}

#[tokio::test]
async fn both_kinds_of_completion_share_the_place() {
    let mut editor = Editor::with("a").await;
    let menu = json!({ "textDocument": { "uri": URI }, "position": { "line": 0, "character": 1 } });
    let old = editor.ask("textDocument/completion", menu.clone()).await;
    let busy = editor.stage.call().await;
    let context = json!({ "triggerKind": 1 });
    let inline = json!({ "textDocument": { "uri": URI }, "position": menu["position"], "context": context });
    let new = editor.ask(INLINE, inline).await;
    assert_eq!(editor.reply(old).await, Value::Null);
    drop(busy);
    editor.stage.answer("b").await;
    assert_eq!(editor.reply(new).await, item(0, 1, "b"));
    editor.leave().await;
}

#[tokio::test]
async fn the_engine_reads_on_while_the_user_types_but_only_for_who_asks() {
    let mut editor = Editor::with("x = \n").await;
    editor.edit(2, (0, 4), (0, 4), "unasked").await;
    assert_eq!(editor.inline(0, 11, "a").await, item(0, 11, "a"));
    editor.edit(3, (0, 11), (0, 11), "é").await;
    let prompt = editor.stage.prepared().await;
    assert_eq!((prompt.prefix.as_str(), prompt.suffix.as_str()), ("x = unaskedé", "\n"));
    editor.leave().await;
}
