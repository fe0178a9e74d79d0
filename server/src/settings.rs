//! Settings: what the server works with, and where each value comes from.
//!
//! Sources are layers, and later ones win: built-in, the user's file, the project's file, the environment,
//! `initializationOptions`, `workspace/configuration`, the command line. Each gives values by the names of
//! [`keys`], one definition from which come parsing, defaults, ranges, messages, the schema and the documentation.
//! A value that cannot be used costs only itself: what the layers below say holds.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use cinnabar_engine::{Decoding, Device, Mode, WeightFormat};
use serde_json::{Map, Value};

use keys::{KEYS, Key};

mod keys;
pub(crate) mod schema;
pub mod sources;
pub(crate) mod watch;

/// What the server works with. Every field has a value that can be used; [`keys`] says what they mean.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// A model's path; without it the installed one is found.
    pub model: Option<PathBuf>,
    /// Where the model runs.
    pub device: Device,
    /// How a GPU keeps the weights.
    pub weights: WeightFormat,
    /// Threads of the CPU engine; without it one per physical core.
    pub threads: Option<usize>,
    /// How a suggestion is denoised.
    pub mode: Mode,
    /// Rows denoised at once.
    pub block: usize,
    /// Of the parallel mode.
    pub threshold: f32,
    /// A suggestion whose tokens' mean probability (geometric) is lower is not shown.
    pub min_probability: f32,
    /// Pieces of other files stand in prompts.
    pub other_files: bool,
    /// While a suggestion is on the screen, what would follow it is worked out.
    pub next_suggestion: bool,
    /// Tokens of a suggestion, at most.
    pub max_tokens: usize,
    /// After this a request is answered with the text so far, or nothing.
    pub deadline: Duration,
    /// Whether anything is suggested.
    pub enable: bool,
    /// By the protocol's language ids; `*` stands for those that are not named.
    pub languages: BTreeMap<String, bool>,
    /// Files in which nothing is suggested and that are not read.
    pub disabled_globs: Vec<String>,
}

const DEADLINE_CPU: Duration = Duration::from_millis(1000);
const DEADLINE_GPU: Duration = Duration::from_millis(250);

impl Default for Settings {
    fn default() -> Self {
        Layers::default().resolve()
    }
}

impl Settings {
    /// Whether anything is suggested in a language.
    pub(crate) fn suggests_in(&self, language: &str) -> bool {
        let named = self.languages.get(language).or_else(|| self.languages.get("*"));
        self.enable && named.copied().unwrap_or(true)
    }
}

/// Where a value comes from. Later ones win.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Source {
    /// The user's `config.toml`.
    User,
    /// `.cinnabar.toml` in the workspace: only what cannot run anything, choose what is loaded, or show more.
    Project,
    /// Variables like `CINNABAR_MAX_TOKENS`.
    Environment,
    /// `initializationOptions`
    Initialization,
    /// `workspace/configuration`
    Configuration,
    /// Options of the program.
    CommandLine,
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(match self {
            Source::User => "the user's file",
            Source::Project => ".cinnabar.toml",
            Source::Environment => "the environment",
            Source::Initialization => "initializationOptions",
            Source::Configuration => "workspace/configuration",
            Source::CommandLine => "the command line",
        })
    }
}

/// What the sources say: only names that there are, only values that can be used.
#[derive(Debug, Clone, Default)]
pub struct Layers(BTreeMap<Source, Map<String, Value>>);

/// What was wrong with a source.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    /// Values that cannot be used, as sentences for the user.
    pub bad: Vec<String>,
    /// Names that mean nothing, for the log.
    pub unknown: Vec<String>,
}

impl Problems {
    /// One message for the user with all that is wrong with a source.
    pub(crate) fn message(&self, source: Source) -> Option<String> {
        let all = self.bad.join("; ");
        (!all.is_empty())
            .then(|| format!("Cinnabar's settings in {source}: {all}. What held without that holds"))
    }
}

impl Layers {
    /// Takes what a source says in place of what it said before. Nothing, `null` or an object.
    pub fn set(&mut self, source: Source, given: Option<Value>) -> Problems {
        let mut problems = Problems::default();
        let mut layer = Map::new();
        let given = match given {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(given)) => given,
            Some(other) => {
                problems.bad.push(format!("settings must be an object, not {other}"));
                Map::new()
            }
        };
        for (name, value) in given {
            match KEYS.iter().find(|key| key.name == name) {
                _ if value.is_null() => {}
                None => problems.unknown.push(name),
                Some(key) => match key.check(source, &value) {
                    Ok(()) => drop(layer.insert(name, value)),
                    Err(expected) => problems.bad.push(format!("{name} must be {expected}, not {value}")),
                },
            }
        }
        self.0.insert(source, layer);
        problems
    }

    /// What holds.
    pub fn resolve(&self) -> Settings {
        let decoding = Decoding::default();
        let mut settings = Settings {
            model: None,
            device: Device::default(),
            weights: WeightFormat::default(),
            threads: None,
            mode: decoding.mode,
            block: decoding.block,
            threshold: decoding.threshold,
            min_probability: 0.4,
            other_files: false,
            next_suggestion: false,
            max_tokens: 64,
            deadline: DEADLINE_CPU,
            enable: true,
            languages: BTreeMap::new(),
            disabled_globs: Vec::new(),
        };
        let given = self.origins();
        if let Some((value, _)) = given.get("device") {
            (keys::key("device").set)(&mut settings, value);
        }
        if matches!(settings.device, Device::Cuda(_)) {
            settings.deadline = DEADLINE_GPU;
        }
        for (name, (value, _)) in &given {
            (keys::key(name).set)(&mut settings, value);
        }
        settings
    }

    /// What was given and holds, each with the last source that had a part in it. Maps are joined entry by entry,
    /// lists add up, of everything else the last one wins.
    pub(crate) fn origins(&self) -> BTreeMap<&'static str, (Value, Source)> {
        let mut merged: BTreeMap<&'static str, (Value, Source)> = BTreeMap::new();
        for (source, layer) in &self.0 {
            for (name, value) in layer {
                let before = merged.remove(name.as_str()).map(|(value, _)| value);
                let value = match (before, value.clone()) {
                    (Some(Value::Object(mut all)), Value::Object(new)) => {
                        all.extend(new);
                        Value::Object(all)
                    }
                    (Some(Value::Array(all)), Value::Array(new)) => Value::Array([all, new].concat()),
                    (_, value) => value,
                };
                merged.insert(keys::key(name).name, (value, *source));
            }
        }
        merged
    }
}

/// Names of the settings that differ and take effect only with a new engine.
pub(crate) fn need_restart(old: &Settings, new: &Settings) -> Vec<&'static str> {
    let differ = [
        ("model", old.model != new.model),
        ("device", old.device != new.device),
        ("weights", old.weights != new.weights),
        ("threads", old.threads != new.threads),
    ];
    differ.into_iter().filter(|(_, differ)| *differ).map(|(name, _)| name).collect()
}

/// All settings with what they mean, for the schema and for people.
pub(crate) fn keys() -> &'static [Key] {
    KEYS.as_slice()
}

#[cfg(test)]
mod tests;
