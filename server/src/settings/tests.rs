//! What holds of what is given.

use serde_json::json;

use super::*;

fn resolve(options: Value) -> (Settings, Problems) {
    let mut layers = Layers::default();
    let problems = layers.set(Source::Initialization, Some(options));
    (layers.resolve(), problems)
}

#[test]
fn nothing_given_is_all_defaults() {
    let (settings, problems) = resolve(Value::Null);
    assert_eq!(problems, Problems::default());
    assert_eq!(settings, Settings::default());
    assert_eq!(settings.deadline, DEADLINE_CPU);
}

#[test]
fn the_defaults_that_are_told_are_those_that_hold() {
    let told: Map<String, Value> = KEYS
        .iter()
        .filter(|key| !key.default.is_null())
        .map(|key| (key.name.into(), key.default.clone()))
        .collect();
    assert_eq!(resolve(Value::Object(told)), (Settings::default(), Problems::default()));
}

#[test]
fn every_key_is_read() {
    let (settings, problems) = resolve(json!({
        "model": "/m.gguf", "device": "cuda:1", "weights": "fp8", "threads": 3, "mode": "parallel", "block": 32,
        "threshold": 0.5, "minProbability": 0.25, "otherFiles": true, "nextSuggestion": true,
        "maxTokens": 7, "deadlineMs": 80,
        "enable": false, "languages": { "go": true }, "disabledGlobs": ["*.min.js"],
    }));
    assert_eq!(problems, Problems::default());
    let expected = Settings {
        model: Some("/m.gguf".into()),
        device: Device::Cuda(1),
        weights: WeightFormat::Fp8,
        threads: Some(3),
        mode: Mode::Parallel,
        block: 32,
        threshold: 0.5,
        min_probability: 0.25,
        other_files: true,
        next_suggestion: true,
        max_tokens: 7,
        deadline: Duration::from_millis(80),
        enable: false,
        languages: [("go".to_owned(), true)].into(),
        disabled_globs: vec!["*.min.js".into()],
    };
    assert_eq!(settings, expected);
}

#[test]
fn a_gpu_has_a_shorter_deadline() {
    assert_eq!(resolve(json!({ "device": "cuda" })).0.deadline, DEADLINE_GPU);
}

#[test]
fn a_bad_value_is_told_and_costs_only_itself() {
    let (settings, problems) =
        resolve(json!({ "block": 7, "maxTokens": "many", "mode": "causal", "foo": 1 }));
    let default = Decoding::default().block;
    assert_eq!((settings.block, settings.max_tokens, settings.mode), (default, 64, Mode::Causal));
    let expected = ["block must be 8, 16, 32 or 64, not 7", "maxTokens must be 1 to 1024, not \"many\""];
    assert_eq!(problems.bad, expected);
    assert_eq!(problems.unknown, ["foo"]);
    let (settings, problems) = resolve(json!([1]));
    assert_eq!(settings, Settings::default());
    assert_eq!(problems.bad, ["settings must be an object, not [1]"]);
}

#[test]
fn every_kind_refuses_what_it_is_not() {
    for (name, bad) in [
        ("enable", json!("yes")),
        ("languages", json!({ "go": 1 })),
        ("languages", json!(["go"])),
        ("disabledGlobs", json!(["{a"])),
        ("disabledGlobs", json!("*.js")),
        ("model", json!("")),
        ("device", json!("tpu")),
        ("threads", json!(0)),
        ("mode", json!("fast")),
        ("block", json!(8.5)),
        ("threshold", json!(0)),
        ("minProbability", json!(1.5)),
        ("deadlineMs", json!(-1)),
    ] {
        let (settings, problems) = resolve(json!({ name: bad }));
        assert_eq!((settings, problems.bad.len()), (Settings::default(), 1), "{name}: {bad}");
    }
}

#[test]
fn of_layers_the_later_wins_maps_join_and_lists_add_up() {
    let mut layers = Layers::default();
    layers.set(Source::CommandLine, Some(json!({ "block": 64 })));
    let first = json!({
        "block": 8, "maxTokens": 9, "languages": { "go": false, "c": false }, "disabledGlobs": ["a"],
    });
    layers.set(Source::User, Some(first));
    layers.set(Source::Configuration, Some(json!({ "languages": { "go": true }, "disabledGlobs": ["b"] })));
    let settings = layers.resolve();
    assert_eq!((settings.block, settings.max_tokens), (64, 9));
    assert!(settings.suggests_in("go") && !settings.suggests_in("c"));
    assert_eq!(settings.disabled_globs, ["a", "b"]);
    // What a source said before is forgotten; a value that cannot be used uncovers the layer below.
    let problems = layers.set(Source::Configuration, Some(json!({ "maxTokens": 0 })));
    assert_eq!(problems.bad.len(), 1);
    let settings = layers.resolve();
    assert_eq!((settings.max_tokens, settings.disabled_globs.len()), (9, 1));
}

#[test]
fn a_project_cannot_choose_what_runs_or_show_more() {
    for (given, allowed) in [
        (json!({ "model": "evil.gguf" }), false),
        (json!({ "device": "cpu" }), false),
        (json!({ "threads": 64 }), false),
        (json!({ "deadlineMs": 600_000 }), false),
        (json!({ "enable": true }), false),
        (json!({ "languages": { "go": false, "c": true } }), false),
        (json!({ "enable": false }), true),
        (json!({ "languages": { "go": false } }), true),
        (json!({ "disabledGlobs": ["generated/"] }), true),
        (json!({ "maxTokens": 16, "minProbability": 0.3 }), true),
    ] {
        let problems = Layers::default().set(Source::Project, Some(given.clone()));
        assert_eq!(problems.bad.is_empty(), allowed, "{given}: {problems:?}");
    }
}

#[test]
fn languages_that_are_not_named_follow_the_star() {
    let settings = |languages: Value| resolve(json!({ "languages": languages })).0;
    assert!(settings(json!({})).suggests_in("go"));
    let star = settings(json!({ "*": false, "go": true }));
    assert!(star.suggests_in("go") && !star.suggests_in("rust"));
}

#[test]
fn what_needs_a_new_engine_is_named() {
    let new = resolve(json!({ "device": "cpu", "weights": "fp8", "threads": 2, "maxTokens": 3 })).0;
    assert_eq!(need_restart(&Settings::default(), &new), ["device", "weights", "threads"]);
}
