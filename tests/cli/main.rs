//! The `cinnabar` binary as a user runs it, with the shipped model: answers, exit codes, bad input.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

mod eval;
#[cfg(unix)]
mod lsp;

/// What a run left behind.
#[derive(Debug)]
struct Outcome {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Outcome {
    /// Asserts the exit code, and that no error was a panic.
    #[track_caller]
    fn expect(self, code: i32) -> Self {
        assert!(
            self.code == code && !self.stderr.contains("panicked"),
            "expected exit code {code}: {self:?}"
        );
        self
    }

    /// Asserts an error of the caller with these words in it, and that nothing was printed as an answer.
    #[track_caller]
    fn refused(self, words: &str) {
        let outcome = self.expect(2);
        assert!(outcome.stderr.contains(words), "expected {words:?} in {outcome:?}");
        assert_eq!(outcome.stdout, "", "{outcome:?}");
    }

    #[track_caller]
    fn json(self) -> Value {
        let outcome = self.expect(0);
        serde_json::from_str(&outcome.stdout).unwrap_or_else(|error| panic!("{error}: {outcome:?}"))
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The binary, run in the repository's root, without the user's own settings.
fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cinnabar"));
    command.current_dir(root());
    for variable in ["CINNABAR_MODEL", "CINNABAR_DEVICE", "CINNABAR_LOG", "NO_COLOR", "CLICOLOR_FORCE"] {
        command.env_remove(variable);
    }
    command
}

fn outcome(command: &mut Command) -> Outcome {
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Outcome { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

fn run(arguments: &[&str]) -> Outcome {
    outcome(command().args(arguments))
}

fn run_with_input(arguments: &[&str], input: &[u8]) -> Outcome {
    let mut child = command()
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A program that refuses its arguments does not read.
    let _ = stdin.write_all(input);
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    Outcome { code: output.status.code().unwrap(), stdout: text(output.stdout), stderr: text(output.stderr) }
}

/// A file in a new folder, and its FILE:LINE:COL.
fn file(content: impl AsRef<[u8]>) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("code.py");
    fs::write(&path, content).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

/// The places of the samples where something is missing.
const UNFINISHED: [&str; 4] = [
    "tests/data/samples/lru_cache.py:84:19",
    "tests/data/samples/ring_buffer.rs:24:14",
    "tests/data/samples/debounce.ts:38:20",
    "tests/data/samples/worker_pool.go:41:9",
];

// === Answers ===

#[test]
fn four_languages_are_completed_and_drafting_changes_no_text() {
    for place in UNFINISHED {
        let ask = |mode| run(&["complete", place, "--mode", mode, "--max-tokens", "16", "--json"]).json();
        let (verified, causal) = (ask("verified"), ask("causal"));
        let text = verified["text"].as_str().unwrap();
        assert!(!text.trim().is_empty(), "{place}: {verified}");
        assert!(!text.contains("<|"), "{place} shows a special token: {verified}");
        assert_eq!(verified["completion"], causal["completion"], "{place}");
    }
}

#[test]
fn json_tells_what_it_cost() {
    let answer = run(&["complete", UNFINISHED[0], "--json", "--max-tokens", "16"]).json();
    // The same question, the same text.
    let text = run(&["complete", UNFINISHED[0], "--max-tokens", "16"]).expect(0).stdout;
    assert_eq!(answer["text"].as_str().unwrap().trim_end_matches('\n'), text.trim_end_matches('\n'));
    assert_eq!(answer["range"]["start"], serde_json::json!({ "line": 84, "column": 19 }));
    assert_eq!(answer["path"], "tests/data/samples/lru_cache.py");
    assert!(answer["finish"].is_string() && answer["device"].is_string(), "{answer}");
    assert!(answer["tokens"].as_u64().unwrap() <= 16 && answer["forwards"].as_u64().unwrap() > 0, "{answer}");
    let ms = |stage: &str| answer["timings_ms"][stage].as_f64().unwrap();
    let stages = ms("queued") + ms("tokenize") + ms("prefill") + ms("denoise");
    assert!(ms("load") > 0.0 && stages > 0.0 && stages <= ms("total") + 0.1, "{answer}");
}

#[test]
fn exact_arithmetic_says_the_same_where_the_model_is_sure() {
    let complete = |more: &[&str]| run(&[&["complete", UNFINISHED[0]], more].concat()).expect(0).stdout;
    assert_eq!(complete(&["--exact"]), complete(&[]));
}

#[test]
fn a_seed_repeats_a_draw() {
    let draw = |seed| {
        let arguments = ["complete", "-", "--cursor", "1:17", "--max-tokens", "12", "--json"];
        let sampling = ["--temperature", "1.5", "--seed", seed];
        let answer = run_with_input(&[&arguments[..], &sampling].concat(), b"# Shopping list:\n").json();
        answer["completion"].clone()
    };
    let texts: Vec<Value> = ["1", "2", "3", "4"].map(draw).into();
    assert_eq!(texts[0], draw("1"));
    assert!(texts.iter().any(|t| *t != texts[0]), "four seeds gave one text: {texts:?}");
}

#[test]
fn watching_ends_with_the_completion_in_its_place() {
    let text = run(&["complete", UNFINISHED[1], "--max-lines", "1"]).expect(0).stdout;
    let watched =
        run(&["complete", UNFINISHED[1], "--max-lines", "1", "--watch", "--mode", "causal"]).expect(0).stdout;
    assert!(watched.contains("step 1,"), "{watched}");
    assert!(!watched.contains('\x1b'), "no cursor movement and no colour outside a terminal: {watched}");
    let (_, last) = watched.rsplit_once("forwards\n").unwrap();
    assert!(last.contains(&format!("        self.{}", text.trim_end_matches('\n'))), "{last}");

    let arguments = ["complete", UNFINISHED[1], "--watch", "--mode", "parallel", "--max-tokens", "16"];
    let coloured = outcome(command().args(arguments).env("CLICOLOR_FORCE", "1")).expect(0).stdout;
    assert!(
        coloured.contains("\x1b[32m") && coloured.contains('░'),
        "settled text is green, masks show: {coloured}"
    );
}

#[test]
fn standard_input_is_completed_at_the_cursor() {
    let piped = b"def add(a, b):\n    return\n";
    let arguments = ["complete", "-", "--cursor", "2:11", "--path", "calc.py", "--json", "--max-tokens", "8"];
    let answer = run_with_input(&arguments, piped).json();
    assert_eq!(answer["path"], "calc.py");
    assert_eq!(answer["range"]["end"], serde_json::json!({ "line": 2, "column": 11 }));
}

#[test]
fn a_deadline_ends_with_what_is_settled() {
    let answer = run(&["complete", UNFINISHED[0], "--deadline-ms", "0", "--json"]).json();
    assert_eq!((&answer["finish"], &answer["text"]), (&"deadline".into(), &"".into()));
    let note = run(&["complete", UNFINISHED[0], "--deadline-ms", "0"]).expect(0);
    assert!(note.stdout.is_empty() && note.stderr.contains("no suggestion here: deadline"), "{note:?}");
}

#[test]
fn model_is_found_and_checked() {
    let path = run(&["model", "path"]).expect(0).stdout;
    assert!(Path::new(path.trim_end()).starts_with(root().join("model")), "{path}");
    let check = run(&["model", "check"]).expect(0).stdout;
    for word in ["file:", "tokenizer.json", "model:", "trial:", "whole and usable"] {
        assert!(check.contains(word), "{check}");
    }
}

#[test]
fn bench_measures_every_kind_of_work() {
    let bench = run(&["bench", "--rounds", "1", "--json"]).json();
    let rows = bench["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 7, "{bench}");
    assert!(rows.iter().all(|r| r["median_ms"].as_f64().unwrap() > 0.0), "{bench}");
}

#[test]
fn bench_typing_waits_for_answers_as_an_editor_does() {
    let bench =
        run(&["bench", "typing", "--seconds", "4", "--json", "tests/data/samples/worker_pool.go"]).json();
    assert!(bench["keys"].as_u64().unwrap() > 5, "{bench}");
    assert_eq!(bench["unanswered"], 0, "{bench}");
    let edits = &bench["classes"][0];
    assert_eq!((&edits["what"], &edits["n"]), (&Value::from("edit applied"), &bench["keys"]), "{bench}");
    // The server's own log tells of every edit.
    assert!(edits["server"][0].as_f64().is_some_and(|ms| ms > 0.0), "{bench}");
    // Whoever measures: what holds here says that nothing is suggested.
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("cinnabar")).unwrap();
    fs::write(home.path().join("cinnabar/config.toml"), "enable = false\n").unwrap();
    let mut bench = command();
    bench.args(["bench", "typing", "--seconds", "4", "--seed", "1", "--json"]);
    bench.args(["--settings", "{\"maxTokens\": 4}", "tests/data/samples/worker_pool.go"]);
    let bench = outcome(bench.env("XDG_CONFIG_HOME", home.path()).env("CINNABAR_ENABLE", "false")).json();
    assert!(bench["empty"].get("switched off").is_none(), "{bench}");
    run(&["bench", "typing", "--settings", "{"]).refused("--settings");
    run(&["bench", "typing", "nothing.rs"]).refused("cannot read nothing.rs");
}

#[test]
fn the_command_line_explains_itself() {
    let help = run(&["--help"]).expect(0).stdout;
    assert!(help.contains("Examples:") && help.contains("Exit codes:"), "{help}");
    let version = run(&["--version"]).expect(0).stdout;
    for word in ["commit:", "target:", "profile:", "device:  cpu ("] {
        assert!(version.contains(word), "{version}");
    }
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        assert!(run(&["completions", shell]).expect(0).stdout.contains("complete"), "{shell}");
    }
}

#[test]
fn counts_are_shown_and_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let stats = |arguments: &[&str]| {
        let mut command = command();
        let command = command.arg("stats").args(arguments).env("HOME", folder.path());
        outcome(command.env("XDG_STATE_HOME", folder.path().join("state"))).expect(0)
    };
    let empty = stats(&["--json"]).json();
    let counts = serde_json::json!({
        "offered": 5, "shown": 4, "accepted": 3, "partly_accepted": 0, "typed": 0, "dismissed": 1,
        "characters": 77, "latency": [0, 4, 0, 1],
    });
    let mut full = empty.clone();
    full["counts"]["rust"]["several lines"] = counts.clone();
    let file = empty["file"].as_str().unwrap();
    fs::create_dir_all(Path::new(file).parent().unwrap())
        .and_then(|()| fs::write(file, full.to_string()))
        .unwrap();
    let table = stats(&[]).stdout;
    for word in ["several lines", "77", "<= 2", "<= 5", "75 %"] {
        assert!(table.contains(word), "{word}: {table}");
    }
    assert_eq!(stats(&["--json"]).json()["counts"]["rust"]["several lines"], counts);
    stats(&["--reset"]);
    assert!(stats(&[]).stdout.contains("Nothing was suggested yet"));
}

#[test]
fn the_doctor_tries_everything_and_names_what_is_broken() {
    let folder = tempfile::tempdir().unwrap();
    let doctor = |arguments: &[&str], variables: &[(&str, &str)]| {
        let mut command = command();
        command.arg("doctor").args(arguments).env("HOME", folder.path()).env("PATH", folder.path());
        command.env("XDG_CONFIG_HOME", folder.path()).env("XDG_STATE_HOME", folder.path());
        outcome(command.envs(variables.iter().copied()))
    };
    let well = doctor(&["--device", "cpu"], &[("CINNABAR_MAX_TOKENS", "9")]).expect(0).stdout;
    for word in
        ["processor", "model", "loaded in", "`return ` is completed", "maxTokens = 9 from the environment"]
    {
        assert!(well.contains(word), "{word}: {well}");
    }
    assert!(well.contains("none on PATH") && !well.contains("BROKEN"), "{well}");
    let ill = doctor(&["--json", "--model", "nowhere.gguf"], &[("CINNABAR_BLOCK", "9")]).expect(1);
    let findings: Value = serde_json::from_str(&ill.stdout).unwrap();
    let state = |about: &str| {
        let found = findings["findings"].as_array().unwrap().iter().find(|finding| finding["about"] == about);
        found.map(|finding| (finding["state"].clone(), finding["advice"].is_string()))
    };
    assert_eq!(state("model"), Some(("broken".into(), true)), "{findings}");
    assert_eq!(state("settings"), Some(("weak".into(), true)), "{findings}");
}

// === Bad input ===

#[test]
fn wrong_usage_is_explained() {
    run(&[]).refused("which command?");
    run(&["complet"]).refused("complete");
    run(&["complete", "x"]).refused("write FILE:LINE:COL");
    run(&["complete", "Cargo.toml:0:1"]).refused("lines are counted from 1");
    run(&["complete", "Cargo.toml:1:x"]).refused("\"x\" is not a column number");
    run(&["complete", "-"]).refused("--cursor LINE:COL");
    run(&["complete", "Cargo.toml", "--cursor", "3"]).refused("expected LINE:COL");
    run(&["complete", "Cargo.toml:1:1", "--block", "7"]).refused("block must be 8, 16, 32 or 64");
    run(&["complete", "Cargo.toml:1:1", "--max-tokens", "0"]).refused("max_tokens must be 1 or more");
    run(&["complete", "Cargo.toml:1:1", "--temperature", "nan"]).refused("temperature must be");
    run(&["--device", "tpu", "lsp"]).refused("unknown device");
    run(&["bench", "--rounds", "0"]).refused("--rounds must be 1 or more");
}

#[test]
fn files_that_are_no_text_are_refused() {
    run(&["complete", "no/such/file.rs:1:1"]).refused("cannot read no/such/file.rs");
    run(&["complete", "tests:1:1"]).refused("tests is a directory");
    let (_folder, path) = file(b"import os\n\0\x01\x02");
    run(&["complete", &format!("{path}:1:1")]).refused("looks binary: byte 10 is NUL");
    let (_folder, path) = file(b"import os\n# caf\xe9\n");
    run(&["complete", &format!("{path}:1:1")]).refused("is not UTF-8: byte 15, in line 2");
    run_with_input(&["complete", "-", "--cursor", "1:1"], b"\xff\xfe").refused("standard input is not UTF-8");
}

#[cfg(unix)]
#[test]
fn what_never_ends_is_not_read() {
    run(&["complete", "/dev/zero:1:1"]).refused("not a regular file");
}

#[test]
fn positions_outside_the_text_are_refused() {
    let (_folder, path) = file("one\r\ntwo\r\n");
    run(&["complete", &format!("{path}:9:1")]).refused("there is no line 9: the text has 3");
    run(&["complete", &format!("{path}:1:9")]).refused("its columns are 1 to 4");
    // Between the two characters of a line break.
    run(&["complete", &format!("{path}:1:5")]).refused("its columns are 1 to 4");
    run(&["complete", &format!("{path}:{0}:{0}", u64::MAX)]).refused("there is no line");
}

#[test]
fn unusual_texts_are_completed() {
    let (folder, path) = file("");
    run(&["complete", &format!("{path}:1:1"), "--max-tokens", "4"]).expect(0);
    // A name that looks like a position, and text that looks like special tokens.
    let odd = folder.path().join("a:1:2");
    fs::write(&odd, "<|im_start|><file_sep><|mask|>\r\nx = \r\n").unwrap();
    run(&["complete", &format!("{}:2:5", odd.display()), "--max-tokens", "4"]).expect(0);
    run(&["complete", odd.to_str().unwrap(), "--cursor", "2:5", "--max-tokens", "4"]).expect(0);
}

#[test]
fn large_texts_are_completed() {
    let (_folder, path) = file("x = 1\n".repeat(50 << 20 >> 2));
    run(&["complete", &format!("{path}:7000000:6"), "--max-tokens", "4"]).expect(0);
    let (_folder, path) = file("xy, ".repeat(250_000));
    run(&["complete", &format!("{path}:1:500000"), "--max-tokens", "4"]).expect(0);
    run(&["complete", &format!("{path}:1:500000"), "--max-tokens", "4", "--watch"]).expect(0);
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let mut child = command().args(["completions", "bash"]).stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

// === Models that cannot be used ===

#[test]
fn an_unusable_model_is_named_with_the_way_out() {
    let folder = tempfile::tempdir().unwrap();
    let check = |path: &Path, words: &str| {
        let outcome = run(&["model", "check", "--model", path.to_str().unwrap()]).expect(1);
        assert!(outcome.stderr.contains(words) && outcome.stderr.contains("hint:"), "{outcome:?}");
        assert!(outcome.stderr.contains(path.to_str().unwrap()), "names the file: {outcome:?}");
        assert_eq!(outcome.stdout, "");
    };
    check(&folder.path().join("none.gguf"), "does not exist");
    check(folder.path(), "holds no .gguf file");

    let shipped = PathBuf::from(run(&["model", "path"]).expect(0).stdout.trim_end());
    let tokenizer = shipped.with_file_name("tokenizer.json");
    fs::copy(tokenizer, folder.path().join("tokenizer.json")).unwrap();
    let whole = fs::read(&shipped).unwrap();
    let bad = |name: &str, bytes: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    check(&bad("empty.gguf", b""), "");
    check(&bad("text.gguf", b"this is no model, however long the text in this file may be"), "");
    check(&bad("header.gguf", &whole[..100]), "");
    check(&bad("half.gguf", &whole[..whole.len() / 2]), "");
    // One of two shards.
    let lone = bad("cinnabar-00001-of-00002.gguf", &whole);
    let outcome = run(&["model", "check", "--model", lone.to_str().unwrap()]).expect(1);
    assert!(outcome.stderr.contains("00002-of-00002"), "{outcome:?}");
}

#[test]
fn a_device_that_is_not_there_is_an_error() {
    let outcome = run(&["complete", UNFINISHED[0], "--device", "cuda:97"]).expect(1);
    assert!(outcome.stderr.contains("cuda:97") && outcome.stderr.contains("hint:"), "{outcome:?}");
}
