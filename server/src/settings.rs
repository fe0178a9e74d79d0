//! `initializationOptions` to settings. A value that cannot be used is told once, and the default holds.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use cinnabar_engine::{Decoding, Device, Mode};
use serde_json::{Map, Value};

/// What the server works with. Every field has a value that can be used.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// `model`: a model's path; without it the installed one is found.
    pub model: Option<PathBuf>,
    /// `device`: `auto`, `cpu`, `cuda`, `cuda:N` or `reference`.
    pub device: Device,
    /// `threads` of the CPU engine; without it one per physical core.
    pub threads: Option<usize>,
    /// `mode`: `auto`, `verified`, `parallel` or `causal`.
    pub mode: Mode,
    /// `block`: rows denoised at once, 8, 16, 32 or 64; at most, in mode `auto`.
    pub block: usize,
    /// `threshold` of the parallel mode, above 0 and at most 1.
    pub threshold: f32,
    /// `minProbability`, 0 to 1: a suggestion whose tokens' mean probability (geometric) is lower is not shown. 0 shows
    /// all.
    pub min_probability: f32,
    /// `maxTokens` of a suggestion.
    pub max_tokens: usize,
    /// `deadlineMs`: after this a request is answered with the text so far, or nothing.
    pub deadline: Duration,
}

/// Settings from the command line. They win over the client's.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Overrides {
    /// See [`Settings::model`].
    pub model: Option<PathBuf>,
    /// See [`Settings::device`].
    pub device: Option<Device>,
    /// See [`Settings::threads`].
    pub threads: Option<usize>,
    /// See [`Settings::mode`].
    pub mode: Option<Mode>,
    /// See [`Settings::block`].
    pub block: Option<usize>,
    /// See [`Settings::threshold`].
    pub threshold: Option<f32>,
    /// See [`Settings::min_probability`].
    pub min_probability: Option<f32>,
    /// See [`Settings::max_tokens`].
    pub max_tokens: Option<usize>,
    /// See [`Settings::deadline`].
    pub deadline: Option<Duration>,
}

/// What was wrong with the options.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    /// Values that cannot be used, as sentences for the user.
    pub bad: Vec<String>,
    /// Keys that mean nothing, for the log.
    pub unknown: Vec<String>,
}

const DEADLINE_CPU: Duration = Duration::from_millis(1000);
const DEADLINE_GPU: Duration = Duration::from_millis(250);

impl Settings {
    /// Resolves the client's options (absent, `null` or an object) and the command line's.
    pub fn resolve(options: Option<&Value>, overrides: &Overrides) -> (Self, Problems) {
        let nothing = Map::new();
        let mut problems = Problems::default();
        let options = match options {
            None | Some(Value::Null) => &nothing,
            Some(Value::Object(options)) => options,
            Some(other) => {
                problems.bad.push(format!("initializationOptions must be an object, not {other}"));
                &nothing
            }
        };
        let mut given = read(options, &mut problems);
        given.override_with(overrides);
        (given.or_defaults(), problems)
    }
}

impl Overrides {
    fn override_with(&mut self, other: &Overrides) {
        fn over<T: Clone>(value: &mut Option<T>, other: &Option<T>) {
            if other.is_some() {
                value.clone_from(other);
            }
        }
        over(&mut self.model, &other.model);
        over(&mut self.device, &other.device);
        over(&mut self.threads, &other.threads);
        over(&mut self.mode, &other.mode);
        over(&mut self.block, &other.block);
        over(&mut self.threshold, &other.threshold);
        over(&mut self.min_probability, &other.min_probability);
        over(&mut self.max_tokens, &other.max_tokens);
        over(&mut self.deadline, &other.deadline);
    }

    fn or_defaults(self) -> Settings {
        let decoding = Decoding::default();
        let device = self.device.unwrap_or_default();
        let deadline = if matches!(device, Device::Cuda(_)) { DEADLINE_GPU } else { DEADLINE_CPU };
        Settings {
            model: self.model,
            device,
            threads: self.threads,
            mode: self.mode.unwrap_or(decoding.mode),
            block: self.block.unwrap_or(decoding.block),
            threshold: self.threshold.unwrap_or(decoding.threshold),
            min_probability: self.min_probability.unwrap_or(0.0),
            max_tokens: self.max_tokens.unwrap_or(64),
            deadline: self.deadline.unwrap_or(deadline),
        }
    }
}

/// Reads each key on its own, so that one bad value costs only itself.
fn read(options: &Map<String, Value>, problems: &mut Problems) -> Overrides {
    let mut given = Overrides::default();
    for (key, value) in options {
        if value.is_null() {
            continue;
        }
        let text = value.as_str();
        let whole = value.as_u64().and_then(|n| usize::try_from(n).ok());
        let expected = match key.as_str() {
            "model" => set(&mut given.model, text.filter(|t| !t.is_empty()).map(PathBuf::from), "a path"),
            "device" => set(
                &mut given.device,
                text.and_then(|t| Device::from_str(t).ok()),
                "auto, cpu, cuda, cuda:N or reference",
            ),
            "threads" => set(&mut given.threads, whole.filter(|n| (1..=1024).contains(n)), "1 to 1024"),
            "mode" => set(
                &mut given.mode,
                serde_json::from_value(value.clone()).ok(),
                "auto, verified, parallel or causal",
            ),
            "block" => {
                set(&mut given.block, whole.filter(|n| [8, 16, 32, 64].contains(n)), "8, 16, 32 or 64")
            }
            "threshold" => set(
                &mut given.threshold,
                value.as_f64().map(|t| t as f32).filter(|&t| t > 0.0 && t <= 1.0),
                "above 0 and at most 1",
            ),
            "minProbability" => set(
                &mut given.min_probability,
                value.as_f64().map(|p| p as f32).filter(|p| (0.0..=1.0).contains(p)),
                "0 to 1",
            ),
            "maxTokens" => set(&mut given.max_tokens, whole.filter(|n| (1..=1024).contains(n)), "1 to 1024"),
            "deadlineMs" => set(
                &mut given.deadline,
                value.as_u64().filter(|n| (10..=600_000).contains(n)).map(Duration::from_millis),
                "10 to 600000",
            ),
            _ => {
                problems.unknown.push(key.clone());
                continue;
            }
        };
        if let Err(expected) = expected {
            problems.bad.push(format!("{key} must be {expected}, not {value}"));
        }
    }
    given
}

fn set<T>(slot: &mut Option<T>, value: Option<T>, expected: &'static str) -> Result<(), &'static str> {
    *slot = value;
    if slot.is_some() { Ok(()) } else { Err(expected) }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn resolve(options: Value) -> (Settings, Problems) {
        Settings::resolve(Some(&options), &Overrides::default())
    }

    #[test]
    fn nothing_given_is_all_defaults() {
        let (settings, problems) = resolve(Value::Null);
        assert_eq!(problems, Problems::default());
        assert_eq!(settings, Settings::resolve(None, &Overrides::default()).0);
        assert_eq!(settings.deadline, DEADLINE_CPU);
    }

    #[test]
    fn every_key_is_read() {
        let (settings, problems) = resolve(json!({
            "model": "/m.gguf", "device": "cuda:1", "threads": 3, "mode": "parallel", "block": 32,
            "threshold": 0.5, "minProbability": 0.25, "maxTokens": 7, "deadlineMs": 80,
        }));
        assert_eq!(problems, Problems::default());
        let expected = Settings {
            model: Some("/m.gguf".into()),
            device: Device::Cuda(1),
            threads: Some(3),
            mode: Mode::Parallel,
            block: 32,
            threshold: 0.5,
            min_probability: 0.25,
            max_tokens: 7,
            deadline: Duration::from_millis(80),
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
        assert_eq!(settings, resolve(Value::Null).0);
        assert_eq!(problems.bad, ["initializationOptions must be an object, not [1]"]);
    }

    #[test]
    fn the_command_line_wins() {
        let overrides = Overrides { block: Some(64), ..Overrides::default() };
        let (settings, _) = Settings::resolve(Some(&json!({ "block": 8, "maxTokens": 9 })), &overrides);
        assert_eq!((settings.block, settings.max_tokens), (64, 9));
    }
}
