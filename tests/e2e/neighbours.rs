//! Pieces of other files in prompts.

use notify::{RecursiveMode, Watcher};
use serde_json::json;
use tokio::sync::mpsc::unbounded_channel;
use tower_lsp::lsp_types::Url;

use crate::harness::{Editor, HUNG, URI};

const OTHER: &str = "file:///project/src/other.rs";

const TEXT: &str =
    "fn draw_circle(radius: u32) {\n    let centre = find_centre();\n    plot(centre, radius);\n}\n";

/// Asks at the end of a buffer's first line, again and again with another text there, until the piece in the prompt
/// comes from where it should: files are read aside.
async fn until_neighbour(editor: &mut Editor, uri: &str, text: &str, expected: Option<&str>) {
    for n in 2.. {
        editor.change(uri, n, json!([{ "text": format!("{text} {n}\n") }])).await;
        let id = editor.ask_inline_in(uri, 0, u32::try_from(text.len()).unwrap() + 2).await;
        let request = editor.stage.answer("").await;
        editor.reply(id).await;
        let found = request.prompt.snippets.first().map(|snippet| snippet.path.as_str());
        if found == expected {
            break;
        }
    }
}

#[tokio::test]
async fn an_open_file_that_says_the_same_stands_in_the_prompt_and_stays_there() {
    let mut editor = Editor::start();
    editor.initialize(json!({ "initializationOptions": { "otherFiles": true } })).await;
    editor.stage.load().await.succeed();
    editor.open(URI, "draw_circle(radius)\n").await;
    editor.open(OTHER, TEXT).await;
    until_neighbour(&mut editor, URI, "let centre = draw_circle(radius)", Some("src/other.rs")).await;
    // Whatever is typed here, the beginning of the stream is the same.
    editor.edit(100, (0, 0), (0, 36), "nothing of it").await;
    let id = editor.ask_inline(0, 13).await;
    let request = editor.stage.answer("").await;
    editor.reply(id).await;
    assert_eq!(request.prompt.snippets[0].text, TEXT);
    // A buffer is what the user left it as, saved or not.
    editor.change(OTHER, 2, json!([{ "text": TEXT.replace("circle", "square") }])).await;
    until_neighbour(&mut editor, OTHER, "fn main", None).await;
    editor.leave().await;
}

#[tokio::test]
async fn who_does_not_ask_for_it_has_a_prompt_of_one_file() {
    let mut editor = Editor::with("draw_circle(radius)\n").await;
    editor.open(OTHER, TEXT).await;
    until_neighbour(&mut editor, URI, "let centre = draw_circle(radius)", None).await;
    editor.leave().await;
}

/// Files are read in the order in which they come up, and only Linux tells of it.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn rule_9_who_does_not_want_it_has_no_other_file_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    for part in ["off", "on"] {
        std::fs::create_dir(file(part)).unwrap();
        std::fs::write(file(part).join("beside.rs"), TEXT).unwrap();
    }
    let (tell, mut events) = unbounded_channel();
    let mut watcher = notify::recommended_watcher(move |event| drop(tell.send(event))).unwrap();
    watcher.watch(folder.path(), RecursiveMode::Recursive).unwrap();
    let [root, off, on] =
        ["", "off/open.rs", "on/open.rs"].map(|name| Url::from_file_path(file(name)).unwrap());
    let mut editor = Editor::start();
    let params = json!({
        "workspaceFolders": [{ "uri": root, "name": "project" }],
        "initializationOptions": { "otherFiles": false },
    });
    editor.initialize(params).await;
    editor.stage.load().await.succeed();
    editor.open(off.as_str(), "draw_circle(radius)\n").await;
    let id = editor.ask_inline_in(off.as_str(), 0, 19).await;
    editor.stage.answer(";").await;
    editor.reply(id).await;
    editor.tell("textDocument/didSave", json!({ "textDocument": { "uri": off }, "text": "draw" })).await;
    let settings = json!({ "settings": { "cinnabar": { "otherFiles": true } } });
    editor.tell("workspace/didChangeConfiguration", settings).await;
    editor.open(on.as_str(), "draw_circle(radius)\n").await;
    let (before, after) = [off, on].map(|uri| uri.to_file_path().unwrap().with_file_name("beside.rs")).into();
    loop {
        let event = tokio::time::timeout(HUNG, events.recv()).await.expect("who wants it has it read");
        let event: notify::Event = event.unwrap().unwrap();
        assert!(!event.paths.contains(&before), "{event:?}");
        if event.paths.contains(&after) {
            break;
        }
    }
    editor.leave().await;
}
