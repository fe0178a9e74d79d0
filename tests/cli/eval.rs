//! `cinnabar eval`: benchmarks are read, asked, kept, compared and looked at again.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::{Outcome, file, run};

const SET: &str = "tests/data/cursors.jsonl.gz";

/// Three cases of the shipped set, a few tokens each, in these modes; answers are kept in a file.
fn eval(results: &Path, modes: &str, more: &[&str]) -> Outcome {
    let results = results.to_str().unwrap();
    let arguments = ["eval", SET, "--limit", "3", "--max-tokens", "8", "--mode", modes, "--results", results];
    run(&[&arguments, more].concat())
}

#[test]
fn a_benchmark_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("results.jsonl");
    assert!(eval(&results, "causal", &[]).expect(0).stdout.contains("| all | causal | 3 |"));
    let whole = fs::read_to_string(&results).unwrap();
    let lines: Vec<&str> = whole.lines().collect();
    assert_eq!(lines.len(), 4, "a head and three answers");
    // The last line was cut by an interruption: its case is asked again, the others are not.
    fs::write(&results, &whole[..whole.len() - 9]).unwrap();
    assert!(eval(&results, "causal", &[]).expect(0).stdout.contains("| all | causal | 3 |"));
    let again = fs::read_to_string(&results).unwrap();
    assert_eq!(again.lines().take(3).collect::<Vec<_>>(), lines[..3]);
    let text = |line: &str| serde_json::from_str::<Value>(line).unwrap()["text"].clone();
    assert_eq!(text(again.lines().nth(3).unwrap()), text(lines[3]));
    // Answers under other settings are not mixed in.
    eval(&results, "causal", &["--block", "8"]).refused("block was 32, now 8");
}

#[test]
fn a_benchmark_reports_modes_side_by_side() {
    let folder = tempfile::tempdir().unwrap();
    let results = folder.path().join("results.jsonl");
    let report = eval(&results, "causal,verified", &["--json"]).json();
    assert_eq!(report["run"]["version"], 1);
    let cases = report["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 6);
    // Verified decoding gives causal decoding's text.
    for case in cases {
        let other = cases.iter().find(|o| o["id"] == case["id"] && o["mode"] != case["mode"]).unwrap();
        assert_eq!(case["text"], other["text"], "{case}");
        assert_eq!(case["shown"].is_null(), case["empty"].is_string(), "{case}");
    }
    for group in report["scores"].as_array().unwrap() {
        let exact = &group["exact"];
        let [low, share, high] = ["low", "share", "high"].map(|key| exact[key].as_f64().unwrap());
        assert!(low <= share && share <= high, "{group}");
    }
    let pair = &report["pairs"][0];
    assert_eq!((&pair["a"], &pair["b"], &pair["won"]), (&"causal".into(), &"verified".into(), &0.into()));
    // A run compared with itself: nothing won, nothing lost.
    let path = results.to_str().unwrap();
    let compared = run(&["eval", "compare", path, path, "--json"]).json();
    assert!(compared["pairs"].as_array().unwrap().iter().all(|pair| pair["p"] == 1.0), "{compared}");
    let (_folder, other) = file("{}\n");
    run(&["eval", "compare", path, &other]).refused("no results of `cinnabar eval`");
}

/// What stood in the gaps is right by definition, and needs no model.
#[test]
fn references_score_full_marks() {
    let report = run(&["eval", SET, "--reference", "--model", "nowhere.gguf", "--json"]).json();
    let all = report["scores"].as_array().unwrap().last().unwrap();
    assert_eq!((&all["cases"], &all["exact"]["hits"]), (&60.into(), &60.into()), "{all}");
    let report = run(&["eval", SET, "--reference", "--language", "go,rust", "--json"]).json();
    let cases = report["cases"].as_array().unwrap();
    assert!(
        (1..60).contains(&cases.len())
            && cases.iter().all(|c| c["language"] == "go" || c["language"] == "rust")
    );
    run(&["eval", SET, "--reference", "--language", "cobol"]).refused("no case is in cobol");
}

/// The tests of a benchmark decide, and run only where that was allowed.
#[cfg(target_os = "linux")]
#[test]
fn a_benchmark_runs_its_tests_on_request() {
    let case = |n: usize, solution: &str| {
        let (prompt, suffix) = ("def double(n):\n", "# the end\n");
        let test = "def check(f):\n    assert f(4) == 8\n";
        serde_json::json!({
            "task_id": format!("SingleLineInfilling/{n}"), "entry_point": "double", "prompt": prompt,
            "suffix": suffix, "canonical_solution": solution, "test": test,
        })
    };
    let (_folder, set) = file(format!("{}\n{}\n", case(0, "    return 2 * n\n"), case(1, "    return n\n")));
    let reference = |more: &[&str]| run(&[&["eval", &set, "--reference", "--json"], more].concat()).json();
    // Limits alone, so that it runs where namespaces are not permitted.
    let report = reference(&["--allow-execution=unisolated"]);
    let passed = &report["scores"][0]["passed"];
    assert_eq!((&passed["hits"], &passed["of"]), (&1.into(), &2.into()), "{report}");
    assert_eq!(report["cases"][1]["failure"], "AssertionError", "{report}");
    assert_eq!(report["run"]["execution"], "unisolated");
    let report = reference(&[]);
    assert!(report["scores"][0]["passed"].is_null() && report["run"]["execution"] == "none", "{report}");
}

#[test]
fn what_is_no_benchmark_is_refused() {
    run(&["eval", "nowhere.jsonl"]).refused("nowhere.jsonl");
    let (_folder, path) = file("{\"id\": 1}\n");
    run(&["eval", &path]).refused("line 1");
    let (_folder, path) = file("");
    run(&["eval", &path]).refused("holds no cases");
}

/// A run's texts are fitted anew without the model, and tell what a threshold would hide.
#[test]
fn a_run_is_looked_at_again_without_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let [before, after] = ["before.jsonl", "after.jsonl"].map(|name| folder.path().join(name));
    let [before, after] = [&before, &after].map(|path| path.to_str().unwrap());
    // Long enough that something of it can be shown.
    let asked = ["eval", SET, "--limit", "3", "--max-tokens", "32", "--mode", "causal", "--results", before];
    run(&asked).expect(0);
    let table = run(&["eval", "refit", SET, before, "--results", after]).expect(0).stdout;
    assert!(table.contains("| all | causal | 3 |") && table.contains("0 bring parse errors"), "{table}");
    let shown = |path: &str| -> Vec<(Value, Value)> {
        let lines = fs::read_to_string(path).unwrap();
        let lines = lines.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.map(|line| (line["text"].clone(), line["shown"].clone())).collect()
    };
    assert_eq!(shown(before), shown(after));
    run(&["eval", "refit", SET, before, "--results", after]).refused("holds answers already");
    let hidden = run(&["eval", "hiding", after, "--json"]).json();
    let trades = hidden["trades"].as_array().unwrap();
    assert_eq!((&trades[0]["threshold"], &trades[0]["hidden"]), (&0.0.into(), &0.into()), "{hidden}");
    let other = folder.path().join("other.jsonl");
    fs::write(&other, r#"{"id": "x", "lang": "go", "prefix": "", "suffix": "", "middle": "a"}"#).unwrap();
    run(&["eval", "refit", other.to_str().unwrap(), before]).refused("answers no case of");
}
