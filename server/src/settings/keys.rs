//! The definition of the settings: one row each.

use std::path::PathBuf;
use std::str::FromStr;
use std::sync::LazyLock;
use std::time::Duration;

use cinnabar_engine::{Decoding, Device, WeightFormat};
use ignore::gitignore::GitignoreBuilder;
use serde_json::{Value, json};

use super::{Settings, Source};

/// A setting.
pub(crate) struct Key {
    /// In camel case; the environment has it as `CINNABAR_MAX_TOKENS`.
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// What its values are.
    pub(crate) kind: Kind,
    /// What holds when nobody says anything; `null` where that depends.
    pub(crate) default: Value,
    /// What a file in the project may say.
    pub(crate) project: Project,
    /// Sets a value that was checked.
    pub(super) set: fn(&mut Settings, &Value),
}

/// What values a setting has.
pub(crate) enum Kind {
    Switch,
    Path,
    Device,
    Choice(&'static [&'static str]),
    /// From, to.
    Whole(u64, u64),
    OneOf(&'static [u64]),
    /// From 0 to 1; `true`: 0 itself is none.
    Share(bool),
    /// Names to switches.
    Switches,
    /// Patterns in the syntax of .gitignore.
    Globs,
}

/// What a file that comes with a repository may say. It must not run anything, choose what is loaded, keep the
/// machine busy, or have more read than the user wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Project {
    Nothing,
    /// It can only switch off.
    Off,
    Anything,
}

impl Key {
    /// What is wrong with a value: what was expected instead.
    pub(super) fn check(&self, source: Source, value: &Value) -> Result<(), String> {
        if !self.kind.holds(value) {
            return Err(self.kind.expected());
        }
        if source == Source::Project {
            let on = |value: &Value| value == true;
            match self.project {
                Project::Anything => {}
                Project::Nothing => return Err("set by the user, not by a project".into()),
                Project::Off if on(value) || value.as_object().is_some_and(|map| map.values().any(on)) => {
                    return Err("false in a project".into());
                }
                Project::Off => {}
            }
        }
        Ok(())
    }
}

impl Kind {
    fn holds(&self, value: &Value) -> bool {
        match self {
            Kind::Switch => value.is_boolean(),
            Kind::Path => value.as_str().is_some_and(|path| !path.is_empty()),
            Kind::Device => value.as_str().is_some_and(|name| Device::from_str(name).is_ok()),
            Kind::Choice(names) => value.as_str().is_some_and(|name| names.contains(&name)),
            Kind::Whole(from, to) => value.as_u64().is_some_and(|n| (*from..=*to).contains(&n)),
            Kind::OneOf(numbers) => value.as_u64().is_some_and(|n| numbers.contains(&n)),
            Kind::Share(above_zero) => {
                value.as_f64().is_some_and(|x| (0.0..=1.0).contains(&x) && !(*above_zero && x == 0.0))
            }
            Kind::Switches => value.as_object().is_some_and(|map| map.values().all(Value::is_boolean)),
            Kind::Globs => value.as_array().is_some_and(|list| {
                list.iter().all(|glob| {
                    glob.as_str().is_some_and(|glob| GitignoreBuilder::new("").add_line(None, glob).is_ok())
                })
            }),
        }
    }

    /// The values in words.
    pub(crate) fn expected(&self) -> String {
        let list = |names: Vec<String>| match names.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => names.concat(),
        };
        match self {
            Kind::Switch => "true or false".into(),
            Kind::Path => "a path".into(),
            Kind::Device => "auto, cpu, cuda, cuda:N or reference".into(),
            Kind::Choice(names) => list(names.iter().map(|name| (*name).to_owned()).collect()),
            Kind::Whole(from, to) => format!("{from} to {to}"),
            Kind::OneOf(numbers) => list(numbers.iter().map(u64::to_string).collect()),
            Kind::Share(true) => "above 0 and at most 1".into(),
            Kind::Share(false) => "0 to 1".into(),
            Kind::Switches => "languages with true or false".into(),
            Kind::Globs => "a list of patterns".into(),
        }
    }
}

/// The setting of a name that is known to be one.
pub(super) fn key(name: &str) -> &'static Key {
    KEYS.iter().find(|key| key.name == name).expect("because names were checked")
}

fn whole(value: &Value) -> usize {
    usize::try_from(value.as_u64().unwrap_or_default()).unwrap_or(usize::MAX)
}

/// All of them, in the order in which they are shown.
pub(super) static KEYS: LazyLock<[Key; 15]> = LazyLock::new(|| {
    let decoding = Decoding::default();
    [
        Key {
            name: "enable",
            about: "Suggest code.",
            kind: Kind::Switch,
            default: json!(true),
            project: Project::Off,
            set: |settings, value| settings.enable = value != false,
        },
        Key {
            name: "languages",
            about: "Languages (by the protocol's identifier) in which code is suggested; `*` stands for those that are not named.",
            kind: Kind::Switches,
            default: json!({}),
            project: Project::Off,
            set: |settings, value| {
                let given = value.as_object().into_iter().flatten();
                settings.languages = given.map(|(name, value)| (name.clone(), value != false)).collect();
            },
        },
        Key {
            name: "disabledGlobs",
            about: "Files in which nothing is suggested and that are not read as context, in the syntax of .gitignore, from the workspace's folder on. Lists of all sources add up.",
            kind: Kind::Globs,
            default: json!([]),
            project: Project::Anything,
            set: |settings, value| {
                let given = value.as_array().into_iter().flatten();
                settings.disabled_globs = given.filter_map(|glob| Some(glob.as_str()?.to_owned())).collect();
            },
        },
        Key {
            name: "model",
            about: "Path of the model: a GGUF file, the first of its parts, or a folder that holds one. Without it, the installed model is found. Takes effect at the next start.",
            kind: Kind::Path,
            default: Value::Null,
            project: Project::Nothing,
            set: |settings, value| settings.model = value.as_str().map(PathBuf::from),
        },
        Key {
            name: "device",
            about: "Where the model runs: auto, cpu, cuda, cuda:N (the GPU's number) or reference (slow and exact). Takes effect at the next start.",
            kind: Kind::Device,
            default: json!("auto"),
            project: Project::Nothing,
            set: |settings, value| {
                let device = value.as_str().and_then(|name| Device::from_str(name).ok());
                settings.device = device.unwrap_or_default();
            },
        },
        Key {
            name: "weights",
            about: "Weights on a GPU: 16bit, or fp8, which takes half the memory, is faster for models of a few thousand million weights and more, and less exact. Takes effect at the next start.",
            kind: Kind::Choice(&["16bit", "fp8"]),
            default: json!("16bit"),
            project: Project::Nothing,
            set: |settings, value| {
                let weights = value.as_str().and_then(|name| WeightFormat::from_str(name).ok());
                settings.weights = weights.unwrap_or_default();
            },
        },
        Key {
            name: "threads",
            about: "Threads of the CPU engine. Without it, one per physical core. Takes effect at the next start.",
            kind: Kind::Whole(1, 1024),
            default: Value::Null,
            project: Project::Nothing,
            set: |settings, value| settings.threads = Some(whole(value)),
        },
        Key {
            name: "mode",
            about: "How a suggestion is denoised. auto picks the faster of verified and causal, which give the same text; parallel is faster where the model is sure and may differ.",
            kind: Kind::Choice(&["auto", "verified", "parallel", "causal"]),
            default: json!(decoding.mode),
            project: Project::Nothing,
            set: |settings, value| {
                settings.mode = serde_json::from_value(value.clone()).unwrap_or(settings.mode);
            },
        },
        Key {
            name: "block",
            about: "Tokens denoised at once; at most, in mode auto.",
            kind: Kind::OneOf(&[8, 16, 32, 64]),
            default: json!(decoding.block),
            project: Project::Nothing,
            set: |settings, value| settings.block = whole(value),
        },
        Key {
            name: "threshold",
            about: "Mode parallel: how sure the model must be of a token to keep it together with the one before it.",
            kind: Kind::Share(true),
            // Through its decimal form: 0.7 is no f32.
            default: decoding.threshold.to_string().parse().unwrap_or_default(),
            project: Project::Nothing,
            set: |settings, value| settings.threshold = value.as_f64().unwrap_or_default() as f32,
        },
        Key {
            name: "minProbability",
            about: "Suggestions of whose tokens the model is less sure (geometric mean of their probabilities) are not shown, unless they are asked for by hand; in a completion menu that does not say, where no word is being typed, or twice. 0 shows all.",
            kind: Kind::Share(false),
            default: json!(0.4),
            project: Project::Anything,
            set: |settings, value| settings.min_probability = value.as_f64().unwrap_or_default() as f32,
        },
        Key {
            name: "otherFiles",
            about: "Read other files for a prompt: those of the same kind that are open, and some beside the one that is typed in. What is excluded, and what git ignores, is not read. With the default model it spoils as many suggestions as it mends.",
            kind: Kind::Switch,
            default: json!(false),
            project: Project::Off,
            set: |settings, value| settings.other_files = value == true,
        },
        Key {
            name: "nextSuggestion",
            about: "While a suggestion is on the screen, work out what would follow it. Accepting the one shows the other at once; the processor is busier.",
            kind: Kind::Switch,
            default: json!(false),
            project: Project::Off,
            set: |settings, value| settings.next_suggestion = value == true,
        },
        Key {
            name: "maxTokens",
            about: "Tokens of a suggestion, at most.",
            kind: Kind::Whole(1, 1024),
            default: json!(64),
            project: Project::Anything,
            set: |settings, value| settings.max_tokens = whole(value),
        },
        Key {
            name: "deadlineMs",
            about: "Milliseconds after which the text so far is suggested, or nothing. Without it, 250 on a GPU and 1000 on a CPU.",
            kind: Kind::Whole(10, 600_000),
            default: Value::Null,
            project: Project::Nothing,
            set: |settings, value| {
                settings.deadline = Duration::from_millis(value.as_u64().unwrap_or_default());
            },
        },
    ]
});
