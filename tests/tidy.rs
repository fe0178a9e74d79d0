//! What a reviewer would have to look for in every file, looked for by machine.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The one file outside kernels/ that may be `unsafe`: it maps weight files.
const MAPPING: &str = "engine/src/gguf.rs";
/// Lines of a file at most.
const MAX_LINES: usize = 500;

/// A file of the repository, path relative to its root with forward slashes.
struct SourceFile {
    path: String,
    text: String,
}

impl SourceFile {
    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Code without comments and strings' insides: what a word has to stand in to count as used. Char-level and
    /// naive about raw strings with hashes, of which the checks below meet none that matters.
    fn code(&self) -> String {
        let mut code = String::new();
        for line in self.text.lines() {
            let line = line.trim_start();
            if !line.starts_with("//") {
                code.push_str(line.split(" // ").next().unwrap_or(line));
            }
            code.push('\n');
        }
        code
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// Every file that git would commit; without git, every file outside target/.
fn paths() -> Vec<String> {
    let arguments = ["ls-files", "--cached", "--others", "--exclude-standard"];
    let listed = Command::new("git").args(arguments).current_dir(root()).output();
    let mut paths: Vec<String> = match listed {
        Ok(output) if output.status.success() && !output.stdout.is_empty() => {
            String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
        }
        _ => walk(&root()),
    };
    // A file that was deleted but not yet committed is still listed.
    paths.retain(|path| root().join(path).is_file());
    assert!(paths.len() > 20, "found only {paths:?}");
    paths
}

fn walk(folder: &Path) -> Vec<String> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() && !["target", ".git", "node_modules", "__pycache__"].contains(&name) {
            paths.extend(walk(&path));
        } else if path.is_file() {
            let inside = path.strip_prefix(root()).unwrap();
            paths.push(inside.to_str().unwrap().replace('\\', "/"));
        }
    }
    paths
}

/// Every text file; the licence is not ours to tidy, and weights are no text.
fn files() -> Vec<SourceFile> {
    let texts = paths().into_iter().filter(|p| {
        p != "LICENSE"
            && !p.ends_with(".gguf")
            && !p.ends_with(".safetensors")
            && !p.starts_with("model/cinnabar-135m/golden")
    });
    texts
        .filter_map(|path| {
            let text = fs::read_to_string(root().join(&path)).ok()?;
            Some(SourceFile { path, text })
        })
        .collect()
}

/// Collects offences and fails with all of them, so that one run shows everything.
fn check(offences: Vec<String>, rule: &str) {
    assert!(offences.is_empty(), "{rule}:\n  {}", offences.join("\n  "));
}

/// Lines of the files chosen by `path` in which `word` stands as a word of its own.
fn uses(files: &[SourceFile], path: impl Fn(&str) -> bool, words: &[&str]) -> Vec<String> {
    let mut offences = Vec::new();
    for file in files.iter().filter(|f| f.is_rust() && path(&f.path)) {
        for (n, line) in file.code().lines().enumerate() {
            let lower = line.to_lowercase();
            for word in words.iter().filter(|w| has_word(&lower, w)) {
                offences.push(format!("{}:{}: {word}", file.path, n + 1));
            }
        }
    }
    offences
}

/// True when `word` stands in `line` between characters that are neither letters nor digits; `_` separates words.
fn has_word(line: &str, word: &str) -> bool {
    let outside = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    line.match_indices(word).any(|(at, _)| {
        outside(line[..at].chars().next_back()) && outside(line[at + word.len()..].chars().next())
    })
}

#[test]
fn the_server_knows_no_tensors() {
    let words = [
        "candle",
        "cinnabar_kernels",
        "tensor",
        "tensors",
        "dtype",
        "bf16",
        "f16",
        "logits",
        "token_id",
        "cudarc",
    ];
    let found = uses(&files(), |p| p.starts_with("server/src/"), &words);
    check(found, "server/ works with text; tensors, ids and devices' types belong below engine's interface");
}

#[test]
fn the_engine_knows_no_editor() {
    let words = ["tokio", "tower_lsp", "lsp_types", "ropey", "tree_sitter", "uri", "url", "utf16", "rope"];
    let found: Vec<String> = uses(&files(), |p| p.starts_with("engine/src/"), &words)
        .into_iter()
        // The rotary embedding of the model is called rope as well.
        .filter(|offence| !offence.ends_with(": rope"))
        .collect();
    check(found, "engine/ turns text into text; documents, protocols and runtimes belong to server/");
}

#[test]
fn kernels_know_no_model() {
    let words = ["tokenizer", "tokenizers", "gguf", "config", "prompt", "serde", "tokio"];
    check(uses(&files(), |p| p.starts_with("kernels/src/"), &words), "kernels/ are operations on arrays");
}

#[test]
fn dependencies_point_one_way() {
    let names = |member: &str| -> Vec<String> {
        let manifest = fs::read_to_string(root().join(member).join("Cargo.toml")).unwrap();
        let keys = manifest.lines().filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()));
        keys.filter_map(|line| Some(line.split(['.', ' ', '=']).next()?.to_owned())).collect()
    };
    let forbidden = [
        ("server", &["cinnabar-kernels", "candle-core", "candle-nn", "cudarc", "tokenizers"][..]),
        ("engine", &["cinnabar-server", "tokio", "tower-lsp", "ropey", "tree-sitter"][..]),
        (
            "kernels",
            &[
                "cinnabar-server",
                "cinnabar-engine",
                "tokenizers",
                "candle-core",
                "tokio",
                "serde",
                "serde_json",
            ][..],
        ),
    ];
    for (member, forbidden) in forbidden {
        let names = names(member);
        assert!(names.iter().any(|n| n.starts_with("cinnabar-")) || member == "kernels", "{names:?}");
        let found = forbidden.iter().filter(|f| names.iter().any(|n| n == **f));
        check(found.map(|f| format!("{member} depends on {f}")).collect(), "server -> engine -> kernels");
    }
}

#[test]
fn every_member_inherits_the_workspace() {
    let workspace = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let members = workspace.split_once("members = [").unwrap().1.split_once(']').unwrap().0;
    let members: Vec<&str> =
        members.split(',').map(|m| m.trim().trim_matches('"')).filter(|m| !m.is_empty()).collect();
    assert!(members.len() >= 3);
    for member in members {
        let manifest = fs::read_to_string(root().join(member).join("Cargo.toml")).unwrap();
        assert!(manifest.contains("[lints]\nworkspace = true"), "{member} does not inherit the lints");
        for key in ["version", "edition", "rust-version", "license", "publish"] {
            assert!(manifest.contains(&format!("\n{key}.workspace = true")), "{member} sets its own {key}");
        }
        let versions = manifest.lines().filter(|l| l.contains("version = \""));
        let found = versions.map(|l| format!("{member}: {l}")).collect();
        check(found, "versions of dependencies stand in the root manifest");
    }
}

#[test]
fn unsafe_is_rare_and_explained() {
    let mut offences = Vec::new();
    for file in files().iter().filter(|f| f.is_rust() && f.path != "tests/tidy.rs") {
        let lines: Vec<&str> = file.text.lines().collect();
        for (n, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let marker =
                ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"].iter().any(|u| code.contains(u));
            if !marker {
                continue;
            }
            if !file.path.starts_with("kernels/") && file.path != MAPPING {
                offences.push(format!("{}:{}: not allowed here", file.path, n + 1));
            }
            // A block is explained above; a function's contract may stand above it or in its first lines.
            let end = if code.contains("unsafe fn") { n + 14 } else { n };
            let around = &lines[n.saturating_sub(12)..=end.min(lines.len() - 1)];
            if !around.iter().any(|l| l.contains("SAFETY:") || l.contains("# Safety")) {
                offences.push(format!("{}:{}: without a SAFETY comment", file.path, n + 1));
            }
        }
    }
    check(offences, "unsafe stands in kernels/ and where weights are mapped, each with its SAFETY comment");
}

#[test]
fn files_are_short_and_say_what_they_are() {
    let mut offences = Vec::new();
    for file in files() {
        let lines = file.text.lines().count();
        let code = [".rs", ".py", ".ts", ".lua", ".cu", ".cuh", ".sh"].iter().any(|e| file.path.ends_with(e));
        if code && lines > MAX_LINES {
            offences.push(format!("{}: {lines} lines, at most {MAX_LINES}", file.path));
        }
        if file.is_rust() && !file.text.starts_with("//!") {
            offences.push(format!("{}: does not begin with //!", file.path));
        }
        if file.path.ends_with("/mod.rs") {
            offences.push(format!("{}: name the file after its module", file.path));
        }
    }
    check(offences, "one concept a file, named in its first line");
}

#[test]
fn handlers_are_synchronous() {
    let found = uses(&files(), |p| p.starts_with("server/src/handlers"), &["async", "await"]);
    check(found, "handlers change state before anything can be awaited; only lsp.rs is async");
}

#[test]
fn nothing_is_left_lying_about() {
    // Spelled in two halves, so that this file does not find itself.
    let marks = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("#[ig", "nore"), concat!("dbg", "!(")];
    let machines =
        [concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/"), concat!("../sh", "ared")];
    let mut offences = Vec::new();
    for file in files() {
        // Word lists and other people's code are not ours to tidy.
        if file.path == "model/cinnabar-135m/tokenizer.json" || file.path == "Cargo.lock" {
            continue;
        }
        for (n, line) in file.text.split('\n').enumerate() {
            let at = format!("{}:{}", file.path, n + 1);
            offences.extend(marks.iter().filter(|m| line.contains(**m)).map(|m| format!("{at}: {m}")));
            offences.extend(machines.iter().filter(|m| line.contains(**m)).map(|m| format!("{at}: {m}")));
            if line.ends_with([' ', '\t']) {
                offences.push(format!("{at}: trailing white space"));
            }
            if line.ends_with('\r') {
                offences.push(format!("{at}: carriage return"));
            }
        }
        if !file.text.is_empty() && !file.text.ends_with('\n') {
            offences.push(format!("{}: no line break at the end", file.path));
        }
    }
    check(offences, "finish it, or write an issue");
}

#[test]
fn large_files_are_the_model() {
    let large = paths().into_iter().filter(|path| {
        let free = path.starts_with("model/") || path.starts_with("tests/data/");
        // The compiled kernels, for three kinds of devices and both formats of weights.
        let most = if path == "kernels/cuda/cinnabar.fatbin" { 3 << 19 } else { 1 << 20 };
        !free && fs::metadata(root().join(path)).unwrap().len() > most
    });
    check(large.collect(), "no file over 1 MB (compiled kernels: 1.5) outside model/ and tests/data/");
}

#[test]
fn code_is_formatted() {
    let output =
        Command::new(env!("CARGO")).args(["fmt", "--all", "--check"]).current_dir(root()).output().unwrap();
    let (diff, error) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "run `cargo fmt`\n{diff}{error}");
}

#[test]
fn the_checks_find_what_they_look_for() {
    assert!(has_word("use candle::tensor;", "tensor"));
    assert!(has_word("let token_id = 3;", "token_id"));
    assert!(!has_word("tensorflow", "tensor"));
    let file =
        SourceFile { path: "server/src/x.rs".into(), text: "// tensor\nlet a = tensor(); // dtype\n".into() };
    assert_eq!(uses(&[file], |_| true, &["tensor", "dtype"]), ["server/src/x.rs:2: tensor"]);
}
